"""Runs one check of a contract suite by hand, with the suite's own fixtures."""

import inspect
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from eden_core.testing.suite import ContractSuite


def label(plugin: type, check: str, *details: Any) -> str:
    """Return the id of a fault: the plugin, the check and its parameters."""
    parameters = details[0].values() if len(details) > 1 else ()
    return "-".join([plugin.__name__, check.removeprefix("test_"), *map(str, parameters)])


def checks_of(suite: type[ContractSuite]) -> set[str]:
    """Return the names of a suite's checks."""
    return {name for name in dir(suite) if name.startswith("test_")}


def complaint(suite: type[ContractSuite], check: str, folder: Path, **parameters: Any) -> str:
    """Return what the check says against the suite's plugin; fail if it says nothing."""
    instance = suite()
    with ExitStack() as stack:
        given = {"tmp_path": folder, **parameters}
        for name in inspect.signature(getattr(instance, check)).parameters:
            _resolve(instance, name, given, stack)
        wanted = {name: given[name] for name in inspect.signature(getattr(instance, check)).parameters}
        try:
            getattr(instance, check)(**wanted)
        except AssertionError as error:
            return str(error)
    pytest.fail(f"{check} finds nothing wrong with {suite.__name__}")


def _resolve(instance: ContractSuite, name: str, given: dict[str, Any], stack: ExitStack) -> Any:
    if name not in given:
        make = getattr(type(instance), name).__wrapped__
        needs = [n for n in inspect.signature(make).parameters if n != "self"]
        arguments = {need: _resolve(instance, need, given, stack) for need in needs}
        yields = inspect.isgeneratorfunction(make)
        given[name] = (
            stack.enter_context(contextmanager(make)(instance, **arguments)) if yields else make(instance, **arguments)
        )
    return given[name]
