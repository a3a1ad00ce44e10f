# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 4: the mathematics of training
#
# Why is the gradient of softmax with cross-entropy so simple? What does momentum do to a sequence
# of gradients? Where does $\sqrt{2/(n_\text{in}+n_\text{out})}$ come from? You derive the answers,
# and check each with symbols or numbers, against `dlfs`.
#
# You need derivatives, and a little SymPy (Math of chapter 1). The sections about weights and
# dropout use variances.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import dlfs
from dlfs import reference
from dlfs.classroom.cells import plot_style
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY, ORANGE

plot_style()
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. Softmax and cross-entropy
#
# Softmax turns the logits $z_1, \dots, z_K$ into positive shares with the sum 1. Cross-entropy is
# small if the shares are large where the target $t$ is. The targets are shares, too, usually a
# single 1:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\sum_k t_k \log p_k.$$
#
# Put the first into the second. The logarithm of the fraction is a difference, and the targets add
# up to 1, so
#
# $$L = -\sum_k t_k z_k + \log \sum_j e^{z_j}.$$
#
# The derivative of $\log\sum_j e^{z_j}$ with respect to $z_k$ is $e^{z_k} / \sum_j e^{z_j}$, which
# is $p_k$. So
#
# $$\frac{\partial L}{\partial z_k} = p_k - t_k.$$
#
# The gradient is the prediction minus the truth. With symbols, for three classes:

# %%
z, t = sp.symbols("z1:4", real=True), sp.symbols("t1:4", real=True)
total = sum(sp.exp(s) for s in z)
shares = [sp.exp(s) / total for s in z]
loss = -sum(tk * sp.log(pk) for tk, pk in zip(t, shares))

for k in range(3):
    difference = sp.diff(loss, z[k]) - (shares[k] - t[k])
    # the targets add up to 1
    print("difference:", sp.simplify(difference.subs(t[2], 1 - t[0] - t[1])))

# %% tags=["remove-cell"]
for k in range(3):
    difference = sp.diff(loss, z[k]) - (shares[k] - t[k])
    assert sp.simplify(difference.subs(t[2], 1 - t[0] - t[1])) == 0

# %% [markdown]
# ### Two classes, by the quotient rule
#
# The derivative of softmax itself, without the logarithm, for two logits. The quotient rule
# $(u/v)' = (u'v - uv')/v^2$ with $u = e^{z_1}$ and $v = e^{z_1} + e^{z_2}$ gives
#
# $$\frac{\partial p_1}{\partial z_1} = \frac{e^{z_1}(e^{z_1} + e^{z_2}) - e^{z_1} e^{z_1}}
# {(e^{z_1}+e^{z_2})^2} = p_1 (1 - p_1)$$
#
# $$\frac{\partial p_1}{\partial z_2} = \frac{0 - e^{z_1} e^{z_2}}{(e^{z_1}+e^{z_2})^2} = -p_1 p_2$$
#
# Each logit changes *both* shares. Let the truth be $t = (1, 0)$, so $L = -\log p_1$. By the chain
# rule
#
# $$\frac{\partial L}{\partial z_1} = -\frac{1}{p_1}\, p_1 (1 - p_1) = p_1 - 1 \qquad
# \frac{\partial L}{\partial z_2} = -\frac{1}{p_1}\,(-p_1 p_2) = p_2$$
#
# This is $p - t$ again. The factor $1/p_1$ of the logarithm cancels the $p_1$ of the softmax.

# %%
z1, z2 = sp.symbols("z1 z2", real=True)
p1 = sp.exp(z1) / (sp.exp(z1) + sp.exp(z2))
p2 = 1 - p1
print("differences:", sp.simplify(sp.diff(p1, z1) - p1 * (1 - p1)), end=" ")
print(sp.simplify(sp.diff(p1, z2) + p1 * p2), end=" ")
print(sp.simplify(sp.diff(-sp.log(p1), z1) - (p1 - 1)), end=" ")
print(sp.simplify(sp.diff(-sp.log(p1), z2) - p2))

# %% tags=["remove-cell"]
assert sp.simplify(sp.diff(p1, z1) - p1 * (1 - p1)) == 0
assert sp.simplify(sp.diff(p1, z2) + p1 * p2) == 0
assert sp.simplify(sp.diff(-sp.log(p1), z1) - (p1 - 1)) == 0
assert sp.simplify(sp.diff(-sp.log(p1), z2) - p2) == 0

