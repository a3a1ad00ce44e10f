"""Chooses the kernels, the reference in NumPy or the fast ones in Cython, and the threads.

``kernels`` acts as a module with the functions of ``dlfs.reference``; each look-up goes to the
backend in use. Operations call ``kernels.sigmoid(x)``, whichever backend that is.
"""

import importlib
import os
import warnings
from contextvars import ContextVar, Token
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from dlfs.checks import check_int

PACKAGES = {"fast": "dlfs_ext", "reference": "dlfs.reference", "plain": "dlfs_ext.plain"}
"""The backends, the preferred one first, and their packages.

``plain`` is the first version of the fast one: direct compiled loops, to read and to measure.
"""

_loaded: dict[str, ModuleType] = {}
_default: str | None = None
_scoped: ContextVar[str | None] = ContextVar("dlfs_backend", default=None)


class use_backend:
    """Choose the backend: permanently as a call, or for a ``with`` block.

    Parameters
    ----------
    name : {"fast", "reference", "plain"}

    Raises
    ------
    ValueError
        If the name is unknown.
    ImportError
        If the fast backend was not compiled; the message says why and how to get it.

    Notes
    -----
    A call affects all threads. A ``with`` block affects its own thread (or asynchronous task).

    Examples
    --------
    >>> with use_backend("reference"):
    ...     backend_name()
    'reference'
    """

    def __init__(self, name: str) -> None:
        global _default  # noqa: PLW0603 - the process-wide choice
        _load(name)
        self.name = name
        self._before = _default
        self._token: Token[str | None] | None = None
        _default = name

    def __enter__(self) -> "use_backend":
        global _default  # noqa: PLW0603
        _default = self._before
        self._token = _scoped.set(self.name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _scoped.reset(self._token)
            self._token = None

    def __repr__(self) -> str:
        return f"use_backend({self.name!r})"


def backend_name() -> str:
    """Return the name of the backend in use: "fast", "reference" or "plain".

    Raises
    ------
    ValueError
        If the environment variable ``DLFS_BACKEND`` is not the name of a backend.
    ImportError
        If it names the fast backend and that was not compiled.

    Examples
    --------
    >>> backend_name() in available_backends()
    True
    """
    return _scoped.get() or _default or _choose_default()


def available_backends() -> list[str]:
    """Return the names of the installed backends, the preferred one first.

    Examples
    --------
    >>> "reference" in available_backends()
    True
    """
    available = []
    for name in PACKAGES:
        try:
            _load(name)
        except ImportError:
            continue
        available.append(name)
    return available


def fuses() -> bool:
    """Say whether the backend in use computes chains of Operations in one call."""
    return bool(getattr(_loaded[_scoped.get() or _default or backend_name()], "FUSES", False))


def _choose_default() -> str:
    global _default  # noqa: PLW0603
    wanted = os.environ.get("DLFS_BACKEND")
    if wanted:
        try:
            _load(wanted)
        except ValueError as error:
            raise ValueError(f"environment variable DLFS_BACKEND: {error}") from None
        _default = wanted
    else:
        _default = available_backends()[0]
    return _default


def _load(name: str) -> ModuleType:
    """Return the package of a backend, importing it at its first use."""
    if not isinstance(name, str):
        raise TypeError(f"backend name must be a string, got {name!r}")
    if name not in PACKAGES:
        known = ", ".join(repr(known) for known in PACKAGES)
        raise ValueError(f"backend name must be one of {known}, got {name!r}")
    if name not in _loaded:
        try:
            _loaded[name] = importlib.import_module(PACKAGES[name])
        except ImportError as error:
            raise ImportError(
                f"the {name} backend is not available: {error}. It is compiled when dlfs is "
                f"installed on a machine with a C compiler; install one, then reinstall dlfs. "
                f"Until then use use_backend('reference'), which is slower"
            ) from error
    return _loaded[name]


def set_num_threads(n: int) -> None:
    """Set the maximum number of threads of every compiled kernel.

    The results are bit-identical for every ``n``. The default is ``DLFS_NUM_THREADS``, else
    ``OMP_NUM_THREADS``, else the number of processors. Small work uses one thread; other work is
    timed on one thread and on ``n`` as it runs, and uses the way that was faster recently.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        If n is not an integer from 1 to 1024.

    Warns
    -----
    UserWarning
        If n is above 1 and the kernels cannot have that many: because the fast backend was not
        compiled (NumPy's matrix products obey only OMP_NUM_THREADS); because the system refuses to
        start more (``ulimit -u``); or because this process was forked. OpenMP's threads do not
        survive a fork, so kernels use one thread in a child, and warn where they would use more.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    check_int(n, "set_num_threads", "n", 1, 1024)
    compiled = _compiled()
    if compiled is not None:
        compiled.set_num_threads(n)
    elif n > 1:
        warnings.warn(
            f"set_num_threads({n}) has no effect: the fast backend was not compiled, and the "
            f"reference runs on one thread. Set OMP_NUM_THREADS before Python starts to give "
            f"NumPy's matrix products more",
            UserWarning,
            stacklevel=2,
        )


def get_num_threads() -> int:
    """Return the maximum number of threads of a kernel; 1 if the fast backend was not compiled.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    compiled = _compiled()
    return 1 if compiled is None else int(compiled.get_num_threads())


def _compiled() -> Any:
    """Return the compiled package, or None."""
    try:
        return importlib.import_module("dlfs_ext")
    except ImportError:
        return None


class _Kernels:
    """The functions of the backend in use, as attributes."""

    # `__getattr__` is tried last, after the normal lookup fails, and costs ten times as much.
    def __getattribute__(self, name: str) -> object:
        return getattr(_loaded[_scoped.get() or _default or backend_name()], name)


if TYPE_CHECKING:
    from dlfs import reference

    kernels = reference
else:
    kernels = _Kernels()
