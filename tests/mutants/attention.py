"""Mistakes in attention, and in the layers around it."""

import numpy as np

from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.embedding import Embedding_Op, PositionAdd, TableMultiply
from dlfs.layers import Residual
from dlfs.layers.blocks import LayerBlock
from dlfs.normalization import GroupNorm_Op, LayerNorm_Op, RMSNorm_Op
from tests.mutants.catalogue import mutant


class _Written(Attention_Op):
    """Attention backward step by step, each of which a mutant replaces."""

    def _input_grad(self, output_grad):
        batch, time, packed = self.input_.shape
        q, k, v = self._by_heads(self.input_, 3)
        (g,) = self._by_heads(output_grad, 1)
        p, m = self._weights(q, k), self._factors()
        parts = (*self._of_scores(self._scores_grad(p, g @ v.swapaxes(2, 3) * m), q, k),
                 self._of_values(p * m, g))  # fmt: skip
        kept = [part.transpose(0, 2, 1, 3).reshape(batch, time, packed // 3) for part in parts]
        return np.concatenate(kept, axis=2).astype(output_grad.dtype)

    def _factors(self):
        return 1.0 if self.mask is None else self.mask / self.dropout

    def _by_heads(self, packed, parts):
        batch, time, features = packed.shape
        split = packed.reshape(batch, time, parts, self.heads, features // (parts * self.heads))
        return split.transpose(2, 0, 3, 1, 4)

    def _scale(self, q):
        return 1 / np.sqrt(q.shape[3])

    def _scores(self, q, k):
        return q @ k.swapaxes(2, 3) / np.sqrt(q.shape[3])

    def _weights(self, q, k):
        scores = self._scores(q, k)
        if self.causal:
            scores = np.where(np.tri(scores.shape[2], dtype=bool), scores, -np.inf)
        return self._softmax(scores, 3)

    def _softmax(self, scores, axis):
        powers = np.exp(scores - scores.max(axis=axis, keepdims=True, initial=-1e9))
        return powers / powers.sum(axis=axis, keepdims=True)

    def _scores_grad(self, p, p_grad):
        return p * (p_grad - (p * p_grad).sum(axis=3, keepdims=True))

    def _of_scores(self, s_grad, q, k):
        return self._scale(q) * (s_grad @ k), self._scale(q) * (s_grad.swapaxes(2, 3) @ q)

    def _of_values(self, p, g):
        return p.swapaxes(2, 3) @ g


@mutant("attention: scale forgotten in backward", "scale_forgotten")
class AttentionScaleForgotten(_Written):
    def _scale(self, q):
        return 1.0


@mutant("attention: scaled twice in backward", "scale_doubled")
class AttentionScaledTwice(_Written):
    def _scale(self, q):
        return 1 / q.shape[3]


@mutant("attention: scaled by all features, not by those of a head", "scale_of_features")
class AttentionScaledByFeatures(_Written):
    def _scale(self, q):
        return 1 / np.sqrt(q.shape[3] * self.heads)


@mutant("attention: mask after the softmax", "mask_after_softmax")
class AttentionMaskedAfterSoftmax(_Written):
    def _weights(self, q, k):
        p = self._softmax(self._scores(q, k), 3)
        return np.tril(p) if self.causal else p


@mutant("attention: no mask in backward", "mask_forgotten")
class AttentionNotMasked(_Written):
    def _weights(self, q, k):
        return self._softmax(self._scores(q, k), 3)


@mutant("attention: no dropout of the weights in backward", "dropout_forgotten")
class AttentionDropoutForgotten(_Written):
    def _factors(self):
        return 1.0


@mutant("attention: softmax over the queries", "softmax_axis")
class AttentionOverQueries(_Written):
    def _weights(self, q, k):
        return self._softmax(self._scores(q, k), 2)


@mutant("attention: softmax over the heads", "softmax_axis")
class AttentionOverHeads(_Written):
    def _weights(self, q, k):
        return self._softmax(self._scores(q, k), 1)


@mutant("attention: scores of the weights without 1/sqrt(width)", "scale_missing")
class AttentionScoresNotScaled(_Written):
    def _scores(self, q, k):
        return q @ k.swapaxes(2, 3)


@mutant("attention: only the diagonal of the softmax's Jacobian", "diagonal_only")
class AttentionDiagonalOnly(_Written):
    def _scores_grad(self, p, p_grad):
        return p * (1 - p) * p_grad


@mutant("attention: the softmax's sum over the queries", "other_axis")
class AttentionSumOverQueries(_Written):
    def _scores_grad(self, p, p_grad):
        return p * (p_grad - (p * p_grad).sum(axis=2, keepdims=True))


@mutant("attention: gradient of the keys not transposed", "transposed")
class AttentionKeysNotTransposed(_Written):
    def _of_scores(self, s_grad, q, k):
        return self._scale(q) * (s_grad @ k), self._scale(q) * (s_grad @ q)


@mutant("attention: gradients of queries and keys swapped", "other_order")
class AttentionQueriesAndKeysSwapped(_Written):
    def _of_scores(self, s_grad, q, k):
        return tuple(reversed(super()._of_scores(s_grad, q, k)))


@mutant("attention: weights not transposed for the values", "transposed")
class AttentionValuesNotTransposed(_Written):
    def _of_values(self, p, g):
        return p @ g


@mutant("attention: the weights held constant", "held_constant")
class AttentionWeightsConstant(_Written):
    def _scores_grad(self, p, p_grad):
        return np.zeros_like(p)


@mutant("rotary positions: turned on, not back", "other_number", "sign")
class RotaryNotBack(RotaryPositions):
    def _input_grad(self, output_grad):
        return self._turned(output_grad, 1)


@mutant("rotary positions: gradient passed through", "derivative_forgotten")
class RotaryForgotten(RotaryPositions):
    def _input_grad(self, output_grad):
        return output_grad


@mutant("RMS norm: projection term missing", "statistics")
class RMSNormConstant(RMSNorm_Op):
    def _input_grad(self, output_grad):
        return output_grad * self._inv_rms


@mutant("RMS norm: the layer norm's gradient, with its mean", "statistics", "term_too_many")
class RMSNormWithMean(RMSNorm_Op):
    def _input_grad(self, output_grad):
        right = super()._input_grad(output_grad)
        return right - output_grad.mean(axis=-1, keepdims=True) * self._inv_rms


@mutant("layer norm: projection term missing", "statistics")
class LayerNormWithoutProjection(LayerNorm_Op):
    def _input_grad(self, output_grad):
        mean = output_grad.mean(axis=-1, keepdims=True)
        return (output_grad - mean) * self._inv_std


@mutant("group norm: mean term missing", "statistics")
class GroupNormWithoutMean(GroupNorm_Op):
    def _input_grad(self, output_grad):
        g, y = self._grouped(output_grad), self._grouped(self.output)
        grad = g - y * (g * y).mean(axis=-1, keepdims=True)
        return (grad * self._inv_std).reshape(output_grad.shape)


@mutant("group norm: projection term missing", "statistics")
class GroupNormWithoutProjection(GroupNorm_Op):
    def _input_grad(self, output_grad):
        g = self._grouped(output_grad)
        grad = g - g.mean(axis=-1, keepdims=True)
        return (grad * self._inv_std).reshape(output_grad.shape)


@mutant("residual: the gradient past the block dropped", "chain", "term_missing")
class ResidualPathDropped(Residual):
    def backward(self, output_grad, input_grad=True):
        return LayerBlock.backward(self, output_grad, input_grad)


@mutant("residual: the block's gradient dropped", "chain", "term_missing")
class ResidualBlockDropped(Residual):
    def backward(self, output_grad, input_grad=True):
        super().backward(output_grad, input_grad)
        return output_grad if input_grad else None


@mutant("positions: gradient averaged over the batch", "batch_factor")
class PositionsAveraged(PositionAdd):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad) / output_grad.dtype.type(max(len(output_grad), 1))


@mutant("positions: gradient of the last sequence only", "not_summed")
class PositionsOfLastSequence(PositionAdd):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad[-1:])


@mutant("positions: all steps add to the first row")
class PositionsInFirstRow(PositionAdd):
    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        grad[0] = output_grad.sum(axis=(0, 1))
        return grad


@mutant("embedding: a row that repeats gets the mean of its gradients", "repeated_rows")
class EmbeddingMean(Embedding_Op):
    def _param_grad(self, output_grad):
        counts = np.bincount(self.input_.ravel(), minlength=len(self.param))
        return super()._param_grad(output_grad) / np.maximum(counts, 1)[:, np.newaxis].astype(
            output_grad.dtype
        )


@mutant("embedding: a row that repeats keeps its first gradient", "overwritten")
class EmbeddingKeepsFirst(Embedding_Op):
    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        rows = self.input_.ravel()[::-1]
        grad[rows] = output_grad.reshape(-1, self.param.shape[1])[::-1]
        return grad


@mutant("tied head: gradient of the table transposed (square tables)", "transposed")
class TiedTableTransposed(TableMultiply):
    def _param_grad(self, output_grad):
        right = super()._param_grad(output_grad)
        return right.T.copy() if right.shape[0] == right.shape[1] else right
