"""What the hints say of the mistakes in ``mistakes``, word for word, stands in ``told.txt``.

Each line must be true of its mistake. If one changes, read it, and write the page again:
``python -m tests.gradcheck.test_told``.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from dlfs.gradcheck import check_gradients
from tests.gradcheck.mistakes import MISTAKES
from tests.gradcheck.mistakes.lines import READ, read

PAGE = Path(__file__).with_name("told.txt")
ALL = [*MISTAKES, *READ]


def told(name: str) -> Iterator[str]:
    """Iterate over what the report says of a mistake."""
    if name in READ:
        report = check_gradients(*read(name), backend="reference")
    else:
        target, x, *y = MISTAKES[name]
        with mock.patch.object(inspect, "getsourcelines", side_effect=OSError):
            report = check_gradients(target, x, y=y[0] if y else None, backend="reference")
    assert report.verdict == "wrong"
    for finding in report.findings:
        message, _, _ = finding.message.partition(" (in ")  # the place: test_raised.py
        yield f"{name} | {finding.kind} (found) | {message}"
    for hint in report.hints:
        yield f"{name} | {hint.kind} | {hint}"
    for fact in report.facts:
        yield f"{name} | {fact.kind} (a fact) | {fact}"
    if not report.hints and not report.facts:
        yield f"{name} | nothing more"


@pytest.fixture(scope="module")
def page() -> list[str]:
    return PAGE.read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", ALL)
def test_what_is_told_of_a_mistake(name: str, page: list[str]) -> None:
    assert [*told(name)] == [line for line in page if line.startswith(f"{name} | ")]


def test_the_page_is_about_the_mistakes(page: list[str]) -> None:
    assert [*dict.fromkeys(line.partition(" | ")[0] for line in page)] == ALL


if __name__ == "__main__":
    PAGE.write_text("".join(f"{line}\n" for name in ALL for line in told(name)), "utf-8")
