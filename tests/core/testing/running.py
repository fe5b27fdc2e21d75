"""Runs one check of a contract suite by hand, with the suite's own fixtures."""

import inspect
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from eden_core.testing.clauses import checks_of
from eden_core.testing.suite import ContractSuite


@dataclass(frozen=True)
class Fault:
    """A wrong implementation, the check that must find it, and what the check must say."""

    suite: type[ContractSuite]
    """that of the right implementation"""
    wrong: type
    check: str
    complaint: str
    """a pattern"""
    parameters: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    """of the suite"""

    @property
    def clause(self) -> str:
        """The id of the clause that is broken."""
        return checks_of(self.suite)[self.check].id_in(self.suite.kind)

    def found(self, folder: Path) -> str:
        """What the check says."""
        parts = {f"{self.suite.kind}_class": self.wrong, **self.attributes}
        return complaint(type(f"{self.wrong.__name__}Tests", (self.suite,), parts), self.check, folder, **self.parameters)

    def __str__(self) -> str:
        details = (self.wrong.__name__, self.check.removeprefix("test_"), *map(str, self.parameters.values()))
        return "-".join([self.clause, *details])


def complaint(suite: type[ContractSuite], check: str, folder: Path, **parameters: Any) -> str:
    """Return what the check says against the suite's plugin; fail if it says nothing."""
    instance = suite()
    with ExitStack() as stack:
        given = {"tmp_path": folder, **parameters}
        names = list(inspect.signature(getattr(instance, check)).parameters)
        arguments = {name: _resolve(instance, name, given, stack) for name in names}
        try:
            getattr(instance, check)(**arguments)
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
