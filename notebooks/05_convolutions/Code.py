# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 5: convolutions, loop by loop
#
# You write a convolution with nothing but loops, derive its gradients, and check each of them. Then
# you find two well-known mistakes in the gradients of a convolution that trains all the same. You
# need NumPy, and the chain rule of chapter 1.

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from dlfs import available_backends, backend_name, datasets, use_backend
from dlfs.base import Operation, ParamOperation
from dlfs.conv import Conv1D_Op, Conv2D_Op
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE
from dlfs.commands.stopwatch import interleaved, readable

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(5)
print("backend:", backend_name())

# %% [markdown]
# ## 1. A sum that slides
#
# A dense layer connects every input with every output. An image does not ask for that: an edge is
# an edge wherever it is, and a pixel has more to do with its neighbours than with a far corner.
# So take a few weights, the **kernel**, and let them slide over the input. At each place multiply
# what lies on top of each other, and add:
#
# $$ y_p = \sum_i x_{p+i} \, w_i $$


# %%
def slide(x, w):
    places = len(x) - len(w) + 1
    y = np.zeros(places)
    for p in range(places):
        for i in range(len(w)):
            y[p] += x[p + i] * w[i]
    return y


slide(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 1.0, 1.0]))

# %% [markdown]
# The same loop smooths or finds jumps: only the weights differ. Five equal ones make a mean of
# neighbours. Three negative and three positive ones are 0 where nothing changes, large where the
# signal rises, negative where it falls. A network learns such weights by itself.

# %%
signal = np.repeat([0.0, 1.0, 0.3, 0.3, 1.2, 0.1], 12) + 0.06 * rng.standard_normal(72)
fig, axes = plt.subplots(1, 3, figsize=(8, 2.4), sharex=True)
axes[0].plot(signal, color=GREY)
axes[0].set_title("a signal with noise")
axes[1].plot(slide(signal, np.full(5, 1 / 5)), color=BLUE)
axes[1].set_title("kernel (1, 1, 1, 1, 1) / 5")
axes[2].plot(slide(signal, np.array([-1, -1, -1, 1, 1, 1]) / 3), color=ORANGE)
axes[2].set_title("kernel (−1, −1, −1, 1, 1, 1) / 3")
for ax in axes:
    ax.set_xlabel("position")

# %% [markdown]
# ## 2. Padding and stride
#
# Two numbers were lost: five went in, three came out. **Padding** puts zeros around the input, so
# that the kernel also fits at the border. The **stride** is the step from place to place; a stride
# of 2 halves the output. With $n$ inputs, $k$ weights, $a$ zeros on either side and stride $s$
# there are
#
# $$ \left\lfloor \frac{n + 2a - k}{s} \right\rfloor + 1 $$
#
# places.


# %%
def conv1d(x, w, stride=1, padding=0):
    X = np.pad(x, padding)
    y = np.zeros((len(X) - len(w)) // stride + 1)
    for p in range(len(y)):
        for i in range(len(w)):
            y[p] += X[stride * p + i] * w[i]
    return y


x, w = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 1.0, 1.0])
print("as many as before:", conv1d(x, w, padding=1))
print("every second one: ", conv1d(x, w, padding=1, stride=2))
assert conv1d(x, w, padding=1).sum() == 39  # the sum that the book prints

# %% [markdown]
# ## 3. The gradients: who met whom?
#
# Let $G_p$ be the gradient of the loss with respect to $y_p$. All that the forward pass does is one
# line, again and again:
#
#     y[p] += X[s p + i] * w[i]
#
# A product hands its gradient to each factor, multiplied by the other one. So the line becomes two:
#
#     X_grad[s p + i] += G[p] * w[i]
#     w_grad[i]       += G[p] * X[s p + i]
#
# The loops stay as they are. Both are `+=`: an input is used at several places, a weight at all of
# them, and the shares add up. What arrives at the zeros of the padding is cut off at the end.


