"""Cases of layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dlfs.activations import GELU, Linear, ReLU, Sigmoid, Softplus, SwiGLU, Tanh
from dlfs.base import Operation
from dlfs.gradcheck.cases.images import image_size, transposed_size, windows
from dlfs.gradcheck.cases.sketch import Case, Sketch
from dlfs.layers import (
    BatchNorm,
    Bidirectional,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    FeedForward,
    GroupNorm,
    GRULayer,
    Layer,
    LayerBlock,
    LayerNorm,
    LSTMLayer,
    OperationLayer,
    Parallel,
    PositionEmbedding,
    PReLU,
    Residual,
    RMSNorm,
    RNNLayer,
    SelfAttention,
    TiedEmbedding,
    TransformerBlock,
)
from dlfs.pooling import MaxPool2D


def _activation(sketch: Sketch) -> Operation:
    return sketch.choose.choice((Linear, Tanh, Sigmoid, ReLU, Softplus))()


def _dense(sketch: Sketch) -> Case:
    features, neurons = sketch.sizes(2, 1, 4)
    conv_in = sketch.choose.choice((False, False, True))
    between = sketch.sizes(2, 1, 2) if conv_in else sketch.sizes(sketch.choose.choice((0, 1)), 1, 3)
    sketch.normal("x", sketch.batch(), *between, features)
    sketch.any_layout("x")
    return sketch.case(
        Dense,
        neurons=neurons,
        activation=_activation(sketch),
        conv_in=conv_in,
        dropout=sketch.choose.choice((1.0, 0.7)),
    )


def _convolution(sketch: Sketch, kind: type[Any], axes: int) -> Case:
    groups = sketch.choose.choice((1, 1, 2))
    kernel = sketch.sizes(axes, 1, 3)
    transposed = kind is ConvTranspose2D
    options = windows(sketch, axes, transposed)
    draw_size = transposed_size if transposed else image_size
    size = draw_size(sketch, kernel, options)
    channels_in, channels_out = sketch.sizes(2, 1, 2)
    sketch.normal("x", sketch.batch(), channels_in * groups, *size)
    sketch.any_layout("x")
    return sketch.case(
        kind,
        out_channels=channels_out * groups,
        param_size=kernel if axes == 2 else kernel[0],
        dropout=sketch.choose.choice((1.0, 0.7)),
        activation=_activation(sketch),
        flatten=sketch.choose.choice((False, True)),
        groups=groups,
        bias=sketch.choose.choice((True, True, False)),
        **options,
    )


def _batch_norm(sketch: Sketch) -> Case:
    pixels = sketch.sizes(sketch.choose.choice((0, 2)), 1, 2)
    sketch.normal("x", sketch.choose.integer(3, 5), sketch.choose.integer(1, 3), *pixels)
    sketch.any_layout("x")
    return sketch.case(BatchNorm, inference=sketch.choose.choice((False, False, True)))


def _row_norm(sketch: Sketch, kind: type[Any]) -> Case:
    time = sketch.sizes(sketch.choose.choice((0, 1)), 1, 3)
    sketch.normal("x", sketch.batch(), *time, sketch.choose.integer(3, 5))
    sketch.any_layout("x")
    return sketch.case(kind)


def _group_norm(sketch: Sketch) -> Case:
    groups = sketch.choose.integer(1, 2)
    pixels = sketch.sizes(sketch.choose.choice((0, 2)), 1, 2)
    sketch.normal("x", sketch.batch(), groups * sketch.choose.integer(3, 4), *pixels)
    sketch.any_layout("x")
    return sketch.case(GroupNorm, groups=groups)


def _embedding(sketch: Sketch) -> Case:
    rows, features, time = sketch.sizes(3, 1, 4)
    sketch.integers("x", rows, sketch.batch(), time)
    return sketch.case(Embedding, vocabulary_size=rows, neurons=features)


def _self_attention(sketch: Sketch) -> Case:
    heads, width, time = sketch.sizes(3, 1, 3)
    rotary = sketch.choose.choice((False, True))
    sketch.normal("x", sketch.batch(), time, heads * width * (2 if rotary else 1))
    sketch.any_layout("x")
    causal = sketch.choose.choice((False, True))
    dropout = sketch.choose.choice((1.0, 0.7))
    return sketch.case(SelfAttention, heads=heads, causal=causal, rotary=rotary, dropout=dropout)


def _feed_forward(sketch: Sketch) -> Case:
    time = sketch.sizes(sketch.choose.choice((0, 1)), 1, 3)
    sketch.normal("x", sketch.batch(), *time, sketch.choose.integer(1, 3))
    sketch.any_layout("x")
    activation = sketch.choose.choice((GELU(), Tanh(), SwiGLU()))
    return sketch.case(FeedForward, expand=2 * sketch.choose.integer(1, 2), activation=activation)


def _transformer_block(sketch: Sketch) -> Case:
    # One position has one weight, which is 1: the gradients of scores are then all rounding.
    heads, time = sketch.choose.integer(1, 3), sketch.choose.integer(2, 4)
    width = sketch.choose.choice((4, 6))
    sketch.normal("x", sketch.batch(), time, heads * width)
    return sketch.case(
        TransformerBlock,
        heads=heads,
        expand=2,
        dropout=sketch.choose.choice((1.0, 0.7)),
        causal=sketch.choose.choice((True, False)),
        rotary=sketch.choose.choice((False, True)),
    )


def _position_embedding(sketch: Sketch) -> Case:
    features, time = sketch.sizes(2, 1, 4)
    sketch.normal("x", sketch.batch(), time, features)
    sketch.any_layout("x")
    return sketch.case(
        PositionEmbedding,
        length=time + sketch.choose.integer(0, 2),
        sinusoidal=sketch.choose.choice((False, True)),
    )


def _tied_embedding(sketch: Sketch) -> Case:
    rows, features, time = sketch.sizes(3, 2, 4)
    sketch.integers("x", rows, sketch.batch(), time)
    inside = [Dense(features, activation=_activation(sketch))]
    return sketch.case(TiedEmbedding, vocabulary_size=rows, neurons=features, inside=inside)


def _recurrent(sketch: Sketch, kind: type[Any]) -> Case:
    features, hidden = sketch.sizes(2, 1, 3)
    options: dict[str, Any] = {
        "output_size": sketch.choose.choice((None, 1, 3)),
        "weight_scale": 0.7,
    }
    if kind is GRULayer:
        options["reset"] = sketch.choose.choice(("before", "after"))
    options["carry"] = sketch.choose.choice((False, True, "mean"))
    batch, time = sketch.batch(), sketch.choose.choice((2, 1, 4))
    if sketch.choose.choice((False, False, True)):
        options["vocabulary_size"] = features
        sketch.integers("x", features, batch, time)
    else:
        sketch.normal("x", batch, time, features)
        sketch.any_layout("x")
    return sketch.case(kind, hidden_size=hidden, **options)


def _operation_layer(sketch: Sketch) -> Case:
    operation = sketch.choose.choice((Tanh(), MaxPool2D(2)))
    sketch.normal("x", sketch.batch(), *sketch.sizes(3, 2, 4))
    return sketch.case(OperationLayer, operation=operation)


def _nested_layer(sketch: Sketch, width: int) -> Layer:
    """Draw a layer, perhaps a nested one, whose output has the shape of its input."""
    # Normalized rows of one or two numbers are constants: their gradient is all rounding.
    norm = LayerNorm if width > 2 else Dense
    kind = sketch.choose.choice((Dense, norm, Residual, Dense))
    if kind is Residual:
        return Residual([Dense(width, activation=_activation(sketch)), Dense(width)])
    return LayerNorm() if kind is LayerNorm else Dense(width, activation=_activation(sketch))


def _block(sketch: Sketch, kind: type[Any]) -> Case:
    width = sketch.choose.integer(1, 4)
    sketch.normal("x", sketch.batch(), width)
    sketch.any_layout("x")
    layers = [_nested_layer(sketch, width) for _ in range(sketch.choose.integer(1, 2))]
    return sketch.case(kind, layers=layers)


def _parallel(sketch: Sketch) -> Case:
    width = sketch.choose.integer(1, 4)
    sketch.normal("x", sketch.batch(), width)
    sketch.any_layout("x")
    branches = [[_nested_layer(sketch, width)] for _ in range(sketch.choose.integer(1, 3))]
    return sketch.case(Parallel, branches=branches, merge=sketch.choose.choice(("add", "concat")))


def _bidirectional(sketch: Sketch) -> Case:
    features, hidden = sketch.sizes(2, 1, 3)
    sketch.normal("x", sketch.batch(), sketch.choose.integer(1, 4), features)
    sketch.any_layout("x")
    layer = sketch.choose.choice((RNNLayer(hidden), LSTMLayer(hidden), GRULayer(hidden)))
    return sketch.case(Bidirectional, layer=layer, last=sketch.choose.choice((False, True)))


def _prelu(sketch: Sketch) -> Case:
    sketch.normal("x", sketch.batch(), *sketch.sizes(sketch.choose.integer(1, 3), 1, 3))
    sketch.any_layout("x")
    return sketch.case(PReLU, slope=0.3, shared=sketch.choose.choice((False, True)))


RECIPES: dict[str, Callable[[Sketch], Case]] = {
    "PReLU": _prelu,
    "Dense": _dense,
    "Conv1D": partial(_convolution, kind=Conv1D, axes=1),
    "Conv2D": partial(_convolution, kind=Conv2D, axes=2),
    "ConvTranspose2D": partial(_convolution, kind=ConvTranspose2D, axes=2),
    "BatchNorm": _batch_norm,
    "LayerNorm": partial(_row_norm, kind=LayerNorm),
    "RMSNorm": partial(_row_norm, kind=RMSNorm),
    "GroupNorm": _group_norm,
    "Embedding": _embedding,
    "SelfAttention": _self_attention,
    "FeedForward": _feed_forward,
    "TransformerBlock": _transformer_block,
    "PositionEmbedding": _position_embedding,
    "TiedEmbedding": _tied_embedding,
    "OperationLayer": _operation_layer,
    "RNNLayer": partial(_recurrent, kind=RNNLayer),
    "LSTMLayer": partial(_recurrent, kind=LSTMLayer),
    "GRULayer": partial(_recurrent, kind=GRULayer),
    "LayerBlock": partial(_block, kind=LayerBlock),
    "Residual": partial(_block, kind=Residual),
    "Parallel": _parallel,
    "Bidirectional": _bidirectional,
}
