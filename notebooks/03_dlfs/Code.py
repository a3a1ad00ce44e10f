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
# about 150 lines of NumPy. With them you train three models on house prices. Then you train the
# same models with `dlfs`, and get the same numbers.
#
# You need NumPy, matrix multiplication, and the chain rule (chapters 1 and 2).

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

import dlfs
from dlfs.classroom.cells import plot_style
from dlfs.datasets import boston
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.plots import BLUE, GREY, ORANGE, plot_chain

plot_style()

# %% [markdown]
# ## 1. Operation: one step forward, one step backward
#
# A network is made of Operations. Forward, an Operation turns an input array into an output array.
# Backward, it receives the gradient of the loss with respect to its *output*, and returns the
# gradient with respect to its *input*. It needs its input and output for that, so it stores them.
#
# The code has *type hints*: `input_: Array` says that an argument is an array, and `-> Array` says
# that the result is one. Python does not check them. They tell a reader, an editor or a tool such
# as mypy what goes in and what comes out.

# %%
Array = np.ndarray


def assert_same_shape(gradient: Array, array: Array) -> None:
    assert gradient.shape == array.shape, f"gradient {gradient.shape}, array {array.shape}"


class Operation:
    def forward(self, input_: Array) -> Array:
        self.input_ = input_
        self.output = self._output()
        return self.output

    def backward(self, output_grad: Array) -> Array:
        assert_same_shape(output_grad, self.output)
        self.input_grad = self._input_grad(output_grad)
        assert_same_shape(self.input_grad, self.input_)
        return self.input_grad

    def _output(self) -> Array:
        raise NotImplementedError

    def _input_grad(self, output_grad: Array) -> Array:
        raise NotImplementedError


# %% [markdown]
# A subclass writes two methods: `_output` and `_input_grad`. The **sigmoid** turns any number into
# one between 0 and 1, and its derivative needs only its own output. `Linear` changes nothing.


# %%
class Sigmoid(Operation):
    def _output(self) -> Array:
        return 1.0 / (1.0 + np.exp(-1.0 * self.input_))

    def _input_grad(self, output_grad: Array) -> Array:
        return self.output * (1.0 - self.output) * output_grad


class Linear(Operation):
    def _output(self) -> Array:
        return self.input_

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad


# %% tags=["hide-input"]
sigmoid = Sigmoid()
x = np.linspace(-6, 6, 121)
y = sigmoid.forward(x)
slope = sigmoid.backward(np.ones_like(x))

figure, ax = plt.subplots()
ax.plot(x, y, color=BLUE, label="forward: sigmoid(x)")
ax.plot(x, slope, color=ORANGE, label="backward: its derivative")
ax.set(xlabel="x", title="Where the sigmoid is flat, the gradient is nearly 0")
ax.legend()
plt.show()

# %% [markdown]
# ### Why assert equal shapes?
#
# A gradient has one number for each number of its array, so it must have the same shape. A wrong
# shape is the most frequent mistake in a backward pass. Without the assertion it is often not
# noticed, because broadcasting (chapter 1) makes an array of another shape fit. Here the prediction
# is a row by mistake. The difference of a row and a column becomes a table, and the mean of the
# table is a plausible number:

# %%
target = np.array([[1.0], [2.0], [3.0]])  # shape (3, 1)
prediction = np.array([1.5, 2.0, 2.5])  # shape (3,), by mistake
error = prediction - target
print("shape of the error:", error.shape)
print(f"its mean square: {np.mean(error**2):.3f}")
print(f"correct:         {np.mean((prediction - target[:, 0]) ** 2):.3f}")

try:
    assert_same_shape(prediction, target)
except AssertionError as message:
    print("the assertion says:", message)

# %% [markdown]
# ## 2. ParamOperation: an Operation that can learn
#
# Some Operations have a **parameter**: an array of numbers that training changes. Their backward
# pass computes a second gradient, that of the loss with respect to the parameter.


# %%
class ParamOperation(Operation):
    def __init__(self, param: Array) -> None:
        self.param = param

    def backward(self, output_grad: Array) -> Array:
        input_grad = super().backward(output_grad)
        self.param_grad = self._param_grad(output_grad)
        assert_same_shape(self.param_grad, self.param)
        return input_grad

    def _param_grad(self, output_grad: Array) -> Array:
        raise NotImplementedError


