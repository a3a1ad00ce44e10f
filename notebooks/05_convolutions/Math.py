# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 5: the mathematics of convolutions
#
# You derive the convolution's three gradients, the size of its output, the transposed convolution
# and the matrix product behind it, and see what normalization, residual blocks and pooling compute.
# Every formula stands next to the line of dlfs that computes it. A cell checks it, with symbols or
# with numbers. You need the chain rule, and sums with indices.

# %% tags=["hide-input"]
import inspect
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import Conv2D, Dense, Flatten, MaxPool2D, NeuralNetwork, reference, windows
from dlfs.exercises import check
from dlfs.pooling import AvgPool2D as AvgPool2D_Op, MaxPool2D as MaxPool2D_Op
from dlfs.windows import same_ends, transposed_window_2d, window_2d

rng = np.random.default_rng(5)


def quote(source, *starts):
    """Print the lines of a function or module that begin like this."""
    lines = inspect.getsource(source).splitlines()
    found = [line for line in lines if line.strip().startswith(starts)]
    assert found, f"no such line in {source.__name__}"
    print(textwrap.dedent("\n".join(found)))


def close(a, b, terms=200):
    """Whether a and b are equal, up to the rounding of sums of this many terms of size 1."""
    return np.abs(a - b).max() <= 8 * terms * np.finfo(float).eps


# %% [markdown]
# ## 1. A convolution is a sum
#
# $X$ is the padded input, $W$ the kernel, $s$ the stride. With **dilation** $d$, neighbouring
# weights are multiplied by pixels that are $d$ apart. For image $n$, output channel $o$ and output
# pixel $(p, q)$, summed over the input channels $c$ and the kernel's rows $i$ and columns $j$:
#
# $$ Y_{nopq} = \sum_{c,i,j} X_{n,\; c,\; sp+di,\; sq+dj} \; W_{coij} $$
#
# Mathematicians call this a cross-correlation. Their convolution has $p - i$ instead of $p + i$,
# which means a flipped kernel. A network learns its weights, so it makes no difference which of the
# two it uses.
#
# dlfs has the loops in another order (`dlfs/reference/conv.py`, `conv2d`): the outer loop runs over
# the kernel's positions $(i, j)$. For each of them `met` is the part of the padded image `x` that
# this weight is multiplied by: all $X_{n,c,sp+di,sq+dj}$. `pixels` has the same numbers with the
# output pixels $(p, q)$ in one axis of length `places`. The product `@` with the weights of this
# position is the sum over $c$. (`n_in` is the number of input channels. `groups` is 1 in this
# chapter; with more, each output channel uses only some of the input channels.)

# %% tags=["remove-input"]
quote(reference.conv2d, "for ", "pixels =", "output +=")

# %% [markdown]
# Here is the definition itself, and both compared:


# %%
def conv2d(X, W, s=1, d=1):
    """The definition; X is padded already."""
    height = (X.shape[2] - d * (W.shape[2] - 1) - 1) // s + 1
    width = (X.shape[3] - d * (W.shape[3] - 1) - 1) // s + 1
    Y = np.zeros((len(X), W.shape[1], height, width), dtype=X.dtype)
    for n, o, p, q in np.ndindex(*Y.shape):
        for c, i, j in np.ndindex(W.shape[0], *W.shape[2:]):
            Y[n, o, p, q] = Y[n, o, p, q] + X[n, c, s * p + d * i, s * q + d * j] * W[c, o, i, j]
    return Y


X, W = rng.standard_normal((2, 3, 8, 9)), rng.standard_normal((3, 4, 3, 2))
for s in (1, 2, 3):
    for d in (1, 2):
        assert close(conv2d(X, W, s, d), reference.conv2d(X, W, stride=s, dilation=d))
print("the definition and dlfs agree for six pairs of stride and dilation")

# %% [markdown]
# ## 2. The size of the output
#
# The part of the input that one output uses is called its *window*. The kernel's first and last
# weight are $d(k-1)$ apart, so a window covers $d(k-1)+1$ numbers. On an axis of $n$ numbers with
# $a$ zeros before and $b$ after them, the last window begins at place $n + a + b - d(k-1) - 1$ at
# the latest (the first place is 0). Of these places, every $s$-th is used:
#
# $$ m = \left\lfloor \frac{n + a + b - d(k-1) - 1}{s} \right\rfloor + 1 $$
#
# In `dlfs/windows.py`, where `padded` is $n + a + b$, `covered` the size of a window, and `axis` is
# 0 for rows and 1 for columns:

# %% tags=["remove-input"]
quote(windows, "covered = dilations", "output.append((padded")

# %% [markdown]
# We check it by counting the places one by one:


# %%
def count_places(n, k, s, a, b, d):
    return sum(start + d * (k - 1) <= n + a + b - 1 for start in range(0, n + a + b, s))


cases = 0
for n, k, s, a, b, d in np.ndindex(12, 4, 4, 3, 3, 3):
    n, k, s, d = n + 1, k + 1, s + 1, d + 1
    if d * (k - 1) + 1 <= n + a + b:
        options = {"stride": s, "padding": ((a, b), (a, b)), "dilation": d}
        assert window_2d((n, n), k, **options).output[0] == count_places(n, k, s, a, b, d)
        cases += 1
print(f"the formula is right in all of {cases} cases")

# %% [markdown]
# Padding **"same"** means that $m = \lceil n / s \rceil$ ($\lceil \cdot \rceil$ rounds up): with
# stride 1 the output is as long as the input. We solve for the padding. The last window must end at
# the last number, so both sides together need
#
# $$ a + b = \max\big(0,\; (\lceil n/s \rceil - 1)\, s + d(k-1) + 1 - n \big) $$
#
# zeros. With $s = 1$ and $d = 1$ this is $k - 1$; for an odd kernel this is the book's
# $\lfloor k/2 \rfloor$ on either side. In Python `-(-a // b)` rounds up:

# %% tags=["remove-input"]
quote(same_ends, "output =", "total =")

