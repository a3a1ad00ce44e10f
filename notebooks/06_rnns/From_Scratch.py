# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 6: recurrent networks from nothing
#
# A recurrent network reads a sequence, such as a text, step by step. You write all of it in about
# 150 lines of NumPy: one step of an RNN, an LSTM and a GRU, forward and backward; the layer that
# goes through a sequence; the model, the optimizer AdaGrad and the trainer. Then the library gets
# the same weights and the same text, and must give the same numbers.
#
# You need chapter 3 (layers, losses, backpropagation) and the chain rule. [Code](Code.ipynb) shows
# what such networks can do, and [Math](Math.ipynb) derives the gradients.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from dlfs import AdaGrad
from dlfs.datasets import sonnets
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.layers import GRULayer, LSTMLayer, RNNLayer
from dlfs.plots import BLUE, GREY, ORANGE
from dlfs.text import Vocabulary
from dlfs.text.book import RNNModel, RNNTrainer

# %% [markdown]
# ## 1. Characters become rows
#
# A network computes with numbers, so each character of the text gets a number: its place in the
# list of all characters. The network reads this number as a row of zeros with a single 1, at that
# place. Such a row is called *one-hot*. A text is then a matrix with a row for each character of
# the text and a column for each character of the list. A batch of texts is an array with three
# axes: (batch, time, characters).


# %%
def one_hot(indices, size):
    rows = np.zeros((*np.shape(indices), size))
    np.put_along_axis(rows, np.asarray(indices)[..., None], 1.0, axis=-1)
    return rows


word = "abcdb"
characters = sorted(set(word))
indices = [characters.index(character) for character in word]
rows = one_hot(indices, len(characters))
print("characters", characters, "  numbers", indices)
print(rows)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(3.4, 3), dpi=90, layout="constrained")
ax.imshow(rows, cmap="Blues", vmin=0, vmax=1.6)
for t, i in np.ndindex(rows.shape):
    ax.text(i, t, f"{rows[t, i]:.0f}", ha="center", va="center")
ax.set_xticks(range(4), characters)
ax.set_yticks(range(5), [f"{character} = {index}" for character, index in zip(word, indices)])
ax.xaxis.tick_top()
ax.set(xlabel="one column for each character", ylabel="time")
plt.show()
assert np.array_equal(rows.argmax(axis=1), indices)
assert np.array_equal(rows.sum(axis=1), np.ones(5))

# %% [markdown]
# The product of a one-hot row and a matrix of weights is one row of the matrix. Most terms of this
# product are 0, so libraries take the row from the matrix instead. The result is the same:

# %%
W = np.random.default_rng(0).standard_normal((4, 3))
print("the same:", np.array_equal(rows @ W, W[indices]))

# %% [markdown]
# ## 2. One step of a recurrent network
#
# A recurrent network reads one row after the other. It keeps a *state* $h$, a row of numbers, which
# it changes at each step. A *node* is one such step. It computes the state after step $t$ from the
# row $x_t$ and the state before:
#
# $$h_t = \tanh(x_t W_x + h_{t-1} W_h + B)$$
#
# Backward, the node receives the gradient of the state that it returned, and returns two gradients:
# of its input, and of the state before. The parameters are the same at every step, so each step
# *adds* its share to their gradients.
#
# Parameters `p` and gradients `grads` are dictionaries of arrays, with the same keys.


# %%
class RNNNode:
    gates = 1
    states = 1

    def forward(self, x, states, p):
        self.x, (self.h_in,) = x, states
        self.h = np.tanh(x @ p["W_x"] + self.h_in @ p["W_h"] + p["B"])
        return (self.h,)

    def backward(self, state_grads, p, grads):
        (h_grad,) = state_grads
        inner_grad = h_grad * (1 - self.h**2)  # through tanh
        x_grad, h_in_grad = back_to_inputs(inner_grad, self.x, self.h_in, p, grads)
        return x_grad, (h_in_grad,)


def back_to_inputs(inner_grad, x, h_in, p, grads):
    """Backward pass of x @ W_x + h_in @ W_h + B."""
    grads["W_x"] += x.T @ inner_grad
    grads["W_h"] += h_in.T @ inner_grad
    grads["B"] += inner_grad.sum(axis=0, keepdims=True)
    return inner_grad @ p["W_x"].T, inner_grad @ p["W_h"].T


