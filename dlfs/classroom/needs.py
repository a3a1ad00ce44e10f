"""Which cells of a notebook an exercise needs: those that make the names that it uses.

A chapter may train for minutes before its exercises begin, and most exercises need only an import
and a class. The search follows names, backward from where they are used: the last cell that binds
a name (assigns it, imports it, defines it), the cells after it that change the object, and what
these use in turn. A function's body uses names when the function is called.
"""

import ast
import builtins
import functools
import re
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_NO_PYTHON = re.compile(r"^(?=\s*[%!])", re.MULTILINE)
_EVERYWHERE = frozenset(dir(builtins))
_AT_ONCE = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})
_MODULES = frozenset({"np", "plt", "dlfs", "sp", "torch", "nn"})


@dataclass(frozen=True)
class Names:
    """The names of a cell.

    Attributes
    ----------
    bound : set of str
        Made here, whatever they were before.
    changed : set of str
        Objects that the cell's statements may change (``x[0] = 1``, ``x.f()``), or names that are
        bound only in some cases.
    used : set of str
        Used when the cell runs.
    later : set of str
        Used in the bodies of functions, when these are called.
    """

    bound: set[str]
    changed: set[str]
    used: set[str]
    later: set[str]


def plain_python(code: str) -> str:
    r"""Return a cell's code with IPython's own lines (``%matplotlib``, ``!pip``) as comments.

    Examples
    --------
    >>> plain_python("%time\nx = 1")
    '#%time\nx = 1'
    """
    return _NO_PYTHON.sub("#", code)


@functools.lru_cache(maxsize=4096)
def names_of(code: str) -> Names:
    r"""Return the names of a cell.

    Raises
    ------
    SyntaxError, ValueError
        If the code is not Python.

    Examples
    --------
    >>> names = names_of("import numpy as np\nx[0] = np.sin(y)\ndef f(): return z")
    >>> sorted(names.bound), sorted(names.changed), sorted(names.later)
    (['f', 'np'], ['x'], ['z'])
    """
    bound: set[str] = set()
    changed: set[str] = set()
    used: set[str] = set()
    later: set[str] = set()
    for statement in _in_order(ast.parse(code).body):
        names = _of_statement(statement)
        used |= names.used - bound
        later |= names.later
        bound |= names.bound
        changed |= names.changed
    return Names(bound, changed, used - _EVERYWHERE, later - _EVERYWHERE)


def _in_order(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, those of loops and ``with`` blocks one by one."""
    for statement in body:
        if isinstance(statement, ast.For):
            yield ast.Assign([statement.target], statement.iter)
            yield from _in_order([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.With):
            for item in statement.items:
                context = item.context_expr
                target = item.optional_vars
                yield ast.Assign([target], context) if target else ast.Expr(context)
            yield from _in_order(statement.body)
        else:
            yield statement


def _of_statement(statement: ast.stmt) -> Names:
    code = ast.unparse(ast.fix_missing_locations(ast.Module([statement], [])))
    tree = ast.parse(code)
    table = symtable.symtable(code, "cell", "exec")
    assigned, used, later = set(), set(), set()
    for symbol in table.get_symbols():
        name = symbol.get_name()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            assigned.add(name)
        if symbol.is_referenced():
            used.add(name)
    if isinstance(statement, ast.AugAssign):
        used.add(_root(statement.target))
    inner = list(table.get_children())
    changed = _changed(tree)
    while inner:
        scope = inner.pop()
        inner += scope.get_children()
        found = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        changed |= {s.get_name() for s in scope.get_symbols() if s.is_declared_global()}
        later |= found
        if scope.get_type() == "class" or scope.get_name() in _AT_ONCE:
            used |= found
    bound = _always_bound(tree) & assigned
    return Names(bound, changed | (assigned - bound), used, later)


def _always_bound(tree: ast.Module) -> set[str]:
    """Return the names that a statement binds, unless it is an ``if``, a ``try`` or a loop."""
    found = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found |= {(name.asname or name.name).partition(".")[0] for name in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr):
            found |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return found


def _changed(tree: ast.Module) -> set[str]:
    """Return the names of objects that the cell's statements change, outside functions."""
    changed = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            changed.add(_root(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if isinstance(function, ast.Attribute):
                changed.add(_root(function))
    return changed - _MODULES - {""}


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def essential(code: str, names: set[str]) -> str:
    r"""Return the statements of a cell that make ``names``, without comments.

    Examples
    --------
    >>> essential("a = 1\nb = a + 1\nprint(b)  # shows it", {"b"})
    'a = 1\nb = a + 1'
    """
    statements = [ast.unparse(statement) for statement in ast.parse(code).body]
    return "\n".join(statements[place] for place in needed(statements, names))


def needed(cells: Sequence[str], names: set[str]) -> list[int]:
    """Return the numbers of the cells that make ``names``, in their order.

    A cell that is not Python makes nothing.

    Examples
    --------
    >>> cells = ["import numpy as np", "x = np.ones(3)", "y = 2", "x += 1", "z = x + 1"]
    >>> needed(cells, {"x"}), needed(cells, {"y"}), needed([*cells, "x = 5"], {"x"})
    ([0, 1, 3], [2], [5])
    """
    known = [_names_or_nothing(code) for code in cells]
    found: set[int] = set()
    waiting = [(name, len(cells)) for name in names]
    seen = set(waiting)
    while waiting:
        name, end = waiting.pop()
        for place, uses in _makers(known, name, end):
            found.add(place)
            # What the body of a function uses must exist where the function is used.
            wanted = {(used, place) for used in uses.used} | {(used, end) for used in uses.later}
            waiting += wanted - seen
            seen |= wanted
    return sorted(found)


def _names_or_nothing(code: str) -> Names:
    try:
        return names_of(plain_python(code))
    except (SyntaxError, ValueError):
        return Names(set(), set(), set(), set())


def _makers(known: Sequence[Names], name: str, end: int) -> Iterator[tuple[int, Names]]:
    """Yield the cells before ``end`` that make a name, from the last one to the first."""
    for place in range(end - 1, -1, -1):
        names = known[place]
        if name in names.bound or name in names.changed:
            yield place, names
        if name in names.bound:
            return
