# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 3: the mathematics of a network
#
# Where do the formulas of the backward pass come from? You derive each one and check it: with
# symbols where that is possible, with numbers where it is not. Where `dlfs` computes a formula in
# one line, you see that line.
#
# You need partial derivatives, matrix multiplication, and a little SymPy (Math of chapter 1).

# %% tags=["hide-input"]
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import dlfs
from dlfs import reference
from dlfs.classroom.cells import plot_style, quote
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY, ORANGE

plot_style()

# %% [markdown]
# ## 1. What `backward` computes
#
# Let an Operation turn $x = (x_1, \dots, x_n)$ into $y = (y_1, \dots, y_m)$, and let the loss $L$
# depend on $y$ alone. If $x_j$ changes a little, every $y_i$ may change, and each of them changes
# $L$. The chain rule adds up these changes:
#
# $$\frac{\partial L}{\partial x_j} = \sum_{i=1}^{m} \frac{\partial L}{\partial y_i}\,
# \frac{\partial y_i}{\partial x_j}$$
#
# The numbers $\partial y_i / \partial x_j$ form a matrix $J$, the **Jacobian**, with a row for each
# $i$ and a column for each $j$. Write $\nabla_x L$ for the column of all $\partial L/\partial x_j$.
# Then the sum is a product with the transposed Jacobian:
#
# $$\nabla_x L = J^{\top}\, \nabla_y L, \qquad J_{ij} = \frac{\partial y_i}{\partial x_j}$$
#
# `forward` computes $y$. `backward(output_grad)` takes $\nabla_y L$ and returns $\nabla_x L$. It
# never builds $J$: for one layer of 784 times 89 weights and a batch of 60, $J$ would have 250
# million entries, nearly all of them zero.
#
# For a small example we can build $J$, one column at a time: change one entry of the input, and see
# how all entries of the output change.

# %%
rng = np.random.default_rng(0)
x, W = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
output_grad = rng.standard_normal((2, 4))

step, columns = 1e-6, []
for j in range(x.size):
    nudge = np.zeros(x.size)
    nudge[j] = step
    nudge = nudge.reshape(x.shape)
    higher, lower = WeightMultiply(W).forward(x + nudge), WeightMultiply(W).forward(x - nudge)
    columns.append(((higher - lower) / (2 * step)).ravel())
jacobian = np.array(columns).T

multiply = WeightMultiply(W)
multiply.forward(x)
input_grad = multiply.backward(output_grad)
zeros = np.mean(np.abs(jacobian) < 1e-9)
print(f"The Jacobian is {jacobian.shape[0]} x {jacobian.shape[1]}, and {zeros:.0%} are zeros.")
print("with the Jacobian:", (jacobian.T @ output_grad.ravel()).round(4))
print("by backward:      ", input_grad.ravel().round(4))

# %% tags=["remove-cell"]
assert np.allclose(jacobian.T @ output_grad.ravel(), input_grad.ravel(), rtol=1e-8)
assert 60 * 784 * 60 * 89 > 250e6 > 0.9 * (60 * 784 * 60 * 89)

# %% tags=["hide-input"]
figure, ax = plt.subplots(figsize=(5, 3.2))
image = ax.imshow(jacobian, cmap="RdBu_r", vmin=-2, vmax=2)
ax.set(
    xlabel="entry of the input, 2 x 3",
    ylabel="entry of the output, 2 x 4",
    title="The Jacobian of WeightMultiply",
)
ax.grid(False)
figure.colorbar(image, ax=ax)
plt.show()

