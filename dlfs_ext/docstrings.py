"""Copies docstrings from the reference, so that each is written only once."""

import importlib
from typing import Any


def share_docstrings(namespace: dict[str, Any], module: str) -> None:
    """Give every public function in ``namespace`` the docstring of the reference's function.

    Parameters
    ----------
    namespace : dict
        The ``globals()`` of a compiled module.
    module : str
        The name of the module in ``dlfs.reference``.
    """
    # Not `from dlfs.reference import dense`: that name is a function.
    reference = importlib.import_module(f"dlfs.reference.{module}")
    for name, function in vars(reference).items():
        own = getattr(function, "__module__", None) == reference.__name__
        if own and callable(function) and not name.startswith("_") and name in namespace:
            namespace[name].__doc__ = function.__doc__
