"""Capabilities: what a plugin may be able to do and need not, stated once by its suite."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import getattr_static
from typing import Any, ClassVar, Protocol

from eden_core.errors import NotSupportedError


@dataclass(frozen=True)
class Capability:
    """An optional power of a kind of plugin."""

    name: str
    meaning: str
    sign: str
    """what tells that a plugin has it, in a suite that does not declare its capabilities"""
    assumed: Callable[[Any, Mapping[str, Any]], bool]
    """(suite, what a check is given: the plugin by its kind, and data) -> whether there is the sign"""


class Declaring(Protocol):
    """A suite."""

    kind: ClassVar[str]
    optional: ClassVar[tuple[Capability, ...]]
    capabilities: ClassVar[Collection[str] | None]


def capability_of_method(name: str, contract: type, method: str, meaning: str) -> Capability:
    """Return a capability whose sign is that the plugin's class overrides a method of its contract."""

    def overrides(suite: Declaring, given: Mapping[str, object]) -> bool:
        return getattr_static(type(given[suite.kind]), method) is not getattr_static(contract, method)

    return Capability(name, meaning, f"its class overrides `{method}`", overrides)


def assumes(suite: Declaring, capability: str, **given: object) -> bool:
    """Return whether there is the sign of a capability."""
    return next(c for c in suite.optional if c.name == capability).assumed(suite, given)


def has(suite: Declaring, capability: str, **given: object) -> bool:
    """Return whether a plugin is to have a capability: what is declared, else what is assumed."""
    return assumes(suite, capability, **given) if suite.capabilities is None else capability in suite.capabilities


def is_offered(call: Callable[[], object]) -> bool:
    """Return whether a plugin does what it is asked, instead of refusing it with NotSupportedError."""
    try:
        call()
    except NotSupportedError:
        return False
    return True


def compare_capabilities(suite: Declaring, found: Mapping[str, bool], **given: object) -> None:
    """Fail where what a plugin was found to do (capability -> whether it does) is not what it is to do."""
    can = tuple(name for name, there in found.items() if there)
    for capability in suite.optional:
        said, there = has(suite, capability.name, **given), capability.name in can
        source = "is declared" if suite.capabilities is not None else f"is assumed, since {capability.sign}"
        trouble = f"{capability.name!r} {source if said else 'is not'}, and {'there it is' if there else 'it is not there'}"
        assert said == there, f"{trouble}: mend {type(given[suite.kind]).__name__}, or let the suite say capabilities = {can!r}"
