"""Public names whose modules need torch or lightning: loaded when they are first asked for."""

from importlib import import_module
from typing import Any


def loaded(name: str, module: str) -> Any:
    """Return what a module calls `name`.

    Raises:
        ModuleNotFoundError: a library that the module needs is not installed; the message says what brings it.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{name} needs {error.name}: pip install 'eden-core[train]'", name=error.name) from error
