"""Count the lines of the core: what a student reads to understand the library.

    python -m tools.core_lines            the core, and what was added to it, file by file
    python -m tools.core_lines --dense    what to read for one Dense layer, forward and backward

Lines of code are those without docstrings, comments and blank lines.
"""

import argparse
import ast
import io
import tokenize
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "dlfs"

FILES = ("base.py", "dense.py", "activations.py", "conv.py", "pooling.py")
FOLDERS = ("losses", "layers", "optimizers", "reference")
MORE = ("network.py", "train/trainer.py", "train/loop.py")
LEFT_OUT = ("layers/fusion.py", "reference/fused.py")
"""A fused step gives what the chain gives, so that a reader of Layer may skip it."""

ADDED: dict[str, tuple[str, ...]] = {
    "activations.py": ("SwiGLU", "SELU", "Mish", "HardSwish", "PReLU_Op", "LogSoftmax"),
    "pooling.py": ("_Pool1D", "MaxPool1D", "AvgPool1D", "GlobalMaxPool2D"),
    "losses/classes.py": ("NegativeLogLikelihood",),
    **dict.fromkeys(("layers/activations.py", "layers/attention.py"), ()),
    "layers/blocks.py": ("Bidirectional",),
    "layers/embedding.py": ("PositionEmbedding",),
    "layers/normalization.py": ("RMSNorm", "GroupNorm"),
    **dict.fromkeys(("layers/tied.py", "layers/transformer.py"), ()),
    "optimizers/adaptive.py": ("NAdam",),
    "reference/attention.py": (),
    "reference/normalization.py": ("rms_norm", "rms_norm_grad"),
    "reference/rectifiers.py": ("gelu_tanh", "gelu_tanh_grad"),
}
"""What came after the core, with chapter 10 and later: these classes and functions, or whole files.

Options that older classes got later, such as the weights of classes, count in the core.
"""

DENSE = ("base.py", "dense.py", "layers/base.py", "reference/dense.py")
"""What to read for one Dense layer, forward and backward, on the reference path, in this order."""


def core_files() -> list[str]:
    """Return the files that hold the core."""
    inside = [path for folder in FOLDERS for path in sorted((PACKAGE / folder).rglob("*.py"))]
    found = [PACKAGE / name for name in FILES] + inside + [PACKAGE / name for name in MORE]
    names = [str(path.relative_to(PACKAGE)) for path in found]
    return [name for name in names if name not in LEFT_OUT]


def code_lines(source: str) -> set[int]:
    """Return the numbers of a file's lines that are neither text nor blank.

    Examples
    --------
    >>> code_lines('"A docstring."' + chr(10) * 2 + "# A comment." + chr(10) + "x = 1" + chr(10))
    {4}
    """
    skipped = {
        tokenize.COMMENT,
        *(tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
        *(tokenize.ENCODING, tokenize.ENDMARKER),
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            lines.difference_update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def lines_of(source: str, names: Sequence[str]) -> set[int]:
    """Return the numbers of the lines that these classes and functions of a file take.

    Examples
    --------
    >>> lines_of("x = 1" + chr(10) + "def f(): ..." + chr(10) + "def g(): ..." + chr(10), ["f"])
    {2}
    """
    found: set[int] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in names:
            first = min([node.lineno, *(line.lineno for line in node.decorator_list)])
            found.update(range(first, (node.end_lineno or node.lineno) + 1))
    return found


def parts(name: str) -> tuple[set[int], set[int], set[int]]:
    """Return the numbers of a file's lines: all, those of code, those of what was added."""
    source = (PACKAGE / name).read_text()
    whole = set(range(1, len(source.splitlines()) + 1))
    names = ADDED.get(name)
    added = whole if names == () else lines_of(source, names or ())
    return whole, code_lines(source), added


def count(title: str, files: Sequence[str], added: bool = False) -> tuple[int, int]:
    """Print and return the lines, and the lines of code, of the core or of what was added to it."""
    print(f"{title}: lines, lines of code")
    total = total_code = 0
    for name in files:
        lines, code, later = parts(name)
        counted = later if added else lines - later
        if counted:
            print(f"{len(counted):6d} {len(counted & code):6d}  dlfs/{name}")
        total, total_code = total + len(counted), total_code + len(counted & code)
    print(f"{total:6d} {total_code:6d}  together\n")
    return total, total_code


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", action="store_true", help="only what one Dense layer needs")
    if parser.parse_args().dense:
        count("One Dense layer", DENSE)
        return
    count("Core", core_files())
    count("What came later", core_files(), added=True)


if __name__ == "__main__":
    main()
