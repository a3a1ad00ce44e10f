"""Makes slides of notebooks: HTML pages with reveal.js, which need no network.

A heading of the second level begins a slide to the right. Its text, code and pictures go on below
it, on as many slides as they fill. Solutions and checks of exercises are left out, and so is the
code of cells that JupyterLab and the site fold. Formulas become MathML, which browsers show by
themselves.
"""

import html
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from dlfs.classroom.chapters import chapter_notebooks
from dlfs.classroom.exercises import (
    Cell,
    Notebook,
    find_exercises,
    is_code,
    source,
    tagged,
)

FULL = 22.0
"""The lines of text that fill a slide."""
PICTURE = 13.0
"""The height of a picture, in lines of text."""
FOLDED = {"hide-input", "remove-input", "remove-cell"}
"""The tags of cells whose code is left out."""
LINE = 88
"""The characters in a line of text."""

_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$])\$(?![\s$])([^$\n]*(?:\n(?!\n)[^$\n]*)*?)(?<!\s)\$", re.DOTALL
)
_CODE = re.compile(r"(```.*?```|``.+?``|`[^`\n]+`)", re.DOTALL)
_HEADING = re.compile(r"^(#{1,3}) +(.+?)\s*$")
_NOTEBOOK_LINK = re.compile(r"\]\(([^)\s:]+)\.ipynb(#[^)\s]*)?\)")
_LATEX = re.compile(r"^\$+(?:\\displaystyle)?(.*?)\$+$", re.DOTALL)

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="../reveal/reveal.css">
<link rel="stylesheet" href="../reveal/slides.css">
<style>
{style}
</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="../reveal/reveal.js"></script>
<script>
Reveal.initialize({{
  width: 1280, height: 800, margin: 0.02, center: false, hash: true, slideNumber: "c/t",
  transition: "none", backgroundTransition: "none"
}});
</script>
</body>
</html>
"""


def slide_files() -> dict[Path, bytes]:
    """Return the pages of all notebooks and the files that they need, by their paths.

    Raises
    ------
    ImportError
        If a package of the extra notebooks is missing.
    """
    contents = {}
    for title, notebook in chapter_notebooks().items():
        contents[Path(f"{title}.html")] = page(notebook, title).encode()
    for entry in (files("dlfs") / "classroom" / "reveal").iterdir():
        contents[Path("reveal", entry.name)] = entry.read_bytes()
    return contents


def page(notebook: Notebook, title: str) -> str:
    """Return a notebook as slides.

    Raises
    ------
    ImportError
        If a package of the extra notebooks is missing.
    """
    renderer = _Renderer()
    columns = [
        "<section>" + "\n".join(map(renderer.slide, slides)) + "</section>"
        for slides in _columns(_units(notebook))
    ]
    return PAGE.format(title=html.escape(title), style=renderer.style(), slides="\n".join(columns))


class _Unit:
    """A piece that stays together: a paragraph, a heading, a cell's code, an output."""

    def __init__(self, cell: Cell, lines: float, level: int = 0) -> None:
        self.cell, self.lines, self.level = cell, lines, level


