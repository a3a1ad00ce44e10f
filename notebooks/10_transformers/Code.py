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
# The book ends in 2019 with recurrent networks. This chapter is about what replaced them. You
# compute attention by hand on six words, write it as an Operation and check its gradient, build the
# transformer's block from parts that you know, and train a small GPT that writes sonnets. You see
# where it looks, how text is drawn from its probabilities, and what it costs.
#
# You need chapter 6: embeddings, states, and how a network writes character by character. The
# derivations are in `Math.ipynb`. All trainings here together take less than a minute; the longer
# ones are shown with the command that makes them.

# %%
import math
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from dlfs import AdamW, NeuralNetwork, Operation, SoftmaxCrossEntropy, Trainer, reference
from dlfs.attention import Attention_Op
from dlfs.commands.recipes import gpt
from dlfs.datasets import sonnets
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
from dlfs.text import Vocabulary, sample, streams, windows

BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
rng = np.random.default_rng(10)


def figure(rows=1, columns=1, height=3.2, width=7):
    options = {"figsize": (width, height), "dpi": 90, "layout": "constrained"}
    return plt.subplots(rows, columns, **options)


# %% [markdown]
# ## 1. Why a recurrent network forgets
#
# A recurrent network reads a text through a narrow door. After each character everything that it
# remembers is in its state, and the state has the same size after ten characters as after ten
# thousand. Each step changes it, so what was read long ago is overwritten little by little. The
# gradient goes back through the same steps, and shrinks on the way (chapter 6).
#
# Attention keeps *all* positions, and lets each one look at any other directly. Here is how much of
# the last output's gradient arrives at each step's input, in an untrained network:


# %%
def gradient_left(layer, steps=40, features=8):
    """Return the size of the gradient of each step's input, if only the last output matters."""
    layer.seed = 1
    x = np.random.default_rng(0).standard_normal((20, steps, features))
    output_grad = np.zeros_like(layer.forward(x))
    output_grad[:, -1] = np.random.default_rng(2).standard_normal(output_grad[:, -1].shape)
    return np.sqrt(np.mean(layer.backward(output_grad) ** 2, axis=(0, 2)))


left = {
    "LSTM": gradient_left(LSTMLayer(64)),
    "attention": gradient_left(SelfAttention(heads=2, causal=True)),
}
_, ax = figure(height=2.8)
for (name, size), colour in zip(left.items(), (ORANGE, BLUE), strict=True):
    ax.semilogy(np.arange(-39, 1), size / size[-1], color=colour, label=name)
ax.set(xlabel="step, counted from the last", ylabel="size of the gradient, last = 1")
ax.legend()
plt.show()
assert left["LSTM"][0] < 1e-3 * left["LSTM"][-1]
assert left["attention"][0] > 0.01 * left["attention"][-1]

# %% [markdown]
# The LSTM's gradient falls with every step. That of attention does not depend on the distance:
# every position is exactly one step away. Only the last one gets more, because it also asks the
# question.
#
# ## 2. Attention by hand
#
# Take a sentence of six words: *the cat slept because it purred*. What does *it* mean? To know, the
# position of *it* must get something from the position of *cat*. So each position has three
# vectors:
#
# - a **query** $q$: what it looks for,
# - a **key** $k$: what it is found by,
# - a **value** $v$: what it gives to those who find it.
#
# The **score** of a pair is the product $q \cdot k$. A softmax turns the scores of one query into
# **weights** that sum to 1, and the output is the mean of the values with these weights. In a
# network all three vectors are learned. Here we write them down. Keys have three features: noun,
# verb, filler; *it* is a bit of a noun. Values have two: animal, action.

# %%
WORDS = "the cat slept because it purred".split()
K = np.array([[0, 0, 2], [2, 0, 0], [0, 2, 0], [0, 0, 2], [1, 0, 0], [0, 2, 0]], dtype=float)
Q = np.array([[3, 0, 0], [0, 3, 0], [3, 0, 0], [0, 3, 0], [4, 0, 0], [3, 0, 0]], dtype=float)
V = np.array([[0, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 1]], dtype=float)


