"""Numbers at the edges, arrays without axes, arrays without numbers: alike on every backend."""

import itertools
import warnings

import numpy as np
import pytest

import dlfs
import dlfs.reference
import dlfs_ext
import dlfs_ext.plain
from tests.support.subjects_kernels import KERNELS

pytestmark = pytest.mark.falls_back  # losses and variances are not finite here

DTYPES = [np.dtype(np.float32), np.dtype(np.float64)]
NAMES = [subject.name.removeprefix("reference.") for subject in KERNELS]
SUBJECTS = dict(zip(NAMES, KERNELS, strict=True))
CHANGED = {"param", "velocity", "sum_squares", "mean_square", "mean"}
"""What an update writes into."""


def special(dtype):
    """Numbers with which something can go wrong."""
    limits = np.finfo(dtype)
    positive = [0.0, limits.smallest_subnormal, limits.tiny, limits.eps, 1.0, 3.5, 90.0]
    positive += [1e5, limits.max**0.5, limits.max / 4, limits.max, np.inf]
    return np.array([*positive, *(-np.array(positive, dtype)), np.nan], dtype=dtype)


def call(package, name, arguments):
    """Return what a kernel did: its results and what it wrote, or its error."""
    arguments = {
        key: value.copy() if isinstance(value, np.ndarray) else value
        for key, value in arguments.items()
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = getattr(package, name)(**arguments)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    results = list(result) if isinstance(result, tuple) else [] if result is None else [result]
    return results + [arguments[key] for key in sorted(CHANGED & set(arguments))]


def largest(values):
    """Return the largest finite number in the arrays among the values."""
    numbers = [
        np.abs(value[np.isfinite(value)])
        for value in values
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    ]
    return max((float(part.max(initial=0.0)) for part in numbers), default=1.0)


def scale_of(arguments):
    """Return the largest product of two finite numbers, or of one and 1: what may cancel."""
    top = largest(arguments.values())
    return max(top, top * top if top < 1e5 else 1.0, 1.0)


def assert_alike(found, expected, dtype, message, scale=1.0):
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected, message
        return
    assert len(found) == len(expected), message
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other), message
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, message
            assert one.shape == other.shape, message
        if isinstance(other, np.ndarray) and other.dtype.kind != "f":
            np.testing.assert_array_equal(one, other, message)
            continue
        # Sums of a few terms, in any order. NaN and infinity must stand where they stand.
        eps = float(np.finfo(dtype).eps)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(
                one, other, rtol=64 * eps, atol=64 * eps * scale, err_msg=message
            )


def varied(arguments, dtype, rng, values):
    """Return the arguments with some or all of their numbers replaced by special ones."""
    changed = {}
    for key, value in arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            place = rng.random(value.shape) < rng.choice([0.0, 0.2, 1.0])
            ordinary = rng.normal(size=value.shape)
            value = np.where(place, rng.choice(values, value.shape), ordinary).astype(dtype)
        changed[key] = value
    return changed


# Where terms are added up, huge ones of both signs may or may not overflow on the way.
ADDING = (
    *("conv", "weight", "dense", "param_grad", "pool", "lstm", "gru", "rnn", "bias_activation"),
    *("norm", "scale_multiply", "softmax", "attention"),
)


# These turn the sum round, and multiply zeros around the image by the weights, which shows where a
# weight is not finite.
TURNED = ("conv_transpose2d", "conv2d_input_grad", "conv1d_input_grad")

# These take factors out of sums: where a factor is not finite, or so small that a product of two
# is 0, a sum with infinities may be nan or infinity. The forward pass gives no such statistics.
FACTORED = ("batch_norm_affine_grad", "layer_norm_affine_grad")

# The states and gates that these compute may be 0 in one and subnormal in another, and the product
# with an infinite number nan or infinite: only the argument z has infinities.
CELLS = ("rnn", "lstm", "gru")


