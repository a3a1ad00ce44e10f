# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 11: the mathematics of many machines
#
# Several processes, called **ranks**, share the work of each batch. You derive what each rank must
# send so that the result is that of one process: for gradients, for means and variances, and for
# batch normalization. Then you count rounds and bytes, find how many ranks are worth using, and see
# why a larger batch needs a larger learning rate. You need chapters 3 and 4, and
# [Code](Code.ipynb) of this chapter.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import reference
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY, ORANGE

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(11)

# %% [markdown]
# ## 1. A mean of means
#
# A batch of $N$ rows is divided into parts. Part $r$ has $n_r$ rows and the mean loss $L_r$; row
# $i$ has the loss $\ell_i$. Then
#
# $$ L = \frac1N \sum_i \ell_i = \sum_r \frac{n_r}{N} L_r . $$
#
# The derivative is linear, so the same weights hold for gradients. A plain mean of $R$ parts is
# wrong by
#
# $$ \frac1R \sum_r L_r - L = \sum_r \Big(\frac1R - \frac{n_r}{N}\Big) L_r , $$
#
# which is zero if all $n_r$ are equal. Otherwise the rows of small parts count too much. If 60 rows
# are divided among 7 ranks, some ranks have 8 rows and some have 9. How much too much does a row
# count?

# %%
R, N = 7, 60
for rows in (8, 9):
    print(f"a row on a rank with {rows} rows: {(1 / R / rows) / (1 / N) - 1:+.1%}")

# %% [markdown]
# ## 2. The variance of parts
#
# For batch normalization each rank sends the count, the mean and the variance of its own numbers.
# The variance of all numbers is larger than the mean of the variances, because the means of the
# parts differ:
#
# $$ \mu = \sum_r \frac{n_r}{N} \mu_r, \qquad
#    \sigma^2 = \sum_r \frac{n_r}{N} \left(\sigma_r^2 + (\mu_r - \mu)^2\right) . $$
#
# SymPy proves it for a part of two numbers and a part of three:

# %%
a = sp.symbols("a1:3")
b = sp.symbols("b1:4")


def mean(numbers):
    return sum(numbers) / sp.Integer(len(numbers))


def variance(numbers):
    return mean([(number - mean(numbers)) ** 2 for number in numbers])


mu = (2 * mean(a) + 3 * mean(b)) / 5
combined = sum(len(p) * (variance(p) + (mean(p) - mu) ** 2) for p in (a, b)) / 5
assert sp.expand(combined - variance(a + b)) == 0
print("proved: the formula gives the variance of all five numbers")

# %% [markdown]
# Another formula, $\sigma^2 = E[x^2] - \mu^2$, needs only sums. But it is inexact if the mean is
# much larger than the standard deviation: then it subtracts two large, nearly equal numbers, and
# most of the digits cancel.

# %%
numbers = 1e8 + rng.normal(size=60)
cancelling = np.mean(numbers**2) - np.mean(numbers) ** 2
parts = np.array_split(numbers, 7)
whole_mean = sum(len(p) * p.mean() for p in parts) / 60
combined = sum(len(p) * (p.var() + (p.mean() - whole_mean) ** 2) for p in parts) / 60
print(f"true {np.var(numbers):.6f}, combined {combined:.6f}, from sums of squares {cancelling:.6f}")

# %% tags=["remove-cell"]
assert abs(combined - np.var(numbers)) < 1e-6
assert abs(cancelling - np.var(numbers)) > 1e-3

# %% [markdown]
# ## 3. Batch normalization backward
#
# Batch normalization computes $\hat x = (x - \mu) / \sigma$ for each feature. With the gradient $g$
# of its output, the gradient of its input is (chapter 5)
#
# $$ \frac{\partial L}{\partial x_i} = \frac1\sigma \Big( g_i - \frac1N \sum_j g_j
#    - \hat x_i\, \frac1N \sum_j g_j \hat x_j \Big) . $$
#
# Both sums go over all rows of the batch, so each rank sends two sums over its own rows, for every
# feature. The $g_j$ must be gradients of the loss of the **whole** batch: the gradient of the loss
# must be multiplied by $n_r / N$ before the backward pass, not after it.

