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

from dlfs.exercises import check
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
# The order matters for the function and for its slope. Three functions make no difference: one more
# factor.

# %%
functions = (leaky_relu, square, sigmoid)
direct = deriv(lambda x: chain(functions, x), x)
away = np.abs(x) > 0.01  # leaky_relu has a kink at 0
assert np.allclose(chain_deriv(functions, x)[away], direct[away], atol=1e-5)
print("largest difference:", f"{np.abs(chain_deriv(functions, x) - direct)[away].max():.0e}")

# %% [markdown]
# ## 5. Several inputs
#
# With $a = x + y$ and $s = \sigma(a)$, the output depends on both inputs. Backward, the sum hands
# what it receives to both of them unchanged; a product would hand to each the *other* input.


# %%
def sum_backward(x, y):
    a = x + y
    dsda = deriv(sigmoid, a)
    return dsda * 1, dsda * 1


def product_backward(x, y):
    a = x * y
    dsda = deriv(sigmoid, a)
    return dsda * y, dsda * x


x0, y0, h = 0.4, -1.3, 1e-5
slope_x = (sigmoid((x0 + h) * y0) - sigmoid((x0 - h) * y0)) / (2 * h)
slope_y = (sigmoid(x0 * (y0 + h)) - sigmoid(x0 * (y0 - h))) / (2 * h)
print("by the chain rule:", np.round(product_backward(x0, y0), 6))
print("by a step:        ", np.round((slope_x, slope_y), 6))
assert np.allclose(product_backward(x0, y0), (slope_x, slope_y), atol=1e-6)

# %% [markdown]
# ## 6. Features and weights
#
# A row of features times a column of weights is a weighted sum. A matrix product does it for many
# rows at once. That is all a layer of a network computes before it bends the result.
#
# $$N = XW \qquad S = \sigma(N) \qquad L = \textstyle\sum_{ij} S_{ij}$$

# %%
X = np.array([[0.47, 1.58, -0.34], [0.96, -0.68, 0.71], [-1.12, 0.31, 0.55]])
W = np.array([[0.17, -0.24], [1.31, 0.62], [-0.45, 0.88]])


def forward(X, W):
    return sigmoid(X @ W).sum()


from dlfs.activations import Sigmoid
from dlfs.dense import WeightMultiply

product, bend = WeightMultiply(W), Sigmoid()
bend.forward(product.forward(X))
plot_chain([product, bend])

# %% [markdown]
# Forward, arrays flow to the right. Backward, a gradient flows to the left for each of them, and
# has its shape. (The picture is drawn from two classes of `dlfs` that do these steps; chapter 3
# builds such classes.)
#
# ## 7. The derivative of a matrix product
#
# Backward through $L = \sum S$: each entry counts once, so the gradient is a table of ones. Through
# the sigmoid: times its slope. Through the product: multiply by the other factor, *transposed*.
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
print("L =", round(float(forward(X, W)), 4))
print("dL/dX =\n", dLdX.round(4))

# %% [markdown]
# Is it right? Raise one entry of $X$ by a thousandth, and see whether $L$ rises by that much of the
# gradient's entry:

# %%
X_up = X.copy()
X_up[0, 0] += 0.001
print("L rises by", round(float(forward(X_up, W) - forward(X, W)) / 0.001, 4), "times the step")
print("dL/dX[0, 0] is", round(dLdX[0, 0], 4))
assert abs((forward(X_up, W) - forward(X, W)) / 0.001 - dLdX[0, 0]) < 1e-4

# %% [markdown]
# You need not do this for each entry by hand. `check_gradients` does it for all, with errors that
# it knows. It is the tool that you will use in every chapter.

# %%
from dlfs.gradcheck import check_gradients

report = check_gradients(
    (lambda X, W: np.array(forward(X, W)), lambda grad, X, W: [grad * g for g in backward(X, W)]),
    (X, W),
)
assert report
print(report)

# %% [markdown]
# And as a picture: the loss, while one entry of $X$ moves, is a curve; the gradient is its slope.

# %%
moved = np.linspace(-4, 5, 100)
losses = []
for value in moved:
    X_moved = X.copy()
    X_moved[0, 0] = value
    losses.append(forward(X_moved, W))

figure, ax = plt.subplots(figsize=(7, 3.5), dpi=80, layout="constrained")
ax.plot(moved, losses, color=BLUE, label="L")
near = X[0, 0] + np.array([-2, 2])
ax.plot(
    near, forward(X, W) + dLdX[0, 0] * (near - X[0, 0]), color=ORANGE, label="slope dL/dX[0, 0]"
)
ax.plot(X[0, 0], forward(X, W), "o", color=GREY)
ax.set(xlabel="X[0, 0]", ylabel="L")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Exercises
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
