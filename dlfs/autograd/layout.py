"""The positions of a graph's boxes: in columns, with every edge from left to right.

The steps of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", 1981: a column for each node, bends where an edge passes through a column, an order in
each column with few crossings, and heights that keep edges straight.
"""

from dataclasses import dataclass, field
from typing import Any

from dlfs.autograd.graph import topological_order

_SWEEPS = 8
_PORT = 0.2


@dataclass
class Place:
    """A box, or (without a node) a bend of an edge that passes through a column.

    Attributes
    ----------
    node : NumberWithGrad, ArrayWithGrad or None
    column : int
        Counted from the result, which is in column 0, on the right.
    y : float
        The height of its middle, in units of a box with its margin.
    sources : list of Place
        The starts of its incoming edges, one column to the left.
    """

    node: Any
    column: int
    y: float = 0.0
    sources: "list[Place]" = field(default_factory=list)
    targets: "list[Place]" = field(default_factory=list)

    @property
    def height(self) -> float:
        """The height needed; a bend needs less than a box."""
        return 1.0 if self.node is not None else 0.4


def arrange(root: Any) -> list[list[Place]]:
    """Assign a place to every node of a graph.

    Parameters
    ----------
    root : NumberWithGrad or ArrayWithGrad

    Returns
    -------
    list of list of Place
        The columns, the result's first; in each, the places from top to bottom.

    Examples
    --------
    >>> from dlfs.autograd import NumberWithGrad
    >>> a = NumberWithGrad(3)
    >>> columns = arrange(a * a + a)
    >>> [
    ...     [place.node.num if place.node is not None else "bend" for place in column]
    ...     for column in columns
    ... ]
    [[12], [9, 'bend'], [3]]
    """
    columns = _columns(root)
    for sweep in range(_SWEEPS):
        leftwards = sweep % 2 == 0
        for column in columns[1:] if leftwards else columns[-2::-1]:
            # The barycentre heuristic: order by the mean rank of the neighbours on the sorted side.
            column.sort(key=lambda place: _mean_rank(place, leftwards))
            for rank, place in enumerate(column):
                place.y = rank
    _set_heights(columns)
    return columns


def _columns(root: Any) -> list[list[Place]]:
    order = topological_order(root)
    depth = {id(root): 0}
    for node in order:
        for below in node.depends_on:
            depth[id(below)] = max(depth.get(id(below), 0), depth[id(node)] + 1)
    columns: list[list[Place]] = [[] for _ in range(max(depth.values()) + 1)]
    places = {id(node): Place(node, depth[id(node)]) for node in order}
    for node in order:
        columns[depth[id(node)]].append(places[id(node)])
    for node in order:
        for below in node.depends_on:
            _connect(places[id(below)], places[id(node)], columns)
    for column in columns:
        for rank, place in enumerate(column):
            place.y = rank
    return columns


def _connect(source: Place, target: Place, columns: list[list[Place]]) -> None:
    """Draw an edge, with a bend in every column between."""
    for column in range(target.column + 1, source.column):
        bend = Place(None, column)
        columns[column].append(bend)
        target.sources.append(bend)
        bend.targets.append(target)
        target = bend
    target.sources.append(source)
    source.targets.append(target)


def _mean_rank(place: Place, leftwards: bool) -> float:
    if not leftwards:
        heights = [source.y for source in place.sources]
    else:
        # The first operand goes above the second: otherwise their edges cross.
        heights = [
            target.y + _PORT * (port - (len(target.sources) - 1) / 2)
            for target in place.targets
            for port, source in enumerate(target.sources)
            if source is place
        ]
    return sum(heights) / len(heights) if heights else place.y


def _set_heights(columns: list[list[Place]]) -> None:
    for column in columns:
        _stack(column, [float(rank) for rank in range(len(column))])
    for sweep in range(_SWEEPS):
        leftwards = sweep % 2 == 0
        for column in columns[1:] if leftwards else columns[-2::-1]:
            _stack(column, [_mean_rank(place, leftwards) for place in column])
    top = min(place.y - place.height / 2 for column in columns for place in column)
    for column in columns:
        for place in column:
            place.y -= top


def _stack(column: list[Place], wanted: list[float]) -> None:
    """Place a column as near to the wanted heights as order and size allow."""
    # Pushed down from the top once and up from the bottom once; the result is the mean.
    heights = [place.height for place in column]
    down, up = list(wanted), list(wanted)
    for i in range(1, len(column)):
        down[i] = max(down[i], down[i - 1] + (heights[i - 1] + heights[i]) / 2)
    for i in range(len(column) - 2, -1, -1):
        up[i] = min(up[i], up[i + 1] - (heights[i] + heights[i + 1]) / 2)
    for place, low, high in zip(column, down, up, strict=True):
        place.y = (low + high) / 2
