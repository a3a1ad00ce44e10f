"""Configured: objects that can be made again from their constructor's arguments."""

import inspect
from typing import Any

PLAIN = (bool, int, float, str, type(None))
"""The arguments that are shown and saved as they are."""


class Configured:
    """Something that can be made again from its constructor's arguments.

    One convention makes this short: every constructor keeps each argument as an attribute of the
    same name.
    """

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name, as they are now."""
        if type(self).__init__ is object.__init__:
            return {}
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
    return isinstance(value, PLAIN) and isinstance(default, PLAIN) and value == default
