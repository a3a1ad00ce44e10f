# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 11: the mathematics of many machines
#
# You derive what each rank must send for the result to be that of one process: for gradients, for
# means and variances, and for batch normalization. Then you count rounds and bytes, find how many
# ranks pay, and see why a larger batch wants a larger learning rate. You need chapters 3 and 4.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import reference
from dlfs.exercises import check

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
rng = np.random.default_rng(11)

# %% [markdown]
# ## 1. A mean of means
#
# A batch of $N$ rows is cut into parts, part $r$ with $n_r$ rows and the mean loss $L_r$. Then
#
# $$ L = \frac1N \sum_i \ell_i = \sum_r \frac{n_r}{N} L_r . $$
#
# The derivative is linear, so the same weights hold for gradients. A plain mean of $R$ parts is
# wrong by
#
# $$ \frac1R \sum_r L_r - L = \sum_r \Big(\frac1R - \frac{n_r}{N}\Big) L_r , $$
#
# which is zero if all $n_r$ are equal. Rows of small parts count too much. How much too much? With
# 60 rows on 7 ranks, a row on a rank of 8 counts

# %%
R, N = 7, 60
print(
    f"{(1 / R / 8) / (1 / N) - 1:+.1%}, and a row on a rank of 9 {(1 / R / 9) / (1 / N) - 1:+.1%}"
)

# %% [markdown]
# ## 2. The variance of parts
#
# For batch normalization each rank sends the count, the mean and the variance of its own numbers.
# A variance of all is more than the mean of the variances, because the means differ, too:
#
# $$ \mu = \sum_r \frac{n_r}{N} \mu_r, \qquad
#    \sigma^2 = \sum_r \frac{n_r}{N} \left(\sigma_r^2 + (\mu_r - \mu)^2\right) . $$
#
# SymPy proves it for parts of two and three numbers:

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
print("the variance of all five is", sp.nsimplify(sp.expand(combined).coeff(a[0], 2)), "a1^2 + ...")

# %% [markdown]
# Another formula, $\sigma^2 = E[x^2] - \mu^2$, needs only sums. It fails in floating point where
# the mean is large compared with the deviation: two large numbers cancel.

# %%
numbers = 1e8 + rng.normal(size=60)
cancelling = np.mean(numbers**2) - np.mean(numbers) ** 2
parts = np.array_split(numbers, 7)
whole_mean = sum(len(p) * p.mean() for p in parts) / 60
chan = sum(len(p) * (p.var() + (p.mean() - whole_mean) ** 2) for p in parts) / 60
print(f"true {np.var(numbers):.6f}, combined {chan:.6f}, from sums of squares {cancelling:.6f}")
assert abs(chan - np.var(numbers)) < 1e-6
assert abs(cancelling - np.var(numbers)) > 1e-3

# %% [markdown]
# ## 3. Batch normalization backward
#
# With $\hat x = (x - \mu) / \sigma$ and the gradient $g$ of the output,
#
# $$ \frac{\partial L}{\partial x_i} = \frac1\sigma \Big( g_i - \frac1N \sum_j g_j
#    - \hat x_i\, \frac1N \sum_j g_j \hat x_j \Big) . $$
#
# Both sums are over all rows of the batch, so each rank sends its two partial sums for every
# feature. The $g_j$ must be gradients of the loss of the **whole** batch: the weights $n_r / N$
# belong to the gradient of the loss, before the backward pass, and not behind it.

# %%
x, g = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
output, _, _, inv_std = reference.batch_norm(x)
expected = reference.batch_norm_grad(g, output, inv_std)
rows = np.array_split(np.arange(60), 7)
sums = sum(np.stack([g[r].sum(axis=0), (g[r] * output[r]).sum(axis=0)]) for r in rows)
parts = [inv_std * (g[r] - sums[0] / 60 - output[r] * sums[1] / 60) for r in rows]
assert np.allclose(np.concatenate(parts), expected)
print("7 ranks, two sums each: the gradient of the whole batch")

# %% [markdown]
# ## 4. What an all-reduce costs
#
# A message of $m$ bytes takes $\alpha + \beta m$: a latency, and the bytes over the bandwidth.
#
# - A **tree** adds up in $\log_2 n$ rounds and spreads the sum in as many, always the whole array:
#   $2 \log_2 n\,(\alpha + \beta m)$.
# - A **ring** makes $2 (n - 1)$ rounds of $m / n$ bytes:
#   $2 (n - 1)\,\alpha + 2 \frac{n-1}{n} \beta m$.
#
# No algorithm sends less than the ring: every rank must take in what the others have, and give away
# what it has. Which one is faster depends on the size. They meet where

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
# (With recursive halving the latency of the large messages is logarithmic, too; that is what MPI
# does, and what the next section assumes.)
#
# ## 5. How many ranks pay
#
# **Strong scaling**: the same batch on more ranks. $T(n) = T_1 / n + a \log_2 n + b m$ has a
# minimum, because the first term falls and the second rises:

# %%
T1, latency, c = sp.symbols("T_1 a c", positive=True)
T = T1 / n + latency * sp.log(n) / sp.log(2) + c
best = sp.solve(sp.diff(T, n), n)[0]
assert sp.simplify(best - T1 * sp.log(2) / latency) == 0
print("the fastest step is on n =", best, "ranks")

# %% [markdown]
# More ranks than $T_1 \ln 2 / a$ make a step slower. Long before that the efficiency
# $T_1 / (n\,T(n))$ is low: it is one half where communication takes as long as computation, $n\,(a
# \log_2 n + b m) = T_1$.
#
# **Weak scaling**: each rank keeps its rows, and the batch grows. Then
# $T(n) = T_1 + a \log_2 n + b m$, and the efficiency falls only with the logarithm:

# %%
counts = 2.0 ** np.arange(11)
fig, axis = plt.subplots()
for t1, colour in ((1e-3, GREY), (10e-3, BLUE), (100e-3, ORANGE)):
    cost = np.where(counts > 1, 30e-6 * np.log2(counts) + 2 * 130e3 / 1.25e9, 0)
    axis.semilogx(counts, t1 / (t1 + counts * cost), "--", color=colour)
    axis.semilogx(counts, t1 / (t1 + cost), color=colour, label=f"$T_1$ = {1e3 * t1:.0f} ms")
axis.set(xlabel="ranks (lines: weak scaling, dashes: strong)", ylabel="efficiency", ylim=(0, 1.05))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 6. A larger batch, a larger rate
#
# The gradient of a batch of $B$ rows is the true gradient $G$ plus noise of variance $s^2 / B$. Two
# limits follow.
#
# While the noise is larger than the gradient, $k$ small steps go about as far as one step with $k$
# times the batch and $k$ times the rate: the gradients hardly change in between, so their sum is
# the same. That is the linear rule.
#
# On a parabola $\frac{h}{2} w^2$ with the gradient $h w + \text{noise}$, a step is
# $w \leftarrow (1 - \eta h) w - \eta \cdot \text{noise}$. It converges only if $\eta < 2 / h$,
# **whatever the batch**. So the rule ends there. Below it, the variance of $w$ settles at

# %%
eta, h, s, B, v = sp.symbols("eta h s B v", positive=True)
settled = sp.solve(sp.Eq(v, (1 - eta * h) ** 2 * v + eta**2 * s**2 / B), v)[0]
print(sp.factor(settled))
ratio = settled.subs({eta: 16 * eta, B: 16 * B}) / settled
assert sp.limit(ratio, eta, 0) == 1  # sixteen times both: the same noise, for small rates

# %% [markdown]
# In words: for small rates the noise depends on $\eta / B$ alone. Near $2 / h$ it grows without
# bound. At the beginning $h$ is often large, and so a **warm-up** starts with a small rate.
#
# ## Exercises
#
# **1. The cost of a ring.** How many bytes does a rank send in an all-reduce of $m$ bytes on $n$
# ranks by ring? Write an expression of SymPy in `m` and `n`.

# %% tags=["exercise:bytes"]
bytes_sent = ...

# %%
check("bytes", bytes_sent, lambda f: bool(sp.simplify(f - 2 * (n - 1) * m / n) == 0))

# %% [markdown] tags=["solution:bytes"]
# <details><summary>Solution</summary>
#
# ```python
# bytes_sent = 2 * (n - 1) * m / n
# ```
#
# In each of $2 (n - 1)$ rounds it sends one piece of $m / n$ bytes.
#
# </details>
#
# **2. Two variances.** Part A: 10 numbers, mean 1, variance 4. Part B: 30 numbers, mean 5, variance
# 2. What is the variance of all 40?

# %% tags=["exercise:variance"]
variance_of_all = ...

# %%
check("variance", variance_of_all, 5.5)

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
# **3. When it stops paying.** A step takes 2 ms on one rank, a rank's messages $a = 30$ µs a
# doubling and 0.2 ms for the bytes. What is the largest power of two of ranks with an efficiency of
# at least one half?

# %% tags=["exercise:half"]
ranks_that_pay = ...

# %%
check("half", ranks_that_pay, 4, hint="n (a log2 n + b m) must be at most T_1.")

# %% [markdown] tags=["solution:half"]
# <details><summary>Solution</summary>
#
# ```python
# powers = [2, 4, 8, 16]
# ranks_that_pay = max(n for n in powers if n * (30e-6 * np.log2(n) + 0.2e-3) <= 2e-3)
# ```
#
# On 8 ranks it is $8\,(3 \cdot 30 + 200)$ µs = 2.3 ms, more than the step.
#
# </details>
