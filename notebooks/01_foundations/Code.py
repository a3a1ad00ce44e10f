# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 1: foundations
#
# You meet the three ideas that everything later is made of: functions that eat functions,
# derivatives, and the chain rule. First with numbers, then with matrices.
#
# You need: a little Python, and what a slope is.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import SVG

from dlfs.autograd import NumberWithGrad
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE, plot_chain

# %% [markdown]
# ## 1. Arrays
#
# A NumPy array is a table of numbers with any number of axes. Arithmetic works entry by entry, and
# an operation can run along one axis.

# %%
a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
print("a + 10 =\n", a + 10)
print("down the rows, axis 0:", a.sum(axis=0))
print("along each row, axis 1:", a.sum(axis=1))

# %% [markdown]
# A row and a table fit together too: NumPy repeats the row. Adding a bias to a batch of
# observations is nothing else.

# %%
a + np.array([10.0, 20.0, 30.0])

# %% [markdown]
# ## 2. Functions
#
# A function turns a number into a number. Written for an array, it does so with each entry. Three
# that you will meet again:


# %%
def square(x):
    return x**2


def leaky_relu(x):
    return np.maximum(0.2 * x, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# %% [markdown]
# ## 3. Derivatives
#
# How much does the output change when the input changes a little? Move a step to either side:
#
# $$\frac{df}{du}(a) \approx \frac{f(a + h) - f(a - h)}{2h}$$
#
# A derivative of 3 says: here the output grows three times as fast as the input. A negative one
# says that the output falls. It is a number for each place $a$, so it is a function, too.


# %%
def deriv(f, x, h=0.001):
    return (f(x + h) - f(x - h)) / (2 * h)


x = np.linspace(-3, 3, 301)
figure, axes = plt.subplots(1, 3, figsize=(9, 3), dpi=80, layout="constrained")
for ax, f in zip(axes, (square, leaky_relu, sigmoid), strict=True):
    ax.plot(x, f(x), color=BLUE, label="function")
    ax.plot(x, deriv(f, x), color=ORANGE, label="derivative")
    ax.set(title=f.__name__, xlabel="x")
    ax.grid(alpha=0.25)
axes[0].set_ylabel("value")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# Read each orange curve as the slope of the blue one: below 0 where the square falls, two constants
# for the two straight halves of the leaky ReLU, and nearly 0 where the sigmoid is flat.
#
# How large should the step be? Too large, and the curve is not straight over it: an error of about
# $h^2$. Too small, and you subtract two numbers that agree in nearly all their digits: an error of
# about $10^{-16}/h$. Look at both at work:

# %%
true = sigmoid(1.0) * (1 - sigmoid(1.0))
steps = 10.0 ** np.arange(-13, 0.1, 0.25)
errors = [abs(deriv(sigmoid, 1.0, h) - true) for h in steps]

figure, ax = plt.subplots(figsize=(7, 3.5), dpi=80, layout="constrained")
ax.loglog(steps, errors, ".-", color=BLUE)
ax.set(xlabel="step h", ylabel="error of the derivative")
ax.grid(alpha=0.25)
plt.show()
assert 1e-7 < steps[np.argmin(errors)] < 1e-3
assert min(errors) < 1e-9

# %% [markdown]
# ## 4. Nested functions and the chain rule
#
# Let one function eat the output of another: $y = f_2(f_1(x))$. When the input moves, the inner
# function stretches the movement by its slope, and the outer one stretches that by *its* slope:
#
# $$\frac{df_2}{dx}(x) = \frac{df_2}{du}(f_1(x)) \cdot \frac{df_1}{du}(x)$$


# %%
def chain(functions, x):
    for f in functions:
        x = f(x)
    return x


def chain_deriv(functions, x):
    slope = np.ones_like(x)
    for f in functions:
        slope = slope * deriv(f, x)  # the slope of this function, where its own input is
        x = f(x)
    return slope


# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), dpi=80, layout="constrained")
for ax, functions in zip(axes, ((square, sigmoid), (sigmoid, square)), strict=True):
    ax.plot(x, chain(functions, x), color=BLUE, label="nested function")
    ax.plot(x, chain_deriv(functions, x), color=ORANGE, label="by the chain rule")
    ax.plot(x[::15], deriv(lambda x, f=functions: chain(f, x), x)[::15], "k.", label="by a step")
    ax.set(title=f"first {functions[0].__name__}, then {functions[1].__name__}", xlabel="x")
    ax.grid(alpha=0.25)
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# The order matters for the function and for its slope. A third function changes nothing but the
# number of factors:

# %%
functions = (leaky_relu, square, sigmoid)
direct = deriv(lambda x: chain(functions, x), x)
away = np.abs(x) > 0.01  # leaky_relu has a kink at 0
assert np.allclose(chain_deriv(functions, x)[away], direct[away], atol=1e-5)
print("largest difference:", f"{np.abs(chain_deriv(functions, x) - direct)[away].max():.0e}")

# %% [markdown]
# ## 5. Several inputs
#
# A function of two inputs has two derivatives: move one input, hold the other. Take $a = x + y$ or
# $a = xy$, and $s = \sigma(a)$. The way back begins with the slope of $\sigma$ at $a$, and then
# passes the first step:
#
# - A sum moves as much as either input moves. It hands what it receives to both, unchanged.
# - A product moves $y$ times as much as $x$ moves. It hands to each, times the *other* input.


# %%
def sum_backward(x, y):
    a = x + y
    dsda = deriv(sigmoid, a)
    return dsda * 1, dsda * 1


def product_backward(x, y):
    a = x * y
    dsda = deriv(sigmoid, a)
    return dsda * y, dsda * x


def by_a_step(f, x, y, h=1e-5):
    return (f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)


def sigmoid_of_sum(x, y):
    return sigmoid(x + y)


def sigmoid_of_product(x, y):
    return sigmoid(x * y)


x0, y0 = 0.4, -1.3
for f, backward in ((sigmoid_of_sum, sum_backward), (sigmoid_of_product, product_backward)):
    print(f"{f.__name__}: by the chain rule", np.round(backward(x0, y0), 6))
    print(f"{'by a step':>{len(f.__name__) + 19}}", np.round(by_a_step(f, x0, y0), 6))
    assert np.allclose(backward(x0, y0), by_a_step(f, x0, y0), atol=1e-6)

# %% [markdown]
# A drawing with a box for each step is called a **computational graph**. Each box shows its value
# (`num`), and below it the gradient that came back (`grad`): how much $s$ changes with it. Check
# the product's rule: 0.23383 came back to $a$, and $x$ gets that times $y$. (Chapter 6 builds the
# numbers that can draw this.)

# %%
x_node, y_node = NumberWithGrad(x0), NumberWithGrad(y0)
a_node = x_node * y_node
s_node = a_node.sigmoid()
s_node.backward()
SVG(s_node.draw(names={"x": x_node, "y": y_node, "a": a_node, "s": s_node}))

# %%
assert np.allclose((x_node.grad, y_node.grad), product_backward(x0, y0), atol=1e-6)

# %% [markdown]
# The two derivatives together are the **gradient**. On a map of the function it is an arrow that
# points uphill, across the lines of equal height, and is long where the ground is steep. Training
# walks against it, downhill:

# %%
x_map, y_map = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121))
figure, ax = plt.subplots(figsize=(6, 4.6), dpi=80, layout="constrained")
height = ax.contourf(x_map, y_map, sigmoid_of_product(x_map, y_map), levels=12, cmap="Blues")
x_at, y_at = x_map[10::20, 10::20], y_map[10::20, 10::20]
ax.quiver(x_at, y_at, *product_backward(x_at, y_at), color=ORANGE, scale=5, width=0.009)
ax.set(xlabel="x", ylabel="y", title="sigmoid(x y), and its gradient", aspect="equal")
figure.colorbar(height, ax=ax)
plt.show()

