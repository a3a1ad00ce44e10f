# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 4: the mathematics of training
#
# Why does the gradient of softmax with cross-entropy come out so simple? What does momentum do to a
# sequence of gradients? Why $\sqrt{2/(n_\text{in}+n_\text{out})}$? You derive the answers, see the
# line of `dlfs` that computes each, and check them.
#
# You need: derivatives, and for the second half variances.

# %%
import inspect
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import dlfs
from dlfs import reference
from dlfs.exercises import check
from dlfs.optimizers.schedule import Schedule
from dlfs.plots import BLUE, GREY, ORANGE

rng = np.random.default_rng(0)


def quote(function, *starts):
    """Print the lines of a function that begin like this."""
    lines = inspect.getsource(function).splitlines()
    found = [line for line in lines if line.strip().startswith(starts)]
    assert found, f"no such line in {function.__name__}"
    print(textwrap.dedent("\n".join(found)))


# %% [markdown]
# ## 1. Softmax and cross-entropy
#
# Softmax turns scores $z_1, \dots, z_K$ into positive shares; cross-entropy asks how surprising the
# target $t$ (shares too, usually a single 1) is under them:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\sum_k t_k \log p_k.$$
#
# Put one into the other. With $\sum_k t_k = 1$ the fraction falls apart:
#
# $$L = -\sum_k t_k z_k + \log \sum_j e^{z_j}.$$
#
# Its derivative takes one line, as the derivative of $\log\sum e^{z_j}$ is the softmax itself:
#
# $$\frac{\partial L}{\partial z_k} = p_k - t_k.$$
#
# What the network says, minus what is true. With symbols, for three classes:

# %%
z, t = sp.symbols("z1:4", real=True), sp.symbols("t1:4", real=True)
total = sum(sp.exp(s) for s in z)
shares = [sp.exp(s) / total for s in z]
loss = -sum(tk * sp.log(pk) for tk, pk in zip(t, shares, strict=True))

for k in range(3):
    derivative = sp.diff(loss, z[k]).subs(t[2], 1 - t[0] - t[1])
    wanted = (shares[k] - t[k]).subs(t[2], 1 - t[0] - t[1])
    assert sp.simplify(derivative - wanted) == 0
print("dL/dz = p - t for each of three classes")

# %% [markdown]
# The lines of `dlfs`, in `dlfs.reference.losses.softmax_cross_entropy`. The sum of `exps` is
# `1 + rest`, because the largest of them is $e^0 = 1$:

# %%
value = ("loss = _sum(_weighted(probabilities, log_sums - shifted", "loss /=")
logarithm = ("others", "rest =", "log_sums =")
quote(reference.softmax_cross_entropy, "shifted =", "exps =", *logarithm, *value, "grad =")

# %% [markdown]
# ### Log-sum-exp
#
# Why `shifted`? $e^{710}$ is more than 64 bits can hold, and $\log 0$ is no number. Taking the
# largest score $m$ away from all of them changes neither shares nor loss,
#
# $$\log \sum_j e^{z_j} = m + \log \sum_j e^{z_j - m},$$
#
# and then the largest term of the sum is 1. Nothing can overflow, nothing needs clipping.

# %%
logits, target = np.array([[1000.0, 0.0, -1000.0]]), np.array([[0.0, 1.0, 0.0]])
with np.errstate(over="ignore", invalid="ignore"):
    naive = np.exp(logits) / np.exp(logits).sum()
value = dlfs.SoftmaxCrossEntropy().forward(logits, target)
print(f"naive softmax: {naive.ravel()}; loss through log-sum-exp: {value}")
assert np.isnan(naive).any()
assert value == 1000.0

# %% [markdown]
# ### The book's value
#
# The book sums $-t_k\log p_k - (1-t_k)\log(1-p_k)$ over the classes, and pairs it with $p - t$. The
# second term has a gradient of its own, which is missing. With $t$ a single 1 and $p$ from a
# softmax, it is not zero:

# %%
book = sum(-tk * sp.log(pk) - (1 - tk) * sp.log(1 - pk) for tk, pk in zip(t, shares, strict=True))
at = {z[0]: 1.0, z[1]: 0.5, z[2]: -1.0, t[0]: 1, t[1]: 0, t[2]: 0}
gradient = [float(sp.diff(book, s).subs(at)) for s in z]
used = [float((pk - tk).subs(at)) for pk, tk in zip(shares, t, strict=True)]
print("gradient of the book's value:", np.round(gradient, 4))
print("gradient that it uses:       ", np.round(used, 4))
assert np.max(np.abs(np.subtract(gradient, used))) > 0.1

# %% [markdown]
# ### Why it learns faster than squared error
#
# Take one output. A sigmoid under squared error, $L = (\sigma(z) - 1)^2$, has the gradient
# $2(\sigma-1)\,\sigma(1-\sigma)$: where the network is *surely wrong*, $\sigma \approx 0$ and the
# gradient vanishes. Cross-entropy's is $\sigma - 1$: the more wrong, the stronger.

# %%
score = np.linspace(-8, 8, 200)
sigma = 1 / (1 + np.exp(-score))
figure, ax = plt.subplots(figsize=(7, 3), dpi=90, layout="constrained")
ax.plot(score, np.abs(sigma - 1), color=BLUE, label="cross-entropy")
ax.plot(score, np.abs(2 * (sigma - 1) * sigma * (1 - sigma)), color=ORANGE, label="squared error")
ax.set(xlabel="score z of the truth", ylabel="size of the gradient")
ax.annotate("surely wrong", (-7.5, 0.06))
ax.annotate("surely right", (5.5, 0.06))
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ### One-hot: classes as a matrix
#
# The target $t$ of an observation is a row of zeros with a 1 at its class (*one-hot*). A batch of
# targets is then a matrix with a row for each observation, of the same shape as the predictions, so
# that $p - t$ needs no loop:

# %%
digits = np.array([3, 0, 3, 9])
T = np.zeros((4, 10))
T[np.arange(4), digits] = 1  # row n, column digits[n]
print(T.astype(int))
assert np.array_equal(T, np.eye(10)[digits])
assert np.array_equal(T.argmax(axis=1), digits)

# %% [markdown]
# ### Two classes, by the quotient rule
#
# The derivative of softmax itself, without the logarithm, for two scores. The quotient rule
# $(u/v)' = (u'v - uv')/v^2$ with $u = e^{z_1}$ and $v = e^{z_1} + e^{z_2}$ gives
#
# $$\frac{\partial p_1}{\partial z_1} = \frac{e^{z_1}(e^{z_1} + e^{z_2}) - e^{z_1} e^{z_1}}
# {(e^{z_1}+e^{z_2})^2} = p_1 (1 - p_1), \qquad
# \frac{\partial p_1}{\partial z_2} = \frac{0 - e^{z_1} e^{z_2}}{(e^{z_1}+e^{z_2})^2} = -p_1 p_2.$$
#
# Each score moves *both* shares. With the truth $t = (1, 0)$ and $L = -\log p_1$, the chain rule
# gives $\partial L / \partial z_1 = -\frac{1}{p_1}\, p_1 (1 - p_1) = p_1 - 1$, and
# $\partial L / \partial z_2 = -\frac{1}{p_1}(-p_1 p_2) = p_2$: again $p - t$. The $1/p_1$ of the
# logarithm cancels the $p_1$ of the softmax.

# %%
z1, z2 = sp.symbols("z1 z2", real=True)
p1 = sp.exp(z1) / (sp.exp(z1) + sp.exp(z2))
assert sp.simplify(sp.diff(p1, z1) - p1 * (1 - p1)) == 0
assert sp.simplify(sp.diff(p1, z2) + p1 * (1 - p1)) == 0
assert sp.simplify(sp.diff(-sp.log(p1), z1) - (p1 - 1)) == 0
assert sp.simplify(sp.diff(-sp.log(p1), z2) - (1 - p1)) == 0

# %% [markdown]
# ### Cross-entropy at 0
#
# What if a share is 0? For a class that is *not* true, $t_k = 0$, and $t_k \log p_k$ is 0 for
# every $p_k > 0$. At $p_k = 0$ it is $0 \cdot \log 0$, and a computer says `nan`. For the true
# class, $-\log p$ grows without bound as $p$ goes to 0: nothing is as bad as being sure and wrong.
# The book clips $p$ to $[10^{-9}, 1 - 10^{-9}]$, so its loss ends at 20.7, and its value no longer
# changes with $z$ there.

