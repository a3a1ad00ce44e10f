# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 5: convolutions, loop by loop
#
# You write a convolution with plain loops, derive its gradients, and check each of them. Then you
# look at the convolution of the book's library: networks train with it, although its gradients have
# two mistakes. You need NumPy and the chain rule of chapter 1.

# %% tags=["hide-input"]
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from dlfs import available_backends, backend_name, datasets, use_backend
from dlfs.base import Operation, ParamOperation
from dlfs.conv import Conv1D_Op, Conv2D_Op
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.commands.stopwatch import interleaved, readable
from dlfs.plots import BLUE, GREY, ORANGE, with_handles

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(5)
print("backend:", backend_name())

# %% [markdown]
# ## 1. A sum that slides
#
# A dense layer connects every input with every output. For an image this is wasteful: an edge looks
# the same wherever it is, and a pixel is related to its neighbours more than to a far corner. So a
# **convolution** has only a few weights, its **kernel**, and slides them over the input. At each
# place it multiplies every weight by the number that lies under it, and adds the products:
#
# $$ y_p = \sum_i x_{p+i} \, w_i $$
#
# $x$ is the input, $w$ the kernel and $y$ the output; $p$ is the place, and $i$ counts the weights.


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
# The same loop can smooth a signal or find its jumps; only the weights differ. Five equal weights
# take the mean of five neighbours. Three negative and three positive weights give 0 where the
# signal is constant, a positive number where it rises, and a negative one where it falls. A network
# learns such weights from its data.

# %%
signal = np.repeat([0.0, 1.0, 0.3, 0.3, 1.2, 0.1], 12) + 0.06 * rng.standard_normal(72)
smooth = slide(signal, np.array([1, 1, 1, 1, 1]) / 5)
jumps = slide(signal, np.array([-1, -1, -1, 1, 1, 1]) / 3)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(8, 2.4), sharex=True)
axes[0].plot(signal, color=GREY)
axes[0].set_title("a signal with noise")
axes[1].plot(smooth, color=BLUE)
axes[1].set_title("kernel (1, 1, 1, 1, 1) / 5")
axes[2].plot(jumps, color=ORANGE)
axes[2].set_title("kernel (−1, −1, −1, 1, 1, 1) / 3")
for ax in axes:
    ax.set_xlabel("position")

# %% [markdown]
# ## 2. Padding and stride
#
# Above, five numbers went in and only three came out. **Padding** puts zeros around the input, so
# that the kernel also fits at the border. The **stride** is the step from one place to the next; a
# stride of 2 halves the output. With $n$ inputs, $k$ weights, $a$ zeros on either side and stride
# $s$ there are
#
# $$ \left\lfloor \frac{n + 2a - k}{s} \right\rfloor + 1 $$
#
# places. ($\lfloor \cdot \rfloor$ rounds down.)


# %%
def conv1d(x, w, stride=1, padding=0):
    X = np.pad(x, padding)
    y = np.zeros((len(X) - len(w)) // stride + 1)
    for p in range(len(y)):
        for i in range(len(w)):
            y[p] += X[stride * p + i] * w[i]
    return y


x, w = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 1.0, 1.0])
print("padding 1:          ", conv1d(x, w, padding=1))
print("padding 1, stride 2:", conv1d(x, w, padding=1, stride=2))

# %% tags=["remove-cell"]
assert conv1d(x, w, padding=1).sum() == 39  # the sum that the book prints

# %% [markdown]
# ## 3. The gradients
#
# Let $G_p$ be the gradient of the loss with respect to $y_p$. The forward pass repeats one line:
#
#     y[p] += X[s p + i] * w[i]
#
# The derivative of a product with respect to one factor is the other factor. So the backward pass
# repeats two lines:
#
#     X_grad[s p + i] += G[p] * w[i]
#     w_grad[i]       += G[p] * X[s p + i]
#
# The loops stay the same. Both lines have `+=`: an input is used at several places, a weight at all
# places, and the gradients of all uses add up (chapter 1). The padding's zeros have a gradient too;
# it is not needed, and is cut off at the end.


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

# %% tags=["remove-cell"]
assert report

# %% [markdown]
# `check_gradients` changes every number of `x` and `w` a little, and compares the change of the
# output with our gradients. It draws `G` at random. (Section 8 shows what a `G` of ones would
# miss.) Now with padding and stride:

# %%
for stride in (1, 2, 3):
    for padding in (0, 1, 2):
        options = {"stride": stride, "padding": padding}
        pair = partial(conv1d, **options), partial(conv1d_backward, **options)
        assert check_gradients(pair, (x, w)), options
print("the gradients are right for all nine combinations")

