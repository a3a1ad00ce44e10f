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
# You derive the gradient of attention, line by line, and an algorithm that computes attention
# without storing its weights. Then come the other parts of a transformer: rotary positions, the
# gradient of a normalization, residual connections in deep networks, and a count of the work. After
# each formula a cell proves it or tests it with numbers.
#
# You need [Code](Code.ipynb) of this chapter, the chain rule for matrix products (chapter 1) and
# the softmax (chapter 4).

# %% tags=["hide-input"]
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
from dlfs.plots import BLUE, ORANGE

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(10)


# %%
def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# %% [markdown]
# ## 1. Notation
#
# We look at one head and one sequence of $T$ positions. The queries $Q$, the keys $K$ and the
# values $V$ have the shape $(T, d)$; row $t$ belongs to position $t$.
#
# $$ S = \frac{Q K^\top}{\sqrt d}, \qquad P_{ts} = \frac{e^{S_{ts}}}{\sum_u e^{S_{tu}}}, \qquad
#    O = P V $$
#
# The scores $S$ and the weights $P$ have the shape $(T, T)$: row $t$ belongs to a query, column $s$
# to a key. With the causal mask, $S_{ts} = -\infty$ for $s > t$, so that $P_{ts} = 0$. The gradient
# of the output, $G = \partial L / \partial O$, is given. We need the gradients of $Q$, $K$ and $V$.
#
# ## 2. Why the square root
#
# Let the entries of a query and a key be independent, with mean 0 and variance 1. Then each product
# $q_i k_i$ has mean 0 and variance $E[q_i^2]\, E[k_i^2] = 1$, and the sum of $d$ of them has
# variance $d$. After the division by $\sqrt d$ the variance is 1 again, for every $d$:

# %%
for width in (8, 64, 512):
    q, k = rng.standard_normal((2, 20_000, width))
    products = np.sum(q * k, axis=1)
    print(f"d = {width:>3}: variance {products.var():6.1f}, divided {products.var() / width:.2f}")
    assert abs(products.var() / width - 1) < 0.05

# %% [markdown]
# ## 3. The softmax's Jacobian
#
# For one row $p = \operatorname{softmax}(s)$, the quotient rule gives the Jacobian $J$, the matrix
# of all derivatives ($\delta_{ij}$ is 1 for $i = j$, else 0):
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
# The gradient of the scores is the product with $J$. It can be computed without the matrix ($\odot$
# is the product entry by entry):
#
# $$ s_{grad} = J\, p_{grad} = p \odot p_{grad} - p\,(p^\top p_{grad})
#    = p \odot \Big(p_{grad} - \sum_i p_i\, p_{grad, i}\Big) $$
#
# Its sum is zero, because the weights do not change if a constant is added to all scores. Where
# $p_i = 0$ the gradient is 0. So backward needs no line for the mask.
#
# ## 4. The gradient of attention
#
# We go backward from the output. For a product $C = A B$ the rule is
# $A_{grad} = C_{grad} B^\top$ and $B_{grad} = A^\top C_{grad}$ (chapter 1).
#
# 1. $O = P V$: $\quad V_{grad} = P^\top G$, $\quad P_{grad} = G V^\top$.
# 2. Softmax, row by row: $\quad S_{grad} = P \odot (P_{grad} - D)$, where
#    $D_t = \sum_s P_{ts} P_{grad, ts}$.
# 3. $S = Q K^\top / \sqrt d$: $\quad Q_{grad} = S_{grad} K / \sqrt d$,
#    $\quad K_{grad} = S_{grad}^\top Q / \sqrt d$.
#
# The sum $D_t$ goes over all keys, but it follows from the output alone:
#
# $$ D_t = \sum_s P_{ts} \sum_i G_{ti} V_{si} = \sum_i G_{ti} \sum_s P_{ts} V_{si}
#    = \sum_i G_{ti} O_{ti} $$
#
# So backward does not need a first pass over the keys to compute it. The kernel in
# `dlfs/reference/attention.py` has these lines. There `g` is $G$, `o` is $O$, `weights` is $P$, and
# the axes 2 and 3 are positions and features (the axes 0 and 1 are batch and heads):
#
# ```python
# weights_grad = g @ v.swapaxes(2, 3)
# scores_grad = weights * (weights_grad - (g * o).sum(axis=3, keepdims=True))
# ```
#
# The next cell computes the three gradients with the formulas, and compares them with the kernel's:

# %%
T, d = 5, 4
Q, K, V, G = rng.standard_normal((4, T, d))
allowed = np.tri(T, dtype=bool)
P = softmax(np.where(allowed, Q @ K.T / math.sqrt(d), -np.inf))
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
assert np.all(S_grad[~allowed] == 0)
print("all three gradients agree with the kernel")

