"""Operation and ParamOperation: one step forward, and the same step backward.

An Operation is a function with one input and one output. Forward, it remembers both; backward, it
turns the gradient of the loss with respect to its output into the gradient with respect to its
input (chain rule). Everything else in dlfs is made of Operations, one after the other.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from dlfs.checks import FLOAT_DTYPES, check_float_array, plain_array
from dlfs.types import Array

PLAIN = (bool, int, float, str, type(None))
"""The arguments that are shown and saved as they are."""


class Configured:
    """Something that can be made again from its constructor's arguments.

    One convention makes this short: every constructor keeps each argument as an attribute of the
    same name.
    """

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name, as they are now."""
        if type(self).__init__ is object.__init__:
            return {}
        parameters = list(inspect.signature(type(self).__init__).parameters.values())[1:]
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {
            parameter.name: getattr(self, parameter.name)
            for parameter in parameters
            if parameter.kind in named and hasattr(self, parameter.name)
        }

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        shown = []
        for name, argument in self.arguments().items():
            default = parameters[name].default
            value = _short(argument)
            if default is inspect.Parameter.empty:
                shown.append(repr(value))
            elif not (value is default or _same(value, default)):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: Any) -> Any:
    """Show the same number for height and width once."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return value


def _same(value: object, default: object) -> bool:
    return isinstance(value, PLAIN) and isinstance(default, PLAIN) and value == default


class Operation(Configured):
    """One function of one array, and its derivative.

    A subclass writes two methods: ``_output()`` returns the output, computed from ``self.input_``;
    ``_input_grad(output_grad)`` returns the gradient with respect to the input. ``_output`` may
    also take the argument ``inference``, as the book's later chapters write it.

    Attributes
    ----------
    input_, output : ndarray
        What the last ``forward`` was given and returned.
    input_grad : ndarray
        What the last ``backward`` returned.
    inference : bool
        Whether the last ``forward`` was for inference: prediction rather than training.

    Notes
    -----
    Book, chapter 3.

    Examples
    --------
    >>> import numpy as np
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
    inference = False

    input_: Array
    output: Array
    input_grad: Array
    rng: np.random.Generator
    fused_into: Any

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Compute and remember the output.

        Parameters
        ----------
        input_ : ndarray of float32 or float64
        inference : bool
            True when predicting: what is for training only (dropout) is left out.

        Returns
        -------
        ndarray

        Raises
        ------
        TypeError, ValueError
            If the input is no floating array, or its shape does not suit the Operation.
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
        if not isinstance(self.output, np.ndarray):
            raise TypeError(
                f"{type(self).__name__}: _output must return an array, "
                f"got {type(self.output).__name__}{_forgotten(self.output)}"
            )
        return self.output

    def backward(self, output_grad: Array) -> Array:
        """Turn the gradient of the output into the gradient of the input.

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
        output_grad = checked_output_grad(self, output_grad)
        self.input_grad = self._input_grad(output_grad)
        self._check_gradient(self.input_grad, self.input_, "input_grad", "input_")
        return self.input_grad

    def __getattr__(self, name: str) -> Any:
        # Python comes here only for what is missing: after a fused pass, a part's input and output.
        if name in ("input_", "output") and "fused_into" in self.__dict__:
            self.fused_into.fill_parts()
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each entry of an input is from where the derivative jumps.

        Parameters
        ----------
        input_ : ndarray

        Returns
        -------
        ndarray, the shape of input_
            Infinity where the function is smooth, as most are. A gradient check keeps its
            differences shorter than this.
        """
        return np.full(input_.shape, np.inf)

    def state(self) -> dict[str, Array]:
        """Return the arrays that training changes although they are no parameters, by name.

        They are saved with the network; whoever writes into them changes the Operation.
        """
        return {}

    def reset_state(self) -> None:
        """Forget what is carried from one batch to the next: nothing, for most Operations."""

    def _output(self) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _output()")

    def _input_grad(self, output_grad: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _input_grad(output_grad)")

    def _check_input(self, input_: Array) -> None:
        if type(input_) is not np.ndarray or input_.dtype not in FLOAT_DTYPES:
            check_float_array(input_, type(self).__name__, "input_")

    def _check_gradient(self, grad: Array, array: Array, grad_name: str, name: str) -> None:
        """Find the mistake of a subclass here, where its name is known."""
        if not isinstance(grad, np.ndarray) or grad.shape != array.shape:
            got = str(grad.shape) if isinstance(grad, np.ndarray) else type(grad).__name__
            raise ValueError(
                f"{type(self).__name__}: {grad_name} must have the shape of {name}, "
                f"{array.shape}, got {got}{_forgotten(grad)}"
            )


class ParamOperation(Operation):
    """An Operation with a parameter: it also has the gradient with respect to that.

    A subclass writes ``_param_grad(output_grad)`` besides the two methods of an Operation.

    Parameters
    ----------
    param : ndarray of float32 or float64
        The optimizer changes it in place.

    Attributes
    ----------
    param, param_grad : ndarray
    penalized : bool
        Whether a penalty on large parameters (weight decay) applies: to weights, not to biases.

    Raises
    ------
    TypeError
        If param is no floating array.

    Notes
    -----
    Book, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> class Scale(ParamOperation):
    ...     def _output(self):
    ...         return self.input_ * self.param
    ...
    ...     def _input_grad(self, output_grad):
    ...         return output_grad * self.param
    ...
    ...     def _param_grad(self, output_grad):
    ...         return np.sum(output_grad * self.input_, axis=0, keepdims=True)
    >>> scale = Scale(np.array([[2.0, 3.0]]))
    >>> scale.forward(np.array([[1.0, 1.0], [5.0, 5.0]]))
    array([[ 2.,  3.],
           [10., 15.]])
    >>> scale.backward(np.ones((2, 2)))
    array([[2., 3.],
           [2., 3.]])
    >>> scale.param_grad
    array([[6., 6.]])
    """

    trains = True
    penalized: ClassVar[bool] = True

    param_grad: Array

    def __init__(self, param: Array) -> None:
        super().__init__()
        param = plain_array(param, type(self).__name__, "param")
        check_float_array(param, type(self).__name__, "param")
        self.param = param

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Turn the gradient of the output into those of the input and, kept, the parameter.

        Parameters
        ----------
        output_grad : ndarray, the shape of the last output
        input_grad : bool
            False leaves out the gradient of the input. At a network's first Operation that is the
            gradient of the data, which no training needs, and most of the work.

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
        if input_grad:
            super().backward(output_grad)
        else:
            output_grad = checked_output_grad(self, output_grad)
        self.param_grad = self._param_grad(output_grad)
        self._check_gradient(self.param_grad, self.param, "param_grad", "param")
        return self.input_grad if input_grad else None

    def _param_grad(self, output_grad: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _param_grad(output_grad)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'x'.join(str(size) for size in self.param.shape)})"


