"""Several ranks train as one process does. Threads stand for the ranks; for MPI: test_mpi.py."""

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlfs import Batches
from dlfs.activations import ReLU, Tanh
from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.clipping import global_norm
from dlfs.dropout import Dropout
from dlfs.layers import BatchNorm, Dense, RNNLayer, SelfAttention
from dlfs.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, SGDMomentum
from dlfs.ranks import Ranks, RanksError
from dlfs.reshape import Flatten, Reshape
from dlfs.train import NonFiniteLossError, Trainer, loop
from dlfs.train.callbacks import Callback
from dlfs.train.evaluation import evaluate
from dlfs.train.interrupt import PatientInterrupt
from tests.support.ranks import ThreadComm, on_threads
from tests.support.ranks_trainings import TRAININGS, bits, same
from tests.support.training import regression


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return {name: training(None) for name, training in TRAININGS.items()}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_train_as_one_process(name: str, size: int, alone: dict[str, Any]) -> None:
    results = on_threads(size, TRAININGS[name])
    same(results[0], alone[name])
    assert len({bits(result) for result in results}) == 1


@pytest.mark.parametrize("name", TRAININGS)
def test_one_rank_is_one_process(name: str, alone: dict[str, Any]) -> None:
    assert bits(on_threads(1, TRAININGS[name])[0]) == bits(alone[name])


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def mutant(function: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    MUTANTS[function.__name__] = function
    return function


def weighted_by(monkeypatch: pytest.MonkeyPatch, weigh: Callable[[float, int], float]) -> None:
    """Let each rank weigh its rows by a function of their true weight and the number of ranks."""
    train_batch = NeuralNetwork.train_batch

    def train(net, X, y, inference=False, weight=1.0):
        return train_batch(net, X, y, inference, weigh(weight, len(current)))

    current = range(3)
    monkeypatch.setattr(NeuralNetwork, "train_batch", train)


@mutant
def a_sum_instead_of_a_mean(monkeypatch):
    weighted_by(monkeypatch, lambda weight, size: 1.0)


@mutant
def a_plain_mean_of_uneven_parts(monkeypatch):
    weighted_by(monkeypatch, lambda weight, size: 1 / size)


@mutant
def a_permutation_for_each_rank(monkeypatch):
    share = Ranks.share

    def shuffled(self, rows):
        return np.sort(share(self, np.random.default_rng(self.rank).permutation(rows)))

    monkeypatch.setattr(Ranks, "share", shuffled)


@mutant
def batch_normalization_by_rank(monkeypatch):
    def apart(self, x, eps):
        return *kernels.batch_norm(x, eps), len(x)

    monkeypatch.setattr(Ranks, "batch_norm", apart)


@mutant
def batch_normalization_by_rank_backward(monkeypatch):
    def apart(self, output_grad, output, inv_std, count):
        return kernels.batch_norm_grad(output_grad, output, inv_std)

    monkeypatch.setattr(Ranks, "batch_norm_grad", apart)


@mutant
def clipping_before_the_sum(monkeypatch):
    add_up = Ranks.add_up

    def clipped(self, net, loss, interrupt):
        holders = net.param_holders()
        norm = global_norm([holder.param_grad for holder in holders])
        for holder in holders:
            holder.param_grad = holder.param_grad * min(1, 0.1 / max(norm, 1e-9))
        return add_up(self, net, loss, interrupt)

    monkeypatch.setattr(Ranks, "add_up", clipped)


@mutant
def a_metric_averaged_over_ranks(monkeypatch):
    def averaged(net, X, y, measures, batch_size=None, ranks=None):
        mine = ranks.share(np.arange(len(X)))
        found = evaluate(net, X[mine], y[mine], measures)
        all_found = ranks.comm.allgather(found)
        return {name: np.mean([each[name] for each in all_found]) for name in found}

    monkeypatch.setattr(loop, "evaluate", averaged)


@mutant
def the_same_dropout_on_all_ranks(monkeypatch):
    monkeypatch.setattr(
        Ranks, "random", lambda self, rng, shape: rng.random(shape, dtype=np.float32)
    )


@mutant
def running_averages_of_one_rank(monkeypatch):
    def own(self, x, eps):
        output, _, _, inv_std, count = batch_norm(self, x, eps)
        _, mean, var, _ = kernels.batch_norm(x, eps)
        return output, mean, var, inv_std, count

    batch_norm = Ranks.batch_norm
    monkeypatch.setattr(Ranks, "batch_norm", own)


@pytest.mark.parametrize("name", MUTANTS)
def test_mistakes_are_caught(
    name: str, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[name](monkeypatch)
    caught = []
    for training, function in TRAININGS.items():
        try:
            same(on_threads(3, function)[0], alone[training])
        except (AssertionError, RanksError, ValueError):
            caught.append(training)
    assert caught


# What the ranks agree on.


def fit(comm: Any, **options: Any) -> tuple[Trainer, Any]:
    """Train a small network, and return the trainer and the history."""
    layers = options.pop("layers", lambda: [Dense(4, activation=Tanh()), Dense(1)])
    data = options.pop("data", DATA)
    optim = options.pop("optim", None) or SGDMomentum(lr=0.1)
    trainer = Trainer(NeuralNetwork(layers(), seed=2), optim, ranks=comm)
    options = {"epochs": 3, "batch_size": 8, "eval_every": 1, "verbose": 0} | options
    return trainer, trainer.fit(*data, **options)


DATA = regression(20)


class Watch(Callback):
    """Records on which ranks it is called, stops, and lowers the rate."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.called = 0

    def on_batch_end(self, trainer, epoch, batch, loss):
        self.called += 1
        trainer.optim.lr = 0.05
        trainer.stop = epoch == 1 and batch == 0

    def on_epoch_end(self, trainer, row):
        row["told"] = self.rank


def test_callbacks_run_on_rank_0_and_decide_for_all() -> None:
    callbacks = [Watch(rank) for rank in range(3)]
    alone, history = fit(None, callbacks=[Watch(0)], early_stopping=False)
    results = on_threads(
        3, lambda comm: fit(comm, callbacks=[callbacks[comm.rank]], early_stopping=False)
    )
    assert [callback.called for callback in callbacks] == [4, 0, 0]
    for trainer, rows in results:
        assert rows.stopped == history.stopped == "callback"
        assert rows["told"] == [0, 0]
        assert rows["lr"] == history["lr"] == [0.1, 0.05]
        assert trainer.optim.lr == alone.optim.lr
        for mine, its in zip(trainer.net.params(), alone.net.params(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-10, atol=1e-12)


def test_only_rank_0_prints(capsys: pytest.CaptureFixture[str]) -> None:
    on_threads(3, lambda comm: fit(comm, verbose=2))
    assert capsys.readouterr().out.count("Validation loss after 1 epochs") == 1


def different(rank: int, first: Any, other: Any) -> Any:
    return other if rank == 1 else first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": (3, 4)}, "epochs is 3 on rank 0 and 4 on rank 1"),
        ({"data": (DATA, tuple(part[:18] for part in DATA))}, "X_train"),
        ({"data": (DATA, (DATA[0] + 1e-9, *DATA[1:]))}, "X_train"),
        ({"layers": (lambda: [Dense(1)], lambda: [Dense(2), Dense(1)])}, "the network is"),
        ({"layers": (lambda: [Dense(1), ReLU()], lambda: [Dense(1), Tanh()])}, "the network is"),
        ({"optim": (lambda: SGD(lr=0.1), lambda: SGD(lr=0.2))}, "the optimizer is"),
    ],
)
def test_ranks_that_are_not_alike_are_refused(options: dict[str, Any], words: str) -> None:
    def run(comm: Any) -> str:
        chosen = {name: different(comm.rank, *both) for name, both in options.items()}
        if "optim" in chosen:
            chosen["optim"] = chosen["optim"]()
        with pytest.raises(RanksError, match=words) as caught:
            fit(comm, **chosen)
        return str(caught.value)

    assert len(set(on_threads(3, run))) == 1


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = Ranks.compare

    def compare(self, values):
        name = "the version of dlfs"
        if name in values and self.rank == 2:
            values = {**values, name: "0.0.1"}
        versions(self, values)

    monkeypatch.setattr(Ranks, "compare", compare)
    with pytest.raises(RanksError, match=r"version of dlfs is .* on rank 0 and 0.0.1 on rank 2"):
        on_threads(3, fit)


def test_bad_data_of_one_rank_are_an_error_of_all() -> None:
    bad = (np.where(DATA[0] > 1, np.nan, DATA[0]), *DATA[1:])

    def run(comm: Any) -> str:
        with pytest.raises(ValueError, match="finite") as caught:
            fit(comm, data=different(comm.rank, DATA, bad))
        return type(caught.value).__name__

    assert on_threads(3, run) == ["RanksError", "ValueError", "RanksError"]


def test_a_loss_that_is_not_finite_on_one_rank_is_named_by_all() -> None:
    class Explodes(Tanh):
        ranks = None

        def _output(self):
            output = super()._output()
            return output if self.ranks is None or self.ranks.rank != 1 else output / 0.0

    def run(comm: Any) -> str:
        with np.errstate(all="ignore"), pytest.raises(NonFiniteLossError) as caught:
            fit(comm, layers=lambda: [Dense(4), Explodes(), Dense(1)])
        return str(caught.value)

    messages = on_threads(3, run)
    assert len(set(messages)) == 1
    assert "Explodes" in messages[0]
    assert "on rank 1 of 3" in messages[0]


class Drifts(Callback):
    def on_epoch_end(self, trainer, row):
        trainer.net.params[2][0, 0] += 1e-9


def test_a_rank_that_drifts_is_noticed() -> None:
    with pytest.raises(RanksError, match=r"after epoch 2 .* layers.1.params.0 is not the same"):
        on_threads(2, lambda comm: fit(comm, callbacks=[Drifts()], early_stopping=False))


def test_batches_in_another_order_on_each_rank_are_noticed() -> None:
    def run(comm: Any) -> None:
        rows = np.random.default_rng(comm.rank).permutation(20)
        batches = Batches([(DATA[0][rows[i : i + 5]], DATA[1][rows[i : i + 5]]) for i in (0, 5)])
        net = NeuralNetwork([Dense(1)], seed=1)
        Trainer(net, SGD(), ranks=comm).fit(batches, epochs=2, verbose=0)

    with pytest.raises(RanksError, match="the last batch is not the same"):
        on_threads(2, run)


class CentredOnTheBatch(Operation):
    def _output(self):
        return self.input_ - self.input_.mean(axis=0)

    def _input_grad(self, output_grad):
        return output_grad - output_grad.mean(axis=0)


class Counts(Operation):
    def __init__(self):
        super().__init__()
        self.count = np.zeros(1)

    def state(self):
        return {"count": self.count}

    def _output(self):
        return self.input_

    def _input_grad(self, output_grad):
        return output_grad


class Doubles(Operation):
    def _output(self):
        return 2 * self.input_

    def _input_grad(self, output_grad):
        return 2 * output_grad


class Summed(MeanSquaredError):
    def _output(self):
        return super()._output() * len(self.prediction)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (CentredOnTheBatch, r"CentredOnTheBatch\(\) \(layers.1\): the output for a row depends"),
        (Counts, r"Counts.*state\(\), would differ"),
        (lambda: RNNLayer(3, carry="mean"), "the mean of all rows' states"),
    ],
)
def test_layers_that_mix_rows_are_refused(part: Callable[[], Any], words: str) -> None:
    data = tuple(array[:, None, :] for array in DATA)
    layers = lambda: [Dense(3), part(), Dense(1)]  # noqa: E731
    with pytest.raises(ValueError, match=words):
        on_threads(2, lambda comm: fit(comm, layers=layers, data=data, shuffle=False))


@pytest.mark.parametrize(
    "loss",
    [Summed(), SoftmaxCrossEntropy(class_weight=[1, 3]), SoftmaxCrossEntropy(ignore_index=1)],
    ids=repr,
)
def test_a_loss_that_is_no_mean_is_refused(loss: Loss) -> None:
    X = DATA[0]
    y = (X[:, 0] > 0).astype(int) if isinstance(loss, SoftmaxCrossEntropy) else X[:, :2]

    def run(comm: Any) -> None:
        net = NeuralNetwork([Dense(2)], copy.deepcopy(loss))
        Trainer(net, SGD(), ranks=comm).fit(X, y, epochs=1, verbose=0)

    with pytest.raises(ValueError, match="must be a mean over the rows"):
        on_threads(2, run)


class Squares(Loss):
    def _output(self):
        return float(np.square(self.prediction - self.target).mean())

    def _input_grad(self):
        return 2 * (self.prediction - self.target) / self.prediction.size


def test_a_loss_of_the_users_that_is_a_mean_is_taken() -> None:
    def run(comm: Any) -> Trainer:
        trainer = Trainer(NeuralNetwork([Dense(2)], Squares()), SGD(0.1), ranks=comm)
        trainer.fit(DATA[0], DATA[0][:, :2], epochs=2, verbose=0)
        return trainer

    whole = run(None)
    for other in on_threads(2, run):
        for mine, its in zip(other.net.params(), whole.net.params(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-10)


def test_a_layer_of_the_users_that_treats_each_row_alike_is_taken() -> None:
    layers = lambda: [Dense(3), Doubles(), Dense(1)]  # noqa: E731
    trainer, _ = fit(None, layers=layers)
    for other, _ in on_threads(3, lambda comm: fit(comm, layers=layers)):
        for mine, its in zip(other.net.params(), trainer.net.params(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-10)


def test_the_weights_of_attention_drop_out_as_in_the_whole_batch() -> None:
    def layers() -> list[Any]:
        return [Reshape((3, 1)), SelfAttention(1, dropout=0.6), Flatten(), Dense(1)]

    trainer, _ = fit(None, layers=layers)
    for other, _ in on_threads(3, lambda comm: fit(comm, layers=layers)):
        for mine, its in zip(other.net.params(), trainer.net.params(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_resumes_with_another_number_of_ranks(before: int, after: int, tmp_path: Path) -> None:
    def layers() -> list[Any]:
        return [Dense(4), BatchNorm(), Tanh(), Dropout(0.8), Dense(1)]

    options = {"layers": layers, "early_stopping": False, "optim": None}
    whole = on_threads(after, lambda comm: fit(comm, epochs=4, **options))[0]
    path = tmp_path / "checkpoint"
    on_threads(before, lambda comm: fit(comm, epochs=2, checkpoint=path, **options))
    parts = on_threads(
        after, lambda comm: fit(comm, epochs=4, checkpoint=path, resume=True, **options)
    )
    for trainer, history in parts:
        assert len(history) == 4
        for mine, its in zip(trainer.net.params(), whole[0].net.params(), strict=True):
            if before == after:
                np.testing.assert_array_equal(mine, its)
            else:
                np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)


def shifted(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return X + rng.normal(size=X.shape)


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 3},
        {"sample_weight": np.linspace(0, 3, 20)},
        {"transform": shifted},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_options_of_fit_and_ranks_together(options: dict[str, Any]) -> None:
    options = {"layers": lambda: [Dense(4, activation=Tanh()), BatchNorm(), Dense(1)], **options}
    trainer, _ = fit(None, **options)
    for other, _ in on_threads(3, lambda comm: fit(comm, **options)):
        for mine, its in zip(other.net.params(), trainer.net.params(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-11)


def test_an_interrupt_of_one_rank_ends_all_after_the_same_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "PatientInterrupt", NotedAtTheFourthStep)
    for _, history in on_threads(3, fit):
        assert history.stopped == "interrupted"
        assert len(history) == 1


class NotedAtTheFourthStep(PatientInterrupt):
    """As if Ctrl-C arrived on one of the ranks."""

    made = itertools.count()
    asked = 0

    def __init__(self, shared: bool = False) -> None:
        super().__init__(shared)
        self.rank = next(self.made)

    @property
    def noted(self) -> bool:
        self.asked += 1
        return self.rank == 1 and self.asked >= 5

    @noted.setter
    def noted(self, value: bool) -> None:
        pass


def test_an_error_on_one_rank_ends_all(capsys: pytest.CaptureFixture[str]) -> None:
    class Breaks(Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            raise ZeroDivisionError("the callback is broken")

    with pytest.raises(ZeroDivisionError):
        on_threads(2, lambda comm: fit(comm, callbacks=[Breaks()], checkpoint=None))
    assert "because rank 0 failed (ZeroDivisionError: the callback is broken)" in (
        capsys.readouterr().err
    )


def test_the_error_of_another_rank_is_raised_though_rank_0_waits_for_a_sum() -> None:
    """The rank that fails says nothing more to the others: they would take it for its numbers."""

    def broken(comm: ThreadComm) -> Any:
        def transform(X, rng):
            if comm.rank == 1:
                raise ZeroDivisionError("the transform is broken")
            return X

        return fit(comm, callbacks=[Callback()], checkpoint=None, transform=transform)

    with pytest.raises(ZeroDivisionError):
        on_threads(2, broken)


def test_what_is_no_communicator_is_refused() -> None:
    with pytest.raises(TypeError, match="ranks must be an mpi4py communicator"):
        Trainer(NeuralNetwork([Dense(1)]), SGD(), ranks=4)
