# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 9: the mathematics of speed
#
# You count operations and bytes, calculate which blocks fit into a cache and how many sums fit into
# the registers, derive Winograd's convolution, and see how rounding errors grow. Each section says
# where dlfs uses the result. You need chapter 5, and [Code](Code.ipynb) of this chapter.

# %% tags=["hide-input"]
from collections import OrderedDict
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from sympy.matrices import matrix_multiply_elementwise as times

from dlfs import reference, use_backend
from dlfs.backend import kernels
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY, ORANGE

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(9)

# %% [markdown]
# ## 1. Arithmetic intensity
#
# A convolution has $N$ images of $H$ pixels, $C$ channels in the input, $O$ in the output, and
# kernels of $k \times k$. Its padding keeps the size of the images. It does
#
# $$ F = 2\, N H\, C\, O\, k^2 \ \text{operations} $$
#
# It must at least read its input and weights and write its output. A float32 has 4 bytes:
#
# $$ Q = 4\,(N H C + N H O + C O k^2) \ \text{bytes} $$
#
# The **arithmetic intensity** is $I = F / Q$. What is its limit for many images?

# %%
N, H, C, out, k = sp.symbols("N H C O k", positive=True)
F = 2 * N * H * C * out * k**2
Q = 4 * (N * H * C + N * H * out + C * out * k**2)
sp.simplify(sp.limit(F / Q, N, sp.oo))

# %% [markdown]
# For many images the bytes of the weights no longer matter. Each number that is read is used for
# $O k^2$ multiplications, so a convolution can reach the peak. A ReLU, with $I = \frac{1}{8}$,
# cannot. A dense layer is the case $H = k = 1$; its intensity depends on the size of the batch:

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
# The two limits are equal at the **ridge**, $I^* = \pi / \beta$. To the left of it more bandwidth
# helps, to the right of it more arithmetic. [Code](Code.ipynb) measures $\pi$ with `multiply_adds`
# in `dlfs_ext/csrc/convolution/conv_peak.h`.
#
# ## 3. Blocks for the cache
#
# For $Q$ we assumed that each number is read from memory once, and then stays in the cache. But the
# cache may be too small for that. Let it have room for $M$ numbers. If two $n \times n$ matrices
# are multiplied row by column, a whole column is read from memory for each of the $n^2$ results.
# These are about $n^3$ numbers.
#
# Now divide the matrices into blocks of $b \times b$. The product of two blocks needs $b^3$
# multiply-adds, and reads $2 b^2$ numbers. There are $(n/b)^3$ such products:
#
# $$ Q_b \approx 2\, \frac{n^3}{b} + 2 n^2, \qquad 3 b^2 \le M $$
#
# The second term is for the result, which is read once and written once. The condition says that
# three blocks must fit into the cache. The largest block that fits is the best:

# %%
n, M = sp.symbols("n M", positive=True)
b = sp.sqrt(M / 3)
sp.simplify(2 * n**3 / b)

# %% [markdown]
# With a cache four times as large, half as many numbers are read. We test this by counting. This
# cache has room for `size` numbers. If it is full, it removes the number that has not been used for
# the longest time:


# %%
def misses(addresses, size):
    """Return how many numbers are read from memory, because they are not in the cache."""
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
    """Yield the numbers that a product of n x n matrices uses, in blocks of b."""
    blocks = range(0, n, b)
    for i0, j0, k0 in product(blocks, blocks, blocks):
        for i, j, k in product(range(i0, i0 + b), range(j0, j0 + b), range(k0, k0 + b)):
            yield from (("A", i, k), ("B", k, j), ("C", i, j))


size, edge = 48, 8
counted = {b: misses(walk(size, b), 3 * edge**2) for b in (1, 2, 4, edge, 16, 48)}
for b, count in counted.items():
    print(f"blocks of {b:>2}: {count:>7,} numbers read, 2n³/b = {2 * size**3 // b:>7,}")
