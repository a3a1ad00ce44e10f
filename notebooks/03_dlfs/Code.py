# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 3: a deep learning library from nothing
#
# You write the classes that every deep learning library has, from `Operation` to `Trainer`, in
# about 150 lines of NumPy, and train three models on house prices with them. Then you train the
# same models with `dlfs` and get the same numbers.
#
# You need: NumPy, matrix multiplication, and the chain rule (chapters 1 and 2).

# %%
import matplotlib.pyplot as plt
import numpy as np

import dlfs
from dlfs.datasets import boston
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE, plot_chain

# %% [markdown]
# ## 1. Operation: one step forward, one step backward
#
# Everything in a neural network is an Operation: an array goes in, an array comes out. Backward, it
# is told how much the loss changes with its *output*, and answers how much the loss changes with
# its *input*. For that it must remember what went through it.


# %%
class Operation:
    def forward(self, input_):
        self.input_ = input_
        self.output = self._output()
        return self.output

    def backward(self, output_grad):
        assert output_grad.shape == self.output.shape
        self.input_grad = self._input_grad(output_grad)
        assert self.input_grad.shape == self.input_.shape
        return self.input_grad


# %% [markdown]
# The two shape checks look harmless. They catch most mistakes you will ever make here: a gradient
# always has the shape of the thing that it belongs to.
#
# A subclass writes two methods: `_output` and `_input_grad`. The sigmoid squeezes any number
# between 0 and 1; its derivative happens to need only its own output.


# %%
class Sigmoid(Operation):
    def _output(self):
        return 1.0 / (1.0 + np.exp(-1.0 * self.input_))

    def _input_grad(self, output_grad):
        return self.output * (1.0 - self.output) * output_grad


class Linear(Operation):
    def _output(self):
        return self.input_

    def _input_grad(self, output_grad):
        return output_grad


# %%
sigmoid = Sigmoid()
x = np.linspace(-6, 6, 121)
y = sigmoid.forward(x)
slope = sigmoid.backward(np.ones_like(x))

figure, ax = plt.subplots(figsize=(7, 3), dpi=90, layout="constrained")
ax.plot(x, y, color=BLUE, label="forward: sigmoid(x)")
ax.plot(x, slope, color=ORANGE, label="backward: its derivative")
ax.set(xlabel="x", title="Where the sigmoid is flat, hardly any gradient gets through")
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 2. ParamOperation: an Operation that can learn
#
# Some Operations hold a parameter: numbers that training may change. They answer a second question
# on the way back: how much does the loss change with the *parameter*?


# %%
class ParamOperation(Operation):
    def __init__(self, param):
        self.param = param

    def backward(self, output_grad):
        input_grad = super().backward(output_grad)
        self.param_grad = self._param_grad(output_grad)
        assert self.param_grad.shape == self.param.shape
        return input_grad


class WeightMultiply(ParamOperation):
    def _output(self):
        return np.dot(self.input_, self.param)

    def _input_grad(self, output_grad):
        return np.dot(output_grad, self.param.T)

    def _param_grad(self, output_grad):
        return np.dot(self.input_.T, output_grad)


# %% [markdown]
# The bias is one row that is added to every observation. So each of its entries changes the output
# once for each observation, and its gradient is the sum over the batch.


# %%
class BiasAdd(ParamOperation):
    def _output(self):
        return self.input_ + self.param

    def _input_grad(self, output_grad):
        return np.ones_like(self.input_) * output_grad

    def _param_grad(self, output_grad):
        return np.sum(output_grad, axis=0).reshape(1, -1)


# %% [markdown]
# ## 3. A chain of Operations
#
# Three of them, one after the other, are what a layer of neurons computes. Forward, each hands its
# output to the next (blue); backward, the gradient takes the same way in the other direction
# (orange), and drops off a gradient at every parameter that it passes.

# %%
rng = np.random.default_rng(0)
chain = [
    WeightMultiply(rng.standard_normal((13, 5))),
    BiasAdd(rng.standard_normal((1, 5))),
    Sigmoid(),
]
batch = rng.standard_normal((23, 13))

output = batch
for operation in chain:
    output = operation.forward(output)

grad = rng.standard_normal(output.shape)  # as if a loss had sent it
for operation in reversed(chain):
    grad = operation.backward(grad)

plot_chain(chain)

