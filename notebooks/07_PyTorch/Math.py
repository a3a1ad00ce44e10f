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
# PyTorch and dlfs compute the same functions and write them down differently. You see what autograd
# does against our `backward`, how weights and gates lie in memory, what each calls dropout, and how
# large a transposed convolution's output is. Every formula stands next to the line of dlfs that
# computes it, and a cell compares it with PyTorch. You need `Code.ipynb`, and the chain rule.

# %%
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
    """Equal but for the rounding of sums of so many terms of size 1."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    return np.abs(ours - theirs).max() <= 8 * terms * np.finfo(float).eps


# %% [markdown]
# ## 1. Backward, by a list and by a graph
#
# A network is a chain $y = f_n(\dots f_2(f_1(x)))$. With the Jacobian matrix $J_k$ of $f_k$ and the
# gradient $g_n$ of the loss with respect to $y$, the chain rule goes from the end to the beginning:
#
# $$ g_{k-1} = J_k^T \, g_k $$
#
# No matrix $J_k$ is ever made: each step only needs the product. In dlfs the chain is a list, and
# this is the heart of `backward_through` (`dlfs/base.py`):
#
#     for part in reversed(chain):
#         output_grad = part.backward(output_grad)
#
# PyTorch has no list. Each result holds the step that made it (`grad_fn`), and `backward()` follows
# these links. It can also make the matrices, so we can check the formula itself:

# %%
net = NeuralNetwork([Dense(4, activation=Tanh()), Dense(3)], seed=1)
net.build((5,))
module = to_torch(net)
x, g = rng.standard_normal((1, 5)), rng.standard_normal((1, 3))
J = torch.autograd.functional.jacobian(module, torch.tensor(x)).reshape(3, 5)
net.forward(x)
assert close(net.backward(g), g @ J.numpy())
print("our backward is the Jacobian's transpose times g; the Jacobian:", tuple(J.shape))

# %% [markdown]
# A graph can do what a list cannot: use one value twice. Then the gradients of both uses are added,
#
# $$ \frac{\partial L}{\partial x} = \sum_{\text{uses } k} J_k^T \, g_k $$
#
# which chapter 6 did for `NumberWithGrad`. It is also why `.grad` adds up until you clear it.

# %%
t = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
(torch.tanh(t) + t * t).sum().backward()
x = t.detach().numpy()
assert close((1 - np.tanh(x) ** 2) + 2 * x, t.grad)
print("gradient of both uses:", t.grad.numpy().round(4))

# %% [markdown]
# The two fit together. An Operation of dlfs can be one step of PyTorch's graph: our forward, our
# backward. PyTorch's own gradient checker then judges ours.


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
# ## 2. How weights lie
#
# Both mean the same sums, with indices in another order. For features $i$ in and $j$ out, channels
# $c$ in and $o$ out:
#
# $$ y_{nj} = \sum_i x_{ni} W_{ij} = \sum_i x_{ni} W'_{ji} \qquad
# W' = W^T $$
#
# $$ y_{nopq} = \sum_{c,u,v} x_{n,c,p+u,q+v} \, W_{couv} = \sum_{c,u,v} x_{n,c,p+u,q+v} \, W'_{ocuv}
# $$
#
# The first is ours (`output = input_ @ W` in `dlfs/dense.py`; kernels as in the book), the second
# PyTorch's. Gradients are laid out like the weights.

# %%
x = rng.standard_normal((2, 4, 6, 7))
W = rng.standard_normal((2, 6, 3, 3))  # two groups: 4 channels in, 6 out, each sees 2
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
# Both compute all four gates with one product and cut the result. The order differs:
#
# | | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|
# | dlfs, the book | forget $f$ | input $i$ | candidate $\bar c$ | output $o$ |
# | PyTorch | input $i$ | forget $f$ | candidate $\bar c$ (called $g$) | output $o$ |
#
# $$ c_t = f \, c_{t-1} + i \, \bar c \qquad h_t = o \tanh c_t $$
#
# And PyTorch adds two biases, where one does the same:
#
# $$ z_t = x_t W_x + b_{ih} + h_{t-1} W_h + b_{hh} = x_t W_x + B + h_{t-1} W_h \qquad
# B = b_{ih} + b_{hh} $$
#
# In `dlfs/reference/recurrent.py`, `lstm`, and the new order in `dlfs/pytorch/outward.py`:
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
print("our LSTM and PyTorch's, with the same weights: the same", output.size, "numbers")

# %% [markdown]
# The two biases are not quite harmless. Each gets the full gradient, so their sum moves *twice* as
# far as our one bias, at the same learning rate:
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
print("the sum of both biases moved", ratio.round(9)[0], "times as far as one would have")

# %% [markdown]
# ### The GRU's reset gate
#
# The book resets the state and then multiplies. PyTorch multiplies and resets the product, bias
# included: so one product serves all three gates.
#
# $$ \bar h = \tanh(z_h + (r \, h_{t-1}) W_c) \qquad\text{or}\qquad
# \bar h = \tanh(z_h + r \, (h_{t-1} W_c + b_c)) $$
#
# In `dlfs/reference/gru.py`:
#
#     np.tanh(z_t[:, 2 * n :] + (r * last) @ W[:, 2 * n :], out=h_bar)      # reset="before"
#     np.tanh(z_t[:, 2 * n :] + r * inner, out=h_bar)                       # reset="after"
#
# These are two functions: with the same weights they give different states, and no rearranging of
# the weights turns one into the other. So `to_torch` takes only the second:

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
print("they differ by", np.abs(states[0] - states[1]).max().round(3), "after six steps")
assert close(states[1], to_torch(nets["after"])(torch.tensor(x)))

# %% [markdown]
# ## 4. Dropout, two conventions and a third
#
# $m$ is 1 with probability $k$, else 0. dlfs says $k$, the share that is *kept*, PyTorch
# $p = 1 - k$, the share that is *dropped*. Both scale in training and do nothing in inference:
#
# $$ y = \frac{m}{k} \, x \qquad E[y] = x \qquad \mathrm{Var}[y] = \frac{1-k}{k} \, x^2 $$
#
# In `dlfs/reference/dropout.py`:
#
#     return x * mask * (1 / keep_prob)
#
# The book scales the other way round: $y = m x$ in training, $y = k x$ in inference. The ratio of
# the two is the same.

# %%
keep, count = 0.8, 200_000
ours = Dropout(keep, seed=1).forward(np.ones((1, count)))
torch.manual_seed(1)
theirs = nn.Dropout(1 - keep)(torch.ones(1, count, dtype=torch.float64)).numpy()
variance = (1 - keep) / keep
for name, y in (("dlfs", ours), ("PyTorch", theirs)):
    assert set(np.unique(y)) == {0, 1 / keep}
    # The mean of so many has this standard deviation; five of them are beyond chance.
    assert abs(y.mean() - 1) < 5 * np.sqrt(variance / count)
    print(f"{name:<8} mean {y.mean():.4f}, variance {y.var():.4f} (expected {variance:.4f})")

# %% [markdown]
# ## 5. Transposed convolution
#
# A convolution with kernel $K$, stride $s$, dilation $d$ and padding $a$ before, $b$ after makes of
# $n$ pixels
#
# $$ m = \left\lfloor \frac{n + a + b - d(K-1) - 1}{s} \right\rfloor + 1 $$
#
# Turned round, $m$ pixels become $n$. But the division has lost its remainder: several $n$ give the
# same $m$. So the transposed convolution takes the smallest of them, plus an *output padding*
# $e < s$ that says which one is meant:
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
print(tried, "sizes agree: the formula, dlfs and PyTorch")

# %% [markdown]
# "Transposed" is meant literally. As a matrix the convolution is some $A$, and this is $A^T$, so
# for any $x$ and $y$
#
# $$ \langle A x, \; y \rangle = \langle x, \; A^T y \rangle $$
#
# The weights of $A^T$ are those of $A$ with "in" and "out" exchanged. That is why PyTorch's
# `ConvTranspose2d` has (in, out / groups, height, width), the order of a plain convolution that
# goes the other way, while ours keeps (in / groups, out, height, width).

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
# Here are the two matrices, for one image of 5 × 5 pixels and a kernel of 3 × 3 with stride 2. A
# column of $A$ is what becomes of one pixel: the convolution of an image that is 1 there and 0
# elsewhere. Most entries are 0; each row holds the kernel's nine weights, or as many of them as lie
# on the image.

# %%
K = rng.standard_normal((1, 1, 3, 3))
pixels = np.eye(25).reshape(25, 1, 1, 5, 5)
A = np.stack([reference.conv2d(one, K, stride=2, padding=1).ravel() for one in pixels], axis=1)
small = rng.standard_normal((1, 1, 3, 3))
large = reference.conv_transpose2d(small, K, stride=2, padding=1, output_padding=(0, 0))
assert close(large.ravel(), A.T @ small.ravel())

fig, axes = plt.subplots(1, 2, figsize=(7, 3), width_ratios=[3, 2])
titles = "A: 25 pixels to 9", "its transpose: 9 to 25"
for ax, matrix, title in zip(axes, (A, A.T), titles, strict=True):
    ax.imshow(matrix, cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    ax.set(title=title, xlabel="from pixel", ylabel="to pixel")
plt.show()

# %% [markdown]
# With groups the two orders are no longer one and the same array. Group $k$ of $G$ reads channels
# $kA, \dots, kA + A - 1$ and writes $kZ, \dots, kZ + Z - 1$:
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
# Both normalize a batch of $n$ with its own variance, divided by $n$, and keep for predictions a
# running average of the *unbiased* one, divided by $n - 1$:
#
# $$ \hat v \leftarrow (1 - \mu)\, \hat v + \mu \, \frac{n}{n-1} \, v $$
#
# In `dlfs/normalization.py`, `BatchNorm_Op`:
#
#     unbiased = var * (count / max(count - 1, 1))
#     self.running_var += self.momentum * (unbiased - self.running_var)
#
# "Momentum" $\mu$ is the share that is *replaced*, in both; elsewhere it is often the share that
# stays.

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
# **1. Sizes.** Write the length of a transposed convolution's output, with "same" padding and no
# dilation: the padding is chosen so that the answer is short.


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
# **2. One bias.** You want a step of SGD to do in PyTorch what it does here. By which factor do you
# multiply the learning rate of the two biases of an `nn.LSTM`?

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
# **3. Backward by hand, in their graph.** Write the backward step of softplus,
# $\log(1 + e^x)$, for PyTorch. `ctx.saved_tensors` holds what forward has saved.


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


check("softplus", Softplus, has_the_gradient, hint="The derivative of softplus is the sigmoid.")

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
