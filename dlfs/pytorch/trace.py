"""Reads a hand-written ``forward`` as a tree of chains and branches."""

import inspect
import operator
import warnings
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeAlias

import torch
from torch import fx, nn

from dlfs.pytorch.functions import Step, function_name, step_of, writes_in_place
from dlfs.pytorch.inward import RULES
from dlfs.pytorch.layers import PyTorchLayer


@dataclass(frozen=True)
class Leaf:
    """One module, and its path; for a function, that of the module whose forward calls it."""

    path: str
    module: nn.Module


@dataclass(frozen=True)
class Fork:
    """Branches with the same input; an empty branch returns it.

    Their outputs are added, or concatenated along ``dim``.
    """

    path: str
    branches: list["Chain"]
    dim: int | None = None


Chain: TypeAlias = list[Leaf | Fork]

_MEMORIES = (nn.RNN, nn.LSTM, nn.GRU)
_PASSING = (nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten, PyTorchLayer)
"""Modules whose output may be their input, or a view of it."""

_READ_ONLY = (getattr, operator.eq, operator.getitem, torch._assert)


def named(path: str) -> str:
    """Return a path as an error shows it."""
    return f"module {path}" if path else "the module"


def below(path: str, name: str) -> str:
    """Return the path of a module's attribute."""
    return f"{path}.{name}" if path and name else path or name


def is_leaf(module: nn.Module) -> bool:
    """Say whether a module is converted as one piece, without reading its forward."""
    return _Tracer().is_leaf_module(module, "")


def tree_of(path: str, module: nn.Module) -> Chain:
    """Return the tree of a module's forward.

    Raises
    ------
    ValueError
        If it has an operation without a layer, or its branches do not meet again.
    """
    return _Forward(path, module).tree()


class _Proxy(fx.Proxy):
    """Represents a tensor during tracing; distinguishes ``x += y`` from ``x + y``."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Tracer(fx.Tracer):
    """Records the calls of a forward, without tracing known modules."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = type(m) in RULES or isinstance(m, PyTorchLayer)
        return known or bool(super().is_leaf_module(m, module_qualified_name))

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        # The graph does not show it.
        if torch.is_autocast_enabled("cpu"):
            raise ValueError("it computes in another dtype (torch.autocast)")
        return super().create_node(*args, **kwargs)


