"""The hooks through which a plugin offers its classes. Each returns a list of classes and takes no arguments.

A plugin is a module named by an entry point of the group `eden`:

    [project.entry-points.eden]
    my-store = "my_package.my_module"
"""

import pluggy

from eden_core.interfaces import ExecutorFactory, Objective, SequenceStore, Transform, WindowIndex

PROJECT = "eden"

INTERFACE_VERSION = 1
"""version of the plugin interface: of these hooks, and of the contracts in `eden_core.interfaces`. It rises when plugins that
were written before may no longer work. A plugin's module says which version it was written for: `EDEN_INTERFACE = 1`"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin module as the implementation of the hook of its name."""


@hookspec
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Return store classes; users pick one by its `name`: `EdenDataModule(store="…")`."""
    return []


@hookspec
def eden_window_indexes() -> list[type[WindowIndex]]:
    """Return index classes; users pick one by its `name`: `EdenDataModule(index="…")`."""
    return []


@hookspec
def eden_transforms() -> list[type[Transform]]:
    """Return transform classes; users pick them by `name`: `EdenDataModule(transforms=["…"])`."""
    return []


@hookspec
def eden_objectives() -> list[type[Objective]]:
    """Return objective classes; users pick one by its `name`: `EdenDataModule(objective="…")`."""
    return []


@hookspec
def eden_executors() -> list[type[ExecutorFactory]]:
    """Return executor factories; users pick one by its `name`: `eden import … --executor …`."""
    return []
