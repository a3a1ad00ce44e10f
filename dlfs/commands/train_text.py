"""``dlfs train --data sonnets``: train a network to write."""

import argparse

from dlfs import backend, datasets
from dlfs.models import writer
from dlfs.optimizers import Adam
from dlfs.saving import save
from dlfs.text import Vocabulary, sample, streams
from dlfs.train import Trainer

STREAMS, LENGTH = 16, 64


def run(arguments: argparse.Namespace) -> int:
    """Train on the first 90 % of the sonnets, report the loss on the rest, write a little."""
    text = datasets.sonnets()
    vocabulary = Vocabulary.of(text)
    indices, cut = vocabulary.encode(text), len(text) * 9 // 10
    X, y = streams(indices[:cut], STREAMS, LENGTH)
    X_test, y_test = streams(indices[cut:], STREAMS, LENGTH)
    net = writer(arguments.model, len(vocabulary), seed=arguments.seed, dtype=arguments.dtype)
    lr = 0.004 if arguments.lr is None else arguments.lr
    final_lr = lr / 4000 if arguments.final_lr is None else arguments.final_lr
    optim = Adam(lr=lr, final_lr=final_lr, decay_type="linear", decay_each="batch", clip_norm=1.0)
    net.build((LENGTH,))
    print(net)
    print(f"{optim!r}, {backend.backend_name()} backend, {X.size:,} characters", flush=True)
    history = Trainer(net, optim).fit(
        X,
        y,
        X_test,
        y_test,
        epochs=arguments.epochs,
        eval_every=1,
        batch_size=STREAMS,
        shuffle=False,
        early_stopping=False,
        verbose=2 if arguments.quiet else 1,
    )
    if len(history):
        print(f"Training took {sum(history['seconds']):.1f} s.")
    if len(history) and history.stopped is None:
        print(f"Test loss: {history['test_loss'][-1]:.4f} nats a character")
    print(sample(net, vocabulary, 400, temperature=0.8, seed=arguments.seed))
    if arguments.save is not None:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        save(net, arguments.save)
        print(f"Saved to {arguments.save}")
    return 130 if history.stopped == "interrupted" else 0
