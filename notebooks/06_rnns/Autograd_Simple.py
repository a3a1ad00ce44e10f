# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 6: automatic differentiation
#
# You build a number that remembers how it was computed, and use that to compute gradients. Then you
# see where the simplest way is wrong, use the library's version, and train a network without
# writing a backward pass. You need the chain rule (chapter 1), and chapter 3 for the comparison at
# the end.

# %% tags=["hide-input"]
import re

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import SVG, display

from dlfs import Conv2D, Dense, Flatten, NeuralNetwork, SoftmaxCrossEntropy, Tanh
from dlfs import datasets, reference
from dlfs.autograd import ArrayWithGrad, NumberWithGrad, apply, conv2d, softmax_cross_entropy
from dlfs.autograd.drawing import Drawable
from dlfs.autograd.elementwise import unbroadcast
from dlfs.autograd.graph import topological_order
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"


def show(result, **names):
    """Draw how a result was computed, no wider than the page."""
    picture = result.draw(names=names)
    width, height = (float(size) for size in re.findall(r'(?:width|height)="(\d+)"', picture)[:2])
    scale = min(1, 780 / width)
    size = f'width="{width * scale:.0f}" height="{height * scale:.0f}"'
    display(SVG(re.sub(r'width="\d+" height="\d+"', size, picture, count=1)))


# %% [markdown]
# ## 1. A number that remembers
#
# So far the backward pass of each Operation was derived by hand. For a recurrent network this is a
# lot of work, and mistakes are easy to make. There is another way: **automatic differentiation**
# (*autograd*). Every formula consists of sums, products and a few more functions, and each of these
# has a simple derivative. If every result remembers **what it was computed from** and **how**, the
# program can apply the chain rule step by step, from the result back to the inputs.
#
# Two operations are enough to see how this works. (Only `Drawable`, which draws graphs, comes from
# dlfs.)


# %%
class Number(Drawable):
    def __init__(self, num, depends_on=(), creation_op=""):
        self.num = num
        self.depends_on = list(depends_on)
        self.creation_op = creation_op
        self.grad = None

    def __add__(self, other):
        other = as_number(other)
        return Number(self.num + other.num, [self, other], "add")

    def __mul__(self, other):
        other = as_number(other)
        return Number(self.num * other.num, [self, other], "mul")

    def describe(self):  # what a drawing shows
        return [f"num = {self.num}"] + ([] if self.grad is None else [f"grad = {self.grad}"])


def as_number(value):
    return value if isinstance(value, Number) else Number(value, creation_op="constant")


a = Number(3)
b = a * 4
c = b + 5
print("c is", c.num, "and is the result of the operation", repr(c.creation_op))
show(c, a=a, b=b, c=c)

# %% [markdown]
# Python calls `__mul__` and `__add__` wherever you write `*` and `+`. So the formula is ordinary
# Python, and computing it also builds the graph.
#
# ## 2. Backward
#
# Let $c$ be the final result and call $\partial c / \partial v$ the gradient of $v$. An operation
# that has received the gradient $g$ of its result gives each operand its share:
#
# | operation | share of $x$ | share of $y$ |
# |---|---|---|
# | $x + y$ | $g$ | $g$ |
# | $x \cdot y$ | $g \cdot y$ | $g \cdot x$ |


# %%
def shares(number, grad):
    """Give each operand with its share of the gradient."""
    if number.creation_op == "add":
        x, y = number.depends_on
        return [(x, grad), (y, grad)]
    if number.creation_op == "mul":
        x, y = number.depends_on
        return [(x, grad * y.num), (y, grad * x.num)]
    return []


# %% [markdown]
# This is a first attempt. It stores the gradient that arrives, and passes the shares on:


# %%
def backward_1(number, grad=1):
    number.grad = grad
    for operand, share in shares(number, grad):
        backward_1(operand, share)


backward_1(c)
print("dc/da =", a.grad)
show(c, a=a, b=b, c=c)

# %% [markdown]
# $c = 4a + 5$, so 4 is right.
#
# ## 3. A value that is used twice
#
# Now `a` appears in two places: $e = (4a + 3)(a + 2)$. The derivative is $8a + 11$, and for $a = 3$
# this is 35.


# %%
def example():
    a = Number(3)
    c = a * 4 + 3
    d = a + 2
    return a, c, d, c * d


