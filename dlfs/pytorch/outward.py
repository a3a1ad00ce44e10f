"""From Operations to PyTorch's modules: the rules of ``to_torch``.

One function for each kind of Operation. Its arguments are the Operations from its own on, and an
empty batch as input. It returns the modules, and the number of Operations that they replace.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dlfs import (
    activations,
    attention,
    conv,
    dense,
    dropout,
    embedding,
    normalization,
    pooling,
    recurrent,
)
from dlfs import reshape as reshaping
from dlfs.base import Operation
from dlfs.layers import Bidirectional, Layer, LSTMLayer, OperationLayer, Parallel, Residual
from dlfs.pytorch import attention as attending
from dlfs.pytorch import layers as book
from dlfs.pytorch import modules as modular
from dlfs.pytorch.helpers import complement
from dlfs.pytorch.modules import OneHot, Recurrence
from dlfs.types import Array
from dlfs.windows import Ends, transposed_window_2d, window_1d, window_2d

Found: TypeAlias = tuple[list[nn.Module], int]
Operations: TypeAlias = Sequence[Any]
"""Operations of a layer; the first is of the function's kind."""

Rule: TypeAlias = Callable[[Operations, Array], Found]

GATE_ORDER = {1: [0], 3: [0, 1, 2], 4: [1, 0, 2, 3]}
"""The order of PyTorch's gates: its LSTM has the input gate before the forget gate."""


class NoCounterpart(ValueError):
    """Raised for a layer that one library does not have; the caller adds the layer's name."""


def modules_of(layer: Layer, batch: Array) -> tuple[list[nn.Module], Array]:
    """Return the modules of one layer, and its output for the empty batch."""
    base = next(kind for kind in (Residual, Parallel, Layer) if isinstance(layer, kind))
    for name in ("forward", "backward"):
        if own(layer, name, base):
            raise NoCounterpart(f"it has a {name} of its own")
    modules, batch = _composite(layer, batch) if layer.layers else _simple(layer, batch)
    if not layer.trainable:
        for module in modules:
            module.requires_grad_(False)
    return modules, batch


def _composite(layer: Any, batch: Array) -> tuple[list[nn.Module], Array]:
    """Return the module of a layer made of layers."""
    if isinstance(layer, Bidirectional):
        return _bidirectional(layer, batch)
    if isinstance(layer, Parallel):
        branches, ends = [], []
        for block in layer.layers:
            modules, end = modules_of(block, batch)
            branches += modules
            ends.append(end)
        if layer.merge == "concat":
            return [modular.Parallel(branches, "concat")], np.concatenate(ends, axis=1)
        return [modular.Parallel(branches)], ends[0]
    inside: list[nn.Module] = []
    for inner in layer.layers:
        try:
            modules, batch = modules_of(inner, batch)
        except NoCounterpart as error:
            raise NoCounterpart(f"of {inner!r:.200} inside it: {error}") from error
        inside += modules
    if isinstance(layer, Residual):
        return [modular.Residual(*inside)], batch
    return [nn.Sequential(*inside)], batch


def _bidirectional(layer: Bidirectional, batch: Array) -> tuple[list[nn.Module], Array]:
    """Return PyTorch's recurrent module with both directions."""
    halves = [_simple(branch.layers[place], batch) for place, branch in enumerate(layer.layers)]
    ends = np.concatenate([end for _, end in halves], axis=-1)
    memories = [modules[-1].memory for modules, _ in halves if type(modules[-1]) is Recurrence]
    if len(memories) < 2 or len(halves[0][0]) > 2:
        raise NoCounterpart(
            f"{layer.layer!r} must be a recurrent layer without output_size, as PyTorch's are"
        )
    first, second = memories
    both = type(first)(
        first.input_size,
        first.hidden_size,
        batch_first=True,
        bidirectional=True,
        dtype=first.weight_ih_l0.dtype,
    )
    states = dict(first.state_dict())
    both.load_state_dict(
        {**states, **{f"{name}_reverse": value for name, value in second.state_dict().items()}}
    )
    modules = [*halves[0][0][:-1], Recurrence(both)]
    if layer.last:
        return [*modules, modular.LastSteps()], ends[:, -1]
    return modules, ends


