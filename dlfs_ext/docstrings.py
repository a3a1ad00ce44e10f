"""Both backends say the same about a function: the reference's docstring is the only one written."""

from types import ModuleType
from typing import Any


def share_docstrings(namespace: dict[str, Any], reference: ModuleType) -> None:
    """Give every public function in ``namespace`` the docstring of its namesake in ``reference``."""
    for name, function in vars(reference).items():
        own = getattr(function, "__module__", None) == reference.__name__
        if own and callable(function) and not name.startswith("_") and name in namespace:
            namespace[name].__doc__ = function.__doc__
