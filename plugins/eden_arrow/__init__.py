"""Arrow plugins: store "arrow-shards", index "arrow"."""

from eden_core import SequenceStore, WindowIndex, hookimpl

EDEN_INTERFACE = 1


@hookimpl
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Offer the store."""
    from eden_arrow.store import ArrowShards

    return [ArrowShards]


@hookimpl
def eden_window_indexes() -> list[type[WindowIndex]]:
    """Offer the index."""
    from eden_arrow.index import ArrowIndex

    return [ArrowIndex]
