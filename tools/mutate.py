"""Mutation testing, many times faster: ``python -m tools.mutate [NAME ...]``, or ``make mutate``.

mutmut makes and names the changes, and stores the results (``mutmut show NAME``). It starts pytest
for each change, although collecting these tests takes longer than running them. Here pytest
collects once; then each change gets a fork of that process. The fork runs the tests that reach the
changed function until one fails: first those that detected other changes of it, then the fast ones.

Names are mutmut's, with wildcards: ``'dlfs.dropout.*'``. The default is the backward code, and
``forward`` everything else, both except for changes tried before; ``left`` means the changes tried
and not detected. A number among the names is how many changes of each module are tried, drawn at
random; paths below ``tests``, and pytest's options, replace the tests of ``pyproject.toml``.
"""

import functools
import gc
import importlib
import json
import random
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import libcst
import pytest
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation import file_mutation
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils import file_utils

from tools import trials
from tools.trials import first_of, passes, say

# Functions by their names, as mutmut spells them: x_function, xǁClassǁmethod.
BACKWARD = [
    "*_grad",
    "*backward*",
    "*_run_back",
    "*.x__back_to_inputs",
    # value and gradient come from one kernel, and the loss stores both
    "dlfs.reference.losses.*",
    "dlfs.losses.*ǁ_output",
    # helpers used by gradients, some of them also by the forward pass
    "dlfs.layers.fusion.*ǁ_table_is_smaller",
    "dlfs.reference.attention.x__*",
    *("dlfs.reference.normalization.x_normalize", "dlfs.reference.normalization.x__*"),
    "dlfs.reference.fused.x__normalized",
    "dlfs.reference.pooling.x__*",
    *("dlfs.reference.recurrent.x_by_time", "dlfs.reference.recurrent.x_cut"),
    *("dlfs.reference.recurrent.x_product", "dlfs.reference.recurrent.x_shifted"),
]
FORWARD, LEFT = "forward", "left"
# mutmut leaves out functions with decorators; here those with these are changed as well.
DECORATORS = ("contextmanager", "kernel")
# mutmut's exit codes.
SURVIVED, KILLED, NO_TESTS, TIMEOUT = 0, 1, 33, 36
RESULTS = {trials.PASSED: SURVIVED, trials.TOO_LONG: TIMEOUT}
MISSED = (SURVIVED, NO_TESTS)

REACHED = Path("mutants/reached.json").absolute()
# So long, on the machine that traced them, tests are run on one change; all of them with ``left``.
MOST_SECONDS = 5


def main(arguments: list[str]) -> int:
    """Try the changes that the arguments name; return 1 if interrupted."""
    most = next((int(argument) for argument in arguments if argument.isdecimal()), None)
    tests = [argument for argument in arguments if argument.startswith(("tests/", "-"))]
    patterns = [each for each in arguments if not each.isdecimal() and each not in tests]
    # The compiled kernels have their own tests; here they would replace the changed ones.
    sys.modules["dlfs_ext"] = None
    set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    file_utils.copy_src_dir()
    file_utils.copy_also_copy_files()
    file_utils.setup_source_paths()
    change_decorated_functions()
    vars(mutmut)["walk_source_files"] = lambda: files_to_change(patterns)
    mutmut.create_mutants(1)
    changes = Changes(patterns, most)
    for pattern in [] if patterns else changes.unused:
        say(f"no function is named {pattern}; BACKWARD in tools/mutate.py is out of date")
    with file_utils.change_cwd("mutants"):
        selection = tests or config().pytest_add_cli_args_test_selection
        quiet = ["-qq", "-s", "--no-summary", "--tb=native", "-p", "no:cacheprovider"]
        status = pytest.main(["--rootdir=.", *quiet, *selection], plugins=[changes])
    changes.save()
    if status != pytest.ExitCode.OK:
        say("stopped; the results below are incomplete")
    changes.report()
    return int(status != pytest.ExitCode.OK)


