"""Changes of one expression of a backward pass, each with the kind of mistake that it repairs.

A change is the text of a new expression, or statement, for a node of the syntax tree.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlfs.gradcheck.source.methods import Method, Slot, slots_of

_REDUCTIONS = ("sum", "mean", "max", "min", "cumsum", "prod", "std", "var", "any", "all")
_ALIKE = (
    ("sum", "mean"),
    ("max", "min"),
    ("maximum", "minimum"),
    ("sin", "cos"),
    ("sinh", "cosh"),
    ("argmax", "argmin"),
    ("triu", "tril"),
    ("zeros_like", "ones_like"),
)
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_AXES = ("0", "1", "-1", "2", "(0, 1)", "(0, 2)", "(1, 2)", "(0, 2, 3)", "(2, 3)", "None")


@dataclass(frozen=True)
class Edit:
    """One change: its kind, the slot, and the text that takes the slot's place.

    A change at all places of a method has ``everywhere``, the old and the new text. What stands in
    brackets as an index is ``_[text]``, because slices do not parse alone.
    """

    kind: str
    slot: Slot
    text: str
    everywhere: tuple[str, str] | None = None


@dataclass(frozen=True)
class Material:
    """What an added factor or another array may be.

    Attributes
    ----------
    arrays : tuple of str
        Names of arrays in reach of backward, such as self.output.
    factors : tuple of str
        Expressions of forward, sizes and small numbers.
    numbers, slices : tuple of str
        Those of the class.
    """

    arrays: tuple[str, ...]
    factors: tuple[str, ...]
    numbers: tuple[str, ...]
    slices: tuple[str, ...]


def edits(methods: Sequence[tuple[Method, Material]]) -> Iterator[Edit]:
    """Iterate over changes of methods, those that say most first."""
    slots = [
        (slot, material)
        for method, material in methods
        for slot in slots_of(method)
        if not _is_fixed(slot)
    ]
    rounds = (
        _of_axes,
        _of_products,
        _of_places,
        _of_sums,
        _of_order,
        _of_signs,
        _of_results,
        _of_names,
        _of_sizes,
        _of_numbers,
        _of_factors,
    )
    for changes in rounds:
        if changes is _of_results:
            for method, material in methods:
                yield from _everywhere(method, material)
        for slot, material in slots:
            for kind, text in changes(slot, material):
                yield Edit(kind, slot, text)


def _everywhere(method: Method, material: Material) -> Iterator[Edit]:
    """Change an axis, or exchange an array for another, at all of its places in a method."""
    body = method.tree.body
    slot = Slot(method, method.tree, "body", None, body)
    old = "\n".join(map(ast.unparse, body))
    for axis in _AXES[:3]:
        for other in _AXES[:3]:
            pair = f"axis={axis}", f"axis={other}"
            if axis != other and old.count(pair[0]) > 1:
                yield Edit("other_axis", slot, old.replace(*pair), pair)
    for one in material.arrays:
        pattern = rf"(?<![\w.]){re.escape(one)}(?![\w.])"
        if len(re.findall(pattern, old)) > 1:
            for other in material.arrays:
                if one != other:
                    text = re.sub(pattern, other, old)
                    yield Edit(_of_ends(one, other), slot, text, (one, other))


def _of_ends(one: str, other: str) -> str:
    return "wrong_point" if {one, other} <= {"self.input_", "self.output"} else "other_array"


def replacement(edit: Edit) -> ast.AST | list[ast.stmt]:
    """Return the node of an edit, or the statements of a whole method."""
    if isinstance(edit.slot.node, list):
        return ast.parse(edit.text).body
    node: ast.AST = ast.parse(edit.text).body[0]
    if isinstance(node, ast.Expr) and isinstance(edit.slot.node, ast.expr):
        node = node.value
    if isinstance(node, ast.Subscript) and edit.text.startswith("_["):
        node = node.slice
    return ast.copy_location(node, edit.slot.node)


Changes = Iterator[tuple[str, str]]


def _is_fixed(slot: Slot) -> bool:
    """Say whether a node is left alone: a text, or a place where something is stored."""
    constant = isinstance(slot.node, ast.Constant) and isinstance(slot.node.value, str)
    stored = isinstance(getattr(slot.node, "ctx", None), ast.Store | ast.Del)
    inside = isinstance(getattr(slot.parent, "ctx", None), ast.Store) and slot.field == "value"
    # Of another array's size a gradient does not depend, except by chance.
    size = isinstance(slot.parent, ast.Attribute) and slot.parent.attr in ("shape", "size", "ndim")
    return constant or stored or inside or size


def _of_axes(slot: Slot, material: Material) -> Changes:
    """Change an axis; add keepdims, or a sum over an axis where backward has no sum."""
    node = slot.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        old = {word.arg: word for word in node.keywords}
        if "axis" in old:
            text = ast.unparse(old["axis"].value)
            if "keepdims" not in old and node.func.attr in _REDUCTIONS:
                yield "axis_dropped", f"{ast.unparse(node)[:-1]}, keepdims=True)"
            for axis in _AXES:
                if axis != text:
                    kept = [w for w in node.keywords if w.arg != "axis"]
                    words = [f"axis={axis}", *(f"{w.arg}={ast.unparse(w.value)}" for w in kept)]
                    given = [*map(ast.unparse, node.args), *words]
                    yield "other_axis", f"{ast.unparse(node.func)}({', '.join(given)})"
        elif node.func.attr in _REDUCTIONS and not node.keywords:
            for axis in _AXES[:3]:
                inner = ", ".join([*map(ast.unparse, node.args), f"axis={axis}, keepdims=True"])
                yield "other_axis", f"{ast.unparse(node.func)}({inner})"
    elif isinstance(node, ast.expr) and _is_array(node, material):
        for axis in ("0", "1", "-1"):
            yield "other_function", f"{_inner(node)}.sum(axis={axis}, keepdims=True)"


def _of_products(slot: Slot, material: Material) -> Changes:
    """Transposes and the order of a matrix product."""
    node = slot.node
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transposed", ast.unparse(node.value)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        left, right = _inner(node.left), _inner(node.right)
        yield "transposed", f"{left} @ {right}.T"
        yield "transposed", f"{left}.T @ {right}"
        yield "transposed", f"{right} @ {left}"
        yield "transposed", f"({left} @ {right}).T"


def _of_places(slot: Slot, material: Material) -> Changes:
    """Change indices and slices."""
    node = slot.node
    in_index = isinstance(slot.parent, ast.Subscript) and slot.field == "slice"
    if not (in_index or isinstance(slot.parent, ast.Tuple | ast.Slice)):
        return
    if isinstance(node, ast.Slice):
        for other in dict.fromkeys((":-1", "1:", "::-1", ":", *material.slices)):
            yield "other_slice", f"_[{other}]"
    elif isinstance(node, ast.BinOp):
        left, right, sign = ast.unparse(node.left), ast.unparse(node.right), _sign(node)
        for other in (left, f"2 * {left} {sign} {right}", f"{left} {sign} 2 * {right}"):
            yield "other_slice", other
    if isinstance(node, ast.Name | ast.BinOp):
        for other in ("{} + 1", "{} - 1", "2 * {}"):
            yield "other_slice", other.format(_inner(node))


def _of_sums(slot: Slot, material: Material) -> Changes:
    """Add where backward overwrites; sum from the other end."""
    node = slot.node
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        target, value = ast.unparse(node.targets[0]), ast.unparse(node.value)
        yield "overwritten", f"{target} += {value}"
        base, index = ast.unparse(node.targets[0].value), ast.unparse(node.targets[0].slice)
        yield "overwritten", f"np.add.at({base}, ({index},), {value})"
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "np.cumsum":
        inner = ast.unparse(node.args[0])
        words = "".join(f", {w.arg}={ast.unparse(w.value)}" for w in node.keywords)
        for where in ("[::-1]", "[:, ::-1]", "[..., ::-1]"):
            yield "flipped", f"np.cumsum({inner}{where}{words}){where}"


def _of_order(slot: Slot, material: Material) -> Changes:
    """Swap arguments; change comparisons and masks."""
    node = slot.node
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
        for sign in _COMPARISONS:
            yield "other_comparison", f"{left} {sign} {right}"
    elif isinstance(node, ast.Call) and len(node.args) == 3 and not node.keywords:
        first, second, third = map(ast.unparse, node.args)
        yield "other_order", f"{ast.unparse(node.func)}({first}, {third}, {second})"
    elif isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 1:
        texts = [*map(ast.unparse, node.elts)]
        for one in range(len(texts) - 1):
            swapped = [*texts[:one], texts[one + 1], texts[one], *texts[one + 2 :]]
            first, last = "[]" if isinstance(node, ast.List) else "()"
            if slot.field == "slice":
                first, last = "_[", "]"
            yield "other_order", f"{first}{', '.join(swapped)}{last}"


def _of_signs(slot: Slot, material: Material) -> Changes:
    node = slot.node
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert):
        yield "sign", ast.unparse(node.operand)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        sign = "-" if isinstance(node.op, ast.Add) else "+"
        yield "sign", f"{ast.unparse(node.left)} {sign} {_inner(node.right)}"
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "sign", f"return -{_inner(node.value)}"


def _of_results(slot: Slot, material: Material) -> Changes:
    """Multiply what is returned."""
    if isinstance(slot.node, ast.Return) and slot.node.value is not None:
        for factor in material.factors:
            yield "factor", f"return {_inner(slot.node.value)} * {factor}"
            yield "factor", f"return {_inner(slot.node.value)} / {factor}"


def _of_names(slot: Slot, material: Material) -> Changes:
    """Another function or another array."""
    node = slot.node
    if isinstance(node, ast.Attribute) and isinstance(slot.parent, ast.Call):
        for pair in _ALIKE:
            if node.attr in pair and slot.field == "func":
                other = pair[1 - pair.index(node.attr)]
                yield "other_function", f"{ast.unparse(node.value)}.{other}"
                return
    if isinstance(node, ast.expr) and _is_array(node, material):
        old = ast.unparse(node)
        for array in material.arrays:
            if array != old:
                yield _of_ends(old, array), array
        yield "other_array", f"(1 - {old})"


def _of_numbers(slot: Slot, material: Material) -> Changes:
    """Another number, another power, a factor too many."""
    node = slot.node
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_power = isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, ast.Pow)
        for other in (repr(value + 1), repr(value - 1), *material.numbers):
            yield "other_power" if is_power else "other_number", other
    elif isinstance(node, ast.BinOp):
        left, right = ast.unparse(node.left), ast.unparse(node.right)
        if isinstance(node.op, ast.Pow):
            yield "other_power", left
        elif isinstance(node.op, ast.Mult):
            yield "factor", left
            yield "factor", right
            yield "factor", f"{_inner(node.left)} / {_inner(node.right)}"
        elif isinstance(node.op, ast.Div):
            yield "factor", left
            yield "factor", f"{_inner(node.left)} * {_inner(node.right)}"
        elif isinstance(node.op, ast.Add | ast.Sub):
            yield "term_too_many", left
            yield "term_too_many", right
    if isinstance(node, ast.expr) and _is_array(node, material):
        yield "other_power", f"{_inner(node)} ** 2"


def _of_sizes(slot: Slot, material: Material) -> Changes:
    """Change the size that something is divided by."""
    node = slot.node
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "len":
        for other in ("{}.shape[1]", "{}.size"):
            yield "factor", other.format(_inner(node.args[0]))
    elif isinstance(node, ast.Attribute) and node.attr == "size":
        for other in ("len({})", "{}.shape[1]"):
            yield "factor", other.format(_inner(node.value))


def _of_factors(slot: Slot, material: Material) -> Changes:
    """Add a factor, or a term, to a result, a sum or a product."""
    node = slot.node
    operand = isinstance(slot.parent, ast.BinOp) and not isinstance(slot.parent.op, ast.Pow)
    result = isinstance(slot.parent, ast.Return | ast.Assign | ast.AugAssign)
    argument = isinstance(slot.parent, ast.Call | ast.List | ast.Tuple) and not isinstance(
        node, ast.Constant | ast.Slice
    )
    if not isinstance(node, ast.expr) or slot.field in ("func", "targets", "target", "slice"):
        return
    if operand or result or argument:
        text = _inner(node)
        for factor in material.factors:
            yield "factor", f"{text} * {factor}"
            yield "factor", f"{text} / {factor}"
    if result and slot.field == "value":
        for array in material.arrays:
            yield "other_array", array
            yield "term_missing", f"{_inner(node)} + {array}"
            yield "term_missing", f"{_inner(node)} - {array}"


def _sign(node: ast.BinOp) -> str:
    return "-" if isinstance(node.op, ast.Sub) else "+"


def _is_array(node: ast.expr, material: Material) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in material.arrays


def _inner(node: ast.expr) -> str:
    """Return the text of an operand, in parentheses if it needs them."""
    text = ast.unparse(node)
    plain = isinstance(node, ast.Name | ast.Attribute | ast.Constant | ast.Call | ast.Subscript)
    return text if plain else f"({text})"
