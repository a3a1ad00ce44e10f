# ---
# jupyter:
#   dlfs: {backends: [fast]}
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 7: the book's layers and trainer on PyTorch, written out
#
# `dlfs.pytorch` has the book's `DenseLayer`, `ConvLayer`, `DeconvLayer`, `LSTMLayer` and
# `PyTorchTrainer`. Here you write them yourself: each takes a few lines, because PyTorch has the
# parts. You also meet two parts that most programs with PyTorch use, the `DataLoader` and the
# scheduler `ExponentialLR`. At the end the library trains the same networks from the same weights,
# and both must give the same losses.
#
# You need chapters 3, 5 and 6, the first two sections of [Code](Code.ipynb), and PyTorch.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, TensorDataset

import dlfs.pytorch as library
from dlfs import datasets
from dlfs.exercises import check
from dlfs.plots import BLUE, GREY
from dlfs.text import Vocabulary, windows

plt.rcParams.update({"figure.figsize": (7, 2.6), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
# With 64 bits the two trainings can be compared to 12 digits.
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 1. A layer is a row of modules
#
# A *module* is PyTorch's word for what we call an Operation or a Layer: it has a `forward`, and may
# have parameters. `nn.Sequential` applies modules one after the other. A layer of the book is
# such a row: first the weights, then an activation, then, if asked for, flattening and dropout.
#
# Modules have a mode. In training, `nn.Dropout` sets numbers to 0 at random; after
# `module.train(False)` it does nothing. The book's layers take `inference=True` for that. The book
# says how much dropout *keeps* and PyTorch how much it *drops*, so we pass `1 - dropout`.


# %%
class Layer(nn.Module):
    def __init__(self, weights, activation=None, flatten=False, dropout=1.0):
        super().__init__()
        modules = [weights]
        if activation is not None:
            modules.append(activation)
        if flatten:
            modules.append(nn.Flatten())
        self.modules_in_order = nn.Sequential(*modules, nn.Dropout(1 - dropout))

    def forward(self, x, inference=False):
        self.train(not inference)
        return self.modules_in_order(x)


class DenseLayer(Layer):
    def __init__(self, input_size, neurons, **options):
        super().__init__(nn.Linear(input_size, neurons), **options)


torch.manual_seed(0)
layer = DenseLayer(3, 2, activation=nn.Tanh())
print(layer(torch.ones(4, 3)).shape)
print([(name, tuple(param.shape)) for name, param in layer.named_parameters()])

# %% [markdown]
# There is no `backward`. PyTorch finds the gradients from the forward pass, as `ArrayWithGrad` does
# in chapter 6. It also found the two parameters: a module that is an attribute of another module
# brings its parameters along.
#
# ## 2. ConvLayer
#
# Only the weights differ. An odd filter with half its size as padding keeps the image's size
# (chapter 5).


# %%
class ConvLayer(Layer):
    def __init__(self, in_channels, out_channels, filter_size, **options):
        padding = filter_size // 2
        weights = nn.Conv2d(in_channels, out_channels, filter_size, padding=padding)
        super().__init__(weights, **options)


images = torch.randn(2, 1, 28, 28)
print(ConvLayer(1, 6, 5, activation=nn.Tanh())(images).shape)
print(ConvLayer(1, 6, 5, activation=nn.Tanh(), flatten=True)(images).shape)

# %% [markdown]
# ## 3. DeconvLayer
#
# An *autoencoder* first makes a small code from an image, and then an image from the code. For the
# second half it needs a layer that goes the other way: from features to pixels. The **transposed
# convolution** does this. Where a convolution reads a patch and writes one number, the transposed
# convolution reads one number and writes a patch: the number times the kernel. Patches overlap, and
# where they do, they are added.


# %%
def stamp(x, W):
    """A transposed convolution of one channel, without padding."""
    height, width = x.shape[0] + W.shape[0] - 1, x.shape[1] + W.shape[1] - 1
    y = torch.zeros(height, width)
    for p, q in np.ndindex(*x.shape):
        y[p : p + W.shape[0], q : q + W.shape[1]] += x[p, q] * W
    return y


few = torch.zeros(4, 4)
few[0, 0], few[2, 2] = 1.0, 0.6
W = torch.tensor([[0.2, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 0.2]])
stamped = stamp(few, W)
from_torch = nn.functional.conv_transpose2d(few[None, None], W[None, None])[0, 0]
print("PyTorch gives the same:", torch.allclose(stamped, from_torch))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, width_ratios=(4, 3, 6))
titles = "two numbers", "the kernel", "two stamps, added"
for ax, numbers, title in zip(axes, (few, W, stamped), titles):
    ax.imshow(numbers, cmap="Blues", vmin=0, vmax=1.6)
    for (i, j), number in np.ndenumerate(numbers.numpy()):
        ax.text(j, i, f"{number:.1f}", ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
assert torch.allclose(stamped, from_torch)

# %% [markdown]
# The output is larger than the input. For a transposed convolution *padding* means that this many
# rows and columns are cut off at each side. So the same padding as before keeps the image's size.
# [Math](Math.ipynb), section 5, explains the name: as a matrix it is the transpose of a
# convolution.


# %%
class DeconvLayer(Layer):
    def __init__(self, in_channels, out_channels, filter_size, **options):
        padding = filter_size // 2
        sizes = in_channels, out_channels, filter_size
        super().__init__(nn.ConvTranspose2d(*sizes, padding=padding), **options)


features = ConvLayer(1, 6, 5, activation=nn.Tanh())(images)
print(tuple(features.shape), "->", tuple(DeconvLayer(6, 1, 5)(features).shape))

# %% [markdown]
# ## 4. LSTMLayer
#
# `nn.LSTM` goes through a whole sequence. It takes the input and the first states $h$ and $c$, and
# returns the states $h_t$ of all steps, and the last $h$ and $c$. A dense layer then turns every
# $h_t$ into an output.
#
# As in chapter 6, each batch begins with the mean of the states in which the batch before ended.
# `detach` cuts the kept states off from the graph: without it, `backward` would go back through all
# batches so far. (The argument `sequence_length` is the book's; the layer takes any length.)


# %%
class LSTMLayer(nn.Module):
    def __init__(self, sequence_length, input_size, hidden_size, output_size):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.dense = DenseLayer(hidden_size, output_size)
        self.h = self.c = torch.zeros(1, 1, hidden_size)

    def forward(self, x, inference=False):
        self.train(not inference)
        h, c = (state.repeat(1, len(x), 1) for state in (self.h, self.c))
        every_h, (h, c) = self.lstm(x, (h, c))
        if not inference:
            self.h = h.detach().mean(dim=1, keepdim=True)
            self.c = c.detach().mean(dim=1, keepdim=True)
        return self.dense(every_h, inference)


characters = torch.randn(2, 25, 62)  # batch, time, features
print(LSTMLayer(25, 62, 16, 62)(characters).shape)

# %% [markdown]
# ## 5. Batches, and the DataLoader
#
# A trainer needs batches in a new random order in each epoch. This class gives them to a `for`
# loop:


# %%
class Batches:
    def __init__(self, X, y, size=32, shuffle=True, seed=1):
        self.X, self.y, self.size, self.shuffle = X, y, size, shuffle
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self):
        order = torch.arange(len(self.X))
        if self.shuffle:
            order = torch.randperm(len(self.X), generator=self.generator)
        for rows in order.split(self.size):
            yield self.X[rows], self.y[rows]


X, y = torch.arange(10.0).reshape(10, 1), torch.arange(10)
ours = Batches(X, y, size=4)
for epoch in (1, 2):
    print("epoch", epoch, [batch_y.tolist() for _, batch_y in ours])

# %% [markdown]
# PyTorch has the same in two parts. A *dataset* returns one observation by its number;
# `TensorDataset` does so for tensors. A `DataLoader` draws the order and puts observations together
# in batches. For data that do not fit into memory you write a dataset of your own, which reads one
# file for each observation. The loader can then read ahead in several processes (`num_workers`).

# %%
loader = DataLoader(TensorDataset(X, y), batch_size=4, shuffle=True)
for epoch in (1, 2):
    print("epoch", epoch, [batch_y.tolist() for _, batch_y in loader])


# %% tags=["remove-cell"]
for batches in (ours, loader):
    pairs = [(int(a), int(b)) for batch in batches for a, b in zip(*batch)]
    assert sorted(pairs) == [(i, i) for i in range(10)]

# %% [markdown]
# ## 6. A falling rate: ExponentialLR
#
# `ExponentialLR` multiplies the learning rate $\eta$ by a factor $\gamma$ (gamma) after each epoch.
# After $e$ epochs
#
# $$ \eta_e = \eta_0 \, \gamma^e $$
#
# The book's trainer is given the rate of the last epoch, $\eta_{E-1}$ for $E$ epochs. So
#
# $$ \gamma = \left( \frac{\eta_{E-1}}{\eta_0} \right)^{1 / (E-1)} $$

# %%
first, final, epochs = 0.1, 0.001, 21
gamma = (final / first) ** (1 / (epochs - 1))
by_formula = [first * gamma**e for e in range(epochs)]

optim = SGD([nn.Parameter(torch.zeros(1))], lr=first)
scheduler = ExponentialLR(optim, gamma=gamma)
by_torch = []
for _ in range(epochs):
    by_torch.append(optim.param_groups[0]["lr"])
    optim.step()  # in a training: all batches of the epoch
    scheduler.step()
print(f"gamma {gamma:.4f}, first rate {by_torch[0]}, last rate {by_torch[-1]:.4f}")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2)
for ax, scale in zip(axes, ("linear", "log")):
    ax.plot(by_formula, color=BLUE, linewidth=4, alpha=0.35, label="formula")
    ax.plot(by_torch, ".", color=BLUE, label="ExponentialLR")
    ax.plot(np.linspace(first, final, epochs), color=GREY, label="linear decay (chapter 4)")
    ax.set(xlabel="epoch", ylabel="learning rate", yscale=scale)
