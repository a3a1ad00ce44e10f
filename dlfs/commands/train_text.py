"""``dlfs train --data sonnets``: train a network to write text."""

import argparse

from dlfs import backend, datasets
from dlfs.commands.recipes import writer
from dlfs.commands.shared import draw_curve, make_optimizer
from dlfs.text import Vocabulary, sample, save_writer, streams
from dlfs.train import Trainer
from dlfs.train.callbacks import BatchLosses
from dlfs.train.history import History

STREAMS, LENGTH, EPOCHS = 16, 64, 16
RATES = {
    "adam": 0.004,
    "adamw": 0.004,
    "rmsprop": 0.002,
    "adagrad": 0.02,
    "momentum": 0.2,
    "sgd": 1.0,
}


def run(arguments: argparse.Namespace) -> int:
    """Train on the first 90 % of the sonnets, report the loss on the rest, write a sample."""
    batch_size = STREAMS if arguments.batch_size is None else arguments.batch_size
    epochs = EPOCHS if arguments.epochs is None else arguments.epochs
    optim = make_optimizer(arguments, RATES, fall=10_000, clip_norm=1.0)
    text = datasets.sonnets()
    vocabulary = Vocabulary.of(text)
    indices, cut = vocabulary.encode(text), len(text) * 9 // 10
    X, y = streams(indices[:cut], batch_size, LENGTH)
    X_test, y_test = streams(indices[cut:], batch_size, LENGTH)
    net = writer(arguments.model, len(vocabulary), seed=arguments.seed, dtype=arguments.dtype)
    net.build((LENGTH,))
    print(net)
    print(f"{optim!r}, {backend.backend_name()} backend, {X.size:,} characters", flush=True)
    losses = BatchLosses()
    history = Trainer(net, optim).fit(
        X,
        y,
        X_test,
        y_test,
        epochs=epochs,
        eval_every=1,
        batch_size=batch_size,
        seed=arguments.seed,
        shuffle=False,
        early_stopping=False,
        callbacks=[losses],
        verbose=2 if arguments.quiet else 1,
    )
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