# %%
def conv1d_backward(G, x, w, stride=1, padding=0):
    X = np.pad(x, padding)
    X_grad, w_grad = np.zeros_like(X), np.zeros_like(w)
    for p in range(len(G)):
        for i in range(len(w)):
            X_grad[stride * p + i] += G[p] * w[i]
            w_grad[i] += G[p] * X[stride * p + i]
    return X_grad[padding : padding + len(x)], w_grad


x, w = rng.standard_normal(7), rng.standard_normal(3)
report = check_gradients((conv1d, conv1d_backward), (x, w))
print(report)
assert report

# %% [markdown]
# `check_gradients` moved every number of `x` and `w` a little, and watched the output. It drew a
# random `G`; you will soon see why not ones. Now with padding and stride:

# %%
for stride in (1, 2, 3):
    for padding in (0, 1, 2):
        options = {"stride": stride, "padding": padding}
        pair = partial(conv1d, **options), partial(conv1d_backward, **options)
        assert check_gradients(pair, (x, w)), options
print("nine combinations, all right")

# %% [markdown]
# ### Why the kernel turns round
#
# Look at one input from behind. With stride 1, input 3 is met by output 3 through weight 0, by
# output 2 through weight 1, by output 1 through weight 2. The later the output, the earlier the
# weight: seen from the input, the kernel lies the other way round.


# %%
def draw_wires(ax, wires, title):
    colours = [BLUE, ORANGE, GREY]
    for p, k, i in wires:
        ax.plot([k, p + 1], [0, 1], color=colours[i], linewidth=2)
        ax.text(k + (p + 1 - k) * 0.5, 0.5, f"w{i}", color=colours[i], ha="center",
                bbox={"color": "white", "pad": 1})  # fmt: skip
    for k in range(7):
        ax.text(k, -0.14, f"x{k}", ha="center")
    for p in range(5):
        ax.text(p + 1, 1.07, f"y{p}", ha="center")
    ax.set_xlim(-0.5, 6.5)
    ax.set_ylim(-0.25, 1.25)
    ax.set_title(title)
    ax.axis("off")


fig, axes = plt.subplots(1, 2, figsize=(8, 2.4))
draw_wires(axes[0], [(2, 2 + i, i) for i in range(3)], "forward: what output 2 sees")
draw_wires(axes[1], [(3 - i, 3, i) for i in range(3)], "backward: what sees input 3")

# %% [markdown]
# So the input gradient is itself a convolution: of `G` with zeros around it, and the kernel
# flipped.

# %%
G = rng.standard_normal(5)
right = conv1d_backward(G, x, w)[0]
flipped = conv1d(G, w[::-1], padding=len(w) - 1)
np.testing.assert_allclose(flipped, right, rtol=0, atol=1e-14)
print("kernel flipped:    ", flipped.round(3))
print("kernel not flipped:", conv1d(G, w, padding=len(w) - 1).round(3))

# %% [markdown]
# ## 4. Batches
#
# Several sequences share one kernel. Each has its own output and its own input gradient; the
# gradients of the kernel add up over the batch.


# %%
def conv1d_batch(x, w, stride=1, padding=0):
    return np.stack([conv1d(one, w, stride, padding) for one in x])


def conv1d_batch_backward(G, x, w, stride=1, padding=0):
    x_grad, w_grad = np.zeros_like(x), np.zeros_like(w)
    for n in range(len(x)):
        x_grad[n], share = conv1d_backward(G[n], x[n], w, stride, padding)
        w_grad += share
    return x_grad, w_grad


batch = rng.standard_normal((4, 7))
assert check_gradients((conv1d_batch, conv1d_batch_backward), (batch, w))
books = np.array([np.arange(7.0), np.arange(1.0, 8.0)])
G, ones = np.ones((2, 7)), np.ones(3)
print("the book's example:", conv1d_batch_backward(G, books, ones, padding=1)[1])
assert conv1d_batch_backward(G, books, ones, padding=1)[1].tolist() == [36, 49, 48]

# %% [markdown]
# ## 5. Two dimensions
#
# An image has two axes to slide along. Nothing else is new:
#
# $$ y_{pq} = \sum_{i,j} X_{sp+i,\;sq+j} \; w_{ij} $$
#
# These are four loops, two over the places and two over the weights; `np.ndindex` runs through
# several at once.


