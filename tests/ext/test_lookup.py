"""Compiled dropout and embedding against their reference."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import (
    DTYPES,
    LAYOUTS,
    arrays,
    assert_linear,
    assert_ulps,
    in_layout,
    shapes,
    twins,
    wide,
)

fast, reference = twins("lookup")

pytestmark = pytest.mark.usefixtures("isa")


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(max_side=20, max_dims=3),
    layout=LAYOUTS,
    keep_prob=st.sampled_from([1.0, 0.8, 0.3]),
)
def test_dropout(data, dtype, shape, layout, keep_prob):
    x = data.draw(arrays(shape, dtype, planted=(0.0, -0.0, np.nan, np.inf)))
    mask = np.random.default_rng(x.size).random(shape) < keep_prob
    if layout != "strided":  # that puts nan between
        mask = in_layout(mask, layout)
    with np.errstate(all="ignore"):
        wanted = x.astype(wide) * mask / wide(keep_prob)
    # 1 / keep_prob is rounded to float64, then to the dtype, and the product once.
    assert_ulps(fast.dropout(x, mask, keep_prob), wanted, 2)


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(max_dims=3),
    rows=st.integers(1, 6),
    features=st.integers(0, 40),
    kind=st.sampled_from([np.uint8, np.int32, np.int64]),
    layout=LAYOUTS,
)
def test_embedding(data, dtype, shape, rows, features, kind, layout):
    table = data.draw(arrays((rows, features), dtype, planted=(0.0, -0.0, np.nan, np.inf)))
    indices = np.random.default_rng(rows).integers(0, rows, shape).astype(kind)
    if layout != "strided":  # between its indices lie nans, which are none
        indices = in_layout(indices, layout)
    looked_up = fast.embedding(indices, table)
    np.testing.assert_array_equal(looked_up, reference.embedding(indices, table), strict=True)
    g = data.draw(arrays((*shape, features), dtype))
    most = np.bincount(indices.ravel(), minlength=1).max()
    assert_linear(
        fast.embedding_param_grad, reference.embedding_param_grad, (g, indices, rows), most
    )


def test_each_row_gets_the_gradients_of_its_own_indices():
    """Integers are exact: a row that was not looked up gets 0."""
    indices = np.array([[2, 0], [2, 2]])
    g = np.arange(4.0 * 19).reshape(2, 2, 19)
    wanted = np.zeros((4, 19))
    wanted[0], wanted[2] = g[0, 1], g[0, 0] + g[1, 0] + g[1, 1]
    np.testing.assert_array_equal(fast.embedding_param_grad(g, indices, 4), wanted)


@pytest.mark.parametrize(
    "indices",
    [np.array([2]), np.array([-1]), np.array([0.0]), [0], np.array([2**64 - 1], np.uint64)],
)
def test_refused_indices(indices):
    table = np.ones((2, 3))
    for call in (
        lambda module: module.embedding(indices, table),
        lambda module: module.embedding_param_grad(np.ones((1, 3)), indices, 2),
    ):
        with pytest.raises((TypeError, ValueError)) as wanted:
            call(reference)
        with pytest.raises(type(wanted.value)) as got:
            call(fast)
        assert str(got.value) == str(wanted.value)