# %% [markdown]
# ### Why the kernel is flipped
#
# Which outputs use input 3? With stride 1, output 3 uses it with weight 0, output 2 with weight 1,
# and output 1 with weight 2. The later the output, the earlier the weight: from the input's side,
# the kernel is flipped.


# %% tags=["hide-input"]
def draw_wires(ax, wires, title):
    colours = [BLUE, ORANGE, GREY]
    for p, k, i in wires:
        ax.plot([k, p + 1], [0, 1], color=colours[i], linewidth=2)
        box = {"color": "white", "pad": 1}
        ax.text(k + (p + 1 - k) * 0.5, 0.5, f"w{i}", color=colours[i], ha="center", bbox=box)
    for k in range(7):
        ax.text(k, -0.14, f"x{k}", ha="center")
    for p in range(5):
        ax.text(p + 1, 1.07, f"y{p}", ha="center")
    ax.set_xlim(-0.5, 6.5)
    ax.set_ylim(-0.25, 1.25)
    ax.set_title(title)
    ax.axis("off")


fig, axes = plt.subplots(1, 2, figsize=(8, 2.4))
draw_wires(axes[0], [(2, 2 + i, i) for i in range(3)], "forward: the inputs of output 2")
draw_wires(axes[1], [(3 - i, 3, i) for i in range(3)], "backward: the outputs that use input 3")

# %% [markdown]
# So the input gradient is itself a convolution: of `G`, with zeros around it, and the flipped
# kernel.

# %%
G = rng.standard_normal(5)
right = conv1d_backward(G, x, w)[0]
flipped = conv1d(G, w[::-1], padding=len(w) - 1)
print("from the loops:    ", right.round(3))
print("kernel flipped:    ", flipped.round(3))
print("kernel not flipped:", conv1d(G, w, padding=len(w) - 1).round(3))

# %% tags=["remove-cell"]
np.testing.assert_allclose(flipped, right, rtol=0, atol=1e-14)

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

# %% [markdown]
# The book computes the gradient of its kernel of ones for these two sequences, and finds the same:

# %%
books = np.array([np.arange(7.0), np.arange(1.0, 8.0)])
G, ones = np.ones((2, 7)), np.ones(3)
print(conv1d_batch_backward(G, books, ones, padding=1)[1])

# %% tags=["remove-cell"]
assert conv1d_batch_backward(G, books, ones, padding=1)[1].tolist() == [36, 49, 48]

# %% [markdown]
# ## 5. Two dimensions
#
# An image has two axes to slide along. Nothing else is new:
#
# $$ y_{pq} = \sum_{i,j} X_{sp+i,\;sq+j} \; w_{ij} $$
#
# These are four loops, two over the places and two over the weights. `np.ndindex` runs several
# loops at once.


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
# Here is one output pixel in detail. The orange patch of the image is multiplied by the kernel,
# number by number, and the products are added:

# %%
small = rng.integers(0, 4, (6, 6)).astype(float)
cross = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
result = image_conv(small, cross)
print((small[1:4, 2:5] * cross).sum(), "=", result[1, 2])

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(8, 2.7), width_ratios=(6, 3, 4))
titles = "image, 6 × 6", "kernel, 3 × 3", "output, 4 × 4"
for ax, numbers, title in zip(axes, (small, cross, result), titles):
    ax.imshow(numbers, cmap="RdBu_r", vmin=-16, vmax=16)
    for (i, j), number in np.ndenumerate(numbers):
        ax.text(j, i, f"{number:.0f}", ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[])
box = {"fill": False, "edgecolor": ORANGE, "linewidth": 3}
axes[0].add_patch(plt.Rectangle((1.5, 0.5), 3, 3, **box))
axes[2].add_patch(plt.Rectangle((1.5, 0.5), 1, 1, **box))
assert result[1, 2] == (small[1:4, 2:5] * cross).sum()
plt.show()

# %% [markdown]
# Now a digit. One ring of zeros around it keeps the image's size. The kernel `edge` subtracts the
# pixels on the left of a place from those on its right, so it finds upright edges; its transpose
# finds level ones.


# %%
def slide_2d(image, w):
    return image_conv(image, w, padding=len(w) // 2)


digit = datasets.mnist().X_test[0, 0].astype(float)
edge = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
kernels = {"blur": np.ones((3, 3)) / 9, "upright edges": edge, "level edges": edge.T}

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 4, figsize=(8, 2.3))
axes[0].imshow(digit, cmap="Greys")
axes[0].set_title("a digit")
for ax, (name, kernel) in zip(axes[1:], kernels.items()):
    ax.imshow(slide_2d(digit, kernel), cmap="RdBu_r", vmin=-4, vmax=4)
    ax.set_title(name)
for ax in axes:
    ax.axis("off")

