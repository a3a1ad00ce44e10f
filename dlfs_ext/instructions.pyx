"""Chooses the instruction set; csrc/simd/simd.h says how kernels are compiled for each."""

import os

cdef extern from "simd/simd.h" nogil:
    int dlfs_best_level()

_LEVELS = ("generic", "avx2", "avx512")
cdef int isa_level = 0


def isa():
    """Return the instruction set in use: "avx512", "avx2" or "generic"."""
    return _LEVELS[isa_level]


def available_isas():
    """Return the instruction sets of this processor, slowest first."""
    return _LEVELS[:dlfs_best_level() + 1]


def set_isa(name):
    """Use a lower instruction set than the best one (for tests and comparisons).

    Raises
    ------
    ValueError
        If this processor or this build does not have it.
    """
    global isa_level
    if name not in available_isas():
        raise ValueError(
            f"set_isa: name must be one of {', '.join(available_isas())} on this processor and "
            f"build, got {name!r}"
        )
    isa_level = _LEVELS.index(name)


isa_level = dlfs_best_level()
if os.environ.get("DLFS_ISA"):
    try:
        set_isa(os.environ["DLFS_ISA"].lower())
    except ValueError as error:
        raise ValueError(f"environment variable DLFS_ISA: {error}") from None
