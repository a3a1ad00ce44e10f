"""Mutation testing of the compiled kernels: ``make mutate-kernels``.

One small change ("mutant") at a time is made in a C header or a Cython file of ``dlfs_ext``, and
the tests of ``tests/ext`` must notice it. Compiling hundreds of copies would take a day. So all
mutants are compiled together: an expression ``a < b`` becomes ``(mutant(17) ? a <= b : a < b)``,
and a number in shared memory says which of them is active. ``mutant(17)`` also records that it was
reached. Every test runs once unchanged, to learn which mutants it reaches. Then the tests that
reach a mutant run on it, each in a fork of this process, until one fails. A crash, and a test that
takes far too long, count as noticed.

It rewrites the sources: run it in a copy, which ``make`` makes in build/kernels. There ``left``
tries the mutants that were not noticed again, with all tests that reach them and without compiling;
numbers try these mutants, and paths replace tests/ext.
"""

import ctypes
import json
import os
import random
import re
import subprocess
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support import guard
from tools import trials
from tools.trials import first_of, say

PACKAGE = Path("dlfs_ext")
FOLDER = Path("mutants").absolute()
TABLE, LIBRARY, SHARED_FILE = FOLDER / "mutants.json", FOLDER / "libshared.so", FOLDER / "shared"
COUNT, SEED = 500, 18
# Some do not compile, or are in code for other compilers: more are drawn.
DRAWN = COUNT * 4 // 3
# Seconds of tests for one mutant, without ``left``. A test may take SLOWER times its usual time.
MOST_SECONDS = 5
SLOWER, GRACE = 10, 5

