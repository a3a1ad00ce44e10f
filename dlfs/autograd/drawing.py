"""Draws the graph of a computation as SVG."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from dlfs.autograd.graph import topological_order
from dlfs.autograd.layout import Place, arrange
from dlfs.checks import printable
from dlfs.utils.files import write_atomically

MOST_IN_NOTEBOOKS = 100
"""In a notebook a result with more nodes than this is shown as text."""

_LINE = 17
_MARGIN = 12
_GAP = 56
_CHARACTER = 7.3
_SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "neg": "−", "pow": "xʸ", "matmul": "@"}
_FILLS = {"": "#dbeafe", "constant": "#f3f4f6"}
_FILL = "#ffffff"
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="{box}" font-family="monospace" \
font-size="12">
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#475569"/></marker></defs>
<rect {size} fill="white"/>"""


class Drawable:
    """A value that can draw its graph: NumberWithGrad or ArrayWithGrad."""

    def draw(
        self, path: str | PathLike[str] | None = None, names: Mapping[str, Any] | None = None
    ) -> str:
        """Draw how this value was computed, with the gradients known so far.

        Inputs are on the left, this result is on the right; constants are grey.

        Parameters
        ----------
        path : str or path, optional
            A file that ends in .svg, to write the drawing to.
        names : mapping, optional
            Names of nodes of the graph: ``{"a": a}``.

        Returns
        -------
        str
            The drawing as SVG.

        Raises
        ------
        TypeError, ValueError
            If path does not end in .svg, or names is not a mapping to nodes of the graph.

        Examples
        --------
        >>> from dlfs.autograd import NumberWithGrad
        >>> a = NumberWithGrad(3)
        >>> b = a * 4
        >>> b.draw(names={"a": a, "b": b})[:4]
        '<svg'
        """
        owner = f"{type(self).__name__}.draw"
        labels = _labels(names, {id(node) for node in topological_order(self)}, owner)
        if path is not None:
            if not isinstance(path, str | PathLike):
                got = type(path).__name__
                raise TypeError(f"{owner}: path must be a string or a path, got {got}")
            if Path(path).suffix != ".svg":
                raise ValueError(f"{owner}: path must end in .svg, got {str(path)!r}")
        svg = _svg(self, labels)
        if path is not None:
            write_atomically(path, svg)
        return svg

    def _repr_svg_(self) -> str | None:
        """Return the drawing that a notebook shows; None for a large graph, shown as text."""
        size = len(topological_order(self))
        return _svg(self, {}) if 1 < size <= MOST_IN_NOTEBOOKS else None


def _labels(names: object, known: set[int], owner: str) -> dict[int, str]:
    if names is None:
        return {}
    if not isinstance(names, Mapping):
        raise TypeError(
            f'{owner}: names must be a mapping, such as {{"a": a}}, got {type(names).__name__}'
        )
    labels = {}
    for name, node in names.items():
        if id(node) not in known:
            raise ValueError(f"{owner}: names[{name!r}] is not part of the graph")
        labels[id(node)] = str(name)
    return labels


def _svg(root: Any, labels: dict[int, str]) -> str:
    columns = arrange(root)[::-1]
    places = [place for column in columns for place in column]
    lines = {id(place): _lines(place, labels) for place in places}
    tallest = max(len(text) for text in lines.values())
    unit = tallest * _LINE + 2.5 * _MARGIN
    widths = [
        max(max((len(line) for line in lines[id(place)]), default=0) for place in column)
        * _CHARACTER
        + 2 * _MARGIN
        for column in columns
    ]
    lefts = [_MARGIN + sum(widths[:i]) + i * _GAP for i in range(len(columns))]
    boxes = {}
    for column, left, width in zip(columns, lefts, widths, strict=True):
        for place in column:
            boxes[id(place)] = (left, place.y * unit + _MARGIN / 2, width)
    width = lefts[-1] + widths[-1] + _MARGIN
    height = max(place.y + place.height / 2 for place in places) * unit + _MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}"'
    parts = [_HEAD.format(size=size, box=f"0 0 {width:.0f} {height:.0f}")]
    for place in places:
        # The edges end below each other, so that both edges of a * a are visible.
        first = -(len(place.sources) - 1) / 2
        parts += [
            _edge(boxes[id(source)], boxes[id(place)], place, (first + i) * _MARGIN)
            for i, source in enumerate(place.sources)
        ]
        if place.node is None:
            x, y, wide = boxes[id(place)]
            parts.append(_path(f"M{x:.1f},{y:.1f} L{x + wide:.1f},{y:.1f}", tip=False))
    parts += [
        _box(place, lines[id(place)], boxes[id(place)])
        for place in places
        if place.node is not None
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(place: Place, labels: dict[int, str]) -> list[str]:
    node = place.node
    if node is None:
        return []
    kind = node.creation_op or "variable"
    sign = f" {_SIGNS[kind]}" if kind in _SIGNS else ""
    name = labels.get(id(node))
    title = f"{kind}{sign}" if name is None else f"{name}: {kind}{sign}"
    return [title, *node.describe()]


def _box(place: Place, lines: list[str], box: tuple[float, float, float]) -> str:
    x, y, width = box
    height = len(lines) * _LINE + _MARGIN
    top = y - height / 2
    fill = _FILLS.get(place.node.creation_op, _FILL)
    size = f'width="{width:.1f}" height="{height:.1f}"'
    parts = [f'<rect x="{x:.1f}" y="{top:.1f}" {size} rx="5" fill="{fill}" stroke="#334155"/>']
    for number, line in enumerate(lines):
        weight = ' font-weight="bold"' if number == 0 else ""
        baseline = top + _MARGIN / 2 + (number + 0.75) * _LINE
        parts.append(
            f'<text x="{x + width / 2:.1f}" y="{baseline:.1f}" text-anchor="middle" '
            f'fill="#0f172a"{weight}>{escape(printable(line))}</text>'
        )
    return "".join(parts)


def _edge(
    source: tuple[float, float, float],
    target: tuple[float, float, float],
    place: Place,
    port: float,
) -> str:
    (x, y, width), (end, level, _) = source, target
    start, level = x + width, level + port
    middle = (start + end) / 2
    return _path(
        f"M{start:.1f},{y:.1f} C{middle:.1f},{y:.1f} {middle:.1f},{level:.1f} "
        f"{end:.1f},{level:.1f}",
        tip=place.node is not None,
    )


def _path(points: str, tip: bool) -> str:
    end = ' marker-end="url(#tip)"' if tip else ""
    return f'<path d="{points}" fill="none" stroke="#475569"{end}/>'
