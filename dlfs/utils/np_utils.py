"""The book's small functions on arrays, in the module of the same name.

Unlike the book's, they raise ValueError or TypeError instead of asserting, and use their own random
generators instead of NumPy's global one.
"""

from collections.abc import Iterator

import numpy as np

from dlfs import checks
from dlfs.datasets.prepare import check_same_rows
from dlfs.types import Array

Seed = int | np.random.Generator | None
"""The source of random numbers: a seed, a generator, or None for a new generator each time."""


def as_generator(seed: Seed, owner: str = "as_generator") -> np.random.Generator:
    """Return a random generator for ``seed``; a generator is returned unchanged.

    Raises
    ------
    TypeError, ValueError
        ``seed`` is not an integer, or is negative.

    Examples
    --------
    >>> from dlfs.utils.np_utils import as_generator
    >>> int(as_generator(7).integers(100)) == int(as_generator(7).integers(100))
    True
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is not None:
        seed = checks.check_int(seed, owner, "seed", minimum=0)
    return np.random.default_rng(seed)


def to_2d(a: Array, type: str = "col") -> Array:
    """Return the one-dimensional ``a`` as a column, shape (n, 1), or as a row, shape (1, n).

    Parameters
    ----------
    a : ndarray, shape (n,)
        The array.
    type : {"col", "row"}, default "col"
        Which of the two.

    Returns
    -------
    ndarray
        A view of ``a`` if NumPy can make one.

    Raises
    ------
    TypeError, ValueError
        ``a`` is not an array with one dimension, or ``type`` is neither "col" nor "row".

    Examples
    --------
    >>> from dlfs.utils.np_utils import to_2d
    >>> to_2d(np.array([1, 2, 3])).shape, to_2d(np.array([1, 2, 3]), "row").shape
    ((3, 1), (1, 3))
    """
    a = _plain(a, "to_2d", "a")
    if a.ndim != 1:
        raise ValueError(f"to_2d: a must have 1 dimension, got {a.ndim} (shape {a.shape})")
    checks.check_choice(type, ("col", "row"), "to_2d", "type")
    return a.reshape(-1, 1) if type == "col" else a.reshape(1, -1)


def normalize(a: Array) -> Array:
    """Return [a, 1 - a] side by side: the probability of a class and its complement.

    Parameters
    ----------
    a : ndarray, shape (n, k)
        Probabilities, usually k = 1.

    Returns
    -------
    ndarray, shape (n, 2k)
        ``a``, then ``1 - a``.

    Raises
    ------
    TypeError, ValueError
        ``a`` is not an array of numbers with two dimensions.

    Examples
    --------
    >>> from dlfs.utils.np_utils import normalize
    >>> normalize(np.array([[0.25], [1.0]]))
    array([[0.25, 0.75],
           [1.  , 0.  ]])
    """
    a = _as_numbers(a, "normalize", "a", ndim=2)
    return np.concatenate([a, 1 - a], axis=1)


def unnormalize(a: Array) -> Array:
    """Undo `normalize`: return the left half of the columns.

    Parameters
    ----------
    a : ndarray, shape (n, 2k)
        A result of `normalize`, or its gradient.

    Returns
    -------
    ndarray, shape (n, k)
        A copy.

    Raises
    ------
    TypeError, ValueError
        ``a`` is not an array of numbers with two dimensions and an even number of columns.

    Notes
    -----
    The book's function of this name returns the first row, which is not the inverse for more than
    one observation; this one is the inverse.

    Examples
    --------
    >>> from dlfs.utils.np_utils import normalize, unnormalize
    >>> unnormalize(normalize(np.array([[0.25], [1.0]])))
    array([[0.25],
           [1.  ]])
    """
    a = _as_numbers(a, "unnormalize", "a", ndim=2)
    if a.shape[1] % 2:
        raise ValueError(
            f"unnormalize: a must have an even number of columns, as normalize makes them, "
            f"got {a.shape[1]}"
        )
    return a[:, : a.shape[1] // 2].copy()


def permute_data(X: Array, y: Array, seed: Seed = None) -> tuple[Array, Array]:
    """Return the observations in a random order, the same for features and target.

    Parameters
    ----------
    X, y : ndarray
        Features and target, of any shape with the same first axis.
    seed : int, numpy.random.Generator or None
        The same seed gives the same order; None gives a new order each time. NumPy's global random
        state is neither used nor changed.

    Returns
    -------
    tuple of ndarray
        New arrays: ``X[order], y[order]``.

    Raises
    ------
    TypeError, ValueError
        ``X`` or ``y`` is not an array, their lengths differ, or the seed is not valid.

    Examples
    --------
    >>> from dlfs.utils.np_utils import permute_data
    >>> X = np.arange(6).reshape(3, 2)
    >>> X_new, y_new = permute_data(X, np.array([0, 1, 2]), seed=3)
    >>> np.array_equal(X_new, X[y_new])
    True
    """
    X, y = check_same_rows(X, y, "permute_data")
    order = as_generator(seed, "permute_data").permutation(len(X))
    return X[order], y[order]


def generate_batch(X: Array, y: Array, start: int = 0, batch_size: int = 10) -> tuple[Array, Array]:
    """Return ``batch_size`` observations from ``start`` on, fewer at the end.

    Parameters
    ----------
    X, y : ndarray
        Features and target, of any shape with the same first axis.
    start : int, default 0
        The first observation, from 0 to the number of observations.
    batch_size : int, default 10
        The number of observations, at least 1.

    Returns
    -------
    tuple of ndarray
        Views of ``X`` and ``y``.

    Raises
    ------
    TypeError, ValueError
        ``X`` or ``y`` is not an array, their lengths differ, or ``start`` or ``batch_size`` is out
        of range.

    Examples
    --------
    >>> from dlfs.utils.np_utils import generate_batch
    >>> X_batch, y_batch = generate_batch(np.zeros((12, 5)), np.zeros((12, 1)), start=10)
    >>> X_batch.shape, y_batch.shape
    ((2, 5), (2, 1))
    """
    X, y = check_same_rows(X, y, "generate_batch")
    rows = len(X)
    start = checks.check_int(start, "generate_batch", "start", minimum=0)
    batch_size = checks.check_int(batch_size, "generate_batch", "batch_size", minimum=1)
    if start > rows:
        raise ValueError(f"generate_batch: start must be at most {rows}, got {start}")
    return X[start : start + batch_size], y[start : start + batch_size]


def generate_batches(X: Array, y: Array, size: int = 32) -> Iterator[tuple[Array, Array]]:
    """Return an iterator over all observations, ``size`` at a time, in their order.

    Parameters
    ----------
    X, y : ndarray
        Features and target, of any shape with the same first axis.
    size : int, default 32
        The size of a batch, at least 1. The last batch may be smaller.

    Returns
    -------
    iterator of tuple of ndarray
        Views ``(X_batch, y_batch)``.

    Raises
    ------
    TypeError, ValueError
        ``X`` or ``y`` is not an array, their lengths differ, or ``size`` is below 1. The call
        itself raises, not the first batch.

    Examples
    --------
    >>> from dlfs.utils.np_utils import generate_batches
    >>> [len(y) for X, y in generate_batches(np.zeros((7, 2)), np.zeros(7), size=3)]
    [3, 3, 1]
    """
    X, y = check_same_rows(X, y, "generate_batches")
    size = checks.check_int(size, "generate_batches", "size", minimum=1)
    return ((X[ii : ii + size], y[ii : ii + size]) for ii in range(0, len(X), size))


def assert_same_shape(output: Array, output_grad: Array) -> None:
    """Raise ValueError unless both arrays have the same shape.

    Examples
    --------
    >>> from dlfs.utils.np_utils import assert_same_shape
    >>> assert_same_shape(np.zeros((2, 3)), np.zeros((3, 2)))
    Traceback (most recent call last):
        ...
    ValueError: assert_same_shape: the shapes must be the same, got (2, 3) and (3, 2)
    """
    _plain(output, "assert_same_shape", "output")
    _plain(output_grad, "assert_same_shape", "output_grad")
    if output.shape != output_grad.shape:
        raise ValueError(
            f"assert_same_shape: the shapes must be the same, "
            f"got {output.shape} and {output_grad.shape}"
        )


def assert_dim(t: Array, dim: int) -> None:
    """Raise ValueError unless ``t`` has ``dim`` dimensions.

    Examples
    --------
    >>> from dlfs.utils.np_utils import assert_dim
    >>> assert_dim(np.zeros((2, 3)), 4)
    Traceback (most recent call last):
        ...
    ValueError: assert_dim: t must have 4 dimensions, got 2 (shape (2, 3))
    """
    _plain(t, "assert_dim", "t")
    dim = checks.check_int(dim, "assert_dim", "dim", minimum=0)
    if t.ndim != dim:
        raise ValueError(
            f"assert_dim: t must have {dim} dimensions, got {t.ndim} (shape {t.shape})"
        )


def softmax(x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Return exp(x) divided by its sum along ``axis``: positive numbers that sum to 1.

    Parameters
    ----------
    x : ndarray
        Real numbers; minus infinity is a probability of 0.
    axis : int, tuple of int or None
        The axis or axes along which the result sums to 1; None: the whole array.

    Returns
    -------
    ndarray
        The shape of ``x``; float32 stays float32, integers become float64.

    Raises
    ------
    TypeError, ValueError
        ``x`` is not an array of numbers, holds NaN or plus infinity, is empty or only minus
        infinity along ``axis``, or does not have this axis.

    Notes
    -----
    softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m), where m is the maximum along the axis:
    without m the exponential would overflow from x = 710 on (89 in float32).

    Examples
    --------
    >>> from dlfs.utils.np_utils import softmax
    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]), axis=1)
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    x = _as_numbers(x, "softmax", "x")
    try:
        largest = x.max(axis=axis, keepdims=True)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"softmax: axis must be an axis of x that is not empty, got {axis!r} for shape "
            f"{x.shape}: {error}"
        ) from error
    # NaN and plus infinity determine the maximum, so checking it is enough.
    if not np.isfinite(largest).all():
        raise ValueError(
            "softmax: x must be free of NaN and infinity, "
            "and no slice along axis may be minus infinity throughout"
        )
    exponentials = np.exp(x - largest)
    return np.asarray(exponentials / exponentials.sum(axis=axis, keepdims=True))


def exp_ratios(ps: Array) -> Array:
    """Return 1 - exp(p_i) / sum over k != j of exp(p_k), for every i and j.

    A helper of the book's library for a cross-entropy written class by class.

    Parameters
    ----------
    ps : ndarray, shape (n,)
        Logits, n at least 2.

    Returns
    -------
    ndarray, shape (n, n)
        Element (i, j) is the ratio for p_i with p_j left out of the sum.

    Raises
    ------
    TypeError, ValueError
        ``ps`` is not an array of at least 2 finite numbers with one dimension, or a ratio is too
        large for its dtype (one logit far above all others).

    Examples
    --------
    >>> from dlfs.utils.np_utils import exp_ratios
    >>> exp_ratios(np.array([0.0, 0.0, 0.0]))
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]])
    """
    ps = _as_numbers(ps, "exp_ratios", "ps", ndim=1)
    if len(ps) < 2:
        raise ValueError(f"exp_ratios: ps must have at least 2 entries, got {len(ps)}")
    checks.check_finite(ps, "exp_ratios", "ps")
    ratios = np.empty((len(ps), len(ps)), dtype=ps.dtype)
    for j in range(len(ps)):
        # A shift by the largest term keeps this sum between 1 and n.
        others = np.delete(ps, j)
        largest = others.max()
        with np.errstate(over="ignore"):
            ratios[:, j] = 1 - np.exp(ps - largest) / np.exp(others - largest).sum()
    if not np.isfinite(ratios).all():
        raise ValueError(
            f"exp_ratios: the ratios must be finite in {ps.dtype}, got an overflow for {ps}"
        )
    return ratios


def _plain(a: object, owner: str, name: str) -> Array:
    if not isinstance(a, np.ndarray):
        raise TypeError(f"{owner}: {name} must be a NumPy array, got {type(a).__name__}")
    return checks.plain_array(a, owner, name)


def _as_numbers(a: object, owner: str, name: str, ndim: int | None = None) -> Array:
    array = checks.as_float_array(a, owner, name)
    checks.check_float_array(array, owner, name, ndim)
    return array
