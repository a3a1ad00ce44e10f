"""The same bits for any number of threads, and in eight Python threads at once."""

import random
import threading

import numpy as np
import pytest

import dlfs
import dlfs.reference
import dlfs_ext
from tests.ext.common import each_number_of_threads
from tests.ext.nets import NETS, OPTIMIZERS, train

THREADS = 8


@pytest.mark.falls_back
@pytest.mark.source_tree
@pytest.mark.parametrize("name", sorted(dlfs.reference.KERNELS))
def test_every_kernel_gives_the_same_bits(name):
    """With random arguments, valid or not, and shares as small as one task."""
    from tools.fuzz import outcome
    from tools.fuzz_arguments import KERNELS, Draw

    for number in range(30):
        results = []
        for _ in each_number_of_threads(1, 2, 3, 7):
            with np.errstate(all="ignore"):
                arguments = KERNELS[name](Draw(random.Random(f"{name} {number}")))
            with dlfs.use_backend("fast"):
                results.append(outcome(name, arguments))
        for found in results[1:]:
            assert_same_bits(found, results[0])


def all_at_once(jobs):
    """Run the jobs on a thread each, starting together; return their results."""
    results, errors = [None] * len(jobs), []
    start = threading.Barrier(len(jobs))

    def work(i, job):
        try:
            start.wait()
            results[i] = job()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    workers = [threading.Thread(target=work, args=(i, job)) for i, job in enumerate(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors
    return results


def assert_same_bits(found, expected):
    if isinstance(found, str):
        assert found == expected
        return
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, tuple | list):
            assert_same_bits(one, other)
        else:
            np.testing.assert_array_equal(one, other)


def kernel_calls(seed):
    """One call after another, with arrays and options that differ from thread to thread."""
    rng = np.random.default_rng(seed)
    dtype = (np.float32, np.float64)[seed % 2]

    def numbers(*shape):
        return rng.normal(size=shape).astype(dtype)

    x, W = numbers(20 + seed, 6, 15, 13 + seed), numbers(6, 10, 3, 3)
    rows, weights, bias = numbers(300, 70 + seed), numbers(70 + seed, 90), numbers(1, 90)
    grad = numbers(20 + seed, 10, 15, 13 + seed)

    def job():
        results = []
        for _ in range(15):
            y = dlfs_ext.dense(rows, weights, bias, "tanh")
            pooled, positions = dlfs_ext.max_pool2d(x, 2)
            results = [
                y,
                dlfs_ext.bias_activation_grad(y, y, "tanh"),
                dlfs_ext.weight_multiply_param_grad(y, rows),
                dlfs_ext.conv2d(x, W, padding=1),
                dlfs_ext.conv2d_param_grad(grad, x, W.shape, padding=1),
                dlfs_ext.conv2d_input_grad(grad, W, x.shape, padding=1),
                dlfs_ext.max_pool2d_grad(pooled, positions, x.shape, 2),
                dlfs_ext.softmax(rows),
            ]
        return results

    return job


@pytest.fixture(params=[1, 2])
def openmp_threads(request):
    """Kernels that use several threads, called from threads."""
    yield from each_number_of_threads(request.param)


def test_kernels(openmp_threads):
    jobs = [kernel_calls(seed) for seed in range(THREADS)]
    alone = [job() for job in jobs]
    for found, expected in zip(all_at_once(jobs), alone, strict=True):
        assert_same_bits(found, expected)


def test_trainings(openmp_threads):
    def training(i):
        make, optimizer = list(NETS.values())[i % len(NETS)], list(OPTIMIZERS)[i % 6]
        dtype, backend = ("float32", "float64")[i % 2], ("reference", "fast")[i > 1]

        def job():
            with dlfs.use_backend(backend):
                return train(make, optimizer, 12, dtype, rows=20 + i, seed=i)

        return job

    jobs = [training(i) for i in range(THREADS)]
    alone = [job() for job in jobs]
    for found, expected in zip(all_at_once(jobs), alone, strict=True):
        assert_same_bits(found, expected)
