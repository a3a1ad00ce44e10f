"""Forward with some of its expressions held constant: they keep the values of an earlier run."""

import ast
from typing import Any

import numpy as np

from dlfs.gradcheck.source.methods import Method, Slot


class Holder:
    """Compiled methods whose expressions can be held.

    Attributes
    ----------
    held : set of int
        Which expressions are held, by their numbers.
    kept : dict of int to list
        Their values, in the order in which they were computed.
    next : dict of int to int
        Which value comes next; to be emptied before each run.
    changed : list of (Method, function)
        For ``run_with``.
    """

    def __init__(self, methods: list[Method], slots: list[Slot]) -> None:
        self.held: set[int] = set()
        self.kept: dict[int, list[Any]] = {}
        self.next: dict[int, int] = {}
        for number, slot in reversed([*enumerate(slots)]):
            call = ast.parse(f"__held__({number}, 0)").body[0].value  # type: ignore[attr-defined]
            call.args[1] = slot.node
            slot.put(ast.copy_location(call, slot.node))
        self.changed = [(m, m.compiled(__held__=self.value)) for m in methods]

    def value(self, number: int, value: Any) -> Any:
        """Return an expression's value, or the one that it had in the first run."""
        if not (isinstance(value, np.ndarray | np.floating | float) and number in self.held):
            return value
        kept = self.kept.setdefault(number, [])
        turn = self.next.get(number, 0)
        self.next[number] = turn + 1
        if turn < len(kept):
            return np.array(kept[turn]) if isinstance(value, np.ndarray) else kept[turn]
        kept.append(np.array(value) if isinstance(value, np.ndarray) else value)
        return value


def can_be_held(slot: Slot) -> bool:
    """Say whether a node is an expression whose value may be an array."""
    node = slot.node
    if not isinstance(node, ast.expr) or isinstance(node, ast.Constant | ast.Slice | ast.Starred):
        return False
    if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del) or slot.field in (
        "func",
        "iter",
    ):
        return False
    return not (isinstance(slot.parent, ast.keyword) or slot.field == "slice")