# %% [markdown]
# Red is positive, blue negative: a left edge of a stroke has the opposite sign of a right edge.
#
# **Move the kernel yourself.** When you run the next cell, a menu and two sliders choose the kernel
# and its place.
# (On a page, or without ipywidgets, you see the picture of one place.) The nine numbers under the
# orange square, times the nine weights, add up to the marked pixel of the output. Where is the sum
# largest? Where is it negative?


# %% tags=["hide-input"]
def place(kernel="upright edges", row=25, column=10):
    """Draw one place of a kernel on the digit, and the output."""
    w, output = kernels[kernel], slide_2d(digit, kernels[kernel])
    patch = np.pad(digit, 1)[row : row + 3, column : column + 3]
    fig, axes = plt.subplots(1, 4, figsize=(8, 2.5), width_ratios=(4, 3, 3, 4))
    axes[0].imshow(digit, cmap="Greys")
    axes[1].imshow(patch, cmap="Greys", vmin=0, vmax=2)
    axes[2].imshow(w, cmap="RdBu_r", vmin=-4, vmax=4)
    axes[3].imshow(output, cmap="RdBu_r", vmin=-4, vmax=4)
    for ax, numbers in ((axes[1], patch), (axes[2], w)):
        for (i, j), number in np.ndenumerate(numbers):
            ax.text(j, i, f"{number:.2f}", ha="center", va="center")
    titles = "the digit", "under the kernel", f"kernel: {kernel}", f"sum: {output[row, column]:.2f}"
    for ax, title in zip(axes, titles):
        ax.set(title=title, xticks=[], yticks=[])
    frame = {"fill": False, "edgecolor": ORANGE, "linewidth": 2}
    axes[0].add_patch(plt.Rectangle((column - 1.5, row - 1.5), 3, 3, **frame))
    axes[0].set(xlim=(-1.8, 28.8), ylim=(28.8, -1.8))
    frame["edgecolor"] = "black"
    axes[3].add_patch(plt.Rectangle((column - 1, row - 1), 2, 2, **frame))
    return fig


with_handles(place, kernel=list(kernels), row=range(28), column=range(28))

# %% [markdown]
# Backward, the innermost line becomes two, as in one dimension:


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
# A colour image has three **channels**: red, green and blue. The outputs of several kernels are the
# channels of the next layer. Each output channel $o$ has a kernel for **every** input channel $c$,
# and adds their results. With $n$ for the image and $X$ for the padded input,
#
# $$ y_{nopq} = \sum_{c,i,j} X_{n,\,c,\,sp+i,\,sq+j} \; W_{coij} $$
#
# Images have the shape `(batch, channels, height, width)`, and weights `(in, out, height, width)`,
# as in the book. With batch and channels there are seven loops:


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
# Backward, the innermost line becomes two again:


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
# The check used two images, several channels, an image and a kernel that are not square, a stride
# and a padding. This is on purpose: a mistake can stay hidden where one of these sizes is 1, or
# where two of them are equal.
#
# Why add over the channels? Here is an example. A first convolution makes two channels from the
# digit: its upper edges and its left edges. A second one blurs both, adds them, and subtracts a
# constant. So the result is positive only where *both* kinds of edges are near. The level bar has
# an upper edge but no left one, and disappears; the slanted stroke remains.

# %%
blur = np.ones((3, 3)) / 9
first = np.stack([edge.T, edge])[None]  # one channel in, two out
second = np.stack([blur, blur])[:, None]  # two in, one out
edges = np.maximum(conv2d(digit[None, None], first, padding=1), 0)
slanted = np.maximum(conv2d(edges, second, padding=1) - 2.2, 0)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 4, figsize=(8, 2.3))
shown = digit, edges[0, 0], edges[0, 1], slanted[0, 0]
titles = "the digit", "channel 0: upper edges", "channel 1: left edges", "added: slanted"
for ax, image, title in zip(axes, shown, titles):
    ax.imshow(image, cmap="Greys" if image is digit else "magma")
    ax.set_title(title)
    ax.axis("off")
bar, stroke = slanted[0, 0, :11].sum(), slanted[0, 0, 11:].sum()
assert bar < 0.2 * stroke, (bar, stroke)
plt.show()

# %% [markdown]
# Such kernels are not written by hand; a network learns them.
# [Convolution_Demos](Convolution_Demos.ipynb) trains one, and draws its kernels.
#
# ## 7. As an Operation
#
# An Operation keeps its input, and computes its output and both gradients (chapter 3). As an
# Operation, our loops could be part of any network. They would only be slow.


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


print(check_gradients(LoopConv2D(W, 2, 1), images))

