"""A kernel without an option uses the default of its signature."""

from typing import Any

import numpy as np
import pytest

from dlfs import reference
from tests.support.subjects_kernels import KERNELS

FUSED = {"activation": "linear"}
WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
TRANSPOSED = {**WINDOW, "output_padding": 0}
POOL = {"stride": None, "padding": 0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "leaky_relu": {"slope": 0.01},
    "leaky_relu_grad": {"slope": 0.01},
    "elu": {"alpha": 1.0},
    "elu_grad": {"alpha": 1.0},
    "conv2d": WINDOW,
    "conv2d_input_grad": WINDOW,
    "conv2d_param_grad": WINDOW,
    "conv2d_bias_activation": FUSED | WINDOW,
    "conv2d_bias_activation_param_grad": FUSED | WINDOW,
    "conv1d": WINDOW,
    "conv1d_input_grad": WINDOW,
    "conv1d_param_grad": WINDOW,
    "conv_transpose2d": TRANSPOSED,
    "conv_transpose2d_input_grad": TRANSPOSED,
    "conv_transpose2d_param_grad": TRANSPOSED,
    "dense": FUSED,
    "bias_activation": FUSED,
    "bias_activation_grad": FUSED,
    "max_pool2d": POOL,
    "max_pool2d_grad": POOL,
    "avg_pool2d": {**POOL, "count_include_pad": True},
    "avg_pool2d_grad": {**POOL, "count_include_pad": True},
    "batch_norm": {"eps": 1e-5},
    "batch_norm_affine": {"eps": 1e-5},
    "batch_norm_inference": {"eps": 1e-5},
    "batch_norm_inference_grad": {"eps": 1e-5},
    "layer_norm": {"eps": 1e-5},
    "layer_norm_affine": {"eps": 1e-5},
    "rms_norm": {"eps": 1e-6},
    "attention": {"causal": False, "mask": None, "keep_prob": 1.0},
    "attention_grad": {"causal": False, "mask": None, "keep_prob": 1.0},
    "huber": {"delta": 1.0},
    "softmax_cross_entropy": {"label_smoothing": 0.0},
    "gru": {"reset": "before"},
    "gru_grad": {"reset": "before"},
}
VALID = {subject.name.removeprefix("reference."): subject.valid for subject in KERNELS}


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_option_left_out_is_its_default(name: str) -> None:
    rng, kernel = np.random.default_rng(0), getattr(reference, name)
    arguments = {
        argument: 2 * rng.standard_normal(value.shape)
        if isinstance(value, np.ndarray) and value.dtype == float and argument != "var"
        else value
        for argument, value in VALID[name]().items()
        if argument not in DEFAULTS[name]
    }
    given, left_out = kernel(**arguments, **DEFAULTS[name]), kernel(**arguments)
    pairs = zip(given, left_out, strict=True) if isinstance(given, tuple) else [(given, left_out)]
    for right, got in pairs:
        np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("name", ["avg_pool2d", "avg_pool2d_grad"])
def test_padding_counts_unless_told_otherwise(name: str) -> None:
    array = np.random.default_rng(0).standard_normal((1, 1, 3, 3))
    shape = ((1, 1, 4, 4),) if name.endswith("grad") else ()
    kernel = getattr(reference, name)
    counted = kernel(array, *shape, 2, padding=1, count_include_pad=True)
    np.testing.assert_array_equal(kernel(array, *shape, 2, padding=1), counted)


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing 1 required positional argument: 'x'"),
        ((1, 2), {}, "takes 1 positional argument but 2 were given"),
        ((np.ones(2),), {"slope": 1}, "got an unexpected keyword argument 'slope'"),
        ((np.ones(2),), {"x": np.ones(2)}, "got multiple values for argument 'x'"),
    ],
)
def test_arguments_too_few_or_many_are_what_python_says(args, kwargs, words) -> None:
    with pytest.raises(TypeError, match=rf"relu\(\) {words}"):
        reference.relu(*args, **kwargs)