a, c, d, e = example()
backward_1(e)
print("overwritten:", a.grad)

# %% tags=["remove-cell"]
assert a.grad == 15

# %% [markdown]
# 15 is the share that arrived through `d`, the last one. It replaced the share that had arrived
# through `c`. But if $a$ changes a little, $e$ changes through both $c$ and $d$, and the changes
# add up:
#
# $$
# \frac{\partial e}{\partial a}
# = \frac{\partial e}{\partial c}\frac{\partial c}{\partial a}
# + \frac{\partial e}{\partial d}\frac{\partial d}{\partial a}
# = 5 \cdot 4 + 15 \cdot 1 = 35
# $$
#
# So the second attempt adds what arrives. The book's `NumberWithGrad` does the same:


# %%
def backward_2(number, grad=1):
    number.grad = grad if number.grad is None else number.grad + grad
    for operand, share in shares(number, number.grad):
        backward_2(operand, share)


a, c, d, e = example()
backward_2(e)
print("added:", a.grad)
show(e, a=a, c=c, d=d, e=e)

# %% [markdown]
# ## 4. Where this is wrong
#
# 35 is right, but only because the number that is used twice is a *variable*, which passes nothing
# on. We put one step before it. This is the smallest graph for which `backward_2` is wrong:

# %%
a = Number(3)
b = a * 1
c = b + b
backward_2(c)
print("c = 2 a, but the gradient of a is", a.grad)
show(c, a=a, b=b, c=c)

# %% [markdown]
# The gradient of `b` is right, and that of `a` is wrong. Here are the steps:


# %%
def backward_2_aloud(number, names, grad=1):
    number.grad = grad if number.grad is None else number.grad + grad
    name = names.get(id(number))
    if name:
        print(f"{name} receives {grad}, so {name}.grad is {number.grad}")
    for operand, share in shares(number, number.grad):
        if name and id(operand) in names:
            print(f"    {name} passes {share} to {names[id(operand)]}")
        backward_2_aloud(operand, names, share)


a = Number(3)
b = a * 1
c = b + b
backward_2_aloud(c, {id(a): "a", id(b): "b", id(c): "c"})

# %% [markdown]
# `b` is visited twice. At the first visit it passes 1 to `a`. At the second visit it passes its
# whole gradient, 2, although a part of it has been passed before. Together this is 3.
#
# ### First remedy: pass only what has just arrived


# %%
def backward_3(number, grad=1):
    """Compute the gradients, and return the number of visits."""
    number.grad = grad if number.grad is None else number.grad + grad
    return 1 + sum(backward_3(operand, share) for operand, share in shares(number, grad))


a = Number(3)
b = a * 1
c = b + b
backward_3(c)
print("the gradient of a:", a.grad)

# %% [markdown]
# This is right for every graph. But it follows every *path* from the result to the inputs, and
# there can be very many. In the next graph a number is doubled $n$ times, as `x + x`. At each
# addition a path has two ways to go on, so there are $2^n$ paths:


# %%
def doubled(n):
    x = result = Number(1)
    for _ in range(n):
        result = result + result
    return x, result


lengths = list(range(1, 15))
visits = []
for n in lengths:
    x, result = doubled(n)
    visits.append(backward_3(result))
    assert x.grad == 2**n
print(f"{lengths[-1]} additions: {visits[-1]:,} visits")

# %% tags=["remove-cell"]
assert visits == [2 ** (n + 1) - 1 for n in lengths]

# %% [markdown]
# In a recurrent network with gates (see [Code](Code.ipynb)) each step uses the state about four
# times. Through 25 steps there are $4^{25} \approx 10^{15}$ paths. With a million visits a second,
# this would take 35 years.
#
# ### Second remedy: wait until everything has arrived
#
# Visit each number once, and only after all numbers that depend on it have been visited. Then its
# gradient is complete. Such an order is called **topological**. A *depth-first search* finds it: go
# from the result to its operands, to their operands, and so on; append a number to a list after all
# that it depends on; and in the end reverse the list.


# %%
def in_order(result):
    order, seen = [], set()

    def visit(number):
        if id(number) not in seen:
            seen.add(id(number))
            for operand in number.depends_on:
                visit(operand)
            order.append(number)

    visit(result)
    return order[::-1]