# %% [markdown]
# ## 6. Features and weights
#
# A row of features times a column of weights is a weighted sum. A matrix product does it for many
# rows and many columns at once. That is all a layer of a network computes before it bends the
# result. To have one number at the end, add everything up:
#
# $$N = XW \qquad S = \sigma(N) \qquad L = \textstyle\sum_{ij} S_{ij}$$
#
# The example has three rows of three features, and two columns of weights: those that the book
# drew, from NumPy's old random stream.


# %%
def forward(X, W):
    return sigmoid(X @ W).sum()


def show(tables):
    _, axes = plt.subplots(1, len(tables), figsize=(9, 2.4), dpi=80, layout="constrained")
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        ax.imshow(table, cmap="RdBu_r", vmin=-4, vmax=4)
        for (i, j), value in np.ndenumerate(table):
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", size=9)
        ax.set(title=name, xticks=[], yticks=[])
    plt.show()


random = np.random.RandomState(190204)
X, W = random.randn(3, 3), random.randn(3, 2)
show({"X": X, "W": W, "N = XW": X @ W, "S": sigmoid(X @ W)})
print(f"N[0, 0] = {' + '.join(f'({x:.2f})({w:.2f})' for x, w in zip(X[0], W[:, 0], strict=True))}")
print(f"L = {forward(X, W):.4f}, the sum of the six numbers in S")
assert round(forward(X, W), 4) == 2.3755  # as in the book