# %%
x, g = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
output, _, _, inv_std = reference.batch_norm(x)
expected = reference.batch_norm_grad(g, output, inv_std)
rows = np.array_split(np.arange(60), 7)
sums = sum(np.stack([g[r].sum(axis=0), (g[r] * output[r]).sum(axis=0)]) for r in rows)
parts = [inv_std * (g[r] - sums[0] / 60 - output[r] * sums[1] / 60) for r in rows]
assert np.allclose(np.concatenate(parts), expected)
print("two sums from each of 7 ranks give the gradient of the whole batch")

# %% [markdown]
# ## 4. What an all-reduce costs
#
# An all-reduce gives every rank the sum of all ranks' arrays. A message of $m$ bytes takes the time
# $\alpha + \beta m$: the latency $\alpha$, and $m$ bytes with the bandwidth $1 / \beta$. On $n$
# ranks:
#
# - A **tree** adds in $\log_2 n$ rounds, and distributes the sum in as many rounds. Each round
#   sends whole arrays. This takes $2 \log_2 n\,(\alpha + \beta m)$.
# - A **ring** has $2 (n - 1)$ rounds, and each sends a piece of $m / n$ bytes. This takes
#   $2 (n - 1)\,\alpha + 2 \frac{n-1}{n} \beta m$.
#
# No algorithm sends fewer bytes than the ring. Which one is faster depends on the size $m$. SymPy
# finds the size for which both take the same time:

# %%
alpha, beta, m, n = sp.symbols("alpha beta m n", positive=True)
tree = 2 * sp.log(n, 2) * (alpha + beta * m)
ring = 2 * (n - 1) * alpha + 2 * (n - 1) / n * beta * m
meeting = sp.simplify(sp.solve(sp.Eq(tree, ring), m)[0])
seconds = {alpha: 30e-6, beta: 1 / 1.25e9}
for ranks in (4, 16, 64):
    value = float(meeting.subs({**seconds, n: ranks}))
    print(f"{ranks:3d} ranks at 10 Gbit/s: the ring is faster above {value / 1000:,.0f} kB")
    assert value > 0

# %% [markdown]
# (There is a third algorithm, recursive halving. It sends as few bytes as the ring, in as few
# rounds as the tree. MPI uses it for large arrays, and the next section assumes it.)
#
# ## 5. How many ranks are worth using
#
# **Strong scaling** means: the same batch on more ranks. A step takes $T(n) = T_1 / n + a \log_2
# n + b m$, with $T_1$ for the step on one rank, and $a$ and $b$ for latency and bytes. The first
# term falls with $n$, and the second rises, so there is a minimum:

# %%
T1, latency, c = sp.symbols("T_1 a c", positive=True)
T = T1 / n + latency * sp.log(n) / sp.log(2) + c
best = sp.solve(sp.diff(T, n), n)[0]
assert sp.simplify(best - T1 * sp.log(2) / latency) == 0
print("the fastest step is on n =", best, "ranks")

# %% [markdown]
# More ranks than $T_1 \ln 2 / a$ make a step slower. The **efficiency** is $T_1 / (n\,T(n))$: the
# speedup, divided by the number of ranks. It is low long before that. It is one half if
# communication takes as long as computation: $n\,(a \log_2 n + b m) = T_1$.
#
# **Weak scaling** means: each rank has the same number of rows, and the batch grows with $n$. Then
# $T(n) = T_1 + a \log_2 n + b m$, and the efficiency $T_1 / T(n)$ falls only with the logarithm of
# $n$:

# %% tags=["hide-input"]
counts = 2.0 ** np.arange(11)
fig, axis = plt.subplots()
for t1, colour in ((1e-3, GREY), (10e-3, BLUE), (100e-3, ORANGE)):
    cost = np.where(counts > 1, 30e-6 * np.log2(counts) + 2 * 130e3 / 1.25e9, 0)
    axis.semilogx(counts, t1 / (t1 + counts * cost), "--", color=colour)
    axis.semilogx(counts, t1 / (t1 + cost), color=colour, label=f"$T_1$ = {1e3 * t1:.0f} ms")
