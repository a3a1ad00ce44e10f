"""Attention against the definition, query by query, and its gradient with the whole Jacobian."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support.arrays import drawn, dtypes, layouts, seeds, watched

small = st.integers(1, 4)


def weights_of(query: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the softmax of the scores of one query, in float64."""
    scores = [float(query @ key) / math.sqrt(len(query)) for key in keys]
    powers = [math.exp(score - max(scores)) for score in scores]
    return np.array(powers) / sum(powers)


def parts_of(packed: np.ndarray, head: int, heads: int, parts: int) -> list[np.ndarray]:
    """Return queries, keys and values (time, width) of one head of one sequence."""
    features = packed.shape[1] // parts
    width = features // heads
    starts = [part * features + head * width for part in range(parts)]
    return [packed[:, start : start + width].astype(np.float64) for start in starts]


def attend(packed: np.ndarray, heads: int, causal: bool) -> np.ndarray:
    """One sequence, query by query."""
    columns = []
    for head in range(heads):
        q, k, v = parts_of(packed, head, heads, 3)
        seen = [t + 1 if causal else len(q) for t in range(len(q))]
        columns.append([weights_of(q[t], k[:n]) @ v[:n] for t, n in enumerate(seen)])
    return np.concatenate(columns, axis=1)


def gradient(packed: np.ndarray, grad: np.ndarray, heads: int, causal: bool) -> np.ndarray:
    """One sequence, with the Jacobian of each softmax: ``diag(p) - outer(p, p)``."""
    total = np.zeros(packed.shape)
    for head in range(heads):
        q, k, v = parts_of(packed, head, heads, 3)
        (g,) = parts_of(grad, head, heads, 1)
        width, features = q.shape[1], grad.shape[1]
        parts = [
            total[:, start : start + width] for start in range(head * width, 3 * features, features)
        ]
        for t in range(len(q)):
            n = t + 1 if causal else len(q)
            p = weights_of(q[t], k[:n])
            scores_grad = (np.diag(p) - np.outer(p, p)) @ (v[:n] @ g[t]) / math.sqrt(width)
            parts[0][t] += scores_grad @ k[:n]
            parts[1][:n] += np.outer(scores_grad, q[t])
            parts[2][:n] += np.outer(p, g[t])
    return total


@given(small, st.integers(1, 6), small, small, st.booleans(), dtypes, layouts, seeds)
def test_it_is_the_definition(batch, time, heads, width, causal, dtype, layout, seed) -> None:
    rng, features = np.random.default_rng(seed), heads * width
    qkv = drawn(rng, (batch, time, 3 * features), dtype, layout)
    grad = drawn(rng, (batch, time, features), dtype, layout)
    output = watched(kernels.attention, qkv, heads, causal)
    # Sums of `width` and of `time` numbers, none above 10; a score's error grows with its size.
    allowed = 400 * (width + time) * float(np.finfo(dtype).eps)
    wanted = np.stack([attend(one, heads, causal) for one in qkv])
    assert output.shape == (batch, time, features)
    assert np.abs(output - wanted).max() <= allowed
    found = watched(kernels.attention_grad, grad, qkv, output, heads, causal)
    wanted = np.stack([gradient(*pair, heads, causal) for pair in zip(qkv, grad, strict=True)])
    assert found.shape == qkv.shape
    assert np.abs(found - wanted).max() <= 10 * time * allowed


@pytest.mark.parametrize("causal", [False, True])
def test_the_weights_of_equal_keys_are_equal(causal: bool) -> None:
    qkv = np.zeros((1, 3, 3))
    qkv[0, :, 2] = [3.0, 5.0, 10.0]
    wanted = [3.0, 4.0, 6.0] if causal else [6.0, 6.0, 6.0]
    np.testing.assert_allclose(kernels.attention(qkv, 1, causal).ravel(), wanted, rtol=1e-15)


def test_scores_beyond_the_range_of_exp_do_not_overflow() -> None:
    qkv = np.array([[[1e3, 1e3, 1.0], [1e3, -1e3, 2.0]]])
    np.testing.assert_array_equal(kernels.attention(qkv, 1).ravel(), [1.0, 1.0])


def test_a_causal_output_does_not_depend_on_what_comes_later() -> None:
    rng = np.random.default_rng(0)
    qkv = rng.standard_normal((2, 7, 12))
    whole = kernels.attention(qkv, 2, causal=True)
    np.testing.assert_allclose(kernels.attention(qkv[:, :4], 2, True), whole[:, :4], rtol=1e-13)
    grad = rng.standard_normal((2, 7, 4))
    grad[:, 4:] = 0
    found = kernels.attention_grad(grad, qkv, whole, 2, True)
    assert not found[:, 4:].any()


@pytest.mark.parametrize("shape", [(0, 3, 6), (2, 0, 6)])
def test_nothing_gives_nothing(shape: tuple[int, ...]) -> None:
    qkv, output = np.zeros(shape), np.zeros((*shape[:2], 2))
    assert kernels.attention(qkv, 2).shape == output.shape
    assert kernels.attention_grad(output, qkv, output, 2).shape == shape
