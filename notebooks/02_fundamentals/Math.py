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
# factor, and see where each sum and each transpose comes from. Each formula is computed in NumPy
# and compared with `dlfs`. Where `dlfs` computes it in one line, you see that line.
#
# You need the mathematics of chapter 1, above all the gradient of a matrix product. For formulas
# with symbols we use SymPy, as in chapter 1.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import Dense, Linear, MeanSquaredError, NeuralNetwork, Sigmoid, reference
from dlfs.classroom.cells import plot_style, quote
from dlfs.datasets import boston
from dlfs.dense import BiasAdd
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE

plot_style()
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. The loss
#
# For $n$ rows and one column, with the prediction $P$ and the truth $y$,
#
# $$L = \frac{1}{n} \sum_{i=1}^n (y_i - P_i)^2 \qquad
# \frac{\partial L}{\partial P_i} = \frac{2}{n}\,(P_i - y_i)$$
#
# Only one term of the sum contains $P_i$. The factor $1/n$ belongs here, in the loss, and nowhere
# else: no other step of the backward pass may average over the batch. SymPy agrees, for three rows:

# %%
P1, P2, P3, y1, y2, y3 = sp.symbols("P1 P2 P3 y1 y2 y3")
L = ((y1 - P1) ** 2 + (y2 - P2) ** 2 + (y3 - P3) ** 2) / 3
sp.diff(L, P1)

# %% tags=["remove-cell"]
assert sp.expand(sp.diff(L, P1) - sp.Rational(2, 3) * (P1 - y1)) == 0

# %% [markdown]
# In NumPy, and by `dlfs`:

# %%
y, P = rng.standard_normal((5, 1)), rng.standard_normal((5, 1))
loss = MeanSquaredError()
print("loss:    ", np.mean((y - P) ** 2).round(4), " dlfs:", round(loss.forward(P, y), 4))
print("gradient:", (2 / 5 * (P - y)).ravel().round(4))
print("dlfs:    ", loss.backward().ravel().round(4))

# %% tags=["remove-cell"]
assert np.isclose(loss.forward(P, y), np.mean((y - P) ** 2))
assert np.allclose(loss.backward(), 2 / 5 * (P - y))
assert check_gradients(MeanSquaredError(), P, y=y)

# %% [markdown]
# ## 2. The bias
#
# $$P_{ij} = N_{ij} + B_j \qquad
# \frac{\partial L}{\partial B_j} = \sum_i \frac{\partial L}{\partial P_{ij}}$$
#
# The number $B_j$ is added in every row $i$. So its gradient is a sum over the rows, and over
# nothing else. (The book's listing for the network has a second `.sum(axis=0)`, which also sums
# over $j$; the notebook Code shows the effect.)

# %%
output_grad = rng.standard_normal((4, 3))
bias = BiasAdd(rng.standard_normal((1, 3)))
bias.forward(rng.standard_normal((4, 3)))
bias.backward(output_grad)
print("sum over the rows:", output_grad.sum(axis=0).round(4))
print("dlfs:             ", bias.param_grad[0].round(4))

# %% tags=["remove-cell"]
assert np.allclose(bias.param_grad, output_grad.sum(axis=0, keepdims=True))

# %% [markdown]
# ## 3. Linear regression
#
# With $N = XW$, $P = N + B$, and $G = \partial L / \partial P = \frac{2}{n} (P - y)$:
#
# $$\frac{\partial L}{\partial W} = X^T G \qquad
# \frac{\partial L}{\partial B} = \sum_i G_i$$
#
# Written out for three rows and $k$ features, each weight gets the products of its own feature with
# the gradients of the rows, added up:
#
# $$\frac{\partial L}{\partial W} = \begin{bmatrix} x_{11} & x_{21} & x_{31} \\
# x_{12} & x_{22} & x_{32} \\ \vdots & \vdots & \vdots \\ x_{1k} & x_{2k} & x_{3k} \end{bmatrix}
# \begin{bmatrix} g_1 \\ g_2 \\ g_3 \end{bmatrix}
# = \begin{bmatrix} x_{11} g_1 + x_{21} g_2 + x_{31} g_3 \\
# x_{12} g_1 + x_{22} g_2 + x_{32} g_3 \\ \vdots \\ x_{1k} g_1 + x_{2k} g_2 + x_{3k} g_3
# \end{bmatrix}$$
#
# In the line of `dlfs`, `x` is $X$ and `output_grad` is $G$:

