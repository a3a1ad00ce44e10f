"""The compiled convolutions against their reference: every option, shape and memory layout."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dlfs.windows import conv_transpose2d_window
from tests.ext.common import (
    DTYPES,
    arrays,
    assert_linear,
    assert_within,
    each_number_of_threads,
    in_layout,
    twins,
    widened,
)

fast, reference = twins("conv")
fast_forms, _ = twins("conv_forms")
fast_activations, _ = twins("activations")

pytestmark = pytest.mark.usefixtures("isa")


def pairs(most):
    one = st.integers(1, most)
    return one | st.tuples(one, one)


ENDS = st.integers(0, 3) | st.tuples(st.integers(0, 4), st.integers(0, 4))
PADDINGS = st.sampled_from(["same", "valid"]) | st.integers(0, 3) | st.tuples(ENDS, ENDS)
# The usual kernel size often: it has its own kernels.
KERNELS = st.just((3, 3)) | st.tuples(st.integers(1, 6), st.integers(1, 6))
CHANNELS = st.integers(1, 13) | st.integers(16, 37)
STRIDES = st.just(1) | pairs(4) | st.sampled_from([50, (1, 10**9), (10**12, 3)])


@st.composite
def convolutions(draw):
    """Shapes and options, the kernel often larger than the image."""
    groups = draw(st.integers(1, 3))
    # With many channels other algorithms run.
    n_in, n_out = draw(CHANNELS), draw(CHANNELS)
    image = draw(st.tuples(st.integers(1, 19), st.integers(1, 35)))
    x_shape = (draw(st.integers(0, 5)), groups * n_in, *image)
    W_shape = (n_in, groups * n_out, *draw(KERNELS))
    options = {
        "stride": draw(STRIDES),
        "padding": draw(PADDINGS),
        "dilation": draw(st.just(1) | pairs(3)),
        "groups": groups,
    }
    return x_shape, W_shape, options


def ways(x_shape, W_shape, dtype, options):
    """What computes the output, the gradient of the input, and that of the weights."""
    return fast._algorithms(x_shape, W_shape, dtype, **options)


def transpose_ways(x_shape, W_shape, dtype, options):
    """The same for a transposed convolution, which is an input gradient."""
    options = dict(options)
    window = conv_transpose2d_window(
        x_shape,
        W_shape,
        options["stride"],
        options["padding"],
        options.pop("output_padding"),
        options["dilation"],
        options["groups"],
        "test",
    )
    turned = (W_shape[1] // options["groups"], x_shape[1], *W_shape[2:])
    options["padding"] = window.padding
    output, grad, weights = ways((x_shape[0], W_shape[1], *window.output), turned, dtype, options)
    return grad, output, weights


def winograd_bound(x, W, channels):
    """The error bound of Winograd's sums, the same for every number of the result.

    A transformed pixel is a sum of 4, a transformed weight of 9 quarters, an output of 9 products
    of those: 81 products for each channel where the definition has 9. They are added up channel by
    channel; transforming takes about ten more roundings.
    """
    largest = np.abs(x).max(initial=0).astype(float) * np.abs(W).max(initial=0).astype(float)
    return (channels + 16) * np.finfo(x.dtype).eps * 81 * channels * largest


def winograd_weights_bound(g, x):
    """The error bound of a weight gradient by Winograd's algorithm.

    A transformed pixel and a transformed gradient are sums of 4, a weight of products of those
    with factors whose sum is 4: 64 products for each patch of 2x2 gradients.
    """
    patches = g.shape[0] * -(-g.shape[2] // 2) * -(-g.shape[3] // 2)
    largest = np.abs(g).max(initial=0).astype(float) * np.abs(x).max(initial=0).astype(float)
    return (patches + 16) * np.finfo(g.dtype).eps * 64 * patches * largest


def assert_sums(name, arguments, terms, way="direct", channels=0, **options):
    """Compare sums of `terms` products; Winograd's are of `channels` channels, or of weights."""
    modules = (fast if hasattr(fast, name) else fast_forms, reference)
    kernel, definition = (getattr(module, name) for module in modules)
    if way != "winograd":
        assert_linear(kernel, definition, arguments, terms, **options)
        return
    found = kernel(*arguments, **options)
    wanted = definition(*(widened(value) for value in arguments), **options)
    assert found.dtype == arguments[0].dtype
    first, second = arguments[:2]
    bound = winograd_bound(first, second, channels)
    if not channels:
        bound = winograd_weights_bound(first, second)
    assert_within(found, wanted, bound)