# %% [markdown]
# Each observation has its own block, and both blocks are the same: $W^\top$. The backward formula
# needs only this block.
#
# ## 2. Multiplying by weights
#
# The forward pass $Y = XW$, written out, is $y_{bk} = \sum_j x_{bj} w_{jk}$, where $b$ counts the
# observations. Let $G = \partial L/\partial Y$ be the gradient that arrives, with entries $g_{bk}$.
# The entry $x_{bj}$ is used by every neuron $k$ of its own observation, with the factor $w_{jk}$:
#
# $$\frac{\partial L}{\partial x_{bj}} = \sum_k g_{bk}\, w_{jk}
# \qquad\Longrightarrow\qquad \frac{\partial L}{\partial X} = G\,W^{\top}.$$
#
# A weight $w_{jk}$ is used with feature $j$ of every observation $b$:
#
# $$\frac{\partial L}{\partial w_{jk}} = \sum_b x_{bj}\, g_{bk}
# \qquad\Longrightarrow\qquad \frac{\partial L}{\partial W} = X^{\top} G.$$
#
# With symbols, for 2 observations, 3 features and 2 neurons: here is the derivative of
# $\sum_{bk} g_{bk} y_{bk}$ with respect to each weight. It is $X^\top G$.

# %%
X_, W_ = sp.Matrix(2, 3, sp.symbols("x:6")), sp.Matrix(3, 2, sp.symbols("w:6"))
G_ = sp.Matrix(2, 2, sp.symbols("g:4"))
total = sum(g * y for g, y in zip(G_, X_ * W_))

by_X = sp.Matrix(2, 3, [sp.diff(total, symbol) for symbol in X_])
by_W = sp.Matrix(3, 2, [sp.diff(total, symbol) for symbol in W_])
print("difference from G W^T:", sp.expand(by_X - G_ * W_.T))
print("difference from X^T G:", sp.expand(by_W - X_.T * G_))
by_W

# %% tags=["remove-cell"]
assert sp.expand(by_X - G_ * W_.T) == sp.zeros(2, 3)
assert sp.expand(by_W - X_.T * G_) == sp.zeros(3, 2)

# %% [markdown]
# In the lines of `dlfs`, `x` is $X$ and `output_grad` is $G$:

# %% tags=["hide-input"]
quote(reference.weight_multiply_input_grad, "return")
quote(reference.weight_multiply_param_grad, "return")

# %% tags=["remove-cell"]
assert np.allclose(multiply.input_grad, output_grad @ W.T)
assert np.allclose(multiply.param_grad, x.T @ output_grad)

# %% [markdown]
# If you are not sure on which side the transpose is, look at the shapes. The gradient of $W$ must
# be features x neurons. From $X$ (batch x features) and $G$ (batch x neurons), only $X^{\top} G$
# has that shape.
#
# ## 3. Adding a bias
#
# $y_{bk} = x_{bk} + c_k$. The input is passed unchanged, and $c_k$ is added to every observation:
#
# $$\frac{\partial L}{\partial x_{bk}} = g_{bk}, \qquad
# \frac{\partial L}{\partial c_k} = \sum_b g_{bk}.$$
#
# The sum runs over the rows, in NumPy `sum(axis=0)`:

# %%
add = BiasAdd(rng.standard_normal((1, 4)))
add.forward(multiply.output)
print("gradient of the input is unchanged:", np.array_equal(add.backward(output_grad), output_grad))
print("sum over the rows:", output_grad.sum(axis=0).round(4))
print("dlfs:             ", add.param_grad[0].round(4))

# %% tags=["remove-cell"]
assert np.array_equal(add.backward(output_grad), output_grad)
assert np.allclose(add.param_grad, output_grad.sum(axis=0, keepdims=True))

# %% [markdown]
# This is a general rule: **what is copied forward is summed backward**, and what is summed forward
# is copied backward. The bias was copied to each row.
#
# ## 4. Activations
#
# An activation acts on each number alone. So its Jacobian is diagonal, and the product with
# $J^\top$ is a product entry by entry: $\partial L/\partial x = g \cdot f'(x)$. Two S-shaped
# activations have derivatives that need only the output:
#
# $$\sigma(x) = \frac{1}{1+e^{-x}}, \quad \sigma' = \sigma\,(1-\sigma); \qquad\qquad
# \tanh' = 1 - \tanh^2.$$
#
# They are the same curve, stretched: $\tanh(x) = 2\,\sigma(2x) - 1$. SymPy confirms all three:

# %%
z = sp.symbols("z", real=True)
s = 1 / (1 + sp.exp(-z))
print(sp.simplify(sp.diff(s, z) - s * (1 - s)))
print(sp.simplify(sp.diff(sp.tanh(z), z) - (1 - sp.tanh(z) ** 2)))
print(sp.simplify((sp.tanh(z) - (2 * s.subs(z, 2 * z) - 1)).rewrite(sp.exp)))

# %% [markdown]
# The lines of `dlfs`, in the same order:

# %% tags=["hide-input"]
quote(reference.sigmoid_grad, "return")
quote(reference.tanh_grad, "return")

# %% tags=["remove-cell"]
assert sp.simplify(sp.diff(s, z) - s * (1 - s)) == 0
assert sp.simplify(sp.diff(sp.tanh(z), z) - (1 - sp.tanh(z) ** 2)) == 0
assert sp.simplify((sp.tanh(z) - (2 * s.subs(z, 2 * z) - 1)).rewrite(sp.exp)) == 0

# %% [markdown]
# ## 5. The squared error
#
# For $n$ observations, summed over the outputs of each, with the predictions $p$ and the targets
# $t$:
#
# $$L = \frac{1}{n} \sum_{b} \sum_{k} (p_{bk} - t_{bk})^2, \qquad
# \frac{\partial L}{\partial p_{bk}} = \frac{2}{n}\,(p_{bk} - t_{bk}).$$
#
# Only the loss divides by $n$. Then all gradients behind it are means over the batch, and the
# learning rate need not change with the size of the batch. In NumPy, and by `dlfs`:

# %%
p, t = rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
loss = dlfs.MeanSquaredError()
print("loss:", (np.sum((p - t) ** 2) / 3).round(4), " dlfs:", round(loss.forward(p, t), 4))
print("largest difference of the gradients:", np.abs(2 / 3 * (p - t) - loss.backward()).max())

# %% tags=["remove-cell"]
assert np.isclose(loss.forward(p, t), np.sum((p - t) ** 2) / 3)
assert np.allclose(loss.backward(), 2 / 3 * (p - t))

# %% [markdown]
# ## 6. All together
#
# Here are all formulas of a network with one hidden layer. Forward:
#
# $$Z_1 = XW_1 + c_1, \quad A_1 = \sigma(Z_1), \quad P = A_1 W_2 + c_2, \quad
# L = \tfrac1n \lVert P - T\rVert^2.$$
#
# Backward, from the end, with $G$ for the gradient with respect to its index, and $\odot$ for the
# product entry by entry:
#
# $$G_P = \tfrac2n (P - T), \qquad \frac{\partial L}{\partial W_2} = A_1^\top G_P, \qquad
# \frac{\partial L}{\partial c_2} = \sum_b (G_P)_b,$$
#
# $$G_{A} = G_P W_2^\top, \qquad G_{Z} = G_A \odot A_1 \odot (1 - A_1), \qquad
# \frac{\partial L}{\partial W_1} = X^\top G_Z, \qquad
# \frac{\partial L}{\partial c_1} = \sum_b (G_Z)_b.$$
#
# `NeuralNetwork.train_batch` computes them layer by layer, and in each layer Operation by
# Operation, from the last to the first. Compare with the formulas in NumPy:

# %%
X, T = rng.standard_normal((23, 13)), rng.standard_normal((23, 1))
net = dlfs.NeuralNetwork([dlfs.Dense(7, dlfs.Sigmoid()), dlfs.Dense(1)], seed=1)
net.build((13,))
net.train_batch(X, T)
W1, c1, W2, c2 = net.params()

A1 = 1 / (1 + np.exp(-(X @ W1 + c1)))
P = A1 @ W2 + c2
G_P = 2 / len(X) * (P - T)
G_Z = G_P @ W2.T * A1 * (1 - A1)
by_hand = [X.T @ G_Z, G_Z.sum(axis=0, keepdims=True), A1.T @ G_P, G_P.sum(axis=0, keepdims=True)]

for name, ours, its in zip(("W1", "c1", "W2", "c2"), by_hand, net.param_grads()):
    print(f"dL/d{name}: largest difference {np.abs(ours - its).max():.0e}")