axes[0].legend(frameon=False)
plt.show()
assert np.allclose(by_formula, by_torch, rtol=1e-12)

# %% [markdown]
# On a logarithmic axis the rate falls along a straight line. It spends as many epochs between 0.1
# and 0.01 as between 0.01 and 0.001.
#
# ## 7. The trainer
#
# The loop has five lines for each batch. The first clears the gradients, because `backward` *adds*
# to them. `torch.no_grad()` says that no graph is needed, which saves time and memory.
#
# Our trainer takes any batches that a `for` loop can go through: those of section 5, or a
# `DataLoader`.


# %%
class Trainer:
    def __init__(self, model, optim, loss):
        self.model, self.optim, self.loss = model, optim, loss

    def fit(self, batches, X_test, y_test, epochs, final_lr=None):
        if final_lr is not None:
            start = self.optim.param_groups[0]["lr"]
            gamma = (final_lr / start) ** (1 / (epochs - 1))
            scheduler = ExponentialLR(self.optim, gamma=gamma)
        losses = []
        for _ in range(epochs):
            for X_batch, y_batch in batches:
                self.optim.zero_grad()
                prediction = self.model(X_batch)
                loss = self.loss(prediction, y_batch)
                loss.backward()
                self.optim.step()
            if final_lr is not None:
                scheduler.step()
            losses.append(self.test_loss(X_test, y_test))
        return losses

    def test_loss(self, X, y):
        with torch.no_grad():
            return self.loss(self.model(X, inference=True), y).item()


