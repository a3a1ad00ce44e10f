"""The sources of the site, gathered in one folder: pages, chapters, reference and gallery.

Links between the project's files lead to pages of the site where one exists. A link to another file
becomes plain text, because the site must work without the project's folder beside it.
"""

import re
import shutil
from pathlib import Path

import nbformat

from tools.site import conversions, gallery, reference

ROOT = Path(__file__).parents[2]

# Files outside docs/ that are pages, and their addresses.
PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/PROFILE.md": "benchmarks/profile.md",
    "benchmarks/RESULTS.md": "benchmarks/results.md",
    "benchmarks/gradient_checkers.md": "benchmarks/gradient_checkers.md",
    "notebooks/ERRATA.md": "errata.md",
    "notebooks/README.md": "chapters/index.md",
}
# Their pictures.
PICTURES = {"benchmarks/cost_over_size.png": "benchmarks/cost_over_size.png"}
# Files that have no page of their own; links to them lead here.
ELSEWHERE = {"README.md": "index.md"}

FLAGS = re.MULTILINE | re.DOTALL
# A link or an image of Markdown: the words, the target, and the place in the page.
LINK = re.compile(r"(?P<words>!?\[[^\][]*\])\((?P<target>[^)\s#]+)(?P<place>#[^)\s]*)?\)")


def pages() -> dict[str, str]:
    """Return every page that is not made here: the file in the project, and its address."""
    found = dict(PAGES)
    for path in sorted((ROOT / "docs").rglob("*.md")):
        found[path.relative_to(ROOT).as_posix()] = path.relative_to(ROOT / "docs").as_posix()
    for path in notebooks():
        inside = path.relative_to(ROOT / "notebooks").as_posix()
        found[f"notebooks/{inside}"] = f"chapters/{inside}"
    return found


def notebooks() -> list[Path]:
    """Return the chapters' notebooks in their order."""
    return [
        path
        for path in sorted((ROOT / "notebooks").glob("*/*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    ]


def gather(target: Path) -> None:
    """Write the sources of the site into an empty folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    known = pages() | PICTURES
    for source, address in known.items():
        path, place = ROOT / source, target / address
        place.parent.mkdir(parents=True, exist_ok=True)
        if source in PICTURES:
            shutil.copy(path, place)
        elif path.suffix == ".ipynb":
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = with_links(cell.source, source, address, known)
            gallery.name_figures(notebook, source)
            nbformat.write(notebook, place)
        else:
            text = with_links(path.read_text("utf-8"), source, address, known)
            place.write_text(text + additions(address), "utf-8")
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.suffix in {".png", ".svg", ".jpg"}:
            place = target / path.relative_to(ROOT / "docs")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    reference.write(target)
    gallery.write(target, {path: notebook_title(path) for path in notebooks()})


def additions(address: str) -> str:
    """Return what the site adds at the end of a page: a table, or the list for the navigation."""
    if address == "conversions.md":
        return f"\n{conversions.table()}"
    if address == "project.md":
        return unlisted()
    if address != "chapters/index.md":
        return ""
    lines = ["", "```{toctree}", ":hidden:", ""]
    lines += [f"{notebook_title(p)} <{p.parent.name}/{p.stem}>" for p in notebooks()]
    return "\n".join([*lines, "```", ""])


def unlisted() -> str:
    """Return a list of the pages in docs/ that no other page's navigation names."""
    named: set[str] = set()
    files = {path.relative_to(ROOT / "docs"): path for path in (ROOT / "docs").rglob("*.md")}
    for place, path in files.items():
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", path.read_text("utf-8"), FLAGS):
            for line in block.splitlines():
                entry = re.sub(r".*<(.*)>", r"\1", line.strip())
                named.add((place.parent / entry).as_posix())
    left = sorted(p.with_suffix("").as_posix() for p in files)
    left = [name for name in left if name not in named | {"index"}]
    lines = ["", "## Further pages", "", "```{toctree}", ":maxdepth: 1", ""]
    return "\n".join([*lines, *left, "```", ""]) if left else ""


def notebook_title(path: Path) -> str:
    """Return what the navigation calls a notebook."""
    return f"{chapter_name(path)}: {path.stem.replace('_', ' ')}"


def chapter_name(notebook: Path) -> str:
    """Return the number and title of a chapter, from the table of notebooks/README.md."""
    number = int(notebook.parent.name[:2])
    table = (ROOT / "notebooks" / "README.md").read_text("utf-8")
    row = re.search(rf"^\| ({number} [^|]+?) \|.*\({notebook.parent.name}/", table, re.MULTILINE)
    if row is None:
        raise LookupError(
            f"notebooks/README.md must have a row for chapter {number}, {notebook.parent.name}"
        )
    return row[1]


def with_links(text: str, source: str, address: str, known: dict[str, str]) -> str:
    """Return a page's text whose links lead to pages of the site.

    Examples
    --------
    >>> with_links("[a](docs/b.md) [c](setup.py)", "README.md", "index.md", {"docs/b.md": "b.md"})
    '[a](/b.md) c'
    """

    def replaced(link: re.Match[str]) -> str:
        target, place = link["target"], link["place"] or ""
        if re.match(r"[a-z]+:", target) or target.startswith(("/", "#")):
            return link[0]
        path = Path(*_normal((Path(source).parent / target).parts)).as_posix()
        found = known.get(path) or ELSEWHERE.get(path)
        if found is not None:
            return f"{link['words']}(/{found}{place})"
        if path.startswith("docs/") and not path.endswith((".py", ".md")):
            return f"{link['words']}(/{path.removeprefix('docs/')})"
        if (made := ROOT / path).suffix == ".md" and path.startswith("docs/") and not made.exists():
            return link[0]  # a page that is made here, or an error that Sphinx reports
        return link["words"][1:-1]

    return LINK.sub(replaced, text)


def _normal(parts: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for part in parts:
        if part == "..":
            found.pop()
        else:
            found.append(part)
    return found
