"""Which modules a module sends its input through, one after the other: what ``from_torch`` reads.

What is not among those modules but changes what they compute (hooks, a ``forward`` put on an
instance, autocast) cannot be converted, and is refused here.
"""

import copy
import inspect
import operator
import warnings
from typing import Any, TypeAlias

import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from dlfs.pytorch.inward import RULES
from dlfs.pytorch.layers import ConvLayer, PyTorchLayer

Part: TypeAlias = tuple[str, nn.Module]
"""A module and its path."""

_MEMORIES = (nn.RNN, nn.LSTM, nn.GRU)

_READ_ONLY = (getattr, operator.eq, operator.getitem, torch._assert)

_REMOVE = (
    "remove them first: a hook by the handle that it was registered with, pruning by "
    "torch.nn.utils.prune.remove, weight_norm by torch.nn.utils.remove_weight_norm, spectral_norm "
    "by torch.nn.utils.remove_spectral_norm"
)


def named(path: str) -> str:
    """Return a path as an error shows it."""
    return f"module {path}" if path else "the module"


def chain_of(module: nn.Module) -> list[Part]:
    """Return copies, set to predict, of the modules that a module sends its input through.

    Raises
    ------
    ValueError
        If its predictions are not only made by those modules, each with parameters of its own.
    """
    _check_alone(module)
    try:
        # The copy takes what eval() and a forward leave behind.
        module = copy.deepcopy(module).eval()
    except Exception as error:
        raise ValueError(f"from_torch: the module cannot be copied: {error}") from error
    chain = _chain("", module)
    seen: dict[int, str] = {}
    for path, part in chain:
        if any(inner.training for inner in part.modules()):
            raise ValueError(f"from_torch: {named(path)} stays in training mode after eval()")
        for name, tensor in _tensors(part):
            where = f"{path}.{name}" if path else name
            if id(tensor) in seen:
                raise ValueError(
                    f"from_torch: {where} is also {seen[id(tensor)]}: dlfs has no shared "
                    "parameters, training would change one and not the other"
                )
            seen[id(tensor)] = where
    return chain


def dtype_of(module: nn.Module) -> str:
    """Return the one dtype of all tensors; PyTorch's default where there are none.

    Raises
    ------
    ValueError
        If there are several, or one that dlfs does not have, or a tensor without numbers.
    """
    names = {torch.float32: "float32", torch.float64: "float64"}
    found: dict[torch.dtype, str] = {}
    for name, tensor in _tensors(module):
        if tensor.is_floating_point() or tensor.is_complex():
            found.setdefault(tensor.dtype, name)
    if not found:
        found[torch.get_default_dtype()] = "PyTorch's default"
    if len(found) > 1 or not found.keys() <= names.keys():
        listed = ", ".join(f"{dtype} ({name})" for dtype, name in found.items())
        raise ValueError(
            f"from_torch: the module's tensors must all be float32 or all float64, got {listed}"
        )
    return names[next(iter(found))]


def _tensors(module: nn.Module) -> list[tuple[str, Any]]:
    """Return all parameters and buffers by name, a shared one by each of its names."""
    return [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]


def _check_alone(module: nn.Module) -> None:
    """Refuse what changes the predictions and is no module in the chain."""
    everywhere = torch.nn.modules.module
    if everywhere._global_forward_hooks or everywhere._global_forward_pre_hooks:
        raise ValueError(f"from_torch: there are forward hooks on all modules; {_REMOVE}")
    for path, part in module.named_modules():
        reason = _unlike_its_class(part)
        if reason:
            raise ValueError(f"from_torch: {named(path)}, {type(part).__name__}: {reason}")


def _unlike_its_class(part: Any) -> str:
    """Say why a module does not compute what its class and its parameters say."""
    tensors = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
    if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        return "its parameters have no shape yet; call the module once"
    if any(tensor.is_meta for tensor in tensors):
        return "its tensors are on the device 'meta', which holds no numbers"
    if any(tensor.layout is not torch.strided for tensor in tensors):
        return "its tensors must be dense, got a sparse layout"
    if parametrize.is_parametrized(part):
        listed = ", ".join(part.parametrizations)
        return (
            f"parametrizations compute its parameters ({listed}); make them plain first, with "
            "torch.nn.utils.parametrize.remove_parametrizations"
        )
    hooks = [*part._forward_pre_hooks.values(), *part._forward_hooks.values()]
    if hooks:
        listed = ", ".join(getattr(hook, "__name__", type(hook).__name__) for hook in hooks)
        return f"it has forward hooks ({listed}), which may change what it computes; {_REMOVE}"
    if "forward" in vars(part):
        return "its forward was replaced by another on the instance"
    if type(part).__call__ is not nn.Module.__call__:
        return "its class writes its own __call__"
    return ""


