# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   dlfs: {backends: [fast]}
# ---

# %% [markdown]
# # Chapter 10: a GPT that writes
#
# A **language model** gives probabilities for what comes next in a text. A **GPT** (generative
# pretrained transformer) is a language model made of the blocks of [Code](Code.ipynb). You train a
# small one on Shakespeare's sonnets, look at its attention, and let it write, in several ways. Then
# you count what a larger one costs, and write the tokenizer that larger ones need.
#
# You need [Code](Code.ipynb) of this chapter, and chapter 6 (vocabulary, temperature). The training
# takes about 15 seconds.

# %% tags=["hide-input"]
import math
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from dlfs import AdamW, Trainer
from dlfs.attention import Attention_Op
from dlfs.commands.recipes import gpt
from dlfs.datasets import sonnets
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY, ORANGE
from dlfs.text import Vocabulary, sample, streams, windows

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# %% [markdown]
# ## 1. Train it
#
# The network is a chain: an embedding of the characters, a vector for each position, blocks with
# causal attention, a layer normalization, and a dense layer. The dense layer gives one number for
# each character, the **logit**; the softmax turns the logits into probabilities. As in chapter 6,
# the network predicts the next character at every position. A sequence has 64 characters, the
# **context** of the network. Each sequence is independent of the others, so they can be shuffled.
#
# This network is small: two blocks of width 64. The optimizer is `AdamW`: Adam (chapter 4) with
# weight decay. The last tenth of the text is for the test.

# %%
text = sonnets()
vocabulary = Vocabulary.of(text)
indices, cut = vocabulary.encode(text), len(text) * 9 // 10
X, y = (sequences[::13] for sequences in windows(indices[:cut], 64))
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

# %%
print(sample(net, vocabulary, 300, "\n", temperature=0.7, seed=1))

# %% tags=["remove-cell"]
assert history["test_loss"][-1] < 2.2

# %% [markdown]
# It has learned lines, letters and short words; many longer words do not exist. The loss is in nats
# for each character (chapter 6); the guess that all 62 characters are equally likely has a loss of
# 4.13.
#
# A larger network, more text and more training help. `dlfs train --model gpt` trains four blocks of
# width 128, on five passes over overlapping sequences, 16 at a time. Its attention has rotary
# positions as well (Code, section 5), and without them it needs more than twice the training. Its
# test loss after each pass (stored results, seed 1): 1.96, 1.77, 1.70, 1.67, 1.66. It then writes
# (temperature 0.8):
#
#     Make which his well dead mine own change,
#     The more a love that in the world of thy see
#     Who see so love, do fell a faw less and good to see.
#
# Compare it with chapter 6:
#
# | | weights | test loss, nats a character |
# |---|--:|--:|
# | plain recurrent network (chapter 6) | | 1.75 |
# | GRU (chapter 6) | | 1.74 |
# | LSTM (chapter 6; `dlfs train --model lstm`) | 348,606 | **1.62** |
# | the small GPT above | 112,190 | 2.08 |
# | `dlfs train --model gpt` | 817,470 | 1.66 |
#
# So the LSTM is still better *here*, for two reasons. The sonnets are a small text, less than
# 100,000 characters, and a transformer has to learn everything from it, even that close characters
# matter more than distant ones. And the LSTM keeps its state from one sequence to the next, while
# this GPT sees at most 64 characters. Transformers have replaced recurrent networks because they
# continue to improve with more text, and because all positions of a sequence are computed at the
# same time, which uses large machines well.
#
# ## 2. Where it looks
#
# Here are the weights of some heads for a verse that was not used in training. Each row is the
# query that predicts the *next* character; ␣ is a space, ↵ the end of a line.


