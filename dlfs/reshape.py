"""Operations that only rearrange: what goes back is rearranged the same way."""

import math

import numpy as np

from dlfs.base import Operation
from dlfs.checks import check_flag, check_int, shown
from dlfs.types import Array, Pair, Shape
from dlfs.windows import pair


class Flatten(Operation):
    """Lay all axes but the batch in a row (book, chapter 5).

    Forward: (batch, channels, height, width) becomes (batch, channels * height * width). Backward:
    the gradient gets the input's shape again.

    Examples
    --------
    >>> Flatten().forward(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    def _output(self) -> Array:
        if self.input_.ndim < 1:
            raise ValueError("Flatten: the input has no batch axis")
        batch, *others = self.input_.shape
        return self.input_.reshape(batch, math.prod(others))

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad.reshape(self.input_.shape)


class Reshape(Operation):
    """Give each observation another shape.

    Forward: (batch, ...) becomes ``(batch, *shape)``. Backward: the gradient gets the input's
    shape again.

    The inverse of book chapter 5's Flatten.

    Parameters
    ----------
    shape : tuple of int
        The shape of one observation; one entry may be -1 and is worked out.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input has another number of entries.

    Examples
    --------
    >>> Reshape((1, 28, -1)).forward(np.zeros((2, 784))).shape
    (2, 1, 28, 28)
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if not isinstance(shape, tuple | list):
            raise TypeError(f"Reshape: shape must be a tuple of integers, got {shape!r}")
        self.shape = tuple(check_int(size, "Reshape", "shape", -1) for size in shape)
        if self.shape.count(-1) > 1 or 0 in self.shape:
            raise ValueError(
                f"Reshape: shape may have one -1 and otherwise positive sizes, got {self.shape}"
            )

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        if input_.ndim < 1:
            raise ValueError("Reshape: the input has no batch axis")
        has, needs = math.prod(input_.shape[1:]), math.prod(s for s in self.shape if s > 0)
        if has % needs if -1 in self.shape else has != needs:
            raise ValueError(
                f"Reshape: {has} numbers (shape {input_.shape[1:]}) do not fit into "
                f"{shown(self.shape)}"
            )

    def _output(self) -> Array:
        # -1 is worked out here: NumPy could not do it for an empty batch.
        batch, *others = self.input_.shape
        known = math.prod(size for size in self.shape if size > 0)
        shape = [math.prod(others) // known if size == -1 else size for size in self.shape]
        return self.input_.reshape(batch, *shape)

    def _input_grad(self, output_grad: Array) -> Array:
        return np.reshape(output_grad, self.input_.shape)


class Upsample2D(Operation):
    """Make images larger: each pixel becomes a block of equal ones (nearest neighbour).

    Forward: ``output[n, c, p, q] = input_[n, c, p // s, q // s]``. Backward: the sum over each
    block.

    Images are (batch, channels, height, width). A convolution behind it is an alternative to
    ConvTranspose2D (Odena et al., "Deconvolution and checkerboard artifacts", 2016).

    Parameters
    ----------
    scale : int or (height, width), default 2

    Examples
    --------
    >>> Upsample2D(2).forward(np.array([[[[1.0, 2.0]]]]))[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """

    def __init__(self, scale: Pair = 2) -> None:
        super().__init__()
        self.scale = pair(scale, "Upsample2D", "scale")

    def _output(self) -> Array:
        if self.input_.ndim != 4:
            raise ValueError(
                "Upsample2D: the input must be (batch, channels, height, width), got shape "
                f"{self.input_.shape}"
            )
        return self.input_.repeat(self.scale[0], axis=2).repeat(self.scale[1], axis=3)

    def _input_grad(self, output_grad: Array) -> Array:
        batch, channels, height, width = self.input_.shape
        blocks = output_grad.reshape(batch, channels, height, self.scale[0], width, self.scale[1])
        return blocks.sum(axis=(3, 5))


class _OfSteps(Operation):
    """What the Operations on time steps share: the check of the input."""

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        if input_.ndim < 2 or input_.shape[1] < 1:
            raise ValueError(
                f"{type(self).__name__}: the input must be (batch, time, ...), with at least one "
                f"step, got shape {input_.shape}"
            )


class LastStep(_OfSteps):
    """Keep the last time step of sequences: the final state of a recurrent layer.

    Forward: (batch, time, features) becomes (batch, features). Backward: the gradient goes to the
    last step.

    Examples
    --------
    >>> LastStep().forward(np.array([[[1.0], [2.0], [3.0]]]))
    array([[3.]])
    """

    def _output(self) -> Array:
        return self.input_[:, -1]

    def _input_grad(self, output_grad: Array) -> Array:
        grad = np.zeros(self.input_.shape, dtype=output_grad.dtype)
        grad[:, -1] = output_grad
        return grad


class Reverse(_OfSteps):
    """Turn the order of time steps round: the last becomes the first.

    Forward: ``output[n, t] = input_[n, time - 1 - t]``. Backward: the gradient, turned round.

    Parameters
    ----------
    integers : bool, default False
        Whether the input is made of integers, for a layer that takes those.

    Examples
    --------
    >>> Reverse().forward(np.array([[[1.0], [2.0], [3.0]]]))[0, :, 0]
    array([3., 2., 1.])
    """

    def __init__(self, integers: bool = False) -> None:
        super().__init__()
        self.integers = check_flag(integers, "Reverse", "integers")

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]
        """Whether the input is made of integers."""
        return self.integers

    def _output(self) -> Array:
        return np.ascontiguousarray(self.input_[:, ::-1])

    def _input_grad(self, output_grad: Array) -> Array:
        return np.ascontiguousarray(output_grad[:, ::-1])
