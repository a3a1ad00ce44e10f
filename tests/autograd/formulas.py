"""What each Operation and loss computes, composed from ArrayWithGrad: forward formulas only.

No kernel of the library is used, and no backward formula: each gradient follows from the chain
rule through sums, products, indexing and reshaping.
"""

import math

import numpy as np
from scipy import special

from dlfs import (
    activations,
    attention,
    conv,
    dense,
    dropout,
    embedding,
    losses,
    normalization,
    pooling,
    recurrent,
)
from dlfs import reshape as reshaping
from dlfs.autograd import (
    ArrayWithGrad,
    apply,
    concatenate,
    log_softmax,
    maximum,
    softmax,
)
from dlfs.pooling import AvgPool2D
from dlfs.windows import ceil_rest, transposed_window_2d, window_2d


def erf(x):
    return special.erf(x), (lambda g: g * 2 / math.sqrt(math.pi) * np.exp(-x * x),)


def _sigmoid(op, x):
    return 1 / (1 + (-x).exp())


def _softplus(op, x):
    largest = np.maximum(x.array, 0)  # a constant that cancels, so there is no kink
    return ((x - largest).exp() + np.exp(-largest)).log() + largest


def _rows(x, param):
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) if param.ndim == 2 else x


def _normalized(x, axes, eps):
    centred = x - x.mean(axes, keepdims=True)
    return centred / ((centred * centred).mean(axes, keepdims=True) + eps) ** 0.5


def _batch_norm(op, x):
    axes = (0, *range(2, x.ndim))
    if op.inference:
        return (x - op.running_mean) / np.sqrt(op.running_var + op.eps)
    return _normalized(x, axes, op.eps)


def pad(x, ends, value=0.0):
    """Add (before, after) pixels to each of the last two axes."""
    for axis, (before, after) in zip((2, 3), ends, strict=True):
        shape = list(x.shape)
        pieces = [x]
        for count, first in ((before, True), (after, False)):
            shape[axis] = count
            pieces.insert(0 if first else len(pieces), np.full(shape, value))
        x = concatenate(pieces, axis=axis)
    return x


def places(offset, window):
    """The indices of a window's entry ``offset``, for all its positions."""
    return tuple(
        slice(i * d, i * d + (n - 1) * s + 1, s)
        for i, d, n, s in zip(offset, window.dilation, window.output, window.stride, strict=True)
    )


def conv2d(x, W, stride, padding, dilation, groups):
    """Sum over the kernel's entries: a shifted image times a matrix of channels."""
    window = window_2d(x.shape[2:], W.shape[2:], stride, padding, dilation)
    x, into, out = pad(x, window.padding), W.shape[0], W.shape[1] // groups
    parts = []
    for group in range(groups):
        total = None
        mine = x[:, group * into : (group + 1) * into]
        for offset in np.ndindex(*window.kernel):
            seen = mine[(slice(None), slice(None), *places(offset, window))]
            weights = W[(slice(None), slice(group * out, (group + 1) * out), *offset)]
            term = seen.transpose(0, 2, 3, 1) @ weights
            total = term if total is None else total + term
        parts.append(total.transpose(0, 3, 1, 2))
    return concatenate(parts, axis=1)


def _conv1d(op, x, W):
    padding = op.padding
    if not isinstance(padding, str):
        padding = ((0, 0), padding if isinstance(padding, tuple) else (padding, padding))
    options = ((1, op.stride), padding, (1, op.dilation), op.groups)
    out = conv2d(x[:, :, None], W[:, :, None], *options)
    return out[:, :, 0]


def spread(entry, size, output, stride, dilation, cut):
    """A matrix of zeros and ones: the targets of a line's pixels for one entry of a kernel."""
    matrix = np.zeros((output, size))
    for p in range(size):
        place = stride * p + dilation * entry - cut
        if 0 <= place < output:
            matrix[place, p] = 1
    return matrix


