"""Export to ONNX, which other runtimes read (extra ``onnx``).

``to_onnx`` walks through the layers, and each Operation adds its nodes: one function for each kind,
below. The batch axis is free; all other sizes are those of ``input_shape``.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

try:
    import onnx
    from onnx import helper, numpy_helper
except ImportError as error:
    raise ImportError("dlfs.onnx needs the extra onnx: pip install 'dlfs[onnx]'") from error

from dlfs import activations, conv, dense, dropout, embedding, normalization, pooling, recurrent
from dlfs import reshape as reshaping
from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.base import Operation
from dlfs.checks import check_input_shape, check_instance
from dlfs.layers import Layer, Parallel, Residual
from dlfs.network import NeuralNetwork
from dlfs.types import Array, Shape
from dlfs.utils.files import check_writable, write_atomically
from dlfs.windows import Window, ceil_rest, transposed_window_2d, window_1d, window_2d

OPSET = 20
"""The version of ONNX's operators."""

IR_VERSION = 9
"""The version of the file format: that of ONNX 1.15, the first with the operators above."""


class Graph:
    """The nodes and constants of a model, under unique names.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the network's numbers.
    """

    def __init__(self, dtype: "np.dtype[Any]") -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.place = ""

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        name = f"{self.place}.{kind}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Add a constant, and return its name."""
        array = np.array(values, self.dtype if dtype is None else dtype, order="C")
        name = f"{self.place}.constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


Rule: TypeAlias = Callable[[Graph, Any, str, Array], str]
"""Adds the nodes of an Operation that reads the named value; the array is an empty batch of it."""


class NoCounterpart(ValueError):
    """Raised for what ONNX's operators cannot express; the caller adds the layer's name."""


def to_onnx(
    net: NeuralNetwork, path: str | Path | None = None, input_shape: Shape | None = None
) -> onnx.ModelProto:
    """Convert a network to a model of ONNX with the same predictions.

    Parameters
    ----------
    net : NeuralNetwork
        It must be set up: trained or built. It is not changed.
    path : path, optional
        Where to write the model.
    input_shape : tuple, optional
        The shape of one observation, without the batch axis; that of earlier data unless given.
        "same" padding becomes a number of pixels, computed for images of this size.

    Returns
    -------
    onnx.ModelProto
        With one input, "input", and one output, "output", whose first axis is free. It has plain
        operators of ONNX's version 20, and numbers of the network's dtype.

    Raises
    ------
    TypeError
        If net is not a NeuralNetwork.
    ValueError
        If it is not set up, or has a layer that ONNX cannot express: your own layer or Operation,
        or a recurrent one that starts from a state of its own for each sequence. Or if the class
        of net has a forward or predict of its own.

    Notes
    -----
    A recurrent layer that carries its state starts as it does in ``predict(X)``: each row is a
    separate sequence.

    onnxruntime has some operators for float32 only, convolutions among them.

    Examples
    --------
    >>> from dlfs.activations import Tanh
    >>> from dlfs.layers import Dense
    >>> net = NeuralNetwork([Dense(8, activation=Tanh()), Dense(1)], dtype="float32")
    >>> net.build((13,))
    >>> model = to_onnx(net)
    >>> [node.op_type for node in model.graph.node]
    ['MatMul', 'Add', 'Tanh', 'MatMul', 'Add', 'Identity']
    """
    owner = "to_onnx"
    check_instance(net, NeuralNetwork, owner, "net")
    try:
        _refuse_own(net, NeuralNetwork, ("forward", "predict"))
    except NoCounterpart as error:
        raise ValueError(f"{owner}: the network: {error}") from error
    if path is not None:
        check_writable(path)
    if not net.built:
        raise ValueError(f"{owner}: the network net is not set up; train it, or call build()")
    shape = net.input_shape if input_shape is None else input_shape
    if shape is None:
        raise ValueError(f"{owner}: net has seen no observation yet; pass input_shape")
    shape = check_input_shape(shape, owner)
    kind = np.dtype(np.int64) if net.takes_integers else net.dtype
    graph, value = Graph(net.dtype), "input"
    batch = np.zeros((0, *shape), dtype=kind)
    for number, layer in enumerate(net.layers):
        graph.place = f"layers.{number}.{type(layer).__name__}"
        try:
            value, batch = _layer(graph, layer, value, batch)
        except NoCounterpart as error:
            raise ValueError(f"{owner}: layer {number}, {layer!r:.200}: {error}") from error
    graph.nodes.append(helper.make_node("Identity", [value], ["output"], name="output"))
    ends = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(of), ["batch", *sizes])
        for name, of, sizes in (("input", kind, shape), ("output", net.dtype, batch.shape[1:]))
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "dlfs", ends[:1], ends[1:], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="dlfs",
    )
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        write_atomically(path, model.SerializeToString())
    return model