# %% tags=["hide-input"]
quote(reference.weight_multiply_param_grad, "return")

# %% [markdown]
# Where the loss is smallest, both gradients are zero. With a column of ones appended to $X$ the
# bias is one more weight, and the condition reads
#
# $$X^T (XW - y) = 0 \qquad\Longleftrightarrow\qquad W = (X^T X)^{-1} X^T y$$
#
# These are the *normal equations*. Their solution is the least squares solution. There the gradient
# must be zero, and on the houses it is, up to rounding:

# %%
houses = boston()
X = (houses.X - houses.X.mean(axis=0)) / houses.X.std(axis=0)
target = houses.y.reshape(-1, 1)
with_ones = np.hstack([X, np.ones((len(X), 1))])
solution = np.linalg.lstsq(with_ones, target)[0]
W, B = solution[:-1], solution[-1:]

G = 2 / len(X) * (X @ W + B - target)
print(f"largest entry of dL/dW: {np.abs(X.T @ G).max():.0e}, dL/dB: {abs(G.sum()):.0e}")

# %% tags=["remove-cell"]
assert np.abs(X.T @ G).max() < 1e-11

# %% [markdown]
# ## 4. How large may a step be?
#
# The loss of linear regression is a bowl. The matrix $H = \frac{2}{n} X^T X$ contains its second
# derivatives, the *curvatures*. Along an eigenvector of $H$ the bowl is a parabola, and its
# curvature is the eigenvalue $\lambda_k$. Let $d$ be the distance to the bottom along that
# eigenvector. The slope there is $\lambda_k d$, so a step of gradient descent with the learning
# rate $\eta$ goes from $d$ to
#
# $$d - \eta\, \lambda_k d = (1 - \eta \lambda_k)\, d$$
#
# The distance shrinks if the factor is between -1 and 1. This must hold for all eigenvalues, so
#
# $$\eta < \frac{2}{\lambda_{\max}}$$
#
# With a little less than that training arrives; with a little more it diverges:

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

# %% tags=["remove-cell"]
assert distances[-1] > 1e6

# %% [markdown]
# Here is a bowl of two weights with the curvatures 1 and 6, seen from above. The limit
# $2/\lambda_{\max}$ is a third. Across the valley (up and down in the picture) each step multiplies
# the distance by $1 - 6\eta$. From left to right, the distance shrinks; it changes its sign and
# shrinks; it changes its sign and grows. (In Code, section 4, a handle changes the rate.)


# %%
def walk(rate, steps=12):
    places = [np.array([-4.0, 1.5])]
    for _ in range(steps):
        places.append(places[-1] - rate * places[-1] * [1, 6])
    return np.array(places)


# %% tags=["hide-input"]
across, up = np.meshgrid(np.linspace(-4.5, 2, 80), np.linspace(-2.5, 2.5, 80))
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
for ax, rate, color in zip(axes, (0.1, 0.3, 0.34), (GREY, BLUE, ORANGE)):
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
# The network has three more factors. From the back to the front, with $\odot$ for the product entry
# by entry:
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
# The two layers look alike. Each one gets a gradient, computes the gradients of its two parameters,
# and passes a gradient to the layer before it. Chapter 3 makes a class of that. The lines of `dlfs`
# for the two new formulas, $\partial L/\partial O_1$ and $\partial L/\partial N_1$:

# %% tags=["hide-input"]
quote(reference.weight_multiply_input_grad, "return")
quote(reference.sigmoid_grad, "return")

