# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 8: is my gradient right?
#
# A wrong gradient rarely crashes. It trains, only worse. You see how a gradient is checked, why the
# check that most people write first lets mistakes through, and then go hunting: eight broken
# Operations, each found with one call, and mended by you. You need chapters 1 and 3.

# %%
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from hypothesis import given, settings

from dlfs.activations import Softmax
from dlfs.base import Operation, ParamOperation
from dlfs.exercises import check
from dlfs.gradcheck import GradientError, check_gradients
from dlfs.losses import Loss
from dlfs.testing import arrays_NF, assert_gradients, dense_cases

plt.rcParams.update({"figure.figsize": (7, 3.2), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
rng = np.random.default_rng(8)

# %% [markdown]
# ## 1. The V: no step is right
#
# The slope of a function is measured by moving its input a little to either side:
#
# $$f'(x) \approx \frac{f(x+h) - f(x-h)}{2h}$$
#
# How little? A large step $h$ cuts the curve's corner. A small one subtracts two numbers that are
# nearly equal, and their last digits are noise. We know the slope of the sigmoid at 0.5, so we can
# see both errors.

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

# %%
fig, ax = plt.subplots()
for (name, error), colour in zip(errors.items(), (BLUE, ORANGE), strict=True):
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
assert typical["Richardson"] < typical["central difference"] / 1e4
assert errors["central difference"][steps < 1e-13].max() > 1e-4

# %% [markdown]
# Two lessons. Whoever takes $h = 10^{-12}$ "to be exact" gets four digits. And Richardson's trick
# is worth it: it allows a large step, where there is no noise, and still gets twelve digits.
# `dlfs.gradcheck` uses it, and reads from several steps how far it can trust the result.
#
# ## 2. Why all ones lie
#
# An Operation has many outputs. A check picks one number: the sum of the outputs, each multiplied
# by an **output gradient**. The first that comes to mind is ones everywhere: just the sum. Here is
# a softmax whose backward pass returns zeros.


# %%
class NoSoftmax(Softmax):
    def _input_grad(self, output_grad):
        return np.zeros_like(output_grad)


def check_with(operation, x, G, h=1e-5):
    """A gradient check as many write it first; return the largest difference."""
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
assert check_with(NoSoftmax(), x, ones) < 1e-9 < 1e-2 < check_with(NoSoftmax(), x, random)

# %% [markdown]
# Each row of a softmax sums to 1, whatever the input. So the sum of all outputs does not move, its
# gradient *is* zero, and the check is happy. A random output gradient asks for every output by
# itself. The same lie hides a convolution whose kernel is the wrong way round, a layer
# normalization, and a matrix product that mixes up its rows.
#
# `check_gradients` draws the output gradient at random.

# %%
print(check_gradients(NoSoftmax(), x, backend="reference"))

# %% [markdown]
# ## 3. A picture of a mistake
#
# A report draws what it compared: the gradient of backward, that of the differences, and what is
# between them. Where is this product of matrices wrong?


# %%
class LateColumns(ParamOperation):
    """A product with a weight matrix; the weight gradient has been made with one column too few."""

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
# In the last column, and nowhere else. An image says at a glance what one number never would.
#
# ## 4. The hunt
#
# Eight Operations, each with one mistake. Look at the code first: do you see it? Then run the check
# and read the report. Mend it in the cell below, where only the broken method is missing.
#
# ### 1: a sigmoid


# %%
class Sigmoid1(Operation):
    def _output(self):
        return 1 / (1 + np.exp(-self.input_))

    def _input_grad(self, output_grad):
        return output_grad * self.input_ * (1 - self.input_)


def verdict(report):
    """Print whether a check passed, and what the mistake looks like."""
    print("passed" if report else "FAILED")
    for known in (report.hints or report.facts)[:1]:
        print(textwrap.fill(str(known), 88))


rows = rng.standard_normal((5, 3))
found = [check_gradients(Sigmoid1(), rows, backend="reference")]
verdict(found[-1])


# %% tags=["exercise:sigmoid"]
class Sigmoid1Mended(Sigmoid1):
    def _input_grad(self, output_grad): ...


# %%
check(
    "sigmoid",
    Sigmoid1Mended,
    lambda cls: check_gradients(cls(), rows, backend="reference"),
    hint="s'(x) = s (1 - s), and s is the output.",
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
    hint="One bias enters every row. What enters many results gets the sum of their gradients.",
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
    hint="Is an output of a ReLU ever below 0?",
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
# With a square matrix no shape complains. Never try your code on square matrices only.


# %% tags=["exercise:product"]
class Product4Mended(Product4):
    def _input_grad(self, output_grad): ...


# %%
check(
    "product",
    Product4Mended,
    lambda cls: check_gradients(cls(rng.standard_normal((3, 2))), rows, backend="reference"),
    hint="Look at the shapes: (rows, out) times what gives (rows, in)?",
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
    hint="Every input moves every output of its row: p (g - sum(g p)).",
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
# The numbers that backward returns here are right. Look again.


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
    hint="Whose array is output_grad?",
)

# %% [markdown] tags=["solution:square"]
# <details><summary>Solution</summary>
#
# The output gradient belongs to whoever calls, and may be needed by another branch.
#
# ```python
# class Square7Mended(Square7):
#     def _input_grad(self, output_grad):
#         return output_grad * 2 * self.input_
# ```
# </details>

# %% [markdown]
# ### 8: a sum that slides
#
# Three weights slide over each row, as in chapter 5.


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
    hint="The last weight meets a pixel first. On the way back, slide from the other end.",
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

# %%
assert len(found) == 8
assert not any(found)

# %% [markdown]
# Eight mistakes, eight calls. How many would a loss curve have shown you?
#
# ## 5. Your own Operation, proven
#
# One case proves little: a mistake in the last row does not show with one row. **hypothesis** is a
# library that tests a statement on a hundred cases. You say what a case is, with a *strategy*; it
# draws them, the odd ones first, and when one fails it looks for a smaller one that fails too.
# `dlfs.testing` has strategies for what Operations take: `arrays_NF` are arrays of rows and
# features, of many shapes. Here is an activation that the library does not have.


# %%
class Swing(Operation):
    """Forward: x * sin(x). Backward: sin(x) + x * cos(x)."""

    def _output(self):
        return self.input_ * np.sin(self.input_)

    def _input_grad(self, output_grad):
        return output_grad * (np.sin(self.input_) + self.input_ * np.cos(self.input_))


# The same cases at every run, so that the text below stays true; and no limit on the time.
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
# No counterexample. `assert_gradients` says the same in one line, and where a case fails it reports
# the smallest one, as code to paste. This product has a mistake that shows only from the third row
# on:


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

# %%
assert "ThirdRow" in smallest
assert "as code" in smallest

# %% [markdown]
# Five lines are a test for your own project: a class, a strategy, a call. The library tests itself
# in the same way: `dlfs gradcheck` runs over every Operation, layer and loss, on both backends, and
# over a hundred wrong ones (`docs/mutants.md`) show that it would notice.
#
# Which gradients of the book are wrong, and what shows it, is in [ERRATA.md](../ERRATA.md).
#
# ## 6. Two more exercises
#
# **Your own Operation, from nothing.** *Squareplus* is a smooth relative of the ReLU:
#
# $$ s(x) = \frac{x + \sqrt{x^2 + 4}}{2} $$
#
# Write its class, forward and backward. The check tries some values, and then lets hypothesis look
# for a case in which the two do not belong together.


# %% tags=["exercise:squareplus"]
class Squareplus(Operation):
    def _output(self): ...

    def _input_grad(self, output_grad): ...


# %%
def is_squareplus(cls):
    output = cls().forward(np.array([[0.0, 1.5, -1.5]]))
    assert np.allclose(output, [[1.0, 2.0, 0.5]]), "forward gives other numbers"
    assert_gradients(cls, arrays_NF())


check(
    "squareplus",
    Squareplus,
    is_squareplus,
    hint="The slope of sqrt(x**2 + 4) is x / sqrt(x**2 + 4).",
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
# **A loss whose value you know:** the absolute error, the mean over the rows of
# $\sum |\text{prediction} - \text{target}|$. Write its gradient, and prove it.


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
    hint="The slope of |z| is the sign of z; and do not forget the mean.",
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
