"""Wrong input gives ValueError or TypeError, and the message names the function and the argument.

``tests/support/subjects*.py`` holds the tables: for every public function and class, arguments
that are valid and what each must be. Here each argument in turn is replaced.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import re
import traceback
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs import (
    activations,
    dense,
    layers,
    losses,
    network,
    optimizers,
    pooling,
    reference,
    reshape,
)
from dlfs.base import Operation
from dlfs.recurrent import cells as nodes
from tests.support.misfits import MISFITS
from tests.support.subjects import Subject, error_of
from tests.support.subjects_classes import CLASSES
from tests.support.subjects_kernels import KERNELS

SUBJECTS = [*KERNELS, *CLASSES]
PACKAGE = Path(dlfs.__file__).parent


def is_ours(error: BaseException) -> bool:
    """Whether the library itself raised this, and not NumPy below it."""
    innermost = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return PACKAGE in innermost.parents or "dlfs_ext" in innermost.parts


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_right_arguments_are_right(subject: Subject) -> None:
    """Otherwise the tests below would prove nothing."""
    subject.call(**subject.valid())


def has_word(word: str, message: str) -> bool:
    """Return whether a message contains a word or words, not as a part of another word."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message) is not None


CASES = [(subject, name) for subject in SUBJECTS for name in subject.wanted]


@pytest.mark.parametrize(
    ("subject", "name"), CASES, ids=[f"{subject.name}-{name}" for subject, name in CASES]
)
def test_a_wrong_argument_is_named(subject: Subject, name: str) -> None:
    wanted = subject.wanted[name]
    for value in wanted.bad(subject.valid().get(name)):
        error = error_of(subject, {**subject.valid(), name: value})
        what = f"{subject.name}({name}={value!r:.60})"
        assert error is not None, f"{what} was taken"
        assert type(error) in (ValueError, TypeError), f"{what} raised {error!r}"
        message = str(error)
        owner = re.match(rf"(the |unknown )?{re.escape(subject.who)}(?!\w)", message)
        assert owner, f"{what}: no function is named by {message!r}"
        named = any(has_word(word, message) for word in (name, *wanted.names))
        assert named, f"{what}: {message!r}"
        assert is_ours(error), f"{what} came from the depths: {message!r}"


