"""What the recurrent kernels share: looking at a sequence step by step, and checking shapes."""

from typing import cast

import numpy as np

from dlfs.checks import check_float_array, check_same_dtype, check_shape
from dlfs.types import Array


def by_time(x: Array) -> Array:
    """Return (batch, time, ...) as (time, batch, ...), without a copy."""
    return x.transpose(1, 0, 2)


def cut(gates: Array, n: int, count: int) -> list[Array]:
    """Return views of ``count`` gates that lie side by side, each ``n`` wide."""
    return [gates[:, k * n : (k + 1) * n] for k in range(count)]


def shifted(first: Array, steps: Array) -> Array:
    """Return what each step found: ``first``, then what the step before it left."""
    shifted = np.empty(steps.shape, dtype=steps.dtype)
    if len(steps):
        shifted[0] = first
        shifted[1:] = steps[:-1]
    return shifted


def product(before: Array, dz: Array) -> Array:
    """Return the sum of ``before_t.T @ dz_t`` over all steps, as one product."""
    count = dz.shape[0] * dz.shape[1]
    product: Array = before.reshape(count, before.shape[2]).T @ dz.reshape(count, dz.shape[2])
    return product


def check_forward(
    owner: str, columns: int, z: Array, W_h: Array, extra: int = 0, **states: Array
) -> None:
    """Demand arrays that fit each other, ``columns`` gates side by side."""
    check_float_array(z, owner, "z", 3)
    check_float_array(W_h, owner, "W_h", 2)
    hidden = _hidden(owner, W_h, columns, extra)
    check_shape(z, (*z.shape[:2], columns * hidden), owner, "z")
    _check_states(owner, z.shape[0], hidden, states)
    check_same_dtype(owner, z=z, W_h=W_h, **states)


def check_backward(
    owner: str,
    h_grad: Array,
    h: Array,
    W_h: Array,
    columns: int,
    states: dict[str, Array],
    gates: Array | None = None,
    extra: int = 0,
) -> None:
    """Demand gradients and what forward returned, all fitting each other.

    A layer of one column has no gates.
    """
    check_float_array(h, owner, "h", 3)
    check_float_array(h_grad, owner, "h_grad", 3)
    check_float_array(W_h, owner, "W_h", 2)
    hidden = _hidden(owner, W_h, columns, extra)
    batch, time = h.shape[:2]
    check_shape(h, (batch, time, hidden), owner, "h")
    check_shape(h_grad, h.shape, owner, "h_grad")
    _check_states(owner, batch, hidden, states)
    arrays = {"h": h, "h_grad": h_grad, "W_h": W_h, **states}
    if columns > 1:
        check_float_array(gates, owner, "gates", 3)
        arrays["gates"] = cast(Array, gates)
        check_shape(arrays["gates"], (time, batch, 4 * hidden), owner, "gates")
    check_same_dtype(owner, **arrays)


def _check_states(owner: str, batch: int, hidden: int, states: dict[str, Array]) -> None:
    for name, state in states.items():
        check_float_array(state, owner, name, 2)
        check_shape(state, (batch, hidden), owner, name)


def _hidden(owner: str, W_h: Array, columns: int, extra: int) -> int:
    hidden: int = W_h.shape[1] // columns
    if hidden < 1 or W_h.shape != (hidden + extra, columns * hidden):
        rows = "hidden + 1" if extra else "hidden"
        width = "hidden" if columns == 1 else f"{columns} * hidden"
        raise ValueError(f"{owner}: W_h must have shape ({rows}, {width}), got {W_h.shape}")
    return hidden
