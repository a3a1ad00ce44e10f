"""Prevents tests from writing outside temporary folders.

Python reports each file that it opens, makes, moves or removes to its audit hooks. The hook here
refuses changes outside the temporary folder and the caches, and records them, so that a test fails
even if the code under test catches the error.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHANGES = {
    # event: which of its arguments are paths that change, and the folders that they are relative to
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((1, 3),),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
"""The events that change a file or folder; ``_opened_to_write`` handles opening."""

LINKS_THEMSELVES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"}
"""The events that change a link and not its target."""

CACHES = {".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "matplotlib"}
"""Folders in which pytest, hypothesis, Python and matplotlib store files."""

DEVICES = {"/dev/null", "/dev/tty"}
"""Writing into these changes nothing; replacing them does."""

violations: list[str] = []
"""The changes refused since the list was last cleared."""

_allowed: list[Path] = []


def start(*folders: Path) -> None:
    """Start the guard in this process; writing below ``folders`` is allowed."""
    _allowed.extend(folder.resolve() for folder in (Path(tempfile.gettempdir()), *folders))
    sys.addaudithook(_watch)


def stop() -> None:
    """Stop the guard: an audit hook cannot be removed, but this one then allows everything."""
    _allowed.append(Path("/").resolve())


@contextmanager
def lifted() -> Iterator[None]:
    """Allow every change within the block, for a program that stores the results of tests."""
    stop()
    try:
        yield
    finally:
        _allowed.pop()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        paths = arguments[:1] if _opened_to_write(*arguments) else ()
    else:
        paths = tuple(
            _in_folder(arguments[path], -1 if folder is None else arguments[folder])
            for path, folder in CHANGES.get(event, ())
        )
    for path in paths:
        # a number is a file that is already open
        if isinstance(path, str | bytes | os.PathLike) and not _may_change(path, event):
            violations.append(f"{event} {os.fsdecode(path)}")
            raise PermissionError(f"a test may only write into temporary folders: {violations[-1]}")


def _in_folder(path: Any, descriptor: int) -> Any:
    """Return where a path leads that is relative to an open folder; -1 is the current one."""
    if descriptor == -1 or not isinstance(path, str | bytes | os.PathLike):
        return path
    # Where the system does not name open folders, the path stays as it is, and is refused.
    links = (Path(f"/proc/self/fd/{descriptor}"), Path(f"/dev/fd/{descriptor}"))
    folder = next((str(link.readlink()) for link in links if link.is_symlink()), "")
    return os.path.join(folder, os.fsdecode(path))  # noqa: PTH118 - an absolute path stays


def _opened_to_write(path: object, mode: str | None, flags: int) -> bool:
    if isinstance(path, str) and path in DEVICES:
        return False
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))


def _may_change(path: Any, event: str) -> bool:
    named = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - resolve would follow a link
    # realpath accepts circles of links; resolve refuses them.
    if event in LINKS_THEMSELVES:
        real = Path(os.path.realpath(named.parent)) / named.name
    else:
        real = Path(os.path.realpath(named))
    if CACHES & set(real.parts):
        return True
    return any(real.is_relative_to(folder) for folder in _allowed)