# %%
def image_conv(x, w, stride=1, padding=0):
    X = np.pad(x, padding)
    height = (X.shape[0] - w.shape[0]) // stride + 1
    width = (X.shape[1] - w.shape[1]) // stride + 1
    y = np.zeros((height, width))
    for p, q in np.ndindex(height, width):
        for i, j in np.ndindex(*w.shape):
            y[p, q] += X[stride * p + i, stride * q + j] * w[i, j]
    return y


# %% [markdown]
# One output pixel, looked at closely: the orange patch of the image, times the kernel, entry by
# entry, added up.

# %%
small = rng.integers(0, 4, (6, 6)).astype(float)
cross = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
result = image_conv(small, cross)
fig, axes = plt.subplots(1, 3, figsize=(8, 2.7), width_ratios=(6, 3, 4))
for ax, numbers, title in zip(
    axes, (small, cross, result), ("image, 6 × 6", "kernel, 3 × 3", "output, 4 × 4"), strict=True
):
    ax.imshow(numbers, cmap="RdBu_r", vmin=-16, vmax=16)
    for (i, j), number in np.ndenumerate(numbers):
        ax.text(j, i, f"{number:.0f}", ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[])
box = {"fill": False, "edgecolor": ORANGE, "linewidth": 3}
axes[0].add_patch(plt.Rectangle((1.5, 0.5), 3, 3, **box))
axes[2].add_patch(plt.Rectangle((1.5, 0.5), 1, 1, **box))
assert result[1, 2] == (small[1:4, 2:5] * cross).sum()

# %% [markdown]
# And on a digit, with a ring of zeros around it, so that the image keeps its size:


# %%
def slide_2d(image, w):
    return image_conv(image, w, padding=len(w) // 2)


digit = datasets.mnist().X_test[0, 0].astype(float)
edge = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
kernels = {"blur": np.ones((3, 3)) / 9, "upright edges": edge, "level edges": edge.T}
fig, axes = plt.subplots(1, 4, figsize=(8, 2.3))
axes[0].imshow(digit, cmap="Greys")
axes[0].set_title("a digit")
for ax, (name, kernel) in zip(axes[1:], kernels.items(), strict=True):
    ax.imshow(slide_2d(digit, kernel), cmap="RdBu_r", vmin=-4, vmax=4)
    ax.set_title(name)
for ax in axes:
    ax.axis("off")

# %% [markdown]
# Red is positive, blue negative: a left edge of the stroke has the other sign than a right one.
#
# Backward, the line in the middle becomes two, as in one dimension:


# %%
def image_conv_backward(G, x, w, stride=1, padding=0):
    X = np.pad(x, padding)
    X_grad, w_grad = np.zeros_like(X), np.zeros_like(w)
    for p, q in np.ndindex(*G.shape):
        for i, j in np.ndindex(*w.shape):
            X_grad[stride * p + i, stride * q + j] += G[p, q] * w[i, j]
            w_grad[i, j] += G[p, q] * X[stride * p + i, stride * q + j]
    height, width = x.shape
    return X_grad[padding : padding + height, padding : padding + width], w_grad


x, w = rng.standard_normal((5, 7)), rng.standard_normal((3, 2))
for options in ({}, {"padding": 1}, {"stride": 2}, {"stride": 2, "padding": 1}):
    pair = partial(image_conv, **options), partial(image_conv_backward, **options)
    assert check_gradients(pair, (x, w)), options
print("both gradients are right, with and without padding and stride")

# %% [markdown]
# ## 6. Channels
#
# A colour image has three channels, and the outputs of many kernels are many channels for the next
# layer. Each output channel $o$ sees **all** input channels $c$, each through a kernel of its own:
#
# $$ y_{nopq} = \sum_{c,i,j} X_{n,\,c,\,sp+i,\,sq+j} \; W_{coij} $$
#
# Images are `(batch, channels, height, width)`, weights `(in, out, height, width)`, as in the book.
# With the loops over batch and channels these are seven:


# %%
def conv2d(x, W, stride=1, padding=0):
    X = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height = (X.shape[2] - W.shape[2]) // stride + 1
    width = (X.shape[3] - W.shape[3]) // stride + 1
    y = np.zeros((len(x), W.shape[1], height, width))
    for n, o, p, q in np.ndindex(*y.shape):
        for c, i, j in np.ndindex(W.shape[0], *W.shape[2:]):
            y[n, o, p, q] += X[n, c, stride * p + i, stride * q + j] * W[c, o, i, j]
    return y


# %% [markdown]
# Backward, the one line in the middle becomes two again:


# %%
def conv2d_backward(G, x, W, stride=1, padding=0):
    X = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    X_grad, W_grad = np.zeros_like(X), np.zeros_like(W)
    for n, o, p, q in np.ndindex(*G.shape):
        for c, i, j in np.ndindex(W.shape[0], *W.shape[2:]):
            row, column = stride * p + i, stride * q + j
            X_grad[n, c, row, column] += G[n, o, p, q] * W[c, o, i, j]
            W_grad[c, o, i, j] += G[n, o, p, q] * X[n, c, row, column]
    height, width = x.shape[2:]
    return X_grad[:, :, padding : padding + height, padding : padding + width], W_grad


options = {"stride": 2, "padding": 1}
images, W = rng.standard_normal((2, 2, 5, 6)), rng.standard_normal((2, 3, 3, 2))
pair = partial(conv2d, **options), partial(conv2d_backward, **options)
assert check_gradients(pair, (images, W))
print("output", conv2d(images, W, **options).shape, "- both gradients are right")

# %% [markdown]
# Batch, channels, an image that is no square, a kernel that is no square, a stride and a padding:
# the check used them all. A mistake can hide behind any number that is 1, or equal to another.
#
# What is the sum over channels good for? Let a first convolution make two channels from the digit,
# one with its upper edges, one with its left edges. A second one blurs both and adds them up, minus
# a constant: only where *both* are near is something left. The level bar has an upper edge and no
# left one; what remains is the slanted stroke.

# %%
blur = np.ones((3, 3)) / 9
first = np.stack([edge.T, edge])[None]  # one channel in, two out
second = np.stack([blur, blur])[:, None]  # two in, one out
edges = np.maximum(conv2d(digit[None, None], first, padding=1), 0)
slanted = np.maximum(conv2d(edges, second, padding=1) - 2.2, 0)
fig, axes = plt.subplots(1, 4, figsize=(8, 2.3))
named = {"the digit": digit, "channel 0: upper edges": edges[0, 0],
         "channel 1: left edges": edges[0, 1], "added: slanted": slanted[0, 0]}  # fmt: skip
for ax, (name, image) in zip(axes, named.items(), strict=True):
    ax.imshow(image, cmap="Greys" if image is digit else "magma")
    ax.set_title(name)
    ax.axis("off")
bar, stroke = slanted[0, 0, :11].sum(), slanted[0, 0, 11:].sum()
assert bar < 0.2 * stroke, (bar, stroke)

# %% [markdown]
# Nobody writes such kernels by hand. [Convolution_Demos](Convolution_Demos.ipynb) lets a network
# find its own, and draws them.
#
# ## 7. As an Operation
#
# An Operation keeps its input and answers for both gradients (chapter 3). Wrapped in one, our loops
# could be a layer of any network; they would only be slow.


# %%
class LoopConv2D(ParamOperation):
    def __init__(self, W, stride=1, padding=0):
        super().__init__(W)
        self.stride, self.padding = stride, padding

    def _output(self):
        return conv2d(self.input_, self.param, self.stride, self.padding)

    def _input_grad(self, output_grad):
        return self._both(output_grad)[0]

    def _param_grad(self, output_grad):
        return self._both(output_grad)[1]

    def _both(self, output_grad):
        return conv2d_backward(output_grad, self.input_, self.param, self.stride, self.padding)


assert check_gradients(LoopConv2D(W, 2, 1), images)

# %% [markdown]
# ## 8. The book's way: patches and one matrix product
#
# Loops in Python are slow. The book cuts out every patch that the kernel sees, writes each as a
# row, and multiplies the rows with the weights: one matrix product, which NumPy does fast. Here is
# that idea, with padding "same": the image keeps its size. (`sliding_window_view` is the cutting
# out. The rest brings the axes into the right order.)


# %%
def patches(x, size):
    """Return every patch as a row: (batch, pixels, channels * size * size)."""
    half = size // 2
    X = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    windows = np.lib.stride_tricks.sliding_window_view(X, (size, size), axis=(2, 3))
    batch, _, height, width = x.shape
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch, height * width, -1)


