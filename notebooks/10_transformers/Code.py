# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   dlfs: {backends: [fast]}
# ---

# %% [markdown]
# # Chapter 10: transformers
#
# The book ends in 2019, with recurrent networks. This chapter is about transformers, which have
# replaced them. You compute attention by hand on six words, write it as an Operation and check its
# gradient, and build a transformer from parts that you know. Then it competes with an LSTM: both
# learn to reverse and to sort digits, and you see where the transformer looks.
#
# You need chapter 6 (embeddings, states) and chapter 8 (`check_gradients`). [Math](Math.ipynb) has
# the derivations. [GPT](GPT.ipynb) continues this notebook: there a transformer writes sonnets. All
# trainings here together take less than a minute.

# %% tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display

from dlfs import AdamW, NeuralNetwork, Operation, SoftmaxCrossEntropy, reference
from dlfs.attention import Attention_Op
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.layers import (
    Dense,
    Embedding,
    FeedForward,
    LayerNorm,
    LSTMLayer,
    PositionEmbedding,
    Residual,
    SelfAttention,
    TransformerBlock,
)
from dlfs.plots import BLUE, GREY, ORANGE

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(10)

# %% [markdown]
# ## 1. The short memory of recurrent networks
#
# A recurrent network reads a text step by step. What it remembers is in its state, and the state
# has the same size after ten characters as after ten thousand. Each step changes the state, so what
# was read long ago is gradually overwritten. The gradient goes back through the same steps, and
# shrinks on the way (chapter 6).
#
# **Attention** is an Operation that works differently: it keeps all positions of the sequence, and
# each position can use any other one directly. The picture compares the two, before any training:
# if the loss depends only on the last output, how large is the gradient at the input of each step?


# %%
def gradient_at_each_step(layer, steps=40, features=8):
    """Return the size of the gradient of each step's input, if only the last output counts."""
    layer.seed = 1
    x = np.random.default_rng(0).standard_normal((20, steps, features))
    output_grad = np.zeros_like(layer.forward(x))
    output_grad[:, -1] = np.random.default_rng(2).standard_normal(output_grad[:, -1].shape)
    return np.sqrt(np.mean(layer.backward(output_grad) ** 2, axis=(0, 2)))


sizes = {
    "LSTM": gradient_at_each_step(LSTMLayer(64)),
    "attention": gradient_at_each_step(SelfAttention(heads=2, causal=True)),
}

# %% tags=["hide-input"]
_, ax = plt.subplots(figsize=(7, 2.8))
for name, colour in (("LSTM", ORANGE), ("attention", BLUE)):
    ax.semilogy(np.arange(-39, 1), sizes[name] / sizes[name][-1], color=colour, label=name)
ax.set(xlabel="step, counted from the last", ylabel="size of the gradient, last = 1")
ax.legend()
plt.show()
assert sizes["LSTM"][0] < 1e-3 * sizes["LSTM"][-1]
assert sizes["attention"][0] > 0.01 * sizes["attention"][-1]

# %% [markdown]
# The LSTM's gradient becomes smaller with every step. That of attention does not depend on the
# distance, because the path from each position to the last output has the same length. The last
# position has a larger gradient than the others, because its input enters the output in one more
# way: as the query, which the next section explains.
#
# ## 2. Attention by hand
#
# Take a sentence of six words: *the cat slept because it purred*. What does *it* mean? To know
# that, the position of *it* needs information from the position of *cat*. In attention each
# position has three vectors:
#
# - a **query** $q$: what the position looks for,
# - a **key** $k$: what the position can be found by,
# - a **value** $v$: the information that it gives to the positions that find it.
#
# The **score** of two positions is the product $q \cdot k$ of the query of one and the key of the
# other. The softmax (chapter 4) turns the scores of one query into **weights**, which sum to 1. The
# output at the position of the query is the mean of the values, with these weights. In a network
# all three vectors are computed from learned parameters. Here we choose them. A key has three
# features: noun, verb, other word. A pronoun such as *it* is half a noun. A value has two features:
# animal, action.

