"""Finding plugins: what is installed, what was left out and why."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from inspect import Parameter
from multiprocessing import parent_process
from typing import Any

import pluggy

from eden_core import hookspecs
from eden_core.errors import PluginConflictError, PluginNotFoundError, PluginOptionError, PluginWarning
from eden_core.interfaces import ExecutorFactory, Objective, SequenceStore, Transform, WindowIndex, options_of
from eden_core.plugin_faults import class_fault, hook_fault, interface_fault
from eden_core.plugin_loading import Origin, SlowLoad, normalised, origin_of_entry_point, origin_of_object, slow_load

__all__ = [
    "DISABLED_VARIABLE",
    "KINDS",
    "OBSERVER",
    "Entry",
    "Origin",
    "PluginRegistry",
    "Problem",
    "SlowLoad",
    "installed_plugins",
]

KINDS: dict[str, tuple[str, type]] = {
    "store": ("eden_sequence_stores", SequenceStore),
    "index": ("eden_window_indexes", WindowIndex),
    "transform": ("eden_transforms", Transform),
    "objective": ("eden_objectives", Objective),
    "executor": ("eden_executors", ExecutorFactory),
}
"""kind -> (hook, contract)"""

OBSERVER = "observer"
"""the kind of plugin that offers no class, but the hook `eden_batch_read`"""

DISABLED_VARIABLE = "EDEN_DISABLED_PLUGINS"
"""environment variable: distributions to leave out, separated by commas"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One class that a plugin offers, or its hook that observes."""

    kind: str
    """a key of `KINDS`, or `OBSERVER`"""
    name: str
    """what users write; of an observer, the name of its entry point"""
    plugin: Any
    """the class; of an observer, the function"""
    origin: Origin
    """who offers it"""

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default."""
        return {} if self.kind == OBSERVER else options_of(self.plugin)


@dataclass(frozen=True)
class Problem:
    """Something that was left out, and why."""

    origin: Origin
    """who offered it"""
    cause: str
    """in a sentence"""
    names: tuple[str, ...] = ()
    """the plugin names that are missing because of it, where known"""

    def __str__(self) -> str:
        return f"{self.origin}: {self.cause}"


class PluginRegistry:
    """Plugins by kind and name. A broken plugin is left out, warned about once, and never stops the others."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self._observers: list[Entry] = []
        self.problems: list[Problem] = []
        """what was left out, and why"""
        self.slow: list[SlowLoad] = []
        """what takes long to load, and why"""

    def load_entry_points(self) -> None:
        """Register every installed plugin but those of the distributions in `EDEN_DISABLED_PLUGINS`."""
        disabled = {normalised(name) for name in os.environ.get(DISABLED_VARIABLE, "").split(",") if name.strip()}
        found = [(origin_of_entry_point(point), point) for point in entry_points(group=hookspecs.PROJECT)]
        for origin, point in sorted(found, key=lambda f: (not f[0].is_bundled, f[1].name, f[1].value)):
            if normalised(origin.distribution) in disabled:
                self.problems.append(Problem(origin, f"left out by {DISABLED_VARIABLE}", (point.name,)))
                continue
            slow = slow_load(origin, partial(self._load, point, origin))
            if slow is not None:
                self.slow.append(slow)
                if _is_first_process():
                    _log.warning("plugin %s", slow)

    def _load(self, point: EntryPoint, origin: Origin) -> None:
        try:
            module = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's module must not stop the others
            self._leave_out(Problem(origin, _describe(error), (point.name,)))
        else:
            self.register(module, origin, names=(point.name,))

    def register(self, plugin: object, origin: Origin | None = None, *, names: tuple[str, ...] = ()) -> None:
        """Register a module or object with hook implementations.

        Args:
            plugin: what carries functions marked with `hookimpl`.
            origin: where it comes from; by default the module's or class's own distribution.
            names: names to repeat the cause for when the whole plugin is left out.
        """
        if self._manager.is_registered(plugin):
            return
        origin = origin or origin_of_object(plugin)
        try:
            cause = interface_fault(plugin, origin) or hook_fault(dict(self._hooks(plugin)))
            if cause is None:
                self._manager.register(plugin)
        except Exception as error:  # noqa: BLE001 - pluggy's checks run the stranger's code
            self._manager.unregister(plugin) if self._manager.is_registered(plugin) else None
            cause = _describe(error)
        if cause is not None:
            self._leave_out(Problem(origin, cause, names))
            return
        for kind, (hook, contract) in KINDS.items():
            self._collect(plugin, origin, names, kind, hook, contract)
        self._collect_observer(plugin, origin, names)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return what can be used, of one kind or of all, by kind and name."""
        order = [*KINDS, OBSERVER]
        found = [entry for group in self._entries.values() if (entry := _owner(group))] + self._observers
        return sorted((e for e in found if kind in {None, e.kind}), key=lambda e: (order.index(e.kind), e.name))

    def find(self, kind: str, name: str) -> Entry:
        """Return the plugin of this kind and name.

        Raises:
            PluginConflictError: two distributions offer it, neither of which is Eden itself.
            PluginNotFoundError: none does; the message lists what there is and repeats why plugins were left out.
        """
        group = self._entries.get((kind, name), [])
        owner = _owner(group)
        if owner is not None:
            return owner
        if group:
            raise PluginConflictError(_conflict(kind, name, group))
        known = [entry.name for entry in self.entries(kind)]
        related = [p for p in self.problems if name in p.names] or self.problems
        causes = "".join(f"\n  left out: {problem}" for problem in related)
        hint, installed = self._suggestion(kind, name, known), ", ".join(known) or "none"
        raise PluginNotFoundError(
            f"no {kind} plugin is named {name!r}{hint}; installed: {installed}. `eden plugins` lists them all.{causes}"
        )

    def store(self, name: str, location: str, options: Mapping[str, Any] | None = None) -> SequenceStore:
        """Open a store by name.

        Raises:
            PluginNotFoundError, PluginConflictError: see `find`.
            PluginOptionError: an option that it does not have, or one that it needs is missing; the message lists them.
        """
        made: SequenceStore = self._create("store", name, (location,), options)
        return made

    def index_class(self, name: str) -> type[WindowIndex]:
        """Return the class of an index, for building.

        Raises:
            PluginNotFoundError, PluginConflictError: see `find`.
        """
        found: type[WindowIndex] = self.find("index", name).plugin
        return found

    def index(self, name: str, location: str, options: Mapping[str, Any] | None = None) -> WindowIndex:
        """Open an index by name.

        Raises:
            PluginNotFoundError, PluginConflictError: see `find`.
            PluginOptionError: an option that it does not have, or one that it needs is missing; the message lists them.
        """
        made: WindowIndex = self._create("index", name, (location,), options)
        return made

    def transform(self, name: str, options: Mapping[str, Any] | None = None) -> Transform:
        """Make a transform by name.

        Raises:
            PluginNotFoundError, PluginConflictError: see `find`.
            PluginOptionError: an option that it does not have, or one that it needs is missing; the message lists them.
        """
        made: Transform = self._create("transform", name, (), options)
        return made

    def objective(self, name: str, options: Mapping[str, Any] | None = None) -> Objective:
        """Make an objective by name.

        Raises:
            PluginNotFoundError, PluginConflictError: see `find`.
            PluginOptionError: an option that it does not have, or one that it needs is missing; the message lists them.
        """
        made: Objective = self._create("objective", name, (), options)
        return made

    def executor(self, name: str, options: Mapping[str, Any] | None = None) -> ExecutorFactory:
        """Make a factory of executors by name.

        Raises:
            PluginNotFoundError, PluginConflictError: see `find`.
            PluginOptionError: an option that it does not have, or one that it needs is missing; the message lists them.
        """
        made: ExecutorFactory = self._create("executor", name, (), options)
        return made

    def _create(self, kind: str, name: str, args: tuple[str, ...], options: Mapping[str, Any] | None) -> Any:
        entry = self.find(kind, name)
        given, known = dict(options or {}), entry.options
        unknown = sorted(set(given) - set(known))
        missing = sorted(o for o, default in known.items() if default is Parameter.empty and o not in given)
        if unknown or missing:
            listed = ", ".join(known) or "no options"
            close = [match for option in unknown for match in get_close_matches(option, known, n=1)]
            hint = f" (did you mean {' and '.join(close)}?)" if close else ""
            what = f"has no option {', '.join(unknown)}{hint}" if unknown else f"needs the option {', '.join(missing)}"
            raise PluginOptionError(f"{kind} {name!r} {what}; it takes {listed}")
        return entry.plugin(*args, **given)

    def _suggestion(self, kind: str, name: str, known: list[str]) -> str:
        close = get_close_matches(name.lower().replace("_", "-"), known, n=1)
        if close:
            return f" (did you mean {close[0]!r}?)"
        others = [f"{other} {name!r}" for other in KINDS if other != kind and (other, name) in self._entries]
        return f" (there is the {' and the '.join(others)})" if others else ""

    def _hooks(self, plugin: object) -> Iterator[tuple[str, Callable[..., object]]]:
        for attribute in dir(plugin):
            marked = self._manager.parse_hookimpl_opts(plugin, attribute)
            if marked is not None:
                yield marked.get("specname") or attribute, getattr(plugin, attribute)

    def _collect(self, plugin: object, origin: Origin, names: tuple[str, ...], kind: str, hook: str, contract: type) -> None:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            try:
                offered = list(implementation.function())
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a stranger's hook must not stop the others
                self._leave_out(Problem(origin, f"{hook}() failed: {_describe(error)}", names))
                continue
            for cls in offered:
                cause = class_fault(cls, contract)
                if cause:
                    given = getattr(cls, "name", None)
                    known_name = (given,) if isinstance(given, str) else ()
                    self._leave_out(Problem(origin, f"{hook}() gave {cls!r}, {cause}", (*known_name, *names)))
                else:
                    self._add(Entry(kind, cls.name, cls, origin))

    def _collect_observer(self, plugin: object, origin: Origin, names: tuple[str, ...]) -> None:
        for implementation in self._manager.hook.eden_batch_read.get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            if implementation.argnames != ("reading",):
                self._leave_out(Problem(origin, "eden_batch_read() takes no argument; it needs one, reading", names))
            else:
                self._observers.append(Entry(OBSERVER, names[0] if names else origin.module, implementation.function, origin))

    def _add(self, entry: Entry) -> None:
        group = self._entries.setdefault((entry.kind, entry.name), [])
        group.append(entry)
        if len(group) > 1:
            loser = next((other for other in reversed(group) if not other.origin.is_bundled), entry)
            self._leave_out(Problem(loser.origin, _conflict(entry.kind, entry.name, group), (entry.name,)))

    def _leave_out(self, problem: Problem) -> None:
        self.problems.append(problem)
        if _is_first_process():
            warnings.warn_explicit(f"Eden plugin left out: {problem}", PluginWarning, problem.origin.module, 1)


@cache
def installed_plugins() -> PluginRegistry:
    """Return the registry of all installed plugins, read once a process."""
    registry = PluginRegistry()
    registry.load_entry_points()
    return registry


def _is_first_process() -> bool:
    """Whether this is no worker process: what is wrong with plugins is said once a command, not once a worker."""
    return parent_process() is None


def _owner(group: Sequence[Entry]) -> Entry | None:
    """Return the plugin that a name belongs to: Eden's own one, or the only one there is; None: two strangers claim it."""
    bundled = [entry for entry in group if entry.origin.is_bundled]
    claims = bundled or group
    return claims[0] if len(claims) == 1 else None


def _conflict(kind: str, name: str, group: Sequence[Entry]) -> str:
    owner = _owner(group)
    if owner is not None:
        return f"{kind} {name!r} is a name of {owner.origin}; give the class another `name`"
    providers = " and ".join(str(entry.origin) for entry in group)
    return f"{kind} {name!r} is offered by {providers}; uninstall one or leave it out with {DISABLED_VARIABLE}"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