def _simple(layer: Layer, batch: Array) -> tuple[list[nn.Module], Array]:
    """Return the modules of a layer made of Operations."""
    if type(layer) is LSTMLayer and layer.carry == "mean" and layer.output_size is not None:
        modules = _book_lstm(layer, batch)
        return modules, np.zeros(
            (0, batch.shape[1], layer.output_size), dtype=layer.params[0].dtype
        )
    modules, todo = [], list(layer.operations)
    while todo:
        rule = RULES.get(type(todo[0]))
        if rule is None:
            raise NoCounterpart(f"{type(todo[0]).__name__} is not known to PyTorch")
        found, count = rule(todo, batch)
        for operation in todo[:count]:
            for name in ("forward", "_output", "backward", "_input_grad"):
                if name in vars(operation):
                    raise NoCounterpart(f"{operation!r} has a {name} of its own")
            # A copy computes: the network's own Operations keep their state.
            batch = copy.copy(operation).forward(batch, True)
        modules += found
        del todo[:count]
    if not modules and isinstance(layer, OperationLayer):
        modules = [nn.Identity()]
    return modules, batch


def own(thing: object, name: str, base: type) -> bool:
    """Say whether a class or an instance overrides a method of the base class."""
    return name in vars(thing) or getattr(type(thing), name) is not getattr(base, name)


def fill(target: Tensor, values: Array) -> None:
    """Copy an array into a parameter or buffer."""
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.array(values)))


def to_gate_order(ours: Array, gates: int) -> Array:
    """Return (rows, gates * hidden) in PyTorch's form: transposed, in its order of gates."""
    parts = np.split(ours, gates, axis=1)
    return np.concatenate([parts[k] for k in GATE_ORDER[gates]], axis=1).T


def _dtype(array: Array) -> torch.dtype:
    return torch.float32 if array.dtype == np.float32 else torch.float64


def _is(operations: Operations, place: int, kind: type[Operation]) -> bool:
    return len(operations) > place and type(operations[place]) is kind


def _bias_after(operations: Operations, place: int = 1) -> Array | None:
    """Return the bias that is added at this place, if any."""
    return operations[place].param if _is(operations, place, dense.BiasAdd) else None


def _with_bias(module: nn.Module, weight: Array, bias: Array | None) -> int:
    """Fill a module; return the number of Operations used."""
    fill(module.weight, weight)
    if bias is None:
        return 1
    fill(module.bias, bias.ravel())
    return 2


# --- dense, embedding, recurrent ---


def _weights(operations: Operations, batch: Array) -> Found:
    if _is(operations, 2, activations.Linear) and _memory(operations, 3):
        return _recurrent(operations, [])
    W, bias = operations[0].param, _bias_after(operations)
    module = nn.Linear(*W.shape, bias=bias is not None, dtype=_dtype(W))
    return [module], _with_bias(module, W.T, bias)


def _look_up(operations: Operations, batch: Array) -> Found:
    table = operations[0].param
    if _is(operations, 2, activations.Linear) and _memory(operations, 3):
        return _recurrent(operations, [OneHot(len(table), torch.empty(0, dtype=_dtype(table)))])
    module = nn.Embedding(*table.shape, dtype=_dtype(table))
    return [module], _with_bias(module, table, None)


def _positions(operations: Operations, batch: Array) -> Found:
    table = operations[0].param
    length, features = table.shape
    module = attending.PositionAdd(length, features, _dtype(table))
    fill(module.weight, table)
    return [module], 1


def _table(operations: Operations, batch: Array) -> Found:
    table = operations[0].param
    module = nn.Linear(table.shape[1], table.shape[0], bias=False, dtype=_dtype(table))
    return [module], _with_bias(module, table, None)


def _memory(operations: Operations, place: int) -> bool:
    kinds = (recurrent.RNN_Op, recurrent.LSTM_Op, recurrent.GRU_Op)
    return any(_is(operations, place, kind) for kind in kinds)


def _recurrent(operations: Operations, before: list[nn.Module]) -> Found:
    memory = operations[3]
    if memory.carry is not False:
        raise NoCounterpart(
            f"it carries its state from batch to batch (carry={memory.carry!r}), and PyTorch's "
            "layer does not; with carry=False it has a counterpart"
        )
    if any(state is not None for state in memory.given):
        raise NoCounterpart("it starts from a given state, and PyTorch's layer from zeros")
    if isinstance(memory, recurrent.GRU_Op) and memory.reset == "before":
        raise NoCounterpart(
            "its reset gate multiplies the state (reset='before'), and PyTorch's the product of "
            "state and weights; a layer trained with reset='after' has a counterpart"
        )
    W_x, B, W_h = (operations[place].param for place in (0, 1, 3))
    kinds = {1: nn.RNN, 3: nn.GRU, 4: nn.LSTM}
    sizes = W_x.shape[0], memory.hidden_size
    module = kinds[memory.columns](*sizes, batch_first=True, dtype=_dtype(W_x))
    fill_memory(module, W_x, B, W_h)
    return [*before, Recurrence(module)], 4


