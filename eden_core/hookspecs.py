"""The hooks of a plugin. Through all but the last it offers classes: they return a list of them and take no arguments.

A plugin is a module named by an entry point of the group `eden`:

    [project.entry-points.eden]
    my-store = "my_package.my_module"
"""

import pluggy

from eden_core.interfaces import ExecutorFactory, Objective, SequenceStore, Transform, WindowIndex
from eden_core.observing import BatchObserver, Reading

__all__ = [
    "INTERFACE_VERSION",
    "PROJECT",
    "eden_batch_read",
    "eden_executors",
    "eden_objectives",
    "eden_sequence_stores",
    "eden_transforms",
    "eden_window_indexes",
    "hookimpl",
]

PROJECT = "eden"
"""name of the project for pluggy, and of the group of entry points"""

INTERFACE_VERSION = 1
"""version of the plugin interface: of these hooks, and of the contracts in `eden_core.interfaces`. It rises when plugins that
were written before may no longer work. A plugin's module says which version it was written for: `EDEN_INTERFACE = 1`"""

_hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin module as the implementation of the hook of its name."""


@_hookspec
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Return store classes; users pick one by its `name`: `EdenDataModule(store="…")`."""
    return []


@_hookspec
def eden_window_indexes() -> list[type[WindowIndex]]:
    """Return index classes; users pick one by its `name`: `EdenDataModule(index="…")`."""
    return []


@_hookspec
def eden_transforms() -> list[type[Transform]]:
    """Return transform classes; users pick them by `name`: `EdenDataModule(transforms=["…"])`."""
    return []


@_hookspec
def eden_objectives() -> list[type[Objective]]:
    """Return objective classes; users pick one by its `name`: `EdenDataModule(objective="…")`."""
    return []


@_hookspec
def eden_executors() -> list[type[ExecutorFactory]]:
    """Return executor factories; users pick one by its `name`: `eden import … --executor …`."""
    return []


@_hookspec
def eden_batch_read(reading: Reading) -> BatchObserver | None:  # noqa: ARG001 - of a specification
    """Return what is told of the batches of a dataset that this process hands out; None where that is of no interest.

    Every plugin is asked once for each dataset in each process, before the first batch. Where all answer None, nothing more is
    called, and batches cost what they cost without plugins.
    """
    return None
