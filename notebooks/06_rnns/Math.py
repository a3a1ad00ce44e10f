# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 6: the mathematics of recurrent networks
#
# You derive backpropagation through time for the RNN, the LSTM and the GRU. You see why gradients
# vanish and how gates prevent it, and what is lost when a long sequence is cut into pieces. Every
# formula stands next to the line of dlfs that computes it, and a cell checks it. You need the chain
# rule, the gradient of a matrix product (chapter 1), [Code](Code.ipynb) for what a gate is, and the
# first half of [Autograd_Simple](Autograd_Simple.ipynb).

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from scipy.special import expit

from dlfs import reference
from dlfs.autograd import ArrayWithGrad, concatenate
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
COLOURS = {"RNN": "#6c757d", "GRU": "#e07a1f", "LSTM": "#2a6f97"}
rng = np.random.default_rng(6)

# %% [markdown]
# ## 1. Notation, and the main idea
#
# $x_t$ is the input at step $t = 1, \dots, T$, $h_t$ the state after this step, and $h_0$ the state
# at the start. Each is a matrix with one row for each sequence of the batch. $\odot$ multiplies
# entry by entry. The part of the input does not depend on the state, so one matrix product computes
# it for all steps beforehand:
#
# $$ z_t = x_t W_x + B $$
#
# The gradients of $W_x$, $B$ and $x$ follow from that of $z$ as in a dense layer. What remains is
# the recurrence $h_t = F(z_t, h_{t-1})$. Let $g_t$ be the gradient of $h_t$ from the loss *at step*
# $t$ (`h_grad` in dlfs), and $\delta_t = \partial L / \partial h_t$ its whole gradient. The state
# $h_t$ is used twice: for the output at step $t$, and by step $t+1$. The gradients of both uses add
# up:
#
# $$
# \delta_t = g_t + \left[\text{gradient from step } t+1\right]
# = g_t + \delta_{t+1} \frac{\partial h_{t+1}}{\partial h_t}
# $$
#
# This is backpropagation through time. The order from the last step to the first is a topological
# order of this graph (see Autograd_Simple): each step is visited after all steps that depend on it.

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 2.4))
for t in range(1, 5):
    circle = {"boxstyle": "circle", "fc": "#dbeafe", "ec": "#334155"}
    ax.text(t, 0, f"$h_{t}$", ha="center", va="center", size=13, bbox=circle)
    ax.annotate("", (t, -0.25), (t, -0.75), arrowprops={"arrowstyle": "->", "color": "#334155"})
    ax.text(t, -0.95, f"$z_{t}$", ha="center", size=11)
    ax.annotate("", (t, 0.3), (t, 0.8), arrowprops={"arrowstyle": "->", "color": "#e07a1f"})
    ax.text(t, 0.87, f"$g_{t}$", ha="center", size=11, color="#e07a1f")
    back, forward = (t + 0.82, 0.12), (t + 0.82, -0.12)
    ax.annotate("", (t + 0.2, 0.12), back, arrowprops={"arrowstyle": "->", "color": "#e07a1f"})
    ax.annotate("", forward, (t + 0.2, -0.12), arrowprops={"arrowstyle": "->", "color": "#334155"})
ax.set(xlim=(0.5, 5.2), ylim=(-1.1, 1.1), title="values go right (dark), gradients left (orange)")
ax.axis("off")
plt.show()

# %% [markdown]
# ## 2. The plain recurrent network
#
# $$ a_t = z_t + h_{t-1} W_h, \qquad h_t = \tanh(a_t) $$
#
# In `dlfs/reference/recurrent.py`, `rnn`:
#
#     last = np.tanh(z_t + last @ W_h, out=h[t])
#
# Backward: $\tanh' = 1 - \tanh^2$, and $z_t$ has the same gradient as the sum $a_t$, of which it is
# a term:
#
# $$
# \frac{\partial L}{\partial z_t} = \delta_t \odot (1 - h_t^2), \qquad
# \delta_{t-1} = g_{t-1} + \frac{\partial L}{\partial z_t} W_h^T
# $$
#
# In `rnn_grad`, `dh` is the gradient from the step after, `dh_steps` is $g$, and `dz` the gradient
# of $z$:
#
#     dz[t] = (dh_steps[t] + dh) * (1 - h_steps[t] * h_steps[t])
#     dh = dz[t] @ W_h.T
#
# $W_h$ is used at every step, so its gradient is a sum over all steps. dlfs computes it as one
# product of the states before each step and the gradients of $z$ (`product` in
# `dlfs/reference/recurrent.py`):
#
# $$ \frac{\partial L}{\partial W_h} = \sum_{t} h_{t-1}^T \frac{\partial L}{\partial z_t} $$
#
# Now the check. sympy, which computes with symbols, differentiates **one step** with two numbers in
# the state. We put random numbers into its result, and compare it with dlfs.


