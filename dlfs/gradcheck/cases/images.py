"""Cases of Operations on images: convolution and pooling, with every option they have."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dlfs.conv import Conv1D_Op, Conv2D_Op, ConvTranspose2D_Op
from dlfs.gradcheck.cases.sketch import Case, Sketch
from dlfs.pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from dlfs.reshape import Upsample2D
from dlfs.windows import axis_paddings


def windows(sketch: Sketch, axes: int, transposed: bool = False) -> dict[str, Any]:
    """Draw stride, padding and dilation."""
    choose = sketch.choose
    stride = sketch.sizes(axes, 1, 3)
    dilation = tuple(choose.choice((1, 1, 2)) for _ in range(axes))
    padding: Any = choose.choice((0, "same", 1, "valid", "one per axis", "one per end"))
    if padding == "one per axis":
        padding = sketch.sizes(2, 0, 2)
    elif padding == "one per end":
        padding = (sketch.sizes(2, 0, 2), sketch.sizes(2, 0, 2)) if axes == 2 else (0, 2)
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    if axes == 1:
        options.update(stride=stride[0], dilation=dilation[0])
    if transposed:
        options["output_padding"] = tuple(choose.integer(0, s - 1) for s in stride)
    return options


def image_size(sketch: Sketch, kernel: tuple[int, ...], options: dict[str, Any]) -> tuple[int, ...]:
    """Draw a size on which the window fits, often exactly, or only because of the padding."""
    stride, dilation = options["stride"], options.get("dilation", 1)
    stride = stride if isinstance(stride, tuple) else (stride,) * len(kernel)
    dilation = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
    padding = options["padding"]
    if isinstance(padding, str):
        total = [10 if padding == "same" else 0] * len(kernel)
    elif len(kernel) == 1:
        total = [sum(padding) if isinstance(padding, tuple) else 2 * padding]
    else:
        both = axis_paddings(padding, (1, 1), (1, 1), (1, 1), (1, 1), "image_size")
        total = [sum(ends) for ends in both]
    size = []
    for k, d, t in zip(kernel, dilation, total, strict=True):
        least = max(d * (k - 1) + 1 - t, 1)
        size.append(least + sketch.choose.integer(0, 4))
    return tuple(size)


def pooled_size(
    sketch: Sketch, kernel: tuple[int, ...], options: dict[str, Any]
) -> tuple[int, ...]:
    """Draw a size on which every window covers a pixel.

    With less than ``dilation`` pixels the positions of a window can lie on both sides of the image.
    The maximum of such a window is minus infinity, which has no gradient.
    """
    dilation = options.get("dilation", 1)
    dilation = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
    size = image_size(sketch, kernel, options)
    return tuple(max(pixels, d) for pixels, d in zip(size, dilation, strict=True))


def _channels(sketch: Sketch) -> tuple[int, int, int]:
    """Draw the number of groups, and the input and output channels of each."""
    return sketch.choose.choice((1, 1, 2)), *sketch.sizes(2, 1, 2)  # type: ignore[return-value]


def _convolution(sketch: Sketch, kind: type[Any], axes: int) -> Case:
    groups, channels_in, channels_out = _channels(sketch)
    kernel = sketch.sizes(axes, 1, 3)
    options = windows(sketch, axes)
    size = image_size(sketch, kernel, options)
    sketch.normal("W", channels_in, channels_out * groups, *kernel)
    sketch.any_layout("W")
    sketch.normal("x", sketch.batch(), channels_in * groups, *size)
    sketch.any_layout("x")
    return sketch.case(kind, "W", groups=groups, **options)


def transposed_size(
    sketch: Sketch, kernel: tuple[int, ...], options: dict[str, Any]
) -> tuple[int, ...]:
    """Draw a size that leaves at least one pixel after the padding is cut off."""
    size = sketch.sizes(2, 1, 3)
    padding = options["padding"]
    if isinstance(padding, str):
        return size
    both = axis_paddings(padding, (1, 1), (1, 1), (1, 1), (1, 1), "transposed_size")
    longer = []
    for axis, (before, after) in enumerate(both):
        stride, dilation = options["stride"][axis], options["dilation"][axis]
        covered = dilation * (kernel[axis] - 1) + 1 + options["output_padding"][axis]
        needed = before + after + 1 - covered
        longer.append(max(size[axis], 1 + max(0, -(-needed // stride))))
    return tuple(longer)


def _conv_transpose(sketch: Sketch) -> Case:
    groups, channels_in, channels_out = _channels(sketch)
    kernel = sketch.sizes(2, 1, 3)
    options = windows(sketch, 2, transposed=True)
    size = transposed_size(sketch, kernel, options)
    sketch.normal("W", channels_in, channels_out * groups, *kernel)
    sketch.normal("x", sketch.batch(), channels_in * groups, *size)
    sketch.any_layout("x")
    return sketch.case(ConvTranspose2D_Op, "W", groups=groups, **options)


def _pooling(sketch: Sketch, kind: type[Any]) -> Case:
    kernel = sketch.sizes(2, 1, 3)
    options: dict[str, Any] = {"stride": sketch.sizes(2, 1, 3)}
    if kind is MaxPool2D:
        options["dilation"] = sketch.choose.choice((1, 1, (2, 1), 2))
    largest = [k // 2 for k in kernel]
    options["padding"] = tuple(
        (sketch.choose.integer(0, most), sketch.choose.integer(0, most)) for most in largest
    )
    size = pooled_size(sketch, kernel, options)
    sketch.normal("x", sketch.batch(), sketch.choose.integer(1, 3), *size)
    sketch.any_layout("x")
    if kind is AvgPool2D:
        options["count_include_pad"] = sketch.choose.choice((True, False))
    options["ceil_mode"] = sketch.choose.choice((False, True))
    return sketch.case(kind, kernel_size=kernel, **options)


def _pooling_1d(sketch: Sketch, kind: type[Any]) -> Case:
    kernel, stride = sketch.sizes(2, 1, 3)
    options: dict[str, Any] = {
        "stride": stride,
        "padding": sketch.choose.integer(0, kernel // 2),
    }
    if kind is MaxPool1D:
        options["dilation"] = sketch.choose.choice((1, 1, 2))
    size = pooled_size(sketch, (kernel,), options)
    sketch.normal("x", sketch.batch(), sketch.choose.integer(1, 3), *size)
    sketch.any_layout("x")
    options["ceil_mode"] = sketch.choose.choice((False, True))
    return sketch.case(kind, kernel_size=kernel, **options)


def _upsample(sketch: Sketch) -> Case:
    sketch.normal("x", sketch.batch(), *sketch.sizes(3, 1, 3))
    sketch.any_layout("x")
    return sketch.case(Upsample2D, scale=sketch.choose.choice((2, 1, (3, 2))))


def _global(sketch: Sketch, kind: type[Any]) -> Case:
    sketch.normal("x", sketch.batch(), *sketch.sizes(3, 1, 4))
    sketch.any_layout("x")
    return sketch.case(kind)


RECIPES: dict[str, Callable[[Sketch], Case]] = {
    "Conv1D_Op": partial(_convolution, kind=Conv1D_Op, axes=1),
    "Conv2D_Op": partial(_convolution, kind=Conv2D_Op, axes=2),
    "ConvTranspose2D_Op": _conv_transpose,
    "MaxPool2D": partial(_pooling, kind=MaxPool2D),
    "AvgPool2D": partial(_pooling, kind=AvgPool2D),
    "Upsample2D": _upsample,
    "MaxPool1D": partial(_pooling_1d, kind=MaxPool1D),
    "AvgPool1D": partial(_pooling_1d, kind=AvgPool1D),
    "GlobalAvgPool2D": partial(_global, kind=GlobalAvgPool2D),
    "GlobalMaxPool2D": partial(_global, kind=GlobalMaxPool2D),
}
