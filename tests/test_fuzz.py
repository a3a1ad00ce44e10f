"""Arbitrary arguments give a result, ValueError or TypeError, and nothing else.

The subjects and what their arguments must be are those of the tables of bad input; here all
arguments are drawn at once: valid ones, known mistakes, and arbitrary values of hypothesis.
"""

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlfs import layers, pooling
from dlfs.backend import available_backends
from dlfs.network import NeuralNetwork
from tests.support.subjects import Subject
from tests.support.subjects_classes import CLASSES
from tests.support.subjects_kernels import KERNELS, on_fast

# Sizes stay small: a padding of a billion pixels is valid, and would fill the memory.
integers = st.integers(-3, 9)
floats = st.floats(width=64) | st.sampled_from([0.0, 0.5, 1.0, 2.0])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    integers.map(np.int64),
    st.floats(width=32).map(np.float32),
    st.text(max_size=5),
    st.sampled_from(["same", "valid", "relu", "linear", "glorot", "float32", "epoch", "batch"]),
    st.complex_numbers(),
    st.binary(max_size=3),
)
ARRAY_DTYPES = ["float32", "float64", "int64", "uint8", "bool", "complex64", "object", "U1"]


def filled(shape: tuple[int, ...], dtype: str, number: float) -> np.ndarray:
    """Return an array of one number, or of one near it that the dtype has."""
    if dtype in ("int64", "uint8", "bool"):
        number = int(abs(number)) if abs(number) < 3 else 2
    with np.errstate(over="ignore"):
        return np.full(shape, number, dtype=dtype)


arrays = st.builds(
    filled,
    hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3),
    st.sampled_from(ARRAY_DTYPES),
    st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, 1e308]),
)
anything = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=5,
)


def run(call: Any, **arguments: Any) -> None:
    """Call, and allow only ValueError and TypeError.

    Numbers that overflow or are NaN are the caller's; every other warning is an error here.
    """
    with np.errstate(all="ignore"), contextlib.suppress(ValueError, TypeError):
        call(**arguments)


COMPILED = [on_fast(subject) for subject in KERNELS] if "fast" in available_backends() else []


@pytest.mark.parametrize(
    "subject", [*KERNELS, *COMPILED, *CLASSES], ids=lambda subject: subject.name
)
@given(data=st.data())
def test_any_arguments(subject: Subject, data: st.DataObject) -> None:
    arguments = subject.valid()
    for name, wanted in subject.wanted.items():
        bad = st.sampled_from(wanted.bad(arguments.get(name)))
        right = st.just(arguments[name]) if name in arguments else st.nothing()
        value = data.draw(st.one_of(right, bad, anything, arrays, integers), label=name)
        arguments[name] = value
    run(subject.call, **arguments)


# --- layers with options that are right in form, on images of any shape ---

small = st.integers(1, 4)
either = st.one_of(small, st.tuples(small, small))
padding = st.one_of(
    st.integers(0, 3),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(small, small)),
    st.sampled_from(["same", "valid"]),
)
options = {"stride": either, "padding": padding, "dilation": either, "groups": small}
LAYERS = {
    "Conv2D": st.builds(layers.Conv2D, small, either, flatten=st.booleans(), **options),
    "Conv1D": st.builds(
        layers.Conv1D,
        small,
        small,
        stride=small,
        padding=st.one_of(st.integers(0, 3), st.tuples(small, small), st.just("same")),
        dilation=small,
        groups=small,
    ),
    "ConvTranspose2D": st.builds(
        layers.ConvTranspose2D, small, either, output_padding=st.integers(0, 2), **options
    ),
    "Dense": st.builds(layers.Dense, small, conv_in=st.booleans()),
    "MaxPool2D": st.builds(pooling.MaxPool2D, either, st.none() | either, padding),
    "AvgPool2D": st.builds(pooling.AvgPool2D, either, st.none() | either, padding, st.booleans()),
    "GlobalAvgPool2D": st.builds(pooling.GlobalAvgPool2D),
    "BatchNorm": st.builds(layers.BatchNorm),
    "LayerNorm": st.builds(layers.LayerNorm),
    "SelfAttention": st.builds(layers.SelfAttention, small, st.booleans(), st.booleans()),
    "FeedForward": st.builds(layers.FeedForward, small),
    "TransformerBlock": st.builds(layers.TransformerBlock, small, small),
    "PositionEmbedding": st.builds(layers.PositionEmbedding, small, st.booleans()),
    "RMSNorm": st.builds(layers.RMSNorm),
    "GroupNorm": st.builds(layers.GroupNorm, small),
    "Embedding": st.builds(layers.Embedding, small, small),
}


@pytest.mark.parametrize("name", LAYERS)
@given(
    data=st.data(),
    size=hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=6),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_a_layer_works_both_ways_or_says_why_not(
    name: str, data: st.DataObject, size: tuple[int, ...], dtype: str
) -> None:
    layer = data.draw(LAYERS[name])

    def both_ways() -> None:
        net = NeuralNetwork([layer], seed=1, dtype=dtype)
        X = np.zeros(size, dtype=int) if name == "Embedding" else np.zeros(size)
        output = net.forward(X)
        assert output.dtype == dtype
        assert net.backward(np.ones_like(output)).shape == size
        again = net.forward(X, inference=True)
        assert again.shape == output.shape
        for param, grad in zip(net.params(), net.param_grads(), strict=True):
            assert param.shape == grad.shape
            assert param.dtype == grad.dtype == dtype

    run(both_ways)
