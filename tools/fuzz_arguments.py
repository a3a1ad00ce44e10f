"""Random arguments for every kernel: valid ones, of which one may then be made invalid.

Everything comes from one `random.Random`, so a call can be repeated from its number. Arrays are
slices of one table, because creating a NumPy generator takes longer than a kernel.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs import reference

Arguments = dict[str, Any]

_TABLE = np.random.default_rng(0).normal(size=1 << 17)
_SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-310, 3e38, -3e38, 1e200, -1.7e308]
HUGE = [2**31 - 1, 2**31, 2**32, 2**33, 2**57, 2**60, 2**62, 2**63, 2**64, 10**40]
_JUNK = [None, True, -1, 0, 1.5, float("nan"), "same", "abc", (), (1,), (1, 2), ((0, 1), 2), [3]]
_LAYOUTS = ["strided", "reversed", "transposed", "fortran", "read-only", "unaligned", "broadcast"]


class Draw:
    """Draws the parts of arguments.

    Attributes
    ----------
    tame : bool
        Whether all numbers drawn so far are moderate, so that results can be compared.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.dtype = np.dtype(rng.choice(["float32", "float64"]))
        self.special = rng.random() < 0.05
        self.odd_layouts = rng.random() < 0.3
        self.tame = not self.special

    def size(self, least: int = 1) -> int:
        """Return the size of an axis, rarely more than 9."""
        chance = self.rng.random()
        if chance < 0.02:
            return least
        if chance < 0.9:
            return self.rng.randint(max(least, 1), 9)
        return self.rng.choice([15, 16, 17, 31, 32, 33, 65])

    def batch(self) -> int:
        """Return a number of rows, rarely 0."""
        return 0 if self.rng.random() < 0.02 else self.size()

    def array(self, *shape: int, writable: bool = False) -> np.ndarray:
        """Return an array of a shape, sometimes with an unusual memory layout."""
        count = math.prod(shape)
        start = self.rng.randrange(1000)
        if start + count <= len(_TABLE):
            numbers = _TABLE[start : start + count]
        else:
            numbers = np.resize(_TABLE, count)
        array = numbers.astype(self.dtype).reshape(shape)
        if self.special and count:
            with np.errstate(all="ignore"):
                for _ in range(self.rng.randint(1, 3)):
                    array.flat[self.rng.randrange(count)] = self.rng.choice(_SPECIAL)
        if count != 1 and self.odd_layouts and not (writable and self.rng.random() < 0.5):
            return self._arranged(array, writable)
        return array

    def _arranged(self, array: np.ndarray, writable: bool) -> np.ndarray:
        layout = self.rng.choice(_LAYOUTS[:4] if writable else _LAYOUTS)
        if layout == "strided":
            wide = np.full([2 * size for size in array.shape], np.nan, array.dtype)
            view = wide[(slice(None, None, 2),) * array.ndim]
            view[...] = array
            return view
        if layout == "reversed":
            turn = (slice(None, None, -1),) * array.ndim
            return np.ascontiguousarray(array[turn])[turn]
        if layout == "transposed":
            return np.ascontiguousarray(array.T).T
        if layout == "fortran":
            return np.asfortranarray(array)
        if layout == "unaligned":
            raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
            raw = raw.reshape(array.shape)
            raw[...] = array
            return raw
        if layout == "broadcast" and array.size:
            return np.broadcast_to(array.flat[0], array.shape)
        array.flags.writeable = False
        return array

    def integers(self, high: int, *shape: int) -> np.ndarray:
        """Return integers below ``high``, of any dtype."""
        dtype = self.rng.choice(["int64", "int32", "uint8", "int16"])
        count = int(np.prod(shape))
        numbers = [self.rng.randrange(high) for _ in range(count)]
        return np.array(numbers, dtype).reshape(shape)

    def option(self, *choices: int) -> int:
        """Return one of the choices."""
        return self.rng.choice(choices)

    def pair(self, *choices: int) -> Any:
        """Return one of the choices, or one for each axis of an image."""
        if self.rng.random() < 0.6:
            return self.option(*choices)
        return self.option(*choices), self.option(*choices)


def _window(d: Draw, sequence: bool) -> Arguments:
    pair = d.option if sequence else d.pair
    options: Arguments = {}
    if d.rng.random() < 0.5:
        options["stride"] = pair(1, 2, 2, 3, 5)
    if d.rng.random() < 0.5:
        options["padding"] = d.rng.choice(["same", "valid", pair(0, 1, 2, 4), pair(1, 7)])
    if d.rng.random() < 0.3:
        options["dilation"] = pair(1, 2, 3)
    return options


