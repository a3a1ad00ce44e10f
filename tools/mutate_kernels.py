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
numbers try these mutants.
"""

import ctypes
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.runner import runtestprotocol

from tests.support import guard

PACKAGE = Path("dlfs_ext")
FOLDER = Path("mutants").absolute()
TABLE, LIBRARY, SHARED_FILE = FOLDER / "mutants.json", FOLDER / "libshared.so", FOLDER / "shared"
COUNT, SEED = 500, 18
# Some do not compile, or are in code for other compilers: more are drawn.
DRAWN = COUNT * 4 // 3
# Seconds of tests for one mutant, without ``left``. A test may take SLOWER times its usual time.
MOST_SECONDS = 20
SLOWER, GRACE = 10, 5
JOBS = os.cpu_count() or 1

# Each process that tries mutants has a part of the shared memory: the active mutant, and a byte for
# each mutant that says whether it was reached.
SIZE = 4096
SHARED = f"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
static char *parts;
volatile int *dlfs_mutant;
volatile char *dlfs_reached;
void use_part(int part)
{{
    dlfs_mutant = (volatile int *)(parts + part * {SIZE});
    dlfs_reached = (volatile char *)(dlfs_mutant + 1);
}}
__attribute__((constructor)) static void begin(void)
{{
    int file = open(getenv("DLFS_MUTANTS"), O_RDWR);
    parts = mmap(NULL, {JOBS * SIZE}, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (parts == MAP_FAILED)
        abort();
    use_part(atoi(getenv("DLFS_PART")));
}}
"""
HEADER = """
extern volatile int *dlfs_mutant;
extern volatile char *dlfs_reached;
#define mutant(n) (dlfs_reached[n] = 1, *dlfs_mutant == (n))
"""
CYTHON_HEADER = 'cdef extern from "mutant.h" nogil:\n    bint mutant(int n) noexcept\n'

# What replaces an operator or a function, and the operators by how tightly they bind.
BOTH = ["+ -", "- +", "* /", "/ *", "// *", "% /", "< <=", "<= <", "> >=", ">= >", "== !=", "!= =="]
BOTH += ["&& ||", "|| &&", "and or", "or and", "<< >>", ">> <<", "& |", "| &"]
OPERATORS = dict(pair.split() for pair in BOTH)
CALLS = {"vmin": "vmax", "vmax": "vmin", "vzip_low": "vzip_high", "vzip_high": "vzip_low"}
CALLS |= {"vevens": "vodds", "vodds": "vevens", "min": "max", "max": "min"}
C_LEVELS = ["||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"]
CYTHON_LEVELS = ["or", "and", "not", "< <= > >= == !=", "|", "^", "&", "<< >>", "+ -", "* / // %"]
NOT, COMPARISON = 2, 3
# What ends an expression at its own depth.
KEYWORDS = {"return", "if", "else", "for", "while"}
ENDS = KEYWORDS | {",", ";", ":", "?", "=", "{", "}", "+=", "-=", "*=", "/=", "|=", "&=", "^="}
C_ENDS, CYTHON_ENDS = ENDS | {"case", "do"}, ENDS | {"//=", "elif", "in", "is", "\n"}

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
        depth = 0
        for match in TOKEN.finditer(self.clean):
            depth += (match[0] in "([{") - (match[0] in ")]}")
            if match[0] != "\n" or (depth == 0 and not self.is_c):
                self.tokens.append(match[0])
                self.spans.append(match.span())

    def is_binary(self, i: int) -> bool:
        """Whether token i is an operator between two operands: it has spaces on both sides."""
        start, end = self.spans[i]
        around = self.clean[start - 1] + self.clean[end]
        return self.tokens[i] in self.level and around.isspace()

    def operand(self, i: int, step: int, level: int = -1) -> int:
        """Return the last token of the operand that begins beside token i, in one direction."""
        opening, closing = ("([{", ")]}") if step > 0 else (")]}", "([{")
        depth, i = 0, i + step
        while 0 <= i < len(self.tokens):
            token = self.tokens[i]
            if depth == 0 and (token in self.ends or token in closing):
                break
            if depth == 0 and self.is_binary(i) and self.level[token] < level + (step > 0):
                break
            depth += (token in opening) - (token in closing)
            i += step
        return i - step

    def arguments(self, i: int) -> list[tuple[int, int]]:
        """Return the first and last tokens of the arguments of a call; token i is its bracket."""
        found = [(i + 1, self.operand(i, 1))]
        while self.tokens[found[-1][1] + 1] == ",":
            first = found[-1][1] + 2
            found.append((first, self.operand(first - 1, 1)))
        return found

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
                others = (j for j in range(first - 1, last + 2) if self.is_binary(j) and j != i)
                chained = any(self.level[self.tokens[j]] == COMPARISON for j in others)
                if self.is_c or level != COMPARISON or not chained:
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
                last = self.arguments(i + 1)[-1][1] + 1
                yield i, last, CALLS[token] + self.part(i + 1, last)
            elif re.fullmatch(r"v\w+_n|vfirst|p?range", token) and called:
                first, last = self.arguments(i + 1)[0 if token == "prange" else -1]
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
        if not self.is_c:
            docstring = re.match(r'(?:"""(?:.*?)"""\n)?', text, re.DOTALL)
            place = docstring.end() if docstring else 0
            text = text[:place] + CYTHON_HEADER + text[place:]
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
    names = [path for path in PACKAGE.rglob("*") if path.suffix in (".h", ".pyx", ".pxd")]
    sources = [
        Source(path)
        for path in sorted(names)
        if path.stem != "poison" and path.parent.name != "plain"
    ]
    mutants = draw(sources)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "mutant.h").write_text(HEADER)
    (FOLDER / "shared.c").write_text(SHARED)
    command = ["gcc", "-shared", "-fPIC", str(FOLDER / "shared.c"), "-o", str(LIBRARY)]
    subprocess.run(command, check=True)
    used, wrong = set[int](), {0}
    while wrong:
        for source in sources:
            source.rewrite([m for m in mutants if m.file == source.path.as_posix()])
        used, wrong = check()
        mutants = [m for m in mutants if m.number not in wrong]
        say(f"{len(wrong)} mutants do not compile")
    say("compiling")
    flags = f"-O1 -w -include {FOLDER}/mutant.h -I{FOLDER} {LIBRARY} -Wl,-rpath,{FOLDER}"
    environment = {**os.environ, "DLFS_FLAGS": flags, "DLFS_REQUIRE_EXT": "1"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, check=True, env=environment)
    return [m for m in mutants if m.number in used][:COUNT]


