"""The shapes of the calls in the book's listings, with its library's name replaced by dlfs.

The networks and figures are the book's; the data is a handful of rows. Chapter 3 is regression on
houses, chapter 4 digits, chapter 5 images, chapter 6 text; then come the classes that a reader
writes on top. Where a figure is compared, the book's first weights are named: "standard".
"""

import copy
from pathlib import Path

import numpy as np
import pytest

from dlfs.activations import Linear, ReLU, Sigmoid, Tanh
from dlfs.base import Operation, ParamOperation
from dlfs.conv import Conv2D_Op
from dlfs.datasets import boston, sonnets
from dlfs.datasets.prepare import train_test_split
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.layers import Conv2D, Dense, GRULayer, Layer, LSTMLayer, RNNLayer
from dlfs.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import LayerBlock, NeuralNetwork
from dlfs.optimizers import SGD, AdaGrad, Optimizer, RegularizedSGD, SGDMomentum
from dlfs.reshape import Flatten
from dlfs.text.book import RNNModel, RNNTrainer
from dlfs.train import Trainer
from dlfs.train.metrics import mae, rmse
from dlfs.utils import mnist, np_utils
from dlfs.utils.np_utils import assert_dim, assert_same_shape, softmax, to_2d


@pytest.fixture(scope="module")
def houses():
    """The houses, standardized and split as the listing does it."""
    data = boston().data
    data = (data - data.mean(axis=0)) / data.std(axis=0)
    X_train, X_test, y_train, y_test = train_test_split(
        data, boston().target, test_size=0.3, seed=80718
    )
    return X_train, to_2d(y_train), X_test, to_2d(y_test)


@pytest.fixture(scope="module")
def digits():
    """Two hundred digits, standardized and with their labels as the listings do it."""
    X_train, y_train, X_test, y_test = mnist.load()
    X_train, y_train, X_test, y_test = X_train[:200], y_train[:200], X_test[:50], y_test[:50]
    train_labels = np.zeros((len(y_train), 10))
    for i in range(len(y_train)):
        train_labels[i][y_train[i]] = 1
    test_labels = np.zeros((len(y_test), 10))
    for i in range(len(y_test)):
        test_labels[i][y_test[i]] = 1
    X_train, X_test = X_train - np.mean(X_train), X_test - np.mean(X_train)
    X_train, X_test = X_train / np.std(X_train), X_test / np.std(X_train)
    return X_train, train_labels, X_test, test_labels


# --- chapter 3 ---


def regression(hidden: int, seed: int) -> NeuralNetwork:
    return NeuralNetwork(
        layers=[
            Dense(neurons=13, activation=Sigmoid(), weight_init="standard") for _ in range(hidden)
        ]
        + [Dense(neurons=1, activation=Linear(), weight_init="standard")],
        loss=MeanSquaredError(),
        seed=seed,
    )


def test_regression(houses, capsys) -> None:
    X_train, y_train, X_test, y_test = houses
    net = regression(hidden=1, seed=20190501)
    trainer = Trainer(net, SGD(lr=0.01))
    trainer.fit(X_train, y_train, X_test, y_test, epochs=20, eval_every=10, seed=20190501)
    assert "Validation loss after 10 epochs is" in capsys.readouterr().out
    predictions = net.forward(X_test).reshape(-1, 1)
    assert mae(y_test, predictions) < np.mean(np.abs(y_test - y_train.mean()))


@pytest.mark.parametrize(("hidden", "printed"), [(0, 5.01), (1, 4.03), (2, 3.83)])
def test_regression_is_as_good_as_the_book_prints(houses, hidden: int, printed: float) -> None:
    """The error of one training depends on its seed: the median of five is compared."""
    X_train, y_train, X_test, y_test = houses
    errors = []
    for seed in range(5):
        net = regression(hidden, seed)
        Trainer(net, SGD(lr=0.01)).fit(
            X_train,
            y_train,
            X_test,
            y_test,
            epochs=50,
            eval_every=10,
            seed=seed,
            verbose=0,
        )
        errors.append(rmse(y_test, net.forward(X_test)))
    assert np.median(errors) < printed + 0.3


