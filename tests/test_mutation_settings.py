"""The settings of ``make mutate`` name files and tests that exist."""

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