def _images(d: Draw, sequence: bool) -> tuple[Any, ...]:
    groups = d.option(1, 1, 1, 2, 3)
    inputs, outputs = d.option(1, 2, 3, 8, 9), d.option(1, 2, 4, 8, 9)
    kernel = [d.option(1, 2, 3, 3, 4, 5) for _ in range(1 if sequence else 2)]
    size = [kernel[0] + d.size(0)] if sequence else [k + d.size(0) for k in kernel]
    shape = (d.batch() if d.rng.random() < 0.5 else 1, inputs * groups, *size)
    return shape, (inputs, outputs * groups, *kernel), groups


def _convolution(name: str) -> Callable[[Draw], Arguments]:
    """Draw arguments of a convolution or its gradient; the reference gives the output's shape."""
    sequence, transposed = name.startswith("conv1d"), "transpose" in name
    forward = name.removesuffix("_input_grad").removesuffix("_param_grad")

    def draw(d: Draw) -> Arguments:
        x_shape, W_shape, groups = _images(d, sequence)
        options = _window(d, sequence)
        if groups > 1:
            options["groups"] = groups
        if transposed and d.rng.random() < 0.3:
            options["output_padding"] = d.pair(0, 1)
        fused = "activation" in name
        before: Arguments = {}
        if fused:
            activation = d.rng.choice(["linear", "sigmoid", "tanh", "relu"])
            before = {"b": d.array(1, W_shape[1], 1, 1), "activation": activation}
        if name == forward:
            return {"x": d.array(*x_shape), "W": d.array(*W_shape), **before, **options}
        shape = _output_shape(forward, x_shape, W_shape, options)
        grad = d.array(*shape)
        if fused:
            output = {"output": d.array(*shape), "x": d.array(*x_shape), "param_shape": W_shape}
            return {"output_grad": grad, **output, "activation": activation, **options}
        if name.endswith("input_grad"):
            return {"output_grad": grad, "W": d.array(*W_shape), "input_shape": x_shape, **options}
        return {"output_grad": grad, "x": d.array(*x_shape), "param_shape": W_shape, **options}

    return draw


def _output_shape(forward: str, x_shape: Any, W_shape: Any, options: Arguments) -> tuple[int, ...]:
    x, W = np.zeros((0, *x_shape[1:])), np.zeros(W_shape)
    kernel = forward.removesuffix("_bias_activation")
    try:
        return x_shape[0], *getattr(reference, kernel)(x, W, **options).shape[1:]
    except ValueError:
        return x_shape[0], *W_shape[1:2], *x_shape[2:]


def _pooling(name: str) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        kernel = d.pair(1, 2, 2, 3, 4, 17)
        least = max(kernel) if isinstance(kernel, tuple) else kernel
        shape = (d.batch(), d.size(), least + d.size(0), least + d.size(0))
        options: Arguments = {"kernel_size": kernel}
        if d.rng.random() < 0.5:
            options["stride"] = d.pair(1, 2, 3, 4)
        if d.rng.random() < 0.4:
            options["padding"] = d.rng.choice(["same", "valid", d.pair(0, 1), 1])
        if "avg" in name and d.rng.random() < 0.3:
            options["count_include_pad"] = d.rng.random() < 0.5
        if "max" in name and d.rng.random() < 0.2:
            options["dilation"] = d.pair(1, 1, 2)
        x = d.array(*shape)
        if not name.endswith("grad"):
            return {"x": x, **options}
        try:
            if "avg" in name:
                output = reference.avg_pool2d(x, **options)
                return {"output_grad": d.array(*output.shape), "input_shape": shape, **options}
            output, places = reference.max_pool2d(x, **options)
        except ValueError:
            output, places = x, np.zeros(shape, np.uint8)
        grad = d.array(*output.shape)
        if "avg" in name:
            return {"output_grad": grad, "input_shape": shape, **options}
        return {"output_grad": grad, "positions": places, "input_shape": shape, **options}

    return draw


def _elementwise(name: str) -> Callable[[Draw], Arguments]:
    kept = "output" if name.startswith(("sigmoid", "tanh", "softmax")) else "x"
    least = 1 if name.startswith("softmax") else 0

    def draw(d: Draw) -> Arguments:
        shape = [d.size(0) for _ in range(d.rng.randint(least, 4))]
        options: Arguments = {}
        if name.startswith("leaky") and d.rng.random() < 0.5:
            options["slope"] = d.rng.random()
        if name.startswith("elu") and d.rng.random() < 0.5:
            options["alpha"] = d.rng.random() + 0.1
        if name.endswith("_grad"):
            return {"output_grad": d.array(*shape), kept: d.array(*shape), **options}
        return {"x": d.array(*shape), **options}

    return draw


