# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   dlfs: {backends: [fast]}
# ---

# %% [markdown]
# # Chapter 6: recurrent networks
#
# A network reads Shakespeare's sonnets character by character, and learns to predict the next
# character. You see how its state goes from step to step. You train an RNN, an LSTM and a GRU, with
# the book's settings and then with better ones, let them write, and look at their gates.
#
# You need chapters 3 and 4: layers, losses, optimizers. [From_Scratch](From_Scratch.ipynb) writes
# all of this in NumPy, and [Math](Math.ipynb) derives the gradients. This notebook trains for about
# two minutes on the fast backend. The reference backend would need several times as long.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

import dlfs
from dlfs import Adam, AdaGrad, Dropout, NeuralNetwork, SoftmaxCrossEntropy, Trainer
from dlfs.datasets import sonnets
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.layers import Dense, Embedding, GRULayer, LSTMLayer, RNNLayer
from dlfs.recurrent.cells import LSTMNode, RNNNode
from dlfs.text.book import RNNModel, RNNTrainer
from dlfs.text import Vocabulary, sample, streams, windows

COLOURS = {"RNN": "#6c757d", "GRU": "#e07a1f", "LSTM": "#2a6f97"}


def figure(rows=1, columns=1, height=3.5):
    options = {"figsize": (7, height), "dpi": 90, "layout": "constrained"}
    return plt.subplots(rows, columns, **options)


# %% [markdown]
# ## 1. A text becomes numbers
#
# Each of the 62 different characters gets a number, so a piece of the text becomes a row of
# integers. Its target is the piece that begins one character later: the network predicts the next
# character at *every* step.

# %%
text = sonnets()
vocabulary = Vocabulary.of(text)
indices = vocabulary.encode(text)
start = text.index("From fairest")
print(text[start : start + 160])
print(f"\n{len(text):,} characters, {len(vocabulary)} different ones: {vocabulary.characters!r}")
X, y = windows(indices, length=10)
print("input ", X[start], repr(vocabulary.decode(X[start])))
print("target", y[start], repr(vocabulary.decode(y[start])))

# %% [markdown]
# How good is a prediction? The loss for a character is $-\ln p$, where $p$ is the probability that
# was predicted for it. Its unit is the *nat*, the unit of natural logarithms. If all characters
# have the probability 1/62, the loss is $\ln 62 = 4.13$ nats per character. It is smaller if we use
# how frequent each character is, and still smaller if we also use the character before:

# %%
counts = np.bincount(indices)
alone = -np.mean(np.log(counts[indices] / len(indices)))
pairs = np.zeros((62, 62))
np.add.at(pairs, (indices[:-1], indices[1:]), 1)
given = pairs / pairs.sum(axis=1, keepdims=True)
after = -np.mean(np.log(given[indices[:-1], indices[1:]]))
print(f"all characters alike:           {np.log(62):.2f} nats")
print(f"frequencies:                    {alone:.2f} nats")
print(f"and the character before:       {after:.2f} nats")

# %% tags=["remove-cell"]
assert abs(np.log(62) - 4.127) < 0.001
assert 3.0 < alone < 3.2
assert 2.3 < after < 2.5

# %% [markdown]
# A recurrent network uses all characters before. It does not store them; it keeps a *state*, a row
# of a few hundred numbers, and changes it at each step.
#
# ## 2. One step, and a sequence of steps
#
# A plain recurrent network (RNN) computes its new state $h_t$ from the input $x_t$ and the old
# state:
#
# $$h_t = \tanh(x_t W_x + B + h_{t-1} W_h)$$
#
# An `RNNNode` is one such step. The weights are the same at every step. A *layer* goes through the
# whole sequence in one call. Nodes, one after the other, give the same output:

# %%
layer = RNNLayer(hidden_size=4)
x = np.random.default_rng(1).standard_normal((2, 6, 3))  # 2 sequences, 6 steps, 3 features
output = layer.forward(x)

params = layer.params_dict()
state = np.zeros((2, 4))
for t in range(6):
    out, state = RNNNode().forward(x[:, t], state, params)
    assert np.allclose(out, output[:, t], rtol=1e-12)