# %%
def row(name, n):
    return sp.Matrix([sp.symbols(f"{name}:{n}")])


def matrix(name, n, m):
    return sp.Matrix(n, m, sp.symbols(f"{name}:{n * m}"))


def derivatives(L, variables):
    """The derivative of L by each variable, at random numbers; and these numbers."""
    symbols = sorted(L.free_symbols, key=str)
    point = dict(zip(symbols, rng.standard_normal(len(symbols))))
    given = [np.array(v.subs(point), dtype=float) for v in variables]
    flat = [sp.diff(L, s) for v in variables for s in v]
    values = iter(sp.lambdify(symbols, flat)(*point.values()))
    grads = [np.array([next(values) for _ in v]).reshape(v.shape) for v in variables]
    return grads, given


def same(ours, right):
    """Equal, up to the rounding of a few dozen operations on numbers of size 1."""
    assert len(ours) == len(right)
    for mine, its in zip(ours, right):
        np.testing.assert_allclose(np.reshape(mine, its.shape), its, rtol=1e-12, atol=1e-13)


def sigmoid(x):
    return 1 / (1 + sp.exp(-x))


# %%
z, h, g, W = row("z", 2), row("h", 2), row("g", 2), matrix("W", 2, 2)
L = g.dot((z + h * W).applyfunc(sp.tanh))
right, (z_, h_, W_, g_) = derivatives(L, [z, h, W, g])
out = reference.rnn(z_[:, None], h_, W_)
same(reference.rnn_grad(g_[:, None], 0 * h_, out, h_, W_), right[:3])
print("L =", L)
print("one step of the RNN: the gradients of z, h and W_h are right")

# %% [markdown]
# For **many steps** `check_gradients` compares with finite differences:


# %%
T, N, H = 6, 3, 4  # steps, sequences, units


def prove(name, forward, backward, inputs):
    report = check_gradients((forward, backward), inputs)
    print(f"{T} steps of the {name}:", "the gradients are right" if report else report)
    assert report


def draw(*shape):
    return rng.standard_normal(shape) / np.sqrt(shape[-2] if len(shape) == 2 else 1)


def rnn_back(h_grad, z, h0, W_h):
    return reference.rnn_grad(h_grad, np.zeros_like(h0), reference.rnn(z, h0, W_h), h0, W_h)


prove("RNN", reference.rnn, rnn_back, (draw(N, T, H), draw(N, H), draw(H, H)))

# %% [markdown]
# ## 3. The LSTM
#
# The LSTM has a second state, the cell $c_t$. From step to step it is only multiplied by a gate,
# and a product is added to it. One product gives the sums of all gates and of the candidate, $a_t =
# z_t + h_{t-1} W_h$; it is cut into $a^f, a^i, a^c, a^o$.
#
# $$
# f = \sigma(a^f), \quad i = \sigma(a^i), \quad \bar c = \tanh(a^c), \quad o = \sigma(a^o)
# $$
#
# $$
# c_t = f \odot c_{t-1} + i \odot \bar c, \qquad h_t = o \odot \tanh(c_t)
# $$
#
# In `lstm`:
#
#     c_last = np.add(f * c_last, i * c_bar, out=c[t])
#     h_last = np.multiply(o, np.tanh(c_last), out=h[t])
#
# Backward, we go from the last formula to the first. Let $\gamma_t = \partial L / \partial c_t$.
# The cell is used by $h_t$ and by $c_{t+1}$:
#
# $$
# \gamma_t = \gamma_{t+1} \odot f_{t+1} + \delta_t \odot o \odot (1 - \tanh^2 c_t)
# $$
#
# With $\sigma' = \sigma (1 - \sigma)$ the four sums have the gradients
#
# $$
# \begin{aligned}
# \partial L / \partial a^f &= \gamma_t \odot c_{t-1} \odot f \odot (1-f) \\
# \partial L / \partial a^i &= \gamma_t \odot \bar c \odot i \odot (1-i) \\
# \partial L / \partial a^c &= \gamma_t \odot i \odot (1-\bar c^2) \\
# \partial L / \partial a^o &= \delta_t \odot \tanh(c_t) \odot o \odot (1-o)
# \end{aligned}
# $$
#
# The step before receives $\partial L / \partial a_t \; W_h^T$ for its $h$, and $\gamma_t \odot f$
# for its $c$. `lstm_grad` has the same formulas, line by line. `dh` is $\delta_t$, `dc` is
# $\gamma_t$, and `squashed` is $\tanh(c_t)$:
#
#     dc = dc + dh * o * (1 - squashed * squashed)
#     f_grad[...] = dc * c_before[t] * f * (1 - f)
#     i_grad[...] = dc * c_bar * i * (1 - i)
#     c_bar_grad[...] = dc * i * (1 - c_bar * c_bar)
#     o_grad[...] = dh * squashed * o * (1 - o)
#     dh = dz[t] @ W_h.T
#     dc = dc * f