# %% [markdown]
# The same as a graph. Forward (blue), arrays flow to the right. Backward (orange), a gradient flows
# to the left for each of them, and has its shape. (The boxes are two classes of `dlfs`; chapter 3
# builds such classes.)

# %%
from dlfs.activations import Sigmoid
from dlfs.dense import WeightMultiply

product, bend = WeightMultiply(W), Sigmoid()
bend.forward(product.forward(X))
figure = plot_chain([product, bend])
figure.set_dpi(75)
figure

# %% [markdown]
# ## 7. The derivative of a matrix product
#
# Backward through $L = \sum S$: each entry counts once, so the gradient is a table of ones. Through
# the sigmoid: times its slope, entry by entry. Through the product: multiply by the other factor,
# *transposed*.
#
# $$\frac{\partial L}{\partial X} = \frac{\partial L}{\partial N}\, W^T \qquad
# \frac{\partial L}{\partial W} = X^T\, \frac{\partial L}{\partial N}$$


# %%
def backward(X, W):
    N = X @ W
    dLdS = np.ones_like(N)
    dLdN = dLdS * sigmoid(N) * (1 - sigmoid(N))
    return dLdN @ W.T, X.T @ dLdN


dLdX, dLdW = backward(X, W)
dLdN = sigmoid(X @ W) * (1 - sigmoid(X @ W))
show({"dL/dS": np.ones((3, 2)), "dL/dN": dLdN, "dL/dX": dLdX, "dL/dW": dLdW})
book = [[0.2489, -0.3748, 0.0112], [0.126, -0.2781, -0.1395], [0.2299, -0.3662, -0.0225]]
assert np.array_equal(dLdX.round(4), book)

# %% [markdown]
# Why transposed? Follow one entry by hand. $X_{00}$ enters $N_{00}$ with the factor $W_{00}$, and
# $N_{01}$ with the factor $W_{01}$: two ways to the loss, and what comes back on them adds up. That
# is row 0 of $\partial L/\partial N$ times row 0 of $W$, and row 0 of $W$ is column 0 of $W^T$.

# %%
first, second = dLdN[0, 0] * W[0, 0], dLdN[0, 1] * W[0, 1]
print(f"by way of N[0, 0]: {first:.4f}, by way of N[0, 1]: {second:.4f}")
print(f"together {first + second:.4f}; dL/dX[0, 0] is {dLdX[0, 0]:.4f}")

# %% [markdown]
# Is it right? Raise $X_{00}$ by a thousandth, and see by how many thousandths $L$ rises:

# %%
X_up = X.copy()
X_up[0, 0] += 0.001
rise = (forward(X_up, W) - forward(X, W)) / 0.001
print(f"L rises by {rise:.4f} times the step; dL/dX[0, 0] is {dLdX[0, 0]:.4f}")
assert abs(rise - dLdX[0, 0]) < 1e-4

# %% [markdown]
# As a picture: while one entry of $X$ moves, the loss is a curve; the gradient is its slope.

