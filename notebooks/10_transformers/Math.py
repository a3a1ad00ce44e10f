# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   dlfs: {backends: [fast, reference]}
# ---

# %% [markdown]
# # Chapter 10: the mathematics of transformers
#
# You derive the gradient of attention, line by line, and the way to compute attention without ever
# storing its weights. Then come the parts around it: positions that turn, the gradient of a
# normalization, what a residual connection does for depth, and a count of the work. A cell proves
# each formula. You need the chain rule for matrix products (chapter 1) and the softmax (chapter 4).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

from dlfs import reference
from dlfs.activations import Sigmoid
from dlfs.attention import RotaryPositions
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.layers import Dense, LayerBlock, LayerNorm, Residual
from dlfs.normalization import LayerNorm_Op

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
rng = np.random.default_rng(10)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# %% [markdown]
# ## 1. Notation
#
# One head, one sequence of $T$ positions. $Q$ and $K$ are $(T, d)$, $V$ is $(T, d)$ too; row $t$
# belongs to position $t$.
#
# $$ S = \frac{Q K^\top}{\sqrt d}, \qquad P_{ts} = \frac{e^{S_{ts}}}{\sum_u e^{S_{tu}}}, \qquad
#    O = P V $$
#
# $S$ and $P$ are $(T, T)$: row $t$ asks, column $s$ is looked at. With the causal mask, $S_{ts} =
# -\infty$ for $s > t$, so that $P_{ts} = 0$. $G = \partial L / \partial O$ is given; wanted are the
# gradients of $Q$, $K$ and $V$.
#
# ## 2. Why the square root
#
# Let the entries of a query and a key be independent, with mean 0 and variance 1. Then each product
# $q_i k_i$ has mean 0 and variance $E[q_i^2] E[k_i^2] = 1$, and the sum of $d$ of them has variance
# $d$. Divided by $\sqrt d$ it is 1 again, for every width:

# %%
for width in (8, 64, 512):
    q, k = rng.standard_normal((2, 20_000, width))
    products = np.sum(q * k, axis=1)
    print(f"d = {width:>3}: variance {products.var():6.1f}, divided {products.var() / width:.2f}")
    assert abs(products.var() / width - 1) < 0.05

# %% [markdown]
# ## 3. The softmax's Jacobian
#
# For one row $p = \operatorname{softmax}(s)$, the quotient rule gives
#
# $$ \frac{\partial p_i}{\partial s_j} = p_i (\delta_{ij} - p_j),
#    \qquad J = \operatorname{diag}(p) - p\,p^\top $$

# %%
s = sp.symbols("s_1:4")
total = sum(sp.exp(v) for v in s)
p = [sp.exp(v) / total for v in s]
J = sp.Matrix(3, 3, lambda i, j: sp.diff(p[i], s[j]))
by_formula = sp.Matrix(3, 3, lambda i, j: p[i] * (int(i == j) - p[j]))
assert sp.simplify(J - by_formula) == sp.zeros(3, 3)
by_formula[0, :2]

# %% [markdown]
# The gradient of the scores is the product with $J$, which nobody computes as a matrix:
#
# $$ s_{grad} = J\, p_{grad} = p \odot p_{grad} - p\,(p^\top p_{grad})
#    = p \odot \Big(p_{grad} - \sum_i p_i\, p_{grad, i}\Big) $$
#
# It sums to zero, because a constant added to all scores changes nothing. Where $p_i = 0$ it is 0:
# **the mask needs no line in backward.**
#
# ## 4. The gradient of attention
#
# Backward from the end, with the rule for a product $C = A B$: $A_{grad} = C_{grad} B^\top$ and
# $B_{grad} = A^\top C_{grad}$.
#
# 1. $O = P V$: $\quad V_{grad} = P^\top G$, $\quad P_{grad} = G V^\top$.
# 2. Softmax, row by row: $\quad S_{grad} = P \odot (P_{grad} - D)$, where
#    $D_t = \sum_s P_{ts} P_{grad, ts}$.
# 3. $S = Q K^\top / \sqrt d$: $\quad Q_{grad} = S_{grad} K / \sqrt d$,
#    $\quad K_{grad} = S_{grad}^\top Q / \sqrt d$.
#
# The sum $D_t$ goes over all keys, but it can be had from the output alone:
#
# $$ D_t = \sum_s P_{ts} \sum_i G_{ti} V_{si} = \sum_i G_{ti} \sum_s P_{ts} V_{si}
#    = \sum_i G_{ti} O_{ti} $$
#
# So backward needs no second pass over the keys to find it. These are the lines of
# `dlfs/reference/attention.py`:
#
# ```python
# weights_grad = g @ v.swapaxes(2, 3)
# scores_grad = weights * (weights_grad - (g * o).sum(axis=3, keepdims=True))
# ```

