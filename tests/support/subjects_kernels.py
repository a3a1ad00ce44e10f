"""The kernels as subjects of the tests of bad input."""

from dataclasses import replace
from typing import Any

import numpy as np

from dlfs import reference
from tests.support import subjects_recurrent
from tests.support.junk import Wanted, array, choice, flag, integer, padding, pair, real, shape
from tests.support.subjects import Subject, ones

CONV_2D = {"stride": pair(1), "padding": padding(), "dilation": pair(1), "groups": integer(1)}
CONV_1D = {
    "stride": integer(1),
    "padding": padding(1),
    "dilation": integer(1),
    "groups": integer(1),
}
TRANSPOSED = {**CONV_2D, "output_padding": pair(0)}
POOLING = {
    "kernel_size": pair(1, "kernel size"),
    "stride": pair(1, optional=True),
    "padding": padding(),
}
LR = real()
UNIT = {"low": 0.0, "high": 1.0, "high_open": True}
POSITIVE = real(0.0, low_open=True)


def _fixed(*names: str) -> dict[str, Wanted]:
    return {name: array(ndim=True) for name in names}


def _kernel(name: str, valid: Any, **wanted: Wanted) -> Subject:
    return Subject(f"reference.{name}", getattr(reference, name), valid, wanted)


def _elementwise() -> list[Subject]:
    subjects = []
    options = {"leaky_relu": {"slope": real(**UNIT)}, "elu": {"alpha": POSITIVE}}
    for name in (
        "sigmoid",
        "tanh",
        "relu",
        "leaky_relu",
        "elu",
        "gelu",
        "gelu_tanh",
        "silu",
        "softplus",
    ):
        extra = options.get(name, {})
        kept = "output" if name in ("sigmoid", "tanh") else "x"
        subjects.append(_kernel(name, lambda: {"x": ones(2, 3)}, x=array(), **extra))
        subjects.append(
            _kernel(
                f"{name}_grad",
                lambda kept=kept: {"output_grad": ones(2, 3), kept: ones(2, 3)},
                output_grad=array(),
                **{kept: array()},
                **extra,
            )
        )
    both = {"output_grad": array(), "output": array()}
    subjects.append(_kernel("softmax", lambda: {"x": ones(2, 3)}, x=array()))
    subjects.append(
        _kernel("softmax_grad", lambda: {"output_grad": ones(2, 3), "output": ones(2, 3)}, **both)
    )
    return subjects


def _convolutions() -> list[Subject]:
    x, W, grad = (2, 2, 5, 6), (2, 3, 2, 3), (2, 3, 4, 4)
    x1, W1, grad1 = (2, 2, 5), (2, 3, 2), (2, 3, 4)
    back = (2, 3, 6, 8)
    return [
        _kernel("conv2d", lambda: {"x": ones(*x), "W": ones(*W)}, **_fixed("x", "W"), **CONV_2D),
        _kernel(
            "conv2d_input_grad",
            lambda: {"output_grad": ones(*grad), "W": ones(*W), "input_shape": x},
            **_fixed("output_grad", "W"),
            input_shape=shape(4),
            **CONV_2D,
        ),
        _kernel(
            "conv2d_param_grad",
            lambda: {"output_grad": ones(*grad), "x": ones(*x), "param_shape": W},
            **_fixed("output_grad", "x"),
            param_shape=shape(4),
            **CONV_2D,
        ),
        _kernel(
            "conv2d_bias_activation",
            lambda: {"x": ones(*x), "W": ones(*W), "b": ones(1, 3, 1, 1), "activation": "tanh"},
            **_fixed("x", "W", "b"),
            activation=choice(),
            **CONV_2D,
        ),
        _kernel(
            "conv2d_bias_activation_param_grad",
            lambda: {
                "output_grad": ones(*grad),
                "output": ones(*grad),
                "x": ones(*x),
                "param_shape": W,
                "activation": "relu",
            },
            **_fixed("x"),
            output_grad=array(),
            output=array(),
            param_shape=shape(4),
            activation=choice(),
            **CONV_2D,
        ),
        _kernel("conv1d", lambda: {"x": ones(*x1), "W": ones(*W1)}, **_fixed("x", "W"), **CONV_1D),
        _kernel(
            "conv1d_input_grad",
            lambda: {"output_grad": ones(*grad1), "W": ones(*W1), "input_shape": x1},
            **_fixed("output_grad", "W"),
            input_shape=shape(3),
            **CONV_1D,
        ),
        _kernel(
            "conv1d_param_grad",
            lambda: {"output_grad": ones(*grad1), "x": ones(*x1), "param_shape": W1},
            **_fixed("output_grad", "x"),
            param_shape=shape(3),
            **CONV_1D,
        ),
        _kernel(
            "conv_transpose2d",
            lambda: {"x": ones(*x), "W": ones(*W)},
            **_fixed("x", "W"),
            **TRANSPOSED,
        ),
        _kernel(
            "conv_transpose2d_input_grad",
            lambda: {"output_grad": ones(*back), "W": ones(*W), "input_shape": x},
            **_fixed("output_grad", "W"),
            input_shape=shape(4),
            **TRANSPOSED,
        ),
        _kernel(
            "conv_transpose2d_param_grad",
            lambda: {"output_grad": ones(*back), "x": ones(*x), "param_shape": W},
            **_fixed("output_grad", "x"),
            param_shape=shape(4),
            **TRANSPOSED,
        ),
    ]