def _chain(path: str, module: nn.Module) -> list[Part]:
    kind = type(module)
    if kind in RULES:
        return [(path, module)]
    if isinstance(module, PyTorchLayer):
        own = [
            name
            for name, known in (
                ("forward", (PyTorchLayer.forward,)),
                ("_compute", (PyTorchLayer._compute, ConvLayer._compute)),
            )
            if getattr(kind, name) not in known
        ]
        if own:
            raise ValueError(
                f"from_torch: {named(path)}: {kind.__name__} writes its own {own[0]}, which "
                "cannot be converted"
            )
        path, module = _below(path, "modules_in_order"), module.modules_in_order
    elif kind is not nn.Sequential:
        if _Tracer().is_leaf_module(module, ""):
            return [(path, module)]
        return [part for inner in _followed(path, module) for part in _chain(*inner)]
    return [
        part
        for name, inner in module._modules.items()
        for part in _chain(_below(path, name), inner)
    ]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class _Tracer(fx.Tracer):
    """Writes down which modules a forward calls, without looking into those that we know."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = type(m) in RULES or isinstance(m, PyTorchLayer)
        return known or bool(super().is_leaf_module(m, module_qualified_name))

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        # The graph does not show it.
        if torch.is_autocast_enabled("cpu"):
            raise ValueError("it computes in another dtype (torch.autocast)")
        return super().call_module(m, forward, args, kwargs)


def _followed(path: str, module: nn.Module) -> list[Part]:
    """Return the modules that a forward written by hand calls, in their order."""
    owner = f"from_torch: {named(path)}: {type(module).__name__}.forward"
    try:
        # An argument with a default has its default, as when the module is given a batch alone.
        _, *others = inspect.signature(module.forward).parameters.values()
        defaults = {p.name: p.default for p in others if p.default is not p.empty}
        with warnings.catch_warnings(action="ignore"):
            graph = _Tracer().trace(module, concrete_args=defaults)
    except Exception as error:
        raise ValueError(f"{owner} cannot be followed: {error}") from error
    nodes = list(graph.nodes)
    source = next((node for node in nodes if node.op == "placeholder"), None)
    node = next(node for node in nodes if node.op == "output").args[0]
    if isinstance(node, tuple) and node:
        node = node[0]
    on_the_way: list[Any] = []
    while node is not source:
        on_the_way.append(node)
        node = _before(node, module, owner)
    for node in nodes:
        if node not in on_the_way and _may_write(node, module):
            raise ValueError(
                f"{owner} calls {node.target!r:.80} without using the result, which may change "
                "other numbers in place"
            )
    return [
        (_below(path, node.target), module.get_submodule(node.target))
        for node in reversed(on_the_way)
        if node.op == "call_module"
    ]


def _before(node: Any, module: nn.Module, owner: str) -> Any:
    """Return what a step of the way took."""
    called = _called(node, module)
    given = [each for each in (*node.args, *node.kwargs.values()) if each is not None]
    if isinstance(called, PyTorchLayer):
        # Whether it is to predict, which it does in any case.
        given = [each for each in given if not isinstance(each, bool)]
    if called is not None:
        if len(given) != 1:
            raise ValueError(
                f"{owner} must give {node.target} its input alone, got {len(given)} arguments"
            )
        return given[0]
    # A recurrent layer returns its final state besides.
    takes = getattr(node, "op", "") == "call_function" and node.target is operator.getitem
    if takes and node.args[1] == 0 and type(_called(node.args[0], module)) in _MEMORIES:
        return node.args[0]
    raise ValueError(
        f"{owner} must send its input through modules, one after the other, and nothing else; it "
        f"also does: {getattr(node, 'target', node)!r:.80}"
    )


def _called(node: Any, module: nn.Module) -> nn.Module | None:
    """Return the module that a node calls, if it calls one."""
    return module.get_submodule(node.target) if getattr(node, "op", "") == "call_module" else None


def _may_write(node: Any, module: nn.Module) -> bool:
    """Say whether a node may change in place what others read."""
    called = _called(node, module)
    if called is not None:
        return any(getattr(part, "inplace", False) for part in called.modules())
    if node.op == "call_method":
        return bool(node.target.endswith("_"))
    if node.op != "call_function" or node.target in _READ_ONLY:
        return False
    # PyTorch's functions say by name or flag that they write. ``h += 1`` looks like ``h + 1``.
    name = getattr(node.target, "__name__", "_")
    known = any(getattr(place, name, None) is node.target for place in (torch, nn.functional))
    writes = name[-1] == "_" or any(each is True for each in node.args)
    return not known or writes or not {"out", "inplace"}.isdisjoint(node.kwargs)
