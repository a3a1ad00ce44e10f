"""Imports submodules at their first use, to keep ``import dlfs`` fast."""

import importlib
import sys
from collections.abc import Callable, Iterable
from types import ModuleType


def submodules(
    package: str, names: Iterable[str]
) -> tuple[Callable[[str], ModuleType], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package that imports submodules on first use.

    Parameters
    ----------
    package : str
    names : iterable of str
        The submodules.

    Examples
    --------
    >>> import dlfs
    >>> dlfs.datasets.__name__, "datasets" in dir(dlfs)
    ('dlfs.datasets', True)
    """
    known = frozenset(names)

    def get(name: str) -> ModuleType:
        if name not in known:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return importlib.import_module(f"{package}.{name}")
        except ImportError as error:
            # An extra is missing. hasattr requires an AttributeError.
            raise AttributeError(f"module {package!r} cannot import {name!r}: {error}") from error

    def names_of_all() -> list[str]:
        return sorted({*vars(sys.modules[package]), *known})

    return get, names_of_all