# %%
with np.errstate(divide="ignore", invalid="ignore"):
    print("computed as it stands, 0 * log(0) =", np.float64(0.0) * np.log(np.float64(0.0)))
for size in (10.0, 20.0, 30.0):
    scores, truth = np.array([[0.0, size]]), np.array([[1.0, 0.0]])
    clipped = -np.log(np.clip(np.exp(-size) / (1 + np.exp(-size)), 1e-9, 1 - 1e-9))
    value = dlfs.SoftmaxCrossEntropy().forward(scores, truth)
    print(f"score off by {size:.0f}: loss {value:.4f}, with clipping {clipped:.4f}")
assert np.isclose(clipped, -np.log(1e-9))
assert np.isclose(value, 30)

# %% [markdown]
# ## 2. Squared error of shares
#
# Let $p_k = a_k/s$ with $s = \sum_j a_j$, and $g_k = \partial L/\partial p_k = \tfrac2n(p_k -
# t_k)$. An $a_k$ appears above the bar once and below it in every share:
#
# $$\frac{\partial p_j}{\partial a_k} = \frac{\delta_{jk} - p_j}{s}
# \qquad\Longrightarrow\qquad
# \frac{\partial L}{\partial a_k} = \frac1s\Big(g_k - \sum_j g_j p_j\Big).$$
#
# The book stops at $g_k$. The right gradient has a property that can be seen at once: making all
# $a_k$ larger by the same factor changes no share, so $\sum_k a_k\,\partial L/\partial a_k = 0$.

# %%
a = sp.symbols("a1:4", positive=True)
s = sum(a)
squared = sum((ak / s - tk) ** 2 for ak, tk in zip(a, t, strict=True))
g = [2 * (ak / s - tk) for ak, tk in zip(a, t, strict=True)]
along = sum(gk * ak / s for gk, ak in zip(g, a, strict=True))
for k in range(3):
    assert sp.simplify(sp.diff(squared, a[k]) - (g[k] - along) / s) == 0
assert sp.simplify(sum(ak * sp.diff(squared, ak) for ak in a)) == 0

quote(dlfs.MeanSquaredError._input_grad, "along =", "return (")

# %% [markdown]
# ## 3. Momentum is a filter
#
# With $v_t = \mu\,v_{t-1} + \eta\,g_t$ each step is a weighted sum of all gradients so far:
#
# $$v_t = \eta \sum_{k \ge 0} \mu^k\, g_{t-k}.$$
#
# A gradient goes on working: after $k$ steps with weight $\mu^k$. A constant gradient adds up to
# $\eta/(1-\mu)$, ten times the learning rate for $\mu = 0.9$. A gradient that changes its sign at
# every step is damped to $\eta/(1+\mu)$, about half. In the language of filters: with a gradient
# that oscillates at the frequency $\omega$, the gain is
# $$|H(\omega)| = \eta\,/\,|1 - \mu e^{-i\omega}|.$$
#
# The lines of `dlfs`:

# %%
quote(reference.sgd_momentum_update, "step =", "velocity *=", "velocity +=", "param -=")

# %% [markdown]
# `dlfs.SGDMomentum`, fed one gradient of 1 and then zeros, shows the weights:


# %%
class OneParameter(dlfs.Layer):
    """A single number: all of a network that an optimizer needs."""

    def __init__(self):
        super().__init__()
        self.params, self.param_grads = [np.zeros((1, 1))], [np.zeros((1, 1))]


def steps(gradients, lr=1.0, momentum=0.9):
    """Return the step that momentum makes for each gradient."""
    optim = dlfs.SGDMomentum(lr=lr, momentum=momentum)
    optim.net = OneParameter()
    places = [0.0]
    for gradient in gradients:
        optim.net.param_grads[0][...] = gradient
        optim.step()
        places.append(optim.net.params[0].item())
    return -np.diff(places)


