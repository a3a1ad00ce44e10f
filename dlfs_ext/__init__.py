"""The kernels of `dlfs.reference`, compiled: the same functions, one .pyx for each module.

The package is optional; `dlfs.use_backend("fast")` selects it. `isa()` returns the instruction set
in use (`DLFS_ISA` forces a lower one). `set_num_threads()` sets the number of threads (default:
`DLFS_NUM_THREADS`, else `OMP_NUM_THREADS`, else all processors).
"""

import importlib

from dlfs import reference
from dlfs_ext.waiting import short_waiting

try:
    # The first compiled module loads OpenMP's library.
    with short_waiting():
        import dlfs_ext.runtime  # noqa: F401
    from dlfs_ext.runtime import (
        available_isas,
        get_num_threads,
        isa,
        set_isa,
        set_num_threads,
    )

    for _name in reference.__all__:
        _twin = getattr(reference, _name).__module__.rpartition(".")[2]
        globals()[_name] = getattr(importlib.import_module(f"dlfs_ext.{_twin}"), _name)
    del _name, _twin
except ImportError as error:
    raise ImportError(f"dlfs_ext was not compiled ({error})") from error

FUSES = True
"""Weight multiply, bias and activation run faster in one call; used by `dlfs.layers.fusion`."""

__all__ = [
    "FUSES",
    "available_isas",
    "get_num_threads",
    "isa",
    "set_isa",
    "set_num_threads",
]
__all__ += reference.__all__