def _forgotten(result: object) -> str:
    return ": is a return missing?" if result is None else ""


def checked_output_grad(thing: Any, output_grad: Array) -> Array:
    """Return an output gradient that suits an Operation or a layer, as a plain array.

    Raises
    ------
    TypeError, ValueError
        If output_grad is not a floating array, or does not have the shape of the last output.
    RuntimeError
        If there is no last output.
    """
    output = getattr(thing, "output", None)
    if (
        type(output_grad) is np.ndarray
        and output_grad.dtype in FLOAT_DTYPES
        and output is not None
        and output_grad.shape == output.shape
    ):
        return output_grad
    name = type(thing).__name__
    if output is None:
        raise RuntimeError(f"{name}: backward was called before forward")
    plain: Array = plain_array(output_grad, name, "output_grad")
    check_float_array(plain, name, "output_grad")
    if plain.shape != output.shape:
        raise ValueError(
            f"{name}: output_grad must have the shape of the output, {output.shape}, "
            f"got {plain.shape}"
        )
    return plain


def backward_through(chain: Sequence[Any], output_grad: Array, input_grad: bool = True) -> Any:
    """Send a gradient back through a chain of Operations or layers (chain rule).

    Parameters
    ----------
    chain : sequence of Operation or Layer
    output_grad : ndarray, the shape of the last output
    input_grad : bool
        False goes back only as far as something in the chain trains. A subclass whose own
        ``backward(output_grad)`` has no such argument computes everything.

    Returns
    -------
    ndarray, the shape of the chain's input; None without input_grad
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


@functools.cache
def takes(function: Callable[..., Any], argument: str) -> bool:
    """Say whether a function has an argument of this name."""
    return argument in inspect.signature(function).parameters