def test_a_trainer_cuts_batches_as_a_generator(houses) -> None:
    X, y, *_ = houses
    trainer = Trainer(NeuralNetwork([Dense(1)], MeanSquaredError()), SGD())
    X, y = np_utils.permute_data(X, y)
    sizes = []
    for _, (X_batch, y_batch) in enumerate(trainer.generate_batches(X, y, 50)):
        trainer.net.train_batch(X_batch, y_batch)
        trainer.optim.step()
        sizes.append(len(X_batch))
    assert sizes == [50] * 7 + [4]
    default = next(iter(trainer.generate_batches(X, y)))
    assert len(default[0]) == 32
    with pytest.raises(ValueError, match="X has 354 rows, but y has 353"):
        next(trainer.generate_batches(X, y[1:]))


def test_a_network_trains_step_by_step_without_a_trainer(houses) -> None:
    X, y, *_ = houses
    net = NeuralNetwork([Dense(5, Sigmoid()), Dense(1)], MeanSquaredError(), 1)
    optim = SGD(0.01)
    setattr(optim, "net", net)  # noqa: B010 - as the listing has it
    before = net.forward_loss(X, y)
    for _ in range(20):
        loss = net.loss.forward(net.forward(X), y)
        net.backward(net.loss.backward())
        optim.step()
    assert net.forward_loss(X, y, inference=True) < loss < before
    assert [param.shape for param in net.params()] == [grad.shape for grad in net.param_grads()]


# --- chapter 4 ---