class WeightMultiply(ParamOperation):
    def _output(self) -> Array:
        return np.dot(self.input_, self.param)

    def _input_grad(self, output_grad: Array) -> Array:
        return np.dot(output_grad, self.param.T)

    def _param_grad(self, output_grad: Array) -> Array:
        return np.dot(self.input_.T, output_grad)


# %% [markdown]
# The bias is one row that is added to every observation (every row of the input). So the gradient
# of each of its entries is a sum over the batch.


# %%
class BiasAdd(ParamOperation):
    def _output(self) -> Array:
        return self.input_ + self.param

    def _input_grad(self, output_grad: Array) -> Array:
        return np.ones_like(self.input_) * output_grad

    def _param_grad(self, output_grad: Array) -> Array:
        return np.sum(output_grad, axis=0).reshape(1, -1)


# %% [markdown]
# ## 3. A chain of Operations
#
# A layer of neurons computes three Operations, one after the other. Forward (blue), the output of
# each is the input of the next. Backward (orange), the gradient goes through them in the opposite
# order, and each parameter on the way gets its own gradient.

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

grad = rng.standard_normal(output.shape)  # instead of the gradient of a loss
for operation in reversed(chain):
    grad = operation.backward(grad)

plot_chain(chain)

# %% [markdown]
# Are the gradients correct? `check_gradients` changes every entry of the input and of the weights a
# little, and compares the change of the output with the gradient. You give it the forward pass and
# the backward pass as functions.


# %%
def forward(x, W):
    return WeightMultiply(W).forward(x)


def backward(output_grad, x, W):
    multiply = WeightMultiply(W)
    multiply.forward(x)
    return multiply.backward(output_grad), multiply.param_grad


report = check_gradients((forward, backward), (batch[:4], chain[0].param))
report

# %% tags=["remove-cell"]
assert report.passed

# %% [markdown]
# ## 4. Layer: a chain with its parameters
#
# A layer is such a chain. How many weights it needs depends on the number of features. So it
# creates its weights when the first batch shows how many features there are.


# %%
class Layer:
    def __init__(self, neurons: int) -> None:
        self.neurons = neurons
        self.first = True

    def forward(self, input_: Array) -> Array:
        if self.first:
            self._setup_layer(input_)
            self.first = False
        self.input_ = input_
        for operation in self.operations:
            input_ = operation.forward(input_)
        self.output = input_
        return self.output

    def backward(self, output_grad: Array) -> Array:
        for operation in reversed(self.operations):
            output_grad = operation.backward(output_grad)
        with_params = [op for op in self.operations if isinstance(op, ParamOperation)]
        self.param_grads = [operation.param_grad for operation in with_params]
        return output_grad

    def _setup_layer(self, input_: Array) -> None:
        raise NotImplementedError


# %% [markdown]
# `Dense` connects every input with every neuron. A function such as the sigmoid at the end of a
# layer is its **activation**. We draw the weights as the book's listing does: from NumPy's old
# global random generator, which each layer starts again from the *same* seed. This reproduces the
# book's results to the last digit. It is also a trap, as section 10 shows.


# %%
class Dense(Layer):
    def __init__(self, neurons: int, activation: Operation) -> None:
        super().__init__(neurons)
        self.activation = activation

    def _setup_layer(self, input_: Array) -> None:
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
# ## 5. Loss: one number that says how wrong the predictions are
#
# The backward pass begins at the loss. It turns predictions and targets into one number. Its
# `backward` returns the gradient of that number with respect to each prediction.


# %%
class Loss:
    def forward(self, prediction: Array, target: Array) -> float:
        assert_same_shape(prediction, target)
        self.prediction, self.target = prediction, target
        self.output = self._output()
        return self.output

    def backward(self) -> Array:
        self.input_grad = self._input_grad()
        assert_same_shape(self.input_grad, self.prediction)
        return self.input_grad

    def _output(self) -> float:
        raise NotImplementedError

    def _input_grad(self) -> Array:
        raise NotImplementedError


class MeanSquaredError(Loss):
    def _output(self) -> float:
        return np.sum(np.power(self.prediction - self.target, 2)) / self.prediction.shape[0]

    def _input_grad(self) -> Array:
        return 2.0 * (self.prediction - self.target) / self.prediction.shape[0]


