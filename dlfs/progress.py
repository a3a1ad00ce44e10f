"""The progress bar, in terminals and notebooks."""

import importlib.util
import sys
from typing import Any


def progress_bar(total: int, disable: bool, initial: int = 0) -> Any:
    """Return a tqdm bar that fits where it runs: a widget in a notebook, else a line of text.

    Parameters
    ----------
    total, initial : int
        How many steps there are, and how many of them are done already.
    disable : bool
        Whether to show nothing.
    """
    if _in_notebook():
        from tqdm.notebook import tqdm  # noqa: PLC0415 - slow to import, and only for notebooks
    else:
        from tqdm.std import tqdm  # noqa: PLC0415 - only training needs it
    # Where nobody watches the line move, an update every few seconds is enough.
    interval = 0.1 if sys.stderr.isatty() or _in_notebook() else 5.0
    return tqdm(
        total=total,
        initial=initial,
        disable=disable,
        mininterval=interval,
        unit="batch",
        leave=True,
    )


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    has_kernel = shell is not None and "IPKernelApp" in getattr(shell, "config", {})
    return has_kernel and importlib.util.find_spec("ipywidgets") is not None