def _features(d: Draw) -> tuple[list[int], list[int]]:
    """Return the shapes of rows or images, and of one number for each feature."""
    shape = [d.batch(), d.size(), *(d.size() for _ in range(d.option(0, 0, 1, 2)))]
    return shape, [1, shape[1], *(1 for _ in shape[2:])]


def _rows(names: dict[str, str]) -> Callable[[Draw], Arguments]:
    """Draw arrays whose axes are named by letters; the same letter means the same size."""

    def draw(d: Draw) -> Arguments:
        sizes = {"n": d.batch(), "1": 1}
        arguments: Arguments = {}
        for name, axes in names.items():
            arguments[name] = d.array(*(sizes.setdefault(axis, d.size()) for axis in axes))
        if "activation" in names:
            arguments["activation"] = d.rng.choice(["linear", "sigmoid", "tanh", "relu"])
        return arguments

    return draw


def _per_feature(*names: str, full: tuple[str, ...]) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        shape, one = _features(d)
        arguments: Arguments = {name: d.array(*shape) for name in full}
        for name in names:
            if name == "activation":
                arguments[name] = d.rng.choice(["linear", "sigmoid", "tanh", "relu"])
            elif name == "eps":
                arguments[name] = d.rng.choice([1e-5, 0.1, 1])
            else:
                arguments[name] = d.array(*one)
                if name == "var":
                    arguments[name] = np.abs(arguments[name])
        return arguments

    return draw


def _row_norm_grad(name: str) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        shape = [d.batch(), *(d.size() for _ in range(d.option(1, 1, 2)))]
        return {
            "output_grad": d.array(*shape),
            "output": d.array(*shape),
            name: d.array(*shape[:-1], 1),
        }

    return draw


def _layer_norm_affine(*full: str) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        shape = [d.batch(), *(d.size() for _ in range(d.option(1, 1, 2)))]
        arguments: Arguments = {name: d.array(*shape) for name in full}
        if "output_grad" not in full:
            return arguments | {
                **{name: d.array(1, shape[-1]) for name in ("gamma", "beta")},
                "eps": d.rng.choice([1e-5, 0.1, 1]),
            }
        statistics = {name: d.array(*shape[:-1], 1) for name in ("mean", "inv_std")}
        return arguments | {"gamma": d.array(1, shape[-1])} | statistics

    return draw


def _attention(*full: str) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        batch, time, heads = d.batch(), d.option(d.size(0), 65, 130), d.option(1, 2, 3)
        features = heads * d.size()
        arguments: Arguments = {
            name: d.array(batch, time, 3 * features if name == "qkv" else features) for name in full
        }
        arguments |= {"heads": heads, "causal": d.rng.choice([False, True])}
        if d.rng.random() < 0.3:
            arguments["mask"] = np.asarray(d.array(batch, heads, time, time) > 0)
            arguments["keep_prob"] = d.rng.choice([0.5, 1.0])
        return arguments

    return draw


def _loss(name: str) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        shape = [d.size(), *(d.size() for _ in range(d.option(0, 1, 1, 2)))]
        target = d.array(*shape)
        arguments: Arguments = {"prediction": d.array(*shape), "target": target}
        if name == "binary_cross_entropy":
            arguments["target"] = np.clip(np.abs(target), 0, 1)
        if name == "huber" and d.rng.random() < 0.5:
            arguments["delta"] = d.rng.random() + 0.01
        if d.rng.random() < 0.3:
            arguments["weights"] = d.array(*shape)
        return arguments

    return draw


def _softmax_cross_entropy(d: Draw) -> Arguments:
    rows, classes = d.size(), d.size()
    target: np.ndarray = d.integers(classes, rows)
    if d.rng.random() < 0.5:
        target = np.eye(classes, dtype=d.dtype)[target]
    arguments: Arguments = {"prediction": d.array(rows, classes), "target": target}
    if d.rng.random() < 0.3:
        arguments["label_smoothing"] = d.rng.choice([0.1, 0, 0.5])
    if d.rng.random() < 0.3:
        arguments["weights"] = d.array(rows)
    return arguments


