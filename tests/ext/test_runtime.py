"""Instruction sets, threads, forks, and that both backends have the same signatures."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import dlfs
import dlfs.reference
import dlfs_ext
from dlfs_ext import runtime  # type: ignore[attr-defined]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def reference_functions():
    for info in pkgutil.iter_modules(dlfs.reference.__path__):
        module = importlib.import_module(f"dlfs.reference.{info.name}")
        for name, function in vars(module).items():
            if (
                inspect.isfunction(function)
                and not name.startswith("_")
                and function.__module__ == module.__name__
                and name in dlfs.reference.KERNELS
            ):
                yield name, function


@pytest.mark.parametrize(("name", "function"), [*reference_functions()])
def test_same_signature_and_docstring(name, function):
    compiled = getattr(dlfs_ext, name)
    parameters = [
        (p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()
    ]
    ours = [(p.name, p.kind, p.default) for p in inspect.signature(compiled).parameters.values()]
    assert ours == parameters
    assert compiled.__doc__ == function.__doc__


@pytest.mark.parametrize("name", dlfs_ext.available_isas())
def test_environment_chooses_the_instruction_set(name):
    result = run("import dlfs_ext; print(dlfs_ext.isa())", DLFS_ISA=name)
    assert result.stdout.strip() == name


def test_unknown_instruction_set():
    assert "mmx" in run("import dlfs_ext", DLFS_ISA="mmx").stderr
    with pytest.raises(ValueError, match="mmx"):
        dlfs_ext.set_isa("mmx")


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"OMP_NUM_THREADS": "3", "DLFS_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "3", "DLFS_NUM_THREADS": ""}, 3),
    ],
)
def test_environment_chooses_the_threads(environment, threads):
    result = run("import dlfs_ext; print(dlfs_ext.get_num_threads())", **environment)
    assert result.stdout.strip() in (str(threads), "1")  # 1 where there is no OpenMP


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", None, True])
def test_bad_number_of_threads(bad):
    with pytest.raises((TypeError, ValueError)):
        dlfs_ext.set_num_threads(bad)


QUICK, SLOW = (2.0, 1.1), (2.0, 40.0)
"""Seconds on one thread and on several, on an idle and on a busy machine."""


def practise(*phases):
    """The way of each call, for (number of calls, their times)."""
    times = iter([times for times, calls in phases for _ in range(calls)])
    return runtime._practise(
        sum(calls for _, calls in phases), lambda several: next(times)[several]
    )


@pytest.mark.parametrize(("times", "way"), [(QUICK, "together"), (SLOW, "alone")])
def test_threads_are_used_where_they_are_faster(times, way):
    taken = practise((times, 1000))
    assert taken[:8] == ["together"] * 3 + ["alone"] * 2 + ["together"] * 3
    assert taken[8:].count(way) > 950
    # The other way is tried from time to time, at growing intervals.
    trials = [i for i in range(9, 1000) if taken[i] != way and taken[i - 1] == way]
    assert 3 <= len(trials) <= 10
    pauses = np.diff(trials)
    assert (pauses[1:] > pauses[:-1]).all()


def test_that_a_thread_must_be_woken_is_no_argument_against_threads():
    before = []

    def seconds(several):
        before.append(several)
        return 2.0 if not several else 1.1 if before[-2:] == [True, True] else 5.0

    assert runtime._practise(1000, seconds)[8:].count("together") > 980


def test_a_machine_that_becomes_busy_is_noticed_and_one_that_becomes_quiet_again():
    busy = practise((QUICK, 500), (SLOW, 100))[500:]
    # A few bad times outweigh earlier good ones.
    assert busy[10:].count("together") <= 12
    quiet = practise((SLOW, 100), (QUICK, 2000))[100:]
    assert quiet[-1000:].count("alone") <= 10


def test_one_interruption_does_not_count():
    interrupted = practise((QUICK, 100), ((2.0, 1000.0), 1), (QUICK, 20))[101:]
    assert interrupted.count("alone") <= 1


def feel(*phases):
    """The mood of each call, for (number of calls, their times alone and together)."""
    times = iter([times for times, calls in phases for _ in range(calls)])
    return runtime._feel(sum(calls for _, calls in phases), lambda alone: next(times)[not alone])


FAR, NEAR = (1.0, 1.5), (1.0, 0.7)
"""Times of a step of small kernels on one thread and on several, where the exchange between the
processors' caches is slow, and where it is fast."""


@pytest.mark.parametrize(("times", "mood"), [(NEAR, "together"), (FAR, "alone")])
def test_small_kernels_share_a_mood(times, mood):
    felt = feel((times, 20_000))
    assert felt[0] == "together"
    assert felt[5000:].count(mood) > 0.98 * 15_000
    trials = [i for i in range(1, len(felt)) if felt[i] != mood and felt[i - 1] == mood]
    assert 3 <= len(trials) <= 10
    assert (np.diff(trials)[1:] > np.diff(trials)[:-1]).all()


def test_the_mood_follows_the_machine():
    assert feel((NEAR, 2000), (FAR, 8000))[-2000:].count("alone") > 1900
    assert feel((FAR, 2000), (NEAR, 8000))[-2000:].count("together") > 1900