def attention_with_loops(Q, K, V):
    steps, width = Q.shape
    weights, output = np.zeros((steps, steps)), np.zeros_like(V)
    for t in range(steps):  # the position that asks
        scores = np.zeros(steps)
        for s in range(steps):  # the position that is looked at
            for i in range(width):
                scores[s] += Q[t, i] * K[s, i]
        powers = np.exp(scores / math.sqrt(width))
        for s in range(steps):
            weights[t, s] = powers[s] / powers.sum()
            output[t] += weights[t, s] * V[s]
    return output, weights


output, weights = attention_with_loops(Q, K, V)


def draw_weights(ax, weights, rows, columns, title=""):
    """Draw who (row) looks at whom (column)."""
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title, fontsize=10)


_, ax = figure(height=3.4, width=5)
draw_weights(ax, weights, WORDS, WORDS, "each row: where this word looks")
for t in range(6):
    for s in range(6):
        colour = "white" if weights[t, s] > 0.5 else "black"
        ax.text(s, t, f"{weights[t, s]:.2f}", ha="center", va="center", color=colour, fontsize=8)
plt.show()
print("what 'it' got: animal {:.2f}, action {:.2f}".format(*output[WORDS.index("it")]))
assert weights[WORDS.index("it")].argmax() == WORDS.index("cat")
assert np.allclose(weights.sum(axis=1), 1)

# %% [markdown]
# *it* looks at *cat* and now carries "animal". Both verbs found their noun. Nothing was said about
# distance: the far word is as easy to reach as the near one.
#
# The three loops are two matrix products with a softmax between them:
#
# $$ S = \frac{Q K^\top}{\sqrt{d}}, \qquad P = \operatorname{softmax}(S), \qquad O = P V $$
#
# $d$ is the number of features of a query. The kernel of dlfs takes $Q$, $K$ and $V$ side by side
# in one array, with a batch axis in front.


# %%
def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(Q, K, V):
    return softmax(Q @ K.T / math.sqrt(Q.shape[1])) @ V


assert np.allclose(attention(Q, K, V), output)
x = rng.standard_normal((6, 9))
packed = reference.attention(x[np.newaxis], heads=1)[0]
assert np.allclose(attention(*np.split(x, 3, axis=1)), packed)

# %% [markdown]
# ### Why divide by $\sqrt{d}$?
#
# The sum of $d$ products of random numbers has a standard deviation of $\sqrt{d}$. Large scores
# drive the softmax into a corner: one weight is nearly 1, all others 0, and its gradient is nearly
# 0. Dividing keeps the scores at the same size, whatever the width.

# %%
print(" d    largest weight of 16: plain   divided")
for width in (4, 16, 64, 256):
    q, k = rng.standard_normal((2, 500, 16, width))
    scores = q @ k.swapaxes(1, 2)
    plain, divided = (softmax(s).max(axis=-1).mean() for s in (scores, scores / math.sqrt(width)))
    print(f"{width:>3} {plain:>28.2f} {divided:>9.2f}")
assert plain > 0.9
assert divided < 0.4

# %% [markdown]
# ### The mask
#
# A network that writes must not see the next character: it would only copy it. So the scores of
# later positions are set to $-\infty$ *before* the softmax. Their weights are then 0, and the
# others still sum to 1. This is **causal** attention. Setting the weights to 0 *after* the softmax
# is a classic mistake: the rows no longer sum to 1, and the first words know from their sum how
# much was cut off.

# %%
seen = np.tri(6, dtype=bool)
causal = softmax(np.where(seen, Q @ K.T / math.sqrt(3), -np.inf))
late = softmax(Q @ K.T / math.sqrt(3)) * seen
_, axes = figure(1, 2, height=2.8)
draw_weights(axes[0], causal, WORDS, WORDS, "mask before the softmax")
draw_weights(axes[1], late, WORDS, WORDS, "after it: the mistake")
for ax in axes:
    ax.tick_params(axis="x", labelrotation=40)
plt.show()
print("sums of rows:", causal.sum(axis=1).round(2), late.sum(axis=1).round(2))
assert np.allclose(causal.sum(axis=1), 1)

