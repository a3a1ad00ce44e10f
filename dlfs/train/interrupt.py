"""Ctrl-C while a network trains: it waits until the step is finished."""

import signal
import threading
from typing import Any


class PatientInterrupt:
    """Within the block, Ctrl-C is only noted; ``check`` then raises the KeyboardInterrupt.

    An interrupt in the middle of a step would leave some parameters changed and others not. A
    second Ctrl-C does not wait. A handler for SIGINT that the user has installed stays; in
    threads other than the main one, where no signal arrives, nothing changes.

    Parameters
    ----------
    shared : bool, default False
        Whether several processes train together (``dlfs.ranks``). Then ``check`` raises once all
        know that one of them was interrupted, so that all end after the same step.

    Attributes
    ----------
    noted : bool
        Whether Ctrl-C arrived in this process.
    agreed : bool
        Whether all processes know that it arrived in one of them.

    Examples
    --------
    >>> with PatientInterrupt() as interrupt:
    ...     interrupt.noted = True  # as Ctrl-C does
    ...     print("the step is finished")
    ...     try:
    ...         interrupt.check()
    ...     except KeyboardInterrupt:
    ...         print("stopped")
    the step is finished
    stopped
    """

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared
        self.noted = self.agreed = False
        self._installed = False

    def __enter__(self) -> "PatientInterrupt":
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C."""
        if self.agreed if self.shared else self.noted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: Any) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True
