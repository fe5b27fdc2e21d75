"""Where plugins come from, and how long it takes to load them."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError

SLOW_SECONDS = 1.0
"""from so many seconds on, loading a plugin is said to be slow"""
_LARGE = 20
"""modules that make a package worth naming"""
_NAMED = 3


@dataclass(frozen=True)
class Origin:
    """Where a plugin comes from."""

    distribution: str
    """its name"""
    version: str
    """of the distribution"""
    module: str
    """that the entry point names"""

    @property
    def is_bundled(self) -> bool:
        """Whether it is part of Eden's own distribution."""
        return normalised(self.distribution) == "eden-core"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.module})"


def origin_of_entry_point(point: EntryPoint) -> Origin:
    """Return where the module of an entry point comes from."""
    found = point.dist
    if found is None:
        return Origin("unknown distribution", "?", point.value)
    return Origin(found.name or "unknown distribution", found.version or "?", point.value)


def origin_of_object(plugin: object) -> Origin:
    """Return where a module, or an object's class, comes from: the distribution that is named like its package."""
    module = getattr(plugin, "__name__", type(plugin).__module__)
    root = str(module).partition(".")[0]
    try:
        return Origin(root, Distribution.from_name(root).version, str(module))
    except (PackageNotFoundError, ValueError):
        return Origin(root, "?", getattr(sys.modules.get(root), "__file__", None) or str(module))


@dataclass(frozen=True)
class SlowLoad:
    """A plugin that can be used, but that makes every process which uses Eden wait."""

    origin: Origin
    """the plugin's"""
    seconds: float
    """that it took"""
    imported: tuple[tuple[str, int], ...]
    """the large packages that were imported on the way, each with its number of modules"""

    def __str__(self) -> str:
        packages = " and ".join(f"{package} ({modules:,} modules)" for package, modules in self.imported)
        remedy = (
            f"it imports {packages}: import these inside the functions that need them"
            if packages
            else f"`python -X importtime -c 'import {self.origin.module}'` shows where the time goes"
        )
        return f"{self.origin}: took {self.seconds:.1f} s to load; {remedy}"


def slow_load(origin: Origin, load: Callable[[], object]) -> SlowLoad | None:
    """Load a plugin, and return what is to be said if that was slow.

    What its modules print goes to standard error: standard output is that of the command.
    """
    before, started = set(sys.modules), time.perf_counter()
    with redirect_stdout(sys.stderr):
        load()
    seconds = time.perf_counter() - started
    if origin.is_bundled or seconds < SLOW_SECONDS:
        return None
    packages = Counter(name.partition(".")[0] for name in sys.modules.keys() - before)
    others = packages.keys() - sys.stdlib_module_names - {origin.module.partition(".")[0]}
    large = [(package, packages[package]) for package in others if packages[package] >= _LARGE]
    return SlowLoad(origin, seconds, tuple(sorted(large, key=lambda p: (-p[1], p[0]))[:_NAMED]))


def normalised(distribution: str) -> str:
    """Return the name of a distribution as it is compared with others."""
    return distribution.strip().lower().replace("_", "-").replace(".", "-")
