# ---
# jupyter:
#   dlfs: {alone: true, backends: [fast]}
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 11: one training, many machines
#
# Several processes, on one computer or on many, can train one network together. You divide a batch
# into parts, compute the gradient of each part separately, and add the gradients: first in one
# process, then with an all-reduce that you write yourself, then in real processes with MPI. You see
# four typical mistakes, the effect of large batches, and how the speed grows with the number of
# processes. You need chapters 3 and 4.

# %% tags=["hide-input"]
import os

# One core for each process: must be set before NumPy is imported.
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import dlfs
from dlfs import BatchNorm, Dense, Dropout, NeuralNetwork, SGDMomentum, Trainer
from dlfs.activations import Tanh
from dlfs.exercises import check
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.plots import BLUE, GREY, ORANGE
from dlfs.ranks import combined_moments

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(11)

# %%
digits = dlfs.datasets.mnist()
X, y = digits.X_train[:60].astype(float), digits.y_train[:60]


def network(*inside):
    return NeuralNetwork(
        [dlfs.Flatten(), Dense(20), *inside, Tanh(), Dense(10)], SoftmaxCrossEntropy(), seed=3
    )


def gradient(net, X, y):
    """Return the loss, and all gradients in one long array."""
    loss = net.train_batch(X, y)
    return loss, np.concatenate([grad.ravel() for grad in net.param_grads()])