# %%
WORDS = "the cat slept because it purred".split()
K = np.array([[0, 0, 2], [2, 0, 0], [0, 2, 0], [0, 0, 2], [1, 0, 0], [0, 2, 0]], dtype=float)
Q = np.array([[3, 0, 0], [0, 3, 0], [3, 0, 0], [0, 3, 0], [4, 0, 0], [3, 0, 0]], dtype=float)
V = np.array([[0, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 1]], dtype=float)


def attention_with_loops(Q, K, V):
    steps, width = Q.shape
    weights, output = np.zeros((steps, steps)), np.zeros_like(V)
    for t in range(steps):  # the position of the query
        scores = np.zeros(steps)
        for s in range(steps):  # the position of the key
            for i in range(width):
                scores[s] += Q[t, i] * K[s, i]
        powers = np.exp(scores / math.sqrt(width))
        for s in range(steps):
            weights[t, s] = powers[s] / powers.sum()
            output[t] += weights[t, s] * V[s]
    return output, weights


output, weights = attention_with_loops(Q, K, V)
print("output of 'it': animal {:.2f}, action {:.2f}".format(*output[WORDS.index("it")]))


# %% tags=["hide-input"]
def draw_weights(ax, weights, rows, columns, title=""):
    """Draw the weights: a row for each query, a column for each key."""
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title, fontsize=10)


_, ax = plt.subplots(figsize=(5, 3.4))
draw_weights(ax, weights, WORDS, WORDS, "each row: the weights of one query")
for t in range(6):
    for s in range(6):
        colour = "white" if weights[t, s] > 0.5 else "black"
        ax.text(s, t, f"{weights[t, s]:.2f}", ha="center", va="center", color=colour, fontsize=8)
plt.show()
assert weights[WORDS.index("it")].argmax() == WORDS.index("cat")
assert np.allclose(weights.sum(axis=1), 1)

# %% [markdown]
# Most of the weight of *it* is on *cat*, so its output says "animal". Each of the two verbs gives
# most of its weight to its noun. The distance does not matter: a word far away is as easy to reach
# as the neighbour. (The scores are divided by $\sqrt{3}$, the root of the number of features. The
# reason comes below.)
#
# The loops are two matrix products, with a softmax between them:
#
# $$ S = \frac{Q K^\top}{\sqrt{d}}, \qquad P = \operatorname{softmax}(S), \qquad O = P V $$
#
# The rows of $Q$, $K$ and $V$ are the positions, $d$ is the number of features of a query, $S$ are
# the scores, $P$ the weights, and $O$ is the output.


# %%
def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(Q, K, V):
    return softmax(Q @ K.T / math.sqrt(Q.shape[1])) @ V


assert np.allclose(attention(Q, K, V), output)

# %% [markdown]
# The library's kernel takes $Q$, $K$ and $V$ side by side in one array, with an axis for the batch
# in front. It gives the same numbers:

# %%
x = rng.standard_normal((6, 9))
from_library = reference.attention(x[np.newaxis], heads=1)[0]
assert np.allclose(attention(*np.split(x, 3, axis=1)), from_library)

# %% [markdown]
# ### Why divide by $\sqrt{d}$?
#
# A score is a sum of $d$ products. If the numbers are random, with a standard deviation of 1, the
# sum has a standard deviation of $\sqrt{d}$. Large scores make the softmax extreme: one weight is
# nearly 1, all others are nearly 0, and so is the gradient. The division keeps the scores at the
# same size for every $d$.

# %%
print("  d    largest of 16 weights: without division   with division")
for width in (4, 16, 64, 256):
    q, k = rng.standard_normal((2, 500, 16, width))
    scores = q @ k.swapaxes(1, 2)
    plain, divided = (softmax(s).max(axis=-1).mean() for s in (scores, scores / math.sqrt(width)))
    print(f"{width:>3} {plain:>39.2f} {divided:>15.2f}")

# %% tags=["remove-cell"]
assert plain > 0.9
assert divided < 0.4