# %%
z, h, c, W = row("z", 8), row("h", 2), row("c", 2), matrix("W", 2, 8)
g, k = row("g", 2), row("k", 2)  # the gradients of h and c after the step
a = z + h * W
f, i, o = (a[:, n : n + 2].applyfunc(sigmoid) for n in (0, 2, 6))
c_new = f.multiply_elementwise(c) + i.multiply_elementwise(a[:, 4:6].applyfunc(sp.tanh))
h_new = o.multiply_elementwise(c_new.applyfunc(sp.tanh))
right, (z_, h_, c_, W_, g_, k_) = derivatives(g.dot(h_new) + k.dot(c_new), [z, h, c, W, g, k])

kept = reference.lstm(z_[:, None], h_, c_, W_)
ours = reference.lstm_grad(g_[:, None], 0 * h_, k_, *kept, h_, c_, W_)
same(ours, right[:4])
print("one step of the LSTM: the gradients of z, h, c and W_h are right")


# %%
def lstm(z, h0, c0, W_h):
    return reference.lstm(z, h0, c0, W_h)[0]


def lstm_back(h_grad, z, h0, c0, W_h):
    zero = np.zeros_like(h0)
    kept = reference.lstm(z, h0, c0, W_h)
    return reference.lstm_grad(h_grad, zero, zero, *kept, h0, c0, W_h)


prove("LSTM", lstm, lstm_back, (draw(N, T, 4 * H), draw(N, H), draw(N, H), draw(H, 4 * H)))

# %% [markdown]
# ## 4. The GRU
#
# The GRU has one state and two gates. The update gate $u$ mixes the old state with the candidate
# $\bar h$. The reset gate $r$ controls how much of the old state goes into the candidate. $W_r$,
# $W_u$ and $W_c$ are the three parts of $W_h$:
#
# $$
# r = \sigma(z^r + h_{t-1} W_r), \qquad u = \sigma(z^u + h_{t-1} W_u)
# $$
#
# $$
# \bar h = \tanh\big(z^h + (r \odot h_{t-1})\, W_c\big), \qquad
# h_t = u \odot h_{t-1} + (1 - u) \odot \bar h
# $$
#
# This is the book's GRU, `reset="before"`. In `dlfs/reference/gru.py`, `gru` (`n` is the number of
# units, `last` is $h_{t-1}$, and `expit` is the sigmoid):
#
#     expit(z_t[:, : 2 * n] + last @ W[:, : 2 * n], out=both)
#     np.tanh(z_t[:, 2 * n :] + (r * last) @ W[:, 2 * n :], out=h_bar)
#     last = np.add(u * last, (1 - u) * h_bar, out=h[t])
#
# Backward, we go again from the last formula to the first. Let
# $p = \partial L / \partial(r \odot h_{t-1})$:
#
# $$
# \begin{aligned}
# \partial L / \partial z^h &= \delta_t \odot (1-u) \odot (1 - \bar h^2) \\
# \partial L / \partial z^u &= \delta_t \odot (h_{t-1} - \bar h) \odot u \odot (1-u) \\
# p &= \partial L / \partial z^h \; W_c^T \\
# \partial L / \partial z^r &= p \odot h_{t-1} \odot r \odot (1-r)
# \end{aligned}
# $$
#
# $h_{t-1}$ is in **four** places of the formulas above, so its gradient has four terms:
#
# $$
# \underbrace{\delta_t \odot u}_{\text{past the gates}}
# + \underbrace{p \odot r}_{\text{candidate}}
# + \underbrace{\frac{\partial L}{\partial z^r} W_r^T}_{\text{reset gate}}
# + \underbrace{\frac{\partial L}{\partial z^u} W_u^T}_{\text{update gate}}
# $$
#
# In `gru_grad` the last two are one product, and `inner_grad` is $p$:
#
#     dh = dh * u + inner_grad * r + dz[t][:, : 2 * n] @ W[:, : 2 * n].T
#
# ### The other GRU
#
# In PyTorch, and in cuDNN (NVIDIA's library for GPUs), the reset gate multiplies the *product*. In
# dlfs this is `reset="after"`:
#
# $$ \bar h = \tanh\big(z^h + r \odot (h_{t-1} W_c + b_c)\big) $$
#
# Then one product computes all three products with $h_{t-1}$, which is faster. The gradient of $q =
# h_{t-1} W_c + b_c$ is $\partial L / \partial z^h \odot r$, and the gradient of $z^r$ contains $q$
# (`inner` below):
#
#     r_grad[...] = h_bar_grad * inner * r * (1 - r)
#     dproduct[t][:, 2 * n :] *= r
#     dh = dh * u + dproduct[t] @ W.T