def fill_memory(module: nn.RNNBase, W_x: Array, B: Array, W_h: Array) -> None:
    """Copy the weights of a recurrent layer. PyTorch adds two biases where we have one."""
    hidden = module.hidden_size
    gates = W_x.shape[1] // hidden
    second = W_h[hidden:] if len(W_h) > hidden else np.zeros_like(B)
    fill(module.weight_ih_l0, to_gate_order(W_x, gates))
    fill(module.weight_hh_l0, to_gate_order(W_h[:hidden], gates))
    fill(module.bias_ih_l0, to_gate_order(B, gates)[:, 0])
    fill(module.bias_hh_l0, to_gate_order(second, gates)[:, 0])


def _book_lstm(layer: LSTMLayer, batch: Array) -> list[nn.Module]:
    """Return the book's layer, which carries the mean state."""
    W_x, B, W_h, W_v, B_v = layer.params
    dtype = _dtype(W_x)
    made = book.LSTMLayer(max(batch.shape[1], 1), len(W_x), layer.hidden_size, W_v.shape[1]).to(
        dtype
    )
    fill_memory(made.lstm, W_x, B, W_h)
    _with_bias(made.fc.chain()[0], W_v.T, B_v)
    for buffer, state in zip((made.h_init, made.c_init), layer.carried or (), strict=False):
        fill(buffer, state)
    numbers = layer.vocabulary_size is not None
    return [*([OneHot(len(W_x), torch.empty(0, dtype=dtype))] if numbers else []), made]


def _prelu(operations: Operations, batch: Array) -> Found:
    slopes = operations[0].param
    if slopes.size > 1 and batch.ndim == 3:
        raise NoCounterpart("it has a slope for each feature, and PyTorch's one for each time step")
    module = nn.PReLU(slopes.size, dtype=_dtype(slopes))
    fill(module.weight, slopes.ravel())
    return [module], 1


# --- convolutions and pooling ---


def _conv1d(operations: Operations, batch: Array) -> Found:
    op = operations[0]
    W, bias = op.param, _bias_after(operations)
    window = window_1d(batch.shape[2], W.shape[2], op.stride, op.padding, op.dilation)
    before, after = window.padding[1]
    even = before == after
    module = nn.Conv1d(
        W.shape[0] * op.groups,
        W.shape[1],
        W.shape[2],
        op.stride,
        before if even else 0,
        op.dilation,
        op.groups,
        bias is not None,
        dtype=_dtype(W),
    )
    count = _with_bias(module, W.swapaxes(0, 1), bias)
    return ([module] if even else [nn.ConstantPad1d((before, after), 0.0), module]), count


def _conv2d(operations: Operations, batch: Array) -> Found:
    op = operations[0]
    W, bias = op.param, _bias_after(operations)
    window = window_2d(batch.shape[2:], W.shape[2:], op.stride, op.padding, op.dilation)
    pads, padding = _padding(window.padding, 0.0)
    module = nn.Conv2d(
        W.shape[0] * op.groups,
        W.shape[1],
        W.shape[2:],
        op.stride,
        padding,
        op.dilation,
        op.groups,
        bias is not None,
        dtype=_dtype(W),
    )
    return [*pads, module], _with_bias(module, W.swapaxes(0, 1), bias)


def _padding(ends: tuple[Ends, Ends], value: float) -> tuple[list[nn.Module], tuple[int, int]]:
    """Return the padding as an argument of the layer or, if uneven, as a module before it."""
    (top, bottom), (left, right) = ends
    if top == bottom and left == right:
        return [], (top, left)
    return [nn.ConstantPad2d((left, right, top, bottom), value)], (0, 0)


