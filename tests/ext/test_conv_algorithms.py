"""Each algorithm of the compiled convolutions, on shapes that it is used for, with its edges."""

import numpy as np
import pytest

import dlfs_ext
from dlfs import reference
from tests.ext.common import assert_within, each_number_of_threads, in_layout, widened
from tests.ext.test_conv import assert_all_three, ways

pytestmark = pytest.mark.usefixtures("isa")

LAST, WINOGRAD, DEPTHWISE = "channels last", "winograd", "depthwise"
POINTWISE = "pointwise"

# x, W, options, and the algorithms of the three passes (None: whatever is chosen)
CASES = [
    # small images, more of them than a block has; strips of one, two and three vectors
    ((21, 16, 4, 4), (16, 19, 3, 3), {"padding": 1}, (WINOGRAD,) * 3),
    ((3, 40, 8, 8), (40, 70, 3, 3), {"padding": 1}, (WINOGRAD,) * 3),
    # blocks of channels in the weight gradient, and a single image
    ((1, 130, 5, 7), (130, 260, 3, 3), {}, (LAST, WINOGRAD, LAST)),
    # odd sizes, uneven padding, and pixels that no window reaches
    ((5, 17, 9, 7), (17, 33, 3, 3), {"padding": ((0, 2), (1, 0))}, (WINOGRAD,) * 3),
    # bands of rows
    ((2, 32, 33, 41), (32, 48, 3, 3), {"padding": 1}, (WINOGRAD,) * 3),
    ((1, 20, 70, 12), (20, 20, 3, 3), {"padding": 2}, (WINOGRAD,) * 3),
    # groups
    ((4, 36, 6, 6), (18, 40, 3, 3), {"padding": 1, "groups": 2}, (WINOGRAD,) * 3),
    # strides: as many phases as their product, some that no kernel position reaches
    ((3, 20, 12, 13), (20, 24, 3, 3), {"stride": 2, "padding": 1}, (LAST,) * 3),
    ((3, 17, 11, 14), (17, 20, 4, 2), {"stride": (3, 1), "padding": 1}, (LAST,) * 3),
    ((3, 16, 9, 16), (16, 16, 1, 1), {"stride": 2}, (None, LAST, LAST)),
    ((3, 16, 9, 16), (16, 16, 1, 1), {"stride": (2, 4)}, ("direct", LAST, "direct")),
    ((2, 48, 20, 21), (24, 44, 3, 5), {"stride": 2, "padding": ((2, 0), (1, 3)), "groups": 2},
     (None, LAST, LAST)),
    # a window that begins inside the image, and one that stops before its end
    ((2, 16, 40, 40), (16, 16, 3, 3), {"stride": 4}, (LAST,) * 3),
    # strides that leave out most of the pixels
    ((2, 16, 33, 33), (16, 16, 2, 2), {"stride": 8}, ("direct", "scattering", "direct")),
    # dilation, also with a stride that shares a divisor with it
    ((3, 20, 9, 9), (20, 17, 3, 3), {"padding": 2, "dilation": 2}, (LAST,) * 3),
    ((3, 20, 14, 11), (20, 17, 3, 2), {"stride": 2, "padding": 2, "dilation": (2, 3)},
     (LAST,) * 3),
    # products of matrices: sizes that fill the vectors, and others; with groups
    ((3, 16, 8, 8), (16, 24, 1, 1), {}, (POINTWISE,) * 3),
    ((3, 5, 7, 9), (5, 6, 1, 1), {}, (POINTWISE,) * 3),
    ((2, 6, 17, 19), (3, 8, 1, 1), {"groups": 2}, (POINTWISE,) * 3),
    ((1, 3, 90, 80), (3, 4, 1, 1), {}, (POINTWISE,) * 3),
    ((9, 520, 5, 9), (260, 202, 1, 1), {"groups": 2}, (POINTWISE,) * 3),
    # few pixels
    ((3, 16, 4, 4), (16, 24, 1, 1), {}, (LAST,) * 3),
    ((3, 5, 1, 2), (5, 6, 1, 1), {}, (POINTWISE,) * 3),
    # one channel in each group
    ((3, 6, 14, 14), (1, 6, 3, 3), {"padding": 1, "groups": 6}, (DEPTHWISE,) * 3),
    ((2, 5, 9, 37), (1, 5, 5, 7), {"padding": (2, 3), "groups": 5}, (DEPTHWISE,) * 3),
    ((2, 3, 13, 40), (1, 3, 3, 3), {"stride": 2, "padding": 1, "groups": 3},
     (DEPTHWISE,) * 3),
    ((2, 3, 13, 40), (1, 3, 2, 4), {"stride": (3, 5), "dilation": (2, 3), "groups": 3},
     (DEPTHWISE,) * 3),
    ((2, 4, 6, 50), (1, 4, 6, 1), {"padding": ((4, 1), (0, 3)), "groups": 4},
     (DEPTHWISE,) * 3),
]  # fmt: skip