def _layer(graph: Graph, layer: Layer, x: str, batch: Array) -> tuple[str, Array]:
    """Add the nodes of a layer; return the name of its output, and an empty batch of that."""
    base = next(kind for kind in (Residual, Parallel, Layer) if isinstance(layer, kind))
    _refuse_own(layer, base, ("forward",))
    place = graph.place
    if isinstance(layer, Parallel):
        ends = [_layer(graph, block, x, batch) for block in layer.layers]
        names = [name for name, _ in ends]
        if layer.merge == "add":
            return graph.add("Sum", *names), ends[0][1]
        joined = np.concatenate([end for _, end in ends], axis=layer.axis)
        return graph.add("Concat", *names, axis=layer.axis), joined
    value = x
    for number, inner in enumerate(layer.layers):
        graph.place = f"{place}.{number}.{type(inner).__name__}"
        value, batch = _layer(graph, inner, value, batch)
    graph.place = place
    for operation in layer.operations:
        rule = RULES.get(type(operation))
        if rule is None:
            raise NoCounterpart(f"{type(operation).__name__} is not known to ONNX")
        _refuse_own(operation, type(operation), ("forward", "_output"))
        value = rule(graph, operation, value, batch)
        # A copy computes: the network's own Operations keep their state.
        batch = copy.copy(operation).forward(batch, True)
    return graph.add("Add", x, value) if isinstance(layer, Residual) else value, batch


def _refuse_own(thing: object, base: type, names: tuple[str, ...]) -> None:
    for name in names:
        if name in vars(thing) or getattr(type(thing), name) is not getattr(base, name):
            raise NoCounterpart(f"{type(thing).__name__} has a {name} of its own")


# --- one function for each kind of Operation ---


