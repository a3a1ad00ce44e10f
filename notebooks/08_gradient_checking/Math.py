# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 8: the mathematics of a gradient check
#
# How large is the error of a difference, and how can it be made smaller? How much may two gradients
# differ before one of them is wrong? You derive what `dlfs.gradcheck` computes, and see the lines
# that compute it. You need Taylor series, and [Code](Code.ipynb) of this chapter.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs.activations import Softmax
from dlfs.exercises import check
from dlfs.gradcheck.derivative import complex_step, quick, study
from dlfs.plots import BLUE, GREY

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(8)
EPS = float(np.finfo(np.float64).eps)

# %% [markdown]
# ## 1. The best step
#
# The Taylor series of $f(x+h)$ and $f(x-h)$ differ in the signs of the odd powers of $h$. So in the
# **central difference** the even powers cancel:
#
# $$ D(h) = \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x)
#    + \frac{h^4}{120} f^{(5)}(x) + \dots $$

# %%
h, x = sp.symbols("h x")
derivatives = sp.symbols("f_0:8")  # f, f', f'', ... at x


def taylor(step):
    """Return the series of f(x + step), in terms of the derivatives at x."""
    return sum(d * step**k / sp.factorial(k) for k, d in enumerate(derivatives))


def D(step):
    """The central difference of that series."""
    return sp.expand((taylor(step) - taylor(-step)) / (2 * step))


D(h)

# %% [markdown]
# A computer stores $f$ with a relative error of about $\varepsilon = 2 \cdot 10^{-16}$. This adds
# an error of about $\varepsilon |f| / h$ to the difference. The sum of both errors is smallest
# where its derivative is zero:

# %%
eps, f, third, step = sp.symbols("epsilon |f| |f'''| h", positive=True)
total = step**2 / 6 * third + eps * f / step
(best_step,) = sp.solve(sp.diff(total, step), step)
assert sp.simplify(best_step - (3 * eps * f / third) ** sp.Rational(1, 3)) == 0
best_step

# %% [markdown]
# If $f$ and its third derivative are about 1, the best step is about the cube root of
# $\varepsilon$, $6 \cdot 10^{-6}$. The error there is about $\varepsilon^{2/3} \approx 4 \cdot
# 10^{-11}$. So at best two thirds of the digits are correct.
#
# ## 2. Richardson: let the errors cancel
#
# The largest error of the difference is the term with $h^2$. With half the step that term is a
# quarter as large. So it cancels in four times the difference with half the step, minus the
# difference with the whole step. The result is three times the slope. The same trick works once
# more, for the term with $h^4$:
#
# $$ T(h) = \frac{4\,D(h/2) - D(h)}{3}, \qquad R(h) = \frac{16\,T(h/2) - T(h)}{15} $$


# %%
def T(step):
    return sp.expand((4 * D(step / 2) - D(step)) / 3)


def R(step):
    return sp.expand((16 * T(step / 2) - T(step)) / 15)


for name, formula in (("D", D(h)), ("T", T(h)), ("R", R(h))):
    error = sp.expand(formula - derivatives[1])
    order = min(sp.degree(term, h) for term in error.as_ordered_terms())
    print(f"{name}: the error begins with h^{order}")
assert R(h).coeff(h, 2) == R(h).coeff(h, 4) == 0 != R(h).coeff(h, 6)

# %% [markdown]
# `_richardson` in `dlfs/gradcheck/derivative.py` computes exactly this. `columns` are the
# differences with three steps, each half of the one before; `once` are the two $T$, and `column` is
# $R$:
#
# ```python
# once = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(columns)]
# column = (16 * once[1] - once[0]) / 15
# ```
#
# It also gives a bound of its error. $T(h)$ and $T(h/2)$ are both less exact than $R(h)$, so their
# distance is larger than the error of $R$. The rounding, $\varepsilon |f| / h$, is added to that.
# Is the error always below the bound? Here are a thousand random points, on four functions whose
# derivatives we know:

# %%
functions = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda t: 1 - np.tanh(t) ** 2),
    "x³": (lambda t: t**3, lambda t: 3 * t**2),
}
one = np.array(1.0)


def along(function, point):
    """Return the function along a line through the point: the form that the checker takes."""
    return lambda t: np.asarray(function(point + t))


true_errors, bounds = [], []
for function, slope in functions.values():
    for point in rng.uniform(-2, 2, 250):
        estimate = quick(along(function, point), one, 0.01, 1e-8, abs(point))
        true_errors.append(abs(estimate.value - slope(point)))
        bounds.append(estimate.error)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(4.6, 3.4))
ax.loglog(np.maximum(true_errors, 1e-17), bounds, ".", ms=3, color=BLUE)
ax.plot([1e-17, 1e-8], [1e-17, 1e-8], color=GREY, lw=1)
ax.set(xlabel="true error", ylabel="its bound", xlim=(5e-18, 1e-10))
ax.set_ylim(1e-14, 1e-8)
plt.show()
print(f"median true error {np.median(true_errors):.0e}")
assert all(np.array(true_errors) < np.array(bounds))
assert np.median(true_errors) < 1e-12

