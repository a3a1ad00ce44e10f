# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 8: the mathematics of a gradient check
#
# How wrong is a difference, how do you make it less wrong, and how far may two gradients be apart
# before one of them is a mistake? You derive what `dlfs.gradcheck` computes, and meet the line that
# computes it. You need Taylor series, and `Code.ipynb` of this chapter.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs.activations import Softmax
from dlfs.exercises import check
from dlfs.gradcheck.derivative import complex_step, quick, study

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
rng = np.random.default_rng(8)
EPS = float(np.finfo(np.float64).eps)

# %% [markdown]
# ## 1. The best step
#
# Taylor's series of $f(x+h)$ and $f(x-h)$ differ in the sign of the odd terms. So in the **central
# difference** the even ones cancel:
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
# The computer stores $f$ with a relative error of about $\varepsilon = 2 \cdot 10^{-16}$, so the
# difference is off by about $\varepsilon |f| / h$ more. The sum of both errors is smallest where
# its derivative is zero:

# %%
eps, f, third, step = sp.symbols("epsilon |f| |f'''| h", positive=True)
total = step**2 / 6 * third + eps * f / step
(best_step,) = sp.solve(sp.diff(total, step), step)
assert sp.simplify(best_step - (3 * eps * f / third) ** sp.Rational(1, 3)) == 0
best_step

# %% [markdown]
# The cube root of $\varepsilon$ is $6 \cdot 10^{-6}$, and the error there is about
# $\varepsilon^{2/3} \approx 4 \cdot 10^{-11}$: two thirds of the digits, at the very best.
#
# ## 2. Richardson: let the errors cancel
#
# We know *how* the difference is wrong: by a term in $h^2$. With half the step that term is a
# quarter. Take four times the finer one, minus the coarser, and it is gone:
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
    print(f"{name}: wrong by order h^{order}")
assert R(h).coeff(h, 2) == R(h).coeff(h, 4) == 0 != R(h).coeff(h, 6)

# %% [markdown]
# `_richardson` in `dlfs/gradcheck/derivative.py` computes exactly this, from three steps:
#
# ```python
# once = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(columns)]
# column = (16 * once[1] - once[0]) / 15
# ```
#
# It also says how far it can be trusted. $T(h)$ and $T(h/2)$ are both less exact than $R(h)$, so
# their distance is more than the error of $R$; to that comes rounding, $\varepsilon |f| / h$. Does
# the promise hold? A thousand random points, and four functions whose derivatives we know:

# %%
functions = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda t: 1 - np.tanh(t) ** 2),
    "x³": (lambda t: t**3, lambda t: 3 * t**2),
}
one = np.array(1.0)


def along(function, point):
    """Return the function along a line through the point, as the checker wants it."""
    return lambda t: np.asarray(function(point + t))


true_errors, promised = [], []
for function, slope in functions.values():
    for point in rng.uniform(-2, 2, 250):
        estimate = quick(along(function, point), one, 0.01, 1e-8, abs(point))
        true_errors.append(abs(estimate.value - slope(point)))
        promised.append(estimate.error)

# %%
fig, ax = plt.subplots(figsize=(4.6, 3.4))
ax.loglog(np.maximum(true_errors, 1e-17), promised, ".", ms=3, color=BLUE)
ax.plot([1e-17, 1e-8], [1e-17, 1e-8], color=GREY, lw=1)
ax.set(xlabel="true error", ylabel="promised: not more than", xlim=(5e-18, 1e-10))
ax.set_ylim(1e-14, 1e-8)
plt.show()
print(f"median true error {np.median(true_errors):.0e}")
assert all(np.array(true_errors) < np.array(promised))
assert np.median(true_errors) < 1e-12

# %% [markdown]
# All points are above the line: no error is larger than promised. This is why the checker needs no
# tolerance from you.
#
# ## 3. Without any difference
#
# Step into the complex plane. For an analytic function, real on the real line,
#
# $$ f(x + ih) = f(x) + i h f'(x) - \frac{h^2}{2} f''(x) - \dots
#    \quad\Rightarrow\quad f'(x) = \frac{\operatorname{Im} f(x + ih)}{h} + O(h^2) $$
#
# Nothing is subtracted, so nothing cancels, and $h$ may be $10^{-30}$. `complex_step`, next to
# `_richardson`, is used where the Operation takes complex numbers:
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
# Suppose it uses a wrong one, $J + E$. The check sees
#
# $$ G^\top (J + E) - G^\top J = G^\top E, $$
#
# and misses the mistake exactly if $G$ is orthogonal to every column of $E$. If $E \neq 0$ those
# $G$ fill a subspace with at least one dimension less than all: a random $G$ lies in it with
# probability 0. But $(1, \dots, 1)$ may well do. For a softmax,
# $J = \operatorname{diag}(p) - p p^\top$:

# %%
p = sp.Matrix(sp.symbols("p_1:4", positive=True))
J = sp.diag(*p) - p * p.T
ones = sp.ones(1, 3)
seen = (ones * J).subs(p[2], 1 - p[0] - p[1]).applyfunc(sp.simplify)
assert seen == sp.zeros(1, 3)
seen

# %% [markdown]
# Zero in every place: with ones, a backward pass that returns $0$, or any multiple of $J$, is
# "right". The same in numbers, with the class of dlfs:

# %%
softmax = Softmax()
softmax.forward(rng.standard_normal((2, 4)))
with_ones = softmax.backward(np.ones((2, 4)))
with_random = softmax.backward(rng.standard_normal((2, 4)))
print(f"largest entry, ones:   {np.abs(with_ones).max():.0e}")
print(f"largest entry, random: {np.abs(with_random).max():.2f}")
assert np.abs(with_ones).max() < 8 * EPS < 0.01 < np.abs(with_random).max()