CLASSIFIERS = {
    "mean squared error": (
        lambda: [Dense(neurons=89, activation=Tanh()), Dense(neurons=10, activation=Sigmoid())],
        lambda: MeanSquaredError(normalize=False),
        lambda: SGD(0.1),
    ),
    "normalized mean squared error": (
        lambda: [Dense(neurons=89, activation=Tanh()), Dense(neurons=10, activation=Sigmoid())],
        lambda: MeanSquaredError(normalize=True),
        lambda: SGD(0.1),
    ),
    "sigmoid": (
        lambda: [Dense(neurons=89, activation=Sigmoid()), Dense(neurons=10, activation=Linear())],
        SoftmaxCrossEntropy,
        lambda: SGD(0.1),
    ),
    "momentum": (
        lambda: [Dense(neurons=89, activation=Tanh()), Dense(neurons=10, activation=Linear())],
        lambda: SoftmaxCrossEntropy(eps=1e-9),
        lambda: SGDMomentum(0.1, momentum=0.9),
    ),
    "linear decay": (
        lambda: [Dense(neurons=89, activation=ReLU()), Dense(neurons=10, activation=Linear())],
        SoftmaxCrossEntropy,
        lambda: SGDMomentum(0.15, momentum=0.9, final_lr=0.05, decay_type="linear"),
    ),
    "exponential decay, glorot": (
        lambda: [
            Dense(neurons=89, activation=Tanh(), weight_init="glorot"),
            Dense(neurons=10, activation=Linear(), weight_init="glorot"),
        ],
        SoftmaxCrossEntropy,
        lambda: SGDMomentum(0.2, momentum=0.9, final_lr=0.05, decay_type="exponential"),
    ),
    "deep, with dropout": (
        lambda: [
            Dense(neurons=178, activation=Tanh(), weight_init="glorot", dropout=0.8),
            Dense(neurons=46, activation=Tanh(), weight_init="glorot", dropout=0.8),
            Dense(neurons=10, activation=Linear(), weight_init="glorot"),
        ],
        SoftmaxCrossEntropy,
        lambda: SGDMomentum(0.2, momentum=0.9, final_lr=0.05, decay_type="exponential"),
    ),
    "AdaGrad": (
        lambda: [Dense(neurons=89, activation=Tanh()), Dense(neurons=10, activation=Linear())],
        SoftmaxCrossEntropy,
        lambda: AdaGrad(0.1, final_lr_exp=0.01),
    ),
    "penalty": (
        lambda: [Dense(neurons=89, activation=Tanh()), Dense(neurons=10, activation=Linear())],
        SoftmaxCrossEntropy,
        lambda: RegularizedSGD(lr=0.1, alpha=0.001),
    ),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_digits_with_a_dense_network(digits, name: str, capsys) -> None:
    X_train, train_labels, X_test, test_labels = digits
    make_layers, make_loss, make_optimizer = CLASSIFIERS[name]
    model = NeuralNetwork(layers=make_layers(), loss=make_loss(), seed=20190119)
    trainer = Trainer(model, make_optimizer())
    history = trainer.fit(
        X_train,
        train_labels,
        X_test,
        test_labels,
        epochs=4,
        eval_every=2,
        seed=20190119,
        batch_size=60,
        early_stopping=True,
    )
    assert "Validation loss after 2 epochs is" in capsys.readouterr().out
    predicted = np.argmax(model.forward(X_test, inference=True), axis=1)
    assert np.equal(predicted, np.argmax(test_labels, axis=1)).shape == (50,)
    assert history["train_loss"][-1] < history["train_loss"][0]


def test_a_second_training_goes_on_where_restart_is_false(digits) -> None:
    X_train, train_labels, X_test, test_labels = digits
    model = NeuralNetwork([Dense(10, weight_init="glorot")], SoftmaxCrossEntropy(), seed=1)
    trainer = Trainer(model, SGD(0.05))
    data = (X_train, train_labels, X_test, test_labels)
    first = trainer.fit(*data, epochs=2, eval_every=1, batch_size=20, seed=2, verbose=0)
    again = trainer.fit(*data, 2, 1, 20, 2, True, False, False, verbose=0)
    onwards = trainer.fit(*data, 2, 1, 20, 2, restart=False, early_stopping=False, verbose=0)
    assert again["train_loss"] == first["train_loss"]
    assert onwards["train_loss"][0] < first["train_loss"][0]


# --- chapter 5 ---


def test_digits_with_a_convolution(digits, capsys) -> None:
    X_train, train_labels, X_test, test_labels = digits
    X_train_conv, X_test_conv = X_train.reshape(-1, 1, 28, 28), X_test.reshape(-1, 1, 28, 28)
    model = NeuralNetwork(
        layers=[
            Conv2D(
                out_channels=16,
                param_size=5,
                dropout=0.8,
                weight_init="glorot",
                flatten=True,
                activation=Tanh(),
            ),
            Dense(neurons=10, activation=Linear()),
        ],
        loss=SoftmaxCrossEntropy(),
        seed=20190402,
    )
    trainer = Trainer(model, SGDMomentum(lr=0.1, momentum=0.9))
    trainer.fit(
        X_train_conv,
        train_labels,
        X_test_conv,
        test_labels,
        epochs=1,
        eval_every=1,
        seed=20190402,
        batch_size=2,
        conv_testing=True,
    )
    out = capsys.readouterr().out
    assert "batch 0 loss" in out
    assert "batch 90 loss" in out
    assert "Validation loss after 1 epochs is" in out
    assert model.forward(X_test_conv, inference=True).shape == (50, 10)


def test_conv_testing_reports_the_accuracy_every_hundred_batches(digits, capsys) -> None:
    X_train, train_labels, X_test, test_labels = digits
    model = NeuralNetwork([Dense(10)], SoftmaxCrossEntropy(), seed=1)
    Trainer(model, SGD(0.01)).fit(
        X_train, train_labels, X_test, test_labels, 1, 1, batch_size=1, conv_testing=True
    )
    assert "Validation accuracy after 100 batches is" in capsys.readouterr().out


# --- chapter 6 ---

STACKS = {
    "RNN": lambda: [RNNLayer(hidden_size=16, output_size=62)],
    "LSTM": lambda: [LSTMLayer(hidden_size=16, output_size=62, weight_scale=0.01)],
    "GRU": lambda: [GRULayer(hidden_size=16, output_size=62, weight_scale=0.01)],
    "RNN, LSTM": lambda: [
        RNNLayer(hidden_size=16, output_size=12),
        LSTMLayer(hidden_size=16, output_size=62),
    ],
    "GRU, LSTM": lambda: [
        GRULayer(hidden_size=16, output_size=12, weight_scale=0.1),
        LSTMLayer(hidden_size=16, output_size=62, weight_scale=0.01),
    ],
}


@pytest.mark.parametrize("optimizer", [SGD, AdaGrad])
@pytest.mark.parametrize("name", STACKS)
def test_characters_with_recurrent_layers(
    name: str, optimizer: type[Optimizer], tmp_path: Path, capsys
) -> None:
    text_file = tmp_path / "input.txt"
    text_file.write_text(sonnets()[:4000] + sonnets(), "utf-8")
    mod = RNNModel(
        layers=STACKS[name](), vocab_size=62, sequence_length=20, loss=SoftmaxCrossEntropy()
    )
    lr, share = (0.001, 0.99) if optimizer is SGD else (0.01, 0.9)
    optim = optimizer(lr=lr, gradient_clipping=True)
    trainer = RNNTrainer(str(text_file), mod, optim, batch_size=32)
    trainer.train(30, sample_every=15)
    assert "--- after 30 batches" in capsys.readouterr().out
    assert trainer.losses[-1] < share * trainer.losses[0]


# --- what a reader writes: Operations ---


class Square(Operation):
    """As chapter 3 writes Operations: the output is computed from what is stored."""

    def __init__(self) -> None:
        super().__init__()

    def _output(self):
        return np.power(self.input_, 2)

    def _input_grad(self, output_grad):
        return output_grad * 2.0 * self.input_


class SquareWhenTraining(Operation):
    """As the later chapters write them: with the argument."""

    def _output(self, inference: bool = False):
        return self.input_ if inference else np.power(self.input_, 2)

    def _input_grad(self, output_grad):
        return output_grad * 2.0 * self.input_


class BookWeightMultiply(ParamOperation):
    def __init__(self, W):
        super().__init__(W)

    def _output(self, inference: bool):
        return np.matmul(self.input_, self.param)

    def _input_grad(self, output_grad):
        return np.matmul(output_grad, np.transpose(self.param, (1, 0)))

    def _param_grad(self, output_grad):
        return np.matmul(np.transpose(self.input_, (1, 0)), output_grad)


class BookBiasAdd(ParamOperation):
    def _output(self):
        return self.input_ + self.param

    def _input_grad(self, output_grad):
        return np.ones_like(self.input_) * output_grad

    def _param_grad(self, output_grad):
        return np.sum(output_grad, axis=0).reshape(1, -1)


class BookDropout(Operation):
    def __init__(self, keep_prob: float = 0.8):
        super().__init__()
        self.keep_prob = keep_prob

    def _output(self, inference: bool):
        if inference:
            return self.input_ * self.keep_prob
        self.mask = np.random.default_rng(1).binomial(1, self.keep_prob, size=self.input_.shape)
        return self.input_ * self.mask

    def _input_grad(self, output_grad):
        return output_grad * self.mask


def test_an_operation_of_ones_own_with_and_without_the_inference_argument() -> None:
    x = np.array([[1.0, -2.0, 3.0]])
    plain, told = Square(), SquareWhenTraining()
    assert plain.forward(x).tolist() == [[1, 4, 9]]
    assert plain.forward(x, True).tolist() == [[1, 4, 9]]
    assert told.forward(x, inference=False).tolist() == [[1, 4, 9]]
    assert told.forward(x, inference=True).tolist() == x.tolist()
    for operation in (plain, told):
        assert operation.backward(np.ones_like(x)).tolist() == [[2, -4, 6]]
        assert operation.input_grad.tolist() == [[2, -4, 6]]
        with pytest.raises(ValueError, match=type(operation).__name__):
            operation.backward(np.ones((1, 2)))


def test_a_subclass_of_a_subclass_may_change_its_mind_about_the_argument() -> None:
    class Later(SquareWhenTraining):
        def _output(self):
            return np.power(self.input_, 2)

    assert Later().forward(np.array([[3.0]]), inference=True).tolist() == [[9]]


def test_operations_of_ones_own_chain_with_the_librarys(houses) -> None:
    X = houses[0]
    rng = np.random.default_rng(0)
    W, B = rng.standard_normal((13, 4)), rng.standard_normal((1, 4))
    ours = [WeightMultiply(W), BiasAdd(B), Tanh()]
    books = [BookWeightMultiply(W), BookBiasAdd(B), Tanh()]
    grad = rng.standard_normal((len(X), 4))
    results = []
    for chain in (ours, books):
        x, g = X, grad
        for operation in chain:
            x = operation.forward(x)
        for operation in reversed(chain):
            g = operation.backward(g)
        results.append((x, g, chain[0].param_grad, chain[1].param_grad))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


def test_the_books_operations_stand_alone() -> None:
    x = np.random.default_rng(0).standard_normal((2, 1, 6, 6))
    convolution, flatten, dropout = Conv2D_Op(np.ones((1, 3, 3, 3))), Flatten(), Dropout(0.8)
    out = dropout.forward(flatten.forward(convolution.forward(x)))
    assert out.shape == (2, 108)
    back = convolution.backward(flatten.backward(dropout.backward(out)))
    assert_same_shape(back, x)
    assert_dim(back, 4)
    assert softmax(out, axis=1).sum(axis=1) == pytest.approx([1, 1], rel=1e-14)


# --- what a reader writes: layers ---


class BookDense(Layer):
    """Dense as in the listing: weights and biases are both drawn, with the layer's seed."""

    def __init__(self, neurons: int, activation: Operation = Sigmoid()) -> None:  # noqa: B008
        super().__init__(neurons)
        self.activation = activation

    def _setup_layer(self, input_) -> None:
        # a separate instance of the global generator that the listing seeds
        rng = np.random.RandomState(self.seed)
        self.params = []
        self.params.append(rng.randn(input_.shape[1], self.neurons))
        self.params.append(rng.randn(1, self.neurons))
        self.operations = [
            WeightMultiply(self.params[0]),
            BiasAdd(self.params[1]),
            self.activation,
        ]


def test_a_layer_of_ones_own_trains_in_a_network(houses) -> None:
    X_train, y_train, X_test, y_test = houses
    net = NeuralNetwork([BookDense(6, Tanh()), BookDense(1, Linear())], MeanSquaredError(), 3)
    history = Trainer(net, SGD(0.01)).fit(
        X_train, y_train, X_test, y_test, epochs=10, eval_every=5, verbose=0
    )
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert [param.shape for param in net.params()] == [(13, 6), (1, 6), (6, 1), (1, 1)]
    first, second = net.layers
    assert first.param_grads[0].shape == (13, 6)
    assert np.array_equal(first.params[0], first.operations[0].param)
    assert first.first is False
    assert second.backward(np.ones((len(second.output), 1))).shape == second.input_.shape


def test_a_layer_may_seed_numpy_with_its_seed_as_the_listing_does() -> None:
    seeds = []

    class Seeded(BookDense):
        def _setup_layer(self, input_) -> None:
            kept = np.random.get_state()
            try:
                np.random.seed(self.seed)
                seeds.append(np.random.randint(2**30))
            finally:
                np.random.set_state(kept)
            super()._setup_layer(input_)

    for _ in range(2):
        NeuralNetwork([Seeded(2, Tanh()), Seeded(2, Tanh())], seed=20190501).forward(
            np.ones((1, 2))
        )
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]