assert min(counted, key=counted.get) == edge

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.5, 2.6))
ax.plot(list(counted), list(counted.values()), "o-", color=BLUE, label="counted")
grid = np.array([1, 2, 4, 8, 16])
ax.plot(grid, 2 * size**3 / grid + size**2, "--", color=GREY, label="formula")
ax.axvline(edge, color=ORANGE, linewidth=1, label="three blocks fill the cache")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xlabel("size of a block, b")
ax.set_ylabel("numbers read")
_ = ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# If the blocks are too large for the cache, many more numbers are read. dlfs divides a convolution
# into bands of rows for the same reason. `conv_plan` in `dlfs_ext/csrc/convolution/conv_geometry.h`
# chooses them so that the shifted copies of a band stay in the second-level cache
# (`COPIES = 1 << 20` bytes in `dlfs_ext/conv.pyx`).
#
# ## 4. Sums in registers
#
# The registers are like the smallest and fastest cache. dlfs keeps a tile of sums there: $m$ output
# channels by $v$ vectors of pixels. For one tap (an input channel and a position in the kernel),
# the tile needs $v$ loads of pixels and $m$ loads of weights, and does $m v$ multiply-adds. (A
# weight is copied to all **lanes** of a vector: the numbers that it holds.)
#
# $$ \text{loads for each multiply-add} = \frac{m + v}{m\,v}, \qquad m v + v + 1 \le R $$
#
# The $R$ registers hold the sums, the pixels and one weight. A multiply-add takes about 4 cycles,
# and the processor can start two in each cycle. So it needs at least 8 independent sums; with fewer
# it has to wait for its own results.


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
# All these tiles need less than one load for two multiply-adds, so the loads do not limit the
# speed. dlfs uses $8 \times 3$ (`strips` in `dlfs_ext/csrc/convolution/conv_registers.h`), because
# the number of channels is often a multiple of 8; with tiles of 5, some rows would be empty. For
# weight gradients it uses $4 \times 6$ dot products (`dots`, `DOTS_A` and `DOTS_B`).
#
# ## 5. Winograd: fewer multiplications
#
# Two neighbouring outputs of a kernel of three weights:
#
# $$ y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2 \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 $$
#
# These are six multiplications, but four are enough. To see why, look at the gradient of the input.
# For an output gradient $u_0, u_1$, the gradient of $d$ has the coefficients of a product of two
# polynomials:
#
# $$ (u_0 + u_1 z)(g_0 + g_1 z + g_2 z^2) = s_0 + s_1 z + s_2 z^2 + s_3 z^3 $$
#
# A polynomial of degree 3 is determined by its values at four points, and the value of a product at
# a point takes only **one** multiplication. We choose the points $z = 0, 1, -1$ and $\infty$ (there
# the "value" is the leading coefficient). Let $E_m$ be the matrix that evaluates a polynomial with
# $m$ coefficients at these points. Then
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
# For fixed $g$ this is a matrix times $u$: $s = E_4^{-1}\, \mathrm{diag}(E_3 g)\, E_2\, u$. The
# convolution is the transpose of this matrix times $d$ (chapter 5). So
#
# $$ y = E_2^T \big[ (E_3\, g) \odot (E_4^{-T} d) \big] $$
#
# The product $\odot$ takes four multiplications. Factors can be moved from one side of $\odot$ to
# the other. We move the factors $\frac12$ of $E_4^{-T}$ to the weights, which are transformed only
# once, and choose the same signs as dlfs. This gives the matrices of Lavin and Gray (2016):

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
# The rows of $B^T$ and of $G$ are in `patches_in` and `kernel_elements`, in `conv_last.h` and
# `conv_last_forward.h` of `dlfs_ext/csrc/convolution/`:
#
#     half[0][j] = d0 - d2;   half[1][j] = d1 + d2;   half[2][j] = d2 - d1;   half[3][j] = d1 - d3;
#     half[1][j] = (g0 + g1 + g2) * (real)0.5;        half[2][j] = (g0 - g1 + g2) * (real)0.5;
#
# **In two dimensions** we do the same along both axes. A patch $d$ of $4 \times 4$ pixels gives
# $2 \times 2$ outputs:
#
# $$ Y = A^T \big[ (G\, g\, G^T) \odot (B^T d\, B) \big] A $$
#
# These are 16 multiplications; the definition needs $4 \cdot 9 = 36$. With several channels the sum
# over the channels is inside the brackets, so that $A^T \ldots A$ is computed only once.

# %%
d2, g2 = (
    sp.Matrix(size, size, sp.symbols(f"{name}:{size * size}"))
    for name, size in (("p", 4), ("w", 3))
)
Y = (A.T * times(G * g2 * G.T, B_T * d2 * B_T.T) * A).expand()
for p, q in product(range(2), range(2)):
    definition = sum(d2[p + i, q + j] * g2[i, j] for i in range(3) for j in range(3))
    assert Y[p, q] == sp.expand(definition)
print("the 2 x 2 outputs are those of the definition; the multiplications are fewer by", 36 / 16)

# %% [markdown]
# ## 6. Rounding
#
# A float32 has 24 binary digits. Every operation rounds its result: $\mathrm{fl}(a \circ b) = (a
# \circ b)(1 + \delta)$ with $|\delta| \le u = 2^{-24}$. If $n$ products are added one after the
# other, the first product is rounded $n$ times, and the last one twice. If terms with $u^2$ are
# left out,
#
# $$ |\hat s - s| \;\le\; n\, u \sum_i |x_i w_i| $$
#
# for any order. This is the worst case, in which all roundings have the same sign. In practice
# their signs are random, and most of the error cancels. A rounding is also proportional to the sum
# that is rounded: if terms of both signs keep the sums small, the errors stay small too. And the
# order matters: if numbers are added in pairs, and then pairs of pairs, each number is in only
# $\log_2 n$ additions.
#
# Here are three orders, for sums of 32 to 65,536 normally distributed terms:


# %%
def one_by_one(terms):
    return np.cumsum(terms, axis=-1)[..., -1]