# The shared memory: the active mutant, and a byte for each mutant that says whether it was reached.
SIZE = 4096
SHARED = f"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
volatile int *dlfs_mutant;
volatile char *dlfs_reached;
__attribute__((constructor)) static void begin(void)
{{
    int file = open(getenv("DLFS_MUTANTS"), O_RDWR);
    dlfs_mutant = mmap(NULL, {SIZE}, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    dlfs_reached = (volatile char *)(dlfs_mutant + 1);
}}
"""
HEADER = """
extern volatile int *dlfs_mutant;
extern volatile char *dlfs_reached;
#define mutant(n) (dlfs_reached[n] = 1, *dlfs_mutant == (n))
"""
CYTHON_HEADER = 'cdef extern from "mutant.h" nogil:\n    bint mutant(int n) noexcept\n'

# What replaces an operator or a function, and the operators by how tightly they bind.
BOTH = "+ -,- +,* /,/ *,// *,% /,< <=,<= <,> >=,>= >,== !=,!= ==,&& ||,|| &&,and or,or and"
OPERATORS = dict(pair.split() for pair in f"{BOTH},<< >>,>> <<,& |,| &".split(","))
CALLS = {"vmin": "vmax", "vmax": "vmin", "vzip_low": "vzip_high", "vzip_high": "vzip_low"}
CALLS |= {"vevens": "vodds", "vodds": "vevens", "min": "max", "max": "min"}
C_LEVELS = ["||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"]
CYTHON_LEVELS = ["or", "and", "not", "< <= > >= == != is in", *C_LEVELS[2:5], "<< >>", "+ -"]
CYTHON_LEVELS += ["* / // %"]
NOT, COMPARISON = 2, 3
# What ends an expression at its own depth.
KEYWORDS = {"return", "if", "else", "for", "while"}
ENDS = KEYWORDS | {",", ";", ":", "?", "=", "{", "}", "+=", "-=", "*=", "/=", "|=", "&=", "^="}
BRACKETS = {1: "([{", -1: ")]}"}
C_ENDS, CYTHON_ENDS = ENDS | {"case", "do"}, ENDS | {"//=", "elif", "\n"}

TOKEN = re.compile(
    r'[A-Za-z_]\w*|0x[\da-fA-F.]+(?:p[+-]?\d+)?\w*|\d[\d.]*(?:[eE][+-]?\d+)?\w*|"(?:\\.|[^"\\\n])*"'
    r"|<<=|>>=|//=|//|\*\*|->|\+\+|--|[-+*/%&|^<>=!]=|<<|>>|&&|\|\||\n|\S"
)
FRACTION = re.compile(r"0x.*p|\d+e|(?=.*[1-9])\d+\.")  # but not 0.0
# Left alone in C: comments, directives, definitions of anything but fractions (the sizes of tiles),
# the sizes of arrays, tables of numbers, and prefetching, which only saves time.
C_FIXED = re.compile(
    r"/\*.*?\*/|^[ \t]*#(?!define)[^\n]*$|^#define [A-Z]\w* +(?!-?\d+\.\d)[^\n]*$"
    r"|\b(?:real|vec|inte|ivec) (?:\w+(?:\[[^\]]*\])+(?:, )?)+"
    r"|^(?:DLFS_UNUSED )?static const [^;=]*=[^;]*;|DLFS_PREFETCH\w*\([^;]*;",
    re.MULTILINE | re.DOTALL,
)
# And in Cython: docstrings, comments, declarations of other things than variables, the heads of
# functions, lines that run only when the module is imported, array types, and the amount of work,
# which only decides the number of threads.
CYTHON_FIXED = re.compile(
    r'"""(?:.*?)"""|#[^\n]*|^cdef (?:extern|enum|struct)[^\n]*\n(?:(?:    [^\n]*)?\n)*'
    r"|^[ \t]*(?:cp?def|def)\b[^\n=]*\((?:[^()]|\([^()]*\))*\)[^\n]*:[ \t]*$"
    r"|^[^ \n][^\n]*$|^[ \t]*(?:global|cimport|from|import)\b[^\n]*$"
    r"|^[ \t]*cdef (?:inline )?[\w. ]+\[[^\]]*\][^\n]*$|\bgather\([^\n]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Mutant:
    """One change; ``start`` and ``end`` are where the expression is in its file."""

    number: int
    file: str
    line: int
    before: str
    after: str
    start: int
    end: int
    result: str = ""
    test: str = ""

    def __str__(self) -> str:
        place = f"{self.number}: {self.result}: {self.file}:{self.line}"
        return f"{place}: {self.before} -> {self.after}"


class Source:
    """A file, and the mutants that are possible in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, path.read_text(encoding="utf-8")
        self.is_c = path.suffix == ".h"
        self.ends = C_ENDS if self.is_c else CYTHON_ENDS
        levels = enumerate(C_LEVELS if self.is_c else CYTHON_LEVELS)
        self.level = {operator: level for level, line in levels for operator in line.split()}
        fixed = C_FIXED if self.is_c else CYTHON_FIXED
        clean = fixed.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), self.text)
        self.clean = clean.replace("\\\n", " \n")
        self.tokens: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self.partner: dict[int, int] = {}
        opened: list[int] = []
        for match in TOKEN.finditer(self.clean):
            if match[0] == "\n" and (opened or self.is_c):
                continue
            place = len(self.tokens)
            if match[0] in BRACKETS[1]:
                opened.append(place)
            elif match[0] in BRACKETS[-1] and opened:
                self.partner |= {place: opened[-1], opened.pop(): place}
            self.tokens.append(match[0])
            self.spans.append(match.span())

    def is_binary(self, i: int) -> bool:
        """Whether token i is an operator between two operands: it has spaces on both sides."""
        start, end = self.spans[i]
        around = self.clean[start - 1] + self.clean[end]
        return self.tokens[i] in self.level and around.isspace()

    def operand(self, i: int, step: int, level: int = -1) -> int:
        """Return the last token of the operand that begins beside token i, in one direction."""
        i += step
        while 0 <= i < len(self.tokens):
            token = self.tokens[i]
            if token in self.ends or token in BRACKETS[-step]:
                break
            if self.is_binary(i) and self.level[token] < level + (step > 0):
                break
            i = self.partner.get(i, i) + step
        return i - step

    def part(self, first: int, last: int) -> str:
        """Return the text of some tokens, on one line."""
        return " ".join(self.clean[self.spans[first][0] : self.spans[last][1]].split())

    def changes(self) -> Iterator[tuple[int, int, str]]:
        """Iterate over (first token, last token, changed text)."""
        for i, token in enumerate(self.tokens[:-1]):
            called = self.tokens[i + 1] == "("
            if token in OPERATORS and self.is_binary(i):
                level = self.level[token]
                first, last = self.operand(i, -1, level), self.operand(i, 1, level)
                # In `0 <= x < 1` of Cython one comparison cannot be replaced alone.
                near = [j for j in range(first, last + 2) if self.is_binary(j)]
                comparisons = [j for j in near if self.level[self.tokens[j]] == COMPARISON]
                if self.is_c or level != COMPARISON or len(comparisons) == 1:
                    left, right = self.part(first, i - 1), self.part(i + 1, last)
                    yield first, last, f"{left} {OPERATORS[token]} {right}"
            elif token in ("+=", "-="):
                last = self.operand(i, 1)
                yield i + 1, last, f"-({self.part(i + 1, last)})"
            elif token[0].isdigit():
                yield i, i, token + (" * 1.01" if FRACTION.match(token) else " + 1")
            elif token == "VLEN":
                yield i, i, "VLEN - 1"
            elif token in CALLS and called:
                last = self.partner[i + 1]
                yield i, last, CALLS[token] + self.part(i + 1, last)
            elif re.fullmatch(r"v\w+_n|vfirst|p?range", token) and called:
                end = self.partner[i + 1]
                first, last = self.operand(end, -1), end - 1
                if token == "prange":
                    first, last = i + 2, self.operand(i + 1, 1)
                yield first, last, f"({self.part(first, last)}) - 1"
            elif token in ("if", "while", "elif") and (called or not self.is_c):
                first, last = i + 1 + self.is_c, self.operand(i + self.is_c, 1)
                yield first, last, f"{'!' if self.is_c else 'not '}({self.part(first, last)})"
            elif token == "not" and not self.is_c and self.tokens[i + 1] != "in":
                last = self.operand(i, 1, NOT)
                yield i, last, self.part(i + 1, last)

    def mutants(self) -> Iterator[Mutant]:
        """Iterate over all mutants of this file."""
        for first, last, after in self.changes():
            if first <= last:
                start, end = self.spans[first][0], self.spans[last][1]
                line, name = self.text.count("\n", 0, start) + 1, self.path.as_posix()
                yield Mutant(0, name, line, self.part(first, last), after, start, end)

    def rewrite(self, mutants: list[Mutant]) -> None:
        """Write the file with both versions of each mutant's expression."""
        text = self.text
        for m in sorted(mutants, key=lambda m: -m.start):
            if self.is_c:
                cast = "(real)" if m.after.endswith(" * 1.01") else ""
                both = f"(mutant({m.number}) ? {cast}({m.after}) : {cast}({m.before}))"
            else:
                both = f"({m.after} if mutant({m.number}) else {m.before})"
            text = text[: m.start] + both + text[m.end :]
        text += "" if self.is_c else CYTHON_HEADER
        if text != self.path.read_text(encoding="utf-8"):
            self.path.write_text(text, encoding="utf-8")


