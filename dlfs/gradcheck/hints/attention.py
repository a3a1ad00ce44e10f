"""Attention: the scale, the mask, the axis of the softmax, and its gradient."""

import copy
import math
from collections.abc import Iterator

import numpy as np

from dlfs.attention import Attention_Op
from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.types import Array


def attention(evidence: Evidence) -> Iterator[Hint]:
    """Try the classic mistakes of an Attention_Op, one at a time."""
    target = evidence.subject.target
    if not evidence.is_input:
        return
    if not isinstance(target, Attention_Op):
        yield from _masked_late(evidence)
        return
    factors = 1.0 if target.mask is None else target.mask / target.dropout
    steps = _Steps(evidence.x, evidence.output_grad, target.heads, target.causal, factors)
    for kind, message, gradient in _mistakes(steps):
        if evidence.explains(gradient):
            yield evidence.hint(kind, message)
            return


def _masked_late(evidence: Evidence) -> Iterator[Hint]:
    """Look at any Operation that gives what one causal head gives if it is masked too late."""
    x, output = evidence.x, evidence.output
    if not isinstance(x, np.ndarray) or x.ndim not in (2, 3) or not output.size:
        return
    if x.shape != (*output.shape[:-1], 3 * output.shape[-1]):
        return
    grad = evidence.output_grad.reshape(-1, *output.shape[-2:])
    steps = _Steps(x.reshape(-1, *x.shape[-2:]), grad, 1, True)
    late = np.where(steps.seen, steps.softmax(steps.scale * steps.products), 0.0)
    if not np.allclose((late @ steps.v).reshape(output.shape), output, rtol=1e-6, atol=1e-9):
        return
    if evidence.explains(steps.gradient(late).reshape(x.shape)):
        yield evidence.hint(
            "mask_after_softmax",
            "forward masks after the softmax, and backward belongs to a mask before it. Set the "
            "scores of later positions to -inf before the softmax: then the weights of each row "
            "sum to 1, and backward is right.",
        )


