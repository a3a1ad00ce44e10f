"""From PyTorch's modules to layers: the rules of ``from_torch``.

One function for each kind of module. Its arguments are the modules from its own on, and the number
of axes of a batch, if known. It returns the layers, and the number of modules that they replace.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from dlfs.activations import Linear
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.layers import (
    BatchNorm,
    Bidirectional,
    Dense,
    Embedding,
    GroupNorm,
    GRULayer,
    Layer,
    LayerNorm,
    LSTMLayer,
    OperationLayer,
    PReLU,
    RMSNorm,
    RNNLayer,
)
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op
from dlfs.pytorch import layers as book
from dlfs.pytorch.helpers import complement
from dlfs.pytorch.inward_attention import RULES as ATTENTION_RULES
from dlfs.pytorch.inward_images import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    avg_pool1d,
    conv1d,
    conv2d,
    conv_transpose2d,
    max_pool,
    max_pool1d,
    pad,
)
from dlfs.pytorch.inward_parts import (
    ACTIVATIONS,
    Axes,
    Found,
    Modules,
    Rule,
    activation_after,
    alone,
    array,
    bias_of,
    built,
    demand,
    none,
)
from dlfs.pytorch.modules import LastStep, LastSteps, OneHot, Recurrence, Reverse
from dlfs.pytorch.outward import GATE_ORDER, NoCounterpart
from dlfs.reshape import Flatten, Reshape, Upsample2D
from dlfs.reshape import LastStep as TimeStep
from dlfs.reshape import Reverse as Turned
from dlfs.types import Array, Shape


def layers_of(modules: Modules, axes: Axes) -> Found:
    """Return the layers that replace the first of these modules, or the first few."""
    rule = RULES.get(type(modules[0]))
    if rule is None:
        raise NoCounterpart("dlfs has no such layer")
    return rule(modules, axes)


def axes_after(module: nn.Module, axes: Axes) -> Axes:
    """Return the number of axes of a batch after a module, if the module determines it."""
    kind: Any = type(module)
    if kind is nn.Unflatten:
        return 1 + len(module.unflattened_size)
    if kind is nn.Embedding:
        return None if axes is None else axes + 1
    return _AXES.get(kind, axes)


def row_shape(module: nn.Module) -> Shape | None:
    """Return the shape of one observation if the first module takes rows.

    None: the module does not determine it (the size of an image, the length of a sequence).
    """
    kind: Any = type(module)
    if kind is nn.Linear:
        return (module.in_features,)
    if kind is nn.BatchNorm1d:
        return (module.num_features,)
    if kind is nn.LayerNorm and len(module.normalized_shape) == 1:
        return tuple(module.normalized_shape)
    if kind is nn.Unflatten and -1 not in module.unflattened_size:
        return (math.prod(module.unflattened_size),)
    return None


def keeps_shape(module: nn.Module) -> bool:
    """Say whether a module is elementwise."""
    return type(module) in _ALONE and type(module) not in (nn.Upsample, LastStep)


_AXES: dict[type, int] = {
    nn.Flatten: 2,
    nn.RNN: 3,
    nn.LSTM: 3,
    nn.GRU: 3,
    Recurrence: 3,
    book.LSTMLayer: 3,
    nn.Conv1d: 3,
    nn.Conv2d: 4,
    nn.ConvTranspose2d: 4,
    nn.MaxPool2d: 4,
    nn.AvgPool2d: 4,
    nn.AdaptiveAvgPool2d: 4,
    nn.AdaptiveMaxPool2d: 4,
    nn.Upsample: 4,
    LastStep: 2,
    LastSteps: 2,
    nn.MaxPool1d: 3,
    nn.AvgPool1d: 3,
    nn.BatchNorm2d: 4,
    nn.BatchNorm3d: 5,
    **dict.fromkeys(ATTENTION_RULES, 3),
}


# --- dense and embedding ---


def _dense(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    activation, count = activation_after(modules, axes)
    layer = Dense(module.out_features, activation=activation)
    params = [array(module.weight).T, bias_of(module, module.out_features)]
    return [built(layer, none(module.in_features), params)], count


def _embedding(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    demand(module, max_norm=None, scale_grad_by_freq=False)
    if module.padding_idx is not None:
        raise NoCounterpart(
            f"PyTorch never trains row {module.padding_idx} (padding_idx), and dlfs trains all "
            "rows; to convert it anyway, set padding_idx to None"
        )
    layer = Embedding(module.num_embeddings, module.embedding_dim)
    return [built(layer, np.zeros((0, 1), dtype=np.int64), [array(module.weight)])], 1


# --- recurrent ---


def _one_hot(modules: Modules, axes: Axes) -> Found:
    if len(modules) > 1 and type(modules[1]) is book.LSTMLayer:
        return _carrying(modules[1], modules[0].size), 2
    if len(modules) < 2 or type(modules[1]) not in (Recurrence, nn.RNN, nn.LSTM, nn.GRU):
        raise NoCounterpart("dlfs has one-hot rows only before a recurrent layer")
    return _memory(getattr(modules[1], "memory", modules[1]), modules[0].size), 2


def _recurrence(modules: Modules, axes: Axes) -> Found:
    last = len(modules) > 1 and type(modules[1]) is LastSteps
    return _memory(getattr(modules[0], "memory", modules[0]), last=last), 1 + last


def _memory(module: Any, vocabulary_size: int | None = None, last: bool = False) -> list[Layer]:
    """Return the layers of one of PyTorch's recurrent modules, which may have several."""
    kinds: dict[type, Any] = {nn.RNN: RNNLayer, nn.LSTM: LSTMLayer, nn.GRU: GRULayer}
    if type(module) not in kinds:
        raise NoCounterpart(f"its memory must be an RNN, LSTM or GRU, got {type(module).__name__}")
    demand(module, batch_first=True, proj_size=0)
    if last and not module.bidirectional:
        raise NoCounterpart("only a bidirectional module has two final states")
    if type(module) is nn.RNN:
        demand(module, nonlinearity="tanh")
    reset = {"reset": "after"} if type(module) is nn.GRU else {}
    found: list[Layer] = []
    for number in range(module.num_layers):
        first = number == 0
        words = vocabulary_size if first else None
        layer = kinds[type(module)](module.hidden_size, vocabulary_size=words, **reset)
        if not first and module.dropout > 0:
            found.append(alone(Dropout(complement(module.dropout))))
        example, weights = _steps(module, number, words), _weights(module, number)
        if not module.bidirectional:
            found.append(built(layer, example, weights))
            continue
        both = Bidirectional(layer, last and number + 1 == module.num_layers)
        both.dtype = weights[0].dtype
        for inner in both.walk():
            inner[1].dtype = weights[0].dtype
        both.forward(np.zeros((1, *example.shape[1:]), dtype=_numbers(example, weights[0])))
        pair = weights + _weights(module, number, "_reverse")
        for holder, values in zip(both.param_holders(), pair, strict=True):
            holder.param[...] = values.reshape(holder.param.shape)
        found.append(both)
    return found


