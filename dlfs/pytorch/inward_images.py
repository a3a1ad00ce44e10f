"""From PyTorch's modules for images to layers: convolution, padding, pooling."""

from typing import Any

import numpy as np
from torch import nn

from dlfs.layers import Conv1D, Conv2D, ConvTranspose2D
from dlfs.pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from dlfs.pytorch.inward_parts import (
    Axes,
    Found,
    Modules,
    activation_after,
    alone,
    array,
    built,
    demand,
    none,
)
from dlfs.pytorch.outward import NoCounterpart
from dlfs.reshape import Reshape
from dlfs.types import Array


def _both(value: Any) -> tuple[Any, Any]:
    height, width = value if isinstance(value, tuple | list) else (value, value)
    return height, width


def conv1d(modules: Modules, axes: Axes, before: tuple[int, int] = (0, 0)) -> Found:
    """Return the Conv1D for a Conv1d, with the padding before it."""
    module = modules[0]
    demand(module, padding_mode="zeros")
    activation, count = activation_after(modules, 3)
    padding: Any = module.padding
    if not isinstance(padding, str):
        padding = tuple(padding[0] + more for more in before)
    elif before != (0, 0):
        raise NoCounterpart(f"it pads an already padded input by {padding!r}")
    layer = Conv1D(
        module.out_channels,
        module.kernel_size[0],
        activation=activation,
        stride=module.stride[0],
        padding=padding,
        dilation=module.dilation[0],
        groups=module.groups,
        bias=module.bias is not None,
    )
    return [built(layer, none(module.in_channels, 1), _kernels(module))], count


def _kernels(module: Any) -> list[Array]:
    weight = array(module.weight).swapaxes(0, 1)
    return [weight] if module.bias is None else [weight, array(module.bias)]


def conv2d(modules: Modules, axes: Axes, before: tuple[int, ...] = (0, 0, 0, 0)) -> Found:
    """Return the Conv2D for a Conv2d, with the padding (left, right, top, bottom) before it."""
    module = modules[0]
    demand(module, padding_mode="zeros")
    activation, count = activation_after(modules, 4)
    layer = Conv2D(
        module.out_channels,
        module.kernel_size,
        activation=activation,
        stride=module.stride,
        padding=_ends(module.padding, before),
        dilation=module.dilation,
        groups=module.groups,
        bias=module.bias is not None,
    )
    return [built(layer, none(module.in_channels, 1, 1), _kernels(module))], count


def _ends(padding: Any, before: tuple[int, ...]) -> Any:
    """Add the padding of a module and that of the module before it (left, right, top, ...)."""
    if isinstance(padding, str):
        if any(before):
            raise NoCounterpart(f"it pads an already padded input by {padding!r}")
        return padding
    height, width = _both(padding)
    left, right, top, bottom = before
    return ((height + top, height + bottom), (width + left, width + right))


