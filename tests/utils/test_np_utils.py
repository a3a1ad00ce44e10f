"""The book's array functions: results and errors."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlfs.utils import np_utils

finite = st.floats(-1e4, 1e4, width=32)


def arrays(ndim: int, min_side: int = 1, elements: st.SearchStrategy[float] = finite):
    return hnp.arrays(
        st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)]),
        hnp.array_shapes(min_dims=ndim, max_dims=ndim, min_side=min_side, max_side=5),
        elements=elements,
    )


# --- shapes ---


def test_to_2d_makes_columns_and_rows() -> None:
    a = np.arange(3)
    assert np.array_equal(np_utils.to_2d(a), [[0], [1], [2]])
    assert np.array_equal(np_utils.to_2d(a, "col"), [[0], [1], [2]])
    assert np.array_equal(np_utils.to_2d(a, type="row"), [[0, 1, 2]])


def test_to_2d_keeps_the_rows_of_an_empty_array() -> None:
    assert np_utils.to_2d(np.empty(0)).shape == (0, 1)
    assert np_utils.to_2d(np.empty(0), "row").shape == (1, 0)


def test_shape_assertions_pass_what_is_right() -> None:
    a = np.zeros((2, 3))
    np_utils.assert_same_shape(a, a.astype(np.float32))
    np_utils.assert_dim(a, 2)
    np_utils.assert_dim(np.ones(()), 0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: np_utils.to_2d(np.zeros((2, 1))), ValueError, r"to_2d: a .* 1 dimension, got 2"),
        (lambda: np_utils.to_2d(np.zeros(())), ValueError, "to_2d: a .* 1 dimension, got 0"),
        (lambda: np_utils.to_2d([1, 2]), TypeError, "to_2d: a must be a NumPy array, got list"),
        (lambda: np_utils.to_2d(np.zeros(2), "column"), ValueError, "to_2d: type .* 'column'"),
        (
            lambda: np_utils.assert_same_shape(np.zeros((2, 3)), np.zeros((3, 2))),
            ValueError,
            r"same, got \(2, 3\) and \(3, 2\)",
        ),
        (
            # shapes that NumPy would broadcast silently
            lambda: np_utils.assert_same_shape(np.zeros((2, 1)), np.zeros(2)),
            ValueError,
            r"\(2, 1\) and \(2,\)",
        ),
        (lambda: np_utils.assert_same_shape(1.0, np.zeros(())), TypeError, "output must be a"),
        (lambda: np_utils.assert_same_shape(np.zeros(()), 1.0), TypeError, "output_grad must be"),
        (lambda: np_utils.assert_dim(np.zeros((2, 3)), 4), ValueError, "4 dimensions, got 2"),
        (lambda: np_utils.assert_dim([[1]], 2), TypeError, "t must be a NumPy array, got list"),
        (lambda: np_utils.assert_dim(np.zeros(2), 1.0), TypeError, "dim must be an integer"),
    ],
)
def test_shape_functions_refuse(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- normalize, unnormalize ---


@given(arrays(2, min_side=0))
def test_unnormalize_undoes_normalize(a: np.ndarray) -> None:
    both = np_utils.normalize(a)
    assert both.dtype == a.dtype
    assert both.shape == (a.shape[0], 2 * a.shape[1])
    assert np.array_equal(both[:, a.shape[1] :], 1 - a)
    assert np.array_equal(np_utils.unnormalize(both), a)


def test_normalize_of_whole_numbers_cannot_wrap_around() -> None:
    assert np_utils.normalize(np.array([[3]], dtype=np.uint8)).tolist() == [[3.0, -2.0]]


def test_unnormalize_gives_a_copy() -> None:
    a = np.zeros((2, 2))
    np_utils.unnormalize(a)[...] = 1
    assert not a.any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: np_utils.normalize(np.zeros(3)), ValueError, "normalize: a .* 2 dimensions, got"),
        (lambda: np_utils.normalize(np.array([["x"]])), TypeError, "normalize: a must be"),
        (lambda: np_utils.unnormalize(np.zeros((2, 3))), ValueError, "even number .* got 3"),
        (lambda: np_utils.unnormalize(np.zeros(4)), ValueError, "unnormalize: a .* 2 dimensions"),
    ],
)
def test_normalize_functions_refuse(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- permuting and batching ---


def numbered(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of which each holds its own number, and those numbers."""
    y = np.arange(rows)
    return np.broadcast_to(y[:, None, None, None], (rows, 2, 3, 1)).copy(), y


@given(rows=st.integers(0, 40), seed=st.integers(0, 2**40))
def test_permute_data_keeps_every_pair_together(rows: int, seed: int) -> None:
    X, y = numbered(rows)
    X_new, y_new = np_utils.permute_data(X, y, seed)
    assert np.array_equal(np.sort(y_new), y)
    assert X_new.shape == X.shape
    assert (X_new == y_new[:, None, None, None]).all()
    assert np.array_equal(y, np.arange(rows)), "the input was changed"
    again = np_utils.permute_data(X, y, seed)
    assert np.array_equal(again[1], y_new)
    assert np.array_equal(again[0], X_new)


