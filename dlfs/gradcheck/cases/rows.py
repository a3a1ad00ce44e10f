"""Cases of Operations on rows of features, and of elementwise Operations."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dlfs.activations import (
    ELU,
    GELU,
    SELU,
    HardSwish,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    PReLU_Op,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SwiGLU,
    Tanh,
)
from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.embedding import Embedding_Op, PositionAdd, SinusoidAdd, TableMultiply
from dlfs.gradcheck.cases.sketch import Case, Sketch
from dlfs.normalization import (
    BatchNorm_Op,
    GroupNorm_Op,
    LayerNorm_Op,
    RMSNorm_Op,
    ScaleMultiply,
)
from dlfs.recurrent import GRU_Op, LSTM_Op, RNN_Op
from dlfs.reshape import Flatten, LastStep, Reshape, Reverse


def _any_shape(sketch: Sketch, scale: float = 1.5) -> None:
    rank = sketch.choose.choice((2, 1, 3, 4))
    sketch.normal("x", sketch.batch(), *sketch.sizes(rank - 1, 1, 4), scale=scale)
    sketch.any_layout("x")


def _elementwise(sketch: Sketch, kind: type[Any], **options: tuple[Any, ...]) -> Case:
    _any_shape(sketch)
    chosen = {name: sketch.choose.choice(values) for name, values in options.items()}
    return sketch.case(kind, **chosen)


def _softmax(sketch: Sketch, kind: type[Any]) -> Case:
    sizes = sketch.sizes(sketch.choose.integer(1, 2), 1, 5)
    sketch.normal("x", sketch.batch(), *sizes, scale=2.0)
    sketch.any_layout("x")
    return sketch.case(kind)


def _hard_swish(sketch: Sketch) -> Case:
    _any_shape(sketch, 3.0)
    return sketch.case(HardSwish)


def _prelu(sketch: Sketch) -> Case:
    features = sketch.choose.integer(1, 4)
    shape = sketch.choose.choice(((1, features), (1,), (1, features, 1, 1)))
    sketch.normal("slope", *shape, scale=0.5)
    pixels = sketch.sizes(2, 1, 3) if len(shape) == 4 else ()
    sketch.normal("x", *(_leading(sketch) if not pixels else (sketch.batch(),)), features, *pixels)
    sketch.any_layout("x")
    return sketch.case(PReLU_Op, "slope")


def _leading(sketch: Sketch) -> tuple[int, ...]:
    """Draw (batch,) or (batch, time)."""
    return (sketch.batch(), *sketch.sizes(sketch.choose.choice((0, 0, 1)), 1, 3))


def _weight_multiply(sketch: Sketch) -> Case:
    features, neurons = sketch.sizes(2, 1, 5)
    sketch.normal("W", features, neurons)
    sketch.any_layout("W")
    sketch.normal("x", *_leading(sketch), features)
    sketch.any_layout("x")
    return sketch.case(WeightMultiply, "W")


def _per_feature(sketch: Sketch, kind: type[Any], name: str) -> Case:
    features = sketch.choose.integer(1, 4)
    if sketch.choose.choice((False, True)):
        sketch.normal(name, 1, features, 1, 1)
        sketch.normal("x", sketch.batch(), features, *sketch.sizes(2, 1, 3))
    else:
        sketch.normal(name, 1, features)
        sketch.normal("x", *_leading(sketch), features)
    sketch.any_layout("x")
    return sketch.case(kind, name)


def _reshape(sketch: Sketch) -> Case:
    a, b, c = sketch.sizes(3, 1, 4)
    sketch.normal("x", sketch.batch(), a * b, c)
    sketch.any_layout("x")
    return sketch.case(Reshape, shape=sketch.choose.choice(((a, b, c), (c, -1), (a * b * c,))))


def _steps(sketch: Sketch, kind: type[Any]) -> Case:
    sketch.normal("x", sketch.batch(), *sketch.sizes(sketch.choose.integer(1, 2), 1, 4))
    sketch.any_layout("x")
    return sketch.case(kind)


def _dropout(sketch: Sketch) -> Case:
    _any_shape(sketch)
    keep = sketch.choose.choice((0.5, 0.8, 1.0, 0.25))
    inference = sketch.choose.choice((False, False, True))
    seed = sketch.choose.integer(0, 99)
    return sketch.case(Dropout, keep_prob=keep, seed=seed, inference=inference)


def _batch_norm(sketch: Sketch) -> Case:
    features = sketch.choose.integer(1, 3)
    pixels = sketch.sizes(sketch.choose.choice((0, 2)), 1, 3)
    sketch.normal("x", sketch.choose.integer(3, 5), features, *pixels)
    sketch.any_layout("x")
    inference = sketch.choose.choice((False, False, True))
    return sketch.case(BatchNorm_Op, eps=sketch.choose.choice((1e-5, 1e-2)), inference=inference)


def _row_norm(sketch: Sketch, kind: type[Any]) -> Case:
    sketch.normal("x", *_leading(sketch), sketch.choose.integer(3, 6))
    sketch.any_layout("x")
    return sketch.case(kind, eps=sketch.choose.choice((1e-5, 1e-2)))


def _group_norm(sketch: Sketch) -> Case:
    groups = sketch.choose.integer(1, 2)
    pixels = sketch.sizes(sketch.choose.choice((0, 2)), 1, 3)
    # Of two numbers only their order remains: no fewer than three in a group.
    sketch.normal("x", sketch.batch(), groups * sketch.choose.integer(3, 4), *pixels)
    sketch.any_layout("x")
    return sketch.case(GroupNorm_Op, groups=groups, eps=sketch.choose.choice((1e-5, 1e-2)))


def _swiglu(sketch: Sketch) -> Case:
    sketch.normal("x", *_leading(sketch), 2 * sketch.choose.integer(1, 4))
    sketch.any_layout("x")
    return sketch.case(SwiGLU)


def _attention(sketch: Sketch) -> Case:
    heads, width, time = sketch.sizes(3, 1, 3)
    sketch.normal("x", sketch.batch(), time, 3 * heads * width)
    sketch.any_layout("x")
    causal, seed = sketch.choose.choice((False, True)), sketch.choose.integer(0, 99)
    dropout = sketch.choose.choice((1.0, 0.7))
    return sketch.case(Attention_Op, heads=heads, causal=causal, dropout=dropout, seed=seed)


def _rotary(sketch: Sketch) -> Case:
    heads, pairs, time = sketch.sizes(3, 1, 3)
    sketch.normal("x", sketch.batch(), time, 6 * heads * pairs)
    sketch.any_layout("x")
    return sketch.case(RotaryPositions, heads=heads)


def _position_add(sketch: Sketch) -> Case:
    features, time = sketch.sizes(2, 1, 4)
    sketch.normal("table", time + sketch.choose.integer(0, 2), features)
    sketch.any_layout("table")
    sketch.normal("x", sketch.batch(), time, features)
    sketch.any_layout("x")
    return sketch.case(PositionAdd, "table")


def _sinusoid_add(sketch: Sketch) -> Case:
    features, time = sketch.sizes(2, 1, 4)
    sketch.normal("x", sketch.batch(), time, features)
    sketch.any_layout("x")
    return sketch.case(SinusoidAdd, length=time + sketch.choose.integer(0, 2))


def _table_multiply(sketch: Sketch) -> Case:
    rows, features = sketch.sizes(2, 1, 5)
    sketch.normal("table", rows, features)
    sketch.any_layout("table")
    sketch.normal("x", *_leading(sketch), features)
    sketch.any_layout("x")
    return sketch.case(TableMultiply, "table")


def _embedding(sketch: Sketch) -> Case:
    rows, features = sketch.sizes(2, 1, 5)
    sketch.normal("table", rows, features)
    sketch.integers("x", rows, *_leading(sketch))
    return sketch.case(Embedding_Op, "table")


def _recurrence(sketch: Sketch, kind: type[Any], gates: int, states: tuple[str, ...]) -> Case:
    hidden, batch = sketch.choose.integer(1, 4), sketch.batch()
    options: dict[str, Any] = {}
    if kind is GRU_Op:
        options["reset"] = sketch.choose.choice(("before", "after"))
    sketch.normal("W_h", hidden + (options.get("reset") == "after"), gates * hidden)
    sketch.any_layout("W_h")
    sketch.normal("x", batch, sketch.choose.choice((2, 1, 3, 5, 0)), gates * hidden)
    sketch.any_layout("x")
    given: tuple[str, ...] = ()
    if sketch.choose.choice((False, True)):
        given = states
        for name in given:
            sketch.normal(name, batch, hidden)
    return sketch.case(kind, "W_h", *given, **options)


RECIPES: dict[str, Callable[[Sketch], Case]] = {
    "Linear": partial(_elementwise, kind=Linear),
    "Sigmoid": partial(_elementwise, kind=Sigmoid),
    "Tanh": partial(_elementwise, kind=Tanh),
    "ReLU": partial(_elementwise, kind=ReLU),
    "LeakyReLU": partial(_elementwise, kind=LeakyReLU, slope=(0.01, 0.3, 0.0)),
    "ELU": partial(_elementwise, kind=ELU, alpha=(1.0, 0.3, 2.0)),
    "GELU": partial(_elementwise, kind=GELU, tanh=(False, True)),
    "SiLU": partial(_elementwise, kind=SiLU),
    "Softplus": partial(_elementwise, kind=Softplus),
    "SELU": partial(_elementwise, kind=SELU),
    "Mish": partial(_elementwise, kind=Mish),
    "HardSwish": _hard_swish,
    "PReLU_Op": _prelu,
    "LogSoftmax": partial(_softmax, kind=LogSoftmax),
    "Softmax": partial(_softmax, kind=Softmax),
    "SwiGLU": _swiglu,
    "WeightMultiply": _weight_multiply,
    "BiasAdd": partial(_per_feature, kind=BiasAdd, name="B"),
    "ScaleMultiply": partial(_per_feature, kind=ScaleMultiply, name="gamma"),
    "Flatten": partial(_elementwise, kind=Flatten),
    "Reshape": _reshape,
    "LastStep": partial(_steps, kind=LastStep),
    "Reverse": partial(_steps, kind=Reverse),
    "Dropout": _dropout,
    "BatchNorm_Op": _batch_norm,
    "LayerNorm_Op": partial(_row_norm, kind=LayerNorm_Op),
    "RMSNorm_Op": partial(_row_norm, kind=RMSNorm_Op),
    "GroupNorm_Op": _group_norm,
    "Embedding_Op": _embedding,
    "Attention_Op": _attention,
    "RotaryPositions": _rotary,
    "PositionAdd": _position_add,
    "SinusoidAdd": _sinusoid_add,
    "TableMultiply": _table_multiply,
    "RNN_Op": partial(_recurrence, kind=RNN_Op, gates=1, states=("h0",)),
    "LSTM_Op": partial(_recurrence, kind=LSTM_Op, gates=4, states=("h0", "c0")),
    "GRU_Op": partial(_recurrence, kind=GRU_Op, gates=3, states=("h0",)),
}