# %% [markdown]
# Now all formulas in NumPy, beside a network of `dlfs`. `train_batch` computes the gradients of all
# parameters for one batch:

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
for name, ours, theirs in zip(("W1", "B1", "W2", "B2"), by_hand, net.param_grads()):
    difference = np.abs(ours.ravel() - theirs.ravel()).max()
    print(f"dL/d{name}, shape {theirs.shape}: largest difference {difference:.0e}")

# %% [markdown]
# Both agree with the slopes of the loss:

# %%
report = check_gradients(net, X5, y=y5)
print(report)

# %% tags=["remove-cell"]
assert report
for ours, theirs in zip(by_hand, net.param_grads(), strict=True):
    assert np.allclose(ours.ravel(), theirs.ravel(), rtol=1e-12, atol=1e-15)

# %% [markdown]
# ## 6. Why the sigmoid is needed
#
# Without the sigmoid, two layers are one layer:
#
# $$(XW_1 + B_1)\,W_2 + B_2 = X\,(W_1W_2) + (B_1W_2 + B_2)$$

# %%
first, second = rng.standard_normal((3, 4)), rng.standard_normal((4, 1))
b1, b2 = rng.standard_normal((1, 4)), rng.standard_normal((1, 1))
two_layers = (X5 @ first + b1) @ second + b2
one_layer = X5 @ (first @ second) + (b1 @ second + b2)
print("largest difference:", f"{np.abs(two_layers - one_layer).max():.0e}")

# %% tags=["remove-cell"]
assert np.allclose(two_layers, one_layer)

# %% [markdown]
# With the sigmoid, the slope of the network is different at each place. The price for it is a
# factor: the gradient is multiplied by $\sigma' = \sigma(1-\sigma)$, which is at most one quarter.
# The maximum is where the derivative of $\sigma'$ is 0:

# %%
u = sp.symbols("u", real=True)
slope = sp.diff(1 / (1 + sp.exp(-u)), u)
print("slope of the sigmoid at 0:", sp.simplify(slope.subs(u, 0)))
print("its derivative there:     ", sp.simplify(sp.diff(slope, u).subs(u, 0)))

# %% tags=["remove-cell"]
assert sp.simplify(slope.subs(u, 0)) == sp.Rational(1, 4)
assert sp.simplify(sp.diff(slope, u).subs(u, 0)) == 0

# %% [markdown]
# ## Exercises
#
# ### 1. A penalty
#
# Code, section 9, adds a penalty for large weights to the loss. Do it for linear regression: add
# $\frac{c}{2} \sum_k W_k^2$ (this is called *ridge regression*). Return $\partial L/\partial W$,
# with $G$ as above.


# %% tags=["exercise:ridge"]
def ridge_gradient(X, G, W, c): ...


# %% tags=["hide-input"]
W5 = rng.standard_normal((3, 1))


def ridge_passes(f):
    def loss(W):
        return np.mean((y5 - X5 @ W) ** 2) + 0.35 * np.sum(W**2)

    def backward(output_grad, W):
        return (output_grad * f(X5, 2 / 5 * (X5 @ W - y5), W, 0.7),)

    return check_gradients((loss, backward), (W5,))


check("ridge", ridge_gradient, ridge_passes, hint="Which gradient does the penalty have? Add it.")

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
# Training does not need $\partial L/\partial X$. Write it anyway, for the network above, from `dN1`
# and `W1`.


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
# the kink at $P_i = y_i$.


# %% tags=["exercise:absolute"]
def absolute_gradient(P, y): ...


# %% tags=["hide-input"]
def absolute_passes(f):
    def backward(output_grad, P):
        return (output_grad * f(P, y),)

    return check_gradients((lambda P: np.mean(np.abs(y - P)), backward), (P,))


check("absolute", absolute_gradient, absolute_passes, hint="The slope of |u| is the sign of u.")

# %% [markdown] tags=["solution:absolute"]
# <details><summary>Solution</summary>
#
# ```python
# def absolute_gradient(P, y):
#     return np.sign(P - y) / len(y)
# ```
# </details>