def backward_4(result):
    order = in_order(result)
    for number in order:
        number.grad = 0
    result.grad = 1
    for number in order:
        for operand, share in shares(number, number.grad):
            operand.grad += share
    return len(order)


a = Number(3)
b = a * 1
c = b + b
backward_4(c)
names = {id(a): "a", id(b): "b", id(c): "c"}
print("order:", ", ".join(names.get(id(n), "the constant 1") for n in in_order(c)))
show(c, a=a, b=b, c=c)

# %%
ordered = []
for n in lengths:
    x, result = doubled(n)
    ordered.append(backward_4(result))
    assert x.grad == 2**n
print(f"{lengths[-1]} additions: {ordered[-1]} visits")

# %% tags=["hide-input"]
fig, ax = plt.subplots()
ax.semilogy(lengths, visits, "o-", color=ORANGE, label="along every path (backward_3)")
ax.semilogy(lengths, ordered, "s-", color=BLUE, label="in topological order (backward_4)")
ax.set(xlabel="additions x = x + x in a row", ylabel="visits", title="Both give the right gradient")
ax.legend()
plt.show()

# %% [markdown]
# ## 5. The library's NumberWithGrad
#
# dlfs has the same class with all operators. A table has one entry for each operator, with its
# value and its derivatives (`dlfs/autograd/number_rules.py`):
#
#     "mul": Rule(lambda x, y: x * y, (lambda x, y, out: y, lambda x, y, out: x)),
#     "tanh": Rule(math.tanh, (lambda x, out: 1 - out * out,)),
#
# If a result is the last line of a cell, its graph is drawn.

# %%
x = NumberWithGrad(0.5)
y = (2 * x).tanh() / (1 + x**2)
y.backward()
y

# %% [markdown]
# We compare every operator with finite differences, at a point where all of them are defined:

# %%
formulas = {
    "x + 2, 2 + x": lambda x: (x + 2) * (2 + x),
    "x - 2, 2 - x": lambda x: (x - 2) * (2 - x),
    "x * 3, 3 * x": lambda x: x * 3 + 3 * x,
    "x / 3, 3 / x": lambda x: x / 3 + 3 / x,
    "x ** 3, 3 ** x": lambda x: x**3 + 3**x,
    "x ** x": lambda x: x**x,
    "-x, abs(x)": lambda x: -x * abs(-x),
    "exp, log": lambda x: x.exp() + x.log(),
    "tanh, sigmoid, relu": lambda x: x.tanh() * x.sigmoid() * x.relu(),
}
h = 1e-6
for name, f in formulas.items():
    x = NumberWithGrad(1.7)
    f(x).backward()
    difference = (f(NumberWithGrad(1.7 + h)).num - f(NumberWithGrad(1.7 - h)).num) / (2 * h)
    print(f"{name:<20} {x.grad:>9.5f}   finite difference {difference:>9.5f}")
    assert abs(x.grad - difference) < 1e-7

# %% [markdown]
# There are three things to know:
#
# - A second `backward()` **adds** to `grad`. `zero_grad()` sets it back to 0.
# - Comparisons such as `x > 1` compare the numbers, so `if` and loops work. The graph contains the
#   steps that were *run*.
# - Graphs can be deep. Python allows about a thousand nested calls, so our `in_order` fails for
#   longer chains; the library uses a loop instead.

# %%
x = NumberWithGrad(3)
y = x * x
y.backward()
y.backward()
print("after two calls:", x.grad)
y.zero_grad()
y.backward()
print("after zero_grad:", x.grad)


def collatz(x):
    while x > 1:
        x = x / 2 if x.num % 2 == 0 else 3 * x + 1
    return x


start = NumberWithGrad(12)
collatz(start).backward()
# 12, 6, 3, 10, 5, 16, 8, 4, 2, 1: multiplied by 3 twice, and halved seven times
print("d collatz / d start:", start.grad, "=", 3**2 / 2**7)

total = x = NumberWithGrad(1.0)
for _ in range(10_000):
    total = total + x
total.backward()
print("after a chain of 10,000 additions:", x.grad)

# %% tags=["remove-cell"]
assert start.grad == 3**2 / 2**7
assert x.grad == 10_001