def difference(a, b):
    """Return how much two arrays differ, relative to the second."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# %% [markdown]
# ## 1. The gradient of a sum is the sum of the gradients
#
# The loss of a batch is the mean over its rows, $L = \frac1N \sum_i \ell_i$. Divide the rows into
# parts; part $r$ has $n_r$ rows and the mean loss $L_r$. Then
#
# $$ L = \sum_r \frac{n_r}{N}\, L_r, \qquad \nabla L = \sum_r \frac{n_r}{N}\, \nabla L_r . $$
#
# So each process, called a **rank**, can compute the gradient of its own rows. The weights $n_r /
# N$ are necessary: 60 rows cannot be divided equally among 7 ranks.

# %%
net = network()
loss, whole = gradient(net, X, y)
parts = np.array_split(np.arange(60), 7)
print("rows of each rank:", [len(rows) for rows in parts])
weighted = sum(len(rows) / 60 * gradient(net, X[rows], y[rows])[1] for rows in parts)
plain = sum(gradient(net, X[rows], y[rows])[1] for rows in parts) / 7
print(f"error of the weighted sum: {difference(weighted, whole):.0e}")
print(f"error of the plain mean:   {difference(plain, whole):.1%}")

# %% tags=["remove-cell"]
assert difference(weighted, whole) < 1e-13
assert difference(plain, whole) > 0.005

# %% [markdown]
# The plain mean of the ranks' gradients is wrong by a few percent, and raises no error. In dlfs,
# `net.train_batch(X, y, weight=...)` multiplies by the weight.
#
# ## 2. All-reduce: every rank gets the sum
#
# After the backward pass each rank has a different array, and each needs the sum of all arrays.
# This is called an **all-reduce**. Here are two algorithms for it.
#
# - A **tree**: in each round half of the remaining ranks send their whole array to a neighbour,
#   which adds it. Then the sum goes back the same way.
# - A **ring**: each rank divides its array into as many pieces as there are ranks. In each round
#   every rank sends one piece to the next rank.


# %%
def tree(arrays):
    """Return the sums, how many numbers the busiest rank sends, and the number of rounds."""
    arrays, n, size, rounds = [a.copy() for a in arrays], len(arrays), len(arrays[0]), 0
    step = 1
    while step < n:
        for r in range(0, n - step, 2 * step):
            arrays[r] += arrays[r + step]  # rank r + step sends all of its array
        step, rounds = 2 * step, rounds + 1
    while step > 1:
        step, rounds = step // 2, rounds + 1
        for r in range(0, n - step, 2 * step):
            arrays[r + step] = arrays[r].copy()
    return arrays, rounds // 2 * size, rounds


def ring(arrays):
    """Return the sums, how many numbers each rank sends, and the number of rounds."""
    n = len(arrays)
    pieces = [np.array_split(a.copy(), n) for a in arrays]
    sent = 0
    for turn in range(n - 1):  # afterwards rank r has the whole sum of piece r + 1
        moving = [pieces[r][(r - turn) % n].copy() for r in range(n)]
        for r in range(n):
            pieces[(r + 1) % n][(r - turn) % n] += moving[r]
        sent += len(moving[0])
    for turn in range(n - 1):
        moving = [pieces[r][(r + 1 - turn) % n].copy() for r in range(n)]
        for r in range(n):
            pieces[(r + 1) % n][(r + 1 - turn) % n] = moving[r]
        sent += len(moving[0])
    return [np.concatenate(p) for p in pieces], sent, 2 * (n - 1)


print("ranks   tree: rounds  numbers sent      ring: rounds  numbers sent   (of 10,000)")
for n in (2, 4, 8, 16):
    arrays = [rng.normal(size=10_000) for _ in range(n)]
    lines = []
    for algorithm in (tree, ring):
        sums, sent, rounds = algorithm(arrays)
        for total in sums:
            assert np.allclose(total, sum(arrays))
            assert np.array_equal(total, sums[0])  # the same bits on every rank
        lines.append(f"{rounds:12d} {sent:13,d}")
    print(f"{n:5d} {'     '.join(lines)}")

# %% [markdown]
# The tree has few rounds: $2 \log_2 n$. The ring sends few numbers: less than twice the array, for
# any number of ranks. Each round takes a fixed time, the **latency**; each byte takes 1 /
# **bandwidth**. So a tree is faster for small arrays, and a ring for large ones. MPI chooses the
# algorithm itself.
#
# ## 3. A training on four ranks, by hand
#
# Four copies of a network stand for four ranks. In each step a batch is divided among them, their
# gradients are added, and every copy makes the same step. A fifth network trains alone, on the
# whole batches:

# %%
alone, copies = network(), [network() for _ in range(4)]
for net in (alone, *copies):
    net.build(X.shape[1:])
for step in range(20):
    rows = np.random.default_rng(step).permutation(60)[:30]
    alone.train_batch(X[rows], y[rows])
    grads = []
    for net, mine in zip(copies, np.array_split(rows, 4)):
        net.train_batch(X[mine], y[mine], weight=len(mine) / len(rows))
        grads.append(np.concatenate([grad.ravel() for grad in net.param_grads()]))
    sums, _, _ = ring(grads)
    for net, total in zip(copies, sums):
        start = 0
        for param in net.params():
            param -= 0.1 * total[start : start + param.size].reshape(param.shape)
            start += param.size
    for param, grad in zip(alone.params(), alone.param_grads()):
        param -= 0.1 * grad
for param, *others in zip(alone.params(), *(net.params() for net in copies)):
    assert all(np.allclose(other, param, rtol=0, atol=1e-13) for other in others)
    assert all(np.array_equal(other, others[0]) for other in others)
print("after 20 steps: all four ranks have the same bits, the fifth network the same numbers")

# %% [markdown]
# (Rounding makes a difference between the fifth network and the four copies, below $10^{-13}$,
# because they add in another order.)
#
# ## 4. Real processes
#
# **MPI** (message passing interface) is a standard for programs on many computers. It starts the
# same program several times, and the processes send each other messages. In dlfs one argument is
# enough: `Trainer(..., ranks=MPI.COMM_WORLD)`. The program below would run in the same way on a
# cluster. `python -m mpi4py` ends all ranks if one of them has an error; otherwise the others would
# wait without end.

# %%
PROGRAM = """
    import json
    from mpi4py import MPI
    import dlfs
    from dlfs import Dense, NeuralNetwork, SGDMomentum, Trainer
    from dlfs.activations import Tanh
    from dlfs.losses import SoftmaxCrossEntropy

    data = dlfs.datasets.mnist(dtype="float64")
    net = NeuralNetwork(
        [dlfs.Flatten(), Dense(20), Tanh(), Dense(10)], SoftmaxCrossEntropy(), seed=3
    )
    history = Trainer(net, SGDMomentum(lr=0.05), ranks=MPI.COMM_WORLD).fit(
        data.X_train[:2000], data.y_train[:2000], data.X_test[:1000], data.y_test[:1000],
        epochs=2, eval_every=1, batch_size=60, verbose=0,
    )
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps([history["train_loss"], history["accuracy"]]))
"""

# %% tags=["hide-input"]
beside = Path(sys.executable).parent
mpiexec = shutil.which("mpiexec", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
assert mpiexec, "this chapter needs MPI: pip install 'dlfs[mpi]'"


def on_ranks(n, program):
    """Run a program on n ranks, and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.py"
        path.write_text(textwrap.dedent(program), encoding="utf-8")
        command = [mpiexec, "-n", str(n), sys.executable, "-m", "mpi4py", str(path)]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# %%