# %% [markdown]
# ### One-hot: classes as a matrix
#
# The target of an observation is a row of zeros with a 1 at its class (*one-hot*). A batch of
# targets is then a matrix with a row for each observation. It has the same shape as the
# predictions, so $p - t$ needs no loop. The digits 3, 0, 3 and 9:

# %%
digits = np.array([3, 0, 3, 9])
T = np.zeros((4, 10))
T[np.arange(4), digits] = 1  # in row n, column digits[n]
print(T.astype(int))

# %% tags=["remove-cell"]
assert np.array_equal(T, np.eye(10)[digits])
assert np.array_equal(T.argmax(axis=1), digits)

# %% [markdown]
# ### Large logits
#
# $e^{710}$ is larger than any number of 64 bits, and $\log 0$ is not a number. So the formulas
# cannot be computed as they are. Let $m$ be the largest logit of a row. Subtract it from all of
# them: this changes neither the shares nor the loss,
#
# $$\log \sum_j e^{z_j} = m + \log \sum_j e^{z_j - m}$$
#
# Now the largest term of the sum is $e^0 = 1$, so the sum cannot overflow, and its logarithm is not
# negative. (This form is called *log-sum-exp*.) The loss and its gradient in NumPy:


# %%
def softmax_cross_entropy(z, t):
    shifted = z - z.max(axis=1, keepdims=True)
    exps = np.exp(shifted)
    sums = exps.sum(axis=1, keepdims=True)
    loss = np.sum(t * (np.log(sums) - shifted)) / len(z)
    return loss, (exps / sums - t) / len(z)


logits = rng.standard_normal((4, 10))
loss, grad = softmax_cross_entropy(logits, T)
dlfs_loss = dlfs.SoftmaxCrossEntropy()
print(f"loss {loss:.4f}, dlfs {dlfs_loss.forward(logits, T):.4f}")
print(f"largest difference of the gradients: {np.abs(grad - dlfs_loss.backward()).max():.0e}")

large, truth = np.array([[1000.0, 0.0, -1000.0]]), np.array([[0.0, 1.0, 0.0]])
with np.errstate(over="ignore", invalid="ignore"):
    print("without the shift:", np.exp(large) / np.exp(large).sum())
print("with the shift, loss:", softmax_cross_entropy(large, truth)[0])

# %% tags=["remove-cell"]
assert np.isclose(loss, dlfs_loss.forward(logits, T), rtol=1e-13)
assert np.allclose(grad, dlfs_loss.backward(), rtol=1e-12, atol=1e-15)
assert dlfs_loss.forward(large, truth) == softmax_cross_entropy(large, truth)[0] == 1000

# %% [markdown]
# ### Cross-entropy at 0
#
# What if a share is 0? For a class that is *not* true, $t_k = 0$, and $t_k \log p_k$ is 0 for
# every $p_k > 0$. At $p_k = 0$ it is $0 \cdot \log 0$, for which a computer gives `nan` (not a
# number). For the true class, $-\log p$ grows without bound as $p$ goes to 0. The book clips $p$ to
# $[10^{-9}, 1 - 10^{-9}]$. So its loss is at most 20.7, and where it is clipped it no longer
# depends on $z$. With log-sum-exp no clipping is needed:

# %%
with np.errstate(divide="ignore", invalid="ignore"):
    print("0 * log(0) =", np.float64(0.0) * np.log(np.float64(0.0)))
for size in (10.0, 20.0, 30.0):
    scores, truth = np.array([[0.0, size]]), np.array([[1.0, 0.0]])
    clipped = -np.log(np.clip(np.exp(-size) / (1 + np.exp(-size)), 1e-9, 1 - 1e-9))
    value = softmax_cross_entropy(scores, truth)[0]
    print(f"wrong logit larger by {size:.0f}: loss {value:.4f}, with clipping {clipped:.4f}")

# %% tags=["remove-cell"]
assert np.isclose(clipped, -np.log(1e-9))
assert np.isclose(value, 30)

