"""How an object is written down for a file: its class, and its arguments (``Configured``)."""

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from dlfs.checks import shortened, shown
from dlfs.configured import PLAIN, Configured


def class_name(kind: type) -> str:
    """Return the name that a file has for a class.

    A class of dlfs has its public name, wherever in the package it is: ``dlfs.Dense``. Any other
    has its module and qualified name: ``__main__.Swish``. So neither is ever taken for the other.

    Examples
    --------
    >>> from dlfs.activations import ReLU
    >>> class_name(ReLU)
    'dlfs.ReLU'
    """
    if kind.__module__.partition(".")[0] == "dlfs":
        return f"dlfs.{kind.__name__}"
    return f"{kind.__module__}.{kind.__qualname__}"


def to_config(thing: Configured) -> dict[str, Any]:
    """Write an object down as ``{"class": name, "arguments": {...}}``, fit for JSON.

    Raises
    ------
    ValueError
        If an argument cannot be written down (a function, say).
    """
    owner = type(thing).__name__
    arguments = {name: _to_json(value, owner, name) for name, value in thing.arguments().items()}
    return {"class": class_name(type(thing)), "arguments": arguments}


def check_restorable(thing: Configured, known: Mapping[str, type]) -> None:
    """Demand that ``from_config`` would make the same object again from ``to_config``.

    It would not where the constructor does not keep an argument, or keeps something else than it
    was given (``self.rate = 2 * rate``), or where a method was replaced in the object.

    Parameters
    ----------
    thing : Configured
    known : mapping
        The classes of dlfs that a file may name, by name.

    Raises
    ------
    ValueError
        If it would not; the message names the class and the argument.
    """
    kind = type(thing)
    name = class_name(kind)
    if name.startswith("dlfs.") and known.get(name) is not kind:
        raise ValueError(f"{kind.__name__} cannot be saved: {kind.__module__} has no such class")
    check_methods(thing)
    _check_constructor(thing)
    owner, arguments = type(thing).__name__, thing.arguments()
    try:
        again = type(thing)(**arguments).arguments()
    except Exception as error:
        raise ValueError(
            f"{owner} cannot be saved: its constructor does not take the arguments that it kept: "
            f"{shortened(str(error), 200)}"
        ) from error
    for name, value in arguments.items():
        now, then = (json.dumps(_to_json(held, owner, name)) for held in (value, again[name]))
        if now != then:
            raise ValueError(
                f"{owner} cannot be saved: made with {name}={shown(value)}, it keeps "
                f"{name}={shown(again[name])}; the attribute must be what the constructor was given"
            )
        for part in _parts(value):
            check_restorable(part, known)


def _parts(value: object) -> Iterator[Configured]:
    """Go through the objects in an argument, which may be a list, or a list of lists."""
    if isinstance(value, Configured):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)


def check_methods(thing: object) -> None:
    """Refuse to save an object in which a method was replaced: only its class would come back."""
    for name, value in vars(thing).items():
        if callable(value) and callable(getattr(type(thing), name, None)):
            raise ValueError(
                f"{type(thing).__name__} cannot be saved: its method {name} was replaced in this "
                "object alone; a subclass with this method can be saved"
            )


def _check_constructor(thing: Configured) -> None:
    """Refuse arguments that ``arguments`` does not find."""
    kind, owner = type(thing), type(thing).__name__
    if kind.__init__ is object.__init__:
        return
    kept = thing.arguments()
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        name = parameter.name
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            if kind.arguments is Configured.arguments:
                stars = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
                raise ValueError(
                    f"{owner} cannot be saved: its constructor takes {stars}{name}, and what that "
                    "was is not kept; each argument must have a name"
                )
        elif name not in kept:
            reason = (
                "its constructor takes it by position only"
                if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
                else f"there must be an attribute of this name: self.{name} = {name}"
            )
            raise ValueError(
                f"{owner} cannot be saved: its argument {name} would be lost; {reason}"
            )


def _to_json(value: Any, owner: str, name: str) -> Any:
    if isinstance(value, Configured):
        return to_config(value)
    if isinstance(value, tuple | list):
        return [_to_json(item, owner, name) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, PLAIN):
        return value
    if name == "weight_init" and callable(value):
        # A function cannot be saved; it has done its work when there are weights to save.
        return None
    raise ValueError(f"{owner}: the argument {name}={shown(value)} cannot be saved")


def with_defaults(config: Any, classes: Mapping[str, type]) -> Any:
    """Return what holds configurations, with the arguments that they leave out.

    A file does not have an argument that its class got later: it means the default.

    Parameters
    ----------
    config : dict, list, or a plain value
    classes : mapping
        As for ``from_config``; other classes keep the arguments that they have.

    Examples
    --------
    >>> from dlfs.optimizers import SGD
    >>> config = {"class": "dlfs.SGD", "arguments": {"lr": 0.1}}
    >>> with_defaults(config, {"dlfs.SGD": SGD})["arguments"]["warmup"]
    0
    """
    if isinstance(config, list):
        return [with_defaults(item, classes) for item in config]
    if not isinstance(config, dict):
        return config
    whole = {key: with_defaults(value, classes) for key, value in config.items()}
    kind, arguments = whole.get("class"), whole.get("arguments")
    if isinstance(kind, str) and kind in classes and isinstance(arguments, dict):
        for name, parameter in inspect.signature(classes[kind]).parameters.items():
            if parameter.default is not parameter.empty and name not in arguments:
                arguments[name] = _to_json(parameter.default, kind, name)
    return whole


def from_config(config: Any, classes: Mapping[str, type]) -> Any:
    """Make the object again that ``to_config`` wrote down.

    Parameters
    ----------
    config : dict
    classes : mapping
        The classes that may be made, by name. Nothing else is looked up or called.

    Raises
    ------
    ValueError
        If the configuration has another form, or names another class or impossible arguments.
    """
    if not isinstance(config, dict) or set(config) != {"class", "arguments"}:
        raise ValueError(
            f"a configuration must have the keys 'class' and 'arguments', got {shown(config)}"
        )
    name, arguments = config["class"], config["arguments"]
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"unknown class {shown(name)}{_how_to_name(name)}")
    if not isinstance(arguments, dict):
        raise ValueError(f"{name}: arguments must be a dictionary, got {shown(arguments)}")
    made = {key: _from_json(value, classes) for key, value in arguments.items()}
    try:
        return classes[name](**made)
    except (TypeError, ValueError, OverflowError) as error:
        # Without the error as its cause: that may repeat what the file holds, at any length.
        raise ValueError(
            f"{name} cannot be made from {shown(arguments)}: {shortened(str(error), 200)}"
        ) from None


def class_names(config: Any) -> list[str]:
    """Return the names of all classes in a configuration, however deep, each as often as it is."""
    found: list[str] = []
    waiting = [config]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, dict):
            if isinstance(thing.get("class"), str):
                found.append(thing["class"])
            waiting.extend(thing.values())
        elif isinstance(thing, list):
            waiting.extend(thing)
    return found


def _how_to_name(name: object) -> str:
    if not isinstance(name, str) or name.startswith("dlfs."):
        return ""
    own = shortened(name.rpartition(".")[2])
    return f"; a class of your own must be passed by name: custom={{{own!r}: {own}}}"


def _from_json(value: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(value, dict):
        return from_config(value, classes)
    if isinstance(value, list):
        return tuple(_from_json(item, classes) for item in value)
    return value