# %% tags=["remove-cell"]
for ours, its in zip(by_hand, net.param_grads(), strict=True):
    assert np.allclose(ours, its, rtol=1e-12, atol=1e-14)

# %% [markdown]
# ### Why backward?
#
# The gradient is a product of Jacobians, $\nabla_x L = J_1^\top J_2^\top \cdots J_k^\top\,
# \nabla_y L$. The product may be computed in any order, but the costs differ. From the right, each
# step is a matrix times a *vector*. From the left, as if each input were followed forward, each
# step is a matrix times a *matrix*. For one observation and four layers:

# %%
widths = [784, 178, 46, 10, 1]
from_the_right = sum(a * b for a, b in pairwise(widths))
from_the_left = sum(widths[0] * a * b for a, b in pairwise(widths[1:]))
print(f"multiplications: {from_the_right:,} backward, {from_the_left:,} forward")

# %% tags=["remove-cell"]
assert from_the_left > 40 * from_the_right

# %% [markdown]
# A backward pass costs about twice as much as a forward pass: it needs one product for the gradient
# of the input, and one for the gradient of the weights. The first layer is an exception. The
# gradient of the data is not used, so `dlfs` does not compute it (`backward(grad,
# input_grad=False)`). That saves the largest product of all.
#
# ## 7. Why gradients vanish
#
# A chain of many layers multiplies one $f'$ for each layer. The sigmoid's $f'$ is at most
# $\tfrac14$, at 0. So $k$ sigmoid layers divide the gradient by $4^{k}$ or more, unless large
# weights compensate for it. $\tanh'$ goes up to 1, which is better. How large is the gradient in
# each of ten layers?


# %%
def gradient_sizes(activation, layers=10, width=100):
    generator = np.random.default_rng(0)
    blocks = [dlfs.Dense(width, activation, weight_init="glorot") for _ in range(layers)]
    deep = dlfs.NeuralNetwork(blocks, seed=1)
    deep.train_batch(generator.standard_normal((50, width)), np.zeros((50, width)))
    weights = [layer.param_grads[0] for layer in deep.layers]
    return np.array([np.linalg.norm(grad) for grad in weights])


sizes = {"Sigmoid": gradient_sizes(dlfs.Sigmoid()), "Tanh": gradient_sizes(dlfs.Tanh())}

# %% tags=["hide-input"]
figure, ax = plt.subplots()
for (name, size), color in zip(sizes.items(), (ORANGE, BLUE)):
    ax.semilogy(range(1, 11), size / size[-1], "o-", color=color, label=name)
ax.semilogy(range(1, 11), 0.25 ** np.arange(9, -1, -1.0), "--", color=GREY, label="1/4 a layer")
ax.set(xlabel="layer (10 is next to the loss)", ylabel="gradient, relative to layer 10")
ax.legend()
plt.show()
ratios = {name: size[0] / size[-1] for name, size in sizes.items()}
assert ratios["Sigmoid"] < 1e-4, ratios
assert ratios["Tanh"] > 0.1, ratios
assert sp.diff(s, z).subs(z, 0) == sp.Rational(1, 4)
assert sp.diff(s, z, 2).subs(z, 0) == 0  # the top of the derivative

# %% [markdown]
# Chapter 4 returns to this, with weights whose size suits the number of inputs and outputs.
#
# ## 8. Why a batch is enough
#
# The loss over all data is a mean over observations, so its gradient is the mean of their
# gradients. A batch drawn at random gives a mean of fewer. It is correct on average, and its error
# is about proportional to $1/\sqrt{\text{batch}}$. If batches divide the data into equal parts, the
# mean of their gradients is the gradient of all data:

# %%
X, T = rng.standard_normal((960, 13)), rng.standard_normal((960, 1))


def gradient(rows):
    net.train_batch(X[rows], T[rows])
    return next(iter(net.param_grads())).ravel().copy()


def mean_error(size):
    """The error of the gradient of a random batch, over 200 batches."""
    batches = [rng.integers(0, 960, size) for _ in range(200)]
    return np.sqrt(np.mean([np.sum((gradient(rows) - whole) ** 2) for rows in batches]))


