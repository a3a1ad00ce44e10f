"""One interface for everything that can be checked: Operation, Layer, Loss, network, functions.

A Subject is a function of named arrays with an analytic gradient. It looks at the methods of an
object, not at its class, so that the book's or a student's own classes can be checked as well.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dlfs.checks import plain_array
from dlfs.gradcheck.copies import Frozen, float64_copy, own_copy, states, walk
from dlfs.types import Array

INPUT = "input_"


class Subject(ABC):
    """A copy of the target, ready to be checked.

    Attributes
    ----------
    name : str
        The name of the target's class, for the report.
    kind : str
        "operation", "layer", "loss", "network" or "functions".
    target : object
        The copy of the target.
    x : Array
        The input. It is one of the variables unless it holds integers.
    scalar : bool
        Whether the output is one number, as a loss is; its output gradient is 1.
    """

    kind: str
    scalar = False
    shake: np.random.Generator | None = None

    def __init__(self, target: Any, x: Any, inference: bool = False) -> None:
        self.name = type(target).__name__
        self.target = target
        self.x = x = _plain(x)
        self.given = x.copy() if isinstance(x, np.ndarray) else x
        self.inference = inference
        self._pristine: Any = None
        self._frozen: Frozen | None = None

    def prepare(self) -> Array:
        """Run once, to set up what depends on the first input; return the output."""
        before = {id(thing): carried for thing, carried in states(self.target)}
        output = self._forward()
        for thing, _ in states(self.target):
            thing.carried = before.get(id(thing))
        self.freeze()
        array = np.array(output)
        if array.dtype.kind not in "fiub" or (self.kind == "loss" and array.ndim):
            needed = "one number" if self.kind == "loss" else "an array of numbers"
            got = f"shape {array.shape}" if array.dtype.kind in "fiub" else type(output).__name__
            raise TypeError(f"check_gradients: {self.name} must return {needed}, got {got}")
        return array

    def freeze(self) -> None:
        """Make every later pass start from the present random numbers and states."""
        self._frozen = Frozen(self.target)

    def output(self) -> Array:
        """Run forward and return a copy of the output; the same every time."""
        self._restore()
        output = np.array(self._forward())
        self._restore()
        return output

    def pull(self, output_grad: Array) -> dict[str, Any]:
        """Run forward and backward, and return the gradient of each variable by name."""
        self._restore()
        self._forward()
        grads = self.pull_again(output_grad)
        self._restore()
        return grads

    def pull_rounded(
        self, output_grad: Array, size: float, rng: np.random.Generator
    ) -> dict[str, Any]:
        """As `pull`, with the outputs kept for backward changed by a relative ``size`` at most."""
        self._restore()
        self._forward()
        for thing in walk(self.target):
            output = getattr(thing, "output", None)
            if isinstance(output, np.ndarray) and output.dtype.kind == "f":
                noise = rng.uniform(-size, size, output.shape)
                thing.output = (output * (1 + noise)).astype(output.dtype)
        grads = self.pull_again(output_grad)
        self._restore()
        return grads

    def pull_again(self, output_grad: Array) -> dict[str, Any]:
        """Run only backward, after the latest forward pass."""
        input_grad = self._backward(output_grad)
        grads = {name: np.array(grad) for name, grad in self._param_grads().items()}
        if self.differentiable_input():
            grads = {INPUT: np.array(input_grad), **grads}
        return grads

    def variables(self) -> dict[str, Array]:
        """Return the arrays that the gradients belong to; they may be changed."""
        inputs = {INPUT: self.x} if self.differentiable_input() else {}
        return {**inputs, **self._params()}

    def differentiable_input(self) -> bool:
        """Say whether the input holds real numbers; integers have no gradient."""
        return isinstance(self.x, np.ndarray) and self.x.dtype.kind == "f"

    def dtype(self) -> "np.dtype[Any]":
        """Return the dtype in which the target computes."""
        dtypes = [array.dtype for array in self.variables().values()]
        return np.dtype(np.float32) if np.dtype(np.float32) in dtypes else np.dtype(np.float64)

    def precise(self) -> "Subject":
        """Return the same subject in float64, on another copy."""
        self._restore()
        other = self._again(float64_copy(self.target), float64_copy(self.x))
        if other.differentiable_input():
            other.x = np.array(other.x, order="C")
        other.scalar = self.scalar
        other.freeze()
        return other

    def fresh(self, other_x: Array) -> "Subject | None":
        """Return the same subject after a first forward pass with another input."""
        if self._pristine is None:
            return None
        other = self._again(own_copy(self._pristine), other_x)
        other.prepare()
        other.x = self.x
        return other

    def _restore(self) -> None:
        if self._frozen is not None:
            self._frozen.restore()

    def _rounded(self, loss_grad: Any) -> Any:
        """Return the gradient of a loss, rounded differently while rounding is being measured.

        It is a difference of numbers of order 1, such as probabilities, divided by the batch. Near
        a perfect prediction no small move of the input changes their last bits.
        """
        if self.shake is None:
            return loss_grad
        size = float(np.finfo(loss_grad.dtype).eps) / max(len(loss_grad), 1)
        noise = self.shake.uniform(-size, size, loss_grad.shape)
        return (loss_grad + noise).astype(loss_grad.dtype)

    def _again(self, target: Any, x: Any) -> "Subject":
        return type(self)(target, x, self.inference)

    @abstractmethod
    def _forward(self) -> Any: ...

    @abstractmethod
    def _backward(self, output_grad: Array) -> Any: ...

    @abstractmethod
    def _params(self) -> dict[str, Array]: ...

    @abstractmethod
    def _param_grads(self) -> dict[str, Any]: ...


class OperationSubject(Subject):
    """One Operation."""

    kind = "operation"

    def _forward(self) -> Any:
        return _forward(self.target, self.x, self.inference)

    def _backward(self, output_grad: Array) -> Any:
        return self.target.backward(output_grad)

    def _params(self) -> dict[str, Array]:
        return {"param": self.target.param} if hasattr(self.target, "param") else {}

    def _param_grads(self) -> dict[str, Any]:
        return {"param": self.target.param_grad} if hasattr(self.target, "param") else {}


class LayerSubject(Subject):
    """A layer; its parameters are named after their Operations."""

    kind = "layer"

    def _forward(self) -> Any:
        return _forward(self.target, self.x, self.inference)

    def _backward(self, output_grad: Array) -> Any:
        return self.target.backward(output_grad)

    def _params(self) -> dict[str, Array]:
        return dict(zip(self._names(), _listed(self.target, "params"), strict=True))

    def _param_grads(self) -> dict[str, Any]:
        return dict(zip(self._names(), _listed(self.target, "param_grads"), strict=True))

    def _names(self) -> list[str]:
        return _param_names(self.target)


class NetworkSubject(Subject):
    """A whole network: with targets its loss, without them its prediction."""

    kind = "network"

    def __init__(self, target: Any, x: Any, inference: bool = False, y: Any = None) -> None:
        super().__init__(target, x, inference)
        self.y = y
        self.scalar = y is not None

    def _again(self, target: Any, x: Any) -> Subject:
        return NetworkSubject(target, x, self.inference, self.y)

    def _forward(self) -> Any:
        prediction = _forward(self.target, self.x, self.inference)
        if self.y is None:
            return prediction
        return self.target.loss.forward(prediction, self.y)

    def _backward(self, output_grad: Array) -> Any:
        if self.y is not None:
            output_grad = self._rounded(self.target.loss.backward())
        return self.target.backward(output_grad)

    def _params(self) -> dict[str, Array]:
        return dict(zip(self._names(), _listed(self.target, "params"), strict=True))

    def _param_grads(self) -> dict[str, Any]:
        return dict(zip(self._names(), _listed(self.target, "param_grads"), strict=True))

    def _names(self) -> list[str]:
        names = []
        for number, layer in enumerate(self.target.layers):
            inner = _param_names(layer)
            names += [f"layers[{number}].{name}" for name in inner]
        return names


class LossSubject(Subject):
    """A loss: the variable is the prediction."""

    kind = "loss"
    scalar = True

    def __init__(self, target: Any, x: Any, inference: bool = False, y: Any = None) -> None:
        super().__init__(target, x, inference)
        self.y = y

    def _again(self, target: Any, x: Any) -> Subject:
        y = self.y
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and y.dtype == np.float32:
            y = y.astype(x.dtype)
        return LossSubject(target, x, self.inference, y)

    def _forward(self) -> Any:
        return self.target.forward(self.x, self.y)

    def _backward(self, output_grad: Array) -> Any:
        return self._rounded(self.target.backward())

    def _params(self) -> dict[str, Array]:
        return {}

    def _param_grads(self) -> dict[str, Any]:
        return {}


class FunctionsSubject(Subject):
    """A pair of functions: ``forward(*arrays)`` and ``backward(output_grad, *arrays)``."""

    kind = "functions"

    def __init__(self, target: Any, x: Any, inference: bool = False) -> None:
        super().__init__(target, x, inference)
        name = getattr(target[0], "__name__", type(target[0]).__name__)
        self.name = "a pair of functions" if name == "<lambda>" else name
        _check_arguments(target[0], len(x))
        self.arrays: dict[str, Any] = dict(zip(_argument_names(target[0], x), x, strict=True))

    def _forward(self) -> Any:
        output = self.target[0](*self.arrays.values())
        self.scalar = np.ndim(output) == 0
        return output

    def _backward(self, output_grad: Array) -> Any:
        given: Any = output_grad[()] if self.scalar else output_grad
        grads = self.target[1](given, *self.arrays.values())
        if not isinstance(grads, tuple | list):
            grads = (grads,)
        if len(grads) != len(self.arrays):
            raise ValueError(
                f"{self.name}: backward must return one gradient for each of the "
                f"{len(self.arrays)} arguments, got {len(grads)}"
            )
        self._grads = dict(zip(self.arrays, grads, strict=True))
        return None

    def differentiable_input(self) -> bool:
        """Return False: the arrays have names of their own."""
        return False

    def _params(self) -> dict[str, Array]:
        return {
            name: array
            for name, array in self.arrays.items()
            if isinstance(array, np.ndarray) and array.dtype.kind == "f"
        }

    def _param_grads(self) -> dict[str, Any]:
        return {name: self._grads[name] for name in self._params()}

    def forward_complex(self, name: str, value: Array) -> Array:
        """Run forward with one argument replaced by a complex one."""
        arrays = {**self.arrays, name: value}
        return np.asarray(self.target[0](*arrays.values()))


def make_subject(target: Any, x: Any, y: Any = None, inference: bool = False) -> Subject:
    """Wrap a copy of a target, after checking that it can be checked.

    Raises
    ------
    TypeError
        If target cannot be checked, or x is not an array.
    ValueError
        If y is missing for a loss, or given where it is not used.
    """
    if isinstance(target, tuple | list) and len(target) == 2 and all(map(callable, target)):
        _check_no_targets(target, y)
        arrays = x if isinstance(x, tuple | list) else (x,)
        copies = tuple(_checked(np.array(_plain(array)), "x") for array in arrays)
        return FunctionsSubject(tuple(target), copies)
    if isinstance(target, type):
        raise TypeError(
            f"check_gradients: target must be an instance, got the class {target.__name__}; "
            f"write {target.__name__}(...) with its arguments"
        )
    x, y = _checked(x, "x"), _plain(y, "y")
    if hasattr(target, "_param_grad") and not hasattr(target, "param"):
        raise TypeError(
            f"check_gradients: {type(target).__name__} has no param: its __init__ must call "
            "super().__init__(param)"
        )
    if hasattr(target, "loss"):
        if x.dtype.kind == "f" and hasattr(target, "dtype"):
            x = x.astype(target.dtype, copy=False)  # as the network itself would do
        return NetworkSubject(own_copy(target), x, inference, y)
    if not (callable(getattr(target, "forward", None)) and hasattr(target, "backward")):
        raise TypeError(
            "check_gradients: target must be an Operation, a Layer, a Loss, a NeuralNetwork or a "
            f"pair of functions (forward, backward), got {target!r:.80}"
        )
    if _is_loss(target):
        if y is None:
            raise ValueError(
                f"check_gradients: {type(target).__name__} is a loss and needs targets: "
                "check_gradients(loss, prediction, y=target)"
            )
        return LossSubject(own_copy(target), x, inference, y)
    _check_no_targets(target, y)
    if hasattr(target, "operations") or hasattr(target, "params"):
        return LayerSubject(own_copy(target), x, inference)
    subject = OperationSubject(own_copy(target), x, inference)
    subject._pristine = own_copy(target)
    return subject


def _is_loss(target: Any) -> bool:
    return any(kind.__name__ == "Loss" for kind in type(target).__mro__)


def _check_no_targets(target: Any, y: Any) -> None:
    if y is not None:
        name = "a pair of functions" if isinstance(target, tuple | list) else type(target).__name__
        raise ValueError(f"check_gradients: y is for losses and networks; {name} takes none")


def _plain(array: Any, name: str = "x") -> Any:
    return plain_array(array, "check_gradients", name)


def _checked(x: Any, name: str) -> Array:
    x = _plain(x, name)
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu":
        got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"check_gradients: {name} must be an array of numbers, got {got}")
    if x.dtype.kind == "f" and not np.all(np.isfinite(x)):
        raise ValueError(f"check_gradients: {name} must be finite, got NaN or infinity in it")
    return x


def _check_arguments(function: Callable[..., Any], count: int) -> None:
    """Compare the number of arrays with a function's signature, if it has one."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        arrays = "array" if count == 1 else "arrays"
        raise TypeError(
            f"check_gradients: x must hold one array for each argument of forward, whose "
            f"signature is {inspect.signature(function)}; got {count} {arrays}"
        ) from None
    except ValueError:  # functions in C may have no signature
        return


def _argument_names(function: Callable[..., Any], arrays: Any) -> list[str]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if len(names) < len(arrays):
        names = [f"argument {number}" for number in range(len(arrays))]
    return names[: len(arrays)]


def _forward(target: Any, x: Any, inference: bool) -> Any:
    return target.forward(x, inference=True) if inference else target.forward(x)


def _listed(target: Any, name: str) -> list[Any]:
    """Return ``params`` or ``param_grads``, which may be a list or a method that returns one."""
    held = getattr(target, name)
    return list(held() if callable(held) else held)


def _param_names(layer: Any) -> list[str]:
    """Name each parameter of a layer after its Operation."""
    params = _listed(layer, "params")
    holders = {id(op.param): type(op).__name__ for op in _operations(layer)}
    names = [holders.get(id(param), f"params[{k}]") for k, param in enumerate(params)]
    return [
        name if names.count(name) == 1 else f"{name}[{names[:k].count(name)}]"
        for k, name in enumerate(names)
    ]


def _operations(layer: Any) -> Iterator[Any]:
    yield from (op for op in getattr(layer, "operations", []) if hasattr(op, "param"))
    for inner in getattr(layer, "layers", []):
        yield from _operations(inner)
