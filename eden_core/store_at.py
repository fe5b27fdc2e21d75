"""A store that is opened by name, and what that takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from eden_core.interfaces import SequenceStore, options_of
from eden_core.plugins import installed_plugins
from eden_core.tasks import absolute


@dataclass(frozen=True)
class StoreAt:
    """A store by name, as a task carries it.

    Attributes:
        name: of the store plugin.
        location: where the store lies.
        options: of the plugin.
    """

    name: str
    location: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, store: SequenceStore) -> Self:
        """Return where an open store lies, as processes in other folders find it, and its options."""
        return cls(store.name, absolute(store.location), {name: getattr(store, name) for name in options_of(type(store))})

    def opened(self) -> SequenceStore:
        """Return the store."""
        return installed_plugins().store(self.name, self.location, self.options)

    def words(self) -> list[str]:
        """Return how commands are told of the store, but for where it lies."""
        return ["--store", self.name, *(["--store-options", json.dumps(dict(self.options))] if self.options else [])]