impulse = steps([1.0] + [0.0] * 59)
assert np.allclose(impulse, 0.9 ** np.arange(60), rtol=1e-9, atol=1e-12)
assert np.isclose(steps(np.ones(400))[-1], 10)
assert np.isclose(abs(steps((-1.0) ** np.arange(400))[-1]), 1 / 1.9)

# %%
omega = np.linspace(0, np.pi, 200)
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3), dpi=90, layout="constrained")
axes[0].stem(impulse, linefmt=BLUE, markerfmt="o", basefmt=" ")
axes[0].set(xlabel="steps later", ylabel="weight", title="What one gradient does")
for mu, color in ((0.0, GREY), (0.5, BLUE), (0.9, ORANGE)):
    axes[1].plot(omega, 1 / np.abs(1 - mu * np.exp(-1j * omega)), color=color, label=f"{mu}")
axes[1].set(xlabel="frequency of the gradient", ylabel="gain", title="A low-pass filter")
axes[1].legend(title="momentum", frameon=False)
for ax in axes:
    ax.grid(alpha=0.25)
plt.show()

# %% [markdown]
# ### In a narrow valley
#
# That is what helps where the loss is steep across and flat along, as here
# $L = \tfrac12(x^2 + 25\,y^2)$. Plain descent must take steps small enough for the steep side,
# and creeps along the flat one. With momentum the steps along it, which all agree, add up.


# %%
def walk(momentum, lr=0.02, count=60):
    place, velocity, path = np.array([-4.0, 1.0]), np.zeros(2), [(-4.0, 1.0)]
    for _ in range(count):
        velocity = momentum * velocity + lr * place * [1, 25]
        place = place - velocity
        path.append(tuple(place))
    return np.array(path)


u, w = np.meshgrid(np.linspace(-4.5, 2, 100), np.linspace(-1.5, 1.5, 60))
figure, ax = plt.subplots(figsize=(7, 3.2), dpi=90, layout="constrained")
ax.contour(u, w, (u**2 + 25 * w**2) / 2, levels=np.geomspace(0.1, 40, 10), colors="lightgrey")
for momentum, color in ((0.0, ORANGE), (0.8, BLUE)):
    path = walk(momentum)
    ax.plot(*path.T, "o-", markersize=3, color=color, label=f"momentum {momentum}")
ax.set(xlabel="x", ylabel="y", title="60 steps")
ax.legend(loc="lower right")
plt.show()
assert np.linalg.norm(walk(0.8)[-1]) < 0.2 * np.linalg.norm(walk(0.0)[-1])

# %% [markdown]
# ## 4. A falling learning rate
#
# From $\eta_0$ in the first of $N$ epochs to $\eta_1$ in the last, at epoch $t = 0, \dots, N-1$:
#
# $$\text{linear: } \eta_0 - (\eta_0 - \eta_1)\frac{t}{N-1}, \qquad
# \text{exponential: } \eta_0 \Big(\frac{\eta_1}{\eta_0}\Big)^{t/(N-1)}.$$
#
# (The book's formula for the linear one divides by $N$, its code by $N-1$; with $N$ the last epoch
# would not arrive at $\eta_1$.) In `dlfs`, as multiples of $\eta_0$, with `f` for $t/(N-1)$ and
# `r` for $\eta_1/\eta_0$:

# %%
quote(Schedule, "return float(r", "return 1 +")

# %% [markdown]
# And the rates that an optimizer takes:


# %%
def rates(decay_type, epochs=50):
    optim = dlfs.SGD(lr=0.2, final_lr=0.05, decay_type=decay_type)
    optim.start_schedule(epochs)
    found = []
    for epoch in range(epochs):
        optim.set_progress(epoch)
        found.append(optim.lr)
    return np.array(found)


f = np.arange(50) / 49
assert np.allclose(rates("linear"), 0.2 - 0.15 * f)
assert np.allclose(rates("exponential"), 0.2 * 0.25**f)
print(
    f"mean rate: linear {rates('linear').mean():.3f}, exponential {rates('exponential').mean():.3f}"
)

