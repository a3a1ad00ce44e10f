"""Compiled dropout and embedding against their reference."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, LAYOUTS, arrays, assert_close, in_layout, shapes, twins

fast_dropout, reference_dropout = twins("dropout")
fast, reference = twins("embedding")


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(max_side=20, max_dims=3),
    layout=LAYOUTS,
    keep_prob=st.sampled_from([1.0, 0.8, 0.3, 1]),
)
def test_dropout(data, dtype, shape, layout, keep_prob):
    x = data.draw(arrays(shape, dtype))
    mask = np.random.default_rng(x.size).random(shape) < keep_prob
    if layout not in ("strided", "unaligned"):
        mask = in_layout(mask, layout)
    assert_close(
        fast_dropout.dropout(x, mask, keep_prob),
        reference_dropout.dropout(x, mask, keep_prob),
        1,
        16,
    )


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(max_dims=3),
    rows=st.integers(1, 6),
    features=st.integers(0, 40),
    kind=st.sampled_from([np.uint8, np.int32, np.int64]),
)
def test_embedding(data, dtype, shape, rows, features, kind):
    table = data.draw(arrays((rows, features), dtype))
    indices = np.random.default_rng(rows).integers(0, rows, shape).astype(kind)
    looked_up = fast.embedding(indices, table)
    np.testing.assert_array_equal(looked_up, reference.embedding(indices, table))
    g = data.draw(arrays((*shape, features), dtype))
    assert_close(
        fast.embedding_param_grad(g, indices, rows),
        reference.embedding_param_grad(g, indices, rows),
        indices.size,
        4,
    )


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
