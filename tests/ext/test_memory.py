"""Memory is bounded however long a training lasts, and returned results do not change."""

import subprocess
import sys

import numpy as np
import pytest

import dlfs
from tests.ext.nets import NETS, data

# In a separate process: memory kept by other tests would hide a leak in reused memory.
LONG = """
import sys
import numpy as np, dlfs
from tests.ext.nets import NETS, OPTIMIZERS, data

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

parts = []
for make in NETS.values():
    net, shape = make("float32")
    optim = OPTIMIZERS["adam"]()
    optim.net = net
    parts.append((net, optim, [data(shape, rows, rows) for rows in (5, 8)]))

def step(i):
    # Batches of two sizes, as the last batch of an epoch makes them; the networks take turns.
    net, optim, batches = parts[i % len(parts)]
    net.train_batch(*batches[i % 2])
    optim.step()

for i in range(100):
    step(i)
before = resident()
for i in range(10_000):
    step(i)
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ten_thousand_steps_need_no_more_memory_than_a_hundred():
    result = subprocess.run(
        [sys.executable, "-c", LONG], capture_output=True, text=True, check=True
    )
    # A leak of 100 bytes per step takes as much; the allocator's pages and Python's caches less.
    assert int(result.stdout) < 1_000_000


@pytest.mark.parametrize("name", NETS)
def test_results_are_never_overwritten(name):
    with dlfs.use_backend("fast"):
        net, shape = NETS[name]("float64")
        optim = dlfs.SGD(0.01)
        optim.net = net
        handed_out, copies = [], []
        for step in range(30):
            X, y = data(shape, 6, step)
            net.train_batch(X, y)
            found = [
                net.forward(X),
                net.loss.backward(),
                net.layers[-1].output[::2],
                *net.param_grads(),
            ]
            optim.step()
            handed_out += found
            copies += [array.copy() for array in found]
        for array, copy in zip(handed_out, copies, strict=True):
            np.testing.assert_array_equal(array, copy)
