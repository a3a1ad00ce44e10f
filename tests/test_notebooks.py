"""The notebooks match their sources, and the tool that runs them finds every fault.

``make test-notebooks`` runs them.
"""

from pathlib import Path

import nbformat
import pytest

from dlfs.classroom.exercises import find_exercises
from tools.notebooks import check, execute, pairs

SOURCES = pairs.find_sources()

HEADER = """\
# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
"""

EXERCISE = """
# %%
from dlfs.exercises import check

# %% tags=["exercise:double"]
def double(x):
    ...

# %%
check("double", double, lambda f: f(3) == 6)

# %% [markdown] tags=["solution:double"]
# <details><summary>Solution</summary>
#
# ```python
# def double(x):
#     return 2 * x
# ```
# </details>
"""


@pytest.mark.parametrize("source", SOURCES, ids=pairs.title)
def test_source_notebook_and_outputs_belong_together(source: Path) -> None:
    assert check.problems(source) == []


def test_every_notebook_has_a_source() -> None:
    found = {p for p in pairs.NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts}
    assert found == {source.with_suffix(".ipynb") for source in SOURCES}


# --- the tool itself ---


def write(folder: Path, *cells: str, name: str = "03_chapter") -> Path:
    path = folder / name / "Code.py"
    path.parent.mkdir(exist_ok=True)
    text = "".join(cell if cell.startswith("\n# %%") else f"\n# %%\n{cell}\n" for cell in cells)
    path.write_text(HEADER + text)
    return path


def run(*sources: Path, backend: str = "reference") -> list[execute.Job]:
    jobs = [execute.Job(source, backend, False) for source in sources]
    execute.execute_all(jobs, at_once=2)
    return jobs


def stored(folder: Path, *cells: str) -> Path:
    """Return the source of a notebook that was run and stored."""
    source = write(folder, *cells)
    (job,) = run(source)
    assert job.problems == []
    pairs.write(job.notebook, source)
    assert check.problems(source) == []
    return source


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """Return the files of a correct notebook."""
    text = "\n# %% [markdown]\n# Some text.\n"
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    cells = (text, "print('one')", "1 + 1", plot, EXERCISE)
    source = stored(tmp_path_factory.mktemp("whole"), *cells)
    return {end: source.with_suffix(end).read_bytes() for end in (".py", ".ipynb")}


@pytest.fixture
def source(whole, tmp_path) -> Path:
    path = write(tmp_path)
    for end, content in whole.items():
        path.with_suffix(end).write_bytes(content)
    return path


def change(source: Path, end: str, old: str, new: str) -> None:
    path = source.with_suffix(end)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_run_stores_outputs_and_open_exercises_alone(source: Path) -> None:
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5, 6]
    assert code[0].outputs[0].text == "one\n"
    assert code[1].outputs[0].data == {"text/plain": "2"}
    assert "image/png" in code[2].outputs[-1].data
    assert code[5].outputs[0].text == "double: not yet done\n"
    assert "version" not in notebook.metadata.language_info
    assert not any("execution" in cell.metadata for cell in notebook.cells)


def test_code_is_folded_and_widgets_are_not_stored(tmp_path: Path) -> None:
    folded = '\n# %% tags=["hide-input"]\nprint("seen")\n'
    slider = "import ipywidgets\nslider = ipywidgets.IntSlider()\nslider"
    both = (
        "bundle = {'image/png': 'iVBORw0KGgo=', **slider._repr_mimebundle_()}\n"
        "from IPython.display import display\ndisplay(bundle, raw=True)"
    )
    removed = '\n# %% tags=["remove-cell"]\nassert slider.value == 0\n'
    source = stored(tmp_path, folded, slider, both, removed)
    first, second, third, fourth = nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells
    assert first.metadata.jupyter.source_hidden
    assert first.outputs[0].text == "seen\n"
    assert fourth.metadata.jupyter.source_hidden
    assert "jupyter" not in second.metadata
    assert second.outputs == []
    assert set(third.outputs[0].data) == {"image/png", "text/plain"}