def check() -> tuple[set[int], set[int]]:
    """Translate and check the sources; return the mutants in use, and those that cause errors."""

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)

    # setup.py translates all Cython files, whatever it is asked to do.
    output = run(sys.executable, "setup.py", "-q", "--name")
    if output.returncode or "Error compiling" in output.stdout + output.stderr:
        return set(), blamed(output.stdout + output.stderr)
    folders = [FOLDER, PACKAGE / "csrc", sysconfig.get_path("include"), np.get_include()]
    gcc = ["gcc", "-fopenmp", "-w", "-include", str(FOLDER / "mutant.h")]
    gcc += [f"-I{folder}" for folder in folders]
    used, wrong = set[int](), set[int]()
    for path in sorted(map(str, PACKAGE.glob("*.c"))):
        output = run(*gcc, "-fsyntax-only", "-fmax-errors=0", path)
        wrong |= blamed(output.stderr) if output.returncode else set()
        numbers = re.findall(r"dlfs_reached\[(\w+)\]", run(*gcc, "-E", path).stdout)
        used |= {int(number, 0) for number in numbers}
    return used, wrong


def blamed(errors: str) -> set[int]:
    """Return the mutants on the lines with errors, or before them in C that Cython made."""
    places = re.findall(rf"({PACKAGE}/[\w/.]+):(\d+):(.*)", errors)
    # The other messages only explain: where a macro is used, for example.
    for chosen in ([p for p in places if " error: " in p[2]], places):
        found = set[int]()
        for name, line, _ in chosen:
            lines = Path(name).read_text(encoding="utf-8").splitlines()[: int(line)]
            if name.endswith(".c"):
                lines = [text for text in lines if "mutant(" in text] or lines
            found.update(map(int, re.findall(r"\bmutant\((\d+)\)", lines[-1])))
        if found:
            return found
    sys.exit(f"the changed kernels do not compile:\n{errors}")