print("input", x.shape, "-> output", output.shape)

# %% [markdown]
# The backward pass goes from the last step to the first. The gradient of the state at step $t$
# comes from the loss at that step *and* from step $t+1$. This is called *backpropagation through
# time*. We draw how much of the gradient of the last output is left up to 40 steps earlier:


# %%
def gradient_left(layer, steps=40, features=8):
    """Return the size of the gradient of each step's input, from the last output alone."""
    layer.seed = 1
    x = np.random.default_rng(0).standard_normal((20, steps, features))
    output_grad = np.zeros_like(layer.forward(x))
    output_grad[:, -1] = np.random.default_rng(2).standard_normal(output_grad[:, -1].shape)
    grad = layer.backward(output_grad)
    size = np.sqrt(np.mean(grad**2, axis=(0, 2)))
    return size / size[-1]


kinds = {"RNN": RNNLayer, "GRU": GRULayer, "LSTM": LSTMLayer}
left = {name: gradient_left(kind(64)) for name, kind in kinds.items()}

# %% tags=["hide-input"]
_, ax = figure()
for name, size in left.items():
    ax.semilogy(np.arange(-39, 1), size, color=COLOURS[name], label=name)
ax.set(xlabel="step, counted from the last", ylabel="size of the gradient")
ax.set_title("The gradient of each step's input, if only the last output matters")
ax.legend()
plt.show()
assert left["RNN"][0] < left["GRU"][0]
assert left["RNN"][0] < left["LSTM"][0]

# %% [markdown]
# In an untrained plain network the gradient becomes smaller at every step (the *vanishing
# gradient*). So the network does not learn to use what it read long before. A GRU and an LSTM have
# *gates*: a part of their state goes to the next step without passing through $\tanh$, and so does
# its gradient.
#
# ## 3. LSTM and GRU
#
# Both first compute a *candidate*, as a plain network computes its new state. It has its own
# weights, and a bar over its name:
#
# $$
# \bar c = \tanh(x_t W_x + B + h_{t-1} W_h), \qquad
# \bar h = \tanh\big(x_t W_x + B + (r\, h_{t-1}) W_h\big)
# $$
#
# Then gates control, number by number, how much of the candidate is added and how much of the old
# state stays. A gate is computed like a candidate, with its own weights, but through a sigmoid. So
# it is between 0 (closed) and 1 (open). An LSTM has two states, $h$ and the cell $c$; a GRU has
# only $h$.
#
# | LSTM | GRU |
# |---|---|
# | forget gate $f$: how much of the cell stays | update gate $u$: how much of the state stays |
# | input gate $i$: how much of the candidate is added | (the candidate gets the rest, $1-u$) |
# | output gate $o$: how much of $c$ is in $h$ | reset gate $r$: how much of $h$ is in $\bar h$ |
# | $c_t = f c_{t-1} + i \bar c$, $h_t = o \tanh c_t$ | $h_t = u h_{t-1} + (1-u) \bar h$ |
#
# Are the gradients right? One call checks those of every parameter and of the input:

# %%
x = np.random.default_rng(3).standard_normal((3, 5, 2))
for layer in (RNNLayer(4), LSTMLayer(4), GRULayer(4), GRULayer(4, reset="after")):
    report = check_gradients(layer, x)
    print(f"{layer!r:<28}", "right" if report else report)
    assert report

# %% [markdown]
# ## 4. The book's settings, side by side
#
# `RNNModel` and `RNNTrainer` have the book's names and arguments. A batch has 32 pieces of 25
# characters; each piece begins one character after the one before it. Each batch begins with the
# mean of the states in which the batch before ended. The optimizer is AdaGrad
# ([From_Scratch](From_Scratch.ipynb), section 7), and each number of the gradient is limited to the
# range from -2 to 2.

# %%
ITERATIONS = 800
trainers = {}
for name, kind in kinds.items():
    layers = [kind(hidden_size=256, output_size=62)]
    model = RNNModel(layers, vocab_size=62, sequence_length=25, dtype="float32")
    optim = AdaGrad(lr=0.01, gradient_clipping=True)
    trainers[name] = RNNTrainer(None, model, optim, batch_size=32)
    trainers[name].train(ITERATIONS, sample_every=200, verbose=0)

