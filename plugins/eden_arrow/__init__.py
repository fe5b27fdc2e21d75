"""Arrow plugins: store "arrow-shards"."""

from eden_core import SequenceStore, hookimpl


@hookimpl
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Offer the store."""
    from eden_arrow.store import ArrowShards

    return [ArrowShards]
