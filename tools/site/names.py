"""Public names, and the page of the reference that each one has.

A group is a page of the reference. Its modules are public: all names in a module's ``__all__`` have
a page, and in a module without it all classes and functions that it defines, except HELPERS. A name
belongs to the group of the module that defines it. A new name is therefore found without changes
here; a new module must be named here, as public or as internal.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import dlfs


@dataclass(frozen=True)
class Group:
    """A page of the reference: its address, title, introduction, and modules by section."""

    slug: str
    title: str
    text: str
    sections: dict[str, tuple[str, ...]]

    @property
    def modules(self) -> tuple[str, ...]:
        """All modules of the group."""
        return tuple(name for names in self.sections.values() for name in names)


GROUPS = (
    Group(
        "layers",
        "Layers",
        "What a network is made of. Activations, pooling, `Flatten` and `Dropout` are Operations,"
        " and stand in a network's list of layers like any layer.",
        {
            "Dense layers": ("dlfs.layers.base",),
            "Convolution and pooling": ("dlfs.layers.conv", "dlfs.pooling"),
            "Sequences": ("dlfs.layers.recurrent", "dlfs.layers.embedding", "dlfs.layers.tied"),
            "Attention": ("dlfs.layers.attention", "dlfs.layers.transformer"),
            "Normalization": ("dlfs.layers.normalization",),
            "Dropout and shapes": ("dlfs.dropout", "dlfs.reshape"),
            "Layers made of layers": ("dlfs.layers.blocks", "dlfs.layers"),
        },
    ),
    Group(
        "activations",
        "Activations",
        "Functions of single numbers, or of a row: `Dense(13, activation=Tanh())`.",
        {"": ("dlfs.activations", "dlfs.layers.activations")},
    ),
    Group(
        "losses",
        "Losses",
        "The number that a training makes small, and how a prediction becomes a decision.",
        {"": ("dlfs.losses", "dlfs.losses.regression", "dlfs.losses.classes", "dlfs.losses.base")},
    ),
    Group(
        "networks",
        "Networks",
        "Layers with a loss.",
        {"": ("dlfs.network",)},
    ),
    Group(
        "optimizers",
        "Optimizers",
        "How a gradient becomes a step.",
        {
            "Gradient descent": ("dlfs.optimizers.gradient_descent",),
            "Adaptive steps": ("dlfs.optimizers.adaptive",),
            "Base class, norms and the learning rate": (
                "dlfs.optimizers.base",
                "dlfs.optimizers.schedule",
                "dlfs.optimizers",
                "dlfs.clipping",
            ),
        },
    ),
    Group(
        "training",
        "Training",
        "The Trainer, what it returns, what it calls and what it measures.",
        {
            "The Trainer": (
                "dlfs.train.trainer",
                "dlfs.train.history",
                "dlfs.train.loop",
                "dlfs.train.failure",
                "dlfs.train",
            ),
            "Callbacks": ("dlfs.train.callbacks",),
            "Metrics": ("dlfs.train.metrics",),
            "Several processes": ("dlfs.ranks",),
        },
    ),
    Group(
        "weights",
        "Initial weights",
        "Where the parameters start, and the random streams of the layers.",
        {"": ("dlfs.initializers",)},
    ),
    Group(
        "saving",
        "Saving and loading",
        "Networks in files: weights as safetensors, the architecture as JSON, no pickle.",
        {"": ("dlfs.saving", "dlfs.saving.networks")},
    ),
    Group(
        "data",
        "Data",
        "The book's data, inside the package, and what prepares arrays for a training.",
        {
            "Data sets": (
                "dlfs.datasets",
                "dlfs.datasets.digits",
                "dlfs.datasets.files",
                "dlfs.datasets.housing",
                "dlfs.datasets.idx",
                "dlfs.datasets.shakespeare",
            ),
            "Your own data": (
                "dlfs.datasets.folder",
                "dlfs.datasets.tables",
                "dlfs.train.batches",
            ),
            "Preparation": ("dlfs.datasets.prepare", "dlfs.datasets.augment"),
        },
    ),
    Group(
        "text",
        "Text",
        "A vocabulary, sequences in batches, and networks that write.",
        {
            "Text in batches, and writing": (
                "dlfs.text",
                "dlfs.text.vocabulary",
                "dlfs.text.writing",
            ),
            "The book's classes": ("dlfs.text.book",),
        },
    ),
    Group(
        "gradients",
        "Checking gradients",
        "Compare a backward pass with differences of the forward pass, also in your own tests.",
        {
            "The checker": (
                "dlfs.gradcheck",
                "dlfs.gradcheck.behaviour",
                "dlfs.gradcheck.check",
                "dlfs.gradcheck.compare",
                "dlfs.gradcheck.report",
            ),
            "Properties for hypothesis": (
                "dlfs.testing",
                "dlfs.testing.assertion",
                "dlfs.testing.chooser",
                "dlfs.testing.strategies",
            ),
        },
    ),
    Group(
        "autograd",
        "Automatic differentiation",
        "Numbers and arrays that record how they were computed.",
        {
            "": (
                "dlfs.autograd",
                "dlfs.autograd.array",
                "dlfs.autograd.functions",
                "dlfs.autograd.images",
                "dlfs.autograd.number",
            )
        },
    ),
    Group(
        "pytorch",
        "PyTorch",
        "Conversion of networks from and to PyTorch, and the book's classes on it. Needs the extra"
        " `torch`.",
        {
            "Conversion": ("dlfs.pytorch.convert", "dlfs.pytorch.modules"),
            "The book's classes": (
                "dlfs.pytorch",
                "dlfs.pytorch.helpers",
                "dlfs.pytorch.layers",
                "dlfs.pytorch.model",
                "dlfs.pytorch.trainer",
            ),
        },
    ),
    Group(
        "export",
        "ONNX and scikit-learn",
        "Networks for other runtimes (extra `onnx`), and as estimators (extra `sklearn`).",
        {"ONNX": ("dlfs.onnx",), "scikit-learn": ("dlfs.estimators",)},
    ),
    Group(
        "plots",
        "Plots and exercises",
        "Drawings of filters, images and trainings (extra `plots`), and the chapters' checks.",
        {"": ("dlfs.plots", "dlfs.exercises")},
    ),
    Group(
        "operations",
        "Operations",
        "The steps inside the layers, formula beside formula. A class of your own starts here.",
        {
            "Base classes": ("dlfs.base",),
            "Dense and convolution": ("dlfs.dense", "dlfs.conv"),
            "Sequences": (
                "dlfs.embedding",
                "dlfs.attention",
                "dlfs.recurrent",
                "dlfs.recurrent.operations",
            ),
            "Normalization": ("dlfs.normalization",),
            "One time step: the book's nodes": ("dlfs.recurrent.cells",),
        },
    ),
    Group(
        "backends",
        "Backends and threads",
        "Which kernels run, and on how many threads.",
        {"": ("dlfs.backend",)},
    ),
    Group(
        "kernels",
        "Kernels",
        "Functions of arrays: `dlfs.reference` defines them in NumPy, `dlfs_ext` computes the same"
        " in Cython and C.",
        {
            "Dense": ("dlfs.reference.dense",),
            "Activations": ("dlfs.reference.activations", "dlfs.reference.rectifiers"),
            "Convolution and pooling": (
                "dlfs.reference.conv",
                "dlfs.reference.conv_transpose",
                "dlfs.reference.pooling",
            ),
            "Sequences": (
                "dlfs.reference.embedding",
                "dlfs.reference.recurrent",
                "dlfs.reference.gru",
                "dlfs.reference.attention",
            ),
            "Normalization and dropout": (
                "dlfs.reference.normalization",
                "dlfs.reference.dropout",
            ),
            "Losses": ("dlfs.reference.losses",),
            "Optimizers": ("dlfs.reference.optimizers",),
            "Several steps in one": ("dlfs.reference.fused", "dlfs.reference"),
        },
    ),
    Group(
        "book",
        "The book's helpers",
        "The functions of the book's modules `np_utils` and `mnist`.",
        {"": ("dlfs.utils.np_utils", "dlfs.utils.mnist")},
    ),
)

# Modules whose names are for the library itself. A name ends in a dot for all modules below it.
INTERNAL = (
    "dlfs.__main__",
    "dlfs.advice",
    "dlfs.ceil_mode",
    "dlfs.autograd.",
    "dlfs.checks",
    "dlfs.classroom",
    "dlfs.classroom.",
    "dlfs.commands",
    "dlfs.commands.",
    "dlfs.configured",
    "dlfs.gradcheck.",
    "dlfs.labels",
    "dlfs.layers.fusion",
    "dlfs.layers.params",
    "dlfs.layers.tree",
    "dlfs.lazy",
    "dlfs.loss_weights",
    "dlfs.memory",
    "dlfs.moved",
    "dlfs.named_axes",
    "dlfs.next_activation",
    "dlfs.owners",
    "dlfs.pytorch.",
    "dlfs.reference.",
    "dlfs.saving.",
    "dlfs.summary",
    "dlfs.ties",
    "dlfs.train.",
    "dlfs.types",
    "dlfs.utils",
    "dlfs.utils.files",
    "dlfs.utils.options",
    "dlfs.windows",
)

# Names without an underscore that modules share with each other.
HELPERS = {
    "dlfs.activations.own_copy",
    "dlfs.attention.Seen",
    "dlfs.backend.fuses",
    "dlfs.base.backward_through",
    "dlfs.clipping.clipped",
    "dlfs.dense.rows",
    "dlfs.dense.with_features",
    "dlfs.dropout.draw_mask",
    "dlfs.embedding.check_length",
    "dlfs.embedding.check_positions",
    "dlfs.embedding.position_angles",
    "dlfs.embedding.positions_of",
    "dlfs.datasets.prepare.check_same_rows",
    "dlfs.initializers.check_weight_init",
    "dlfs.network.Lock",
    "dlfs.normalization.check_groups",
    "dlfs.normalization.statistics_shape",
    "dlfs.onnx.Graph",
    "dlfs.ranks.Communicator",
    "dlfs.ranks.combined_moments",
    "dlfs.ranks.skip_float32",
    "dlfs.train.metrics.needs_sklearn",
    "dlfs.onnx.NoCounterpart",
}


@dataclass(frozen=True)
class Public:
    """A public name: the shortest path to it, the object, and its place in the reference."""

    path: str
    value: Any
    group: Group
    section: str

    @property
    def module(self) -> str:
        """The module of the path."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def kind(self) -> str:
        """What autodoc makes of it."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, Exception) else "class"
        return "function" if callable(self.value) else "data"

    @property
    def page(self) -> str:
        """The page's address, without an ending.

        ``datasets.MNIST`` and ``datasets.mnist`` need pages that differ on every file system.
        """
        parent = importlib.import_module(self.module)
        shared = inspect.isclass(self.value) and any(
            name != self.name and name.casefold() == self.name.casefold() for name in dir(parent)
        )
        return f"api/{self.path}{'-class' if shared else ''}"


def modules() -> Iterator[str]:
    """Yield every module of dlfs by name."""
    yield "dlfs"
    for found in pkgutil.walk_packages(dlfs.__path__, "dlfs."):
        yield found.name


def is_internal(module: str) -> bool:
    """Tell whether INTERNAL has this module."""
    return any(
        module.startswith(name) if name.endswith(".") else module == name for name in INTERNAL
    )


def exported(module: str) -> list[str]:
    """Return the public names of a module."""
    found = importlib.import_module(module)
    if hasattr(found, "__all__"):
        return list(found.__all__)
    return [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and value.__module__ == module
        and f"{module}.{name}" not in HELPERS
    ]


def doors() -> list[str]:
    """Return the public modules, shortest path first."""
    public = {name for group in GROUPS for name in group.modules}
    found = [
        name
        for name in modules()
        if name == "dlfs" or (name in public and _has_names_of_its_own(name))
    ]
    return sorted(found, key=lambda name: name.count("."))


def _has_names_of_its_own(module: str) -> bool:
    """Tell whether names are public here, and not only in the package above."""
    parent = module.rpartition(".")[0]
    if parent == "dlfs":
        return True
    return not hasattr(importlib.import_module(parent), "__all__") or module in ALSO_PUBLIC


# Modules that are public themselves, although the package above has an ``__all__``.
ALSO_PUBLIC = {
    "dlfs.datasets.augment",
    "dlfs.datasets.prepare",
    "dlfs.initializers",
    "dlfs.optimizers.schedule",
    "dlfs.recurrent.cells",
    "dlfs.text.book",
    "dlfs.train.callbacks",
    "dlfs.train.history",
    "dlfs.train.metrics",
}


def _upwards(module: str) -> Iterator[str]:
    """Yield a module's name and those of the packages around it."""
    while module:
        yield module
        module = module.rpartition(".")[0]


@cache
def public_names() -> tuple[Public, ...]:
    """Return every public name once, in the order of the groups."""
    place = {
        module: (group, section)
        for group in GROUPS
        for section, names in group.sections.items()
        for module in names
    }
    found: dict[int, Public] = {}
    for door in doors():
        for name in exported(door):
            value = getattr(importlib.import_module(door), name)
            origin = getattr(value, "__module__", door) if callable(value) else door
            origin = next((m for m in (*_upwards(origin), *_upwards(door)) if m in place), None)
            if origin is None:
                raise LookupError(f"{door}.{name}: name its module in GROUPS, tools/site/names.py")
            if id(value) not in found:
                found[id(value)] = Public(f"{door}.{name}", value, *place[origin])
    order = {group.slug: number for number, group in enumerate(GROUPS)}
    sections = {
        (group.slug, section): number
        for group in GROUPS
        for number, section in enumerate(group.sections)
    }
    return tuple(
        sorted(
            found.values(),
            key=lambda public: (
                order[public.group.slug],
                sections[public.group.slug, public.section],
            ),
        )
    )