def test_a_layer_block_is_a_list_of_layers_that_runs_both_ways() -> None:
    block = LayerBlock([Dense(3, Tanh()), Dense(2)])
    out = block.forward(np.ones((4, 5)))
    assert block.backward(np.ones_like(out)).shape == (4, 5)
    assert [layer.neurons for layer in block] == [3, 2]
    assert len(list(block.params())) == len(list(block.param_grads())) == 4


def test_a_deep_copy_of_a_network_lives_its_own_life(houses) -> None:
    """The book's early stopping keeps one."""
    X, y, *_ = houses
    net = NeuralNetwork([Dense(3, Tanh()), Dense(1)], seed=1)
    net.train_batch(X, y)
    twin = copy.deepcopy(net)
    before = [param.copy() for param in net.params()]
    Trainer(twin, SGD(0.01)).fit(X, y, X, y, epochs=2, restart=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(net.params(), before, strict=True))
    assert not np.array_equal(next(twin.params()), before[0])


# --- what a reader writes: losses and optimizers ---


class MeanFourthPower(Loss):
    def __init__(self) -> None:
        super().__init__()

    def _output(self) -> float:
        return np.sum(np.power(self.prediction - self.target, 4)) / self.prediction.shape[0]

    def _input_grad(self):
        return 4.0 * (self.prediction - self.target) ** 3 / self.prediction.shape[0]


