"""What Cython says about the structs of csrc is what C says: compilers convert silently."""

import re
from pathlib import Path

import pytest

import dlfs_ext

FOLDER = Path(dlfs_ext.__file__).parent
NAME = re.compile(r"\w+")


def fields(text: str) -> dict[str, str]:
    """Name and type of each field that lines like ``const void *x, *y;`` declare."""
    found = {}
    for line in re.split(r"[;\n]", text):
        kind, _, names = line.strip().rpartition(" ") if "," not in line else ("", "", "")
        if "," in line:
            start = re.match(r"\s*((?:const )?(?:unsigned )?\w+) (.*)", line)
            kind, names = start.groups() if start else ("", "")
        for declared in filter(None, (name.strip() for name in names.split(","))):
            stars = "*" * declared.count("*")
            found[NAME.findall(declared)[0]] = f"{kind.strip()} {stars}".strip()
    return found


def structs_of_c() -> dict[str, dict[str, str]]:
    """Fields of each struct in the headers."""
    found = {}
    for path in sorted(FOLDER.glob("csrc/**/*.h")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", text, re.DOTALL):
            found[name] = fields(" ".join(body.split()).replace("; ", ";\n"))
    return found


def pointers() -> dict[str, str]:
    """The types that arrays.pxd has names for."""
    text = (FOLDER / "arrays.pxd").read_text()
    found = re.findall(r"^ctypedef (.*\*)(\w+)$", text, re.MULTILINE)
    return {name: kind for kind, name in found}


def structs_of_cython() -> list[tuple[str, str, dict[str, str]]]:
    """File, name and fields of each struct that a Cython file declares as one of C."""
    found, named = [], pointers()
    for path in sorted([*FOLDER.glob("*.pyx"), *FOLDER.glob("*.pxd")]):
        text = path.read_text()
        for name, body in re.findall(r"ctypedef struct (\w+):\n((?: {8}.+\n)+)", text):
            declared = {field: named.get(kind, kind) for field, kind in fields(body).items()}
            found.append((path.name, name, declared))
    return found


@pytest.mark.source_tree
def test_fields_have_the_types_of_c():
    there, here = structs_of_c(), structs_of_cython()
    assert here
    for file, name, declared in here:
        assert declared, f"{file}: {name}"
        assert declared.items() <= there[name].items(), f"{file}: {name}"
