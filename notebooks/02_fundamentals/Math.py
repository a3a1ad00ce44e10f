# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 2: the mathematics
#
# You derive the gradients of linear regression and of the network with one hidden layer, factor by
# factor, see where each sum and each transpose comes from, and meet the line of `dlfs` that
# computes it.
#
# You need: the mathematics of chapter 1, above all the gradient of a matrix product.

# %%
import inspect
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import Dense, Linear, MeanSquaredError, NeuralNetwork, Sigmoid, reference
from dlfs.datasets import boston
from dlfs.dense import BiasAdd
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE

rng = np.random.default_rng(0)


def quote(function, *starts):
    """Print the lines of a function that begin like this."""
    lines = inspect.getsource(function).splitlines()
    found = [line for line in lines if line.strip().startswith(starts)]
    assert found, f"no such line in {function.__name__}"
    print(textwrap.dedent("\n".join(found)))


# %% [markdown]
# ## 1. The loss
#
# For $n$ rows and one column, with prediction $P$ and truth $y$,
#
# $$L = \frac{1}{n} \sum_{i=1}^n (y_i - P_i)^2 \qquad
# \frac{\partial L}{\partial P_i} = \frac{2}{n}\,(P_i - y_i)$$
#
# The $1/n$ belongs here, in the loss, and nowhere else: no other backward step may average over the
# batch.
#
# In `dlfs`, the value and the gradient behind `MeanSquaredError`; the book's class divides by $n$
# too:

# %%
quote(reference.mean_squared_error, "error =", "loss = _sum(error", "loss /=", "return")

# %%
n = 3
P = sp.symbols("p1:4")
y = sp.symbols("y1:4")
L = sum((yi - pi) ** 2 for yi, pi in zip(y, P, strict=True)) / n
assert all(sp.expand(sp.diff(L, P[i]) - sp.Rational(2, n) * (P[i] - y[i])) == 0 for i in range(n))

truth, prediction = rng.standard_normal((5, 1)), rng.standard_normal((5, 1))
loss = MeanSquaredError()
loss.forward(prediction, truth)
assert np.allclose(loss.backward(), 2 / 5 * (prediction - truth))
assert check_gradients(MeanSquaredError(), prediction, y=truth)

# %% [markdown]
# ## 2. The bias
#
# $$P_{ij} = N_{ij} + B_j \qquad
# \frac{\partial L}{\partial B_j} = \sum_i \frac{\partial L}{\partial P_{ij}}$$
#
# One number $B_j$ enters all rows $i$: a sum over the rows, and over nothing else. (In the book's
# listing for the network a second `.sum(axis=0)` sums over $j$ as well; the notebook Code shows
# what that does.)
#
# In `dlfs`, behind `BiasAdd`:

# %%
quote(reference.bias_add_param_grad, "return")

# %%
output_grad = rng.standard_normal((4, 3))
bias = BiasAdd(rng.standard_normal((1, 3)))
bias.forward(rng.standard_normal((4, 3)))
bias.backward(output_grad)
assert np.allclose(bias.param_grad, output_grad.sum(axis=0, keepdims=True))
bias.param_grad.shape

# %% [markdown]
# ## 3. Linear regression
#
# With $N = XW$, $P = N + B$, and $G = \partial L / \partial P = \frac{2}{n} (P - y)$:
#
# $$\frac{\partial L}{\partial W} = X^T G \qquad
# \frac{\partial L}{\partial B} = \sum_i G_i$$

# %%
quote(reference.weight_multiply_param_grad, "return")

# %% [markdown]
# Set both to zero, and you have the normal equations. With a column of ones appended to $X$ (then
# the bias is one more weight), they read
#
# $$X^T (XW - y) = 0 \qquad\Longleftrightarrow\qquad W = (X^T X)^{-1} X^T y$$
#
# So at the least squares solution the gradient must vanish. On the houses it does, up to rounding:

# %%
houses = boston()
X = (houses.X - houses.X.mean(axis=0)) / houses.X.std(axis=0)
target = houses.y.reshape(-1, 1)
with_ones = np.hstack([X, np.ones((len(X), 1))])
solution = np.linalg.lstsq(with_ones, target)[0]
W, B = solution[:-1], solution[-1:]

G = 2 / len(X) * (X @ W + B - target)
print(f"largest entry of dL/dW: {np.abs(X.T @ G).max():.0e}, dL/dB: {abs(G.sum()):.0e}")
assert np.abs(X.T @ G).max() < 1e-11