# %%
for n, k, s, d in np.ndindex(20, 6, 4, 3):
    n, k, s, d = n + 1, k + 1, s + 1, d + 1
    padding = same_ends(n, k, s, d)
    assert window_2d((n, n), k, s, (padding, padding), d).output[0] == -(-n // s)
print("padding for n = 28, k = 5:", same_ends(28, 5, 1, 1))

# %% [markdown]
# ## 3. The gradient of the weights
#
# Let $L$ be the loss and $G = \partial L / \partial Y$. Every output pixel of channel $o$ uses the
# weight $W_{coij}$ once, multiplied by one pixel:
#
# $$ \frac{\partial Y_{n o p q}}{\partial W_{coij}} = X_{n,\;c,\;sp+di,\;sq+dj} $$
#
# The chain rule multiplies each by its gradient, and adds:
#
# $$ \frac{\partial L}{\partial W_{coij}} = \sum_{n,p,q} G_{nopq} \; X_{n,\;c,\;sp+di,\;sq+dj} $$
#
# The sum runs over the images of the batch, too. In dlfs, for one position $(i, j)$, `tensordot` is
# this sum over $n$ and all output pixels (the axes in `summed`); `grad` is $G$:

# %% tags=["remove-input"]
quote(reference.conv2d_param_grad, "for ", "pixels =", "param_grad[")

# %% [markdown]
# sympy is a library that computes with symbols instead of numbers. We give the definition above
# arrays of symbols, in a small case with stride 2, and sympy differentiates the result:


# %%
def symbols(name, shape):
    array = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        array[index] = sp.Symbol(name + "".join(map(str, index)))
    return array


Xs, Ws = symbols("x", (2, 2, 3, 4)), symbols("w", (2, 1, 2, 2))
Ys = conv2d(Xs, Ws, s=2)
Gs = symbols("g", Ys.shape)
L = sp.expand((Gs * Ys).sum())
print("one output:\n  ", str(Ys[0, 0, 0, 0]).replace(" + w1000", "\n    + w1000"))
print("dL/dw0000:\n  ", sp.diff(L, Ws[0, 0, 0, 0]))

# %% [markdown]
# Now we put numbers in, and compare all derivatives with dlfs:

# %%
values = {name: rng.integers(-9, 10, a.shape).astype(float) for name, a in zip("xwg", (Xs, Ws, Gs))}
numbers = {s: values[s.name[0]][tuple(map(int, s.name[1:]))] for a in (Xs, Ws, Gs) for s in a.flat}


def derivative(variables):
    return np.array([float(sp.diff(L, v).subs(numbers)) for v in variables.flat]).reshape(
        variables.shape
    )


ours = reference.conv2d_param_grad(values["g"], values["x"], Ws.shape, stride=2)
np.testing.assert_array_equal(derivative(Ws), ours)
print("equal to the last bit, because all numbers are whole")

# %% [markdown]
# ## 4. The gradient of the input
#
# In window $(p, q)$, weight $(i, j)$ is multiplied by pixel $(u, v)$ of the padded image exactly if
# $sp + di = u$ and $sq + dj = v$. The chain rule adds over all windows and weights for which this
# holds:
#
# $$
# \frac{\partial L}{\partial X_{ncuv}}
# = \sum_{o}\; \sum_{\substack{p,\,i:\; sp+di=u \\ q,\,j:\; sq+dj=v}} G_{nopq} \; W_{coij}
# $$
#
# A sum with a condition is awkward to compute. Without it, we go through all $(p, q, i, j)$ and
# *add* each term to the pixel that it belongs to. In dlfs `pixels` is again the part of the padded
# image that weight $(i, j)$ is multiplied by, here of its gradient, and `share` is what is added
# there:

# %% tags=["remove-input"]
quote(reference.conv2d_input_grad, "for ", "np.matmul", "pixels +=")

# %% [markdown]
# At the end the padding is cut off, because the gradient of its zeros is not needed.

# %%
ours = reference.conv2d_input_grad(values["g"], values["w"], Xs.shape, stride=2)
np.testing.assert_array_equal(derivative(Xs), ours)
print("dL/dx0011:", sp.diff(L, Xs[0, 0, 1, 1]))
print("dL/dx0003:", sp.diff(L, Xs[0, 0, 0, 3]), "and dL/dx0020:", sp.diff(L, Xs[0, 0, 2, 0]))

# %% [markdown]
# The last one is 0: with stride 2 no window covers the last row.
#
# **Without stride and dilation** ($s = d = 1$) the condition is easy to solve: $p = u - i$ and
# $q = v - j$. So
#
# $$
# \frac{\partial L}{\partial X_{ncuv}}
# = \sum_{o,i,j} G_{n,\;o,\;u-i,\;v-j} \; W_{coij}
# = \sum_{o,i',j'} \bar G_{n,\;o,\;u+i',\;v+j'} \; W_{c,\;o,\;k-1-i',\;k-1-j'}
# $$
#
# with $i' = k - 1 - i$, $j' = k - 1 - j$, and $\bar G$ for $G$ with $k-1$ zeros on every side. This
# is a convolution with the kernel **flipped** and the two channel axes exchanged. The compiled
# backend computes the gradient in this way (`conv2d_input_grad` in `dlfs_ext/conv.pyx`).

# %%
G = rng.standard_normal((2, 4, 6, 8))
turned = W[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
around = (W.shape[2] - 1, W.shape[3] - 1)
by_convolution = reference.conv2d(G, turned, padding=around)
assert close(by_convolution, reference.conv2d_input_grad(G, W, X.shape))
print("the convolution with the flipped kernel gives the input gradient")

# %% [markdown]
# ## 5. The gradient of the bias
#
# The layer adds the bias $b_o$ to every pixel of output channel $o$. So its gradient is the sum of
# $G$ over images and pixels:
#
# $$ \frac{\partial L}{\partial b_o} = \sum_{n,p,q} G_{nopq} $$
#
# In `dlfs/reference/dense.py`:

# %% tags=["remove-input"]
quote(reference.bias_add_param_grad, "return")

# %%
bias_grad = reference.bias_add_param_grad(G)
assert close(bias_grad[0, :, 0, 0], G.sum(axis=(0, 2, 3)))
print(bias_grad.shape)

# %% [markdown]
# ## 6. A convolution is a matrix
#
# The output is linear in $X$. With both written as columns, it is $y = A x$ with a matrix $A$. Each
# row of $A$ contains the kernel, at another place. Here it is in one dimension, with 6 inputs, 3
# weights and stride 1, then 2:


# %%
def matrix(w, n, s=1):
    rows = (n - len(w)) // s + 1
    A = sp.zeros(rows, n)
    for p in range(rows):
        for i, weight in enumerate(w):
            A[p, s * p + i] = weight
    return A


w = sp.symbols("w0:3")
A1, A2 = matrix(w, 6), matrix(w, 6, s=2)
A1

# %%
A2

# %% [markdown]
# For $y = A x$ the gradient is $\partial L / \partial x = A^T g$, with $g = \partial L / \partial
# y$. Read a column in the middle of the first matrix from top to bottom: $w_2, w_1, w_0$. This is
# the flipped kernel again.
#
# In two dimensions the matrix consists of such matrices, one for each row of the kernel. Here it is
# for an image of 6 × 6 and a kernel of 3 × 2. Its columns are the outputs for images that have a
# single 1. Most entries are 0, and every row contains the same six numbers:

# %%
kernel = W[:1, :1]
units = np.eye(36).reshape(36, 1, 6, 6)
A = reference.conv2d(units, kernel).reshape(36, 20).T
print(f"{np.mean(A != 0):.0%} of the entries are not zero")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 4), dpi=80, layout="constrained")
image = ax.imshow(A, cmap="RdBu_r", vmin=-2, vmax=2)
ax.set(xlabel="pixel of the image, row by row", ylabel="pixel of the output")
fig.colorbar(image, ax=ax)
plt.show()