def test_the_mood_does_not_change_for_a_small_difference_or_one_interruption():
    assert feel(((1.0, 1.02), 10_000))[-8000:].count("together") > 7500
    assert feel((NEAR, 1000), ((60.0, 60.0), 1), (NEAR, 1000))[1001:].count("together") > 900


def chain(seed):
    """A piece of training, long enough to use threads; returns everything it computed."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((120, 300)).astype(np.float32)
    W = generator.standard_normal((300, 100)).astype(np.float32)
    b = np.zeros((1, 100), np.float32)
    labels = generator.integers(0, 100, 120)
    for _ in range(10):
        y = dlfs_ext.dense(x, W, b, "sigmoid")
        loss, grad = dlfs_ext.softmax_cross_entropy(y, labels)
        grad, _ = dlfs_ext.bias_activation_grad(grad, y, "sigmoid")
        dlfs_ext.sgd_update(W, dlfs_ext.weight_multiply_param_grad(grad, x), 0.5)
    return W.tobytes(), loss


def test_eight_python_threads_at_once():
    expected = [chain(seed) for seed in range(8)]
    results = [None] * 8

    def work(seed):
        results[seed] = chain(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == expected


FORK = """
import os, sys
import numpy as np
import dlfs_ext
from dlfs_ext import runtime
dlfs_ext.set_num_threads(2)
x = np.random.default_rng(0).standard_normal((1000, 2000))
before = dlfs_ext.tanh(x)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(dlfs_ext.tanh(x), before) else 1)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_computes_and_does_not_hang():
    assert run(FORK).returncode == 0


FORKED = """
import os, sys, warnings
import numpy as np
import dlfs
from dlfs.backend import kernels
assert dlfs.set_num_threads(2) is None
x = np.random.default_rng(0).standard_normal((1000, 2000))
if USED:
    kernels.tanh(x)
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    if ASKED:
        dlfs.set_num_threads(2)
    for _ in range(20):
        kernels.tanh(x)
said = [str(warning.message) for warning in heard]
if dlfs.get_num_threads() != 1 or len(said) != 1 or "forked" not in said[0]:
    print(dlfs.get_num_threads(), said, file=sys.stderr)
    os._exit(1)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_a_forked_child_uses_one_thread_and_says_why(used, asked):
    code = FORKED.replace("USED", str(used)).replace("ASKED", str(asked))
    result = run(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("way", ["error", "default"])
def test_a_forked_child_is_told_without_a_failure_where_warnings_are_errors(way):
    code = """
import os, sys
import numpy as np
import dlfs_ext
dlfs_ext.set_num_threads(2)
x = np.ones((1000, 2000))
child = os.fork()
if child == 0:
    dlfs_ext.tanh(x), dlfs_ext.tanh(x)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = run(code, PYTHONWARNINGS=way)
    assert result.returncode == 0
    assert result.stderr.count("this process was forked") == 1


@pytest.mark.parametrize("n", [1025, 10**6, 2**31, 2**64])
def test_too_many_threads_are_refused(n):
    before = dlfs_ext.get_num_threads()
    for function in (dlfs_ext.set_num_threads, dlfs.set_num_threads):
        with pytest.raises(ValueError, match=r"from 1 to 1024|at most 1024"):
            function(n)
    assert dlfs_ext.get_num_threads() == before


UNABLE = """
import sys, threading, warnings
start = threading.Thread.start
started = []
def refuse(self):
    if len(started) >= 6:
        raise RuntimeError("can't start new thread")
    started.append(self)
    start(self)
threading.Thread.start = refuse
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    import dlfs_ext
    dlfs_ext.set_num_threads(500)
assert "only 7 threads" in str(heard[-1].message), heard
assert dlfs_ext.get_num_threads() == 3
"""


def test_threads_that_the_system_refuses_are_not_asked_for():
    result = run(UNABLE, DLFS_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr


def test_a_limit_on_memory_leaves_fewer_threads_and_a_result():
    pytest.importorskip("resource")
    code = """
import resource, warnings
import numpy as np
import dlfs_ext
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
warnings.simplefilter("ignore")
dlfs_ext.set_num_threads(1024)
for _ in range(20):
    dlfs_ext.tanh(np.ones((1000, 2000)))
print("alive", dlfs_ext.get_num_threads())
"""
    result = run(code, DLFS_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert result.stdout.startswith("alive"), result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("DLFS_POOL_MB", value) for value in ("abc", "-1", "1.5", "9" * 5000, "²")),
        *(("DLFS_NUM_THREADS", value) for value in ("abc", "0", "-2", "1025", "9" * 5000)),
        ("DLFS_ISA", "abc"),
    ],
)
def test_a_wrong_environment_variable_is_named(name, value):
    result = run("import dlfs_ext", **{name: value})
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert f"environment variable {name}" in last
    assert len(last) < 300


@pytest.mark.parametrize("value", ["abc", "0", "9" * 5000, "1000000", "2,1"])
def test_an_odd_variable_of_openmp_is_no_error(value):
    result = run("import dlfs_ext; print(dlfs_ext.get_num_threads())", OMP_NUM_THREADS=value)
    assert 1 <= int(result.stdout) <= 1024
