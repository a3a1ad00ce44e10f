"""Find phrases that make the text hard to read: ``python -m tools.english [PATH ...]``.

Run by ``make lint``. Each pattern comes with better wording; a line that quotes a phrase on purpose
ends in the comment ``english: ok``.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".pyx", ".pxd", ".h", ".md"}
FOLDERS = ("dlfs", "dlfs_ext", "tests", "tools", "benchmarks", "docs", "notebooks")

# Pattern (ignoring case) and better wording.
PHRASES = {
    r"\bis no (?!longer|more|less|better|slower|faster|larger|smaller|different)\w": "is not a",
    r"\bis none\b": "is not valid",
    r"\bso many\b": "many; this many; the number of",
    r"\bwho(so)?ever\b": "a caller; the user",
    r"\bof late\b": "recently",
    r"\banew\b": "again",
    r"\bunfit\b": "say what the argument must be",
    r"\bin vain\b": "without result",
    r"\bby heart\b": "overfitting",
    r"\b(by|of) (itself|themselves) alone\b": "alone",
    r"\b(hands?|handed|handing) (it |them |this |that )?(on|over|out|in)\b": "passes; returns",
    r"\bto be (had|seen|found)\b": "available; visible",
    r"\bkin\b": "variants; similar functions",
    r"\bnobody('s)?\b": "name the subject: not read, not used",
    r"\bforgets?\b": "removes; does not keep",
    r"\b(code|function|class|layer|network|kernel|loop|module)s? (want|know|believe)s?\b": (
        "needs; has; depends on"
    ),
    r"\bis (believed|trusted|wanted|asked for)\b": "is checked; is used; is requested",
    r"\b(other|another) (\w+ )?than\b": "different from; a ... other than",
    r"\bfor (ever|good)\b": "permanently",
    r"\bcures?\b": "remedy; fixes",
    r"\bguilty\b": "wrong",
    r"\bcomplaints?\b|\bcomplains?\b": "error message; raises",
    r"\bmoods?\b": "mode",
}


def files(paths: list[str]) -> Iterator[Path]:
    """Yield the files to check: those named, or all except the notebooks' sources."""
    if paths:
        yield from (Path(path) for path in paths)
        return
    yield from (ROOT / "Makefile", ROOT / "setup.py", *sorted(ROOT.glob("*.md")))
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            inside = path.relative_to(ROOT)
            notebook = inside.parts[0] == "notebooks" and len(inside.parts) > 2
            if path.suffix in SUFFIXES and not notebook and path != Path(__file__):
                yield path


def faults(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the phrase and the better wording of each fault in a text.

    Examples
    --------
    >>> list(faults("x is no array"))
    [(1, 'is no a', 'is not a')]
    """
    for number, line in enumerate(text.splitlines(), 1):
        if "english: ok" in line:
            continue
        for pattern, better in PHRASES.items():
            for found in re.finditer(pattern, line, re.IGNORECASE):
                yield number, found.group(), better


def main(paths: list[str]) -> int:
    """Print every fault as file, line and better wording; return 1 if there are any."""
    count = 0
    for path in files(paths):
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        for number, phrase, better in faults(path.read_text(encoding="utf-8")):
            print(f"{shown}:{number}: {phrase!r}: better: {better}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
