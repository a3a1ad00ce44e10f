"""What goes wrong on one rank; run under mpiexec: ``ranks_faults.py WHAT CHECKPOINT RESULT``."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from dlfs.activations import Tanh
from dlfs.dropout import Dropout
from dlfs.layers import BatchNorm, Dense
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Adam
from dlfs.train import Trainer
from tests.support.training import regression

EPOCHS = 12


class Slow(Tanh):
    """A step takes a while, and something may happen in one of them."""

    ranks: Any = None
    what = ""
    steps = 0

    def _output(self):
        if self.ranks is not None:
            time.sleep(0.01)
            type(self).steps += 1
            if self.ranks.rank == 1 and self.steps == 20:
                if self.what == "error":
                    raise ZeroDivisionError("rank 1 has a reason")
                if self.what in ("SIGKILL", "SIGTERM", "SIGINT"):
                    os.kill(os.getpid(), getattr(signal, self.what))
        return super()._output()


def train(comm: Any, checkpoint: str | None, resume: bool = True) -> tuple[np.ndarray, Any]:
    """Return the parameters and the history of a training that can be ended and resumed."""
    layers = [Dense(5, activation=Tanh()), BatchNorm(), Slow(), Dropout(0.9), Dense(1)]
    net = NeuralNetwork(layers, seed=3)
    history = Trainer(net, Adam(lr=0.01), ranks=comm).fit(
        *regression(22),
        epochs=EPOCHS,
        eval_every=2,
        batch_size=6,
        early_stopping=False,
        checkpoint=checkpoint,
        resume=resume and checkpoint is not None,
        verbose=0,
    )
    return np.concatenate([param.ravel() for param in net.params()]), history


def main() -> None:
    """Train, with a fault on rank 1, and let rank 0 write the parameters."""
    from mpi4py import MPI

    what, checkpoint, result = sys.argv[1:]
    Slow.what = what
    Path(f"{checkpoint}.{MPI.COMM_WORLD.rank}.pid").write_text(str(os.getpid()))
    params, history = train(MPI.COMM_WORLD, checkpoint)
    if MPI.COMM_WORLD.rank == 0:
        np.savez(result, params=params, stopped=str(history.stopped), epochs=len(history))


if __name__ == "__main__":
    main()