class PatchConv2D(ParamOperation):
    def _output(self):
        batch, _, height, width = self.input_.shape
        columns = self.param.transpose(0, 2, 3, 1).reshape(-1, self.param.shape[1])
        rows = patches(self.input_, self.param.shape[2]) @ columns
        return rows.transpose(0, 2, 1).reshape(batch, -1, height, width)


square, W3 = rng.standard_normal((2, 2, 6, 6)), rng.standard_normal((2, 4, 3, 3))
by_patches = PatchConv2D(W3).forward(square)
np.testing.assert_allclose(by_patches, conv2d(square, W3, padding=1), rtol=0, atol=1e-13)

# %% [markdown]
# The forward pass is right. These are the gradients that the book's library takes, written anew:
#
# - the input gradient: patches of the output gradient, times the weights;
# - the weight gradient: all patches, times all output gradients.
#
# Read them once. They look right, they have the right shapes, and a network trains with them.


# %%
class BookConv2D(PatchConv2D):
    def _input_grad(self, output_grad):
        batch, channels, height, width = self.input_.shape
        rows = patches(output_grad, self.param.shape[2]) @ self.param.reshape(channels, -1).T
        return rows.transpose(0, 2, 1).reshape(batch, channels, height, width)

    def _param_grad(self, output_grad):
        channels, outputs, size, _ = self.param.shape
        rows = patches(self.input_, size).transpose(1, 0, 2)  # pixel by pixel, as they were cut
        rows = rows.reshape(-1, channels * size * size)
        grads = output_grad.transpose(0, 2, 3, 1).reshape(-1, outputs)  # image by image
        return (rows.T @ grads).reshape(channels, size, size, outputs).transpose(0, 3, 1, 2)


# %% [markdown]
# ### A check with ones passes
#
# The book tests a gradient by adding 1 to a number and looking at the *sum* of the outputs. That is
# an output gradient of all ones. Compare with our loops under such a gradient, and under a random
# one:


# %%
def compare(G):
    grads = []
    for operation in (BookConv2D(W3), LoopConv2D(W3, padding=1)):
        operation.forward(square)
        grads.append((operation.backward(G), operation.param_grad))
    (book_x, book_W), (right_x, right_W) = grads
    return np.abs(book_x - right_x)[0, 0], np.abs(book_W - right_W)


ones_x, ones_W = compare(np.ones((2, 4, 6, 6)))
drawn_x, drawn_W = compare(rng.standard_normal((2, 4, 6, 6)))
for name, x_off, W_off in (("ones", ones_x, ones_W), ("random", drawn_x, drawn_W)):
    inside = x_off[1:-1, 1:-1].max()
    print(
        f"{name:<7} weight gradient off by {W_off.max():.0e}, input gradient inside by {inside:.0e}"
    )
assert max(ones_W.max(), ones_x[1:-1, 1:-1].max()) < 1e-12
assert min(drawn_W.max(), drawn_x[1:-1, 1:-1].max()) > 1

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6))
for ax, error, title in zip(axes, (ones_x, drawn_x), ("ones", "random numbers"), strict=True):
    drawing = ax.imshow(error, cmap="Oranges", vmin=0)
    ax.set_title(f"error of the input gradient,\noutput gradient: {title}")
    ax.set_xticks([])
    ax.set_yticks([])
    fig.colorbar(drawing, ax=ax)

# %% [markdown]
# With ones, every patch gets the same gradient. It does not matter then which weight meets which
# pixel, and only the border, where zeros come in, gives the unflipped kernel away. And if all rows
# of a matrix are equal, nobody notices that they are in the wrong order.
#
# ### A check with random numbers fails, and says why