# %% [markdown]
# The transposed matrix gives the input gradient:

# %%
g = rng.standard_normal((1, 1, 4, 5))
transposed = (A.T @ g.ravel()).reshape(1, 1, 6, 6)
assert close(transposed, reference.conv2d_input_grad(g, kernel, (1, 1, 6, 6)))

# %% [markdown]
# ## 7. The transposed convolution
#
# A layer can have $A^T$ in its **forward** pass. It makes large images from small ones, and is
# called a **transposed convolution**. dlfs computes it as the input gradient of a convolution
# (`swap_channels` exchanges the two channel axes of the weights, and `window` holds stride, padding
# and dilation):

# %% tags=["remove-input"]
quote(reference.conv_transpose2d, "return conv2d_input_grad")

# %% [markdown]
# With $\langle u, v \rangle$ for the sum of the products of all entries, for all $x$ and $z$
#
# $$ \langle A x,\; z \rangle = \langle x,\; A^T z \rangle $$
#
# This gives a test without derivatives: draw $x$ and $z$ at random, and compare two numbers.
#
# From $m$ numbers the transposed convolution makes the number $n$ that a convolution with the same
# options would have read. We solve the formula of section 2 for $n$:
#
# $$ n = (m - 1)\,s - a - b + d(k-1) + 1 + \text{output padding} $$
#
# With a stride of $s$, a convolution has the same output size for $s$ different input sizes. The
# *output padding*, from 0 to $s - 1$, says which of them is meant.

# %%
for s, a, d, extra in ((1, 0, 1, 0), (2, 1, 1, 1), (3, 2, 2, 2)):
    z = rng.standard_normal((2, 4, 5, 6))
    options = {"stride": s, "padding": a, "dilation": d}
    spread = reference.conv_transpose2d(z, W.transpose(1, 0, 2, 3), output_padding=extra, **options)
    x = rng.standard_normal(spread.shape)
    left, right = (reference.conv2d(x, W, **options) * z).sum(), (x * spread).sum()
    window = transposed_window_2d((5, 6), (3, 2), output_padding=extra, **options)
    assert window.output == spread.shape[2:]
    assert abs(left - right) < 1e-11
    print(f"stride {s}: {z.shape[2:]} -> {spread.shape[2:]},  <Ax, z> = {left:.6f} = <x, A'z>")

