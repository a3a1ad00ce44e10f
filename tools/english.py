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
    r"(?<!there )\bis no (?!longer|more|less|better|slower|faster|larger|smaller)\w+": "is not a",
    r"(?<!there )\bare no (?!longer|more|less|better|slower|faster|larger|smaller)\w+": "are not",
    r"(?-i:(?<!there )\bis none\b)": "is not valid",
    r"\bso many\b": "many; this many; the number of",
    r"\bwho(so)?ever\b": "a caller; the user",
    r"\bof late\b": "recently",
    r"\banew\b": "again",
    r"\bunfit\b": "say what the argument must be",
    r"\bin vain\b": "without result",
    r"\bby heart\b": "overfitting",
    r"\bits kin\b": "its variants",
    r"(?<!by )\b(hands?|handed|handing)( \w+){0,2} (on|over|out)\b": "passes; returns",
    r"\b(is|are|be|was|were) handed\b": "gets; is passed",
    r"\bto be had\b": "available",
    r"\bnobody('s)?\b": "not read; not used; name the subject",
    r"(?-i:\bforgets\b)": "removes; does not keep",
    r"\bforgot(ten)? to\b": "without; missing",
    r"\b(the|a|an|each|every|no|our|its) (code|function|class|layer|network|kernel|loop|module"
    r"|operation|optimizer|trainer|loss) (wants|knows|believes|asks|says|hears|decides)\b": (
        "needs; has; depends on; returns"
    ),
    r"\b(is|are) (believed|asked for)\b": "is checked; is requested",
    r"\bfor ever\b": "permanently",
    r"\bthe cures?\b": "the remedy",
    r"\bguilty (one|operation|path)\b": "the wrong one",
    r"\bcomplain(s|ts|ed)?\b": "raises; error message",
    r"\bsome (ten|twenty|fifty|hundred|thousand)\b": "about ten; a few hundred",
    r"\ball the same\b": "still",
    r"\bWinograd's way\b": "Winograd's algorithm",
    r"\ban own\b|\bof (its|their|your|his) own kind\b": "its own",
}


def files(paths: list[str]) -> Iterator[Path]:
    """Yield the files to check: those named, or all; of a notebook, its source."""
    if paths:
        yield from (Path(path) for path in paths)
        return
    yield from (ROOT / "Makefile", ROOT / "setup.py", *sorted(ROOT.glob("*.md")))
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.name not in ("english.py", "test_english.py"):
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
