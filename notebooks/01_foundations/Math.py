# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 1: the mathematics
#
# Every formula of the chapter, derived in a few lines, shown next to the line of `dlfs` that
# computes it, and confirmed by a computer algebra system or by numbers.
#
# You need: derivatives of one variable, and matrix multiplication.

# %%
import inspect
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import reference
from dlfs.base import backward_through
from dlfs.dense import WeightMultiply
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients, derivative
from dlfs.plots import BLUE, GREY, ORANGE

x, h = sp.symbols("x h", real=True)


def quote(source, *starts):
    """Print the lines of a function or module that begin like this."""
    lines = inspect.getsource(source).splitlines()
    found = [line for line in lines if line.strip().startswith(starts)]
    assert found, f"no such line in {source.__name__}"
    print(textwrap.dedent("\n".join(found)))


# %% [markdown]
# ## 1. Why a step to *both* sides
#
# Expand $f$ around $a$ (Taylor):
#
# $$f(a \pm h) = f(a) \pm h f'(a) + \tfrac{h^2}{2} f''(a) \pm \tfrac{h^3}{6} f'''(a) + \dots$$
#
# In the difference of the two, the even terms cancel:
#
# $$\frac{f(a+h) - f(a-h)}{2h} = f'(a) + \frac{h^2}{6} f'''(a) + \dots$$
#
# A step to one side keeps the term $\tfrac{h}{2} f''(a)$: halve the step, and its error halves.
# With both sides, the error falls to a quarter.

# %%
central = (sp.sin(x + h) - sp.sin(x - h)) / (2 * h)
one_sided = (sp.sin(x + h) - sp.sin(x)) / h
print("central:   ", sp.series(central, h, 0, 4).removeO().simplify())
print("one-sided: ", sp.series(one_sided, h, 0, 2).removeO().simplify())
assert sp.limit((central - sp.cos(x)) / h**2, h, 0).equals(-sp.cos(x) / 6)
assert sp.limit((one_sided - sp.cos(x)) / h, h, 0).equals(-sp.sin(x) / 2)

# %% [markdown]
# ### Better still
#
# The error is known to be $c h^2$. Take the result $D(h)$ with step $h$ and $D(h/2)$ with half of
# it: the combination $\tfrac{1}{3}\left(4 D(h/2) - D(h)\right)$ has no $h^2$ term any more
# (Richardson). `dlfs.gradcheck` combines three steps in this way, and reads from the difference of
# the last two how large its own error may be:

# %%
quote(derivative, "columns =", "once =", "column = (16")

# %% [markdown]
# The slopes of the errors in this picture are the powers of $h$: 1, 2 and 4. (At the left, rounding
# takes over; chapter 8 derives where.)


# %%
def D(h):
    return (np.sin(1 + h) - np.sin(1 - h)) / (2 * h)


steps = np.geomspace(1e-4, 1, 33)
results = {
    "one side": (np.sin(1 + steps) - np.sin(1)) / steps,
    "both sides": D(steps),
    "both sides, combined": (4 * D(steps / 2) - D(steps)) / 3,
}
powers = []
figure, ax = plt.subplots(figsize=(7, 3.3), dpi=80, layout="constrained")
for (name, result), color in zip(results.items(), (GREY, BLUE, ORANGE), strict=True):
    error = np.abs(result - np.cos(1))
    power = np.log(error[-1] / error[-9]) / np.log(steps[-1] / steps[-9])
    ax.loglog(steps, error, ".-", color=color, label=f"{name}: slope {power:.1f}")
    powers.append(power)
ax.set(xlabel="step h", ylabel="error of the derivative of sin at 1")
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()
assert np.allclose(powers, (1, 2, 4), atol=0.2), powers

# %% [markdown]
# ## 2. The sigmoid
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}} \qquad
# \sigma'(x) = \frac{e^{-x}}{(1 + e^{-x})^2} = \sigma(x)\,(1 - \sigma(x))$$
#
# The derivative needs only the output. So a backward pass that has kept the output computes no
# exponential at all:

# %%
sigma = 1 / (1 + sp.exp(-x))
assert sp.simplify(sp.diff(sigma, x) - sigma * (1 - sigma)) == 0
quote(reference.sigmoid_grad, "return")

# %% [markdown]
# ## 3. The chain rule
#
# $$\frac{d}{dx} f_3(f_2(f_1(x))) = f_3'(f_2(f_1(x))) \cdot f_2'(f_1(x)) \cdot f_1'(x)$$
#
# One factor a function, each taken where *its own* input was. In `dlfs` a function is an Operation,
# which remembers its input, and a layer is a chain of them. `backward_through`, which every layer
# calls, goes through the chain from the last to the first; each `backward` multiplies by its own
# factor:

# %%
quote(backward_through, "for number", "part =", "output_grad = part")

# %% [markdown]
# Computer algebra agrees:

# %%
chained = sp.exp(sp.sin(x**2))
factors = sp.exp(sp.sin(x**2)) * sp.cos(x**2) * 2 * x
assert sp.simplify(sp.diff(chained, x) - factors) == 0
factors

# %% [markdown]
# ## 4. Several inputs: add over the ways
#
# If $x$ reaches the output on two ways, through $u(x)$ and through $v(x)$, the movements add:
#
# $$\frac{dL}{dx} = \frac{\partial L}{\partial u}\frac{du}{dx}
# + \frac{\partial L}{\partial v}\frac{dv}{dx}$$
#
# This one sentence explains every sum in every backward pass: a bias is used by all rows, so its
# gradient is a sum over the rows; a weight of a convolution is used at all positions, so its
# gradient is a sum over the positions. Here are the sum over the rows, and the rule at work on
# $\sin(x) \cdot x^2$:

# %%
quote(reference.bias_add_param_grad, "return")

u, v = sp.sin(x), x**2
U, V = sp.symbols("U V")
L = U * V
ways = sp.diff(L, U) * sp.diff(u, x) + sp.diff(L, V) * sp.diff(v, x)
assert sp.simplify(ways.subs({U: u, V: v}) - sp.diff(u * v, x)) == 0
ways

# %% [markdown]
# ## 5. The product of matrices
#
# Let $N = XW$, and let $G = \partial L / \partial N$ be the gradient that comes from behind. By
# entries:
#
# $$N_{ij} = \sum_k X_{ik} W_{kj}$$
#
# Where does $X_{ik}$ enter? In row $i$ of $N$, in every column $j$, with the factor $W_{kj}$. Add
# over those ways:
#
# $$\frac{\partial L}{\partial X_{ik}} = \sum_j G_{ij} W_{kj} = \left(G\, W^T\right)_{ik}$$
#
# And $W_{kj}$ enters column $j$ of $N$ in every row $i$, with the factor $X_{ik}$:
#
# $$\frac{\partial L}{\partial W_{kj}} = \sum_i X_{ik} G_{ij} = \left(X^T G\right)_{kj}$$
#
# The transposes need not be learned by heart: the shapes allow nothing else. Here they are with
# symbols, for a $2 \times 3$ and a $3 \times 2$ matrix:

# %%
X = sp.Matrix(2, 3, sp.symbols("x:6"))
W = sp.Matrix(3, 2, sp.symbols("w:6"))
G = sp.Matrix(2, 2, sp.symbols("g:4"))
L = sum(G.multiply_elementwise(X * W))
assert sp.Matrix(2, 3, [sp.diff(L, entry) for entry in X]).equals(G * W.T)
assert sp.Matrix(3, 2, [sp.diff(L, entry) for entry in W]).equals(X.T * G)
G * W.T

# %% [markdown]
# In `dlfs` these are the two backward lines behind `WeightMultiply` (`dlfs/reference/dense.py`):

# %%
quote(reference.weight_multiply_input_grad, "return")
quote(reference.weight_multiply_param_grad, "return")

# %% [markdown]
# The checker confirms both, with a random $G$:

# %%
rng = np.random.default_rng(0)
report = check_gradients(WeightMultiply(rng.standard_normal((3, 2))), rng.standard_normal((4, 3)))
assert report
print(report)

# %% [markdown]
# ## 6. The worked example
#
# With $L = \sum_{ij} \sigma(XW)_{ij}$ the pieces meet:
#
# $$\frac{\partial L}{\partial X} =
# \Big(\underbrace{1}_{\partial L/\partial S} \odot\; \sigma'(XW)\Big)\, W^T$$
#
# where $\odot$ multiplies entry by entry. The same in symbols, one entry of it:

# %%
S = (X * W).applyfunc(lambda n: 1 / (1 + sp.exp(-n)))
slope = S.applyfunc(lambda s: s * (1 - s))
by_rule = (slope * W.T)[0, 0]
assert sp.simplify(sp.diff(sum(S), X[0, 0]) - by_rule) == 0
print("dL/dx0 is as the rule says, for all values of the twelve symbols")

# %% [markdown]
# ## Exercises
#
# ### 1. Another activation
#
# Show by pencil that $\tanh' = 1 - \tanh^2$, and write the derivative in terms of the output $t$.


# %% tags=["exercise:tanh"]
def tanh_slope(t): ...


# %%
check(
    "tanh",
    tanh_slope,
    lambda f: bool(sp.simplify(f(sp.tanh(x)) - sp.diff(sp.tanh(x), x)) == 0),
    hint="Write tanh as sinh/cosh and use the rule for quotients.",
)

# %% [markdown] tags=["solution:tanh"]
# <details><summary>Solution</summary>
#
# $(\sinh/\cosh)' = (\cosh^2 - \sinh^2)/\cosh^2 = 1 - \tanh^2$.
#
# ```python
# def tanh_slope(t):
#     return 1 - t**2
# ```
# </details>

# %% [markdown]
# ### 2. The trace of a product
#
# Let $L = \operatorname{tr}(XA)$ with a constant matrix $A$. What is $\partial L/\partial X$?


# %% tags=["exercise:trace"]
def trace_gradient(X, A): ...


# %%
A = sp.Matrix(3, 2, sp.symbols("a:6"))
wanted = sp.Matrix(2, 3, [sp.diff((X * A).trace(), entry) for entry in X])
check(
    "trace",
    trace_gradient,
    lambda f: bool(f(X, A) == wanted),
    hint="Write the trace as a double sum. With which entry of A does X[i, k] meet?",
)

# %% [markdown] tags=["solution:trace"]
# <details><summary>Solution</summary>
#
# $\operatorname{tr}(XA) = \sum_{ik} X_{ik} A_{ki}$: the gradient is $A^T$.
#
# ```python
# def trace_gradient(X, A):
#     return A.T
# ```
# </details>

# %% [markdown]
# ### 3. A better difference
#
# Cancel the error of order $h^2$ with the steps $h$ and $2h$: find the number $c$ in
# $c\,D(h) + (1 - c)\,D(2h)$.

# %% tags=["exercise:richardson"]
c = ...

# %%
check("richardson", c, 4 / 3, hint="The errors are e and 4e: c + 4 (1 - c) must be 0.")

# %% [markdown] tags=["solution:richardson"]
# <details><summary>Solution</summary>
#
# ```python
# c = 4 / 3
# ```
# </details>