# %% [markdown]
# ## 3. One step of an LSTM
#
# A *long short-term memory* (LSTM) has two states: $h$, which is its output, and the cell $c$,
# which is its memory. Three *gates*, rows of numbers between 0 and 1, control the cell: how much of
# it stays ($f$, forget gate), how much of a new value, the *candidate* $\bar c$, is added ($i$,
# input gate), and how much of the cell is shown in $h$ ($o$, output gate). $\sigma$ is the sigmoid,
# and the dots stand for $x_t W_x + h_{t-1} W_h + B$:
#
# $$f, i, o = \sigma(\dots), \quad \bar c = \tanh(\dots), \qquad
# c_t = f\,c_{t-1} + i\,\bar c, \qquad h_t = o \tanh(c_t)$$
#
# Each of the four has its own weights. They are side by side in `W_x`, `W_h` and `B`. So one
# product computes all four sums, and `np.split` takes them apart.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTMNode:
    gates = 4
    states = 2

    def forward(self, x, states, p):
        self.x, (self.h_in, self.c_in) = x, states
        sums = np.split(x @ p["W_x"] + self.h_in @ p["W_h"] + p["B"], 4, axis=1)
        self.f, self.i, self.o = sigmoid(sums[0]), sigmoid(sums[1]), sigmoid(sums[3])
        self.c_bar = np.tanh(sums[2])
        self.c = self.f * self.c_in + self.i * self.c_bar
        self.h = self.o * np.tanh(self.c)
        return self.h, self.c

    def backward(self, state_grads, p, grads):
        h_grad, c_grad = state_grads
        shown = np.tanh(self.c)
        c_grad = c_grad + h_grad * self.o * (1 - shown**2)  # the cell is used twice
        inner_grads = [
            c_grad * self.c_in * self.f * (1 - self.f),
            c_grad * self.c_bar * self.i * (1 - self.i),
            c_grad * self.i * (1 - self.c_bar**2),
            h_grad * shown * self.o * (1 - self.o),
        ]
        inner_grad = np.concatenate(inner_grads, axis=1)
        x_grad, h_in_grad = back_to_inputs(inner_grad, self.x, self.h_in, p, grads)
        return x_grad, (h_in_grad, c_grad * self.f)


# %% [markdown]
# ## 4. One step of a GRU
#
# A *gated recurrent unit* (GRU) has one state. The update gate $u$ mixes the old state with a
# candidate $\bar h$. The reset gate $r$ controls how much of the old state goes into the candidate:
#
# $$r, u = \sigma(\dots), \qquad \bar h = \tanh\big(x_t W_{xh} + (r\,h_{t-1}) W_{hh} + B_h\big)$$
#
# $$h_t = u\,h_{t-1} + (1-u)\,\bar h$$
#
# The old state is used four times: in both gates, in the candidate, and in the mixture. So its
# gradient is a sum of four terms. (The book's listing computes $u$ from the sums of $r$, and leaves
# out one of the four terms; [ERRATA](../ERRATA.md) shows both mistakes.)


# %%
class GRUNode:
    gates = 3
    states = 1

    def forward(self, x, states, p):
        self.x, (self.h_in,) = x, states
        W_r, W_u, W_h = np.split(p["W_h"], 3, axis=1)
        x_r, x_u, x_h = np.split(x @ p["W_x"] + p["B"], 3, axis=1)
        self.r = sigmoid(x_r + self.h_in @ W_r)
        self.u = sigmoid(x_u + self.h_in @ W_u)
        self.h_bar = np.tanh(x_h + (self.r * self.h_in) @ W_h)
        return (self.u * self.h_in + (1 - self.u) * self.h_bar,)

    def backward(self, state_grads, p, grads):
        (h_grad,) = state_grads
        W_r, W_u, W_h = np.split(p["W_h"], 3, axis=1)
        in_h = h_grad * (1 - self.u) * (1 - self.h_bar**2)
        in_u = h_grad * (self.h_in - self.h_bar) * self.u * (1 - self.u)
        in_r = (in_h @ W_h.T) * self.h_in * self.r * (1 - self.r)
        inner_grad = np.concatenate([in_r, in_u, in_h], axis=1)
        grads["W_x"] += self.x.T @ inner_grad
        grads["B"] += inner_grad.sum(axis=0, keepdims=True)
        grads["W_h"] += np.concatenate(
            [self.h_in.T @ in_r, self.h_in.T @ in_u, (self.r * self.h_in).T @ in_h], axis=1
        )
        h_in_grad = h_grad * self.u + in_r @ W_r.T + in_u @ W_u.T + (in_h @ W_h.T) * self.r
        return inner_grad @ p["W_x"].T, (h_in_grad,)


