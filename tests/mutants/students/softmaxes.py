"""Students' softmaxes and attentions."""

import numpy as np

from dlfs.base import Operation, ParamOperation
from tests.mutants.students.catalogue import correct, student


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@correct(x=(3, 3))
class RowSoftmax(Operation):
    def _output(self):
        return softmax(self.input_, axis=1)

    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - np.sum(output_grad * p, axis=1, keepdims=True))


@student("softmax: sum over the other axis of a square array", "other_axis")
class RowSoftmaxOtherAxis(RowSoftmax):
    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - np.sum(output_grad * p, axis=0, keepdims=True))


@student("softmax: sum without keepdims on a square array", "axis_dropped")
class RowSoftmaxNoKeepdims(RowSoftmax):
    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - np.sum(output_grad * p, axis=1))


@student("softmax: the sum without the probabilities", "factor", "term_missing")
class RowSoftmaxPlainSum(RowSoftmax):
    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - np.sum(output_grad, axis=1, keepdims=True))


@correct(x=(4, 5))
class LogSoftmax(Operation):
    def _output(self):
        x = self.input_
        return x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))

    def _input_grad(self, output_grad):
        return output_grad - np.exp(self.output) * output_grad.sum(axis=1, keepdims=True)


@student(
    "log-softmax: the logarithm of the sum held constant", "held_constant", "derivative_forgotten"
)
class LogSoftmaxConstant(LogSoftmax):
    def _input_grad(self, output_grad):
        return output_grad


@student("log-softmax: exp of the input for exp of the output", "wrong_point", "other_array")
class LogSoftmaxOfInput(LogSoftmax):
    def _input_grad(self, output_grad):
        return output_grad - np.exp(self.input_) * output_grad.sum(axis=1, keepdims=True)


@student(
    "log-softmax: the output gradient where its sum belongs",
    "other_function",
    "diagonal_only",
    "other_array",
)
class LogSoftmaxNoSum(LogSoftmax):
    def _input_grad(self, output_grad):
        return output_grad - np.exp(self.output) * output_grad


@correct(x=(4, 5), param=(5, 4))
class Attention(ParamOperation):
    """Queries are x times the parameter; keys and values are x."""

    def _output(self):
        x = self.input_
        self.q = x @ self.param
        self.k = x[:, :4]
        self.p = softmax(self.q @ self.k.T / np.sqrt(self.q.shape[1]))
        return self.p @ x

    def _scores_grad(self, output_grad):
        p_grad = output_grad @ self.input_.T
        s_grad = self.p * (p_grad - np.sum(p_grad * self.p, axis=-1, keepdims=True))
        return s_grad / np.sqrt(self.q.shape[1])

    def _input_grad(self, output_grad):
        s_grad = self._scores_grad(output_grad)
        grad = self.p.T @ output_grad + s_grad @ self.k @ self.param.T
        grad[:, :4] += s_grad.T @ self.q
        return grad

    def _param_grad(self, output_grad):
        return self.input_.T @ (self._scores_grad(output_grad) @ self.k)


@student(
    "attention: 1/sqrt(d) missing from the weights' gradient",
    "factor",
    "constant_factor",
    "size_factor",
)
class AttentionWithoutRoot(Attention):
    def _param_grad(self, output_grad):
        p_grad = output_grad @ self.input_.T
        s_grad = self.p * (p_grad - np.sum(p_grad * self.p, axis=-1, keepdims=True))
        return self.input_.T @ (s_grad @ self.k)


@student(
    "attention: 1/sqrt(d) missing throughout backward", "factor", "constant_factor", "size_factor"
)
class AttentionWithoutRootAnywhere(Attention):
    def _scores_grad(self, output_grad):
        p_grad = output_grad @ self.input_.T
        return self.p * (p_grad - np.sum(p_grad * self.p, axis=-1, keepdims=True))


@student("attention: the keys held constant", "held_constant", "term_missing")
class AttentionKeysConstant(Attention):
    def _input_grad(self, output_grad):
        s_grad = self._scores_grad(output_grad)
        return self.p.T @ output_grad + s_grad @ self.k @ self.param.T


@student("attention: the weights of the mean held constant", "held_constant")
class AttentionWeightsConstant(Attention):
    def _input_grad(self, output_grad):
        return self.p.T @ output_grad


@student("attention: softmax over the queries in backward", "other_axis")
class AttentionOtherAxis(Attention):
    def _scores_grad(self, output_grad):
        p_grad = output_grad @ self.input_.T
        s_grad = self.p * (p_grad - np.sum(p_grad * self.p, axis=0, keepdims=True))
        return s_grad / np.sqrt(self.q.shape[1])


@student("attention: the weights not transposed for the values", "transposed")
class AttentionNotTransposed(Attention):
    def _input_grad(self, output_grad):
        s_grad = self._scores_grad(output_grad)
        grad = self.p @ output_grad + s_grad @ self.k @ self.param.T
        grad[:, :4] += s_grad.T @ self.q
        return grad


@correct(x=(4, 4))
class CausalSoftmax(Operation):
    def _output(self):
        future = np.triu(np.ones(self.input_.shape, dtype=bool), 1)
        return softmax(np.where(future, -np.inf, self.input_))

    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - np.sum(output_grad * p, axis=-1, keepdims=True))


@student(
    "causal mask: the gradient masked before the softmax's, not by it",
    "other_function",
    "other_array",
    "factor",
)
class CausalMaskOnly(CausalSoftmax):
    def _input_grad(self, output_grad):
        p = softmax(self.input_)
        grad = p * (output_grad - np.sum(output_grad * p, axis=-1, keepdims=True))
        return np.where(np.triu(np.ones(grad.shape, dtype=bool), 1), 0.0, grad)