def _conv_transpose2d(operations: Operations, batch: Array) -> Found:
    op = operations[0]
    W, bias = op.param, _bias_after(operations)
    (top, bottom), (left, right) = transposed_window_2d(
        batch.shape[2:],
        W.shape[2:],
        op.stride,
        op.padding,
        op.output_padding,
        op.dilation,
    ).padding
    even = top == bottom and left == right
    module = nn.ConvTranspose2d(
        W.shape[0] * op.groups,
        W.shape[1],
        W.shape[2:],
        op.stride,
        (top, left) if even else 0,
        op.output_padding,
        op.groups,
        bias is not None,
        op.dilation,
        dtype=_dtype(W),
    )
    count = _with_bias(module, regrouped(W, op.groups), bias)
    # An uneven crop is a negative padding.
    cut = [] if even else [nn.ConstantPad2d((-left, -right, -top, -bottom), 0.0)]
    return [module, *cut], count


def regrouped(W: Array, groups: int) -> Array:
    """Convert (in / groups, out, height, width) to PyTorch's (in, out / groups, height, width)."""
    a, b, *kernel = W.shape
    split = W.reshape(a, groups, b // groups, *kernel)
    return split.swapaxes(0, 1).reshape(a * groups, b // groups, *kernel)


def _max_pool(operations: Operations, batch: Array) -> Found:
    op = operations[0]
    pads, padding = _padding(op.window(batch.shape[2:]).padding, -np.inf)
    options = (op.kernel_size, op.stride, padding, op.dilation, False, op.ceil_mode)
    return [*pads, nn.MaxPool2d(*options)], 1


def _avg_pool(operations: Operations, batch: Array) -> Found:
    op = operations[0]
    window = op.window(batch.shape[2:])
    pads, padding = _padding(window.padding, 0.0)
    if pads and not op.count_include_pad:
        raise NoCounterpart(
            f"its padding is uneven ({window.padding}) and not counted in the mean, and PyTorch "
            "leaves out only an even one"
        )
    options = (op.kernel_size, op.stride, padding, op.ceil_mode, op.count_include_pad)
    return [*pads, nn.AvgPool2d(*options)], 1


def _pool_1d(operations: Operations, batch: Array) -> Found:
    op = operations[0]
    window = window_1d(batch.shape[2], op.kernel_size, op.stride, op.padding)
    if isinstance(op, pooling.MaxPool1D):
        window = window_1d(batch.shape[2], op.kernel_size, op.stride, op.padding, op.dilation)
    before, after = window.padding[1]
    if before != after:
        raise NoCounterpart(f"its padding is uneven ({before}, {after})")
    options = (op.kernel_size, op.stride, before)
    if isinstance(op, pooling.MaxPool1D):
        return [nn.MaxPool1d(*options, op.dilation, ceil_mode=op.ceil_mode)], 1
    return [nn.AvgPool1d(*options, op.ceil_mode, op.count_include_pad)], 1


# --- normalization ---


def _scale_and_shift(operations: Operations) -> list[Array]:
    if _is(operations, 1, normalization.ScaleMultiply) and _is(operations, 2, dense.BiasAdd):
        return [operations[1].param.ravel(), operations[2].param.ravel()]
    return []


def _batch_norm(operations: Operations, batch: Array) -> Found:
    op, affine = operations[0], _scale_and_shift(operations)
    kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    if batch.ndim not in kinds:
        raise NoCounterpart(f"PyTorch has no batch normalization of {batch.ndim} dimensions")
    module = kinds[batch.ndim](
        batch.shape[1], op.eps, op.momentum, bool(affine), dtype=_dtype(batch)
    )
    fill(module.running_mean, op.running_mean.ravel())
    fill(module.running_var, op.running_var.ravel())
    return _normalization(module, affine)


def _layer_norm(operations: Operations, batch: Array) -> Found:
    op, affine = operations[0], _scale_and_shift(operations)
    module = nn.LayerNorm(batch.shape[-1], op.eps, bool(affine), dtype=_dtype(batch))
    return _normalization(module, affine)


def _rms_norm(operations: Operations, batch: Array) -> Found:
    op, scaled = operations[0], _is(operations, 1, normalization.ScaleMultiply)
    module = nn.RMSNorm(batch.shape[-1], op.eps, scaled, dtype=_dtype(batch))
    return _normalization(module, [operations[1].param.ravel()] if scaled else [])


def _group_norm(operations: Operations, batch: Array) -> Found:
    op, affine = operations[0], _scale_and_shift(operations)
    module = nn.GroupNorm(op.groups, batch.shape[1], op.eps, bool(affine), dtype=_dtype(batch))
    return _normalization(module, affine)


def _normalization(module: nn.Module, affine: list[Array]) -> Found:
    for target, values in zip((module.weight, getattr(module, "bias", None)), affine, strict=False):
        fill(target, values)
    return [module], 1 + len(affine)


# --- without parameters ---


def _reshape(operations: Operations, batch: Array) -> Found:
    sizes = copy.copy(operations[0]).forward(batch).shape[1:]
    if not sizes:
        raise NoCounterpart("it leaves no axis but that of the batch")
    flat: list[nn.Module] = [] if batch.ndim == 2 else [nn.Flatten()]
    return [*flat, *([nn.Unflatten(1, sizes)] if len(sizes) > 1 else [])], 1


def _plain(make: Callable[[Any], list[nn.Module]]) -> Rule:
    return lambda operations, batch: (make(operations[0]), 1)


RULES: dict[type[Operation], Rule] = {
    activations.Linear: _plain(lambda op: []),
    activations.Sigmoid: _plain(lambda op: [nn.Sigmoid()]),
    activations.Tanh: _plain(lambda op: [nn.Tanh()]),
    activations.ReLU: _plain(lambda op: [nn.ReLU()]),
    activations.LeakyReLU: _plain(lambda op: [nn.LeakyReLU(op.slope)]),
    activations.ELU: _plain(lambda op: [nn.ELU(op.alpha)]),
    activations.GELU: _plain(lambda op: [nn.GELU("tanh" if op.tanh else "none")]),
    activations.SwiGLU: _plain(lambda op: [attending.SwiGLU()]),
    activations.SiLU: _plain(lambda op: [nn.SiLU()]),
    activations.SELU: _plain(lambda op: [nn.SELU()]),
    activations.Mish: _plain(lambda op: [nn.Mish()]),
    activations.HardSwish: _plain(lambda op: [nn.Hardswish()]),
    activations.LogSoftmax: _plain(lambda op: [nn.LogSoftmax(dim=-1)]),
    activations.PReLU_Op: _prelu,
    # Above its threshold PyTorch returns x, which is exact in float64 from 37 on.
    activations.Softplus: _plain(lambda op: [nn.Softplus(threshold=50)]),
    activations.Softmax: _plain(lambda op: [nn.Softmax(dim=-1)]),
    # Ours is the probability of keeping, PyTorch's that of dropping.
    dropout.Dropout: _plain(lambda op: [nn.Dropout(complement(op.keep_prob))]),
    reshaping.Flatten: _plain(lambda op: [nn.Flatten()]),
    reshaping.Reshape: _reshape,
    reshaping.LastStep: _plain(lambda op: [modular.LastStep()]),
    reshaping.Reverse: _plain(lambda op: [modular.Reverse()]),
    reshaping.Upsample2D: _plain(lambda op: [nn.Upsample(scale_factor=op.scale)]),
    dense.WeightMultiply: _weights,
    embedding.Embedding_Op: _look_up,
    conv.Conv1D_Op: _conv1d,
    conv.Conv2D_Op: _conv2d,
    conv.ConvTranspose2D_Op: _conv_transpose2d,
    pooling.MaxPool2D: _max_pool,
    pooling.AvgPool2D: _avg_pool,
    pooling.MaxPool1D: _pool_1d,
    pooling.AvgPool1D: _pool_1d,
    pooling.GlobalMaxPool2D: _plain(lambda op: [nn.AdaptiveMaxPool2d(1), nn.Flatten()]),
    pooling.GlobalAvgPool2D: _plain(lambda op: [nn.AdaptiveAvgPool2d(1), nn.Flatten()]),
    normalization.BatchNorm_Op: _batch_norm,
    normalization.LayerNorm_Op: _layer_norm,
    normalization.RMSNorm_Op: _rms_norm,
    normalization.GroupNorm_Op: _group_norm,
    attention.Attention_Op: _plain(
        lambda op: [attending.Attention(op.heads, op.causal, complement(op.dropout))]
    ),
    attention.RotaryPositions: _plain(lambda op: [attending.RotaryPositions(op.heads)]),
    embedding.PositionAdd: _positions,
    embedding.SinusoidAdd: _plain(lambda op: [attending.SinusoidAdd(op.length)]),
    embedding.TableMultiply: _table,
}
