# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 1: foundations
#
# This chapter introduces three ideas that the rest of the book builds on: nested functions, their
# derivatives, and the chain rule. You meet them first with numbers, then with matrices.
#
# You need a little Python, and you must know what the slope of a curve is. Cells that only import,
# draw, or test what the text says are folded. Unfold one to see its code.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import SVG

from dlfs.autograd import NumberWithGrad
from dlfs.classroom.cells import plot_style
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE, plot_chain

plot_style()

# %% [markdown]
# ## 1. Arrays
#
# Python's lists are not made for arithmetic. `+` joins two lists, `*` repeats one, and a product of
# two lists is an error:

# %%
numbers = [1, 2, 3]
print("list + list:", numbers + numbers)
print("2 * list:   ", 2 * numbers)
try:
    numbers * numbers
except TypeError as error:
    print("list * list:", error)

# %% [markdown]
# A NumPy array is a table of numbers of one type, with any number of axes. Arithmetic works entry
# by entry:

# %%
array = np.array([1, 2, 3])
print("array + array:", array + array)
print("2 * array:    ", 2 * array)
print("array * array:", array * array)

# %% [markdown]
# Many operations can run along one axis. In a table, axis 0 runs down the rows, and axis 1 runs
# along each row:

# %%
a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
print("a.sum(axis=0) =", a.sum(axis=0))
print("a.sum(axis=1) =", a.sum(axis=1))

# %% [markdown]
# A row can be added to a table: NumPy adds it to each row of the table. This is called
# *broadcasting*. Later we add a *bias*, a row of numbers, to all observations in this way.

# %%
a + np.array([10.0, 20.0, 30.0])

# %% [markdown]
# ## 2. Functions
#
# A function turns a number into a number. Given an array, these three functions do so with each
# entry. You will meet them again:


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
# How much does the output change when the input changes a little? Take a small step $h$ to either
# side, and divide the change of the output by the change of the input:
#
# $$\frac{df}{du}(a) \approx \frac{f(a + h) - f(a - h)}{2h}$$
#
# If the derivative is 3, the output changes three times as much as the input. If it is negative,
# the output falls where the input rises. There is a derivative at each place $a$, so the derivative
# is a function, too.


# %%
def deriv(f, x, h=0.001):
    return (f(x + h) - f(x - h)) / (2 * h)


# %% tags=["hide-input"]
x = np.linspace(-3, 3, 301)
figure, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, f in zip(axes, (square, leaky_relu, sigmoid)):
    ax.plot(x, f(x), color=BLUE, label="function")
    ax.plot(x, deriv(f, x), color=ORANGE, label="derivative")
    ax.set(title=f.__name__, xlabel="x")
axes[0].set_ylabel("value")
axes[0].legend()
plt.show()

# %% [markdown]
# Each orange curve is the slope of the blue one. It is negative where the square falls. It has two
# values for the two straight halves of the leaky ReLU. It is nearly 0 where the sigmoid is flat.
#
# How large should the step be? If it is too large, the function is curved between the two points:
# the error is about $h^2$. If it is too small, you subtract two numbers that agree in nearly all
# their digits: the error is about $10^{-16}/h$. Here are the errors for many steps:

# %%
true = sigmoid(1.0) * (1 - sigmoid(1.0))
steps = 10.0 ** np.arange(-13, 0.1, 0.25)
errors = [abs(deriv(sigmoid, 1.0, h) - true) for h in steps]

figure, ax = plt.subplots()
ax.loglog(steps, errors, ".-", color=BLUE)
ax.set(xlabel="step h", ylabel="error of the derivative")
plt.show()

# %% tags=["remove-cell"]
assert 1e-7 < steps[np.argmin(errors)] < 1e-3
assert min(errors) < 1e-9

# %% [markdown]
# ## 4. Nested functions and the chain rule
#
# The output of one function can be the input of another: $y = f_2(f_1(x))$. If $x$ changes a
# little, the inner function multiplies the change by its slope. The outer function multiplies the
# result by *its* slope. This is the **chain rule**:
#
# $$\frac{df_2}{dx}(x) = \frac{df_2}{du}(f_1(x)) \cdot \frac{df_1}{du}(x)$$
#
# Each slope is taken at the input of its own function: the slope of $f_2$ at $f_1(x)$, not at $x$.


# %%
def chain(functions, x):
    for f in functions:
        x = f(x)
    return x


def chain_deriv(functions, x):
    slope = np.ones_like(x)
    for f in functions:
        slope = slope * deriv(f, x)  # x is the input of this function
        x = f(x)
    return slope


# %% [markdown]
# The orange curve multiplies the slopes. The black dots do not use the chain rule: they take a
# small step in $x$ through both functions at once.