# %% [markdown]
# **Large arrays.** A million weights would take two million forward passes. Instead, move all of
# them at once, along a random direction $u$: the slope is $g \cdot u$. If the analytic gradient is
# wrong by $e$, the two slopes differ by $e \cdot u$. With normally distributed $u$ that is normal
# with deviation $\lVert e \rVert$: small compared with $\lVert e \rVert$ only with bad luck. How
# often is it below a thousandth?

# %%
e = np.zeros(500)
e[17] = 1.0  # a single wrong entry
slopes = np.abs(rng.standard_normal((20_000, e.size)) @ e)
share = float(np.mean(slopes < 1e-3))
expected = 1e-3 * np.sqrt(2 / np.pi)  # the normal density at 0, times the width
print(f"one direction: {share:.5f}, expected {expected:.5f}; four: {expected**4:.0e}")
# of 20,000 trials, five standard deviations around what is expected
assert abs(share - expected) < 5 * np.sqrt(expected / len(slopes))

# %% [markdown]
# `_along_directions` in `dlfs/gradcheck/compare.py` takes four,
#
#     direction = rng.standard_normal(grad.shape)
#     terms = grad * direction
#
# and compares the sum of the terms with the slope. Where they differ it halves the entries until
# one that is wrong is left, to say where the mistake is.
#
# ## 5. A kink, seen from the step
#
# At a kink the slopes on both sides differ by a **jump**. In a smooth place they differ too, by
# $h f''(x)$, which shrinks with $h$; a jump stays. `study` follows it over many steps, and asks
# what four halvings have left of it:
#
#     jump = last[0] if abs(last[0]) > 0.5 * abs(before[0]) else 0.0

# %%
places = {"|x| at 0": (np.abs, 0.0), "x² at 0": (np.square, 0.0), "exp at 1": (np.exp, 1.0)}
for name, (function, point) in places.items():
    found = study(along(function, point), one, 0.01, 1e-8, 1.0)
    print(f"{name:<10} left {found.left:+.3f}  right {found.right:+.3f}  jump {found.jump:.3f}")
    assert (found.jump > 1) == (name == "|x| at 0")

# %% [markdown]
# The central difference at 0 is the mean of both slopes, here 0: an answer to another question.
#
# ## 6. How much rounding is in *your* gradient?
#
# The analytic gradient $g$ is not exact either, least of all in float32. The checker computes it
# again at pairs of points $x \pm d$. As $g$ is smooth,
#
# $$ \frac{g(x + d) + g(x - d)}{2} - g(x) = \frac{g''(x)}{2} d^2 + \dots, $$
#
# which is below rounding when $d$ is small. What is left over *is* rounding. A wrong gradient is as
# smooth as a right one: this excuses no mistake.

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
# `rounding` in `dlfs/gradcheck/rounding.py` does this; `allowance` adds a margin, because few
# samples may be small by luck:
#
#     np.maximum(spread[name], np.abs(means[name] - grad), out=spread[name])
#     allowed: Array = 4 * spread + 4 * typical + 8 * eps * np.abs(grad.astype(np.float64))
#
# ## Exercises
#
# **1.** How does the *one-sided* difference $(f(x+h) - f(x))/h$ go wrong? Give the first term of
# its error, as an expression of sympy in `h` and `derivatives`.

# %% tags=["exercise:onesided"]
first_term = ...

# %%
check("onesided", first_term, h * derivatives[2] / 2, hint="Divide the series by h, take f' off.")

# %% [markdown] tags=["solution:onesided"]
# <details><summary>Solution</summary>
#
# ```python
# first_term = h / 2 * derivatives[2]
# ```
# </details>

# %% [markdown]
# **2.** With $D(h)$ and $D(h/3)$ instead of $D(h/2)$: which combination has no term in $h^2$? Write
# it as a function of the two.


# %% tags=["exercise:thirds"]
def combine(coarse, fine): ...


# %%
def no_square(function):
    error = sp.expand(function(D(h), D(h / 3)) - derivatives[1])
    return error.coeff(h, 2) == 0 and error.coeff(h, 0) == 0


check("thirds", combine, no_square, hint="The term is a ninth; and f' itself must stay.")

# %% [markdown] tags=["solution:thirds"]
# <details><summary>Solution</summary>
#
# ```python
# def combine(coarse, fine):
#     return (9 * fine - coarse) / 8
# ```
# </details>

# %% [markdown]
# **3.** A matrix product $Y = X W$ whose weight gradient mixes up the rows of $X$: it uses
# $(P X)^\top G$ with a permutation $P$. For which $G$, other than all ones, does a check not see
# it? Give one for three rows and two columns in which not all numbers are equal.

# %% tags=["exercise:permuted"]
hiding = ...


# %%
def hides(G):
    X, swap = rng.standard_normal((3, 4)), [1, 2, 0]
    G = np.asarray(G, dtype=float)
    if G.shape != (3, 2) or np.ptp(G) == 0:
        return "it must be 3x2, with different numbers in it"
    return bool(np.allclose(X[swap].T @ G, X.T @ G))


check("permuted", hiding, hides, hint="What does a permutation of rows leave as it is?")

# %% [markdown] tags=["solution:permuted"]
# <details><summary>Solution</summary>
#
# All rows must be equal; the columns may differ.
#
# ```python
# hiding = np.array([[1.0, 2.0]] * 3)
# ```
# </details>