# %% [markdown]
# ## 5. Glorot's weights
#
# A neuron computes $y = \sum_{j=1}^{n_\text{in}} w_j x_j$. Draw the weights independently, with
# mean 0. Variances of independent terms add, and $\operatorname{Var}(w_j x_j) =
# \operatorname{Var}(w)\, \mathbb E[x_j^2]$:
#
# $$\mathbb E[y^2] = n_\text{in} \operatorname{Var}(w)\, \mathbb E[x^2].$$
#
# The signal keeps its size going forward if $\operatorname{Var}(w) = 1/n_\text{in}$. Backward, the
# gradient of $x_j$ is a sum over $n_\text{out}$ neurons, and keeps its size if
# $\operatorname{Var}(w) = 1/n_\text{out}$. Both cannot be had; Glorot and Bengio take the mean of
# $n_\text{in}$ and $n_\text{out}$:
#
# $$\operatorname{Var}(w) = \frac{2}{n_\text{in} + n_\text{out}}, \qquad
# \text{so the standard deviation is } \sqrt{\frac{2}{n_\text{in} + n_\text{out}}}.$$
#
# NumPy's `normal` takes the *deviation*. The book passes it the variance: its weights of the first
# MNIST layer have the deviation 0.0023 instead of 0.048. In `dlfs`:

# %%
quote(dlfs.initializers.draw_weights, '"glorot":', "weights =")

# %% [markdown]
# The variances, counted:

# %%
n_in, n_out = 784, 89
W = dlfs.initializers.draw_weights("glorot", rng, (n_in, n_out), n_in, n_out, np.float64)
x, back = rng.standard_normal((400, n_in)), rng.standard_normal((400, n_out))
variance = 2 / (n_in + n_out)
print(f"deviation {W.std():.4f}, by the formula {variance**0.5:.4f}, the book's {variance:.4f}")
forward, backward = np.mean((x @ W) ** 2), np.mean((back @ W.T) ** 2)
print(
    f"forward x {forward:.2f} (formula {n_in * variance:.2f}), "
    f"backward x {backward:.3f} (formula {n_out * variance:.3f})"
)
# 35,000 products that share 69,776 weights: 4 deviations of these means are well within 5 %
assert abs(forward / (n_in * variance) - 1) < 0.05
assert abs(backward / (n_out * variance) - 1) < 0.05

# %% [markdown]
# Through ten layers of 200 tanh neurons:


# %%
def sizes(weight_init, layers=10):
    values, found = np.random.default_rng(1).standard_normal((300, 200)), []
    for number in range(layers):
        layer = dlfs.Dense(200, dlfs.Tanh(), weight_init=weight_init)
        layer.seed = number
        values = layer.forward(values)
        found.append(values.std())
    return np.array(found)


def book_glorot(rng, shape, n_in, n_out):
    return rng.normal(0, 2 / (n_in + n_out), shape)


figure, ax = plt.subplots(figsize=(7, 3), dpi=90, layout="constrained")
kinds = {"standard": ("standard", GREY), "glorot": ("glorot", BLUE),
         "the book's": (book_glorot, ORANGE)}  # fmt: skip
for name, (kind, color) in kinds.items():
    ax.semilogy(range(1, 11), sizes(kind), "o-", color=color, label=name)
ax.set(xlabel="layer", ylabel="deviation of its outputs")
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()
assert sizes("glorot")[-1] > 0.1
assert sizes(book_glorot)[-1] < 1e-8

# %% [markdown]
# With deviation 1 every neuron sits at an end of the tanh (size 1, no gradient). Without the square
# root the signal dies in a deep network; the book's have one or two hidden layers, and survive.
#
# A layer of `dlfs` therefore starts with Glorot's weights, or, if its activation is ReLU or a
# relative, with He's, which exercise 3 derives. The book's deviation of 1 is there by its name,
# `weight_init="standard"`.
#
# ## 6. Dropout
#
# Let $m$ be 1 with probability $q$ (kept), else 0. *Inverted* dropout computes $y = xm/q$:
#
# $$\mathbb E[y] = \frac{x}{q}\,\mathbb E[m] = x, \qquad
# \operatorname{Var}(y) = \frac{x^2}{q^2}\,q(1-q) = x^2\,\frac{1-q}{q}.$$
#
# The expectation is the input, so prediction needs no correction. (The book leaves out the division
# and multiplies by $q$ in prediction: the same expectation, up to the factor.) Backward, the mask
# is a constant: $\partial L/\partial x = g\,m/q$. In `dlfs` one line does both:

# %%
quote(dlfs.Dropout._output, "self.mask =", "return kernels")
quote(dlfs.Dropout._input_grad, "return kernels")
quote(reference.dropout, "kept =", "return")

# %%
# %%
m, q, x_ = sp.symbols("m q x", positive=True)
values = {1: q, 0: 1 - q}  # of m, with their probabilities
mean = sum(chance * x_ * kept / q for kept, chance in values.items())
square = sum(chance * (x_ * kept / q) ** 2 for kept, chance in values.items())
assert sp.simplify(mean - x_) == 0
assert sp.simplify(square - mean**2 - x_**2 * (1 - q) / q) == 0

# %%
dropout = dlfs.Dropout(0.8, seed=3)
ones = np.ones((1000, 1000))
out = dropout.forward(ones)
deviation = np.sqrt(0.25 / 1e6)  # of the mean of a million numbers of variance 0.25
assert abs(out.mean() - 1) < 5 * deviation
assert np.array_equal(dropout.backward(ones), out)
assert np.array_equal(dropout.forward(ones, inference=True), ones)
print(f"mean {out.mean():.4f}, variance {out.var():.4f} (formula 0.25)")

# %% [markdown]
# ## 7. Adam
#
# With momentum all weights have one rate. In the valley above the steep direction dictates it, and
# the flat one pays. **Adam** (Kingma and Ba, 2015) gives each weight a rate of its own. It keeps a
# running mean of the gradient, as momentum does, *and* one of its square, and divides the first by
# the root of the second:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2,
# \qquad w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# Multiply the gradient by 1000: $\hat m$ and $\sqrt{\hat v}$ grow alike, and the step stays the
# same. Where the gradient keeps its sign the step is nearly $\eta$, however flat the loss is. Where
# the sign changes all the time the mean is near zero, and so is the step.
#
# Both means begin at zero, so they are too small at first. If all gradients are $g$, then after $t$
# steps $m = (1 - \beta_1^t)\,g$:

# %%
beta, g = sp.symbols("beta g", positive=True)
m = sp.Integer(0)
for t in range(1, 6):
    m = beta * m + (1 - beta) * g
    assert sp.simplify(m - (1 - beta**t) * g) == 0
sp.factor(m)

# %% [markdown]
# The hats are the correction for that: $\hat m = m / (1 - \beta_1^t)$, and $\hat v$ alike. With it
# the very first step has the size $\eta$, whatever the gradient:

# %%
quote(reference.adam_update, "mean_corrected", "root", "step", "param -= lr")
for gradient in (0.001, 1.0, 1000.0):
    w, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    reference.adam_update(w, np.array([gradient]), m, v, t=1, lr=0.1, eps=1e-12)
    print(f"gradient {gradient:>8}: step {1 - w[0]:.4f}")
    assert np.isclose(1 - w[0], 0.1)

# %% [markdown]
# Now a valley that is 1000 times as steep across as along. Each method has its best rate of a grid,
# among those with which the loss never doubles; it falls to zero, linearly:


# %%
def losses(method, rate, count=200, steep=1000.0):
    """Go down from (-4, 1), and return the loss after each step."""
    place, mean, square, found = np.array([-4.0, 1.0]), np.zeros(2), np.zeros(2), []
    for t in range(count):
        grad, lr = place * [1, steep], rate * (1 - t / count)
        if method == "Adam":
            reference.adam_update(place, grad, mean, square, t + 1, lr)
        else:
            mean = (0.9 if method == "momentum" else 0.0) * mean + lr * grad
            place = place - mean
        found.append(0.5 * np.sum(place**2 * [1, steep]))
    return np.array(found)