# %% tags=["hide-input"]
def draw_chains(chains):
    _, axes = plt.subplots(1, len(chains), figsize=(9, 3.3))
    for ax, functions in zip(axes, chains):
        ax.plot(x, chain(functions, x), color=BLUE, label="nested function")
        ax.plot(x, chain_deriv(functions, x), color=ORANGE, label="by the chain rule")
        by_step = deriv(lambda x: chain(functions, x), x)
        ax.plot(x[::15], by_step[::15], "k.", label="by a step")
        ax.set(title=" → ".join(f.__name__ for f in functions), xlabel="x")
    axes[0].legend()
    plt.show()


draw_chains([(square, sigmoid), (sigmoid, square)])

# %% [markdown]
# The order matters, both for the function and for its slope. A chain of three functions has three
# factors, and nothing else changes:
#
# $$\frac{df_3}{dx}(x) = \frac{df_3}{du}(f_2(f_1(x))) \cdot \frac{df_2}{du}(f_1(x)) \cdot
# \frac{df_1}{du}(x)$$

# %%
draw_chains([(leaky_relu, square, sigmoid), (leaky_relu, sigmoid, square)])

# %% [markdown]
# The slopes have a jump at 0, because the leaky ReLU has a kink there. Everywhere else the chain
# rule and the small step agree.

# %% tags=["remove-cell"]
away = np.abs(x) > 0.01  # leaky_relu has a kink at 0
for functions in ((leaky_relu, square, sigmoid), (leaky_relu, sigmoid, square)):
    direct = deriv(lambda x: chain(functions, x), x)
    assert np.allclose(chain_deriv(functions, x)[away], direct[away], atol=1e-5)

# %% [markdown]
# ## 5. Several inputs
#
# A function of two inputs has two derivatives, called *partial*: change one input, and hold the
# other. Take $a = x + y$ or $a = xy$, and then $s = \sigma(a)$, where $\sigma$ is the sigmoid. We
# go from the output back to the inputs. The first factor is the slope of $\sigma$ at $a$. The
# second one is the slope of the sum or of the product:
#
# - A sum changes as much as either input. Both inputs get the first factor unchanged.
# - A product changes $y$ times as much as $x$. Each input gets the first factor times the *other*
#   input.


# %%
def sum_backward(x, y):
    a = x + y
    dsda = deriv(sigmoid, a)
    return dsda * 1, dsda * 1


def product_backward(x, y):
    a = x * y
    dsda = deriv(sigmoid, a)
    return dsda * y, dsda * x


# %% [markdown]
# Compare with a small step in each input:


# %%
def sigmoid_of_sum(x, y):
    return sigmoid(x + y)


def sigmoid_of_product(x, y):
    return sigmoid(x * y)


def by_a_step(f, x, y, h=1e-5):
    return (f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)


x0, y0 = 0.4, -1.3
print("sum, by the chain rule:    ", np.round(sum_backward(x0, y0), 6))
print("sum, by a step:            ", np.round(by_a_step(sigmoid_of_sum, x0, y0), 6))
print("product, by the chain rule:", np.round(product_backward(x0, y0), 6))
print("product, by a step:        ", np.round(by_a_step(sigmoid_of_product, x0, y0), 6))

# %% tags=["remove-cell"]
for f, backward in ((sigmoid_of_sum, sum_backward), (sigmoid_of_product, product_backward)):
    assert np.allclose(backward(x0, y0), by_a_step(f, x0, y0), atol=1e-6)

# %% [markdown]
# A drawing with a box for each step is called a **computational graph**. Here is the graph of the
# product. Each box shows its value (`num`) and below it the derivative of $s$ with respect to that
# value (`grad`). Check the rule for products: the `grad` of $a$ is 0.23383, and $x$ gets that times
# $y$. (Chapter 6 builds the numbers that draw this.)

# %%
x_node, y_node = NumberWithGrad(x0), NumberWithGrad(y0)
a_node = x_node * y_node
s_node = a_node.sigmoid()
s_node.backward()
SVG(s_node.draw(names={"x": x_node, "y": y_node, "a": a_node, "s": s_node}))

# %% tags=["remove-cell"]
assert np.allclose((x_node.grad, y_node.grad), product_backward(x0, y0), atol=1e-6)
assert round(a_node.grad, 5) == 0.23383

# %% [markdown]
# The two derivatives together are the **gradient**. On a map of the function, the gradient is an
# arrow that points uphill, across the lines of equal height. It is long where the ground is steep.
# Training takes steps in the opposite direction, downhill.

# %% tags=["hide-input"]
x_map, y_map = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121))
figure, ax = plt.subplots(figsize=(6, 4.6))
height = ax.contourf(x_map, y_map, sigmoid_of_product(x_map, y_map), levels=12, cmap="Blues")
x_at, y_at = x_map[10::20, 10::20], y_map[10::20, 10::20]
ax.quiver(x_at, y_at, *product_backward(x_at, y_at), color=ORANGE, scale=5, width=0.009)
ax.set(xlabel="x", ylabel="y", title="sigmoid(x y), and its gradient", aspect="equal")
figure.colorbar(height, ax=ax)
plt.show()