# %% [markdown]
# ## 3. The gradient
#
# Backward goes through the same steps from the end. With $G$ the gradient of the output:
#
# $$
# V_{grad} = P^\top G, \qquad P_{grad} = G V^\top, \qquad
# S_{grad} = P \odot \Big(P_{grad} - \sum_s P \odot P_{grad}\Big)
# $$
#
# $$ Q_{grad} = \frac{S_{grad} K}{\sqrt d}, \qquad K_{grad} = \frac{S_{grad}^\top Q}{\sqrt d} $$
#
# The middle formula is the softmax of chapter 4, row by row; `Math.ipynb` derives it. The mask
# needs no line of its own: where $P = 0$, $S_{grad} = 0$ too.


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
# What if a line is wrong? Two classic mistakes, and what the checker says:


# %%
class WrongAxis(CausalAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=0, keepdims=True))
        q_grad = s_grad @ self.k / self.root
        k_grad = s_grad.T @ self.q / self.root
        return np.concatenate([q_grad, k_grad, self.p.T @ output_grad], axis=1)


class ForgottenScale(CausalAttention):
    def _input_grad(self, output_grad):
        p_grad = output_grad @ self.v.T
        s_grad = self.p * (p_grad - np.sum(self.p * p_grad, axis=1, keepdims=True))
        q_grad = s_grad @ self.k
        k_grad = s_grad.T @ self.q / self.root
        return np.concatenate([q_grad, k_grad, self.p.T @ output_grad], axis=1)


for wrong in (WrongAxis, ForgottenScale):
    report = check_gradients(wrong(), rng.standard_normal((5, 9)))
    assert report.verdict == "wrong"
    assert report.hints
    print(f"{wrong.__name__}: {report.hints[0].message}\n")

# %% [markdown]
# ## 4. Several heads
#
# One softmax makes one choice. A word may have to look for its noun *and* for the beginning of the
# sentence. So the features are split into **heads**. Each has its own queries, keys and values, and
# attends on its own; the outputs are put side by side again. Two heads of width 3 cost as much as
# one of width 6.

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
# The layer `SelfAttention(heads)` has two matrices around this: one makes queries, keys and values
# from the input (all heads at once), the other mixes the heads' outputs.

# %%
layer = SelfAttention(heads=2, causal=True)
layer.forward(rng.standard_normal((4, 6, 8)))
print([operation.__class__.__name__ for operation in layer.operations])
print([param.shape for param in layer.params])
assert check_gradients(SelfAttention(heads=2, causal=True), rng.standard_normal((2, 5, 4)))

# %% [markdown]
# ## 5. Positions
#
# Attention has no idea of order. Shuffle the words, and each gets exactly what it got before: for
# attention, *dog bites man* is *man bites dog*.

# %%
x = rng.standard_normal((1, 6, 8))
order = rng.permutation(6)
layer = SelfAttention(heads=2)
layer.seed = 1
assert np.allclose(layer.forward(x)[:, order], layer.forward(x[:, order]))

# %% [markdown]
# So each position gets a vector of its own, which is added to the word's. It may be learned like an
# embedding (`PositionEmbedding(length)`), or made of sines and cosines of many wavelengths
# (`sinusoidal=True`). Two positions of the sinusoidal kind have a product that depends only on
# their distance: the three curves on the right lie on each other.

# %%
layer = PositionEmbedding(64, sinusoidal=True)
positions = layer.forward(np.zeros((1, 64, 32)))[0]
_, axes = figure(1, 2, height=2.8)
axes[0].imshow(positions, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes[0].set(title="a vector for each position", xlabel="feature", ylabel="position")
products = positions @ positions.T
for start, colour in ((8, BLUE), (32, ORANGE), (56, GREY)):
    axes[1].plot(np.arange(64) - start, products[start], color=colour, label=f"position {start}")
axes[1].set(title="product with the others", xlabel="distance", xlim=(-40, 40))
axes[1].legend(fontsize=8)
plt.show()
assert np.allclose(products[8, 12], products[40, 44])

# %% [markdown]
# A third way turns queries and keys by an angle that grows with the position (`rotary=True`); then
# every score knows the distance. `Math.ipynb` has the proof.
#
# ## 6. The proof: reverse and sort
#
# Is it worth it? Here is a task that needs memory. The network reads ten digits, then ten blanks;
# at the blanks it must give the digits in reverse order, or sorted. A transformer of two blocks
# competes with an LSTM that has as many weights. Both see the same examples, each only once.


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


def compete(task, name, layers, batches):
    """Train on batches, and return the accuracy on new digits along the way."""
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
        f"{right.mean():.1%} of the digits, {right.all(axis=1).mean():.1%} of the rows"
    )
    return net, np.arange(len(curve)) * share // BATCH, curve


