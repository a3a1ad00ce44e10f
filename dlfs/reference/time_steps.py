"""What the recurrent kernels share: a sequence seen step by step."""

import numpy as np

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