# %% [markdown]
# ## 6. One row of features
#
# A house has features, such as its size and its age. A model gives each feature a **weight**, a
# number that says how much it counts, and adds up. With the features as a row $X$ and the weights
# as a column $W$, this is a product of matrices:
#
# $$X = \begin{bmatrix} x_1 & x_2 & x_3 \end{bmatrix} \qquad
# W = \begin{bmatrix} w_1 \\ w_2 \\ w_3 \end{bmatrix} \qquad
# N = XW = x_1 w_1 + x_2 w_2 + x_3 w_3$$
#
# $N$ has three inputs $x_i$, so it has three derivatives. Change $x_1$ by a little, and $N$ changes
# $w_1$ times as much. The same is true for $x_2$ and $x_3$. All three, as a row of the same shape
# as $X$:
#
# $$\frac{\partial N}{\partial X} = \begin{bmatrix} w_1 & w_2 & w_3 \end{bmatrix} = W^T \qquad
# \text{and in the same way} \qquad
# \frac{\partial N}{\partial W} = \begin{bmatrix} x_1 \\ x_2 \\ x_3 \end{bmatrix} = X^T$$
#
# Now let a function follow, $S = \sigma(N)$. By the chain rule, each derivative is multiplied by
# the slope of $\sigma$ at $N$:
#
# $$\frac{\partial S}{\partial X} = \sigma'(N)\, W^T =
# \begin{bmatrix} \sigma'(N)\, w_1 & \sigma'(N)\, w_2 & \sigma'(N)\, w_3 \end{bmatrix}$$


# %%
def row_forward(X, W):
    N = X @ W
    return sigmoid(N)


def row_backward(X, W):
    N = X @ W
    dSdN = deriv(sigmoid, N)
    dNdX = W.T
    return dSdN @ dNdX


row, column = np.array([[0.5, -1.0, 2.0]]), np.array([[0.3], [0.8], [-0.2]])
print("N written out:", 0.5 * 0.3 + (-1.0) * 0.8 + 2.0 * (-0.2), " as a product:", row @ column)
print("dS/dX:        ", row_backward(row, column).round(4))

# %% [markdown]
# Test it with a step in one entry at a time:

# %%
for i in range(3):
    step = np.zeros((1, 3))
    step[0, i] = 0.001
    slope = (row_forward(row + step, column) - row_forward(row - step, column)) / 0.002
    print(f"x{i + 1}: S changes {slope.item():.4f} times as much")

# %% tags=["remove-cell"]
S = row_forward(row, column)
assert np.allclose(row_backward(row, column), S * (1 - S) * column.T, atol=1e-6)

# %% [markdown]
# ## 7. Many rows, many columns
#
# One matrix product does this for many rows of features and many columns of weights at once. A
# layer of a network computes this product, and then applies a function such as $\sigma$ to each
# entry. To get one number at the end, we add up all entries:
#
# $$N = XW \qquad S = \sigma(N) \qquad L = \textstyle\sum_{ij} S_{ij}$$
#
# The example has three rows of three features and two columns of weights. The numbers are those of
# the book, drawn from NumPy's old random generator.


# %%
def forward(X, W):
    N = X @ W
    S = sigmoid(N)
    return S.sum()


random = np.random.RandomState(190204)
X, W = random.randn(3, 3), random.randn(3, 2)


# %% tags=["hide-input"]
def show(tables):
    _, axes = plt.subplots(1, len(tables), figsize=(9, 2.4))
    for ax, (name, table) in zip(axes, tables.items()):
        ax.imshow(table, cmap="RdBu_r", vmin=-4, vmax=4)
        for (i, j), value in np.ndenumerate(table):
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", size=9)
        ax.set(title=name, xticks=[], yticks=[])
        ax.grid(False)
    plt.show()


show({"X": X, "W": W, "N = XW": X @ W, "S = σ(N)": sigmoid(X @ W)})
print(f"N[0, 0] = {' + '.join(f'({x:.2f})({w:.2f})' for x, w in zip(X[0], W[:, 0]))}")
print(f"L = {forward(X, W):.4f}, the sum of the six numbers in S")

# %% tags=["remove-cell"]
assert round(forward(X, W), 4) == 2.3755  # as in the book

# %% [markdown]
# Here is the same as a graph. Forward (blue), arrays flow to the right. Backward (orange), a
# gradient flows to the left for each array, and has the shape of that array. (The boxes are two
# classes of `dlfs`; chapter 3 builds such classes.)