# %% [markdown]
# ## 6. NeuralNetwork: layers and a loss


# %%
class NeuralNetwork:
    def __init__(self, layers: list[Layer], loss: Loss, seed: int) -> None:
        self.layers, self.loss = layers, loss
        for layer in layers:
            layer.seed = seed

    def forward(self, x_batch: Array) -> Array:
        for layer in self.layers:
            x_batch = layer.forward(x_batch)
        return x_batch

    def train_batch(self, x_batch: Array, y_batch: Array) -> float:
        loss = self.loss.forward(self.forward(x_batch), y_batch)
        grad = self.loss.backward()
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return loss

    def params(self) -> list[Array]:
        return [param for layer in self.layers for param in layer.params]

    def param_grads(self) -> list[Array]:
        return [grad for layer in self.layers for grad in layer.param_grads]


# %% [markdown]
# `train_batch` is all of **backpropagation**: forward pass, loss, backward pass. After it, every
# parameter has its gradient, and no parameter has changed yet.
#
# ## 7. Optimizer: from a gradient to a step
#
# An optimizer changes the parameters. `SGD`, stochastic gradient descent, takes a small step
# against the gradient; the **learning rate** `lr` says how small. It changes the arrays in place.
# The Operations hold the same arrays, so they use the new values.


# %%
class SGD:
    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr

    def step(self) -> None:
        for param, grad in zip(self.net.params(), self.net.param_grads()):
            param -= self.lr * grad


# %% [markdown]
# ## 8. Trainer: epochs and batches
#
# The trainer goes through the data once in each **epoch**, in a new order, batch by batch. After
# every `eval_every` epochs it computes the loss on the test data, which is never used for training.


# %%
class Trainer:
    def __init__(self, net: NeuralNetwork, optim: SGD) -> None:
        self.net, self.optim = net, optim
        optim.net = net

    def fit(
        self,
        X: Array,
        y: Array,
        X_test: Array,
        y_test: Array,
        epochs: int = 50,
        eval_every: int = 10,
        batch_size: int = 32,
        seed: int = 1,
    ) -> list[float]:
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
# The library is complete. Now we use it.
#
# ## 9. Three models of house prices
#
# The data is that of chapter 2: 506 districts of Boston in 1970, 13 features for each, and the
# median price of a house in thousands of dollars. One of the features encodes the race of the
# residents, so no conclusion about houses can be drawn from such a model. It is used here because
# the book's figures come from it.
#
# Each feature gets mean 0 and standard deviation 1, and 30 % of the districts are kept for testing.
# (The book calls scikit-learn for both. These lines compute the same.)

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
# Linear regression is a network of one layer without an activation. The neural network has a hidden
# layer before it, and the deep neural network has two. The other settings are the book's: learning
# rate 0.01, 50 epochs, batches of 32, seed 20190501.

# %%
SEED = 20190501


def make(hidden: int, seed: int = SEED) -> NeuralNetwork:
    layers = [Dense(13, Sigmoid()) for _ in range(hidden)] + [Dense(1, Linear())]
    return NeuralNetwork(layers, MeanSquaredError(), seed)


def errors(net: NeuralNetwork) -> tuple[float, float]:
    difference = net.forward(X_test) - y_test
    return np.mean(np.abs(difference)), np.sqrt(np.mean(difference**2))


names = ["linear regression", "neural network", "deep neural network"]
nets, curves = [make(hidden) for hidden in range(3)], []

print(f"{'':<22}{'mean absolute error':>22}{'root mean squared error':>26}")
for name, net in zip(names, nets):
    curves.append(Trainer(net, SGD(lr=0.01)).fit(X_train, y_train, X_test, y_test, seed=SEED))
    mae, rmse = errors(net)
    print(f"{name:<22}{mae:>22.2f}{rmse:>26.2f}")

# %% tags=["remove-cell"]
book = [(3.52, 5.01), (2.60, 4.03), (2.45, 3.83)]
assert [tuple(np.round(errors(net), 2)) for net in nets] == book
nets_params = [[param.copy() for param in net.params()] for net in nets]

# %% [markdown]
# These are the book's figures, to the last digit.

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4))
for name, losses, color in zip(names, curves, (GREY, BLUE, ORANGE)):
    axes[0].plot(range(10, 51, 10), losses, "o-", color=color, label=name)