def _dense() -> list[Subject]:
    x, W, b, grad = (2, 3), (3, 4), (1, 4), (2, 4)
    bias = {"x": array(), "b": array()}
    return [
        _kernel("weight_multiply", lambda: {"x": ones(*x), "W": ones(*W)}, **_fixed("x", "W")),
        _kernel(
            "weight_multiply_input_grad",
            lambda: {"output_grad": ones(*grad), "W": ones(*W)},
            **_fixed("output_grad", "W"),
        ),
        _kernel(
            "weight_multiply_param_grad",
            lambda: {"output_grad": ones(*grad), "x": ones(*x)},
            **_fixed("output_grad", "x"),
        ),
        _kernel("bias_add", lambda: {"x": ones(*grad), "b": ones(*b)}, **bias),
        _kernel("bias_add_param_grad", lambda: {"output_grad": ones(*grad)}, output_grad=array()),
        _kernel(
            "scale_multiply",
            lambda: {"x": ones(*grad), "gamma": ones(*b)},
            x=array(),
            gamma=array(),
        ),
        _kernel(
            "scale_multiply_param_grad",
            lambda: {"output_grad": ones(*grad), "x": ones(*grad)},
            output_grad=array(),
            x=array(),
        ),
        _kernel(
            "dense",
            lambda: {"x": ones(*x), "W": ones(*W), "b": ones(*b), "activation": "relu"},
            **_fixed("x", "W"),
            b=array(),
            activation=choice(),
        ),
        _kernel(
            "bias_activation",
            lambda: {"x": ones(*grad), "b": ones(*b), "activation": "tanh"},
            **bias,
            activation=choice(),
        ),
        _kernel(
            "bias_activation_grad",
            lambda: {"output_grad": ones(*grad), "output": ones(*grad), "activation": "linear"},
            output_grad=array(),
            output=array(),
            activation=choice(),
        ),
    ]


def _pooling() -> list[Subject]:
    x, grad = (2, 2, 4, 6), (2, 2, 2, 3)

    def max_grad() -> dict[str, Any]:
        positions = np.zeros(grad, dtype=np.uint8)
        return {
            "output_grad": ones(*grad),
            "positions": positions,
            "input_shape": x,
            "kernel_size": 2,
        }

    wrong = ["float64", "int64", "int32", "object", "bool", "str"]
    return [
        _kernel(
            "max_pool2d",
            lambda: {"x": ones(*x), "kernel_size": 2},
            x=array(ndim=True),
            **POOLING,
            dilation=pair(1),
        ),
        _kernel(
            "max_pool2d_grad",
            max_grad,
            output_grad=array(ndim=True),
            positions=array(ndim=True, dtypes=wrong),
            input_shape=shape(4),
            **POOLING,
            dilation=pair(1),
        ),
        _kernel(
            "avg_pool2d",
            lambda: {"x": ones(*x), "kernel_size": 2},
            x=array(ndim=True),
            **POOLING,
            count_include_pad=flag(),
        ),
        _kernel(
            "avg_pool2d_grad",
            lambda: {"output_grad": ones(*grad), "input_shape": x, "kernel_size": 2},
            output_grad=array(ndim=True),
            input_shape=shape(4),
            **POOLING,
            count_include_pad=flag(),
        ),
        _kernel("global_avg_pool2d", lambda: {"x": ones(*x)}, x=array(ndim=True)),
        _kernel(
            "global_avg_pool2d_grad",
            lambda: {"output_grad": ones(2, 2), "input_shape": x},
            output_grad=array(ndim=True),
            input_shape=shape(4),
        ),
    ]


