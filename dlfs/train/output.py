"""Progress: a bar in a terminal or a notebook, lines in a log, or nothing."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

FEWEST, MOST = 10, 100
"""How many lines a log gets at least and at most; between these, one for each epoch."""


class NoProgress:
    """Shows nothing. Has those methods of a tqdm bar that a training calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def set_description(self, text: str, refresh: bool = False) -> None:
        """Take the text before the numbers."""

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        """Take the text after the numbers."""

    def update(self) -> None:
        """Count a step."""

    def clear(self) -> None:
        """Make room for another line of text."""

    def refresh(self) -> None:
        """Show it again."""


class ProgressLines(NoProgress):
    """Writes a line now and then, for a log: one after each epoch, or after each tenth of few.

    Parameters
    ----------
    total, initial : int
        How many steps there are, and how many of them are done already.
    epochs : int
        How many epochs these steps are.
    unit : str, default "batch"
        What a step is called.

    Examples
    --------
    >>> from contextlib import redirect_stderr
    >>> with redirect_stderr(sys.stdout):
    ...     lines = ProgressLines(total=40, initial=36, epochs=20)
    ...     for batch in range(4):
    ...         lines.set_description(f"epoch {19 + batch // 2}/20")
    ...         lines.set_postfix_str(f"loss {1 / (batch + 1):.4f}")
    ...         lines.update()
    epoch 19/20, batch 38/40, loss 0.5000
    epoch 20/20, batch 40/40, loss 0.2500
    """

    def __init__(self, total: int, initial: int, epochs: int, unit: str = "batch") -> None:
        self.total = total
        self.unit = unit
        self.done = initial
        self.lines = min(max(epochs, FEWEST), MOST)
        self.description = self.postfix = ""

    def set_description(self, text: str, refresh: bool = False) -> None:
        """Take the text before the numbers."""
        self.description = text

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        """Take the text after the numbers."""
        self.postfix = text

    def update(self) -> None:
        """Count a step, and write a line if it is time to."""
        before = self.done * self.lines // self.total
        self.done += 1
        if self.done * self.lines // self.total > before:
            parts = (self.description, f"{self.unit} {self.done}/{self.total}", self.postfix)
            write_line(sys.stderr, ", ".join(part for part in parts if part))


class Display:
    """What a training shows: a progress bar, and lines of text that do not tear it.

    Parameters
    ----------
    verbose : {0, 1, 2}, default 0
        Nothing; bar and lines; only lines.
    """

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self._bar: Any = None

    @contextmanager
    def shown(self, total: int, initial: int, epochs: int) -> Iterator[None]:
        """Within the block, show the bar; outside of it, ``say`` prints nothing."""
        with progress_bar(total, self.verbose != 1, initial, epochs) as self._bar:
            try:
                yield
            finally:
                self._bar = None

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Show which epoch it is."""
        self._bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)

    def end_batch(self, loss: float) -> None:
        """Count a batch, and show its loss."""
        self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a line without tearing the progress bar; nothing with verbose=0."""
        if self._bar is not None and self.verbose:
            self._bar.clear()
            write_line(sys.stdout, text)
            self._bar.refresh()


def progress_bar(
    total: int, disable: bool, initial: int = 0, epochs: int = 1, unit: str = "batch"
) -> Any:
    """Return what shows the progress best: a widget in a notebook, a bar in a terminal, or lines.

    Parameters
    ----------
    total : int
        How many steps there are.
    initial : int, default 0
        How many of them are done already.
    disable : bool
        Whether to show nothing.
    epochs : int, default 1
        How many epochs these steps are.
    unit : str, default "batch"
        What a step is called.
    """
    if disable:
        return NoProgress()
    if in_notebook():
        from tqdm.notebook import tqdm  # noqa: PLC0415 - slow to import, and only for notebooks
    elif not _is_terminal(sys.stderr):
        return ProgressLines(total, initial, epochs, unit)
    else:
        from tqdm.std import tqdm  # noqa: PLC0415 - only training needs it
    return tqdm(total=total, initial=initial, unit=unit, leave=True)


def write_line(stream: Any, text: str) -> None:
    """Write a line at once, where there is a stream for it.

    ``sys.stderr`` is None under pythonw and after ``2>&-``. A program may also have replaced it by
    an object that has only ``write``.

    Examples
    --------
    >>> write_line(sys.stdout, "done")
    done
    >>> write_line(None, "not written")
    """
    if stream is None or getattr(stream, "closed", False):
        return
    stream.write(f"{text}\n")
    if hasattr(stream, "flush"):
        stream.flush()


def _is_terminal(stream: Any) -> bool:
    return not getattr(stream, "closed", False) and hasattr(stream, "isatty") and stream.isatty()


def in_notebook() -> bool:
    """Return whether there is a notebook's kernel, and ipywidgets.

    Examples
    --------
    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    has_kernel = shell is not None and "IPKernelApp" in getattr(shell, "config", {})
    return has_kernel and importlib.util.find_spec("ipywidgets") is not None