axes[0].set(xlabel="epoch", ylabel="test loss", title="Loss on the test districts")
axes[0].legend(fontsize=8)

axes[1].plot([0, 52], [0, 52], color=GREY, linewidth=1)
axes[1].scatter(y_test, nets[0].forward(X_test), s=9, color=GREY, label="linear")
axes[1].scatter(y_test, nets[2].forward(X_test), s=9, color=ORANGE, label="deep")
axes[1].set(xlabel="true price", ylabel="predicted price", title="Prices in $1000, test districts")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Look at the expensive districts, on the right. The predictions of linear regression are too low
# there: a linear model that reached them would be wrong about all others. The deep network is not
# linear, and comes closer.

# %%
expensive = np.argsort(y_test.ravel())[-15:]
too_low = [np.mean(y_test[expensive] - net.forward(X_test[expensive])) for net in nets]
for name, error in zip(names, too_low):
    print(f"{name:<20} too low by ${1000 * error:,.0f} on average, 15 most expensive districts")

# %% tags=["remove-cell"]
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
# We follow the gradient of one batch back through a *new* deep network. Each row of a picture is an
# observation, each column a neuron. Where it is red, a larger value of the neuron lowers the loss;
# where it is blue, it raises the loss. Read from the loss (right) to the data (left), and compare
# the mean sizes in the titles. A product with the weights makes the gradient larger here, because
# the weights were drawn with standard deviation 1. A sigmoid makes it smaller, because its slope is
# at most 1/4.

# %% tags=["hide-input"]
fresh = make(2)
fresh.train_batch(X_train[:32], y_train[:32])
operations = [operation for layer in fresh.layers for operation in layer.operations]
shown = [op for op in operations if isinstance(op, WeightMultiply | Sigmoid)]