BATCHES = 300
results = {
    (task, name): compete(task, name, make(), BATCHES)
    for task in ("reverse", "sort")
    for name, make in (("transformer", transformer), ("LSTM", lstm))
}

# %%
_, axes = figure(1, 2, height=2.8)
for ax, task in zip(axes, ("reverse", "sort"), strict=True):
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
# For reversing, the transformer is done after a hundred batches, a second or two. The LSTM has to
# squeeze ten digits *and their order* into its state, and unpack them from the other end: after
# three hundred batches about three digits in four are right, and few rows without a mistake. Longer
# training helps it. Sorting is another matter. There the order does not count, it is enough to know
# how often each digit came, and ten counters are just what an LSTM's cells are good at: it learns
# to sort *faster* than the transformer. A state of fixed size is no handicap if what must be
# remembered fits into it.
#
# And where does the transformer look? `Attention_Op` has kept its input, so we compute the weights
# once more, for all heads of a block:


# %%
def weights_of(net, X):
    """Return the weights of each block: (heads, queries, keys), for the first row of X."""
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
maps = weights_of(results["reverse", "transformer"][0], X)
labels = [*map(str, X[0, :DIGITS]), *["_"] * DIGITS]
_, axes = figure(2, 4, height=4.4)
for block in range(2):
    for head in range(4):
        ax = axes[block, head]
        draw_weights(ax, maps[block][head], labels, labels, f"block {block + 1}, head {head + 1}")
        ax.tick_params(labelsize=6)
plt.show()
hits = [m[DIGITS:].argmax(axis=1) == np.arange(DIGITS)[::-1] for m in np.concatenate(maps)]
best = int(np.argmax(np.mean(hits, axis=1)))
print(
    f"block {best // 4 + 1}, head {best % 4 + 1}: {np.sum(hits[best])} of {DIGITS} blanks look "
    "most at the digit that they must copy"
)
assert np.mean(hits[best]) >= 0.6

# %% [markdown]
# Look at the lower half of each map, the rows of the blanks. Where a dark line goes from the upper
# right to the lower left, it is the reversal itself: the first blank looks at the last digit, the
# second at the one before. Nobody programmed that. The heads share the work: one serves the first
# blanks, another the last ones.
#
# ## 7. The block
#
# Attention moves information between positions. What to make of it, each position decides by
# itself, in two dense layers, the first four times as wide (`FeedForward`). Both parts are wrapped
# in the same way:
#
# $$ h = x + \operatorname{attention}(\operatorname{norm}(x)), \qquad
#    y = h + \operatorname{feedforward}(\operatorname{norm}(h)) $$
#
# The sums are **residual connections** (chapter 5): the gradient passes them unchanged, however
# many blocks there are. **LayerNorm** brings each position's features to mean 0 and variance 1, so
# that every block sees numbers of the same size. `TransformerBlock` is nothing but these parts:

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
for mine, theirs in zip(nets[1].params(), nets[0].params(), strict=True):
    mine[...] = theirs
assert np.array_equal(nets[0].predict(x), nets[1].predict(x))
assert check_gradients(TransformerBlock(heads=2), x)
print(nets[0].summary((5, 8)))

# %% [markdown]
# ## 8. A GPT that writes sonnets
#
# Embedding, positions, blocks, a normalization, and a dense layer that gives one logit for each
# character: this is a GPT. As in chapter 6, it is asked at every step what comes next. Each piece
# of 64 characters is a sequence of its own, so pieces may be shuffled. This one is small, with two
# blocks of width 64, and is trained for 15 seconds or so:

# %%
text = sonnets()
vocabulary = Vocabulary.of(text)
indices, cut = vocabulary.encode(text), len(text) * 9 // 10
X, y = (pieces[::13] for pieces in windows(indices[:cut], 64))
X_test, y_test = streams(indices[cut:], streams=1, length=64)

net = gpt(len(vocabulary), context=64, width=64, heads=4, blocks=2, keep=0.9, dtype="float32")
optim = AdamW(0.004, final_lr=4e-5, decay_type="cosine", decay_each="batch", warmup=1)
history = Trainer(net, optim).fit(
    *(X, y, X_test, y_test),
    epochs=4,
    eval_every=1,
    batch_size=32,
    early_stopping=False,
    verbose=0,
)
print(f"{net.parameter_count():,} weights")
print("test loss after each epoch:", [round(float(loss), 2) for loss in history["test_loss"]])
print(sample(net, vocabulary, 300, "\n", temperature=0.7, seed=1))
assert history["test_loss"][-1] < 2.2

# %% [markdown]
# Lines and letters are learned, words only half. More of everything helps: `dlfs train --model gpt`
# trains four blocks of width 128 on nine passes over overlapping pieces. Its test loss after each:
# 2.36, 2.10, 1.93, 1.84, 1.77, 1.73, 1.70, 1.69, 1.69 (stored results, seed 1). It then writes
# (temperature 0.8):
#
#     Show should canot gave in to my leaves doth shake
#     I glas their heaven his good the happy owers,
#     That all they grace is with my worth mayst glod,
#
# Beside chapter 6:
#
# | | weights | test loss, nats a character |
# |---|--:|--:|
# | plain recurrent network (chapter 6) | | 1.75 |
# | GRU (chapter 6) | | 1.74 |
# | LSTM (chapter 6; `dlfs train --model lstm`) | 348,606 | **1.62** |
# | the small GPT above | 112,190 | 2.08 |
# | `dlfs train --model gpt` | 817,470 | 1.69 |
#
# So the LSTM is still better *here*. That is no accident. The sonnets are a small text, less than
# 100,000 characters, and a transformer has nothing built in: it must learn even that neighbours
# matter more than what is far away. The LSTM also reads on from piece to piece, where this GPT sees
# at most 64 characters. What made transformers win is that they get better with more text, and that
# all positions of a sequence are computed at the same time, which keeps large machines busy.
#
# ## 9. Where it looks
#
# Two verses that it has not seen in training, and the weights of some heads of the network above.
# Each row is the position that asks for the *next* character; ␣ is a space, ↵ the end of a line.

# %%
start = text.index("\n", cut + 40) + 1
verse = text[start : start + 40]
marks = [{"\n": "↵", " ": "␣"}.get(letter, letter) for letter in verse]
maps = np.concatenate(weights_of(net, vocabulary.encode(verse)[np.newaxis]))
spread = -np.sum(maps * np.log(maps + 1e-12), axis=2).mean(axis=1)
_, axes = figure(1, 2, height=4.2, width=8)
for ax, head in zip(axes, np.argsort(spread)[[0, 4]], strict=True):
    draw_weights(ax, maps[head], marks, marks, f"block {head // 4 + 1}, head {head % 4 + 1}")
    ax.tick_params(labelsize=6.5)
plt.show()
distance = np.arange(40)[:, np.newaxis] - np.arange(40)
for head in range(8):
    mean = np.sum(maps[head] * distance, axis=1)[10:].mean()
    print(f"block {head // 4 + 1}, head {head % 4 + 1}: looks {mean:4.1f} characters back")
assert np.all(maps[:, ~np.tri(40, dtype=bool)] == 0), "no weight on what comes later"

# %% [markdown]
# Some heads look at the last few characters only: they know how words are spelled. Others spread
# their weight over the line. Such maps are easy to over-interpret: a weight says where a value came
# from, not what was made of it.
#
# ## 10. Drawing characters: temperature, top-k, top-p
#
# The network gives probabilities; `sample` draws. The **temperature** divides the logits (chapter
# 6). But with sixty characters, and thousands of draws, something very unlikely is drawn now and
# then, and the text derails. **Top-k** draws from the $k$ likeliest only. **Top-p** draws from the
# likeliest that together have the probability $p$: few where the network is sure, many where it is
# not.

