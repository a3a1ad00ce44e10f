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
from dlfs_ext import threads  # type: ignore[attr-defined]


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


def test_a_thread_is_used_only_for_a_share_of_the_work_that_is_large_enough():
    least = threads._least_share(100.0)
    before = dlfs_ext.get_num_threads()
    try:
        dlfs_ext.set_num_threads(4)
        work = (0, 99, 199.9, 200, 299.9, 300, 400, 1e30, np.inf)
        found = [threads._threads_for(amount) for amount in work]
        if dlfs_ext.get_num_threads() == 4:  # 1 where there is no OpenMP
            assert found == [1, 1, 1, 2, 2, 3, 4, 4, 4]
        dlfs_ext.set_num_threads(1)
        assert threads._threads_for(1e9) == 1
    finally:
        dlfs_ext.set_num_threads(before)
        assert threads._least_share(least) == 100


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

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == expected


FORK = """
import os, sys
import numpy as np
import dlfs_ext
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