# %% [markdown]
# ## 8. im2col: one matrix product
#
# There is a second way to write a convolution with matrices. This time the weights form the second
# factor, and the first is a matrix $P$ made from the *images*. Row $(n, p, q)$ of $P$ is the patch
# that belongs to output pixel $(p, q)$ of image $n$:
#
# $$
# P_{(npq),\,(cij)} = X_{n,\;c,\;sp+di,\;sq+dj}
# \qquad \tilde W_{(cij),\,o} = W_{coij} \qquad \tilde Y = P \tilde W
# $$
#
# Building $P$ is called *im2col* (image to columns). The gradients are those of a dense layer
# (chapter 3), with $\tilde G = \partial L / \partial \tilde Y$:
#
# $$
# \frac{\partial L}{\partial \tilde W} = P^T \tilde G
# \qquad \frac{\partial L}{\partial P} = \tilde G \tilde W^T
# $$
#
# The gradient of a pixel of $X$ is the sum of those entries of $\partial L/\partial P$ that are
# copies of this pixel (*col2im*). The disadvantage is memory: $P$ contains every pixel up to $k^2$
# times. dlfs does not build $P$. Its NumPy kernels compute one product for each kernel position, as
# you saw, and the compiled ones use shifted copies
# (`dlfs_ext/csrc/convolution/conv_geometry.h`).