# %% tags=["hide-input"]
_, ax = figure()
for name, trainer in trainers.items():
    mean = np.convolve(trainer.losses, np.ones(50) / 50, mode="valid")
    ax.plot(np.arange(len(mean)) + 50, mean, color=COLOURS[name], label=name)
ax.axhline(after, color="black", lw=0.8, ls=":", label="the character before")
ax.set(xlabel="batches", ylabel="loss, nats a character", ylim=(2, 3.5))
ax.set_title("The book's settings (mean of 50 batches)")
ax.legend()
plt.show()
ends = {name: np.mean(trainer.losses[-100:]) for name, trainer in trainers.items()}
print({name: round(float(end), 2) for name, end in ends.items()})
assert all(2.1 < end < 2.6 for end in ends.values()), ends

# %% [markdown]
# These are losses on the training text, measured just before each step; the book has no test here.
# After 800 batches the three networks are hardly better than the table of pairs in section 1. The
# GRU is the best; the LSTM has more weights and learns more slowly at first. Here is what they
# write:

# %%
for name, trainer in trainers.items():
    print(f"--- {name}\n{trainer.samples[-1][1]}\n")

# %% [markdown]
# There are groups of letters that look like words, and lines end after a few of them. More cannot
# be expected: the 800 overlapping batches cover only a quarter of the text.
#
# ## 5. Better settings
#
# We make six changes, which are all common today:
#
# - The text is cut into 16 *streams*, which are read in parallel, 64 characters at a time. Each
#   stream goes on with its own state of the batch before (`carry=True`).
# - An **embedding** turns each character into 64 learned numbers.
# - **Dropout** sets 40 % of the last layer's inputs to 0 during the training.
# - The optimizer is **Adam** (chapter 4), with a learning rate that falls almost to 0.
# - If the norm of the whole gradient is above 1, the gradient is scaled down to norm 1, instead of
#   limiting single numbers.
# - The last tenth of the text is not used for training, but for the **test**.

# %%
cut = len(text) * 9 // 10
X, y = streams(indices[:cut], streams=16, length=64)
X_test, y_test = streams(indices[cut:], streams=16, length=64)
print("train", X.shape, "test", X_test.shape)
one, next_one = vocabulary.decode(X[0]), vocabulary.decode(X[16])
print(repr(one[-20:]), "goes on in the next batch:", repr(next_one[:20]))


class Diary(dlfs.Callback):
    """Lets the network write after some epochs."""

    def __init__(self):
        self.texts = {}

    def write(self, net, epoch):
        self.texts[epoch] = sample(net, vocabulary, 150, "\n", 0.8, seed=7)

    def on_epoch_end(self, trainer, row):
        if row["epoch"] in (1, 2, 4, 8, EPOCHS):
            self.write(trainer.net, row["epoch"])


# %%
EPOCHS = 16
nets, histories, diaries = {}, {}, {}
for name, kind in kinds.items():
    recurrent = kind(256, carry=True)
    layers = [Embedding(62, 64), recurrent, Dropout(0.6), Dense(62, weight_init="glorot")]
    nets[name] = NeuralNetwork(layers, SoftmaxCrossEntropy(), seed=1, dtype="float32")
    optim = Adam(0.004, final_lr=4e-7, decay_type="linear", decay_each="batch", clip_norm=1.0)
    diaries[name] = Diary()
    diaries[name].write(nets[name], 0)
    histories[name] = Trainer(nets[name], optim).fit(
        *(X, y, X_test, y_test),
        epochs=EPOCHS,
        eval_every=1,
        batch_size=16,
        shuffle=False,
        early_stopping=False,
        verbose=0,
        callbacks=[diaries[name]],
    )

# %% tags=["hide-input"]
_, axes = figure(1, 2)
for name, history in histories.items():
    epochs = [row["epoch"] for row in history]
    axes[0].plot(epochs, history["train_loss"], color=COLOURS[name], label=name)
    end = f"{name}, {history['test_loss'][-1]:.2f} at the end"
    axes[1].plot(epochs, history["test_loss"], color=COLOURS[name], label=end)
