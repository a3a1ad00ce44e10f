"""Made submissions of a class: right, wrong, and those that break whatever can break.

Each kind changes a solved handout of chapter 3, and says which exercises are not right afterwards.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlfs.classroom.exercises import Notebook, read_notebook, solved_exercises, source, tagged
from dlfs.classroom.handout import export

CODE, MATH = "03_dlfs/Code", "03_dlfs/Math"

Key = tuple[str, str]
Outcome = tuple[str, str]
"""An outcome, and words of its hint."""


@dataclass
class Kind:
    """A kind of submission: answers instead of the solutions, and what they must get."""

    answers: dict[Key, str] = field(default_factory=dict)
    outcomes: dict[Key, Outcome] = field(default_factory=dict)
    change: Callable[[dict[str, Notebook]], None] = lambda notebooks: None
    notes: dict[Key, str] = field(default_factory=dict)


def one(code: str, outcome: str, hint: str = "", name: str = "count", title: str = CODE) -> Kind:
    """Return a kind with one answer that is not right."""
    return Kind({(title, name): code}, {(title, name): (outcome, hint)})


TANH = """
class Tanh(Operation):
    def _output(self):
        return {output}

    def _input_grad(self, output_grad):
        return {grad}
"""
SLOPE = "output_grad * (1 - self.output**2)"


def tanh(output: str, outcome: str, hint: str, grad: str = SLOPE) -> Kind:
    return one(TANH.format(output=output, grad=grad), outcome, hint, "tanh")


def cell_of(notebook: Notebook, kind: str, name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if tagged(cell, kind) == name)


def set_check(code: str) -> Callable[[dict[str, Notebook]], None]:
    def change(notebooks: dict[str, Notebook]) -> None:
        cell_of(notebooks[CODE], "check", "count")["source"] = code

    return change


def add_cell(notebook: Notebook, place: int, code: str) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": code, "outputs": []}
    notebook["cells"].insert(place, {**cell, "execution_count": None, "id": f"own-{place}"})


def own_cells(notebooks: dict[str, Notebook]) -> None:
    """Use a helper from a cell of the student's own, and continue an answer in a second cell."""
    notebook = notebooks[CODE]
    notebook["cells"][1]["source"] = [source(notebook["cells"][1]), "\nimport math as m\n"]
    add_cell(notebook, 2, "def twice(x):\n    return 2 * x\n")
    place = notebook["cells"].index(cell_of(notebook, "exercise", "count"))
    add_cell(notebook, place + 1, "half = m.ceil(1310.5)\nparameters = twice(half) - 11 + 0\n")
    notebook["cells"][place]["source"] = "%matplotlib inline\nhalf = 0"


def lose_tags(notebooks: dict[str, Notebook]) -> None:
    for cell in notebooks[MATH]["cells"]:
        cell["metadata"] = {}


def lose_cell(notebooks: dict[str, Notebook]) -> None:
    cells = notebooks[CODE]["cells"]
    cells.remove(cell_of(notebooks[CODE], "exercise", "scale"))
    cells.remove(cell_of(notebooks[CODE], "check", "scale"))


def drop_math(notebooks: dict[str, Notebook]) -> None:
    del notebooks[MATH]


COUNT, TWICE = (CODE, "count"), (MATH, "twice")
ALL_MATH = [(MATH, name) for name in ("softplus", "linear", "twice")]
ALL = [(CODE, name) for name in ("tanh", "scale", "absolute", "count")] + ALL_MATH
LOOP = "parameters = 0\nwhile True:\n    parameters += 1"
REMOVED = "The check was removed; the original was used."
CHANGED = "The check was changed; the original was used."
FORK = "import os\nwhile True:\n    os.fork()"
EATS = "import numpy as np\nparameters = []\nwhile True:\n    parameters.append(np.ones(10**6))"

