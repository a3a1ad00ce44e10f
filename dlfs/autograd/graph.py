"""Backward through a graph of results: each one once, and only when all of its gradient is known.

What a computation depends on is a graph, not a chain: a value may be used twice. Its gradient is
then the sum over its uses, and must be complete before it is handed on. The book's recursion hands
on what has been collected so far at every arrival. The smallest graph on which that goes wrong:

    b = a * 1
    c = b + b        # c = 2 a, so the gradient of a is 2

    c sends 1 to b: b.grad is 1, and b hands 1 on to a:  a.grad is 1
    c sends 1 to b: b.grad is 2, and b hands 2 on to a:  a.grad is 1 + 2 = 3, and should be 2

Handing on only what has just arrived would be right, but would walk every path from the result to
its inputs, and n doublings in a row have 2**n of them. In topological order (every result before
all that it depends on) b is visited once, after both uses have sent their gradient: 2, handed on
once.

After Griewank and Walther, "Evaluating Derivatives", 2008, chapter 3.
"""

import copy
from collections.abc import Iterable
from typing import Any, Protocol, Self, SupportsIndex

CONSTANT = "constant"
"""The ``creation_op`` of a plain value in a computation: it gets no gradient."""


class Node(Protocol):
    """What a graph is made of.

    Attributes
    ----------
    depends_on : list
        What the value was computed from.
    """

    depends_on: list[Any]

    def collect(self, grad: Any) -> None:
        """Add to the gradient that is kept here."""

    def pull_back(self, grad: Any) -> Iterable[tuple[Any, Any]]:
        """Give what this value depends on, each with its share of the gradient (chain rule)."""

    def check_unchanged(self) -> None:
        """Refuse a gradient if what it is computed from was changed since the value was."""


class Copyable:
    """What is copied with all that it depends on, however long the chain is.

    Python's own copies and pickles go down a graph by recursion, which ends after some hundred
    steps. ``copy.deepcopy`` works here without; a pickle is refused unless it is of a variable.
    """

    depends_on: list[Any]

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin.depends_on = list(self.depends_on)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        for node in reversed(topological_order(self)):  # operands first
            if id(node) not in memo:
                memo[id(node)] = twin = object.__new__(type(node))
                shared = node.shared()
                for name, value in vars(node).items():
                    kept = value if name in shared else copy.deepcopy(value, memo)
                    setattr(twin, name, kept)
        twin_of_self: Self = memo[id(self)]
        return twin_of_self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self.depends_on:
            raise TypeError(
                f"{type(self).__name__}: a result cannot be pickled with all that it was computed "
                "from; pickle the variables and compute it again, or pickle its value alone"
            )
        return super().__reduce_ex__(protocol)

    def shared(self) -> tuple[str, ...]:
        """Name the attributes that a deep copy has in common with this one."""
        return ()


def changed_in_place(owner: str, creation_op: str, what: str) -> RuntimeError:
    """Return the error that says what was changed between a value and its gradient."""
    return RuntimeError(
        f"{owner}.backward: {what} of {creation_op!r} was changed in place after the result was "
        "computed, and its gradient would be wrong; compute the result again, or change a copy"
    )


def topological_order(root: Any) -> list[Any]:
    """List all that ``root`` depends on: every result before what it was computed from.

    Parameters
    ----------
    root : NumberWithGrad or ArrayWithGrad

    Returns
    -------
    list
        ``root`` first; each node once, however often it was used.

    Notes
    -----
    A depth-first search that notes a node when all below it is noted, then reversed. It keeps its
    own stack: Python's recursion would end a thousand steps down.

    Examples
    --------
    >>> from dlfs.autograd import NumberWithGrad
    >>> a = NumberWithGrad(3)
    >>> b = a * a
    >>> c = b + a
    >>> [node.num for node in topological_order(c)]
    [12, 9, 3]
    """
    finished: list[Any] = []
    seen = {id(root)}
    stack = [(root, iter(root.depends_on))]
    while stack:
        node, rest = stack[-1]
        for below in rest:
            if id(below) not in seen:
                seen.add(id(below))
                stack.append((below, iter(below.depends_on)))
                break
        else:
            finished.append(node)
            stack.pop()
    return finished[::-1]


def backpropagate(root: Node, grad: Any) -> None:
    """Carry a gradient from ``root`` back to all that it depends on.

    Each node's gradient is gathered apart from what earlier calls left there, and added to that
    once: a second call adds the same again, and does not hand on the first one's.

    Parameters
    ----------
    root : NumberWithGrad or ArrayWithGrad
    grad : number or ndarray
        The gradient with respect to ``root``.

    Raises
    ------
    RuntimeError
        If a value that a gradient is computed from was changed in place; no gradient is touched.
    """
    order = topological_order(root)
    for node in order:
        node.check_unchanged()
    gathered = {id(root): grad}
    for node in order:
        complete = gathered.pop(id(node), None)
        if complete is None:  # a constant, or all below it
            continue
        node.collect(complete)
        for below, share in node.pull_back(complete):
            key = id(below)
            gathered[key] = gathered[key] + share if key in gathered else share
