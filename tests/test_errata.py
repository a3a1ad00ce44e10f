"""notebooks/ERRATA.md: each block runs, and shows the mistake and its correction."""

import re
import warnings
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "notebooks" / "ERRATA.md"
ENTRY = re.compile(r"^### (.+?)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.source_tree


def entries() -> dict[str, str]:
    return dict(ENTRY.findall(PAGE.read_text("utf-8"))) if PAGE.exists() else {}


@pytest.mark.parametrize("title", entries())
def test_the_evidence_holds(title: str) -> None:
    (code,) = BLOCK.findall(entries()[title])
    assert code.count("\nassert ") >= 2, "one for the mistake, one for what dlfs does"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, f"ERRATA.md, {title}", "exec"), {"__name__": "errata"})


def test_nothing_is_left_out() -> None:
    text = PAGE.read_text("utf-8")
    assert text.count("\n### ") == len(entries()) == text.count("```python") >= 12