# %% [markdown]
# Is it right? Never trust a gradient that nobody has checked. `check_gradients` moves every entry
# of the input and of the weights a little and looks what happens to the output. You give it the two
# directions as functions.


# %%
def backward(output_grad, x, W):
    multiply = WeightMultiply(W)
    multiply.forward(x)
    return multiply.backward(output_grad), multiply.param_grad


report = check_gradients(
    (lambda x, W: WeightMultiply(W).forward(x), backward), (batch[:4], chain[0].param)
)
assert report.passed
report

# %% [markdown]
# ## 4. Layer: a chain that sets itself up
#
# A layer is such a chain. How many weights it needs it only knows when the first batch arrives, so
# it waits until then.


# %%
class Layer:
    def __init__(self, neurons):
        self.neurons = neurons
        self.first = True

    def forward(self, input_):
        if self.first:
            self._setup_layer(input_)
            self.first = False
        self.input_ = input_
        for operation in self.operations:
            input_ = operation.forward(input_)
        self.output = input_
        return self.output

    def backward(self, output_grad):
        for operation in reversed(self.operations):
            output_grad = operation.backward(output_grad)
        with_params = [op for op in self.operations if isinstance(op, ParamOperation)]
        self.param_grads = [operation.param_grad for operation in with_params]
        return output_grad


# %% [markdown]
# `Dense` connects every input with every neuron. Here we draw the weights exactly as the book's
# listing does: from NumPy's old global random stream, started anew from the *same* seed in each
# layer. That is how we will meet the book's results to the digit. It is also a trap, as you will
# see in section 10.


# %%
class Dense(Layer):
    def __init__(self, neurons, activation):
        super().__init__(neurons)
        self.activation = activation

    def _setup_layer(self, input_):
        np.random.seed(self.seed)
        self.params = [
            np.random.randn(input_.shape[1], self.neurons),
            np.random.randn(1, self.neurons),
        ]
        self.operations = [
            WeightMultiply(self.params[0]),
            BiasAdd(self.params[1]),
            self.activation,
        ]


# %% [markdown]
# ## 5. Loss: one number for how wrong we are
#
# The loss is where the backward way begins: it turns predictions and targets into one number, and
# says how that number changes with each prediction.


# %%
class Loss:
    def forward(self, prediction, target):
        assert prediction.shape == target.shape
        self.prediction, self.target = prediction, target
        self.output = self._output()
        return self.output

    def backward(self):
        self.input_grad = self._input_grad()
        assert self.input_grad.shape == self.prediction.shape
        return self.input_grad


class MeanSquaredError(Loss):
    def _output(self):
        return np.sum(np.power(self.prediction - self.target, 2)) / self.prediction.shape[0]

    def _input_grad(self):
        return 2.0 * (self.prediction - self.target) / self.prediction.shape[0]


# %% [markdown]
# The check on shapes matters here more than anywhere: a prediction of shape (32, 1) minus a target
# of shape (32,) would silently become a 32 x 32 matrix.
#
# ## 6. NeuralNetwork: layers and a loss


# %%
class NeuralNetwork:
    def __init__(self, layers, loss, seed):
        self.layers, self.loss = layers, loss
        for layer in layers:
            layer.seed = seed

    def forward(self, x_batch):
        for layer in self.layers:
            x_batch = layer.forward(x_batch)
        return x_batch

    def train_batch(self, x_batch, y_batch):
        loss = self.loss.forward(self.forward(x_batch), y_batch)
        grad = self.loss.backward()
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return loss

    def params(self):
        return [param for layer in self.layers for param in layer.params]

    def param_grads(self):
        return [grad for layer in self.layers for grad in layer.param_grads]


# %% [markdown]
# `train_batch` is the whole of backpropagation: forward, loss, backward. After it every parameter
# knows its gradient. Nothing has changed yet.
#
# ## 7. Optimizer: from a gradient to a step
#
# `SGD`, stochastic gradient descent, walks a little against the gradient. It changes the arrays in
# place, so the Operations, which hold the same arrays, see the change.


# %%
class SGD:
    def __init__(self, lr=0.01):
        self.lr = lr

    def step(self):
        for param, grad in zip(self.net.params(), self.net.param_grads(), strict=True):
            param -= self.lr * grad


# %% [markdown]
# ## 8. Trainer: the loop around it all
#
# Each epoch goes once through the data, in a new order, batch by batch. Every `eval_every` epochs
# we look at the loss on data that the network never learns from.


