"""What keeps a plugin from being used: another interface, unknown hooks, classes that are not what they should be."""

from collections.abc import Callable, Mapping
from inspect import isabstract, isclass, signature
from typing import Any

from eden_core import hookspecs
from eden_core.interfaces import options_of
from eden_core.plugin_loading import Origin


def interface_fault(plugin: object, origin: Origin) -> str | None:
    """Say why the interface that a plugin was written for is not this one; one that declares none was written for version 1."""
    from eden_core import __version__

    declared: object = getattr(plugin, "EDEN_INTERFACE", 1)
    here = hookspecs.INTERFACE_VERSION
    if not isinstance(declared, int) or isinstance(declared, bool) or declared < 1:
        return f"EDEN_INTERFACE is {declared!r}; it must be a version of the plugin interface, such as {here}"
    if declared == here:
        return None
    older = "eden-core" if declared > here else origin.distribution
    return (
        f"it is written for version {declared} of the plugin interface, and eden-core {__version__} has version {here}: "
        f"upgrade {older}"
    )


def hook_fault(implementations: Mapping[str, Callable[..., object]]) -> str | None:
    """Say what is wrong with the hooks that a plugin implements, by name."""
    known = [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")]
    listed = f"hooks are {', '.join(known)}"
    unknown = sorted(implementations.keys() - set(known))
    if unknown:
        return f"unknown hook {', '.join(unknown)}; {listed}"
    for hook, implementation in implementations.items():
        asked = signature(implementation)
        further = [name for name in asked.parameters if name not in signature(getattr(hookspecs, hook)).parameters]
        if further:
            return f"{hook}{asked} asks for {', '.join(further)}, which the hook does not give"
    return None if implementations else f"no hook is marked with eden_core.hookimpl; {listed}"


def class_fault(cls: Any, contract: type) -> str | None:
    """Say why what a hook gave is not a complete class of its contract."""
    if not isclass(cls):
        return f"which is not a class; give the {contract.__name__} class itself"
    if not issubclass(cls, contract):
        return f"which is not a subclass of {contract.__name__}"
    if not isinstance(name := getattr(cls, "name", None), str) or not name:
        return "which has no name; set the class attribute `name`"
    if isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"which lacks {missing}"
    try:
        options_of(cls)
    except (TypeError, ValueError) as error:
        return f"whose options cannot be read ({error})"
    return None
