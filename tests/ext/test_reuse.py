"""Memory is reused, but never while an array or a view uses it."""

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

import dlfs_ext
from dlfs_ext import memory


@pytest.fixture
def limit():
    """Restore the limit of kept memory."""
    before = memory.stats()[1]
    yield before
    memory.set_limit(before)


def address(array):
    return array.__array_interface__["data"][0]


def result(*shape, dtype=np.float64):
    """An array whose memory a kernel has allocated; the kernel's argument is not from there."""
    return dlfs_ext.relu(np.ones(shape, dtype))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (60, 89), (2, 0, 5), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_like_those_of_numpy(shape, dtype):
    array = result(*shape, dtype=dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert address(array) % 64 == 0


def test_memory_is_reused():
    first = result(70, 90)
    where = address(first)
    del first
    assert address(result(70, 90)) == where
    assert address(result(90, 70)) == where


@pytest.mark.parametrize(
    "keep",
    [
        lambda array: array[3:, ::2],
        lambda array: array.T,
        lambda array: array.reshape(-1)[5:],
        memoryview,
        lambda array: np.lib.stride_tricks.as_strided(array, (2, 2), (8, 8)),
        lambda array: array.view(np.int64),
        lambda array: iter([array]),
    ],
)
def test_never_while_a_view_lives(keep):
    array = result(33, 44)
    where = address(array)
    view = keep(array)
    del array
    gc.collect()
    others = [result(33, 44) for _ in range(50)]
    assert where not in [address(other) for other in others]
    del view


def test_results_of_kernels_stay_what_they_are():
    x = np.random.default_rng(0).standard_normal((50, 60))
    kept = [(dlfs_ext.tanh(x * i), np.tanh(x * i)) for i in range(20)]
    views = [(result[::3, 1:], expected[::3, 1:].copy()) for result, expected in kept]
    for i in range(200):
        dlfs_ext.tanh(x - i)
    for result, expected in kept + views:
        np.testing.assert_allclose(result, expected, rtol=8 * np.finfo(float).eps)


def test_limit_is_kept(limit):
    memory.set_limit(100_000)
    arrays = [result(5_000) for _ in range(20)]
    del arrays
    assert memory.stats()[0] <= 100_000
    memory.set_limit(0)
    assert memory.stats()[0] == 0
    result(5_000)
    assert memory.stats()[0] == 0


@pytest.mark.parametrize("size", [2**29, 2**40])
def test_more_memory_than_can_be_addressed(size):
    one = np.ones((1, 1))
    with pytest.raises(MemoryError, match="cannot allocate"):
        dlfs_ext.weight_multiply(np.broadcast_to(one, (size, 1)), np.broadcast_to(one, (1, size)))


def test_a_negative_limit():
    with pytest.raises(ValueError, match="negative"):
        memory.set_limit(-1)


def test_threads_do_not_share_blocks():
    failures = []

    def work(number):
        generator = np.random.default_rng(number)
        for _ in range(300):
            size = int(generator.integers(1, 3000))
            array = dlfs_ext.relu(np.full(size, float(number)))
            dlfs_ext.relu(array)
            if not (array == number).all():
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


MEMORY = """
import resource, sys
import numpy as np
import dlfs_ext

generator = np.random.default_rng(0)
x, W = generator.standard_normal((60, 200)), generator.standard_normal((200, 50))
b, velocity = np.zeros((1, 50)), np.zeros((200, 50))
target = generator.integers(0, 50, 60)

def step():
    y = dlfs_ext.dense(x, W, b, "tanh")
    loss, grad = dlfs_ext.softmax_cross_entropy(y, target)
    grad, b_grad = dlfs_ext.bias_activation_grad(grad, y, "tanh")
    dlfs_ext.sgd_momentum_update(W, dlfs_ext.weight_multiply_param_grad(grad, x), velocity, 0.01)

for _ in range(100):
    step()
before, blocks = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, dlfs_ext.memory.stats()[2]
for _ in range(10_000):
    step()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert dlfs_ext.memory.stats()[2] == blocks, "a step took new blocks from the system"
assert grown < 1024, f"grew by {grown} kB"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")
def test_ten_thousand_steps_do_not_grow_memory():
    subprocess.run([sys.executable, "-c", MEMORY], check=True, timeout=300)