@pytest.mark.parametrize(
    ("name", "call", "words"),
    MISFITS,
    ids=[f"{number}-{name}" for number, (name, *_) in enumerate(MISFITS)],
)
def test_arguments_that_do_not_fit_together(name: str, call, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        call()
    assert is_ours(caught.value)
    if name.startswith("reference."):
        assert str(caught.value).startswith(name.removeprefix("reference.") + ": ")


BEFORE_FORWARD = {
    "an activation": (lambda: activations.Tanh().backward(np.ones((1, 1))), "Tanh"),
    "an Operation with a parameter": (
        lambda: dense.WeightMultiply(np.ones((1, 1))).backward(np.ones((1, 1))),
        "WeightMultiply",
    ),
    "its parameter alone": (
        lambda: dense.WeightMultiply(np.ones((1, 1))).backward(np.ones((1, 1)), input_grad=False),
        "WeightMultiply",
    ),
    "a layer": (lambda: layers.Dense(1).backward(np.ones((1, 1))), "Dense"),
    "a layer's parameters": (
        lambda: layers.Dense(1).backward(np.ones((1, 1)), input_grad=False),
        "Dense",
    ),
    "a loss": (lambda: losses.Huber().backward(), "Huber"),
    "a node": (lambda: nodes.GRUNode().backward(np.ones((1, 1)), np.ones((1, 1)), {}), "GRUNode"),
    "a network": (
        lambda: network.NeuralNetwork([layers.Dense(1)]).backward(np.ones((1, 1))),
        "NeuralNetwork",
    ),
}


@pytest.mark.parametrize("name", BEFORE_FORWARD)
def test_backward_before_forward_says_so(name: str) -> None:
    call, owner = BEFORE_FORWARD[name]
    with pytest.raises(RuntimeError, match=f"{owner}: backward was called before forward"):
        call()


def test_a_step_without_a_network_or_a_gradient_says_so() -> None:
    optim = optimizers.SGD()
    with pytest.raises(RuntimeError, match="SGD: no network to step"):
        optim.step()
    optim.net = network.NeuralNetwork([layers.Dense(1)])
    optim.net.forward(np.ones((1, 1)))
    with pytest.raises(RuntimeError, match="was backward called"):
        optim.step()


# --- every public name is tested ---

INTERNAL = {
    # functions that users do not call: checks, and helpers of the public parts
    "advice",
    "ceil_mode",
    "checks",
    "configured",
    "lazy",
    "loss_weights",
    "moved",
    "named_axes",
    "next_activation",
    "summary",
    "ties",
    "types",
    "windows",
}
ELSEWHERE = {
    # the tests of bad input stand with the other tests of the module
    "autograd": "autograd",
    "classroom": "classroom",
    "commands": "test_cli.py",
    "datasets": "test_datasets.py",
    "estimators": "test_estimators.py",
    "gradcheck": "gradcheck",
    "labels": "test_own_data.py",
    "onnx": "test_onnx.py",
    "pytorch": "pytorch",
    "saving": "test_saving.py",
    "testing": "gradcheck",
    "train": "test_train.py",
    "utils": "utils",
}
HARMLESS = {
    **dict.fromkeys(
        (
            *("reference.by_time", "reference.cut", "reference.product", "reference.shifted"),
            *("reference.kept", "reference.normalize", "reference.normalize_grad"),
            *("reference.crop", "reference.pad", "reference.padded_shape"),
            *("reference.position_dtype", "reference.swap_channels", "reference.window_pixels"),
        ),
        "serves kernels, after they have checked",
    ),
    **dict.fromkeys(
        (
            *("reference.check_backward", "reference.check_forward", "reference.check_classes"),
            *("reference.check_indices", "reference.check_pair", "reference.check_pixels"),
            *("reference.check_keep_prob", "reference.check_mask"),
        ),
        "a check itself",
    ),
    "reference.kernel": "decorates kernels, when the package is imported",
    "backend.fuses": "takes no arguments",
    "callbacks.Training": "a protocol, for type checkers",
    "ranks.Communicator": "a protocol, for type checkers",
    "ranks.Ranks": "made by a Trainer, which checks the communicator (tests/test_ranks.py)",
    "ranks.combined_moments": "serves Ranks",
    "ranks.skip_float32": "serves Ranks",
    "initializers.choose_init": "serves layers, after they have checked",
    "dense.rows": "serves Operations, after they have checked",
    "layers.dense_chain": "serves layers, after they have checked",
    "dense.with_features": "serves Operations, after they have checked",
    "dropout.draw_mask": "serves Operations, after they have checked",
    "base.backward_through": "serves layers, after they have checked",
    "initializers.LayerSeed": "serves networks",
    "initializers.seed_layers": "serves networks",
    "layers.LayerTree": "the base of Layer, tested with it",
    "activations.own_copy": "serves layers",
    "clipping.clipped": "serves optimizers, after they have checked",
    "optimizers.Schedule": "the base of Optimizer, tested with it",
    "text.check_text": "a check itself",
    **dict.fromkeys(
        (
            *("layers.OwnParam", "layers.ParamList", "layers.Shared"),
            *("layers.FusedBias", "layers.FusedConv", "layers.FusedDense", "layers.FusedLookup"),
            *("layers.FusedNorm", "layers.FusedBatchNorm", "layers.FusedLayerNorm"),
            *("layers.FusedStep", "layers.fuse", "layers.as_layer"),
        ),
        "made by layers, not by users",
    ),
    "memory.release": "serves networks",
    "owners.claim": "serves networks",
    "plots.plain": "takes any text",
    "exercises.Verdict": "made by check",
    "reference.check_attention": "a check itself",
    "attention.Seen": "made by Attention_Op",
    "embedding.check_positions": "a check itself",
    "embedding.check_length": "a check itself",
    "embedding.positions_of": "serves Operations, after they have checked",
    "embedding.position_angles": "serves Operations, after they have checked",
    "normalization.check_groups": "a check itself",
    "normalization.statistics_shape": "serves layers",
    "recurrent.begun_afresh": "serves LayerTree.fresh_start",
    "recurrent.check_streams": "a check itself",
    "recurrent.reads_streams": "serves networks and trainers, after they have checked",
}


def public_names() -> set[str]:
    """Return ``module.name`` for every public function and class, a package's as its own."""
    found = set()
    for info in pkgutil.walk_packages(dlfs.__path__, "dlfs."):
        name = info.name.removeprefix("dlfs.")
        area = name.split(".")[0]
        if info.ispkg or area in INTERNAL or area in ELSEWHERE or area.startswith("_"):
            continue
        module = importlib.import_module(info.name)
        for attribute, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == info.name
            if own and not attribute.startswith("_") and takes_arguments(thing):
                found.add(f"{area}.{attribute}")
    return found


def takes_arguments(thing: object) -> bool:
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return False
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return False
    try:
        return bool(inspect.signature(thing).parameters)
    except ValueError:
        return False


def test_every_public_name_has_a_row() -> None:
    tested = {subject.name.split()[0] for subject in SUBJECTS if subject.wanted}
    tested |= {name for name, *_ in MISFITS}
    missing = public_names() - tested - set(HARMLESS)
    assert not missing, f"add rows to tests/support for {sorted(missing)}"
    exported = {f"reference.{name}" for name in reference.KERNELS}
    assert not exported - tested


def test_every_operation_layer_and_loss_is_run_with_bad_input() -> None:
    """Those whose constructors take nothing would pass the test above."""
    subjects = {subject.name for subject in SUBJECTS}
    for module, kind in ((activations, Operation), (pooling, Operation), (reshape, Operation)):
        for name, thing in vars(module).items():
            own = inspect.isclass(thing) and thing.__module__ == module.__name__
            if own and issubclass(thing, kind) and not name.startswith("_"):
                area = module.__name__.removeprefix("dlfs.")
                missing = {f"{area}.{name} forward", f"{area}.{name} backward"} - subjects
                assert not missing, f"tests/support/subjects_classes.py has no {sorted(missing)}"
    for name, thing in vars(losses).items():
        own = inspect.isclass(thing) and issubclass(thing, losses.Loss) and name != "Loss"
        if own and not name.startswith("_"):
            assert f"losses.{name} forward" in subjects


def test_the_modules_that_are_tested_elsewhere_are() -> None:
    folder = Path(__file__).parent
    for area, where in ELSEWHERE.items():
        if importlib.util.find_spec(f"dlfs.{area}") is not None:
            assert (folder / where).exists(), f"{area} has no tests in {where}"
