"""`eden plugins`: what is installed, and what was left out."""

import logging
import warnings
from collections.abc import Sequence
from inspect import Parameter

from eden_core.errors import PluginWarning
from eden_core.hookspecs import INTERFACE_VERSION
from eden_core.plugins import DISABLED_VARIABLE, Entry, installed_plugins


def plugins() -> None:
    """List stores, indexes and transforms with their options, and plugins that were left out or are slow to load."""
    logging.getLogger("eden_core.plugins").setLevel(logging.ERROR)  # what it would say is listed below
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        registry = installed_plugins()
    rows = [("kind", "name", "distribution", "version", "options")]
    rows += [
        (entry.kind, entry.name, entry.origin.distribution, entry.origin.version, _options(entry))
        for entry in registry.entries()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip())
    _print_notes(f"left out ({DISABLED_VARIABLE} leaves distributions out on purpose)", registry.problems)
    _print_notes("slow to load, in every process", registry.slow)
    print(f"\nthe plugin interface has version {INTERFACE_VERSION}")


def _print_notes(title: str, notes: Sequence[object]) -> None:
    if notes:
        print(f"\n{title}:")
        for note in notes:
            print(f"  {str(note).replace(chr(10), chr(10) + ' ' * 4)}")


def _options(entry: Entry) -> str:
    return ", ".join(
        option if default is Parameter.empty else f"{option}={default!r}" for option, default in entry.options.items()
    )