def _conv_transpose2d(op, x, W):
    """Sum over the kernel's entries: the weighted pixels, each moved to its place."""
    window = transposed_window_2d(
        x.shape[2:], W.shape[2:], op.stride, op.padding, op.output_padding, op.dilation
    )
    cuts = [before for before, _ in window.padding]
    into, out = W.shape[0], W.shape[1] // op.groups
    parts = []
    for group in range(op.groups):
        mine = x[:, group * into : (group + 1) * into].transpose(0, 2, 3, 1)
        total = 0.0
        for offset in np.ndindex(*W.shape[2:]):
            weights = W[(slice(None), slice(group * out, (group + 1) * out), *offset)]
            pixels = (mine @ weights).transpose(0, 3, 1, 2)
            rows, columns = (
                spread(offset[k], x.shape[2 + k], op.output.shape[2 + k], s, d, cuts[k])
                for k, (s, d) in enumerate(zip(op.stride, op.dilation, strict=True))
            )
            total = rows @ pixels @ columns.T + total
        parts.append(total)
    return concatenate(parts, axis=1)


def _in_steps(x, step, state):
    """Run ``step`` over the time axis; the first part of each new state is the output."""
    seen = []
    for t in range(x.shape[1]):
        state = step(x[:, t], *state)
        seen.append(state[0][:, None])
    return concatenate(seen, axis=1)


def _gates(z, count):
    width = z.shape[1] // count
    return [z[:, k * width : (k + 1) * width] for k in range(count)]


def rnn(op, x, W, tanh=ArrayWithGrad.tanh):
    return _in_steps(x, lambda z, h: [tanh(z + h @ W)], op._initial)


