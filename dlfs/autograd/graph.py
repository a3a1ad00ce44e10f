"""Backpropagation through a graph: each value is visited once, when its gradient is complete.

A computation is a graph, not a chain: a value may be used twice. Its gradient is then the sum over
its uses, and must be complete before it is propagated. The book's recursion propagates the sum so
far at every visit. The smallest graph on which that fails:

    b = a * 1
    c = b + b        # c = 2 a, so the gradient of a is 2

    c adds 1 to b: b.grad is 1, and b adds 1 to a:  a.grad is 1
    c adds 1 to b: b.grad is 2, and b adds 2 to a:  a.grad is 1 + 2 = 3, and should be 2

Propagating only the newest term would be correct, but would follow every path from the result to
its inputs, and n doublings in a row have 2**n paths. In topological order (every result before
everything that it depends on) b is visited once, after both uses: its gradient is 2.

After Griewank and Walther, "Evaluating Derivatives", 2008, chapter 3.
"""

import copy
from collections.abc import Iterable
from typing import Any, Protocol, Self, SupportsIndex

CONSTANT = "constant"
"""The ``creation_op`` of a plain value in a computation: it gets no gradient."""


class Node(Protocol):
    """A node of the graph.

    Attributes
    ----------
    depends_on : list
        The nodes that the value was computed from.
    """

    depends_on: list[Any]

    def collect(self, grad: Any) -> None:
        """Add to the gradient of this node."""

    def pull_back(self, grad: Any) -> Iterable[tuple[Any, Any]]:
        """Return each operand with its share of the gradient (chain rule)."""

    def check_unchanged(self) -> None:
        """Raise RuntimeError if the value or an operand was changed since the computation."""


class Copyable:
    """A node that is copied together with everything it depends on, in a graph of any depth.

    Python copies and pickles a graph by recursion, which fails after a few hundred steps. Here
    ``copy.deepcopy`` needs no recursion; only variables can be pickled.
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
                "from; pickle the variables and compute it again, or pickle only its value"
            )
        return super().__reduce_ex__(protocol)

    def shared(self) -> tuple[str, ...]:
        """Name the attributes that a deep copy shares with this node."""
        return ()


def changed_in_place(owner: str, creation_op: str, what: str) -> RuntimeError:
    """Return the error for a value that was changed between a computation and its backward."""
    return RuntimeError(
        f"{owner}.backward: {what} of {creation_op!r} was changed in place after the result was "
        "computed, and its gradient would be wrong; compute the result again, or change a copy"
    )


def topological_order(root: Any) -> list[Any]:
    """List everything that ``root`` depends on: every result before its operands.

    Parameters
    ----------
    root : NumberWithGrad or ArrayWithGrad

    Returns
    -------
    list
        ``root`` first; each node once, however often it was used.

    Notes
    -----
    The reverse of a depth-first search that lists a node after everything below it. It uses its own
    stack: Python's recursion fails at a depth of a thousand.

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
    """Propagate a gradient from ``root`` to everything that it depends on.

    Each node's gradient is summed separately from the results of earlier calls, and added to them
    once: a second call adds the same gradient, and does not propagate the first one.

    Parameters
    ----------
    root : NumberWithGrad or ArrayWithGrad
    grad : number or ndarray
        The gradient with respect to ``root``.

    Raises
    ------
    RuntimeError
        If a value that a gradient needs was changed in place; then no gradient is changed.
    """
    order = topological_order(root)
    for node in order:
        node.check_unchanged()
    gathered = {id(root): grad}
    for node in order:
        complete = gathered.pop(id(node), None)
        if complete is None:  # a constant, or everything below one
            continue
        node.collect(complete)
        for below, share in node.pull_back(complete):
            key = id(below)
            gathered[key] = gathered[key] + share if key in gathered else share
