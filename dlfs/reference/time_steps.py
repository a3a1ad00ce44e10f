"""What the recurrent kernels share: a sequence seen step by step, and checks of its shapes."""

import numpy as np

from dlfs.named_axes import check_arrays
from dlfs.types import Array


def by_time(x: Array) -> Array:
    """Return (batch, time, ...) as (time, batch, ...), without a copy."""
    return x.transpose(1, 0, 2)


def cut(gates: Array, n: int, count: int) -> list[Array]:
    """Return views of ``count`` gates that lie side by side, each ``n`` wide."""
    return [gates[:, k * n : (k + 1) * n] for k in range(count)]


def shifted(first: Array, steps: Array) -> Array:
    """Return the state before each step: ``first``, then the state after the step before it."""
    before = np.empty(steps.shape, dtype=steps.dtype)
    if len(steps):
        before[0] = first
        before[1:] = steps[:-1]
    return before


def product(before: Array, dz: Array) -> Array:
    """Return the sum of ``before_t.T @ dz_t`` over all steps, as one product."""
    count = dz.shape[0] * dz.shape[1]
    return before.reshape(count, before.shape[2]).T @ dz.reshape(count, dz.shape[2])


def check_forward(
    owner: str, gates: int, z: Array, W_h: Array, extra: int = 0, **states: Array
) -> None:
    """Demand arrays that fit each other, for a layer with ``gates`` blocks of columns side by side.

    ``W_h`` has ``extra`` rows more than there are hidden units.
    """
    n = _hidden(owner, gates, W_h, extra)
    check_arrays(
        owner,
        W_h=(W_h, (n + extra, gates * n)),
        z=(z, ("batch", "time", gates * n)),
        **{name: (state, ("batch", n)) for name, state in states.items()},
    )


def check_backward(
    owner: str,
    gates: int,
    W_h: Array,
    h: Array,
    h_grad: Array,
    kept: dict[str, Array],
    states: dict[str, Array],
    extra: int = 0,
) -> None:
    """Demand gradients, and what forward returned and ``kept``: gates, or sequences like ``h``."""
    n = _hidden(owner, gates, W_h, extra)
    steps = {"gates": ("time", "batch", 4 * n)}
    check_arrays(
        owner,
        W_h=(W_h, (n + extra, gates * n)),
        h=(h, ("batch", "time", n)),
        **{name: (x, steps.get(name, ("batch", "time", n))) for name, x in kept.items()},
        **{name: (state, ("batch", n)) for name, state in states.items()},
        h_grad=(h_grad, ("batch", "time", n)),
    )


def _hidden(owner: str, gates: int, W_h: Array, extra: int) -> int:
    """Return the number of hidden units, after a look at the shape of the weights."""
    check_arrays(owner, W_h=(W_h, "rows columns"))
    hidden: int = W_h.shape[1] // gates
    if hidden < 1 or W_h.shape != (hidden + extra, gates * hidden):
        rows = "hidden + 1" if extra else "hidden"
        width = "hidden" if gates == 1 else f"{gates} * hidden"
        raise ValueError(f"{owner}: W_h must have shape ({rows}, {width}), got {W_h.shape}")
    return hidden
