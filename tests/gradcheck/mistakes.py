"""Mistakes that an experiment must name: what the hints say of each stands in ``told.txt``.

Each is a target with its input, and for a loss its targets. ``test_told.py`` checks them as if
their code could not be read, so that no changed expression takes the place of the experiment.
"""

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from dlfs.activations import Linear, Tanh
from dlfs.base import Operation, ParamOperation
from dlfs.conv import Conv1D_Op, Conv2D_Op, ConvTranspose2D_Op
from dlfs.dense import WeightMultiply
from dlfs.layers import Dense, Layer, LayerBlock
from dlfs.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.pooling import AvgPool2D
from tests.mutants import attention, convolution

MISTAKES: dict[str, tuple[Any, ...]] = {}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def operation(output: Any, input_grad: Any, **attributes: Any) -> Operation:
    """Return an Operation of functions of the input and the output."""
    return type(
        "Wrong",
        (Operation,),
        {
            "_output": lambda self: output(self.input_),
            "_input_grad": lambda self, g: input_grad(g, self.input_, self.output),
            **attributes,
        },
    )()


def with_param(param: np.ndarray, output: Any, param_grad: Any, input_grad: Any) -> ParamOperation:
    """Return an Operation of functions of the input and the parameter."""
    return type(
        "Wrong",
        (ParamOperation,),
        {
            "_output": lambda self: output(self.input_, self.param),
            "_input_grad": lambda self, g: input_grad(g, self.input_, self.param),
            "_param_grad": lambda self, g: param_grad(g, self.input_, self.param),
        },
    )(param)


# --- masks and derivatives ---

X = normal(3, 4)


def leaky(x: np.ndarray, low: float = 0.1, high: float = 1.0) -> np.ndarray:
    return np.where(x > 0, high * x, low * x)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def product_grads(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inner = g * (1 - np.tanh(a @ b) ** 2)
    return inner @ b.T, -a.T @ inner


MISTAKES |= {
    "ReLU: every gradient": (operation(relu, lambda g, x, y: g * 1), X),
    "ReLU: every gradient, and one input is 0": (
        operation(relu, lambda g, x, y: g * 1),
        np.where(X == X[1, 2], 0.0, X),
    ),
    "ReLU: inverted": (operation(relu, lambda g, x, y: g * (x <= 0)), X),
    "ReLU: the mask of g": (operation(relu, lambda g, x, y: g * (g > 0)), X),
    "ReLU: the mask of g x": (operation(relu, lambda g, x, y: g * (g * x > 0)), X),
    "leaky: every gradient": (operation(leaky, lambda g, x, y: g * 1), X),
    "leaky: the lower slope everywhere": (operation(leaky, lambda g, x, y: g * 0.1), X),
    "leaky: inverted": (operation(leaky, lambda g, x, y: g * np.where(x > 0, 0.1, 1)), X),
    "leaky: the mask of g": (operation(leaky, lambda g, x, y: g * np.where(g > 0, 1, 0.1)), X),
    "leaky: the mask of g x": (
        operation(leaky, lambda g, x, y: g * np.where(g * x > 0, 1, 0.1)),
        X,
    ),
    "leaky: no slope below 0": (operation(leaky, lambda g, x, y: g * (x > 0)), X),
    "slopes of 2 and 0.5: every gradient": (
        operation(lambda x: leaky(x, 0.5, 2.0), lambda g, x, y: 2 * g),
        X,
    ),
    "slopes of 2 and 0.5: inverted": (
        operation(lambda x: leaky(x, 0.5, 2.0), lambda g, x, y: np.where(x > 0, 0.5, 2.0) * g),
        X,
    ),
    "the smaller of x and 0: every gradient": (
        operation(lambda x: np.minimum(x, 0), lambda g, x, y: g * 1),
        X,
    ),
    "a bend above 0 only: every gradient": (
        operation(lambda x: np.where(x > 0, x**2, 0), lambda g, x, y: g * 1),
        X,
    ),
    "a bend below 0 only: every gradient": (
        operation(lambda x: np.where(x > 0, x, np.expm1(x)), lambda g, x, y: g * 1),
        X,
    ),
    "a bend below 0 only: no slope there": (
        operation(lambda x: np.where(x > 0, x, np.expm1(x)), lambda g, x, y: g * (x > 0)),
        X,
    ),
    "tanh: forgotten": (operation(np.tanh, lambda g, x, y: g * 1), X),
    "tanh: times the output": (operation(np.tanh, lambda g, x, y: g * y), X),
    "tanh: times the input": (operation(np.tanh, lambda g, x, y: g * x), X),
    "tanh: at the input": (operation(np.tanh, lambda g, x, y: g * (1 - x**2)), X),
    "sigmoid: at the input": (operation(special.expit, lambda g, x, y: g * x * (1 - x)), X),
    "sigmoid: at the output": (
        operation(special.expit, lambda g, x, y: g * special.expit(y) * (1 - special.expit(y))),
        X,
    ),
    "a mean of each row: forgotten": (
        operation(lambda x: x - x.mean(1, keepdims=True), lambda g, x, y: g * 1),
        X,
    ),
    "softmax: times the output": (
        operation(lambda x: special.softmax(x, 1), lambda g, x, y: g * y),
        X,
    ),
    "softmax: the diagonal": (
        operation(lambda x: special.softmax(x, 1), lambda g, x, y: g * y * (1 - y)),
        X,
    ),
    "two functions: forgotten in the second": (
        (lambda a, b: a * np.sin(b), lambda g, a, b: (g * np.sin(b), g * 1)),
        (X, normal(3, 4, seed=1)),
    ),
    "two functions: a sign in the second": (
        (lambda a, b: np.tanh(a @ b), product_grads),
        (X, normal(4, 2, seed=1)),
    ),
}


# --- normalizations ---


def axes_of(kind: str) -> tuple[int, ...]:
    return {"rows": (-1,), "batch": (0,), "images": (0, 2, 3)}[kind]


NORMALIZED = {"rows": normal(4, 5), "batch": normal(5, 3), "images": normal(3, 2, 2, 3)}
PARTS: dict[str, Callable[..., Any]] = {
    "constant": lambda g, y, m, s, n: g / s,
    "constant variance": lambda g, y, m, s, n: (g - m(g)) / s,
    "constant mean": lambda g, y, m, s, n: (g - y * m(g * y)) / s,
    "count - 1": lambda g, y, m, s, n: (g - n / (n - 1) * (m(g) + y * m(g * y))) / s,
    "no deviation": lambda g, y, m, s, n: g - m(g) - y * m(g * y),
}


def normalized(axes: tuple[int, ...], part: Callable[..., Any], eps: float = 1e-5) -> Operation:
    def mean(a: np.ndarray) -> np.ndarray:
        return a.mean(axis=axes, keepdims=True)

    def spread(x: np.ndarray) -> np.ndarray:
        return np.sqrt(x.var(axis=axes, keepdims=True) + eps)

    def count(x: np.ndarray) -> int:
        return int(np.prod([x.shape[axis] for axis in axes]))

    return operation(
        lambda x: (x - mean(x)) / spread(x),
        lambda g, x, y: part(g, y, mean, spread(x), count(x)),
    )


MISTAKES |= {
    f"norm of {kind}: {what}": (normalized(axes_of(kind), part), x)
    for kind, x in NORMALIZED.items()
    for what, part in PARTS.items()
}
FLAT_COLUMN = NORMALIZED["batch"] * [1, 0, 1]
LENGTH = {"x": normal(4, 5), "with a row of zeros": normal(4, 5) * [[1], [0], [1], [1]]}
MISTAKES |= {
    "norm of three numbers: constant": (normalized((-1,), PARTS["constant"]), normal(4, 3)),
    "norm of two numbers: constant": (normalized((-1,), PARTS["constant"], 1e-2), normal(4, 2)),
    "norm of a constant column: constant": (
        normalized((0,), PARTS["constant variance"], 0.01),
        FLAT_COLUMN,
    ),
    "norm with a large eps: constant": (normalized((-1,), PARTS["constant"], 0.05), normal(4, 5)),
    "norm with a very large eps: constant": (
        normalized((-1,), PARTS["constant"], 2.0),
        normal(4, 5),
    ),
} | {
    f"root mean square, {what}: constant": (
        operation(
            lambda x: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
            lambda g, x, y: g / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
        ),
        x,
    )
    for what, x in LENGTH.items()
}
MISTAKES["a hundred times a root mean square: constant"] = (
    operation(
        lambda x: 100 * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
        lambda g, x, y: 100 * g / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
    ),
    normal(4, 5),
)


# --- losses ---


def loss(output: Any, input_grad: Any, base: type[Loss] = Loss, **options: Any) -> Loss:
    """Return a loss of functions of prediction and target; None keeps the base's value."""
    methods = {"_input_grad": lambda self: input_grad(self.prediction, self.target)}
    if output is not None:
        methods["_output"] = lambda self: float(output(self.prediction, self.target))
    return type("Wrong", (base,), methods)(**options)


def log_cosh(p: np.ndarray, t: np.ndarray) -> float:
    return float(np.mean(np.log(np.cosh(p - t))))


def softmax(p: np.ndarray) -> np.ndarray:
    return np.exp(p) / np.exp(p).sum(axis=-1, keepdims=True)


def sigmoid(p: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-p))


