"""Students' causal attentions, blocks and embeddings."""

import numpy as np

from dlfs.base import Operation, ParamOperation
from tests.mutants.students.catalogue import correct, student
from tests.mutants.students.softmaxes import softmax


@correct(x=(4, 9))
class PackedAttention(Operation):
    """Queries, keys and values side by side; a position sees itself and those before it."""

    def _output(self):
        self.q, self.k, self.v = np.split(self.input_, 3, axis=1)
        self.root = np.sqrt(self.q.shape[1])
        scores = self.q @ self.k.T / self.root
        self.seen = np.tri(len(scores), dtype=bool)
        self.p = softmax(np.where(self.seen, scores, -np.inf))
        return self.p @ self.v

    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True)) / self.root
        v_grad = self.p.T @ output_grad
        return np.concatenate([s_grad @ self.k, s_grad.T @ self.q, v_grad], axis=1)


@student("packed attention: scale forgotten", "factor", "constant_factor", "size_factor")
class PackedWithoutScale(PackedAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True))
        v_grad = self.p.T @ output_grad
        return np.concatenate([s_grad @ self.k, s_grad.T @ self.q, v_grad], axis=1)


@student("packed attention: scaled twice", "factor", "constant_factor", "other_power")
class PackedScaledTwice(PackedAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True)) / self.root
        q_grad, k_grad = s_grad @ self.k / self.root, s_grad.T @ self.q / self.root
        return np.concatenate([q_grad, k_grad, self.p.T @ output_grad], axis=1)


@student("packed attention: masked after the softmax in forward", "mask_after_softmax")
class PackedMaskedLate(PackedAttention):
    """The gradient is that of a mask before the softmax."""

    def _output(self):
        self.q, self.k, self.v = np.split(self.input_, 3, axis=1)
        self.root = np.sqrt(self.q.shape[1])
        self.seen = np.tri(len(self.q))
        self.p = softmax(self.q @ self.k.T / self.root) * self.seen
        return self.p @ self.v


@student("packed attention: the softmax's sum over the queries", "other_axis")
class PackedOtherAxis(PackedAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=0, keepdims=True)) / self.root
        v_grad = self.p.T @ output_grad
        return np.concatenate([s_grad @ self.k, s_grad.T @ self.q, v_grad], axis=1)


@student("packed attention: the keys' gradient not transposed", "transposed")
class PackedKeysNotTransposed(PackedAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True)) / self.root
        v_grad = self.p.T @ output_grad
        return np.concatenate([s_grad @ self.k, s_grad @ self.q, v_grad], axis=1)


@student("packed attention: values where keys belong", "other_array")
class PackedValuesForKeys(PackedAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True)) / self.root
        v_grad = self.p.T @ output_grad
        return np.concatenate([s_grad @ self.v, s_grad.T @ self.q, v_grad], axis=1)


@correct(x=(3, 4), param=(4, 4))
class NormFirst(ParamOperation):
    """A block with the normalization first: x + norm(x) @ W."""

    def _output(self):
        x = self.input_
        self.std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        self.normal = (x - x.mean(axis=1, keepdims=True)) / self.std
        return x + self.normal @ self.param

    def _input_grad(self, output_grad):
        g = output_grad @ self.param.T
        along = (g * self.normal).mean(axis=1, keepdims=True)
        inside = (g - g.mean(axis=1, keepdims=True) - self.normal * along) / self.std
        return output_grad + inside

    def _param_grad(self, output_grad):
        return self.normal.T @ output_grad


@student("norm first: the gradient past the block dropped", "held_constant", "term_missing")
class NormFirstDropped(NormFirst):
    def _input_grad(self, output_grad):
        g = output_grad @ self.param.T
        along = (g * self.normal).mean(axis=1, keepdims=True)
        return (g - g.mean(axis=1, keepdims=True) - self.normal * along) / self.std


@student("norm first: mean's term missing", "held_constant", "term_missing")
class NormFirstWithoutMean(NormFirst):
    def _input_grad(self, output_grad):
        g = output_grad @ self.param.T
        along = (g * self.normal).mean(axis=1, keepdims=True)
        return output_grad + (g - self.normal * along) / self.std


@student("norm first: projection missing", "held_constant", "term_missing")
class NormFirstWithoutProjection(NormFirst):
    def _input_grad(self, output_grad):
        g = output_grad @ self.param.T
        return output_grad + (g - g.mean(axis=1, keepdims=True)) / self.std


@student("norm first: the weights' gradient with the input", "other_array")
class NormFirstOfInput(NormFirst):
    def _param_grad(self, output_grad):
        return self.input_.T @ output_grad


@correct(x=(5, 3), param=(4, 3))
class WordTable(ParamOperation):
    """Add the rows of a table; two rows of it come twice."""

    words = np.array([2, 0, 2, 3, 0])

    def _output(self):
        return self.input_ * self.param[self.words]

    def _input_grad(self, output_grad):
        return output_grad * self.param[self.words]

    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        np.add.at(grad, self.words, output_grad * self.input_)
        return grad


@student("word table: += with repeated rows", "overwritten")
class WordTableOverwritten(WordTable):
    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        grad[self.words] += output_grad * self.input_
        return grad