# %% [markdown]
# ### The book's value
#
# The book sums $-t_k\log p_k - (1-t_k)\log(1-p_k)$ over the classes, and uses the gradient $p - t$.
# The second term has its own gradient, which is missing. It is not zero, for example here:

# %%
book = sum(-tk * sp.log(pk) - (1 - tk) * sp.log(1 - pk) for tk, pk in zip(t, shares))
at = {z[0]: 1.0, z[1]: 0.5, z[2]: -1.0, t[0]: 1, t[1]: 0, t[2]: 0}
gradient = [float(sp.diff(book, s).subs(at)) for s in z]
used = [float((pk - tk).subs(at)) for pk, tk in zip(shares, t)]
print("gradient of the book's value:", np.round(gradient, 4))
print("gradient that it uses:       ", np.round(used, 4))

# %% tags=["remove-cell"]
assert np.max(np.abs(np.subtract(gradient, used))) > 0.1

# %% [markdown]
# ### Why it learns faster than squared error
#
# Take one output with a sigmoid, whose target is 1. The squared error $L = (\sigma(z) - 1)^2$ has
# the gradient $2(\sigma-1)\,\sigma(1-\sigma)$. If the network is *completely wrong*, $\sigma$ is
# nearly 0, and so is the gradient. The gradient of cross-entropy is $\sigma - 1$: it is largest
# where the network is most wrong.

# %% tags=["hide-input"]
score = np.linspace(-8, 8, 200)
sigma = 1 / (1 + np.exp(-score))
figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(score, np.abs(sigma - 1), color=BLUE, label="cross-entropy")
ax.plot(score, np.abs(2 * (sigma - 1) * sigma * (1 - sigma)), color=ORANGE, label="squared error")
ax.set(xlabel="logit z", ylabel="size of the gradient")
ax.annotate("completely wrong", (-7.8, 0.06))
ax.annotate("right", (6.2, 0.06))
ax.legend()
plt.show()

# %% [markdown]
# ## 2. Squared error of shares
#
# Let $p_k = a_k/s$ with $s = \sum_j a_j$, and $g_k = \partial L/\partial p_k = \tfrac2n(p_k -
# t_k)$. The number $a_k$ is in the numerator of its own share, and in the denominator of every
# share. So by the quotient rule
#
# $$\frac{\partial p_k}{\partial a_k} = \frac{1 - p_k}{s}, \qquad
# \frac{\partial p_j}{\partial a_k} = \frac{-p_j}{s} \quad (j \ne k)$$
#
# The chain rule adds over all shares:
#
# $$\frac{\partial L}{\partial a_k} = \frac1s\Big(g_k - \sum_j g_j p_j\Big).$$
#
# The book uses $g_k$ alone. There is a simple test of the correct gradient: if all $a_k$ grow by
# the same factor, no share changes, so $\sum_k a_k\,\partial L/\partial a_k$ must be 0.

# %%
a = sp.symbols("a1:4", positive=True)
s = sum(a)
squared = sum((ak / s - tk) ** 2 for ak, tk in zip(a, t))
g = [2 * (ak / s - tk) for ak, tk in zip(a, t)]
along = sum(gk * ak / s for gk, ak in zip(g, a))
differences = [sp.simplify(sp.diff(squared, a[k]) - (g[k] - along) / s) for k in range(3)]
print("differences:", differences)
print("test:", sp.simplify(sum(ak * sp.diff(squared, ak) for ak in a)))

# %% tags=["remove-cell"]
assert differences == [0, 0, 0]
assert sp.simplify(sum(ak * sp.diff(squared, ak) for ak in a)) == 0

# %% [markdown]
# In NumPy, and by `dlfs`:

# %%
A, T3 = rng.uniform(0.1, 0.9, (2, 3)), np.eye(3)[[0, 2]]
P = A / A.sum(axis=1, keepdims=True)
G = 2 / len(A) * (P - T3)
by_hand = (G - (G * P).sum(axis=1, keepdims=True)) / A.sum(axis=1, keepdims=True)
squared_error = dlfs.MeanSquaredError(normalize=True)
squared_error.forward(A, T3)
print(f"largest difference: {np.abs(by_hand - squared_error.backward()).max():.0e}")

# %% tags=["remove-cell"]
assert np.allclose(by_hand, squared_error.backward(), rtol=1e-12, atol=1e-15)