# %% [markdown]
# ## 5. A layer: the same node at every step
#
# A layer goes through the sequence. It has one node for each step, because each node keeps the
# values that its backward pass needs. At every step it also computes an output from the state, $y_t
# = h_t W_v + B_v$.
#
# The backward pass begins at the last step. The gradient of a state is the sum of two gradients:
# one from the output at that step, one from the next step. This is called *backpropagation through
# time*.
#
# The first state comes from the batch before: as in the book, each sequence begins with the mean of
# the final states of that batch.


# %%
class RecurrentLayer:
    def __init__(self, node, features, hidden, outputs, rng):
        self.node, self.hidden = node, hidden
        width = node.gates * hidden
        shapes = {
            "W_x": (features, width),
            "B": (1, width),
            "W_h": (hidden, width),
            "W_v": (hidden, outputs),
            "B_v": (1, outputs),
        }
        self.params = {name: 0.1 * rng.standard_normal(shape) for name, shape in shapes.items()}
        self.start = tuple(np.zeros(hidden) for _ in range(node.states))

    def forward(self, x):
        self.nodes, self.h = [], []
        states = tuple(np.tile(state, (len(x), 1)) for state in self.start)
        for t in range(x.shape[1]):
            self.nodes.append(self.node())
            states = self.nodes[t].forward(x[:, t], states, self.params)
            self.h.append(states[0])
        self.start = tuple(state.mean(axis=0) for state in states)
        return np.stack(self.h, axis=1) @ self.params["W_v"] + self.params["B_v"]

    def backward(self, output_grad):
        p = self.params
        self.grads = {name: np.zeros_like(param) for name, param in p.items()}
        state_grads = tuple(np.zeros_like(self.h[0]) for _ in range(self.node.states))
        x_grads = []
        for t in reversed(range(len(self.nodes))):
            self.grads["W_v"] += self.h[t].T @ output_grad[:, t]
            self.grads["B_v"] += output_grad[:, t].sum(axis=0, keepdims=True)
            h_grad = state_grads[0] + output_grad[:, t] @ p["W_v"].T  # later steps, and the output
            state_grads = (h_grad, *state_grads[1:])
            x_grad, state_grads = self.nodes[t].backward(state_grads, p, self.grads)
            x_grads.insert(0, x_grad)
        return np.stack(x_grads, axis=1)


# %% [markdown]
# Are the gradients right? `check_gradients` compares all six with finite differences, for each kind
# of node: the gradient of the input, and those of the five parameters.

# %%
NODES = {"RNN": RNNNode, "LSTM": LSTMNode, "GRU": GRUNode}
NAMES = ["W_x", "B", "W_h", "W_v", "B_v"]


def as_functions(node):
    """Return forward and backward of a small layer as functions of its input and parameters."""

    def run(x, *params):
        layer = RecurrentLayer(node, 3, 4, 2, np.random.default_rng(0))
        layer.params = dict(zip(NAMES, params))
        return layer, layer.forward(x)

    def backward(grad, x, *params):
        layer, _ = run(x, *params)
        x_grad = layer.backward(grad)
        return [x_grad, *(layer.grads[name] for name in NAMES)]

    return lambda x, W_x, B, W_h, W_v, B_v: run(x, W_x, B, W_h, W_v, B_v)[1], backward


rng = np.random.default_rng(1)
for name, node in NODES.items():
    small = RecurrentLayer(node, 3, 4, 2, rng)
    inputs = (rng.standard_normal((2, 5, 3)), *(small.params[key] for key in NAMES))
    report = check_gradients(as_functions(node), inputs)
    print(f"{name:<5} all six gradients are {report.verdict}")
    assert report, report

# %% [markdown]
# ## 6. The model: layers and a loss
#
# The outputs are *logits*: numbers of any size, which softmax turns into probabilities of the next
# character. The loss is the cross-entropy, $-\ln p$, where $p$ is the probability of the character
# that really comes next. Its unit is the *nat*, the unit of natural logarithms.
#
# As in the book, the gradient is that of the *sum* over all characters of the batch, not of their
# mean. So the steps are larger, and the learning rate must be smaller.


