"""``dlfs train --data sonnets``, or a text of the user: train a network to write text."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dlfs import backend, datasets
from dlfs.commands.recipes import gpt, writer
from dlfs.commands.shared import draw_curve, logging, make_optimizer
from dlfs.text import Vocabulary, sample, save_writer, streams, windows
from dlfs.train import Trainer
from dlfs.train.callbacks import BatchLosses
from dlfs.train.history import History
from dlfs.types import IntArray


@dataclass(frozen=True)
class Recipe:
    """How a kind of network is trained.

    Parameters
    ----------
    batch_size, epochs : int
    rates : mapping
        A learning rate for each optimizer; the first one is the default.
    fall : float
        The rate falls to 1 / fall of the first.
    decay_type : str
    warmup : int
        Epochs.
    """

    batch_size: int
    epochs: int
    rates: Mapping[str, float]
    fall: float
    decay_type: str
    warmup: int = 0


LENGTH = 64
"""Of a sequence."""

RECURRENT = Recipe(
    batch_size=16,
    epochs=16,
    rates={
        "adam": 0.004,
        "adamw": 0.004,
        "rmsprop": 0.002,
        "adagrad": 0.02,
        "momentum": 0.2,
        "sgd": 1.0,
    },
    fall=10_000,
    decay_type="linear",
)
"""The batches are pieces of 16 streams, in their order."""

GPT = Recipe(
    batch_size=16,
    epochs=5,
    rates={
        "adamw": 0.002,
        "adam": 0.002,
        "rmsprop": 0.001,
        "adagrad": 0.02,
        "momentum": 0.1,
        "sgd": 0.5,
    },
    fall=100,
    decay_type="cosine",
    warmup=1,
)
"""The batches are pieces from anywhere, shuffled."""

STEP = 13
"""A piece for the transformer begins at every 13th character: it sees each character in five."""

WEIGHT_DECAY = 0.1


def run(arguments: argparse.Namespace, text: str | None = None) -> int:
    """Train on the first 90 % of a text, report the loss on the rest, write a sample."""
    recurrent = arguments.model != "gpt"
    recipe = RECURRENT if recurrent else GPT
    batch_size = recipe.batch_size if arguments.batch_size is None else arguments.batch_size
    epochs = recipe.epochs if arguments.epochs is None else arguments.epochs
    options = {"weight_decay": WEIGHT_DECAY} if _decays(arguments) and not recurrent else {}
    optim = make_optimizer(
        arguments,
        recipe.rates,
        recipe.fall,
        decay_type=recipe.decay_type,
        warmup=recipe.warmup,
        clip_norm=1.0,
        **options,
    )
    text = datasets.sonnets() if text is None else text
    vocabulary = Vocabulary.of(text)
    indices, cut = vocabulary.encode(text), len(text) * 9 // 10
    together = batch_size if recurrent else 1
    if len(text) - cut <= together * LENGTH:
        raise ValueError(
            f"--data: {together} streams of length {LENGTH} need a text of at least "
            f"{10 * together * LENGTH + 10} characters, a tenth of it for the test, got "
            f"{len(text)}; a smaller --batch-size needs less"
        )
    if recurrent:
        X, y = streams(indices[:cut], batch_size, LENGTH)
        X_test, y_test = streams(indices[cut:], batch_size, LENGTH)
        net = writer(arguments.model, len(vocabulary), seed=arguments.seed, dtype=arguments.dtype)
    else:
        X, y = _pieces(indices[:cut])
        X_test, y_test = streams(indices[cut:], 1, LENGTH)
        net = gpt(len(vocabulary), LENGTH, seed=arguments.seed, dtype=arguments.dtype, rotary=True)
    net.build((LENGTH,))
    print(net)
    print(f"{optim!r}, {backend.backend_name()} backend, {cut:,} characters", flush=True)
    losses = BatchLosses()
    history = Trainer(net, optim, ranks=arguments.comm).fit(
        X,
        y,
        X_test,
        y_test,
        epochs=epochs,
        eval_every=1,
        batch_size=batch_size,
        seed=arguments.seed,
        shuffle=not recurrent,
        early_stopping=False,
        callbacks=[losses, *logging(arguments)],
        verbose=2 if arguments.quiet else 1,
    )
    if not arguments.leads:
        return 0  # rank 0 reports, and writes the files
    if len(history):
        print(history)
        print(f"Training took {sum(history['seconds']):.1f} s.")
    if "test_loss" in history.columns:
        print(said_of_loss(history))
    print(f"A sample:\n{sample(net, vocabulary, 400, temperature=0.8, seed=arguments.seed)}")
    if arguments.save is not None:
        save_writer(net, vocabulary, arguments.save)
        print(f"Saved to {arguments.save}; 'dlfs sample {arguments.save}' writes more")
    if arguments.plots is not None and len(history):
        draw_curve(history, losses.losses, arguments.plots)
    return 130 if history.stopped == "interrupted" else 0


def said_of_loss(history: History) -> str:
    """Return the test loss, and its minimum if that was earlier (overfitting)."""
    losses = history["test_loss"]
    said = f"Test loss: {losses[-1]:.4f} nats per character"
    if min(losses) < losses[-1]:
        said += f" (the lowest was {min(losses):.4f}, after epoch {history.best_epoch})"
    return said


def _decays(arguments: argparse.Namespace) -> bool:
    return arguments.optimizer in (None, "adamw")


def _pieces(indices: IntArray) -> tuple[IntArray, IntArray]:
    """Return overlapping pieces of the text, one at every STEP characters."""
    X, y = windows(indices, LENGTH)
    return np.ascontiguousarray(X[::STEP]), np.ascontiguousarray(y[::STEP])