def assert_all_three(x, W, draw_gradient, options):
    """Compare the output and both gradients; return the gradient of the output."""
    n_in, n_out = W.shape[0], W.shape[1] // options.get("groups", 1)
    kernel = W.shape[2] * W.shape[3]
    forward, backward, weights = ways(x.shape, W.shape, x.dtype, options)
    assert_sums("conv2d", (x, W), n_in * kernel, forward, n_in, **options)
    g = draw_gradient(reference.conv2d(x, W, **options).shape)
    assert_sums("conv2d_input_grad", (g, W, x.shape), n_out * kernel, backward, n_out, **options)
    terms = g.shape[0] * g.shape[2] * g.shape[3]
    assert_sums("conv2d_param_grad", (g, x, W.shape), terms, weights, **options)
    return g


def uniform(generator, dtype):
    return lambda shape: np.asarray(generator.uniform(-1, 1, shape), dtype)


def assert_refused_alike(name, *arguments, **options):
    """Say whether both backends refuse this, with the same message; otherwise neither may."""
    modules = (fast if hasattr(fast, name) else fast_forms, reference)
    errors = []
    for module in modules:
        try:
            getattr(module, name)(*arguments, **options)
        except ValueError as error:
            errors.append(str(error))
        else:
            errors.append(None)
    assert errors[0] == errors[1]
    return errors[1] is not None


@given(data=st.data(), dtype=DTYPES, case=convolutions())
def test_conv2d_and_gradients_equal_reference(data, dtype, case):
    x_shape, W_shape, options = case
    x, W = data.draw(arrays(x_shape, dtype)), data.draw(arrays(W_shape, dtype))
    copies = x.copy(), W.copy()
    if assert_refused_alike("conv2d", x, W, **options):
        return
    g_copies = []

    def gradient(shape):
        g = data.draw(arrays(shape, dtype))
        g_copies.append(g.copy())
        return g

    g = assert_all_three(x, W, gradient, options)
    for array, copy in zip((x, W, g), (*copies, *g_copies), strict=True):
        np.testing.assert_array_equal(array, copy)


@given(
    data=st.data(),
    dtype=DTYPES,
    length=st.integers(1, 90),
    kernel=st.integers(1, 9),
    stride=st.sampled_from([1, 1, 2, 3, 10**10]),
    dilation=st.integers(1, 4),
    padding=st.sampled_from(["same", "valid", 0, 2, (0, 3), (4, 1)]),
    groups=st.integers(1, 2),
)
def test_conv1d_and_gradients_equal_reference(
    data, dtype, length, kernel, stride, dilation, padding, groups
):
    batch, n_in, n_out = (data.draw(st.integers(low, 5)) for low in (0, 1, 1))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    W_shape = (n_in, groups * n_out, kernel)
    x = data.draw(arrays((batch, groups * n_in, length), dtype))
    W = data.draw(arrays(W_shape, dtype))
    if assert_refused_alike("conv1d", x, W, **options):
        return
    assert_sums("conv1d", (x, W), n_in * kernel, **options)
    g = data.draw(arrays(reference.conv1d(x, W, **options).shape, dtype))
    assert_sums("conv1d_input_grad", (g, W, x.shape), n_out * kernel, **options)
    assert_sums("conv1d_param_grad", (g, x, W_shape), g.shape[0] * g.shape[2], **options)


