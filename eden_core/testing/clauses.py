"""What contracts are made of: clauses, which the checks of a suite belong to, and capabilities, which some of them need."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import getattr_static, getdoc, signature
from typing import Any, TypeVar, cast

PAGE = "docs/contracts.md"
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
            given = parameters.bind(suite, *args, **kwargs).arguments
            for capability in self.needs:
                suite.skip_without(capability, given[suite.kind], self)
            head = f"{self.id_in(suite.kind)}: {self.rule} ({PAGE}#{self.anchor_in(suite.kind)})"
            try:
                check(suite, *args, **kwargs)
            except AssertionError as error:
                __tracebackhide__ = True
                error.args = (f"{head}\n{error}",)
                raise
            except Exception as error:
                raise AssertionError(f"{head}\nit raised {type(error).__name__}: {error}") from error

        checked.clause = self  # type: ignore[attr-defined]
        return cast("Check", checked)

    def id_in(self, kind: str) -> str:
        """Return its id in the contract of a kind of plugin."""
        return f"{kind}.{self.name}"

    def anchor_in(self, kind: str) -> str:
        """Return the name of its place on the page."""
        return f"{kind}-{self.name}"


@dataclass(frozen=True)
class Capability:
    """An optional power of a kind of plugin."""

    name: str
    meaning: str
    sign: str
    """what tells that a plugin has it, in a suite that does not declare its capabilities"""
    assumed: Callable[[Any, Any], bool]
    """(suite, plugin) -> whether there is the sign"""


def capability_of_method(name: str, contract: type, method: str, meaning: str) -> Capability:
    """Return a capability whose sign is that the plugin's class overrides a method of its contract."""

    def overrides(_suite: object, plugin: object) -> bool:
        return getattr_static(type(plugin), method) is not getattr_static(contract, method)

    return Capability(name, meaning, f"its class overrides `{method}`", overrides)


def checks_of(suite: type) -> dict[str, Clause]:
    """Return the checks of a suite (method name -> clause), in the order in which they are written."""
    found: dict[str, Clause] = {}
    for owner in reversed(suite.__mro__):
        found |= {name: value.clause for name, value in vars(owner).items() if hasattr(value, "clause")}
    return found


def summary_of(thing: object) -> str:
    """Return the docstring of a check, fixture or method as one line."""
    return " ".join((getdoc(thing) or "").split())