@pytest.mark.parametrize(
    ("end", "old", "new", "said"),
    [
        (".py", "# Some text.", "# Other text.", "source and notebook differ"),
        (".py", "1 + 1", "1 + 2", "source and notebook differ"),
        (".ipynb", "1 + 1", "1 + 2", "do not match"),
        (".ipynb", '"one\\n"', '"two\\n"', "do not match"),
        (".ipynb", '"one\\n"', '"/home/someone/x\\n"', "a path of a machine"),
        (".ipynb", '"text/plain": [\n       "2"', '"text/plain": [\n       "<A at 0x7f0123456789>"',
         "an address in memory"),
        (".ipynb", '"execution_count": 3', '"execution_count": null', "not executed"),
        (".ipynb", '"name": "stdout"', '"name": "stderr"', "wrote to stderr"),
        (".ipynb", "double: not yet done", "double: right", "must be stored unsolved"),
    ],
)  # fmt: skip
def test_a_check_notices_what_does_not_belong_together(source, end, old, new, said) -> None:
    change(source, end, old, new)
    found = check.problems(source)
    assert any(said in problem for problem in found), found


def test_a_check_notices_a_missing_and_a_large_notebook(source, monkeypatch) -> None:
    monkeypatch.setattr(check, "MOST_BYTES", 1000)
    assert any("smaller pictures" in problem for problem in check.problems(source))
    source.with_suffix(".ipynb").unlink()
    assert "is missing" in check.problems(source)[0]


def test_sync_brings_in_text_and_never_code(source: Path) -> None:
    change(source, ".py", "# Some text.", "# Other text.")
    assert check.sync(source)
    assert check.problems(source) == []
    assert "Other text." in source.with_suffix(".ipynb").read_text()
    change(source, ".py", "1 + 1", "1 + 2")
    assert not check.sync(source)
    assert "source and notebook differ" in check.problems(source)[0]


FAULTS = {
    "an error": ("1 / 0", "ZeroDivisionError"),
    "a failed assertion": ("assert 3.5 < 3.4, 'the figure'", "the figure"),
    "a warning": ("import warnings\nwarnings.warn('careful')", "careful"),
    "a warning of NumPy": ("import numpy as np\nnp.ones(1) / 0", "divide by zero"),
    "a deprecation": ("import warnings\nwarnings.warn('old', DeprecationWarning)", "old"),
    "stderr": ("import sys\nprint('oh', file=sys.stderr)", "written to stderr"),
    "a connection": (
        "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)",
        "must run offline",
    ),
    "another backend": ("import dlfs\nassert dlfs.backend_name() != 'reference'", "AssertionError"),
    "a wrong solution": (EXERCISE.replace("2 * x", "3 * x"), "'right' for the solution, got 'not"),
    "a filled exercise": (
        EXERCISE.replace("    ...", "    return 2 * x"),
        "'not yet done' before it is done",
    ),
    "an unchecked exercise": (EXERCISE.replace("check(", "(lambda *_: None)("), "got 'nothing'"),
    "no solution": (EXERCISE.split("# %% [mark")[0], "has no cell solution:double"),
    "the end of the kernel": ("import os\nos._exit(1)", "died"),
}


def test_a_run_notices_every_fault(tmp_path: Path) -> None:
    sources = [
        write(tmp_path, cell, name=f"{number:02}_fault")
        for number, (cell, _) in enumerate(FAULTS.values())
    ]
    for (fault, (_, said)), job in zip(FAULTS.items(), run(*sources), strict=True):
        assert any(said in problem for problem in job.problems), (fault, job.problems)


def test_settings_of_a_source(tmp_path: Path) -> None:
    def said(name: str, header: str = "") -> dict:
        source = write(tmp_path, "1", name=name)
        source.write_text(source.read_text().replace("#   kernelspec", f"{header}#   kernelspec"))
        return pairs.settings(source)

    assert said("03_dlfs") == {"backends": ["fast", "reference"], "alone": False}
    assert said("01_foundations")["backends"] == ["fast"]
    assert said("05_x", "#   dlfs: {backends: [fast]}\n")["backends"] == ["fast"]
    assert said("09_x", "#   dlfs: {alone: true}\n")["alone"] is True
    with pytest.raises(ValueError, match="unknown keys"):
        said("03_x", "#   dlfs: {backend: fast}\n")
    with pytest.raises(ValueError, match="backends must be"):
        said("04_x", "#   dlfs: {backends: [quick]}\n")


def test_exercises_must_be_whole() -> None:
    cell = nbformat.v4.new_code_cell("x = ...", metadata={"tags": ["solution:other"]})
    with pytest.raises(ValueError, match="does not follow exercise:other"):
        find_exercises(nbformat.v4.new_notebook(cells=[cell]))