class Trial:
    """A pytest plugin that tries the mutants instead of running the tests once."""

    def __init__(self, mutants: list[Mutant], wanted: list[Mutant], most_seconds: float) -> None:
        self.mutants, self.wanted, self.most_seconds = mutants, wanted, most_seconds
        # Not os.fork: the kernels would notice, and use one thread. No thread has been started yet.
        self.fork = ctypes.PyDLL(None).fork
        self.part = np.empty(0, np.uint8)
        self.items: list[pytest.Item] = []
        self.reach: dict[int, list[int]] = defaultdict(list)
        self.seconds: dict[int, float] = {}
        self.noticed: Counter[int] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn what each test reaches; then try each mutant."""
        if session.testsfailed:
            pytest.exit("the tests could not be collected", 1)
        self.items = session.items
        for test, took, reached in self.together(self.learn, range(len(self.items))):
            self.seconds[test] = took
            for number in reached:
                self.reach[number].append(test)
        say(f"{len(self.items)} tests, {sum(self.seconds.values()):.0f} s")
        found = {m.number: m for m in self.mutants}
        for number, result, test in self.together(self.try_one, [m.number for m in self.wanted]):
            found[number].result, found[number].test = result, test
        return True

    def together(self, function: Callable[[int], Any], work: Sequence[int]) -> Iterator[Any]:
        """Call the function for each number, in several processes; return the results."""
        children = []
        for part in range(JOBS):
            child = self.fork()
            if child == 0:
                try:
                    self.work(function, work[part::JOBS], part)
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        for part, child in enumerate(children):
            if os.waitpid(child, 0)[1]:
                sys.exit("a process that tries mutants failed")
            yield from map(json.loads, (FOLDER / f"results-{part}").read_text().splitlines())

    def work(self, function: Callable[[int], Any], numbers: Sequence[int], part: int) -> None:
        """Call the function for each number; write the results to a file."""
        os.environ["DLFS_PART"] = str(part)
        ctypes.CDLL(str(LIBRARY)).use_part(part)
        with guard.lifted():
            self.part = np.memmap(SHARED_FILE, np.uint8, "r+", part * SIZE, (SIZE,))
            results = (FOLDER / f"results-{part}").open("w", encoding="utf-8")
        for number in numbers:
            print(json.dumps(function(number)), file=results, flush=True)

    def learn(self, test: int) -> tuple[int, float, list[int]]:
        """Run a test unchanged; return its number, its seconds, and the mutants that it reaches."""
        self.part[:] = 0
        outcome, took = self.attempt(test, 0, 600)
        if outcome != "passed":
            say(f"fails without any change ({outcome}), left out: {self.items[test].nodeid}")
        reached = self.part[4:].nonzero()[0].tolist() if outcome == "passed" else []
        return test, took, reached

    def try_one(self, number: int) -> tuple[int, str, str]:
        """Run tests until one notices the mutant; return its number, the result and the test."""
        result, total = "not reached", 0.0
        tests = self.reach[number]
        for test in sorted(tests, key=lambda t: self.seconds[t] / (1 + self.noticed[t])):
            result, took = self.attempt(test, number, self.seconds[test])
            total += took
            if result != "passed":
                self.noticed[test] += 1
                return number, result, self.items[test].nodeid
            if total > self.most_seconds:
                break
        say(f"{result}: mutant {number}")
        return number, result, ""

    def attempt(self, test: int, number: int, usual: float) -> tuple[str, float]:
        """Run one test in a process of its own; return the outcome and its CPU time."""
        self.part[:4] = list(number.to_bytes(4, sys.byteorder))
        limit = int(GRACE + SLOWER * usual)
        child = self.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(60 + 10 * limit)  # a deadlock takes no CPU time
            reports = runtestprotocol(self.items[test], log=False, nextitem=None)
            os._exit(any(report.failed for report in reports))
        _, status, usage = os.wait4(child, 0)
        self.part[:4] = 0
        code = os.waitstatus_to_exitcode(status)
        too_long = code in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL)
        outcome = "too long" if too_long else {0: "passed", 1: "failed"}.get(code, "crashed")
        return outcome, usage.ru_utime + usage.ru_stime


def say(text: str) -> None:
    """Print to the terminal, even while pytest captures output."""
    print(text, file=sys.__stdout__, flush=True)


def main(arguments: list[str]) -> int:
    """Build the mutants, or read those of before, and try them."""
    if Path(".git").exists():
        sys.exit("this rewrites dlfs_ext, so it must run in a copy: make mutate-kernels")
    mutants = [Mutant(**m) for m in json.loads(TABLE.read_text())] if arguments else build()
    TABLE.write_text(json.dumps([asdict(m) for m in mutants], indent=1))
    SHARED_FILE.write_bytes(bytes(JOBS * SIZE))
    # Threads that wait actively would take CPU time from each other.
    settings = {"DLFS_MUTANTS": str(SHARED_FILE), "DLFS_PART": "0", "OMP_WAIT_POLICY": "passive"}
    os.environ.update(settings)
    wanted = [m for m in mutants if str(m.number) in arguments]
    wanted = wanted or [m for m in mutants if not m.test]
    trial = Trial(mutants, wanted, float("inf") if arguments else MOST_SECONDS)
    quiet = [
        "-qq",
        "-s",
        "--no-summary",
        "--tb=native",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
    ]
    status = pytest.main([*quiet, "tests/ext"], plugins=[trial])
    TABLE.write_text(json.dumps([asdict(m) for m in mutants], indent=1))
    every, noticed = Counter(m.file for m in mutants), Counter(m.file for m in mutants if m.test)
    for name in sorted(every):
        say(f"{noticed[name]:4} of {every[name]:4}  {name}")
    say(f"{noticed.total():4} of {every.total():4}  noticed; the others:")
    for m in mutants:
        if not m.test:
            say(f"{m.number}: {m.result}: {m.file}:{m.line}: {m.before} -> {m.after}")
    return int(status != pytest.ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