# %%
class Trainer:
    def __init__(self, net, optim):
        self.net, self.optim = net, optim
        optim.net = net

    def fit(self, X, y, X_test, y_test, epochs=50, eval_every=10, batch_size=32, seed=1):
        np.random.seed(seed)
        losses = []
        for epoch in range(1, epochs + 1):
            order = np.random.permutation(len(X))
            X, y = X[order], y[order]
            for start in range(0, len(X), batch_size):
                stop = start + batch_size
                self.net.train_batch(X[start:stop], y[start:stop])
                self.optim.step()
            if epoch % eval_every == 0:
                losses.append(self.net.loss.forward(self.net.forward(X_test), y_test))
        return losses


# %% [markdown]
# That is the library. The rest is use.
#
# ## 9. Three models of house prices
#
# The data: 506 districts of Boston in 1970, 13 features each, and the median price of a house in
# thousands of dollars. One of the features encodes race, and the study built an assumption about it
# into the data: nothing about houses can be concluded from such a model. It is here because the
# book's figures come from it.
#
# Each feature gets mean 0 and deviation 1, and 30 % of the districts are kept for testing. (The
# book calls scikit-learn for both; this is what those calls do.)

# %%
houses = boston()
X = (houses.X - houses.X.mean(axis=0)) / houses.X.std(axis=0)
y = houses.y.reshape(-1, 1)

order = np.random.RandomState(80718).permutation(len(X))
held_out = int(np.ceil(0.3 * len(X)))
X_test, y_test = X[order[:held_out]], y[order[:held_out]]
X_train, y_train = X[order[held_out:]], y[order[held_out:]]
X_train.shape, X_test.shape

# %% [markdown]
# Linear regression is a network of one layer without an activation. A neural network has a hidden
# layer in front of it, a deep one has two.

# %%
SEED = 20190501


def make(hidden, seed=SEED):
    layers = [Dense(13, Sigmoid()) for _ in range(hidden)] + [Dense(1, Linear())]
    return NeuralNetwork(layers, MeanSquaredError(), seed)


def errors(net):
    difference = net.forward(X_test) - y_test
    return np.mean(np.abs(difference)), np.sqrt(np.mean(difference**2))


# %%
names = ["linear regression", "neural network", "deep neural network"]
book = [(3.52, 5.01), (2.60, 4.03), (2.45, 3.83)]
nets, curves = [make(hidden) for hidden in range(3)], []

print(f"{'':<22}{'mean absolute error':>22}{'root mean squared error':>26}")
for name, net, printed in zip(names, nets, book, strict=True):
    curves.append(Trainer(net, SGD(lr=0.01)).fit(X_train, y_train, X_test, y_test, seed=SEED))
    mae, rmse = errors(net)
    print(f"{name:<22}{mae:>22.2f}{rmse:>26.2f}")
    assert (round(mae, 2), round(rmse, 2)) == printed, (mae, rmse)
nets_params = [[param.copy() for param in net.params()] for net in nets]

# %% [markdown]
# These are the book's figures, to the digit: 5.01, 4.03 and 3.83 thousand dollars. The settings are
# the book's too: learning rate 0.01, 50 epochs, batches of 32, seed 20190501.

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.4), dpi=90, layout="constrained")
for name, losses, color in zip(names, curves, (GREY, BLUE, ORANGE), strict=True):
    axes[0].plot(range(10, 51, 10), losses, "o-", color=color, label=name)
axes[0].set(xlabel="epoch", ylabel="test loss", title="Learning")
axes[0].legend(frameon=False, fontsize=8)

axes[1].plot([0, 52], [0, 52], color=GREY, linewidth=1)
axes[1].scatter(y_test, nets[0].forward(X_test), s=9, color=GREY, label="linear")
axes[1].scatter(y_test, nets[2].forward(X_test), s=9, color=ORANGE, label="deep")
axes[1].set(xlabel="true price", ylabel="predicted price", title="Prices in $1000, test districts")
axes[1].legend(frameon=False, fontsize=8)
for ax in axes:
    ax.grid(alpha=0.25)
plt.show()

# %% [markdown]
# Look at the dear houses: no straight line reaches up to them, as a line that did would be wrong
# about all others. The deep network bends, and comes closer.

# %%
dear = np.argsort(y_test.ravel())[-15:]
too_low = [np.mean(y_test[dear] - net.forward(X_test[dear])) for net in nets]
for name, error in zip(names, too_low, strict=True):
    print(f"{name:<20} too low by ${1000 * error:,.0f} on average, for the 15 dearest districts")
