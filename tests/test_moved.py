"""Every module of 0.1.0 still imports by its name then, with the names that users hold on to.

``tests/data/0.1.0/names.json`` has the modules of that version, and of each the names that its
notebooks, its pages and the book's listings import.
"""

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs.moved import MOVED, SHORT

NAMES = json.loads((Path(__file__).parent / "data" / "0.1.0" / "names.json").read_text("utf-8"))
ROOT = Path(__file__).parents[1]


def by_old_name(module):
    if module.startswith("dlfs.pytorch"):
        pytest.importorskip("torch")
    if module in MOVED:
        sys.modules.pop(module, None)  # what was imported before does not warn again
        with pytest.warns(
            DeprecationWarning, match=f"{re.escape(module)} has moved to {MOVED[module]};"
        ):
            return importlib.import_module(module)
    return importlib.import_module(module)


@pytest.mark.parametrize("module", NAMES)
def test_a_module_of_0_1_0_has_its_names(module):
    found = by_old_name(module)
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []


@pytest.mark.parametrize("module", MOVED | SHORT)
def test_a_moved_module_is_the_same_module(module):
    new = (MOVED | SHORT)[module]
    assert by_old_name(module) is importlib.import_module(new)
    assert importlib.util.find_spec(new).name == new


@pytest.mark.parametrize("module", MOVED)
def test_nothing_stands_at_the_old_place(module):
    path = Path(dlfs.__file__).parents[1].joinpath(*module.split("."))
    assert not path.exists()
    assert not path.with_suffix(".py").exists()


def test_the_warning_names_the_line_that_imports(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import dlfs\nfrom dlfs import geometry\nimport dlfs.rnn\n")
    command = [sys.executable, "-W", "always", str(script)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = re.findall(r"script\.py:(\d+): DeprecationWarning: (\S+) has moved", run.stderr)
    assert lines == [("2", "dlfs.geometry"), ("3", "dlfs.rnn")]


def test_dlfs_itself_imports_nothing_by_an_old_name():
    found = []
    for path in sorted(Path(dlfs.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [(path.name, name) for name in names if name in MOVED]
    assert found == []


@pytest.mark.source_tree
def test_the_examples_on_the_page_run():
    page = (ROOT / "docs" / "moving_from_0.1.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names = {}
    exec(example, names)
    net = dlfs.NeuralNetwork([dlfs.Dense(1)])
    X = np.linspace(-1, 1, 20).reshape(-1, 1)
    dlfs.Trainer(net, names["Momentum"](lr=0.1)).fit(X, X, epochs=200, verbose=0)
    assert np.allclose(net.predict(X), X, atol=0.01)


@pytest.mark.source_tree
def test_the_page_on_moving_has_every_old_name():
    page = (ROOT / "docs" / "moving_from_0.1.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(dlfs[\w.]*)` \| `(dlfs[\w.]*)` \|", page, re.MULTILINE))
    assert {old: rows.get(old) for old in MOVED} == MOVED