# %%
def im2col(X, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(X, kernel, axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, X.shape[1] * np.prod(kernel))


P, W_columns = im2col(X, W.shape[2:]), W.transpose(0, 2, 3, 1).reshape(-1, W.shape[1])
Y = reference.conv2d(X, W)
rows = Y.transpose(0, 2, 3, 1).reshape(-1, W.shape[1])
assert close(P @ W_columns, rows)
G_rows = G.transpose(0, 2, 3, 1).reshape(-1, W.shape[1])
W_grad = (P.T @ G_rows).reshape(3, 3, 2, 4).transpose(0, 3, 1, 2)
assert close(W_grad, reference.conv2d_param_grad(G, X, W.shape))
print(f"the images have {X.size} numbers, their patches {P.size}")

# %% [markdown]
# The rows of $P$ and $\tilde G$ must be in the **same order**. The book's library has (pixel,
# image) in one and (image, pixel) in the other, so its product multiplies pixels of one image by
# gradients of another. [Code](Code.ipynb) shows the check that finds this.
#
# ## 9. Fewer weights
#
# How many weights does a layer learn, and how many multiply-adds (a product that is added to a sum)
# does it compute for one image?
#
# | | weights | multiply-adds |
# |---|---|---|
# | dense, $cn^2 \to on^2$ | $c\,o\,n^4$ | $c\,o\,n^4$ |
# | convolution, $k \times k$, "same" | $c\,o\,k^2$ | $c\,o\,k^2 n^2$ |
#
# For an image of MNIST and 16 output channels, a dense layer needs 9.8 million weights. The
# convolution has 400, and uses each of them 784 times. It also **commutes with shifts**: if the
# input is shifted, the output is shifted in the same way. (Here the figure is far enough from the
# border.)

# %%
c, o, n, k = 1, 16, 28, 5
print(f"dense: {c * o * n**4:,} weights, convolution: {c * o * k**2:,}")
image = np.zeros((1, 3, 12, 12))
image[:, :, 3:7, 3:7] = rng.standard_normal((3, 4, 4))
moved = np.roll(image, (2, 3), axis=(2, 3))
outputs = [reference.conv2d(each, W, padding="same") for each in (image, moved)]
assert close(np.roll(outputs[0], (2, 3), axis=(2, 3)), outputs[1])
print("shifting before or after the convolution gives the same")

# %% [markdown]
# ## 10. Normalized channels
#
# Chapter 4 scales the inputs to mean 0 and variance 1, because training works best with numbers of
# this size. **Normalization** layers do the same inside of a network. **Batch normalization** does
# it for each channel: a convolution uses the same kernel at all pixels of all images of the batch,
# so these are observations of one feature. With $b$ for the image, $c$ for the channel, $p$ for the
# pixel, and $m$ for the number of images times pixels,
#
# $$\mu_c = \frac1m \sum_{b,p} x_{bcp}, \qquad
# \sigma_c^2 = \frac1m \sum_{b,p} (x_{bcp} - \mu_c)^2 + \epsilon, \qquad
# y_{bcp} = \frac{x_{bcp} - \mu_c}{\sigma_c}$$
#
# ($\epsilon = 10^{-5}$ prevents a division by 0.) An input acts on the outputs of its channel in
# three ways: directly, through $\mu_c$ and through $\sigma_c$. So its gradient has three terms.
# With $g$ for the output gradient, and means over batch and pixels,
#
# $$x_\text{grad} = \frac1{\sigma_c}
# \Big(g - \operatorname{mean}(g) - y\,\operatorname{mean}(g\,y)\Big)$$
#
# Adding a number to a whole channel does not change the output, and neither does multiplying the
# channel by a number. So the gradient has no component in these two directions: the two means
# remove them.

# %%
x, g = rng.standard_normal((2, 4, 3, 5, 6))
axes = (0, 2, 3)
y, mean, var, inv_std = reference.batch_norm(x, 1e-5)
assert mean.shape == (1, 3, 1, 1)
assert close(y, (x - x.mean(axis=axes, keepdims=True)) * inv_std)
x_grad = g - g.mean(axis=axes, keepdims=True) - y * (g * y).mean(axis=axes, keepdims=True)
assert close(x_grad * inv_std, reference.batch_norm_grad(g, y, inv_std))
assert np.abs(x_grad.sum(axis=axes)).max() < 1e-10
print("mean and variance of the channels:", y.mean(axis=axes).round(3), y.var(axis=axes).round(3))
print("forward and backward, the formulas and dlfs agree")

# %% [markdown]
# A trained network may get a single image, and its prediction must not depend on other images. So
# the layer also keeps running means of $\mu_c$ and $\sigma_c^2$ over the training, and uses these
# for predictions. Then it only shifts and scales each channel. In very small batches $\mu_c$ and
# $\sigma_c$ are too noisy. For these there is `GroupNorm`, which computes them from a few channels
# of *one* image.
#
# ## 11. Residual blocks
#
# The *Jacobian* $J$ of a layer is the matrix of the derivatives of all its outputs with respect to
# all its inputs. A chain of $N$ layers multiplies Jacobians, $J_N \cdots J_1$. If each shrinks a
# gradient to 0.8 of its size, thirty of them leave $0.8^{30} \approx 0.001$. A **residual block**
# computes $x + f(x)$, and has the Jacobian $I + J$. For two blocks the product is
#
# $$(I + J_2)(I + J_1) = I + J_1 + J_2 + J_2 J_1$$
#
# For $N$ blocks it has $2^N$ terms, one for each path from the end to the beginning: at each block
# a path goes either through its layers or around them. The path around all blocks has the factor 1.
# So the first block receives the whole gradient of the last, plus the other terms. We multiply
# random matrices to compare:

# %%
size, depth = 20, 30
jacobians = rng.standard_normal((depth, size, size)) * 0.8 / np.sqrt(size)
g = rng.standard_normal(size)
chain, blocks = [1.0], [1.0]
one, two = g, g
for J in jacobians[::-1]:
    one, two = one @ J, two + two @ (J / np.sqrt(depth))
    chain.append(np.linalg.norm(one) / np.linalg.norm(g))
    blocks.append(np.linalg.norm(two) / np.linalg.norm(g))

# %% tags=["hide-input"]
figure, ax = plt.subplots(figsize=(7, 2.8), dpi=90, layout="constrained")
ax.semilogy(chain, color="#e07a1f", label="chain")
ax.semilogy(blocks, color="#2a6f97", label="residual blocks")
ax.set(xlabel="number of layers, counted from the end", ylabel="size of the gradient")
ax.legend()
plt.show()
assert chain[-1] < 0.02
assert 0.5 < blocks[-1] < 4

# %% [markdown]
# Here the matrix of each block is multiplied by $1/\sqrt{N}$, so that the sum of thirty terms does
# not grow too much. In a ResNet, a network of residual blocks, normalization does this. The
# [demos](Convolution_Demos.ipynb) train thirty convolutions with and without residual connections.

# %% [markdown]
# ## 12. Pooling, by hand
#
# A **pooling** layer makes an image smaller. It cuts the image into blocks, here of 2 × 2, and
# keeps one number of each: the largest (*max pooling*), or the mean (*average pooling*). It has no
# parameters.

# %%
image = np.array([[1, 3, 2, 0], [4, 2, 1, 5], [0, 1, 7, 2], [2, 6, 3, 3]], dtype=float)
blocks = image.reshape(2, 2, 2, 2).swapaxes(1, 2)  # (block row, block column, row, column)
largest, means = blocks.max(axis=(2, 3)), blocks.mean(axis=(2, 3))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(7, 2.6), dpi=90, layout="constrained")
titles = ("the image", "max pooling", "average pooling")
for ax, numbers, title in zip(axes, (image, largest, means), titles):
    ax.imshow(numbers, cmap="Blues", vmin=0, vmax=10)
    for i, j in np.ndindex(numbers.shape):
        ax.text(j, i, f"{numbers[i, j]:g}", ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[])