def _nothing(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    return x


def _one_node(kind: str, **attributes: Any) -> Rule:
    def rule(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
        return graph.add(kind, x, **attributes)

    return rule


# An attribute is a float32. Numbers that are none become constants, of the network's dtype.


def _leaky_relu(graph: Graph, operation: activations.LeakyReLU, x: str, batch: Array) -> str:
    return graph.add("PRelu", x, graph.constant([operation.slope]))


def _elu(graph: Graph, operation: Any, x: str, batch: Array) -> str:
    below = graph.add("Elu", graph.add("Min", x, graph.constant([0])))
    alpha = getattr(operation, "alpha", activations.SELU_ALPHA)
    scaled = graph.add("Mul", below, graph.constant([alpha]))
    return graph.add("Add", graph.add("Relu", x), scaled)


def _selu(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    scale = graph.constant([activations.SELU_SCALE])
    return graph.add("Mul", _elu(graph, operation, x, batch), scale)


def _mish(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))


def _hard_swish(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    sixth = graph.add("Mul", x, graph.constant([1 / 6]))
    line = graph.add("Max", graph.add("Add", sixth, graph.constant([0.5])), graph.constant([0]))
    return graph.add("Mul", x, graph.add("Min", line, graph.constant([1])))


def _gelu(graph: Graph, operation: activations.GELU, x: str, batch: Array) -> str:
    return graph.add("Gelu", x, approximate="tanh" if operation.tanh else "none")


def _swiglu(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    half = batch.shape[-1] // 2
    places = graph.constant(np.arange(half), np.int64)
    a = graph.add("Gather", x, places, axis=-1)
    b = graph.add("Gather", x, graph.constant(np.arange(half, 2 * half), np.int64), axis=-1)
    return graph.add("Mul", _silu(graph, operation, a, batch), b)


def _silu(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _with_param(kind: str) -> Rule:
    def rule(graph: Graph, operation: Any, x: str, batch: Array) -> str:
        return graph.add(kind, x, graph.constant(operation.param))

    return rule


def _embedding(graph: Graph, operation: embedding.Embedding_Op, x: str, batch: Array) -> str:
    return graph.add("Gather", graph.constant(operation.param), x, axis=0)


def _turned_table(graph: Graph, operation: embedding.TableMultiply, x: str, batch: Array) -> str:
    return graph.add("MatMul", x, graph.constant(operation.param.T))


def _last_step(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    return graph.add("Gather", x, graph.constant(-1, np.int64), axis=1)


def _reverse(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    # From the last step to before the first, in steps of -1, along axis 1.
    ends = ([-1], [-(2**62)], [1], [-1])
    return graph.add("Slice", x, *(graph.constant(end, np.int64) for end in ends))


def _upsample(graph: Graph, operation: reshaping.Upsample2D, x: str, batch: Array) -> str:
    scales = graph.constant([1, 1, *operation.scale], np.float32)
    options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.add("Resize", x, "", scales, mode="nearest", **options)


def _added_positions(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    nothing = np.zeros((1, *batch.shape[1:]), dtype=graph.dtype)
    return graph.add("Add", x, graph.constant(copy.copy(operation).forward(nothing, True)))


def _rotary(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    # Each feature becomes its own multiple plus one of its neighbour, in pairs.
    places = np.arange(batch.shape[2])
    neighbour = graph.add("Gather", x, graph.constant(places ^ 1, np.int64), axis=2)
    even = np.broadcast_to(places % 2 == 0, (1, *batch.shape[1:])).astype(graph.dtype)
    of_even, of_odd = (copy.copy(operation).forward(ones, True) for ones in (even, 1 - even))
    own, other = np.where(even, of_even, of_odd), np.where(even, of_odd, of_even)
    first = graph.add("Mul", x, graph.constant(own))
    return graph.add("Add", first, graph.add("Mul", neighbour, graph.constant(other)))


def _reshape(graph: Graph, operation: reshaping.Reshape, x: str, batch: Array) -> str:
    shape = copy.copy(operation).forward(batch, True).shape[1:]
    return graph.add("Reshape", x, graph.constant((-1, *shape), np.int64))


def _batch_norm(graph: Graph, operation: normalization.BatchNorm_Op, x: str, batch: Array) -> str:
    mean, var = operation.running_mean.ravel(), operation.running_var.ravel() + operation.eps
    statistics = [graph.constant(a) for a in (np.ones_like(mean), np.zeros_like(mean), mean, var)]
    return graph.add("BatchNormalization", x, *statistics, epsilon=0.0)


def _normalized(graph: Graph, x: str, eps: float) -> str:
    """Divide by the root of the mean of squares over the last axis."""
    mean = graph.add("ReduceMean", graph.add("Mul", x, x), graph.constant([-1], np.int64))
    return graph.add("Div", x, graph.add("Sqrt", graph.add("Add", mean, graph.constant([eps]))))


def _layer_norm(graph: Graph, operation: Any, x: str, batch: Array) -> str:
    mean = graph.add("ReduceMean", x, graph.constant([-1], np.int64))
    return _normalized(graph, graph.add("Sub", x, mean), operation.eps)


def _rms_norm(graph: Graph, operation: normalization.RMSNorm_Op, x: str, batch: Array) -> str:
    return _normalized(graph, x, operation.eps)


def _group_norm(graph: Graph, operation: normalization.GroupNorm_Op, x: str, batch: Array) -> str:
    grouped = graph.add("Reshape", x, graph.constant((0, operation.groups, -1), np.int64))
    output = _layer_norm(graph, operation, grouped, batch)
    return graph.add("Reshape", output, graph.constant((-1, *batch.shape[1:]), np.int64))


def _convolution(graph: Graph, operation: Any, x: str, batch: Array) -> str:
    W, size = operation.param, batch.shape[2:]
    options = (operation.stride, operation.padding, operation.dilation)
    weights = graph.constant(W.swapaxes(0, 1))
    if len(size) == 1:
        window = window_1d(size[0], W.shape[2], *options)
    else:
        window = window_2d(size, W.shape[2:], *options)
    return graph.add("Conv", x, weights, group=operation.groups, **_window(window, len(size)))


def _transposed(graph: Graph, operation: conv.ConvTranspose2D_Op, x: str, batch: Array) -> str:
    W, groups = operation.param, operation.groups
    options = (operation.stride, operation.padding, operation.output_padding, operation.dilation)
    window = transposed_window_2d(batch.shape[2:], W.shape[2:], *options)
    # (in / groups, out, ...) becomes (in, out / groups, ...).
    split = W.reshape(W.shape[0], groups, W.shape[1] // groups, *W.shape[2:])
    weights = split.swapaxes(0, 1).reshape(-1, W.shape[1] // groups, *W.shape[2:])
    extra = list(operation.output_padding)
    return graph.add(
        "ConvTranspose",
        x,
        graph.constant(weights),
        group=groups,
        output_padding=extra,
        **_window(window, 2),
    )


def _window(window: Window, axes: int) -> dict[str, list[int]]:
    paddings = window.padding[-axes:]
    return {
        "kernel_shape": list(window.kernel[-axes:]),
        "strides": list(window.stride[-axes:]),
        "dilations": list(window.dilation[-axes:]),
        "pads": [before for before, _ in paddings] + [after for _, after in paddings],
    }


def _pool(graph: Graph, operation: Any, x: str, batch: Array) -> str:
    window = operation.window(batch.shape[2:])
    ends = window.padding
    lacking = ceil_rest(batch.shape[2:], window) if operation.ceil_mode else (0, 0)
    more = [(a, b + rest) for (a, b), rest in zip(ends, lacking, strict=True)]
    if isinstance(operation, pooling.MaxPool2D):
        return graph.add("MaxPool", x, **_window(window._replace(padding=tuple(more)), 2))
    attributes: dict[str, Any] = dict(_window(window, 2))
    include = int(operation.count_include_pad)
    if lacking != (0, 0):
        # What lacks never counts, whatever the padding does.
        if include:
            zeros = [0, 0, ends[0][0], ends[1][0], 0, 0, ends[0][1], ends[1][1]]
            x = graph.add("Pad", x, graph.constant(zeros, np.int64))
            more = [(0, rest) for rest in lacking]
        attributes, include = dict(_window(window._replace(padding=tuple(more)), 2)), 0
    return graph.add("AveragePool", x, count_include_pad=include, **attributes)


def _pool_1d(graph: Graph, operation: Any, x: str, batch: Array) -> str:
    images = graph.add("Unsqueeze", x, graph.constant([2], np.int64))
    pooled = _pool(graph, operation.as_images(), images, batch[:, :, np.newaxis])
    return graph.add("Squeeze", pooled, graph.constant([2], np.int64))


def _global_max(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    return graph.add("Flatten", graph.add("GlobalMaxPool", x), axis=1)


def _global_pool(graph: Graph, operation: Operation, x: str, batch: Array) -> str:
    return graph.add("Flatten", graph.add("GlobalAveragePool", x), axis=1)


GATE_ORDER = {"RNN": [0], "LSTM": [1, 3, 0, 2], "GRU": [1, 0, 2]}
"""The places of ONNX's gates among ours: of the LSTM input, output, forget, candidate."""


def _recurrence(graph: Graph, operation: Any, x: str, batch: Array) -> str:
    kind = type(operation).__name__.removesuffix("_Op")
    n, order = operation.hidden_size, GATE_ORDER[kind]

    def in_order(columns: Array) -> Array:
        parts = np.split(columns, len(order), axis=1)
        return np.concatenate([parts[place] for place in order], axis=1)

    # The inputs are weighed already, with their biases.
    weights = [in_order(np.eye(len(order) * n)).T, in_order(operation.param[:n]).T]
    bias = np.zeros((1, 2 * len(order) * n))
    attributes: dict[str, Any] = {"hidden_size": n}
    if kind == "GRU":
        after = operation.reset == "after"
        attributes["linear_before_reset"] = int(after)
        if after:
            bias[:, len(order) * n :] = in_order(operation.param[n:])
    constants = [graph.constant(array[np.newaxis]) for array in weights]
    by_time = graph.add("Transpose", x, perm=[1, 0, 2])
    constants.append(graph.constant(bias))
    if any(state is not None for state in operation.given):
        constants += ["", *_initial_states(graph, operation, by_time)]
    states = graph.add(kind, by_time, *constants, **attributes)
    one_direction = graph.add("Squeeze", states, graph.constant([1], np.int64))
    return graph.add("Transpose", one_direction, perm=[1, 0, 2])


def _initial_states(graph: Graph, operation: Any, by_time: str) -> list[str]:
    """Repeat each given state for all sequences of the batch."""
    batch = graph.add("Shape", by_time, start=1, end=2)
    one, n = (graph.constant([size], np.int64) for size in (1, operation.hidden_size))
    shape = graph.add("Concat", one, batch, n, axis=0)
    names = []
    for state in operation.given:
        rows = np.zeros((1, operation.hidden_size)) if state is None else state
        if len(rows) != 1:
            raise NoCounterpart(f"it starts from the states of {len(rows)} sequences")
        names.append(graph.add("Expand", graph.constant(rows[np.newaxis]), shape))
    return names


def _attention(graph: Graph, operation: Attention_Op, x: str, batch: Array) -> str:
    time, features = batch.shape[1], batch.shape[2] // 3
    heads, width = operation.heads, features // operation.heads
    apart = graph.add("Reshape", x, graph.constant((0, 0, 3, heads, width), np.int64))
    qkv = graph.add("Transpose", apart, perm=[2, 0, 3, 1, 4])
    q, k, v = (graph.add("Gather", qkv, graph.constant(n, np.int64), axis=0) for n in range(3))
    turned = graph.add("Transpose", k, perm=[0, 1, 3, 2])
    scores = graph.add("Mul", graph.add("MatMul", q, turned), graph.constant(width**-0.5))
    if operation.causal:
        hidden = np.triu(np.full((time, time), -np.inf), 1)
        scores = graph.add("Add", scores, graph.constant(hidden))
    mean = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), v)
    together = graph.add("Transpose", mean, perm=[0, 2, 1, 3])
    return graph.add("Reshape", together, graph.constant((0, 0, features), np.int64))


RULES: dict[type[Operation], Rule] = {
    activations.Linear: _nothing,
    dropout.Dropout: _nothing,
    activations.Sigmoid: _one_node("Sigmoid"),
    activations.Tanh: _one_node("Tanh"),
    activations.ReLU: _one_node("Relu"),
    activations.GELU: _gelu,
    activations.SwiGLU: _swiglu,
    activations.Softplus: _one_node("Softplus"),
    activations.Softmax: _one_node("Softmax", axis=-1),
    activations.LeakyReLU: _leaky_relu,
    activations.ELU: _elu,
    activations.SiLU: _silu,
    activations.SELU: _selu,
    activations.Mish: _mish,
    activations.HardSwish: _hard_swish,
    activations.LogSoftmax: _one_node("LogSoftmax", axis=-1),
    activations.PReLU_Op: _with_param("PRelu"),
    dense.WeightMultiply: _with_param("MatMul"),
    dense.BiasAdd: _with_param("Add"),
    normalization.ScaleMultiply: _with_param("Mul"),
    normalization.BatchNorm_Op: _batch_norm,
    normalization.LayerNorm_Op: _layer_norm,
    normalization.RMSNorm_Op: _rms_norm,
    normalization.GroupNorm_Op: _group_norm,
    conv.Conv1D_Op: _convolution,
    conv.Conv2D_Op: _convolution,
    conv.ConvTranspose2D_Op: _transposed,
    pooling.MaxPool2D: _pool,
    pooling.AvgPool2D: _pool,
    pooling.MaxPool1D: _pool_1d,
    pooling.AvgPool1D: _pool_1d,
    pooling.GlobalMaxPool2D: _global_max,
    pooling.GlobalAvgPool2D: _global_pool,
    reshaping.Flatten: _one_node("Flatten", axis=1),
    reshaping.Reshape: _reshape,
    reshaping.LastStep: _last_step,
    reshaping.Reverse: _reverse,
    reshaping.Upsample2D: _upsample,
    embedding.Embedding_Op: _embedding,
    embedding.TableMultiply: _turned_table,
    embedding.PositionAdd: _added_positions,
    embedding.SinusoidAdd: _added_positions,
    RotaryPositions: _rotary,
    recurrent.RNN_Op: _recurrence,
    recurrent.LSTM_Op: _recurrence,
    recurrent.GRU_Op: _recurrence,
    Attention_Op: _attention,
}