def draw(sources: list[Source]) -> list[Mutant]:
    """Return mutants from all files, in random order; none is inside another."""
    every = [m for source in sources for m in source.mutants()]
    say(f"{len(every)} mutants are possible, in {len({m.file for m in every})} files")
    random.Random(SEED).shuffle(every)
    drawn: list[Mutant] = []
    for m in every:
        others = (other for other in drawn if other.file == m.file)
        if len(drawn) < DRAWN and all(m.end <= o.start or o.end <= m.start for o in others):
            m.number = len(drawn) + 1
            drawn.append(m)
    return drawn


def build() -> list[Mutant]:
    """Rewrite and compile the kernels; return the first ``COUNT`` mutants that compile."""
    paths = [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".h", ".pyx", ".pxd")]
    paths = [path for path in paths if path.stem != "poison" and path.parent.name != "plain"]
    sources = [Source(path) for path in paths]
    mutants = draw(sources)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "mutant.h").write_text(HEADER)
    (FOLDER / "shared.c").write_text(SHARED)
    subprocess.run(["gcc", "-shared", "-fPIC", FOLDER / "shared.c", "-o", LIBRARY], check=True)
    used, wrong = set[int](), {0}
    while wrong:
        for source in sources:
            source.rewrite([m for m in mutants if m.file == source.path.as_posix()])
        used, wrong = check()
        mutants = [m for m in mutants if m.number not in wrong]
        say(f"{len(wrong)} mutants do not compile")
    say("compiling")
    flags = f"-O1 -w -include {FOLDER}/mutant.h -I{FOLDER} {LIBRARY} -Wl,-rpath,{FOLDER}"
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        check=True,
        env={**os.environ, "DLFS_FLAGS": flags, "DLFS_REQUIRE_EXT": "1"},
    )
    return [m for m in mutants if m.number in used][:COUNT]


def check() -> tuple[set[int], set[int]]:
    """Translate and check the sources; return the mutants in use, and those that cause errors."""

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)

    # setup.py translates all Cython files, whatever it is asked to do.
    output = run(sys.executable, "setup.py", "-q", "--name")
    if output.returncode or "Error compiling" in output.stdout + output.stderr:
        return set(), blamed(output.stdout + output.stderr)
    folders = [FOLDER, PACKAGE / "csrc", sysconfig.get_path("include"), np.get_include()]
    gcc = ["gcc", "-fopenmp", "-w", "-include", FOLDER / "mutant.h", *(f"-I{f}" for f in folders)]
    used, wrong = set[int](), set[int]()
    for path in sorted(PACKAGE.glob("*.c")):
        output = run(*gcc, "-fsyntax-only", "-fmax-errors=0", path)
        wrong |= blamed(output.stderr) if output.returncode else set()
        numbers = re.findall(r"dlfs_reached\[(\w+)\]", run(*gcc, "-E", path).stdout)
        used |= {int(number, 0) for number in numbers}
    return used, wrong