axes[0].set(title="training (with dropout)", ylabel="loss, nats a character")
axes[1].set(title="test")
for ax in axes:
    ax.set(xlabel="epoch", ylim=(1.1, 2.6), xlim=(0.5, EPOCHS + 0.5))
    ax.legend()
plt.show()
final = {name: history["test_loss"][-1] for name, history in histories.items()}
print({name: round(float(loss), 3) for name, loss in final.items()})
assert final["LSTM"] < 1.64, final
assert max(final["LSTM"], final["GRU"]) < final["RNN"], final

# %% [markdown]
# Gates help: both networks with gates reach a lower test loss than the plain one. The GRU learns
# fastest, and is the first to **overfit**: after about eight epochs its loss on the training text
# still falls, but on text that it has not read, it rises. The sonnets are a small text. At which
# epoch would you stop? (With `reset="after"`, as in PyTorch, the GRU overfits more slowly and ends
# near 1.65; `dlfs train --model gru` uses this.)
#
# ## 6. Samples during the training
#
# Here is what the LSTM writes after more and more epochs, with the same seed. At 0 it is untrained:

# %%
for epoch, written in diaries["LSTM"].texts.items():
    print(f"--- epochs: {epoch}\n{written.strip()}\n")

# %% [markdown]
# At first, any character follows any other. Then spaces and line ends are at the right places, then
# there are words, and then something like grammar.
#
# The network's outputs are *logits*: numbers that softmax turns into probabilities. When a text is
# sampled, the logits can be divided by a **temperature** before the softmax. A temperature below 1
# makes likely characters even more likely; a temperature above 1 makes all characters more alike:

# %%
for temperature in (0.2, 0.7, 1.3):
    written = sample(nets["LSTM"], vocabulary, 130, "Shall I ", temperature, seed=3)
    print(f"--- temperature {temperature}\nShall I {written}\n")

# %% [markdown]
# At a temperature of 0 the most likely character is always taken, whatever the seed:

# %%
print(repr(sample(nets["LSTM"], vocabulary, 50, "Shall I ", temperature=0, seed=1)))

# %% tags=["remove-cell"]
assert sample(nets["LSTM"], vocabulary, 50, "Shall I ", 0, seed=1) == sample(
    nets["LSTM"], vocabulary, 50, "Shall I ", 0, seed=2
), "at 0 the likeliest is always taken"

# %% [markdown]
# ## 7. Looking at the gates
#
# A layer does not show its gates, but its nodes do. The network reads two verses from the test
# text, step by step, and we store the gates. Each number of the cell is called a *unit*. Where a
# unit's forget gate is near 1, the unit keeps its memory; where it is near 0, the memory is erased.

# %%
start = text.index("\n", cut + 40) + 1
verse = text[start : start + 90]
embedding, lstm = nets["LSTM"].layers[:2]
vectors = embedding.forward(vocabulary.encode(verse)[np.newaxis])
params = lstm.params_dict()
h = c = np.zeros((1, 256), dtype=np.float32)
gates = {"forget": [], "input": [], "output": []}
for t in range(len(verse)):
    node = LSTMNode()
    _, h, c = node.forward(vectors[:, t], h, c, params)
    for kept, value in zip(gates.values(), (node.f, node.i, node.o)):
        kept.append(value[0])
gates = {name: np.array(values).T for name, values in gates.items()}  # (unit, step)


# %% tags=["hide-input"]
def show_gates(rows, title, units):
    """Draw gates over the text, in two halves; unit by unit below each other."""
    half = len(verse) // 2
    fig, axes = figure(2, 1, height=5)
    for ax, part in zip(axes, (slice(0, half), slice(half, None)), strict=True):
        image = ax.imshow(rows[:, part], aspect="auto", cmap="magma", vmin=0, vmax=1)
        marks = [{"\n": "\u21b5", " ": "\u00b7"}.get(letter, letter) for letter in verse[part]]
        ax.set_xticks(range(len(marks)), marks, fontsize=10, family="monospace", va="baseline")
        ax.tick_params(axis="x", length=0, pad=11)
        ax.set_yticks(range(len(rows)), units, fontsize=7)
        ax.set_ylabel("unit")
    axes[0].set_title(title)
    fig.colorbar(image, ax=axes, pad=0.01)
    plt.show()


