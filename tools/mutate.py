"""Mutation testing, many times faster: ``python -m tools.mutate [NAME ...]``, or ``make mutate``.

mutmut makes the changes, names them, and keeps the results (``mutmut show NAME``). It starts pytest
for each change, and to collect these tests takes longer than to run them. So here pytest collects
once; then each change gets a fork of that process, which runs the tests that reach the changed
function until one fails: first those that noticed other changes of it, then the fast ones.

Names are mutmut's, with wildcards: ``'dlfs.dropout.*'``. Without any, the backward code is changed.
"""

import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from math import ceil
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils import file_utils

# Functions by their names, as mutmut spells them: x_function, xǁClassǁmethod.
BACKWARD = [
    "*_grad",
    "*_grads",
    "*_gradient",
    "*backward*",
    "*_run_back",
    "*.x__back_to_inputs",
    # value and gradient come from one kernel, and the loss keeps both
    "dlfs.reference.losses.*",
    "dlfs.losses.*ǁ_output",
    # helpers of gradients alone, and those that they share with the forward pass
    "dlfs.dense.x_*",
    "dlfs.fusion.*ǁ_options",
    "dlfs.fusion.*ǁ_table_is_smaller",
    "dlfs.reference.conv.x__*",
    "dlfs.reference.conv_transpose.x__*",
    "dlfs.reference.dense.x__all_but_features",
    "dlfs.reference.dense.x__check_*",
    "dlfs.reference.embedding.x__*",
    "dlfs.reference.normalization.x__batch_axes",
    "dlfs.reference.normalization.x__check_*",
    "dlfs.reference.pooling.x__*",
    "dlfs.reference.steps.*",
]
SURVIVED, KILLED, NO_TESTS, TIMEOUT = 0, 1, 33, 36
RESULTS = Path("mutants/results.json")
REACHED = Path("mutants/reached.json")
MEMORY = 6 << 30


def main(patterns: list[str]) -> int:
    """Try the changes that the patterns name; return how many nobody noticed, at most 1."""
    # The compiled kernels have tests of their own; here they would answer for the changed ones.
    sys.modules["dlfs_ext"] = None
    set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    file_utils.copy_src_dir()
    file_utils.copy_also_copy_files()
    file_utils.setup_source_paths()
    mutmut.create_mutants(1)
    changes = Changes(patterns)
    with file_utils.change_cwd("mutants"):
        selection = config().pytest_add_cli_args_test_selection
        quiet = ["-qq", "-s", "--no-summary", "--tb=native", "-p", "no:cacheprovider"]
        pytest.main(["--rootdir=.", *quiet, *selection], plugins=[changes])
    changes.report()
    return int(bool(changes.left()))


def is_backward(function: str) -> bool:
    """Return whether a function, by mutmut's name, computes gradients or serves those that do."""
    return any(fnmatchcase(function, pattern) for pattern in BACKWARD)


