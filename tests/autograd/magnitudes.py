"""Formulas whose gradients are sums of magnitudes, where those of the library may cancel.

A saturated slope, such as 1 - t², s (1 - s) or p - target, is a difference of numbers near 1. Its
error is theirs, a few eps of 1, however small the difference is; and a change of the inputs in
their last digits does not show it. Each formula here has the gradient with a plus for the minus;
inputs, parameters and output gradient are to be absolute values. What depends on the true input,
such as a probability or which pixel is largest, is taken from the Operation after its pass.

In the library, a probability is a sum of at most 4 exponentials, an exponential and a quotient, and
then comes the difference: an error of at most eps / 2 * (3 + 2 + 1 + 1) < 4 eps of the sum.

Normalization subtracts a mean, and its gradient is g minus its mean minus its part along the
output; a row of one number and zeros keeps nothing of it. ``_normalized`` derives its error.
"""

import math

import numpy as np
from scipy import special

from dlfs import activations, losses, normalization, pooling, recurrent
from dlfs.attention import Attention_Op
from dlfs.autograd import ArrayWithGrad
from tests.autograd import formulas


def _slope_1(op, x):
    return x


def _softmax(op, x):
    """p * (g + sum(p * g)) for p * (g - sum(p * g))."""
    p = op.output.astype(np.float64)
    return x * p + (x * p).sum(-1, keepdims=True) * p


def _max_pool(op, x):
    """The gradient goes to the pixel that was the largest, not to that of the largest magnitude."""
    true = formulas.windows(op, ArrayWithGrad(op.input_.astype(np.float64)), -np.inf).array
    chosen = np.arange(len(true)).reshape(-1, 1, 1, 1, 1) == true.argmax(axis=0)
    return (formulas.windows(op, x, 0.0) * chosen).sum(0)


def _max_pool_1d(op, x):
    images = _max_pool(op._images, x.reshape(*x.shape[:2], 1, x.shape[2]))
    return images.reshape(*x.shape[:2], -1)


def _global_max(op, x):
    flat = op.input_.reshape(*op.input_.shape[:2], -1)
    chosen = np.arange(flat.shape[2]) == flat.argmax(axis=2)[:, :, None]
    return (x.reshape(flat.shape) * chosen).sum(2)


def _attention(op, x):
    """Attention without the softmax, whose gradient may cancel to nothing."""
    every = Attention_Op(op.heads, dropout=op.dropout)
    every.mask = op.mask
    return formulas.attend(every, x, lambda scores: scores + 1)


def _normalized(x, true, axes, eps, centre=True):
    """What 4 eps of is at least the error of normalization, and of its gradient.

    With h = (x - mean) * inv over n numbers, and u = eps / 2, to first order in u:

    - a mean has an error of at most (n + 1) u of the mean of magnitudes, so that of h is
      (n + 2) u m, where m = (|x| + mean(|x|)) * inv, which is as large as 1 / deviation;
    - the variance has 2 (n + 2) u a + (n + 3) u of itself, where a = mean(|h| m); inv has half of
      it, and a root and a quotient: at most (n + 4) u (a + 1); h has (n + 5) u (m + |h| (a + 1));
    - the gradient inv * (g - mean(g) - h * mean(g * h)) has these of inv and of both h, and
      (n + 4) u for its own sums. Together, with k = m + |h| (a + 2), at most (n + 5) u inv times

          (a + 2) (|g| + mean(|g|) + |h| mean(|g h|)) + k mean(|g h|) + |h| mean(|g| k).

    This is a symmetric matrix times |g|, and so the gradient of the matrix times x. That product
    itself is more than m + |h| (a + 1), the error of h.
    """
    mean = true.mean(axes, keepdims=True) if centre else 0.0
    inv = 1 / np.sqrt(((true - mean) ** 2).mean(axes, keepdims=True) + eps)
    h, m = np.abs(true - mean) * inv, np.abs(true) * inv
    m = m + m.mean(axes, keepdims=True) if centre else m
    a = (h * m).mean(axes, keepdims=True)
    k = m + h * (a + 2)
    along = (x * h).mean(axes, keepdims=True)
    own = x + h * along + (x.mean(axes, keepdims=True) if centre else 0.0)
    total = own * (a + 2) + k * along + h * (x * k).mean(axes, keepdims=True)
    n = true.size // inv.size
    return total * (inv * (n + 5) / 8)