# %%
def gru_step(z, h, W, reset):
    n, times = 2, sp.Matrix.multiply_elementwise
    W_h, bias = W[:n, :], W[n:, :] if reset == "after" else sp.zeros(1, 3 * n)
    sums = h * W_h + bias
    r, u = ((z + sums)[:, k : k + n].applyfunc(sigmoid) for k in (0, n))
    if reset == "after":
        inner = times(r, sums[:, 2 * n :])
    else:
        inner = times(r, h) * W_h[:, 2 * n :]
    h_bar = (z[:, 2 * n :] + inner).applyfunc(sp.tanh)
    return times(u, h) + times(sp.ones(1, n) - u, h_bar)


z, h, g = row("z", 6), row("h", 2), row("g", 2)
for reset, rows in (("before", 2), ("after", 3)):
    W = matrix("W", rows, 6)
    right, (z_, h_, W_, g_) = derivatives(g.dot(gru_step(z, h, W, reset)), [z, h, W, g])
    kept = reference.gru(z_[:, None], h_, W_, reset)
    same(reference.gru_grad(g_[:, None], 0 * h_, *kept, h_, W_, reset), right[:3])
    print(f"one step of the GRU, reset {reset}: the gradients of z, h and W_h are right")


# %%
def gru_back(h_grad, z, h0, W_h, reset="before"):
    kept = reference.gru(z, h0, W_h, reset)
    return reference.gru_grad(h_grad, np.zeros_like(h0), *kept, h0, W_h, reset)


def gru_after(z, h0, W_h):
    return reference.gru(z, h0, W_h, "after")[0]


def gru_after_back(h_grad, z, h0, W_h):
    return gru_back(h_grad, z, h0, W_h, "after")


def gru(z, h0, W_h):
    return reference.gru(z, h0, W_h)[0]


z0, h0, W0 = draw(N, T, 3 * H), draw(N, H), draw(H, 3 * H)
bias = draw(1, 3 * H)
prove("GRU, reset before", gru, gru_back, (z0, h0, W0))
prove("GRU, reset after", gru_after, gru_after_back, (z0, h0, np.vstack([W0, bias])))

# %% [markdown]
# When do both compute the same? Entry by entry, $(r \odot h) W_c$ and $r \odot (h W_c)$ are
#
# $$ \sum_k r_k h_k W_{kj} \quad\text{and}\quad \sum_k r_j h_k W_{kj} $$
#
# They are equal if $W_c$ is diagonal (and $b_c = 0$), or if all $r_k$ are equal. Otherwise the
# weights that were trained for one are wrong for the other.

# %%
none = np.zeros((1, 3 * H))
diagonal = W0.copy()
diagonal[:, 2 * H :] = np.diag(np.diag(W0[:, 2 * H :]))
for name, weights in (("any W_c", W0), ("diagonal W_c", diagonal)):
    distance = np.abs(gru(z0, h0, weights) - gru_after(z0, h0, np.vstack([weights, none]))).max()
    print(f"{name:<13} before and after differ by {distance:.0e}")
    assert (distance < 1e-14) == (name == "diagonal W_c")

# %% [markdown]
# ## 5. The book's two mistakes in the GRU
#
# **Forward**, the book's code computes the update gate from the sums of the *reset* gate. Then
# always $u = r$, and $W_u$ and $z^u$ are not used at all. We let sympy search for their symbols in
# $h_t$:

