"""The book's trainer for PyTorch models."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from dlfs.checks import check_flag, check_int, check_real
from dlfs.pytorch.helpers import check_lengths, evaluating, permute_data


class PyTorchTrainer:
    """Train a model: forward, loss, backward by autograd, a step of the optimizer.

    Parameters
    ----------
    model : torch.nn.Module
        Returns the prediction, or a tuple that begins with it.
    optim : torch.optim.Optimizer
        An optimizer of the model's parameters.
    criterion : callable
        A function of prediction and target that returns the loss.

    Attributes
    ----------
    losses : list of (epoch, loss)
        The test losses of the last ``fit``.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or the optimizer does not hold the model's parameters.

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> X = torch.randn(64, 3)
    >>> y = X.sum(dim=1, keepdim=True)
    >>> model = nn.Linear(3, 1)
    >>> trainer = PyTorchTrainer(model, torch.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss())
    >>> trainer.fit(X, y, X, y, epochs=50, verbose=False)
    >>> trainer.losses[-1][1] < 1e-6
    True
    """

    def __init__(
        self,
        model: nn.Module,
        optim: torch.optim.Optimizer,
        criterion: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        owner = "PyTorchTrainer"
        if not isinstance(model, nn.Module):
            raise TypeError(f"{owner}: model must be a torch.nn.Module, got {type(model).__name__}")
        if not isinstance(optim, torch.optim.Optimizer):
            raise TypeError(
                f"{owner}: optim must be a torch.optim.Optimizer, got {type(optim).__name__}"
            )
        if not callable(criterion):
            raise TypeError(f"{owner}: criterion must be callable, got {type(criterion).__name__}")
        self.model = model
        self.optim = optim
        self.loss = criterion
        self.losses: list[tuple[int, float]] = []
        self._check_optim_net_aligned()

    def _check_optim_net_aligned(self) -> None:
        held = {id(p) for group in self.optim.param_groups for p in group["params"]}
        known = {id(p) for p in self.model.parameters()}
        if not held <= known:
            raise ValueError(
                "PyTorchTrainer: optim must hold only parameters of the model, got others; "
                "create it from model.parameters()"
            )

    def fit(
        self,
        X_train: Tensor,
        y_train: Tensor,
        X_test: Tensor,
        y_test: Tensor,
        epochs: int = 100,
        eval_every: int = 10,
        batch_size: int = 32,
        final_lr_exp: float | None = None,
        shuffle: bool = True,
        seed: int | None = 1,
        verbose: bool = True,
    ) -> None:
        """Train, and measure the loss on the test data at intervals.

        Parameters
        ----------
        X_train, y_train, X_test, y_test : Tensor, batch axis first
        epochs : int
        eval_every : int
            The loss is measured every ``eval_every`` epochs, and after the last one.
        batch_size : int
        final_lr_exp : float, optional
            The learning rate of the last epoch, reached exponentially. Default: a constant rate,
            that of the optimizer.
        shuffle : bool
            Whether to shuffle the data in every epoch.
        seed : int, optional
            The seed of the order. Default: PyTorch's own generator.
        verbose : bool
            Whether to print the losses.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value.
        """
        owner = "PyTorchTrainer.fit"
        check_lengths(f"{owner} (training)", X_train, y_train)
        check_lengths(f"{owner} (test)", X_test, y_test)
        if not len(X_train) or not len(X_test):
            raise ValueError(f"{owner}: training and test data must not be empty, got no rows")
        epochs = check_int(epochs, owner, "epochs", 1)
        eval_every = check_int(eval_every, owner, "eval_every", 1)
        batch_size = check_int(batch_size, owner, "batch_size", 1)
        check_flag(shuffle, owner, "shuffle")
        check_flag(verbose, owner, "verbose")
        generator = None
        if seed is not None:
            generator = torch.Generator().manual_seed(check_int(seed, owner, "seed", 0))
        scheduler = self._scheduler(final_lr_exp, epochs)
        self.losses = []
        self.model.train()
        for epoch in range(1, epochs + 1):
            if shuffle:
                X, y = permute_data(X_train, y_train, generator)
            else:
                X, y = X_train, y_train
            for X_batch, y_batch in self.generate_batches(X, y, batch_size):
                self.optim.zero_grad()
                self.loss(_first(self.model(X_batch)), y_batch).backward()
                self.optim.step()
            if scheduler is not None:
                scheduler.step()
            if epoch % eval_every == 0 or epoch == epochs:
                self.losses.append((epoch, self.test_loss(X_test, y_test)))
                if verbose:
                    print(f"The loss after {epoch} epochs was {self.losses[-1][1]:.4f}")

    def generate_batches(
        self, X: Tensor, y: Tensor, size: int = 32
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over data in batches; the last one may be smaller.

        Parameters
        ----------
        X, y : Tensor, batch axis first
        size : int
        """
        check_lengths("PyTorchTrainer.generate_batches", X, y)
        for start in range(0, len(X), size):
            yield X[start : start + size], y[start : start + size]

    def test_loss(self, X: Tensor, y: Tensor, batch_size: int = 1000) -> float:
        """Return the loss on data, without training.

        The model predicts and keeps its state: carried states and running statistics do not change.

        Parameters
        ----------
        X, y : Tensor, batch axis first
        batch_size : int
            The number of observations predicted at a time, to save memory.
        """
        kept = [buffer.clone() for buffer in self.model.buffers()]
        with evaluating(self.model), torch.no_grad():
            parts = [_first(self.model(part)) for part in X.split(batch_size)]
            found = float(self.loss(torch.cat(parts), y))
            for buffer, old in zip(self.model.buffers(), kept, strict=True):
                buffer.copy_(old)
        return found

    def _scheduler(
        self, final_lr_exp: float | None, epochs: int
    ) -> torch.optim.lr_scheduler.LRScheduler | None:
        if final_lr_exp is None:
            return None
        final = check_real(final_lr_exp, "PyTorchTrainer.fit", "final_lr_exp", 0.0, low_open=True)
        start = self.optim.param_groups[0]["lr"]
        decay = (final / start) ** (1 / max(epochs - 1, 1))
        return torch.optim.lr_scheduler.ExponentialLR(self.optim, gamma=decay)


def _first(output: object) -> Tensor:
    prediction = output[0] if isinstance(output, tuple) else output
    if not isinstance(prediction, Tensor):
        raise TypeError(
            f"PyTorchTrainer: the model must return a tensor, or a tuple that begins with one; "
            f"got {type(prediction).__name__}"
        )
    return prediction
