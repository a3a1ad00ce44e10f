"""The notebooks that dlfs brings along."""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import dlfs
from dlfs.classroom.exercises import Notebook


def notebooks_folder() -> Traversable:
    """Return the notebooks' folder: inside the installed package, or beside it in the sources.

    Raises
    ------
    FileNotFoundError
        If dlfs was installed without its notebooks.
    """
    inside = files("dlfs") / "notebooks"
    if inside.is_dir():
        return inside
    beside = Path(dlfs.__file__).parents[1] / "notebooks"
    if not (beside / "README.md").is_file():
        raise FileNotFoundError("this installation of dlfs came without the notebooks")
    return beside


def chapter_notebooks(chapters: list[int] | None = None) -> dict[str, Notebook]:
    """Return the notebooks of chapters by title, such as ``03_dlfs/Code``; by default all.

    Raises
    ------
    ValueError
        If a chapter does not exist.
    FileNotFoundError
        If dlfs was installed without its notebooks.
    """
    found: dict[str, Notebook] = {}
    known = set()
    for entry in sorted(notebooks_folder().iterdir(), key=lambda entry: entry.name):
        number = entry.name[:2]
        if not number.isdigit() or not entry.is_dir():
            continue
        known.add(int(number))
        if chapters is not None and int(number) not in chapters:
            continue
        for file in sorted(entry.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".ipynb"):
                title = f"{entry.name}/{file.name.removesuffix('.ipynb')}"
                found[title] = json.loads(file.read_bytes())
    if wrong := set(chapters or ()) - known:
        raise ValueError(f"chapters must be from {sorted(known)}, got {sorted(wrong)}")
    return found
