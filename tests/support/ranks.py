"""Ranks in the tests: threads that stand for processes, and real ones under mpiexec."""

import copy
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Ended(BaseException):
    """Another rank has ended the training."""


class ThreadComm:
    """What dlfs uses of an mpi4py communicator, between the threads of one process."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, places: list[Any]) -> None:
        self.rank, self.size = rank, size
        self._barrier, self._places = barrier, places

    def allgather(self, sendobj: Any) -> list[Any]:
        self._places[self.rank] = copy.deepcopy(sendobj)
        self._wait()
        found = copy.deepcopy(self._places)
        self._wait()
        return found

    def bcast(self, obj: Any) -> Any:
        return self.allgather(obj)[0]

    def Allreduce(self, sendbuf: Any, recvbuf: Any) -> None:
        parts = self.allgather(sendbuf)
        recvbuf[...] = sum(parts[1:], parts[0])

    def Abort(self, errorcode: int) -> None:
        self._barrier.abort()

    def _wait(self) -> None:
        try:
            self._barrier.wait(60)
        except threading.BrokenBarrierError:
            raise Ended from None


def on_threads(size: int, function: Callable[[Any], T]) -> list[T]:
    """Call a function with the communicator of each rank, and return what each returns.

    The error of the first rank that has one is raised; the others then end as well.
    """
    barrier, places = threading.Barrier(size), [None] * size
    results: list[Any] = [None] * size
    errors: list[BaseException | None] = [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = function(ThreadComm(rank, size, barrier, places))
        except BaseException as error:  # noqa: BLE001 - raised below
            errors[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted((e for e in errors if e), key=lambda e: isinstance(e, Ended)):
        raise error
    return results


def mpiexec(size: int, *arguments: object) -> "subprocess.Popen[str]":
    """Start Python on several ranks."""
    command = [shutil.which("mpiexec", path=environment()["PATH"]), "-n", size]
    return subprocess.Popen(
        [str(part) for part in (*command, sys.executable, "-m", "mpi4py", *arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def environment() -> dict[str, str]:
    """Return the variables with which a process finds dlfs, these tests, and the MPI of pip."""
    root = str(Path(__file__).parents[2])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    here = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    if not any(distributions(name="mpich")):
        return here  # another MPI
    places = {file.name: file.locate() for file in distribution("mpich").files or ()}
    launcher, library = (Path(str(places[name])).resolve() for name in ("mpiexec", "libmpi.so.12"))
    here["PATH"] = f"{launcher.parent}{os.pathsep}{here['PATH']}"
    if library.parent != Path(sys.prefix) / "lib":
        # the packages are in another environment, where mpi4py does not look for the library
        here["MPI4PY_LIBMPI"] = str(library)
    return here