results = {n: on_ranks(n, PROGRAM) for n in (1, 2, 3)}
for n, (losses, accuracy) in results.items():
    print(f"{n} rank{'s' * (n > 1)}: losses {losses}, accuracy {accuracy}")

# %% tags=["remove-cell"]
for losses, accuracy in results.values():
    assert np.allclose(losses, results[1][0], rtol=1e-10, atol=0)
    assert accuracy == results[1][1]

# %% [markdown]
# The losses agree to ten digits and more. They differ only because the ranks add in another order.
# On the command line, `dlfs train --model cnn --ranks 2` trains with two ranks.
#
# ## 5. Four mistakes
#
# None of these mistakes raises an error. The training runs, but it is not the training of one
# process.
#
# **1. A plain mean** of parts with different numbers of rows: section 1.
#
# **2. A different permutation on each rank.** If each rank shuffles the rows by itself and takes
# its part, some rows are used twice and others not at all:

# %%
taken = [
    np.random.default_rng(rank).permutation(60)[rank * 15 : rank * 15 + 15] for rank in range(4)
]
seen = len(set(np.concatenate(taken)))
print(f"{seen} of 60 rows were used in this epoch")
assert seen < 60

# %% [markdown]
# **3. Batch normalization of each rank's rows.** Batch normalization (chapter 5) subtracts the mean
# of the batch and divides by its standard deviation. If each rank computes them from its own rows,
# both are different, and so is the gradient:

# %%
net = network(BatchNorm())
_, whole = gradient(net, X, y)
for n in (2, 4, 15):
    rows = np.array_split(np.arange(60), n)
    mine = sum(len(part) / 60 * gradient(net, X[part], y[part])[1] for part in rows)
    print(
        f"{n:2d} ranks with {60 // n:2d} rows: error of the gradient {difference(mine, whole):.0%}"
    )
assert difference(mine, whole) > 0.1

# %% [markdown]
# In dlfs the ranks send each other their counts, means and variances, and compute from them the
# mean and the variance of the whole batch ([Math](Math.ipynb) has the formula):

# %%
features = rng.normal(size=(60, 20))
parts = [features[:7], features[7:40], features[40:]]
count, mean, var = combined_moments([(len(p), p.mean(axis=0), p.var(axis=0)) for p in parts])
assert count == 60
assert np.allclose(mean, features.mean(axis=0))
assert np.allclose(var, features.var(axis=0))
print(
    f"mean of the variances: {np.mean([p.var() for p in parts]):.4f}, of all: {features.var():.4f}"
)

# %% [markdown]
# **4. The same dropout mask on each rank.** All ranks start with the same seed. If each draws a
# mask for its own rows, all draw the same mask, and the same neurons are dropped on every rank:

# %%
masks = [Dropout(0.5, seed=1) for _ in range(4)]
drawn = [dropout.forward(np.ones((15, 8))) > 0 for dropout in masks]
print("equal masks on all ranks:", all(np.array_equal(mask, drawn[0]) for mask in drawn))
assert all(np.array_equal(mask, drawn[0]) for mask in drawn)

# %% [markdown]
# In dlfs each rank uses its rows of the mask for the whole batch. This takes no extra time, because
# the generator can skip the numbers of the other ranks.
#
# ## 6. One process, one part after the other
#
# If a batch does not fit into memory, one process can compute the gradients of its parts one after
# the other, and add them. This is **gradient accumulation**: `fit(..., accumulate=4)`. The sum is
# that of section 1.

# %%
finals = []
for accumulate in (1, 4):
    net = network()
    trainer = Trainer(net, SGDMomentum(lr=0.05))
    trainer.fit(X, y, epochs=3, batch_size=30, accumulate=accumulate, verbose=0)
    finals.append(np.concatenate([param.ravel() for param in net.params()]))
