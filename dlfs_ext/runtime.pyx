"""Which instruction set runs, and on how many threads."""

import os

cdef extern from "simd.h" nogil:
    int dlfs_best_level()

cdef extern from "threads.h" nogil:
    int DLFS_OPENMP
    int dlfs_max_threads()
    int dlfs_in_parallel()
    int dlfs_processors()

_LEVELS = ("generic", "avx2", "avx512")

# Below this many multiply-adds (about 20 microseconds of one thread) waking a second thread costs
# more than it saves.
cdef double WORTH_A_THREAD = 5e5

cdef int isa_level = DLFS_GENERIC
cdef int wanted_threads = 1


cdef int threads_for(double multiply_adds) noexcept nogil:
    cdef double worth = multiply_adds / WORTH_A_THREAD
    if wanted_threads == 1 or worth < 2.0 or dlfs_in_parallel():
        return 1
    return wanted_threads if worth > wanted_threads else <int>worth


def isa():
    """Return the instruction set in use: "avx512", "avx2" or "generic"."""
    return _LEVELS[isa_level]


def available_isas():
    """Return the instruction sets that this processor can run, slowest first."""
    return _LEVELS[:dlfs_best_level() + 1]


def set_isa(name):
    """Use a lower instruction set than the best one (for tests and comparisons).

    Raises
    ------
    ValueError
        If this processor, or this build, does not have it.
    """
    global isa_level
    if name not in available_isas():
        raise ValueError(
            f"set_isa: name must be one of {', '.join(available_isas())} on this processor and "
            f"build, got {name!r}"
        )
    isa_level = _LEVELS.index(name)


def set_num_threads(n):
    """Let every kernel use up to `n` threads; the results are the same bits for every `n`.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is below 1.
    """
    global wanted_threads
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads: n must be an integer, got {n!r}")
    if n < 1:
        raise ValueError(f"set_num_threads: n must be at least 1, got {n}")
    wanted_threads = min(int(n), 1024) if DLFS_OPENMP else 1


def get_num_threads():
    """Return how many threads a kernel may use."""
    return wanted_threads


def _threads_from_environment():
    for variable in ("DLFS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "").split(",")[0].strip()
        if text.isdecimal() and int(text) >= 1:
            return int(text)
    return dlfs_processors()


def _after_fork():
    # libgomp's threads do not live on in a forked child, and waiting for them would hang it.
    global wanted_threads
    wanted_threads = 1


isa_level = dlfs_best_level()
if os.environ.get("DLFS_ISA"):
    set_isa(os.environ["DLFS_ISA"].lower())
set_num_threads(_threads_from_environment())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
