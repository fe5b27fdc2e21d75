"""Stores and indexes of strangers: the example plugin's store, one that loses bases, and an index that is a JSON file."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from eden_core import hookimpl, installed_plugins
from eden_core.interfaces import ShardSummary

ROOT = Path(__file__).parents[3]
sys.path += [str(ROOT / "docs" / "example-plugin"), str(ROOT / "tests" / "core" / "testing")]

from eden_text_files import TextFiles  # noqa: E402 - found through the path above
from in_memory import JsonIndex  # noqa: E402


class Lossy(TextFiles):
    name: ClassVar[str] = "lossy"

    def write_shard(self, sample: str, sequences: Iterable[tuple[str, bytes]]) -> ShardSummary:
        return super().write_shard(sample, ((name, bases.upper()) for name, bases in sequences))


class Strangers:
    @hookimpl
    def eden_sequence_stores(self):
        return [TextFiles, Lossy]

    @hookimpl
    def eden_window_indexes(self):
        return [JsonIndex]


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    registry, plugin = installed_plugins(), Strangers()
    before = dict(registry._entries)
    registry.register(plugin)
    yield
    registry._manager.unregister(plugin)
    registry._entries.clear()
    registry._entries.update(before)
