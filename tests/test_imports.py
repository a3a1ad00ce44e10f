"""Imports form no circle, including those inside functions."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dlfs

ROOT = Path(dlfs.__file__).parents[1]


def modules(folder: Path, package: str) -> dict[str, Path]:
    """Return every module of a package, by its dotted name."""
    found = {}
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(source: str, known: set[str], package: bool = False) -> set[str]:
    """Return the known modules that a source imports, also inside functions.

    Only named modules count: importing ``a.b`` also runs ``a/__init__.py``, so every package that
    re-exports names of its modules would be a circle. For the same reason imports only for type
    checkers do not count: these modules are imported on first use.
    """
    names: set[str] = set()
    tree = ast.parse(source)
    if package:
        tree.body = [node for node in tree.body if not for_type_checkers(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inside & known
            if not inside <= known:
                names.add(str(node.module))
    return names & known


def for_type_checkers(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield a circular path for each module on a circle."""
    for start in graph:
        came_from: dict[str, str] = {}
        waiting = [start]
        while waiting and start not in came_from:
            here = waiting.pop()
            for there in sorted(graph[here] - came_from.keys()):
                came_from[there] = here
                waiting.append(there)
        if start in came_from:
            way = [start, came_from[start]]
            while way[-1] != start:
                way.append(came_from[way[-1]])
            yield way[::-1]


def graph_of(folder: Path, package: str) -> dict[str, set[str]]:
    found = modules(folder, package)
    known = set(found)
    return {
        name: imported(path.read_text("utf-8"), known, path.name == "__init__.py")
        for name, path in found.items()
    }


@pytest.mark.parametrize("package", ["dlfs", "dlfs_ext"])
def test_no_module_is_imported_by_what_it_imports(package: str) -> None:
    assert [" -> ".join(way) for way in circles(graph_of(ROOT, package))] == []


@pytest.mark.parametrize(
    "late", ["from p.a import thing", "import p.a", "from p import a", "from p.a import b, thing"]
)
def test_a_late_import_is_found_too(late: str, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "__init__.py").write_text("")
    (tmp_path / "p" / "a.py").write_text("from p.b import other\n")
    (tmp_path / "p" / "b.py").write_text(f"def other():\n    {late}\n")
    found = [" -> ".join(way) for way in circles(graph_of(tmp_path, "p"))]
    assert found == ["p.a -> p.b -> p.a", "p.b -> p.a -> p.b"]


FROM_DLFS = re.compile(r"^\s*from\s+dlfs\S*\s+c?import\s+(\([^)]*\)|[^\n#]*)", re.MULTILINE)


def private_names(source: str) -> list[str]:
    """Return the names with one underscore in front that a source takes from our other modules."""
    names = [
        name.split()
        for found in FROM_DLFS.findall(source)
        for name in found.strip("()\n ").split(",")
        if name.strip()
    ]
    modules = {words[-1] for words in names if words[-1].islower()}
    private = [words[0] for words in names if re.match("_[a-z]", words[0])]
    for owner, name in re.findall(r"(?<![\w.])(\w+)\.(_[a-z]\w*)", source):
        if owner in modules:
            private.append(f"{owner}.{name}")
    return private


@pytest.mark.parametrize("package", ["dlfs", "dlfs_ext"])
def test_no_module_uses_the_private_names_of_another(package: str) -> None:
    paths = [
        path
        for suffix in ("py", "pyx", "pxd", "pyi")
        for path in sorted((ROOT / package).rglob(f"*.{suffix}"))
    ]
    found = {path.name: private_names(path.read_text("utf-8")) for path in paths}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from dlfs.a import _b\n", ["_b"]),
        ("from dlfs.a import (\n    c,\n    _b as d,\n)\n", ["_b"]),
        ("from dlfs_ext.a cimport _b\n", ["_b"]),
        ("from dlfs.reference import conv as reference\n\nreference._b(1)\n", ["reference._b"]),
        ("from dlfs.a import B\n\nB._c = 1\n", []),
        ("from dlfs.a import b\n\nself._b = b.c._d\n", []),
        ("from dlfs.a import __version__\n", []),
    ],
)
def test_a_private_name_is_found(source: str, names: list[str]) -> None:
    assert private_names(source) == names
