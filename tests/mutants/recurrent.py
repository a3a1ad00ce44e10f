"""Mistakes in recurrent layers, those of the book's GRU first."""

import numpy as np
from scipy.special import expit

from dlfs.recurrent import GRU_Op, LSTM_Op, RNN_Op
from dlfs.recurrent.cells import GRUNode
from tests.mutants.catalogue import mutant


@mutant("GRU: update gate computed from the reset gate's sums (the book's GRU)")
class UpdateGateFromResetSums(GRU_Op):
    def _run(self, initial):
        z, n, first = self.input_.copy(), self.hidden_size, self.param.copy()
        z[..., n : 2 * n] = z[..., :n]
        first[:, n : 2 * n] = first[:, :n]
        right, self.param = self.param, first
        given, self.input_ = self.input_, z
        try:
            return super()._run(initial)
        finally:
            self.param, self.input_ = right, given


def back_by_nodes(operation, output_grad, from_output=True, past_gates=True):
    """Go back step by step as the book does, with or without what its node leaves out.

    Its node hands to the gates only what comes from the next step, and not what comes from this
    step's output; and the state that passes by the gates, ``u * H_in``, gets no gradient.
    """
    z, h, W_h = operation.input_, operation.output, operation.param
    width = z.shape[2]
    # With the identity for W_x a node's input gradient is that of z.
    values = {"W_x": np.eye(width), "B": np.zeros((1, width)), "W_h": W_h}
    values = {name: np.array(value, dtype=z.dtype) for name, value in values.items()}
    params = {name: {"value": v, "deriv": np.zeros_like(v)} for name, v in values.items()}
    before = np.concatenate([operation._initial[0][:, np.newaxis], h[:, :-1]], axis=1)
    z_grad, H_grad = np.zeros_like(z), np.zeros_like(operation._initial[0])
    for t in reversed(range(z.shape[1])):
        node = GRUNode(operation.reset)
        node.forward(np.array(z[:, t]), before[:, t], params)
        grad = np.array(output_grad[:, t]) if from_output else np.zeros_like(H_grad)
        through = (grad + H_grad) * node.u
        z_grad[:, t], H_grad = node.backward(grad, H_grad, params)
        if not past_gates:
            H_grad = H_grad - through
    return z_grad, (H_grad,), params["W_h"]["deriv"]


@mutant("GRU: state's gradient past the gates dropped (the book's GRU)")
class StateGradientDropped(GRU_Op):
    def _run_back(self, output_grad, ends):
        return back_by_nodes(self, output_grad, past_gates=False)


@mutant("GRU: output's gradient not passed to the gates (the book's GRU)")
class OutputGradientDropped(GRU_Op):
    def _run_back(self, output_grad, ends):
        return back_by_nodes(self, output_grad, from_output=False)


@mutant("RNN: gradient not carried from step to step", "not_through_time")
class NoGradientThroughTime(RNN_Op):
    def _run_back(self, output_grad, ends):
        z_grad = output_grad * (1 - self.output**2)
        _, initial_grad, W_h_grad = super()._run_back(output_grad, ends)
        return z_grad, initial_grad, W_h_grad


@mutant("RNN: weight gradient of the last step only")
class WeightGradientOfLastStepOnly(RNN_Op):
    def _run_back(self, output_grad, ends):
        z_grad, initial_grad, W_h_grad = super()._run_back(output_grad, ends)
        if self.output.shape[1] > 1:
            W_h_grad = self.output[:, -2].T @ z_grad[:, -1]
        return z_grad, initial_grad, W_h_grad


@mutant("LSTM: input and forget gate swapped backward", "other_order")
class GatesSwappedBackward(LSTM_Op):
    def _run_back(self, output_grad, ends):
        z_grad, initial_grad, W_h_grad = super()._run_back(output_grad, ends)
        f, i, rest = np.split(z_grad, [self.hidden_size, 2 * self.hidden_size], axis=2)
        return np.concatenate([i, f, rest], axis=2), initial_grad, W_h_grad


@mutant("LSTM: output gate's sigmoid without its derivative")
class OutputGateWithoutDerivative(LSTM_Op):
    def _run_back(self, output_grad, ends):
        z_grad, initial_grad, W_h_grad = super()._run_back(output_grad, ends)
        n = self.hidden_size
        o = self._gates[..., 3 * n :].transpose(1, 0, 2)
        wrong = z_grad.copy()
        wrong[..., 3 * n :] /= np.maximum(o * (1 - o), float(expit(-30.0)))
        return wrong, initial_grad, W_h_grad
