"""Chooses how many threads share the work of a kernel.

Work is counted in multiply-adds, of which one thread does at most 5e10 in a second; what costs more
than a multiply-add, such as an exponential, counts as several. Starting another thread and moving
its part of the data to its caches takes up to 10 microseconds. So a thread is used only if its
share of the work takes as long as that: at least 500,000 multiply-adds. The number of threads
depends on nothing but the work and the limit that the user has set. Results are bit-identical for
every number of threads.

Both constants were measured once, on two processors with AVX-512 that did nothing else. A second
thread that still waits for work (see waiting.py) starts within 1.3 microseconds; moving the data
makes it 3 to 10 until both are faster than one. A thread that sleeps needs 25 to 60 microseconds.
They are not counted: in a training step the first large product wakes it, and it stays awake.
"""

from cython.parallel cimport prange

import os
import threading
import warnings

from dlfs_ext.instructions cimport isa_level
from dlfs_ext.memory cimport Block, new_block

cdef extern from "openmp.h" nogil:
    int DLFS_OPENMP
    int dlfs_in_parallel()
    int dlfs_processors()

# The fewest multiply-adds that another thread is used for.
cdef double least_share = 5e10 * 10e-6

cdef int wanted_threads = 1
# More are not useful; starting them only takes memory.
MOST_THREADS = 1024
# The number of threads that could be started together at the last attempt.
cdef int proven_threads = 1
# In a forked child: the parent's number of threads, until the user has been warned.
cdef int lost_threads = 0
cdef bint forked = False


cdef int threads_for(double multiply_adds) noexcept nogil:
    """The number of threads for a kernel; 1 if more are never worth it."""
    cdef double worth = multiply_adds / least_share
    if wanted_threads == 1:
        if lost_threads > 1 and worth >= 2.0:
            with gil:
                tell_of_lost_threads()
        return 1
    if worth < 2.0 or dlfs_in_parallel():
        return 1
    return wanted_threads if worth > wanted_threads else <int>worth


cdef int run(const kernel *which, int wide, const void *job, ptrdiff_t tasks,
             double multiply_adds, ptrdiff_t grain=1) except -1:
    cdef range_fn *fn = which.copies[isa_level][wide]
    cdef bytes_fn *scratch_of = which.scratch[isa_level][wide]
    cdef size_t scratch = 0 if scratch_of == NULL else scratch_of(job)
    cdef ptrdiff_t groups = (tasks + grain - 1) // grain
    cdef int threads = <int>max(1, min(threads_for(multiply_adds), groups)), i
    # Two threads must not write to the same line of a cache.
    cdef size_t each = (scratch + 127) // 64 * 64 if scratch else 0
    cdef Block block = new_block(threads * each) if scratch else None
    cdef char *memory = <char *>block.data if scratch else NULL
    with nogil:
        if threads == 1:
            fn(job, 0, tasks, memory)
        else:
            for i in prange(threads, num_threads=threads, schedule="static"):
                fn(job, groups * i // threads * grain,
                   min(groups * (i + 1) // threads * grain, tasks), memory + i * each)
    return 0


def _threads_for(multiply_adds):
    """For tests: the number of threads for a kernel."""
    return threads_for(multiply_adds)


def _least_share(multiply_adds):
    """For tests: change the least work that a thread is used for, and return the former."""
    global least_share
    before = least_share
    least_share = multiply_adds
    return before


def set_num_threads(n):
    """Set the maximum number of threads of every kernel; results are bit-identical for every `n`.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is below 1 or above 1024.

    Warns
    -----
    UserWarning
        If fewer threads can be started, or only one may be used because this process was forked.
    """
    global wanted_threads, lost_threads
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads: n must be an integer, got {n!r}")
    if not 1 <= n <= MOST_THREADS:
        raise ValueError(f"set_num_threads: n must be from 1 to {MOST_THREADS}, got {n}")
    lost_threads = 0
    wanted_threads = 1
    if DLFS_OPENMP and n > 1:
        if forked:
            warnings.warn(f"set_num_threads({n}): {FORKED}", UserWarning, stacklevel=2)
        else:
            wanted_threads = startable(int(n))


FORKED = (
    "this process was forked, and the threads of OpenMP's library do not survive a fork, so the "
    "kernels use one thread here; with multiprocessing's start method 'spawn' a child has its "
    "own threads"
)


cdef int tell_of_lost_threads() noexcept:
    global lost_threads
    lost_threads = 0
    try:
        warnings.warn(FORKED, UserWarning, stacklevel=1)
    except UserWarning as warning:
        # Where warnings are errors: a kernel's arithmetic cannot raise one.
        os.write(2, f"dlfs: {warning}\n".encode())
    return 0


cdef int startable(int n) except -1:
    """Return how many of n threads can be started; libgomp ends the process if one fails."""
    global proven_threads
    if n <= proven_threads:
        return n
    hold = threading.Event()
    helpers = []
    try:
        for _ in range(n - 1):
            helper = threading.Thread(target=hold.wait, daemon=True)
            helper.start()
            helpers.append(helper)
    except RuntimeError:
        warnings.warn(
            f"set_num_threads({n}): only {len(helpers) + 1} threads can be started here, so the "
            f"kernels use {max(1, len(helpers) // 2)}; the cause is a limit on processes or memory "
            f"(ulimit -u, ulimit -v)", UserWarning, stacklevel=2)
        # Leave some for other programs.
        n = max(1, len(helpers) // 2)
    finally:
        hold.set()
        for helper in helpers:
            helper.join()
    proven_threads = n
    return n


def get_num_threads():
    """Return the maximum number of threads of a kernel."""
    return wanted_threads


def _threads_from_environment():
    own = os.environ.get("DLFS_NUM_THREADS", "").strip()
    # Longer numbers are out of range, and may be too long for int().
    if own and not (own.isascii() and own.isdecimal() and len(own) <= 9
                    and 1 <= int(own) <= MOST_THREADS):
        raise ValueError(f"environment variable DLFS_NUM_THREADS must be an integer from 1 to "
                         f"{MOST_THREADS}, got {own[:40]!r}")
    if own:
        return int(own)
    # OpenMP's variable also serves other libraries: an unusual value is not refused.
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= 1:
        return min(int(text), MOST_THREADS)
    return min(dlfs_processors(), MOST_THREADS)


def _after_fork():
    # libgomp's threads do not survive a fork, and waiting for them would hang the child.
    global wanted_threads, lost_threads, forked
    forked = True
    lost_threads = max(wanted_threads, lost_threads)
    wanted_threads = 1


set_num_threads(_threads_from_environment())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
