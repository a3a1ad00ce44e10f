"""What a layer is within a tree of layers: its parameters, its state, the layers inside it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from dlfs.base import Operation, ParamOperation
from dlfs.configured import Configured
from dlfs.layers.params import OwnParam, ParamList, Shared
from dlfs.recurrent.operations import begun_afresh
from dlfs.types import Array


class LayerTree(Configured):
    """A layer with the layers inside it; every list of parameters is made from them on demand.

    Attributes
    ----------
    params, param_grads : list of ndarray
        Of all Operations; a view.
    layers : list of Layer
        The layers inside a layer that is made of layers.
    first : bool
        Whether the layer is still to be set up.
    trainable : bool
        False freezes the layer, and all inside it: optimizers leave its parameters as they are.
    """

    trainable = True
    layers: Sequence[Any] = ()

    def __init__(self) -> None:
        self.first = True
        self.operations: list[Operation] = []
        self._own_params: list[Array] = []
        self._own_param_grads: list[Array] = []

    @property
    def params(self) -> Any:
        """The parameters, in the Operations' order; assigning to an entry changes the Operation.

        A tied parameter stands here once, where it comes first. A layer without parameters in
        Operations may keep its own here, in a list.
        """
        return self._view("param", self._own_params)

    @params.setter
    def params(self, params: Sequence[Array]) -> None:
        self._assign("param", "_own_params", params)

    @property
    def param_grads(self) -> Any:
        """The gradients from the last ``backward``, in the order of ``params``; empty before it.

        The gradient of a tied parameter is the sum over the places where it is used, that of a
        frozen one is zero.
        """
        return self._view("param_grad", self._own_param_grads)

    @param_grads.setter
    def param_grads(self, grads: Sequence[Array]) -> None:
        self._assign("param_grad", "_own_param_grads", grads)

    def param_holders(self) -> list[Any]:
        """Return what holds each parameter: mostly an Operation, with ``param``, ``param_grad``.

        A tied parameter has one holder for all the Operations that use it. The holders of a frozen
        layer have ``trains = False``.
        """
        found: dict[int, list[tuple[Any, bool]]] = {}
        self._collect_holders(found, True)
        result = []
        for users in found.values():
            holder, trains = users[0]
            result.append(holder if trains and len(users) == 1 else Shared(users))
        return result

    def walk(self, path: str = "") -> Iterator[tuple[str, Any]]:
        """Go through this layer and all inside it, outermost first, each with its place.

        Examples
        --------
        >>> from dlfs.activations import ReLU
        >>> from dlfs.layers import Dense, Residual
        >>> [path for path, _ in Residual([Dense(3), ReLU()]).walk("block")]
        ['block', 'block.layers.0', 'block.layers.1']
        """
        yield path, self
        for number, layer in enumerate(self.layers):
            yield from layer.walk(f"{path}{'.' if path else ''}layers.{number}")

    def leaves(self) -> list[tuple[str, Any]]:
        """Return the layers that are not made of layers, each with its place."""
        return [(path, layer) for path, layer in self.walk() if not layer.layers]

    def all_operations(self) -> Iterator[Operation]:
        """Go through the Operations of this layer and of all inside it."""
        yield from self.operations
        for layer in self.layers:
            yield from layer.all_operations()

    def penalized(self) -> list[bool]:
        """Return for each parameter whether weight decay applies: to weights, not to biases."""
        return [holder.penalized for holder in self.param_holders()]

    def parameter_count(self) -> int:
        """Return how many numbers all parameters together hold; 0 before the set-up."""
        return sum(holder.param.size for holder in self.param_holders())

    @property
    def trains(self) -> bool:
        """Whether there is a parameter that an optimizer may change."""
        parts = (*self.operations, *self.layers) if self.trainable else ()
        for part in parts:
            if part.trains:
                return True
        return self.trainable and bool(self._own_params)

    def forget_gradients(self) -> None:
        """Forget the parameters' gradients of earlier backward passes."""
        for _, layer in self.walk():
            layer._own_param_grads = []
        for operation in self.all_operations():
            vars(operation).pop("param_grad", None)

    def reset_state(self) -> None:
        """Forget what recurrent layers carry from one batch to the next."""
        for operation in self.all_operations():
            operation.reset_state()

    def fresh_start(self, carry: bool | str | None = None) -> AbstractContextManager[None]:
        """Within the block, begin new sequences; then put back the state that was carried before.

        ``carry`` says whether state is carried within the block, as the argument of recurrent
        layers; unless given, each layer does as usual.

        Examples
        --------
        >>> from dlfs.layers import LSTMLayer
        >>> layer, x = LSTMLayer(4), np.ones((1, 6, 3))
        >>> whole = layer.forward(x)
        >>> with layer.fresh_start(carry=True):
        ...     parts = [layer.forward(x[:, :2]), layer.forward(x[:, 2:])]
        >>> bool(np.allclose(np.concatenate(parts, axis=1), whole))
        True
        """
        return begun_afresh(self.all_operations(), carry)

    def _collect_holders(self, found: dict[int, list[tuple[Any, bool]]], trains: bool) -> None:
        """Enter each holder, and whether it trains, under the identity of its parameter."""
        trains = trains and self.trainable
        # After a reset the old Operations are still listed.
        holders: Sequence[Any] = () if self.first else self.operations
        if self._own_params:
            own, grads = self._own_params, self._own_param_grads
            holders = [OwnParam(own, grads, number) for number in range(len(own))]
        for holder in holders:
            if holder.trains:
                found.setdefault(id(holder.param), []).append((holder, trains))
        for layer in self.layers:
            layer._collect_holders(found, trains)

    def _keeps_own(self) -> bool:
        """Return whether parameters lie in the layer itself; during the set-up they all do."""
        in_operations = any(isinstance(op, ParamOperation) for op in self.operations)
        return not self.layers and (self.first or not in_operations)

    def _view(self, name: str, own: list[Array]) -> ParamList | list[Array]:
        if self._keeps_own():
            return own
        holders = self.param_holders()
        complete = name == "param" or all(hasattr(holder, name) for holder in holders)
        return ParamList(holders if complete else [], name)

    def _assign(self, name: str, own: str, values: Sequence[Array]) -> None:
        if self._keeps_own():
            setattr(self, own, values if isinstance(values, list) else list(values))
        else:
            ParamList(self.param_holders(), name)[:] = values