# %%
class Model:
    def __init__(self, layers, size):
        self.layers, self.size = layers, size

    def forward(self, x):
        x = one_hot(x, self.size)
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def single_step(self, x, y):
        """Compute all gradients for a batch; return the mean loss, in nats per character."""
        logits = self.forward(x)
        logits = logits - logits.max(axis=-1, keepdims=True)  # no overflow in exp
        shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        truth = one_hot(y, self.size)
        grad = shares - truth
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return -np.mean(np.log(shares[truth == 1]))


# %% [markdown]
# ## 7. AdaGrad
#
# Some characters are rare, so some weights seldom have a gradient that is not 0. The optimizer
# AdaGrad adapts the step size of each weight $w$. With $g$ for its gradient and $\eta$ for the
# learning rate, it adds up the squares of all gradients so far in $s$,
#
# $$s \leftarrow s + \varepsilon + g^2, \qquad w \leftarrow w - \eta\,\frac{g}{\sqrt{s}},$$
#
# and divides by the root of the sum. A weight with many large gradients soon takes small steps; a
# weight with few gradients keeps taking large ones. All steps become smaller with time.
# ($\varepsilon = 10^{-7}$ prevents a division by 0.)
#
# Gradients through many steps are sometimes very large. So each number of the gradient is first
# limited to the range from -2 to 2. This is called *gradient clipping*.


# %%
class OurAdaGrad:
    def __init__(self, lr=0.01, eps=1e-7, limit=2.0):
        self.lr, self.eps, self.limit = lr, eps, limit
        self.sums = {}

    def step(self, layers):
        for number, layer in enumerate(layers):
            for name, param in layer.params.items():
                grad = np.clip(layer.grads[name], -self.limit, self.limit)
                squares = self.sums.setdefault((number, name), np.zeros_like(param))
                squares += self.eps + grad**2
                param -= self.lr * grad / np.sqrt(squares)


# %% [markdown]
# The picture shows the steps for two weights. One has a gradient of 1 in every batch, the other in
# three batches only:

# %% tags=["hide-input"]
gradients = np.zeros((60, 2))
gradients[:, 0] = 1.0  # a gradient at every step
gradients[9::20, 1] = 1.0  # one at three steps only
sums = np.cumsum(1e-7 + gradients**2, axis=0)
steps = 0.1 * gradients / np.sqrt(sums)

fig, axes = plt.subplots(1, 2, figsize=(7, 2.8), dpi=90, layout="constrained", sharey=True)
for ax, column, title in zip(axes, (0, 1), ("a frequent character", "a rare character")):
    ax.stem(range(1, 61), steps[:, column], linefmt=BLUE, markerfmt=" ", basefmt=GREY)
    ax.set(title=title, xlabel="batch")
axes[0].set_ylabel("AdaGrad's step, lr = 0.1")
plt.show()
assert steps[-1, 0] < 0.02
assert steps[49, 1] > 0.05

# %% [markdown]
# ## 8. The trainer
#
# A batch consists of pieces of the text. Each piece begins one character after the one before it,
# and the next batch goes on in the same way. The target of a piece is the piece that begins one
# character later: at every step, the network predicts the next character.


# %%
class OurTrainer:
    def __init__(self, text, model, optim, length, batch_size):
        characters = sorted(set(text))
        self.indices = np.array([characters.index(character) for character in text])
        self.model, self.optim = model, optim
        self.length, self.batch_size = length, batch_size

    def train(self, iterations):
        losses, start = [], 0
        for _ in range(iterations):
            begins = start + np.arange(self.batch_size)
            places = begins[:, None] + np.arange(self.length)
            losses.append(self.model.single_step(self.indices[places], self.indices[places + 1]))
            self.optim.step(self.model.layers)
            start += self.batch_size
        return losses


# %%
text = sonnets()
size = len(Vocabulary.of(text))
LENGTH, BATCH, HIDDEN, ITERATIONS = 25, 16, 32, 150


def train_ours(nodes, seed=3):
    """Train layers of these kinds; return the first weights, the first gradients, the losses."""
    rng = np.random.default_rng(seed)
    features, layers = size, []
    for number, node in enumerate(nodes):
        outputs = size if number == len(nodes) - 1 else HIDDEN
        layers.append(RecurrentLayer(node, features, HIDDEN, outputs, rng))
        features = outputs
    first = [{name: param.copy() for name, param in layer.params.items()} for layer in layers]
    trainer = OurTrainer(text, Model(layers, size), OurAdaGrad(lr=0.05), LENGTH, BATCH)
    losses = trainer.train(1)
    grads = [layer.grads for layer in layers]
    trainer.model = Model(copies(nodes, first), size)
    trainer.optim = OurAdaGrad(lr=0.05)
    return first, grads, trainer.train(ITERATIONS), losses[0]


