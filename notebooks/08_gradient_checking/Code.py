# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 8: is my gradient right?
#
# A wrong gradient rarely raises an error. The network still learns, but worse. You see how a
# gradient is checked, and why the check that most people write first misses mistakes. Then you look
# for mistakes yourself: eight Operations have one each. One call finds it, and you correct it. You
# need chapters 1 and 3.

# %% tags=["hide-input"]
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from hypothesis import given, settings

from dlfs.activations import Softmax
from dlfs.base import Operation, ParamOperation
from dlfs.exercises import check
from dlfs.gradcheck import GradientError, check_gradients
from dlfs.losses import Loss
from dlfs.plots import BLUE, GREY, ORANGE
from dlfs.testing import arrays_NF, assert_gradients, dense_cases

plt.rcParams.update({"figure.figsize": (7, 3.2), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(8)

# %% [markdown]
# ## 1. Which step?
#
# To measure the slope of a function, we change its input a little in both directions, by a **step**
# $h$:
#
# $$f'(x) \approx \frac{f(x+h) - f(x-h)}{2h}$$
#
# How small must $h$ be? A large step is inexact because the function is curved. A small step
# subtracts two numbers that are nearly equal: their common digits cancel, and the rounding errors
# remain. A combination of two differences, by Richardson, removes most of the first error
# ([Math](Math.ipynb) derives it). We know the slope of the sigmoid at 0.5, so we can see all
# errors.

# %%
steps = np.logspace(-15, 0, 200)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def difference(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def richardson(f, x, h):
    """Two differences, combined so that the error in h**2 falls out."""
    return (4 * difference(f, x, h / 2) - difference(f, x, h)) / 3


true = sigmoid(0.5) * (1 - sigmoid(0.5))
errors = {
    "central difference": np.abs(difference(sigmoid, 0.5, steps) - true),
    "Richardson": np.abs(richardson(sigmoid, 0.5, steps) - true),
}

# %% tags=["hide-input"]
fig, ax = plt.subplots()
for (name, error), colour in zip(errors.items(), (BLUE, ORANGE)):
    ax.loglog(steps, np.maximum(error, 1e-17), ".", ms=3, color=colour, label=name)
ax.loglog(steps, steps**2 / 30, ":", color=GREY, label="grows with h²")
ax.loglog(steps, 1e-16 / steps, "--", color=GREY, label="grows with 1 / h")
ax.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-17, 10))
ax.legend(loc="lower left", fontsize=8)
plt.show()

# %%
middle = (steps > 1e-3) & (steps < 1e-2)
typical = {name: float(np.median(error[middle])) for name, error in errors.items()}
for name, error in typical.items():
    print(f"{name:<20} error with steps of about 0.003: {error:.0e}")

# %% tags=["remove-cell"]
assert typical["Richardson"] < typical["central difference"] / 1e4
assert errors["central difference"][steps < 1e-13].max() > 1e-4

# %% [markdown]
# The errors form a V: they grow on both sides of the best step. If you choose $h = 10^{-12}$ "to be
# exact", you get about four correct digits. Richardson's combination allows a large step, where the
# rounding errors are small, and gives about twelve correct digits. `dlfs.gradcheck` uses it, and
# estimates from several steps how exact the result is.
#
# ## 2. Why an output gradient of ones misses mistakes
#
# An Operation has many outputs. A check needs one number, so it takes the sum of the outputs, each
# multiplied by its entry of an **output gradient**. The simplest output gradient is 1 everywhere;
# then the number is just the sum. Here is a softmax whose backward pass returns zeros, checked in
# both ways.


# %%
class NoSoftmax(Softmax):
    def _input_grad(self, output_grad):
        return np.zeros_like(output_grad)


def check_with(operation, x, G, h=1e-5):
    """Return the largest difference between backward and finite differences."""
    operation.forward(x)
    grad = operation.backward(G)
    numeric = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[place] = h
        numeric[place] = np.sum(G * (operation.forward(x + e) - operation.forward(x - e))) / (2 * h)
    return np.abs(grad - numeric).max()


x = rng.standard_normal((3, 4))
ones, random = np.ones_like(x), rng.standard_normal(x.shape)
print(f"ones:   largest difference {check_with(NoSoftmax(), x, ones):.0e}")
print(f"random: largest difference {check_with(NoSoftmax(), x, random):.0e}")

# %% tags=["remove-cell"]
assert check_with(NoSoftmax(), x, ones) < 1e-9 < 1e-2 < check_with(NoSoftmax(), x, random)

# %% [markdown]
# Each row of a softmax sums to 1, for every input. So the sum of all outputs is constant, its
# gradient *is* zero, and the check passes. With a random output gradient each output counts on its
# own. An output gradient of ones also misses a convolution whose kernel is not flipped, a wrong
# layer normalization, and a matrix product that mixes up its rows.
#
# `check_gradients` draws the output gradient at random. (`backend="reference"` runs the check on
# the NumPy backend only, which is enough here.)

# %%
print(check_gradients(NoSoftmax(), x, backend="reference"))

# %% [markdown]
# ## 3. A picture of a mistake
#
# `report.plot()` draws the gradient from backward, the gradient from the differences, and how much
# they differ. Where is the mistake in this product of matrices?


# %%
class LateColumns(ParamOperation):
    """A product with a weight matrix; the last column of its gradient is a copy of another."""

    def _output(self):
        return self.input_ @ self.param

    def _input_grad(self, output_grad):
        return output_grad @ self.param.T

    def _param_grad(self, output_grad):
        W_grad = self.input_.T @ output_grad
        W_grad[:, -1] = W_grad[:, -2]
        return W_grad


W = rng.standard_normal((4, 3))
report = check_gradients(LateColumns(W), rng.standard_normal((5, 4)), backend="reference")
report.plot()

# %% [markdown]
# The mistake is in the last column. A single number, such as the largest difference, would not show
# that.
#
# ## 4. Find the mistake
#
# Each of these eight Operations has one mistake. Look at the code first: do you see it? Then run
# the check and read the report. Write the correct method in the cell below it; the rest of the
# class stays as it is. The next cell says whether it is right.
#
# The function `verdict` prints the result of a check, and the most likely cause of the mistake.


# %%
def verdict(report):
    print("passed" if report else "FAILED")
    for known in (report.hints or report.facts)[:1]:
        print(textwrap.fill(str(known), 88))


rows = rng.standard_normal((5, 3))
found = []

# %% [markdown]
# ### 1: a sigmoid


# %%
class Sigmoid1(Operation):
    def _output(self):
        return 1 / (1 + np.exp(-self.input_))

    def _input_grad(self, output_grad):
        return output_grad * self.input_ * (1 - self.input_)


found.append(check_gradients(Sigmoid1(), rows, backend="reference"))
verdict(found[-1])


# %% tags=["exercise:sigmoid"]
class Sigmoid1Mended(Sigmoid1):
    def _input_grad(self, output_grad): ...


# %%
check(
    "sigmoid",
    Sigmoid1Mended,
    lambda cls: check_gradients(cls(), rows, backend="reference"),
    hint="The derivative is s (1 - s). Which is s here: the input or the output?",
)

# %% [markdown] tags=["solution:sigmoid"]
# <details><summary>Solution</summary>
#
# ```python
# class Sigmoid1Mended(Sigmoid1):
#     def _input_grad(self, output_grad):
#         return output_grad * self.output * (1 - self.output)
# ```
# </details>

# %% [markdown]
# ### 2: a bias


# %%
class Bias2(ParamOperation):
    def _output(self):
        return self.input_ + self.param

    def _input_grad(self, output_grad):
        return output_grad

    def _param_grad(self, output_grad):
        return output_grad.mean(axis=0, keepdims=True)


B = rng.standard_normal((1, 3))
found.append(check_gradients(Bias2(B), rows, backend="reference"))
verdict(found[-1])


# %% tags=["exercise:bias"]
class Bias2Mended(Bias2):
    def _param_grad(self, output_grad): ...


# %%
check(
    "bias",
    Bias2Mended,
    lambda cls: check_gradients(cls(B), rows, backend="reference"),
    hint="Each bias is used in every row, so its gradient is a sum over the rows.",
)

# %% [markdown] tags=["solution:bias"]
# <details><summary>Solution</summary>
#
# ```python
# class Bias2Mended(Bias2):
#     def _param_grad(self, output_grad):
#         return output_grad.sum(axis=0, keepdims=True)
# ```
# </details>

# %% [markdown]
# ### 3: a ReLU


# %%
class ReLU3(Operation):
    def _output(self):
        return np.maximum(self.input_, 0)

    def _input_grad(self, output_grad):
        return output_grad * (self.output >= 0)


found.append(check_gradients(ReLU3(), rows, backend="reference"))
verdict(found[-1])


# %% tags=["exercise:relu"]
class ReLU3Mended(ReLU3):
    def _input_grad(self, output_grad): ...


# %%
check(
    "relu",
    ReLU3Mended,
    lambda cls: check_gradients(cls(), rows, backend="reference"),
    hint="Can an output of a ReLU be below 0?",
)

# %% [markdown] tags=["solution:relu"]
# <details><summary>Solution</summary>
#
# ```python
# class ReLU3Mended(ReLU3):
#     def _input_grad(self, output_grad):
#         return output_grad * (self.input_ > 0)
# ```
# </details>

# %% [markdown]
# ### 4: a product


# %%
class Product4(ParamOperation):
    def _output(self):
        return self.input_ @ self.param

    def _input_grad(self, output_grad):
        return output_grad @ self.param

    def _param_grad(self, output_grad):
        return self.input_.T @ output_grad


square = rng.standard_normal((3, 3))
found.append(check_gradients(Product4(square), rows, backend="reference"))
verdict(found[-1])

# %% [markdown]
# With a square matrix all shapes fit, in spite of the mistake. So do not test with square matrices
# only.


# %% tags=["exercise:product"]
class Product4Mended(Product4):
    def _input_grad(self, output_grad): ...


# %%
check(
    "product",
    Product4Mended,
    lambda cls: check_gradients(cls(rng.standard_normal((3, 2))), rows, backend="reference"),
    hint="Which matrix times an array of the shape (rows, out) gives the shape (rows, in)?",
)

# %% [markdown] tags=["solution:product"]
# <details><summary>Solution</summary>
#
# ```python
# class Product4Mended(Product4):
#     def _input_grad(self, output_grad):
#         return output_grad @ self.param.T
# ```
# </details>

# %% [markdown]
# ### 5: a softmax


# %%
class Softmax5(Operation):
    def _output(self):
        exps = np.exp(self.input_ - self.input_.max(axis=1, keepdims=True))
        return exps / exps.sum(axis=1, keepdims=True)

    def _input_grad(self, output_grad):
        return output_grad * self.output * (1 - self.output)


found.append(check_gradients(Softmax5(), rows, backend="reference"))
verdict(found[-1])


# %% tags=["exercise:softmax"]
class Softmax5Mended(Softmax5):
    def _input_grad(self, output_grad): ...


# %%
check(
    "softmax",
    Softmax5Mended,
    lambda cls: check_gradients(cls(), rows, backend="reference"),
    hint="Every input changes every output of its row, so all output gradients of the row count.",
)

# %% [markdown] tags=["solution:softmax"]
# <details><summary>Solution</summary>
#
# ```python
# class Softmax5Mended(Softmax5):
#     def _input_grad(self, output_grad):
#         along = (output_grad * self.output).sum(axis=1, keepdims=True)
#         return self.output * (output_grad - along)
# ```
# </details>

# %% [markdown]
# ### 6: a loss


# %%
class SquaredError6(Loss):
    def _output(self):
        return float(np.sum((self.prediction - self.target) ** 2) / len(self.prediction))

    def _input_grad(self):
        return 2 * (self.target - self.prediction) / len(self.prediction)


target = rng.standard_normal((5, 3))
found.append(check_gradients(SquaredError6(), rows, y=target, backend="reference"))
verdict(found[-1])


# %% tags=["exercise:loss"]
class SquaredError6Mended(SquaredError6):
    def _input_grad(self): ...


# %%
check(
    "loss",
    SquaredError6Mended,
    lambda cls: check_gradients(cls(), rows, y=target, backend="reference"),
    hint="If the prediction is too large, the loss must grow with it.",
)

# %% [markdown] tags=["solution:loss"]
# <details><summary>Solution</summary>
#
# ```python
# class SquaredError6Mended(SquaredError6):
#     def _input_grad(self):
#         return 2 * (self.prediction - self.target) / len(self.prediction)
# ```
# </details>

# %% [markdown]
# ### 7: a square
#
# Here backward returns the correct numbers. What else is wrong?


# %%
class Square7(Operation):
    def _output(self):
        return self.input_**2

    def _input_grad(self, output_grad):
        output_grad *= 2 * self.input_
        return output_grad


found.append(check_gradients(Square7(), rows, backend="reference"))
print(found[-1])


# %% tags=["exercise:square"]
class Square7Mended(Square7):
    def _input_grad(self, output_grad): ...


# %%
check(
    "square",
    Square7Mended,
    lambda cls: check_gradients(cls(), rows, backend="reference"),
    hint="Does output_grad have the same numbers after backward as before?",
)

# %% [markdown] tags=["solution:square"]
# <details><summary>Solution</summary>
#
# `*=` changes the array in place. The array belongs to the caller, who may need it again, for
# example for another branch of the network.
#
# ```python
# class Square7Mended(Square7):
#     def _input_grad(self, output_grad):
#         return output_grad * 2 * self.input_
# ```
# </details>

# %% [markdown]
# ### 8: a convolution
#
# Three weights slide over each row, as in chapter 5. `Slide8` has two gradients; the last line says
# which one is wrong.


# %%
class Slide8(ParamOperation):
    def _output(self):
        x, w = self.input_, self.param[0]
        return w[0] * x[:, :-2] + w[1] * x[:, 1:-1] + w[2] * x[:, 2:]

    def _input_grad(self, output_grad):
        w, wide = self.param[0], np.pad(output_grad, ((0, 0), (2, 2)))
        return w[0] * wide[:, :-2] + w[1] * wide[:, 1:-1] + w[2] * wide[:, 2:]

    def _param_grad(self, output_grad):
        x = self.input_
        windows = x[:, :-2], x[:, 1:-1], x[:, 2:]
        return np.array([[np.sum(window * output_grad) for window in windows]])


kernel, signal = rng.standard_normal((1, 3)), rng.standard_normal((2, 7))
found.append(check_gradients(Slide8(kernel), signal, backend="reference"))
verdict(found[-1])
print("wrong:", *[name for name, result in found[-1].results.items() if not result.passed])


# %% tags=["exercise:slide"]
class Slide8Mended(Slide8):
    def _input_grad(self, output_grad): ...


# %%
check(
    "slide",
    Slide8Mended,
    lambda cls: check_gradients(cls(kernel), signal, backend="reference"),
    hint="Which weight meets the first number of a row? Backward, the kernel must be flipped.",
)

# %% [markdown] tags=["solution:slide"]
# <details><summary>Solution</summary>
#
# ```python
# class Slide8Mended(Slide8):
#     def _input_grad(self, output_grad):
#         w, wide = self.param[0], np.pad(output_grad, ((0, 0), (2, 2)))
#         return w[2] * wide[:, :-2] + w[1] * wide[:, 1:-1] + w[0] * wide[:, 2:]
# ```
# </details>

# %% tags=["remove-cell"]
assert len(found) == 8
assert not any(found)

# %% [markdown]
# Eight calls have found eight mistakes. A loss curve would have shown few of them.
#
# ## 5. Test your own Operation
#
# One case is not enough: a mistake in the second row does not show if the input has one row.
# **hypothesis** is a library that tests a statement on a hundred cases. You describe the cases with
# a *strategy*, and the library draws them at random. If a case fails, the library searches for a
# smaller one that fails too. `dlfs.testing` has strategies for the inputs of Operations:
# `arrays_NF` draws arrays of rows and features, of many shapes. Here it tests an activation that
# dlfs does not have.


# %%
class Swing(Operation):
    """Forward: x * sin(x). Backward: sin(x) + x * cos(x)."""

    def _output(self):
        return self.input_ * np.sin(self.input_)

    def _input_grad(self, output_grad):
        return output_grad * (np.sin(self.input_) + self.input_ * np.cos(self.input_))


# Draw the same cases in every run, without a limit of time.
settings.register_profile("chapter 8", derandomize=True, database=None, deadline=None)
settings.load_profile("chapter 8")
drawn = []


@given(arrays_NF())
def swing_is_right(x):
    drawn.append(x.shape)
    assert check_gradients(Swing(), x)


swing_is_right()
shapes = list(dict.fromkeys(drawn))
print(f"{len(drawn)} cases of {len(shapes)} shapes, among them", *shapes[:5])
assert len(drawn) >= 100

# %% [markdown]
# All cases passed. `assert_gradients` does the same in one line. If a case fails, it reports the
# smallest one, as code that you can run. The next product has a mistake that shows only if there
# are three rows or more:


# %%
class ThirdRow(ParamOperation):
    def __init__(self, W):
        super().__init__(W)

    def _output(self):
        return self.input_ @ self.param

    def _input_grad(self, output_grad):
        return output_grad @ self.param.T

    def _param_grad(self, output_grad):
        return self.input_[:2].T @ output_grad[:2]


try:
    assert_gradients(ThirdRow, dense_cases())
except GradientError as error:
    smallest = str(error)
    print(smallest)

# %% tags=["remove-cell"]
assert "ThirdRow" in smallest
assert "as code" in smallest

# %% [markdown]
# You can test the Operations of your own project in the same way. dlfs tests itself so: the command
# `dlfs gradcheck` checks every Operation, layer and loss on both backends. More than a hundred
# wrong Operations (`docs/mutants.md`) show that the check finds mistakes.
#
# [ERRATA.md](../ERRATA.md) lists the wrong gradients of the book, each with a check that finds it.
#
# ## 6. Two more exercises
#
# **Your own Operation.** *Squareplus* is a smooth function similar to the ReLU:
#
# $$ s(x) = \frac{x + \sqrt{x^2 + 4}}{2} $$
#
# Write its class, forward and backward. The check compares some values; then hypothesis searches
# for a case in which the gradient is wrong.


# %% tags=["exercise:squareplus"]
class Squareplus(Operation):
    def _output(self): ...

    def _input_grad(self, output_grad): ...


# %%
def is_squareplus(cls):
    output = cls().forward(np.array([[0.0, 1.5, -1.5]]))
    assert np.allclose(output, [[1.0, 2.0, 0.5]]), "forward is not squareplus"
    assert_gradients(cls, arrays_NF())


check(
    "squareplus",
    Squareplus,
    is_squareplus,
    hint="Use the chain rule for the root. And backward multiplies by output_grad.",
)

# %% [markdown] tags=["solution:squareplus"]
# <details><summary>Solution</summary>
#
# ```python
# class Squareplus(Operation):
#     def _output(self):
#         return (self.input_ + np.sqrt(self.input_**2 + 4)) / 2
#
#     def _input_grad(self, output_grad):
#         return output_grad * (1 + self.input_ / np.sqrt(self.input_**2 + 4)) / 2
# ```
# </details>

# %% [markdown]
# **A loss.** The absolute error is the mean over the rows of
# $\sum |\text{prediction} - \text{target}|$. Write its gradient.


# %%
class AbsoluteError(Loss):
    def _output(self):
        return float(np.abs(self.prediction - self.target).sum() / len(self.prediction))


# %% tags=["exercise:absolute"]
class MyAbsoluteError(AbsoluteError):
    def _input_grad(self): ...


# %%
check(
    "absolute",
    MyAbsoluteError,
    lambda cls: check_gradients(cls(), rows, y=target, backend="reference"),
    hint="What is the slope of |z| for positive z, and for negative z? Then comes the mean.",
)

# %% [markdown] tags=["solution:absolute"]
# <details><summary>Solution</summary>
#
# ```python
# class MyAbsoluteError(AbsoluteError):
#     def _input_grad(self):
#         return np.sign(self.prediction - self.target) / len(self.prediction)
# ```
# </details>