KINDS: dict[str, Kind] = {
    "solved": Kind(),
    "untouched": Kind(
        dict.fromkeys(ALL, "HANDOUT"), dict.fromkeys(ALL, ("not yet done", ""))
    ),
    "no-output-grad": tanh("np.tanh(self.input_)", "not right yet", "output gradient is missing",
                           "1 - self.output**2"),
    "not-tanh": tanh("np.sin(self.input_)", "not right yet", "Not tanh."),
    "no-biases": one("parameters = 20 * 50 + 50 * 30 + 30", "not right yet", "biases"),
    "no-return": one("def one_matrix(W1, W2):\n    W1 @ W2", "not right yet", "is there a return?",
                     "linear", MATH),
    "raises": tanh("1 / 0", "not right yet", "ZeroDivisionError"),
    "no-python": one("parameters = = 3", "not right yet", "not Python"),
    "other-name": one("params = 2611", "not right yet", "must define parameters"),
    "loops": one(LOOP, "time", "longer than"),
    "loops-inside": one(
        "def twice_param_grad(X, W, G):\n    while True:\n        pass", "time", "longer than",
        "twice", MATH,
    ),
    "sleeps": one("import time\ntime.sleep(10**6)", "time", "longer than"),
    "exits": one("import os\nos._exit(0)", "crashed", "exit status 0"),
    "crashes": one("import ctypes\nctypes.string_at(0)", "crashed", "SIGSEGV"),
    "quits": one("raise SystemExit", "crashed", "SystemExit"),
    "recurses": one("def f(x):\n    return f(x)\nparameters = f(1)", "not right yet", "Recursion"),
    "forks": one(FORK, "not right yet", "starts a process"),
    "forks-inside": tanh("__import__('os').fork()", "not right yet", "starts a process"),
    "runs-programs": one("import subprocess\nsubprocess.run(['true'])", "not right yet",
                         "starts a process"),
    "kills": one("import os\nos.kill(os.getppid(), 9)", "not right yet", "sends a signal"),
    "writes-outside": one("open('../stolen.txt', 'w').write('x')", "not right yet",
                          "outside its own folder"),
    "removes": one("import os\nos.remove(os.path.expanduser('~/x'))", "not right yet",
                   "outside its own folder"),
    "writes-many": one("for n in range(10**6):\n    open(str(n), 'w').close()", "not right yet",
                       "more than 100 files"),
    "writes-much": one("f = open('x', 'wb')\nwhile True:\n    f.write(bytes(10**6))",
                       "not right yet", "File too large"),
    "connects": one("import socket\nsocket.create_connection(('192.0.2.1', 80))", "not right yet",
                    "opens a connection"),
    "allocates": one(EATS, "memory", "1,024 MB"),
    "allocates-inside": tanh("np.ones(10**12)", "memory", "1,024 MB"),
    "prints": one("while True:\n    print('again')", "output", "prints more than"),
    "prints-inside": one(
        "def one_matrix(W1, W2):\n    while True:\n        print(W1)", "output", "prints more",
        "linear", MATH,
    ),
    "asks": one("parameters = int(input())", "not right yet", "EOFError"),
    "edits-the-check": Kind(
        {COUNT: "parameters = 1"}, {COUNT: ("not right yet", "biases")},
        set_check("print('count: right')"), {COUNT: CHANGED},
    ),
    "edits-needlessly": Kind(change=set_check("check('count', 1, 1)"), notes={COUNT: CHANGED}),
    "own-check": one(
        "import dlfs.exercises\n\ndef check(*arguments, **options):\n    print('count: right')\n\n"
        "parameters = 3", "not right yet", "biases",
    ),
    "changes-data": one("batch *= 0\nnp = None\nparameters = 1", "not right yet", "biases"),
    "threads": Kind(
        {COUNT: "import threading, time\nfor _ in range(9):\n"
                "    threading.Thread(target=time.sleep, args=(10**6,)).start()\nparameters = "
                "2611"},
    ),
    "own-cells": Kind(change=own_cells),
    "lost-tags": Kind(change=lose_tags, notes=dict.fromkeys(ALL_MATH, REMOVED)),
    "lost-cell": Kind({}, {(CODE, "scale"): ("missing", "cell is missing")}, lose_cell),
    "half": Kind({}, dict.fromkeys(ALL_MATH, ("missing", "not handed in")), drop_math),
}  # fmt: skip
"""One exercise of chapter 3, at most, is wrong in each kind, except where a whole notebook is."""


def make_class(folder: Path, kinds: dict[str, Kind]) -> None:
    """Write a class with a submission of each kind."""
    export(folder, [3])
    handouts = {
        title: read_notebook(folder / "release" / f"{title}.ipynb") for title in (CODE, MATH)
    }
    exercises = {
        title: solved_exercises(read_notebook(folder / "source" / f"{title}.ipynb"))
        for title in (CODE, MATH)
    }
    for name, kind in kinds.items():
        notebooks = copy.deepcopy(handouts)
        for title, notebook in notebooks.items():
            for exercise in exercises[title]:
                answer = kind.answers.get((title, exercise.name), exercise.solution)
                if answer != "HANDOUT":
                    cell_of(notebook, "exercise", exercise.name)["source"] = answer
        kind.change(notebooks)
        for title, notebook in notebooks.items():
            path = folder / "submitted" / name / f"{title}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(notebook))


def expected(kinds: dict[str, Kind]) -> dict[tuple[str, str, str], tuple[str, str, str]]:
    """Return outcome, words of the hint and note by student, notebook and exercise."""
    return {
        (name, *key): (*kind.outcomes.get(key, ("right", "")), kind.notes.get(key, ""))
        for name, kind in sorted(kinds.items())
        for key in ALL
    }
