"""Count the lines of the core: what a student reads to understand the library.

    python -m tools.core_lines            the core, and what came with chapter 10, file by file
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

CHAPTER_10 = (
    *("layers/attention.py", "layers/tied.py", "layers/transformer.py"),
    "reference/attention.py",
)
"""The core's files that came with chapter 10, and hold nothing else: counted on their own.

What came with them into other files counts in the core: PositionEmbedding, RMSNorm, GroupNorm,
SwiGLU and GELU's tanh, with their kernels.
"""

DENSE = ("base.py", "dense.py", "layers/base.py", "reference/dense.py")
"""What to read for one Dense layer, forward and backward, on the reference path, in this order."""


def core_files() -> list[str]:
    """Return the files that count as the core."""
    inside = [path for folder in FOLDERS for path in sorted((PACKAGE / folder).rglob("*.py"))]
    found = [PACKAGE / name for name in FILES] + inside + [PACKAGE / name for name in MORE]
    names = [str(path.relative_to(PACKAGE)) for path in found]
    return [name for name in names if name not in (*LEFT_OUT, *CHAPTER_10)]


def code_lines(source: str) -> int:
    """Return how many lines of a file are neither text nor blank.

    Examples
    --------
    >>> code_lines('"A docstring."' + chr(10) * 2 + "# A comment." + chr(10) + "x = 1" + chr(10))
    1
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
    return len(lines)


def count(title: str, files: Sequence[str]) -> tuple[int, int]:
    """Print and return the lines, and the lines of code, of some files together."""
    print(f"{title}: lines, lines of code")
    total = total_code = 0
    for name in files:
        source = (PACKAGE / name).read_text()
        lines, code = len(source.splitlines()), code_lines(source)
        print(f"{lines:6d} {code:6d}  dlfs/{name}")
        total, total_code = total + lines, total_code + code
    print(f"{total:6d} {total_code:6d}  in {len(files)} files\n")
    return total, total_code


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", action="store_true", help="only what one Dense layer needs")
    options = parser.parse_args()
    if options.dense:
        count("One Dense layer", DENSE)
        return
    core, chapter_10 = count("Core", core_files()), count("Chapter 10", CHAPTER_10)
    print(f"{core[0] + chapter_10[0]:6d} {core[1] + chapter_10[1]:6d}  together")


if __name__ == "__main__":
    main()
