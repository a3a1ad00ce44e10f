"""Helpers of the functions that make layers of modules, and the activations."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor, nn

from dlfs.activations import (
    ELU,
    GELU,
    SELU,
    HardSwish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SwiGLU,
    Tanh,
)
from dlfs.base import Operation, ParamOperation
from dlfs.layers import Layer, OperationLayer
from dlfs.pytorch import attention as modular
from dlfs.pytorch.outward import NoCounterpart
from dlfs.types import Array

Modules: TypeAlias = Sequence[Any]
"""Modules of a chain; the first is of the function's kind."""

Found: TypeAlias = tuple[list[Layer], int]
Axes: TypeAlias = int | None
"""The number of axes of a batch, with the batch axis; None if it is not known."""

Rule: TypeAlias = Callable[[Modules, Axes], Found]


def array(tensor: Tensor) -> Array:
    """Return a copy of a parameter or buffer."""
    return np.array(tensor.detach().cpu().numpy())


def demand(module: Any, **wanted: Any) -> None:
    """Refuse a module with an option that dlfs does not have."""
    for name, value in wanted.items():
        if getattr(module, name) != value:
            raise NoCounterpart(f"dlfs has only {name}={value!r}, got {getattr(module, name)!r}")


def built(layer: Layer, example: Array, params: Sequence[Array]) -> Layer:
    """Set up a layer for batches like the example, with these parameters."""
    if params:
        layer.dtype = params[0].dtype
    layer.set_up(example)
    holders = [op for op in layer.operations if isinstance(op, ParamOperation)]
    for holder, values in zip(holders, params, strict=True):
        shape = holder.param.shape if values.ndim == holder.param.ndim else (holder.param.size,)
        if values.shape != shape:
            raise NoCounterpart(
                f"a parameter must have shape {shape} for its options, got {values.shape}"
            )
        holder.param[...] = values.reshape(holder.param.shape)
    return layer


def none(*sizes: int) -> Array:
    """Return an empty batch: a layer only uses its shape."""
    return np.zeros((0, *sizes))


def activation_after(modules: Modules, axes: Axes) -> tuple[Operation | None, int]:
    """Return the activation after the first module, which becomes part of the layer."""
    make = ACTIVATIONS.get(type(modules[1])) if len(modules) > 1 else None
    if make is None:
        return None, 1
    try:
        return make(modules[1], axes), 2
    except (TypeError, ValueError):
        # It is converted next, so that the error names it and not this module.
        return None, 1


def bias_of(module: Any, width: int) -> Array:
    """Return the bias of a module; zeros if it has none."""
    return np.zeros(width) if module.bias is None else array(module.bias)


def alone(operation: Operation) -> OperationLayer:
    """Return an Operation as a layer, set up."""
    layer = OperationLayer(operation)
    layer.set_up(none(1))
    return layer


def _elu(module: Any, axes: Axes) -> Operation:
    return ELU(module.alpha)


def _gelu(module: Any, axes: Axes) -> Operation:
    return GELU(tanh=module.approximate == "tanh")


def _softplus(module: Any, axes: Axes) -> Operation:
    demand(module, beta=1)
    if module.threshold < 20:
        raise NoCounterpart(f"dlfs has no threshold, and {module.threshold} changes the result")
    return Softplus()


def _softmax(module: Any, axes: Axes, kind: type[Operation] = Softmax) -> Operation:
    if module.dim != -1 and axes is None:
        raise NoCounterpart(
            f"dlfs has only dim=-1, and whether dim={module.dim!r} is the last axis depends on the "
            "input; pass input_shape, the shape of one observation"
        )
    if module.dim != -1 and (axes is None or module.dim != axes - 1):
        raise NoCounterpart(f"dlfs has only the last of {axes} axes, dim=-1, got {module.dim!r}")
    return kind()


def _log_softmax(module: Any, axes: Axes) -> Operation:
    return _softmax(module, axes, LogSoftmax)


ACTIVATIONS: dict[type, Callable[[Any, Axes], Operation]] = {
    nn.Sigmoid: lambda module, axes: Sigmoid(),
    nn.Tanh: lambda module, axes: Tanh(),
    nn.ReLU: lambda module, axes: ReLU(),
    nn.LeakyReLU: lambda module, axes: LeakyReLU(module.negative_slope),
    nn.ELU: _elu,
    nn.GELU: _gelu,
    nn.SiLU: lambda module, axes: SiLU(),
    modular.SwiGLU: lambda module, axes: SwiGLU(),
    nn.SELU: lambda module, axes: SELU(),
    nn.Mish: lambda module, axes: Mish(),
    nn.Hardswish: lambda module, axes: HardSwish(),
    nn.LogSoftmax: _log_softmax,
    nn.Softplus: _softplus,
    nn.Softmax: _softmax,
}