# %% [markdown]
# ## 6. The same with arrays
#
# A network of single numbers would have millions of nodes. `ArrayWithGrad` has one node for a whole
# array. The graph and the order are the same; only the shares are arrays now. A rule returns its
# value and, for each operand, a function from the gradient `g` of the result to the operand's share
# (`dlfs/autograd/elementwise.py`):
#
#     out = np.tanh(x)
#     return out, (lambda g: g * (1 - out * out),)
#
# Two rules are new. The first is the **matrix product**, as in chapter 1. With $G$ for the gradient
# of $Y$:
#
# $$
# Y = X W \quad\Rightarrow\quad
# \text{share of } X = G\, W^T, \qquad \text{share of } W = X^T G
# $$

# %%
rng = np.random.default_rng(6)
X, W = ArrayWithGrad(rng.standard_normal((5, 3))), ArrayWithGrad(rng.standard_normal((3, 2)))
Y = X @ W
G = rng.standard_normal((5, 2))
Y.backward(G)  # the result is not a single number, so its gradient must be given
np.testing.assert_array_equal(X.grad, G @ W.array.T)
np.testing.assert_array_equal(W.grad, X.array.T @ G)
show(Y, X=X, W=W, Y=Y)

# %% [markdown]
# The second is **broadcasting**. In `X @ W + b` a bias of shape `(2,)` is added to each of five
# rows, so it is used five times. A value that is used several times receives the sum of its
# gradients. So what NumPy repeats in the forward pass is summed in the backward pass.

# %%
b = ArrayWithGrad(rng.standard_normal(2))
(Y + b).backward(G)
np.testing.assert_allclose(b.grad, G.sum(axis=0), rtol=1e-14)

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 1, figsize=(4, 3.2), height_ratios=[5, 1], sharex=True)
titles = "gradient of X @ W + b", "b.grad: the sums"
for ax, values, title in zip(axes, (G, b.grad[np.newaxis]), titles):
    ax.imshow(values, cmap="RdBu_r", vmin=-4, vmax=4, alpha=0.7, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, f"{value:.2f}", ha="center", va="center")
    ax.set(title=title, yticks=[])
axes[0].set(ylabel="row (b is used in each)")
axes[1].set(xlabel="column", xticks=[0, 1])
plt.show()

# %% [markdown]
# ## 7. A network without a backward pass
#
# The task is to tell the points of two spirals apart, with one hidden layer of 24 units. We only
# write the forward pass:

# %%
turns = np.repeat(np.linspace(0.4, 2.2, 100), 2) * np.pi
labels = np.tile([0, 1], 100)
spiral = np.column_stack([np.cos(turns + np.pi * labels), np.sin(turns + np.pi * labels)])
spiral = spiral * turns[:, np.newaxis] / 4 + 0.04 * rng.standard_normal((200, 2))


def network(x, W1, b1, W2, b2):
    hidden = (x @ W1 + b1).tanh()
    return hidden @ W2 + b2


shapes = [(2, 24), (24,), (24, 2), (2,)]
params = [ArrayWithGrad(rng.standard_normal(shape)) for shape in shapes]
loss = softmax_cross_entropy(network(spiral[:4], *params), labels[:4])
loss.backward()
show(network(spiral[:4], *params), **dict(zip(("W1", "b1", "W2", "b2"), params)))
print(f"with the loss the graph has {len(topological_order(loss))} nodes")

# %% [markdown]
# The cross-entropy has no backward pass either. It is computed as `-mean(log_softmax)`. Its
# gradient, softmax minus target (chapter 4), follows automatically. Each training step builds a new
# graph, and the update is SGD with momentum:

# %%
losses = []
speeds = [np.zeros(shape) for shape in shapes]
for _ in range(1200):
    loss = softmax_cross_entropy(network(spiral, *params), labels)
    for param in params:
        param.grad = None
    loss.backward()
    for param, speed in zip(params, speeds):
        speed *= 0.9
        speed -= 0.2 * param.grad
        param.array += speed
    losses.append(loss.item())
right = np.mean(network(spiral, *params).array.argmax(axis=1) == labels)
print(f"loss {losses[0]:.2f} -> {losses[-1]:.4f}, {right:.1%} right")