axes[0].axhline(1.5, color="white", linewidth=3)
axes[0].axvline(1.5, color="white", linewidth=3)
plt.show()
assert largest.tolist() == [[4, 5], [6, 7]]
assert means.tolist() == [[2.5, 2], [2.25, 3.75]]

# %% [markdown]
# **The gradient of average pooling.** In a block, $y = \frac14 (x_1 + x_2 + x_3 + x_4)$, so
# $\partial y / \partial x_i = \frac14$: each of the four receives a quarter of the block's
# gradient.
#
# **The gradient of max pooling.** $y = x_m$, where $m$ is the place of the largest. A small change
# of another number does not change $y$ at all. So the largest receives the whole gradient, and the
# other three receive 0. So the backward pass must know which number was the largest. (Where two are
# equally large, $y$ has a kink, and dlfs gives the whole gradient to the first.)


# %%
def average_pool_grad(output_grad):
    return np.repeat(np.repeat(output_grad, 2, axis=0), 2, axis=1) / 4


def max_pool_grad(output_grad, image):
    grad = np.zeros_like(image)
    for i, j in np.ndindex(output_grad.shape):
        block = image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        row, column = np.unravel_index(block.argmax(), (2, 2))
        grad[2 * i + row, 2 * j + column] = output_grad[i, j]
    return grad


pull = np.array([[10.0, 20.0], [30.0, 40.0]])
print("max pooling:\n", max_pool_grad(pull, image))
print("average pooling:\n", average_pool_grad(pull))

# %% [markdown]
# dlfs gives the same. Its images have two more axes, (batch, channels, height, width):

# %%
for kind, output, grad in (
    (MaxPool2D_Op, largest, max_pool_grad(pull, image)),
    (AvgPool2D_Op, means, average_pool_grad(pull)),
):
    pooling = kind(2)
    assert np.array_equal(pooling.forward(image[None, None])[0, 0], output)
    assert np.array_equal(pooling.backward(pull[None, None])[0, 0], grad)
print("both layers of dlfs agree")

# %% [markdown]
# ## 13. Padding, by hand
#
# The book writes padding in small steps, and so do we. First we pad a row of numbers; then every
# row of an image, with whole rows of zeros above and below; then every channel of every image.
# NumPy's `np.pad` does all of this in one call.


# %%
def pad_1d(row, width):
    zeros = np.zeros(width)
    return np.concatenate([zeros, row, zeros])


def pad_2d(image, width):
    rows = [pad_1d(row, width) for row in image]
    zeros = [np.zeros(len(rows[0]))] * width
    return np.stack([*zeros, *rows, *zeros])


def pad_images(images, width):
    return np.stack([[pad_2d(channel, width) for channel in each] for each in images])


print(pad_2d(image[:2, :2], 1))
images = rng.standard_normal((2, 3, 5, 4))
assert np.array_equal(pad_images(images, 2), np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2))))

# %% [markdown]
# ## 14. Following the shapes: colour images
#
# The images of MNIST are grey and have one channel. CIFAR-10 is a collection of 60,000 photographs
# of ten kinds of things, such as ships and cats. They have 32 × 32 pixels and three channels (red,
# green, blue), so one image has the shape (3, 32, 32), and a batch of eight has (8, 3, 32, 32). In
# the network only the first layer changes: its kernels have three input channels. The formula of
# section 2 gives every size. (We use random numbers in place of photographs, because only shapes
# matter here.)