# %% [markdown]
# ## 4. How large may a step be?
#
# The loss of linear regression is a bowl. Along the eigenvectors of $H = \frac{2}{n} X^T X$ it is
# a parabola with curvature $\lambda_k$, and a step of gradient descent with rate $\eta$ multiplies
# the distance to the bottom by $1 - \eta \lambda_k$. It shrinks along all of them exactly if
#
# $$\eta < \frac{2}{\lambda_{\max}}$$
#
# A little less than that, and training arrives; a little more, and it runs away:

# %%
eigenvalues = np.linalg.eigvalsh(2 / len(X) * with_ones.T @ with_ones)
limit = 2 / eigenvalues.max()
for rate in (0.99 * limit, 1.01 * limit):
    weights = solution + rng.standard_normal(solution.shape)
    distances = [np.linalg.norm(weights - solution)]
    for _ in range(1000):
        weights = weights - rate * 2 / len(X) * with_ones.T @ (with_ones @ weights - target)
        distances.append(np.linalg.norm(weights - solution))
    print(f"rate {rate:.4f}: distance {distances[0]:.1f} -> {distances[-1]:.2g}")
    assert (distances[-1] < distances[0]) == (rate < limit)

# %% [markdown]
# Seen from above, with a bowl of two weights and the curvatures 1 and 6, so $2/\lambda_{\max}$ is a
# third. Across the valley (up and down here) each step multiplies the distance by $1 - 6\eta$: it
# shrinks at once, changes its sign and shrinks, or changes its sign and grows.


# %%
def walk(rate, steps=12):
    places = [np.array([-4.0, 1.5])]
    for _ in range(steps):
        places.append(places[-1] - rate * places[-1] * [1, 6])
    return np.array(places)


across, up = np.meshgrid(np.linspace(-4.5, 2, 80), np.linspace(-2.5, 2.5, 80))
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), dpi=80, layout="constrained", sharey=True)
for ax, rate, color in zip(axes, (0.1, 0.3, 0.34), (GREY, BLUE, ORANGE), strict=True):
    ax.contour(across, up, (across**2 + 6 * up**2) / 2, levels=8, colors="lightgrey")
    ax.plot(*walk(rate).T, "o-", markersize=3, color=color)
    ax.set_title(f"rate {rate}: factors {1 - rate:.2f}, {1 - 6 * rate:.2f}", size=10)
    ax.set_xlabel("weight 1")
    assert (abs(walk(rate)[-1, 1]) < 1.5) == (rate < 1 / 3)
axes[0].set_ylabel("weight 2")
plt.show()

# %% [markdown]
# ## 5. The network
#
# Three more factors. From the back to the front, with $\odot$ for the product entry by entry:
#
# $$G = \frac{\partial L}{\partial P} = \frac{2}{n}(P - y)$$
#
# $$\frac{\partial L}{\partial W_2} = O_1^T G \qquad
# \frac{\partial L}{\partial B_2} = \sum_i G_i \qquad
# \frac{\partial L}{\partial O_1} = G\,W_2^T$$
#
# $$\frac{\partial L}{\partial N_1} = \frac{\partial L}{\partial O_1} \odot O_1 \odot (1 - O_1)$$
#
# $$\frac{\partial L}{\partial W_1} = X^T \frac{\partial L}{\partial N_1} \qquad
# \frac{\partial L}{\partial B_1} = \sum_i \left(\frac{\partial L}{\partial N_1}\right)_i$$
#
# The two layers look alike: each gets a gradient, makes two for its parameters, and hands one on.
# That is the observation that chapter 3 is built on. The lines of `dlfs` for the two formulas that
# are new, $\partial L/\partial O_1$ and $\partial L/\partial N_1$:

# %%
quote(reference.weight_multiply_input_grad, "return")
quote(reference.sigmoid_grad, "return")

# %% [markdown]
# And all formulas beside a network of `dlfs`:

# %%
X5, y5 = rng.standard_normal((5, 3)), rng.standard_normal((5, 1))
net = NeuralNetwork(
    [Dense(4, activation=Sigmoid()), Dense(1, activation=Linear())],
    loss=MeanSquaredError(),
    seed=1,
)
net.train_batch(X5, y5)
W1, B1, W2, B2 = net.params()