figure, ax = plt.subplots(figsize=(7, 3), dpi=90, layout="constrained")
ends = {}
with np.errstate(over="ignore", invalid="ignore"):
    for method, color in (("plain", GREY), ("momentum", ORANGE), ("Adam", BLUE)):
        tried = [losses(method, rate) for rate in np.geomspace(1e-4, 1, 25)]
        best = min((found for found in tried if found.max() < 1000), key=lambda found: found[-1])
        ends[method] = best[-1]
        ax.semilogy(best, color=color, label=method)
ax.set(xlabel="step", ylabel="loss", ylim=(1e-8, 2e3))
ax.legend()
plt.show()
print({method: float(f"{end:.1e}") for method, end in ends.items()})
assert ends["Adam"] < ends["momentum"] < ends["plain"]

# %% [markdown]
# This valley lies along the axes, which is where a rate for each weight helps most. In a network
# weights of different layers have gradients of very different sizes; this is why Adam needs less
# care with its rate than descent does. **AdamW** pulls all weights a little towards zero besides,
# by $\eta\lambda w$. That is not the same as adding $\lambda w$ to the gradient: there it would be
# divided by $\sqrt{\hat v}$, and weights with large gradients would hardly be pulled.
#
# ## 8. Why normalization helps
#
# How narrow is the valley of a real problem? For a linear layer with squared error the curvature is
# $X^\top X / n$. Features that are far from zero, or of different sizes, make it long and narrow.
# With mean 0 and variance 1 for each feature, it is nearly round:

# %%
X = rng.standard_normal((500, 3)) * [1, 10, 0.2] + [5, 50, 1]
Z = (X - X.mean(axis=0)) / X.std(axis=0)
steepness = {}
for name, features in (("as they are", X), ("normalized", Z)):
    curvature = np.linalg.eigvalsh(features.T @ features / 500)
    steepness[name] = curvature[-1] / curvature[0]
    print(f"{name:<12} {steepness[name]:>12,.1f} times as steep across as along")
assert steepness["as they are"] > 1e4
assert steepness["normalized"] < 2

# %% [markdown]
# Descent needs a number of steps that grows with this ratio. So data is normalized before the
# training (chapters 2 and 4). But the second layer's data is what the first layer gives, and that
# changes with every step. **Batch normalization** (Ioffe and Szegedy, 2015) puts the same formula
# inside the network, with the mean and variance of the batch; **layer normalization** takes those
# of each row's features (chapter 10). Its gradient needs two terms more, because mean and variance
# depend on the input; chapter 10 derives it.
#
# There is a second effect. A layer's weights, all multiplied by $a$, give the same normalized
# output, so their size no longer matters. And the gradient becomes $1/a$ times as large: too large
# weights are moved less, relative to their size. A rate that is too high at first corrects itself.

# %%
W, G = rng.standard_normal((3, 4)), rng.standard_normal((500, 4))


def output_and_gradient(W):
    """Z @ W, normalized, and the gradient of W for the output gradient G."""
    output, _, _, inv_std = reference.batch_norm(Z @ W, 1e-12)
    return output, Z.T @ reference.batch_norm_grad(G, output, inv_std)


(one, one_grad), (ten, ten_grad) = output_and_gradient(W), output_and_gradient(10 * W)
assert np.allclose(one, ten)
assert np.allclose(one_grad, 10 * ten_grad)
print("ten times the weights: the same output, a tenth of the gradient")

# %% [markdown]
# ## 9. Three activations, side by side
#
# An activation's derivative decides how much of a gradient a layer lets through.
#
# | | value | derivative | largest derivative |
# |---|---|---|---|
# | sigmoid | $y = 1/(1+e^{-x})$, from 0 to 1 | $y\,(1-y)$ | 1/4, at 0 |
# | tanh | $y = (e^x - e^{-x})/(e^x + e^{-x})$, from -1 to 1 | $1 - y^2$ | 1, at 0 |
# | ReLU | $y = \max(0, x)$ | 1 where $x > 0$, else 0 | 1, everywhere above 0 |
#
# Sigmoid and tanh have the same shape: $\tanh x = 2\,\sigma(2x) - 1$. But tanh is symmetric about
# 0, and four times as steep. Far from 0 both are flat, and a gradient *vanishes* there. ReLU is
# never flat above 0; below 0 it lets nothing through.