moving = np.argsort(gates["forget"].std(axis=1))[-12:]
show_gates(gates["forget"][moving], "The twelve forget gates that move most", moving)

# %% [markdown]
# Below each column is the character that was just read; a dot is a space, and ↵ the end of a line.
# A row is a unit. Some units erase their memory (black) at the end of every word, others only at
# certain letters. The network has learned this; it does not get any information about words. Which
# gates differ most between spaces and letters?

# %%
is_space = np.array([letter in " \n" for letter in verse])
for name, values in gates.items():
    difference = values[:, is_space].mean(axis=1) - values[:, ~is_space].mean(axis=1)
    strongest = int(np.abs(difference).argmax())
    at_letters, at_spaces = values[strongest, ~is_space].mean(), values[strongest, is_space].mean()
    print(f"{name:<7} unit {strongest:>3}: {at_letters:.2f} at letters, {at_spaces:.2f} at spaces")
    assert np.abs(difference).max() > 0.2

# %% [markdown]
# ## 8. Stacked layers
#
# The output of a recurrent layer is a sequence, so another layer can read it. Here are three stacks
# of two layers, each trained for a few batches. The output of a layer can have another size than
# its state (`output_size`).

# %%
STACKS = {
    "RNN, LSTM": lambda: [RNNLayer(128, output_size=64), LSTMLayer(128, output_size=62)],
    "GRU, LSTM": lambda: [GRULayer(128, output_size=64), LSTMLayer(128, output_size=62)],
    "GRU, GRU": lambda: [GRULayer(128, output_size=64), GRULayer(128, output_size=62)],
}
losses = {}
for name, make in STACKS.items():
    model = RNNModel(make(), vocab_size=62, sequence_length=25, dtype="float32")
    trainer = RNNTrainer(None, model, AdaGrad(lr=0.01, gradient_clipping=True), batch_size=32)
    trainer.train(300, sample_every=300, verbose=0)
    losses[name] = trainer.losses

# %% tags=["hide-input"]
_, ax = figure()
for name, each in losses.items():
    mean = np.convolve(each, np.ones(30) / 30, mode="valid")
    ax.plot(np.arange(len(mean)) + 30, mean, label=name)
    assert np.mean(each[-30:]) < 3.1, (name, each[-30:])
ax.set(xlabel="batches", ylabel="loss, nats a character", title="Stacks, 300 batches each")
ax.legend()
plt.show()

# %% [markdown]
# Recurrent layers can also be mixed with other layers. This network has a layer of most kinds that
# you have met in this chapter:

# %%
net = NeuralNetwork(
    [
        Embedding(62, 32),
        GRULayer(64, carry=True),
        Dropout(0.8),
        LSTMLayer(64, carry=True),
        Dense(62, weight_init="glorot"),
    ],
    SoftmaxCrossEntropy(),
)
print(net.summary((64,)))

# %% [markdown]
# ## 9. Exercises
#
# Replace each `...`, run the cell, and then run the check below it.
#
# **1. Bits and perplexity.** A *bit* is the unit of logarithms to base 2. How many bits are a loss
# of $L$ nats? The *perplexity* is the number of equally likely characters that would give the same
# loss. What is it?


# %% tags=["exercise:bits"]
def bits(loss):
    return ...


def perplexity(loss):
    return ...


# %%
check(
    "bits",
    lambda: [bits(np.log(8.0)), perplexity(np.log(8.0))],
    lambda f: ... if f()[0] is ... or f()[1] is ... else bool(np.allclose(f(), [3, 8])),
    hint="A bit is ln 2 nats; and what is the perplexity of someone who guesses among 62?",
)

# %% [markdown] tags=["solution:bits"]
# <details><summary>Solution</summary>
#
# ```python
# def bits(loss):
#     return loss / np.log(2)
#
#
# def perplexity(loss):
#     return np.exp(loss)
# ```
# </details>

# %% [markdown]
# **2. Temperature.** Return the probabilities from which `sample` draws the next character.


# %% tags=["exercise:temperature"]
def probabilities(logits, temperature):
    return ...