# %% tags=["hide-input"]
def weights_of(net, X):
    """Return the weights (heads, queries, keys) of each block: the function of Code.ipynb."""
    net.forward(X, inference=True)
    found = []
    for _, layer in net.walk():
        for operation in layer.operations:
            if not isinstance(operation, Attention_Op):
                continue
            q, k, _ = np.split(operation.input_[0], 3, axis=1)
            q, k = (part.reshape(len(part), operation.heads, -1).swapaxes(0, 1) for part in (q, k))
            scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[2])
            allowed = np.tri(scores.shape[1], dtype=bool)
            found.append(softmax(np.where(allowed, scores, -np.inf)))
    return found


def marks(characters):
    return [{"\n": "↵", " ": "␣"}.get(character, character) for character in characters]


# %%
start = text.index("\n", cut + 40) + 1
verse = text[start : start + 40]
maps = np.concatenate(weights_of(net, vocabulary.encode(verse)[np.newaxis]))
distance = np.arange(40)[:, np.newaxis] - np.arange(40)
for head in range(8):
    mean = np.sum(maps[head] * distance, axis=1)[10:].mean()
    print(f"block {head // 4 + 1}, head {head % 4 + 1}: {mean:4.1f} characters back on average")

# %% tags=["hide-input"]
spread = -np.sum(maps * np.log(maps + 1e-12), axis=2).mean(axis=1)
_, axes = plt.subplots(1, 2, figsize=(8, 4.2))
for ax, head in zip(axes, np.argsort(spread)[[0, 4]]):
    ax.imshow(maps[head], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(40), marks(verse))
    ax.set_yticks(range(40), marks(verse))
    ax.set_title(f"block {head // 4 + 1}, head {head % 4 + 1}", fontsize=10)
    ax.tick_params(labelsize=6.5)
plt.show()
assert np.all(maps[:, ~np.tri(40, dtype=bool)] == 0), "no weight on later characters"

# %% [markdown]
# Some heads look mostly at the last few characters, which are enough for the spelling of a word.
# Others distribute their weights over the line. Be careful with such maps: a weight shows which
# values enter the output, but not what the following layers compute from it.
#
# ## 3. Drawing characters: temperature, top-k, top-p
#
# The network gives probabilities, and `sample` draws the next character from them. The
# **temperature** (chapter 6) divides the logits before the softmax. But the network gives every
# character some probability, also those that make no sense at this place. In a long text one of
# them is drawn now and then, and spoils what follows. Two rules leave out unlikely characters:
#
# - **Top-k** draws only from the $k$ likeliest characters.
# - **Top-p** draws only from the likeliest characters that together have the probability $p$. Where
#   the network is sure these are few, elsewhere they are many.

# %% tags=["hide-input"]
_, axes = plt.subplots(2, 1, figsize=(7, 4.4))
for ax, prompt in zip(axes, ("Shall I compare th", "Shall I compare thee to a ")):
    logits = net.predict(vocabulary.encode(prompt)[np.newaxis])[0, -1].astype(float)
    p = softmax(logits)
    order = np.argsort(-p)[:20]
    kept = int(np.sum(np.cumsum(p[order]) - p[order] < 0.9))
    ax.bar(range(20), p[order], color=[BLUE] * kept + ["#c9d6df"] * (20 - kept))
    ax.set_xticks(range(20), marks(vocabulary.decode(order)))
    ax.axvline(4.5, color=ORANGE, lw=1, ls="--")
    ax.set_title(f"after {prompt!r}: top-p 0.9 keeps {kept} (blue)", fontsize=10)
    ax.set_ylabel("probability")
axes[0].text(4.6, 0.8 * axes[0].get_ylim()[1], "top-k 5 keeps those left of the line", color=ORANGE)
plt.show()

# %%
for name, options in (
    ("all characters", {}),
    ("top-k 5", {"top_k": 5}),
    ("top-p 0.8", {"top_p": 0.8}),
    ("temperature 0", {"temperature": 0.0}),
):
    written = sample(net, vocabulary, 120, "Shall I ", seed=4, **options)
    print(f"--- {name}\nShall I {written}\n")

# %% tags=["remove-cell"]
greedy = sample(net, vocabulary, 50, "Shall I ", temperature=0.0)
assert greedy == sample(net, vocabulary, 50, "Shall I ", top_k=1, seed=9)

