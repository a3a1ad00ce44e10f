"""The life of a Trainer, in any order of events, against a plain model of it in NumPy."""

import tempfile
import threading
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import dlfs
from dlfs import Dense, NeuralNetwork, SGDMomentum, Trainer
from dlfs.train.callbacks import Callback

ROWS, BATCH, SEED, MOMENTUM = 10, 4, 5, 0.8
BATCHES = 3  # the last has 2 rows
RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((ROWS, 2)), RNG.standard_normal((3, 2))
Y, Y_TEST = X @ [[2.0], [-1.0]] + 0.5, X_TEST @ [[2.0], [-1.0]]
OPTIONS = {"batch_size": BATCH, "seed": SEED, "early_stopping": False, "verbose": 0}


def loss(params, x, y) -> float:
    return float(np.sum((x @ params[0] + params[1] - y) ** 2) / len(x))


class Model:
    """Linear regression by gradient descent with momentum, and what a Trainer counts."""

    def __init__(self, params: list[np.ndarray], lr: float) -> None:
        self.first = [param.copy() for param in params]
        self.lr = lr
        self.begin()

    def begin(self) -> None:
        self.params = [param.copy() for param in self.first]
        self.forget()
        self.epochs = 0

    def forget(self) -> None:
        """Forget what the optimizer remembers."""
        self.velocities = [np.zeros_like(param) for param in self.params]

    def step(self, chosen: np.ndarray) -> float:
        x, y = X[chosen], Y[chosen]
        before = loss(self.params, x, y)
        error = 2 * (x @ self.params[0] + self.params[1] - y) / len(x)
        for i, grad in enumerate((x.T @ error, error.sum(axis=0, keepdims=True))):
            self.velocities[i] = MOMENTUM * self.velocities[i] + self.lr * grad
            self.params[i] = self.params[i] - self.velocities[i]
        return before

    def fit(self, epochs: int, shuffle: bool, end: int | None = None, counts: bool = False):
        """Train, and return the rows: epoch, train_loss, test_loss.

        After ``end`` steps the training ends; ``counts`` says whether that epoch counts.
        """
        rows, done, earlier = [], 0, self.epochs
        for epoch in range(epochs):
            order = np.arange(ROWS)
            if shuffle:
                order = np.random.default_rng((SEED, earlier + epoch)).permutation(order)
            total = seen = 0
            for start in range(0, ROWS, BATCH):
                chosen = order[start : start + BATCH]
                total += self.step(chosen) * len(chosen)
                seen += len(chosen)
                done += 1
                if done == end:
                    break
            if done != end or counts:
                self.epochs += 1
                rows.append([epoch + 1, total / seen, loss(self.params, X_TEST, Y_TEST)])
            if done == end:
                break
        return rows


class Failure(Exception):
    pass


class EndAfter(Callback):
    """Ends the training after some steps: by a request, by Ctrl-C or by an error."""

    def __init__(self, steps: int, how: str) -> None:
        self.steps, self.how = steps, how

    def on_batch_end(self, trainer, epoch, batch, loss):
        self.steps -= 1
        if self.steps == 0:
            if self.how == "request":
                trainer.stop = True
            else:
                raise {"ctrl-c": KeyboardInterrupt, "error": Failure}[self.how]


def new_network() -> NeuralNetwork:
    net = NeuralNetwork([Dense(1)], seed=3)
    net.build((2,))
    return net


class TrainerLife(RuleBasedStateMachine):
    @initialize(lr=st.sampled_from([0.1, 0.02]))
    def begin(self, lr) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.trainer = Trainer(new_network(), SGDMomentum(lr, momentum=MOMENTUM))
        self.model = Model(list(self.trainer.net.params()), lr)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def train(self, epochs, restart, shuffle, **options):
        options = OPTIONS | options
        return self.trainer.fit(
            X, Y, X_TEST, Y_TEST, epochs, eval_every=1, restart=restart, shuffle=shuffle, **options
        )

    def same_rows(self, history, rows) -> None:
        shown = [[row["epoch"], row["train_loss"], row["test_loss"]] for row in history]
        np.testing.assert_allclose(np.reshape(shown, (-1, 3)), np.reshape(rows, (-1, 3)), rtol=1e-9)

    @rule(
        epochs=st.integers(1, 3),
        restart=st.booleans(),
        shuffle=st.booleans(),
        in_thread=st.booleans(),
    )
    def fit(self, epochs, restart, shuffle, in_thread) -> None:
        if restart:
            self.model.begin()
        rows = self.model.fit(epochs, shuffle)
        histories = []
        if in_thread:
            work = threading.Thread(
                target=lambda: histories.append(self.train(epochs, restart, shuffle))
            )
            work.start()
            work.join()
        else:
            histories.append(self.train(epochs, restart, shuffle))
        assert histories[0].stopped is None
        self.same_rows(histories[0], rows)

    @rule(
        end=st.integers(1, 2 * BATCHES),
        how=st.sampled_from(["request", "ctrl-c", "error"]),
        restart=st.booleans(),
    )
    def fit_and_end_early(self, end, how, restart) -> None:
        if restart:
            self.model.begin()
        rows = self.model.fit(3, True, end, counts=how == "request")
        try:
            history = self.train(3, restart, True, callbacks=[EndAfter(end, how)])
        except Failure:
            assert how == "error"
            history = self.trainer.history
        else:
            assert history.stopped == {"request": "callback", "ctrl-c": "interrupted"}[how]
        self.same_rows(history, rows)

    @rule(end=st.integers(1, 3 * BATCHES), how=st.sampled_from(["request", "ctrl-c", "error"]))
    def crash_and_resume(self, end, how) -> None:
        """As a new process does: only the file is left."""
        path = Path(self.folder.name) / "checkpoint"
        path.unlink(missing_ok=True)
        self.model.begin()
        rows = self.model.fit(3, True)
        options = {"checkpoint": path, "resume": True}
        try:
            self.train(3, True, True, callbacks=[EndAfter(end, how)], **options)
        except Failure:
            assert how == "error"
        self.trainer = Trainer(new_network(), SGDMomentum(self.model.lr, momentum=MOMENTUM))
        self.same_rows(self.train(3, True, True, **options), rows)

    @rule(lr=st.sampled_from([0.05, 0.01]))
    def change_rate(self, lr) -> None:
        self.trainer.optim.lr = self.model.lr = lr

    @rule()
    def evaluate(self) -> None:
        result = self.trainer.evaluate(X_TEST, Y_TEST, ["mae"])
        error = X_TEST @ self.model.params[0] + self.model.params[1] - Y_TEST
        np.testing.assert_allclose(result["loss"], loss(self.model.params, X_TEST, Y_TEST), 1e-9)
        np.testing.assert_allclose(result["mae"], np.abs(error).mean(), 1e-9)

    @rule()
    def save_and_load(self) -> None:
        path = Path(self.folder.name) / "net"
        dlfs.save(self.trainer.net, path)
        optim = SGDMomentum(self.model.lr, momentum=MOMENTUM)
        self.trainer = Trainer(dlfs.load(path), optim)
        self.model.forget()

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        if not hasattr(self, "trainer"):
            return
        for param, expected in zip(self.trainer.net.params(), self.model.params, strict=True):
            np.testing.assert_allclose(param, expected, rtol=1e-9, atol=1e-12)
        assert self.trainer.net.epochs_trained == self.model.epochs
        assert self.trainer.optim.lr == self.model.lr


TestTrainerLife = TrainerLife.TestCase
TestTrainerLife.settings = settings(stateful_step_count=12)
