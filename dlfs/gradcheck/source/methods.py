"""A student's own code: its methods as syntax trees, to be run with one expression changed."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from dlfs.gradcheck.subjects import Subject

_BACKWARD = ("grad", "back")


@dataclass
class Method:
    """A function or method of the student's, and its syntax tree.

    Attributes
    ----------
    name : str
    function : function
    tree : ast.FunctionDef
        Its line numbers are those of the file or cell.
    position : int
        In a pair of functions 0 for forward and 1 for backward; else -1.
    """

    name: str
    function: FunctionType
    tree: ast.FunctionDef
    position: int

    @property
    def is_backward(self) -> bool:
        """Whether it belongs to the backward pass."""
        return self.position == 1 or any(part in self.name for part in _BACKWARD)

    def place(self, node: ast.AST) -> str:
        """Say where a node is."""
        return f"{self.name}, line {getattr(node, 'lineno', '?')}"

    def compiled(self, **more: Any) -> FunctionType:
        """Compile the tree as it is now, with more global names."""
        names = self.function.__code__.co_freevars
        # An enclosing function has the same free variables, among them the __class__ of super().
        text = f"def outer({', '.join(names)}):\n    return {self.tree.name}"
        module = ast.parse(text)
        outer: Any = module.body[0]
        outer.body.insert(0, self.tree)
        scope: dict[str, Any] = {**self.function.__globals__, **more}
        exec(compile(ast.fix_missing_locations(module), "<changed>", "exec"), scope)
        cells = dict(zip(names, self.function.__closure__ or (), strict=True))
        made: FunctionType = scope["outer"](*(None for _ in names))
        closure = tuple(cells[name] for name in made.__code__.co_freevars)
        return FunctionType(
            made.__code__, scope, self.name, self.function.__defaults__, closure or None
        )


@dataclass
class Slot:
    """A place in a syntax tree that holds a node."""

    method: Method
    parent: ast.AST
    field: str
    index: int | None
    node: Any

    def put(self, node: ast.AST | list[ast.stmt]) -> None:
        """Put another node there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def methods_of(subject: Subject) -> list[Method]:
    """Return the methods that the student wrote; none where the source cannot be read."""
    target = subject.target
    if subject.kind == "functions":
        found = [("forward", target[0], 0), ("backward", target[1], 1)]
    else:
        own = [kind for kind in type(target).__mro__ if not _is_ours(kind)]
        held = {name: value for kind in reversed(own) for name, value in vars(kind).items()}
        found = [(name, value, -1) for name, value in held.items() if name != "__init__"]
    methods = []
    for name, function, position in found:
        tree = _tree(function)
        if tree is not None:
            methods.append(Method(name, function, tree, position))
    return methods


def _is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("dlfs", "builtins", "abc")


def _tree(function: Any) -> ast.FunctionDef | None:
    if not isinstance(function, FunctionType):
        return None
    try:
        lines, first = inspect.getsourcelines(function)
        body = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    if not isinstance(body, ast.FunctionDef):
        return None  # a lambda
    body.decorator_list = []
    return ast.increment_lineno(body, first - 1)


def slots_of(method: Method) -> Iterator[Slot]:
    """Iterate over the statements and expressions of a method's body, the outer ones first."""
    waiting: list[ast.AST] = [method.tree]
    while waiting:
        parent = waiting.pop(0)
        for field, value in ast.iter_fields(parent):
            if (parent is method.tree and field != "body") or field == "test":
                continue  # a condition decides for which cases a formula is; not the formula
            items = value if isinstance(value, list) else [value]
            for index, node in enumerate(items):
                if isinstance(node, ast.AST):
                    waiting.append(node)
                    if isinstance(node, ast.expr | ast.stmt):
                        where = index if isinstance(value, list) else None
                        yield Slot(method, parent, field, where, node)


def installed(subject: Subject, methods: dict[str, FunctionType], positions: list[int]) -> Any:
    """Return the subject's target with other methods; undo by setting it back with `restored`."""
    if subject.kind == "functions":
        pair = list(subject.target)
        for position, function in zip(positions, methods.values(), strict=True):
            pair[position] = function
        return tuple(pair)
    kind = type(subject.target)
    subject.target.__class__ = type(kind.__name__, (kind,), {**methods, "__slots__": ()})
    return subject.target


def run_with(
    subject: Subject, changed: list[tuple[Method, FunctionType]], run: Callable[[], Any]
) -> Any:
    """Run something while some methods of the subject's target are replaced."""
    target, kind = subject.target, type(subject.target)
    methods = {method.name: function for method, function in changed}
    subject.target = installed(subject, methods, [method.position for method, _ in changed])
    try:
        return run()
    finally:
        subject.target = target
        if subject.kind != "functions":
            target.__class__ = kind