# %% [markdown]
# Both agree with finite differences, too:

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
# The weights are $T^2$ numbers for each head; queries, keys and values are only $3 T d$. For long
# sequences the weights are by far the largest array, and each is used only once. Dao and others
# (FlashAttention, 2022) do not store them: they compute the sums of the softmax while they go
# through the keys, block by block.
#
# For one query, let the scores be $s_1, s_2, \dots$ After some of them, keep three things: the
# largest score so far, $m$; the sum $\ell = \sum e^{s_i - m}$; and the row $a = \sum e^{s_i - m}
# v_i$. Then comes a new block of scores, the largest of which is $m'$. Let $M = \max(m, m')$.
# Because of $e^{s_i - M} = e^{s_i - m}\, e^{m - M}$, one factor turns the old sums into sums
# relative to $M$:
#
# $$ \ell \leftarrow \ell\, e^{m - M} + \sum_{new} e^{s_i - M}, \qquad
#    a \leftarrow a\, e^{m - M} + \sum_{new} e^{s_i - M} v_i, \qquad m \leftarrow M $$
#
# At the end, the output is $o = a / \ell$. No power overflows, because no exponent is above 0.


# %%
def blocked(Q, K, V, size):
    """Return attention, storing only (T, size) weights at a time, and m + log(l) of each query."""
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
# Backward needs the weights, and computes them again, block by block. For that, forward keeps one
# number for each query, $\lambda_t = m + \ln \ell$, which is the logarithm of the sum of all
# powers: $P_{ts} = e^{S_{ts} - \lambda_t}$. This costs one more matrix product, and saves $T^2$
# numbers.

# %%
block = slice(8, 16)
again = np.exp(Q @ K[block].T / 4 - lse)
assert np.allclose(again, softmax(Q @ K.T / 4)[:, block], rtol=1e-11)

# %% [markdown]
# ## 6. Rotary positions
#
# Take the features in pairs. Rotate each pair of a query at position $t$ by the angle $t \theta$,
# and each pair of a key at position $s$ by the angle $s \theta$ (RoPE; Su and others, 2021). Then
# the product of query and key depends only on the distance $t - s$. SymPy proves it for the query
# $(a, b)$ and the key $(c, e)$:

# %%
t, u, theta = sp.symbols("t s theta", real=True)
a, b, c, e = sp.symbols("a b c e", real=True)


def rotated(x, y, angle):
    return sp.Matrix([x * sp.cos(angle) - y * sp.sin(angle), x * sp.sin(angle) + y * sp.cos(angle)])


product = rotated(a, b, t * theta).dot(rotated(c, e, u * theta))
only_distance = rotated(a, b, (t - u) * theta).dot(sp.Matrix([c, e]))
assert sp.simplify(sp.expand_trig(sp.expand(product - only_distance))) == 0
only_distance

# %% [markdown]
# `RotaryPositions` does this in dlfs. With the same query and key at all positions, the scores are
# equal along each diagonal:

# %%
x = np.tile(rng.standard_normal(12), (1, 9, 1))  # query, key and value side by side
q, k, _ = np.split(RotaryPositions(heads=1).forward(x)[0], 3, axis=1)
scores = q @ k.T
assert np.allclose(scores[:-1, :-1], scores[1:, 1:])
print(scores[:4, :4].round(2))

# %% [markdown]
# A rotation is an orthogonal matrix: it does not change the length of a vector, and backward is the
# rotation by the opposite angle. The values are not rotated. Pair $i$ has the angle
# $\theta_i = 10000^{-2i/d}$. The first pairs rotate fast, so that their products distinguish
# neighbours; the last pairs rotate slowly, and distinguish near from far.
#
# ## 7. LayerNorm
#
# For one row of $n$ features, with mean $\mu$ and variance $\sigma^2$:
# $y_i = (x_i - \mu) / \sigma$. The mean and the standard deviation depend on *every* $x_j$:
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
# The two subtracted terms have a meaning. If a constant is added to all $x_j$, the output does not
# change; so the gradient has no part along $(1, \dots, 1)$, and the first term removes that part.
# If $x - \mu$ is multiplied by a factor, the output does not change either; so the gradient has no
# part along $y$, and the second term removes it. A network in which one of them is missing still
# learns, but worse. RMSNorm subtracts no mean, and has only the second term.

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
# The first term is the identity: the gradient of the output arrives at the input unchanged, plus
# corrections, for any depth. The picture shows the size of the gradient at each of 30 layers, for a
# plain chain of dense layers, and for the same layers in residual connections with a normalization:


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
found = {name: sizes(make) for name, (make, _) in kinds.items()}

