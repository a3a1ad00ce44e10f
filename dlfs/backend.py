"""Which kernels run: the reference in NumPy, or the fast ones in Cython.

``kernels`` looks like a module with the functions of ``dlfs.reference``; each look-up goes to the
backend in use. Operations call ``kernels.sigmoid(x)`` and do not know which one answers.
"""

import importlib
import os
from contextvars import ContextVar, Token
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

PACKAGES = {"fast": "dlfs_ext", "reference": "dlfs.reference", "plain": "dlfs_ext.plain"}
"""The backends, the preferred one first, and the package that each lives in.

``plain`` is the fast one's first version: the direct loops, compiled, to read and to measure.
"""

_loaded: dict[str, ModuleType] = {}
_default: str | None = None
_scoped: ContextVar[str | None] = ContextVar("dlfs_backend", default=None)


class use_backend:
    """Choose the backend: for good as a call, or for a ``with`` block.

    Parameters
    ----------
    name : {"fast", "reference", "plain"}

    Raises
    ------
    ValueError
        If the name is unknown.
    ImportError
        If the fast backend was not compiled; the message says why and what to do.

    Notes
    -----
    A call holds for all threads. A ``with`` block holds for its own thread (or asynchronous task).

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
        If the environment variable ``DLFS_BACKEND`` names no backend.
    ImportError
        If it asks for the fast backend and that was not compiled.

    Examples
    --------
    >>> backend_name() in available_backends()
    True
    """
    return _scoped.get() or _default or _choose_default()


def available_backends() -> list[str]:
    """Return the names of the backends that can be used here, the preferred one first.

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
        raise TypeError(f"the backend must be named by a string, got {name!r}")
    if name not in PACKAGES:
        known = ", ".join(repr(known) for known in PACKAGES)
        raise ValueError(f"unknown backend {name!r}; choose one of {known}")
    if name not in _loaded:
        try:
            _loaded[name] = importlib.import_module(PACKAGES[name])
        except ImportError as error:
            raise ImportError(
                f"the {name} backend is not available: {error}. It is compiled when dlfs is "
                f"installed on a machine with a C compiler; install one and then dlfs again. "
                f"Until then use_backend('reference') does the same work, more slowly"
            ) from error
    return _loaded[name]


class _Kernels:
    """Stands for the functions of whichever backend is in use."""

    # Not __getattr__: Python asks that only after a search in vain, which takes ten times as long.
    def __getattribute__(self, name: str) -> object:
        return getattr(_loaded[_scoped.get() or _default or backend_name()], name)


if TYPE_CHECKING:
    from dlfs import reference

    kernels = reference
else:
    kernels = _Kernels()
