"""An error raised by a student's own code, in words: where, and the shapes of its arrays there."""

import ast
import linecache
from types import FrameType
from typing import Any

import numpy as np

_LIBRARY = ("dlfs", "dlfs_ext")
_ABOUT_SHAPES = (AssertionError, ValueError, IndexError)


def describe(error: BaseException) -> str:
    """Return the kind of an error, its message, its line, and the shapes of the line's arrays."""
    message = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{message}{_place(error)}"


def _place(error: BaseException) -> str:
    steps, step = [], error.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _LIBRARY:
            steps.append(step)
        step = step.tb_next
    if not steps:
        return ""
    frame, line = steps[-1].tb_frame, steps[-1].tb_lineno
    text = linecache.getline(frame.f_code.co_filename, line).strip()
    shapes = []
    if isinstance(error, _ABOUT_SHAPES):
        shapes = [f"{name} has shape {shape}" for name, shape in _shapes(text, frame).items()]
    there = f": {'; '.join(shapes)}" if shapes else ""
    return f" (in {frame.f_code.co_name}, line {line}{there})"


def _shapes(text: str, frame: FrameType) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays that a line of code names, such as x or self.param."""
    try:
        tree = ast.parse(f"{text} pass" if text.endswith(":") else text)
    except SyntaxError:  # a part of a longer statement
        return {}
    found = {}
    for node in ast.walk(tree):
        value = _value(node, frame)
        if isinstance(value, np.ndarray):
            found[ast.unparse(node)] = value.shape
    return found


def _value(node: ast.AST, frame: FrameType) -> Any:
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(frame.f_locals.get(node.value.id), "__dict__", {}).get(node.attr)
    return None