# %% [markdown]
# All points are above the line: no error is larger than its bound. So the checker can derive its
# tolerance, and you do not have to choose one.
#
# ## 3. Without any difference
#
# There is a formula that subtracts nothing. It uses complex numbers. If a function has a Taylor
# series, and is real for real numbers, then
#
# $$ f(x + ih) = f(x) + i h f'(x) - \frac{h^2}{2} f''(x) - \dots
#    \quad\Rightarrow\quad f'(x) = \frac{\operatorname{Im} f(x + ih)}{h} + O(h^2) $$
#
# No digits are lost, and $h$ can be as small as $10^{-30}$. `complex_step`, in the same file, is
# used if the Operation accepts complex numbers. `line` is the function along a line:
#
#     column = np.imag(line(1j * h)) / h

# %%
at = 0.7
exact = complex_step(lambda t: np.asarray(np.tanh(at + t)), one)
print(f"complex step {exact.value:.17f}")
print(f"1 - tanh²    {1 - np.tanh(at) ** 2:.17f}")
assert abs(exact.value - (1 - np.tanh(at) ** 2)) <= 4 * EPS

# %% [markdown]
# ## 4. One number for all outputs
#
# An Operation with outputs $y_j$ and inputs $x_i$ has the Jacobian
# $J_{ji} = \partial y_j / \partial x_i$. Backward returns $G^\top J$ for an output gradient $G$.
# Suppose it uses a wrong one, $J + E$. The check sees the difference
#
# $$ G^\top (J + E) - G^\top J = G^\top E $$
#
# It misses the mistake exactly if $G$ is orthogonal to every column of $E$. If $E \neq 0$, these
# $G$ are a subspace that has at least one dimension less than the whole space. A random $G$ lies in
# it with probability 0, but $(1, \dots, 1)$ may lie in it. For a softmax with the output $p$, $J =
# \operatorname{diag}(p) - p p^\top$ (chapter 4). This is $(1, 1, 1)\, J$:

# %%
p = sp.Matrix(sp.symbols("p_1:4", positive=True))
J = sp.diag(*p) - p * p.T
ones = sp.ones(1, 3)
seen = (ones * J).subs(p[2], 1 - p[0] - p[1]).applyfunc(sp.simplify)
assert seen == sp.zeros(1, 3)
seen

# %% [markdown]
# All entries are zero. So with an output gradient of ones, a backward pass passes the check if it
# returns zeros, or any multiple of the correct gradient. Here are numbers, from the softmax of
# dlfs:

# %%
softmax = Softmax()
softmax.forward(rng.standard_normal((2, 4)))
with_ones = softmax.backward(np.ones((2, 4)))
with_random = softmax.backward(rng.standard_normal((2, 4)))
print(f"largest entry, ones:   {np.abs(with_ones).max():.0e}")
print(f"largest entry, random: {np.abs(with_random).max():.2f}")
assert np.abs(with_ones).max() < 8 * EPS < 0.01 < np.abs(with_random).max()

# %% [markdown]
# **Large arrays.** To check each of a million weights by itself would take two million forward
# passes. Instead, the checker changes all weights at once, along a random direction $u$. The slope
# along $u$ must be $g \cdot u$, with the gradient $g$ from backward. If that gradient is wrong by
# $e$, the slopes differ by $e \cdot u$. If the entries of $u$ have a standard normal distribution,
# $e \cdot u$ is normal with the standard deviation $\lVert e \rVert$. It is rarely much smaller
# than $\lVert e \rVert$. How often is it below a thousandth of that?

# %%
e = np.zeros(500)
e[17] = 1.0  # a single wrong entry
slopes = np.abs(rng.standard_normal((20_000, e.size)) @ e)
share = float(np.mean(slopes < 1e-3))
expected = 1e-3 * np.sqrt(2 / np.pi)  # the normal density at 0, times the width
print(f"one direction: {share:.5f}, expected {expected:.5f}")
print(f"four directions: expected {expected**4:.0e}")

# %% tags=["remove-cell"]
# of 20,000 trials, five standard deviations around what is expected
assert abs(share - expected) < 5 * np.sqrt(expected / len(slopes))

# %% [markdown]
# `_along_directions` in `dlfs/gradcheck/compare.py` takes four directions:
#
#     direction = rng.standard_normal(grad.shape)
#     terms = grad * direction
#
# It compares the sum of the terms with the slope. If they differ, it searches for a wrong entry: it
# checks half of the entries at a time, until one is left. So the report can say where the mistake
# is.
#
# ## 5. How a kink is recognized
#
# A **kink** is a point where the slope jumps, as that of a ReLU at 0. There the slope measured to
# the left (with $-h$) and the slope measured to the right (with $+h$) differ. At a smooth point
# they differ too, by $h f''(x)$; but this becomes smaller with $h$, and the jump at a kink does
# not. `study` measures the difference for many steps, and compares the last one with the one four
# halvings before:
#
#     jump = last[0] if abs(last[0]) > 0.5 * abs(before[0]) else 0.0

