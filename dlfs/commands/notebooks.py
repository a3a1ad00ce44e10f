"""``dlfs notebooks``: copy the notebooks of the book's chapters."""

import argparse
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from dlfs.classroom.chapters import notebooks_folder
from dlfs.classroom.slides import slide_files
from dlfs.utils.files import write_atomically

HELP = "copy the chapters' notebooks into a folder"
DESCRIPTION = """
Copy the notebooks, one folder per chapter, into a folder of your own. Existing files are not
changed: if one would be overwritten, nothing is copied, unless you choose --keep or --force.
"""
NEXT = """Copied {count} notebooks to {folder}

To install what they need:  pip install 'dlfs[notebooks]'    (chapter 7: also 'dlfs[torch]')
To open them:               jupyter lab {folder}
Start with:                 {first}"""
KEPT = """{copied} files copied to {folder}; {kept} existing files were kept.
To replace one of these, remove it first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("folder", metavar="DIR", help="the target folder; created if missing")
    present = parser.add_mutually_exclusive_group()
    present.add_argument("--keep", action="store_true", help="copy only missing files")
    present.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--slides",
        action="store_true",
        help="write slides (HTML with reveal.js) in the place of the notebooks",
    )


def run(arguments: argparse.Namespace) -> int:
    """Copy the notebooks, and print what to do next."""
    folder = Path(arguments.folder)
    contents = slide_files() if arguments.slides else None
    if arguments.keep:
        copied, kept = copy_missing(folder, contents)
        print(KEPT.format(copied=len(copied), kept=kept, folder=folder))
        return 0
    copied = copy(folder, force=arguments.force, contents=contents)
    if arguments.slides:
        pages = sorted(folder / path for path in copied if path.suffix == ".html")
        print(f"Wrote slides of {len(pages)} notebooks to {folder}. Open in a browser: {pages[0]}")
        return 0
    notebooks = sorted(path for path in copied if path.suffix == ".ipynb")
    first = folder / notebooks[0] if notebooks else folder
    print(NEXT.format(count=len(notebooks), folder=folder, first=first))
    return 0


def copy(
    folder: Path, force: bool = False, contents: dict[Path, bytes] | None = None
) -> list[Path]:
    """Copy the notebooks and their other files; return the paths in the folder.

    Existing files with the same content are allowed. Other files may be given by their paths.

    Raises
    ------
    FileExistsError
        If a file exists with other content and force is False; then nothing is copied.
    FileNotFoundError
        If dlfs was installed without its notebooks.
    NotADirectoryError
        If a file that is not a folder is in the way.
    """
    contents = _contents(folder, contents)
    changed = [
        path
        for path, content in contents.items()
        if (folder / path).exists() and (folder / path).read_bytes() != content
    ]
    if changed and not force:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise FileExistsError(
            f"{folder / changed[0]}{more} would be overwritten; nothing was copied. "
            "Name another folder, or use --force"
        )
    _write(folder, contents)
    return list(contents)


def copy_missing(folder: Path, contents: dict[Path, bytes] | None = None) -> tuple[list[Path], int]:
    """Copy the missing files; return their paths in the folder, and the number of existing files.

    Raises
    ------
    FileNotFoundError
        If dlfs was installed without its notebooks.
    NotADirectoryError
        If a file that is not a folder is in the way.
    """
    contents = _contents(folder, contents)
    missing = {path: content for path, content in contents.items() if not (folder / path).exists()}
    _write(folder, missing)
    return list(missing), len(contents) - len(missing)


def _contents(folder: Path, contents: dict[Path, bytes] | None) -> dict[Path, bytes]:
    """Return the files to copy, by their paths in the folder; check that the folder can exist."""
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(f"{part} is not a folder")
    if contents is not None:
        return contents
    return {path: entry.read_bytes() for path, entry in _entries(notebooks_folder(), Path())}


def _write(folder: Path, contents: dict[Path, bytes]) -> None:
    for path, content in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)


def _entries(folder: Traversable, path: Path) -> Iterator[tuple[Path, Traversable]]:
    """Yield all files except hidden ones, caches, and the sources of notebooks."""
    entries = {entry.name: entry for entry in folder.iterdir()}
    for name in sorted(entries):
        source = name.endswith(".py") and f"{name[:-3]}.ipynb" in entries
        if name.startswith((".", "__")) or source:
            continue
        if entries[name].is_dir():
            yield from _entries(entries[name], path / name)
        else:
            yield path / name, entries[name]
