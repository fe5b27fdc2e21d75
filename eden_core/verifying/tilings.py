"""How the indexes of a folder are cut, compared and in words."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from eden_core.tiling import Tiling


def same_cuts(one: Tiling, other: Tiling) -> bool:
    """Return whether two tilings give the same windows; a reserve does nothing without `keep_tail`."""
    return _what_counts(one) == _what_counts(other)


def _what_counts(tiling: Tiling) -> Tiling:
    return tiling if tiling.keep_tail else replace(tiling, reserve=0)


def told(tiling: Tiling) -> str:
    """Return a tiling in words."""
    tail = f", tails kept with a reserve of {tiling.reserve}" if tiling.keep_tail else ""
    return f"{tiling.window_size} bases every {tiling.stride}, of {tiling.min_length} at least{tail}"


def differing(tilings: Mapping[str, Tiling | None]) -> list[str]:
    """Return a note where indexes, by location, differ in window size or stride."""
    shapes = {name: (t.window_size, t.stride) for name, t in tilings.items() if t is not None}
    if len(set(shapes.values())) < 2:
        return []
    shown = ", ".join(f"{Path(name).name} {size}/{stride}" for name, (size, stride) in shapes.items())
    return [f"the indexes differ in window size/stride, which is meant seldom: {shown}"]
