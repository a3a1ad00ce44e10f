"""Layers made of layers: chains, residual connections, parallel branches."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from dlfs.activations import Linear
from dlfs.base import Operation, ParamOperation, backward_through
from dlfs.checks import check_choice, check_flag, check_instance, checked_output_grad
from dlfs.layers.base import Layer
from dlfs.next_activation import tell_what_follows
from dlfs.reshape import LastStep, Reverse
from dlfs.types import Array


class LayerBlock(Layer):
    """A chain of layers (book, chapter 3).

    Forward: each layer takes the output of the one before it. Backward: the same chain the other
    way round. A block is a layer: blocks stand in blocks, to any depth.

    Parameters
    ----------
    layers : sequence of Layer
        An Operation without parameters (MaxPool2D, Flatten, an activation) may stand for a layer.

    Raises
    ------
    TypeError, ValueError
        If something else is among them, there are none, or one stands there twice: a layer
        remembers its last input, so each place needs its own.

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> block = LayerBlock([Dense(13), Dense(1)])
    >>> block.forward(np.zeros((4, 7))).shape
    (4, 1)
    """

    layers: list[Layer]

    def __init__(self, layers: Sequence[Layer | Operation]) -> None:
        super().__init__()
        name = type(self).__name__
        if not isinstance(layers, Sequence):
            raise TypeError(f"{name}: layers must be a list of layers, got {layers!r:.80}")
        self.layers = [as_layer(layer, name) for layer in layers]
        if not layers:
            raise ValueError(f"{name}: at least one layer is needed")
        parts = [getattr(layer, "operation", layer) for _, layer in self.walk()]
        if len({id(part) for part in parts}) < len(parts):
            raise ValueError(
                f"{name}: the same layer stands in two places; each place needs a layer of its own"
            )

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]
        """Whether the first layer takes integers, as an Embedding does."""
        return self.layers[0].takes_integers

    def _setup_layer(self, input_: Array) -> None:
        tell_what_follows(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.layers!r})"


class Residual(LayerBlock):
    """A block whose input is added to its output: a skip connection.

    Forward: ``output = input_ + block(input_)``. Backward: ``input_grad = output_grad +
    block.backward(output_grad)``, because the input reaches the output on two ways.

    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016.

    Parameters
    ----------
    layers : sequence of Layer or Operation
        The chain that is gone round. Its output must have the shape of its input.

    Examples
    --------
    >>> from dlfs.activations import Tanh
    >>> residual = Residual([Tanh()])
    >>> residual.forward(np.zeros((1, 2)))
    array([[0., 0.]])
    >>> residual.backward(np.ones((1, 2)))
    array([[2., 2.]])
    """

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Return the sum of the input and the chain's output, which must have the same shape."""
        output = super().forward(input_, inference)
        if output.shape != input_.shape or output.dtype != input_.dtype:
            raise ValueError(
                f"Residual: the block must keep the shape and dtype of its input, "
                f"{input_.shape} of {input_.dtype}, got {output.shape} of {output.dtype}"
            )
        self.output = input_ + output
        return self.output

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Send the gradient back on both ways, and add what arrives; arguments as in Layer."""
        grad = super().backward(output_grad, input_grad)
        return output_grad + grad if input_grad else None


class Parallel(Layer):
    """Branches that all see the same input; their outputs are added or put side by side.

    Forward: ``output = sum of branch(input_)`` or ``concatenate([branch(input_), ...], axis=1)``.
    Backward: each branch gets the output gradient ("add"), or its own slice of it ("concat"), and
    the gradients that arrive at the input are added.

    Szegedy et al., "Going deeper with convolutions", 2015.

    Parameters
    ----------
    branches : sequence of sequences of Layer or Operation
        Each is a chain; an empty one passes the input on.
    merge : {"add", "concat"}, default "add"
        "concat" joins along axis 1: features, or the channels of images.

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> both = Parallel([[Dense(3)], [Dense(2), Dense(4)]], merge="concat")
    >>> both.forward(np.zeros((5, 6))).shape
    (5, 7)
    """

    layers: list[LayerBlock]
    axis: ClassVar[int] = 1

    def __init__(self, branches: Sequence[Sequence[Layer | Operation]], merge: str = "add") -> None:
        super().__init__()
        self.merge = check_choice(merge, ("add", "concat"), "Parallel", "merge")
        if isinstance(branches, str) or not isinstance(branches, Sequence):
            raise TypeError(f"Parallel: branches must be lists of layers, got {branches!r:.80}")
        if not branches:
            raise ValueError("Parallel: at least one branch is needed")
        self.layers = [LayerBlock(branch or [Linear()]) for branch in branches]

    @property
    def branches(self) -> list[list[Layer]]:
        """The layers of each branch."""
        return [block.layers for block in self.layers]

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]
        """Whether every branch takes integers, as an Embedding does."""
        return all(block.takes_integers for block in self.layers)

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Send the input through every branch, and merge the outputs; arguments as in Layer."""
        if self.first:
            self.set_up(input_)
        self.input_ = input_
        outputs = [block.forward(input_, inference) for block in self.layers]
        self._check_outputs(outputs)
        if self.merge == "add":
            self.output = sum(outputs[1:], outputs[0])
        else:
            self.output = np.concatenate(outputs, axis=self.axis)
        return self.output

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Send each branch its part of the gradient, and add what arrives; see Layer."""
        output_grad = checked_output_grad(self, output_grad)
        parts = [output_grad] * len(self.layers)
        if self.merge == "concat":
            ends = np.cumsum([block.output.shape[self.axis] for block in self.layers])
            slices = np.split(output_grad, ends[:-1], axis=self.axis)
            parts = [np.ascontiguousarray(part) for part in slices]
        arrived = [
            backward_through([block], part, input_grad)
            for block, part in zip(self.layers, parts, strict=True)
        ]
        return sum(arrived[1:], arrived[0]) if input_grad else None

    def _check_outputs(self, outputs: list[Array]) -> None:
        wanted, shapes = "one shape", {output.shape for output in outputs}
        if self.merge == "concat":
            wanted += f" but for axis {self.axis}"
            shapes = {shape[: self.axis] + shape[self.axis :][1:] for shape in shapes if shape[1:]}
        if len(shapes) != 1 or len({output.dtype for output in outputs}) > 1:
            got = ", ".join(f"{output.shape} of {output.dtype}" for output in outputs)
            raise ValueError(
                f"Parallel: with merge={self.merge!r} the branches' outputs must have {wanted}, "
                f"got {got}"
            )


class Bidirectional(Parallel):
    """A recurrent layer that reads sequences forward, and a second one that reads them backward.

    Forward: ``output = concatenate([layer(x), reverse(other(reverse(x)))], axis=-1)``, where other
    is a copy of the layer with weights of its own. Backward: as in Parallel, of which it is made.

    Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997.

    Parameters
    ----------
    layer : Layer
        A recurrent layer that does not carry its state.
    last : bool, default False
        Whether only the final states are returned, (batch, 2 * features): of the second layer the
        one that has seen the first step last.

    Examples
    --------
    >>> from dlfs.layers import LSTMLayer
    >>> Bidirectional(LSTMLayer(8)).forward(np.zeros((2, 5, 3))).shape
    (2, 5, 16)
    >>> Bidirectional(LSTMLayer(8), last=True).forward(np.zeros((2, 5, 3))).shape
    (2, 16)
    """

    axis = -1

    def __init__(self, layer: Layer, last: bool = False) -> None:
        check_instance(layer, Layer, "Bidirectional", "layer")
        if getattr(layer, "carry", False):
            raise ValueError(
                f"Bidirectional: layer must not carry its state, which has no meaning backward, "
                f"got {layer!r}"
            )
        self.layer, self.last = layer, check_flag(last, "Bidirectional", "last")
        end: Operation = LastStep() if last else Reverse()
        forward: list[Layer | Operation] = [layer, LastStep()] if last else [layer]
        backward: list[Layer | Operation] = [
            Reverse(layer.takes_integers),
            copy.deepcopy(layer),
            end,
        ]
        super().__init__([forward, backward], "concat")

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]
        """Whether the layer takes integers."""
        return self.layer.takes_integers


class OperationLayer(Layer):
    """A layer of one Operation without parameters: pooling, flattening, dropout, an activation.

    A network makes it where it is given an Operation instead of a layer.

    Examples
    --------
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
        # A new copy: what the last training left in it (statistics, say) is forgotten.
        self.operations = [copy.deepcopy(self.operation)]

    def __repr__(self) -> str:
        return repr(self.operation)


def as_layer(layer: object, owner: str) -> Layer:
    """Return a layer as it is, and an Operation as an OperationLayer."""
    if isinstance(layer, Layer):
        return layer
    if isinstance(layer, Operation):
        return OperationLayer(layer)
    if isinstance(layer, type):
        raise TypeError(
            f"{owner}: layers must be instances, got the class {layer.__name__}; "
            f"write {layer.__name__}(...)"
        )
    raise TypeError(f"{owner}: layers must be Layers or Operations, got {layer!r:.80}")