@pytest.mark.parametrize("package", [dlfs_ext, dlfs_ext.plain], ids=["fast", "plain"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_special_values(name, dtype, package):
    rng = np.random.default_rng(list(name.encode()))
    values = special(dtype)
    if any(word in name for word in ADDING):
        values = values[~(np.abs(values) >= 1e5) | np.isinf(values)]
    for _ in range(60):
        arguments = varied(SUBJECTS[name].valid(), dtype, rng, values)
        if name in TURNED:
            arguments["W"] = np.nan_to_num(arguments["W"], nan=1.0, posinf=2.0, neginf=-2.0)
        if name in FACTORED:
            for factor in ("mean", "inv_std"):
                value = np.nan_to_num(arguments[factor], nan=1.0, posinf=2.0, neginf=-2.0)
                usual = (np.abs(value) > 1e-9) | (value == 0)
                arguments[factor] = np.where(usual, value, value.dtype.type(0.5))
            arguments["gamma"] = np.copysign(value.dtype.type(1), arguments["gamma"])
        if name in CELLS:
            for key in {"h0", "c0", "W_h"} & set(arguments):
                arguments[key] = np.nan_to_num(arguments[key], nan=np.nan, posinf=2.0, neginf=-2.0)
        expected = call(dlfs.reference, name, arguments)
        found = call(package, name, arguments)
        scale = scale_of(arguments)
        # What a gradient loses to rounding in one time step goes through the others.
        if name.removesuffix("_grad") in CELLS:
            scale = max(scale, largest(expected))
        assert_alike(found, expected, dtype, f"{name}({arguments})", scale)


@pytest.mark.parametrize("package", [dlfs_ext, dlfs_ext.plain], ids=["fast", "plain"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_no_axes_and_no_numbers(name, dtype, package):
    def like(value, shape):
        return np.full(shape, 0.5).astype(dtype if value.dtype.kind == "f" else value.dtype)

    valid = SUBJECTS[name].valid()
    keys = [key for key, value in valid.items() if isinstance(value, np.ndarray)]
    for shape in [(), (0,), (0, 3), (2, 0), (0, 2, 3), (0, 3, 4, 4), (1, 0, 4, 4), (1, 1, 0, 4)]:
        for changed in [keys, *([key] for key in keys)]:
            arguments = {
                key: like(value, shape if key in changed else value.shape) if key in keys else value
                for key, value in valid.items()
            }
            expected = call(dlfs.reference, name, arguments)
            found = call(package, name, arguments)
            assert_alike(found, expected, dtype, f"{name}, {changed} of shape {shape}")


@pytest.mark.parametrize("package", [dlfs_ext, dlfs_ext.plain], ids=["fast", "plain"])
@pytest.mark.parametrize("name", NAMES)
def test_one_array_that_may_not_fit_the_others(name, package):
    """An axis longer or shorter by one, the axes turned round, one axis less, or another dtype."""
    valid = SUBJECTS[name].valid()
    for key, value in valid.items():
        if not isinstance(value, np.ndarray):
            continue
        shapes = {value.shape[::-1], value.shape[1:]}
        for axis, step in itertools.product(range(value.ndim), (1, -1)):
            shapes.add((*value.shape[:axis], value.shape[axis] + step, *value.shape[axis + 1 :]))
        changed = [np.resize(value, shape) for shape in sorted(shapes)]
        for array in [*changed, value.astype(np.float32), value.astype(np.int64)]:
            arguments = {**valid, key: array}
            expected = call(dlfs.reference, name, arguments)
            found = call(package, name, arguments)
            message = f"{name}, {key} of shape {array.shape} and {array.dtype}"
            assert_alike(found, expected, np.float32, message)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_deaf_to_seterr(name, dtype):
    rng = np.random.default_rng(list(name.encode()))
    for _ in range(30):
        arguments = varied(SUBJECTS[name].valid(), dtype, rng, special(dtype))
        expected = call(dlfs.reference, name, arguments)
        with np.errstate(all="raise"):
            found = call(dlfs.reference, name, arguments)
            fast = call(dlfs_ext, name, arguments)
        assert_alike(found, expected, dtype, f"{name}({arguments})")
        assert isinstance(fast, str) == isinstance(expected, str)


@pytest.mark.parametrize("backend", ["fast", "reference"])
@pytest.mark.parametrize("activation", [dlfs.Sigmoid, dlfs.GELU, dlfs.SiLU, dlfs.Softplus])
def test_training_is_deaf_to_seterr(backend, activation):
    """Numbers so large that their sigmoids underflow, and so small that their squares do."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 1, 6, 6)) * 1e3, rng.integers(0, 3, 20)
    layers = [dlfs.Conv2D(4, 3, activation=activation()), dlfs.BatchNorm(), dlfs.MaxPool2D(2)]
    layers += [dlfs.Flatten(), dlfs.Dense(10, activation=activation()), dlfs.LayerNorm()]
    net = dlfs.NeuralNetwork(
        [*layers, dlfs.Dense(3)], dlfs.SoftmaxCrossEntropy(), seed=1, dtype="float32"
    )
    with dlfs.use_backend(backend), np.errstate(all="raise"):
        trainer = dlfs.Trainer(net, dlfs.Adam(0.01, clip_norm=1.0))
        trainer.fit(X, y, X, y, epochs=2, verbose=0)
        assert np.isfinite(net.predict(X * 1e-36)).all()
