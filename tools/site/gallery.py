"""The gallery: the figures that the chapters draw, each with a link to the cell that drew it."""

from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Figure:
    """One picture: its notebook, the number of the code cell, the nearest heading, the bytes."""

    notebook: Path
    number: int
    heading: str
    data: bytes
    ending: str

    @property
    def label(self) -> str:
        """The name of the place in the chapter."""
        return label(self.notebook.parent.name, self.notebook.stem, self.number)

    @property
    def address(self) -> str:
        """The place in the built site."""
        return f"chapters/{self.notebook.parent.name}/{self.notebook.stem}.html#{self.label}"

    @property
    def file(self) -> str:
        """The name of the picture in the gallery."""
        return f"{self.label}.{self.ending}"


def label(folder: str, stem: str, number: int) -> str:
    """Return the name of the place before a code cell.

    Examples
    --------
    >>> label("05_convolutions", "Code", 7)
    'figure-05-code-7'
    """
    return f"figure-{folder[:2]}-{stem.lower().replace('_', '-')}-{number}"


def picture(cell: NotebookNode) -> tuple[bytes, str] | None:
    """Return the first picture that a cell has drawn, and its file's ending."""
    if cell.cell_type != "code":
        return None
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            return b64decode(data["image/png"]), "png"
        if "image/svg+xml" in data:
            return data["image/svg+xml"].encode(), "svg"
    return None


def figures(path: Path) -> list[Figure]:
    """Return the figures of a notebook."""
    found, heading = [], ""
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type == "markdown":
            titles = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = titles[-1].lstrip("# ") if titles else heading
        if drawn := picture(cell):
            found.append(Figure(path, number, heading, *drawn))
    return found


def name_figures(notebook: NotebookNode, source: str) -> None:
    """Put a name before every cell that drew a picture, for the gallery's links."""
    path = Path(source)
    cells = []
    for number, cell in enumerate(notebook.cells):
        if picture(cell):
            text = f"({label(path.parent.name, path.stem, number)})="
            cells.append(nbformat.v4.new_markdown_cell(text))
        cells.append(cell)
    notebook.cells = cells


def write(target: Path, titles: dict[Path, str]) -> None:
    """Write the gallery's page and pictures into the sources of the site.

    ``titles`` has the notebooks in their order, and what the headings call them.
    """
    folder = target / "gallery"
    folder.mkdir()
    lines = ["# Gallery", ""]
    lines += ["The figures of the chapters. Each leads to the code that drew it.", ""]
    for path, title in titles.items():
        found = figures(path)
        if not found:
            continue
        lines += [f"## {title}", ""]
        lines += ["::::{grid} 1 2 3 3", ":gutter: 3", ":class-container: gallery", ""]
        for figure in found:
            (folder / figure.file).write_bytes(figure.data)
            lines += [":::{grid-item-card}", f":link: {figure.address}", ":link-type: url"]
            lines += [f":img-top: gallery/{figure.file}", f":img-alt: {figure.heading}"]
            lines += ["", figure.heading, ":::", ""]
        lines += ["::::", ""]
    (target / "gallery.md").write_text("\n".join(lines), "utf-8")
