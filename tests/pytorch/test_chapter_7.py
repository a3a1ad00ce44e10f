"""The book's layers and trainer on PyTorch."""

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="dlfs.pytorch needs the extra torch")

from torch import nn  # noqa: E402

from dlfs.pytorch import (  # noqa: E402
    ConvLayer,
    ConvNetPreprocessor,
    DeconvLayer,
    DenseLayer,
    LSTMLayer,
    Parallel,
    PyTorchModel,
    PyTorchPreprocessor,
    PyTorchTrainer,
    assert_dim,
    permute_data,
)


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_dlfs_alone_does_not_load_torch() -> None:
    assert run("import sys, dlfs; print('torch' in sys.modules)") == "False"


def test_without_torch_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import dlfs.pytorch\nexcept ImportError as error:\n    print(error)"
    )
    assert "pip install 'dlfs[torch]'" in run(code)


def test_inference_lasts_for_one_call() -> None:
    torch.manual_seed(0)
    layer = DenseLayer(3, 50, dropout=0.5)
    x = torch.ones(1, 3)
    assert torch.equal(layer(x, inference=True), layer.chain()[0](x))
    assert layer.training
    assert all(part.training for part in layer.modules())
    assert (layer(x) == 0).any()


def test_the_mean_state_is_carried_until_it_is_reset() -> None:
    torch.manual_seed(0)
    layer, x = LSTMLayer(4, 3, 5, 2), torch.randn(2, 4, 3)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.reset_state()
    assert torch.equal(layer(x), first)


def test_measuring_changes_nothing() -> None:
    torch.manual_seed(0)
    model = LSTMLayer(4, 3, 5, 2, dropout=0.5)
    trainer = PyTorchTrainer(model, torch.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss())
    model(torch.randn(2, 4, 3))
    before = [buffer.clone() for buffer in model.buffers()]
    trainer.test_loss(torch.randn(3, 4, 3), torch.randn(3, 4, 2))
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
    assert all(part.training for part in model.modules())


def test_the_learning_rate_ends_where_asked(capsys) -> None:
    model, rates = nn.Linear(2, 1), []
    optim = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = PyTorchTrainer(model, optim, nn.MSELoss())
    optim.register_step_pre_hook(lambda *_: rates.append(optim.param_groups[0]["lr"]))
    X = torch.randn(4, 2)
    trainer.fit(X, X[:, :1], X, X[:, :1], epochs=3, batch_size=4, final_lr_exp=0.001)
    assert rates == pytest.approx([0.1, 0.01, 0.001], rel=1e-12)
    assert capsys.readouterr().out.startswith("The loss after 3 epochs was ")


def test_images_keep_their_size() -> None:
    x = torch.randn(2, 3, 7, 5)
    assert ConvLayer(3, 4, 5)(x).shape == DeconvLayer(3, 4, 5)(x).shape == (2, 4, 7, 5)
    assert ConvLayer(3, 4, 5, flatten=True)(x).shape == (2, 140)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ValueError, lambda: ConvLayer(1, 1, 4)),
        (ValueError, lambda: DenseLayer(1, 1, dropout=0.0)),
        (TypeError, lambda: DenseLayer(1, 1, activation=torch.tanh)),
        (ValueError, lambda: ConvLayer(1, 1, 3)(torch.zeros(1, 3, 3))),
        (ValueError, lambda: assert_dim(torch.zeros(1), 2)),
        (ValueError, lambda: permute_data(torch.zeros(2), torch.zeros(3))),
        (
            ValueError,
            lambda: PyTorchTrainer(
                nn.Linear(1, 1), torch.optim.SGD(nn.Linear(1, 1).parameters()), nn.MSELoss()
            ),
        ),
    ],
)
def test_bad_input(error, call) -> None:
    with pytest.raises(error):
        call()


def test_channels_move_before_height_and_width() -> None:
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    moved = ConvNetPreprocessor().transform(x)
    assert moved.shape == (2, 5, 3, 4)
    assert all(moved[i, c, h, w] == x[i, h, w, c] for i, c, h, w in [(0, 1, 2, 3), (1, 4, 0, 2)])
    with pytest.raises(ValueError, match="4"):
        ConvNetPreprocessor().transform(x[0])


def test_a_subclass_must_define_its_method() -> None:
    with pytest.raises(NotImplementedError) as caught:
        PyTorchModel()(torch.ones(1))
    assert str(caught.value) == "PyTorchModel must define forward(x, inference=False)"
    with pytest.raises(NotImplementedError) as caught:
        PyTorchPreprocessor().transform(torch.ones(1))
    assert str(caught.value) == "PyTorchPreprocessor must define transform(x)"


def test_observations_and_targets_change_places_together() -> None:
    X = torch.arange(50.0)
    shuffled, targets = permute_data(X, 10 * X, torch.Generator().manual_seed(3))
    assert torch.equal(targets, 10 * shuffled)
    assert not torch.equal(shuffled, X)
    assert torch.equal(shuffled.sort().values, X)
    again, _ = permute_data(X, X, torch.Generator().manual_seed(3))
    assert torch.equal(again, shuffled)
    with pytest.raises(ValueError, match="X must have a batch axis, got a single number"):
        permute_data(torch.tensor(1.0), X)


def fit_loudly() -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    trainer = PyTorchTrainer(model, optimizer, nn.MSELoss())
    X = torch.ones(4, 1)
    trainer.fit(X, X, X, X, epochs=1, verbose="loudly")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Parallel([nn.Identity()], merge="mean"), "^Parallel: merge must be one of"),
        (lambda: Parallel([]), "^Parallel: at least one branch is needed"),
        (lambda: ConvLayer(1, 2, 3, flatten=1), "^ConvLayer: flatten must be True or False"),
        (lambda: DenseLayer(0, 2), "^DenseLayer: input_size must be .*1"),
        (fit_loudly, r"^PyTorchTrainer\.fit: verbose must be True or False"),
    ],
)
def test_the_argument_is_named(call, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
