"""Executes each notebook in a new, strict kernel, in the notebook's folder."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from dlfs.classroom.exercises import find_exercises
from tools.notebooks import pairs, solutions

CELL_SECONDS = 900
"""The time limit of a cell, in seconds."""

ONE_THREAD = dict.fromkeys(
    ("DLFS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Job:
    """A notebook to execute on a backend, and the result."""

    source: Path
    backend: str
    alone: bool
    notebook: NotebookNode | None = None
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _OwnKernel(KernelSpecManager):
    """Starts a kernel of this Python, whatever kernels the user has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        script = Path(__file__).with_name("kernel.py")
        argv = [sys.executable, "-Xfrozen_modules=off", str(script), "-f", "{connection_file}"]
        argv.append("--log-level=ERROR")
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class _OwnManager(AsyncKernelManager):
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return _OwnKernel(parent=self)


def environment(job: Job, folder: str) -> dict[str, str]:
    """Return the kernel's environment variables."""
    paths = [str(pairs.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **({} if job.alone else ONE_THREAD),
        "DLFS_BACKEND": job.backend,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "IPYTHONDIR": folder,  # no personal configuration
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def execute_all(jobs: list[Job], at_once: int) -> None:
    """Execute all jobs, several at once; those marked "alone" run one by one at the end."""
    # The first import of matplotlib on a machine writes a cache and prints a message.
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=False)
    asyncio.run(_execute_all(jobs, at_once))


async def _execute_all(jobs: list[Job], at_once: int) -> None:
    free = asyncio.Semaphore(at_once)

    async def one(job: Job) -> None:
        async with free:
            await _execute(job)

    await asyncio.gather(*(one(job) for job in jobs if not job.alone))
    for job in jobs:
        if job.alone:
            await _execute(job)


async def _execute(job: Job) -> None:
    start = time.perf_counter()
    try:
        notebook = pairs.make_notebook(job.source)
        exercises = find_exercises(notebook)
        solutions.append_solutions(notebook, exercises)
        await _run_cells(job, notebook)
        if not job.problems:
            job.problems += solutions.judge(notebook, exercises)
        solutions.drop_solutions(notebook)
        job.notebook = notebook
    except ValueError as error:
        job.problems.append(str(error))
    job.seconds = time.perf_counter() - start
    state = "FAILED" if job.problems else "passed"
    print(f"{pairs.title(job.source)} on {job.backend}: {state}, {job.seconds:.1f} s", flush=True)


async def _run_cells(job: Job, notebook: NotebookNode) -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_manager_class=_OwnManager,
            kernel_name="python3",
            timeout=CELL_SECONDS,
            startup_timeout=180,
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(job.source.parent)}},
        )
        try:
            await client.async_execute(env=environment(job, folder))
        except CellExecutionError as error:
            job.problems.append(ANSI.sub("", str(error)).strip())
        except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
            job.problems.append(f"{type(error).__name__}: {error}")
    job.problems += [
        f"written to stderr by the cell that starts with {cell.source.splitlines()[:1]}:\n"
        + ANSI.sub("", output.text)
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
