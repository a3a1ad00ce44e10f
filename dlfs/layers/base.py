"""Layer: a chain of Operations, or of other layers, that is set up when it sees its first input."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from dlfs import backend
from dlfs.base import Configured, Operation, ParamOperation, backward_through, checked_output_grad
from dlfs.checks import (
    check_choice,
    check_instance,
    check_int,
    plain_array,
)
from dlfs.layers.fusion import fuse
from dlfs.layers.params import Frozen, OwnParam, ParamList, Tied
from dlfs.recurrent import CARRIES
from dlfs.types import Array


class Layer(Configured):
    """A chain of Operations.

    Forward: each Operation takes the output of the one before it. Backward: the same chain the
    other way round (chain rule).

    A subclass writes ``_setup_layer(input_)``, which fills ``self.operations`` when the first input
    arrives and its shape is known. Or it lists inner layers in ``self.layers``: then it is a chain
    of those, and may write its own ``forward`` and ``backward`` to connect them in another way.

    Parameters
    ----------
    neurons : int, optional
        The number of features that come out, where that is a number.

    Attributes
    ----------
    operations : list of Operation
        The chain as the book has it.
    steps : list
        What ran in the last ``forward``: the Operations, or fused steps that stand for several
        of them (``step.parts``).
    layers : list of Layer
        The inner layers of a layer that is made of layers; empty for all others.
    first : bool
        Whether the layer is still to be set up.
    seed : int or numpy.random.SeedSequence, optional
        Where its random numbers start; a NeuralNetwork gives each of its layers a seed of its own.
    following : Operation, optional
        The activation that stands behind the layer, if the network has one there.
    trainable : bool
        False freezes the layer, and all inside it: optimizers leave its parameters as they are.

    Raises
    ------
    TypeError, ValueError
        If neurons is no positive integer; in ``forward``, if the input does not suit the layer.

    Notes
    -----
    Book, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> from dlfs.activations import Tanh
    >>> class Squash(Layer):
    ...     def _setup_layer(self, input_):
    ...         self.operations = [Tanh()]
    >>> Squash().forward(np.zeros((2, 3))).shape
    (2, 3)
    """

    takes_integers: ClassVar[bool] = False
    trainable = True
    layers: "Sequence[Layer]" = ()

    input_: Array
    output: Array

    def __init__(self, neurons: int | None = None) -> None:
        if neurons is not None:
            neurons = check_int(neurons, type(self).__name__, "neurons", 1)
        self.neurons = neurons
        self.first = True
        self.operations: list[Operation] = []
        self.steps: Sequence[Any] = ()
        self.seed: int | np.random.SeedSequence | None = None
        self.dtype: Any = None
        self.following: Operation | None = None
        self._fused: Sequence[Operation] = ()
        self._own_params: list[Array] = []
        self._own_param_grads: list[Array] = []

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Send the input through the chain.

        Parameters
        ----------
        input_ : ndarray, batch axis first
        inference : bool
            True when predicting: what is for training only (dropout) is left out.

        Returns
        -------
        ndarray

        Raises
        ------
        TypeError, ValueError
            If the input does not suit the layer.
        """
        if type(input_) is not np.ndarray:
            input_ = plain_array(input_, type(self).__name__, "input_")
            self._check_array(input_)
        if self.first:
            self.set_up(input_)
        self.input_ = input_
        self.steps = self.layers or (self._fused if backend.fuses() else self.operations)
        for step in self.steps:
            input_ = step.forward(input_, inference)
        self.output = input_
        return input_

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Send the gradient back through the chain, to the input and all parameters.

        Parameters
        ----------
        output_grad : ndarray, the shape of the last output
        input_grad : bool
            False goes back only as far as there are parameters to train: a network's first layer
            needs no gradient of the data.

        Returns
        -------
        ndarray, the shape of the last input; None without input_grad

        Raises
        ------
        TypeError, ValueError
            If output_grad is no floating array, or does not have the shape of the output.
        RuntimeError
            If ``forward`` was not called before.
        """
        output_grad = checked_output_grad(self, output_grad)
        try:
            return backward_through(self.steps, output_grad, input_grad)
        except BaseException:
            # Some gradients would be of this pass, some of the one before.
            for _, layer in self.walk():
                for operation in layer.operations:
                    vars(operation).pop("param_grad", None)
            raise

    def set_up(self, input_: Array, rng: np.random.Generator | None = None) -> None:
        """Set the layer up for inputs like this one, with new parameters.

        ``forward`` does so by itself at its first call; the values of the input do not matter.
        Inner layers are set up when the input reaches them.

        Parameters
        ----------
        input_ : ndarray, batch axis first
        rng : numpy.random.Generator, optional
            Where random numbers come from: a new one, from ``seed``, unless given.

        Raises
        ------
        TypeError, ValueError
            If the input does not suit the layer.
        """
        input_ = plain_array(input_, type(self).__name__, "input_")
        self._check_array(input_)
        self.rng = np.random.default_rng(self.seed) if rng is None else rng
        self._setup_layer(input_)
        self._fused = fuse(self.operations)
        self.first = False
        if not self._keeps_own():
            self._own_params = []

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
        found: dict[int, Any] = {}
        self._collect_holders(found, True)
        return list(found.values())

    def walk(self, path: str = "") -> "Iterator[tuple[str, Layer]]":
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

    def penalized(self) -> list[bool]:
        """Say for each parameter whether weight decay applies to it: to weights, not to biases."""
        return [holder.penalized for holder in self.param_holders()]

    def parameter_count(self) -> int:
        """Return how many numbers all parameters together hold; 0 before the set-up."""
        return sum(holder.param.size for holder in self.param_holders())

    @property
    def trains(self) -> bool:
        """Whether there is a parameter that an optimizer may change."""
        if self.trainable:
            for operation in self.operations:
                if operation.trains:
                    return True
            for layer in self.layers:
                if layer.trains:
                    return True
        return self.trainable and bool(self._own_params)

    def reset_state(self) -> None:
        """Forget what is carried from one batch to the next: the state of recurrent layers."""
        for _, layer in self.walk():
            for operation in layer.operations:
                operation.reset_state()

    @contextmanager
    def fresh_start(self, carry: bool | str | None = None) -> Iterator[None]:
        """Within the block, begin new sequences; then put back the state that was carried before.

        Parameters
        ----------
        carry : {False, True, "mean"}, optional
            Whether state is carried within the block; as each layer does unless given.

        Raises
        ------
        ValueError
            If carry is something else.

        Examples
        --------
        >>> import numpy as np
        >>> from dlfs.layers import LSTMLayer
        >>> layer = LSTMLayer(4)
        >>> x = np.ones((1, 6, 3))
        >>> whole = layer.forward(x)
        >>> with layer.fresh_start(carry=True):
        ...     parts = [layer.forward(x[:, :2]), layer.forward(x[:, 2:])]
        >>> bool(np.allclose(np.concatenate(parts, axis=1), whole))
        True
        """
        if carry is not None:
            check_choice(carry, CARRIES, "fresh_start", "carry")
        found: list[Any] = [
            operation
            for _, layer in self.walk()
            for operation in layer.operations
            if hasattr(operation, "carried")
        ]
        kept = [(operation.carry, operation.carried) for operation in found]
        for operation in found:
            operation.carry = operation.carry if carry is None else carry
            operation.carried = None
        try:
            yield
        finally:
            for operation, (mode, carried) in zip(found, kept, strict=True):
                operation.carry, operation.carried = mode, carried

    def _collect_holders(self, found: dict[int, Any], trains: bool) -> None:
        trains = trains and self.trainable
        holders: Sequence[Any] = ()
        if self._own_params:
            holders = self._own_holders()
        elif not self.first:  # before the set-up is over, Operations may be those of an earlier one
            holders = self.operations
        for holder in holders:
            if holder.trains:
                key = id(holder.param)
                if not trains:
                    holder = Frozen(holder)
                found[key] = Tied(found[key], holder) if key in found else holder
        for layer in self.layers:
            layer._collect_holders(found, trains)

    def _own_holders(self) -> list[OwnParam]:
        own, grads = self._own_params, self._own_param_grads
        return [OwnParam(own, grads, number) for number in range(len(own))]

    def _keeps_own(self) -> bool:
        """Say whether parameters lie in the layer itself; during the set-up they all do."""
        in_operations = any(isinstance(op, ParamOperation) for op in self.operations)
        return not self.layers and (self.first or not in_operations)

    def _view(self, name: str, own: list[Array]) -> ParamList | list[Array]:
        if self._keeps_own():
            return own
        holders = self.param_holders()
        if name == "param" or all(hasattr(holder, name) for holder in holders):
            return ParamList(holders, name)
        return []

    def _assign(self, name: str, own: str, values: Sequence[Array]) -> None:
        if self._keeps_own():
            setattr(self, own, values if isinstance(values, list) else list(values))
        else:
            ParamList(self.param_holders(), name).assign(values)

    def _setup_layer(self, input_: Array) -> None:
        pass

    def _check_array(self, input_: object) -> None:
        check_instance(input_, np.ndarray, type(self).__name__, "the input")

    def _param_dtype(self, input_: Array) -> Any:
        """Return the dtype of new parameters: the network's, or else the input's."""
        if self.dtype is not None:
            return self.dtype
        return input_.dtype if input_.dtype.kind == "f" else np.dtype(np.float64)


class OperationLayer(Layer):
    """A layer of one Operation without parameters: pooling, flattening, dropout, an activation.

    A network makes it where it is given an Operation instead of a layer.

    Parameters
    ----------
    operation : Operation

    Raises
    ------
    TypeError
        If it is no Operation, or one with a parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from dlfs.reshape import Flatten
    >>> OperationLayer(Flatten()).forward(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, operation: Operation) -> None:
        check_instance(operation, Operation, "OperationLayer", "operation")
        if isinstance(operation, ParamOperation):
            raise TypeError(
                f"OperationLayer: {type(operation).__name__} has a parameter; "
                "use the layer that sets it up"
            )
        super().__init__()
        self.operation = operation

    def _setup_layer(self, input_: Array) -> None:
        # Each set-up works with a new copy: what the last training left in it (the statistics of
        # a normalization, say) is forgotten like parameters are.
        operation = copy.deepcopy(self.operation)
        if hasattr(operation, "rng") and self.seed is not None:
            operation.rng = self.rng
        self.operations = [operation]

    def __repr__(self) -> str:
        return repr(self.operation)


def own_copy(activation: Operation | None, default: type[Operation], owner: str) -> Operation:
    """Return an activation that belongs to one layer alone.

    An Operation remembers its last input: shared by two layers, it would use the one's in the
    gradient of the other. So each layer works with a copy of what it is given.
    """
    if activation is None:
        return default()
    check_instance(activation, Operation, owner, "activation")
    if isinstance(activation, ParamOperation):
        raise TypeError(f"{owner}: activation must have no parameter, got {activation!r}")
    own = copy.copy(activation)
    own.__dict__.pop("fused_into", None)
    return own