# %%
W = matrix("W", 2, 6)
n = 2
sums = z + h * W
r = u = sums[:, :n].applyfunc(sigmoid)  # the mistake: u from the sums of r
h_bar = (z[:, 2 * n :] + r.multiply_elementwise(h) * W[:, 2 * n :]).applyfunc(sp.tanh)
h_book = u.multiply_elementwise(h) + (sp.ones(1, n) - u).multiply_elementwise(h_bar)
unused = set(z[:, n : 2 * n]) | set(W[:, n : 2 * n])
print("in the book's h_t:", len(unused & h_book.free_symbols), "of", len(unused), "symbols")
print("in the right h_t: ", len(unused & gru_step(z, h, W, "before").free_symbols))
assert not unused & h_book.free_symbols

# %% [markdown]
# The network still learns, because one gate for both tasks also works; but it is not a GRU.
#
# **Backward**, the book's node computes the gates' gradients from the gradient of the next step
# alone, without $g_t$, the gradient of this step's output. And of the four terms above it leaves
# out $\delta_t \odot u$. Here is the right gradient of $h_{t-1}$, and each of the four terms by
# hand:


# %%
def four_terms(g, z, h, W):
    """One step back: the four terms of the gradient of the state before."""
    n = h.shape[1]
    r, u = expit(z[:, :n] + h @ W[:, :n]), expit(z[:, n : 2 * n] + h @ W[:, n : 2 * n])
    h_bar = np.tanh(z[:, 2 * n :] + (r * h) @ W[:, 2 * n :])
    dz_h = g * (1 - u) * (1 - h_bar**2)
    dz_u = g * (h - h_bar) * u * (1 - u)
    p = dz_h @ W[:, 2 * n :].T
    dz_r = p * h * r * (1 - r)
    return {
        "past the gates": g * u,
        "candidate": p * r,
        "reset gate": dz_r @ W[:, :n].T,
        "update gate": dz_u @ W[:, n : 2 * n].T,
    }


z1, g1 = z0[:, 0], draw(N, H)
terms = four_terms(g1, z1, h0, W0)
right = gru_back(g1[:, None], z1[:, None], h0, W0)[1]
np.testing.assert_allclose(sum(terms.values()), right, rtol=1e-12, atol=1e-15)
for name, term in terms.items():
    without = sum(terms.values()) - term
    error = np.linalg.norm(without - right) / np.linalg.norm(right)
    print(f"without {name:<15} the gradient is off by {error:4.0%} of its size")
    assert error > 0.01

# %% [markdown]
# The missing term is the largest, and the one by which a GRU remembers. The next section shows the
# gradient without it.
#
# ## 6. Why gradients vanish
#
# From step $t$ back to step $t-k$ the chain rule multiplies $k$ matrices. For the plain network,
# with states as rows,
#
# $$
# \frac{\partial h_t}{\partial h_{t-1}} = \mathrm{diag}(1 - h_t^2)\, W_h^T, \qquad
# \left\lVert \frac{\partial h_t}{\partial h_{t-k}} \right\rVert \le \lVert W_h \rVert_2^k
# $$
#
# because $1 - h_t^2 \le 1$. $\lVert W_h \rVert_2$ is the largest *singular value* of $W_h$: the
# largest factor by which a product with $W_h$ can stretch a row. If it is below 1, the gradient
# becomes small at least as fast as $\lVert W_h \rVert_2^k$; it *vanishes*. If it is above 1, the
# gradient may become very large (*explode*), although the factors $1 - h_t^2$ make it smaller.
# Below, $W_h$ is a rotation times a factor, so that all its singular values are this factor.

# %%
STEPS, UNITS, BATCH = 60, 32, 16
orthogonal = np.linalg.qr(rng.standard_normal((UNITS, UNITS)))[0]
seed_grad = rng.standard_normal((BATCH, UNITS))
start = 0.1 * rng.standard_normal((BATCH, UNITS))


def rnn_gradients(W_h, noise):
    """The gradients of h_T-1, h_T-2, ..., by calls that go back 1, 2, ... steps."""
    z = noise * np.random.default_rng(1).standard_normal((BATCH, STEPS, UNITS))
    h = reference.rnn(z, start, W_h)
    for k in range(1, STEPS):
        piece, first = np.array(h[:, -k:]), np.array(h[:, -k - 1])
        yield reference.rnn_grad(np.zeros_like(piece), seed_grad, piece, first, W_h)[1]


def norms(gradients):
    found = np.array([np.linalg.norm(grad) for grad in gradients])
    return found / np.linalg.norm(seed_grad)


# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
distance = np.arange(1, STEPS)
titles = "small states: tanh is almost linear", "larger states"
for ax, noise, title in zip(axes, (0.02, 0.5), titles):
    for factor, colour in ((0.8, "#2a6f97"), (1.0, "#6c757d"), (1.15, "#e07a1f")):
        left = norms(rnn_gradients(factor * orthogonal, noise))
        ax.semilogy(distance, left, color=colour, label=f"$\\|W_h\\| = {factor}$")
        ax.semilogy(distance, factor**distance, ":", color=colour, lw=1)
        assert (left <= factor**distance * (1 + 1e-12)).all()
    ax.set(title=title, xlabel="steps back")
axes[0].set(ylabel="size of the gradient", ylim=(1e-12, 1e4))
axes[0].legend(title="dotted: the bound")
plt.show()

# %% [markdown]
# So a plain network has a problem: with small weights the gradient vanishes, and the network does
# not learn to use early inputs. With larger weights the gradient may explode. (This is why the book
# clips gradients.)
#
# **Gates** add a way around this matrix. For the cell of an LSTM and the state of a GRU, one step
# back multiplies the gradient by
#
# $$
# \frac{\partial c_t}{\partial c_{t-1}} = \mathrm{diag}(f_t) + \dots, \qquad
# \frac{\partial h_t}{\partial h_{t-1}} = \mathrm{diag}(u_t) + \dots
# $$
#
# where the dots are the ways through the gates. Over $k$ steps this is a product of the $f_t$,
# without a matrix and without tanh, and the network can learn values of $f$ near 1. `LSTMLayer`
# starts with a bias of 1 in the forget gate, so $f$ is large from the beginning.


# %%
def gated(kind, bias):
    """Gradients in a new network whose forget or update gate has this bias."""
    draw = np.random.default_rng(1).standard_normal
    columns = {"LSTM": 4, "GRU": 3}[kind]
    z = 0.5 * draw((BATCH, STEPS, columns * UNITS))
    W_h = draw((UNITS, columns * UNITS)) / np.sqrt(3 * UNITS)
    if kind == "GRU":
        z[..., UNITS : 2 * UNITS] += bias
        h, gates = reference.gru(z, start, W_h)
    else:
        z[..., :UNITS] += bias
        h, c, gates = reference.lstm(z, start, start, W_h)
    for k in range(1, STEPS):
        piece, first = np.array(h[:, -k:]), np.array(h[:, -k - 1])
        quiet, part = np.zeros_like(piece), np.array(gates[-k:])
        if kind == "GRU":
            yield reference.gru_grad(quiet, seed_grad, piece, part, first, W_h)[1]
        else:
            cells, first_c = np.array(c[:, -k:]), np.array(c[:, -k - 1])
            states = piece, cells, part, first, first_c, W_h
            _, dh, dc, _ = reference.lstm_grad(quiet, seed_grad, seed_grad, *states)
            yield np.hypot(dh, dc) / np.sqrt(2)  # two gradients went in


def gru_without_term():
    """The GRU with bias 1, and backward without the term past the gates, as in the book."""
    draw = np.random.default_rng(1).standard_normal
    z = 0.5 * draw((BATCH, STEPS, 3 * UNITS))
    W_h = draw((UNITS, 3 * UNITS)) / np.sqrt(3 * UNITS)
    z[..., UNITS : 2 * UNITS] += 1
    h, grad = reference.gru(z, start, W_h)[0], seed_grad
    for t in range(STEPS - 1, 0, -1):
        terms = four_terms(grad, z[:, t], h[:, t - 1], W_h)
        grad = sum(terms.values()) - terms["past the gates"]
        yield grad


# %%
plain = rng.standard_normal((UNITS, UNITS)) / np.sqrt(3 * UNITS)
curves = {
    "RNN": (norms(rnn_gradients(plain, 0.5)), COLOURS["RNN"], "-"),
    "GRU, bias 0": (norms(gated("GRU", 0)), COLOURS["GRU"], ":"),
    "GRU, bias 1": (norms(gated("GRU", 1)), COLOURS["GRU"], "-"),
    "GRU, bias 1, term left out": (norms(gru_without_term()), "#b00020", "--"),
    "LSTM, bias 0": (norms(gated("LSTM", 0)), COLOURS["LSTM"], ":"),
    "LSTM, bias 1": (norms(gated("LSTM", 1)), COLOURS["LSTM"], "-"),
    "LSTM, bias 3": (norms(gated("LSTM", 3)), COLOURS["LSTM"], "-."),
}
at_30 = {name: values[29] for name, (values, *_) in curves.items()}
for name, value in at_30.items():
    print(f"{name:<27} 30 steps back: {value:.0e}")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.6))
for name, (values, colour, style) in curves.items():
    ax.semilogy(distance, values, style, color=colour, label=name)
