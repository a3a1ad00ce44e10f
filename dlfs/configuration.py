"""How an object is written down as its class and its arguments, to be shown or saved.

One convention makes this short: every constructor keeps each argument as an attribute of the same
name.
"""

import inspect
from collections.abc import Mapping
from typing import Any

_PLAIN = (bool, int, float, str, type(None))


class Configured:
    """Something that can be made again from its constructor's arguments."""

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name, as they are now."""
        parameters = list(inspect.signature(type(self).__init__).parameters.values())[1:]
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {
            parameter.name: getattr(self, parameter.name)
            for parameter in parameters
            if parameter.kind in named and hasattr(self, parameter.name)
        }

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        shown = []
        for name, argument in self.arguments().items():
            default = parameters[name].default
            value = _short(argument)
            if default is inspect.Parameter.empty:
                shown.append(repr(value))
            elif not (value is default or _same(value, default)):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: Any) -> Any:
    """Show the same number for height and width once."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return value


def _same(value: object, default: object) -> bool:
    return isinstance(value, _PLAIN) and isinstance(default, _PLAIN) and value == default


def to_config(thing: Configured) -> dict[str, Any]:
    """Write an object down as ``{"class": name, "arguments": {...}}``, fit for JSON.

    Raises
    ------
    ValueError
        If an argument cannot be written down (a function, say).
    """
    owner = type(thing).__name__
    arguments = {name: _to_json(value, owner, name) for name, value in thing.arguments().items()}
    return {"class": owner, "arguments": arguments}


def _to_json(value: Any, owner: str, name: str) -> Any:
    if isinstance(value, Configured):
        return to_config(value)
    if isinstance(value, tuple | list):
        return [_to_json(item, owner, name) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if isinstance(value, _PLAIN):
        return value
    if name == "weight_init" and callable(value):
        # A function cannot be saved; it has done its work when there are weights to save.
        return None
    raise ValueError(f"{owner}: the argument {name}={value!r} cannot be saved")


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
        If the configuration is not of that form, or names another class, or unfit arguments.
    """
    if not isinstance(config, dict) or set(config) != {"class", "arguments"}:
        raise ValueError(
            f"a configuration has the keys 'class' and 'arguments', got {config!r:.80}"
        )
    name, arguments = config["class"], config["arguments"]
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"unknown class {name!r:.80}")
    if not isinstance(arguments, dict):
        raise ValueError(f"{name}: arguments must be a dictionary, got {arguments!r:.80}")
    made = {key: _from_json(value, classes) for key, value in arguments.items()}
    try:
        return classes[name](**made)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} cannot be made from {arguments!r:.200}: {error}") from error


def _from_json(value: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(value, dict):
        return from_config(value, classes)
    if isinstance(value, list):
        return tuple(_from_json(item, classes) for item in value)
    return value