def conv_transpose2d(modules: Modules, axes: Axes) -> Found:
    """Return the ConvTranspose2D, with the cropping after it."""
    module = modules[0]
    demand(module, padding_mode="zeros")
    cut = (0, 0, 0, 0)
    # In PyTorch an uneven "same" is a negative padding.
    cuts = len(modules) > 1 and _pad_of(modules[1]) == 0.0 and max(modules[1].padding) <= 0
    if cuts:
        cut = tuple(-size for size in modules[1].padding)
    activation, count = activation_after(modules[1:] if cuts else modules, 4)
    a, b, *kernel = module.weight.shape
    groups = module.groups
    split = array(module.weight).reshape(groups, a // groups, b, *kernel)
    W = split.swapaxes(0, 1).reshape(a // groups, groups * b, *kernel)
    layer = ConvTranspose2D(
        module.out_channels,
        module.kernel_size,
        activation=activation,
        stride=module.stride,
        padding=_ends(module.padding, cut),
        output_padding=module.output_padding,
        dilation=module.dilation,
        groups=groups,
        bias=module.bias is not None,
    )
    params = [W] if module.bias is None else [W, array(module.bias)]
    return [built(layer, none(module.in_channels, 1, 1), params)], count + cuts


def _pad_of(module: nn.Module) -> float | None:
    """Return the value that a padding module pads with."""
    kinds = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ZeroPad1d, nn.ZeroPad2d)
    return float(module.value) if type(module) in kinds else None


def pad(modules: Modules, axes: Axes) -> Found:
    """Move the padding into the next layer."""
    padding, following = modules[0], type(modules[1]) if len(modules) > 1 else None
    sizes, value = tuple(padding.padding), _pad_of(padding)
    if min(sizes) >= 0:
        if value == 0 and following is nn.Conv1d and len(sizes) == 2:
            layers, count = conv1d(modules[1:], axes, sizes)
            return layers, count + 1
        if value == 0 and following is nn.Conv2d and len(sizes) == 4:
            layers, count = conv2d(modules[1:], axes, sizes)
            return layers, count + 1
        if value == -np.inf and following is nn.MaxPool2d and len(sizes) == 4:
            return max_pool(modules[1:], axes, sizes)[0], 2
        if value == 0 and following is nn.AvgPool2d and len(sizes) == 4:
            return avg_pool(modules[1:], axes, sizes)[0], 2
    raise NoCounterpart("padding must be followed by a convolution or a pooling")


def max_pool(modules: Modules, axes: Axes, before: tuple[int, ...] = (0, 0, 0, 0)) -> Found:
    """Return the MaxPool2D, with the padding before it."""
    module = modules[0]
    demand(module, return_indices=False)
    options = (_both(module.kernel_size), _both(module.stride), _ends(module.padding, before))
    return [alone(MaxPool2D(*options, _both(module.dilation), module.ceil_mode))], 1


def avg_pool(modules: Modules, axes: Axes, before: tuple[int, ...] = (0, 0, 0, 0)) -> Found:
    """Return the AvgPool2D, with the padding before it."""
    module = modules[0]
    demand(module, divisor_override=None)
    include = bool(module.count_include_pad)
    if any(before):
        # Zeros of an earlier padding module always count; this option is only for the module's own.
        if not include and any(_both(module.padding)):
            raise NoCounterpart("it counts only one of two paddings in the mean")
        include = True
    padding = _ends(module.padding, before)
    kernel_size, stride = _both(module.kernel_size), _both(module.stride)
    return [alone(AvgPool2D(kernel_size, stride, padding, include, module.ceil_mode))], 1


def max_pool1d(modules: Modules, axes: Axes) -> Found:
    """Return the MaxPool1D."""
    module = modules[0]
    demand(module, return_indices=False)
    options = (_one(module.kernel_size), _one(module.stride), _one(module.padding))
    return [alone(MaxPool1D(*options, _one(module.dilation), module.ceil_mode))], 1


def avg_pool1d(modules: Modules, axes: Axes) -> Found:
    """Return the AvgPool1D."""
    module = modules[0]
    options = (_one(module.kernel_size), _one(module.stride), _one(module.padding))
    return [alone(AvgPool1D(*options, module.count_include_pad, module.ceil_mode))], 1


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def adaptive_max_pool(modules: Modules, axes: Axes) -> Found:
    """Return the GlobalMaxPool2D, whose output size is 1."""
    demand(modules[0], return_indices=False)
    if set(_both(modules[0].output_size)) != {1}:
        raise NoCounterpart("dlfs has only the maximum of the whole image (output_size=1)")
    if len(modules) > 1 and type(modules[1]) is nn.Flatten:
        demand(modules[1], start_dim=1, end_dim=-1)
        return [alone(GlobalMaxPool2D())], 2
    return [alone(GlobalMaxPool2D()), alone(Reshape((-1, 1, 1)))], 1


def adaptive_avg_pool(modules: Modules, axes: Axes) -> Found:
    """Return the GlobalAvgPool2D, whose output size is 1."""
    if set(_both(modules[0].output_size)) != {1}:
        raise NoCounterpart("dlfs has only the mean of the whole image (output_size=1)")
    if len(modules) > 1 and type(modules[1]) is nn.Flatten:
        demand(modules[1], start_dim=1, end_dim=-1)
        return [alone(GlobalAvgPool2D())], 2
    return [alone(GlobalAvgPool2D()), alone(Reshape((-1, 1, 1)))], 1