O1 = 1 / (1 + np.exp(-(X5 @ W1 + B1)))
G = 2 / 5 * (O1 @ W2 + B2 - y5)
dN1 = (G @ W2.T) * O1 * (1 - O1)
by_hand = (X5.T @ dN1, dN1.sum(axis=0), O1.T @ G, G.sum(axis=0))
for name, ours, theirs in zip(("W1", "B1", "W2", "B2"), by_hand, net.param_grads(), strict=True):
    assert np.allclose(ours.ravel(), theirs.ravel(), rtol=1e-12, atol=1e-15)
    print(f"dL/d{name}: formula and dlfs agree, shape {theirs.shape}")

# %% [markdown]
# And both agree with the slope of the loss:

# %%
report = check_gradients(net, X5, y=y5)
assert report
print(report)

# %% [markdown]
# ## 6. Why the bend is needed
#
# Without the sigmoid two layers are one: $(XW_1 + B_1)W_2 + B_2 = X(W_1W_2) + (B_1W_2 + B_2)$.
# With it, the network's slope depends on where you are. One factor tells how much of the gradient
# gets through: $\sigma' = \sigma(1-\sigma)$ is at most one quarter.

# %%
u = sp.symbols("u", real=True)
slope = sp.diff(1 / (1 + sp.exp(-u)), u)
assert sp.simplify(slope.subs(u, 0)) == sp.Rational(1, 4)
assert sp.simplify(sp.diff(slope, u).subs(u, 0)) == 0
print("largest slope of the sigmoid:", sp.simplify(slope.subs(u, 0)))

# Two layers without a bend are one.
first, second = rng.standard_normal((3, 4)), rng.standard_normal((4, 1))
b1, b2 = rng.standard_normal((1, 4)), rng.standard_normal((1, 1))
one_layer = X5 @ (first @ second) + (b1 @ second + b2)
assert np.allclose((X5 @ first + b1) @ second + b2, one_layer)

# %% [markdown]
# ## Exercises
#
# ### 1. A penalty
#
# Add $\frac{c}{2} \sum_k W_k^2$ to the loss of linear regression (ridge regression). Return
# $\partial L/\partial W$, with $G$ as above.


# %% tags=["exercise:ridge"]
def ridge_gradient(X, G, W, c): ...


# %%
W5 = rng.standard_normal((3, 1))


def ridge_passes(f):
    def loss(W):
        return np.mean((y5 - X5 @ W) ** 2) + 0.35 * np.sum(W**2)

    def backward(output_grad, W):
        return (output_grad * f(X5, 2 / 5 * (X5 @ W - y5), W, 0.7),)

    return check_gradients((loss, backward), (W5,))


check("ridge", ridge_gradient, ridge_passes, hint="The penalty's own gradient is c W. Add it.")

# %% [markdown] tags=["solution:ridge"]
# <details><summary>Solution</summary>
#
# ```python
# def ridge_gradient(X, G, W, c):
#     return X.T @ G + c * W
# ```
# </details>

# %% [markdown]
# ### 2. The gradient of the data
#
# Nobody needs $\partial L/\partial X$ for training. Write it anyway, for the network above, from
# `dN1` and `W1`.


# %% tags=["exercise:data"]
def data_gradient(dN1, W1): ...


# %%
check(
    "data",
    data_gradient,
    lambda f: np.allclose(f(dN1, W1), dN1 @ W1.T) and np.shape(f(dN1, W1)) == X5.shape,
    hint="N1 = X W1 is a product like any other.",
)

# %% [markdown] tags=["solution:data"]
# <details><summary>Solution</summary>
#
# ```python
# def data_gradient(dN1, W1):
#     return dN1 @ W1.T
# ```
# </details>

# %% [markdown]
# ### 3. Absolute errors
#
# Let the loss be $\frac{1}{n}\sum_i |y_i - P_i|$. Write its gradient with respect to $P$, away from
# the kink.


# %% tags=["exercise:absolute"]
def absolute_gradient(P, y): ...


# %%
def absolute_passes(f):
    def backward(output_grad, P):
        return (output_grad * f(P, truth),)

    return check_gradients((lambda P: np.mean(np.abs(truth - P)), backward), (prediction,))


check("absolute", absolute_gradient, absolute_passes, hint="The slope of |u| is the sign of u.")

# %% [markdown] tags=["solution:absolute"]
# <details><summary>Solution</summary>
#
# ```python
# def absolute_gradient(P, y):
#     return np.sign(P - y) / len(y)
# ```
# </details>
