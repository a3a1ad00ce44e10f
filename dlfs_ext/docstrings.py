"""Copies docstrings from the reference, so that each is written only once."""

from typing import Any

from dlfs.reference import KERNELS


def share_docstrings(namespace: dict[str, Any]) -> None:
    """Give every kernel in ``namespace`` the docstring of the reference's kernel.

    Parameters
    ----------
    namespace : dict
        The ``globals()`` of a compiled module.
    """
    for name in KERNELS.keys() & namespace.keys():
        namespace[name].__doc__ = KERNELS[name].__doc__
