"""No test writes outside temporary folders.

Python reports each file that it opens, makes, moves or removes to its audit hooks. The hook here
refuses what would change anything outside the temporary folder and the caches, and remembers it,
so that a test fails even where the code under test catches the refusal.
"""

import os
import sys
import tempfile
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
"""What changes a file or folder; opening one is looked at by ``_opened_to_write``."""

LINKS_THEMSELVES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"}
"""What changes a link and not the file that it leads to."""

CACHES = {".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "matplotlib"}
"""Folders that pytest, hypothesis, Python and matplotlib keep for themselves."""

DEVICES = {"/dev/null", "/dev/tty"}
"""Writing into these changes nothing; replacing them does."""

violations: list[str] = []
"""What was refused since the list was last emptied."""

_allowed: list[Path] = []


def start(*folders: Path) -> None:
    """Watch this process; writing below ``folders`` is allowed."""
    _allowed.extend(folder.resolve() for folder in (Path(tempfile.gettempdir()), *folders))
    sys.addaudithook(_watch)


def stop() -> None:
    """Watch no longer: an audit hook cannot be taken away, but this one then allows everything."""
    _allowed.append(Path("/").resolve())


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        paths = arguments[:1] if _opened_to_write(*arguments) else ()
    else:
        paths = tuple(
            _in_folder(arguments[path], -1 if folder is None else arguments[folder])
            for path, folder in CHANGES.get(event, ())
        )
    for path in paths:
        # a number is a file that is open already
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
    # realpath takes links that lead in a circle, too; resolve refuses them.
    if event in LINKS_THEMSELVES:
        real = Path(os.path.realpath(named.parent)) / named.name
    else:
        real = Path(os.path.realpath(named))
    if CACHES & set(real.parts):
        return True
    return any(real.is_relative_to(folder) for folder in _allowed)
