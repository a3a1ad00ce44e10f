"""Slides of the notebooks: everything is there, nothing comes from a network."""

import re
import sys

import pytest

from dlfs.classroom.chapters import chapter_notebooks
from dlfs.classroom.exercises import is_code, source, tagged
from dlfs.classroom.slides import page
from tests.support.commands import run

pytest.importorskip("latex2mathml")
NOTEBOOKS = chapter_notebooks()


def cell(kind: str, text: str, outputs: tuple = (), tags: tuple = ()) -> dict:
    made = {"cell_type": kind, "source": text, "metadata": {"tags": list(tags)}}
    return {**made, "outputs": list(outputs)} if kind == "code" else made


def made(*cells: dict) -> str:
    """Return the slides, without what stands around them."""
    body = page({"cells": list(cells)}, "title")
    return body.split('<div class="slides">')[1].split("</div></div>")[0].strip()


@pytest.mark.parametrize("title", NOTEBOOKS)
def test_every_notebook_becomes_slides(title) -> None:
    notebook = NOTEBOOKS[title]
    body = page(notebook, title)
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"(https?:)?//", body)
    assert not re.search(r"FORMULA\d+END|\\(frac|sum|partial|mathbf)\b", body)
    assert "<summary>Solution" not in body
    assert body.count("<section>") == body.count("</section>")
    texts = "\n".join(source(c) for c in notebook["cells"] if not is_code(c))
    fences = re.sub(r"^```.*?^```", "", texts, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,3} ", fences, re.MULTILINE)
    assert len(re.findall(r"<h[123]>", body)) == len(headings)


def test_folded_code_is_left_out_but_not_its_output() -> None:
    output = {"output_type": "stream", "text": "seen\n"}
    folded = cell("code", "hidden = 1", (output,), ("hide-input",))
    removed = cell("code", "assert hidden", (), ("remove-cell",))
    body = made(cell("markdown", "## A"), folded, removed)
    assert "<pre>seen</pre>" in body
    assert "hidden" not in body


def test_headings_begin_slides_and_long_ones_continue_below() -> None:
    text = "\n\n".join(["word " * 100] * 6)
    body = made(cell("markdown", f"# A\n\nshort\n\n## B\n\n{text}\n\n## C"))
    columns = body.split("<section><section>")[1:]
    assert [column.count("<section>") + 1 for column in columns] == [1, 2, 1]
    assert "<h2>C</h2>" in columns[2]


def test_a_heading_stays_with_its_text() -> None:
    text = "\n\n".join(["word " * 100] * 3)
    body = made(cell("markdown", f"## B\n\n{text}\n\n### C"), cell("code", "x = 1"))
    (last,) = [part for part in body.split("</section>") if "<h3>" in part]
    assert "highlight" in last


def test_formulas_become_mathml_but_not_in_code() -> None:
    body = made(
        cell("markdown", "a $x_1$, `$5`, \\$6 and\n\n$$\\frac{a}{b}$$\n\n```python\ns = '$'\n```")
    )
    assert body.count("<math") == 2
    assert "<msub><mi>x</mi><mn>1</mn></msub>" in body
    assert "<mfrac>" in body
    assert "<code>$5</code>" in body
    assert "$6" in body


def test_outputs_are_shown() -> None:
    outputs = (
        {"output_type": "stream", "text": ["a < b\n"]},
        {"output_type": "display_data", "data": {"image/png": "AAAA\n", "text/plain": "<F>"}},
        {"output_type": "execute_result", "data": {"text/html": ["<b>t</b>"], "text/plain": "t"}},
        {"output_type": "execute_result", "data": {"text/latex": "$\\displaystyle x^{2}$"}},
        {"output_type": "execute_result", "data": {"text/plain": "3"}},
    )
    body = made(cell("code", "x < 1", outputs))
    assert "<pre>a &lt; b</pre>" in body
    assert '<img alt="" src="data:image/png;base64,AAAA">' in body
    assert "<b>t</b>" in body
    assert "<msup><mi>x</mi>" in body
    assert "<pre>3</pre>" in body
    assert "&lt;</span>" in body


def test_exercises_are_shown_without_checks_and_solutions() -> None:
    notebook = NOTEBOOKS["03_dlfs/Code"]
    assert any(tagged(c, "solution") for c in notebook["cells"])
    body = re.sub(r"<[^>]+>", "", page(notebook, "title"))
    assert "class Tanh(Operation):" in body
    assert "run_backward" not in body


def test_links_lead_to_slides() -> None:
    body = made(
        cell("markdown", "[a](Math.ipynb), [b](../01_x/Code.ipynb#c), [d](https://e.org/f)")
    )
    assert re.findall('href="([^"]+)"', body) == [
        "Math.html", "../01_x/Code.html#c", "https://e.org/f",
    ]  # fmt: skip


def test_the_command_writes_pages_and_what_they_load(tmp_path, capsys) -> None:
    assert run("notebooks", tmp_path / "s", "--slides") == 0
    assert f"Wrote slides of {len(NOTEBOOKS)} notebooks" in capsys.readouterr().out
    for title in NOTEBOOKS:
        path = tmp_path / "s" / f"{title}.html"
        for link in re.findall(r'(?:src|href)="(\.\./reveal/[^"]+)"', path.read_text("utf-8")):
            assert (path.parent / link).is_file()
    changed = tmp_path / "s" / "03_dlfs" / "Code.html"
    changed.write_text("mine")
    assert run("notebooks", tmp_path / "s", "--slides") == 2
    assert run("notebooks", tmp_path / "s", "--slides", "--keep") == 0
    assert changed.read_text() == "mine"
    assert run("notebooks", tmp_path / "s", "--slides", "--force") == 0
    assert "Reveal.initialize" in changed.read_text("utf-8")


def test_an_empty_cell_is_not_shown() -> None:
    assert made(cell("markdown", "# A"), cell("code", " \n")) == made(cell("markdown", "# A"))


def test_without_pygments_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pygments.formatters", None)
    with pytest.raises(ImportError, match=r"slides need pip install 'dlfs\[notebooks\]'"):
        made(cell("code", "x = 1"))