# %%
def right_probabilities(attempt):
    logits = np.array([1.0, 2.0, 4.0])
    hot, cold = attempt(logits, 2.0), attempt(logits, 0.1)
    assert np.isclose(np.sum(hot), 1), "they must sum to 1"
    assert cold[2] > hot[2], "a low temperature makes the likeliest likelier"
    return bool(np.allclose(hot, np.exp(logits / 2) / np.exp(logits / 2).sum()))


check("temperature", probabilities, right_probabilities, hint="softmax(logits / temperature)")

# %% [markdown] tags=["solution:temperature"]
# <details><summary>Solution</summary>
#
# ```python
# def probabilities(logits, temperature):
#     scaled = np.exp(logits / temperature - np.max(logits / temperature))
#     return scaled / scaled.sum()
# ```
# </details>

# %% [markdown]
# **3. Through time.** Write the backward pass of a recurrence without weights for the input: $h_t =
# \tanh(x_t + h_{t-1} W)$, $h_{-1} = 0$. You get the gradient of all $h_t$, and return that of all
# $x_t$. The check compares it with finite differences.


# %% tags=["exercise:through-time"]
class Recurrence(dlfs.Operation):
    def __init__(self, W):
        super().__init__()
        self.W = W

    def _output(self):
        h = np.zeros_like(self.input_)
        for t in range(h.shape[1]):
            before = h[:, t - 1] if t else 0 * h[:, 0]
            h[:, t] = np.tanh(self.input_[:, t] + before @ self.W)
        return h

    def _input_grad(self, output_grad): ...


# %%
W = np.random.default_rng(5).standard_normal((3, 3))
check(
    "through-time",
    Recurrence,
    lambda cls: check_gradients(cls(W), np.random.default_rng(6).standard_normal((2, 4, 3))),
    hint="Go from the last step to the first, and add x_grad @ W.T to the step before.",
)

# %% [markdown] tags=["solution:through-time"]
# <details><summary>Solution</summary>
#
# ```python
# class Recurrence(dlfs.Operation):
#     def __init__(self, W):
#         super().__init__()
#         self.W = W
#
#     def _output(self):
#         h = np.zeros_like(self.input_)
#         for t in range(h.shape[1]):
#             before = h[:, t - 1] if t else 0 * h[:, 0]
#             h[:, t] = np.tanh(self.input_[:, t] + before @ self.W)
#         return h
#
#     def _input_grad(self, output_grad):
#         x_grad = np.zeros_like(output_grad)
#         from_next = np.zeros_like(output_grad[:, 0])
#         for t in reversed(range(output_grad.shape[1])):
#             h = self.output[:, t]
#             x_grad[:, t] = (output_grad[:, t] + from_next) * (1 - h**2)
#             from_next = x_grad[:, t] @ self.W.T
#         return x_grad
# ```
# </details>

# %% [markdown]
# **4. Carried state.** If a layer reads a text in two halves, and carries its state from the first
# to the second, the output must be the same as for the whole text. Return the output of both
# halves, joined.


# %% tags=["exercise:two-halves"]
def in_two_halves(layer, x):
    return ...


# %%
def right_halves(attempt):
    x = np.random.default_rng(7).standard_normal((3, 8, 2))
    layer = LSTMLayer(5, carry=True)
    layer.seed = 1
    whole = layer.forward(x)
    layer.reset_state()
    return bool(np.allclose(attempt(layer, x), whole))


check("two-halves", in_two_halves, right_halves, hint="layer.forward of x[:, :4], then of x[:, 4:]")

# %% [markdown] tags=["solution:two-halves"]
# <details><summary>Solution</summary>
#
# ```python
# def in_two_halves(layer, x):
#     middle = x.shape[1] // 2
#     parts = [layer.forward(x[:, :middle]), layer.forward(x[:, middle:])]
#     return np.concatenate(parts, axis=1)
# ```
# </details>

# %% [markdown]
# **From the command line:** `dlfs train --model lstm --data sonnets --save poet.safetensors` trains
# a network, and `dlfs sample poet.safetensors --prompt "Shall I" --temperature 0.6` lets it write.