def _update(*slots: str, **options: Any) -> Callable[[Draw], Arguments]:
    def draw(d: Draw) -> Arguments:
        shape = [d.size(0) for _ in range(d.option(0, 1, 2, 2))]
        arguments: Arguments = {"param": d.array(*shape, writable=True), "grad": d.array(*shape)}
        for slot in slots:
            arguments[slot] = d.array(*shape, writable=True)
            if "square" in slot:
                np.abs(arguments[slot], out=arguments[slot])
        arguments["lr"] = d.rng.choice([0.1, 1, 1e-3])
        return {**arguments, **{key: d.rng.choice(value) for key, value in options.items()}}

    return draw


def _dropout(d: Draw) -> Arguments:
    shape = [d.size(0) for _ in range(d.option(1, 2, 4))]
    x = d.array(*shape)
    return {"x": x, "mask": np.asarray(x > 0), "keep_prob": d.rng.choice([0.5, 0.9, 1.0])}


def _embedding(d: Draw) -> Arguments:
    rows = d.size()
    return {"indices": d.integers(rows, d.batch(), d.size()), "table": d.array(rows, d.size())}


def _embedding_grad(d: Draw) -> Arguments:
    rows, batch, time = d.size(), d.batch(), d.size()
    indices = d.integers(rows, batch, time)
    return {"output_grad": d.array(batch, time, d.size()), "indices": indices, "rows": rows}


def _recurrent(name: str) -> Callable[[Draw], Arguments]:
    kind = name.removesuffix("_grad")
    columns, states = {"rnn": (1, 1), "gru": (3, 1), "lstm": (4, 2)}[kind]

    def draw(d: Draw) -> Arguments:
        batch, time, hidden = d.batch(), d.size(0), d.size()
        # With such weights, a long recurrence amplifies small differences.
        d.tame = d.tame and time * hidden < 50
        after = kind == "gru" and d.rng.random() < 0.5
        first = {key: d.array(batch, hidden) for key in ("h0", "c0")[:states]}
        weights: Arguments = {"W_h": d.array(hidden + after, columns * hidden)}
        if kind == "gru":
            weights["reset"] = "after" if after else "before"
        z = d.array(batch, time, columns * hidden)
        if name == kind:
            return {"z": z, **first, **weights}
        kept = getattr(reference, kind)(z, **first, **weights)
        kept = kept if isinstance(kept, tuple) else (kept,)
        last = ("h_last_grad", "c_last_grad") if states == 2 else ("last_grad",)
        grads = {key: d.array(batch, hidden) for key in last}
        held = {"rnn": ("h",), "gru": ("h", "gates"), "lstm": ("h", "c", "gates")}[kind]
        found = dict(zip(held, kept, strict=True))
        return {"h_grad": d.array(batch, time, hidden), **grads, **found, **first, **weights}

    return draw


_ACTIVATIONS = (
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "gelu_tanh",
    "silu",
    "softplus",
)
_CONVOLUTIONS = ("conv1d", "conv2d", "conv_transpose2d")

