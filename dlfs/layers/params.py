"""Views of parameters: each lives in one Operation, and lists of them are made from there."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dlfs.types import Array


class OwnParam:
    """A parameter that a layer keeps itself, in its own lists, shown like an Operation's."""

    trains = True

    def __init__(self, params: list[Array], param_grads: list[Array], number: int) -> None:
        self._params = params
        self._param_grads = param_grads
        self._number = number

    @property
    def param(self) -> Array:
        """The parameter."""
        return self._params[self._number]

    @param.setter
    def param(self, param: Array) -> None:
        self._params[self._number] = param

    @property
    def param_grad(self) -> Array:
        """Its gradient from the last backward pass."""
        return self._param_grads[self._number]

    @param_grad.setter
    def param_grad(self, grad: Array) -> None:
        self._param_grads[self._number] = grad

    @property
    def penalized(self) -> bool:
        """Whether weight decay applies: what has one row is a bias."""
        return bool(self.param.shape[0] > 1)


class Shared:
    """A parameter that several Operations use (it is tied), or that is frozen.

    Its gradient is the sum of those that train: zero if the parameter is frozen everywhere.
    ``users`` are its owner, then those that borrow it, each with whether it trains.
    """

    def __init__(self, users: list[tuple[Any, bool]]) -> None:
        self._holders = [holder for holder, _ in users]
        self._trained = [holder for holder, trains in users if trains]
        self.trains = bool(self._trained)
        owner, trains = users[0]
        self.penalized = trains and owner.penalized

    @property
    def param(self) -> Array:
        """The parameter."""
        return self._holders[0].param

    @param.setter
    def param(self, param: Array) -> None:
        for holder in self._holders:
            holder.param = param

    @property
    def param_grad(self) -> Array:
        """The sum of the gradients."""
        grads = [holder.param_grad for holder in self._trained]
        return sum(grads[1:], grads[0]) if grads else np.zeros_like(self.param)

    @param_grad.setter
    def param_grad(self, grad: Array) -> None:
        # The sum of the gradients must be ``grad``.
        for number, holder in enumerate(self._trained):
            holder.param_grad = np.zeros_like(grad) if number else grad


class ParamList(Sequence[Array]):
    """The parameters, or their gradients, of a layer or network: a view, made on demand.

    Assigning to an entry assigns to the Operation. Calling it, as the book calls a network's
    ``params()``, goes through the entries. ``name`` is "param" or "param_grad".

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> layer = Dense(1)
    >>> output = layer.forward(np.ones((1, 1)))
    >>> layer.params[0] = np.array([[3.0]])
    >>> layer.operations[0].param
    array([[3.]])
    """

    def __init__(self, holders: Sequence[Any], name: str) -> None:
        self._holders = holders
        self._name = name

    def __len__(self) -> int:
        return len(self._holders)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [getattr(holder, self._name) for holder in self._holders[index]]
        return getattr(self._holders[index], self._name)

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if not isinstance(index, slice):
            setattr(self._holders[index], self._name, value)
            return
        holders, values = self._holders[index], list(value)
        if len(values) != len(holders):
            raise ValueError(f"params: {len(holders)} arrays are needed, got {len(values)}")
        for holder, each in zip(holders, values, strict=True):
            setattr(holder, self._name, each)

    def __call__(self) -> Iterator[Array]:
        """Go through the entries."""
        return iter(self)

    def __repr__(self) -> str:
        return repr(list(self))