# %% [markdown]
# ## 8. The same from dlfs
#
# A model is a row of layers here. The function below builds one from our layers or from the
# library's, which have the same names and arguments. Both get the same weights, and the same seed
# for dropout. Then both train on 1,000 digits for four epochs.


# %%
class Model(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x, inference=False):
        for layer in self.layers:
            x = layer(x, inference)
        return x


def digits_model(conv_layer, dense_layer):
    torch.manual_seed(1)  # the same first weights for both
    return Model(
        conv_layer(1, 4, 5, activation=nn.Tanh(), dropout=0.8, flatten=True),
        dense_layer(4 * 28 * 28, 10),
    )


mnist = datasets.mnist(scaling="standard")
X = torch.tensor(mnist.X_train[:1000]).double()
y = torch.tensor(mnist.y_train[:1000]).long()
X_test = torch.tensor(mnist.X_test[:500]).double()
y_test = torch.tensor(mnist.y_test[:500]).long()

model = digits_model(ConvLayer, DenseLayer)
optim = SGD(model.parameters(), lr=0.05, momentum=0.9)
trainer = Trainer(model, optim, nn.CrossEntropyLoss())
torch.manual_seed(2)
ours = trainer.fit(Batches(X, y, size=50), X_test, y_test, epochs=4, final_lr=0.005)

