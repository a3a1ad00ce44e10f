# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 1: the mathematics
#
# This notebook derives every formula of the chapter in a few lines, and confirms it: with symbols,
# or with numbers. Where `dlfs` computes the formula in one line, you see that line.
#
# You need derivatives of functions of one variable, and matrix multiplication.
#
# For symbols we use **SymPy**, a Python library that computes with formulas. `sp.symbols("x")`
# makes a variable without a value, `sp.diff` differentiates, and `sp.simplify` makes a formula
# shorter. To prove that two formulas are the same, simplify their difference: it must be 0.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import reference
from dlfs.base import backward_through
from dlfs.classroom.cells import plot_style, quote
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.activations import Sigmoid
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE

plot_style()

# %%
x, h = sp.symbols("x h", real=True)
slope = sp.diff(sp.sin(x) * x**2, x)
print("the derivative of sin(x) x² is", slope)
print("minus the result by pencil:", sp.simplify(slope - (x**2 * sp.cos(x) + 2 * x * sp.sin(x))))

# %% [markdown]
# ## 1. Why a step to *both* sides
#
# Taylor's formula gives $f$ near $a$ as a sum of powers of $h$:
#
# $$f(a \pm h) = f(a) \pm h f'(a) + \tfrac{h^2}{2} f''(a) \pm \tfrac{h^3}{6} f'''(a) + \dots$$
#
# In the difference of the two, the even terms cancel:
#
# $$\frac{f(a+h) - f(a-h)}{2h} = f'(a) + \frac{h^2}{6} f'''(a) + \dots$$
#
# A step to one side keeps the term $\tfrac{h}{2} f''(a)$: with half the step, the error is half as
# large. With a step to both sides, it is a quarter as large. SymPy finds the same first terms for
# the sine:

# %%
central = (sp.sin(x + h) - sp.sin(x - h)) / (2 * h)
one_sided = (sp.sin(x + h) - sp.sin(x)) / h
print("both sides:", sp.series(central, h, 0, 4).removeO().simplify())
print("one side:  ", sp.series(one_sided, h, 0, 2).removeO().simplify())

# %% tags=["remove-cell"]
assert sp.limit((central - sp.cos(x)) / h**2, h, 0).equals(-sp.cos(x) / 6)
assert sp.limit((one_sided - sp.cos(x)) / h, h, 0).equals(-sp.sin(x) / 2)

# %% [markdown]
# ### Better still
#
# Call the result with step $h$ on both sides $D(h)$. Its error is about $c h^2$, so the error of
# $D(h/2)$ is about $c h^2/4$. In the combination
#
# $$\tfrac{1}{3}\left(4\, D(h/2) - D(h)\right)$$
#
# the two errors cancel. The next term, of order $h^4$, is left. This is *Richardson's
# extrapolation*.


# %%
def D(h):
    return (np.sin(1 + h) - np.sin(1 - h)) / (2 * h)


steps = np.geomspace(1e-4, 1, 33)
results = {
    "one side": (np.sin(1 + steps) - np.sin(1)) / steps,
    "both sides": D(steps),
    "both sides, combined": (4 * D(steps / 2) - D(steps)) / 3,
}

# %% [markdown]
# On axes with logarithms, an error of $c\,h^p$ is a line of slope $p$. We expect the slopes 1, 2
# and 4. (On the left, rounding errors are larger than that; chapter 8 derives where this begins.)
# `check_gradients` does the combination twice, with three steps, and estimates its error from the
# difference of the last two results.

# %% tags=["hide-input"]
powers = []
figure, ax = plt.subplots(figsize=(7, 3.3))
for (name, result), color in zip(results.items(), (GREY, BLUE, ORANGE)):
    error = np.abs(result - np.cos(1))
    power = np.log(error[-1] / error[-9]) / np.log(steps[-1] / steps[-9])
    ax.loglog(steps, error, ".-", color=color, label=f"{name}: slope {power:.1f}")
    powers.append(power)
ax.set(xlabel="step h", ylabel="error of the derivative of sin at 1")
ax.legend()
plt.show()
assert np.allclose(powers, (1, 2, 4), atol=0.2), powers

# %% [markdown]
# ## 2. The sigmoid
#
# By the rule for quotients,
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}} \qquad
# \sigma'(x) = \frac{e^{-x}}{(1 + e^{-x})^2} = \sigma(x)\,(1 - \sigma(x))$$
#
# SymPy confirms the last form:

# %%
sigma = 1 / (1 + sp.exp(-x))
print("difference:", sp.simplify(sp.diff(sigma, x) - sigma * (1 - sigma)))

# %% tags=["remove-cell"]
assert sp.simplify(sp.diff(sigma, x) - sigma * (1 - sigma)) == 0

# %% [markdown]
# The last form needs only the output $\sigma(x)$. So a backward pass that has kept the output does
# not compute an exponential again. In the line of `dlfs`, `output` is $\sigma(x)$, and
# `output_grad` is the gradient that arrives from the next step:

# %% tags=["hide-input"]
quote(reference.sigmoid_grad, "return")

# %% [markdown]
# ## 3. The chain rule
#
# $$\frac{d}{dx} f_3(f_2(f_1(x))) = f_3'(f_2(f_1(x))) \cdot f_2'(f_1(x)) \cdot f_1'(x)$$
#
# There is one factor for each function, taken at the input of that function. SymPy agrees, for
# $e^{\sin(x^2)}$:

# %%
chained = sp.exp(sp.sin(x**2))
factors = sp.exp(sp.sin(x**2)) * sp.cos(x**2) * 2 * x
print("difference:", sp.simplify(sp.diff(chained, x) - factors))
factors

# %% tags=["remove-cell"]
assert sp.simplify(sp.diff(chained, x) - factors) == 0

# %% [markdown]
# In `dlfs` a function is an object, an *Operation*, that remembers its input. A layer is a chain of
# Operations. Its backward pass goes through the chain from the last to the first, and each
# `backward` multiplies by its own factor:

# %%
rng = np.random.default_rng(0)
W, bias = rng.standard_normal((3, 2)), rng.standard_normal((1, 2))
parts = [WeightMultiply(W), BiasAdd(bias), Sigmoid()]

output = rng.standard_normal((4, 3))
for part in parts:
    output = part.forward(output)

grad = np.ones((4, 2))
for part in reversed(parts):
    grad = part.backward(grad)
grad

# %% tags=["remove-cell"]
assert np.array_equal(grad, backward_through(parts, np.ones((4, 2))))

# %% [markdown]
# ## 4. Several inputs: add over the ways
#
# If $x$ reaches the output on two ways, through $u(x)$ and through $v(x)$, the changes add:
#
# $$\frac{dL}{dx} = \frac{\partial L}{\partial u}\frac{du}{dx}
# + \frac{\partial L}{\partial v}\frac{dv}{dx}$$
#
# This rule explains every sum in every backward pass. A bias is added to all rows, so its gradient
# is a sum over the rows. A weight of a convolution (chapter 5) is used at all positions, so its
# gradient is a sum over the positions. Here is the rule for $L = uv$, with $u = \sin(x)$ and
# $v = x^2$. It gives the product rule:

# %%
u, v = sp.sin(x), x**2
U, V = sp.symbols("U V")
L = U * V
ways = sp.diff(L, U) * sp.diff(u, x) + sp.diff(L, V) * sp.diff(v, x)
print("difference:", sp.simplify(ways.subs({U: u, V: v}) - sp.diff(u * v, x)))
ways

# %% tags=["remove-cell"]
assert sp.simplify(ways.subs({U: u, V: v}) - sp.diff(u * v, x)) == 0

# %% [markdown]
# ## 5. The product of matrices
#
# Let $N = XW$, and let $G = \partial L / \partial N$ be the gradient that arrives from the next
# step. Written with entries:
#
# $$N_{ij} = \sum_k X_{ik} W_{kj}$$
#
# Where does $X_{ik}$ enter? In row $i$ of $N$, in every column $j$, with the factor $W_{kj}$. Add
# over these ways:
#
# $$\frac{\partial L}{\partial X_{ik}} = \sum_j G_{ij} W_{kj} = \left(G\, W^T\right)_{ik}$$
#
# And $W_{kj}$ enters column $j$ of $N$, in every row $i$, with the factor $X_{ik}$:
#
# $$\frac{\partial L}{\partial W_{kj}} = \sum_i X_{ik} G_{ij} = \left(X^T G\right)_{kj}$$
#
# The two lines of `dlfs` for these formulas, where `x` is $X$ and `output_grad` is $G$:

# %% tags=["hide-input"]
quote(reference.weight_multiply_input_grad, "return")
quote(reference.weight_multiply_param_grad, "return")

# %% [markdown]
# You need not memorize where the transposes go. $\partial L/\partial X$ must have the shape of $X$,
# and only one product of $G$ and $W$ has that shape. `check_gradients` confirms both gradients,
# with a random $G$:

# %%
report = check_gradients(WeightMultiply(rng.standard_normal((3, 2))), rng.standard_normal((4, 3)))
print(report)

# %% tags=["remove-cell"]
assert report

