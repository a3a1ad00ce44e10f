"""ArrayWithGrad: NumPy's rules, and the book's network without a hand-written backward pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import Conv2D, Dense, NeuralNetwork, SoftmaxCrossEntropy, Tanh
from dlfs.autograd import (
    ArrayWithGrad,
    NumberWithGrad,
    concatenate,
    conv2d,
    max_pool2d,
    maximum,
    softmax_cross_entropy,
)
from dlfs.backend import available_backends, use_backend
from dlfs.conv import Conv2D_Op
from dlfs.pooling import MaxPool2D


def _join(x):
    return np.concatenate if isinstance(x, np.ndarray) else concatenate


FUNCTIONS = {
    "broadcast": lambda x, y: x * y[0] - y[:, :1] / (x * x + 1.0),
    "power": lambda x, y: (x * x + 1.0) ** y,
    "matmul": lambda x, y: x @ y.T @ (x * 2.0),
    "vector": lambda x, y: x[0] @ y.T,
    "batched": lambda x, y: x.reshape(1, *x.shape) @ y.reshape(1, *y.shape).transpose(0, 2, 1),
    "mean": lambda x, y: x - (x * y).mean(axis=0, keepdims=True),
    "sum": lambda x, y: (x * y).sum(axis=(0, 1)) * x.sum(axis=-1),
    "fancy": lambda x, y: x[[0, 0, -1]] * y[::-1][[0, 0, 0]],
    "exp": lambda x, y: (x * 0.3).exp() * (y * y + 1.0).log() + x.tanh() - y.sigmoid(),
    "twice": lambda x, y: (x + y) * (x + y) + x,
    "join": lambda x, y: _join(x)([x, y * x], axis=1) * 2.0,
}


class Plain(np.ndarray):
    """A NumPy array with the methods of ArrayWithGrad, for complex numbers too."""

    def exp(self):
        return np.exp(self)

    def log(self):
        return np.log(self)

    def tanh(self):
        return np.tanh(self)

    def sigmoid(self):
        return 1 / (1 + np.exp(-self))


@pytest.mark.parametrize("name", FUNCTIONS)
@given(rows=st.integers(1, 3), columns=st.integers(1, 3), seed=st.integers(0, 99))
def test_gradients_of_a_complex_step(name, rows, columns, seed) -> None:
    """A step of 1e-30 along the imaginary axis: no difference is taken, so nothing cancels."""
    rng = np.random.default_rng(seed)
    start, direction = rng.uniform(-1, 1, (2, 2, rows, columns))
    x, y = (ArrayWithGrad(array.copy()) for array in start)
    out = FUNCTIONS[name](x, y)
    weights = rng.standard_normal(out.shape)
    out.backward(weights)
    got = sum((v.grad * d).sum() for v, d in zip((x, y), direction, strict=True))
    stepped = (start + 1e-30j * direction).view(Plain)
    expected = (FUNCTIONS[name](*stepped).imag * weights).sum() / 1e-30
    # An entry depends on at most 9 entries of x and of y, each through terms of at most 8 that
    # took at most 16 roundings; a direction is below 1.
    limit = 18 * 8 * 16 * np.finfo(float).eps * np.abs(weights).sum()
    np.testing.assert_allclose(np.asarray(FUNCTIONS[name](*start.view(Plain))), out.array)
    assert abs(got - expected) <= limit


def test_an_index_used_twice_collects_twice() -> None:
    x = ArrayWithGrad([1.0, 2.0, 3.0])
    x[np.array([0, 2, 0])].backward([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(x.grad, [101, 0, 10])


def test_numpy_at_the_left() -> None:
    x = ArrayWithGrad([1.0, 2.0])
    for y in (np.ones(2) + x, np.float64(1) + x, x.__radd__([1, 1]), np.ones(2, dtype=int) + x):
        assert isinstance(y, ArrayWithGrad)
        np.testing.assert_array_equal(y.array, [2, 3])
    assert isinstance(np.ones((3, 2)) @ x, ArrayWithGrad)
    np.testing.assert_array_equal(np.ones(2) < x, [False, True])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(dtype) -> None:
    x = ArrayWithGrad(np.ones((2, 3), dtype))
    y = softmax_cross_entropy((x**2 * np.ones(3) / 3).exp().tanh() + 1.0, [0, 1])
    y.backward()
    assert y.dtype == x.grad.dtype == dtype


def test_gradients_share_no_memory() -> None:
    x, y = ArrayWithGrad([1.0]), ArrayWithGrad([2.0])
    (x + y).backward()
    x.grad *= 5
    assert y.grad == 1


ALL_OPTIONS = {
    "stride": (2, 1),
    "padding": ((1, 0), (0, 2)),
    "dilation": (1, 2),
    "groups": 2,
}


@pytest.mark.parametrize("options", [{}, ALL_OPTIONS])
def test_a_convolution_has_the_gradients_of_its_operation(options) -> None:
    rng = np.random.default_rng(0)
    x = ArrayWithGrad(rng.standard_normal((2, 4, 5, 6)))
    W = ArrayWithGrad(rng.standard_normal((4 // options.get("groups", 1), 6, 2, 3)))
    operation = Conv2D_Op(W.array, **({"stride": 1, "padding": 0} | options))
    with use_backend("reference"):
        out = conv2d(x, W, **options)
        np.testing.assert_array_equal(out.array, operation.forward(x.array))
        grad = rng.standard_normal(out.shape)
        out.backward(grad)
        np.testing.assert_array_equal(x.grad, operation.backward(grad))
    np.testing.assert_array_equal(W.grad, operation.param_grad)


@pytest.mark.parametrize("options", [{}, {"stride": (1, 2), "padding": (0, 1)}])
def test_a_pool_has_the_gradient_of_its_operation(options) -> None:
    rng = np.random.default_rng(0)
    x, operation = ArrayWithGrad(rng.standard_normal((2, 3, 5, 7))), MaxPool2D((2, 3), **options)
    with use_backend("reference"):
        out = max_pool2d(x, (2, 3), **options)
        np.testing.assert_array_equal(out.array, operation.forward(x.array))
        grad = rng.standard_normal(out.shape)
        out.backward(grad)
        np.testing.assert_array_equal(x.grad, operation.backward(grad))


def test_powers_at_zero() -> None:
    """x**0 is 1 everywhere; 0**y is 0 for y > 0, and has no slope in y at 0 or where x < 0."""
    x = ArrayWithGrad([0.0, 2.0, 0.0, 0.0, -2.0, 0.5])
    y = ArrayWithGrad([0.0, 0.0, 2.0, 1.0, 2.0, 2.0])
    (x**y).backward(np.ones(6))
    np.testing.assert_allclose(x.grad, [0, 0, 0, 1, -4, 1])
    expected = [np.nan, np.log(2), 0, 0, np.nan, 0.25 * np.log(0.5)]
    np.testing.assert_allclose(y.grad, expected)


def test_gradients_of_kinks_and_of_two_calls() -> None:
    x = ArrayWithGrad([-2.0, 0.0, 3.0])
    x.relu().backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, [0, 0, 1])
    abs(x).backward(np.array([2.0, 2.0, 2.0]))
    np.testing.assert_array_equal(x.grad, [-2, 0, 3])


def test_ties() -> None:
    x, y = ArrayWithGrad([1.0, 1.0]), ArrayWithGrad([1.0, 0.0])
    maximum(x, y).backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [0.5, 1])
    np.testing.assert_array_equal(y.grad, [0.5, 0])
    x.zero_grad()
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [0.5, 0.5])


@pytest.mark.parametrize(
    ("error", "function"),
    [
        (ValueError, lambda x: x.backward()),
        (ValueError, lambda x: x.backward(np.ones(2))),
        (ValueError, lambda x: x + np.ones(4)),
        (ValueError, lambda x: x @ x),
        (ValueError, lambda x: x.sum(2)),
        (TypeError, lambda x: x.sum("0")),
        (TypeError, lambda x: x.mean(keepdims=1)),
        (ValueError, lambda x: x[:0].mean()),
        (ValueError, lambda x: x[:0].max()),
        (ValueError, lambda x: x.reshape(5)),
        (TypeError, lambda x: x.reshape("6")),
        (ValueError, lambda x: x.transpose(0)),
        (ValueError, lambda x: concatenate([])),
        (ValueError, lambda x: concatenate([x, np.ones((3, 3))], axis=1)),
        (ValueError, lambda x: conv2d(x, x)),
        (ValueError, lambda x: max_pool2d(x, 2)),
        (ValueError, lambda x: softmax_cross_entropy(x, [0, 3])),
        (TypeError, lambda x: softmax_cross_entropy(x, [0.0, 1.0])),
        (TypeError, lambda x: x + "1"),
        (TypeError, lambda x: x + None),
        (TypeError, lambda x: x + NumberWithGrad(1)),
        (TypeError, lambda x: x + ArrayWithGrad(np.ones(3, "float32"))),
        (TypeError, lambda x: x[x]),
        (TypeError, np.exp),
        (TypeError, np.asarray),
        (TypeError, ArrayWithGrad),
        (TypeError, lambda x: ArrayWithGrad("1")),
    ],
)
def test_bad_input(error, function) -> None:
    with pytest.raises(error):
        function(ArrayWithGrad(np.ones((2, 3))))


@pytest.mark.parametrize("backend", available_backends())
def test_it_trains_the_books_network(backend) -> None:
    """Step by step the same losses and gradients as the hand-written layers."""
    with use_backend(backend):
        _train_the_books_network()


def _train_the_books_network() -> None:
    rng = np.random.default_rng(0)
    net = NeuralNetwork(
        [Conv2D(4, 5, activation=Tanh(), flatten=True, weight_init="glorot"), Dense(10)],
        SoftmaxCrossEntropy(),
        seed=1,
    )
    images, labels = rng.standard_normal((4, 8, 1, 10, 10)), rng.integers(0, 10, (4, 8))
    net.forward(images[0])
    params = [param for layer in net.layers for param in layer.params]
    W, b, V, c = variables = [ArrayWithGrad(param.copy()) for param in params]
    losses = []
    for x, y in zip(images, labels, strict=True):
        expected = net.train_batch(x, y)
        hidden = (conv2d(x, W, padding="same") + b).tanh()
        loss = softmax_cross_entropy(hidden.reshape(len(x), -1) @ V + c, y)
        loss.backward()
        losses.append(loss.item())
        # Every number is a sum of at most 8 * 400 terms of size 1, rounded as often.
        limit = 3200 * np.finfo(float).eps
        assert abs(loss.item() - expected) <= limit * max(1, expected)
        grads = [grad for layer in net.layers for grad in layer.param_grads]
        for variable, param, grad in zip(variables, params, grads, strict=True):
            assert np.abs(variable.grad - grad).max() <= limit
            variable.array -= 0.05 * variable.grad
            param -= 0.05 * grad
        loss.zero_grad()