# %% tags=["hide-input"]
_, ax = plt.subplots()
for name, (_, colour) in kinds.items():
    ax.semilogy(range(1, 31), found[name], color=colour, label=name)
ax.set(xlabel="layer", ylabel="size of the gradient at its input")
ax.legend()
plt.show()
assert found["plain"][0] < 0.01 * found["plain"][-1]
assert 0.1 < found["residual"][0] / found["residual"][-1] < 1000

# %% [markdown]
# In the plain chain the first layers get almost no gradient. With residual connections all layers
# get a gradient of similar size. It even grows a little towards the input, because each layer adds
# its part.
#
# ## 9. Counting
#
# How much work is a block? We count multiply-adds (a multiplication with an addition) for one
# position. Queries, keys and values take $3 w^2$, the matrix that mixes the heads takes $w^2$, and
# the two dense layers take $4 w^2$ each. The scores and the mean of the values take $2 T d$ for
# each head, $2 T w$ for all heads. (A kernel that uses the causal mask does half of that, on
# average.)

# %%
w, T, N = sp.symbols("w T N", positive=True)
dense = 3 * w**2 + w**2 + 2 * 4 * w**2
attending = 2 * T * w
(equal,) = sp.solve(sp.Eq(dense, attending), T)
assert equal == 6 * w
print("per position and block:", dense, "+", attending, "; equal at T =", equal)
training = 3 * N * (dense + attending)  # backward takes twice the work of forward
step = training.subs({w: 128, T: 64, N: 4}) * 32 * 64
print(f"a step of 32 x 64 characters: {float(step) / 1e9:.2f} billion multiply-adds")
assert 4.9e9 < step < 5.6e9

# %% [markdown]
# For each position a weight is used once in forward, and twice in backward: for the gradient of the
# input and for its own gradient. Each use is a multiplication and an addition. Hence the rule of
# thumb: training takes *six* operations for each weight and each position.
#
# ## 10. Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. Which sum?** A student computes $D$ with the sum over the queries (axis 0) instead of the
# keys. Return scores (2, 2), without a mask, for which this mistake does not show: both sums of
# $P \odot P_{grad}$ are the same for the given $P_{grad}$.


# %% tags=["exercise:symmetric"]
def scores_where_both_agree(P_grad):
    return ...


# %%
def right_scores(attempt):
    P_grad = np.array([[1.0, 2.0], [2.0, -1.0]])
    product = softmax(np.asarray(attempt(P_grad), dtype=float)) * P_grad
    return bool(np.allclose(product.sum(axis=0), product.sum(axis=1)))


check(
    "symmetric",
    scores_where_both_agree,
    right_scores,
    hint="P_grad is symmetric here. Which scores make P symmetric, too?",
)

# %% [markdown] tags=["solution:symmetric"]
# <details><summary>Solution</summary>
#
# Equal scores make all weights 1/2. A test with such numbers would miss the mistake. Therefore
# `check_gradients` is given random numbers.
#
# ```python
# def scores_where_both_agree(P_grad):
#     return np.zeros((2, 2))
# ```
# </details>

# %% [markdown]
# **2. One query.** Return the gradient of a single query $q$ with $d$ features. Given are the keys
# $K$, the values $V$ and the gradient $g$ of the output.


# %% tags=["exercise:query"]
def query_grad(q, K, V, g):
    return ...


# %%
def right_query(attempt):
    rng = np.random.default_rng(2)
    q, g, K, V = (rng.standard_normal(shape) for shape in (3, 3, (5, 3), (5, 3)))
    found = attempt(q, K, V, g)

    def loss(q):
        return g @ (softmax(K @ q / math.sqrt(3)) @ V)

    steps = 1e-6 * np.eye(3)
    return bool(np.allclose(found, [(loss(q + h) - loss(q - h)) / 2e-6 for h in steps], atol=1e-8))


check(
    "query",
    query_grad,
    right_query,
    hint="Go backward: from the output to p, through the softmax, to K @ q / sqrt(d), to q.",
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
# **3. The variance of the scores.** Queries and keys have $d$ features, which are independent, with
# mean 0 and variance $v$. The scores are divided by $d^a$. Return the variance of the scores.


# %% tags=["exercise:variance"]
def score_variance(d, v, a):
    return ...


# %%
check(
    "variance",
    lambda: [score_variance(64, 1.0, 0.5), score_variance(16, 2.0, 0.0)],
    lambda f: bool(np.allclose(f(), [1.0, 64.0])),
    hint="It is a sum of d products. What does a factor do to a variance?",
)

# %% [markdown] tags=["solution:variance"]
# <details><summary>Solution</summary>
#
# ```python
# def score_variance(d, v, a):
#     return d * v**2 / d ** (2 * a)
# ```
# </details>