# %%
net = NeuralNetwork(
    [
        Conv2D(16, 5),  # "same" padding
        MaxPool2D(2),
        Conv2D(32, 3, padding=0),
        MaxPool2D(2, stride=2),
        Flatten(),
        Dense(10),
    ]
)
net.build((3, 32, 32))
print("layer      output           parameters")
output, shapes = rng.standard_normal((8, 3, 32, 32)), []
for layer in net.layers:
    output = layer.forward(output)
    shapes.append(output.shape[1:])
    sizes = ", ".join(str(param.shape) for param in layer.params)
    kind = repr(layer).partition("(")[0]
    print(f"{kind:<10} {output.shape!s:<16} {sizes or '-'}")

# %% tags=["remove-cell"]
assert shapes == [(16, 32, 32), (16, 16, 16), (32, 14, 14), (32, 7, 7), (32 * 7 * 7,), (10,)]
assert net.layers[0].params[0].shape == (3, 16, 5, 5)

# %% [markdown]
# ## Exercises
#
# ### 1. Size
#
# A convolution reads 100 numbers. Its kernel has 7 weights, its stride is 3, its dilation 2, and
# there are 4 zeros on either side. How long is the output?

# %% tags=["exercise:size"]
length = ...

# %%
check("size", length, 32, hint="The window covers 2 * 6 + 1 numbers.")

# %% [markdown] tags=["solution:size"]
# <details><summary>Solution</summary>
#
# ```python
# length = (100 + 4 + 4 - 2 * (7 - 1) - 1) // 3 + 1
# ```
#
# </details>

# %% [markdown]
# ### 2. The matrix
#
# Return the matrix $A$ of section 6 as an array: a convolution of `n` numbers with kernel `w`,
# stride `s` and dilation `d`, without padding.


# %% tags=["exercise:matrix"]
def convolution_matrix(w, n, s, d): ...


# %%
def try_matrix(function):
    weights, x = rng.standard_normal(3), rng.standard_normal(11)
    for s, d in ((1, 1), (2, 1), (1, 3), (3, 2)):
        Y = reference.conv1d(x[None, None], weights[None, None], s, 0, d)[0, 0]
        A = function(weights, 11, s, d)
        if A.shape != (len(Y), 11):
            return f"With s = {s} and d = {d} its shape should be {(len(Y), 11)}."
        if not close(A @ x, Y):
            return f"With s = {s} and d = {d} the product is not the convolution."
    return True


check(
    "matrix",
    convolution_matrix,
    try_matrix,
    hint="Row p holds weight i in column s * p + d * i. How many rows fit? Section 2 counts them.",
)

# %% [markdown] tags=["solution:matrix"]
# <details><summary>Solution</summary>
#
# ```python
# def convolution_matrix(w, n, s, d):
#     rows = (n - d * (len(w) - 1) - 1) // s + 1
#     A = np.zeros((rows, n))
#     for p in range(rows):
#         A[p, s * p : s * p + d * (len(w) - 1) + 1 : d] = w
#     return A
# ```
#
# </details>

# %% [markdown]
# ### 3. col2im
#
# You get $\partial L/\partial P$ for stride 1 without padding, the shape of $X$, and the kernel's
# height and width. Return $\partial L/\partial X$: for each pixel, add the entries that are its
# copies.


# %% tags=["exercise:col2im"]
def col2im(P_grad, shape, kernel): ...


# %%
def try_col2im(function):
    X_grad = function(G_rows @ W_columns.T, X.shape, W.shape[2:])
    if X_grad.shape != X.shape:
        return f"The shape should be {X.shape}."
    return bool(close(X_grad, reference.conv2d_input_grad(G, W, X.shape)))


check("col2im", col2im, try_col2im, hint="Reshape to the six axes of im2col; += for every (i, j).")

# %% [markdown] tags=["solution:col2im"]
# <details><summary>Solution</summary>
#
# ```python
# def col2im(P_grad, shape, kernel):
#     batch, channels, height, width = shape
#     rows, columns = height - kernel[0] + 1, width - kernel[1] + 1
#     windows = P_grad.reshape(batch, rows, columns, channels, *kernel)
#     X_grad = np.zeros(shape)
#     for i, j in np.ndindex(*kernel):
#         share = windows[..., i, j].transpose(0, 3, 1, 2)
#         X_grad[:, :, i : i + rows, j : j + columns] += share
#     return X_grad
# ```
#
# </details>
