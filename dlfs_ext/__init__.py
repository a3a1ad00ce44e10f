"""The kernels of `dlfs.reference`, compiled: the same functions.

The package is optional; `dlfs.use_backend("fast")` selects it. `isa()` returns the instruction set
in use (`DLFS_ISA` forces a lower one). `set_num_threads()` sets the number of threads (default:
`DLFS_NUM_THREADS`, else `OMP_NUM_THREADS`, else all processors).
"""

import importlib
from typing import TYPE_CHECKING

from dlfs.reference import KERNELS
from dlfs_ext.waiting import short_waiting

if TYPE_CHECKING:
    # For editors: the signatures and the docstrings are the same.
    from dlfs.reference import *  # noqa: F403

MODULES = (
    *("activations", "attention", "conv", "conv_forms", "conv_fused", "dense"),
    *("lookup", "losses", "normalization", "optimizers", "pooling", "recurrent"),
)

try:
    # The first compiled module loads OpenMP's library.
    with short_waiting():
        import dlfs_ext.threads  # noqa: F401
    from dlfs_ext.instructions import available_isas, isa, set_isa
    from dlfs_ext.threads import get_num_threads, set_num_threads

    for _module in MODULES:
        _compiled = vars(importlib.import_module(f"dlfs_ext.{_module}"))
        for _name in KERNELS.keys() & _compiled.keys():
            globals()[_name] = _compiled[_name]
            # Each docstring is written only once.
            _compiled[_name].__doc__ = KERNELS[_name].__doc__
except ImportError as error:
    raise ImportError(f"dlfs_ext was not compiled ({error})") from error

FUSES = True
"""Chains of Operations run faster in one call; used by `dlfs.layers.fusion`."""

__all__ = [
    "FUSES",
    "available_isas",
    "get_num_threads",
    "isa",
    "set_isa",
    "set_num_threads",
]
__all__ += list(KERNELS)