KERNELS: dict[str, Callable[[Draw], Arguments]] = {
    **{name: _elementwise(name) for name in (*_ACTIVATIONS, "softmax")},
    **{f"{name}_grad": _elementwise(f"{name}_grad") for name in (*_ACTIVATIONS, "softmax")},
    **{
        name + way: _convolution(name + way)
        for name in _CONVOLUTIONS
        for way in ("", "_input_grad", "_param_grad")
    },
    "conv2d_bias_activation": _convolution("conv2d_bias_activation"),
    "conv2d_bias_activation_param_grad": _convolution("conv2d_bias_activation_param_grad"),
    **{
        name + way: _pooling(name + way)
        for name in ("max_pool2d", "avg_pool2d")
        for way in ("", "_grad")
    },
    "weight_multiply": _rows({"x": "ni", "W": "io"}),
    "weight_multiply_input_grad": _rows({"output_grad": "no", "W": "io"}),
    "weight_multiply_param_grad": _rows({"output_grad": "no", "x": "ni"}),
    "dense": _rows({"x": "ni", "W": "io", "b": "1o", "activation": ""}),
    "bias_add": _per_feature("b", full=("x",)),
    "bias_add_param_grad": _per_feature(full=("output_grad",)),
    "scale_multiply": _per_feature("gamma", full=("x",)),
    "scale_multiply_param_grad": _per_feature(full=("output_grad", "x")),
    "bias_activation": _per_feature("b", "activation", full=("x",)),
    "bias_activation_grad": _per_feature("activation", full=("output_grad", "output")),
    "batch_norm": _per_feature("eps", full=("x",)),
    "batch_norm_grad": _per_feature("inv_std", full=("output_grad", "output")),
    "batch_norm_affine": _per_feature("gamma", "beta", "eps", full=("x",)),
    "batch_norm_affine_grad": _per_feature("gamma", "mean", "inv_std", full=("output_grad", "x")),
    "batch_norm_inference": _per_feature("mean", "var", "eps", full=("x",)),
    "batch_norm_inference_grad": _per_feature("var", "eps", full=("output_grad",)),
    "layer_norm": _per_feature("eps", full=("x",)),
    "layer_norm_grad": _row_norm_grad("inv_std"),
    "layer_norm_affine": _layer_norm_affine("x"),
    "layer_norm_affine_grad": _layer_norm_affine("output_grad", "x"),
    "rms_norm": _per_feature("eps", full=("x",)),
    "rms_norm_grad": _row_norm_grad("inv_rms"),
    "attention": _attention("qkv"),
    "attention_grad": _attention("output_grad", "qkv", "output"),
    "global_avg_pool2d": _rows({"x": "nchw"}),
    "global_avg_pool2d_grad": lambda d: (
        lambda shape: {"output_grad": d.array(*shape[:2]), "input_shape": tuple(shape)}
    )([d.batch(), d.size(), d.size(), d.size()]),
    **{
        name: _loss(name)
        for name in ("mean_squared_error", "mean_absolute_error", "huber", "binary_cross_entropy")
    },
    "softmax_cross_entropy": _softmax_cross_entropy,
    "sgd_update": _update(weight_decay=[0.0, 0.1]),
    "sgd_momentum_update": _update("velocity", momentum=[0.9, 0], nesterov=[True, False]),
    "adagrad_update": _update("sum_squares", eps=[1e-7, 1e-3]),
    "rmsprop_update": _update("mean_square", decay=[0.9, 0.0]),
    "adam_update": _update("mean", "mean_square", t=[1, 2, 1000], weight_decay=[0.0, 0.1]),
    "dropout": _dropout,
    "embedding": _embedding,
    "embedding_param_grad": _embedding_grad,
    **{
        name + way: _recurrent(name + way)
        for name in ("rnn", "gru", "lstm")
        for way in ("", "_grad")
    },
}
"""For each kernel, the function that draws valid arguments (except that a window may not fit)."""


def spoil(arguments: Arguments, d: Draw) -> None:
    """Replace one argument, or add an option, with a value that may be invalid."""
    name = d.rng.choice(list(arguments))
    value = arguments[name]
    if isinstance(value, np.ndarray):
        arguments[name] = _other_array(value, d)
    elif isinstance(value, tuple) and name.endswith("shape") and value:
        sizes = list(value)
        sizes[d.rng.randrange(len(sizes))] = d.rng.choice([0, 1, 2, -1, *HUGE[4:]])
        arguments[name] = tuple(sizes[: d.rng.choice([len(sizes), len(sizes), 1])])
    else:
        arguments[name] = d.rng.choice(_JUNK)


def _other_array(array: np.ndarray, d: Draw) -> Any:
    way = d.rng.randrange(8)
    if way == 0:
        return d.rng.choice(_JUNK)
    if way == 1:
        return array[None]
    if way == 2 and array.ndim:
        return array[0:0]
    if way == 3 and array.ndim and len(array):
        return array[0]
    if way == 4:
        with np.errstate(all="ignore"):
            dtype = d.rng.choice(["float32", "float64", "int64", "float16", ">f4", "complex128"])
            return np.nan_to_num(array).astype(dtype)
    if way == 5:
        return array.T
    if way == 6 and array.ndim:
        return np.concatenate([array, array])
    return np.array(0.5, array.dtype)


_CHOICES = {
    "kernel_size": (1, 2, 3),
    "stride": (1, 2, 3),
    "padding": (0, 1, 2),
    "dilation": (1, 2),
    "groups": (1, 2),
    "output_padding": (0, 1),
}


def enlarge(name: str, arguments: Arguments, d: Draw) -> None:
    """Set several options of a window to huge values."""
    options = ["kernel_size", "stride", "padding"]
    if "conv" in name:
        options = ["stride", "padding", "dilation", "groups"]
        options += ["output_padding"] if "transpose" in name else []
    for option in options:
        if d.rng.random() < 0.4:
            continue
        draw = d.option if "1d" in name or option == "groups" else d.pair
        arguments[option] = draw(*_CHOICES[option], *HUGE, *HUGE)
        if option == "padding" and d.rng.random() < 0.3:
            arguments[option] = "same"
