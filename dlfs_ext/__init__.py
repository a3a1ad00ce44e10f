"""The kernels of `dlfs.reference`, compiled: the same functions, one .pyx beside each module.

Nothing here is needed to use the library; `dlfs.use_backend("fast")` chooses it.
"""

try:
    from dlfs_ext.runtime import (
        available_isas,
        get_num_threads,
        isa,
        set_isa,
        set_num_threads,
    )
except ImportError as error:
    raise ImportError(
        "dlfs_ext was not compiled: install a C compiler and install dlfs again "
        f"(the library works without it, on the reference backend) [{error}]"
    ) from error

__all__ = ["available_isas", "get_num_threads", "isa", "set_isa", "set_num_threads"]
