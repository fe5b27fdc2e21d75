"""What a constructor was called with, in a form that YAML, checkpoints and the run ledger can hold."""

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from eden_core.interfaces import Objective, Transform, options_of


def arguments_of(function: Any, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call, by name, from the local names of the function called."""
    return {name: scope[name] for name in inspect.signature(function).parameters}


def shared_arguments(function: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments that a function takes as well."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in names}


def plain(value: Any) -> Any:
    """Return a value in JSON-like form: numbers, strings, None, and lists and dicts of them.

    A `Transform` or `Objective` becomes `{name: {option: value}}`, as users write it.

    Raises:
        TypeError: some other object has no such form.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Transform | Objective):
        return {value.name: plain({option: getattr(value, option) for option in options_of(type(value))})}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__}")


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments that have a JSON-like form."""
    found = {}
    for name, value in arguments.items():
        try:
            found[name] = plain(value)
        except TypeError:
            continue
    return found