def test_permute_data_moves_every_row_to_every_place() -> None:
    X, y = numbered(3)
    generator = np.random.default_rng(0)
    orders = {tuple(np_utils.permute_data(X, y, generator)[1].tolist()) for _ in range(200)}
    # each of the 6 orders is missed with probability (5/6)^200 < 1e-15
    assert len(orders) == 6


def test_permute_data_without_a_seed_differs_and_ignores_the_global_state() -> None:
    X, y = numbered(50)
    state = np.random.get_state()
    try:
        np.random.seed(1)
        first = np_utils.permute_data(X, y)[1]
        np.random.seed(1)
        second = np_utils.permute_data(X, y)[1]
        expected = np.random.RandomState(1).random_sample()
        assert np.random.random_sample() == expected, "it drew from the global generator"
    finally:
        np.random.set_state(state)
    # equal by chance once in 50! calls
    assert not np.array_equal(first, second)


def test_seed_and_generator_of_that_seed_mean_the_same() -> None:
    X, y = numbered(20)
    from_seed = np_utils.permute_data(X, y, 5)[1]
    assert np.array_equal(from_seed, np_utils.permute_data(X, y, np.random.default_rng(5))[1])
    assert np.array_equal(from_seed, np_utils.permute_data(X, y, seed=np.int64(5))[1])


@given(rows=st.integers(0, 30), size=st.integers(1, 40))
def test_generate_batches_covers_every_row_once_and_in_order(rows: int, size: int) -> None:
    X, y = numbered(rows)
    batches = list(np_utils.generate_batches(X, y, size))
    assert len(batches) == math.ceil(rows / size)
    assert all(len(y_batch) == size for _, y_batch in batches[:-1])
    assert all(len(X_batch) == len(y_batch) > 0 for X_batch, y_batch in batches)
    if batches:
        assert np.array_equal(np.concatenate([y_batch for _, y_batch in batches]), y)
        assert np.array_equal(np.concatenate([X_batch for X_batch, _ in batches]), X)


@given(rows=st.integers(0, 30), start=st.integers(0, 30), size=st.integers(1, 40))
def test_generate_batch_is_a_slice(rows: int, start: int, size: int) -> None:
    assume(start <= rows)
    X, y = numbered(rows)
    X_batch, y_batch = np_utils.generate_batch(X, y, start=start, batch_size=size)
    assert y_batch.tolist() == list(range(start, min(start + size, rows)))
    assert (X_batch == y_batch[:, None, None, None]).all()


def test_generate_batch_defaults_to_the_first_ten() -> None:
    assert np_utils.generate_batch(*numbered(12))[1].tolist() == list(range(10))