def copies(nodes, weights):
    """Return new layers with these weights."""
    layers = []
    for node, params in zip(nodes, weights):
        features, outputs = params["W_x"].shape[0], params["W_v"].shape[1]
        layer = RecurrentLayer(node, features, HIDDEN, outputs, np.random.default_rng(0))
        layer.params = {name: param.copy() for name, param in params.items()}
        layers.append(layer)
    return layers


ours = {name: train_ours([node]) for name, node in NODES.items()}
for name, (_, _, losses, _) in ours.items():
    print(f"{name:<5} first loss {losses[0]:.3f}, mean of the last 20: {np.mean(losses[-20:]):.3f}")
    assert losses[0] > 3.9
    assert np.mean(losses[-20:]) < 3.1

# %% [markdown]
# If all 62 characters have the same probability, 1/62, the loss is $\ln 62 = 4.13$ nats. All three
# networks learn.
#
# ## 9. The same from dlfs
#
# `RNNModel` and `RNNTrainer` of the library have the book's names and arguments. We give their
# layers our first weights. Then the gradients of the first batch must be equal to 12 digits, and
# the losses must stay equal (to 8 digits, because rounding errors grow) for the whole training.

# %%
LAYERS = {"RNN": RNNLayer, "LSTM": LSTMLayer, "GRU": GRULayer}


def train_theirs(kinds, weights, iterations=ITERATIONS):
    layers = []
    for kind, params in zip(kinds, weights):
        layers.append(kind(hidden_size=HIDDEN, output_size=params["W_v"].shape[1]))
    model = RNNModel(layers, sequence_length=LENGTH, vocab_size=size)
    trainer = RNNTrainer(None, model, AdaGrad(lr=0.05, gradient_clipping=True), batch_size=BATCH)
    model.build((LENGTH,))
    for layer, params in zip(layers, weights):
        for name, slot in layer.params_dict().items():
            slot["value"][...] = params[name]
    return model, trainer, trainer.train(iterations, sample_every=iterations, verbose=0)


def compare(nodes, kinds, result):
    first, grads, losses, _ = result
    model, _, _ = train_theirs(kinds, first, 1)
    apart = 0.0
    for layer, own in zip(model.layers, grads):
        for name, theirs in zip(NAMES, layer.param_grads):
            scale = np.abs(own[name]).max()
            apart = max(apart, np.abs(own[name] - theirs).max() / scale)
    _, _, theirs = train_theirs(kinds, first)
    return apart, np.array(losses), np.array(theirs)


compared = {}
for name in NODES:
    apart, own, theirs = compare([NODES[name]], [LAYERS[name]], ours[name])
    compared[name] = own, theirs
    curve = np.abs(own - theirs).max()
    print(
        f"{name:<5} gradients apart by {apart:.0e}, losses of {ITERATIONS} batches by {curve:.0e}"
    )
    assert apart < 1e-12, apart
    assert abs(own[0] - theirs[0]) < 1e-12
    assert curve < 1e-8, curve

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 3.2), dpi=90, layout="constrained")
for (name, (own, theirs)), color in zip(compared.items(), (GREY, BLUE, ORANGE)):
    ax.plot(own, color=color, linewidth=4, alpha=0.35, label=f"{name}, ours")
    ax.plot(theirs, color=color, linewidth=1, label=f"{name}, dlfs")
ax.set(xlabel="batch", ylabel="loss, nats per character")
ax.set_title("The library's curves are the same as ours")
ax.legend(ncols=3, frameon=False, fontsize=8)
ax.grid(alpha=0.25)
plt.show()

# %% [markdown]
# The formulas and the weights are the same; only rounding differs, in the last of 16 digits. What
# does the library add? It computes all steps of a sequence in one call, which is many times faster.
# It takes rows from the weights instead of multiplying by zeros. And it checks its arguments.
#
# ## 10. Stacked layers
#
# The outputs of a layer are a sequence again, so another layer can read them. The book stacks a GRU
# and an LSTM. Our classes need no change: `Model` gives the gradient of the second layer's input to
# the first layer.