def numbers(generator, shape, dtype):
    """In memory whose end must not be passed."""
    return in_layout(generator.uniform(-1, 1, shape).astype(dtype), "last")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "W_shape", "options", "expected"), CASES)
def test_algorithm_runs_and_equals_reference(x_shape, W_shape, options, expected, dtype):
    chosen = ways(x_shape, W_shape, dtype, options)
    for one, other in zip(chosen, expected, strict=True):
        assert other in (None, one), chosen
    generator = np.random.default_rng(6)
    x, W = numbers(generator, x_shape, dtype), numbers(generator, W_shape, dtype)
    assert_all_three(x, W, lambda shape: numbers(generator, shape, dtype), options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "W_shape", "options"), [case[:3] for case in CASES])
def test_threads_and_neighbours_do_not_change_a_bit(x_shape, W_shape, options, dtype):
    generator = np.random.default_rng(7)
    x, W = numbers(generator, x_shape, dtype), numbers(generator, W_shape, dtype)
    b = numbers(generator, (1, W_shape[1], 1, 1), dtype)
    y = dlfs_ext.conv2d_bias_activation(x, W, b, "tanh", **options)
    g = numbers(generator, y.shape, dtype)
    results = [
        (
            dlfs_ext.conv2d(x, W, **options),
            dlfs_ext.conv2d_input_grad(g, W, x_shape, **options),
            dlfs_ext.conv2d_param_grad(g, x, W_shape, **options),
            dlfs_ext.conv2d_bias_activation(x, W, b, "tanh", **options),
            *dlfs_ext.conv2d_bias_activation_param_grad(g, y, x, W_shape, "tanh", **options),
        )
        for _ in each_number_of_threads(1, 2, 5)
    ]
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert one.tobytes() == other.tobytes()
    # An image's output does not depend on the other images.
    alone = dlfs_ext.conv2d(x[-1:], W, **options)
    assert alone.tobytes() == results[0][0][-1:].tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["linear", "sigmoid", "tanh", "relu"])
@pytest.mark.parametrize(
    ("x_shape", "W_shape", "options"),
    [
        ((5, 20, 7, 6), (20, 35, 3, 3), {"padding": 1}),  # Winograd's; channels last
        ((3, 140, 4, 4), (140, 16, 3, 3), {"padding": 1, "stride": 2}),
        ((4, 12, 9, 10), (1, 12, 3, 3), {"padding": 1, "groups": 12}),
        ((4, 6, 9, 10), (3, 10, 1, 1), {"groups": 2}),
    ],
)
def test_bias_and_activation_equal_the_chain(x_shape, W_shape, options, activation, dtype):
    generator = np.random.default_rng(8)
    x, W = numbers(generator, x_shape, dtype), numbers(generator, W_shape, dtype)
    b = numbers(generator, (1, W_shape[1], 1, 1), dtype)
    chain = dlfs_ext.bias_activation(dlfs_ext.conv2d(x, W, **options), b, activation)
    y = dlfs_ext.conv2d_bias_activation(x, W, b, activation, **options)
    eps = np.finfo(dtype).eps
    assert_within(y, widened(chain), 2 * eps * np.abs(widened(chain)))
    g = numbers(generator, y.shape, dtype)
    grad, b_grad = dlfs_ext.bias_activation_grad(g, y, activation)
    found = dlfs_ext.conv2d_bias_activation_param_grad(g, y, x, W_shape, activation, **options)
    W_grad = dlfs_ext.conv2d_param_grad(grad, x, W_shape, **options)
    terms = g.size // g.shape[1]
    # Winograd's sums have 64 products of numbers up to 1 for each patch.
    bound = (terms + 16) * eps * 16 * terms
    for one, other in zip(found, (W_grad, b_grad), strict=True):
        assert_within(one, widened(other), bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(32, 16, 28), (16, 128, 8), (16, 256, 4)])