def change_decorated_functions() -> None:
    """Have mutmut change functions with ``DECORATORS``, too.

    The function that calls a changed copy keeps the decorators; the copies go without.
    """
    visitor = file_mutation.MutationVisitor
    skips, arrange = visitor._skip_node_and_children, file_mutation.function_trampoline_arrangement

    def is_decorated(node: Any) -> bool:
        if not isinstance(node, libcst.FunctionDef):
            return False
        names = {libcst.Module([]).code_for_node(each.decorator) for each in node.decorators}
        return bool(names) and {name.partition("(")[0] for name in names} <= set(DECORATORS)

    def skips_others(self: Any, node: Any) -> bool:
        return not is_decorated(node) and skips(self, node)

    def arranged(function: Any, mutants: Any, class_name: str | None) -> Any:
        before, (caller, *copies), after, names = arrange(function, mutants, class_name)
        if is_decorated(function):
            copies = [copy.with_changes(decorators=()) for copy in copies]
        return before, [caller, *copies], after, names

    visitor._skip_node_and_children = skips_others
    file_mutation.function_trampoline_arrangement = arranged


def files_to_change(patterns: list[str]) -> Iterator[Path]:
    """Iterate over the source files without those that no pattern names.

    Changing a file takes seconds, and a changed file is slow to import.
    """
    everything = not patterns or FORWARD in patterns
    starts = [pattern.partition("*")[0] for pattern in patterns]
    for path in file_utils.walk_source_files():
        module = ".".join(path.with_suffix("").parts) + "."
        named = any(start.startswith(module) or module.startswith(start) for start in starts)
        known = SourceFileMutationData(path=path).meta_path.exists()
        if everything or named or known or not config().should_mutate(path):
            yield path
        else:
            shutil.copy2(path, Path("mutants", path))


def is_backward(function: str) -> bool:
    """Return whether a function, by mutmut's name, computes gradients or helps to."""
    if function.startswith("dlfs.autograd."):
        return False  # forward and backward are one function
    return any(fnmatchcase(function, pattern) for pattern in BACKWARD)


def function_of(name: str) -> str:
    """Return the function that a change is in."""
    return name.partition("__mutmut_")[0]