# %%
_, axes = figure(2, 1, height=4.4)
for ax, prompt in zip(axes, ("Shall I compare th", "Shall I compare thee to a "), strict=True):
    logits = net.predict(vocabulary.encode(prompt)[np.newaxis])[0, -1].astype(float)
    p = softmax(logits)
    order = np.argsort(-p)[:20]
    kept = int(np.sum(np.cumsum(p[order]) - p[order] < 0.9))
    colours = [BLUE] * kept + ["#c9d6df"] * (20 - kept)
    names = [{"\n": "↵", " ": "␣"}.get(c, c) for c in vocabulary.decode(order)]
    ax.bar(range(20), p[order], color=colours)
    ax.set_xticks(range(20), names)
    ax.axvline(4.5, color=ORANGE, lw=1, ls="--")
    ax.set_title(f"after {prompt!r}: top-p 0.9 keeps {kept} (blue)", fontsize=10)
axes[0].text(4.6, 0.8 * axes[0].get_ylim()[1], "top-k 5 keeps those left of the line", color=ORANGE)
plt.show()

# %%
for options in ({}, {"top_k": 5}, {"top_p": 0.8}, {"temperature": 0.0}):
    written = sample(net, vocabulary, 120, "Shall I ", seed=4, **options)
    print(f"--- {options}\nShall I {written}\n")
greedy = sample(net, vocabulary, 50, "Shall I ", temperature=0.0)
assert greedy == sample(net, vocabulary, 50, "Shall I ", top_k=1, seed=9)

# %% [markdown]
# Always taking the likeliest (`temperature=0`) goes round in circles; drawing from everything
# spells badly. The truth lies between.
#
# ### The cache
#
# For each new character all earlier ones are needed again, but only their keys and values, and
# these do not change: the mask sees to it that earlier positions never learn of later ones. So
# `sample` keeps them (a **KV cache**), and computes one new position instead of all. The text is
# the same.

# %%
within = {"length": 50, "prompt": "Shall I ", "seed": 2}
with_cache, without = (sample(net, vocabulary, cache=cache, **within) for cache in (True, False))
assert with_cache == without
n = 8 + 50
print(f"positions computed: with the cache {n - 1}, without {sum(range(8, n))}")

# %% [markdown]
# The saving grows with the length: each character costs one position instead of all of them.
#
# ## 11. Scaling up: where the work and the memory go
#
# Count the multiply-adds of one block for one position, width $w$, context $T$: the projections
# take $4 w^2$, the two dense layers $8 w^2$, and the scores and the mean of values $2 T w$. (A
# causal mask saves half of the latter, if the kernel makes use of it.) So a block has $12 w^2$
# weights, and each is used once for each position. Attention itself only matters once $T$ is larger
# than $6 w$.

# %%
net4 = gpt(dtype="float32")
net4.build((64,))
counted = sum(param.size for param in net4.params() if param.shape[0] >= 128 <= param.shape[1])
assert counted == 4 * 12 * 128**2, counted

contexts = 2 ** np.arange(5, 16)
_, axes = figure(1, 2, height=2.9)
for width, colour in ((128, GREY), (768, BLUE), (4096, ORANGE)):
    share = 2 * contexts * width / (2 * contexts * width + 12 * width**2)
    axes[0].semilogx(contexts, share, color=colour, label=f"width {width:,}", base=2)
axes[0].set(title="attention's share of the work", xlabel="context", ylim=(0, 1))
axes[0].legend(fontsize=8)
plain = 4 * 32 * 4 * contexts**2.0
blocked = 4 * 32 * 4 * np.minimum(contexts, 128) * contexts
axes[1].loglog(contexts, plain / 2**20, color=ORANGE, label="all weights stored", base=2)
axes[1].loglog(contexts, blocked / 2**20, color=BLUE, label="in blocks", base=2)
axes[1].set(title="memory of attention, MiB", xlabel="context (batch 32, 4 heads of 32)")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# The plain formula stores $T^2$ weights for each head. The compiled kernel of dlfs never does: it
# goes through the keys in blocks, with a running maximum and a running sum, and in backward
# computes the weights again. Memory then grows with $T$ alone (FlashAttention; `Math.ipynb`
# derives it, and exercise 3 lets you write it).
#
# How large are the networks that you know from the news?