class _Steps:
    """Queries, keys, values and output gradient (batch, heads, time, width), and what follows.

    With dropout, the weights are multiplied by ``factors``, the mask over the probability.
    """

    def __init__(
        self,
        qkv: Array,
        output_grad: Array,
        heads: int,
        causal: bool,
        factors: Array | float = 1.0,
    ) -> None:
        batch, time, packed = qkv.shape
        shape = (batch, time, 3, heads, packed // (3 * heads))
        self.q, self.k, self.v = qkv.reshape(shape).transpose(2, 0, 3, 1, 4)
        self.g = output_grad.reshape(batch, time, heads, shape[4]).swapaxes(1, 2)
        self.scale = 1 / math.sqrt(shape[4])
        self.seen = np.tri(time, dtype=bool) if causal else np.ones((time, time), dtype=bool)
        self.heads, self.causal, self.factors = heads, causal, factors
        self.products = self.q @ self.k.swapaxes(2, 3)
        self.p = self.softmax(np.where(self.seen, self.scale * self.products, -np.inf))

    def softmax(self, scores: Array, axis: int = 3) -> Array:
        powers = np.exp(scores - scores.max(axis=axis, keepdims=True, initial=-1e300))
        weights: Array = powers / powers.sum(axis=axis, keepdims=True)
        return weights

    def p_grad(self) -> Array:
        """Return the gradient of the weights."""
        grad: Array = self.g @ self.v.swapaxes(2, 3) * self.factors
        return grad

    def of_scores(self, p: Array) -> Array:
        """Return the gradient of the scores, for weights p."""
        p_grad = self.p_grad()
        grad: Array = p * (p_grad - np.sum(p * p_grad, axis=3, keepdims=True))
        return grad

    def packed(self, q_grad: Array, k_grad: Array, v_grad: Array) -> Array:
        """Put three gradients side by side, as the input is."""
        parts = np.stack([q_grad, k_grad, v_grad]).transpose(1, 3, 0, 2, 4)
        return parts.reshape(*parts.shape[:2], -1)

    def gradient(
        self, p: Array | None = None, scale: float | None = None, s_grad: Array | None = None
    ) -> Array:
        """Return the gradient with other weights, another scale or gradient of the scores."""
        p = self.p if p is None else p
        s_grad = self.of_scores(p) if s_grad is None else s_grad
        s_grad = (self.scale if scale is None else scale) * s_grad
        return self.packed(
            *(s_grad @ self.k, s_grad.swapaxes(2, 3) @ self.q),
            (p * self.factors).swapaxes(2, 3) @ self.g,
        )


def _mistakes(steps: _Steps) -> Iterator[tuple[str, str, Array]]:
    """Iterate over mistakes: kind, message, and the gradient that each gives."""
    width = steps.q.shape[3]
    lacks = "the gradients of queries and keys"
    yield (
        "scale_forgotten",
        (
            f"{lacks} lack the factor 1/sqrt(width): the scores are divided by sqrt({width}), so "
            "their gradient must be divided by it too, once."
        ),
        steps.gradient(scale=1.0),
    )
    yield (
        "scale_doubled",
        (
            f"{lacks} have the factor 1/sqrt(width) twice: divide by sqrt({width}) once, at the "
            "scores' gradient or at these two."
        ),
        steps.gradient(scale=steps.scale**2),
    )
    yield (
        "scale_of_features",
        (
            f"it is scaled by all features; each head has its own {width}, and forward divides its "
            f"scores by sqrt({width})."
        ),
        steps.gradient(scale=steps.scale / math.sqrt(steps.heads)),
    )
    if steps.causal:
        everywhere = steps.softmax(steps.scale * steps.products)
        yield (
            "mask_after_softmax",
            (
                "its weights were masked after the softmax: their rows do not sum to 1. Set the "
                "scores of later positions to -inf before the softmax."
            ),
            steps.gradient(np.where(steps.seen, everywhere, 0.0)),
        )
        yield (
            "mask_forgotten",
            (
                "its weights were not masked: backward must use the weights of forward, which are "
                "0 for later positions."
            ),
            steps.gradient(everywhere),
        )
    if isinstance(steps.factors, np.ndarray):
        undropped = copy.copy(steps)
        undropped.factors = 1.0
        yield (
            "dropout_forgotten",
            (
                "the dropout of its weights was not applied: backward must multiply the weights, "
                "and the gradient that arrives at them, by the mask of forward over the "
                "probability."
            ),
            undropped.gradient(),
        )
    plain = steps.scale * steps.products
    for scores in (np.where(steps.seen, plain, -np.inf), plain):
        for axis, what in ((2, "queries"), (1, "heads")):
            yield (
                "softmax_axis",
                (
                    f"its weights are a softmax over the {what}: for each query, the weights of "
                    "the keys (the last axis) must sum to 1."
                ),
                steps.gradient(steps.softmax(scores, axis)),
            )
    yield (
        "scale_missing",
        f"its weights were computed from scores that are not divided by sqrt({width}).",
        steps.gradient(steps.softmax(np.where(steps.seen, steps.products, -np.inf))),
    )
    p_grad = steps.p_grad()
    yield (
        "diagonal_only",
        (
            "it has only the diagonal of the softmax's Jacobian, p * (1 - p): each weight depends "
            "on all scores of its row. With the row's sum it is p * (p_grad - sum(p * p_grad))."
        ),
        steps.gradient(s_grad=steps.p * (1 - steps.p) * p_grad),
    )
    yield (
        "held_constant",
        "the weights are held constant: they depend on queries and keys, through the softmax.",
        steps.gradient(s_grad=np.zeros_like(p_grad)),
    )
    s_grad = steps.scale * steps.of_scores(steps.p)
    q_grad, k_grad = s_grad @ steps.k, s_grad.swapaxes(2, 3) @ steps.q
    dropped = steps.p * steps.factors
    v_grad = dropped.swapaxes(2, 3) @ steps.g
    yield (
        "other_order",
        "the gradients of queries and keys are exchanged.",
        steps.packed(k_grad, q_grad, v_grad),
    )
    yield (
        "transposed",
        "the keys' gradient lacks a transpose: it is the scores' gradient, transposed, @ queries.",
        steps.packed(q_grad, s_grad @ steps.q, v_grad),
    )
    yield (
        "transposed",
        "the values' gradient lacks a transpose: it is the weights, transposed, @ output_grad.",
        steps.packed(q_grad, k_grad, dropped @ steps.g),
    )