def in_lanes(terms):
    """Sixteen sums side by side, as in the lanes of a vector register, added at the end."""
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

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, values), colour in zip(errors.items(), (ORANGE, BLUE, "#4b8b3b")):
    ax.plot(counts, values, "o-", color=colour, markersize=3, label=name)
ax.plot(counts, counts, ":", color=GREY, label="the bound, n")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xlabel("terms")
ax.set_ylabel("error / (u · sum of |terms|)")
_ = ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# The errors in the picture are divided by the sum of the absolute values, which grows like $n$. So
# a horizontal line means that the error grows like $n$. All errors are far below the bound, and for
# long sums the lanes and pairs are much more exact. The tests of dlfs use tolerances of the form
# $n\,\varepsilon \sum |x w|$. Then another order of the sum passes, and a mistake does not. The
# forward pass of a convolution adds the taps of each output one by one (`tile`), and the weight
# gradients are added in lanes (`dots`) or in blocks of pixels (`outer_tile`).
#
# **The error of Winograd's algorithm.** $B^T d B$ adds four pixels before the product, and $A^T
# \ldots A$ adds up to nine products of such sums, some of which cancel. So the error is larger, by
# a small factor:

# %%
x, W = rng.standard_normal((2, 64, 30, 30)), rng.standard_normal((64, 64, 3, 3))
x32, W32 = x.astype(np.float32), W.astype(np.float32)
exact = reference.conv2d(x32.astype(float), W32.astype(float))
direct = reference.conv2d(x32, W32) - exact
with use_backend("fast"):
    winograd = kernels.conv2d(x32, W32) - exact
rms = [np.sqrt(np.mean(np.square(error))) for error in (direct, winograd)]
print(f"error: direct {rms[0]:.1e}, Winograd {rms[1]:.1e}, {rms[1] / rms[0]:.1f} times as large")
bound = 64 * 9 * 2.0**-24 * np.abs(reference.conv2d(abs(x), abs(W))).max()
assert max(np.abs(direct).max(), np.abs(winograd).max()) < bound

# %% [markdown]
# This is much too small to matter for a network. Larger patches need fewer multiplications, but
# their matrices have larger numbers, and the error grows fast. So dlfs uses $2 \times 2$ outputs,
# and only where there are enough channels (`conv_winograd_pays` in `conv_choice.h`).
#
# ## Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. One kernel for each channel.** In a *depthwise* convolution each output channel depends on
# only one input channel: $O = C$ and $F = 2 N H C k^2$. What is its intensity for many images, in
# terms of $k$?

# %% tags=["exercise:depthwise"]
intensity = ...  # an expression with k

# %%
check(
    "depthwise",
    intensity,
    lambda found: sp.simplify(found - k**2 / 4) == 0,
    hint="Q has another number of weights, too. Then let N go to infinity.",
)

# %% [markdown] tags=["solution:depthwise"]
# <details><summary>Solution</summary>
#
# ```python
# intensity = sp.limit(2 * N * H * C * k**2 / (4 * (2 * N * H * C + C * k**2)), N, sp.oo)
# ```
#
# This is $k^2/4$, about 2 for $3 \times 3$, and far to the left of the ridge: fewer operations do
# not always take less time.
#
# </details>
#
# **2. Sixteen registers.** Processors without AVX-512 have 16 vector registers. Which tile
# $(m, v)$ needs the fewest loads for each multiply-add?

# %% tags=["exercise:tile"]
best_tile = ...

# %%
check(
    "tile",
    best_tile,
    (4, 3),
    hint="Which function of section 4 lists the tiles? It returns (loads, m, v).",
)

# %% [markdown] tags=["solution:tile"]
# <details><summary>Solution</summary>
#
# ```python
# best_tile = tiles(16)[0][1:]
# ```
#
# dlfs uses the same tile for 16 registers: `RUN(4, 3)` in `strips`.
#
# </details>
#
# **3. Larger patches.** $F(m, r)$ computes $m$ outputs of $r$ weights with $m + r - 1$
# multiplications. How many times fewer multiplications than the definition does
# $F(4 \times 4,\, 3 \times 3)$ need?

# %% tags=["exercise:larger"]
factor = ...

# %%
check(
    "larger",
    factor,
    4.0,
    hint="Count along one axis: F(4, 3), and the definition. There are two axes.",
)

# %% [markdown] tags=["solution:larger"]
# <details><summary>Solution</summary>
#
# ```python
# factor = (4 * 4 * 3 * 3) / (4 + 3 - 1) ** 2
# ```
#
# </details>
#
# **4. Kahan's sum.** This algorithm keeps the digits that an addition loses by rounding, and adds
# them to the next term. With `t = total + (term + lost)`, the digits that are lost are `(term +
# lost) - (t - total)`. Write it for float32.


# %% tags=["exercise:kahan"]
def kahan(terms): ...


# %%
def try_kahan(function):
    terms = np.random.default_rng(3).uniform(size=100_000).astype(np.float32)
    found, exact = function(terms), terms.astype(float).sum()
    if np.asarray(found).dtype != np.float32:
        return "The sum must be float32: start with np.float32(0)."
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
