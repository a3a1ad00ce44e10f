"""The settings of ``make mutate``, and its page, name files and tests that exist."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.source_tree
def test_every_path_and_test_that_is_named_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings = project["tool"]["mutmut"]
    for pattern in settings["only_mutate"] + settings["do_not_mutate"]:
        assert list(ROOT.glob(pattern)), pattern
    for argument in settings["pytest_add_cli_args_test_selection"]:
        path, _, test = argument.split("=")[-1].partition("::")
        assert (ROOT / path).exists(), path
        name = test.partition("[")[0]
        assert not test or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), argument


@pytest.mark.source_tree
def test_every_test_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "mutation_testing.md").read_text(encoding="utf-8")
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {file.stem for file in files}
    for file in files:
        known.update(re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8")))
    named = set(re.findall(r"\btest_\w+", page))
    assert named
    assert named <= known, named - known