figure, axes = plt.subplots(1, 5, figsize=(8, 3.6))
for ax, operation in zip(axes, shown):
    grad = operation.input_grad
    limit = np.abs(grad).max()
    ax.imshow(-grad, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set_title(f"into\n{type(operation).__name__}\nmean size {np.abs(grad).mean():.4f}", size=8)
    ax.set(xticks=[], yticks=[])
axes[0].set_ylabel("observations")
figure.supxlabel("the loss is on the right: the gradient flows to the left", size=9)
plt.show()
size = [np.abs(op.input_grad).mean() for op in shown]
assert max(size[3] / size[4], size[1] / size[2]) < 1 / 4  # a sigmoid's slope is at most that
assert min(size[2] / size[3], size[0] / size[1]) > 1

# %% [markdown]
# ### The surface of the loss
#
# The loss is a function of all weights: 378 numbers for the deep network. We cannot draw that, but
# we can draw the loss on a plane. One axis of the plane goes from the start (the weights that were
# drawn) to the end of training. The other one is a random direction. (The orange line is straight.
# The weights did not follow it: training leaves this plane, and comes back to it at the end.)


# %% tags=["hide-input"]
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

figure, ax = plt.subplots(figsize=(7, 3.6))
levels = np.geomspace(height.min() * 1.02, height.max(), 18)
filled = ax.contourf(a, b, height, levels=levels, cmap="viridis", norm="log")
ax.contour(a, b, height, levels=levels, colors="white", linewidths=0.3)
ax.plot([0, 1], [0, 0], "o-", color=ORANGE, markersize=7)
ax.annotate("start", (0, 0), (-0.05, 0.12), color="white", ha="center")
ax.annotate("after 50 epochs", (1, 0), (1, 0.12), color="white", ha="center")
ax.set(xlabel="from the start to the end", ylabel="random direction", title="Training loss")
ax.grid(False)
figure.colorbar(filled, ax=ax, format="%.0f")
plt.show()
assert height[16, 28] < 0.2 * height[16, 8]  # (1, 0) against (0, 0)

# %% [markdown]
# ## 10. The same with dlfs
#
# `dlfs` has the same classes with the same names. It adds speed, checks of every argument, and
# saving.
#
# Two networks that start from the same weights and get the same batches must end at the same
# weights, except for rounding. So we write the book's `Dense` once more, as a layer of `dlfs`: it
# draws the same weights, and the library does the arithmetic. Our own `Trainer` can train this
# network, too.

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


# %% tags=["hide-input"]
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
            print(f"{backend:<10}{name:<20} RMSE {rmse:.2f}, largest difference {apart:.0e}")
            assert round(rmse, 2) == book[hidden][1], rmse
            assert apart < 1e-6, apart
            np.testing.assert_allclose(losses, curves[hidden], rtol=1e-8)

# %% [markdown]
# A *backend* is a set of functions that do the arithmetic: in NumPy (`reference`), or compiled
# (`fast`, and `plain`, a simple version). Each rounds the last of 16 digits in its own way, and
# these differences grow in 600 steps. They stay far too small to change a result.
#
# ### With the random numbers of dlfs
#
# Now we use `dlfs` as intended: with its own random numbers and its own Trainer. The book's weights
# have the standard deviation 1, and so do those of `weight_init="standard"`; chapter 4 says why the
# default is different. The result of one training depends on its seed, so we train with five seeds.


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


medians = []
for hidden, name in enumerate(names):
    results = sorted(train(hidden, seed) for seed in range(5))
    medians.append(results[2])
    print(f"{name:<20} median RMSE {results[2]:.2f} of", ", ".join(f"{r:.2f}" for r in results))

# %% tags=["remove-cell"]
assert [round(median, 2) for median in medians] == [5.12, 4.03, 4.06], medians

# %% [markdown]
# The medians are 5.12, 4.03 and 4.06. A hidden layer lowers the error by more than 1000 dollars. A
# second hidden layer does not lower it further, as far as five seeds can show. In the book it did,
# but that was one training. Always compare models by several trainings.
#
# ### The trap of the shared seed
#
# In the book, all layers start from the same seed. So two layers of the same shape begin with the
# *same weights*, and the deep network has two such layers. In `dlfs`, each layer has its own random
# numbers.


# %%
def first_weights(net):
    return [param for param in net.params() if param.shape == (13, 13)]


shared, own = make(2), make_dlfs(2, SEED)
shared.forward(X_train[:1])
own.build((13,))
print("Do both hidden layers start with the same weights?")
print("book:", np.array_equal(*first_weights(shared)))
print("dlfs:", np.array_equal(*first_weights(own)))

# %% tags=["remove-cell"]
assert np.array_equal(*first_weights(shared))
assert not np.array_equal(*first_weights(own))

# %% [markdown]
# ## Exercises
#
# Replace the `...` and run the cell, then the check below it. A wrong answer gets a hint.
#
# ### 1. Another activation
#
# The hyperbolic tangent is an S-shaped curve from -1 to 1. With $y = \tanh(x)$ its derivative is
# $1 - y^2$. Write it as an Operation of ours.


# %% tags=["exercise:tanh"]
class Tanh(Operation):
    def _output(self): ...

    def _input_grad(self, output_grad): ...


# %% tags=["hide-input"]
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
# `Scale` multiplies each feature by its own number. Its parameter has the shape (1, features), like
# a bias.


# %% tags=["exercise:scale"]
class Scale(ParamOperation):
    def _output(self): ...

    def _input_grad(self, output_grad): ...

    def _param_grad(self, output_grad): ...


# %% tags=["hide-input"]
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
# ### 3. A loss for data with outliers
#
# Some prices in the data are cut off at 50. Squared error gives such rows a large weight. Write the
# mean absolute error, which gives them less: the sum of $|p - t|$ over all entries, divided by the
# number of rows.


# %% tags=["exercise:absolute"]
class MeanAbsoluteError(Loss):
    def _output(self): ...

    def _input_grad(self): ...


# %% tags=["hide-input"]
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
# A network has 20 inputs, a `Dense(50)`, a `Dense(30)` and a `Dense(1)`. How many numbers does it
# learn? Answer without running the network.

# %% tags=["exercise:count"]
parameters = ...

# %%
check("count", parameters, 20 * 50 + 50 + 50 * 30 + 30 + 30 * 1 + 1, hint="Count the biases, too.")

# %% [markdown] tags=["solution:count"]
# <details><summary>Solution</summary>
#
# Each layer has inputs x neurons weights and one bias for each neuron.
#
# ```python
# parameters = (20 * 50 + 50) + (50 * 30 + 30) + (30 * 1 + 1)
# ```
# </details>

# %% [markdown]
# ## What comes next
#
# [Math](Math.ipynb) derives every gradient of this chapter. Chapter 4 trains the same classes on
# handwritten digits, and asks why training is sometimes slow, and what helps.
