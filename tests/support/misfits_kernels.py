"""Arguments of kernels that are valid alone, but do not fit together.

Each row is (the public name, the call, the error message).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs import reference as kernels
from tests.support.subjects import ones

Row = tuple[str, Callable[[], Any], str]

IMAGES = ones(2, 3, 4, 5)
LABELS = np.array([0, 2])


def f32(*sizes: int) -> np.ndarray:
    return ones(*sizes, dtype=np.float32)


# For each convolution: its two arrays, and the shape that its gradients also take.
CONVOLUTIONS: dict[str, tuple[dict[str, tuple[int, ...]], tuple[tuple[int, ...], ...]]] = {
    "conv2d": ({"x": (2, 3, 4, 5), "W": (3, 6, 2, 2)}, ()),
    "conv2d_input_grad": ({"output_grad": (2, 6, 3, 4), "W": (3, 6, 2, 2)}, ((2, 3, 4, 5),)),
    "conv2d_param_grad": ({"output_grad": (2, 6, 3, 4), "x": (2, 3, 4, 5)}, ((3, 6, 2, 2),)),
    "conv1d": ({"x": (2, 3, 5), "W": (3, 6, 2)}, ()),
    "conv1d_input_grad": ({"output_grad": (2, 6, 4), "W": (3, 6, 2)}, ((2, 3, 5),)),
    "conv1d_param_grad": ({"output_grad": (2, 6, 4), "x": (2, 3, 5)}, ((3, 6, 2),)),
    "conv_transpose2d": ({"x": (2, 3, 4, 5), "W": (3, 6, 2, 2)}, ()),
    "conv_transpose2d_input_grad": (
        {"output_grad": (2, 6, 5, 6), "W": (3, 6, 2, 2)},
        ((2, 3, 4, 5),),
    ),
    "conv_transpose2d_param_grad": (
        {"output_grad": (2, 6, 5, 6), "x": (2, 3, 4, 5)},
        ((3, 6, 2, 2),),
    ),
}


def _convolutions() -> list[Row]:
    rows: list[Row] = []
    for name, (shapes, more) in CONVOLUTIONS.items():
        right = [ones(*shape) for shape in shapes.values()]
        (first, second), ndim = shapes, right[0].ndim
        # An output gradient is measured by the others, and named last.
        told = (
            f"{second} float32, {first} float64"
            if first == "output_grad"
            else f"{first} float64, {second} float32"
        )
        for arrays, words in (
            ([right[0], f32(*shapes[second])], f"got {told}$"),
            (
                [right[0][0], right[1]],
                rf"{first} must have {ndim} dimensions \(.*\), got {ndim - 1} ",
            ),
            (
                [right[0], right[1][0]],
                rf"{second} must have {ndim} dimensions \(.*\), got {ndim - 1} ",
            ),
        ):

            def call(name: str = name, arrays: Any = arrays, more: Any = more) -> Any:
                return getattr(kernels, name)(*arrays, *more)

            rows.append((f"reference.{name}", call, f"^{name}: .*{words}"))
    return rows


KERNELS: list[Row] = [
    *_convolutions(),
    *(
        (
            f"reference.{name}",
            lambda name=name: getattr(kernels, name)(ones(2, 3), ones(3, 2)),
            words,
        )
        for name, words in {
            "sigmoid_grad": "sigmoid_grad: output_grad must have shape",
            "tanh_grad": "tanh_grad: output_grad must have shape",
            "relu_grad": "relu_grad: output_grad must have shape",
            "leaky_relu_grad": "leaky_relu_grad: output_grad must have shape",
            "elu_grad": "elu_grad: output_grad must have shape",
            "gelu_grad": "gelu_grad: output_grad must have shape",
            "gelu_tanh_grad": "gelu_tanh_grad: output_grad must have shape",
            "silu_grad": "silu_grad: output_grad must have shape",
            "softplus_grad": "softplus_grad: output_grad must have shape",
            "softmax_grad": "softmax_grad: output_grad must have shape",
            "weight_multiply_input_grad": "weight_multiply_input_grad: output_grad must have shape",
            "weight_multiply_param_grad": "weight_multiply_param_grad: output_grad must have shape",
            "scale_multiply_param_grad": "scale_multiply_param_grad: output_grad must have shape",
            "mean_squared_error": "mean_squared_error: target must have shape",
            "mean_absolute_error": "mean_absolute_error: target must have shape",
            "huber": "huber: target must have shape",
            "binary_cross_entropy": "binary_cross_entropy: target must have shape",
            "softmax_cross_entropy": "softmax_cross_entropy: target must have shape",
        }.items()
    ),
    *(
        (
            f"reference.{name}",
            lambda name=name: getattr(kernels, name)(ones(2, 3), ones(2, 3) / 3, weights=ones(3)),
            f"^{name}: weights must have ",
        )
        for name in (
            *("mean_squared_error", "mean_absolute_error", "huber"),
            *("binary_cross_entropy", "softmax_cross_entropy"),
        )
    ),
    *(
        (
            f"reference.{name}",
            lambda name=name: getattr(kernels, name)(ones(2, 2), f32(2, 2)),
            f"^{name}: all arrays must have the same dtype, got {got}$",
        )
        for names, got in (
            (("sigmoid_grad", "tanh_grad", "softmax_grad"), "output float32, output_grad float64"),
            (("bias_activation_grad",), "output float32, output_grad float64"),
            (("relu_grad", "leaky_relu_grad", "elu_grad"), "x float32, output_grad float64"),
            (
                ("gelu_grad", "gelu_tanh_grad", "silu_grad", "softplus_grad"),
                "x float32, output_grad float64",
            ),
            (("weight_multiply_param_grad",), "x float32, output_grad float64"),
            (("scale_multiply_param_grad",), "x float32, output_grad float64"),
            (("weight_multiply_input_grad",), "W float32, output_grad float64"),
            (("weight_multiply",), "W float32, x float64"),
            (("mean_squared_error", "huber"), "prediction float64, target float32"),
            (("mean_absolute_error",), "prediction float64, target float32"),
            (("binary_cross_entropy",), "prediction float64, target float32"),
            (("softmax_cross_entropy",), "prediction float64, target float32"),
        )
        for name in names
    ),
    ("reference.softmax", lambda: kernels.softmax(ones(2, 0)), "^softmax: the last axis must hold"),
    (
        "reference.softmax_grad",
        lambda: kernels.softmax_grad(ones(2, 0), ones(2, 0)),
        "^softmax_grad: the last axis must hold",
    ),
    (
        "reference.weight_multiply",
        lambda: kernels.weight_multiply(ones(2, 3), ones(4, 3)),
        r"x must have shape \(batch, 4\), got \(2, 3\)$",
    ),
    (
        "reference.dense",
        lambda: kernels.dense(ones(2, 3), ones(4, 3), ones(1, 3)),
        r"dense: x must have shape \(batch, 4\), got \(2, 3\)$",
    ),
    (
        "reference.dense",
        lambda: kernels.dense(ones(2, 3), ones(3, 4), ones(4)),
        r"dense: b must have shape \(1, 4\), got \(4,\)",
    ),
    *(
        (
            f"reference.{name}",
            lambda name=name: getattr(kernels, name)(ones(2, 3), f32(1, 3)),
            f"^{name}: .*same dtype, got x float64, {param} float32$",
        )
        for name, param in (
            ("bias_add", "b"),
            ("bias_activation", "b"),
            ("scale_multiply", "gamma"),
        )
    ),
    ("reference.bias_add", lambda: kernels.bias_add(ones(2, 3), ones(1, 1)), "b must have shape"),
    (
        "reference.bias_add",
        lambda: kernels.bias_add(ones(3), ones(3)),
        r"x must have at least 2 dimensions \(batch, features\)",
    ),
    (
        "reference.bias_add_param_grad",
        lambda: kernels.bias_add_param_grad(ones(3)),
        "output_grad must have at least 2 dimensions",
    ),
    (
        "reference.scale_multiply",
        lambda: kernels.scale_multiply(IMAGES, ones(1, 3)),
        r"gamma must have shape \(1, 3, 1, 1\)",
    ),
    (
        "reference.bias_activation",
        lambda: kernels.bias_activation(IMAGES, ones(1, 5, 1, 1)),
        "bias_activation: b must have shape",
    ),
    (
        "reference.bias_activation_grad",
        lambda: kernels.bias_activation_grad(IMAGES, ones(2, 3, 4, 4)),
        "bias_activation_grad: output_grad must have shape",
    ),
    *(
        (f"reference.{name}", call, words)
        for name, call, words in [
            ("conv2d", lambda: kernels.conv2d(IMAGES, ones(2, 4, 3, 3)), "3 channels .* read 2"),
            (
                "conv2d",
                lambda: kernels.conv2d(IMAGES, ones(3, 4, 5, 3)),
                "covers 5 pixels of the h",
            ),
            ("conv2d", lambda: kernels.conv2d(IMAGES, ones(3, 4, 0, 3)), "kernel size must be"),
            (
                "conv2d",
                lambda: kernels.conv2d(IMAGES, ones(3, 0, 3, 3)),
                "at least one channel, got 3 and 0",
            ),
            ("conv2d", lambda: kernels.conv2d(IMAGES, f32(3, 4, 3, 3)), "conv2d: .*same dtype"),
            ("conv2d", lambda: kernels.conv2d(ones(2, 3, 0, 5), ones(3, 4, 3, 3)), "has 0"),
            ("conv2d", lambda: kernels.conv2d(IMAGES, ones(3, 4, 2, 2), groups=2), "must divide"),
            (
                "conv2d",
                lambda: kernels.conv2d(IMAGES, ones(3, 4, 2, 2), dilation=4),
                "covers 5 pixels",
            ),
            (
                "conv2d_input_grad",
                lambda: kernels.conv2d_input_grad(IMAGES, ones(3, 3, 2, 2), IMAGES.shape),
                r"conv2d_input_grad: output_grad must have shape \(2, 3, 3, 4\)",
            ),
            (
                "conv2d_input_grad",
                lambda: kernels.conv2d_input_grad(ones(2, 3, 3, 4), f32(3, 3, 2, 2), IMAGES.shape),
                "conv2d_input_grad: .*same dtype",
            ),
            (
                "conv2d_param_grad",
                lambda: kernels.conv2d_param_grad(IMAGES, IMAGES, (3, 3, 2, 2)),
                r"conv2d_param_grad: output_grad must have shape \(2, 3, 3, 4\)",
            ),
            (
                "conv2d_bias_activation",
                lambda: kernels.conv2d_bias_activation(IMAGES, ones(3, 4, 2, 2), ones(1, 3, 1, 1)),
                r"conv2d_bias_activation: b must have shape \(1, 4, 1, 1\)",
            ),
            (
                "conv2d_bias_activation_param_grad",
                lambda: kernels.conv2d_bias_activation_param_grad(
                    IMAGES, IMAGES, IMAGES, (3, 3, 2, 2)
                ),
                r"conv2d_bias_activation_param_grad: output must have shape \(2, 3, 3, 4\)",
            ),
            *(
                (
                    "conv2d_bias_activation",
                    lambda b=b: kernels.conv2d_bias_activation(IMAGES, ones(3, 4, 2, 2), b),
                    words,
                )
                for b, words in (
                    (f32(1, 4, 1, 1), "same dtype, got x float64, W float64, b float32$"),
                    (ones(1, 4), r"b must have shape \(1, 4, 1, 1\), got \(1, 4\)$"),
                )
            ),
            (
                "conv2d_bias_activation_param_grad",
                lambda: kernels.conv2d_bias_activation_param_grad(
                    ones(2, 3, 3, 4), ones(2, 3, 3, 4), f32(2, 3, 4, 5), (3, 3, 2, 2)
                ),
                "same dtype, got x float32, output float64$",
            ),
            (
                "conv1d",
                lambda: kernels.conv1d(ones(2, 3, 4), ones(2, 4, 3)),
                "conv1d: .*3 channels",
            ),
            ("conv1d", lambda: kernels.conv1d(ones(2, 3, 4), ones(3, 4, 5)), "conv1d: the window"),
            ("conv1d", lambda: kernels.conv1d(ones(2, 3, 4), f32(3, 4, 2)), "conv1d: .*same dtype"),
            (
                "conv1d_input_grad",
                lambda: kernels.conv1d_input_grad(ones(2, 4, 4), ones(3, 4, 2), (2, 3, 4)),
                r"conv1d_input_grad: output_grad must have shape \(2, 4, 3\)",
            ),
            (
                "conv1d_param_grad",
                lambda: kernels.conv1d_param_grad(ones(2, 4, 4), ones(2, 3, 4), (3, 4, 2)),
                r"conv1d_param_grad: output_grad must have shape \(2, 4, 3\)",
            ),
            (
                "conv_transpose2d",
                lambda: kernels.conv_transpose2d(IMAGES, ones(2, 4, 3, 3)),
                "conv_transpose2d: the input has 3 channels",
            ),
            (
                "conv_transpose2d",
                lambda: kernels.conv_transpose2d(IMAGES, f32(3, 4, 3, 3)),
                "conv_transpose2d: .*same dtype",
            ),
            (
                "conv_transpose2d",
                lambda: kernels.conv_transpose2d(IMAGES, ones(3, 4, 3, 3), padding=3),
                "the output's height would be 0",
            ),
            (
                "conv_transpose2d",
                lambda: kernels.conv_transpose2d(IMAGES, ones(3, 4, 3, 3), output_padding=1),
                "output_padding must be smaller than the stride",
            ),
            (
                "conv_transpose2d_input_grad",
                lambda: kernels.conv_transpose2d_input_grad(IMAGES, ones(3, 3, 2, 2), IMAGES.shape),
                r"output_grad must have shape \(2, 3, 5, 6\)",
            ),
            (
                "conv_transpose2d_param_grad",
                lambda: kernels.conv_transpose2d_param_grad(IMAGES, IMAGES, (3, 3, 2, 2)),
                r"output_grad must have shape \(2, 3, 5, 6\)",
            ),
            (
                "max_pool2d",
                lambda: kernels.max_pool2d(IMAGES, 5),
                "max_pool2d: the window covers 5",
            ),
            ("max_pool2d", lambda: kernels.max_pool2d(IMAGES, 2, padding=2), "at most half the"),
            (
                "avg_pool2d",
                lambda: kernels.avg_pool2d(IMAGES, 5),
                "avg_pool2d: the window covers 5",
            ),
            ("avg_pool2d", lambda: kernels.avg_pool2d(IMAGES, 2, padding=2), "at most half the"),
            (
                "avg_pool2d_grad",
                lambda: kernels.avg_pool2d_grad(IMAGES, IMAGES.shape, 2),
                r"output_grad must have shape \(2, 3, 2, 2\)",
            ),
            (
                "avg_pool2d_grad",
                lambda: kernels.avg_pool2d_grad(ones(2, 3), IMAGES.shape, 2),
                r"output_grad must have shape \(2, 3, 2, 2\), got \(2, 3\)$",
            ),
            (
                "max_pool2d_grad",
                lambda: kernels.max_pool2d_grad(
                    ones(2, 3, 2, 2), np.full((2, 3, 2, 2), 4, np.uint8), IMAGES.shape, 2
                ),
                r"positions must lie in 0\.\.3, got 4\.\.4",
            ),
            (
                "max_pool2d_grad",
                lambda: kernels.max_pool2d_grad(
                    ones(2, 3, 2, 2), np.zeros((2, 3, 2, 1), np.uint8), IMAGES.shape, 2
                ),
                "positions must have shape",
            ),
            (
                "max_pool2d_grad",
                lambda: kernels.max_pool2d_grad(
                    ones(2, 1, 1, 1), np.full((2, 1, 1, 1), -1, np.int32), (2, 1, 20, 20), 20
                ),
                r"positions must lie in 0\.\.399, got -1",
            ),
            *(
                (
                    "max_pool2d_grad",
                    lambda positions=positions, size=size: kernels.max_pool2d_grad(
                        ones(2, 1, 1, 1), positions, (2, 1, 20, 20), size
                    ),
                    f"^max_pool2d_grad: positions must be an array of {wanted}, got {got}$",
                )
                for positions, size, wanted, got in (
                    (np.zeros((2, 1, 1, 1), np.int64), 16, "uint8", "int64"),
                    (np.zeros((2, 1, 1, 1), np.uint8), 17, "int32", "uint8"),
                    ([0, 0], 16, "uint8", "list"),
                )
            ),
            ("global_avg_pool2d", lambda: kernels.global_avg_pool2d(ones(2, 3, 0, 4)), "one pixel"),
            (
                "global_avg_pool2d_grad",
                lambda: kernels.global_avg_pool2d_grad(ones(2, 4), IMAGES.shape),
                r"output_grad must have shape \(2, 3\)",
            ),
            (
                "global_avg_pool2d_grad",
                lambda: kernels.global_avg_pool2d_grad(IMAGES, IMAGES.shape),
                r"output_grad must have shape \(2, 3\), got \(2, 3, 4, 5\)$",
            ),
            (
                "global_avg_pool2d_grad",
                lambda: kernels.global_avg_pool2d_grad(ones(2, 3), (2, 3, 0, 4)),
                "at least one pixel",
            ),
            ("batch_norm", lambda: kernels.batch_norm(ones(0, 3)), "nothing to average over"),
            ("batch_norm", lambda: kernels.batch_norm(ones(3)), "at least 2 dimensions"),
            (
                "batch_norm_grad",
                lambda: kernels.batch_norm_grad(ones(4, 3), ones(4, 3), ones(3)),
                r"inv_std must have shape \(1, 3\)",
            ),
            *(
                (name, lambda name=name, args=args: getattr(kernels, name)(*args), words)
                for name, one in (("batch_norm_grad", (1, 3)), ("layer_norm_grad", (4, 1)))
                for args, words in (
                    (
                        (ones(4, 3), f32(4, 3), f32(*one)),
                        "same dtype, got output float32, inv_std float32, output_grad float64$",
                    ),
                    (
                        (ones(4, 3), ones(4, 3), f32(*one)),
                        "same dtype, got (output|x) float64, inv_std float32$",
                    ),
                )
            ),
            *(
                (f"{kind}_norm_affine{way}", lambda kernel=kernel, args=args: kernel(*args), words)
                for kind, one in (("batch", (1, 3)), ("layer", (4, 1)))
                for way, kernel, args, words in (
                    (
                        "",
                        getattr(kernels, f"{kind}_norm_affine"),
                        (ones(4, 3), ones(1, 2), ones(1, 3)),
                        r"gamma must have shape \(1, 3\), got \(1, 2\)$",
                    ),
                    (
                        "",
                        getattr(kernels, f"{kind}_norm_affine"),
                        (ones(4, 3), ones(1, 3), f32(1, 3)),
                        "same dtype, got x float64, gamma float64, beta float32$",
                    ),
                    (
                        "_grad",
                        getattr(kernels, f"{kind}_norm_affine_grad"),
                        (ones(4, 3), ones(4, 3), ones(1, 3), ones(2, 2), ones(*one)),
                        "mean must have shape",
                    ),
                    (
                        "_grad",
                        getattr(kernels, f"{kind}_norm_affine_grad"),
                        (ones(4, 2), ones(4, 3), ones(1, 3), ones(*one), ones(*one)),
                        r"output_grad must have shape \(4, 3\), got \(4, 2\)$",
                    ),
                )
            ),
            (
                "batch_norm_affine",
                lambda: kernels.batch_norm_affine(ones(0, 3), ones(1, 3), ones(1, 3)),
                "nothing to average over",
            ),
            (
                "layer_norm_affine",
                lambda: kernels.layer_norm_affine(ones(3, 0), ones(1, 0), ones(1, 0)),
                "nothing to average over",
            ),
            (
                "batch_norm_inference",
                lambda: kernels.batch_norm_inference(ones(4, 3), ones(1, 2), ones(1, 3)),
                "mean must have shape",
            ),
            (
                "batch_norm_inference_grad",
                lambda: kernels.batch_norm_inference_grad(ones(4, 3), ones(1, 2)),
                "var must have shape",
            ),
            (
                "attention",
                lambda: kernels.attention(ones(2, 3, 10), 2),
                r"qkv must have shape \(batch, time, 3 \* features\), got \(2, 3, 10\)$",
            ),
            ("attention", lambda: kernels.attention(ones(2, 3, 0), 1), r"got \(2, 3, 0\)$"),
            ("attention", lambda: kernels.attention(ones(2, 3, 9), 2), r"heads \(6\), got 9$"),
            (
                "attention_grad",
                lambda: kernels.attention_grad(ones(2, 3, 4), ones(2, 3, 12), ones(2, 3, 3), 2),
                r"output must have shape \(2, 3, 4\), got \(2, 3, 3\)$",
            ),
            (
                "attention_grad",
                lambda: kernels.attention_grad(ones(2, 4, 4), ones(2, 3, 12), ones(2, 3, 4), 2),
                r"output_grad must have shape \(2, 3, 4\), got \(2, 4, 4\)$",
            ),
            (
                "attention_grad",
                lambda: kernels.attention_grad(ones(2, 3, 4), ones(2, 3, 12), f32(2, 3, 4), 2),
                "same dtype, got qkv float64, output float32$",
            ),
            ("rms_norm", lambda: kernels.rms_norm(ones(3, 0)), "nothing to average over"),
            (
                "rms_norm_grad",
                lambda: kernels.rms_norm_grad(ones(4, 3), ones(4, 3), ones(1, 3)),
                r"inv_rms must have shape \(4, 1\)",
            ),
            (
                "rms_norm_grad",
                lambda: kernels.rms_norm_grad(ones(4, 3), ones(4, 3), f32(4, 1)),
                "same dtype, got output float64, inv_rms float32$",
            ),
            ("layer_norm", lambda: kernels.layer_norm(ones(3, 0)), "nothing to average over"),
            (
                "layer_norm_grad",
                lambda: kernels.layer_norm_grad(ones(4, 3), ones(4, 3), ones(1, 3)),
                r"inv_std must have shape \(4, 1\)",
            ),
            (
                "dropout",
                lambda: kernels.dropout(ones(2, 3), ones(3, 2, dtype=bool), 0.5),
                "mask must have shape",
            ),
            (
                "embedding",
                lambda: kernels.embedding(np.array([-1]), ones(3, 2)),
                r"indices must lie in 0\.\.2",
            ),
            (
                "embedding_param_grad",
                lambda: kernels.embedding_param_grad(ones(3, 2), LABELS, 3),
                r"^embedding_param_grad: output_grad must have shape \(2, features\), got",
            ),
            *(
                (
                    "embedding",
                    lambda indices=indices: kernels.embedding(indices, ones(3, 2)),
                    f"^embedding: indices must be an array of integers, got {got}$",
                )
                for indices, got in ((ones(2), "float64"), ([0, 1], "list"))
            ),
            (
                "mean_squared_error",
                lambda: kernels.mean_squared_error(ones(0, 1), ones(0, 1)),
                "empty",
            ),
            (
                "binary_cross_entropy",
                lambda: kernels.binary_cross_entropy(ones(2, 1), ones(2, 1) * 1.5),
                r"target must lie in \[0, 1\]",
            ),
            (
                "binary_cross_entropy",
                lambda: kernels.binary_cross_entropy(ones(1, 1), ones(1, 1) * np.nan),
                r"target must lie in \[0, 1\]",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(2, 2), LABELS),
                r"labels must lie in 0\.\.1, got 0\.\.2",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(2, 3), np.array([-1, 0])),
                r"labels must lie in 0\.\.2, got -1",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(2, 3), ones(2, 3)),
                "probabilities that sum to 1",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(1, 1), f32(1, 1)),
                "same dtype, got prediction float64, target float32",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(1, 2), np.array([[1.5, -0.5]])),
                "probabilities that sum to 1",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(1, 2), np.array([[np.nan, 1.0]])),
                "probabilities that sum to 1",
            ),
            (
                "softmax_cross_entropy",
                lambda: kernels.softmax_cross_entropy(ones(0, 2), np.zeros(0, int)),
                "must not be empty",
            ),
            (
                "sgd_update",
                lambda: kernels.sgd_update(ones(3), ones(2), 0.1),
                "grad must have shape",
            ),
            (
                "adam_update",
                lambda: kernels.adam_update(ones(3), f32(3), ones(3), ones(3), 1, 0.1),
                "adam_update: all arrays must have the same dtype",
            ),
        ]
    ),
]
