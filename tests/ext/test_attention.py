"""Compiled attention against its reference: blocks, running maxima, and threads."""

import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import dlfs_ext
from tests.ext.common import (
    DTYPES,
    arrays,
    assert_within,
    each_number_of_threads,
    fallbacks,
    twins,
    wide,
)

fast, reference = twins("attention")

pytestmark = pytest.mark.usefixtures("isa")

# From one position to several blocks: products/attention.h has blocks of 32 queries and 512 keys.
TIMES = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 130]))
WIDTHS = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 48, 64]))


def assert_attention(qkv, g, heads, causal):
    """Compare with the formulas in wider numbers.

    A score of `width` products is off by as many roundings of its terms' magnitudes; a weight by
    that, relatively, and by the roundings of its row's sum. What follows are sums of products.
    """
    unit = wide(np.finfo(qkv.dtype).eps)
    batch, time, packed = qkv.shape
    width = packed // (3 * heads)

    def split(array, parts):
        array = array.astype(wide).reshape(batch, time, parts, heads, width)
        return array.transpose(2, 0, 3, 1, 4)

    def joined(parts):
        parts = np.stack(parts).transpose(1, 3, 0, 2, 4)
        return parts.reshape(batch, time, -1)

    q, k, v = split(qkv, 3)
    scale = 1 / np.sqrt(wide(width))
    seen = np.tri(time, dtype=bool) if causal else np.ones((time, time), bool)
    scores = np.where(seen, scale * (q @ k.swapaxes(2, 3)), -np.inf)
    powers = np.exp(scores - scores.max(axis=3, keepdims=True))
    weights = powers / powers.sum(axis=3, keepdims=True)
    sizes = scale * (np.abs(q) @ np.abs(k).swapaxes(2, 3))
    off = 2 * unit * (width + 6) * np.where(seen, sizes, 0).max(axis=3, keepdims=True)
    off = off + (time + 12) * unit

    output = fast.attention(qkv, heads, causal)
    assert output.dtype == qkv.dtype
    bound = (off + time * unit) * (weights @ np.abs(v))
    assert_within(output, joined([weights @ v]), joined([bound]))

    found = fast.attention_grad(g, qkv, output, heads, causal)
    assert found.dtype == qkv.dtype
    (g,), (o,) = split(g, 1), split(output, 1)
    exact = weights @ v
    shift, shift_size = (g * exact).sum(axis=3, keepdims=True), np.abs(g) * np.abs(o)
    shift_off = np.abs(g) * (bound + (width + 2) * unit * np.abs(o))
    scores_grad = scale * weights * (g @ v.swapaxes(2, 3) - shift)
    size = np.abs(g) @ np.abs(v).swapaxes(2, 3) + shift_size.sum(axis=3, keepdims=True)
    size_off = (off + (width + 6) * unit) * size + shift_off.sum(axis=3, keepdims=True)
    size, size_off = scale * weights * size, scale * weights * size_off
    off_q = (size_off + time * unit * size) @ np.abs(k)
    off_k = (size_off + time * unit * size).swapaxes(2, 3) @ np.abs(q)
    off_v = ((off + (time + 2) * unit) * weights).swapaxes(2, 3) @ np.abs(g)
    wanted = (
        scores_grad @ k,
        scores_grad.swapaxes(2, 3) @ q,
        weights.swapaxes(2, 3) @ g,
    )
    assert_within(found, joined(wanted), joined([off_q, off_k, off_v]))


@given(
    data=st.data(),
    dtype=DTYPES,
    batch=st.integers(1, 3),
    time=TIMES,
    heads=st.integers(1, 3),
    width=WIDTHS,
    causal=st.booleans(),
)
@settings(deadline=None)
def test_attention(data, dtype, batch, time, heads, width, causal):
    if time > 40:
        batch, width = 1, min(width, 33)
    features = heads * width
    qkv = data.draw(arrays((batch, time, 3 * features), dtype, -2, 2))
    g = data.draw(arrays((batch, time, features), dtype))
    assert_attention(qkv, g, heads, causal)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("time", [511, 512, 513, 1100])
