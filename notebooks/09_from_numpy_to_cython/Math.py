# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 9: the mathematics of speed
#
# You count operations and bytes, work out how large a block fits a cache and how many sums fit the
# registers, derive Winograd's convolution, and see how rounding errors grow. Next to it stands
# where dlfs uses each. You need chapter 5, and `Code.ipynb` of this chapter for the measurements.

# %%
from collections import OrderedDict
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from sympy.matrices import matrix_multiply_elementwise as times

from dlfs import reference, use_backend
from dlfs.backend import kernels
from dlfs.exercises import check

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
rng = np.random.default_rng(9)

# %% [markdown]
# ## 1. Arithmetic intensity
#
# A convolution of $N$ images with $H$ output pixels each, from $C$ to $O$ channels with $k \times
# k$ kernels ("same" padding), does
#
# $$ F = 2\, N H\, C\, O\, k^2 \ \text{operations} $$
#
# and must at least read its input and weights and write its output, 4 bytes each in float32:
#
# $$ Q = 4\,(N H C + N H O + C O k^2) \ \text{bytes} $$
#
# The **arithmetic intensity** is $I = F / Q$. What happens for many images?

# %%
N, H, C, out, k = sp.symbols("N H C O k", positive=True)
F = 2 * N * H * C * out * k**2
Q = 4 * (N * H * C + N * H * out + C * out * k**2)
sp.simplify(sp.limit(F / Q, N, sp.oo))

# %% [markdown]
# The weights no longer count. Each pixel that is read meets $O k^2$ weights: that is why
# convolutions can be fast, and why a ReLU, with its $\frac{1}{8}$, never is. A dense layer is the
# case $H = k = 1$, where everything depends on the batch:

# %%
dense = (F / Q).subs({H: 1, k: 1})
for batch in (1, 32, 1000):
    value = dense.subs({N: batch, C: 784, out: 89})
    print(f"dense 784 -> 89, batch {batch:>4}: {float(value):5.1f} operations a byte")
here = (F / Q).subs({N: 8, H: 784, C: 16, out: 32, k: 5})
print(f"convolution 16 -> 32, 5 x 5:  {float(here):5.1f}")

# %% [markdown]
# ## 2. The roofline
#
# With a peak of $\pi$ operations and a bandwidth of $\beta$ bytes a second, the time is at least
#
# $$ t \ge \max\left( \frac{F}{\pi},\; \frac{Q}{\beta} \right)
# \qquad\Longrightarrow\qquad \frac{F}{t} \le \min(\pi,\; \beta I) $$
#
# The two meet at the **ridge**, $I^* = \pi / \beta$. To its left more bandwidth helps, to its right
# more arithmetic. `Code.ipynb` measures $\pi$ with `multiply_adds` in `dlfs_ext/csrc/conv_peak.h`.
#
# ## 3. Blocks for the cache
#
# $Q$ assumed that a number is fetched once and stays. A cache of $M$ numbers may not hold them all.
# Multiply two $n \times n$ matrices row by column: for each of the $n^2$ results a whole column
# comes from memory again, about $n^3$ numbers together.
#
# Now cut the matrices into blocks of $b \times b$. A product of two blocks does $b^3$ multiply-adds
# and fetches $2 b^2$ numbers. There are $(n/b)^3$ of them:
#
# $$ Q_b \approx 2\, \frac{n^3}{b} + 2 n^2, \qquad 3 b^2 \le M $$
#
# (the second term: the result, once read and once written; the condition: three blocks must fit).
# The best block is as large as it may be:

# %%
n, M = sp.symbols("n M", positive=True)
b = sp.sqrt(M / 3)
sp.simplify(2 * n**3 / b)

# %% [markdown]
# A cache that is four times as large halves the traffic. Believe it only when you have counted.
# This is a cache of `size` numbers that forgets what was not used for the longest time:


# %%
def misses(addresses, size):
    cache, count = OrderedDict(), 0
    for address in addresses:
        if address in cache:
            cache.move_to_end(address)
        else:
            count += 1
            cache[address] = True
            if len(cache) > size:
                cache.popitem(last=False)
    return count


def walk(n, b):
    """Go through the numbers that a product of n x n matrices touches, in blocks of b."""
    blocks = range(0, n, b)
    for i0, j0, k0 in product(blocks, blocks, blocks):
        for i, j, k in product(range(i0, i0 + b), range(j0, j0 + b), range(k0, k0 + b)):
            yield from (("A", i, k), ("B", k, j), ("C", i, j))


size, edge = 48, 8
counted = {b: misses(walk(size, b), 3 * edge**2) for b in (1, 2, 4, edge, 16, 48)}
for b, count in counted.items():
    print(f"blocks of {b:>2}: {count:>7,} numbers fetched, 2n³/b = {2 * size**3 // b:>7,}")