# %%
x_axis = np.linspace(-5, 5, 201)
kinds = {"sigmoid": dlfs.Sigmoid(), "tanh": dlfs.Tanh(), "ReLU": dlfs.ReLU()}
largest = {}
figure, axes = plt.subplots(1, 2, figsize=(7, 3), dpi=90, layout="constrained")
for (name, activation), color in zip(kinds.items(), (GREY, BLUE, ORANGE), strict=True):
    y_axis = activation.forward(x_axis)
    slopes = activation.backward(np.ones_like(x_axis))
    largest[name] = float(slopes.max())
    axes[0].plot(x_axis, y_axis, color=color, label=name)
    axes[1].plot(x_axis, slopes, color=color, label=name)
axes[0].set(title="forward", xlabel="x", ylim=(-1.3, 2.3))
axes[1].set(title="derivative", xlabel="x", ylim=(-0.1, 1.15))
for ax in axes:
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
plt.show()
assert largest == {"sigmoid": 0.25, "tanh": 1.0, "ReLU": 1.0}

# %%
x_ = sp.symbols("x", real=True)
sigma_ = 1 / (1 + sp.exp(-x_))
assert sp.simplify(sp.diff(sigma_, x_) - sigma_ * (1 - sigma_)) == 0
assert sp.simplify(sp.diff(sp.tanh(x_), x_) - (1 - sp.tanh(x_) ** 2)) == 0
assert sp.simplify((sp.tanh(x_) - (2 * sigma_.subs(x_, 2 * x_) - 1)).rewrite(sp.exp)) == 0
print("after five layers at most", {name: f"{slope**5:.2g}" for name, slope in largest.items()})

# %% [markdown]
# ## Exercises
#
# ### 1. Temperature
#
# A softmax with temperature computes the shares of $z/\tau$. What is the gradient of the
# cross-entropy with respect to $z$ then, from $p$, $t$ and $\tau$?


# %% tags=["exercise:temperature"]
def temperature_grad(p, t, tau): ...


# %%
scores, truth = np.array([1.0, -0.5, 0.3]), np.array([0.0, 1.0, 0.0])


def hot_loss(z, tau):
    return np.log(np.sum(np.exp(z / tau))) - truth @ z / tau


hot = np.exp(scores / 2) / np.exp(scores / 2).sum()
numeric = [(hot_loss(scores + d, 2) - hot_loss(scores - d, 2)) / 2e-6 for d in 1e-6 * np.eye(3)]
check(
    "temperature",
    temperature_grad,
    lambda f: np.allclose(f(hot, truth, 2.0), numeric, atol=1e-8),
    hint="z goes through one more function, z / tau, whose derivative is...",
)

# %% [markdown] tags=["solution:temperature"]
# <details><summary>Solution</summary>
#
# ```python
# def temperature_grad(p, t, tau):
#     return (p - t) / tau
# ```
# </details>

# %% [markdown]
# ### 2. How long is momentum's memory?
#
# After how many steps has the weight of a gradient fallen below 1 %, with $\mu = 0.9$?

# %% tags=["exercise:memory"]
memory = ...

# %%
check("memory", memory, int(np.argmax(impulse < 0.01)), hint="Solve 0.9**k < 0.01 for a whole k.")

# %% [markdown] tags=["solution:memory"]
# <details><summary>Solution</summary>
#
# ```python
# memory = int(np.ceil(np.log(0.01) / np.log(0.9)))
# ```
# </details>

# %% [markdown]
# ### 3. Weights for ReLU
#
# A ReLU sets half of a symmetric signal to 0, so $\mathbb E[x^2]$ is halved at each layer. Which
# standard deviation of the weights keeps the size going forward?


# %% tags=["exercise:relu"]
def relu_deviation(n_in): ...


# %%
check(
    "relu",
    relu_deviation,
    lambda f: np.isclose(f(200) ** 2 * 200 / 2, 1),
    hint="n_in * Var(w) / 2 must be 1. This is He's initialization.",
)

# %% [markdown] tags=["solution:relu"]
# <details><summary>Solution</summary>
#
# ```python
# def relu_deviation(n_in):
#     return np.sqrt(2 / n_in)
# ```
# </details>
