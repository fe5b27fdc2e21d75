"""`eden plugins`: what is installed, and what was left out."""

import warnings
from inspect import Parameter

from eden_core.errors import PluginWarning
from eden_core.plugins import DISABLED_VARIABLE, Entry, installed_plugins


def plugins() -> None:
    """List stores, indexes and transforms with their options, and plugins that were left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # listed below
        registry = installed_plugins()
    rows = [("kind", "name", "distribution", "version", "options")]
    rows += [
        (entry.kind, entry.name, entry.origin.distribution, entry.origin.version, _options(entry))
        for entry in registry.entries()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip())
    if registry.problems:
        print(f"\nleft out ({DISABLED_VARIABLE} leaves distributions out on purpose):")
        for problem in registry.problems:
            print(f"  {problem}")


def _options(entry: Entry) -> str:
    return ", ".join(
        option if default is Parameter.empty else f"{option}={default!r}" for option, default in entry.options.items()
    )