ax.set(xlabel="steps back", ylabel="size of the gradient", ylim=(1e-16, 10))
ax.set_title("Size of the gradient in new networks of 32 units")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
assert at_30["RNN"] < 1e-4 * at_30["GRU, bias 1"]
assert at_30["RNN"] < 1e-4 * at_30["LSTM, bias 1"]
assert at_30["GRU, bias 1, term left out"] < 1e-6 * at_30["GRU, bias 1"]
assert at_30["LSTM, bias 3"] > 0.1

# %% [markdown]
# ## 7. Truncated backpropagation through time
#
# A text has 100,000 steps. To keep the gates of all of them would need too much memory, so a long
# sequence is cut into pieces of $K$ steps. The **state** goes on from piece to piece, but the
# **gradient** does not: the forward pass stays the same, and in the backward pass each piece begins
# with a gradient of 0 for its last state. This is called *truncated* backpropagation through time.
# The function below can do both, so we can compare with the exact gradient:

# %%
LONG = 48


def pieces(K, exact):
    """The gradient of W_h of a GRU from pieces of K steps; g is the gradient at each step."""
    draw = np.random.default_rng(2).standard_normal
    z = draw((4, LONG, 3 * H))
    z[..., H : 2 * H] += 2  # a GRU that remembers
    W_h, g = draw((H, 3 * H)) / 2, draw((4, LONG, H))
    state, kept = np.zeros((4, H)), []
    for t in range(0, LONG, K):  # forward: the state goes on
        h, gates = reference.gru(z[:, t : t + K], state, W_h)
        kept.append((g[:, t : t + K], h, gates, state))
        state = np.array(h[:, -1])
    W_grad, last_grad = np.zeros_like(W_h), np.zeros_like(state)
    for g_part, h, gates, state in reversed(kept):
        start = last_grad if exact else np.zeros_like(last_grad)
        _, last_grad, share = reference.gru_grad(g_part, start, h, gates, state, W_h)
        W_grad += share
    return W_grad


full = pieces(LONG, exact=True)
lengths = [1, 2, 3, 4, 6, 8, 12, 16, 24, 48]
for K in lengths:
    np.testing.assert_allclose(pieces(K, exact=True), full, rtol=1e-10, atol=1e-11)
errors = [np.linalg.norm(pieces(K, exact=False) - full) / np.linalg.norm(full) for K in lengths]

# %% tags=["hide-input"]
fig, ax = plt.subplots()
ax.plot(lengths, errors, "o-", color=COLOURS["GRU"])
ax.set(xlabel="K, the length of a piece (of 48 steps)", ylabel="error, relative to the gradient")
ax.set_title("The error of truncated backpropagation")
plt.show()
assert errors[-1] == 0
assert errors[0] > errors[5] > errors[-1]

# %% [markdown]
# If the gradient goes on from piece to piece, pieces of every length give the exact gradient. If it
# does not, the part that would cross the cuts is missing; the longer the pieces, the smaller the
# error. The layers of dlfs with `carry=True` do this: they carry the state to the next batch, but
# no gradient.
#
# ## 8. Characters: a row instead of a product
#
# A character with number $n$ is a one-hot row $e_n$ of 62 numbers here. Its product with a matrix
# is row $n$ of the matrix. The gradient of this row is a sum over the places where the character is
# $n$:
#
# $$
# e_n W = W_{n,:}, \qquad
# \frac{\partial L}{\partial W_{n,:}} = \sum_{t:\; n_t = n} \frac{\partial L}{\partial z_t}
# $$
#
# In `dlfs/reference/embedding.py`:
#
#     return table[indices]
#     np.add.at(table_grad, indices, output_grad)
#
# `np.add.at` is needed here: `table_grad[indices] += output_grad` would add only once for a
# character that occurs twice. This is the same mistake as in section 3 of Autograd_Simple.

# %%
indices = rng.integers(0, 62, (4, 25))
table, z_grad = draw(62, 64), rng.standard_normal((4, 25, 64))
one_hot = np.eye(62)[indices]
np.testing.assert_array_equal(reference.embedding(indices, table), one_hot @ table)
by_product = one_hot.reshape(-1, 62).T @ z_grad.reshape(-1, 64)
by_rows = reference.embedding_param_grad(z_grad, indices, 62)
np.testing.assert_allclose(by_rows, by_product, rtol=1e-13, atol=1e-13)
overwritten = np.zeros_like(by_rows)
overwritten[indices] += z_grad
wrong = (~np.isclose(overwritten, by_rows).all(axis=1)).sum()
repeated = (np.bincount(indices.ravel(), minlength=62) > 1).sum()
print(f"the product needs {one_hot.size * 64:,} multiplications, the rows none")
print(f"{repeated} characters occur more than once; += on an index is wrong for {wrong} of them")
assert wrong == repeated

