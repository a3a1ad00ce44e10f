"""Results that a dtype can hold, reached over numbers that it cannot; on both backends."""

import math

import numpy as np
import pytest

from dlfs import reference
from dlfs.backend import kernels, use_backend

# That the kernels leave such numbers to the reference is what some of these show.
pytestmark = [pytest.mark.usefixtures("backend"), pytest.mark.falls_back]
DTYPES = [np.float32, np.float64]


@pytest.fixture(params=["fast", "reference"])
def backend(request):
    with use_backend(request.param):
        yield request.param


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_classes_that_are_impossible(dtype, smoothing):
    """A logit of -inf that no target asks for changes nothing but its own probability."""
    logits = np.array([[1.0, -np.inf, 3.0], [-np.inf, 0.0, -np.inf]], dtype)
    labels, rows = np.array([2, 1]), np.array([[0.0, 0, 1], [0, 1, 0]], dtype)
    for target in (labels, rows):
        loss, grad = kernels.softmax_cross_entropy(logits, target, smoothing)
        if smoothing:
            assert loss == math.inf
        else:
            assert loss == pytest.approx(math.log1p(math.exp(-2)) / 2, rel=1e-6)
        assert grad[1, 1] == pytest.approx(smoothing / 3, abs=1e-7)
        assert np.isfinite(grad).all()


def test_a_class_that_is_impossible_and_asked_for():
    loss, grad = kernels.softmax_cross_entropy(np.array([[0.0, -np.inf]]), np.array([1]))
    assert loss == math.inf
    np.testing.assert_array_equal(grad, [[1.0, -1.0]])


@pytest.mark.parametrize("number", [1e20, 3e38])
def test_logits_of_float32_that_are_farther_apart_than_it_reaches(number):
    logits = np.array([[number, -number], [-number, number]], np.float32)
    exact = 2 * float(np.float32(number))
    for labels, expected in (([0, 1], 0.0), ([1, 0], exact), ([0, 0], exact / 2)):
        rows = np.eye(2, dtype=np.float32)[labels]
        for target in (np.array(labels), rows):
            loss, grad = kernels.softmax_cross_entropy(logits, target)
            assert loss == pytest.approx(expected, rel=1e-12)
            assert np.isfinite(grad).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_certain_yes_or_no(dtype):
    logits = np.array([[np.inf, -np.inf, 1e30, -1e30]], dtype)
    loss, grad = kernels.binary_cross_entropy(logits, np.array([[1.0, 0, 1, 0]], dtype))
    assert loss == 0.0
    np.testing.assert_array_equal(grad, np.zeros((1, 4)))
    assert kernels.binary_cross_entropy(logits, np.array([[0.0, 0, 1, 0]], dtype))[0] == math.inf


def test_distances_of_float32_whose_squares_it_cannot_hold():
    far, near = np.full((2, 3), 1e20, np.float32), np.zeros((2, 3), np.float32)
    exact = float(np.float32(1e20))
    assert kernels.mean_squared_error(far, near)[0] == pytest.approx(3 * exact**2, rel=1e-12)
    assert kernels.huber(far, near, 1e25)[0] == pytest.approx(1.5 * exact**2, rel=1e-12)


def test_wrong_arguments_are_named_in_one_order():
    """The prediction first, though the smoothing is wrong, too."""
    with pytest.raises(TypeError, match="prediction"):
        kernels.softmax_cross_entropy("logits", np.array([0]), 7)
    with pytest.raises(ValueError, match="label_smoothing"):
        kernels.softmax_cross_entropy(np.ones((1, 2)), np.array([9]), 7)


SLOTS = {
    "sgd_momentum_update": ("velocity",),
    "adagrad_update": ("sum_squares",),
    "rmsprop_update": ("mean_square",),
    "adam_update": ("mean", "mean_square"),
}


def update(name, param, grad, slots, t=1):
    options = {"t": t} if name == "adam_update" else {}
    getattr(kernels, name)(param, grad, *slots, lr=0.1, **options)


@pytest.mark.parametrize(
    ("dtype", "number"), [*((np.float32, n) for n in (1e19, 1e20, 3e38)), (np.float64, 1e200)]
)
@pytest.mark.parametrize("name", ["adagrad_update", "rmsprop_update", "adam_update"])
def test_adaptive_steps_do_not_end_where_a_square_overflows(name, dtype, number):
    """The steps of a gradient do not depend on its size: those of 1 are made."""
    params = []
    for size in (1.0, number):
        param, grad = np.zeros(9, dtype), np.full(9, size, dtype)
        slots = [np.zeros(9, dtype) for _ in SLOTS[name]]
        for t in range(1, 4):
            update(name, param, grad, slots, t)
            assert all(np.isfinite(slot).all() for slot in slots)
        params.append(param)
    # As many as AdaGrad may add up, the sum stays below what the dtype holds.
    np.testing.assert_allclose(params[1], params[0], rtol=1e-5)
    for _ in range(20):
        update(name, param, grad, slots, t)
    assert (np.diff([params[0][0], param[0]]) < 0).all()
    assert all(np.isfinite(slot).all() for slot in slots)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["adagrad_update", "rmsprop_update", "adam_update"])
@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_a_gradient_that_is_not_finite_is_not_hidden(name, dtype, number):
    param = np.ones(17, dtype)
    update(name, param, np.full(17, number, dtype), [np.zeros(17, dtype) for _ in SLOTS[name]])
    assert not np.isfinite(param).any()


