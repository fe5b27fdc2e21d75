"""SQLite plugins in the seed's format: store "sqlite-shards" and index "sqlite"."""

from eden_core import SequenceStore, WindowIndex, hookimpl

EDEN_INTERFACE = 1


@hookimpl
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Offer the store."""
    from eden_sqlite.store import SqliteShards

    return [SqliteShards]


@hookimpl
def eden_window_indexes() -> list[type[WindowIndex]]:
    """Offer the index."""
    from eden_sqlite.index import SqliteIndex

    return [SqliteIndex]