# %% [markdown]
# ### The mask
#
# A network that predicts the next character must not see that character: otherwise it learns only
# to copy it. So the scores of later positions are set to $-\infty$ before the softmax. Their
# weights are then 0, and the other weights still sum to 1. This is **causal** attention, and the
# array that says which positions a query may use is the **mask**. A common mistake is to set the
# weights to 0 after the softmax: then the rows no longer sum to 1, and the sum depends on the words
# that were cut off.

# %%
allowed = np.tri(6, dtype=bool)  # True on and below the diagonal
before = softmax(np.where(allowed, Q @ K.T / math.sqrt(3), -np.inf))
after = softmax(Q @ K.T / math.sqrt(3)) * allowed
print("sums of the rows, mask before the softmax:", before.sum(axis=1).round(2))
print("sums of the rows, mask after the softmax: ", after.sum(axis=1).round(2))

# %% tags=["hide-input"]
_, axes = plt.subplots(1, 2, figsize=(7, 2.8))
draw_weights(axes[0], before, WORDS, WORDS, "mask before the softmax")
draw_weights(axes[1], after, WORDS, WORDS, "mask after the softmax: the mistake")
for ax in axes:
    ax.tick_params(axis="x", labelrotation=40)
plt.show()
assert np.allclose(before.sum(axis=1), 1)
assert after.sum(axis=1).min() < 0.9

# %% [markdown]
# ## 3. The gradient
#
# Backward goes through the same steps in the reverse order. With $G$ for the gradient of the output
# and $\odot$ for the product entry by entry:
#
# $$
# V_{grad} = P^\top G, \qquad P_{grad} = G V^\top, \qquad
# S_{grad} = P \odot \Big(P_{grad} - \sum_s P \odot P_{grad}\Big)
# $$
#
# $$ Q_{grad} = \frac{S_{grad} K}{\sqrt d}, \qquad K_{grad} = \frac{S_{grad}^\top Q}{\sqrt d} $$
#
# The sum over $s$ goes along each row. The formula with it is the gradient of the softmax from
# chapter 4, for each row; [Math](Math.ipynb) derives it. Backward needs no line for the mask: where
# $P = 0$, $S_{grad} = 0$ too.


# %%
class CausalAttention(Operation):
    """Queries, keys and values side by side: (time, 3 * width) -> (time, width)."""

    def _output(self):
        self.q, self.k, self.v = np.split(self.input_, 3, axis=1)
        self.root = math.sqrt(self.q.shape[1])
        scores = self.q @ self.k.T / self.root
        self.p = softmax(np.where(np.tri(len(scores), dtype=bool), scores, -np.inf))
        return self.p @ self.v

    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True))
        q_grad = s_grad @ self.k / self.root
        k_grad = s_grad.T @ self.q / self.root
        return np.concatenate([q_grad, k_grad, self.p.T @ output_grad], axis=1)


report = check_gradients(CausalAttention(), rng.standard_normal((5, 9)))
print(report)
assert report


# %% [markdown]
# Here are two typical mistakes: the sum along the wrong axis, and a gradient without the division
# by $\sqrt d$. The checker names both.


# %%
class WrongAxis(CausalAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=0, keepdims=True))
        q_grad = s_grad @ self.k / self.root
        k_grad = s_grad.T @ self.q / self.root
        return np.concatenate([q_grad, k_grad, self.p.T @ output_grad], axis=1)


class MissingDivision(CausalAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True))
        q_grad = s_grad @ self.k
        k_grad = s_grad.T @ self.q / self.root
        return np.concatenate([q_grad, k_grad, self.p.T @ output_grad], axis=1)


for wrong in (WrongAxis, MissingDivision):
    report = check_gradients(wrong(), rng.standard_normal((5, 9)))
    assert report.verdict == "wrong"
    print(f"{wrong.__name__}: {report.hints[0].message}\n")

# %% [markdown]
# ## 4. Several heads
#
# One softmax makes one choice. But a word may need two things: its noun, and the beginning of the
# sentence. So the features are divided among several **heads**. Each head has its own queries, keys
# and values, and computes attention with them; then the outputs of the heads are put side by side.
# Two heads of width 3 take as many multiplications as one head of width 6.

