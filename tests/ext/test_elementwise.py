"""The compiled activations against their definitions in higher precision, and bit by bit."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import (
    DTYPES,
    LAYOUTS,
    arrays,
    assert_ulps,
    assert_within,
    in_layout,
    shapes,
    twins,
    wide,
)

activations, reference_activations = twins("activations")

pytestmark = pytest.mark.usefixtures("isa")

SLOPE, ALPHA = 0.3, 0.7
"""No defaults: those are tests/reference/test_defaults.py's."""


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def normal_density(x):
    return np.exp(-x * x / 2) / np.sqrt(8 * np.arctan(wide(1)))


def normal_cdf(x):
    """P(Z <= x): near 0 by the series of erf, farther out by the continued fraction of erfc."""
    a = np.minimum(np.abs(x), 200)
    near = np.minimum(a, 3)
    term = total = near.copy()
    for n in range(1, 80):
        term = term * near * near / (2 * n + 1)
        total = total + term
    far = np.maximum(a, 2)
    fraction = far
    for n in range(300, 0, -1):
        fraction = far + n / fraction
    inside = wide(0.5) - total * normal_density(near)
    below = np.where(a < 2.5, inside, normal_density(far) / fraction)
    return np.where(np.isnan(x), x, np.where(x < 0, below, 1 - below))


# The function, its definition, and by how many units in the last place it may be off: the largest
# error measured here, on the three instruction sets of x86-64 and both dtypes, rounded up to a
# half (gelu's is 4.49, its gradient's 4.73, silu's gradient's 4.09; the others' are below 3). A
# product x * f(x) is off by half of x units of the smallest denormal where f is itself denormal.
FUNCTIONS = {
    "exp": (activations._exp, np.exp, 1),
    "tanh": (activations.tanh, np.tanh, 2.5),
    "sigmoid": (activations.sigmoid, sigmoid, 2.5),
    "relu": (activations.relu, lambda x: np.where(x < 0, 0, x), 0),
    "leaky_relu": (
        lambda x: activations.leaky_relu(x, SLOPE),
        lambda x, slope: np.where(x > 0, x, slope * x),
        0.5,
    ),
    "elu": (
        lambda x: activations.elu(x, ALPHA),
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        2,
    ),
    "gelu": (activations.gelu, lambda x: x * normal_cdf(x), 4.5),
    "silu": (activations.silu, lambda x: x * sigmoid(x), 3),
    "softplus": (
        activations.softplus,
        lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        2.5,
    ),
}
# The same for gradients, of (output gradient, input or output); with the sum of the magnitudes of
# the terms, where they may cancel.
GRADIENTS = {
    "sigmoid": (
        activations.sigmoid_grad,
        lambda g, y: g * y * (1 - y),
        2,
        None,
    ),
    "tanh": (
        activations.tanh_grad,
        lambda g, y: g * (1 - y * y),
        1,
        lambda g, y: np.abs(g) * (1 + y * y),
    ),
    "relu": (activations.relu_grad, lambda g, x: g * (x > 0), 0, None),
    "leaky_relu": (
        lambda g, x: activations.leaky_relu_grad(g, x, SLOPE),
        lambda g, x, slope: np.where(x > 0, g, slope * g),
        0.5,
        None,
    ),
    "elu": (
        lambda g, x: activations.elu_grad(g, x, ALPHA),
        lambda g, x, alpha: g * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0))),
        2.5,
        None,
    ),
    "gelu": (
        activations.gelu_grad,
        lambda g, x: g * (normal_cdf(x) + x * normal_density(x)),
        5,
        lambda g, x: np.abs(g) * (normal_cdf(x) + np.abs(x) * normal_density(x)),
    ),
    "silu": (
        activations.silu_grad,
        lambda g, x: g * sigmoid(x) * (1 + x * sigmoid(-x)),
        4.5,
        lambda g, x: np.abs(g) * sigmoid(x) * (1 + np.abs(x) * sigmoid(-x)),
    ),
    "softplus": (activations.softplus_grad, lambda g, x: g * sigmoid(x), 3, None),
}
PARAMETERS = {"leaky_relu": SLOPE, "elu": ALPHA}


def whole_range(dtype):
    """Numbers of every size that the dtype has, more where the functions bend, and the edges."""
    generator = np.random.default_rng(20190927)
    limits = np.finfo(dtype)
    exponents = generator.uniform(np.log2(limits.smallest_subnormal) + 1, limits.maxexp - 1, 4000)
    signs = generator.choice([-1.0, 1.0], exponents.size)
    edges = np.array([0, limits.smallest_subnormal, limits.tiny, limits.eps, limits.max, np.inf])
    return np.concatenate(
        [
            (2.0**exponents * signs).astype(dtype),
            generator.uniform(-4, 4, 8000).astype(dtype),
            generator.uniform(-40, 40, 4000).astype(dtype),
            generator.uniform(-110, 100, 4000).astype(dtype),
            generator.uniform(-760, 730, 4000).astype(dtype),
            *(edges.astype(dtype), -edges.astype(dtype), np.array([np.nan], dtype)),
        ]
    )