def _units(notebook: Notebook) -> Iterator[_Unit]:
    exercises = find_exercises(notebook)
    checks = {place for exercise in exercises for place in exercise.check_places}
    for place, cell in enumerate(notebook["cells"]):
        if place in checks or tagged(cell, "solution") is not None:
            continue
        if not is_code(cell):
            for block in _blocks(source(cell)):
                heading = _HEADING.match(block)
                text = {"cell_type": "markdown", "metadata": {}, "source": block}
                yield _Unit(text, _text_lines(block), len(heading[1]) if heading else 0)
        elif source(cell).strip():
            code = source(cell)
            bare = {**cell, "outputs": [], "execution_count": None}
            if not FOLDED & set(cell.get("metadata", {}).get("tags", [])):
                yield _Unit(bare, 1 + 0.75 * sum(1 + len(line) // 105 for line in code.split("\n")))
            for output in cell.get("outputs", []):
                shown = {**cell, "source": "", "outputs": [output]}
                yield _Unit(shown, _output_lines(output))


def _blocks(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text; headings alone, fences and HTML blocks in one piece."""
    block: list[str] = []
    fenced = False
    for line in text.split("\n"):
        if not fenced and (_HEADING.match(line) or not line.strip()):
            if block:
                yield "\n".join(block)
            block = []
            if line.strip():
                yield line
            continue
        if line.lstrip().startswith("```"):
            fenced = not fenced
        block.append(line)
    if block:
        yield "\n".join(block)


def _text_lines(block: str) -> float:
    heading = _HEADING.match(block)
    if heading:
        return 2.0
    joined = block.replace("\n", " ") if not block.lstrip().startswith(("|", "-", "```")) else block
    return 0.5 + sum(1 + len(line) // LINE for line in joined.split("\n"))


def _output_lines(output: dict[str, Any]) -> float:
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        return PICTURE
    text = output.get("text") or data.get("text/plain") or ""
    lines = "".join(text).count("\n") + 1
    return max(6.0, 0.75 * lines) if "text/html" in data else 0.5 + 0.75 * lines


def _columns(units: Iterator[_Unit]) -> list[list[list[_Unit]]]:
    """Return the slides, and above them the columns, that the units fill."""
    columns: list[list[list[_Unit]]] = []
    height = 0.0
    for unit in units:
        if unit.level in (1, 2) or not columns:
            columns.append([[unit]])
            height = unit.lines
            continue
        slide = columns[-1][-1]
        only_headings = all(other.level for other in slide)
        if (height + unit.lines > FULL and not only_headings) or (unit.level == 3 and height > 8):
            # A heading does not stay alone at the end of a slide.
            kept = [slide.pop()] if slide[-1].level == 3 and len(slide) > 1 else []
            columns[-1].append([*kept, unit])
            height = sum(other.lines for other in columns[-1][-1])
        else:
            slide.append(unit)
            height += unit.lines
    return columns


class _Renderer:
    """Makes HTML of cells."""

    def __init__(self) -> None:
        try:
            from latex2mathml import converter  # noqa: PLC0415 - an extra
            from markdown_it import MarkdownIt  # noqa: PLC0415 - an extra
            from pygments.formatters import HtmlFormatter  # noqa: PLC0415 - an extra
            from pygments.lexers import PythonLexer  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ImportError(f"slides need pip install 'dlfs[notebooks]': {error}") from None
        self.convert = converter.convert
        self.lexer, self.formatter = PythonLexer(), HtmlFormatter(style="default", wrapcode=True)
        options = {"html": True, "highlight": self._fence}
        self.markdown = MarkdownIt("commonmark", options).enable("table")
        self.formulas: list[str] = []

    def style(self) -> str:
        """Return the colours of the code."""
        return str(self.formatter.get_style_defs(".highlight"))

    def slide(self, units: list[_Unit]) -> str:
        """Return the HTML of a slide."""
        return "<section>\n" + "\n".join(self._unit(unit.cell) for unit in units) + "\n</section>"

    def _unit(self, cell: Cell) -> str:
        if not is_code(cell):
            return self._text(source(cell))
        return (self._code(source(cell)) if source(cell) else "") + "\n".join(
            self._output(output) for output in cell["outputs"]
        )

    def _text(self, text: str) -> str:
        parts = _CODE.split(text)
        parts[::2] = [_FORMULA.sub(self._formula, part) for part in parts[::2]]
        text = _NOTEBOOK_LINK.sub(r"](\1.html\2)", "".join(parts))
        return self._with_formulas(self.markdown.render(text))

    def _formula(self, found: re.Match[str]) -> str:
        return self._keep(found[1] or found[2], "block" if found[1] else "inline")

    def _keep(self, latex: str, display: str) -> str:
        """Return a word that stands for a formula while Markdown is read."""
        self.formulas.append(self.convert(latex.strip(), display=display))
        return f"FORMULA{len(self.formulas) - 1}END"

    def _with_formulas(self, body: str) -> str:
        return re.sub(r"FORMULA(\d+)END", lambda found: self.formulas[int(found[1])], body)

    def _code(self, code: str) -> str:
        from pygments import highlight  # noqa: PLC0415 - an extra

        return str(highlight(code, self.lexer, self.formatter))

    def _fence(self, code: str, language: str, attributes: str) -> str:
        return self._code(code) if language == "python" else ""

    def _output(self, output: dict[str, Any]) -> str:
        data = {kind: _joined(value) for kind, value in output.get("data", {}).items()}
        if latex := _LATEX.match(data.get("text/latex", "").strip()):
            return self._with_formulas(self._keep(latex[1], "block"))
        if "text/html" in data:
            return data["text/html"]
        if "image/svg+xml" in data:
            return data["image/svg+xml"]
        if "image/png" in data:
            return f'<img alt="" src="data:image/png;base64,{data["image/png"].strip()}">'
        text = _joined(output.get("text", "")) or data.get("text/plain", "")
        return f"<pre>{html.escape(text.rstrip())}</pre>" if text else ""


def _joined(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
