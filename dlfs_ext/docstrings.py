"""Copies docstrings from the reference, so that each is written only once."""

from typing import Any

from dlfs import reference


def share_docstrings(namespace: dict[str, Any], module: str) -> None:
    """Give every kernel in ``namespace`` the docstring of the reference's kernel.

    Parameters
    ----------
    namespace : dict
        The ``globals()`` of a compiled module.
    module : str
        The name of the module in ``dlfs.reference``.
    """
    for name in reference.__all__:
        kernel = getattr(reference, name)
        if kernel.__module__ == f"dlfs.reference.{module}" and name in namespace:
            namespace[name].__doc__ = kernel.__doc__
