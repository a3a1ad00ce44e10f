"""Window options of every size at once, on every backend; a program, because a crash ends it.

``python -m tests.support.huge_windows SEED CALLS`` ends with code 0 if every call returned, or was
refused by a ValueError that names the bound or the misfit.
"""

import os
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs import backend

SMALL = [1, 1, 1, 1, 2, 2, 3, 5]
HUGE = [
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**33 + 1,
    2**57,
    2**60,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    2**64 + 1,
    10**400,
]
FAR = [2**7, 2**12 + 1, 2**20, 2**29, 2**30, 2**31 - 2]
"""Allowed by themselves, for strides, and for dilations where the kernel has one position."""


def integer(rng: random.Random, wild: float, far: bool = False) -> int:
    if rng.random() < wild:
        return rng.choice(HUGE)
    if far and rng.random() < 0.3:
        return rng.choice(FAR)
    return rng.choice(SMALL) if rng.random() < 0.95 else 0


def one_or_two(rng: random.Random, wild: float, far: bool = False) -> Any:
    if rng.random() < 0.5:
        return integer(rng, wild, far)
    return (integer(rng, wild, far), integer(rng, wild, far))


def padding(rng: random.Random, wild: float) -> Any:
    way = rng.randrange(5)
    if way == 0:
        return "same"
    if way == 1:
        return "valid"
    if way == 2:
        return tuple(tuple(integer(rng, wild / 2) for _ in range(2)) for _ in range(2))
    return one_or_two(rng, wild)


def options(rng: random.Random, far: bool) -> dict[str, Any]:
    wild = rng.choice([0.0, 0.0, 0.0, 0.2, 0.5])
    return {
        "stride": one_or_two(rng, wild, far),
        "padding": padding(rng, wild),
        "dilation": one_or_two(rng, wild, far),
    }


def pooling_options(rng: random.Random) -> dict[str, Any]:
    wild = rng.choice([0.0, 0.0, 0.0, 0.2, 0.5])
    kernel: Any = one_or_two(rng, wild)
    stride = None if rng.random() < 0.2 else one_or_two(rng, wild, far=True)
    return {"kernel_size": kernel, "stride": stride, "padding": padding(rng, wild)}


def flat(option: Any) -> Any:
    """Return an option of images as one of sequences."""
    return option if isinstance(option, int | str) else option[-1]


def call(rng: random.Random) -> tuple[str, Callable[[Any], Any]]:
    """Return the name of a kernel, and a call of it."""
    dtype = rng.choice([np.float32, np.float64])
    size = (rng.randint(1, 8), rng.randint(1, 8))
    kernel = (rng.randint(1, 3), rng.randint(1, 3))
    x, W = np.ones((1, 2, *size), dtype), np.ones((2, 4, *kernel), dtype)
    # Valid for some of the calls.
    grad = np.ones((1, 4, rng.randint(1, 8), rng.randint(1, 8)), dtype)
    name = rng.choice(NAMES)
    if "pool" in name:
        pooled: list[Any] = (
            [x, np.zeros(x.shape, np.uint8), x.shape] if "max" in name else [x, x.shape]
        )
        arrays = pooled if name.endswith("grad") else [x]
        given = pooling_options(rng)
        return name, lambda k: getattr(k, name)(*arrays, **given)
    # A transposed convolution's output grows with its stride: valid options may need all memory.
    given = options(rng, far=not name.startswith("conv_transpose"))
    if name.startswith("conv1d"):
        given = {key: flat(value) for key, value in given.items()}
        x, W, grad = x[:, :, 0], W[:, :, 0], grad[:, :, 0]
    if name.startswith("conv_transpose"):
        given["output_padding"] = one_or_two(rng, 0.1)
    if rng.random() < 0.1:
        given["groups"] = rng.choice([2, *HUGE])
    shape: Any = x.shape
    if rng.random() < 0.2:
        shape = (*shape[:-1], rng.choice(HUGE))
    if name.endswith("input_grad"):
        return name, lambda k: getattr(k, name)(grad, W, shape, **given)
    if name == "conv2d_bias_activation":
        b = np.zeros((1, 4, 1, 1), dtype)
        return name, lambda k: k.conv2d_bias_activation(x, W, b, "relu", **given)
    if name == "conv2d_bias_activation_param_grad":
        return name, lambda k: getattr(k, name)(grad, grad, x, W.shape, "relu", **given)
    if name.endswith("param_grad"):
        return name, lambda k: getattr(k, name)(grad, x, W.shape, **given)
    return name, lambda k: getattr(k, name)(x, W, **given)


NAMES = [
    *(f"conv{kind}{way}" for kind in ("1d", "2d", "_transpose2d") for way in ("", "_input_grad")),
    *(f"conv{kind}_param_grad" for kind in ("1d", "2d", "_transpose2d")),
    "conv2d_bias_activation",
    "conv2d_bias_activation_param_grad",
    "max_pool2d",
    "max_pool2d_grad",
    "avg_pool2d",
    "avg_pool2d_grad",
]


def outcome(work: Callable[[Any], Any]) -> str:
    try:
        work(backend.kernels)
    except ValueError as error:
        return str(error)
    return "done"


def run(seed: int, calls: int) -> None:
    """Make the calls, each on every backend; all results must be the same."""
    rng = random.Random(seed)
    for number in range(calls):
        name, work = call(rng)
        said = {}
        for way in backend.available_backends():
            os.environ["DLFS_LAST_CALL"] = f"{seed} {number} {name} {way}"
            with backend.use_backend(way):
                said[way] = outcome(work)
        if len(set(said.values())) > 1:
            sys.exit(f"call {number} of seed {seed}, {name}: {said}")


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