def test_winograds_rounding_is_that_of_direct_sums(size, dtype):
    """A bound of the typical error, not of the largest: n roundings add up like a random walk."""
    batch, channels, side = size
    generator = np.random.default_rng(9)
    x, g = (generator.standard_normal((batch, channels, side, side)) for _ in range(2))
    W = generator.standard_normal((channels, channels, 3, 3))
    x, g, W = (array.astype(dtype) for array in (x, g, W))
    assert ways(x.shape, W.shape, dtype, {"padding": 1}) == (WINOGRAD,) * 3
    for name, arguments, terms in (
        ("conv2d", (x, W), 9 * channels),
        ("conv2d_input_grad", (g, W, x.shape), 9 * channels),
        ("conv2d_param_grad", (g, x, W.shape), batch * side * side),
    ):
        found = getattr(dlfs_ext, name)(*arguments, padding=1)
        wanted = getattr(reference, name)(*map(widened, arguments), padding=1)
        error = np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2))
        # Partial sums are smaller than the whole: half the roundings of n additions of half a unit.
        # The reference rounds as well, in float64.
        assert error <= np.finfo(dtype).eps / 2 * np.sqrt(terms / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "W_shape", "options"), [case[:3] for case in CASES])
def test_nan_is_seen_and_other_images_and_groups_stay_finite(x_shape, W_shape, options, dtype):
    generator = np.random.default_rng(10)
    groups = options.get("groups", 1)
    x, W = (generator.uniform(0.5, 1, shape).astype(dtype) for shape in (x_shape, W_shape))
    y = dlfs_ext.conv2d(x, W, **options)
    g = generator.uniform(0.5, 1, y.shape).astype(dtype)
    clean = dlfs_ext.conv2d_input_grad(g, W, x_shape, **options)
    # The last pixel that a window reads, in the last channel, and the last gradient.
    place = tuple(np.argwhere(clean[0, -1] != 0)[-1])
    x[0, -1, place[0], place[1]] = np.nan
    spoilt = dlfs_ext.conv2d(x, W, **options)
    expected = np.isnan(reference.conv2d(x, W, **options))
    assert np.isnan(spoilt)[expected].all()
    assert np.isfinite(spoilt[1:]).all()
    per_group = spoilt.shape[1] // groups
    assert np.isfinite(spoilt[:, : spoilt.shape[1] - per_group]).all()
    W_grad = dlfs_ext.conv2d_param_grad(g, x, W_shape, **options)
    assert np.isnan(W_grad[-1, -per_group:]).any()
    assert np.isfinite(W_grad[:, :-per_group]).all()
    assert np.isfinite(W_grad[:-1]).all()
    g[0, -1, -1, -1] = np.nan
    grad = dlfs_ext.conv2d_input_grad(g, W, x_shape, **options)
    expected = np.isnan(reference.conv2d_input_grad(g, W, x_shape, **options))
    assert np.isnan(grad)[expected].all()
    assert np.isfinite(grad[1:]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_window_that_reads_only_padding_gives_zeros(axis, dtype):
    # As many outputs as pixels, with a kernel of 1x1: the images must not be read in place.
    size, stride, padding = ((1, 5), (3, 1), (1, 0))
    if axis == 1:
        size, stride, padding = size[::-1], stride[::-1], padding[::-1]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    W = rng.standard_normal((3, 4, 1, 1)).astype(dtype)
    output = dlfs_ext.conv2d(x, W, stride, padding)
    grad = np.ones((2, 4, *output.shape[2:]), dtype)
    assert not output.any()
    assert not dlfs_ext.conv2d_input_grad(grad, W, x.shape, stride, padding).any()
    assert not dlfs_ext.conv2d_param_grad(grad, x, W.shape, stride, padding).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [(24, 9), (8, 31), (72, 9), (16, 5)])
def test_ranges_of_pixels_end_where_the_images_do(size, dtype):
    # Images whose pixels fill the vectors of one dtype or of both; the last range may be shorter.
    rng = np.random.default_rng(0)
    x = in_layout(rng.standard_normal((1, 5, *size)).astype(dtype), "last")
    W = rng.standard_normal((5, 7, 1, 1)).astype(dtype)
    grad = in_layout(rng.standard_normal((1, 7, *size)).astype(dtype), "last")
    results = []
    for _ in each_number_of_threads(1, 2, 3, 5):
        output = dlfs_ext.conv2d(x, W)
        input_grad = dlfs_ext.conv2d_input_grad(grad, W, x.shape)
        results.append((output, input_grad, dlfs_ext.conv2d_param_grad(grad, x, W.shape)))
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
