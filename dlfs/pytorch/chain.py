"""Checks a module, and returns the tree of inner modules that ``from_torch`` converts.

Other causes of a changed computation (hooks, a ``forward`` set on an instance, autocast) cannot be
converted, and are refused here.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from dlfs.pytorch.inward import RULES
from dlfs.pytorch.layers import ConvLayer, PyTorchLayer
from dlfs.pytorch.trace import Chain, Fork, Leaf, below, is_leaf, named, tree_of

_REMOVE = (
    "remove them first: a hook by the handle that it was registered with, pruning by "
    "torch.nn.utils.prune.remove, weight_norm by torch.nn.utils.remove_weight_norm, spectral_norm "
    "by torch.nn.utils.remove_spectral_norm"
)


def chain_of(module: nn.Module) -> Chain:
    """Return copies, set to predict, of the modules that process a module's input.

    They form a chain; a Fork in it has several branches.

    Raises
    ------
    ValueError
        If its predictions depend on anything else, or modules share parameters.
    """
    _check_alone(module)
    try:
        # The copy absorbs the effects of eval() and of a forward.
        module = copy.deepcopy(module).eval()
    except Exception as error:
        raise ValueError(f"from_torch: the module cannot be copied: {error}") from error
    chain = _chain("", module)
    seen: dict[int, str] = {}
    for leaf in leaves(chain):
        path, part = leaf.path, leaf.module
        if any(inner.training for inner in part.modules()):
            raise ValueError(f"from_torch: {named(path)} stays in training mode after eval()")
        for name, tensor in _tensors(part):
            where = below(path, name)
            if id(tensor) in seen:
                raise ValueError(
                    f"from_torch: {where} is also {seen[id(tensor)]}: dlfs has no shared "
                    "parameters, training would change one and not the other"
                )
            seen[id(tensor)] = where
    return chain


def dtype_of(module: nn.Module) -> str:
    """Return the common dtype of all tensors; PyTorch's default if there are none.

    Raises
    ------
    ValueError
        If there are several dtypes, one that dlfs does not have, or a tensor without numbers.
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
    """Refuse everything that changes the predictions and is not a module in the chain."""
    everywhere = torch.nn.modules.module
    if everywhere._global_forward_hooks or everywhere._global_forward_pre_hooks:
        raise ValueError(f"from_torch: there are forward hooks on all modules; {_REMOVE}")
    for path, part in module.named_modules():
        reason = _unlike_its_class(part)
        if reason:
            raise ValueError(f"from_torch: {named(path)}, {type(part).__name__}: {reason}")


def _unlike_its_class(part: Any) -> str:
    """Return why a module does not compute the function of its class and parameters."""
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


def _chain(path: str, module: nn.Module) -> Chain:
    kind = type(module)
    if kind in RULES:
        return [Leaf(path, module)]
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
        path, module = below(path, "modules_in_order"), module.modules_in_order
    elif kind is not nn.Sequential:
        return [Leaf(path, module)] if is_leaf(module) else _expanded(tree_of(path, module))
    return [
        part for name, inner in module._modules.items() for part in _chain(below(path, name), inner)
    ]


def _expanded(tree: Chain) -> Chain:
    """Replace a module by its inner modules."""
    chain: Chain = []
    for part in tree:
        if isinstance(part, Fork):
            branches = [_expanded(branch) for branch in part.branches]
            chain.append(Fork(part.path, branches, part.dim))
        else:
            chain += _chain(part.path, part.module)
    return chain


def leaves(chain: Chain) -> Iterator[Leaf]:
    """Iterate over all modules, also those of branches."""
    for part in chain:
        if isinstance(part, Leaf):
            yield part
        else:
            for branch in part.branches:
                yield from leaves(branch)