# %%
T, d = 5, 4
Q, K, V, G = rng.standard_normal((4, T, d))
seen = np.tri(T, dtype=bool)
P = softmax(np.where(seen, Q @ K.T / math.sqrt(d), -np.inf))
P_grad = G @ V.T
D = np.sum(P * P_grad, axis=1)
assert np.allclose(D, np.sum(G * (P @ V), axis=1))
S_grad = P * (P_grad - D[:, np.newaxis])
mine = np.hstack([S_grad @ K / math.sqrt(d), S_grad.T @ Q / math.sqrt(d), P.T @ G])

qkv = np.hstack([Q, K, V])[np.newaxis]
output = reference.attention(qkv, heads=1, causal=True)
theirs = reference.attention_grad(G[np.newaxis], qkv, output, heads=1, causal=True)
assert np.allclose(mine, theirs[0], rtol=1e-12)
assert np.allclose(S_grad.sum(axis=1), 0)
assert np.all(S_grad[~seen] == 0)
print("all three gradients agree with the kernel")

# %% [markdown]
# And with finite differences:

# %%
step = 1e-6
numeric = np.zeros_like(qkv)
for place in np.ndindex(qkv.shape):
    sides = []
    for sign in (1, -1):
        moved = qkv.copy()
        moved[place] += sign * step
        sides.append(np.sum(G * reference.attention(moved, heads=1, causal=True)))
    numeric[place] = (sides[0] - sides[1]) / (2 * step)
print(f"largest difference {np.abs(numeric - theirs).max():.0e}")
assert np.allclose(numeric, theirs, atol=1e-8)

# %% [markdown]
# ## 5. Attention in blocks
#
# The weights take $T^2$ numbers for each head; queries, keys and values only $3 T d$. For long
# sequences the weights are by far the largest array, and they are needed only for a moment. The way
# round was found by Dao and others (FlashAttention, 2022): a softmax can be summed up **while the
# scores come in**.
#
# For one query, let the scores be $s_1, s_2, \dots$ After some of them keep three things: the
# largest so far $m$, the sum $\ell = \sum e^{s_i - m}$, and the row $a = \sum e^{s_i - m} v_i$. A
# new block of scores has the largest $m'$. With $M = \max(m, m')$, old sums are turned into sums
# relative to $M$ by one factor, since $e^{s_i - M} = e^{s_i - m}\, e^{m - M}$:
#
# $$ \ell \leftarrow \ell\, e^{m - M} + \sum_{new} e^{s_i - M}, \qquad
#    a \leftarrow a\, e^{m - M} + \sum_{new} e^{s_i - M} v_i, \qquad m \leftarrow M $$
#
# At the end $o = a / \ell$. No power overflows, because no exponent is above 0.


# %%
def blocked(Q, K, V, size):
    """Attention that never holds more than (T, size) weights; returns also log-sum-exp."""
    m, total = np.full((len(Q), 1), -np.inf), np.zeros((len(Q), 1))
    a = np.zeros_like(V)
    for start in range(0, len(K), size):
        scores = Q @ K[start : start + size].T / math.sqrt(Q.shape[1])
        M = np.maximum(m, scores.max(axis=1, keepdims=True))
        powers = np.exp(scores - M)
        total = total * np.exp(m - M) + powers.sum(axis=1, keepdims=True)
        a = a * np.exp(m - M) + powers @ V[start : start + size]
        m = M
    return a / total, m + np.log(total)


Q, K, V = 5 * rng.standard_normal((3, 64, 16))
plain = softmax(Q @ K.T / 4) @ V
for size in (1, 7, 64):
    output, lse = blocked(Q, K, V, size)
    assert np.allclose(output, plain, rtol=1e-12)
print("the same for blocks of 1, 7 and 64 keys")

# %% [markdown]
# Backward needs the weights again. It computes them again, block by block, from one number for each
# query that forward keeps, the log-sum-exp $\lambda_t = m + \ln \ell$: $P_{ts} = e^{S_{ts} -
# \lambda_t}$. That costs one more matrix product, and saves $T^2$ numbers.

# %%
block = slice(8, 16)
again = np.exp(Q @ K[block].T / 4 - lse)
assert np.allclose(again, softmax(Q @ K.T / 4)[:, block], rtol=1e-11)

# %% [markdown]
# ## 6. Positions that turn
#
# Take the features in pairs, and turn each pair of a query at position $t$ by the angle $t \theta$,
# each pair of a key at position $s$ by $s \theta$ (RoPE; Su and others, 2021). Then their product
# depends on $t - s$ alone:

# %%
t, u, theta = sp.symbols("t s theta", real=True)
a, b, c, e = sp.symbols("a b c e", real=True)


