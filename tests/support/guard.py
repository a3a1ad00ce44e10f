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
    # event: which of its arguments are paths that change
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (1,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.utime": (0,),
}
"""What changes a file or folder; opening one is looked at by ``_opened_to_write``."""

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
        paths = tuple(arguments[i] for i in CHANGES.get(event, ()))
    for path in paths:
        # a number is a file that is open already
        if isinstance(path, str | bytes | os.PathLike) and not _may_change(path):
            violations.append(f"{event} {os.fsdecode(path)}")
            raise PermissionError(f"a test may only write into temporary folders: {violations[-1]}")


def _opened_to_write(path: object, mode: str | None, flags: int) -> bool:
    if isinstance(path, str) and path in DEVICES:
        return False
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))


def _may_change(path: Any) -> bool:
    # Where a link leads is what changes when it is written to; a link itself may be moved.
    named = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - resolve would follow it
    real = named.resolve()
    if CACHES & set(real.parts):
        return True
    return any(real.is_relative_to(folder) for folder in _allowed)
