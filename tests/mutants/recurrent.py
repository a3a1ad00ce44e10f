"""Mistakes in recurrent layers, the two of the book's GRU first."""

import numpy as np
from scipy.special import expit

from dlfs.recurrent import GRU_Op, LSTM_Op, RNN_Op
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


@mutant("GRU: part of the state's gradient dropped (the book's GRU)")
class StateGradientDropped(GRU_Op):
    def _run_back(self, output_grad, ends):
        # Only the way through the update gate's product with the state is left out.
        n, right = self.hidden_size, self.param
        self.param = right.copy()
        self.param[:n, n : 2 * n] = 0
        try:
            return super()._run_back(output_grad, ends)
        finally:
            self.param = right


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


@mutant("LSTM: input and forget gate swapped backward", "wrong_places")
class GatesSwappedBackward(LSTM_Op):
    def _run_back(self, output_grad, ends):
        z_grad, initial_grad, W_h_grad = super()._run_back(output_grad, ends)
        f, i, rest = np.split(z_grad, [self.hidden_size, 2 * self.hidden_size], axis=2)
        return np.concatenate([i, f, rest], axis=2), initial_grad, W_h_grad


@mutant("LSTM: output gate's sigmoid without its derivative", "one_slice")
class OutputGateWithoutDerivative(LSTM_Op):
    def _run_back(self, output_grad, ends):
        z_grad, initial_grad, W_h_grad = super()._run_back(output_grad, ends)
        n = self.hidden_size
        o = self._gates[..., 3 * n :].transpose(1, 0, 2)
        wrong = z_grad.copy()
        wrong[..., 3 * n :] /= np.maximum(o * (1 - o), float(expit(-30.0)))
        return wrong, initial_grad, W_h_grad
