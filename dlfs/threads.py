"""How many threads the compiled kernels use."""

import importlib
import warnings
from typing import Any

from dlfs.checks import check_int


def set_num_threads(n: int) -> None:
    """Let every compiled kernel use up to ``n`` threads.

    The results are the same bits for every ``n``. At the start it is ``DLFS_NUM_THREADS``, else
    ``OMP_NUM_THREADS``, else the number of processors. Small work stays on one thread; the rest is
    timed, as it runs, on one and on ``n``, and goes on in the way that was faster of late.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        If n is not an integer from 1 to 1024.

    Warns
    -----
    UserWarning
        If n is above 1 and the kernels cannot have so many: because the fast backend was not
        compiled (NumPy's matrix products obey OMP_NUM_THREADS alone); because the system refuses to
        start more (``ulimit -u``); or because this process was forked. OpenMP's threads do not live
        on in a forked child, so kernels use one thread there, and warn when they would use more.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    check_int(n, "set_num_threads", "n", 1, 1024)
    compiled = _compiled()
    if compiled is not None:
        compiled.set_num_threads(n)
    elif n > 1:
        warnings.warn(
            f"set_num_threads({n}) has no effect: the fast backend was not compiled, and the "
            f"reference runs on one thread. OMP_NUM_THREADS, set before Python starts, is what "
            f"NumPy's matrix products obey",
            UserWarning,
            stacklevel=2,
        )


def get_num_threads() -> int:
    """Return how many threads a kernel may use; 1 where the fast backend was not compiled.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    compiled = _compiled()
    return 1 if compiled is None else int(compiled.get_num_threads())


def _compiled() -> Any:
    """Return the compiled package, or None."""
    try:
        return importlib.import_module("dlfs_ext")
    except ImportError:
        return None