axis.set(
    xlabel="ranks (solid: weak scaling, dashed: strong scaling)",
    ylabel="efficiency",
    ylim=(0, 1.05),
)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 6. A larger batch, a larger rate
#
# The gradient of a batch of $B$ rows is the gradient $G$ of all rows, plus noise with a variance of
# $s^2 / B$.
#
# If the learning rate $\eta$ is small, the gradient hardly changes from one step to the next. Then
# $k$ small steps go about as far as one step with $k$ times the batch and $k$ times the rate. This
# is the **linear rule**.
#
# It has a limit. On the parabola $\frac{h}{2} w^2$ the gradient is $h w + \text{noise}$, and a step
# is $w \leftarrow (1 - \eta h)\, w - \eta \cdot \text{noise}$. This converges only if $\eta < 2 /
# h$, **for every batch size**. For smaller rates, the variance $v$ of $w$ becomes constant: after a
# step it is the same as before. SymPy solves this equation for $v$:

# %%
eta, h, s, B, v = sp.symbols("eta h s B v", positive=True)
settled = sp.solve(sp.Eq(v, (1 - eta * h) ** 2 * v + eta**2 * s**2 / B), v)[0]
print(sp.factor(settled))
ratio = settled.subs({eta: 16 * eta, B: 16 * B}) / settled
assert sp.limit(ratio, eta, 0) == 1  # 16 times the rate and the batch: the same variance

# %% [markdown]
# For small rates the variance depends on $\eta / B$ alone. If $\eta$ approaches $2 / h$, it grows
# without bound. At the beginning of a training $h$ is often large. Therefore a **warm-up** begins
# with a small rate.
#
# ## Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. The cost of a ring.** How many bytes does each rank send in an all-reduce of $m$ bytes on $n$
# ranks, with the ring? Write an expression of SymPy in `m` and `n`.

# %% tags=["exercise:bytes"]
bytes_sent = ...

# %%
check(
    "bytes",
    bytes_sent,
    lambda f: bool(sp.simplify(f - 2 * (n - 1) * m / n) == 0),
    hint="How many rounds are there, and how many bytes does a piece have?",
)

# %% [markdown] tags=["solution:bytes"]
# <details><summary>Solution</summary>
#
# ```python
# bytes_sent = 2 * (n - 1) * m / n
# ```
#
# In each of $2 (n - 1)$ rounds a rank sends one piece of $m / n$ bytes.
#
# </details>
#
# **2. Two variances.** Part A has 10 numbers with the mean 1 and the variance 4. Part B has 30
# numbers with the mean 5 and the variance 2. What is the variance of all 40 numbers?

# %% tags=["exercise:variance"]
variance_of_all = ...

# %%
check("variance", variance_of_all, 5.5, hint="Section 2. First compute the mean of all numbers.")

# %% [markdown] tags=["solution:variance"]
# <details><summary>Solution</summary>
#
# ```python
# mean_of_all = (10 * 1 + 30 * 5) / 40
# variance_of_all = (10 * (4 + (1 - mean_of_all) ** 2) + 30 * (2 + (5 - mean_of_all) ** 2)) / 40
# ```
#
# </details>
#
# **3. How many ranks?** A step takes 2 ms on one rank. Communication takes $a = 30$ µs for each
# doubling of the ranks, and 0.2 ms for the bytes. The number of ranks is a power of two. What is
# the largest one with an efficiency of at least one half?

# %% tags=["exercise:half"]
ranks_that_pay = ...

# %%
check("half", ranks_that_pay, 4, hint="Section 5 has the condition for an efficiency of one half.")

# %% [markdown] tags=["solution:half"]
# <details><summary>Solution</summary>
#
# ```python
# powers = [2, 4, 8, 16]
# ranks_that_pay = max(n for n in powers if n * (30e-6 * np.log2(n) + 0.2e-3) <= 2e-3)
# ```
#
# On 8 ranks the left side is $8\,(3 \cdot 30 + 200)$ µs = 2.3 ms, more than $T_1$.
#
# </details>