# %%
from dlfs.activations import Sigmoid
from dlfs.dense import WeightMultiply

product, squeeze = WeightMultiply(W), Sigmoid()
squeeze.forward(product.forward(X))
figure = plot_chain([product, squeeze])
figure.set_dpi(75)
figure

# %% [markdown]
# ## 8. The derivative of a matrix product
#
# We go from $L$ back to $X$ and $W$, one step at a time.
#
# 1. $L$ is a sum, and each entry of $S$ counts once. So $\partial L/\partial S$ is a table of ones.
# 2. $\sigma$ acts on each entry alone. So we multiply each entry by the slope of $\sigma$ there:
#    this gives $\partial L/\partial N$.
# 3. For the product, multiply by the other factor, *transposed*, as in section 6:
#
# $$\frac{\partial L}{\partial X} = \frac{\partial L}{\partial N}\, W^T \qquad
# \frac{\partial L}{\partial W} = X^T\, \frac{\partial L}{\partial N}$$


# %%
def backward(X, W):
    N = X @ W
    dLdS = np.ones_like(N)
    dSdN = sigmoid(N) * (1 - sigmoid(N))
    dLdN = dLdS * dSdN
    dLdX = dLdN @ W.T
    dLdW = X.T @ dLdN
    return dLdX, dLdW


# %% tags=["hide-input"]
dLdX, dLdW = backward(X, W)
dLdN = sigmoid(X @ W) * (1 - sigmoid(X @ W))
show({"dL/dS": np.ones((3, 2)), "dL/dN": dLdN, "dL/dX": dLdX, "dL/dW": dLdW})

# %% tags=["remove-cell"]
book = [[0.2489, -0.3748, 0.0112], [0.126, -0.2781, -0.1395], [0.2299, -0.3662, -0.0225]]
assert np.array_equal(dLdX.round(4), book)

# %% [markdown]
# Why transposed? Follow one entry by hand. $X_{00}$ enters $N_{00}$ with the factor $W_{00}$, and
# $N_{01}$ with the factor $W_{01}$. So there are two ways from $X_{00}$ to the loss, and the
# derivatives of both ways add up. The sum is row 0 of $\partial L/\partial N$ times row 0 of $W$,
# and row 0 of $W$ is column 0 of $W^T$.

# %%
first, second = dLdN[0, 0] * W[0, 0], dLdN[0, 1] * W[0, 1]
print(f"through N[0, 0]: {first:.4f}, through N[0, 1]: {second:.4f}")
print(f"together {first + second:.4f}; dL/dX[0, 0] is {dLdX[0, 0]:.4f}")

# %% [markdown]
# Is this correct? Raise $X_{00}$ by a thousandth, and look how much $L$ rises:

# %%
X_up = X.copy()
X_up[0, 0] += 0.001
rise = (forward(X_up, W) - forward(X, W)) / 0.001
print(f"L rises by {rise:.4f} times the step; dL/dX[0, 0] is {dLdX[0, 0]:.4f}")

# %% [markdown]
# As a picture: if only $X_{00}$ changes, the loss is a curve, and the gradient's entry is its
# slope.

# %% tags=["hide-input"]
moved = np.linspace(-4, 4, 100)
losses = []
for value in moved:
    X_moved = X.copy()
    X_moved[0, 0] = value
    losses.append(forward(X_moved, W))

figure, ax = plt.subplots()
ax.plot(moved, losses, color=BLUE, label="L")
near = X[0, 0] + np.array([-1.5, 1.5])
straight = forward(X, W) + dLdX[0, 0] * (near - X[0, 0])
ax.plot(near, straight, color=ORANGE, label="slope dL/dX[0, 0]")
ax.plot(X[0, 0], forward(X, W), "o", color=GREY)
ax.set(xlabel="X[0, 0]", ylabel="L")
ax.legend()
plt.show()
assert abs(rise - dLdX[0, 0]) < 1e-4

# %% [markdown]
# You need not do this by hand for each entry. `check_gradients` changes all of them, with a more
# exact formula than one small step ([Math](Math.ipynb), section 1), and estimates the error of its
# own answer. You give it two functions: the forward pass and the backward pass. The backward pass
# gets one more argument, the gradient of what comes after it, and multiplies by that. Every chapter
# uses `check_gradients`.


# %%
def backward_from(output_grad, X, W):
    return [output_grad * grad for grad in backward(X, W)]


report = check_gradients((forward, backward_from), (X, W))
print(report)

# %% tags=["remove-cell"]
assert report

# %% [markdown]
# ## Exercises
#
# Replace the `...` and run the cell. Then run the cell below it: it says whether your answer is
# right, and gives a hint if not. The solutions are folded.
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
# Let the loss be the *mean* of all entries of $\sigma(XW)$. Return its gradients with respect to
# $X$ and $W$.


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