def _numbers(example: Array, weights: Array) -> Any:
    return example.dtype if example.dtype.kind in "iu" else weights.dtype


def _steps(module: Any, number: int, vocabulary_size: int | None) -> Array:
    if vocabulary_size is not None:
        return np.zeros((0, 1), dtype=np.int64)
    width = module.hidden_size * (2 if module.bidirectional else 1)
    return none(1, width if number else module.input_size)


def _weights(module: Any, number: int, end: str = "") -> list[Array]:
    """Return W_x, B and W_h of one layer, gates in our order."""
    gates = {nn.RNN: 1, nn.GRU: 3, nn.LSTM: 4}[type(module)]
    W_x, W_h = (
        _from_gate_order(array(getattr(module, f"{name}_l{number}{end}")), gates)
        for name in ("weight_ih", "weight_hh")
    )
    if not module.bias:
        first = second = np.zeros((1, W_x.shape[1]), dtype=W_x.dtype)
    else:
        first, second = (
            _from_gate_order(array(getattr(module, f"{name}_l{number}{end}"))[:, np.newaxis], gates)
            for name in ("bias_ih", "bias_hh")
        )
    if isinstance(module, nn.GRU):
        return [W_x, first, np.concatenate([W_h, second])]
    return [W_x, first + second, W_h]