print(f"difference of the weights, with and without: {difference(finals[1], finals[0]):.0e}")
assert difference(finals[1], finals[0]) < 1e-12

# %% [markdown]
# ## 7. Large batches
#
# More ranks help only if each has enough work. So with more ranks the batch is usually larger, and
# an epoch has fewer steps. What does this change? We train on the same digits with batches of 32
# and of 512 rows, for four epochs. The usual remedy (Goyal et al., 2017) is a learning rate that
# grows with the batch, after a **warm-up**, in which it rises slowly to its full value.

# %%
train_X, train_y = digits.X_train[:8000], digits.y_train[:8000]


def accuracy(batch_size, lr, warmup=0):
    net = NeuralNetwork(
        [dlfs.Flatten(), Dense(89), Tanh(), Dense(10)],
        SoftmaxCrossEntropy(),
        seed=1,
        dtype="float32",
    )
    history = Trainer(net, SGDMomentum(lr=lr, warmup=warmup)).fit(
        train_X,
        train_y,
        digits.X_test,
        digits.y_test,
        epochs=4,
        batch_size=batch_size,
        early_stopping=False,
        verbose=0,
    )
    return history["accuracy"][-1]


trials = {
    "batch  32, rate 0.01": (32, 0.01),
    "batch 512, rate 0.01": (512, 0.01),
    "batch 512, rate 0.16": (512, 0.16),
    "batch 512, rate 0.16, a warm-up of 1 epoch": (512, 0.16, 1),
    "batch 512, rate 2.56": (512, 2.56),
}
found = {name: accuracy(*arguments) for name, arguments in trials.items()}
for name, share in found.items():
    print(f"{name:45s} {share:.1%}")

# %% tags=["remove-cell"]
small, large, scaled, warmed, wild = found.values()
assert large < small - 0.02
assert scaled > large + 0.01
assert wild < scaled - 0.02

# %% [markdown]
# With the large batch and the small rate the network has learned less, because it made only a
# sixteenth of the steps. A rate sixteen times as large makes up for most of that. The warm-up makes
# no difference here; it helps if the rate is near its limit. With a rate far above the limit the
# training fails.
#
# ## 8. How many ranks are worth using?
#
# A step on $n$ ranks takes $T(n) = T_1 / n + a \log_2 n + b\,m$: the computation, the latency $a$
# of each round, and the time for $m$ bytes of gradients with the bandwidth $1 / b$. We measure $a$
# and $b$ with two ranks on this computer:

# %%
MEASURE = """
    import json, time
    import numpy as np
    from mpi4py import MPI

    comm, found = MPI.COMM_WORLD, {}
    for count in (1, 1000, 10_000, 100_000, 1_000_000):
        sent, sums, times = np.ones(count, "float32"), np.empty(count, "float32"), []
        for _ in range(60):
            comm.Barrier()
            start = time.perf_counter()
            comm.Allreduce(sent, sums)
            times.append(time.perf_counter() - start)
        found[4 * count] = sorted(times)[6]
    if comm.rank == 0:
        print(json.dumps(found))
"""
measured = {int(size): seconds for size, seconds in on_ranks(2, MEASURE).items()}
for size, seconds in measured.items():
    print(f"{size:9,d} bytes: {1e6 * seconds:8.0f} us")

# %% [markdown]
# The formula then predicts the **efficiency** $T_1 / (n\,T(n))$: the speedup, divided by the number
# of ranks. The network is that of section 7; a row takes about two microseconds.

# %% tags=["hide-input"]
a, b = measured[4], (measured[4_000_000] - measured[400_000]) / 3_600_000
net = dlfs.NeuralNetwork([dlfs.Flatten(), Dense(89), Tanh(), Dense(10)], SoftmaxCrossEntropy())
net.build((1, 28, 28))
bytes_sent = 4 * net.parameter_count()
n = np.arange(1, 1001)
fig, axis = plt.subplots()
for rows, colour in ((60, GREY), (1000, BLUE), (60_000, ORANGE)):
    alone = rows * 2e-6
    steps = alone / n + (n > 1) * (a * np.log2(n) + 2 * (n - 1) / n * bytes_sent * b)
    axis.semilogx(n, alone / (n * steps), color=colour, label=f"batch of {rows:,}")