class PlainSGD(Optimizer):
    """As chapter 3 writes it: a step of its own."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__(lr)

    def step(self):
        for param, param_grad in zip(self.net.params(), self.net.param_grads(), strict=True):
            param -= self.lr * param_grad


class RuleSGD(Optimizer):
    """As chapter 4 writes it: only the rule, with what it needs by name."""

    def _update_rule(self, **kwargs) -> None:
        update = self.lr * kwargs["grad"]
        kwargs["param"] -= update


class BookMomentum(Optimizer):
    def __init__(self, lr=0.01, final_lr=0, decay_type=None, momentum=0.9) -> None:
        super().__init__(lr, final_lr, decay_type)
        self.momentum = momentum

    def step(self) -> None:
        if self.first:
            self.velocities = [np.zeros_like(param) for param in self.net.params()]
            self.first = False
        for param, param_grad, velocity in zip(
            self.net.params(), self.net.param_grads(), self.velocities, strict=True
        ):
            self._update_rule(param=param, grad=param_grad, velocity=velocity)

    def _update_rule(self, **kwargs) -> None:
        kwargs["velocity"] *= self.momentum
        kwargs["velocity"] += self.lr * kwargs["grad"]
        kwargs["param"] -= kwargs["velocity"]


@pytest.mark.parametrize(
    ("own", "librarys"),
    [
        (lambda: PlainSGD(0.01), lambda: SGD(0.01)),
        (lambda: RuleSGD(lr=0.01), lambda: SGD(lr=0.01)),
        (
            lambda: BookMomentum(0.01, 0.001, "linear", momentum=0.8),
            lambda: SGDMomentum(0.01, 0.001, "linear", momentum=0.8),
        ),
    ],
)
def test_an_optimizer_of_ones_own_does_what_the_librarys_does(houses, own, librarys) -> None:
    X_train, y_train, X_test, y_test = houses
    nets = []
    for make in (own, librarys):
        net = NeuralNetwork([Dense(1)], MeanSquaredError(), seed=5)
        optim = make()
        Trainer(net, optim).fit(X_train, y_train, X_test, y_test, epochs=4, eval_every=2, verbose=0)
        assert optim.lr == 0.01
        nets.append(net)
    for mine, theirs in zip(nets[0].params(), nets[1].params(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


def test_a_loss_of_ones_own_trains(houses) -> None:
    X_train, y_train, X_test, y_test = houses
    net = NeuralNetwork([Dense(1)], MeanFourthPower(), seed=5)
    assert net.loss.forward(np.array([[3.0]]), np.array([[1.0]])) == 16
    assert net.loss.backward().tolist() == [[32.0]]
    history = Trainer(net, SGD(1e-6)).fit(
        X_train, y_train / 10, X_test, y_test / 10, epochs=3, eval_every=1, verbose=0
    )
    assert history["train_loss"][-1] < history["train_loss"][0]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("Operation", lambda x: Operation().forward(x)),
        ("ParamOperation", lambda x: ParamOperation(x).forward(x)),
        ("Loss", lambda x: Loss().forward(x, x)),
        ("Optimizer", lambda x: Optimizer()._update_rule(param=x, grad=x)),
    ],
)
def test_what_a_subclass_left_out_is_named(name: str, call) -> None:
    with pytest.raises(NotImplementedError, match=f"^{name} must define _"):
        call(np.ones((1, 1)))