# %% tags=["hide-input"]
assert right > 0.98
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3))
axes[0].semilogy(losses, color=BLUE)
axes[0].set(xlabel="step", ylabel="loss", title="training")
grid = np.linspace(-2.2, 2.2, 120)
points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
margin = network(points, *params).array @ [-1, 1]
axes[1].contourf(grid, grid, margin.reshape(120, 120) > 0, cmap="RdBu_r", alpha=0.3)
for label, colour in ((0, BLUE), (1, ORANGE)):
    axes[1].scatter(*spiral[labels == label].T, s=8, color=colour)
axes[1].set(title="what the network learned", aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
plt.show()

# %% [markdown]
# ## 8. A check of the hand-written gradients
#
# The layers of dlfs have gradients that were derived by hand. Those of `ArrayWithGrad` were not. If
# both agree, both are right, because the same mistake in both is unlikely. First we take a dense
# network, as in chapter 3:


# %%
def compare(net, x, y, formula):
    """Gradients by hand in net, and by ArrayWithGrad from formula(x, *params)."""
    net.forward(x)
    params = [ArrayWithGrad(param) for param in net.params()]
    loss = softmax_cross_entropy(formula(x, *params), y)
    loss.backward()
    by_hand = net.loss.forward(net.forward(x), y)
    net.backward(net.loss.backward())
    print(f"loss     by hand {by_hand:.15f}, by autograd {loss.item():.15f}")
    for param, grad in zip(params, net.param_grads()):
        distance = np.abs(param.grad - grad).max() / np.abs(grad).max()
        print(f"gradient {grad.shape!s:<14} differs by {distance:.0e} of the largest")
        assert distance < 1e-13


x, y = rng.standard_normal((20, 3)), rng.integers(0, 4, 20)
net = NeuralNetwork([Dense(8, Tanh()), Dense(4)], SoftmaxCrossEntropy(), seed=1)
compare(net, x, y, network)

# %% [markdown]
# Then a convolutional network, on eight digits. `conv2d` is one node:


# %%
def cnn(x, K, bias, W, b):
    maps = (conv2d(x, K, padding=2) + bias).tanh()
    return maps.reshape(len(x), -1) @ W + b


mnist = datasets.mnist()
images, digits = mnist.X_test[:8].astype(float), mnist.y_test[:8]
net = NeuralNetwork([Conv2D(4, 5, activation=Tanh()), Flatten(), Dense(10)], SoftmaxCrossEntropy())
compare(net, images, digits, cnn)

# %% [markdown]
# The library's tests do this for every Operation, layer and loss (`tests/autograd/`).
#
# Automatic gradients have a cost: the graph keeps every array that a rule may need, and each
# operation is a Python call. The hand-written layers keep less, and the fast backend computes a
# whole layer in one call. Automatic gradients are best for a first version of a new layer, and for
# tests.
#
# ## 9. Exercises
#
# Replace each `...`, run the cell, and then run the check below it.
#
# **1. How wrong?** With `b = a * 1; c = b + b; d = c + c` the gradient of `a` is 4. Which number
# does `backward_2` compute? Find it with pencil and paper.

# %% tags=["exercise:how-wrong"]
how_wrong = ...

# %%
check(
    "how-wrong",
    how_wrong,
    13,
    hint="c is visited twice, with c.grad 1, then 2; b four times. Add up b.grad.",
)

# %% [markdown] tags=["solution:how-wrong"]
# <details><summary>Solution</summary>
#
# `c` passes 1, 1 and then 2, 2 to `b`. So `b.grad` is 1, 2, 4, 6 at its four visits, and `b` passes
# each of these to `a`.
#
# ```python
# how_wrong = 1 + 2 + 4 + 6
# ```
# </details>

# %% [markdown]
# **2. Newton's method.** It finds a zero of $f$ by repeating $x \leftarrow x - f(x) / f'(x)$.
# Compute the derivative with a `NumberWithGrad`.


# %% tags=["exercise:newton"]
def newton(f, x, steps=20):
    return ...


# %%
def right_zeros(attempt):
    assert abs(attempt(lambda x: x * x - 2, 1.0) - 2**0.5) < 1e-12, "the root of 2 is missed"
    return abs(attempt(lambda x: x.exp() + x, 0.0) + 0.5671432904097838) < 1e-12


check("newton", newton, right_zeros, hint="A new NumberWithGrad at each step; return a float.")

# %% [markdown] tags=["solution:newton"]
# <details><summary>Solution</summary>
#
# ```python
# def newton(f, x, steps=20):
#     for _ in range(steps):
#         number = NumberWithGrad(x)
#         value = f(number)
#         value.backward()
#         x = x - value.num / number.grad
#     return x
# ```
# </details>

# %% [markdown]
# **3. Sum what was repeated.** NumPy has broadcast an operand of shape `shape`, and `grad` has the
# shape of the result. Return the operand's gradient: sum over leading axes that the operand does
# not have, and over axes where its size is 1.


# %% tags=["exercise:sum-repeated"]
def sum_repeated(grad, shape):
    return ...


# %%
def right_sums(attempt):
    for shape in ((4, 3, 2), (3, 2), (2,), (), (1, 3, 1), (3, 1), (4, 1, 2)):
        grad = np.random.default_rng(1).standard_normal((4, 3, 2))
        mine, right = attempt(grad, shape), unbroadcast(grad, shape)
        assert np.shape(mine) == shape, f"operand of shape {shape}: got shape {np.shape(mine)}"
        assert np.allclose(mine, right), f"operand of shape {shape}: wrong numbers"
    return True


check("sum-repeated", sum_repeated, right_sums, hint="grad.sum(axis=..., keepdims=True), twice.")

# %% [markdown] tags=["solution:sum-repeated"]
# <details><summary>Solution</summary>
#
# ```python
# def sum_repeated(grad, shape):
#     grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
#     ones = tuple(axis for axis, size in enumerate(shape) if size == 1)
#     return grad.sum(axis=ones, keepdims=True)
# ```
# </details>

# %% [markdown]
# **4. A rule of your own.** Softsign is $x / (1 + |x|)$. Write its rule: return the value, and a
# tuple with the function from the result's gradient to the share of $x$ (see section 6). The check
# compares it with finite differences.


# %% tags=["exercise:softsign"]
def softsign(x):
    return ...


# %%
def right_rule(rule):
    def back(grad, x):
        y = apply(rule, ArrayWithGrad(x))
        y.backward(grad)
        return y.depends_on[0].grad

    x = np.random.default_rng(2).standard_normal((3, 4))
    assert np.allclose(rule(x)[0], x / (1 + np.abs(x))), "the value is wrong"
    return check_gradients((lambda x: rule(x)[0], back), x)


check(
    "softsign",
    softsign,
    right_rule,
    hint="For positive x it is x / (1 + x): use the quotient rule.",
)

# %% [markdown] tags=["solution:softsign"]
# <details><summary>Solution</summary>
#
# ```python
# def softsign(x):
#     below = 1 + np.abs(x)
#     return x / below, (lambda g: g / below**2,)
# ```
# </details>

# %% [markdown]
# **5. A recurrent network without a backward pass.** Write a plain recurrent network with
# `ArrayWithGrad`: $h_t = \tanh(x_t W_x + h_{t-1} W_h)$ from $h_{-1} = 0$. Return the last state
# $h_t$. The check compares the gradient of $W_h$ with that of the library.


# %% tags=["exercise:rnn"]
def last_state(x, W_x, W_h):  # x: (batch, time, features)
    return ...


# %%
def right_recurrence(attempt):
    draw = np.random.default_rng(3).standard_normal
    x, W_x, W_h = draw((2, 6, 3)), ArrayWithGrad(draw((3, 4))), ArrayWithGrad(draw((4, 4)))
    zero, grad = np.zeros((2, 4)), draw((2, 4))
    h = reference.rnn(x @ W_x.array, zero, W_h.array)
    mine = attempt(x, W_x, W_h)
    assert np.allclose(mine.array, h[:, -1]), "the state is wrong"
    mine.backward(grad)
    _, _, right = reference.rnn_grad(np.zeros_like(h), grad, h, zero, W_h.array)
    return bool(np.allclose(W_h.grad, right, rtol=1e-10))


check("rnn", last_state, right_recurrence, hint="The first state may be a plain array of zeros.")

# %% [markdown] tags=["solution:rnn"]
# <details><summary>Solution</summary>
#
# ```python
# def last_state(x, W_x, W_h):
#     h = np.zeros((len(x), W_h.shape[0]))
#     for t in range(x.shape[1]):
#         h = (x[:, t] @ W_x + h @ W_h).tanh()
#     return h
# ```
# </details>