@pytest.mark.parametrize(
    "function", [np_utils.permute_data, np_utils.generate_batch, np_utils.generate_batches]
)
@pytest.mark.parametrize(
    ("X", "y", "error", "words"),
    [
        (
            np.zeros((3, 2)),
            np.zeros(4),
            ValueError,
            "X and y must have the same number of rows, got 3 a",
        ),
        (np.zeros(()), np.zeros(()), ValueError, "X must have at least 1 dimension"),
        (np.zeros(1), np.zeros(()), ValueError, "y must have at least 1 dimension"),
        ([1, 2], np.zeros(2), TypeError, "X must be a NumPy array, got list"),
        (np.zeros(2), None, TypeError, "y must be a NumPy array, got NoneType"),
    ],
)
def test_what_is_not_a_pair_is_refused_at_once(
    function, X: object, y: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"{function.__name__}: {words}"):
        function(X, y)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda X, y: np_utils.permute_data(X, y, -1), ValueError, "seed must be at least 0"),
        (lambda X, y: np_utils.permute_data(X, y, 1.5), TypeError, "seed must be an integer"),
        (lambda X, y: np_utils.permute_data(X, y, "1"), TypeError, "permute_data: seed must be"),
        (lambda X, y: np_utils.permute_data(X, y, True), TypeError, "seed must be an integer"),
        (lambda X, y: np_utils.generate_batch(X, y, -1), ValueError, "start must be at least 0"),
        (lambda X, y: np_utils.generate_batch(X, y, 4), ValueError, "start must be at most 3"),
        (lambda X, y: np_utils.generate_batch(X, y, 0, 0), ValueError, "batch_size must be at l"),
        (lambda X, y: np_utils.generate_batch(X, y, 0, 2.0), TypeError, "batch_size must be an"),
        (lambda X, y: np_utils.generate_batches(X, y, 0), ValueError, "size must be at least 1"),
        (lambda X, y: np_utils.generate_batches(X, y, "8"), TypeError, "size must be an integer"),
    ],
)
def test_numbers_out_of_range_are_refused(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(*numbered(3))


# --- softmax ---


@given(arrays(2), st.sampled_from([None, 0, 1, -1, (0, 1)]))
def test_softmax_is_positive_sums_to_one_and_keeps_the_dtype(x: np.ndarray, axis) -> None:
    p = np_utils.softmax(x, axis=axis)
    assert p.dtype == x.dtype
    assert p.shape == x.shape
    assert (p >= 0).all()
    # n terms, each rounded by the division, and n - 1 roundings of their sum
    n = x.size if axis in (None, (0, 1)) else x.shape[axis]
    eps = np.finfo(x.dtype).eps
    np.testing.assert_allclose(p.sum(axis=axis), 1, rtol=0, atol=3 * n * eps)


@given(arrays(1, elements=st.floats(-20, 20, width=32)))
def test_softmax_is_exp_over_the_sum_of_exp(x: np.ndarray) -> None:
    exact = [math.exp(float(v)) for v in x]
    expected = [e / math.fsum(exact) for e in exact]
    # the difference to the maximum, at most 40, rounds by 40 eps, which exp makes relative
    tolerance = (40 + 2 * len(x) + 4) * np.finfo(x.dtype).eps
    np.testing.assert_allclose(np_utils.softmax(x), expected, rtol=tolerance)


@given(arrays(2, elements=st.integers(-1000, 1000).map(float)), st.integers(-1000, 1000))
def test_softmax_does_not_change_when_a_constant_is_added(x: np.ndarray, shift: int) -> None:
    assert np.array_equal(np_utils.softmax(x, axis=1), np_utils.softmax(x + shift, axis=1))


def test_softmax_neither_overflows_nor_minds_masked_classes() -> None:
    big = np.array([[1e300, 1e300, -1e300]])
    assert np_utils.softmax(big, axis=1).tolist() == [[0.5, 0.5, 0.0]]
    assert np_utils.softmax(np.array([0.0, -np.inf])).tolist() == [1.0, 0.0]
    assert np_utils.softmax(np.array([3, 3])).tolist() == [0.5, 0.5]
    assert np_utils.softmax(np.zeros((0, 3)), axis=1).shape == (0, 3)


@pytest.mark.parametrize("seed", range(3))
def test_softmax_agrees_with_scipy(seed: int) -> None:
    from scipy import special

    x = np.random.default_rng(seed).normal(scale=5, size=(4, 3, 6))
    for axis in (None, 0, 1, 2, (0, 2)):
        np.testing.assert_allclose(
            np_utils.softmax(x, axis),
            special.softmax(x, axis),
            rtol=3 * x.size * np.finfo(x.dtype).eps,
        )


@pytest.mark.parametrize(
    ("x", "axis", "error", "words"),
    [
        (np.array([0.0, np.nan]), None, ValueError, "free of NaN"),
        (np.array([0.0, np.inf]), None, ValueError, "free of NaN and infinity"),
        (np.array([[0.0, 1.0], [-np.inf, -np.inf]]), 1, ValueError, "minus infinity throughout"),
        (np.zeros((2, 0)), 1, ValueError, r"axis must .*, got 1 for shape \(2, 0\)"),
        (np.zeros(0), None, ValueError, "is not empty"),
        (np.zeros((2, 2)), 2, ValueError, "axis must be .* got 2"),
        (np.zeros((2, 2)), "rows", ValueError, "axis must be .* got 'rows'"),
        (np.array(["a"]), None, TypeError, "x must be an array of real numbers"),
        (np.array([1j]), None, TypeError, "x must be an array of real numbers"),
    ],
)
def test_softmax_refuses(x: np.ndarray, axis, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"softmax: .*{words}"):
        np_utils.softmax(x, axis)


# --- exp_ratios ---


@given(arrays(1, min_side=2, elements=st.floats(-10, 10, width=32)))
def test_exp_ratios_follows_its_definition(ps: np.ndarray) -> None:
    got = np_utils.exp_ratios(ps)
    assert got.dtype == ps.dtype
    exps = [math.exp(float(p)) for p in ps]
    n = len(ps)
    expected = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            expected[i, j] = 1 - exps[i] / math.fsum(exps[k] for k in range(n) if k != j)
    # differences, at most 20, round by 20 eps, twice, which exp makes relative; then n - 1 sums,
    # the division and the subtraction from 1
    tolerance = (40 + n + 4) * np.finfo(ps.dtype).eps * (1 + np.abs(1 - expected))
    assert (np.abs(got - expected) <= tolerance).all()


def test_exp_ratios_survives_logits_that_exp_would_not() -> None:
    ratios = np_utils.exp_ratios(np.array([1000.0, 1000.0, 1000.0]))
    assert ratios.tolist() == [[0.5] * 3] * 3


@pytest.mark.parametrize(
    ("ps", "error", "words"),
    [
        (np.zeros(1), ValueError, "at least 2 entries, got 1"),
        (np.zeros((2, 2)), ValueError, "1 dimension"),
        (np.array([0.0, np.nan]), ValueError, "must be finite"),
        (np.array([0.0, 2000.0]), ValueError, "must be finite in float64"),
        (np.array([None, None]), TypeError, "real numbers"),
    ],
)
def test_exp_ratios_refuses(ps: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"exp_ratios: .*{words}"):
        np_utils.exp_ratios(ps)