whole = gradient(np.arange(960))
parts = np.mean([gradient(part) for part in np.split(rng.permutation(960), 30)], axis=0)
print(f"30 equal parts: largest difference {np.abs(parts - whole).max():.0e}")

sizes = [2, 8, 32, 128]
errors = [mean_error(size) for size in sizes]
for size, error in zip(sizes, errors):
    print(f"batch of {size:>3}: error {error:.4f}")

# %% tags=["remove-cell"]
assert np.allclose(parts, whole, rtol=1e-10, atol=1e-13)
slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
assert -0.6 < slope < -0.4, slope

# %% [markdown]
# Four times the batch costs four times as much, and halves the error. Many steps with small batches
# are therefore better than few steps with large ones. This is what *stochastic* means in stochastic
# gradient descent: each step uses a random part of the data.
#
# ## Exercises
#
# ### 1. Softplus
#
# $\text{softplus}(x) = \log(1 + e^x)$. Derive its derivative, as a function of $x$.


# %% tags=["exercise:softplus"]
def softplus_derivative(x): ...


# %% tags=["hide-input"]
grid = np.linspace(-5, 5, 21)
numeric = (np.log1p(np.exp(grid + 1e-6)) - np.log1p(np.exp(grid - 1e-6))) / 2e-6
check(
    "softplus",
    softplus_derivative,
    lambda f: np.allclose(f(grid), numeric, rtol=1e-6),
    hint="The derivative of log(u) is u'/u. You have met the result before.",
)

# %% [markdown] tags=["solution:softplus"]
# <details><summary>Solution</summary>
#
# $\frac{d}{dx}\log(1+e^x) = \frac{e^x}{1+e^x} = \frac{1}{1+e^{-x}}$: the sigmoid.
#
# ```python
# def softplus_derivative(x):
#     return 1 / (1 + np.exp(-x))
# ```
# </details>

# %% [markdown]
# ### 2. Two weights are one
#
# A network without activations computes $X W_1 W_2$. One matrix can replace the two: which?


# %% tags=["exercise:linear"]
def one_matrix(W1, W2): ...


# %%
check(
    "linear",
    one_matrix,
    lambda f: np.allclose(X[:, :7] @ f(W1[:7], W2), X[:, :7] @ W1[:7] @ W2),
    hint="Brackets can be moved in a product of matrices.",
)

# %% [markdown] tags=["solution:linear"]
# <details><summary>Solution</summary>
#
# $(XW_1)W_2 = X(W_1 W_2)$: without activations, a second layer adds nothing.
#
# ```python
# def one_matrix(W1, W2):
#     return W1 @ W2
# ```
# </details>

# %% [markdown]
# ### 3. A weight that is used twice
#
# A network multiplies by the same square matrix twice: $Y = (XW)W$. Given $G = \partial L/\partial
# Y$, what is $\partial L/\partial W$?


# %% tags=["exercise:twice"]
def twice_param_grad(X, W, G): ...


# %% tags=["hide-input"]
square, some = rng.standard_normal((3, 3)), rng.standard_normal((5, 3))
back = rng.standard_normal((5, 3))
expected = np.zeros((3, 3))
for j, k in np.ndindex(3, 3):
    nudge = np.zeros((3, 3))
    nudge[j, k] = 1e-6
    higher, lower = (some @ (square + d) @ (square + d) for d in (nudge, -nudge))
    expected[j, k] = np.sum(back * (higher - lower)) / 2e-6
check(
    "twice",
    twice_param_grad,
    lambda f: np.allclose(f(some, square, back), expected, rtol=1e-6, atol=1e-7),
    hint="W is copied to two places. What is copied forward is summed backward.",
)

# %% [markdown] tags=["solution:twice"]
# <details><summary>Solution</summary>
#
# The second product has the input $XW$ and the gradient $G$; the first has the input $X$ and the
# gradient $GW^\top$. Recurrent layers (chapter 6) learn in this way.
#
# ```python
# def twice_param_grad(X, W, G):
#     return (X @ W).T @ G + X.T @ (G @ W.T)
# ```
# </details>