# %%
head = f"{'':<14}{'blocks':>7}{'width':>7}{'context':>9}{'weights':>13}"
print(f"{head}{'cache of a full context':>25}")
for name, blocks, width, context in (
    ("this chapter", 4, 128, 64),
    ("GPT-2", 12, 768, 1024),
    ("GPT-2 XL", 48, 1600, 1024),
    ("GPT-3", 96, 12288, 2048),
):
    size, cache = blocks * 12 * width**2, 2 * blocks * width * context * 2
    print(
        f"{name:<14}{blocks:>7}{width:>7,}{context:>9,}{size / 1e6:>12,.1f}M"
        f"{cache / 2**20:>21,.2f} MiB"
    )

# %% [markdown]
# (Without embeddings; two bytes a number.) The block is the same in all of them.
#
# ## 12. A tokenizer of byte pairs
#
# Larger models do not read characters but **tokens**, pieces of words: then the same context holds
# more text. Byte pair encoding finds them by counting. Start with the characters; join the most
# frequent pair of neighbours into a new token; repeat. (Those who read all languages start with the
# 256 bytes of UTF-8: hence the name.)


# %%
def merge(tokens, pair):
    """Join each occurrence of a pair of neighbours."""
    merged, i = [], 0
    while i < len(tokens):
        if tuple(tokens[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


def learn(text, merges):
    """Return the pairs that were joined, in their order, and the tokens of the text."""
    tokens, pairs = list(text), []
    for _ in range(merges):
        (pair, _), *_ = Counter(pairwise(tokens)).most_common(1)
        tokens = merge(tokens, pair)
        pairs.append(pair)
    return pairs, tokens


def encode(text, pairs):
    tokens = list(text)
    for pair in pairs:
        tokens = merge(tokens, pair)
    return tokens


pairs, tokens = learn(text[:30_000], merges=120)
print("the first:", [a + b for a, b in pairs[:12]])
print("the longest:", sorted({a + b for a, b in pairs}, key=len)[-8:])
example = "Shall I compare thee to a summer's day?"
print("|".join(encode(example, pairs)))
print(f"{30_000 / len(tokens):.2f} characters a token")
assert "".join(encode(example, pairs)) == example
assert "".join(tokens) == text[:30_000]

# %% [markdown]
# The first pairs are a space with a *t*, and an *e* with a space; later come endings, and whole
# words. The text becomes little more than half as long, and the vocabulary three times as large.
# With 50,000 merges, as in GPT-2, a token is about four characters of English.
#
# ## 13. Exercises
#
# Fill in the `...`; the cell below each says whether it is right.
#
# **1. The mask.** Return the weights of causal attention for scores (time, time).


# %% tags=["exercise:mask"]
def causal_weights(scores):
    return ...


# %%
def right_mask(attempt):
    scores = np.random.default_rng(1).standard_normal((4, 4))
    found = attempt(scores)
    if found is ...:
        return ...
    if not np.allclose(np.sum(found, axis=1), 1):
        return "each row must sum to 1: is the mask before the softmax?"
    return bool(np.allclose(found, softmax(np.where(np.tri(4) > 0, scores, -np.inf))))


check("mask", causal_weights, right_mask, hint="np.tri(4, dtype=bool) says what a row may see.")

# %% [markdown] tags=["solution:mask"]
# <details><summary>Solution</summary>
#
# ```python
# def causal_weights(scores):
#     seen = np.tri(len(scores), dtype=bool)
#     return softmax(np.where(seen, scores, -np.inf))
# ```
# </details>

# %% [markdown]
# **2. Top-p.** Set the probabilities that top-p leaves out to 0, and make the others sum to 1.


# %% tags=["exercise:top-p"]
def top_p(p, share):
    return ...


# %%
def right_top_p(attempt):
    p = np.array([0.1, 0.5, 0.05, 0.35])
    found = attempt(p, 0.8)
    if found is ...:
        return ...
    if not np.isclose(np.sum(found), 1):
        return "what is left must sum to 1"
    if np.count_nonzero(attempt(p, 0.5)) != 1:
        return "0.5 is reached by the likeliest alone"
    return bool(np.allclose(found, np.array([0, 0.5, 0, 0.35]) / 0.85))


check(
    "top-p",
    top_p,
    right_top_p,
    hint="Sort, take np.cumsum, and keep those before which less than the share was reached.",
)

# %% [markdown] tags=["solution:top-p"]
# <details><summary>Solution</summary>
#
# ```python
# def top_p(p, share):
#     order = np.argsort(-p)
#     before = np.cumsum(p[order]) - p[order]
#     kept = np.where(before < share, p[order], 0)
#     result = np.zeros_like(p)
#     result[order] = kept / kept.sum()
#     return result
# ```
# </details>

# %% [markdown]
# **3. In blocks.** Compute the output of *one* query without ever holding all of its weights: go
# through the keys two at a time, and keep the largest score so far, the sum of the powers, and the
# sum of powers times values. When a larger score comes, what was summed must be scaled down.


# %% tags=["exercise:blocks"]
def in_blocks(q, K, V, size=2):
    return ...


# %%
def right_blocks(attempt):
    rng = np.random.default_rng(3)
    q, K, V = 30 * rng.standard_normal(4), rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    found, small = attempt(q, K, V), attempt(q / 30, K, V)
    if found is ...:
        return ...
    if not np.all(np.isfinite(found)):
        return "powers of large scores overflow: subtract the largest score first"
    right = np.allclose(found, softmax(K @ q / 2) @ V)
    return bool(right and np.allclose(small, softmax(K @ q / 60) @ V))


check(
    "blocks",
    in_blocks,
    right_blocks,
    hint="If the largest grows from m to M, multiply both sums by exp(m - M).",
)

# %% [markdown] tags=["solution:blocks"]
# <details><summary>Solution</summary>
#
# ```python
# def in_blocks(q, K, V, size=2):
#     largest, total, output = -np.inf, 0.0, np.zeros(V.shape[1])
#     for start in range(0, len(K), size):
#         scores = K[start : start + size] @ q / math.sqrt(len(q))
#         new = max(largest, scores.max())
#         powers = np.exp(scores - new)
#         total = total * np.exp(largest - new) + powers.sum()
#         output = output * np.exp(largest - new) + powers @ V[start : start + size]
#         largest = new
#     return output / total
# ```
# </details>

# %% [markdown]
# **4. RMSNorm.** Many newer models leave out the mean: $y = x / \sqrt{\operatorname{mean}(x^2)}$.
# Write its gradient. The check compares with finite differences.


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
    hint="As in LayerNorm, take away the part along the output; there is no mean to take away.",
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
# **5. How many weights?** Return the number of weights of a GPT as `gpt` builds it: with biases,
# normalizations, embeddings and the last dense layer.


# %% tags=["exercise:weights"]
def weights_of_gpt(characters, context, width, blocks):
    return ...


# %%
def right_weights(attempt):
    sizes = ((62, 64, 128, 4), (10, 7, 8, 3))
    found = [attempt(*size) for size in sizes]
    if ... in found:
        return ...
    counts = []
    for characters, context, width, blocks in sizes:
        net = gpt(characters, context, width, 2, blocks)
        net.build((context,))
        counts.append(net.parameter_count())
    return True if found == counts else f"it must be {counts}, got {found}"


check(
    "weights",
    weights_of_gpt,
    right_weights,
    hint="A block: 12 w² for its matrices, 9 w for their biases, 4 w for two normalizations.",
)

# %% [markdown] tags=["solution:weights"]
# <details><summary>Solution</summary>
#
# ```python
# def weights_of_gpt(characters, context, width, blocks):
#     block = 12 * width**2 + 13 * width
#     ends = characters * width + context * width + 2 * width + width * characters + characters
#     return blocks * block + ends
# ```
# </details>

# %% [markdown]
# **To go on:** `dlfs train --model gpt --save poet.safetensors` trains the larger one, and
# `dlfs sample poet.safetensors --prompt "Shall I" --top-p 0.9` lets it write. Replace LayerNorm by
# `RMSNorm`, GELU by `SwiGLU`, and the learned positions by `rotary=True`, and you have the block of
# most models of today.