model = digits_model(library.ConvLayer, library.DenseLayer)
optim = SGD(model.parameters(), lr=0.05, momentum=0.9)
trainer = library.PyTorchTrainer(model, optim, nn.CrossEntropyLoss())
torch.manual_seed(2)
options = {"epochs": 4, "eval_every": 1, "batch_size": 50, "final_lr_exp": 0.005}
trainer.fit(X, y, X_test, y_test, **options, verbose=False)
theirs = [loss for _, loss in trainer.losses]
print("ours  ", *(f"{loss:.12f}" for loss in ours))
print("theirs", *(f"{loss:.12f}" for loss in theirs))

# %% tags=["remove-cell"]
assert np.allclose(ours, theirs, rtol=1e-10), (ours, theirs)
assert ours[-1] < 0.6, ours

# %% [markdown]
# The losses are equal. With PyTorch's `DataLoader` the digits come in another order, so the losses
# are similar but not equal:

# %%
model = digits_model(ConvLayer, DenseLayer)
optim = SGD(model.parameters(), lr=0.05, momentum=0.9)
trainer = Trainer(model, optim, nn.CrossEntropyLoss())
loader = DataLoader(TensorDataset(X, y), batch_size=50, shuffle=True)
losses = trainer.fit(loader, X_test, y_test, epochs=4, final_lr=0.005)
print("DataLoader", *(f"{loss:.3f}" for loss in losses))

# %% [markdown]
# Now an LSTM that guesses the next character of the sonnets. `windows` (chapter 6) cuts the text
# into pieces of 25 characters and their targets. The carried state needs the batches in their
# order, so nothing is shuffled.


# %%
text = datasets.sonnets()[:2600]
vocabulary = Vocabulary.of(text)
X_text, y_text = (torch.tensor(part) for part in windows(vocabulary.encode(text), 25))
X_text = nn.functional.one_hot(X_text, len(vocabulary)).double()
cut = 2000


def text_model(lstm_layer):
    torch.manual_seed(1)
    return lstm_layer(25, len(vocabulary), 32, len(vocabulary))


def cross_entropy(prediction, target):
    """The loss with the characters on the last axis; PyTorch expects the classes on the second."""
    return nn.functional.cross_entropy(prediction.permute(0, 2, 1), target)


model = text_model(LSTMLayer)
trainer = Trainer(model, Adam(model.parameters(), lr=0.01), cross_entropy)
batches = Batches(X_text[:cut], y_text[:cut], shuffle=False)
ours = trainer.fit(batches, X_text[cut:], y_text[cut:], epochs=3)

model = text_model(library.LSTMLayer)
trainer = library.PyTorchTrainer(model, Adam(model.parameters(), lr=0.01), cross_entropy)
data = X_text[:cut], y_text[:cut], X_text[cut:], y_text[cut:]
trainer.fit(*data, epochs=3, eval_every=1, shuffle=False, verbose=False)
theirs = [loss for _, loss in trainer.losses]
print("ours  ", *(f"{loss:.12f}" for loss in ours))
print("theirs", *(f"{loss:.12f}" for loss in theirs))

