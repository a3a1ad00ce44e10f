"""The modules that correspond to calls of PyTorch's functions in a ``forward``."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional


@dataclass(frozen=True)
class Step:
    """The computation of one node of a graph from its input nodes.

    One input passes through the modules in order. Several inputs are added, or concatenated along
    ``dim``.
    """

    inputs: list[Any]
    modules: tuple[nn.Module, ...] = ()
    dim: int | None = None


def step_of(node: fx.Node) -> Step | None:
    """Return the step of a call of a function or method; None if no module corresponds to it.

    Examples
    --------
    >>> graph = fx.symbolic_trace(lambda x: torch.relu(x) + x).graph
    >>> x, relu, add, _ = graph.nodes
    >>> step_of(relu).modules, step_of(add).inputs == [relu, x]
    ((ReLU(),), True)
    """
    rule = _CALLS.get(function_name(node).rstrip("_"))
    if rule is None:
        return None
    try:
        step = rule(*node.args, **node.kwargs)
    except (TypeError, ValueError):
        # An argument that the module does not have.
        return None
    for module in () if step is None else step.modules:
        module.eval()
    return step


def function_name(node: fx.Node) -> str:
    """Return the name of the function or method of PyTorch that a node calls; "" for others."""
    if node.op == "call_method":
        return str(node.target)
    if node.op != "call_function":
        return ""
    if node.target in (operator.add, operator.iadd):
        return "add" if node.target is operator.add else "add_"
    name = getattr(node.target, "__name__", "")
    known = any(getattr(place, name, None) is node.target for place in (torch, functional))
    return name if known else ""


def writes_in_place(node: fx.Node) -> bool:
    """Say whether the call of a known function or method overwrites its argument."""
    options = (node.kwargs.get("inplace"), node.kwargs.get("out"))
    flagged = any(each is True for each in node.args) or any(options)
    return function_name(node).endswith("_") or flagged


def _through(make: Callable[..., nn.Module]) -> Callable[..., Step]:
    """Return a rule: the function's options, except its input, are those of the module."""
    return lambda input, *options, **named: Step([input], (make(*options, **named),))


def _add(input: Any, other: Any, *, alpha: Any = 1) -> Step | None:
    operands = [each for each in (input, other) if not (type(each) is int and each == 0)]
    # Python's sum begins with 0.
    return Step(operands) if alpha == 1 else None


def _cat(tensors: Any, dim: int = 0) -> Step | None:
    return Step(list(tensors), dim=dim) if isinstance(tensors, list | tuple) else None


def _max_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> nn.Module:
    return nn.MaxPool2d(kernel_size, stride, padding, dilation, return_indices, ceil_mode)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    if training is not False:
        raise ValueError("it drops in predictions, too")
    return nn.Dropout(p, inplace)


def _softmax(dim: Any = None, _stacklevel: Any = 3, dtype: Any = None) -> nn.Module:
    # torch.softmax has dtype as its second argument.
    if dtype is not None or not (_stacklevel is None or isinstance(_stacklevel, int)):
        raise ValueError("it changes the dtype")
    return nn.Softmax(dim)


def _log_softmax(dim: Any = None, _stacklevel: Any = 3, dtype: Any = None) -> nn.Module:
    return nn.LogSoftmax(_softmax(dim, _stacklevel, dtype).dim)


def _mean(input: Any, dim: Any = None, keepdim: bool = False) -> Step | None:
    if not isinstance(dim, list | tuple) or tuple(dim) not in ((2, 3), (-2, -1)):
        return None
    return Step([input], (nn.AdaptiveAvgPool2d(1), *(() if keepdim else (nn.Flatten(),))))


def _view(input: Any, *sizes: Any) -> Step | None:
    """``x.view(x.size(0), -1)`` flattens; any other view may mix the observations."""
    flattens = len(sizes) == 2 and _is_length(sizes[0], input) and sizes[1] == -1
    return Step([input], (nn.Flatten(),)) if flattens else None


def _is_length(size: Any, tensor: Any) -> bool:
    """Say whether a node is ``tensor.size(0)``, ``tensor.size()[0]`` or ``tensor.shape[0]``."""
    if not isinstance(size, fx.Node):
        return False
    if size.target == "size":
        return size.args == (tensor, 0) and not size.kwargs
    if size.target is not operator.getitem or size.args[1] != 0:
        return False
    sizes: Any = size.args[0]
    return (sizes.target, sizes.args) in (("size", (tensor,)), (getattr, (tensor, "shape")))


_CALLS: dict[str, Callable[..., Step | None]] = {
    "add": _add,
    "cat": _cat,
    "concat": _cat,
    "concatenate": _cat,
    "relu": _through(nn.ReLU),
    "sigmoid": _through(nn.Sigmoid),
    "tanh": _through(nn.Tanh),
    "leaky_relu": _through(nn.LeakyReLU),
    "elu": _through(nn.ELU),
    "selu": _through(nn.SELU),
    "mish": _through(nn.Mish),
    "hardswish": _through(nn.Hardswish),
    "log_softmax": _through(_log_softmax),
    "gelu": _through(nn.GELU),
    "silu": _through(nn.SiLU),
    "softplus": _through(nn.Softplus),
    "softmax": _through(_softmax),
    "dropout": _through(_dropout),
    # The function starts at the batch axis, and the module after it.
    "flatten": _through(lambda start_dim=0, end_dim=-1: nn.Flatten(start_dim, end_dim)),
    "view": _view,
    "reshape": _view,
    "max_pool2d": _through(_max_pool),
    "avg_pool2d": _through(nn.AvgPool2d),
    "adaptive_avg_pool2d": _through(nn.AdaptiveAvgPool2d),
    "mean": _mean,
}