def _from_gate_order(theirs: Array, gates: int) -> Array:
    """Undo ``to_gate_order``: every order of gates is its own inverse."""
    parts = np.split(theirs, gates, axis=0)
    return np.concatenate([parts[k] for k in GATE_ORDER[gates]], axis=0).T


def _book_lstm(modules: Modules, axes: Axes) -> Found:
    return _carrying(modules[0]), 1


def _carrying(module: Any, vocabulary_size: int | None = None) -> list[Layer]:
    """Return the layers of the book's LSTMLayer, which carries its mean state."""
    linear, *rest = module.fc.chain()
    demand(module.lstm, batch_first=True, bidirectional=False, proj_size=0, num_layers=1, bias=True)
    if type(linear) is not nn.Linear or any(type(part) is not nn.Dropout for part in rest):
        raise NoCounterpart(f"its fc must be a Linear, perhaps with Dropout, got {module.fc!r:.90}")
    layer = LSTMLayer(
        module.hidden_size,
        linear.out_features,
        carry="mean",
        vocabulary_size=vocabulary_size,
    )
    params = [*_weights(module.lstm, 0), array(linear.weight).T, array(linear.bias)]
    built(layer, _steps(module.lstm, 0, vocabulary_size), params)
    state = (array(module.h_init), array(module.c_init))
    if any(part.any() for part in state):
        layer.operations[3].carried = state  # type: ignore[attr-defined]
    return [layer, *(alone(Dropout(complement(part.p))) for part in rest)]


def _prelu(modules: Modules, axes: Axes) -> Found:
    slopes = array(modules[0].weight)
    if len(slopes) == 1:
        return [built(PReLU(shared=True), none(1), [slopes])], 1
    if axes is None or axes == 3:
        raise NoCounterpart(
            "it has several slopes, which dlfs has for features and channels of images: pass "
            "input_shape, (features,) or (channels, height, width)"
        )
    return [built(PReLU(), none(len(slopes), *(1,) * (axes - 2)), [slopes])], 1


def _last_steps(modules: Modules, axes: Axes) -> Found:
    raise NoCounterpart("it must follow a bidirectional recurrent module")


# --- normalization ---