assert too_low[0] > 1.5 * too_low[2]

# %% [markdown]
# This is the deep network and its loss, after its last batch:

# %%
deep = nets[2]
deep.train_batch(X_train[:32], y_train[:32])
plot_chain([*deep.layers, deep.loss])

# %% [markdown]
# ### How a gradient flows
#
# Let us follow one batch's gradient back through a *new* deep network. Each row of a picture is an
# observation, each column a neuron; red pushes the neuron's value up, blue down. Read from the loss
# (right) to the data (left), and compare the mean sizes above: the weights mix the columns and make
# the gradient larger, as they were drawn with size 1; each sigmoid lets only a part of it through.

# %%
fresh = make(2)
fresh.train_batch(X_train[:32], y_train[:32])
operations = [operation for layer in fresh.layers for operation in layer.operations]
shown = [op for op in operations if isinstance(op, WeightMultiply | Sigmoid)]

figure, axes = plt.subplots(1, 5, figsize=(7.5, 3.6), dpi=90, layout="constrained")
for ax, operation in zip(axes, shown, strict=True):
    grad = operation.input_grad
    limit = np.abs(grad).max()
    ax.imshow(grad, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    ax.set_title(f"into\n{type(operation).__name__}\nmean |g| {np.abs(grad).mean():.4f}", size=8)
    ax.set(xticks=[], yticks=[])
axes[0].set_ylabel("observations")
figure.supxlabel("the loss is on the right: the gradient flows to the left", size=9)
plt.show()
size = [np.abs(op.input_grad).mean() for op in shown]
assert max(size[3] / size[4], size[1] / size[2]) < 1 / 4  # a sigmoid's slope is at most that
assert min(size[2] / size[3], size[0] / size[1]) > 1

# %% [markdown]
# ### The landscape that it walks in
#
# A loss is a function of all weights: 378 numbers for the deep network. Nobody can draw that, but
# we can cut a plane through it: from the start (where every weight was drawn) to the end of
# training, and one random direction across. (The line is the straight way from start to end.
# Training itself leaves this plane, and comes back to it at the end.)


# %%
def flat(params):
    return np.concatenate([param.ravel() for param in params])


def loss_at(net, vector):
    start = 0
    for param in net.params():
        param[...] = vector[start : start + param.size].reshape(param.shape)
        start += param.size
    return net.loss.forward(net.forward(X_train), y_train)


start, end = flat(fresh.params()), flat(deep.params())
along = end - start
across = np.random.default_rng(3).standard_normal(len(end))
across -= along * (across @ along) / (along @ along)
across *= np.linalg.norm(along) / np.linalg.norm(across)

a, b = np.linspace(-0.4, 1.6, 41), np.linspace(-1, 1, 33)
height = np.array([[loss_at(fresh, start + u * along + v * across) for u in a] for v in b])

# %%
figure, ax = plt.subplots(figsize=(7, 3.6), dpi=90, layout="constrained")
levels = np.geomspace(height.min() * 1.02, height.max(), 18)
filled = ax.contourf(a, b, height, levels=levels, cmap="viridis", norm="log")
ax.contour(a, b, height, levels=levels, colors="white", linewidths=0.3)
ax.plot([0, 1], [0, 0], "o-", color=ORANGE, markersize=7)
ax.annotate("start", (0, 0), (-0.05, 0.12), color="white", ha="center")
ax.annotate("after 50 epochs", (1, 0), (1, 0.12), color="white", ha="center")
ax.set(xlabel="along the way of the training", ylabel="across it", title="Training loss")
figure.colorbar(filled, ax=ax, format="%.0f")
plt.show()
assert height[16, 28] < 0.2 * height[16, 8]  # (1, 0) against (0, 0)

# %% [markdown]
# ## 10. The same with dlfs
#
# `dlfs` has the same classes with the same names. What we wrote above takes 150 lines; what `dlfs`
# adds is speed, checks of every argument, and saving.
#
# If two networks start from identical weights and see identical batches, they must end at identical
# weights, but for rounding. So here is the book's `Dense` once more, this time as a layer of
# `dlfs`: the same weights, but the arithmetic of the library. Our own `Trainer` does not mind whose
# network it trains.

# %%
from dlfs.dense import BiasAdd as FastBiasAdd, WeightMultiply as FastWeightMultiply


class BookDense(dlfs.Layer):
    def __init__(self, neurons, activation):
        super().__init__(neurons)
        self.activation = activation

    def _setup_layer(self, input_):
        np.random.seed(SEED)
        W, B = np.random.randn(input_.shape[1], self.neurons), np.random.randn(1, self.neurons)
        self.operations = [FastWeightMultiply(W), FastBiasAdd(B), self.activation]


def make_book(hidden):
    layers = [BookDense(13, dlfs.Sigmoid()) for _ in range(hidden)]
    return dlfs.NeuralNetwork([*layers, BookDense(1, dlfs.Linear())], dlfs.MeanSquaredError())


# %%
for backend in dlfs.available_backends():
    with dlfs.use_backend(backend):
        for hidden, name in enumerate(names):
            net = make_book(hidden)
            losses = Trainer(net, dlfs.SGD(lr=0.01)).fit(
                X_train, y_train, X_test, y_test, seed=SEED
            )
            pairs = zip(net.params(), nets_params[hidden], strict=True)
            apart = max(np.abs(p - q).max() for p, q in pairs)
            rmse = errors(net)[1]
            print(f"{backend:<10}{name:<20} RMSE {rmse:.2f}, weights apart by {apart:.0e}")
            assert round(rmse, 2) == book[hidden][1], rmse
            assert apart < 1e-6, apart
            np.testing.assert_allclose(losses, curves[hidden], rtol=1e-8)

# %% [markdown]
# Every step rounds in the last of 16 digits, one backend in another way than the other, and 600
# steps carry these differences on. They stay far below anything that you could see in a result.
#
# ### With dlfs's own random numbers
#
# Now `dlfs` as you would use it: its own random numbers, its own Trainer. The book's weights have
# the standard deviation 1, which `weight_init="standard"` asks for; chapter 4 says why the default
# is another. One training depends on its seed, so here are five of them.


# %%
def make_dlfs(hidden, seed):
    start = {"weight_init": "standard"}
    layers = [dlfs.Dense(13, activation=dlfs.Sigmoid(), **start) for _ in range(hidden)]
    return dlfs.NeuralNetwork([*layers, dlfs.Dense(1, **start)], dlfs.MeanSquaredError(), seed)


def train(hidden, seed):
    net = make_dlfs(hidden, seed)
    trainer = dlfs.Trainer(net, dlfs.SGD(lr=0.01))
    trainer.fit(X_train, y_train, X_test, y_test, epochs=50, eval_every=10, seed=seed, verbose=0)
    return errors(net)[1]


results = {hidden: [train(hidden, seed) for seed in range(5)] for hidden in range(3)}
medians = [np.median(results[hidden]) for hidden in range(3)]
for name, printed, median, hidden in zip(names, book, medians, range(3), strict=True):
    runs = ", ".join(f"{error:.2f}" for error in sorted(results[hidden]))
    print(f"{name:<20} book {printed[1]:.2f}, median {median:.2f} of {runs}")

# %%
assert [round(median, 2) for median in medians] == [5.12, 4.03, 4.06], medians

# %% [markdown]
# The medians are 5.12, 4.03 and 4.06: against linear regression a hidden layer gains more than 1000
# dollars, but the second one gains nothing that can be told from chance. One training each, as in
# the book, made it look better. Compare models by several trainings, never by one.
#
# ### The trap of the shared seed
#
# The book's layers all start from the same seed. Two layers of the same shape then begin with the
# *same weights*, and the deep network has two of those. `dlfs` gives each layer a stream of its
# own.


# %%
def first_weights(net):
    return [param for param in net.params() if param.shape == (13, 13)]


shared, own = make(2), make_dlfs(2, SEED)
shared.forward(X_train[:1])
own.build((13,))
same = [bool(np.array_equal(*first_weights(net))) for net in (shared, own)]
print(f"Do both hidden layers start equal? The book's: {same[0]}; dlfs: {same[1]}")
assert same == [True, False]

# %% [markdown]
# ## Exercises
#
# Fill in where you see `...`, run the cell, then the check below it. A wrong answer gets a hint.
#
# ### 1. Another activation
#
# The hyperbolic tangent is an S-curve from -1 to 1. With $y = \tanh(x)$ its derivative is
# $1 - y^2$. Write it as an Operation of ours.


# %% tags=["exercise:tanh"]
class Tanh(Operation):
    def _output(self): ...

    def _input_grad(self, output_grad): ...


# %%
def run_backward(operation, output_grad, x):
    operation.forward(x)
    return (operation.backward(output_grad),)


def checked(cls):
    return check_gradients(
        (lambda x: cls().forward(x), lambda g, x: run_backward(cls(), g, x)), (batch[:3],)
    )


check(
    "tanh",
    Tanh,
    lambda cls: checked(cls) if np.allclose(cls().forward(batch), np.tanh(batch)) else "Not tanh.",
    hint="self.output is there when you go backward; do not forget to multiply by output_grad.",
)

# %% [markdown] tags=["solution:tanh"]
# <details><summary>Solution</summary>
#
# ```python
# class Tanh(Operation):
#     def _output(self):
#         return np.tanh(self.input_)
#
#     def _input_grad(self, output_grad):
#         return output_grad * (1 - self.output**2)
# ```
# </details>

# %% [markdown]
# ### 2. A scale that learns
#
# `Scale` multiplies each feature by a number of its own: the parameter has shape
# (1, features), like a bias.


# %% tags=["exercise:scale"]
class Scale(ParamOperation):
    def _output(self): ...

    def _input_grad(self, output_grad): ...

    def _param_grad(self, output_grad): ...


# %%
def scale_backward(cls, output_grad, x, param):
    scale = cls(param)
    scale.forward(x)
    return scale.backward(output_grad), scale.param_grad


check(
    "scale",
    Scale,
    lambda cls: check_gradients(
        (lambda x, p: cls(p).forward(x), lambda g, x, p: scale_backward(cls, g, x, p)),
        (batch[:4], np.linspace(0.5, 2, 13).reshape(1, 13)),
    ),
    hint="One number of the parameter meets every observation: its gradient is a sum over axis 0.",
)

# %% [markdown] tags=["solution:scale"]
# <details><summary>Solution</summary>
#
# ```python
# class Scale(ParamOperation):
#     def _output(self):
#         return self.input_ * self.param
#
#     def _input_grad(self, output_grad):
#         return output_grad * self.param
#
#     def _param_grad(self, output_grad):
#         return np.sum(output_grad * self.input_, axis=0, keepdims=True)
# ```
# </details>

# %% [markdown]
# ### 3. A loss that forgives outliers
#
# Some prices in the data are cut off at 50. Squared error punishes the model hard for missing them.
# Write the mean absolute error: the sum of $|p - t|$ over all entries, divided by the number of
# rows.


# %% tags=["exercise:absolute"]
class MeanAbsoluteError(Loss):
    def _output(self): ...

    def _input_grad(self): ...


# %%
def absolute_is_right(cls):
    loss = cls()
    p, t = batch[:5], batch[5:10]
    assert np.isclose(loss.forward(p, t), np.abs(p - t).sum() / 5), "The value is not right."
    return np.allclose(loss.backward(), np.sign(p - t) / 5)


check("absolute", MeanAbsoluteError, absolute_is_right, hint="np.sign is the derivative of np.abs.")

# %% [markdown] tags=["solution:absolute"]
# <details><summary>Solution</summary>
#
# ```python
# class MeanAbsoluteError(Loss):
#     def _output(self):
#         return np.sum(np.abs(self.prediction - self.target)) / self.prediction.shape[0]
#
#     def _input_grad(self):
#         return np.sign(self.prediction - self.target) / self.prediction.shape[0]
# ```
# </details>

# %% [markdown]
# ### 4. How many parameters?
#
# Without running it: how many numbers does a network learn that has 20 inputs, a `Dense(50)`, a
# `Dense(30)` and a `Dense(1)`?

# %% tags=["exercise:count"]
parameters = ...

# %%
check("count", parameters, 20 * 50 + 50 + 50 * 30 + 30 + 30 * 1 + 1, hint="Count the biases, too.")

# %% [markdown] tags=["solution:count"]
# <details><summary>Solution</summary>
#
# Each layer has inputs x neurons weights and one bias a neuron.
#
# ```python
# parameters = (20 * 50 + 50) + (50 * 30 + 30) + (30 * 1 + 1)
# ```
# </details>

# %% [markdown]
# ## What comes next
#
# [Math](Math.ipynb) derives every gradient of this chapter. Chapter 4 takes the same classes to
# handwritten digits, and asks why training is sometimes slow, and what to do about it.