# %% [markdown]
# The temperature 0 means: always take the likeliest character. Then the text repeats itself.
# If all characters may be drawn, the spelling is poor. Good texts come from settings between
# these two.
#
# ### The cache
#
# To predict a character, attention uses the keys and values of all earlier positions. These do not
# change when the text grows: because of the mask, an earlier position never depends on a later one.
# So `sample` keeps the keys and values (the **KV cache**), and for each new character it computes
# one position instead of all. The text is the same.

# %%
options = {"length": 50, "prompt": "Shall I ", "seed": 2}
with_cache, without = (sample(net, vocabulary, cache=cache, **options) for cache in (True, False))
assert with_cache == without
n = 8 + 50
print(f"positions computed: with the cache {n - 1}, without {sum(range(8, n))}")

# %% [markdown]
# ## 4. What a larger one costs
#
# **Work.** Count the multiplications (each with an addition) of one block for one position, with
# the width $w$ and the context $T$. The matrices of attention take $4 w^2$, the two dense layers
# $8 w^2$, and the scores and the mean of the values $2 T w$. So a block has about $12 w^2$ weights,
# and each is used once for each position. The scores and the mean take most of the work only if $T$
# is larger than $6 w$.
#
# **Memory.** The plain formula stores $T^2$ weights of attention for each head. The compiled kernel
# of dlfs does not store them. It goes through the keys in blocks, with a running maximum and a
# running sum, and backward computes the weights again. Then the memory grows with $T$, not with
# $T^2$. (The algorithm is called FlashAttention. [Math](Math.ipynb) derives it, and you write it in
# exercise 2.)

# %% tags=["hide-input"]
net4 = gpt(dtype="float32")
net4.build((64,))
counted = sum(param.size for param in net4.params() if param.shape[0] >= 128 <= param.shape[1])
assert counted == 4 * 12 * 128**2, counted

contexts = 2 ** np.arange(5, 16)
_, axes = plt.subplots(1, 2, figsize=(7, 2.9))
for width, colour in ((128, GREY), (768, BLUE), (4096, ORANGE)):
    share = 2 * contexts * width / (2 * contexts * width + 12 * width**2)
    axes[0].semilogx(contexts, share, color=colour, label=f"width {width:,}", base=2)
axes[0].set(title="share of scores and mean in the work", xlabel="context", ylim=(0, 1))
axes[0].legend(fontsize=8)
plain = 4 * 32 * 4 * contexts**2.0
blocked = 4 * 32 * 4 * np.minimum(contexts, 128) * contexts
axes[1].loglog(contexts, plain / 2**20, color=ORANGE, label="all weights stored", base=2)
axes[1].loglog(contexts, blocked / 2**20, color=BLUE, label="in blocks of 128 keys", base=2)
axes[1].set(title="memory of attention, MiB", xlabel="context (batch 32, 4 heads of width 32)")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# With these formulas, how large are some networks that you may have heard of?

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
# (The embeddings are not counted. A number in the cache takes two bytes.) All four consist of the
# same kind of block.
#
# ## 5. A tokenizer of byte pairs
#
# Larger models do not read characters but **tokens**: characters, pieces of words, and whole words.
# The same context then holds more text. A **tokenizer** splits a text into tokens. *Byte pair
# encoding* finds the tokens by counting: start with the characters, join the most frequent pair of
# neighbours into a new token, and repeat. (Tokenizers for all languages start with the 256 bytes of
# UTF-8 in place of characters, hence the name.)


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
    """Split a text into tokens: join the learned pairs in the same order."""
    tokens = list(text)
    for pair in pairs:
        tokens = merge(tokens, pair)
    return tokens


pairs, tokens = learn(text[:30_000], merges=120)
print("the first tokens:  ", [a + b for a, b in pairs[:12]])
print("the longest tokens:", sorted({a + b for a, b in pairs}, key=len)[-8:])
example = "Shall I compare thee to a summer's day?"
print("|".join(encode(example, pairs)))
print(f"{30_000 / len(tokens):.2f} characters in a token, on average")

