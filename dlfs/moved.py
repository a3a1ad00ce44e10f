"""Modules that can also be imported by another name.

``dlfs.callbacks`` and ``dlfs.metrics`` are short for modules of ``dlfs.train``. The others are the
names of 0.1; they still import, with a warning, until 0.3.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SHORT = {"dlfs.callbacks": "dlfs.train.callbacks", "dlfs.metrics": "dlfs.train.metrics"}
"""Names that stay."""

MOVED = {
    "dlfs.checkpoint": "dlfs.train.checkpoint",
    "dlfs.cli": "dlfs.commands.cli",
    "dlfs.configuration": "dlfs.saving.config",
    "dlfs.fusion": "dlfs.layers.fusion",
    "dlfs.geometry": "dlfs.windows",
    "dlfs.gradcheck.conduct": "dlfs.gradcheck.behaviour",
    "dlfs.gradcheck.hints.arithmetic": "dlfs.gradcheck.hints.factors",
    "dlfs.gradcheck.hints.conduct": "dlfs.gradcheck.hints.behaviour",
    "dlfs.gradcheck.hints.places": "dlfs.gradcheck.hints.sums",
    "dlfs.gradcheck.hints.variants": "dlfs.gradcheck.hints.options",
    "dlfs.history": "dlfs.train.history",
    "dlfs.layers.dense": "dlfs.layers.base",
    "dlfs.models": "dlfs.commands.recipes",
    "dlfs.nodes": "dlfs.recurrent.cells",
    "dlfs.progress": "dlfs.train.output",
    "dlfs.reference.conv_fused": "dlfs.reference.fused",
    "dlfs.reference.steps": "dlfs.reference.recurrent",
    "dlfs.rnn": "dlfs.text.book",
    "dlfs.run": "dlfs.train.loop",
    "dlfs.seeds": "dlfs.initializers",
    "dlfs.snapshot": "dlfs.train.checkpoint",
    "dlfs.threads": "dlfs.backend",
    "dlfs.timing": "dlfs.commands.stopwatch",
    "dlfs.utils.data": "dlfs.datasets.prepare",
}
"""The old name of each module, and the new one."""


class MovedFinder(MetaPathFinder, Loader):
    """Finds a module by its old name, after all other finders have failed."""

    _spec: ModuleSpec | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old name, None for every other."""
        return ModuleSpec(fullname, self) if fullname in SHORT or fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module by its new name."""
        name = spec.name
        if name in MOVED:
            message = f"{name} has moved to {MOVED[name]}; dlfs 0.3 removes the old name"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        module = importlib.import_module(SHORT.get(name) or MOVED[name])
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec; its code ran when it was imported by its new name."""
        module.__spec__ = self._spec


def install() -> None:
    """Make these names importable."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