def test_sequences_of_several_blocks(time, causal, dtype):
    """Against the reference in float64: the wide formula would take minutes."""
    rng = np.random.default_rng(time)
    # The scores grow along the keys, so that the running maximum changes in every block.
    qkv = rng.uniform(-1, 1, (1, time, 15))
    qkv[..., 5:10] *= np.linspace(0.1, 8, time)[:, np.newaxis]
    qkv, g = qkv.astype(dtype), rng.uniform(-1, 1, (1, time, 5)).astype(dtype)
    output = fast.attention(qkv, 1, causal)
    wanted = reference.attention(qkv.astype(float), 1, causal)
    unit = np.finfo(dtype).eps
    # Scores of 5 products up to 18, and sums of up to 1,100 numbers up to 1.
    np.testing.assert_allclose(output, wanted, atol=(5 * 18 + 64) * unit)
    found = fast.attention_grad(g, qkv, output, 1, causal)
    wanted = reference.attention_grad(g.astype(float), qkv.astype(float), wanted, 1, causal)
    allowed = (5 * 18 + 64) * unit * 8 * np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, atol=allowed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("time", [1, 7, 65, 600])
def test_dropout_of_the_weights(time, causal, dtype):
    """Against the reference in float64, with a mask that is not a C array of zeros and ones."""
    rng, width, heads, keep = np.random.default_rng(time), 5, 2, 0.75
    qkv = rng.uniform(-1, 1, (2, time, 3 * heads * width)).astype(dtype)
    g = rng.uniform(-1, 1, (2, time, heads * width)).astype(dtype)
    true = np.array([2], np.uint8).view(bool)
    mask = np.where(rng.random((2, heads, time, time)) < keep, true, False).swapaxes(2, 3)
    options = heads, causal, mask, keep
    output = fast.attention(qkv, *options)
    wanted = reference.attention(qkv.astype(float), *options)
    unit = np.finfo(dtype).eps
    # Scores of 5 products up to 1, and sums of up to 600 numbers whose sum is at most 1 / keep.
    allowed = (5 + 64) * unit / keep
    np.testing.assert_allclose(output, wanted, atol=allowed)
    found = fast.attention_grad(g, qkv, output, *options)
    wanted = reference.attention_grad(g.astype(float), qkv.astype(float), wanted, *options)
    np.testing.assert_allclose(found, wanted, atol=8 * allowed * np.abs(wanted).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits_for_any_number_of_threads(dtype):
    rng = np.random.default_rng(0)
    qkv = rng.standard_normal((5, 150, 3 * 3 * 16)).astype(dtype)
    g = rng.standard_normal((5, 150, 3 * 16)).astype(dtype)
    results = []
    for _ in each_number_of_threads(1, 2, 3, 7):
        output = dlfs_ext.attention(qkv, 3, True)
        results.append((output, dlfs_ext.attention_grad(g, qkv, output, 3, True)))
    for output, grad in results[1:]:
        np.testing.assert_array_equal(output, results[0][0])
        np.testing.assert_array_equal(grad, results[0][1])


def test_large_scores_keep_the_largest_key():
    qkv = np.zeros((1, 3, 3), np.float32)
    qkv[0, :, 0], qkv[0, :, 1], qkv[0, :, 2] = 1e10, [1e10, -1e10, 0], [3, 5, 7]
    np.testing.assert_array_equal(fast.attention(qkv, 1).ravel(), [3, 3, 3])


@pytest.mark.falls_back
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinity_is_found_in_every_column_of_a_head(dtype):
    rng, heads, width = np.random.default_rng(1), 2, 18
    for column in range(width):
        qkv = rng.uniform(-1, 1, (1, 3, 3 * heads * width)).astype(dtype)
        output = reference.attention(qkv, heads)
        g = rng.uniform(-1, 1, output.shape).astype(dtype)
        g[0, 1, column] = np.inf
        arguments = g, qkv, output, heads
        found, counted = fallbacks(lambda args=arguments: fast.attention_grad(*args))
        assert counted == {"attention_grad": 1}
        np.testing.assert_array_equal(found, reference.attention_grad(*arguments))
        qkv[0, 1, 2 * heads * width + column] = np.inf
        found, counted = fallbacks(lambda qkv=qkv: fast.attention(qkv, heads))
        assert counted == {"attention": 1}
        np.testing.assert_array_equal(found, reference.attention(qkv, heads))


LONG = """
import numpy as np, resource
import dlfs_ext

qkv = np.random.default_rng(0).standard_normal((1, 8192, 3)).astype(np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
output = dlfs_ext.attention(qkv, 1)
dlfs_ext.attention_grad(output, qkv, output, 1)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kilobytes on Linux alone")
def test_the_scores_of_a_long_sequence_are_never_all_in_memory():
    """All of them, 8192 x 8192, would take 256 MB."""
    result = subprocess.run(
        [sys.executable, "-c", LONG], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 16_000_000