def turned(x, y, angle):
    return sp.Matrix([x * sp.cos(angle) - y * sp.sin(angle), x * sp.sin(angle) + y * sp.cos(angle)])


product = turned(a, b, t * theta).dot(turned(c, e, u * theta))
only_distance = turned(a, b, (t - u) * theta).dot(sp.Matrix([c, e]))
assert sp.simplify(sp.expand_trig(sp.expand(product - only_distance))) == 0

x = np.tile(rng.standard_normal(12), (1, 9, 1))  # the same query, key and value everywhere
q, k, _ = np.split(RotaryPositions(heads=1).forward(x)[0], 3, axis=1)
scores = q @ k.T
assert np.allclose(scores[:-1, :-1], scores[1:, 1:])
only_distance

# %% [markdown]
# A turn is an orthogonal matrix, so its gradient is the turn back. No length changes, and the
# values are not turned. The angles are $\theta_i = 10000^{-2i/d}$: the first pairs turn fast and
# tell neighbours apart, the last ones slowly and tell far from near.
#
# ## 7. LayerNorm
#
# For one row of $n$ features, with mean $\mu$ and variance $\sigma^2$:
# $y_i = (x_i - \mu) / \sigma$. The mean and the deviation depend on *every* $x_j$:
#
# $$ \frac{\partial \mu}{\partial x_j} = \frac1n, \qquad
#    \frac{\partial \sigma}{\partial x_j} = \frac{x_j - \mu}{n \sigma} = \frac{y_j}{n} $$
#
# $$ \frac{\partial y_i}{\partial x_j}
#    = \frac1\sigma \Big(\delta_{ij} - \frac1n - \frac{y_i\, y_j}{n}\Big) $$
#
# Multiplied by the output's gradient $g$ and summed over $i$:
#
# $$
# x_{grad} = \frac1\sigma \Big(g - \operatorname{mean}(g) - y \operatorname{mean}(g \odot y)\Big)
# $$
#
# The two terms have a meaning. Adding a constant to $x$ changes nothing, so the gradient has no
# part along $(1, \dots, 1)$: that is the **mean** term. Scaling $x$ changes nothing either, so it
# has no part along $y$: that is the **projection**. Each is easy to forget, and the network still
# learns, only worse. RMSNorm has no mean, and only the second term.

# %%
operation = LayerNorm_Op(eps=1e-12)
x, g = rng.standard_normal((2, 3, 6))
y = operation.forward(x)
sigma = x.std(axis=1, keepdims=True)
mine = (g - g.mean(axis=1, keepdims=True) - y * (g * y).mean(axis=1, keepdims=True)) / sigma
assert np.allclose(operation.backward(g), mine)
assert np.allclose(mine.sum(axis=1), 0)
assert np.allclose((mine * y).sum(axis=1), 0)
assert check_gradients(LayerNorm_Op(), x)


# %% [markdown]
# ## 8. Residual connections and depth
#
# A chain of $N$ layers has the Jacobian $J_N \cdots J_2 J_1$: a product, which shrinks or grows
# exponentially (chapter 6). With $x_{n+1} = x_n + f_n(x_n)$ it is
#
# $$ (I + J_N) \cdots (I + J_2)(I + J_1) = I + \sum_n J_n + \sum_{n > m} J_n J_m + \dots $$
#
# The first term is the identity: whatever the layers do, the gradient of the end arrives at the
# beginning unchanged, plus corrections. Here is the size of the gradient at each of 30 layers, for
# the same layers in a plain chain, and each in a residual with a normalization:


# %%
def sizes(make, depth=30):
    """Return the size of the gradient at the input of each layer of a chain."""
    layers = [make() for _ in range(depth)]
    x = rng.standard_normal((20, 32))
    for number, layer in enumerate(layers):
        layer.seed = number
        x = layer.forward(x)
    grad = rng.standard_normal(x.shape)
    found = []
    for layer in reversed(layers):
        grad = layer.backward(grad)
        found.append(np.sqrt(np.mean(grad**2)))
    return np.array(found[::-1])


kinds = {
    "plain": (lambda: LayerBlock([Dense(32, activation=Sigmoid())]), ORANGE),
    "residual": (lambda: Residual([LayerNorm(), Dense(32, activation=Sigmoid())]), BLUE),
}
_, ax = plt.subplots()
gone = {}
for name, (make, colour) in kinds.items():
    gone[name] = sizes(make)
    ax.semilogy(range(1, 31), gone[name], color=colour, label=name)
ax.set(xlabel="layer", ylabel="size of the gradient at its input")
ax.legend()
plt.show()
assert gone["plain"][0] < 0.01 * gone["plain"][-1]
assert 0.1 < gone["residual"][0] / gone["residual"][-1] < 1000