axis.set(xlabel="ranks", ylabel="efficiency $T_1 / (n\\,T_n)$", ylim=(0, 1.05))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# With a batch of 60 rows a second rank does not help: the all-reduce takes longer than the step.
# With larger batches more ranks help, up to a limit. `docs/scaling.md` has measurements with larger
# networks, other connections and up to 1,000 ranks. This notebook runs two ranks on one computer:
# it shows that the results are right, but not the speed of a cluster.
#
# ## Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. Weights.** Compute the gradient of the batch from the ranks' gradients and numbers of rows.


# %% tags=["exercise:weights"]
def combine(gradients, counts): ...


# %%
def try_combine(function):
    grads, counts = rng.normal(size=(3, 5)), [7, 1, 12]
    expected = (7 * grads[0] + grads[1] + 12 * grads[2]) / 20
    return bool(np.allclose(function(list(grads), counts), expected))


check(
    "weights", combine, try_combine, hint="Each gradient counts as many times as its rank has rows."
)

# %% [markdown] tags=["solution:weights"]
# <details><summary>Solution</summary>
#
# ```python
# def combine(gradients, counts):
#     return sum(count * grad for count, grad in zip(counts, gradients)) / sum(counts)
# ```
#
# </details>
#
# **2. The mean of a metric.** Three ranks have accuracies of 1, 0.5 and 0.9 on 1, 2 and 10 rows.
# What is the accuracy on all rows?

# %% tags=["exercise:metric"]
accuracy_of_all = ...

# %%
check(
    "metric",
    accuracy_of_all,
    11 / 13,
    hint="On how many rows altogether is the prediction right?",
)

# %% [markdown] tags=["solution:metric"]
# <details><summary>Solution</summary>
#
# ```python
# accuracy_of_all = (1 * 1 + 2 * 0.5 + 10 * 0.9) / 13
# ```
#
# Some metrics are not means over the rows, for example the root of the mean squared error. They
# have no such formula. For all metrics dlfs collects the predictions of all ranks, and computes the
# metric once.
#
# </details>
#
# **3. ZeRO-1: a part of the optimizer on each rank.** Momentum has a velocity for each parameter.
# All $n$ ranks store the same velocities, $n$ times. Rajbhandari et al. (2020) let each rank store
# and update only a slice of them. Each rank gets only its slice of the summed gradients
# (`Reduce_scatter`), and updates its slice of the parameters. Then every rank gets all slices
# (`Allgather`). Together this sends as much as one all-reduce.
#
# Write one such step for all ranks, with `velocity = 0.9 * velocity + 0.1 * gradient` and
# `param = param - velocity`. Return the parameters, and the slices of the velocities.


# %% tags=["exercise:zero"]
def zero_step(param, gradients, velocities):
    """param (size,); gradients, one (size,) for each rank; velocities, one slice for each rank."""
    ...


# %%
def try_zero(function):
    param, velocity = rng.normal(size=10), rng.normal(size=10)
    grads = [rng.normal(size=10) for _ in range(3)]
    expected = 0.9 * velocity + 0.1 * sum(grads)
    new, slices = function(param.copy(), grads, np.array_split(velocity, 3))
    if [len(part) for part in slices] != [4, 3, 3]:
        return "Each rank must have only its slice of the velocities."
    return bool(
        np.allclose(np.concatenate(slices), expected) and np.allclose(new, param - expected)
    )


check(
    "zero",
    zero_step,
    try_zero,
    hint="np.array_split divides parameters and gradients in the same way.",
)

# %% [markdown] tags=["solution:zero"]
# <details><summary>Solution</summary>
#
# ```python
# def zero_step(param, gradients, velocities):
#     n = len(gradients)
#     pieces = np.array_split(param, n)
#     sums = np.array_split(sum(gradients), n)  # Reduce_scatter: rank r needs only sums[r]
#     new_velocities = [0.9 * v + 0.1 * g for v, g in zip(velocities, sums)]
#     pieces = [piece - v for piece, v in zip(pieces, new_velocities)]
#     return np.concatenate(pieces), new_velocities  # Allgather
# ```
#
# </details>