# %% tags=["remove-cell"]
assert check_gradients(LoopConv2D(W, 2, 1), images)

# %% [markdown]
# ## 8. The book's way: patches and one matrix product
#
# Loops in Python are slow. The book cuts out every patch that the kernel covers, and writes each as
# a row of a matrix. One product of this matrix with the weights gives all outputs, and NumPy
# computes it quickly. Here is that idea with padding "same", which means that the image keeps its
# size. (`sliding_window_view` cuts out the patches. The other calls bring the axes into the right
# order.)


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
# The forward pass is right. The book's library computes the gradients as follows:
#
# - the input gradient: patches of the output gradient, times the weights;
# - the weight gradient: all patches, times all output gradients.
#
# Read the code below once before you go on. It looks right, the shapes are right, and a network
# trains with it.


# %%
class BookConv2D(PatchConv2D):
    def _input_grad(self, output_grad):
        batch, channels, height, width = self.input_.shape
        rows = patches(output_grad, self.param.shape[2]) @ self.param.reshape(channels, -1).T
        return rows.transpose(0, 2, 1).reshape(batch, channels, height, width)

    def _param_grad(self, output_grad):
        channels, outputs, size, _ = self.param.shape
        rows = patches(self.input_, size).transpose(1, 0, 2)  # by pixel, then by image
        rows = rows.reshape(-1, channels * size * size)
        grads = output_grad.transpose(0, 2, 3, 1).reshape(-1, outputs)  # by image, then by pixel
        return (rows.T @ grads).reshape(channels, size, size, outputs).transpose(0, 3, 1, 2)


# %% [markdown]
# ### A check with ones passes
#
# The book tests a gradient by adding 1 to one number of the input, and comparing the *sums* of the
# outputs. This is a test with an output gradient of ones. We compare the book's gradients with
# those of our loops, first for ones, then for a random output gradient:


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
    print(f"output gradient: {name}")
    print(f"   weight gradient off by {W_off.max():.0e}")
    print(f"   input gradient off by {inside:.0e}, the image's border excepted")

# %% tags=["remove-cell"]
assert max(ones_W.max(), ones_x[1:-1, 1:-1].max()) < 1e-12
assert min(drawn_W.max(), drawn_x[1:-1, 1:-1].max()) > 1

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6))
for ax, error, title in zip(axes, (ones_x, drawn_x), ("ones", "random numbers")):
    drawing = ax.imshow(error, cmap="Oranges", vmin=0)
    ax.set_title(f"error of the input gradient,\noutput gradient: {title}")
    ax.set_xticks([])
    ax.set_yticks([])
    fig.colorbar(drawing, ax=ax)

# %% [markdown]
# With ones, every output pixel has the same gradient. Then it makes no difference which weight
# belongs to which pixel, so the unflipped kernel is wrong only at the border, where the zeros of
# the padding are. And where all rows of a matrix are equal, a wrong order of the rows changes
# nothing.
#
# ### A check with random numbers fails, and says why

# %%
report = check_gradients(BookConv2D(W3), square)
print(report)

# %% tags=["remove-cell"]
assert [hint.kind for hint in report.hints][:2] == ["kernel_flipped", "axes_mixed"]

# %% [markdown]
# There are two mistakes, each in one line:
#
# 1. The input gradient must use the kernel **flipped**: `self.param[:, :, ::-1, ::-1]`.
# 2. The patches are sorted by pixel and then by image, the output gradients by image and then by
#    pixel. So the product multiplies pixels of one image by gradients of another. With a batch of
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
# `dlfs.conv.Conv2D_Op` and `Conv1D_Op` compute what our loops compute, and have more options, such
# as the dilation of exercise 1. A backend does the arithmetic: NumPy (`dlfs/reference/conv.py`,
# which is easy to read) or the compiled kernels. Both give the same numbers as our loops:

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
# They differ in speed. Chapter 9 shows where the time goes.

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
# Replace each `...`, run the cell, and then run the check below it. It says whether the answer is
# right, and if not, why. A click on "Solution" shows one.
#
# ### 1. Dilation
#
# With dilation $d$, neighbouring weights are multiplied by inputs that are $d$ apart: $y_p = \sum_i
# x_{p+di} w_i$. Write the forward pass and both gradients, without padding and stride.


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
# Find the 3 × 3 kernel with which `slide_2d` moves an image one pixel to the **right**. (Zeros come
# in at the left.)

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
# A convolutional layer adds a bias, the same number to every pixel of an output channel. Its
# parameter has the shape `(1, channels, 1, 1)`.


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
# [Math](Math.ipynb) derives the formulas, the sizes, pooling and the transposed convolution.
# [Convolution_Demos](Convolution_Demos.ipynb) trains convolutions on all digits.