def lstm(op, x, W, sigmoid=ArrayWithGrad.sigmoid, tanh=ArrayWithGrad.tanh):
    def step(z, h, c):
        f, i, candidate, o = _gates(z + h @ W, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(candidate)
        return sigmoid(o) * tanh(c), c

    return _in_steps(x, step, op._initial)


def gru(op, x, W, sigmoid=ArrayWithGrad.sigmoid, tanh=ArrayWithGrad.tanh):
    n, after = op.hidden_size, op.reset == "after"

    def step(z, h):
        z_r, z_u, z_c = _gates(z, 3)
        W_r, W_u, W_c = _gates(W[:n], 3)
        b_r, b_u, b_c = _gates(W[n:], 3) if after else (0.0, 0.0, 0.0)
        r, u = sigmoid(z_r + (h @ W_r + b_r)), sigmoid(z_u + (h @ W_u + b_u))
        inner = r * (h @ W_c + b_c) if after else (r * h) @ W_c
        return [u * h + (1 - u) * tanh(z_c + inner)]

    return _in_steps(x, step, op._initial)


def windows(op, x, value):
    window = window_2d(x.shape[2:], op.kernel_size, op.stride, op.padding, op.dilation)
    if op.ceil_mode:
        lacking = ceil_rest(x.shape[2:], window)
        x = pad(x, [(0, rest) for rest in lacking], value)
        window = window_2d(x.shape[2:], op.kernel_size, op.stride, window.padding, op.dilation)
    padded = pad(x, window.padding, value)
    seen = [
        padded[(slice(None), slice(None), *places(offset, window))][None]
        for offset in np.ndindex(*window.kernel)
    ]
    return concatenate(seen, axis=0)


def _avg_pool(op, x):
    total = windows(op, x, 0.0).sum(0)
    if op.count_include_pad:
        padding = window_2d(x.shape[2:], op.kernel_size, op.stride, op.padding).padding
        ones = pad(ArrayWithGrad(np.ones(x.shape, x.dtype)), padding, 1.0)
        within = AvgPool2D(op.kernel_size, op.stride, 0, ceil_mode=op.ceil_mode)
        counts = windows(within, ones, 0.0).sum(0).array
        return total / counts[:, :, : total.shape[2], : total.shape[3]]
    return total / windows(op, ArrayWithGrad(np.ones(x.shape, x.dtype)), 0.0).sum(0).array


def _upsampled(op, x):
    (a, b), (height, width) = op.scale, x.shape[2:]
    return x[:, :, np.arange(a * height) // a][:, :, :, np.arange(b * width) // b]


def _largest(op, x):
    return windows(op, x, -np.inf).max(0)


def _as_images(op, x, formula):
    images = formula(op._images, x.reshape(*x.shape[:2], 1, x.shape[2]))
    return images.reshape(*x.shape[:2], -1)


def attend(op, x, weights=softmax):
    """Attention; ``weights`` makes them of the scores."""
    batch, time, packed = x.shape
    width = packed // (3 * op.heads)
    q, k, v = x.reshape(batch, time, 3, op.heads, width).transpose(2, 0, 3, 1, 4)
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width)
    if op.causal:
        scores = scores + np.triu(np.full((time, time), -1e30), 1)
    kept = weights(scores) if op.mask is None else weights(scores) * op.mask / op.dropout
    return (kept @ v).transpose(0, 2, 1, 3).reshape(batch, time, packed // 3)


def _gelu(op, x):
    if op.tanh:
        return x * _sigmoid(None, math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    return x * (1 + apply(erf, x / math.sqrt(2))) / 2


def _swiglu(op, x):
    n = x.shape[-1] // 2
    return x[..., :n] * _sigmoid(None, x[..., :n]) * x[..., n:]


def _group_norm(op, x):
    grouped = x.reshape(x.shape[0], op.groups, math.prod(x.shape[1:]) // op.groups)
    return _normalized(grouped, -1, op.eps).reshape(x.shape)


def _rotary(op, x):
    """Turn each pair as a complex number: by a matrix that mixes the features of one position."""
    batch, time, packed = x.shape
    width = packed // (3 * op.heads)
    turns = np.tile(np.eye(packed), (time, 1, 1))
    for t in range(time):
        for place in range(0, 2 * packed // 3, 2):
            angle = t / 10000 ** (place % width / width)
            turn = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
            turns[t, place : place + 2, place : place + 2] = turn
    return (x.reshape(batch, time, 1, packed) @ turns).reshape(x.shape)


def _sinusoids(op, x):
    _, time, features = x.shape
    waves = np.zeros((time, features))
    for t in range(time):
        for i in range(features):
            angle = t / 10000 ** (i // 2 * 2 / features)
            waves[t, i] = math.cos(angle) if i % 2 else math.sin(angle)
    return x + waves


OPERATIONS = {
    activations.Linear: lambda op, x: +x,
    activations.Sigmoid: _sigmoid,
    activations.Tanh: lambda op, x: 2 / (1 + (-2 * x).exp()) - 1,
    activations.ReLU: lambda op, x: x.relu(),  # with a bias of 0, padding is on the kink
    activations.LeakyReLU: lambda op, x: x.relu() - op.slope * (-x).relu(),
    activations.ELU: lambda op, x: x.relu() + op.alpha * ((-(-x).relu()).exp() - 1),
    activations.GELU: _gelu,
    activations.SwiGLU: _swiglu,
    activations.SiLU: lambda op, x: x * _sigmoid(op, x),
    activations.Softplus: _softplus,
    activations.SELU: lambda op, x: (
        1.0507009873554805 * x.relu() + 1.7580993408473766 * ((-(-x).relu()).exp() - 1)
    ),
    activations.Mish: lambda op, x: x * (1 - 2 / (1 + (1 + x.exp()) ** 2)),
    activations.HardSwish: lambda op, x: x * ((x + 3).relu() - (x - 3).relu()) / 6,
    activations.PReLU_Op: lambda op, x, slope: x.relu() - slope * (-x).relu(),
    activations.LogSoftmax: lambda op, x: log_softmax(x),
    activations.Softmax: lambda op, x: softmax(x),
    dense.WeightMultiply: lambda op, x, W: x @ W,
    dense.BiasAdd: lambda op, x, B: (_rows(x, B) + B).reshape(x.shape),
    normalization.ScaleMultiply: lambda op, x, gamma: (_rows(x, gamma) * gamma).reshape(x.shape),
    reshaping.Flatten: lambda op, x: x.reshape(op.output.shape),
    reshaping.Reshape: lambda op, x: x.reshape(op.output.shape),
    reshaping.LastStep: lambda op, x: x[:, x.shape[1] - 1],
    reshaping.Reverse: lambda op, x: x[:, np.arange(x.shape[1])[::-1]],
    reshaping.Upsample2D: _upsampled,
    dropout.Dropout: lambda op, x: +x if op.inference else x * op.mask / op.keep_prob,
    normalization.BatchNorm_Op: _batch_norm,
    normalization.RMSNorm_Op: lambda op, x: x / ((x * x).mean(-1, keepdims=True) + op.eps) ** 0.5,
    normalization.GroupNorm_Op: _group_norm,
    normalization.LayerNorm_Op: lambda op, x: _normalized(x, -1, op.eps),
    attention.Attention_Op: attend,
    attention.RotaryPositions: _rotary,
    embedding.PositionAdd: lambda op, x, table: x + table[: x.shape[1]],
    embedding.SinusoidAdd: _sinusoids,
    embedding.TableMultiply: lambda op, x, table: x @ table.transpose(),
    embedding.Embedding_Op: lambda op, x, table: table[x],
    conv.Conv1D_Op: _conv1d,
    conv.Conv2D_Op: lambda op, x, W: conv2d(x, W, op.stride, op.padding, op.dilation, op.groups),
    conv.ConvTranspose2D_Op: _conv_transpose2d,
    recurrent.RNN_Op: rnn,
    recurrent.LSTM_Op: lstm,
    recurrent.GRU_Op: gru,
    pooling.MaxPool2D: _largest,
    pooling.AvgPool2D: _avg_pool,
    pooling.MaxPool1D: lambda op, x: _as_images(
        op, x, lambda op, x: windows(op, x, -np.inf).max(0)
    ),
    pooling.AvgPool1D: lambda op, x: _as_images(op, x, _avg_pool),
    pooling.GlobalMaxPool2D: lambda op, x: x.reshape(*x.shape[:2], -1).max(2),
    pooling.GlobalAvgPool2D: lambda op, x: x.mean((2, 3)),
}
"""For each Operation, a function of the Operation (its options), the input and its parameter."""


def _mse(loss, x):
    p = x / x.sum(1, keepdims=True) if loss.normalize else x
    return ((p - loss.target) ** 2).sum() / len(x)


def _huber(loss, x):
    e = abs(x - loss.target)
    small = -maximum(-e, -loss.delta)
    return (small * (e - small / 2)).sum() / len(x)


def _bce(x, target):
    return (_softplus(None, x) - x * target).sum() / math.prod(x.shape[:1])


def _weighted_bce(loss, x):
    w = 1 if loss.pos_weight is None else np.asarray(loss.pos_weight)
    yes, no = _softplus(None, -x), _softplus(None, x)
    return (yes * (w * loss.target) + no * (1 - loss.target)).sum() / len(x)


def shares(loss, classes):
    """How much each class counts in each row, divided by what the mean is over."""
    labels = loss.target.ndim < loss.prediction.ndim
    target = loss.target if labels else np.moveaxis(loss.target, loss.axis, -1)
    kept = np.ones(target.shape if labels else target.shape[:-1])
    if labels:
        kept[target == loss.ignore_index] = 0
        target = np.eye(max(classes, 2))[target]
        target = target if classes > 1 else target[..., 1:]
    smooth = (1 - loss.label_smoothing) * target + loss.label_smoothing / max(classes, 2)
    weight = np.ones(classes) if loss.class_weight is None else np.asarray(loss.class_weight)
    total = (kept * (target @ weight)).sum() if labels and classes > 1 else kept.sum()
    total = 1 if loss.reduction == "sum" else total
    factor = kept[..., None] / total if total else 0 * kept[..., None]
    return smooth * weight * factor, (1 - smooth) * factor


def _last(loss, x):
    axes = [axis for axis in range(x.ndim) if axis != loss.axis % x.ndim]
    return x.transpose(*axes, loss.axis % x.ndim)


def _cross_entropy(loss, x):
    rows = _last(loss, x)
    yes, no = shares(loss, rows.shape[-1])
    if rows.shape[-1] == 1:
        return (_softplus(None, -rows) * yes + _softplus(None, rows) * no).sum()
    return -(log_softmax(rows) * yes).sum()


def _nll(loss, x):
    rows = _last(loss, x)
    return -(rows * shares(loss, rows.shape[-1])[0]).sum()


LOSSES = {
    losses.MeanSquaredError: _mse,
    losses.MeanAbsoluteError: lambda loss, x: abs(x - loss.target).sum() / len(x),
    losses.Huber: _huber,
    losses.BinaryCrossEntropy: _weighted_bce,
    losses.NegativeLogLikelihood: _nll,
    losses.SoftmaxCrossEntropy: _cross_entropy,
}
