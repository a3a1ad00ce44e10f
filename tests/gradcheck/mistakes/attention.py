"""Attention that is masked or scaled at another place."""

from typing import Any

import numpy as np
from scipy import special

from tests.gradcheck.mistakes.making import normal, operation
from tests.mutants import attention

QKV = normal(1, 3, 18)
MISTAKES: dict[str, tuple[Any, ...]] = {
    f"attention{', causal' if causal else ''}: {kind.__name__}": (
        kind(heads=2, causal=causal, dropout=dropout, seed=0),
        QKV,
    )
    for kind, causal, dropout in (
        (attention.AttentionScaleForgotten, False, 1.0),
        (attention.AttentionScaleForgotten, True, 0.7),
        (attention.AttentionScaledTwice, True, 1.0),
        (attention.AttentionScaledByFeatures, True, 0.7),
        (attention.AttentionMaskedAfterSoftmax, True, 0.7),
        (attention.AttentionNotMasked, True, 1.0),
        (attention.AttentionDropoutForgotten, False, 0.7),
        (attention.AttentionOverQueries, False, 1.0),
        (attention.AttentionOverQueries, True, 1.0),
        (attention.AttentionOverHeads, False, 0.7),
        (attention.AttentionOverHeads, True, 1.0),
        (attention.AttentionScoresNotScaled, True, 1.0),
        (attention.AttentionDiagonalOnly, True, 0.7),
        (attention.AttentionWeightsConstant, True, 0.7),
        (attention.AttentionQueriesAndKeysSwapped, True, 0.7),
        (attention.AttentionKeysNotTransposed, False, 0.7),
        (attention.AttentionValuesNotTransposed, True, 0.7),
    )
}


class OverQueriesNotMasked(attention.AttentionOverQueries):
    """The softmax over the queries, of scores that are not masked."""

    def _weights(self, q, k):
        return special.softmax(self._scores(q, k), 2)


def masked_late(x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    q, k, v = np.split(x, 3, axis=-1)
    scores = scale * q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    return (special.softmax(scores, -1) * np.tri(x.shape[-2])) @ v


def masked_early_grad(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the gradient of weights that are 0 for later positions, as if they had sum 1."""
    q, k, v = np.split(x, 3, axis=-1)
    root = np.sqrt(q.shape[-1])
    p = special.softmax(q @ k.swapaxes(-1, -2) / root, -1) * np.tri(x.shape[-2])
    p_grad = g @ v.swapaxes(-1, -2)
    s_grad = p * (p_grad - (p * p_grad).sum(-1, keepdims=True)) / root
    parts = s_grad @ k, s_grad.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g
    return np.concatenate(parts, axis=-1)


MISTAKES |= {
    "attention, causal: the queries' softmax without a mask": (
        OverQueriesNotMasked(heads=2, causal=True),
        QKV,
    ),
    "one head, masked after the softmax": (operation(masked_late, masked_early_grad), QKV[0]),
    "heads in a batch, masked after the softmax": (operation(masked_late, masked_early_grad), QKV),
    "one head of other scores, masked after the softmax": (
        operation(lambda x: masked_late(x, 1.01), masked_early_grad),
        QKV[0],
    ),
}
