"""Hints from a student's own code: a part held constant, or a change that makes it right.

Two experiments. The first differentiates forward while the value of one of its expressions, or of
two, is kept from a run at the point itself; if that is the student's gradient, backward leaves out
the expression's own derivative. The second changes one expression of backward; if the gradient is
right then, here and at a second point, this is the repair. Neither needs to know a mistake.
"""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.gradcheck.source import (
    Edit,
    Holder,
    Material,
    Method,
    Slot,
    can_be_held,
    edits,
    methods_of,
    replacement,
    run_with,
    slots_of,
)
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array

_CLOSE = 1e-6
_MOST_EDITS = 1000
_MOST_HELD = 24
_LONGEST = 60
_STEP = 1e-3


def held_constant(evidence: Evidence) -> Iterator[Hint]:
    """Try forward with a part held constant."""
    methods = [m for m in methods_of(evidence.subject) if not m.is_backward]
    slots = [slot for m in methods for slot in slots_of(m) if can_be_held(slot)]
    if not slots or not np.any(evidence.analytic):
        return
    # The texts first: the trees are changed below.
    texts = [ast.unparse(slot.node) for slot in slots]
    places = [slot.method.place(slot.node) for slot in slots]
    line, holder, changes = _Line(evidence), Holder(methods, slots), []
    for number in range(len(slots)):
        slope = line.slope(holder, {number})
        if line.is_analytic(slope) and _agrees_twice(evidence, holder, {number}):
            yield _held_hint(evidence, [number], texts, places)
            return
        if slope is not None and abs(slope - line.numeric) > _CLOSE * line.scale:
            changes.append(number)
    for pair in combinations(changes[:_MOST_HELD], 2):
        slope = line.slope(holder, {*pair})
        if line.is_analytic(slope) and _agrees_twice(evidence, holder, {*pair}):
            yield _held_hint(evidence, [*pair], texts, places)
            return


def repairs(evidence: Evidence) -> Iterator[Hint]:
    """Try backward with one expression changed."""
    methods = methods_of(evidence.subject)
    other = "_param_grad" if evidence.is_input else "_input_grad"
    backward = [
        (method, _material(evidence, method, methods))
        for method in methods
        if method.is_backward and method.name != other
    ]
    old = {id(slot.node): ast.unparse(slot.node) for m, _ in backward for slot in slots_of(m)}
    # On a copy: a change may break off in the middle of a method.
    here = evidence.subject.precise()
    tried: set[tuple[int, str]] = set()
    for edit in edits(backward):
        key = (id(edit.slot.node), edit.text)
        if key in tried:
            continue
        if len(tried) == _MOST_EDITS:
            return
        tried.add(key)
        if not _is_repaired(here, evidence, edit):
            continue
        second = evidence.second()
        if _is_repaired(second.subject.precise(), second, edit):
            file = edit.slot.method.function.__code__.co_filename
            yield replace(evidence.hint(edit.kind, _repair(edit, old)), file=file)
            return


def _repair(edit: Edit, old: dict[int, str]) -> str:
    method, node = edit.slot.method, edit.slot.node
    if edit.everywhere is not None:
        was, new = edit.everywhere
        where = f"{method.name}, at all places"
    else:
        was, new, where = old[id(node)], edit.text, method.place(node)
    return (
        f"in {where}, put `{_short(new)}` in place of `{_short(was)}`: with this change alone the "
        "gradient is right."
    )


class _Line:
    """Derivatives along one direction at one point."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        rng = np.random.default_rng(0)
        self.direction = rng.standard_normal(evidence.variable.shape) * evidence.known
        self.analytic = float(np.sum(self.direction * evidence.analytic))
        self.numeric = float(np.nansum(self.direction * evidence.numeric))
        self.scale = evidence.scale * float(np.sqrt(evidence.variable.size))

    def slope(self, holder: Holder, held: set[int], direction: Array | None = None) -> float | None:
        """Return the slope of forward with some expressions held."""
        holder.held, holder.kept = held, {}
        subject = self.evidence.subject
        try:
            return run_with(subject, holder.changed, lambda: self._difference(holder, direction))
        except Exception:  # noqa: BLE001 - changed code may fail in any way
            return None

    def _difference(self, holder: Holder, direction: Array | None) -> float:
        evidence = self.evidence
        variable, start = evidence.variable, evidence.variable.copy()
        along = self.direction if direction is None else direction

        def value(t: float) -> float:
            holder.next = {}
            variable[...] = start + t * along
            return float(np.sum(evidence.output_grad * evidence.subject.output()))

        try:
            value(0.0)  # keeps the values
            once, twice = ((value(h) - value(-h)) / (2 * h) for h in (_STEP / 2, _STEP))
            half = (value(_STEP / 4) - value(-_STEP / 4)) / (_STEP / 2)
        finally:
            variable[...] = start
        fine, coarse = (4 * half - once) / 3, (4 * once - twice) / 3
        return (16 * fine - coarse) / 15

    def is_analytic(self, slope: float | None) -> bool:
        """Say whether a slope is that of the student's gradient."""
        return slope is not None and abs(slope - self.analytic) <= _CLOSE * self.scale

    def agrees(self, holder: Holder, held: set[int]) -> bool:
        """Say whether the student's gradient is that of forward with some parts held."""
        rng = np.random.default_rng(1)
        for _ in range(3):
            direction = rng.standard_normal(self.evidence.variable.shape) * self.evidence.known
            slope = self.slope(holder, held, direction)
            analytic = float(np.sum(direction * self.evidence.analytic))
            if slope is None or abs(slope - analytic) > _CLOSE * self.scale:
                return False
        return True