@given(data=st.data(), dtype=DTYPES, case=convolutions(), extra=st.integers(0, 2))
def test_conv_transpose2d_and_gradients_equal_reference(data, dtype, case, extra):
    x_shape, W_shape, options = case
    # A huge stride would make a huge output here.
    options["stride"] = data.draw(pairs(4))
    options["output_padding"] = extra
    x, W = data.draw(arrays(x_shape, dtype)), data.draw(arrays(W_shape, dtype))
    kernel = W_shape[2] * W_shape[3]
    if assert_refused_alike("conv_transpose2d", x, W, **options):
        return
    n_in, n_out = W_shape[0], W_shape[1] // options["groups"]
    forward, backward, weights = transpose_ways(x_shape, W_shape, dtype, options)
    assert_sums("conv_transpose2d", (x, W), n_in * kernel, forward, n_in, **options)
    g = data.draw(arrays(reference.conv_transpose2d(x, W, **options).shape, dtype))
    grad = "conv_transpose2d_input_grad"
    assert_sums(grad, (g, W, x_shape), n_out * kernel, backward, n_out, **options)
    terms = x_shape[0] * x_shape[2] * x_shape[3]
    assert_sums("conv_transpose2d_param_grad", (g, x, W_shape), terms, weights, **options)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 40, 40), (3, 5, 5, 5)),  # larger than most drawn ones: several strips and tiles
        ((1, 40, 70, 70), (40, 9, 3, 3)),  # one image cut into bands of rows
        ((50, 9, 7, 7), (9, 17, 3, 3)),  # small images side by side
        ((70, 2, 5, 5), (2, 4, 5, 5)),  # one output pixel an image
        ((3, 1, 300, 4), (1, 1, 200, 1)),  # a kernel nearly as large as the image
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_shapes_equal_reference(shapes, dtype):
    generator = np.random.default_rng(3)
    x, W = (generator.uniform(-1, 1, shape).astype(dtype) for shape in shapes)
    assert_all_three(x, W, uniform(generator, dtype), {})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("x_shape", "W_shape", "options"),
    [
        # Winograd's algorithm: images together, an odd size; then bands of rows
        ((5, 34, 9, 11), (17, 42, 3, 3), {"padding": 1}),
        ((2, 36, 45, 70), (18, 18, 3, 3), {"padding": ((2, 0), (1, 2))}),
        # which needs strides and dilations of 1
        *(((2, 18, 9, 11), (9, 18, 3, 3), {"stride": pair}) for pair in [(1, 2), (2, 1)]),
        *(((2, 18, 9, 11), (9, 18, 3, 3), {"dilation": pair}) for pair in [(1, 2), (2, 1)]),
        # copies: images side by side, several of their blocks; then bands of rows
        ((45, 6, 7, 7), (3, 10, 2, 3), {"padding": (0, 1)}),
        ((2, 14, 90, 80), (7, 6, 5, 5), {"dilation": (1, 3)}),
        # gradients scattered: with unread rows and columns, then with bands of rows
        ((3, 14, 33, 41), (7, 10, 5, 4), {"stride": (2, 3), "padding": 2, "dilation": (3, 1)}),
        ((3, 6, 33, 41), (3, 10, 2, 1), {"stride": (3, 2), "padding": ((1, 0), (0, 1))}),
        ((2, 6, 75, 130), (3, 34, 3, 3), {"stride": (2, 1), "padding": (0, 1)}),
        # gradients by columns: with dilation and a wide margin, then with bands of rows
        ((3, 6, 20, 45), (3, 10, 5, 4), {"padding": (5, 4), "dilation": (2, 3)}),
        ((2, 4, 80, 70), (2, 30, 4, 6), {"padding": ((0, 2), (3, 1))}),
        # with rows, or columns, that no window reaches
        ((2, 6, 5, 20), (3, 30, 3, 2), {"dilation": (2, 1)}),
        ((2, 6, 20, 5), (3, 30, 2, 3), {"dilation": (1, 2)}),
        ((2, 6, 9, 20), (3, 10, 2, 2), {"stride": (4, 7)}),
    ],
)
def test_every_way_keeps_groups_and_images_apart(x_shape, W_shape, options, dtype):
    generator = np.random.default_rng(8)
    x, W = (generator.uniform(-1, 1, shape).astype(dtype) for shape in (x_shape, W_shape))
    options = {**options, "groups": 2}
    x, W = (in_layout(array, "last") for array in (x, W))
    # Memory that is used again holds numbers other than 0.
    used = [fast_activations.tanh(np.ones_like(array)) for array in (x, W) for _ in range(3)]
    del used
    numbers = uniform(generator, dtype)
    assert_all_three(x, W, lambda shape: in_layout(numbers(shape), "last"), options)