# %%
stacks = {
    "LSTM on LSTM": ["LSTM", "LSTM"],
    "LSTM on GRU": ["GRU", "LSTM"],
    "GRU on RNN": ["RNN", "GRU"],
}
for title, names in stacks.items():
    nodes, kinds = [NODES[name] for name in names], [LAYERS[name] for name in names]
    apart, own, theirs = compare(nodes, kinds, train_ours(nodes))
    print(
        f"{title:<13} gradients apart by {apart:.0e}, losses by {np.abs(own - theirs).max():.0e}, "
        f"mean of the last 20: {own[-20:].mean():.3f}"
    )
    assert apart < 1e-12, apart
    assert np.abs(own - theirs).max() < 1e-7

# %% [markdown]
# ## 11. Exercises
#
# Replace each `...`, run the cell, and then run the check below it.
#
# ### 1. Count the parameters
#
# An `LSTMLayer` reads 62 characters, has 256 numbers in its state, and 62 outputs. How many numbers
# does it learn?

# %% tags=["exercise:parameters"]
parameters = ...

# %%
check(
    "parameters",
    parameters,
    4 * (62 * 256 + 256 * 256 + 256) + 256 * 62 + 62,
    hint="W_x, W_h and B are four times as wide as the state; W_v and B_v make the output.",
    rtol=1e-9,
)

# %% [markdown] tags=["solution:parameters"]
# <details><summary>Solution</summary>
#
# ```python
# parameters = 4 * (62 * 256 + 256 * 256 + 256) + (256 * 62 + 62)
# ```
# </details>

# %% [markdown]
# ### 2. A node with ReLU
#
# The derivative of $\tanh$ is below 1, so gradients become small over many steps. Write a node with
# ReLU in its place, whose derivative is 0 or 1:
# $h_t = \max(0,\; x_t W_x + h_{t-1} W_h + B)$. `back_to_inputs` does the last part.


# %% tags=["exercise:relu"]
class ReLUNode:
    gates = 1
    states = 1

    def forward(self, x, states, p): ...

    def backward(self, state_grads, p, grads): ...


# %%
def relu_is_right(node):
    layer = RecurrentLayer(node, 3, 4, 2, np.random.default_rng(5))
    x = np.random.default_rng(6).standard_normal((2, 1, 3))
    layer.forward(x)
    expected = np.maximum(0, x[:, 0] @ layer.params["W_x"] + layer.params["B"])
    if not np.allclose(layer.h[0], expected):
        return "The state is not right: with the first state 0 it is max(0, x W_x + B)."
    draw = np.random.default_rng(7).standard_normal
    params = [draw(layer.params[name].shape) for name in NAMES]
    return check_gradients(as_functions(node), (draw((2, 4, 3)), *params))


check(
    "relu",
    ReLUNode,
    relu_is_right,
    hint="RNNNode does the same; the derivative of ReLU is 1 where the state is above 0.",
)

# %% [markdown] tags=["solution:relu"]
# <details><summary>Solution</summary>
#
# ```python
# class ReLUNode:
#     gates = 1
#     states = 1
#
#     def forward(self, x, states, p):
#         self.x, (self.h_in,) = x, states
#         self.h = np.maximum(0, x @ p["W_x"] + self.h_in @ p["W_h"] + p["B"])
#         return (self.h,)
#
#     def backward(self, state_grads, p, grads):
#         (h_grad,) = state_grads
#         inner_grad = h_grad * (self.h > 0)
#         x_grad, h_in_grad = back_to_inputs(inner_grad, self.x, self.h_in, p, grads)
#         return x_grad, (h_in_grad,)
# ```
# </details>

# %% [markdown]
# ### 3. Two steps of AdaGrad
#
# A weight is 1.0. Its gradient is 3.0 in the first batch and 4.0 in the second, without clipping.
# What is the weight after both steps with $\eta = 0.5$? (Ignore $\varepsilon$.)

# %% tags=["exercise:adagrad"]
weight = ...

# %%
check(
    "adagrad",
    weight,
    1.0 - 0.5 - 0.5 * 4 / 5,
    hint="Add up the squares of all gradients so far; divide each step by the root of that sum.",
)

# %% [markdown] tags=["solution:adagrad"]
# <details><summary>Solution</summary>
#
# The first step always has the size of the learning rate, because $g / \sqrt{g^2}$ is 1 or -1.
#
# ```python
# weight = 1.0 - 0.5 * 3 / np.sqrt(9) - 0.5 * 4 / np.sqrt(9 + 16)
# ```
# </details>