def _agrees_twice(evidence: Evidence, holder: Holder, held: set[int]) -> bool:
    return all(_Line(point).agrees(holder, held) for point in (evidence, evidence.second()))


def _held_hint(evidence: Evidence, held: list[int], texts: list[str], places: list[str]) -> Hint:
    parts = " and ".join(f"`{_short(texts[number])}` ({places[number]})" for number in held)
    each = "each depends" if len(held) > 1 else "it depends"
    return evidence.hint(
        "held_constant",
        f"it is the gradient of forward with {parts} held constant. But {each} on "
        f"{evidence.name}, so its own derivative adds a term.",
    )


def _is_repaired(subject: Subject, point: Evidence, edit: Edit) -> bool:
    slot, attributes = edit.slot, dict(getattr(subject.target, "__dict__", {}))
    try:
        slot.put(replacement(edit))
        changed = [(slot.method, slot.method.compiled())]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            grads = run_with(subject, changed, lambda: subject.pull(point.output_grad))
        found = np.asarray(grads[point.name], dtype=np.float64)
        if found.shape != point.variable.shape:
            return False
        apart = np.abs(found - point.numeric)[point.known]
        return bool(np.all(np.isfinite(found)) and np.max(apart, initial=0.0) <= 1e-7 * point.scale)
    except Exception:  # noqa: BLE001 - changed code may fail in any way
        return False
    finally:
        slot.put(slot.node)
        getattr(subject.target, "__dict__", {}).update(attributes)


def _material(evidence: Evidence, method: Method, methods: list[Method]) -> Material:
    target = evidence.subject.target
    names = [node.id for node in ast.walk(method.tree) if isinstance(node, ast.Name)]
    known = {argument.arg for argument in method.tree.args.args}
    known |= {slot.node.id for slot in slots_of(method) if _is_stored(slot)}
    arrays = [name for name in dict.fromkeys([*names, *known]) if name in known and name != "self"]
    if method.position < 0:
        held = {n: v for n, v in vars(target).items() if isinstance(v, np.ndarray)}
        arrays += [f"self.{name}" for name in held if name not in ("input_grad", "param_grad")]
    else:
        arrays += [a.arg for a in method.tree.args.args if a.arg not in arrays]
    forward = [m for m in methods if not m.is_backward]
    inside = [ast.unparse(slot.node) for m in forward for slot in slots_of(m) if _reachable(slot)]
    # The input and the output gradient: other arrays have the same sizes.
    ends = [*arrays]
    if method.position < 0:
        ends = [a for a in arrays if a in ("self.input_", "self.prediction", "output_grad")]
    sizes = [
        size
        for array in ends
        for size in (
            f"len({array})",
            f"{array}.shape[1]",
            f"{array}.shape[2]",
            f"{array}.size",
            f"np.prod({array}.shape[1:])",
            f"np.prod({array}.shape[2:])",
        )
    ]
    nodes = [node for m in methods for node in ast.walk(m.tree)]
    own = {ast.unparse(node) for node in nodes if isinstance(node, ast.expr) and _is_number(node)}
    numbers = {*own, "0", "1", "2", "0.5", "-1", "3"}
    slices = [ast.unparse(node) for node in nodes if isinstance(node, ast.Slice)]
    masks = [
        f"({array} {sign} {number})"
        for array in ends
        for number in sorted({*own, "0"})
        for sign in "<>"
    ]
    factors = [
        *dict.fromkeys(inside),
        "2",
        "0.5",
        *arrays,
        *(f"(1 - {array} ** 2)" for array in arrays),
        *(f"({array} * (1 - {array}))" for array in arrays),
        *sizes,
        *(f"np.sqrt({size})" for size in sizes),
        *masks,
    ]
    return Material((*arrays,), (*factors,), (*sorted(numbers),), (*slices,))


def _is_number(node: ast.expr) -> bool:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_stored(slot: Slot) -> bool:
    return isinstance(slot.node, ast.Name) and isinstance(slot.node.ctx, ast.Store)


def _reachable(slot: Slot) -> bool:
    """Say whether an expression of forward needs no local name of forward's."""
    node = slot.node
    if not isinstance(node, ast.Call | ast.Attribute | ast.Constant) or _is_stored(slot):
        return False
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if slot.field == "func" or isinstance(getattr(node, "ctx", None), ast.Store):
        return False
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return names <= {"self", "np", "len"}


def _short(text: str) -> str:
    if text.startswith("_["):
        text = text[2:-1]  # a slice
    text = " ".join(text.split())
    if len(text) <= _LONGEST:
        return text
    # Mostly the end: what is added stands there.
    return f"{text[: _LONGEST // 3]} ... {text[-_LONGEST // 2 :]}"
