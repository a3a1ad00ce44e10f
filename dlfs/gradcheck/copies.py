"""Copies of the target, so that a check never changes the caller's object.

A check changes parameters, draws dropout masks and runs training passes that move running
statistics. It does all that to a copy.
"""

import copy
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import numpy as np

from dlfs.types import Array

T = TypeVar("T")

_LEAVES = (
    str,
    bytes,
    int,
    float,
    complex,
    type,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    ModuleType,
    np.dtype,
    np.generic,
)


def walk(thing: object, seen: set[int] | None = None) -> Iterator[Any]:
    """Iterate over an object and everything in it: attributes, list and dictionary entries."""
    seen = set() if seen is None else seen
    if thing is None or isinstance(thing, _LEAVES) or id(thing) in seen:
        return
    seen.add(id(thing))
    yield thing
    if isinstance(thing, dict):
        held: list[Any] = list(thing.values())
    elif isinstance(thing, list | tuple | set | frozenset):
        held = list(thing)
    else:
        held = list(getattr(thing, "__dict__", {}).values())
    for item in held:
        yield from walk(item, seen)


def own_copy(target: T) -> T:
    """Copy an object and everything in it.

    Raises
    ------
    TypeError
        If something in it cannot be copied.
    """
    try:
        return copy.deepcopy(target)
    except Exception as error:
        raise TypeError(
            f"{type(target).__name__} cannot be checked: the check needs a copy, "
            f"and copying fails with {type(error).__name__}: {error}"
        ) from error


def float64_copy(target: T) -> T:
    """Copy an object, with every float32 array in it converted to float64.

    Arrays that are shared (a layer's ``params`` and its Operations' ``param``) stay shared.
    """
    # deepcopy uses an object in its memo as the copy, so the converted arrays go there.
    memo: dict[int, Any] = {}
    for thing in walk(target):
        if isinstance(thing, np.ndarray) and thing.dtype == np.float32:
            memo[id(thing)] = thing.astype(np.float64)
    # The memo's keys are ids: the originals, which target keeps alive, must outlive it.
    duplicate = copy.deepcopy(target, memo)
    for thing in walk(duplicate):
        if not isinstance(thing, np.ndarray) and _is_float32(getattr(thing, "dtype", None)):
            thing.dtype = _like(thing.dtype, np.dtype(np.float64))
    return duplicate


def _is_float32(dtype: object) -> bool:
    try:
        return dtype is not None and np.dtype(dtype) == np.float32  # type: ignore[call-overload]
    except TypeError:
        return False


def _like(kind: object, dtype: "np.dtype[Any]") -> Any:
    if isinstance(kind, str):
        return dtype.name
    return dtype.type if isinstance(kind, type) else dtype


def states(target: object) -> list[tuple[Any, Any]]:
    """Return the objects that carry state from batch to batch, each with its state."""
    holders = (thing for thing in walk(target) if "carried" in getattr(thing, "__dict__", {}))
    return [(thing, thing.carried) for thing in holders]


class Frozen:
    """What a forward pass changes besides its output: generators, statistics, carried states.

    ``restore`` resets everything, so that each evaluation uses the same dropout mask, starts from
    the same state, and leaves the statistics unchanged.
    """

    def __init__(self, target: object) -> None:
        self._generators: list[tuple[np.random.Generator, Any]] = []
        self._arrays: list[tuple[Array, Array]] = []
        self._states = states(target)
        for thing in walk(target):
            if isinstance(thing, np.random.Generator):
                self._generators.append((thing, thing.bit_generator.state))
            elif callable(getattr(thing, "state", None)):
                held = thing.state()
                if isinstance(held, dict):
                    arrays = [value for value in held.values() if isinstance(value, np.ndarray)]
                    self._arrays += [(array, array.copy()) for array in arrays]

    def restore(self) -> None:
        """Reset generators, statistics and states."""
        for generator, state in self._generators:
            generator.bit_generator.state = state
        for array, value in self._arrays:
            array[...] = value
        for thing, carried in self._states:
            thing.carried = carried