# %% [markdown]
# In the chain the first layers receive next to nothing. With residuals all receive about as much;
# it even grows a little towards the beginning, because each layer adds its share.
#
# ## 9. Counting
#
# One block, for each position, in multiply-adds: queries, keys and values $3 w^2$, the projection
# behind $w^2$, two dense layers $4 w^2$ each. Scores and mean: for each position and head $2 T d$,
# for all heads $2 T w$; with a mask half of it, on average.

# %%
w, T, N = sp.symbols("w T N", positive=True)
dense = 3 * w**2 + w**2 + 2 * 4 * w**2
attending = 2 * T * w
(equal,) = sp.solve(sp.Eq(dense, attending), T)
assert equal == 6 * w
print("per position and block:", dense, "+", attending, "; equal at T =", equal)
training = 3 * N * (dense + attending)  # backward costs twice what forward costs
step = training.subs({w: 128, T: 64, N: 4}) * 32 * 64
print(f"a step of 32 x 64 characters: {float(step) / 1e9:.2f} billion multiply-adds")
assert 4.9e9 < step < 5.6e9

# %% [markdown]
# Every weight is used once for each position, forward, and twice backward (for the gradient of the
# input and for its own). From this comes the rule of thumb that training costs *six* operations,
# three multiplications and three additions, for each weight and each token.
#
# ## 10. Exercises
#
# **1. Which sum?** A student computes $D$ with the sum over queries (axis 0), not over keys. Return
# a score matrix (2, 2), without a mask, for which both sums of $P \odot P_{grad}$ are the same for
# the given $P_{grad}$.


# %% tags=["exercise:symmetric"]
def scores_where_both_agree(P_grad):
    return ...


# %%
def right_scores(attempt):
    P_grad = np.array([[1.0, 2.0], [2.0, -1.0]])
    scores = attempt(P_grad)
    if scores is ...:
        return ...
    product = softmax(np.asarray(scores, dtype=float)) * P_grad
    return bool(np.allclose(product.sum(axis=0), product.sum(axis=1)))


check(
    "symmetric",
    scores_where_both_agree,
    right_scores,
    hint="P_grad is symmetric here. What if P were, too?",
)

# %% [markdown] tags=["solution:symmetric"]
# <details><summary>Solution</summary>
#
# Equal scores make all weights 1/2. A test with such numbers would pass: the checker draws random
# ones.
#
# ```python
# def scores_where_both_agree(P_grad):
#     return np.zeros((2, 2))
# ```
# </details>

# %% [markdown]
# **2. One query.** Return the gradient of a single query $q$ of width $d$, for keys $K$, values $V$
# and the gradient $g$ of its output.


# %% tags=["exercise:query"]
def query_grad(q, K, V, g):
    return ...


# %%
def right_query(attempt):
    rng = np.random.default_rng(2)
    q, g, K, V = (rng.standard_normal(shape) for shape in (3, 3, (5, 3), (5, 3)))
    found = attempt(q, K, V, g)
    if found is ...:
        return ...

    def loss(q):
        return g @ (softmax(K @ q / math.sqrt(3)) @ V)

    steps = 1e-6 * np.eye(3)
    return bool(np.allclose(found, [(loss(q + h) - loss(q - h)) / 2e-6 for h in steps], atol=1e-8))


check(
    "query",
    query_grad,
    right_query,
    hint="p_grad = V @ g; then the softmax; then the scores are K @ q / sqrt(d).",
)

# %% [markdown] tags=["solution:query"]
# <details><summary>Solution</summary>
#
# ```python
# def query_grad(q, K, V, g):
#     p = softmax(K @ q / math.sqrt(len(q)))
#     p_grad = V @ g
#     s_grad = p * (p_grad - p @ p_grad)
#     return K.T @ s_grad / math.sqrt(len(q))
# ```
# </details>

# %% [markdown]
# **3. Temperature.** Dividing by $\sqrt d$ is a temperature, too. Return the variance of the scores
# of a head of width $d$ if queries and keys have variance $v$ each, and are divided by $d^a$.


# %% tags=["exercise:variance"]
def score_variance(d, v, a):
    return ...


# %%
check(
    "variance",
    lambda: [score_variance(64, 1.0, 0.5), score_variance(16, 2.0, 0.0)],
    lambda f: ... if ... in f() else bool(np.allclose(f(), [1.0, 64.0])),
    hint="The sum of d products; a variance is divided by the square of what the number is.",
)

# %% [markdown] tags=["solution:variance"]
# <details><summary>Solution</summary>
#
# ```python
# def score_variance(d, v, a):
#     return d * v**2 / d ** (2 * a)
# ```
# </details>