def one_hot(t: np.ndarray) -> np.ndarray:
    return np.eye(4)[t]


P, T = normal(3, 4), np.random.default_rng(1).dirichlet(np.ones(4), 3)
LABELS = np.array([0, 3, 2])
OTHERS: dict[str, Callable[..., Any]] = {
    "softmax cross-entropy": lambda p, t: softmax(p) - t,
    "binary cross-entropy": lambda p, t: sigmoid(p) - t,
    "squared error": lambda p, t: 2 * (p - t),
    "half the squared error": lambda p, t: p - t,
    "absolute error": lambda p, t: np.sign(p - t),
    "cross-entropy of probabilities": lambda p, t: -t / p,
    "cross-entropy without the softmax's derivative": lambda p, t: -t / softmax(p),
    "squared error of a sigmoid": lambda p, t: 2 * (sigmoid(p) - t),
    "squared error of a softmax": lambda p, t: 2 * (softmax(p) - t),
}
MISTAKES |= {
    f"log cosh: the {name}{'' if mean else ', not averaged'}": (
        loss(log_cosh, lambda p, t, g=gradient, m=mean: g(p, t) / (len(p) if m else 1)),
        P,
        T,
    )
    for name, gradient in OTHERS.items()
    for mean in (True, False)
}
MISTAKES |= {
    "log cosh of a column: the squared error": (
        loss(log_cosh, lambda p, t: 2 * (p - t) / len(p)),
        P[:, :1],
        T[:, 0],
    ),
    "softmax cross-entropy of labels: the squared error": (
        loss(None, lambda p, t: 2 * (p - one_hot(t)) / len(p), SoftmaxCrossEntropy),
        P,
        LABELS,
    ),
    "softmax cross-entropy of steps: the squared error": (
        loss(None, lambda p, t: 2 * (p - one_hot(t)) / len(p), SoftmaxCrossEntropy),
        normal(2, 3, 4),
        np.array([[0, 3, 2], [1, 1, 3]]),
    ),
    "log cosh of steps: softmax cross-entropy": (
        loss(log_cosh, lambda p, t: (softmax(p) - t) / len(p)),
        normal(2, 3, 4),
        np.random.default_rng(1).dirichlet(np.ones(4), (2, 3)),
    ),
    "log cosh of targets with a 0 prediction: the cross-entropy of probabilities": (
        loss(log_cosh, lambda p, t: 2 * (p - t)),
        P * (P != P[0, 0]),
        T,
    ),
    "a loss with the wrong sign": (loss(log_cosh, lambda p, t: -np.tanh(p - t) / p.size), P, T),
    "a loss that is not averaged": (
        loss(lambda p, t: np.sum((p - t) ** 4) / len(p), lambda p, t: 4 * (p - t) ** 3),
        P,
        T,
    ),
    "a loss with a factor of 3, and 3 rows": (
        loss(lambda p, t: np.sum((p - t) ** 4), lambda p, t: 12 * (p - t) ** 3),
        P,
        T,
    ),
} | {
    f"normalized squared error: {factor} times the one of the quotient": (
        loss(
            None,
            lambda p, t, f=factor: f * (p / p.sum(-1, keepdims=True) - t) / len(p),
            MeanSquaredError,
            normalize=True,
        ),
        np.abs(P) + 0.5,
        T,
    )
    for factor in (1, 2)
}
MISTAKES["squared error that is not normalized: the one of the quotient"] = (
    loss(None, lambda p, t: 2 * (p / p.sum(-1, keepdims=True) - t) / len(p), MeanSquaredError),
    np.abs(P) + 0.5,
    T,
)


