"""Operation and ParamOperation: one step forward, and the same step backward.

An Operation is a function with one input and one output. Forward, it remembers both; backward, it
turns the gradient of the loss with respect to its output into the gradient with respect to its
input (chain rule). Everything else in dlfs is made of Operations, one after the other.
"""

import inspect
from typing import Any, ClassVar

import numpy as np

from dlfs.checks import check_float_array, plain_array
from dlfs.configuration import Configured
from dlfs.types import Array


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

    inference = False
    _output_takes_inference: ClassVar[bool] = False

    input_: Array
    output: Array
    input_grad: Array

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_output" in cls.__dict__:
            cls._output_takes_inference = len(inspect.signature(cls._output).parameters) > 1

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
        input_ = plain_array(input_, type(self).__name__, "input_")
        self._check_input(input_)
        self.input_ = input_
        self.inference = inference
        if self._output_takes_inference:
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
        output_grad = plain_array(output_grad, type(self).__name__, "output_grad")
        self._check_output_grad(output_grad)
        self.input_grad = self._input_grad(output_grad)
        self._check_gradient(self.input_grad, self.input_, "input_grad", "input_")
        return self.input_grad

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
        check_float_array(input_, type(self).__name__, "input_")

    def _check_output_grad(self, output_grad: Array) -> None:
        name = type(self).__name__
        output = getattr(self, "output", None)
        if output is None:
            raise RuntimeError(f"{name}: backward was called before forward")
        check_float_array(output_grad, name, "output_grad")
        if output_grad.shape != output.shape:
            raise ValueError(
                f"{name}: output_grad must have the shape of the output, {output.shape}, "
                f"got {output_grad.shape}"
            )

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

    penalized: ClassVar[bool] = True

    param_grad: Array

    def __init__(self, param: Array) -> None:
        super().__init__()
        param = plain_array(param, type(self).__name__, "param")
        check_float_array(param, type(self).__name__, "param")
        self.param = param

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "backward" in cls.__dict__ and "backward_params" not in cls.__dict__:
            # Whoever writes an own backward means it for the parameters too.
            cls.backward_params = _whole_backward  # type: ignore[method-assign, assignment]

    def backward(self, output_grad: Array) -> Array:
        """Turn the gradient of the output into those of the input and, kept, the parameter.

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
        input_grad = super().backward(output_grad)
        self._keep_param_grad(output_grad)
        return input_grad

    def backward_params(self, output_grad: Array) -> None:
        """Compute only the gradient of the parameter.

        At a network's first Operation nobody asks for the gradient of the data, and it would be
        most of the work.
        """
        output_grad = plain_array(output_grad, type(self).__name__, "output_grad")
        self._check_output_grad(output_grad)
        self._keep_param_grad(output_grad)

    def _keep_param_grad(self, output_grad: Array) -> None:
        self.param_grad = self._param_grad(output_grad)
        self._check_gradient(self.param_grad, self.param, "param_grad", "param")

    def _param_grad(self, output_grad: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _param_grad(output_grad)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'x'.join(str(size) for size in self.param.shape)})"


def _forgotten(result: object) -> str:
    return ": is a return missing?" if result is None else ""


def _whole_backward(operation: ParamOperation, output_grad: Array) -> None:
    operation.backward(output_grad)
