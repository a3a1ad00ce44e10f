"""Pairs of a source, ``Code.py`` (jupytext, py:percent), and the notebook made from it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"

BACKENDS = ("fast", "reference")
SETTINGS = {"backends", "alone"}
"""The settings of a source's header under ``dlfs:``."""

FOLDED = {"hide-input", "remove-input", "remove-cell"}
"""The tags of cells whose code is folded in JupyterLab and left out of slides.

The site folds the code of the first, leaves out that of the second, and leaves out the third, which
has no output."""

WIDGET = "application/vnd.jupyter.widget-view+json"

# The version of Python would be a meaningless difference.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


def find_sources(paths: Sequence[str | Path] = ()) -> list[Path]:
    """Return the sources: those named, those in the named folders, or all."""
    found: list[Path] = []
    for path in [Path(path).resolve() for path in paths] or [NOTEBOOKS]:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*.py") if ".ipynb_checkpoints" not in p.parts)
        elif path.suffix in (".py", ".ipynb") and path.with_suffix(".py").exists():
            found.append(path.with_suffix(".py"))
        else:
            raise FileNotFoundError(f"{path} must be a folder, or a notebook with a source")
    return list(dict.fromkeys(found))


def title(source: Path) -> str:
    """Return ``01_foundations/Code``."""
    return "/".join((source.parent.name, source.stem))


def settings(source: Path) -> dict[str, Any]:
    """Return the settings of the source's header under ``dlfs:``, with defaults."""
    said = dict(jupytext.read(source, fmt="py:percent").metadata.get("dlfs", {}))
    if wrong := said.keys() - SETTINGS:
        raise ValueError(f"{title(source)}: the header's dlfs: has unknown keys {sorted(wrong)}")
    both = source.parent.name[:2] in ("03", "04", "05", "06")
    backends = said.setdefault("backends", list(BACKENDS if both else BACKENDS[:1]))
    if not backends or not set(backends) <= set(BACKENDS):
        raise ValueError(f"{title(source)}: backends must be from {BACKENDS}, got {backends}")
    said.setdefault("alone", False)
    return said


def make_notebook(source: Path) -> NotebookNode:
    """Return the notebook of a source, without outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    own = notebook.metadata.get("dlfs", {})
    notebook.metadata = NotebookNode(json.loads(json.dumps(METADATA)))
    if own:
        notebook.metadata["dlfs"] = own
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        # The id comes from the cell's text, so it does not depend on other cells.
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[name] = seen.get(name, 0) + 1
        cell.metadata.pop("lines_to_next_cell", None)  # the source's layout
        if FOLDED & set(cell.metadata.get("tags", [])):
            cell.metadata["jupyter"] = NotebookNode(source_hidden=True)
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return notebook


def stored_notebook(source: Path) -> NotebookNode:
    """Return the stored notebook beside a source."""
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def cells(notebook: NotebookNode) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return the parts in which source and notebook must agree."""
    return [(c.id, c.cell_type, c.source, dict(c.metadata)) for c in notebook.cells]


def digest(notebook: NotebookNode) -> str:
    """Return a digest of the code and its outputs: neither may change without the other."""
    code = [
        (cell.source, cell.get("execution_count"), cell.get("outputs", []))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()


def drop_widgets(notebook: NotebookNode) -> None:
    """Remove what only a running kernel can show; a picture in the same output stays."""
    for cell in notebook.cells:
        for output in list(cell.get("outputs", [])):
            widget = output.get("data", {}).pop(WIDGET, None)
            if widget is not None and output.data.keys() <= {"text/plain"}:
                cell.outputs.remove(output)


def write(notebook: NotebookNode, source: Path) -> Path:
    """Store an executed notebook beside its source, with the digest in its metadata."""
    drop_widgets(notebook)
    notebook.metadata.update(json.loads(json.dumps(METADATA)))  # the kernel adds other entries
    notebook.metadata.setdefault("dlfs", NotebookNode())["digest"] = digest(notebook)
    nbformat.validate(notebook)
    path = source.with_suffix(".ipynb")
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
    return path