# %% [markdown]
# ## 3. Momentum is a filter
#
# With $v_t = \mu\,v_{t-1} + \eta\,g_t$, each step is a weighted sum of all gradients so far:
#
# $$v_t = \eta \sum_{k \ge 0} \mu^k\, g_{t-k}.$$
#
# So a gradient has an effect for many steps: after $k$ steps with the weight $\mu^k$. A constant
# gradient adds up to $\eta/(1-\mu)$, which is ten times the learning rate for $\mu = 0.9$. A
# gradient that changes its sign at every step is damped to $\eta/(1+\mu)$, about half. If the
# gradient oscillates with the frequency $\omega$, the steps are larger than the gradient by the
# *gain* of a filter,
#
# $$|H(\omega)| = \eta\,/\,|1 - \mu e^{-i\omega}|.$$
#
# We give an optimizer of `dlfs` a network with a single number, and choose the gradients ourselves.
# With one gradient of 1 and then zeros, the steps must be the weights $\mu^k$.


# %%
class OneParameter(dlfs.Layer):
    """A single number: an optimizer needs no more of a network."""

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
print("one gradient:", impulse[:5].round(4))
print("after 400 gradients of 1:", steps(np.ones(400))[-1].round(4))
print("after 400 gradients of changing sign:", abs(steps((-1.0) ** np.arange(400))[-1]).round(4))

# %% tags=["remove-cell"]
assert np.allclose(impulse, 0.9 ** np.arange(60), rtol=1e-9, atol=1e-12)
assert np.isclose(steps(np.ones(400))[-1], 10)
assert np.isclose(abs(steps((-1.0) ** np.arange(400))[-1]), 1 / 1.9)

# %% tags=["hide-input"]
omega = np.linspace(0, np.pi, 200)
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].stem(impulse, linefmt=BLUE, markerfmt="o", basefmt=" ")
axes[0].set(xlabel="steps later", ylabel="weight", title="The effect of one gradient")
for mu, color in ((0.0, GREY), (0.5, BLUE), (0.9, ORANGE)):
    axes[1].plot(omega, 1 / np.abs(1 - mu * np.exp(-1j * omega)), color=color, label=f"{mu}")
axes[1].set(xlabel="frequency of the gradient", ylabel="gain", title="A low-pass filter")
axes[1].legend(title="momentum")
plt.show()

# %% [markdown]
# ### In a narrow valley
#
# This helps where the loss is steep in one direction and flat in another, as here:
# $L = \tfrac12(x^2 + 25\,y^2)$. Without momentum, the steps must be small because of the steep
# direction, so progress in the flat one is slow. With momentum, the steps in the flat direction,
# which all agree, add up.


# %%
def walk(momentum, lr=0.02, count=60):
    place, velocity, path = np.array([-4.0, 1.0]), np.zeros(2), [(-4.0, 1.0)]
    for _ in range(count):
        velocity = momentum * velocity + lr * place * [1, 25]
        place = place - velocity
        path.append(tuple(place))
    return np.array(path)


# %% tags=["hide-input"]
u, w = np.meshgrid(np.linspace(-4.5, 2, 100), np.linspace(-1.5, 1.5, 60))
figure, ax = plt.subplots()
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
# The rate is $\eta_0$ in the first of $N$ epochs and $\eta_1$ in the last. At epoch $t = 0, \dots,
# N-1$ it is
#
# $$\text{linear: } \eta_0 - (\eta_0 - \eta_1)\frac{t}{N-1}, \qquad
# \text{exponential: } \eta_0 \Big(\frac{\eta_1}{\eta_0}\Big)^{t/(N-1)}.$$
#
# (The book's formula for the linear one divides by $N$, its code by $N-1$. With $N$, the last epoch
# would not have the rate $\eta_1$.) These are the rates of an optimizer of `dlfs`:


# %%
def rates(decay_type, epochs=50):
    optim = dlfs.SGD(lr=0.2, final_lr=0.05, decay_type=decay_type)
    optim.start_schedule(epochs)
    found = []
    for epoch in range(epochs):
        optim.set_progress(epoch)
        found.append(optim.lr)
    return np.array(found)