def _normalization() -> list[Subject]:
    x, one = (4, 3), (1, 3)
    eps = {"eps": POSITIVE}
    grads = {"output_grad": array(), "output": array(), "inv_std": array()}
    return [
        _kernel("batch_norm", lambda: {"x": ones(*x)}, x=array(), **eps),
        _kernel(
            "batch_norm_grad",
            lambda: {"output_grad": ones(*x), "output": ones(*x), "inv_std": ones(*one)},
            **grads,
        ),
        _kernel(
            "batch_norm_inference",
            lambda: {"x": ones(*x), "mean": ones(*one), "var": ones(*one)},
            x=array(),
            mean=array(),
            var=array(),
            **eps,
        ),
        _kernel(
            "batch_norm_inference_grad",
            lambda: {"output_grad": ones(*x), "var": ones(*one)},
            output_grad=array(),
            var=array(),
            **eps,
        ),
        _kernel("layer_norm", lambda: {"x": ones(*x)}, x=array(), **eps),
        _kernel(
            "layer_norm_grad",
            lambda: {"output_grad": ones(*x), "output": ones(*x), "inv_std": ones(4, 1)},
            **grads,
        ),
    ]


def _affine() -> list[Subject]:
    x, one = (4, 3), (1, 3)

    def affine(name: str, statistics: tuple[int, int]) -> list[Subject]:
        names = "output_grad", "x", "gamma", "mean", "inv_std"
        shapes = x, x, one, statistics, statistics
        return [
            _kernel(
                name,
                lambda: {"x": ones(*x), "gamma": ones(*one), "beta": ones(*one)},
                x=array(),
                gamma=array(),
                beta=array(),
                eps=POSITIVE,
            ),
            _kernel(
                f"{name}_grad",
                lambda: {key: ones(*shape) for key, shape in zip(names, shapes, strict=True)},
                **{key: array() for key in names},
            ),
        ]

    return [*affine("batch_norm_affine", one), *affine("layer_norm_affine", (4, 1))]


def _attention() -> list[Subject]:
    options = {
        "heads": integer(1),
        "causal": flag(),
        "mask": array(ndim=True, dtypes=["float64", "uint8", "object", "str"], optional=True),
        "keep_prob": real(0.0, 1.0, low_open=True),
    }

    def dropped() -> dict[str, Any]:
        return {"mask": ones(2, 2, 3, 3, dtype=bool), "keep_prob": 0.5}

    return [
        _kernel(
            "attention",
            lambda: {"qkv": ones(2, 3, 12), "heads": 2, **dropped()},
            qkv=array(ndim=True),
            **options,
        ),
        _kernel(
            "attention_grad",
            lambda: {
                "output_grad": ones(2, 3, 4),
                "qkv": ones(2, 3, 12),
                "output": ones(2, 3, 4),
                "heads": 2,
                **dropped(),
            },
            output_grad=array(ndim=True),
            qkv=array(ndim=True),
            output=array(ndim=True),
            **options,
        ),
    ]


def _later() -> list[Subject]:
    """Kernels added at the end: tests draw numbers by a kernel's place in the list."""
    x = (4, 3)
    return [
        _kernel("gelu_tanh", lambda: {"x": ones(2, 3)}, x=array()),
        _kernel(
            "gelu_tanh_grad",
            lambda: {"output_grad": ones(2, 3), "x": ones(2, 3)},
            output_grad=array(),
            x=array(),
        ),
        _kernel("rms_norm", lambda: {"x": ones(*x)}, x=array(), eps=POSITIVE),
        _kernel(
            "rms_norm_grad",
            lambda: {"output_grad": ones(*x), "output": ones(*x), "inv_rms": ones(4, 1)},
            output_grad=array(),
            output=array(),
            inv_rms=array(),
        ),
    ]


