"""A strict kernel: every warning is shown, and connections are refused.

A warning is written to stderr, as for a reader, and ``execute`` reports that. As an error, code
that catches errors would hide it.

Started as a script by ``execute``; takes the arguments of ``ipykernel_launcher``.
"""

import sys
import warnings
from typing import Any

from ipykernel.kernelapp import IPKernelApp

LOCAL = ("127.0.0.1", "::1", "localhost", "")


def show_warnings() -> None:
    """Show every warning, except those for the developers of other packages."""
    warnings.simplefilter("always")
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.filterwarnings("always", module=r"__main__$|dlfs")


def forbid_connections() -> None:
    """Refuse look-ups of and connections to other machines."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        else:
            return
        if isinstance(host, bytes):
            host = host.decode()
        if host not in (None, *LOCAL):
            raise ConnectionRefusedError(f"a notebook must run offline: connection to {host}")

    sys.addaudithook(hook)


class StrictKernelApp(IPKernelApp):
    """Sets its warning filters after IPython has set its own."""

    def start(self) -> None:
        """Start, strict."""
        show_warnings()
        forbid_connections()
        super().start()


if __name__ == "__main__":
    del sys.path[0]  # this folder
    StrictKernelApp.launch_instance()
