"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import dlfs

ROOT = Path(dlfs.__file__).parents[1]

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "dlfs").rglob("*.py")
    if path.name != "__main__.py"
)
for package, module in (("torch", "pytorch"), ("onnx", "onnx"), ("sklearn", "estimators")):
    if importlib.util.find_spec(package) is None:
        MODULES = [name for name in MODULES if not name.startswith(f"dlfs.{module}")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in finder.find(module, name, extraglobs={"np": np}):
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