# %%
places = {"|x| at 0": (np.abs, 0.0), "x² at 0": (np.square, 0.0), "exp at 1": (np.exp, 1.0)}
for name, (function, point) in places.items():
    found = study(along(function, point), one, 0.01, 1e-8, 1.0)
    print(f"{name:<10} left {found.left:+.3f}  right {found.right:+.3f}  jump {found.jump:.3f}")
    assert (found.jump > 1) == (name == "|x| at 0")

# %% [markdown]
# At the kink of $|x|$ the central difference is the mean of the two slopes, 0. That is neither of
# them, so the checker does not compare it with the gradient: it skips such entries, and counts
# them.
#
# ## 6. How much rounding is in *your* gradient?
#
# The gradient from backward, $g$, is not exact either, above all in float32. The checker computes
# it again at pairs of points $x \pm d$. Because $g$ is smooth,
#
# $$ \frac{g(x + d) + g(x - d)}{2} - g(x) = \frac{g''(x)}{2} d^2 + \dots, $$
#
# which is smaller than the rounding if $d$ is small. So what the left side gives *is* the rounding.
# Mistakes do not become part of it: a wrong gradient is as smooth as a correct one.

# %%
X = rng.standard_normal((1000, 300)).astype(np.float32)
G = rng.standard_normal(1000).astype(np.float32)
moves = (X * rng.uniform(-2e-5, 2e-5, X.shape)).astype(np.float32)  # the checker's size for float32
g = X.T @ G  # a weight gradient: sums of a thousand terms
left_over = np.abs(((X + moves).T @ G + (X - moves).T @ G) / 2 - g)
rounding = np.abs(g - X.T.astype(np.float64) @ G.astype(np.float64))
print(f"typical rounding {np.median(rounding):.0e}, as measured {np.median(left_over):.0e}")
assert 1 / 4 < np.median(left_over) / np.median(rounding) < 4

# %% [markdown]
# `rounding` in `dlfs/gradcheck/rounding.py` does this. `allowance` adds a margin, because a few
# samples can all be small by chance. `spread` is the measured rounding of each entry:
#
#     np.maximum(spread[name], np.abs(means[name] - grad), out=spread[name])
#     allowed: Array = 4 * spread + 4 * typical + 8 * eps * np.abs(grad.astype(np.float64))
#
# ## Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1.** What is the error of the *one-sided* difference $(f(x+h) - f(x))/h$? Give its first term,
# as an expression of SymPy in `h` and `derivatives`.

# %% tags=["exercise:onesided"]
first_term = ...

# %%
check(
    "onesided", first_term, h * derivatives[2] / 2, hint="Divide the series by h, and subtract f'."
)

# %% [markdown] tags=["solution:onesided"]
# <details><summary>Solution</summary>
#
# ```python
# first_term = h / 2 * derivatives[2]
# ```
# </details>

# %% [markdown]
# **2.** You have $D(h)$ (`coarse`) and $D(h/3)$ (`fine`), instead of $D(h/2)$. Which combination
# has no term with $h^2$? Write it as a function of the two.


# %% tags=["exercise:thirds"]
def combine(coarse, fine): ...


# %%
def no_square(function):
    error = sp.expand(function(D(h), D(h / 3)) - derivatives[1])
    return error.coeff(h, 2) == 0 and error.coeff(h, 0) == 0


check("thirds", combine, no_square, hint="How large is the term with h/3? And f' itself must stay.")

# %% [markdown] tags=["solution:thirds"]
# <details><summary>Solution</summary>
#
# ```python
# def combine(coarse, fine):
#     return (9 * fine - coarse) / 8
# ```
# </details>

# %% [markdown]
# **3.** The weight gradient of a matrix product $Y = X W$ mixes up the rows of $X$: it is
# $(P X)^\top G$, with a permutation $P$ of the rows. For some output gradients $G$ a check does not
# see the mistake. Give one with three rows and two columns, in which not all numbers are equal.

# %% tags=["exercise:permuted"]
hiding = ...


# %%
def hides(G):
    X, swap = rng.standard_normal((3, 4)), [1, 2, 0]
    G = np.asarray(G, dtype=float)
    if G.shape != (3, 2) or np.ptp(G) == 0:
        return "it must have 3 rows and 2 columns, and not only equal numbers"
    return bool(np.allclose(X[swap].T @ G, X.T @ G))


check("permuted", hiding, hides, hint="Which matrices do not change when their rows are permuted?")

# %% [markdown] tags=["solution:permuted"]
# <details><summary>Solution</summary>
#
# All rows must be equal; the columns may differ.
#
# ```python
# hiding = np.array([[1.0, 2.0]] * 3)
# ```
# </details>
