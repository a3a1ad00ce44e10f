"""Both backends say the same about a function: only the reference's docstring is written."""

import importlib
from typing import Any


def share_docstrings(namespace: dict[str, Any], module: str) -> None:
    """Give every public function in ``namespace`` the docstring of its namesake in the reference.

    Parameters
    ----------
    namespace : dict
        The ``globals()`` of a compiled module.
    module : str
        The name of its twin in ``dlfs.reference``.
    """
    # Not `from dlfs.reference import dense`: that is the function of this name.
    reference = importlib.import_module(f"dlfs.reference.{module}")
    for name, function in vars(reference).items():
        own = getattr(function, "__module__", None) == reference.__name__
        if own and callable(function) and not name.startswith("_") and name in namespace:
            namespace[name].__doc__ = function.__doc__