# %% tags=["remove-cell"]
assert "".join(encode(example, pairs)) == example
assert "".join(tokens) == text[:30_000]
assert 1.7 < 30_000 / len(tokens) < 2
assert 2.7 < (len(set(text[:30_000])) + 120) / len(set(text[:30_000])) < 3.3

# %% [markdown]
# The first pairs are a space with a *t* and an *e* with a space; endings and whole words come
# later. With 120 new tokens the text becomes little more than half as long, and the vocabulary
# three times as large. With 50,000 new tokens, as in GPT-2, a token has about four characters of
# English text.
#
# ## 6. Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. Top-p.** Set the probabilities that top-p leaves out to 0, and make the others sum to 1.


# %% tags=["exercise:top-p"]
def top_p(p, share):
    return ...


# %%
def right_top_p(attempt):
    p = np.array([0.1, 0.5, 0.05, 0.35])
    if not np.isclose(np.sum(attempt(p, 0.8)), 1):
        return "the remaining probabilities must sum to 1"
    if np.count_nonzero(attempt(p, 0.5)) != 1:
        return "for a share of 0.5 the likeliest alone is enough here"
    return bool(np.allclose(attempt(p, 0.8), np.array([0, 0.5, 0, 0.35]) / 0.85))


check(
    "top-p",
    top_p,
    right_top_p,
    hint="Sort, take np.cumsum, and keep those before which the sum is below the share.",
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
# **2. In blocks.** Compute the output of *one* query without storing all of its weights. Go through
# the keys two at a time, and keep three things: the largest score so far, the sum of the powers
# (relative to that score), and the sum of powers times values. When a larger score comes, both sums
# must be scaled down.


# %% tags=["exercise:blocks"]
def in_blocks(q, K, V, size=2):
    return ...


# %%
def right_blocks(attempt):
    rng = np.random.default_rng(3)
    q, K, V = 30 * rng.standard_normal(4), rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    found, small = attempt(q, K, V), attempt(q / 30, K, V)
    if not np.all(np.isfinite(found)):
        return "powers of large scores overflow: subtract the largest score first"
    right = np.allclose(found, softmax(K @ q / 2) @ V)
    return bool(right and np.allclose(small, softmax(K @ q / 60) @ V))


check(
    "blocks",
    in_blocks,
    right_blocks,
    hint="If the largest score grows from m to M, multiply both sums by exp(m - M).",
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
# **3. How many weights?** Return the number of weights of a network that `gpt` makes: with biases,
# normalizations, embeddings and the last dense layer.


# %% tags=["exercise:weights"]
def weights_of_gpt(characters, context, width, blocks):
    return ...


# %%
def right_weights(attempt):
    def true(characters, context, width, blocks):
        net = gpt(characters, context, width, 2, blocks)
        net.build((context,))
        return net.parameter_count()

    one, two = (10, 7, 8, 1), (10, 7, 8, 2)
    if attempt(*two) - attempt(*one) != true(*two) - true(*one):
        return "the number of weights that a second block adds is not right"
    if attempt(*one) != true(*one):
        return "the blocks are right, but not the parts before and after them"
    return attempt(62, 64, 128, 4) == true(62, 64, 128, 4)


check(
    "weights",
    weights_of_gpt,
    right_weights,
    hint="net = gpt(10, 7, 8, 2, 1); net.summary((7,)) lists the weights of each part.",
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
#
# The matrices of a block have $12 w^2$ weights, their biases $9 w$, the two normalizations $4 w$.
# </details>

# %% [markdown]
# **To go on:** `dlfs train --model gpt --save poet.safetensors` trains the larger network, and
# `dlfs sample poet.safetensors --prompt "Shall I" --top-p 0.9` lets it write. If you replace
# LayerNorm by `RMSNorm`, the activation GELU by `SwiGLU`, and the learned positions by
# `rotary=True`, you have the block of most current models.
