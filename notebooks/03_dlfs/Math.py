# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 3: the mathematics of a network
#
# Where do the backward formulas come from? You derive each one, see the line of `dlfs` that
# computes it, and check it: with symbols where that is possible, with numbers where it is not.
#
# You need: partial derivatives and matrix multiplication.

# %%
import inspect
import textwrap
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import dlfs
from dlfs import reference
from dlfs.base import backward_through
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY, ORANGE


def quote(function, *starts):
    """Print the lines of a function that begin like this."""
    lines = inspect.getsource(function).splitlines()
    found = [line for line in lines if line.strip().startswith(starts)]
    assert found, f"no such line in {function.__name__}"
    print(textwrap.dedent("\n".join(found)))


# %% [markdown]
# ## 1. What `backward` computes
#
# Let an Operation turn $x = (x_1, \dots, x_n)$ into $y = (y_1, \dots, y_m)$, and let the loss $L$
# depend on $y$ alone. If $x_j$ changes a little, every $y_i$ may change, and each of them changes
# $L$. The chain rule adds all that up:
#
# $$\frac{\partial L}{\partial x_j} = \sum_{i=1}^{m} \frac{\partial L}{\partial y_i}\,
# \frac{\partial y_i}{\partial x_j}
# \qquad\text{or}\qquad \nabla_x L = J^{\top}\, \nabla_y L, \quad J_{ij} =
# \frac{\partial y_i}{\partial x_j}.$$
#
# `forward` computes $y$. `backward(output_grad)` takes $\nabla_y L$ and returns $\nabla_x L$. It
# never builds the Jacobian $J$: for one layer of 784 times 89 weights and a batch of 60 it would
# have 250 million entries, nearly all zero.
#
# For something small we can build it, one column at a time, and see that it is true:

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
assert np.allclose(jacobian.T @ output_grad.ravel(), input_grad.ravel(), rtol=1e-8)
print(
    f"The Jacobian is {jacobian.shape[0]} x {jacobian.shape[1]}, "
    f"and {np.mean(np.abs(jacobian) < 1e-9):.0%} of it are zeros."
)

# %%
figure, ax = plt.subplots(figsize=(5, 3.2), dpi=90, layout="constrained")
image = ax.imshow(jacobian, cmap="RdBu_r", vmin=-2, vmax=2)
ax.set(
    xlabel="entry of the input, 2 x 3",
    ylabel="entry of the output, 2 x 4",
    title="The Jacobian of WeightMultiply",
)
figure.colorbar(image, ax=ax)
plt.show()

# %% [markdown]
# Each observation has a block of its own, and both blocks are the same: $W^\top$. That is all that
# the backward formula has to know.
#
# ## 2. Multiplying by weights
#
# Forward, $Y = XW$, written out: $y_{bk} = \sum_j x_{bj} w_{jk}$, with $b$ for the observation. Let
# $G = \partial L/\partial Y$ be what comes back. An entry $x_{bj}$ meets every neuron $k$ of its
# own observation, through $w_{jk}$:
#
# $$\frac{\partial L}{\partial x_{bj}} = \sum_k g_{bk}\, w_{jk}
# \qquad\Longrightarrow\qquad \frac{\partial L}{\partial X} = G\,W^{\top}.$$
#
# A weight $w_{jk}$ meets the feature $j$ of every observation $b$:
#
# $$\frac{\partial L}{\partial w_{jk}} = \sum_b x_{bj}\, g_{bk}
# \qquad\Longrightarrow\qquad \frac{\partial L}{\partial W} = X^{\top} G.$$
#
# With symbols, for 2 observations, 3 features and 2 neurons: $\sum_{bk} g_{bk} y_{bk}$ has exactly
# these derivatives.

# %%
X_, W_ = sp.Matrix(2, 3, sp.symbols("x:6")), sp.Matrix(3, 2, sp.symbols("w:6"))
G_ = sp.Matrix(2, 2, sp.symbols("g:4"))
total = sum(g * y for g, y in zip(G_, X_ * W_, strict=True))

by_X = sp.Matrix(2, 3, [sp.diff(total, symbol) for symbol in X_])
by_W = sp.Matrix(3, 2, [sp.diff(total, symbol) for symbol in W_])
assert sp.expand(by_X - G_ * W_.T) == sp.zeros(2, 3)
assert sp.expand(by_W - X_.T * G_) == sp.zeros(3, 2)
by_W

# %% [markdown]
# The lines of `dlfs` (module `dlfs.reference.dense`):

# %%
quote(reference.weight_multiply_input_grad, "return")
quote(reference.weight_multiply_param_grad, "return")

# %%
assert np.allclose(multiply.input_grad, output_grad @ W.T)
assert np.allclose(multiply.param_grad, x.T @ output_grad)

