"""Attention: every position of a sequence takes a weighted mean of the values of all positions.

Each position has a query, a key and a value. The scores of a query are its products with all keys,
over ``sqrt(width)``; their softmax gives the weights, with which the values are averaged. Several
heads do this side by side, each with its own part of the features.

Queries, keys and values come packed in one array: ``qkv[..., :features]`` are the queries, then
come the keys, then the values; within each, the heads lie one after the other, ``width = features /
heads`` numbers each. With ``causal`` a position sees itself and those before it, none behind it.

With a ``mask`` of bool (batch, heads, queries, keys) the weights are dropped out: multiplied by
``mask / keep_prob`` after the softmax.

This is the plain formula, which stores all weights. The compiled kernel stores a block of them.

Vaswani et al., "Attention is all you need", 2017.
"""

import math

import numpy as np

from dlfs.checks import check_flag, check_int
from dlfs.named_axes import check_arrays
from dlfs.reference.dropout import check_keep_prob, check_mask, kept
from dlfs.reference.kernel import kernel
from dlfs.types import Array

PACKED = "batch time 3*features"


@kernel()
def attention(
    qkv: Array, heads: int, causal: bool = False, mask: Array | None = None, keep_prob: float = 1.0
) -> Array:
    """Average values by ``softmax(Q @ K.T / sqrt(width)) @ V``, each head on its own.

    qkv (batch, time, 3 * features), mask (batch, heads, time, time) or None
    -> (batch, time, features)

    >>> qkv = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 4.0]]])
    >>> attention(qkv, heads=1).ravel(), attention(qkv, heads=1, causal=True).ravel()
    (array([3., 3.]), array([2., 3.]))
    """
    check_attention("attention", qkv, heads, causal, mask, keep_prob)
    q, k, v = _heads(qkv, heads, 3)
    weights = _weights(q, k, causal)
    if mask is not None:
        weights = weights * _factors(mask, keep_prob, q)
    return _features(weights @ v)


@kernel()
def attention_grad(
    output_grad: Array,
    qkv: Array,
    output: Array,
    heads: int,
    causal: bool = False,
    mask: Array | None = None,
    keep_prob: float = 1.0,
) -> Array:
    """Gradient of ``attention`` with respect to queries, keys and values, packed as they are.

    output_grad, output (batch, time, features), qkv (batch, time, 3 * features),
    mask (batch, heads, time, time) or None -> qkv_grad (batch, time, 3 * features)

    For weights P, scores S and ``scale = 1 / sqrt(width)``, with G the output_grad:

        V_grad = P.T @ G          P_grad = G @ V.T          S_grad = P * (P_grad - sum(G * output))
        Q_grad = scale * S_grad @ K          K_grad = scale * S_grad.T @ Q

    The sum is over a head's features. It equals the sum of ``P * P_grad`` over the keys, which the
    gradient of the softmax needs. With ``M = mask / keep_prob``, V_grad is ``(P * M).T @ G``, and
    P_grad is multiplied by M; the sum stays the same.

    >>> qkv = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 4.0]]])
    >>> output = attention(qkv, heads=1)
    >>> attention_grad(np.ones((1, 2, 1)), qkv, output, heads=1)
    array([[[0., 0., 1.],
            [0., 0., 1.]]])
    """
    owner = "attention_grad"
    check_attention(owner, qkv, heads, causal, mask, keep_prob)
    axes = ("batch", "time", qkv.shape[2] // 3)
    check_arrays(owner, qkv=(qkv, PACKED), output=(output, axes), output_grad=(output_grad, axes))
    q, k, v = _heads(qkv, heads, 3)
    (g,), (o,) = _heads(output_grad, heads, 1), _heads(output, heads, 1)
    weights = _weights(q, k, causal)
    weights_grad, dropped = g @ v.swapaxes(2, 3), weights
    if mask is not None:
        factors = _factors(mask, keep_prob, q)
        weights_grad, dropped = weights_grad * factors, weights * factors
    scores_grad = weights * (weights_grad - (g * o).sum(axis=3, keepdims=True))
    scale = _scale(q)
    parts = (
        scale * (scores_grad @ k),
        scale * (scores_grad.swapaxes(2, 3) @ q),
        dropped.swapaxes(2, 3) @ g,
    )
    return np.concatenate([_features(part) for part in parts], axis=2)


def check_attention(
    owner: str, qkv: Array, heads: int, causal: bool, mask: Array | None, keep_prob: float
) -> None:
    """Check the packed array, that the heads divide it, and the mask of the weights."""
    check_arrays(owner, qkv=(qkv, PACKED))
    heads = check_int(heads, owner, "heads", 1)
    check_flag(causal, owner, "causal")
    packed = qkv.shape[2]
    if packed == 0 or packed % (3 * heads) != 0:
        raise ValueError(
            f"{owner}: the last axis of qkv must be a multiple of 3 * heads ({3 * heads}), "
            f"got {packed}"
        )
    check_keep_prob(owner, keep_prob)
    if mask is not None:
        batch, time, _ = qkv.shape
        check_mask(owner, mask, (batch, heads, time, time))


def _heads(packed: Array, heads: int, parts: int) -> Array:
    """Return (parts, batch, heads, time, width) for (batch, time, parts * features)."""
    batch, time, features = packed.shape
    split = packed.reshape(batch, time, parts, heads, features // (parts * heads))
    return split.transpose(2, 0, 3, 1, 4)


def _features(split: Array) -> Array:
    """Return (batch, time, features) for (batch, heads, time, width)."""
    batch, heads, time, width = split.shape
    return split.transpose(0, 2, 1, 3).reshape(batch, time, heads * width)


def _factors(mask: Array, keep_prob: float, like: Array) -> Array:
    """Return ``mask / keep_prob``, in the dtype of the weights."""
    return np.where(kept(mask), 1 / keep_prob, 0.0).astype(like.dtype)


def _scale(q: Array) -> float:
    return 1 / math.sqrt(q.shape[-1])


def _weights(q: Array, k: Array, causal: bool) -> Array:
    """Return the weights (batch, heads, queries, keys); the sum over the keys is 1."""
    scores = _scale(q) * (q @ k.swapaxes(2, 3))
    if causal:
        seen = np.tri(scores.shape[2], dtype=bool)
        scores = np.where(seen, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=3, keepdims=True, initial=-np.inf))
    weights: Array = powers / powers.sum(axis=3, keepdims=True)
    return weights