# %%
heads, width = 2, 3
qkv = rng.standard_normal((1, 6, 3 * heads * width))
queries, keys, values = np.split(qkv[0], 3, axis=1)
outputs = []
for head in range(heads):
    own = slice(head * width, (head + 1) * width)
    outputs.append(attention(queries[:, own], keys[:, own], values[:, own]))
assert np.allclose(np.concatenate(outputs, axis=1), Attention_Op(heads=2).forward(qkv)[0])

# %% [markdown]
# In the layer `SelfAttention(heads)` one weight matrix computes the queries, keys and values of all
# heads from the input, and a second one mixes the heads' outputs. ("Self", because queries and keys
# come from the same sequence.)

# %%
layer = SelfAttention(heads=2, causal=True)
layer.forward(rng.standard_normal((4, 6, 8)))
print([operation.__class__.__name__ for operation in layer.operations])
print([param.shape for param in layer.params])
assert check_gradients(SelfAttention(heads=2, causal=True), rng.standard_normal((2, 5, 4)))

# %% [markdown]
# ## 5. Positions
#
# Attention without a mask ignores the order. If the words change places, the outputs change places
# in the same way, and are otherwise equal. *Dog bites man* and *man bites dog* are the same to it.

# %%
x = rng.standard_normal((1, 6, 8))
order = rng.permutation(6)
layer = SelfAttention(heads=2)
layer.seed = 1
assert np.allclose(layer.forward(x)[:, order], layer.forward(x[:, order]))

# %% [markdown]
# So each position gets a vector, which is added to the word's vector. The vectors can be learned
# like an embedding (`PositionEmbedding(length)`), or be made of sines and cosines of many
# wavelengths (`sinusoidal=True`). The product of two sinusoidal vectors depends only on their
# distance: the three curves on the right coincide.