# %% [markdown]
# There is a way never to forget on which side the transpose stands: the shapes leave no choice. The
# gradient of $W$ must be features x neurons. From $X$ (batch x features) and $G$ (batch x neurons)
# only $X^{\top} G$ makes that.
#
# ## 3. Adding a bias
#
# $y_{bk} = x_{bk} + c_k$. The input goes straight through, and $c_k$ is added to every observation:
#
# $$\frac{\partial L}{\partial x_{bk}} = g_{bk}, \qquad
# \frac{\partial L}{\partial c_k} = \sum_b g_{bk}.$$

# %%
quote(reference.bias_add_param_grad, "return")

add = BiasAdd(rng.standard_normal((1, 4)))
add.forward(multiply.output)
assert np.array_equal(add.backward(output_grad), output_grad)
assert np.allclose(add.param_grad, output_grad.sum(axis=0, keepdims=True))

# %% [markdown]
# This is a rule of its own: **what is copied forward is summed backward** (and the other way
# round). The bias was copied to each row.
#
# ## 4. Activations
#
# An activation acts on each number alone, so its Jacobian is diagonal and $J^\top$ is a
# multiplication entry by entry: $\partial L/\partial x = g \cdot f'(x)$. The two S-curves have
# derivatives that need only the output:
#
# $$\sigma(x) = \frac{1}{1+e^{-x}}, \quad \sigma' = \sigma\,(1-\sigma); \qquad\qquad
# \tanh' = 1 - \tanh^2.$$

# %%
z = sp.symbols("z", real=True)
s = 1 / (1 + sp.exp(-z))
assert sp.simplify(sp.diff(s, z) - s * (1 - s)) == 0
assert sp.simplify(sp.diff(sp.tanh(z), z) - (1 - sp.tanh(z) ** 2)) == 0
assert sp.simplify((sp.tanh(z) - (2 * s.subs(z, 2 * z) - 1)).rewrite(sp.exp)) == 0
quote(reference.sigmoid_grad, "return")
quote(reference.tanh_grad, "return")

# %% [markdown]
# (The last assertion: $\tanh(x) = 2\sigma(2x) - 1$. They are one curve, stretched.)
#
# ## 5. The squared error
#
# Over $n$ observations, summed over the outputs of each:
#
# $$L = \frac{1}{n} \sum_{b} \sum_{k} (p_{bk} - t_{bk})^2, \qquad
# \frac{\partial L}{\partial p_{bk}} = \frac{2}{n}\,(p_{bk} - t_{bk}).$$
#
# The division by $n$ stands in the loss and nowhere else: then all gradients behind it are means
# over the batch, and the learning rate need not change with the batch size.

# %%
quote(reference.mean_squared_error, "error =", "loss = _sum(error", "loss /=", "return")

p_, t_ = sp.symbols("p t")
assert sp.diff((p_ - t_) ** 2 / 5, p_) - sp.Rational(2, 5) * (p_ - t_) == 0

# %% [markdown]
# ## 6. All together
#
# A network with one hidden layer, in one line each way. Forward:
#
# $$Z_1 = XW_1 + c_1, \quad A_1 = \sigma(Z_1), \quad P = A_1 W_2 + c_2, \quad
# L = \tfrac1n \lVert P - T\rVert^2.$$
#
# Backward, from the end:
#
# $$G_P = \tfrac2n (P - T), \qquad \frac{\partial L}{\partial W_2} = A_1^\top G_P, \qquad
# \frac{\partial L}{\partial c_2} = \sum_b (G_P)_b,$$
#
# $$G_{A} = G_P W_2^\top, \qquad G_{Z} = G_A \odot A_1 \odot (1 - A_1), \qquad
# \frac{\partial L}{\partial W_1} = X^\top G_Z, \qquad
# \frac{\partial L}{\partial c_1} = \sum_b (G_Z)_b,$$
#
# where $\odot$ multiplies entry by entry. `NeuralNetwork.train_batch` does just that, layer by
# layer; `backward_through` goes through the layers, and through the Operations of each. (The last
# two lines are for the first layer, whose input needs no gradient.)

# %%
quote(backward_through, "for ", "part", "if input_grad or", "output_grad = part", "else")

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

for ours, its in zip(by_hand, net.param_grads(), strict=True):
    assert np.allclose(ours, its, rtol=1e-12, atol=1e-14)
print("four gradients by hand, and the same four from dlfs")

# %% [markdown]
# ### Why backwards?
#
# The gradient is a product of Jacobians, $\nabla_x L = J_1^\top J_2^\top \cdots J_k^\top\,
# \nabla_y L$. Matrix multiplication does not care for the order of the brackets; its cost does.
# From the right, everything is a matrix times a *vector*. From the left, as you would go if you
# followed each input forward, it is a matrix times a *matrix*.