# %% [markdown]
# ## 6. The worked example, in six matrices
#
# Now all pieces of the example in Code, sections 7 and 8, written out: three rows of three
# features, and two columns of weights.
#
# **1.** The features, and **2.** the weights:
#
# $$X = \begin{bmatrix} x_{11} & x_{12} & x_{13} \\ x_{21} & x_{22} & x_{23} \\
# x_{31} & x_{32} & x_{33} \end{bmatrix} \qquad
# W = \begin{bmatrix} w_{11} & w_{12} \\ w_{21} & w_{22} \\ w_{31} & w_{32} \end{bmatrix}$$
#
# **3.** Their product. Each entry is a row of $X$ times a column of $W$:
#
# $$N = XW = \begin{bmatrix}
# x_{11} w_{11} + x_{12} w_{21} + x_{13} w_{31} & x_{11} w_{12} + x_{12} w_{22} + x_{13} w_{32} \\
# x_{21} w_{11} + x_{22} w_{21} + x_{23} w_{31} & x_{21} w_{12} + x_{22} w_{22} + x_{23} w_{32} \\
# x_{31} w_{11} + x_{32} w_{21} + x_{33} w_{31} & x_{31} w_{12} + x_{32} w_{22} + x_{33} w_{32}
# \end{bmatrix}
# = \begin{bmatrix} n_{11} & n_{12} \\ n_{21} & n_{22} \\ n_{31} & n_{32} \end{bmatrix}$$
#
# **4.** The sigmoid of each entry:
#
# $$S = \sigma(XW) = \begin{bmatrix} \sigma(n_{11}) & \sigma(n_{12}) \\
# \sigma(n_{21}) & \sigma(n_{22}) \\ \sigma(n_{31}) & \sigma(n_{32}) \end{bmatrix}$$
#
# The loss is the sum of these six numbers, $L = \sigma(n_{11}) + \sigma(n_{12}) + \dots +
# \sigma(n_{32})$. So $n_{11}$ appears in it once, in $\sigma(n_{11})$, and so do the others.
#
# **5.** The gradient with respect to $N$. We write $g_{ij}$ for its entries:
#
# $$\frac{\partial L}{\partial N} = \begin{bmatrix} \sigma'(n_{11}) & \sigma'(n_{12}) \\
# \sigma'(n_{21}) & \sigma'(n_{22}) \\ \sigma'(n_{31}) & \sigma'(n_{32}) \end{bmatrix}
# = \begin{bmatrix} g_{11} & g_{12} \\ g_{21} & g_{22} \\ g_{31} & g_{32} \end{bmatrix}$$
#
# Where is $x_{11}$? Only in $n_{11}$, with the factor $w_{11}$, and in $n_{12}$, with the factor
# $w_{12}$. So its derivative is $g_{11} w_{11} + g_{12} w_{12}$.
#
# **6.** All nine derivatives, found in this way:
#
# $$\frac{\partial L}{\partial X} = \begin{bmatrix}
# g_{11} w_{11} + g_{12} w_{12} & g_{11} w_{21} + g_{12} w_{22} & g_{11} w_{31} + g_{12} w_{32} \\
# g_{21} w_{11} + g_{22} w_{12} & g_{21} w_{21} + g_{22} w_{22} & g_{21} w_{31} + g_{22} w_{32} \\
# g_{31} w_{11} + g_{32} w_{12} & g_{31} w_{21} + g_{32} w_{22} & g_{31} w_{31} + g_{32} w_{32}
# \end{bmatrix}$$
#
# Each entry is a row of matrix 5 times a row of $W$. The rows of $W$ are the columns of $W^T$, so
# all nine together are the product of matrix 5 with $W^T$:
#
# $$\frac{\partial L}{\partial X} = \frac{\partial L}{\partial N}\, W^T
# = \begin{bmatrix} g_{11} & g_{12} \\ g_{21} & g_{22} \\ g_{31} & g_{32} \end{bmatrix}
# \begin{bmatrix} w_{11} & w_{21} & w_{31} \\ w_{12} & w_{22} & w_{32} \end{bmatrix}$$
#
# SymPy writes out the same. First matrix 3, then the derivative of $L$ with respect to each of the
# nine features, compared with the product of matrices:

# %%
X = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"x_{i + 1}{j + 1}"))
W = sp.Matrix(3, 2, lambda i, j: sp.Symbol(f"w_{i + 1}{j + 1}"))
N = X * W
N

# %%
S = N.applyfunc(lambda n: 1 / (1 + sp.exp(-n)))
L = sum(S)
dLdN = S.applyfunc(lambda s: s * (1 - s))
dLdX = dLdN * W.T
by_entry = [sp.diff(L, X[i, j]) for i in range(3) for j in range(3)]
print("differences:", [sp.simplify(d - e) for d, e in zip(by_entry, dLdX)])

# %% tags=["remove-cell"]
assert all(sp.simplify(d - e) == 0 for d, e in zip(by_entry, dLdX))

# %% [markdown]
# ## Exercises
#
# ### 1. Another activation
#
# Show with pencil and paper that $\tanh' = 1 - \tanh^2$, and write the derivative in terms of the
# output $t$.


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
# The *trace* of a square matrix is the sum of its diagonal. Let $L = \operatorname{tr}(XA)$ with a
# constant matrix $A$. What is $\partial L/\partial X$?


# %% tags=["exercise:trace"]
def trace_gradient(X, A): ...


# %%
X = sp.Matrix(2, 3, sp.symbols("x:6"))
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