needs_wide = pytest.mark.skipif(
    np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps,
    reason="needs a wider floating type to compare with",
)


def parameter(name, dtype):
    """The option as the kernel sees it: in the dtype of the array."""
    return [wide(dtype(PARAMETERS[name]))] if name in PARAMETERS else []


@needs_wide
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_units_in_the_last_place(name, dtype):
    function, definition, units = FUNCTIONS[name]
    x = whole_range(dtype)
    with np.errstate(all="ignore"):
        wanted = definition(x.astype(wide), *parameter(name, dtype))
    allowed = np.full(x.shape, units, wide)
    if name in ("silu", "gelu"):
        smallest = np.finfo(dtype).smallest_subnormal
        with np.errstate(all="ignore"):
            unit = np.spacing(np.abs(wanted).astype(dtype)).astype(wide)
            allowed = allowed + np.nan_to_num(np.abs(x).astype(wide) * smallest / unit)
    assert_ulps(function(x), wanted, allowed)


@needs_wide
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GRADIENTS)
def test_error_of_gradients_in_units_in_the_last_place(name, dtype):
    function, definition, units, size = GRADIENTS[name]
    x = whole_range(dtype)
    if name in ("sigmoid", "tanh"):
        # What these take is an output: in [-1, 1], the end of it included; and nan.
        x = np.concatenate([np.tanh(x), np.array([1, -1, 0, -0.0], dtype)])
    g = np.random.default_rng(1).uniform(-4, 4, x.shape).astype(dtype)
    g[::7] = 0
    g[3::701] = np.nan
    with np.errstate(all="ignore"):
        values = g.astype(wide), x.astype(wide)
        wanted = definition(*values, *parameter(name, dtype))
        magnitude = None if size is None else size(*values)
        # A factor may itself be denormal: what it has lost is multiplied by the others.
        lost = np.abs(values[0]) * np.finfo(dtype).smallest_subnormal
        if name in ("gelu", "silu"):
            lost = lost * (1 + np.abs(values[1]))
        rounded = np.abs(wanted if magnitude is None else magnitude).astype(dtype)
        unit = np.spacing(np.minimum(rounded, np.finfo(dtype).max)).astype(wide)
        allowed = units * (unit + np.nan_to_num(lost, posinf=0))
    assert_within(function(g, x), wanted, allowed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_and_nan(dtype):
    x = np.array([-np.inf, np.inf, np.nan, 0.0], dtype)
    nan = np.nan
    for function, expected in [
        (activations._exp, [0, np.inf, nan, 1]),
        (activations.tanh, [-1, 1, nan, 0]),
        (activations.sigmoid, [0, 1, nan, 0.5]),
        (activations.relu, [0, np.inf, nan, 0]),
        (activations.leaky_relu, [-np.inf, np.inf, nan, 0]),
        (activations.elu, [-1, np.inf, nan, 0]),
        (activations.softplus, [0, np.inf, nan, np.log(dtype(2))]),
    ]:
        # Alone, in the last vector, and in a whole one: nan has three ways to get lost.
        for repeats in (1, 16, 37):
            found = function(np.repeat(x, repeats))
            np.testing.assert_array_equal(found, np.repeat(np.array(expected, dtype), repeats))
    assert np.signbit(activations.tanh(np.array([-0.0], dtype)))[0]


def test_gelu_tail():
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
    np.testing.assert_allclose(activations.gelu(x), exact, rtol=8 * np.finfo(float).eps)
    np.testing.assert_allclose((x * normal_cdf(x.astype(wide))).astype(float), exact, rtol=1e-15)


NAMES = list(GRADIENTS)


def kernel(name):
    return getattr(activations, name)


@given(data=st.data(), dtype=DTYPES, shape=shapes(), name=st.sampled_from(NAMES))
def test_memory_layout_does_not_change_a_bit(data, dtype, shape, name):
    special = (0.0, -0.0, np.nan, np.inf, -np.inf)
    x = data.draw(arrays(shape, dtype, planted=special))
    g = data.draw(arrays(shape, dtype, planted=special))
    copies = x.copy(), g.copy()
    for function, given_, plain in (
        (kernel(name), (x,), (x.copy(order="C"),)),
        (kernel(f"{name}_grad"), (g, x), (g.copy(order="C"), x.copy(order="C"))),
    ):
        found, wanted = function(*given_), function(*plain)
        assert found.dtype == dtype
        assert found.shape == shape
        np.testing.assert_array_equal(found, wanted)
    for array, copy in zip((x, g), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(min_side=1, max_side=40, max_dims=3),
    scale=st.sampled_from([1.0, 30.0, 1e4]),
)
def test_softmax_equals_reference(data, dtype, shape, scale):
    x, g = data.draw(arrays(shape, dtype, -scale, scale)), data.draw(arrays(shape, dtype))
    if shape[-1] > 2:
        x = x.copy()
        x[..., 1] = x[..., 2] = -np.inf  # impossible classes, and not the first one
    exact = x.astype(wide)
    distance = np.where(np.isinf(exact), 0, exact - exact.max(axis=-1, keepdims=True))
    wanted = np.exp(exact - exact.max(axis=-1, keepdims=True))
    wanted = wanted / wanted.sum(axis=-1, keepdims=True)
    # A distance to the largest logit is rounded once: so much is its exp off, relatively; exp by
    # 1 unit more, a sum of n terms by n roundings, and there is a division.
    off = np.abs(distance) / 2 + 1
    off = off + (off * wanted).sum(axis=-1, keepdims=True) + shape[-1] + 2
    y = activations.softmax(x)
    assert y.dtype == dtype
    assert_within(y, wanted, off * np.finfo(dtype).eps * wanted)
    gradient, size = g.astype(wide), np.abs(g).astype(wide)
    y_ = y.astype(wide)
    assert_within(
        activations.softmax_grad(g, y),
        y_ * (gradient - (gradient * y_).sum(axis=-1, keepdims=True)),
        (shape[-1] + 4)
        * np.finfo(dtype).eps
        * (y_ * (size + (size * y_).sum(axis=-1, keepdims=True))),
    )


@given(dtype=DTYPES, size=st.integers(1, 200), layout=LAYOUTS)
def test_place_in_the_array_does_not_matter(dtype, size, layout):
    # The last, incomplete vector must give the same bits as a complete one.
    x = in_layout(np.random.default_rng(size).uniform(-9, 9, size).astype(dtype), layout)
    for name in NAMES:
        function = kernel(name)
        one_by_one = np.concatenate([function(x[i : i + 1]) for i in range(size)])
        np.testing.assert_array_equal(function(x), one_by_one)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_with_tanh(dtype):
    """The error of an exponent is multiplied by its size: about |z| units in the left tail."""
    x = whole_range(dtype)
    x = x[np.abs(x) < 1e30] if dtype == np.float32 else x[np.abs(x) < 1e100]
    wide_x = np.clip(x.astype(np.longdouble), -40, 40)
    z = np.sqrt(8 / np.longdouble(np.pi)) * (wide_x + np.longdouble("0.044715") * wide_x**3)
    s, other = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))
    slope = np.sqrt(8 / np.longdouble(np.pi)) * (1 + 3 * np.longdouble("0.044715") * wide_x**2)
    unit = np.finfo(dtype).eps
    relative = unit * (4 + 4 * np.abs(z))
    wanted = x.astype(np.longdouble) * s
    found = activations.gelu_tanh(x)
    # Where s is denormal, x * s is off by x units of the smallest denormal.
    smallest = np.finfo(dtype).smallest_subnormal * (1 + np.abs(x.astype(float)))
    assert_within(found, wanted, relative * np.abs(wanted) + smallest)
    g = np.full_like(x, 2)
    wanted = 2 * (s + wide_x * s * other * slope)
    size = 2 * (s + np.abs(wide_x) * s * other * slope)
    smallest = np.finfo(dtype).tiny * 64
    found = activations.gelu_tanh_grad(g, x)
    assert_within(found, wanted, 2 * relative * size + smallest * (1 + slope * np.abs(wide_x)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_every_length_at_the_edge_of_memory(dtype):
    """Up to two of the longest vectors and a rest; nothing is read past the last row."""
    generator = np.random.default_rng(11)
    names = {**dict.fromkeys([*NAMES, "softmax"], 1), "softmax_grad": 2}
    names |= {f"{name}_grad": 2 for name in NAMES}
    for columns in range(1, 36):
        numbers = generator.uniform(0.1, 0.9, (2, 2, columns)).astype(dtype)
        arguments = [in_layout(array, "last") for array in numbers]
        for name, count in names.items():
            found = kernel(name)(*arguments[:count])
            wanted = getattr(reference_activations, name)(*arguments[:count])
            np.testing.assert_allclose(found, wanted, rtol=64 * np.finfo(dtype).eps)
