"""The page on gradient checking does what it says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "gradient_checking.md"


@pytest.mark.source_tree
def test_the_code_runs_and_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "page"}
    printed, compared = "", 0
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for language, text in blocks:
        if language == "python":
            exec(text, names)
            printed = capsys.readouterr().out
        else:
            assert without_numbers(text) in without_numbers(printed)
            compared += 1
    assert compared == 3


def without_numbers(text: str) -> str:
    """Leave out what rounding may change: the errors, not the verdicts."""
    return re.sub(r"\d(\.\d+)?e-\d+", "tiny", text.strip())
