"""The compiled activations against their definition in higher precision, and their reference."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs_ext
from tests.ext.common import DTYPES, arrays, assert_close, shapes, twins

activations, reference_activations = twins("activations")
rectifiers, reference_rectifiers = twins("rectifiers")

wide = np.longdouble


def wide_sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


# Function, definition, units in the last place. A product x * f(x) is off by half of x units of
# the smallest denormal where f is itself denormal, so there the smallest normal number counts.
EXACT = {
    "exp": (activations._exp, np.exp, 1),
    "tanh": (activations.tanh, np.tanh, 3),
    "sigmoid": (activations.sigmoid, wide_sigmoid, 3),
    "softplus": (rectifiers.softplus, lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), 4),
    "silu": (rectifiers.silu, lambda x: x * wide_sigmoid(x), 4),
    "elu": (rectifiers.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), 3),
}


def whole_range(dtype):
    """Numbers of every size that the dtype has, and more of them where the functions bend."""
    generator = np.random.default_rng(20190927)
    limits = np.finfo(dtype)
    exponents = generator.uniform(np.log2(limits.smallest_subnormal) + 1, limits.maxexp - 1, 40000)
    signs = generator.choice([-1.0, 1.0], exponents.size)
    return np.concatenate(
        [
            (2.0**exponents * signs).astype(dtype),
            generator.uniform(-4, 4, 20000).astype(dtype),
            generator.uniform(-110, 100, 20000).astype(dtype),
            generator.uniform(-760, 730, 20000).astype(dtype),
        ]
    )


@pytest.fixture(params=dlfs_ext.available_isas())
def isa(request):
    """Run a test on every instruction set that this processor has."""
    before = dlfs_ext.isa()
    dlfs_ext.set_isa(request.param)
    yield request.param
    dlfs_ext.set_isa(before)


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps,
    reason="needs a wider floating type to compare with",
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_error_in_units_in_the_last_place(isa, name, dtype):
    function, definition, allowed = EXACT[name]
    x = whole_range(dtype)
    with np.errstate(all="ignore"):
        exact = definition(x.astype(wide))
        rounded = exact.astype(dtype)
        result = function(x)
        unit = np.maximum(np.spacing(np.abs(rounded)), np.finfo(dtype).smallest_subnormal)
        if name == "silu":
            unit = np.maximum(unit, np.abs(x) * np.finfo(dtype).smallest_subnormal)
        error = np.abs(result.astype(wide) - exact) / unit.astype(wide)
    error[result == rounded] = 0  # infinities too
    assert not np.isnan(error).any()
    worst = error.argmax()
    assert error[worst] <= allowed, f"{name}({x[worst]!r}) = {result[worst]!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_and_nan(isa, dtype):
    x = np.array([-np.inf, np.inf, np.nan, 0.0], dtype)
    nan = np.nan
    for function, expected in [
        (activations._exp, [0, np.inf, nan, 1]),
        (activations.tanh, [-1, 1, nan, 0]),
        (activations.sigmoid, [0, 1, nan, 0.5]),
        (rectifiers.relu, [0, np.inf, nan, 0]),
        (rectifiers.leaky_relu, [-np.inf, np.inf, nan, 0]),
        (rectifiers.elu, [-1, np.inf, nan, 0]),
        (rectifiers.softplus, [0, np.inf, nan, np.log(dtype(2))]),
    ]:
        np.testing.assert_array_equal(function(x), np.array(expected, dtype))


def test_gelu_tail(isa):
    # Exact values of x * P(Z <= x), from 40-digit arithmetic.
    x = np.array([-1.0, -5.0, -10.0, -20.0, -37.0])
    exact = np.array(
        [
            -0.158655253931457051,
            -1.43325785939596956e-6,
            -7.61985302416052607e-23,
            -5.50724823721246739e-88,
            -2.11846135233409342e-298,
        ]
    )
    np.testing.assert_allclose(rectifiers.gelu(x), exact, rtol=8 * np.finfo(float).eps)


UNARY = [
    (activations.sigmoid, reference_activations.sigmoid),
    (activations.tanh, reference_activations.tanh),
    *(
        (getattr(rectifiers, name), getattr(reference_rectifiers, name))
        for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
    ),
]
GRADIENTS = [
    (activations.sigmoid_grad, reference_activations.sigmoid_grad),
    (activations.tanh_grad, reference_activations.tanh_grad),
    *(
        (getattr(rectifiers, f"{name}_grad"), getattr(reference_rectifiers, f"{name}_grad"))
        for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
    ),
]


@given(data=st.data(), dtype=DTYPES, shape=shapes(), pair=st.sampled_from(UNARY))
def test_function_equals_reference(data, dtype, shape, pair):
    x = data.draw(arrays(shape, dtype))
    before = x.copy()
    assert_close(pair[0](x), pair[1](x), 1)
    np.testing.assert_array_equal(x, before)


@given(data=st.data(), dtype=DTYPES, shape=shapes(), pair=st.sampled_from(GRADIENTS))
def test_gradient_equals_reference(data, dtype, shape, pair):
    g, x = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    assert_close(pair[0](g, x), pair[1](g, x), 1, scale=64)


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_side=1, max_side=40, max_dims=3))
def test_softmax_equals_reference(data, dtype, shape):
    x, g = data.draw(arrays(shape, dtype, -30, 30)), data.draw(arrays(shape, dtype))
    y = reference_activations.softmax(x)
    assert_close(activations.softmax(x), y, shape[-1])
    assert_close(
        activations.softmax_grad(g, y), reference_activations.softmax_grad(g, y), shape[-1], scale=4
    )


@given(dtype=DTYPES, size=st.integers(1, 200))
def test_place_in_the_array_does_not_matter(dtype, size):
    # The last, incomplete vector must give the same bits as a complete one.
    x = np.random.default_rng(size).uniform(-9, 9, size).astype(dtype)
    for function, _ in UNARY:
        one_by_one = np.concatenate([function(x[i : i + 1]) for i in range(size)])
        np.testing.assert_array_equal(function(x), one_by_one)
