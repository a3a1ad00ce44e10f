"""Operation and ParamOperation: one step forward, and the same step backward.

An Operation is a function with one input and one output. Forward, it remembers both; backward, it
turns the gradient of the loss with respect to its output into the gradient with respect to its
input (chain rule). Everything else in dlfs is made of chains of Operations.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dlfs.checks import (
    FLOAT_DTYPES,
    check_float_array,
    check_kind,
    check_returned,
    check_same_shape,
    checked_output_grad,
    plain_array,
    plain_float_array,
    takes,
)
from dlfs.configured import Configured
from dlfs.types import Array


class Operation(Configured):
    """One function of one array, and its derivative (book, chapter 3).

    A subclass writes ``_output()``, which computes the output from ``self.input_``, and
    ``_input_grad(output_grad)``, which computes the gradient with respect to the input. ``_output``
    may also take the argument ``inference``, as in the book's later chapters.

    Attributes
    ----------
    takes_integers : bool
        Set it to True in a class whose input is made of integers, which have no gradient.
    kinks : tuple of float
        Where the derivative jumps, in a class that computes each number on its own.
    input_, output, input_grad : ndarray
        Of the last ``forward`` and ``backward``.
    inference : bool
        Whether the last ``forward`` was for prediction rather than training.

    Examples
    --------
    >>> class Square(Operation):
    ...     def _output(self):
    ...         return self.input_**2
    ...
    ...     def _input_grad(self, output_grad):
    ...         return output_grad * 2 * self.input_
    >>> square = Square()
    >>> square.forward(np.array([[3.0]]))
    array([[9.]])
    >>> square.backward(np.array([[1.0]]))
    array([[6.]])
    """

    trains: ClassVar[bool] = False
    takes_integers: ClassVar[bool] = False
    kinks: ClassVar[tuple[float, ...]] = ()
    inference = False

    rng: np.random.Generator
    fused_into: Any

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Compute, remember and return the output.

        Parameters
        ----------
        input_ : ndarray of float32 or float64
        inference : bool, default False
            True when predicting: what is for training only (dropout) is left out.
        """
        if type(input_) is not np.ndarray:
            input_ = plain_array(input_, type(self).__name__, "input_")
        self._check_input(input_)
        self.input_ = input_
        self.inference = inference
        if takes(type(self)._output, "inference"):
            self.output = self._output(inference)  # type: ignore[call-arg]
        else:
            self.output = self._output()
        if type(self.output) is not np.ndarray:
            check_returned(self.output, type(self).__name__, "_output")
        return self.output

    def backward(self, output_grad: Array) -> Array:
        """Turn the gradient of the output, which has its shape, into the gradient of the input."""
        output_grad = checked_output_grad(self, output_grad)
        self.input_grad = self._input_grad(output_grad)
        check_same_shape(self.input_grad, self.input_, type(self).__name__, "input_grad", "input_")
        return self.input_grad

    def _output(self) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _output()")

    def _input_grad(self, output_grad: Array) -> Array:
        if self.takes_integers:
            return np.zeros(self.input_.shape, dtype=output_grad.dtype)
        raise NotImplementedError(f"{type(self).__name__} must define _input_grad(output_grad)")

    def distance_to_kink(self, input_: Array) -> Array:
        """Return how far each entry is from where the derivative jumps; infinity if nowhere.

        The gradient checker keeps away from kinks.
        """
        distance = np.full(input_.shape, np.inf)
        for kink in self.kinks:
            distance = np.minimum(distance, np.abs(input_ - kink))
        return distance

    def state(self) -> dict[str, Array]:
        """Return, by name, the arrays besides parameters that training changes."""
        return {}

    def reset_state(self) -> None:
        """Forget what is carried from one batch to the next, if there is something."""

    def __getattr__(self, name: str) -> Any:
        # Called only where the normal lookup fails.
        if name in ("input_", "output") and "fused_into" in self.__dict__:
            # a part of a fused step, which did not run by itself
            self.fused_into.fill_parts()
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _check_input(self, input_: Array) -> None:
        if self.takes_integers:
            check_kind(input_, "iu", "integers", type(self).__name__, "the input")
        elif type(input_) is not np.ndarray or input_.dtype not in FLOAT_DTYPES:
            check_float_array(input_, type(self).__name__, "input_")


class ParamOperation(Operation):
    """An Operation with a parameter, and with a gradient with respect to it.

    A subclass also writes ``_param_grad(output_grad)``, as WeightMultiply and BiasAdd in dense.py.

    Parameters
    ----------
    param : ndarray of float32 or float64
        The optimizer changes it in place.

    Attributes
    ----------
    param_grad : ndarray
        Of the last ``backward``.
    penalized : bool
        Whether weight decay applies, a penalty on large parameters: to weights, not to biases.

    Examples
    --------
    >>> from dlfs.dense import BiasAdd
    >>> bias = BiasAdd(np.array([[10.0, 20.0]]))
    >>> output, input_grad = bias.forward(np.ones((3, 2))), bias.backward(np.ones((3, 2)))
    >>> bias.param_grad
    array([[3., 3.]])
    """

    trains = True
    penalized: ClassVar[bool] = True

    def __init__(self, param: Array) -> None:
        super().__init__()
        self.param = plain_float_array(param, type(self).__name__, "param")

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Compute the gradients of the parameter, ``param_grad``, and of the input.

        With ``input_grad=False`` the gradient of the input is left out, and None is returned: at a
        network's first Operation it is the gradient of the data, which no training needs.
        """
        if input_grad:
            super().backward(output_grad)
        else:
            output_grad = checked_output_grad(self, output_grad)
        self.param_grad = self._param_grad(output_grad)
        check_same_shape(self.param_grad, self.param, type(self).__name__, "param_grad", "param")
        return self.input_grad if input_grad else None

    def _param_grad(self, output_grad: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _param_grad(output_grad)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'x'.join(str(size) for size in self.param.shape)})"


def backward_through(chain: Sequence[Any], output_grad: Array, input_grad: bool = True) -> Any:
    """Send a gradient back through a chain of Operations or layers (chain rule).

    Without ``input_grad`` it goes back only as far as something in the chain trains, and None is
    returned. A subclass whose ``backward(output_grad)`` has no such argument computes everything.
    """
    first = 0
    if not input_grad:
        while first < len(chain) and not chain[first].trains:
            first += 1
    for number in range(len(chain) - 1, first - 1, -1):
        part = chain[number]
        if input_grad or number > first or not takes(type(part).backward, "input_grad"):
            output_grad = part.backward(output_grad)
        else:
            part.backward(output_grad, input_grad=False)
    return output_grad if input_grad else None