# --- sums of which one term is kept ---


def linear(jacobian: np.ndarray, grad: Any) -> ParamOperation:
    """Return an Operation that adds to its input a parameter times a matrix."""

    def output(x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return x + np.tensordot(jacobian[: len(x)], p[0], 1)

    return with_param(
        normal(1, jacobian.shape[-1], seed=5),
        output,
        lambda g, x, p: grad(g[..., np.newaxis] * jacobian[: len(x)])[np.newaxis],
        lambda g, x, p: g,
    )


def kept(shape: tuple[int, ...], axes: tuple[int, ...], which: int) -> Callable[..., Any]:
    """Return a sum over an output of which only one place along some axes is kept."""

    def grad(terms: np.ndarray) -> np.ndarray:
        for axis in axes:
            place = which % terms.shape[axis]
            terms = np.take(terms, [place], axis)
        return terms.sum(axis=tuple(range(terms.ndim - 1)))

    return grad


ONE_TERM = {
    "a row of 4": ((4,), (0,)),
    "the batch": ((3, 4), (0,)),
    "the features": ((3, 4), (1,)),
    "all": ((3, 4), (0, 1)),
    "the steps": ((2, 3, 4), (1,)),
    "the batch and the steps": ((2, 3, 4), (0, 1)),
    "the last of three axes": ((2, 3, 4), (2,)),
    "the batch of images": ((2, 3, 2, 3), (0,)),
    "the channels": ((2, 3, 2, 3), (1,)),
    "the pixels": ((2, 3, 2, 3), (2, 3)),
    "the lines": ((2, 3, 2, 3), (2,)),
    "the batch and the pixels": ((2, 3, 2, 3), (0, 2, 3)),
    "all but the columns": ((2, 3, 2, 3), (0, 1, 2)),
}
MISTAKES |= {
    f"one term of {what} is kept, {which}": (
        linear(
            normal(*(size + (axis == 0) for axis, size in enumerate(shape)), 5, seed=3),
            kept(shape, axes, {"first": 0, "last": -1}[which]),
        ),
        normal(*shape),
    )
    for what, (shape, axes) in ONE_TERM.items()
    for which in ("first", "last")
}


MISTAKES["one term of the batch is kept, in a gradient of one number"] = (
    linear(normal(4, 3, 1, seed=3), kept((3, 3), (0,), -1)),
    normal(3, 3),
)


def sparse(rows: int, features: int, axis: int) -> np.ndarray:
    """Return a matrix in which each column has zeros at other places along an axis."""
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((rows + 1, features, 5))
    holes = rng.random((rows + 1, 5) if axis == 0 else (features, 5)) < 0.5
    return matrix * (holes[:, np.newaxis] if axis == 0 else holes)


def overwritten(axis: int, which: str) -> Callable[..., Any]:
    """Return a sum along an axis of which each entry keeps its first or last term."""

    def grad(terms: np.ndarray) -> np.ndarray:
        others = tuple(other for other in range(terms.ndim - 1) if other != axis)
        parts = terms.sum(axis=others)
        found = np.zeros(parts.shape[1])
        for part in parts if which == "last" else parts[::-1]:
            found[part != 0] = part[part != 0]
        return found

    return grad


MISTAKES |= {
    f"each entry keeps its {which} term along axis {axis}": (
        linear(sparse(4, 3, axis), overwritten(axis, which)),
        normal(4, 3),
    )
    for axis in (0, 1)
    for which in ("first", "last")
}

# --- the order of axes ---

ORDERS: dict[str, Callable[..., Any]] = {
    "pixels before the batch": lambda f, n, c, p: (
        f.transpose(1, 2, 0).reshape(c, n, p).transpose(1, 0, 2)
    ),
    "the batch before the pixels": lambda f, n, c, p: (
        f.transpose(1, 0, 2).reshape(c, p, n).transpose(2, 0, 1)
    ),
    "channels for the batch": lambda f, n, c, p: f.reshape(c, n, p).transpose(1, 0, 2),
    "the batch for channels": lambda f, n, c, p: f.transpose(1, 0, 2),
    "pixels for channels": lambda f, n, c, p: f.reshape(n, p, c).transpose(0, 2, 1),
    "channels for pixels": lambda f, n, c, p: f.transpose(0, 2, 1),
}


def mixed(order: Callable[..., Any], on_input: bool) -> ParamOperation:
    """Return a convolution with windows of one pixel, one of whose gradients mixes axes."""

    def mix(g: np.ndarray) -> np.ndarray:
        n, c, p = len(g), g.shape[1], g[0, 0].size
        return order(g.reshape(n, c, p), n, c, p).reshape(g.shape)

    return with_param(
        normal(3, 3, seed=2),
        lambda x, p: np.einsum("nihw,ic->nchw", x, p),
        lambda g, x, p: np.einsum("nihw,nchw->ic", x, g if on_input else mix(g)),
        lambda g, x, p: np.einsum("nchw,ic->nihw", mix(g) if on_input else g, p),
    )


MISTAKES |= {
    f"{'input' if on_input else 'weight'} gradient: {name}": (
        mixed(order, on_input),
        normal(2, 3, 2, 2),
    )
    for name, order in ORDERS.items()
    for on_input in (True, False)
}
SQUARE = normal(3, 3, seed=4)
CUBE = normal(1, 2, 3, 3, seed=4)


def scaled_by(param: np.ndarray, change: Callable[..., Any]) -> ParamOperation:
    """Return an Operation that multiplies by a parameter, whose gradient is changed."""
    return with_param(
        param,
        lambda x, p: x * p,
        lambda g, x, p: change((g * x).sum(axis=0, keepdims=True).reshape(p.shape)),
        lambda g, x, p: g * p,
    )


MISTAKES |= {
    "the right numbers, transposed": (
        with_param(
            SQUARE,
            lambda x, p: x @ p,
            lambda g, x, p: g.T @ x,
            lambda g, x, p: g @ p.T,
        ),
        normal(4, 3),
    ),
    "the right numbers, with the last two of four axes swapped": (
        scaled_by(CUBE, lambda grad: grad.swapaxes(2, 3)),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, flipped along both axes": (
        scaled_by(CUBE, lambda grad: grad[:, :, ::-1, ::-1]),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, flipped along axis 2": (
        scaled_by(CUBE, lambda grad: grad[:, :, ::-1]),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, flipped along axis 3": (
        scaled_by(CUBE, lambda grad: grad[..., ::-1]),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, one place further on": (
        operation(np.sin, lambda g, x, y: np.roll(g * np.cos(x), 1, axis=1)),
        normal(3, 5),
    ),
    "three numbers, one place further on": (
        operation(np.sin, lambda g, x, y: np.roll(g * np.cos(x), 1)),
        normal(3),
    ),
}


# --- signs and factors ---


def sine(factor: float, rows: float = 0.0, **attributes: Any) -> Operation:
    """Return a sine with a gradient times a factor and a power of the number of rows."""
    made = operation(np.sin, lambda g, x, y: g * np.cos(x) * factor * float(len(x)) ** rows)
    vars(made).update(attributes)
    return made


def pooled(factor: float) -> Operation:
    """Return the mean over pixels, two features wide, with a gradient times a factor."""
    return operation(
        lambda x: np.sin(x).mean(axis=(2, 3)) @ np.ones((3, 2)),
        lambda g, x, y: (
            factor * (g @ np.ones((2, 3)))[..., np.newaxis, np.newaxis] * np.cos(x) / x[0, 0].size
        ),
    )


MISTAKES |= {
    "sign": (sine(-1), X),
    "zero": (sine(0), X),
    "no influence": (operation(np.round, lambda g, x, y: g * 0.5), X),
    "as many times too large as there are rows": (sine(1, 1.0), X),
    "as many times too small as there are rows": (sine(1, -1.0), X),
    "the root of the number of rows": (sine(1, 0.5), X),
    "a factor of the number of rows, whatever it is": (sine(3.0), X),
    "a factor of 1 / the number of rows, whatever it is": (sine(1 / 3), X),
    "a factor of 2 in one row": (sine(2.0, 1.0), normal(1, 4)),
    "a factor of an attribute": (sine(7.0, width=7), X),
    "a factor of 1 / an attribute": (sine(1 / 7.0, width=7), X),
    "a factor of the root of an attribute": (sine(7.0**0.5, width=7.0), X),
    "a factor of 1 / the root of an attribute": (sine(-(7.0**-0.5), width=7), X),
    "a factor of the product of a tuple": (sine(15.0, sizes=(3, 5)), X),
    "a factor of two attributes": (sine(-7.0, width=7, height=7), X),
    "a factor of a flag and a text": (sine(5.0, flag=True, text="5", sizes=("5",)), X),
    "a factor of an attribute below 1": (sine(0.25, rate=0.25), X),
    "a factor beside an attribute": (sine(7 * (1 + 4e-6), width=7), X),
    "a factor of a row of steps": (sine(12.0), normal(2, 3, 4)),
    "a factor of numbers in a row": (sine(6.0), normal(5)),
    "a factor of a function": ((np.sin, lambda g, x: 2.5 * g * np.cos(x)), X),
    "a factor of the features": (sine(5.0), normal(2, 5)),
    "a factor of the size": (sine(10.0), normal(2, 5)),
    "a factor of the pixels": (sine(15.0), normal(2, 2, 3, 5)),
    "a factor of a row": (sine(1 / 30.0), normal(2, 2, 3, 5)),
    "a factor of the pixels of one image": (pooled(6.0), normal(7, 3, 2, 3)),
    "a factor of the output's features": (pooled(1 / 2.0), normal(7, 3, 2, 3)),
    "a factor of the output's size": (pooled(14.0), normal(7, 3, 2, 3)),
    "nearly as many times too large as there are rows": (sine(1 + 4e-6, 1.0), X),
    "nearly as many times too small as there are rows": (sine(1 + 4e-6, -1.0), X),
    "a factor of one number": (sine(7.5), normal(1, 1)),
    "the first of three columns": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * [1.5, 1, 1]),
        normal(4, 3),
    ),
    "the first of two columns": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * [1.5, 1]),
        normal(4, 2),
    ),
    "a factor of no size": (sine(1.234567), X),
    "a sign in a large array": (sine(-1), normal(61, 10)),
    "a sign with as many rows as always": (
        operation(
            lambda x: np.sin(x.reshape(3, 2, 2)).sum(axis=2),
            lambda g, x, y: -np.repeat(g, 2, axis=1).reshape(3, 4) * np.cos(x),
        ),
        X,
    ),
    "two gradients with the wrong sign": (
        with_param(
            SQUARE,
            lambda x, p: x @ p,
            lambda g, x, p: -(x.T @ g),
            lambda g, x, p: -(g @ p.T),
        ),
        normal(4, 3),
    ),
    "wrong in float32": (
        operation(
            np.sin, lambda g, x, y: g * np.cos(x) * g.dtype.type(1 + (g.dtype.itemsize == 4))
        ),
        X.astype(np.float32),
    ),
    "wrong in both dtypes": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * g.dtype.type(-1)),
        X.astype(np.float32),
    ),
    "wrong in float32, of large numbers": (
        operation(
            lambda x: 1e6 * np.sin(x),
            lambda g, x, y: g * np.cos(x) * np.where(x.dtype == np.float32, g.dtype.type(2e6), 1e6),
        ),
        X.astype(np.float32),
    ),
    "wrong in both dtypes, by a tenth": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * g.dtype.type(1.1)),
        X.astype(np.float32),
    ),
    "wrong in both dtypes, with a kink": (
        operation(
            leaky, lambda g, x, y: g * np.select([x > 0, x < 0], [-1, -0.1], 0.5).astype(x.dtype)
        ),
        np.where(X == X[1, 2], 0.0, X).astype(np.float32),
    ),
    "the output gradient forgotten": (operation(np.sin, lambda g, x, y: np.cos(x)), X),
}