class _Forward:
    """The graph of one forward, read from its output back to its input."""

    def __init__(self, path: str, module: nn.Module) -> None:
        self.path, self.module = path, module
        self.owner = f"from_torch: {named(path)}: {type(module).__name__}.forward"
        self.nodes = list(self._traced().nodes)
        self.source = next((node for node in self.nodes if node.op == "placeholder"), None)
        self.steps: dict[Any, Step] = {}
        self.taken: set[Any] = set()

    def tree(self) -> Chain:
        end: Any = next(node for node in self.nodes if node.op == "output").args[0]
        if isinstance(end, tuple) and end:
            end = end[0]
        waiting = [end]
        while waiting:
            node = waiting.pop()
            if node is not self.source and node not in self.steps:
                self.steps[node] = self._step(node)
                waiting += self.steps[node].inputs
        self._check_writes()
        self.ways = self._ways()
        return self._between(self.source, end)

    def _traced(self) -> fx.Graph:
        try:
            # An argument with a default has its default, as when the module gets a batch alone.
            _, *others = inspect.signature(self.module.forward).parameters.values()
            defaults = {p.name: p.default for p in others if p.default is not p.empty}
            with warnings.catch_warnings(action="ignore"):
                return _Tracer().trace(self.module, concrete_args=defaults)
        except Exception as error:
            raise ValueError(f"{self.owner} cannot be followed: {error}") from error

    def _step(self, node: Any) -> Step:
        """Return the step of a node, or refuse it."""
        called = self._called(node)
        if called is not None:
            return self._module_step(node, called)
        step = step_of(node) if isinstance(node, fx.Node) else None
        # A recurrent layer also returns its final state.
        takes = getattr(node, "op", "") == "call_function" and node.target is operator.getitem
        if takes and node.args[1] == 0 and type(self._called(node.args[0])) in _MEMORIES:
            step = Step([node.args[0]])
        if step is None or not all(isinstance(each, fx.Node) for each in step.inputs):
            raise ValueError(
                f"{self.owner} must send its input through modules, activations, pooling, sums "
                "and torch.cat, with fixed options, and nothing else; it also does: "
                f"{self._shown(node)}"
            )
        return step

    def _module_step(self, node: fx.Node, called: nn.Module) -> Step:
        given = [each for each in (*node.args, *node.kwargs.values()) if each is not None]
        if isinstance(called, PyTorchLayer):
            # The mode of inference, which always applies.
            given = [each for each in given if not isinstance(each, bool)]
        if len(given) != 1:
            raise ValueError(
                f"{self.owner} must give {node.target} its input alone, got {len(given)} arguments"
            )
        return Step(given, (called,))

    def _called(self, node: Any) -> nn.Module | None:
        """Return the module that a node calls, if it calls one."""
        calls = getattr(node, "op", "") == "call_module"
        return self.module.get_submodule(node.target) if calls else None

    def _shown(self, node: Any) -> str:
        call = isinstance(node, fx.Node) and node.op.startswith("call")
        return f"{node.target!r:.80}" + (f" of {node.args!r:.80}" if call else "")

    # --- changes in place ---

    def _check_writes(self) -> None:
        """Refuse changes in place of numbers that are also used elsewhere."""
        for node in self.nodes:
            if node not in self.steps and self._may_write(node):
                raise ValueError(
                    f"{self.owner} calls {node.target!r:.80} without using the result, which may "
                    "change other numbers in place"
                )
        for node in self.steps:
            written = self.steps[node].inputs[0]
            writes = self._may_write(node) if node.op == "call_module" else writes_in_place(node)
            while writes:
                if sum(written in step.inputs for step in self.steps.values()) > 1:
                    raise ValueError(
                        f"{self.owner}: {node.target!r:.80} changes the result of "
                        f"{written.name} in place, which is used in another place, too; write it "
                        "without inplace=True or +="
                    )
                if written is self.source or not self._passes(written):
                    break
                # Another name for the same memory.
                written = self.steps[written].inputs[0]

    def _passes(self, node: fx.Node) -> bool:
        step = self.steps[node]
        if len(step.inputs) > 1:
            return writes_in_place(node)
        passing = all(isinstance(module, _PASSING) for module in step.modules)
        return passing or writes_in_place(node) or self._may_write(node)

    def _may_write(self, node: fx.Node) -> bool:
        """Say whether a node may change other nodes' numbers in place."""
        called = self._called(node)
        if called is not None:
            return any(getattr(part, "inplace", False) for part in called.modules())
        if node.op not in ("call_function", "call_method") or node.target in _READ_ONLY:
            return False
        # ``x.data += 1`` looks like an addition.
        known = function_name(node) and node.target is not operator.add
        return not known or writes_in_place(node)

    # --- the tree ---

    def _ways(self) -> dict[Any, list[Any]]:
        """Return for each node the nodes on all paths from the input to it."""
        ways: dict[Any, list[Any]] = {self.source: [self.source]}
        for node in self.nodes:
            if node in self.steps:
                first, *others = (ways[each] for each in self.steps[node].inputs)
                count = len(first)
                for other in others:
                    pairs = zip(first[:count], other, strict=False)
                    count = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], pairs))
                ways[node] = [*first[:count], node]
        return ways

    def _between(self, start: Any, node: Any) -> Chain:
        """Return the steps from one node, which is on all paths, to another."""
        chain: Chain = []
        while node is not start:
            if node in self.taken:
                raise ValueError(
                    f"{self.owner}: the result of {node.name} ({self._shown(node)}) goes into "
                    "several branches that do not all meet again in one sum or torch.cat; layers "
                    "within layers cannot say that"
                )
            self.taken.add(node)
            step = self.steps[node]
            if len(step.inputs) > 1:
                before = self.ways[node][-2]
                branches = [self._between(before, each) for each in step.inputs]
                chain.append(Fork(self._path(node), _sum_of_all(branches, step.dim), step.dim))
                node = before
            else:
                chain += [Leaf(self._path(node), module) for module in reversed(step.modules)]
                node = step.inputs[0]
        return chain[::-1]

    def _path(self, node: fx.Node) -> str:
        """Return the path of the module that a node calls, or else of the one that calls it."""
        if node.op == "call_module":
            return below(self.path, str(node.target))
        callers = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        return below(self.path, callers[-1] if callers else "")


def _sum_of_all(branches: list[Chain], dim: int | None) -> list[Chain]:
    """Write ``(a + b) + c`` as one sum of three branches."""
    first, *others = branches
    if dim is None and len(first) == 1 and isinstance(first[0], Fork) and first[0].dim is None:
        return [*first[0].branches, *others]
    return branches
