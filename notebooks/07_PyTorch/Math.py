# ---
# jupyter:
#   dlfs: {backends: [fast]}
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 7: two libraries, one mathematics
#
# PyTorch and dlfs compute the same functions in different ways. You compare PyTorch's graph with
# our `backward`, the order of weights and gates in memory, the two meanings of a dropout rate, and
# the size of a transposed convolution's output. Every formula stands next to the line of dlfs that
# computes it, and a cell compares it with PyTorch. You need [Code](Code.ipynb), and the chain rule.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from dlfs import reference
from dlfs.activations import Tanh
from dlfs.conv import Conv2D_Op, ConvTranspose2D_Op
from dlfs.dropout import Dropout
from dlfs.exercises import check
from dlfs.windows import transposed_window_2d
from dlfs.layers import BatchNorm, Dense, GRULayer, LSTMLayer
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.pytorch import to_torch

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(7)


def close(ours, theirs, terms=200):
    """Whether both are equal, up to the rounding of sums of this many terms of size 1."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    return np.abs(ours - theirs).max() <= 8 * terms * np.finfo(float).eps


# %% [markdown]
# ## 1. Backward, by a list and by a graph
#
# A network is a chain $y = f_n(\dots f_2(f_1(x)))$. Let $J_k$ be the Jacobian of $f_k$, the matrix
# of all derivatives of its outputs with respect to its inputs, and $g_n$ the gradient of the loss
# with respect to $y$. The chain rule goes from the end to the beginning:
#
# $$ g_{k-1} = J_k^T \, g_k $$
#
# The matrices $J_k$ are never computed, because each step needs only the product. In dlfs the chain
# is a list, and `backward_through` (`dlfs/base.py`) has the loop
#
#     for part in reversed(chain):
#         output_grad = part.backward(output_grad)
#
# PyTorch has no such list. Each result has a link to the step that computed it (`grad_fn`), and
# `backward()` follows these links. PyTorch can also compute Jacobians, so we can check the formula:

# %%
net = NeuralNetwork([Dense(4, activation=Tanh()), Dense(3)], seed=1)
net.build((5,))
module = to_torch(net)
x, g = rng.standard_normal((1, 5)), rng.standard_normal((1, 3))
J = torch.autograd.functional.jacobian(module, torch.tensor(x)).reshape(3, 5)
net.forward(x)
assert close(net.backward(g), g @ J.numpy())
print("our backward is the transposed Jacobian times g; the Jacobian's shape is", tuple(J.shape))

# %% [markdown]
# In a graph, unlike in a list, a value can be used twice. Then the gradients of both uses are
# added,
#
# $$ \frac{\partial L}{\partial x} = \sum_{\text{uses } k} J_k^T \, g_k $$
#
# as in chapter 6 for `NumberWithGrad`. This is also the reason why `.grad` adds up until you set it
# to 0.

# %%
t = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
(torch.tanh(t) + t * t).sum().backward()
x = t.detach().numpy()
assert close((1 - np.tanh(x) ** 2) + 2 * x, t.grad)
print("gradient of both uses:", t.grad.numpy().round(4))

# %% [markdown]
# Both can be combined: an Operation of dlfs can be a step of PyTorch's graph, with our forward and
# our backward pass. Then PyTorch's own gradient checker can check our convolution:


# %%
class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, operation):
        ctx.operation = operation
        return torch.tensor(operation.forward(x.detach().numpy()))

    @staticmethod
    def backward(ctx, output_grad):
        return torch.tensor(ctx.operation.backward(output_grad.numpy())), None


W = rng.standard_normal((2, 3, 3, 2))
pixels = torch.tensor(rng.standard_normal((2, 2, 4, 5)), requires_grad=True)
operation = Conv2D_Op(W, stride=2, padding=1)
assert torch.autograd.gradcheck(lambda x: Step.apply(x, operation), pixels)
print("PyTorch's checker finds nothing wrong with our convolution")

# %% [markdown]
# ## 2. The order of the weights
#
# Both libraries compute the same sums, but the axes of the weights $W$ (ours) and $W'$ (PyTorch's)
# have different orders. For input features $i$ and output features $j$, input channels $c$ and
# output channels $o$:
#
# $$ y_{nj} = \sum_i x_{ni} W_{ij} = \sum_i x_{ni} W'_{ji} \qquad
# W' = W^T $$
#
# $$ y_{nopq} = \sum_{c,u,v} x_{n,c,p+u,q+v} \, W_{couv} = \sum_{c,u,v} x_{n,c,p+u,q+v} \, W'_{ocuv}
# $$
#
# Ours is the order of the book (`output = input_ @ W` in `dlfs/dense.py`). A gradient has the same
# order as its weights. The example has two *groups*: each half of the output channels uses only
# half of the input channels.

# %%
x = rng.standard_normal((2, 4, 6, 7))
W = rng.standard_normal((2, 6, 3, 3))  # two groups: 4 channels in, 6 out, each uses 2
W_theirs = torch.tensor(W.swapaxes(0, 1).copy(), requires_grad=True)
operation = Conv2D_Op(W, groups=2)
y = operation.forward(x)
y_theirs = nn.functional.conv2d(torch.tensor(x), W_theirs, padding=1, groups=2)
assert close(y, y_theirs)

g = rng.standard_normal(y.shape)
operation.backward(g)
y_theirs.backward(torch.tensor(g))
assert close(operation.param_grad, W_theirs.grad.numpy().swapaxes(0, 1))
print("ours", W.shape, "PyTorch's", tuple(W_theirs.shape))

# %% [markdown]
# ## 3. The gates of an LSTM
#
# Both compute the candidate and all three gates with one product, and cut the result into four. The
# order differs:
#
# | | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|
# | dlfs, the book | forget $f$ | input $i$ | candidate $\bar c$ | output $o$ |
# | PyTorch | input $i$ | forget $f$ | candidate $\bar c$ (called $g$) | output $o$ |
#
# $$ c_t = f \, c_{t-1} + i \, \bar c \qquad h_t = o \tanh c_t $$
#
# Also, PyTorch adds two biases, although one would have the same effect:
#
# $$ z_t = x_t W_x + b_{ih} + h_{t-1} W_h + b_{hh} = x_t W_x + B + h_{t-1} W_h \qquad
# B = b_{ih} + b_{hh} $$
#
# The first two lines are from `dlfs/reference/recurrent.py`, `lstm`. The third brings the four
# `parts` into PyTorch's order (`dlfs/pytorch/outward.py`):
#
#     c_last = np.add(f * c_last, i * c_bar, out=c[t])
#     h_last = np.multiply(o, np.tanh(c_last), out=h[t])
#     return np.concatenate([parts[k] for k in GATE_ORDER[gates]], axis=1).T

# %%
hidden = 4
layer = LSTMLayer(hidden)
layer.seed = 1
x = rng.standard_normal((2, 6, 3))
output = layer.forward(x)


def in_their_order(ours):
    f, i, c_bar, o = np.split(ours, 4, axis=1)
    return torch.tensor(np.concatenate([i, f, c_bar, o], axis=1).T.copy())


lstm = nn.LSTM(3, hidden, batch_first=True, dtype=torch.float64)
W_x, B, W_h = (in_their_order(param) for param in layer.params)
lstm.load_state_dict(
    {
        "weight_ih_l0": W_x,
        "weight_hh_l0": W_h,
        "bias_ih_l0": 0.25 * B[:, 0],
        "bias_hh_l0": 0.75 * B[:, 0],
    }
)
assert close(output, lstm(torch.tensor(x))[0])
print("with the same weights, both LSTMs give the same", output.size, "numbers")

# %% [markdown]
# But two biases learn differently from one. Each has the full gradient, so with the same learning
# rate $\eta$ their sum changes *twice* as much as our single bias:
#
# $$ b_{ih} + b_{hh} - 2 \eta \frac{\partial L}{\partial B} \qquad\text{against}\qquad
# B - \eta \frac{\partial L}{\partial B} $$

# %%
layer.backward(np.ones_like(output))
lstm(torch.tensor(x))[0].sum().backward()
B_grad = in_their_order(layer.param_grads[1])[:, 0].numpy()
assert close(B_grad, lstm.bias_ih_l0.grad)
assert close(B_grad, lstm.bias_hh_l0.grad)
before = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()
torch.optim.SGD(lstm.parameters(), lr=0.1).step()
after = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()
assert close(after - before, -2 * 0.1 * B_grad)
ratio = (after - before) / (-0.1 * B_grad)
print("the sum of both biases changed", ratio.round(9)[0], "times as much as one bias would")

# %% [markdown]
# ### The GRU's reset gate
#
# In the book's GRU the reset gate $r$ multiplies the state, before the product with the weights. In
# PyTorch it multiplies the product, bias included, so that one product is enough for both gates and
# the candidate.
#
# $$ \bar h = \tanh(z_h + (r \, h_{t-1}) W_c) \qquad\text{or}\qquad
# \bar h = \tanh(z_h + r \, (h_{t-1} W_c + b_c)) $$
#
# In `dlfs/reference/gru.py`:
#
#     np.tanh(z_t[:, 2 * n :] + (r * last) @ W[:, 2 * n :], out=h_bar)      # reset="before"
#     np.tanh(z_t[:, 2 * n :] + r * inner, out=h_bar)                       # reset="after"
#
# With the same weights the two give different states, and there is no way to convert the weights of
# one to the other. So `to_torch` converts only the second:

# %%
nets = {
    reset: NeuralNetwork([GRULayer(hidden, reset=reset)], seed=1) for reset in ("before", "after")
}
for net in nets.values():
    net.build((6, 3))
W_before, W_after = (net.layers[0].params[-1] for net in nets.values())
W_after[:hidden] = W_before
states = [net.predict(x) for net in nets.values()]
assert close(states[0][:, 0], states[1][:, 0])  # the first state is zero, reset or not
print("their states differ by up to", np.abs(states[0] - states[1]).max().round(3))
assert close(states[1], to_torch(nets["after"])(torch.tensor(x)))

# %% [markdown]
# ## 4. Dropout: three conventions
#
# For each number the mask $m$ is 1 with probability $k$, else 0. The argument of dlfs is $k$, the
# share that is *kept*; that of PyTorch is $p = 1 - k$, the share that is *dropped*. Both divide by
# $k$ in training, so that the mean $E[y]$ stays $x$, and do nothing in inference:
#
# $$ y = \frac{m}{k} \, x \qquad E[y] = x \qquad \mathrm{Var}[y] = \frac{1-k}{k} \, x^2 $$
#
# In `dlfs/reference/dropout.py`:
#
#     return x * mask * (1 / keep_prob)
#
# The book multiplies in inference instead: $y = m x$ in training, $y = k x$ in inference. The ratio
# of the two is the same.

# %%
keep, count = 0.8, 200_000
ours = Dropout(keep, seed=1).forward(np.ones((1, count)))
torch.manual_seed(1)
theirs = nn.Dropout(1 - keep)(torch.ones(1, count, dtype=torch.float64)).numpy()
variance = (1 - keep) / keep
for name, y in (("dlfs", ours), ("PyTorch", theirs)):
    assert set(np.unique(y)) == {0, 1 / keep}
    # the mean is within five of its standard deviations
    assert abs(y.mean() - 1) < 5 * np.sqrt(variance / count)
    print(f"{name:<8} mean {y.mean():.4f}, variance {y.var():.4f} (expected {variance:.4f})")

# %% [markdown]
# ## 5. Transposed convolution
#
# A convolution with a kernel of size $K$, stride $s$, dilation $d$, and padding of $a$ zeros before
# and $b$ after computes from $n$ pixels
#
# $$ m = \left\lfloor \frac{n + a + b - d(K-1) - 1}{s} \right\rfloor + 1 $$
#
# pixels. The transposed convolution goes from $m$ to $n$. But because of the rounding, several $n$
# give the same $m$. So it takes the smallest of them, plus an *output padding* $e < s$ that says
# which one is meant:
#
# $$ n = (m - 1)\,s - a - b + d(K-1) + 1 + e $$
#
# In `dlfs/windows.py`, `transposed_window_2d`:
#
#     (size[axis] - 1) * strides[axis] - sum(paddings[axis])
#     + dilations[axis] * (kernels[axis] - 1) + 1 + extra[axis]

# %%
tried = 0
for m, K, s, d, a in np.ndindex(5, 4, 3, 2, 2):
    m, K, s, d = m + 2, K + 1, s + 1, d + 1
    for e in range(s):
        options = {"stride": s, "padding": a, "output_padding": e, "dilation": d}
        n = (m - 1) * s - 2 * a + d * (K - 1) + 1 + e
        if n < 1:
            continue
        assert transposed_window_2d((m, m), (K, K), *options.values()).output == (n, n)
        theirs = nn.functional.conv_transpose2d(
            torch.zeros(1, 1, m, m), torch.zeros(1, 1, K, K), **options
        )
        assert theirs.shape[2:] == (n, n)
        tried += 1
print(f"the formula, dlfs and PyTorch agree in {tried} cases")

# %% [markdown]
# The name is literal: the convolution is a product with a matrix $A$ (chapter 5, Math), and the
# transposed convolution is a product with $A^T$. So for all $x$ and $y$
#
# $$ \langle A x, \; y \rangle = \langle x, \; A^T y \rangle $$
#
# where $\langle u, v \rangle$ is the sum of the products of all entries. The weights of $A^T$ are
# those of $A$ with input and output channels exchanged. So the weights of PyTorch's
# `ConvTranspose2d` are (in, out / groups, height, width), in the opposite order of its convolution.
# Ours are always (in / groups, out, height, width).

# %%
W = rng.standard_normal((3, 4, 3, 2))
x, y = rng.standard_normal((1, 3, 7, 8)), rng.standard_normal((1, 4, 4, 5))
Ax = reference.conv2d(x, W, stride=2, padding=1)
Ay = reference.conv_transpose2d(
    y, W.swapaxes(0, 1).copy(), stride=2, padding=1, output_padding=(0, 0)
)
assert Ax.shape == y.shape
assert Ay.shape == x.shape
assert close(np.sum(Ax * y), np.sum(x * Ay), terms=1000)
theirs = nn.functional.conv_transpose2d(
    torch.tensor(y), torch.tensor(W.swapaxes(0, 1).copy()), None, 2, 1
)
assert close(Ay, theirs)
print("both products are", np.sum(Ax * y).round(6))

# %% [markdown]
# Here are the two matrices, for an image of 5 × 5 pixels and a kernel of 3 × 3 with stride 2. A
# column of $A$ is the output for an image that is 1 at one pixel and 0 elsewhere. Most entries are
# 0. Each row contains the kernel's nine weights, or those of them that lie on the image and not on
# the padding.

# %%
K = rng.standard_normal((1, 1, 3, 3))
pixels = np.eye(25).reshape(25, 1, 1, 5, 5)
A = np.stack([reference.conv2d(one, K, stride=2, padding=1).ravel() for one in pixels], axis=1)
small = rng.standard_normal((1, 1, 3, 3))
large = reference.conv_transpose2d(small, K, stride=2, padding=1, output_padding=(0, 0))
assert close(large.ravel(), A.T @ small.ravel())

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 3), width_ratios=[3, 2])
titles = "A: 25 pixels to 9", "its transpose: 9 to 25"
for ax, matrix, title in zip(axes, (A, A.T), titles):
    ax.imshow(matrix, cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    ax.set(title=title, xlabel="from pixel", ylabel="to pixel")
plt.show()

# %% [markdown]
# With $G$ groups the two orders differ. Each group has $A$ input channels and $Z$ output channels.
# Group $k$ reads the channels $kA, \dots, kA + A - 1$ and writes $kZ, \dots, kZ + Z - 1$:
#
# $$ W'_{kA + c,\; o} = W_{c,\; kZ + o} \qquad 0 \le c < A, \; 0 \le o < Z $$
#
# In `dlfs/pytorch/outward.py`, `regrouped`, where `a` and `b` are our channels in and out:
#
#     split = W.reshape(a, groups, b // groups, *kernel)
#     return split.swapaxes(0, 1).reshape(a * groups, b // groups, *kernel)

# %%
G, A, Z = 2, 3, 2
W = rng.standard_normal((A, G * Z, 3, 3))
W_theirs = np.empty((G * A, Z, 3, 3))
for k, c, o in np.ndindex(G, A, Z):
    W_theirs[k * A + c, o] = W[c, k * Z + o]
z = rng.standard_normal((2, G * A, 4, 5))
ours = ConvTranspose2D_Op(W, stride=2, padding=1, groups=G).forward(z)
theirs = nn.functional.conv_transpose2d(
    torch.tensor(z), torch.tensor(W_theirs), None, 2, 1, groups=G
)
assert close(ours, theirs)
print("two groups: ours", W.shape, "PyTorch's", W_theirs.shape)

# %% [markdown]
# ## 6. Batch normalization: two variances
#
# In training, both normalize a batch of $n$ rows with its own mean and variance $v$, the sum of
# squares divided by $n$. For predictions they keep a running average $\hat v$ of the *unbiased*
# variance, which is divided by $n - 1$:
#
# $$ \hat v \leftarrow (1 - \mu)\, \hat v + \mu \, \frac{n}{n-1} \, v $$
#
# In `dlfs/normalization.py`, `BatchNorm_Op`:
#
#     unbiased = var * (count / max(count - 1, 1))
#     self.running_var += self.momentum * (unbiased - self.running_var)
#
# The argument `momentum`, $\mu$, is the share that is *replaced*, in both libraries. In other
# libraries it is often the share that stays.

# %%
layer, theirs = BatchNorm(momentum=0.3), nn.BatchNorm1d(3, momentum=0.3, dtype=torch.float64)
for batch in rng.standard_normal((5, 8, 3)):
    assert close(layer.forward(batch), theirs(torch.tensor(batch)))
assert close(layer.operations[0].running_var[0], theirs.running_var)
new = rng.standard_normal((4, 3))
assert close(layer.forward(new, inference=True), theirs.eval()(torch.tensor(new)))
print("the running variances, ours and PyTorch's:", theirs.running_var.numpy().round(4))

# %% [markdown]
# ## Exercises
#
# Replace each `...`, run the cell, and then run the check below it.
#
# **1. Sizes.** Return the length of a transposed convolution's output, from the length `m` of its
# input, with padding "same" and no dilation. (The formula is short.)


# %% tags=["exercise:same"]
def same_length(m, kernel, stride, output_padding): ...


# %%
def is_the_length(f):
    cases = [(5, 4, 2, 0), (7, 3, 1, 0), (6, 5, 3, 2), (3, 4, 2, 1)]
    for m, kernel, stride, extra in cases:
        window = transposed_window_2d((m, m), kernel, stride, "same", extra)
        if f(m, kernel, stride, extra) != window.output[0]:
            return f"for {(m, kernel, stride, extra)} it is {window.output[0]}"
    return True


check("same", same_length, is_the_length, hint="A convolution with 'same' divides by the stride.")

# %% [markdown] tags=["solution:same"]
# <details><summary>Solution</summary>
#
# ```python
# def same_length(m, kernel, stride, output_padding):
#     return m * stride + output_padding
# ```
# </details>

# %% [markdown]
# **2. One bias.** A step of SGD in PyTorch must have the same effect as in dlfs. By which factor
# must the learning rate of the two biases of an `nn.LSTM` be multiplied?

# %% tags=["exercise:factor"]
factor = ...


# %%
def moves_as_ours(factor):
    net = NeuralNetwork([LSTMLayer(4)], seed=2)
    net.build((6, 3))
    module = to_torch(net)
    memory, data = module[0].memory, rng.standard_normal((2, 6, 3))
    net.backward(np.ones_like(net.forward(data)), input_grad=False)
    optim = SGD(lr=0.1)
    optim.net = net
    optim.step()
    module(torch.tensor(data)).sum().backward()
    bias = (memory.bias_ih_l0 + memory.bias_hh_l0).detach()
    bias -= 0.1 * factor * (memory.bias_ih_l0.grad + memory.bias_hh_l0.grad)
    return close(in_their_order(net.layers[0].params[1])[:, 0].numpy(), bias)


check("factor", factor, moves_as_ours, hint="How far does their sum move?")

# %% [markdown] tags=["solution:factor"]
# <details><summary>Solution</summary>
#
# ```python
# factor = 1 / 2
# ```
# </details>

# %% [markdown]
# **3. A backward pass for PyTorch.** Write the backward pass of softplus, $\log(1 + e^x)$.
# `ctx.saved_tensors` contains what `forward` has saved.


# %% tags=["exercise:softplus"]
class Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.log1p(torch.exp(x))

    @staticmethod
    def backward(ctx, output_grad): ...


# %%
points = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)


def has_the_gradient(kind):
    (grad,) = torch.autograd.grad(kind.apply(points).sum(), points, allow_unused=True)
    if grad is None:
        raise NotImplementedError
    return torch.autograd.gradcheck(kind.apply, points, raise_exception=False)


check(
    "softplus",
    Softplus,
    has_the_gradient,
    hint="Differentiate log(1 + exp(x)). Chapter 3 has the result.",
)

# %% [markdown] tags=["solution:softplus"]
# <details><summary>Solution</summary>
#
# ```python
# class Softplus(torch.autograd.Function):
#     @staticmethod
#     def forward(ctx, x):
#         ctx.save_for_backward(x)
#         return torch.log1p(torch.exp(x))
#
#     @staticmethod
#     def backward(ctx, output_grad):
#         (x,) = ctx.saved_tensors
#         return output_grad * torch.sigmoid(x)
# ```
# </details>
