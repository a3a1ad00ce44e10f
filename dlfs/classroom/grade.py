"""Grades submissions: each runs in its own process, with limits of time and memory.

The limits are there for accidents: an answer that loops, crashes or prints without end costs its
exercise, and nothing else. They are not a sandbox: code written to do harm can do harm. Grade what
strangers send you in a container or a virtual machine.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlfs
from dlfs.classroom.exercises import read_notebook, solved_exercises
from dlfs.classroom.needs import essential, names_of, needed, plain_python
from dlfs.classroom.submissions import (
    Answer,
    Submission,
    Template,
    find_answer,
    find_submissions,
)
from dlfs.classroom.worker import CRASHED, TIME, UNGRADED, takes_longer
from dlfs.exercises import RIGHT

MISSING = "missing"

SETUP_SECONDS = 300.0
"""The time limit for the cells of the notebook that an exercise needs."""
WAITING = 3.0
"""This many times the limit of processor time may pass: other programs use the processor, too."""
SLOWER = 5.0
"""An answer may always take this many times as long as the solution."""
_LONGEST_MESSAGE = 200_000


@dataclass(frozen=True)
class Limits:
    """The limits of an answer.

    Attributes
    ----------
    seconds : float
        Of processor time; three times as much may pass.
    memory : int
        In megabytes, on top of what the exercise itself needs.
    output : int
        In characters.
    """

    seconds: float = 10.0
    memory: int = 1024
    output: int = 100_000


@dataclass(frozen=True)
class Grade:
    """The result of one exercise of one student.

    ``outcome`` is "right", "not right yet", "not yet done", "missing", "time",
    "memory", "output" (a limit was reached), "crashed", or "ungraded" (the exercise could not be
    checked, which is not the student's fault).
    """

    student: str
    notebook: str
    exercise: str
    outcome: str
    hint: str = ""
    note: str = ""
    answer: str = ""
    said: str = ""

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.outcome == RIGHT


@dataclass
class _Task:
    """An exercise to run for a submission."""

    template: Template
    place: int
    answer: Answer

    @property
    def key(self) -> tuple[str, str]:
        return self.template.title, self.template.exercises[self.place].name

    def job(self) -> dict[str, Any]:
        """Return what the worker needs."""
        exercise = self.template.exercises[self.place]
        answer = self.answer.code or ""
        names: set[str] = set()
        for code in (*exercise.checks, answer):
            with contextlib.suppress(SyntaxError, ValueError):
                found = names_of(plain_python(code))
                names |= found.used | found.later
        before = [code for place, code in self.template.statements if place < exercise.place]
        return {
            "name": exercise.name,
            "setup": [before[place] for place in needed(before, names)],
            "answer": answer,
            "checks": exercise.checks,
            "binds": sorted(exercise.binds),
        }


def read_templates(folder: Path) -> list[Template]:
    """Return the notebooks with exercises of a teacher's copy.

    Raises
    ------
    FileNotFoundError
        If the folder has none.
    ValueError
        If a notebook's exercises are not whole.
    """
    found = []
    for path in sorted(folder.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        notebook = read_notebook(path)
        try:
            exercises = solved_exercises(notebook)
            template = Template("/".join((path.parent.name, path.stem)), notebook, exercises)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{path}: {error}") from None
        if exercises:
            found.append(template)
    if not found:
        raise FileNotFoundError(
            f"{folder} must contain the teacher's notebooks: dlfs class export writes them"
        )
    return found


def grade(
    folder: Path,
    limits: Limits | None = None,
    processes: int | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[list[Grade], list[Submission]]:
    """Grade all submissions of a class.

    The solutions are graded first. An exercise whose solution is not right here, for example
    because a package is missing, is not graded.

    Parameters
    ----------
    folder : Path
        With ``source``, the teacher's notebooks, and ``submitted``.
    limits : Limits or None
        Default: ``Limits()``.
    processes : int or None
        How many submissions run at the same time; by default as many as there are processors.
    report : callable or None
        Called with a line when a submission is done.

    Returns
    -------
    list of Grade
        One for each student and exercise.
    list of Submission
    """
    limits = limits or Limits()
    templates = read_templates(folder / "source")
    submissions = find_submissions(folder / "submitted", templates)
    if not submissions:
        raise FileNotFoundError(f"{folder / 'submitted'} must contain a folder for each student")
    solved = [
        _Task(template, place, Answer(essential(exercise.solution, exercise.binds)))
        for template in templates
        for place, exercise in enumerate(template.exercises)
    ]
    seconds = dict.fromkeys((task.key for task in solved), max(limits.seconds, 60.0))
    # Each notebook's solutions in a process of their own, because none fails the others.
    groups = [[task for task in solved if task.template is template] for template in templates]
    with ThreadPoolExecutor(processes or os.cpu_count() or 1) as pool:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for results in pool.map(lambda tasks: _run(tasks, limits, seconds), groups):
            found.update(results)
        broken = {
            key: f"The solution itself is not right here: {result['hint'] or result['outcome']}"
            for key, result in found.items()
            if result["outcome"] != RIGHT
        }
        for key, why in broken.items():
            if report:
                report(f"{' '.join(key)}: not graded. {why}")
        for key, result in found.items():
            seconds[key] = max(limits.seconds, SLOWER * result.get("seconds", 0.0))

        def one(submission: Submission) -> list[Grade]:
            grades = _grade_one(submission, templates, broken, limits, seconds)
            if report:
                count = sum(map(bool, (g.right for g in grades)))
                report(f"{submission.student}: {count} of {len(grades)} right")
            return grades

        grades = [grade for some in pool.map(one, submissions) for grade in some]
    return grades, submissions


def _grade_one(
    submission: Submission,
    templates: list[Template],
    broken: dict[tuple[str, str], str],
    limits: Limits,
    seconds: dict[tuple[str, str], float],
) -> list[Grade]:
    tasks = []
    results: dict[tuple[str, str], dict[str, Any]] = {}
    answers: dict[tuple[str, str], Answer] = {}
    for template in templates:
        notebook = submission.notebooks.get(template.title)
        for place, exercise in enumerate(template.exercises):
            key = template.title, exercise.name
            if notebook is None:
                results[key] = {"outcome": MISSING, "hint": "The notebook was not handed in."}
                continue
            answer = answers[key] = find_answer(template, exercise, notebook)
            if key in broken:
                results[key] = {"outcome": UNGRADED, "hint": broken[key]}
            elif answer.code is None:
                results[key] = {"outcome": MISSING, "hint": answer.note}
            else:
                tasks.append(_Task(template, place, answer))
    results.update(_run(tasks, limits, seconds))
    return [
        Grade(
            submission.student, *key, result["outcome"], result["hint"],
            answers[key].note if key in answers and result["hint"] != answers[key].note else "",
            (answers[key].code or "") if key in answers else "", result.get("said", ""),
        )
        for key, result in sorted(results.items(), key=lambda item: _order(item[0], templates))
    ]  # fmt: skip


def _order(key: tuple[str, str], templates: list[Template]) -> tuple[int, int]:
    for number, template in enumerate(templates):
        if template.title == key[0]:
            names = [exercise.name for exercise in template.exercises]
            return number, names.index(key[1])
    raise KeyError(key)


def run_answers(
    template: Template, answers: list[tuple[int, str]], limits: Limits
) -> list[dict[str, Any]]:
    """Return the results of answers, each given by the place of its exercise, and its code."""
    tasks = [_Task(template, place, Answer(code)) for place, code in answers]
    found: list[dict[str, Any]] = []
    while len(found) < len(tasks):
        rest = tasks[len(found) :]
        found += _results(_job(rest, limits, [limits.seconds] * len(rest)))
    return found


def _job(tasks: list[_Task], limits: Limits, seconds: list[float]) -> dict[str, Any]:
    exercises = [{**task.job(), "seconds": most} for task, most in zip(tasks, seconds, strict=True)]
    return {"exercises": exercises, "memory": limits.memory, "output": limits.output}


def _run(
    tasks: list[_Task], limits: Limits, seconds: dict[tuple[str, str], float]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Run the exercises of one submission; a process that ends early is followed by another."""
    results: dict[tuple[str, str], dict[str, Any]] = {}
    while tasks:
        job = _job(tasks, limits, [seconds[task.key] for task in tasks])
        before = len(results)
        for task, result in zip(tasks, _results(job), strict=False):
            results[task.key] = result
        tasks = tasks[max(len(results) - before, 1) :]
    return results


def _results(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the results of a process's exercises, until it ends or must be ended."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlfs.classroom.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
        )
        messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_read, args=(process, messages), daemon=True).start()
        try:
            with contextlib.suppress(OSError):
                assert process.stdin is not None  # noqa: S101 - for the type checker
                process.stdin.write(json.dumps(job).encode())
                process.stdin.close()
            seconds = [exercise["seconds"] for exercise in job["exercises"]]
            yield from _follow(process, messages, seconds)
        finally:
            _kill(process)