def _batch_norm(op, x):
    if op.inference:
        return (x + np.abs(op.running_mean)) / np.sqrt(op.running_var + op.eps)
    return _normalized(x, op.input_.astype(np.float64), (0, *range(2, x.ndim)), op.eps)


def _row_norm(op, x):
    centre = not isinstance(op, normalization.RMSNorm_Op)
    return _normalized(x, op.input_.astype(np.float64), -1, op.eps, centre)


def _group_norm(op, x):
    rows = (x.shape[0], op.groups, math.prod(x.shape[1:]) // op.groups)
    true = op.input_.astype(np.float64).reshape(rows)
    return _normalized(x.reshape(rows), true, -1, op.eps).reshape(x.shape)


def _cross_entropy(loss, x):
    """(p + target) / rows for (p - target) / rows, times the weights."""
    logits = loss.prediction.astype(np.float64)
    if isinstance(loss, losses.BinaryCrossEntropy):
        w = 1 if loss.pos_weight is None else np.asarray(loss.pos_weight)
        p, yes, no = special.expit(logits), w * loss.target, 1 - loss.target
        return (x * ((p * (yes + no) + yes) / len(logits))).sum()
    classes = logits.shape[loss.axis]
    yes, no = formulas.shares(loss, classes)
    yes, no = np.moveaxis(yes, -1, loss.axis), np.moveaxis(no, -1, loss.axis)
    if classes == 1:
        return (x * (special.expit(logits) * (yes + no) + yes)).sum()
    p = special.softmax(logits, axis=loss.axis)
    return (x * (p * yes.sum(axis=loss.axis, keepdims=True) + yes)).sum()


def rounded(rng, eps):
    """Return the formulas with recurrent cells whose gates are wrong in their last digits.

    The slope of a saturated gate is such a difference too. There are paths through many gates, so
    the magnitudes of their gradients say little; instead each value is changed by at most 4 eps
    of itself, and each slope by 4 eps of 1.
    """

    def gate(function):
        def rounded_gate(x):
            value, slope = 4 * eps * rng.uniform(-1, 1, (2, *x.shape))
            return function(x) * (1 + value) + (x - x.array) * slope

        return rounded_gate

    tanh, sigmoid = gate(ArrayWithGrad.tanh), gate(ArrayWithGrad.sigmoid)
    return {
        **formulas.OPERATIONS,
        recurrent.RNN_Op: lambda op, x, W: formulas.rnn(op, x, W, tanh),
        recurrent.LSTM_Op: lambda op, x, W: formulas.lstm(op, x, W, sigmoid, tanh),
        recurrent.GRU_Op: lambda op, x, W: formulas.gru(op, x, W, sigmoid, tanh),
    }


OPERATIONS = {
    **formulas.OPERATIONS,
    activations.Sigmoid: _slope_1,
    activations.Tanh: _slope_1,
    activations.Softmax: _softmax,
    Attention_Op: _attention,
    normalization.BatchNorm_Op: _batch_norm,
    normalization.GroupNorm_Op: _group_norm,
    normalization.LayerNorm_Op: _row_norm,
    normalization.RMSNorm_Op: _row_norm,
    pooling.MaxPool2D: _max_pool,
    pooling.MaxPool1D: _max_pool_1d,
    pooling.GlobalMaxPool2D: _global_max,
}
LOSSES = {
    **formulas.LOSSES,
    losses.BinaryCrossEntropy: _cross_entropy,
    losses.SoftmaxCrossEntropy: _cross_entropy,
}