# %% [markdown]
# ## 9. The same by automatic differentiation
#
# In the GRU step $t$ uses $h_{t-1}$ four times, so $T$ steps have $4^T$ paths. They need not be
# followed one by one: the order from the last step to the first is a topological order, and each
# step is visited once. `ArrayWithGrad` of Autograd_Simple finds such an order for any graph. It
# needs only the forward formulas, so it is a second check of the gradients above:


# %%
def gru_forward(z, h, W, n):
    states = []
    for t in range(z.shape[1]):
        z_t = z[:, t]
        r = (z_t[:, :n] + h @ W[:, :n]).sigmoid()
        u = (z_t[:, n : 2 * n] + h @ W[:, n : 2 * n]).sigmoid()
        h_bar = (z_t[:, 2 * n :] + (r * h) @ W[:, 2 * n :]).tanh()
        h = u * h + (1 - u) * h_bar
        states.append(h.reshape(len(h), 1, n))
    return concatenate(states, axis=1)


variables = [ArrayWithGrad(array) for array in (z0, h0, W0)]
g = rng.standard_normal((N, T, H))
gru_forward(*variables, H).backward(g)
same([v.grad for v in variables], gru_back(g, z0, h0, W0))
print(f"{T} steps, {4**T:,} paths: the three gradients are equal, up to rounding")

# %% [markdown]
# ## 10. Exercises
#
# **1. A long memory.** In an LSTM whose weights are all 0, each step multiplies the gradient of the
# cell by $f = \sigma(b)$. With which bias $b$ are 90 % of the gradient left after 100 steps?

# %% tags=["exercise:long-memory"]
long_memory = ...

# %%
check(
    "long-memory",
    long_memory,
    6.853,
    hint="Which f to the power 100 is 0.9? Then invert sigma.",
    rtol=1e-3,
)

# %% [markdown] tags=["solution:long-memory"]
# <details><summary>Solution</summary>
#
# ```python
# f = 0.9 ** (1 / 100)
# long_memory = np.log(f / (1 - f))
# ```
# </details>

# %% [markdown]
# **2. A leaky unit.** One step is $h' = (1-\alpha)\, h + \alpha \tanh(z + h W)$. Given the gradient
# $g$ of $h'$, return those of $z$, $h$ and $W$.


# %% tags=["exercise:leaky"]
def leaky_back(g, z, h, W, alpha=0.2):
    return ...


# %%
def leaky(z, h, W, alpha=0.2):
    return (1 - alpha) * h + alpha * np.tanh(z + h @ W)


check(
    "leaky",
    leaky_back,
    lambda back: check_gradients((leaky, back), (draw(3, 4), draw(3, 4), draw(4, 4))),
    hint="h is used twice: past the tanh, and through it.",
)

# %% [markdown] tags=["solution:leaky"]
# <details><summary>Solution</summary>
#
# ```python
# def leaky_back(g, z, h, W, alpha=0.2):
#     z_grad = g * alpha * (1 - np.tanh(z + h @ W) ** 2)
#     return z_grad, g * (1 - alpha) + z_grad @ W.T, h.T @ z_grad
# ```
# </details>

# %% [markdown]
# **3. Coupled gates.** An LSTM with $i = 1 - f$ has $c' = f \odot c + (1-f) \odot \bar c$ with
# $f = \sigma(a)$, $\bar c = \tanh(b)$. Given the gradient $g$ of $c'$, return those of $a$, $b$ and
# $c$.


# %% tags=["exercise:coupled"]
def coupled_back(g, a, b, c):
    return ...


# %%
def coupled(a, b, c):
    return expit(a) * c + (1 - expit(a)) * np.tanh(b)


check(
    "coupled",
    coupled_back,
    lambda back: check_gradients((coupled, back), (draw(3, 4), draw(3, 4), draw(3, 4))),
    hint="f is used twice, so its gradient is the sum of two terms.",
)

# %% [markdown] tags=["solution:coupled"]
# <details><summary>Solution</summary>
#
# ```python
# def coupled_back(g, a, b, c):
#     f, c_bar = expit(a), np.tanh(b)
#     return g * (c - c_bar) * f * (1 - f), g * (1 - f) * (1 - c_bar**2), g * f
# ```
# </details>
#
# The update gate of the GRU has the same formula.
