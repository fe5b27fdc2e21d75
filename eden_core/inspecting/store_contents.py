"""What a store holds, found out from few of its shards where there are many."""

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from eden_core.errors import FormatError, NotSupportedError, ShardNotFoundError
from eden_core.inspecting.contig_counts import ContigCounter, ContigReport
from eden_core.interfaces import SequenceStore

LISTED_SHARDS = 32
"""shards whose contigs are listed where no table lists them all, and all are not asked for"""


def spread(samples: list[str]) -> list[str]:
    """Return `LISTED_SHARDS` samples spread evenly, or all where there are fewer."""
    count = min(len(samples), LISTED_SHARDS)
    return [samples[i * len(samples) // count] for i in range(count)]


def has_few_shards(store: SequenceStore) -> bool:
    """Return whether listing the contigs of every shard is a small thing."""
    try:
        return next(islice(store.samples(), LISTED_SHARDS, None), None) is None
    except (NotSupportedError, ShardNotFoundError):
        return True


def listed_contigs(store: SequenceStore, samples: list[str]) -> ContigReport | None:
    """Return what the contigs of samples come to; None where the store cannot list them."""
    counter = ContigCounter()
    with suppress(NotSupportedError):
        for sample in samples:
            for batch in store.contigs(sample):
                counter.add(batch)
        return counter.report()
    return None


def slow_shards(store: SequenceStore, samples: list[str]) -> str | None:
    """Return why shards are slow, of those that are looked at."""
    with suppress(NotSupportedError):
        states = [store.shard_state(sample) for sample in samples]
        slow = [state.slow for state in states if state.slow]
        return f"{len(slow)} of {len(states)} shards looked at: {slow[0]}" if slow else None
    return None


def shard_facts(store: SequenceStore, sample: str) -> dict[str, str]:
    """Return what is said of a shard's state, where the store says it.

    Raises:
        FormatError: it cannot be read as it is.
    """
    with suppress(NotSupportedError):
        state = store.shard_state(sample)
        if state.unsafe is not None:
            raise FormatError(state.unsafe)
        said = {"slow": state.slow, "note": state.note}
        return {name: text for name, text in said.items() if text is not None}
    return {}


def bytes_below(path: Path) -> int:
    """Return the bytes of the files in the folders of a store."""
    total = 0
    for folder, _, files in os.walk(path):
        if folder != str(path):
            total += sum(os.stat(os.path.join(folder, name)).st_size for name in files)  # noqa: PTH116, PTH118
    return total