# %%
moved = np.linspace(-4, 4, 100)
losses = []
for value in moved:
    X_moved = X.copy()
    X_moved[0, 0] = value
    losses.append(forward(X_moved, W))

figure, ax = plt.subplots(figsize=(7, 3.5), dpi=80, layout="constrained")
ax.plot(moved, losses, color=BLUE, label="L")
near = X[0, 0] + np.array([-1.5, 1.5])
straight = forward(X, W) + dLdX[0, 0] * (near - X[0, 0])
ax.plot(near, straight, color=ORANGE, label="slope dL/dX[0, 0]")
ax.plot(X[0, 0], forward(X, W), "o", color=GREY)
ax.set(xlabel="X[0, 0]", ylabel="L")
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# You need not do this for each entry by hand. `check_gradients` moves all of them, with a better
# formula than one small step ([Math](Math.ipynb), section 1), and knows how far off its own answer
# may be. You give it the way forward and the way back as two functions; the second is also given
# the gradient that arrives from behind. You will use it in every chapter.


# %%
def backward_from(output_grad, X, W):
    return [output_grad * grad for grad in backward(X, W)]


report = check_gradients((forward, backward_from), (X, W))
assert report
print(report)

# %% [markdown]
# ## Exercises
#
# Replace the `...`, run the cell, then the check below it. It says whether you are right, and gives
# a hint if not; the solutions are folded away.
#
# ### 1. The slope of a sigmoid of a square
#
# Write the derivative of $\sigma(x^2)$, without `deriv`. The sigmoid's derivative is
# $\sigma(u)(1 - \sigma(u))$.


# %% tags=["exercise:sigmoid of square"]
def sigmoid_square_deriv(x): ...


# %%
check(
    "sigmoid of square",
    sigmoid_square_deriv,
    lambda f: np.allclose(f(x), deriv(lambda x: sigmoid(x**2), x), atol=1e-5),
    hint="The outer slope is taken at x squared; the inner one is 2x.",
)

# %% [markdown] tags=["solution:sigmoid of square"]
# <details><summary>Solution</summary>
#
# ```python
# def sigmoid_square_deriv(x):
#     s = sigmoid(x**2)
#     return s * (1 - s) * 2 * x
# ```
# </details>

# %% [markdown]
# ### 2. Backward through a difference of products
#
# Let $z = xy - y^2$. Return both derivatives, $\partial z/\partial x$ and $\partial z/\partial y$.


# %% tags=["exercise:two inputs"]
def z_backward(x, y): ...


# %%
check(
    "two inputs",
    z_backward,
    lambda f: check_gradients(
        (lambda x, y: x * y - y**2, lambda grad, x, y: [grad * g for g in f(x, y)]),
        (np.array([0.5, -2.0]), np.array([1.5, 0.3])),
    ),
    hint="y counts twice: in the product and in the square. Add both ways.",
)

# %% [markdown] tags=["solution:two inputs"]
# <details><summary>Solution</summary>
#
# ```python
# def z_backward(x, y):
#     return y, x - 2 * y
# ```
# </details>

# %% [markdown]
# ### 3. A mean instead of a sum
#
# Let the loss be the *mean* of $\sigma(XW)$. Return its gradients with respect to $X$ and $W$.


# %% tags=["exercise:mean"]
def mean_backward(X, W): ...


# %%
check(
    "mean",
    mean_backward,
    lambda f: check_gradients(
        (lambda X, W: sigmoid(X @ W).mean(), lambda grad, X, W: [grad * g for g in f(X, W)]),
        (X, W),
    ),
    hint="How large is the gradient of a mean with respect to one of its n entries?",
)

# %% [markdown] tags=["solution:mean"]
# <details><summary>Solution</summary>
#
# ```python
# def mean_backward(X, W):
#     S = sigmoid(X @ W)
#     dLdN = S * (1 - S) / S.size
#     return dLdN @ W.T, X.T @ dLdN
# ```
# </details>

# %% [markdown]
# ## What comes next
#
# [Math](Math.ipynb) derives the formulas of this chapter. Chapter 2 uses them to predict the prices
# of houses.