class Changes:
    """A plugin of pytest, which tries all changes where pytest would run its tests."""

    def __init__(self, patterns: list[str]) -> None:
        self.files = {}
        self.results: dict[str, tuple[int, str]] = {}
        if RESULTS.exists():
            self.results = {name: tuple(what) for name, what in load(RESULTS).items()}
        for path in file_utils.walk_mutatable_files():
            data = SourceFileMutationData(path=path)
            data.load()
            for name in data.exit_code_by_key:
                if chosen(name, patterns):
                    self.files[name] = data
        # what was tried before stands, unless it is asked for by name
        self.names = [name for name in self.files if patterns or name not in self.results]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try each change with the tests that reach it, those with few or fast tests first."""
        if session.testsfailed:
            raise SystemExit("the tests could not be collected")
        items = {item.nodeid: item for item in session.items}
        tests, seconds = self._reached(items)
        killers: dict[str, Counter[str]] = defaultdict(Counter)
        started = time.monotonic()

        def cost(name: str) -> float:
            return sum(seconds[test] for test in tests[name.partition("__mutmut_")[0]])

        for count, name in enumerate(sorted(self.names, key=cost), 1):
            function = name.partition("__mutmut_")[0]
            known = killers[function]
            order = sorted(tests[function], key=lambda test: (-known[test], seconds[test]))
            limit = ceil(10 + 4 * sum(seconds[test] for test in order))
            what, test = attempt(name, [items[test] for test in order], limit)
            if what == KILLED:
                known[test] += 1
            self._keep(name, what, test)
            if count % 100 == 0 or count == len(self.names):
                self._save()
                pace = (time.monotonic() - started) / count
                say(f"{count}/{len(self.names)}  {pace:.2f} s each, {len(self.left())} left")
        return True

    def _reached(
        self, items: dict[str, pytest.Item]
    ) -> tuple[dict[str, list[str]], dict[str, float]]:
        """Return which tests reach each function, and how long each takes, having run them."""
        known = load(Path("..") / REACHED) if (Path("..") / REACHED).exists() else {}
        set_mutant_under_test("stats")
        say(f"{len(items)} tests, of which {len(items.keys() - known.keys())} are new")
        for test, item in items.items():
            if test not in known:
                state()._stats.clear()
                started = time.process_time()
                if not passes(item):
                    raise SystemExit(f"fails without any change: {test}")
                known[test] = [time.process_time() - started, sorted(state()._stats)]
        set_mutant_under_test("")
        save(Path("..") / REACHED, known)
        tests = defaultdict(list)
        for test in items:
            for function in known[test][1]:
                tests[function].append(test)
        return tests, {test: known[test][0] for test in items}

    def _keep(self, name: str, what: int, test: str) -> None:
        self.results[name] = what, test
        self.files[name].exit_code_by_key[name] = what

    def _save(self) -> None:
        with file_utils.change_cwd(".."):
            for data in set(self.files.values()):
                data.save()
            save(RESULTS, self.results)

    def left(self) -> list[str]:
        """Return which changes nobody noticed."""
        missed = (SURVIVED, NO_TESTS)
        return [name for name in self.files if self.results.get(name, (None,))[0] in missed]

    def report(self) -> None:
        """Print the score of each module, and what nobody noticed."""
        left = set(self.left())
        counts, unnoticed = Counter[str](), Counter[str]()
        tried = self.files.keys() & self.results.keys()
        for name in sorted(tried):
            module = name.rpartition(".")[0]
            counts[module] += 1
            unnoticed[module] += name in left
        for module in counts:
            say(f"{counts[module] - unnoticed[module]:5} of {counts[module]:5}  {module}")
        say(f"{len(tried) - len(left):5} of {len(tried):5}  noticed in all")
        for name in sorted(left):
            say(f"not noticed: {name}")


def chosen(name: str, patterns: list[str]) -> bool:
    """Return whether a change is asked for."""
    if patterns:
        return any(fnmatchcase(name, pattern) for pattern in patterns)
    return is_backward(name.partition("__mutmut_")[0])


def attempt(name: str, items: list[pytest.Item], limit: int) -> tuple[int, str]:
    """Run tests on one change, in a process of its own; return what came of it, and which failed.

    ``limit`` is in seconds of that process's own work, so a busy machine is no reason to stop.
    """
    if not items:
        return NO_TESTS, ""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        set_mutant_under_test(name)
        for item in items:
            if not passes(item):
                os.write(theirs, item.nodeid.encode())
                os._exit(KILLED)
        os._exit(SURVIVED)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        test = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return TIMEOUT, ""
    return (code, test) if code == SURVIVED else (KILLED, test)


def passes(item: pytest.Item) -> bool:
    """Run one test."""
    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def say(text: str) -> None:
    """Print past whatever catches the output of tests."""
    print(text, file=sys.__stdout__, flush=True)


def load(path: Path) -> dict:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def save(path: Path, what: dict) -> None:
    """Write JSON."""
    path.write_text(json.dumps(what, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