class Changes:
    """A pytest plugin that tries all changes instead of running the tests once."""

    def __init__(self, patterns: list[str], most: int | None) -> None:
        self.files: dict[str, SourceFileMutationData] = {}
        self.names: list[str] = []
        draws = random.Random(0)
        functions: set[str] = set()
        for path in file_utils.walk_mutatable_files():
            data = SourceFileMutationData(path=path)
            data.load()
            functions.update(function_of(name) for name in data.exit_code_by_key)
            names: list[str] = []
            for name, before in data.exit_code_by_key.items():
                if LEFT in patterns:
                    chosen = try_now = before in MISSED
                elif patterns and FORWARD not in patterns:
                    chosen = try_now = any(fnmatchcase(name, pattern) for pattern in patterns)
                else:
                    chosen = is_backward(function_of(name)) != (FORWARD in patterns)
                    try_now = before is None
                if chosen:
                    self.files[name] = data
                if try_now and chosen:
                    names.append(name)
            few = most is not None and most < len(names)
            self.names += draws.sample(names, most) if few else names

        self.thorough = LEFT in patterns
        self.unused = [
            pattern
            for pattern in BACKWARD
            if not any(fnmatchcase(function, pattern) for function in functions)
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try each change with the tests that reach it; those with few or fast tests come first."""
        if session.testsfailed:
            pytest.exit("the tests could not be collected", 1)
        items = {item.nodeid: item for item in session.items}
        tests, seconds = reach(items)
        cost = {function: sum(seconds[test] for test in tests[function]) for function in tests}
        killers: dict[str, Counter[str]] = defaultdict(Counter)
        started = time.monotonic()
        self.names.sort(key=lambda name: cost.get(function_of(name), 0))
        for count, name in enumerate(self.names, 1):
            function = function_of(name)
            known = killers[function]
            order = sorted(tests[function], key=lambda test: (-known[test], seconds[test]))
            if not self.thorough:
                order = list(first_of(order, seconds, MOST_SECONDS))
            result, test = NO_TESTS, ""
            if order:
                limits = [10 + 4 * seconds[test] for test in order]
                begin = functools.partial(set_mutant_under_test, name)
                outcome, last, _ = trials.attempt([items[test] for test in order], limits, begin)
                result = RESULTS.get(outcome, KILLED)
                test = "" if result == SURVIVED else order[last]
            known[test] += 1
            self.files[name].exit_code_by_key[name] = result
            if count % 100 == 0 or count == len(self.names):
                pace = (time.monotonic() - started) / count
                say(f"{count} of {len(self.names)} changes, {pace:.2f} s each")
                with file_utils.change_cwd(".."):
                    self.save()
        return True

    def save(self) -> None:
        """Store the results in mutmut's files."""
        with may_write():
            for data in set(self.files.values()):
                data.save()

    def results(self) -> Iterator[tuple[str, int]]:
        """Iterate over the changes tried so far, in this run or before."""
        for name, data in sorted(self.files.items()):
            result = data.exit_code_by_key[name]
            if result is not None:
                yield name, result

    def missed(self) -> list[str]:
        """Return the changes that no test detected."""
        return [name for name, result in self.results() if result in MISSED]

    def report(self) -> None:
        """Print the score of each module, and the undetected changes."""
        modules = Counter(name.rpartition(".")[0] for name, _ in self.results())
        missed = self.missed()
        left = Counter(name.rpartition(".")[0] for name in missed)
        for module, count in modules.items():
            say(f"{count - left[module]:5} of {count:5}  {module}")
        say(f"{modules.total() - len(missed):5} of {modules.total():5}  detected in all")
        for name in missed:
            say(f"not detected: {name}")


def reach(items: dict[str, pytest.Item]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Run the tests; return which of them reach each function, and how long each takes."""
    known = {}
    # Not those in the folder "mutants", which are copied at each start.
    sources = [*Path("../dlfs").rglob("*.py"), *Path("../tests/support").rglob("*.py")]
    traced = REACHED.stat().st_mtime if REACHED.exists() else 0
    if traced > max(path.stat().st_mtime for path in sources):
        known = json.loads(REACHED.read_text(encoding="utf-8"))
    for test, item in items.items():
        if item.path.stat().st_mtime > traced:
            known.pop(test, None)
    say(f"{len(items)} tests, of which {len(items.keys() - known.keys())} are to be traced")
    set_mutant_under_test("stats")
    failed, cached = set(), caches()
    for test, item in items.items():
        if test not in known:
            for function in cached:
                function.cache_clear()
            state()._stats.clear()
            started = time.process_time()
            if passes(item):
                known[test] = [time.process_time() - started, sorted(state()._stats)]
            else:
                failed.add(test)
    set_mutant_under_test("")
    for function in cached:
        function.cache_clear()
    with may_write():
        REACHED.write_text(json.dumps(known, ensure_ascii=False), encoding="utf-8")
    for test in failed:
        say(f"left out, because it fails without any change: {test}")
    tests = defaultdict(list)
    for test in items.keys() - failed:
        for function in known[test][1]:
            tests[function].append(test)
    return tests, {test: known[test][0] for test in items.keys() - failed}


def caches() -> list[Any]:
    """Return the functions of dlfs and its tests that keep results.

    A result kept from the unchanged code would hide a change.
    """
    kind = type(functools.cache(say))
    found = [each for each in gc.get_objects() if type(each) is kind]
    # By file: pytest imports tests/mutants/test_mutants.py as mutants.test_mutants.
    here = str(Path.cwd())
    codes = [getattr(each.__wrapped__, "__code__", None) for each in found]
    files = [code.co_filename if code else "" for code in codes]
    return [each for each, file in zip(found, files, strict=True) if file.startswith(here)]


def may_write() -> AbstractContextManager[None]:
    """Lift, within the block, the guard of the tests against writing outside temporary folders."""
    # The copy in the folder "mutants", which can be found only now.
    guard = importlib.import_module("tests.support.guard")
    return guard.lifted()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