@pytest.mark.parametrize("name", SLOTS)
def test_arrays_of_an_update_share_no_memory(name):
    count = len(SLOTS[name]) + 2
    names = ("param", "grad", *SLOTS[name])
    for first in range(count):
        for second in range(first + 1, count):
            for shift in (0, 1, 3):
                arrays = [np.ones(4) for _ in range(count)]
                memory = np.ones(8)
                arrays[first], arrays[second] = memory[:4], memory[shift : shift + 4]
                before = memory.copy()
                with pytest.raises(ValueError, match="must not share memory") as caught:
                    update(name, arrays[0], arrays[1], arrays[2:])
                assert f"{names[first]} and {names[second]}" in str(caught.value)
                np.testing.assert_array_equal(memory, before)
    # Side by side, and one between the other's numbers, is not shared.
    memory = np.ones((count, 4))
    update(name, memory[0], memory[1], list(memory[2:]))
    memory = np.ones((4, count))
    update(name, memory[:, 0], memory[:, 1], list(memory.T[2:]))


@pytest.mark.parametrize("update", ["sgd_update"])
def test_the_gradient_is_not_the_parameter(update):
    param = np.ones(3)
    with pytest.raises(ValueError, match="share memory"):
        getattr(kernels, update)(param, param, lr=0.1)


@pytest.mark.parametrize(
    ("dtype", "number"), [*((np.float32, n) for n in (1e18, 1e20, 1e37)), (np.float64, 1e200)]
)
@pytest.mark.parametrize("kernel", ["batch_norm", "layer_norm"])
def test_large_numbers_are_normalized_like_small_ones(kernel, dtype, number):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype(dtype)
    large = x.copy()
    line = (slice(None), 2) if kernel == "batch_norm" else 2  # the others stay as they are
    large[line] *= dtype(number)
    expected, found = getattr(kernels, kernel)(x, 1e-30), getattr(kernels, kernel)(large, 1e-30)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-6)
    inv_std = found[-1].reshape(-1)
    np.testing.assert_allclose(inv_std[2] * number, expected[-1].reshape(-1)[2], rtol=1e-4)
    np.testing.assert_allclose(np.delete(inv_std, 2), np.delete(expected[-1], 2), rtol=1e-5)
    if kernel == "batch_norm":
        mean, var = found[1:3]
        np.testing.assert_allclose(mean[0, 2] / number, expected[1][0, 2], rtol=1e-4)
        exact = float(expected[2][0, 2]) * number * number
        assert var[0, 2] == pytest.approx(min(exact, float(np.finfo(dtype).max)), rel=1e-4)


@pytest.mark.parametrize("kernel", ["batch_norm", "layer_norm"])
def test_large_numbers_without_a_variance(kernel):
    x = np.full((4, 4), 2.0**100, np.float32)
    output, *_, inv_std = getattr(kernels, kernel)(x)
    np.testing.assert_array_equal(output, np.zeros((4, 4)))
    np.testing.assert_allclose(inv_std, 1e-5**-0.5, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 16, 37])
def test_any_byte_but_0_of_a_mask_keeps_a_number(dtype, size):
    mask = np.resize(np.array([0, 1, 2, 255], np.uint8), size).view(bool)
    kept = kernels.dropout(np.full(size, 2.0, dtype), mask, 0.5)
    np.testing.assert_array_equal(kept, np.resize([0.0, 4, 4, 4], size))


def test_a_gradient_that_is_not_finite_stays_where_its_pixel_is():
    grad = np.array([[[[np.inf, np.nan]]]])
    places = np.array([[[[1, 2]]]], np.uint8)
    expected = [[[[0, np.inf, 0, 0], [0, 0, np.nan, 0]]]]
    np.testing.assert_array_equal(kernels.max_pool2d_grad(grad, places, (1, 1, 2, 4), 2), expected)


def test_numbers_without_axes_stay_arrays():
    for package in (kernels, reference):
        assert isinstance(package.tanh(np.array(1.0)), np.ndarray)
        assert package.tanh(np.array(1.0)).shape == ()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (1, 1, 2, 2)])
def test_normalization_where_the_deviation_from_the_mean_overflows(shape, dtype):
    large = np.finfo(dtype).max
    x = np.array([large, -large, -large, -large], dtype).reshape(shape)
    g = np.array([1, 2, -3, 5], dtype).reshape(shape)
    one = np.ones((1, shape[1], *[1] * (len(shape) - 2)), dtype)
    kind = "layer" if shape == (1, 4) else "batch"
    output, mean, *_, inv_std = getattr(kernels, f"{kind}_norm_affine")(x, one, 0 * one)
    found = getattr(kernels, f"{kind}_norm_affine_grad")(g, x, one, mean, inv_std)
    exact = np.array([3**0.5, *[-(3**-0.5)] * 3]).reshape(shape)
    # 1 / large is denormal, and has lost a few digits.
    np.testing.assert_allclose(output, exact, rtol=1e-5)
    assert np.isfinite(found[0]).all()
    product = g * exact
    gamma_grad = product if kind == "layer" else product.sum().reshape(one.shape)
    np.testing.assert_allclose(found[1], gamma_grad, rtol=1e-4)
