"""docs/support.md, the oldest versions in pyproject.toml, and what `make test-oldest` installs."""

import re
import tomllib
from pathlib import Path

import pytest

from tools.oldest import NOT_TESTED, floor, oldest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.source_tree


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def stated(extra: str) -> list[str]:
    """Return the requirements of an extra, with those of the extras in it."""
    content = project()["project"]
    lines = content["optional-dependencies"][extra] if extra else content["dependencies"]
    found = []
    for line in lines:
        inner = re.fullmatch(r"dlfs\[(.+)\]", line)
        found += (
            [entry for name in inner[1].split(",") for entry in stated(name)]
            if inner
            else [" ".join(floor(line))]
        )
    return found


def page() -> str:
    return (ROOT / "docs" / "support.md").read_text(encoding="utf-8")


def test_the_table_has_every_extra_and_its_oldest_versions() -> None:
    rows = dict(re.findall(r"^\| (\(none\)|`\w+`) \|.*\| (.*) \|$", page(), re.MULTILINE))
    extras = [
        name
        for name in project()["project"]["optional-dependencies"]
        if name not in {"dev", "docs"}
    ]
    assert set(rows) == {"(none)", *(f"`{name}`" for name in extras)}
    for extra in ("", *extras):
        row = rows[f"`{extra}`" if extra else "(none)"]
        assert row.split(", ") == stated(extra), extra


def test_the_text_has_the_versions_of_python_of_the_build_and_of_onnx() -> None:
    pytest.importorskip("onnx", reason="dlfs.onnx needs the extra onnx")
    from dlfs.onnx import IR_VERSION, OPSET

    content, text = project(), " ".join(page().split())
    assert f"Python {content['project']['requires-python'].removeprefix('>=')} or newer" in text
    for requirement in content["build-system"]["requires"]:
        assert " ".join(floor(requirement)) in text
    assert f"**opset {OPSET}**" in text
    assert f"**IR version {IR_VERSION}**" in text


def test_all_that_is_stated_is_installed_in_its_oldest_version() -> None:
    versions = oldest(project())
    for extra in ("", *project()["project"]["optional-dependencies"]):
        if extra not in NOT_TESTED:
            assert {tuple(entry.split()) for entry in stated(extra)} <= set(versions.items())


def test_a_requirement_without_an_oldest_version_or_with_two_is_refused() -> None:
    content = {
        "build-system": {"requires": ["numpy>=2.0.0"]},
        "project": {"dependencies": ["numpy>=2.0.0"], "optional-dependencies": {"a": ["x>=1.0"]}},
    }
    assert oldest(content) == {"numpy": "2.0.0", "x": "1.0"}
    content["project"]["optional-dependencies"]["b"] = ["numpy>=2.1.0"]
    with pytest.raises(ValueError, match="numpy must have one oldest version"):
        oldest(content)
    content["project"]["dependencies"] = ["numpy"]
    with pytest.raises(ValueError, match="must be like"):
        oldest(content)