# %% tags=["hide-input"]
layer = PositionEmbedding(64, sinusoidal=True)
positions = layer.forward(np.zeros((1, 64, 32)))[0]
_, axes = plt.subplots(1, 2, figsize=(7, 2.8))
axes[0].imshow(positions, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes[0].set(title="a vector for each position", xlabel="feature", ylabel="position")
products = positions @ positions.T
for start, colour, width in ((8, BLUE, 5), (32, ORANGE, 3), (56, GREY, 1)):
    distances = np.arange(64) - start
    axes[1].plot(distances, products[start], color=colour, lw=width, label=f"position {start}")
axes[1].set(title="its product with the other vectors", xlabel="distance", xlim=(-40, 40))
axes[1].legend(fontsize=8)
plt.show()
assert np.allclose(products[8, 12], products[40, 44])

# %% [markdown]
# There is a third way: rotate each query and each key by an angle that grows with its position
# (`rotary=True`). Then every score depends on the distance of its two positions. [Math](Math.ipynb)
# proves it.
#
# ## 6. The block
#
# Attention moves information between positions. What each position does with that information is
# computed by two dense layers with an activation between them, the same for all positions; the
# first layer has four times as many neurons as features (`FeedForward`). Both parts are built into
# the network in the same way:
#
# $$ h = x + \operatorname{attention}(\operatorname{norm}(x)), \qquad
#    y = h + \operatorname{feedforward}(\operatorname{norm}(h)) $$
#
# The sums are **residual connections** (chapter 5): through the term $x$ the gradient of the output
# reaches the input unchanged, for any number of blocks. The norm is **layer normalization**
# (`LayerNorm`): it brings the features of each position to mean 0 and variance 1, so that every
# block gets numbers of the same size. `TransformerBlock` consists of these parts and nothing else:

# %%
block = TransformerBlock(heads=2)
by_hand = [
    Residual([LayerNorm(), SelfAttention(heads=2, causal=True)]),
    Residual([LayerNorm(), FeedForward(expand=4)]),
]
x = rng.standard_normal((2, 5, 8))
nets = [NeuralNetwork([block], seed=3), NeuralNetwork(by_hand, seed=3)]
for net in nets:
    net.build((5, 8))
for mine, theirs in zip(nets[1].params(), nets[0].params()):
    mine[...] = theirs  # the same weights in both
assert np.array_equal(nets[0].predict(x), nets[1].predict(x))
assert check_gradients(TransformerBlock(heads=2), x)
print(nets[0].summary((5, 8)))

# %% [markdown]
# A **transformer** is a chain of such blocks.
#
# ## 7. Reverse and sort: a transformer against an LSTM
#
# Here is a task that needs memory. The network reads ten digits, then ten blanks. At the blanks it
# must give the ten digits in reverse order, or sorted. A transformer of two blocks competes with an
# LSTM that has about as many weights. Both get the same examples, each only once. There is no mask:
# the digits are the input, and nothing has to be hidden.


# %%
class Last(Operation):
    """Keep the last steps of a sequence."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def _output(self):
        return self.input_[:, -self.steps :]

    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        grad[:, -self.steps :] = output_grad
        return grad


DIGITS, BATCH, BLANK = 10, 64, 10


def examples(task, count, seed):
    digits = np.random.default_rng(seed).integers(0, 10, (count, DIGITS))
    X = np.concatenate([digits, np.full_like(digits, BLANK)], axis=1)
    return X, digits[:, ::-1] if task == "reverse" else np.sort(digits, axis=1)


def transformer():
    blocks = [TransformerBlock(heads=4, causal=False) for _ in range(2)]
    return [Embedding(11, 64), PositionEmbedding(2 * DIGITS), *blocks, LayerNorm()]


def lstm():
    return [Embedding(11, 64), LSTMLayer(128)]


# %% [markdown]
# The training is chapter 3's loop: take a batch, compute the gradients, step. Ten times along the
# way it measures the accuracy on new digits.


# %%
def compete(task, name, layers, batches):
    """Train on batches; return the network, and the accuracy on new digits along the way."""
    net = NeuralNetwork(
        [*layers, Last(DIGITS), Dense(10)], SoftmaxCrossEntropy(), seed=1, dtype="float32"
    )
    X, y = examples(task, BATCH * batches, seed=1)
    X_test, y_test = examples(task, 500, seed=2)
    share = batches // 10 * BATCH
    net.build(X.shape[1:])
    optim = AdamW(0.003, final_lr=1e-4, decay_type="cosine", decay_each="batch", clip_norm=1.0)
    optim.net = net
    optim.start_schedule(epochs=1, batches=batches)
    curve = []
    for start in range(0, len(X), BATCH):
        if start % share == 0:
            curve.append(np.mean(net.predict(X_test).argmax(axis=2) == y_test))
        optim.set_progress(0, start // BATCH)
        net.train_batch(X[start : start + BATCH], y[start : start + BATCH])
        optim.step()
    right = net.predict(X_test).argmax(axis=2) == y_test
    curve.append(np.mean(right))
    print(
        f"{task:<8} {name:<12} {net.parameter_count():>7,} weights: "
        f"{right.mean():.1%} of the digits, {right.all(axis=1).mean():.1%} of the rows are right"
    )
    return net, np.arange(len(curve)) * share // BATCH, curve


BATCHES = 300
results = {
    (task, name): compete(task, name, make(), BATCHES)
    for task in ("reverse", "sort")
    for name, make in (("transformer", transformer), ("LSTM", lstm))
}

# %% tags=["hide-input"]
_, axes = plt.subplots(1, 2, figsize=(7, 2.8))
for ax, task in zip(axes, ("reverse", "sort")):
    for name, colour in (("transformer", BLUE), ("LSTM", ORANGE)):
        _, batches, curve = results[task, name]
        ax.plot(batches, curve, color=colour, label=name)
    ax.set(title=task, xlabel=f"batches of {BATCH}", ylim=(0, 1.03))
axes[0].set_ylabel("correct digits")
axes[1].legend()
plt.show()
final = {key: curve[-1] for key, (_, _, curve) in results.items()}
assert final["reverse", "transformer"] > 0.99
assert final["sort", "transformer"] > 0.98
assert final["sort", "LSTM"] > 0.98
assert final["reverse", "LSTM"] < 0.95

# %% [markdown]
# The transformer reverses almost without mistakes after about a hundred batches, in a second or
# two. The LSTM must store ten digits *and their order* in its state, and read them out from the
# other end: after three hundred batches about three digits in four are right, and few rows have no
# mistake. Longer training helps it.
#
# Sorting is different. The order of the digits does not count there: it is enough to know how often
# each digit came, and the cells of an LSTM can count. It learns to sort faster than the
# transformer. A state of fixed size is enough if the necessary information fits into it.
#
# ## 8. Where it looks
#
# Where does the transformer look when it reverses? `Attention_Op` has kept its input, the queries
# and keys, so we can compute the weights of all heads once more:


# %%
def weights_of(net, X):
    """Return the weights (heads, queries, keys) of each block, for the first row of X."""
    net.forward(X, inference=True)
    found = []
    for _, layer in net.walk():
        for operation in layer.operations:
            if not isinstance(operation, Attention_Op):
                continue
            q, k, _ = np.split(operation.input_[0], 3, axis=1)
            q, k = (part.reshape(len(part), operation.heads, -1).swapaxes(0, 1) for part in (q, k))
            scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[2])
            if operation.causal:
                scores = np.where(np.tri(scores.shape[1], dtype=bool), scores, -np.inf)
            found.append(softmax(scores))
    return found


X, _ = examples("reverse", 1, seed=3)
maps = np.concatenate(weights_of(results["reverse", "transformer"][0], X))
labels = [*map(str, X[0, :DIGITS]), *["_"] * DIGITS]

# %% tags=["hide-input"]
_, axes = plt.subplots(2, 4, figsize=(7, 4.4))
for number, ax in enumerate(axes.flat):
    title = f"block {number // 4 + 1}, head {number % 4 + 1}"
    draw_weights(ax, maps[number], labels, labels, title)
    ax.tick_params(labelsize=6)
plt.show()
hits = np.array([m[DIGITS:].argmax(axis=1) == np.arange(DIGITS)[::-1] for m in maps])
best = int(np.argmax(np.mean(hits, axis=1)))
print(
    f"block {best // 4 + 1}, head {best % 4 + 1}: {np.sum(hits[best])} of {DIGITS} blanks give the "
    "largest weight to the digit that they must copy"
)
assert np.mean(hits[best]) >= 0.6

# %% [markdown]
# The lower half of each map has the rows of the blanks. A dark line there from the upper right to
# the lower left is the reversal: the first blank looks at the last digit, the second blank at the
# digit before it. The network has learned this; it was not programmed. Some heads of the first
# block have the whole line, others only a part of it.
#
# Here is one row of a map by itself: the weights of one blank's query. The darker a digit, the
# larger its weight; the line marks the digit that the blank must copy.


# %% tags=["hide-input"]
def look(head, blank):
    """Return the weights of a blank's query in a head, as shaded digits (HTML)."""
    row = maps[head - 1][DIGITS + blank - 1]
    cells = []
    for position, (weight, label) in enumerate(zip(row, labels)):
        line = f"3px solid {ORANGE}" if position == DIGITS - blank else "none"
        colour = "white" if weight > 0.5 else "black"
        shade = [round(255 - weight * (255 - c)) for c in (42, 111, 151)]
        cells.append(
            f'<span style="display:inline-block;width:1.6em;text-align:center;color:{colour};'
            f'background:rgb({shade[0]},{shade[1]},{shade[2]});border-bottom:{line}">{label}</span>'
        )
    name = f"block {(head - 1) // 4 + 1}, head {(head - 1) % 4 + 1}, blank {blank}: "
    return f"{name}<code>{''.join(cells)}</code>"


HTML(look(best + 1, blank=1))

# %% [markdown]
# In JupyterLab, run the next cell and choose: the handles go through the eight heads (four in each
# block) and the ten blanks. In which block do the heads look at the right digit?

# %% tags=["hide-input"]
try:
    import ipywidgets
except ImportError:
    pass  # without widgets, call look(head, blank) with other numbers
else:
    head = ipywidgets.IntSlider(best + 1, 1, 8, description="head")
    blank = ipywidgets.IntSlider(1, 1, DIGITS, description="blank")
    shown = ipywidgets.HTML(look(head.value, blank.value))

    def update(change):
        shown.value = look(head.value, blank.value)

    head.observe(update, "value")
    blank.observe(update, "value")
    display(ipywidgets.VBox([head, blank, shown]))

# %% [markdown]
# ## 9. Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. The mask.** Return the weights of causal attention for an array of scores (time, time).


# %% tags=["exercise:mask"]
def causal_weights(scores):
    return ...


# %%
def right_mask(attempt):
    scores = np.random.default_rng(1).standard_normal((4, 4))
    found = attempt(scores)
    if not np.allclose(np.sum(found, axis=1), 1):
        return "each row must sum to 1: is the mask before the softmax?"
    return bool(np.allclose(found, softmax(np.where(np.tri(4) > 0, scores, -np.inf))))


check("mask", causal_weights, right_mask, hint="np.tri(4, dtype=bool) says what a row may see.")

# %% [markdown] tags=["solution:mask"]
# <details><summary>Solution</summary>
#
# ```python
# def causal_weights(scores):
#     allowed = np.tri(len(scores), dtype=bool)
#     return softmax(np.where(allowed, scores, -np.inf))
# ```
# </details>

# %% [markdown]
# **2. One step back.** The keys of six positions are the rows of the identity matrix, `np.eye(6)`.
# Return queries (6, 6) with which each position, except the first, gives more than 0.99 of its
# weight to the position before it.


# %% tags=["exercise:previous"]
def queries_that_look_back():
    return ...


# %%
def right_previous(attempt):
    Q = np.asarray(attempt(), dtype=float)
    if Q.shape != (6, 6):
        return f"the shape must be (6, 6), got {Q.shape}"
    found = softmax(Q @ np.eye(6) / math.sqrt(6))
    if list(found[1:].argmax(axis=1)) != [0, 1, 2, 3, 4]:
        return "the largest weight of each row must be at the position before it"
    smallest = found[range(1, 6), range(5)].min()
    return True if smallest > 0.99 else f"the right position, but its weight is {smallest:.2f}"


check(
    "previous",
    queries_that_look_back,
    right_previous,
    hint="A score is the product of a query and a key. np.eye(6, k=...) moves the diagonal.",
)

# %% [markdown] tags=["solution:previous"]
# <details><summary>Solution</summary>
#
# ```python
# def queries_that_look_back():
#     return 20 * np.eye(6, k=-1)
# ```
#
# The factor makes the softmax nearly choose: the larger the scores, the more extreme the weights.
# </details>

# %% [markdown]
# **3. RMSNorm.** Many newer models use a normalization without the mean:
# $y = x / \sqrt{\operatorname{mean}(x^2)}$. Write its gradient. The check compares it with finite
# differences.


# %% tags=["exercise:rms"]
class RootMeanSquare(Operation):
    def _output(self):
        self.root = np.sqrt(np.mean(self.input_**2, axis=-1, keepdims=True))
        return self.input_ / self.root

    def _input_grad(self, output_grad): ...


# %%
check(
    "rms",
    RootMeanSquare,
    lambda cls: check_gradients(cls(), np.random.default_rng(4).standard_normal((3, 5))),
    hint="As in LayerNorm, subtract the part along the output; there is no mean to subtract.",
)

# %% [markdown] tags=["solution:rms"]
# <details><summary>Solution</summary>
#
# ```python
# class RootMeanSquare(Operation):
#     def _output(self):
#         self.root = np.sqrt(np.mean(self.input_**2, axis=-1, keepdims=True))
#         return self.input_ / self.root
#
#     def _input_grad(self, output_grad):
#         along = np.mean(output_grad * self.output, axis=-1, keepdims=True)
#         return (output_grad - along * self.output) / self.root
# ```
# </details>

# %% [markdown]
# [GPT](GPT.ipynb) is the next notebook: there the same blocks learn to write.