# %%
report = check_gradients(BookConv2D(W3), square)
print(report)
assert [hint.kind for hint in report.hints][:2] == ["kernel_flipped", "axes_mixed"]

# %% [markdown]
# Two mistakes, one line each:
#
# 1. The input gradient must use the kernel **flipped**: `self.param[:, :, ::-1, ::-1]`.
# 2. The patches are sorted by pixel and then by image, the output gradients by image and then by
#    pixel. The product multiplies pixels of one image with gradients of another. With a batch of
#    one image it would be right.


# %%
class MendedConv2D(PatchConv2D):
    def _input_grad(self, output_grad):
        batch, channels, height, width = self.input_.shape
        turned = self.param[:, :, ::-1, ::-1].reshape(channels, -1)
        rows = patches(output_grad, self.param.shape[2]) @ turned.T
        return rows.transpose(0, 2, 1).reshape(batch, channels, height, width)

    def _param_grad(self, output_grad):
        channels, outputs, size, _ = self.param.shape
        rows = patches(self.input_, size).reshape(-1, channels * size * size)
        grads = output_grad.transpose(0, 2, 3, 1).reshape(-1, outputs)
        return (rows.T @ grads).reshape(channels, size, size, outputs).transpose(0, 3, 1, 2)


assert check_gradients(MendedConv2D(W3), square)
print("both gradients are right")

# %% [markdown]
# ## 9. The same from dlfs
#
# `dlfs.conv.Conv2D_Op` and `Conv1D_Op` also take rectangular kernels, "same" padding, dilation and
# groups. They hand the arithmetic to a backend: `dlfs/reference/conv.py` in NumPy, to be read, or
# the compiled kernels. All give your numbers.

# %%
ours = LoopConv2D(W, 2, 1)
y = ours.forward(images)
G = rng.standard_normal(y.shape)
x_grad = ours.backward(G)
for name in available_backends():
    with use_backend(name):
        theirs = Conv2D_Op(W, stride=2, padding=1)
        np.testing.assert_allclose(theirs.forward(images), y, rtol=0, atol=1e-13)
        np.testing.assert_allclose(theirs.backward(G), x_grad, rtol=0, atol=1e-13)
        np.testing.assert_allclose(theirs.param_grad, ours.param_grad, rtol=0, atol=1e-12)
        assert check_gradients(Conv1D_Op(rng.standard_normal((2, 3, 3))), images[:, :, 0])
        print(f"{name}: the same output, the same gradients")

# %% [markdown]
# They differ in one thing only. Chapter 9 of these notebooks shows where the time goes.

# %%
some, W5 = rng.standard_normal((2, 1, 28, 28)), rng.standard_normal((1, 4, 5, 5))
alternatives = {
    "loops in Python": lambda: conv2d(some, W5, padding=2),
    "patches": lambda: PatchConv2D(W5).forward(some),
    f"dlfs ({backend_name()})": lambda: Conv2D_Op(W5).forward(some),
}
for name, seconds in interleaved(alternatives, seconds=0.5).items():
    print(f"{name:<18}{readable(seconds):>10}")

# %% [markdown]
# ## Exercises
#
# Replace each `...` and run the cell, then the check below it: it says whether you are right, and
# if not, what it looks like. The solutions are folded away.
#
# ### 1. Dilation
#
# With dilation $d$ the kernel's weights sit $d$ apart: $y_p = \sum_i x_{p+di}
# w_i$. Write the forward pass and both gradients, without padding and stride.


# %% tags=["exercise:dilation"]
def dilated(x, w, d=2): ...


def dilated_backward(G, x, w, d=2): ...


# %%
def try_dilation(forward):
    if forward(np.arange(6.0), np.array([1.0, 10.0])).tolist() != [20, 31, 42, 53]:
        return "The forward pass is not right yet. How many places are there?"
    return check_gradients(
        (forward, dilated_backward), (np.arange(8.0) / 9, np.array([1.0, -2, 3]))
    )


