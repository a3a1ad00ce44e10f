"""Embedding and dropout against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlfs import reference as kernels
from tests.support.arrays import (
    arranged,
    assert_within,
    drawn,
    dtypes,
    layouts,
    seeds,
    sum_bound,
    watched,
)

index_dtypes = st.sampled_from([np.uint8, np.int8, np.int32, np.int64, np.uint64])


@given(
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    st.integers(1, 6),
    st.integers(0, 3),
    index_dtypes,
    seeds,
    dtypes,
    layouts,
)
def test_embedding_is_a_look_up(
    shape: tuple[int, ...], rows: int, width: int, index_dtype, seed: int, dtype, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    indices = arranged(np.array(rng.integers(0, rows, shape), dtype=index_dtype), layout)
    table, grad = (
        drawn(rng, (rows, width), dtype, layout),
        drawn(rng, (*shape, width), dtype, layout),
    )
    output = watched(kernels.embedding, indices, table)
    table_grad = watched(kernels.embedding_param_grad, grad, indices, rows)
    expected, magnitude = np.zeros((rows, width)), np.zeros((rows, width))
    assert output.shape == (*shape, width)
    for at in np.ndindex(*shape):
        row = int(indices[at])
        assert np.array_equal(output[at], table[row])
        expected[row] += grad[at]
        magnitude[row] += np.abs(grad[at])
    assert_within(table_grad, expected, sum_bound(indices.size, magnitude, dtype))
    assert not np.shares_memory(output, table)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_out_of_the_table_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=r"embedding: indices must lie in 0\.\.2, got"):
        kernels.embedding(np.array([0, index]), np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"embedding_param_grad: indices must lie in 0\.\.2"):
        kernels.embedding_param_grad(np.zeros((2, 2)), np.array([0, index]), 3)


@given(
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    st.floats(0.01, 1),
    seeds,
    dtypes,
    layouts,
)
def test_dropout_keeps_and_scales(
    shape: tuple[int, ...], keep_prob: float, seed: int, dtype, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    x, mask = drawn(rng, shape, dtype, layout), np.array(rng.random(shape) < 0.5)
    output = watched(kernels.dropout, x, mask, keep_prob)
    expected = np.array([x[at] / keep_prob if mask[at] else 0 for at in np.ndindex(*shape)], float)
    # one rounding of 1 / keep_prob, one of the product
    bound = 2 * float(np.finfo(dtype).eps) * np.abs(expected.reshape(shape))
    assert_within(np.asarray(output), expected.reshape(shape), bound)