assert min(counted, key=counted.get) == edge

# %%
fig, ax = plt.subplots(figsize=(5.5, 2.6))
ax.plot(list(counted), list(counted.values()), "o-", color=BLUE, label="counted")
grid = np.array([1, 2, 4, 8, 16])
ax.plot(grid, 2 * size**3 / grid + size**2, "--", color=GREY, label="formula")
ax.axvline(edge, color=ORANGE, linewidth=1, label="three blocks fill the cache")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xlabel("edge of a block")
ax.set_ylabel("numbers fetched")
_ = ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# Beyond the edge that fits, the traffic jumps back. dlfs cuts a convolution into bands of rows for
# the same reason: `conv_plan` in `dlfs_ext/csrc/conv_geometry.h` chooses them so that the shifted
# copies of a band stay in the second-level cache (`COPIES = 1 << 20` bytes in `dlfs_ext/conv.pyx`).
#
# ## 4. Sums in registers
#
# The registers are the smallest and fastest cache. Keep a tile of $m$ output channels by $v$
# vectors of pixels there. One tap needs $v$ loads of pixels and $m$ of weights (each copied to all
# lanes of a vector), and does $m v$ multiply-adds:
#
# $$ \text{loads for each multiply-add} = \frac{m + v}{m\,v}, \qquad m v + v + 1 \le R $$
#
# for $R$ registers: the sums, the pixels, one weight. A multiply-add takes about 4 cycles, and up
# to two can start in each: at least 8 sums must be under way, or the processor waits for its own
# results.


# %%
def tiles(registers):
    """Return (loads for each multiply-add, m, v) of all tiles that fit, the best first."""
    sizes = product(range(1, 17), range(1, 17))
    fitting = [(m, v) for m, v in sizes if 8 <= m * v and m * v + v + 1 <= registers]
    return sorted(((m + v) / (m * v), m, v) for m, v in fitting)


for loads, m, v in tiles(32)[:6]:
    print(f"{m} x {v}: {m * v} sums, {loads:.3f} loads for each multiply-add")
print(f"8 x 3: 24 sums, {11 / 24:.3f}   1 x 1: 1 sum, {2 / 1:.3f}")

# %% [markdown]
# All good tiles need fewer than one load for two multiply-adds, so that loading is not what limits.
# dlfs takes $8 \times 3$ (`strips` in `dlfs_ext/csrc/conv_registers.h`): numbers of channels are
# mostly multiples of 8, and a tile of 5 would leave some rows empty. For weight gradients it takes
# $4 \times 6$ dot products (`dots`, `DOTS_A` and `DOTS_B`).
#
# ## 5. Winograd: fewer multiplications
#
# Two neighbouring outputs of a kernel of three weights:
#
# $$ y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2 \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 $$
#
# Six multiplications. Four are enough, and here is why. Turn the problem round: the input gradient
# of this little convolution takes $u_0, u_1$ and sends to $d$ the coefficients of a product of two
# polynomials,
#
# $$ (u_0 + u_1 z)(g_0 + g_1 z + g_2 z^2) = s_0 + s_1 z + s_2 z^2 + s_3 z^3 $$
#
# A polynomial of degree 3 is known from its values at four points, and at a point the value of a
# product is **one** multiplication. Take $z = 0, 1, -1$ and $\infty$ (the leading coefficient).
# With $E_m$ for the matrix that evaluates a polynomial of $m$ coefficients at these points:
#
# $$ s = E_4^{-1} \big[ (E_2\, u) \odot (E_3\, g) \big] $$


# %%
def evaluation(coefficients):
    rows = [[z**power for power in range(coefficients)] for z in (0, 1, -1)]
    return sp.Matrix([*rows, [0] * (coefficients - 1) + [1]])


E2, E3, E4 = evaluation(2), evaluation(3), evaluation(4)
g, d, u = (
    sp.Matrix(sp.symbols(f"{name}0:{count}")) for name, count in (("g", 3), ("d", 4), ("u", 2))
)
z = sp.Symbol("z")
s = (E4.inv() * times(E2 * u, E3 * g)).expand()
polynomial = sp.expand((u[0] + u[1] * z) * (g[0] + g[1] * z + g[2] * z**2))
assert [polynomial.coeff(z, power) for power in range(4)] == list(s)
E4.inv()

# %% [markdown]
# For fixed $g$ this is a matrix applied to $u$: $s = E_4^{-1}\, \mathrm{diag}(E_3 g)\, E_2\, u$.
# The convolution is its transpose (chapter 5: gradient and convolution are adjoint). So
#
# $$ y = E_2^T \big[ (E_3\, g) \odot (E_4^{-T} d) \big] $$
#
# with four multiplications in the middle. A factor may be moved from one side of $\odot$ to the
# other: put the halves of $E_4^{-T}$ to the weights, which are transformed only once, and choose
# the signs as in dlfs. These are the matrices of Lavin and Gray:

# %%
move = sp.diag(1, 2, 2, -1)
A, G, B_T = E2, sp.diag(1, sp.Rational(1, 2), sp.Rational(1, 2), 1) * E3, move * E4.inv().T
A = sp.diag(1, 1, 1, -1) * A
y = (A.T * times(G * g, B_T * d)).expand()
assert y == sp.Matrix(
    [d[0] * g[0] + d[1] * g[1] + d[2] * g[2], d[1] * g[0] + d[2] * g[1] + d[3] * g[2]]
)
for name, matrix in (("A^T", A.T), ("B^T", B_T), ("G", G)):
    print(f"{name:<4}", matrix.tolist())

# %% [markdown]
# Read `patch_rows` and `winograd_pack` in `dlfs_ext/csrc/conv_winograd.h` next to them:
#
#     half[0][j] = d0 - d2;   half[1][j] = d1 + d2;   half[2][j] = d2 - d1;   half[3][j] = d1 - d3;
#     half[1][j] = (g0 + g1 + g2) / 2;                half[2][j] = (g0 - g1 + g2) / 2;
#
# **In two dimensions** do the same along both axes. A patch $d$ of $4 \times 4$ pixels gives
# $2 \times 2$ outputs:
#
# $$ Y = A^T \big[ (G\, g\, G^T) \odot (B^T d\, B) \big] A $$
#
# That is 16 multiplications where the definition needs $4 \cdot 9 = 36$. Over many channels the sum
# runs inside the brackets, so that $A^T \ldots A$ is applied once.

# %%
d2, g2 = (
    sp.Matrix(size, size, sp.symbols(f"{name}:{size * size}"))
    for name, size in (("p", 4), ("w", 3))
)
Y = (A.T * times(G * g2 * G.T, B_T * d2 * B_T.T) * A).expand()
for p, q in product(range(2), range(2)):
    definition = sum(d2[p + i, q + j] * g2[i, j] for i in range(3) for j in range(3))
    assert Y[p, q] == sp.expand(definition)
print("2 x 2 outputs, as the definition says; multiplications saved by a factor of", 36 / 16)

# %% [markdown]
# ## 6. Rounding
#
# A float32 has 24 binary digits. Every operation rounds, $\mathrm{fl}(a \circ b) = (a \circ b)(1 +
# \delta)$ with $|\delta| \le u = 2^{-24}$. Add $n$ products one after the other: the first product
# goes through $n$ roundings, the last through two. To first order
#
# $$ |\hat s - s| \;\le\; n\, u \sum_i |x_i w_i| $$
#
# whatever the order. That is the worst case, where all roundings go the same way. They go up and
# down at random, so most of it cancels. And a rounding is in proportion to the sum that is rounded:
# where terms of both signs keep the sums small, the errors stay small, too. The order matters as
# well: adding in pairs, and pairs of pairs, sends each number through $\log_2 n$ additions only.
#
# Below, the terms are normally distributed, 32 to 65,536 of them.


# %%
def one_by_one(terms):
    return np.cumsum(terms, axis=-1)[..., -1]


def in_lanes(terms):
    """Sixteen sums side by side, as a vector register holds them, added up at the end."""
    return one_by_one(one_by_one(terms.reshape(len(terms), -1, 16).swapaxes(1, 2)))


def in_pairs(terms):
    while terms.shape[-1] > 1:
        terms = terms[..., ::2] + terms[..., 1::2]
    return terms[..., 0]


counts = 2 ** np.arange(5, 17)
ways = {"one by one": one_by_one, "in 16 lanes": in_lanes, "in pairs": in_pairs}
errors = {name: [] for name in ways}
for count in counts:
    terms = rng.standard_normal((40, count)).astype(np.float32)
    exact, size = terms.astype(float).sum(axis=1), np.abs(terms.astype(float)).sum(axis=1)
    for name, way in ways.items():
        relative = np.abs(way(terms) - exact) / size
        assert relative.max() <= count * 2.0**-24
        errors[name].append(np.sqrt(np.mean(relative**2)) / 2.0**-24)

# %%
fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, values), colour in zip(errors.items(), (ORANGE, BLUE, "#4b8b3b"), strict=True):
    ax.plot(counts, values, "o-", color=colour, markersize=3, label=name)
ax.plot(counts, counts, ":", color=GREY, label="the bound, n")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xlabel("terms")
ax.set_ylabel("error / (u · sum of |terms|)")
_ = ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# The picture divides by the sum of the absolute values, which itself grows like $n$: a level line
# is an error that grows like $n$, as in the sums one by one. All stay far below the bound; lanes
# and pairs gain a lot for long sums. dlfs's tolerances are of the form
# $n\,\varepsilon \sum |x w|$: a mistake cannot hide in them, and an honest other order passes. Its
# forward pass adds each output's taps one by one (`tile`), its weight gradients in lanes (`dots`).
#
# **Winograd's price.** $B^T d B$ adds four pixels before the product, and $A^T \ldots A$ adds up to
# nine products of such sums, some of which cancel. So the error is larger, by a small factor:

# %%
x, W = rng.standard_normal((2, 64, 30, 30)), rng.standard_normal((64, 64, 3, 3))
x32, W32 = x.astype(np.float32), W.astype(np.float32)
exact = reference.conv2d(x32.astype(float), W32.astype(float))
direct = reference.conv2d(x32, W32) - exact
with use_backend("fast"):
    winograd = kernels.conv2d(x32, W32) - exact
rms = [np.sqrt(np.mean(np.square(error))) for error in (direct, winograd)]
print(f"direct {rms[0]:.1e}, Winograd {rms[1]:.1e}: {rms[1] / rms[0]:.1f} times")
bound = 64 * 9 * 2.0**-24 * np.abs(reference.conv2d(abs(x), abs(W))).max()
assert max(np.abs(direct).max(), np.abs(winograd).max()) < bound

# %% [markdown]
# Far from what a network would notice. Larger patches need fewer multiplications, but their
# matrices hold larger numbers, and the error grows fast. dlfs stays with $2 \times 2$ outputs, and
# in float64, which is for those who want every digit, does without (`winograd_pays` in
# `dlfs_ext/conv.pyx`).
#
# ## Exercises
#
# **1. One kernel for each channel.** In a *depthwise* convolution ($C$ groups) every channel sees
# only itself: $O = C$ and $F = 2 N H C k^2$. What is its intensity for many images, in terms of
# $k$?

# %% tags=["exercise:depthwise"]
intensity = ...  # an expression with k

# %%
check(
    "depthwise",
    intensity,
    lambda found: sp.simplify(found - k**2 / 4) == 0,
    hint="Q changes, too: how many weights are there? Then N goes to infinity.",
)

# %% [markdown] tags=["solution:depthwise"]
# <details><summary>Solution</summary>
#
# ```python
# intensity = sp.limit(2 * N * H * C * k**2 / (4 * (2 * N * H * C + C * k**2)), N, sp.oo)
# ```
#
# $k^2/4$, about 2 for $3 \times 3$: far to the left of the ridge. Few operations are not the same
# as little time.
#
# </details>
#
# **2. Sixteen registers.** Processors without AVX-512 have 16 vector registers. Which tile
# $(m, v)$ needs the fewest loads for each multiply-add?

# %% tags=["exercise:tile"]
best_tile = ...

# %%
check("tile", best_tile, (4, 3), hint="tiles() answers; the condition is m v + v + 1 <= R.")

# %% [markdown] tags=["solution:tile"]
# <details><summary>Solution</summary>
#
# ```python
# best_tile = tiles(16)[0][1:]
# ```
#
# `RUN(4, 3)` in `strips` is the same.
#
# </details>
#
# **3. Larger patches.** $F(m, r)$ computes $m$ outputs of $r$ weights with $m + r - 1$
# multiplications. By what factor does $F(4 \times 4,\, 3 \times 3)$ save multiplications?

# %% tags=["exercise:larger"]
factor = ...

# %%
check("larger", factor, 4.0, hint="Along each axis 6 multiplications instead of 12.")

# %% [markdown] tags=["solution:larger"]
# <details><summary>Solution</summary>
#
# ```python
# factor = (4 * 4 * 3 * 3) / (4 + 3 - 1) ** 2
# ```
#
# </details>
#
# **4. Remember what was lost.** Kahan's sum keeps the digits that an addition lost, and adds them
# to the next term: with `t = total + (term + lost)`, what was lost is `(term + lost) - (t -
# total)`. Write it for float32.


# %% tags=["exercise:kahan"]
def kahan(terms): ...


# %%
def try_kahan(function):
    terms = np.random.default_rng(3).uniform(size=100_000).astype(np.float32)
    found, exact = function(terms), terms.astype(float).sum()
    if np.asarray(found).dtype != np.float32:
        return "Stay in float32: start with np.float32(0)."
    error = abs(float(found) - exact) / np.abs(terms).sum()
    return True if error < 2.0**-23 else f"The error is {error / 2.0**-24:.1f} u."


check("kahan", kahan, try_kahan, hint="A loop over the terms, with two numbers: total and lost.")

# %% [markdown] tags=["solution:kahan"]
# <details><summary>Solution</summary>
#
# ```python
# def kahan(terms):
#     total = lost = np.float32(0)
#     for term in terms:
#         corrected = term + lost
#         t = total + corrected
#         lost = corrected - (t - total)
#         total = t
#     return total
# ```
#
# </details>