def test_float64_rounding_is_that_of_the_reference():
    """Tighter than a bound: the errors of both, against integers that float64 holds exactly."""
    generator = np.random.default_rng(4)
    x = generator.integers(-8, 9, (4, 16, 20, 20)).astype(np.float64)
    W = generator.integers(-8, 9, (16, 24, 3, 3)).astype(np.float64)
    y = reference.conv2d(x, W, padding=1)
    np.testing.assert_array_equal(fast.conv2d(x, W, padding=1), y)
    np.testing.assert_array_equal(
        fast.conv2d_input_grad(y, W, x.shape, padding=1),
        reference.conv2d_input_grad(y, W, x.shape, padding=1),
    )
    np.testing.assert_array_equal(
        fast.conv2d_param_grad(y, x, W.shape, padding=1),
        reference.conv2d_param_grad(y, x, W.shape, padding=1),
    )


def test_padding_does_not_let_nan_out():
    """A missing pixel multiplies nothing: outputs that do not see the nan do not become nan."""
    x, W = np.ones((1, 1, 9, 11)), np.ones((1, 2, 2, 2))
    x[0, 0, -1, -1] = np.nan
    assert np.isnan(fast.conv2d(x, W)).sum() == 2
    assert np.isnan(fast.conv2d(x, W, padding=1)).sum() == 2 * 4
    g = np.ones((1, 2, 8, 10))
    np.testing.assert_array_equal(
        fast.conv2d_param_grad(g, x, W.shape), reference.conv2d_param_grad(g, x, W.shape)
    )
    g[0, 1, 3, -1] = np.nan
    expected = reference.conv2d_input_grad(g, W, x.shape)
    assert np.isnan(expected).sum() == 4
    np.testing.assert_array_equal(fast.conv2d_input_grad(g, W, x.shape), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("x_shape", "W_shape", "options"),
    [
        ((7, 8, 24, 24), (8, 16, 3, 3), {"padding": 1}),
        ((7, 3, 24, 24), (3, 16, 5, 5), {"padding": 2}),
        ((1, 8, 64, 64), (8, 16, 3, 3), {"padding": 1}),
        ((1, 8, 64, 64), (8, 16, 5, 4), {"padding": 2}),
        ((5, 8, 40, 40), (4, 32, 3, 3), {"stride": 2, "groups": 2}),
        ((64, 32, 6, 6), (32, 32, 3, 3), {}),
        ((1, 6, 64, 64), (6, 40, 5, 5), {"padding": 2}),  # channels of one image shared out
    ],
)
def test_threads_do_not_change_a_bit(dtype, x_shape, W_shape, options):
    generator = np.random.default_rng(5)
    x, W = (generator.standard_normal(shape).astype(dtype) for shape in (x_shape, W_shape))
    g = reference.conv2d(x, W, **options)
    results = [
        (
            fast.conv2d(x, W, **options),
            fast.conv2d_input_grad(g, W, x_shape, **options),
            fast.conv2d_param_grad(g, x, W_shape, **options),
        )
        for _ in each_number_of_threads(1, 2, 3, 5)
    ]
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ["conv2d", "conv2d_input_grad", "conv2d_param_grad"])
@pytest.mark.parametrize("bad", ["dtype", "mixed", "rank", "channels", "list", "grad", "groups"])
def test_bad_input_is_refused_in_the_same_words(name, bad):
    x, W = np.ones((2, 4, 6, 6)), np.ones((2, 4, 3, 3))
    g, groups = np.ones((2, 4, 4, 4)), 2
    if bad == "dtype":
        x, W, g = (array.astype(np.int64) for array in (x, W, g))
    elif bad == "mixed":
        W, x = W.astype(np.float32), x.astype(np.float32)
        if name == "conv2d":
            x = x.astype(np.float64)
    elif bad == "rank":
        x, W, g = x[0], W[0], g[0]
    elif bad == "channels":
        x, W = x[:, :3], W[:1]
    elif bad == "list":
        x, W, g = x.tolist(), W.tolist(), g.tolist()
    elif bad == "grad":
        x, g = x[:, :, :5], g[:, :, :2, :3]
        if name == "conv2d":
            pytest.skip("no gradient")
    elif bad == "groups":
        groups = 3
    args = {
        "conv2d": (x, W),
        "conv2d_input_grad": (g, W, np.shape(x)),
        "conv2d_param_grad": (g, x, np.shape(W)),
    }[name]
    errors = []
    for module in (fast, reference):
        with pytest.raises((TypeError, ValueError)) as caught:
            getattr(module, name)(*args, groups=groups)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]
