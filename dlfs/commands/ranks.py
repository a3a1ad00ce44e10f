"""``--ranks``: the same command on several processes, under MPI (``dlfs.ranks``)."""

import argparse
import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlfs.train.output import write_line

STARTED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
"""What launchers of MPI set in the environment of each process."""


def on_ranks(arguments: argparse.Namespace, run: Callable[[argparse.Namespace], int]) -> int:
    """Run a command on as many ranks as wanted, and return its exit status.

    In the processes of a job of MPI, ``mpiexec -n 4 dlfs train --ranks 4``, those are the ranks.
    Otherwise the job is started here.

    Parameters
    ----------
    arguments : Namespace
        ``ranks`` is their number, ``line`` the words of the command line. ``comm`` becomes their
        communicator, None for one rank: then nothing imports MPI. ``leads`` is True on rank 0.
    run : callable
        The command.
    """
    arguments.comm, arguments.leads = None, True
    if arguments.ranks == 1:
        return run(arguments)
    if not any(name in os.environ for name in STARTED):
        return _start(arguments.ranks, arguments.line)
    from mpi4py import MPI  # noqa: PLC0415 - an extra

    arguments.comm = comm = MPI.COMM_WORLD
    if comm.size != arguments.ranks:
        raise ValueError(
            f"--ranks must be the size of the MPI job, {comm.size}, got {arguments.ranks}"
        )
    arguments.leads = comm.rank == 0
    if arguments.leads:
        return run(arguments)
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return run(arguments)
        except Exception:
            # Rank 0 has the same error, mostly: it shall be the one that speaks, and ends all.
            time.sleep(1)
            raise


def _start(ranks: int, line: list[str]) -> int:
    beside = Path(sys.executable).parent
    mpiexec = shutil.which("mpiexec", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if mpiexec is None:
        raise ImportError("--ranks needs MPI: pip install 'dlfs[mpi]'")
    threads = str(max((os.cpu_count() or 1) // ranks, 1))
    environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, **os.environ}
    # mpi4py's runner ends all ranks when one has an error. Otherwise the others would wait.
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py", "-m", "dlfs", *line]
    job = subprocess.Popen(command, env=environment)
    before: Any = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the ranks get a Ctrl-C, too
    try:
        status = job.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if status not in (0, 2, 130):
        write_line(
            sys.stderr, f"dlfs {line[0]}: a rank ended early, and so all did (status {status})"
        )
    return status