fraction = np.arange(50) / 49
formulas = {"linear": 0.2 - 0.15 * fraction, "exponential": 0.2 * 0.25**fraction}
for kind, formula in formulas.items():
    difference = np.abs(rates(kind) - formula).max()
    print(f"{kind:<12} mean rate {formula.mean():.3f}, largest difference {difference:.0e}")

# %% tags=["remove-cell"]
assert all(np.allclose(rates(kind), formula) for kind, formula in formulas.items())

# %% [markdown]
# ## 5. Glorot's weights
#
# A neuron computes $y = \sum_{j=1}^{n_\text{in}} w_j x_j$. Draw the weights independently, with
# mean 0. The variances of independent terms add, and $\operatorname{Var}(w_j x_j) =
# \operatorname{Var}(w)\, \mathbb E[x_j^2]$. So
#
# $$\mathbb E[y^2] = n_\text{in} \operatorname{Var}(w)\, \mathbb E[x^2].$$
#
# Forward, the outputs are as large as the inputs if $\operatorname{Var}(w) = 1/n_\text{in}$.
# Backward, the gradient of $x_j$ is a sum over $n_\text{out}$ neurons, and keeps its size if
# $\operatorname{Var}(w) = 1/n_\text{out}$. Both are possible only if $n_\text{in} = n_\text{out}$.
# Glorot and Bengio use the mean of the two numbers:
#
# $$\operatorname{Var}(w) = \frac{2}{n_\text{in} + n_\text{out}}, \qquad
# \text{so the standard deviation is } \sqrt{\frac{2}{n_\text{in} + n_\text{out}}}.$$
#
# NumPy's `normal` takes the *standard deviation*. The book gives it the variance, so its weights of
# the first layer have the standard deviation 0.0023 instead of 0.048. Measured on the weights that
# `dlfs` draws, forward with random inputs and backward with random gradients:

# %%
n_in, n_out = 784, 89
variance = 2 / (n_in + n_out)
W = dlfs.initializers.draw_weights("glorot", rng, (n_in, n_out), n_in, n_out, np.float64)
x, back = rng.standard_normal((400, n_in)), rng.standard_normal((400, n_out))
forward, backward = np.mean((x @ W) ** 2), np.mean((back @ W.T) ** 2)

print(f"deviation {W.std():.4f}, formula {variance**0.5:.4f}, the book's {variance:.4f}")
print(f"forward: mean square {forward:.2f}, formula {n_in * variance:.2f}")
print(f"backward: mean square {backward:.3f}, formula {n_out * variance:.3f}")

# %% tags=["remove-cell"]
# 35,000 products that share 69,776 weights: 4 deviations of these means are well within 5 %
assert abs(forward / (n_in * variance) - 1) < 0.05
assert abs(backward / (n_out * variance) - 1) < 0.05

# %% [markdown]
# How large are the outputs of ten layers of 200 tanh neurons?


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


# %% tags=["hide-input"]
figure, ax = plt.subplots(figsize=(7, 3))
kinds = {
    "standard": ("standard", GREY),
    "glorot": ("glorot", BLUE),
    "the book's": (book_glorot, ORANGE),
}
for name, (kind, color) in kinds.items():
    ax.semilogy(range(1, 11), sizes(kind), "o-", color=color, label=name)
ax.set(xlabel="layer", ylabel="deviation of its outputs")
ax.legend()
plt.show()
assert sizes("glorot")[-1] > 0.1
assert sizes(book_glorot)[-1] < 1e-8

# %% [markdown]
# With standard deviation 1, nearly every neuron is saturated: its output is -1 or 1, and its
# gradient is nearly 0. Without the square root, the outputs vanish in a deep network. The book's
# networks have one or two hidden layers, so they still learn.
#
# So a layer of `dlfs` starts with Glorot's weights, or, before a ReLU or one of its variants, with
# He's, which exercise 3 derives. `weight_init="standard"` gives the book's standard deviation of 1.
#
# ## 6. Dropout
#
# Let $m$ be 1 with probability $q$ (kept), else 0. Dropout computes $y = xm/q$. Its mean and
# variance are
#
# $$\mathbb E[y] = \frac{x}{q}\,\mathbb E[m] = x, \qquad
# \operatorname{Var}(y) = \frac{x^2}{q^2}\,q(1-q) = x^2\,\frac{1-q}{q}.$$
#
# The mean is the input, so prediction needs no correction. (This form is called *inverted* dropout.
# The book does not divide, and multiplies by $q$ in prediction: the same mean, up to the factor.)
# Backward, the mask is a constant, so $\partial L/\partial x = g\,m/q$: the same product as
# forward. With symbols:

# %%
q, x_ = sp.symbols("q x", positive=True)
chances = {1: q, 0: 1 - q}  # the values of m, with their probabilities
mean = sum(chance * x_ * m / q for m, chance in chances.items())
square = sum(chance * (x_ * m / q) ** 2 for m, chance in chances.items())
print("mean:", sp.simplify(mean), "  variance:", sp.factor(sp.simplify(square - mean**2)))

# %% tags=["remove-cell"]
assert sp.simplify(mean - x_) == 0
assert sp.simplify(square - mean**2 - x_**2 * (1 - q) / q) == 0

# %% [markdown]
# And with a million ones in `dlfs`:

# %%
dropout = dlfs.Dropout(0.8, seed=3)
ones = np.ones((1000, 1000))
out = dropout.forward(ones)
print(f"mean {out.mean():.4f}, variance {out.var():.4f} (formula 0.25)")
print("the gradient is the same product:", np.array_equal(dropout.backward(ones), out))
print("prediction changes nothing:", np.array_equal(dropout.forward(ones, inference=True), ones))

# %% tags=["remove-cell"]
deviation = np.sqrt(0.25 / 1e6)  # of the mean of a million numbers of variance 0.25
assert abs(out.mean() - 1) < 5 * deviation
out = dropout.forward(ones)
assert np.array_equal(dropout.backward(ones), out)
assert np.array_equal(dropout.forward(ones, inference=True), ones)

# %% [markdown]
# ## 7. Adam
#
# With momentum, all weights have the same rate. In the valley of section 3 the steep direction
# limits the rate, and the flat direction suffers from it. **Adam** (Kingma and Ba, 2015) gives each
# weight its own rate. It keeps a running mean $m$ of the gradient, as momentum does, *and* a
# running mean $v$ of its square, and divides the first by the root of the second:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2,
# \qquad w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# If the gradient is 1000 times as large, $\hat m$ and $\sqrt{\hat v}$ are both 1000 times as large,
# and the step is the same. Where the gradient keeps its sign, the step is nearly $\eta$, however
# flat the loss is. Where the sign changes all the time, the mean is nearly zero, and so is the
# step.
#
# Both means start at zero, so they are too small at first. If all gradients are $g$, then after $t$
# steps $m = (1 - \beta_1^t)\,g$. After five steps:

# %%
beta, g = sp.symbols("beta g", positive=True)
m = sp.Integer(0)
for t in range(1, 6):
    m = beta * m + (1 - beta) * g
sp.factor(m)

# %% tags=["remove-cell"]
assert sp.simplify(m - (1 - beta**5) * g) == 0

# %% [markdown]
# (This is $(1 - \beta^5)\,g$, factored.) The hats correct it: $\hat m = m / (1 - \beta_1^t)$ and
# $\hat v = v / (1 - \beta_2^t)$. Then the first step has the size $\eta$, whatever the gradient is:


# %%
def adam_step(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


for gradient in (0.001, 1.0, 1000.0):
    w, _, _ = adam_step(1.0, gradient, 0.0, 0.0, t=1, lr=0.1)
    print(f"gradient {gradient:>8}: step {1 - w:.4f}")

# %% tags=["remove-cell"]
w, m, v = np.ones(3), np.zeros(3), np.zeros(3)
ours = w.copy(), m.copy(), v.copy()
for t in range(1, 6):
    g = rng.standard_normal(3)
    reference.adam_update(w, g, m, v, t=t, lr=0.1)
    ours = adam_step(ours[0], g, ours[1], ours[2], t, 0.1)
assert np.allclose(w, ours[0], rtol=1e-12)
assert np.isclose(adam_step(1.0, 1000.0, 0.0, 0.0, 1, 0.1)[0], 0.9)

# %% [markdown]
# Now a valley that is 1000 times as steep in one direction as in the other. For each method we try
# a grid of rates, and keep the best one among those with which the loss never doubles. The rate
# falls to zero along a line.


# %%
def losses(method, rate, count=200, steep=1000.0):
    """Descend from (-4, 1), and return the loss after each step."""
    place, mean, square, found = np.array([-4.0, 1.0]), np.zeros(2), np.zeros(2), []
    for t in range(count):
        grad, lr = place * [1, steep], rate * (1 - t / count)
        if method == "Adam":
            place, mean, square = adam_step(place, grad, mean, square, t + 1, lr)
        else:
            mean = (0.9 if method == "momentum" else 0.0) * mean + lr * grad
            place = place - mean
        found.append(0.5 * np.sum(place**2 * [1, steep]))
    return np.array(found)


# %% tags=["hide-input"]
figure, ax = plt.subplots(figsize=(7, 3))
ends = {}
with np.errstate(over="ignore", invalid="ignore"):
    for method, color in (("plain", GREY), ("momentum", ORANGE), ("Adam", BLUE)):
        tried = [losses(method, rate) for rate in np.geomspace(1e-4, 1, 25)]
        best = min((found for found in tried if found.max() < 1000), key=lambda found: found[-1])
        ends[method] = best[-1]
        ax.semilogy(best, color=color, label=f"{method}, at the end {best[-1]:.0e}")
ax.set(xlabel="step", ylabel="loss", ylim=(1e-8, 2e3))
ax.legend(fontsize=9)
plt.show()
assert ends["Adam"] < ends["momentum"] < ends["plain"]

# %% [markdown]
# The steep and the flat direction of this valley are those of the two weights. Then a rate for each
# weight helps most. In a network, the gradients of different layers have very different sizes, and
# Adam's rate needs less care than that of plain descent.
#
# **AdamW** adds weight decay (chapter 2): each step also pulls every weight towards zero, by
# $\eta\lambda w$. This is not the same as adding $\lambda w$ to the gradient. There it would be
# divided by $\sqrt{\hat v}$, and weights with large gradients would hardly be pulled.
#
# ## 8. Why normalization helps
#
# How narrow is the valley of a real problem? For a linear layer with squared error the curvatures
# are the eigenvalues of $X^\top X / n$ (Math of chapter 2, section 4). If features are far from
# zero, or have different sizes, the valley is long and narrow. If each feature has mean 0 and
# variance 1, it is nearly round:

# %%
X = rng.standard_normal((500, 3)) * [1, 10, 0.2] + [5, 50, 1]
Z = (X - X.mean(axis=0)) / X.std(axis=0)
steepness = {}
for name, features in (("as they are", X), ("normalized", Z)):
    curvature = np.linalg.eigvalsh(features.T @ features / 500)
    steepness[name] = curvature[-1] / curvature[0]
    print(f"{name:<12} largest / smallest curvature: {steepness[name]:>12,.1f}")

# %% tags=["remove-cell"]
assert steepness["as they are"] > 1e4
assert steepness["normalized"] < 2

# %% [markdown]
# The number of steps that descent needs grows with this ratio. So data is normalized before the
# training (chapters 2 and 4). But the inputs of the second layer are the outputs of the first one,
# and they change with every step. **Batch normalization** (Ioffe and Szegedy, 2015) normalizes
# inside the network, with the mean and the variance of the batch. **Layer normalization** uses
# those of each row (chapter 10). The gradient has two more terms, because mean and variance depend
# on the input; chapter 10 derives it.
#
# There is a second effect. If all weights of a layer are multiplied by $a$, the normalized output
# is the same, so the size of the weights no longer matters. The gradient is multiplied by $1/a$, so
# large weights are changed less, relative to their size. A learning rate that is too large at first
# makes the weights larger, and then corrects itself.


# %%
def normalize(N, eps=1e-12):
    return (N - N.mean(axis=0)) / np.sqrt(N.var(axis=0) + eps)


W, G = rng.standard_normal((3, 4)), rng.standard_normal((500, 4))


def slope(W, step):
    """The change of sum(G * output) when the first weight changes by a step, per step."""
    up, down = W.copy(), W.copy()
    up[0, 0] += step
    down[0, 0] -= step
    return np.sum(G * (normalize(Z @ up) - normalize(Z @ down))) / (2 * step)


apart = np.abs(normalize(Z @ W) - normalize(Z @ (10 * W))).max()
print(f"ten times the weights: outputs differ by at most {apart:.0e}")
print(f"gradient of the first weight: {slope(W, 1e-5):.4f}, then {slope(10 * W, 1e-4):.4f}")

# %% tags=["remove-cell"]
output, _, _, inv_std = reference.batch_norm(Z @ W, 1e-12)
ten, _, _, ten_inv_std = reference.batch_norm(Z @ (10 * W), 1e-12)
assert np.allclose(output, normalize(Z @ W))
assert np.allclose(output, ten)
grad = Z.T @ reference.batch_norm_grad(G, output, inv_std)
assert np.allclose(grad, 10 * Z.T @ reference.batch_norm_grad(G, ten, ten_inv_std))
assert np.isclose(grad[0, 0], slope(W, 1e-5), rtol=1e-6)

# %% [markdown]
# ## 9. Three activations, side by side
#
# The derivative of an activation decides how much of a gradient goes through a layer.
#
# | | value | derivative | largest derivative |
# |---|---|---|---|
# | sigmoid | $y = 1/(1+e^{-x})$, from 0 to 1 | $y\,(1-y)$ | 1/4, at 0 |
# | tanh | $y = (e^x - e^{-x})/(e^x + e^{-x})$, from -1 to 1 | $1 - y^2$ | 1, at 0 |
# | ReLU | $y = \max(0, x)$ | 1 where $x > 0$, else 0 | 1, everywhere above 0 |
#
# Sigmoid and tanh have the same form: $\tanh x = 2\,\sigma(2x) - 1$. But tanh is symmetric about 0,
# and four times as steep. Far from 0 both are flat, and the gradient *vanishes* there. ReLU is
# never flat above 0; below 0 its gradient is 0.

# %% tags=["hide-input"]
x_axis = np.linspace(-5, 5, 201)
kinds = {"sigmoid": dlfs.Sigmoid(), "tanh": dlfs.Tanh(), "ReLU": dlfs.ReLU()}
largest = {}
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
for (name, activation), color in zip(kinds.items(), (GREY, BLUE, ORANGE)):
    y_axis = activation.forward(x_axis)
    slopes = activation.backward(np.ones_like(x_axis))
    largest[name] = float(slopes.max())
    axes[0].plot(x_axis, y_axis, color=color, label=name)
    axes[1].plot(x_axis, slopes, color=color, label=name)
axes[0].set(title="forward", xlabel="x", ylim=(-1.3, 2.3))
axes[1].set(title="derivative", xlabel="x", ylim=(-0.1, 1.15))
axes[0].legend(loc="upper left")
plt.show()
assert largest == {"sigmoid": 0.25, "tanh": 1.0, "ReLU": 1.0}

# %% [markdown]
# Five layers multiply five derivatives. The product is at most:

# %%
for name, derivative in (("sigmoid", 0.25), ("tanh", 1.0), ("ReLU", 1.0)):
    print(f"{name:<8} {derivative**5:.4f}")

# %% tags=["remove-cell"]
x_ = sp.symbols("x", real=True)
sigma_ = 1 / (1 + sp.exp(-x_))
assert sp.simplify(sp.diff(sigma_, x_) - sigma_ * (1 - sigma_)) == 0
assert sp.simplify(sp.diff(sp.tanh(x_), x_) - (1 - sp.tanh(x_) ** 2)) == 0
assert sp.simplify((sp.tanh(x_) - (2 * sigma_.subs(x_, 2 * x_) - 1)).rewrite(sp.exp)) == 0

# %% [markdown]
# ## Exercises
#
# ### 1. Temperature
#
# A softmax with *temperature* $\tau$ computes the shares of $z/\tau$. What is the gradient of the
# cross-entropy with respect to $z$? Write it with $p$, $t$ and $\tau$.


# %% tags=["exercise:temperature"]
def temperature_grad(p, t, tau): ...


# %% tags=["hide-input"]
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
# ### 2. How long does momentum keep a gradient?
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
# A ReLU sets half of symmetric inputs to 0, so it halves $\mathbb E[x^2]$. Which standard deviation
# of the weights keeps the size of the outputs from layer to layer?


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
