"""Layer: a chain of Operations that is set up when it sees its first input."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dlfs import backend
from dlfs.base import Operation, ParamOperation
from dlfs.checks import check_float_array, check_instance, check_int, plain_array
from dlfs.configuration import Configured
from dlfs.fusion import fuse
from dlfs.types import Array

_WORTH_RELEASING = 1 << 18
"""Bytes that a layer holds of its input and output; less stays in the cache anyway."""


class Layer(Configured):
    """A chain of Operations.

    Forward: each Operation takes the output of the one before it. Backward: the same chain the
    other way round (chain rule).

    A subclass writes ``_setup_layer(input_)``, which fills ``self.operations`` when the first input
    arrives and its shape is known.

    Parameters
    ----------
    neurons : int, optional
        The number of features that come out, where that is a number.

    Attributes
    ----------
    operations : list of Operation
    params, param_grads : list of ndarray
        The parameters, in the Operations' order, and the gradients from the last ``backward``.
    first : bool
        Whether the layer is still to be set up.
    seed : int or numpy.random.SeedSequence, optional
        Where its random numbers start; a NeuralNetwork gives each of its layers a seed of its own.
    following : Operation, optional
        The activation that stands behind the layer, if the network has one there.

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

    input_: Array
    output: Array

    def __init__(self, neurons: int | None = None) -> None:
        if neurons is not None:
            neurons = check_int(neurons, type(self).__name__, "neurons", 1)
        self.neurons = neurons
        self.first = True
        self.params: list[Array] = []
        self.param_grads: list[Array] = []
        self.operations: list[Operation] = []
        self.seed: int | np.random.SeedSequence | None = None
        self.dtype: np.dtype[Any] | None = None
        self.following: Operation | None = None
        self._with_params: Sequence[ParamOperation] = ()
        self._ran: Sequence[Any] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "backward" in cls.__dict__ and "backward_params" not in cls.__dict__:
            # Whoever writes an own backward means it for the parameters too.
            cls.backward_params = _whole_backward  # type: ignore[method-assign, assignment]

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Send the input through the Operations.

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
        input_ = plain_array(input_, type(self).__name__, "input_")
        if self.first:
            self.build(input_)
        elif not isinstance(input_, np.ndarray):
            self._check_array(input_)
        self.input_ = input_
        self._ran = self._fused if backend.fuses() else self.operations
        for operation in self._ran:
            input_ = operation.forward(input_, inference)
        self.output = input_
        return input_

    def backward(self, output_grad: Array) -> Array:
        """Send the gradient back through the Operations, to the input and all parameters.

        Parameters
        ----------
        output_grad : ndarray, the shape of the last output

        Returns
        -------
        ndarray, the shape of the last input

        Raises
        ------
        TypeError, ValueError
            If output_grad is no floating array, or does not have the shape of the output.
        RuntimeError
            If ``forward`` was not called before.
        """
        output_grad = plain_array(output_grad, type(self).__name__, "output_grad")
        self._check_output_grad(output_grad)
        self._release_param_grads()
        for operation in reversed(self._ran):
            output_grad = operation.backward(output_grad)
        self._param_grads()
        return output_grad

    def backward_params(self, output_grad: Array) -> None:
        """Send the gradient back only as far as there are parameters.

        A network's first layer needs no gradient of the data.
        """
        output_grad = plain_array(output_grad, type(self).__name__, "output_grad")
        self._check_output_grad(output_grad)
        self._release_param_grads()
        for first, operation in enumerate(self._ran):
            if hasattr(operation, "backward_params"):
                for later in reversed(self._ran[first + 1 :]):
                    output_grad = later.backward(output_grad)
                operation.backward_params(output_grad)
                break
        self._param_grads()

    def build(self, input_: Array, rng: np.random.Generator | None = None) -> None:
        """Set the layer up for inputs like this one, with new parameters.

        ``forward`` does so by itself at its first call; the values of the input do not matter.

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
        self._params()
        self._fused = fuse(self.operations)
        self.first = False

    def release(self) -> None:
        """Let go of the last batch's arrays: the new ones then lie where those lay, in the cache.

        A network does so when the next batch arrives: until then they can be looked at.
        """
        kept = self.__dict__
        if "output" in kept and self.output.nbytes + self.input_.nbytes > _WORTH_RELEASING:
            del self.output, self.input_
            for operation in self.operations:
                for name in ("input_", "output", "input_grad"):
                    operation.__dict__.pop(name, None)

    def penalized(self) -> list[bool]:
        """Say for each parameter whether weight decay applies to it: to weights, not to biases."""
        flags = [op.penalized for op in self.operations if isinstance(op, ParamOperation)]
        # A layer that keeps parameters outside of Operations: what has one row is a bias.
        return flags if len(flags) == len(self.params) else [p.shape[0] > 1 for p in self.params]

    def parameter_count(self) -> int:
        """Return how many numbers the parameters hold."""
        return sum(param.size for param in self.params)

    def reset_state(self) -> None:
        """Forget what is carried from one batch to the next: the state of recurrent layers."""
        for operation in self.operations:
            operation.reset_state()

    def _setup_layer(self, input_: Array) -> None:
        pass

    def _check_array(self, input_: object) -> None:
        check_instance(input_, np.ndarray, type(self).__name__, "the input")

    def _param_dtype(self, input_: Array) -> np.dtype[Any]:
        """Return the dtype of new parameters: the network's, or else the input's."""
        if self.dtype is not None:
            return self.dtype
        return input_.dtype if input_.dtype.kind == "f" else np.dtype(np.float64)

    def _params(self) -> None:
        self._with_params = [op for op in self.operations if isinstance(op, ParamOperation)]
        if self._with_params:
            self.params = [operation.param for operation in self._with_params]

    def _param_grads(self) -> None:
        if self._with_params:
            self.param_grads = [operation.param_grad for operation in self._with_params]

    def _release_param_grads(self) -> None:
        """Let go of the last gradients: the new ones then lie where those lay, in the cache."""
        if self._with_params:
            self.param_grads = []

    def _check_output_grad(self, output_grad: Array) -> None:
        name = type(self).__name__
        if not hasattr(self, "output"):
            raise RuntimeError(f"{name}: backward was called before forward")
        check_float_array(output_grad, name, "output_grad")
        if output_grad.shape != self.output.shape:
            raise ValueError(
                f"{name}: output_grad must have the shape of the output, {self.output.shape}, "
                f"got {output_grad.shape}"
            )


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
    return copy.copy(activation)


def _whole_backward(layer: Layer, output_grad: Array) -> None:
    layer.backward(output_grad)