# --- shapes, and what a backward pass leaves behind ---

GRADIENTS: dict[str, Callable[..., Any]] = {
    "transposed": lambda g, x, p: (x.T @ g).T,
    "without its axis": lambda g, x, p: (x.T @ g).ravel(),
    "not summed": lambda g, x, p: x[:, :, np.newaxis] * g[:, np.newaxis],
    "summed too far": lambda g, x, p: (x.T @ g).sum(axis=0, keepdims=True),
    "summed to a number": lambda g, x, p: np.array(1.0),
    "missing": lambda g, x, p: None,
}
MISTAKES |= {
    f"weight gradient: {what}": (
        with_param(normal(4, 2), lambda x, p: x @ p, grad, lambda g, x, p: g @ p.T),
        X,
    )
    for what, grad in GRADIENTS.items()
}


def raising(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if g.shape == x.shape:
        raise KeyError("key")
    return g


def stopping(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    assert g.shape == x.T.shape
    return g


MISTAKES |= {
    "weight gradient of two rows: not summed": (
        with_param(
            normal(4, 2), lambda x, p: x @ p, GRADIENTS["not summed"], lambda g, x, p: g @ p.T
        ),
        X[:2],
    ),
    "weight gradient of one row: of another size": (
        with_param(
            normal(4, 2),
            lambda x, p: x @ p,
            lambda g, x, p: np.ones((1, 7)),
            lambda g, x, p: g @ p.T,
        ),
        X[:1],
    ),
    "input gradient: missing": (operation(np.sin, lambda g, x, y: None), X),
    "input gradient: not summed": (
        operation(np.sin, lambda g, x, y: np.ones((3, 3, 4))),
        X,
    ),
    "two functions: one gradient missing": (
        (lambda a, b: a * b, lambda g, a, b: (g * b, None)),
        (X, normal(3, 4, seed=1)),
    ),
    "two functions: one gradient transposed": (
        (lambda a, b: a @ b, lambda g, a, b: (g @ b.T, g.T @ a)),
        (X, normal(4, 2, seed=1)),
    ),
    "a loss: transposed": (loss(log_cosh, lambda p, t: np.tanh(p - t).T / p.size), P, T),
    "an error in backward": (operation(np.sin, raising), X),
    "an error without words": (operation(np.sin, stopping), X),
}


class Remembers(Linear):
    """It keeps what the first call computed."""

    def _output(self):
        if not hasattr(self, "first"):
            self.first = np.cos(self.input_)
        return np.sin(self.input_)

    def _input_grad(self, output_grad):
        return output_grad * np.cos(self.input_) * self.first / self.first.mean()


class Adds(Linear):
    total = 0.0

    def _input_grad(self, output_grad):
        self.total = self.total + output_grad
        return self.total


class DrawsAgain(Linear):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def _input_grad(self, output_grad):
        return output_grad * self.rng.random(output_grad.shape)


class DrawsFromNowhere(Linear):
    def _input_grad(self, output_grad):
        return output_grad * np.random.default_rng().random(output_grad.shape)


class AddsOnce(Linear):
    """It gives the double only the second time."""

    calls = 0

    def forward(self, input_, inference=False):
        self.calls = 0
        return super().forward(input_)

    def _input_grad(self, output_grad):
        self.calls += 1
        return output_grad * min(self.calls, 2)


class ParamsAlone(WeightMultiply):
    def backward(self, output_grad, input_grad=True):
        if input_grad:
            return super().backward(output_grad)
        self.param_grad = 2 * self._param_grad(output_grad)
        return None


class WritesForward(Linear):
    def _output(self):
        self.input_ *= 2
        return self.input_ * 1


class WritesIntoInput(Linear):
    def _input_grad(self, output_grad):
        self.input_ *= 2
        return output_grad


class WritesIntoOutputGrad(Linear):
    def _input_grad(self, output_grad):
        output_grad *= 2
        return output_grad / 2


MISTAKES |= {
    "kept from the first call": (Remembers(), X),
    "added to the last gradient": (Adds(), X),
    "a second mask": (DrawsAgain(), X),
    "random numbers from nowhere": (DrawsFromNowhere(), X),
    "a gradient of integers": (operation(np.sin, lambda g, x, y: x > 0), X),
    "a gradient of another dtype": (
        operation(np.sin, lambda g, x, y: (g * np.cos(x)).astype(np.float64)),
        X.astype(np.float32),
    ),
    "an output of another dtype": (
        operation(
            lambda x: np.sin(x).astype(np.float64),
            lambda g, x, y: (g * np.cos(x)).astype(np.float32),
        ),
        X.astype(np.float32),
    ),
    "an output that is infinite": (operation(lambda x: x + np.inf, lambda g, x, y: g), X),
    "a gradient that is not a number": (operation(np.sin, lambda g, x, y: g * np.nan), X),
    "a random output": (
        operation(lambda x: x + np.random.default_rng().random(), lambda g, x, y: g),
        X,
    ),
    "the double, the second time": (AddsOnce(), X),
    "the parameters' gradient alone": (ParamsAlone(normal(4, 2)), X),
    "the input is changed by forward": (WritesForward(), X.copy()),
    "the input is changed": (WritesIntoInput(), X.copy()),
    "the output gradient is changed": (WritesIntoOutputGrad(), X),
}


# --- options of windows ---


def with_options(**options: Any) -> Callable[..., Any]:
    """Return an input gradient that is computed as if options were others."""

    def grad(self: Any, g: np.ndarray) -> np.ndarray:
        right = {name: getattr(self, name) for name in options}
        plain = {name: value for name, value in options.items() if right[name] != value}
        vars(self).update(plain)
        try:
            found = type(self).__base__._input_grad(self, g)
        except ValueError:
            found = np.ones_like(self.input_)
        vars(self).update(right)
        return found

    return grad


def with_kernel(*axes: int) -> Callable[..., Any]:
    """Return an input gradient with a kernel flipped along some axes."""

    def grad(self: Any, g: np.ndarray) -> np.ndarray:
        right, self.param = self.param, np.flip(self.param, axes)
        found = type(self).__base__._input_grad(self, g)
        self.param = right
        return found

    return grad


def window(base: Any, input_grad: Any, *shape: int, **options: Any) -> Any:
    return type("Wrong", (base,), {"_input_grad": input_grad})(normal(*shape, seed=6), **options)


IMAGE, LINE = normal(2, 2, 3, 4), normal(2, 2, 5)
MISTAKES |= {
    "convolution: flipped": (window(Conv2D_Op, with_kernel(2, 3), 2, 1, 2, 2), IMAGE),
    "convolution: flipped along axis 2": (window(Conv2D_Op, with_kernel(2), 2, 1, 2, 2), IMAGE),
    "convolution: flipped along axis 3": (window(Conv2D_Op, with_kernel(3), 2, 1, 2, 2), IMAGE),
    "convolution of lines: flipped": (window(Conv1D_Op, with_kernel(2), 2, 1, 3), LINE),
    "convolution: without its stride": (
        window(Conv2D_Op, with_options(stride=(1, 1)), 2, 1, 2, 2, stride=(2, 1)),
        IMAGE,
    ),
    "convolution: without its padding": (
        window(Conv2D_Op, with_options(padding=(0, 0)), 2, 1, 3, 3, padding=(1, 1)),
        IMAGE,
    ),
    "convolution: without its dilation": (
        window(Conv2D_Op, with_options(dilation=(1, 1)), 2, 1, 2, 2, dilation=(2, 1)),
        IMAGE,
    ),
    "convolution: without its padding, of an image smaller than the kernel": (
        window(
            *(Conv2D_Op, with_options(padding=(0, 0)), 2, 1, 3, 2),
            padding=(2, 1),
            dilation=(2, 1),
        ),
        normal(2, 2, 2, 3),
    ),
    "transposed convolution: without its padding": (
        window(ConvTranspose2D_Op, with_options(padding=(0, 0)), 2, 1, 3, 3, padding=(1, 1)),
        normal(2, 2, 2, 3),
    ),
    "convolution: without its groups": (
        type("Wrong", (convolution.GroupsIgnored,), {})(normal(1, 2, 2, 2), groups=2),
        normal(2, 2, 3, 3),
    ),
    "average pooling: without its padding": (
        type("Wrong", (AvgPool2D,), {"_input_grad": with_options(padding=(0, 0))})(
            (3, 2), stride=(1, 1), padding=(1, 1)
        ),
        normal(2, 1, 2, 3),
    ),
    "convolution of lines: without its stride": (
        window(Conv1D_Op, with_options(stride=1), 2, 1, 2, stride=2),
        LINE,
    ),
    "convolution of lines: without its padding": (
        window(Conv1D_Op, with_options(padding=0), 2, 1, 3, padding=1),
        LINE,
    ),
}


# --- attention ---

QKV = normal(1, 3, 18)
MISTAKES |= {
    f"attention{', causal' if causal else ''}: {kind.__name__}": (
        kind(heads=2, causal=causal, dropout=dropout, seed=0),
        QKV,
    )
    for kind, causal, dropout in (
        (attention.AttentionScaleForgotten, False, 1.0),
        (attention.AttentionScaleForgotten, True, 0.7),
        (attention.AttentionScaledTwice, True, 1.0),
        (attention.AttentionScaledByFeatures, True, 0.7),
        (attention.AttentionMaskedAfterSoftmax, True, 0.7),
        (attention.AttentionNotMasked, True, 1.0),
        (attention.AttentionDropoutForgotten, False, 0.7),
        (attention.AttentionOverQueries, False, 1.0),
        (attention.AttentionOverQueries, True, 1.0),
        (attention.AttentionOverHeads, False, 0.7),
        (attention.AttentionOverHeads, True, 1.0),
        (attention.AttentionScoresNotScaled, True, 1.0),
        (attention.AttentionDiagonalOnly, True, 0.7),
        (attention.AttentionWeightsConstant, True, 0.7),
        (attention.AttentionQueriesAndKeysSwapped, True, 0.7),
        (attention.AttentionKeysNotTransposed, False, 0.7),
        (attention.AttentionValuesNotTransposed, True, 0.7),
    )
}


class OverQueriesNotMasked(attention.AttentionOverQueries):
    """The softmax over the queries, of scores that are not masked."""

    def _weights(self, q, k):
        return special.softmax(self._scores(q, k), 2)


def masked_late(x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    q, k, v = np.split(x, 3, axis=-1)
    scores = scale * q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    return (special.softmax(scores, -1) * np.tri(x.shape[-2])) @ v


def masked_early_grad(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the gradient of weights that are 0 for later positions, as if they had sum 1."""
    q, k, v = np.split(x, 3, axis=-1)
    root = np.sqrt(q.shape[-1])
    p = special.softmax(q @ k.swapaxes(-1, -2) / root, -1) * np.tri(x.shape[-2])
    p_grad = g @ v.swapaxes(-1, -2)
    s_grad = p * (p_grad - (p * p_grad).sum(-1, keepdims=True)) / root
    parts = s_grad @ k, s_grad.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g
    return np.concatenate(parts, axis=-1)


MISTAKES |= {
    "attention, causal: the queries' softmax without a mask": (
        OverQueriesNotMasked(heads=2, causal=True),
        QKV,
    ),
    "one head, masked after the softmax": (operation(masked_late, masked_early_grad), QKV[0]),
    "heads in a batch, masked after the softmax": (operation(masked_late, masked_early_grad), QKV),
    "one head of other scores, masked after the softmax": (
        operation(lambda x: masked_late(x, 1.01), masked_early_grad),
        QKV[0],
    ),
}


# --- steps and tables ---


def recurrence(x: np.ndarray) -> np.ndarray:
    """Return the states of h = tanh(x + h / 2)."""
    h = np.zeros_like(x[:, 0])
    states = []
    for step in np.moveaxis(x, 1, 0):
        h = np.tanh(step + h / 2)
        states.append(h)
    return np.stack(states, axis=1)


def looked_up(grad: Callable[..., Any]) -> ParamOperation:
    """Return a table of four rows, whose gradient is computed from the rows' gradients."""
    made = with_param(
        normal(4, 3),
        lambda x, p: p[x],
        lambda g, x, p: grad(g.reshape(-1, 3), x.ravel(), np.zeros_like(p)),
        lambda g, x, p: np.zeros(x.shape),
    )
    type(made).takes_integers = True
    return made


def mean_of_rows(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    np.add.at(grad, x, g)
    return grad / np.bincount(x, minlength=len(grad)).clip(1)[:, np.newaxis]


def last_of_rows(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    grad[x] = g
    return grad


MISTAKES |= {
    "no gradient through time": (
        operation(recurrence, lambda g, x, y: g * (1 - y**2)),
        normal(2, 3, 2),
    ),
    "rows: the mean of two": (looked_up(mean_of_rows), np.array([[0, 3], [3, 1]])),
    "rows: the mean of three": (looked_up(mean_of_rows), np.array([3, 0, 3, 3])),
    "rows: the last of three": (looked_up(last_of_rows), np.array([3, 0, 3, 3])),
}


# --- layers and networks ---


class Slope(Tanh):
    """A wrong gradient that no hint explains."""

    def _input_grad(self, output_grad):
        return output_grad * np.cos(7 * self.input_) * (1 - self.output**2)


class Negative(Tanh):
    def _input_grad(self, output_grad):
        return -super()._input_grad(output_grad)


class Forgotten(Tanh):
    def _input_grad(self, output_grad):
        return output_grad * 1


class Backwards(LayerBlock):
    def backward(self, output_grad, input_grad=True):
        super().backward(output_grad)
        return 2 * output_grad


class Own(Layer):
    """A layer without Operations."""

    def forward(self, input_, inference=False):
        return np.sin(input_)

    def backward(self, output_grad, input_grad=True):
        return output_grad * 1


MISTAKES |= {
    "a layer with one wrong Operation": (LayerBlock([Dense(3), Negative(), Dense(2)]), X),
    "a layer with an Operation that no hint explains": (LayerBlock([Dense(3), Slope()]), X),
    "a layer with four wrong Operations": (
        LayerBlock([Negative(), Slope(), Forgotten(), Slope(), Negative()]),
        X,
    ),
    "a layer with an Operation that adds up": (LayerBlock([Tanh(), Adds(), WritesIntoInput()]), X),
    "a layer of right Operations": (Backwards([Tanh(), Tanh()]), X),
    "a layer without Operations": (Own(), X),
    "a network with a wrong Operation": (
        NeuralNetwork([Dense(3, activation=Forgotten()), Dense(2)], MeanSquaredError(), seed=0),
        X,
        normal(3, 2, seed=1),
    ),
}


# --- of one line each, which can be read and changed ---

READ: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "0 for 1": ("np.sin(self.input_)", "output_grad * np.cos(self.input_ + 1)", (2, 3)),
    "-1 for 4": ("1 / self.input_", "output_grad * 4 * self.input_**-2", (2, 3)),
    "0.5 for 4": ("np.sin(self.input_ / 2)", "4 * output_grad * np.cos(self.input_ / 2)", (2, 3)),
    "3 for 7": (
        "self.input_ * self.input_ * self.input_",
        "output_grad * 7 * self.input_ * self.input_",
        (2, 3),
    ),
    "a third power": ("self.input_**4", "4 * output_grad * self.input_**5", (2, 3)),
    "half": ("np.sin(self.input_ / 2)", "output_grad * np.cos(self.input_ / 2)", (2, 3)),
    "twice": ("np.sin(2 * self.input_)", "output_grad * np.cos(self.input_ + self.input_)", (2, 3)),
    "tanh without its derivative": ("np.tanh(self.input_)", "output_grad + 0", (2, 3)),
    "sigmoid without its derivative": ("1 / (1 + np.exp(-self.input_))", "output_grad / 1", (2, 3)),
    "not divided by the columns": (
        "np.sin(self.input_) / self.input_.shape[1]",
        "output_grad * np.cos(self.input_)",
        (2, 3),
    ),
    "not divided by the size": (
        "np.sin(self.input_) / self.input_.size",
        "output_grad * np.cos(self.input_)",
        (2, 5),
    ),
    "not divided by the third size": (
        "np.sin(self.input_) / self.input_.shape[2]",
        "output_grad * np.cos(self.input_)",
        (2, 2, 3),
    ),
    "not divided by a row": (
        "np.sin(self.input_).mean(axis=(1, 2), keepdims=True) + 0 * self.input_",
        "output_grad.sum(axis=(1, 2), keepdims=True) * np.cos(self.input_)",
        (2, 2, 3),
    ),
    "not divided by the pixels": (
        "np.sin(self.input_).mean(axis=(2, 3), keepdims=True) + 0 * self.input_",
        "output_grad.sum(axis=(2, 3), keepdims=True) * np.cos(self.input_)",
        (2, 2, 3, 2),
    ),
    "not divided by the root of the columns": (
        "np.sin(self.input_) / np.sqrt(len(self.input_[0]))",
        "output_grad * np.cos(self.input_)",
        (2, 3),
    ),
    "not masked": (
        "np.where(self.input_ > 0.25, self.input_, 0.0) ** 2",
        "2 * output_grad * self.input_",
        (3, 4),
    ),
    "not masked above": (
        "np.where(self.input_ < 0.25, self.input_, 0.0) ** 2",
        "2 * output_grad * self.input_",
        (3, 4),
    ),
    "a transpose": ("np.sin(self.input_.T)", "output_grad * np.cos(self.input_)", (3, 3)),
    "an axis everywhere": (
        "self.input_ - self.input_.sum(axis=1, keepdims=True) ** 2",
        (
            "output_grad"
            " - 2 * self.input_.sum(axis=0, keepdims=True) * output_grad.sum(axis=0, keepdims=True)"
        ),
        (3, 3),
    ),
    "an array everywhere": (
        "np.tanh(self.input_)",
        "output_grad * (1 - self.input_ * self.input_)",
        (2, 3),
    ),
    "a long line": (
        "np.sin(self.input_) + np.cos(self.input_) + np.exp(self.input_)",
        "output_grad * (np.cos(self.input_) - np.sin(self.input_) + np.exp(self.input_) + 1)",
        (2, 3),
    ),
    "a part of forward": (
        "self.input_ * np.sin(self.input_)",
        "output_grad * np.sin(self.input_)",
        (2, 3),
    ),
    "a long part of forward": (
        "self.input_ * (np.sin(self.input_) + np.cos(3 * self.input_) + np.exp(self.input_) + 1)",
        "output_grad * (np.sin(self.input_) + np.cos(3 * self.input_) + np.exp(self.input_) + 1)",
        (2, 3),
    ),
    "nothing that can be mended": (
        "np.sin(self.input_)",
        "output_grad * np.abs(np.round(7 * self.input_)) / 11",
        (2, 3),
    ),
}


def read(name: str) -> tuple[Operation, np.ndarray]:
    """Return an Operation whose source can be read, and its input."""
    forward, backward, shape = READ[name]
    lines = [
        "class Wrong(Operation):",
        "    def _output(self):",
        f"        return {forward}",
        "    def _input_grad(self, output_grad):",
        f"        return {backward}",
    ]
    file, text = f"<{name}>", "\n".join(lines) + "\n"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"np": np, "Operation": Operation, "__name__": "student"}
    exec(compile(text, file, "exec"), names)
    return names["Wrong"](), normal(*shape)
