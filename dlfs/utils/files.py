"""Writes files atomically: through links, and with the mode of the existing file.

Everything in dlfs that writes a file uses this module.
"""

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file: a crash leaves the old content or the new content, never a part of it.

    The content goes to a temporary file ``.NAME.XXXXXXXX.tmp`` in the same folder, which is renamed
    when it is complete and on disk. A symbolic link is followed; an existing file keeps its mode.
    (Other hard links to it keep the old content.) Temporary files of the same target left by a
    crash are removed.

    Parameters
    ----------
    path : path
    content : bytes or str
        A string is written as UTF-8.

    Raises
    ------
    OSError
        If the file cannot be written, or ``path`` is not a regular file (but a folder, a pipe or a
        device). The error names ``path``, and nothing is changed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/greeting.txt", "hello")
    ...     Path(folder, "greeting.txt").read_text()
    'hello'
    """
    if isinstance(content, str):
        content = content.encode()
    target, current = _find(path)
    with _errors_name(path, target):
        _sweep(target)
        temporary, descriptor = _make_temporary(target, private=current is not None)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if current is not None:
                    _be_like(temporary, current)
                # The new file is complete and on disk before it is renamed.
                os.fsync(file.fileno())
                if sys.platform != "win32":
                    # Still open and therefore locked: no other process removes it as a leftover.
                    temporary.replace(target)
            if sys.platform == "win32":
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that ``write_atomically`` can write a file here, before its content exists.

    Creates the temporary file of a write, and removes it; the target is not changed.

    Parameters
    ----------
    path : path

    Raises
    ------
    OSError
        As in ``write_atomically``: FileNotFoundError if the folder is missing, IsADirectoryError if
        the path is a folder, PermissionError if writing is not allowed, and others.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_writable(f"{folder}/net.safetensors")
    ...     try:
    ...         check_writable(f"{folder}/missing/net.safetensors")
    ...     except FileNotFoundError:
    ...         print("the folder does not exist")
    the folder does not exist
    """
    target, _ = _find(path)
    with _errors_name(path, target):
        temporary, descriptor = _make_temporary(target, private=True)
        os.close(descriptor)
        temporary.unlink()


@contextmanager
def _errors_name(path: str | os.PathLike[str], target: str | Path) -> Iterator[None]:
    """Make errors name the caller's path, not the temporary file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOENT:
            reason = f"the folder {Path(target).parent} does not exist"
        if error.errno == errno.ENAMETOOLONG:
            reason = "the name is too long: the temporary file's name has 14 more characters"
        raise OSError(error.errno or errno.EIO, reason, os.fspath(path)) from error


def _find(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Return the file that a path leads to, and its status if it exists."""
    name = os.fspath(path)
    with _errors_name(path, name):
        # In a circle of links realpath returns a link, which stat refuses.
        target = Path(os.path.realpath(name))
        try:
            current = target.stat()
        except FileNotFoundError:
            return target, None
    if stat.S_ISDIR(current.st_mode):
        raise IsADirectoryError(errno.EISDIR, "must be a file, got a folder", name)
    if not stat.S_ISREG(current.st_mode):
        raise OSError(errno.EINVAL, "must be a regular file, got a pipe or a device", name)
    if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, "the file is read-only", name)
    return target, current


def _make_temporary(target: Path, private: bool) -> tuple[Path, int]:
    """Open a new temporary file, locked for as long as it stays open."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            # The system applies the umask to 0o666.
            descriptor = os.open(temporary, flags, 0o600 if private else 0o666)
        except FileExistsError:
            continue
        if _lock(descriptor) and _still_there(temporary, descriptor):
            return temporary, descriptor
        # Between open and lock another process removed it as a leftover.
        os.close(descriptor)


def _still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _be_like(temporary: Path, current: os.stat_result) -> None:
    """Copy the mode and, if allowed, the owner of the replaced file."""
    if sys.platform != "win32":
        new = temporary.stat()
        if (new.st_uid, new.st_gid) != (current.st_uid, current.st_gid):
            with suppress(PermissionError):
                os.chown(temporary, current.st_uid, current.st_gid)
    temporary.chmod(stat.S_IMODE(current.st_mode))


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed (also by a crash); say whether that worked."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks: no process removes it as a leftover, either
    return True


def _sweep(target: Path) -> None:
    """Remove temporary files of a target whose writer no longer runs."""
    leftover = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}\.tmp")
    with suppress(OSError):
        for path in target.parent.iterdir():
            if leftover.fullmatch(path.name):
                with suppress(OSError):
                    _remove_if_unlocked(path)


def _remove_if_unlocked(path: Path) -> None:
    """Remove a file that no process has locked; Windows refuses by itself if one has it open."""
    if sys.platform == "win32":
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)