check(
    "dilation",
    dilated,
    try_dilation,
    hint="Start from conv1d and conv1d_backward: only the index p + i becomes p + d * i.",
)

# %% [markdown] tags=["solution:dilation"]
# <details><summary>Solution</summary>
#
# ```python
# def dilated(x, w, d=2):
#     y = np.zeros(len(x) - d * (len(w) - 1))
#     for p in range(len(y)):
#         for i in range(len(w)):
#             y[p] += x[p + d * i] * w[i]
#     return y
#
#
# def dilated_backward(G, x, w, d=2):
#     x_grad, w_grad = np.zeros_like(x), np.zeros_like(w)
#     for p in range(len(G)):
#         for i in range(len(w)):
#             x_grad[p + d * i] += G[p] * w[i]
#             w_grad[i] += G[p] * x[p + d * i]
#     return x_grad, w_grad
# ```
#
# </details>

# %% [markdown]
# ### 2. A kernel by hand
#
# Find the 3 × 3 kernel that moves an image one pixel to the **right**
# (with `slide_2d`; what comes in at the left is 0).

# %% tags=["exercise:shift"]
shift = ...


# %%
def try_shift(kernel):
    moved = slide_2d(digit, np.asarray(kernel, dtype=float))
    expected = np.pad(digit, ((0, 0), (1, 0)))[:, :-1]
    if np.array_equal(moved, np.pad(digit, ((0, 0), (0, 1)))[:, 1:]):
        return "It moves to the left: the kernel reads what lies where its weight is."
    return bool(np.array_equal(moved, expected))


check("shift", shift, try_shift, hint="One weight is 1, all others 0.")

# %% [markdown] tags=["solution:shift"]
# <details><summary>Solution</summary>
#
# ```python
# shift = [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
# ```
#
# To move to the right, each pixel must take what lies on its left.
#
# </details>

# %% [markdown]
# ### 3. Average pooling
#
# Each output pixel is the mean of a 2 × 2 block of one channel. What is the
# gradient of the input?


# %% tags=["exercise:pooling"]
class AveragePool(Operation):
    def _output(self):
        batch, channels, height, width = self.input_.shape
        blocks = self.input_.reshape(batch, channels, height // 2, 2, width // 2, 2)
        return blocks.mean(axis=(3, 5))

    def _input_grad(self, output_grad): ...


# %%
check(
    "pooling",
    AveragePool,
    lambda kind: check_gradients(kind(), images[:, :, :3].repeat(2, axis=2)),
    hint="Every input counts a quarter in one output. np.repeat makes two rows of one.",
)

# %% [markdown] tags=["solution:pooling"]
# <details><summary>Solution</summary>
#
# ```python
# class AveragePool(AveragePool):
#     def _input_grad(self, output_grad):
#         return output_grad.repeat(2, axis=2).repeat(2, axis=3) / 4
# ```
#
# Each of the four pixels is a quarter of the mean.
#
# </details>

# %% [markdown]
# ### 4. One number for each channel
#
# A convolutional layer adds a bias: the same number to every
# pixel of an output channel. Its parameter has the shape `(1, channels, 1, 1)`.


# %% tags=["exercise:bias"]
class ChannelBias(ParamOperation):
    def _output(self):
        return self.input_ + self.param

    def _input_grad(self, output_grad):
        return output_grad

    def _param_grad(self, output_grad): ...


# %%
check(
    "bias",
    ChannelBias,
    lambda kind: check_gradients(kind(np.ones((1, 2, 1, 1))), images),
    hint="What is copied forward is summed backward. Along which three axes was it copied?",
)

# %% [markdown] tags=["solution:bias"]
# <details><summary>Solution</summary>
#
# ```python
# class ChannelBias(ChannelBias):
#     def _param_grad(self, output_grad):
#         return output_grad.sum(axis=(0, 2, 3), keepdims=True)
# ```
#
# It is used for every image and every pixel, so all those gradients add up.
#
# </details>

# %% [markdown]
# ## What comes next
#
# [Math](Math.ipynb) derives the formulas, sizes and the transposed convolution.
# [Convolution_Demos](Convolution_Demos.ipynb) trains convolutions on all digits.