def blamed(errors: str) -> set[int]:
    """Return the mutants on the lines with errors, or before them in C that Cython made."""
    place = rf"({PACKAGE}/[\w/.]+):(\d+):"
    # If there is none on those lines: notes say where a macro is used, for example.
    for pattern in (place + r"\d+: (?!note)", place):
        found = set[int]()
        for name, line in re.findall(pattern, errors):
            lines = Path(name).read_text(encoding="utf-8").splitlines()[: int(line)]
            if name.endswith(".c"):
                lines = [text for text in lines if "mutant(" in text] or lines
            found.update(map(int, re.findall(r"\bmutant\((\d+)\)", lines[-1])))
        if found:
            return found
    sys.exit(f"the changed kernels do not compile:\n{errors}")


class Trial:
    """A pytest plugin that tries the mutants instead of running the tests once."""

    def __init__(self, mutants: list[Mutant], wanted: list[Mutant], most: float) -> None:
        self.mutants, self.wanted, self.most = mutants, wanted, most
        # Not os.fork: the kernels would notice, and use one thread. No thread has been started yet.
        self.fork = ctypes.PyDLL(None).fork
        self.shared = np.memmap(SHARED_FILE, np.uint8, "r+")
        self.items: list[pytest.Item] = []
        self.seconds: dict[int, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn which mutants each test reaches; then try each mutant."""
        if session.testsfailed:
            pytest.exit("the tests could not be collected", 1)
        self.items = session.items
        reach: dict[int, list[int]] = defaultdict(list)
        for test, item in enumerate(self.items):
            outcome, _, self.seconds[test] = self.attempt(0, [test])
            if outcome != trials.PASSED:
                say(f"{outcome} without any change, left out: {item.nodeid}")
                continue
            for number in self.shared[4:].nonzero()[0].tolist():
                reach[number].append(test)
        say(f"{len(self.items)} tests, {sum(self.seconds.values()):.0f} s")
        # conv.pyx, conv_tiles.h and conv_last.h are one subject
        noticed: dict[str, Counter[int]] = defaultdict(Counter)
        for mutant in self.wanted:
            subject = Path(mutant.file).stem.partition("_")[0]
            self.try_one(mutant, reach[mutant.number], noticed[subject])
        return True

    def try_one(self, mutant: Mutant, tests: list[int], noticed: Counter[int]) -> None:
        """Try a mutant: first the tests that ``noticed`` others like it, then the fast ones."""
        tests.sort(key=lambda test: self.seconds[test] / (1 + 9 * noticed[test]))
        mutant.result, mutant.test = "not reached", ""
        if chosen := list(first_of(tests, self.seconds, self.most)):
            mutant.result, last, _ = self.attempt(mutant.number, chosen)
            if mutant.result != trials.PASSED:
                mutant.test = self.items[chosen[last]].nodeid
                noticed[chosen[last]] += 1
        if not mutant.test:
            say(str(mutant))
        save(self.mutants)

    def attempt(self, number: int, tests: list[int]) -> tuple[str, int, float]:
        """Run tests with a mutant; ``shared`` says afterwards which mutants they reached."""
        self.shared[:] = [*number.to_bytes(4, sys.byteorder), *[0] * (SIZE - 4)]
        limits = [GRACE + SLOWER * self.seconds.get(test, 60) for test in tests]
        return trials.attempt([self.items[test] for test in tests], limits, fork=self.fork)


def save(mutants: list[Mutant]) -> None:
    """Store the mutants and their results."""
    with guard.lifted():
        TABLE.write_text(json.dumps([asdict(m) for m in mutants], indent=1), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Build the mutants, or read those of before, and try them."""
    if Path(".git").exists():
        sys.exit("this rewrites dlfs_ext, so it must run in a copy: make mutate-kernels")
    mutants = [Mutant(**m) for m in json.loads(TABLE.read_text())] if arguments else build()
    save(mutants)
    SHARED_FILE.write_bytes(bytes(SIZE))
    # Threads that wait actively would take CPU time from each other.
    os.environ.update(DLFS_MUTANTS=str(SHARED_FILE), OMP_WAIT_POLICY="passive")
    wanted = [m for m in mutants if str(m.number) in arguments]
    wanted = wanted or [m for m in mutants if not m.test]
    trial = Trial(mutants, wanted, float("inf") if arguments else MOST_SECONDS)
    options = "-qq -s --no-summary --tb=native -p no:cacheprovider -p no:faulthandler"
    tests = [argument for argument in arguments if "/" in argument] or ["tests/ext"]
    status = pytest.main([*options.split(), *tests], plugins=[trial])
    every, noticed = Counter(m.file for m in mutants), Counter(m.file for m in mutants if m.test)
    for name, count in sorted(every.items()):
        say(f"{noticed[name]:4} of {count:4}  {name}")
    say(f"{noticed.total():4} of {every.total():4}  noticed; the others:")
    say("\n".join(str(m) for m in mutants if not m.test))
    return int(status != pytest.ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