# %% tags=["remove-cell"]
assert np.allclose(ours, theirs, rtol=1e-9), (ours, theirs)
assert ours[-1] < ours[0], ours

# %% [markdown]
# And an autoencoder: a convolution, and a transposed convolution back. It learns to return its own
# input. [Code](Code.ipynb) has a larger one, with a narrow code in the middle.


# %%
def autoencoder(conv_layer, deconv_layer):
    torch.manual_seed(1)
    return Model(conv_layer(1, 4, 5, activation=nn.Tanh()), deconv_layer(4, 1, 5))


model = autoencoder(ConvLayer, DeconvLayer)
trainer = Trainer(model, Adam(model.parameters(), lr=0.003), nn.MSELoss())
ours = trainer.fit(Batches(X, X), X_test, X_test, epochs=2)

model = autoencoder(library.ConvLayer, library.DeconvLayer)
trainer = library.PyTorchTrainer(model, Adam(model.parameters(), lr=0.003), nn.MSELoss())
trainer.fit(X, X, X_test, X_test, epochs=2, eval_every=1, verbose=False)
theirs = [loss for _, loss in trainer.losses]
print("ours  ", *(f"{loss:.12f}" for loss in ours))
print("theirs", *(f"{loss:.12f}" for loss in theirs))

# %% tags=["remove-cell"]
assert np.allclose(ours, theirs, rtol=1e-10), (ours, theirs)
assert ours[-1] < 0.3, ours

# %% [markdown]
# What do the library's classes add? They check their arguments and say what is wrong, measure test
# losses in parts to save memory, and can be converted to networks of dlfs and back
# ([Code](Code.ipynb), section 7).
#
# ## 9. Exercises
#
# Replace each `...`, run the cell, then run the check below it.
#
# ### 1. The last rate
#
# `ExponentialLR` begins with a rate of 0.2 and has $\gamma = 0.9$. What is the rate of the tenth
# epoch?

# %% tags=["exercise:rate"]
tenth_rate = ...

# %%
check(
    "rate",
    tenth_rate,
    0.2 * 0.9**9,
    hint="The first epoch has the rate 0.2. How often is it multiplied before the tenth?",
    rtol=1e-6,
)

# %% [markdown] tags=["solution:rate"]
# <details><summary>Solution</summary>
#
# ```python
# tenth_rate = 0.2 * 0.9**9
# ```
# </details>

# %% [markdown]
# ### 2. One step
#
# Write the step of a training for one batch, and return the loss as a Python number.


# %% tags=["exercise:step"]
def step(model, optim, loss, X, y): ...


# %%
def right_step(attempt):
    torch.manual_seed(3)
    model, expected = nn.Linear(2, 1), nn.Linear(2, 1)
    expected.load_state_dict(model.state_dict())
    optim = SGD(model.parameters(), lr=0.1)
    X, y = torch.randn(2, 5, 2), torch.randn(2, 5, 1)
    for X_batch, y_batch in zip(X, y):
        result = nn.functional.mse_loss(expected(X_batch), y_batch)
        grads = torch.autograd.grad(result, list(expected.parameters()))
        with torch.no_grad():
            for param, grad in zip(expected.parameters(), grads):
                param -= 0.1 * grad
        value = attempt(model, optim, nn.functional.mse_loss, X_batch, y_batch)
        if not isinstance(value, float):
            return "It must return a number, not a tensor."
        if abs(value - result.item()) > 1e-12:
            return "The loss of the second batch is not right: the first step did not fit."
    same = all(map(torch.allclose, model.parameters(), expected.parameters()))
    return same or "The second step is not right: are the first gradients still there?"


check("step", step, right_step, hint="Five lines, as in Trainer.fit: the first is zero_grad.")

# %% [markdown] tags=["solution:step"]
# <details><summary>Solution</summary>
#
# ```python
# def step(model, optim, loss, X, y):
#     optim.zero_grad()
#     value = loss(model(X), y)
#     value.backward()
#     optim.step()
#     return value.item()
# ```
# </details>