def _batch_norm(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    if module.momentum is None or module.running_mean is None:
        raise NoCounterpart("it must have a momentum, and running statistics to predict with")
    axes = {nn.BatchNorm2d: 4, nn.BatchNorm3d: 5}.get(type(module), axes or 2)
    example = none(module.num_features, *(1,) * (axes - 2))
    options = {"momentum": module.momentum, "eps": module.eps}
    mean, var = array(module.running_mean), array(module.running_var)
    layer: Layer
    if module.weight is not None:
        params = [array(module.weight), bias_of(module, module.num_features)]
        layer = built(BatchNorm(**options), example, params)
    else:
        layer = OperationLayer(BatchNorm_Op(**options))
        layer.set_up(example)
    statistics: Any = layer.operations[0]
    shape = (1, module.num_features) + (1,) * (axes - 2)
    statistics.running_mean, statistics.running_var = mean.reshape(shape), var.reshape(shape)
    return [layer], 1


def _layer_norm(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    if len(module.normalized_shape) != 1:
        raise NoCounterpart(f"dlfs normalizes only the last axis, got {module.normalized_shape}")
    if module.weight is None:
        return [alone(LayerNorm_Op(module.eps))], 1
    features = module.normalized_shape[0]
    params = [array(module.weight), bias_of(module, features)]
    return [built(LayerNorm(module.eps), none(features), params)], 1


def _rms_norm(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    if len(module.normalized_shape) != 1:
        raise NoCounterpart(f"dlfs normalizes only the last axis, got {module.normalized_shape}")
    if module.eps is None:
        raise NoCounterpart("it must have an eps; the default, None, depends on the dtype")
    if module.weight is None:
        return [alone(RMSNorm_Op(module.eps))], 1
    features = module.normalized_shape[0]
    return [built(RMSNorm(module.eps), none(features), [array(module.weight)])], 1


def _group_norm(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    if module.weight is None:
        return [alone(GroupNorm_Op(module.num_groups, module.eps))], 1
    if axes is None:
        raise NoCounterpart(
            "how many axes its input has is not known; pass input_shape, the shape of one "
            "observation"
        )
    channels = module.num_channels
    example = none(channels, *(1,) * (axes - 2))
    params = [array(module.weight), bias_of(module, channels)]
    return [built(GroupNorm(module.num_groups, module.eps), example, params)], 1


# --- without parameters ---


def _flatten(modules: Modules, axes: Axes) -> Found:
    demand(modules[0], start_dim=1, end_dim=-1)
    return [alone(Flatten())], 1


def _unflatten(modules: Modules, axes: Axes) -> Found:
    sizes = tuple(modules[0].unflattened_size)
    if modules[0].dim != 1 or axes != 2 or -1 in sizes:
        raise NoCounterpart("dlfs reshapes only flat observations, to known sizes")
    return [alone(Reshape(sizes))], 1


def _upsample(module: Any, axes: Axes) -> Operation:
    demand(module, mode="nearest", size=None)
    scale = module.scale_factor
    scales = scale if isinstance(scale, tuple) else (scale, scale)
    if any(number != int(number) or number < 1 for number in scales) or axes not in (None, 4):
        raise NoCounterpart(f"dlfs enlarges only images, by whole numbers, got {scale}")
    return Upsample2D((int(scales[0]), int(scales[1])))


_ALONE: dict[type, Callable[[Any, Axes], Operation]] = {
    nn.Upsample: _upsample,
    LastStep: lambda module, axes: TimeStep(),
    Reverse: lambda module, axes: Turned(),
    **ACTIVATIONS,
    nn.Identity: lambda module, axes: Linear(),
    nn.Dropout: lambda module, axes: Dropout(complement(module.p)),
}


def _single(modules: Modules, axes: Axes) -> Found:
    return [alone(_ALONE[type(modules[0])](modules[0], axes))], 1


RULES: dict[type, Rule] = {
    **dict.fromkeys(_ALONE, _single),
    nn.Linear: _dense,
    nn.PReLU: _prelu,
    nn.Embedding: _embedding,
    OneHot: _one_hot,
    Recurrence: _recurrence,
    nn.RNN: _recurrence,
    nn.LSTM: _recurrence,
    nn.GRU: _recurrence,
    book.LSTMLayer: _book_lstm,
    LastSteps: _last_steps,
    nn.Conv1d: conv1d,
    nn.Conv2d: conv2d,
    nn.ConvTranspose2d: conv_transpose2d,
    nn.ConstantPad1d: pad,
    nn.ConstantPad2d: pad,
    nn.ZeroPad1d: pad,
    nn.ZeroPad2d: pad,
    nn.MaxPool2d: max_pool,
    nn.AvgPool2d: avg_pool,
    nn.AdaptiveAvgPool2d: adaptive_avg_pool,
    nn.AdaptiveMaxPool2d: adaptive_max_pool,
    nn.MaxPool1d: max_pool1d,
    nn.AvgPool1d: avg_pool1d,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.BatchNorm3d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _rms_norm,
    nn.GroupNorm: _group_norm,
    **ATTENTION_RULES,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
}
