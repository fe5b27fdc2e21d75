"""Clauses: the rules of a contract, which the checks of a suite belong to and their failures begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import getdoc, signature
from typing import Any, TypeVar, cast

import pytest

from eden_core.testing.capabilities import has

PAGE = "the page Contracts of Eden's documentation"
"""where every clause is listed"""

Check = TypeVar("Check", bound=Callable[..., None])


@dataclass(frozen=True)
class Clause:
    """A rule of a contract. As a decorator it makes a method of a suite a check of the rule.

    The check is skipped where the plugin lacks a capability that the rule is about. Whatever it raises becomes an
    AssertionError whose message begins with the clause, NotSupportedError included.
    """

    name: str
    """its id without the kind of plugin"""
    rule: str
    """one sentence"""
    needs: tuple[str, ...] = ()
    """capabilities without which the rule says nothing"""

    def __call__(self, check: Check) -> Check:
        """Return the check of this clause that the method is."""
        parameters = signature(check)

        @wraps(check)
        def checked(suite: Any, *args: Any, **kwargs: Any) -> None:
            given = dict(list(parameters.bind(suite, *args, **kwargs).arguments.items())[1:])
            head = f"{self.id_in(suite.kind)}: {self.rule} (a clause of {PAGE})"
            try:
                for capability in self.needs:
                    if not has(suite, capability, **given):
                        pytest.skip(self._reason(suite, capability, given[suite.kind]))
                check(suite, *args, **kwargs)
            except AssertionError as error:
                __tracebackhide__ = True
                error.args = (f"{head}\n{error}",)
                raise
            except Exception as error:
                raise AssertionError(f"{head}\nit raised {type(error).__name__}: {error}") from error

        checked.clause = self  # type: ignore[attr-defined]
        return cast("Check", checked)

    def _reason(self, suite: Any, capability: str, plugin: object) -> str:
        source = "assumed" if suite.capabilities is None else "declared"
        return f"{self.id_in(suite.kind)}: the capability {capability!r} is not {source} of {type(plugin).__name__}"

    def id_in(self, kind: str) -> str:
        """Return its id in the contract of a kind of plugin."""
        return f"{kind}.{self.name}"

    def anchor_in(self, kind: str) -> str:
        """Return the name of its place on the page."""
        return f"{kind}-{self.name}"


CAPABILITIES = Clause(
    "capabilities-are-declared",
    "What a plugin can do besides the contract's minimum is what its suite declares; what it cannot do, it refuses.",
)


def checks_of(suite: type) -> dict[str, Clause]:
    """Return the checks of a suite (method name -> clause), class by class in the order in which they are written."""
    found: dict[str, Clause] = {}
    for owner in suite.__mro__:
        for name, value in vars(owner).items():
            if hasattr(value, "clause"):
                found.setdefault(name, value.clause)
    return found


def summary_of(thing: object) -> str:
    """Return the docstring of a check, fixture or method as one line."""
    return " ".join((getdoc(thing) or "").split())