# %%
widths = [784, 178, 46, 10, 1]
from_the_right = sum(a * b for a, b in pairwise(widths))
from_the_left = sum(widths[0] * a * b for a, b in pairwise(widths[1:]))
print(
    f"multiplications for one observation: {from_the_right:,} backwards, {from_the_left:,} forwards"
)
assert from_the_left > 40 * from_the_right

# %% [markdown]
# Backwards costs about as much as forward did, twice over: one product for the input's gradient,
# one for the weights'. At the first layer nobody asks for the gradient of the data, so `dlfs`
# leaves it out (`backward(grad, input_grad=False)`), and that is the widest product of all.
#
# ## 7. Why gradients fade
#
# A deep chain multiplies one $f'$ for each layer. The sigmoid's is at most $\tfrac14$ (at 0), so
# $k$ sigmoid layers shrink the gradient by $4^{k}$ or more, unless the weights make up for it.
# $\tanh' \le 1$ is kinder. How much of the gradient arrives at each of ten layers?

# %%
assert sp.diff(s, z).subs(z, 0) == sp.Rational(1, 4)
assert sp.diff(s, z, 2).subs(z, 0) == 0  # the top of the derivative


def gradient_sizes(activation, layers=10, width=100):
    generator = np.random.default_rng(0)
    blocks = [dlfs.Dense(width, activation, weight_init="glorot") for _ in range(layers)]
    deep = dlfs.NeuralNetwork(blocks, seed=1)
    deep.train_batch(generator.standard_normal((50, width)), np.zeros((50, width)))
    weights = [layer.param_grads[0] for layer in deep.layers]
    return np.array([np.linalg.norm(grad) for grad in weights])


sizes = {"Sigmoid": gradient_sizes(dlfs.Sigmoid()), "Tanh": gradient_sizes(dlfs.Tanh())}

# %%
figure, ax = plt.subplots(figsize=(7, 3.2), dpi=90, layout="constrained")
for (name, size), color in zip(sizes.items(), (ORANGE, BLUE), strict=True):
    ax.semilogy(range(1, 11), size / size[-1], "o-", color=color, label=name)
ax.semilogy(range(1, 11), 0.25 ** np.arange(9, -1, -1.0), "--", color=GREY, label="1/4 a layer")
ax.set(xlabel="layer (10 is next to the loss)", ylabel="gradient, relative to layer 10")
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()
ratios = {name: size[0] / size[-1] for name, size in sizes.items()}
assert ratios["Sigmoid"] < 1e-4, ratios
assert ratios["Tanh"] > 0.1, ratios

# %% [markdown]
# Chapter 4 comes back to this, with weights that are drawn to keep the size.
#
# ## 8. Why a batch is enough
#
# The loss over all data is a mean over observations, so its gradient is the mean of their
# gradients. A batch drawn at random gives a mean of fewer: right on average, and off by about
# $1/\sqrt{\text{batch}}$. If batches cut the data into equal parts, their mean is exact:

# %%
X, T = rng.standard_normal((960, 13)), rng.standard_normal((960, 1))


def gradient(rows):
    net.train_batch(X[rows], T[rows])
    return next(iter(net.param_grads())).ravel().copy()


whole = gradient(np.arange(960))
parts = np.mean([gradient(part) for part in np.split(rng.permutation(960), 30)], axis=0)
assert np.allclose(parts, whole, rtol=1e-10, atol=1e-13)

batches = [2, 8, 32, 128]
errors = [
    np.sqrt(
        np.mean([np.sum((gradient(rng.integers(0, 960, size)) - whole) ** 2) for _ in range(200)])
    )
    for size in batches
]
slope = np.polyfit(np.log(batches), np.log(errors), 1)[0]
print(f"error of the gradient falls like batch^{slope:.2f}")
assert -0.6 < slope < -0.4, slope

# %% [markdown]
# Four times the batch costs four times as much and halves the error: small batches and more steps
# win. That is the S of SGD.
#
# ## Exercises
#
# ### 1. Softplus
#
# $\text{softplus}(x) = \log(1 + e^x)$. Derive its derivative, as a function of $x$.


# %% tags=["exercise:softplus"]
def softplus_derivative(x): ...


# %%
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
# A network without activations computes $X W_1 W_2$. It can be replaced by one matrix: which?


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
# $(XW_1)W_2 = X(W_1 W_2)$: without activations, depth gains nothing.
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


# %%
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
# The second place sees the input $XW$ and the gradient $G$; the first sees $X$ and $GW^\top$. This
# is how recurrent layers (chapter 6) learn.
#
# ```python
# def twice_param_grad(X, W, G):
#     return (X @ W).T @ G + X.T @ (G @ W.T)
# ```
# </details>
