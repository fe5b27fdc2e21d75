"""Arrow plugins: index "arrow"."""

from eden_core import WindowIndex, hookimpl


@hookimpl
def eden_window_indexes() -> list[type[WindowIndex]]:
    """Offer the index."""
    from eden_arrow.index import ArrowIndex

    return [ArrowIndex]
