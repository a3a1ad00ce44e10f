"""The check of phrases that ``make lint`` runs."""

import pytest

from tools.english import faults, main


@pytest.mark.parametrize(
    "line",
    [
        "raise TypeError('x is no array')",
        "# Whoever calls this",
        "So many rows at a time.",
        "The layer wants integers.",
        "It hands the gradient on.",
    ],
)
def test_a_phrase_is_found_with_its_line(line: str) -> None:
    assert [number for number, _, _ in faults(f"x = 1\n{line}\n")] == [2]


@pytest.mark.parametrize(
    "line",
    ["There is no file.", "It is no longer used.", "The forget gate.", "So many  # english: ok"],
)
def test_good_english_and_marked_lines_pass(line: str) -> None:
    assert not list(faults(line))


def test_the_file_and_better_wording_are_named(tmp_path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "page.md"
    path.write_text("\nbegins anew\n", encoding="utf-8")
    assert main([str(path)]) == 1
    assert capsys.readouterr().out == f"{path}:2: 'anew': better: again\n"
    path.write_text("begins again\n", encoding="utf-8")
    assert main([str(path)]) == 0