def _follow(
    process: subprocess.Popen[bytes],
    messages: "queue.Queue[dict[str, Any] | None]",
    seconds: list[float],
) -> Iterator[dict[str, Any]]:
    number, started, begin = 0, False, time.monotonic()
    ready = True
    while number < len(seconds):
        allowed = WAITING * seconds[number] if started else SETUP_SECONDS
        try:
            message = messages.get(timeout=max(0.0, begin + allowed - time.monotonic()))
        except queue.Empty:
            hint = takes_longer(seconds[number] if started else allowed)
            yield {"outcome": TIME if started else UNGRADED, "hint": hint}
            return
        if message is None and not ready:
            return  # it ended after a result; another process does the rest
        if message is None:
            why = _ending(process)
            yield {"outcome": CRASHED if started else UNGRADED, "hint": why}
            return
        if message["event"] == "setup":
            ready, begin = True, time.monotonic()
        elif message["event"] == "start":
            started, begin = True, time.monotonic()
        elif message["event"] == "end":
            yield {**message, "seconds": time.monotonic() - begin if started else 0.0}
            number, started, ready, begin = number + 1, False, False, time.monotonic()


def _read(process: subprocess.Popen[bytes], messages: "queue.Queue[dict[str, Any] | None]") -> None:
    """Pass on the messages of a process, and None at its end."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    with contextlib.suppress(OSError, ValueError):
        while line := process.stdout.readline(_LONGEST_MESSAGE):
            message = json.loads(line)
            if isinstance(message, dict) and "event" in message:
                messages.put(message)
    messages.put(None)


def _ending(process: subprocess.Popen[bytes]) -> str:
    try:
        status = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "It closed the connection to the grading process."
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else -status
        return f"It ends its process: signal {name}."
    return f"It ends its process: exit status {status}."


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _environment() -> dict[str, str]:
    above = str(Path(dlfs.__file__).parents[1])
    paths = [above, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = ("DLFS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(threads, "1"),
        "MPLBACKEND": "agg",
        "MALLOC_ARENA_MAX": "2",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