def _losses() -> list[Subject]:
    both = {"prediction": array(), "target": array(), "weights": array(optional=True)}

    def pair_of_tables() -> dict[str, Any]:
        return {"prediction": ones(2, 3), "target": ones(2, 3), "weights": ones(2, 3)}

    labels = ["float64", "bool", "complex128", "object", "str"]
    return [
        *(
            _kernel(name, pair_of_tables, **both)
            for name in ("mean_squared_error", "mean_absolute_error", "binary_cross_entropy")
        ),
        _kernel("huber", pair_of_tables, **both, delta=POSITIVE),
        _kernel(
            "softmax_cross_entropy",
            lambda: {"prediction": ones(2, 3), "target": np.array([0, 2]), "weights": ones(2)},
            prediction=array(ndim=True),
            target=array("label", ndim=True, dtypes=labels),
            label_smoothing=real(**UNIT),
            weights=array(ndim=True, optional=True),
        ),
    ]


def _updates() -> list[Subject]:
    def arrays(*slots: str, **options: Any) -> Any:
        return lambda: {name: ones(3) for name in ("param", "grad", *slots)} | options

    def wanted(*slots: str) -> dict[str, Wanted]:
        # a parameter of another shape is valid, and the gradient wrong
        others = {name: array(ndim=True) for name in ("grad", *slots)}
        return {"param": array(), **others, "lr": LR}

    return [
        _kernel("sgd_update", arrays(lr=0.1), **wanted(), weight_decay=LR),
        _kernel(
            "sgd_momentum_update",
            arrays("velocity", lr=0.1),
            **wanted("velocity"),
            momentum=LR,
            nesterov=flag(),
        ),
        _kernel(
            "adagrad_update", arrays("sum_squares", lr=0.1), **wanted("sum_squares"), eps=POSITIVE
        ),
        _kernel(
            "rmsprop_update",
            arrays("mean_square", lr=0.1),
            **wanted("mean_square"),
            decay=real(**UNIT),
            eps=POSITIVE,
        ),
        _kernel(
            "adam_update",
            arrays("mean", "mean_square", t=1, lr=0.1),
            **wanted("mean", "mean_square"),
            t=integer(1),
            beta1=real(**UNIT),
            beta2=real(**UNIT),
            eps=POSITIVE,
            weight_decay=LR,
        ),
    ]


def _others() -> list[Subject]:
    indices = ["float64", "bool", "complex128", "object", "str"]
    return [
        _kernel(
            "dropout",
            lambda: {"x": ones(2, 3), "mask": ones(2, 3, dtype=bool), "keep_prob": 0.5},
            x=array(),
            mask=array(ndim=True, dtypes=["float64", "uint8", "object", "str"]),
            keep_prob=real(0.0, 1.0, low_open=True),
        ),
        _kernel(
            "embedding",
            lambda: {"indices": np.array([[0, 2]]), "table": ones(3, 2)},
            indices=array(dtypes=indices),
            table=array(ndim=True),
        ),
        _kernel(
            "embedding_param_grad",
            lambda: {"output_grad": ones(1, 2, 4), "indices": np.array([[0, 2]]), "rows": 3},
            output_grad=array(ndim=True),
            indices=array(dtypes=indices),
            rows=integer(1),
        ),
    ]


KERNELS = [
    *_elementwise(),
    *_convolutions(),
    *_dense(),
    *_pooling(),
    *_normalization(),
    *_losses(),
    *_updates(),
    *_others(),
    *subjects_recurrent.KERNELS,
    *_attention(),
    *_later(),
    *_affine(),
]


def on_fast(subject: Subject) -> Subject:
    """Return the compiled kernel of the same name as a subject."""
    import dlfs_ext

    name = subject.name.removeprefix("reference.")
    return replace(subject, name=f"fast.{name}", call=getattr(dlfs_ext, name))
