"""Where kernels leave their work to the reference: the result is its own, and the call is counted.

Everywhere else in this folder a kernel that falls back fails the test.
"""

import re
from itertools import product
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs_ext
from dlfs import reference
from dlfs_ext import fallback
from tests.ext.common import DTYPES, LAYOUTS, arrays, fallbacks, shapes
from tests.ext.test_optimizers import UPDATES

falls_back = pytest.mark.falls_back


def assert_same(found, wanted):
    """The same bits: it was the reference that computed them."""
    if isinstance(wanted, tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert type(found) is type(wanted)
        np.testing.assert_array_equal(found, wanted)


@falls_back
@pytest.mark.parametrize("name", UPDATES)
@given(data=st.data(), dtype=DTYPES, shape=shapes(max_dims=3))
def test_an_update_falls_back_where_it_cannot_write_straight_on(name, data, dtype, shape):
    count, options = UPDATES[name]
    drawn = [data.draw(arrays(shape, dtype, 0.5, 2)) for _ in range(2 + count)]
    for k in (0, *range(2, 2 + count)):  # all but the gradient are changed
        drawn[k] = drawn[k].copy() if not drawn[k].flags.writeable else drawn[k]
    theirs = [array.copy() for array in drawn]
    choice = dict(data.draw(st.sampled_from(options)))
    leading = [choice.pop("t")] if "t" in choice else []
    _, counted = fallbacks(lambda: getattr(dlfs_ext, name)(*drawn, *leading, **choice))
    changed = (drawn[0], *drawn[2:])
    straight = all(array.flags.c_contiguous and array.flags.aligned for array in changed)
    assert counted == ({} if straight else {name: 1})
    getattr(reference, name)(*theirs, *leading, **choice)
    for found, wanted in zip(drawn, theirs, strict=True):
        if straight:
            tolerance = 64 * np.finfo(dtype).eps
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(found, wanted)


@given(data=st.data(), dtype=DTYPES, shape=shapes(max_dims=3), layout=LAYOUTS)
def test_a_gradient_in_any_layout_is_no_reason(data, dtype, shape, layout):
    """As that of a transposed convolution's weights, whose channels have changed places."""
    grad = data.draw(arrays(shape, dtype, layouts=st.just(layout)))
    param, wanted = np.ones(shape, dtype), np.ones(shape, dtype)
    dlfs_ext.sgd_update(param, grad, 0.5)
    reference.sgd_update(wanted, grad, 0.5)
    np.testing.assert_array_equal(param, wanted)


@falls_back
@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("rate", [np.float32(0.25), np.float64(0.25), np.int64(1), 1 << 60])
def test_an_update_falls_back_for_numbers_of_other_types(name, rate):
    count, options = UPDATES[name]
    drawn = [np.ones(3) for _ in range(2 + count)]
    theirs = [np.ones(3) for _ in range(2 + count)]
    choice = {**options[0], "lr": rate}
    leading = [choice.pop("t")] if "t" in choice else []
    _, counted = fallbacks(lambda: getattr(dlfs_ext, name)(*drawn, *leading, **choice))
    assert counted == {name: 1}
    getattr(reference, name)(*theirs, *leading, **choice)
    assert_same(tuple(drawn), tuple(theirs))


def losses_that_are_not_finite(dtype):
    """The loss of float32 may still be finite: a double has a larger range."""
    largest, nan = np.finfo(dtype).max, np.nan
    for numbers in ([[largest / 2, -largest]], [[nan, 0.0]], [[np.inf, 1.0]]):
        x = np.array(numbers, dtype)
        yield "mean_squared_error", (x, np.zeros_like(x))
        yield "huber", (x, np.zeros_like(x), float(largest))
        yield "softmax_cross_entropy", (x, np.array([1]))
        yield "softmax_cross_entropy", (x, np.full_like(x, 0.5), 0.25)
        if not np.isfinite(x).all():
            yield "binary_cross_entropy", (x, np.full_like(x, 0.5))
            yield "mean_absolute_error", (x, np.zeros_like(x))
    x = np.array([[0.0, -np.inf]], dtype)
    yield "softmax_cross_entropy", (x, np.array([1]))
    yield "softmax_cross_entropy", (x, np.array([0]), 0.1)


def unusual_arguments(dtype):
    x, mask = np.ones((3, 4), dtype), np.ones((3, 4), bool)
    images, W = np.ones((2, 3, 5, 5), dtype), np.ones((3, 2, 2, 2), dtype)
    y = np.ones((2, 2, 4, 4), dtype)
    yield "dropout", (x, mask, 1)
    yield "dropout", (x, mask, np.float64(0.5))
    yield "dropout", (x.view(np.memmap), mask, 0.5)
    yield "softmax_cross_entropy", (x.view(np.memmap), np.array([0, 1, 2]))
    yield (
        "conv2d_bias_activation",
        (images.view(np.memmap), W, np.ones((1, 2, 1, 1), dtype), "relu"),
    )
    yield "max_pool2d", (images, 2, 1, 0, 2)
    yield "max_pool2d", (images, 2, 2, 1, (2, 1))
    places = np.ones((2, 3, 3, 3), np.uint8)
    yield "max_pool2d_grad", (np.ones((2, 3, 3, 3), dtype), places, images.shape, 2, 1, 0, 2)
    yield "conv2d_bias_activation_param_grad", (y, y, images, [3, 2, 2, 2], "relu")
    yield "conv2d_bias_activation_param_grad", (y, y.view(np.memmap), images, (3, 2, 2, 2), "tanh")


def variances_that_are_not_finite(dtype):
    for value in (np.nan, np.inf, np.sqrt(np.finfo(dtype).max) * 4):
        x = np.ones((5, 7), dtype)
        x[1, 3] = value
        yield "batch_norm", (x, 0.1)
        yield "layer_norm", (x, 0.1)
        yield "rms_norm", (x, 0.1)
        one = np.ones((1, 7), dtype)
        yield "batch_norm_affine", (x, one, one, 0.1)
        yield "layer_norm_affine", (x, one, one, 0.1)


def attention_that_is_not_finite(dtype):
    heads = [(0, 1), (1, 1), (1, 3)]  # a row, and a column of the first or the last head
    for value, (row, column) in product((np.nan, np.inf, np.finfo(dtype).max), heads):
        qkv = np.ones((2, 5, 12), dtype)
        qkv[row, 3, [column, column + 4, column + 8]] = value
        output = np.ones((2, 5, 4), dtype)
        yield "attention", (qkv, 2)
        yield "attention_grad", (output, qkv, output, 2, True)


CASES = [
    pytest.param(name, arguments, id=f"{source.__name__}-{np.dtype(dtype)}-{name}-{number}")
    for source in (
        losses_that_are_not_finite,
        unusual_arguments,
        variances_that_are_not_finite,
        attention_that_is_not_finite,
    )
    for dtype in (np.float32, np.float64)
    for number, (name, arguments) in enumerate(source(dtype))
]


@falls_back
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_kernel_falls_back(name, arguments):
    found, counted = fallbacks(lambda: getattr(dlfs_ext, name)(*arguments))
    assert counted == {name: 1}
    assert_same(found, getattr(reference, name)(*arguments))


def test_what_is_refused_is_not_counted():
    before = fallback.counts.copy()
    with pytest.raises(ValueError, match="keep_prob"):
        dlfs_ext.dropout(np.ones(3), np.ones(3, bool), 7)
    assert fallback.counts == before


def test_a_fallback_that_is_forbidden_fails():
    """What every other test of this folder relies on."""
    with pytest.raises(RuntimeError, match="dropout left its work to the reference"):
        dlfs_ext.dropout(np.ones(3), np.ones(3, bool), 1)


SOURCES = {
    path.name: path.read_text()
    # those of dlfs_ext.plain take whole functions from the reference, by name
    for path in Path(dlfs_ext.__file__).parent.glob("*.pyx")
}


@pytest.mark.source_tree
@pytest.mark.parametrize("name", SOURCES)
def test_no_kernel_calls_a_kernel_of_the_reference_uncounted(name):
    called = re.findall(r"(?<![\w.])reference\.(\w+)\(", SOURCES[name])
    imported = re.findall(r"from dlfs\.reference[\w.]* import \(?([\w\s,]+)", SOURCES[name])
    taken = [*called, *(word for words in imported for word in re.findall(r"\w+", words))]
    assert not set(taken) & set(reference.KERNELS)


@pytest.mark.source_tree
def test_every_fallback_is_tested_here():
    named = set(re.findall(r"(?<![\w.])reference\.(\w+)", "".join(SOURCES.values())))
    taken = named & set(reference.KERNELS)
    assert taken == {case.values[0] for case in CASES} | set(UPDATES)
    assert fallback.forbidden
