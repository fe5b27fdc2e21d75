"""What a report could not know, and why."""

from collections.abc import Iterator

from eden_core.reporting.tally import Tally


def notes_of(tally: Tally) -> list[str]:
    """Say what is not known of a reading."""
    notes = list(_of_coverage(tally))
    if all(log.record.span is None for log in tally.logs):
        return [*notes, "A ledger tells which windows steps were made of, not when, how long the loop waited, or the fill."]
    return [*notes, *_of_logs(tally)]


def _of_coverage(tally: Tally) -> Iterator[str]:
    if not tally.indexed:
        places = ", ".join(one.index_location for one in tally.facts.sources if one.index_location)
        why = f"{places} cannot be read here, or has changed" if places else "the logs do not name their index"
        reach = "." if tally.size is not None else ", and shares are of the windows up to the last one that was read."
        yield f"Contigs and samples that were never read are not known, since {why}{reach}"
    elif any(one.bases is None for one in tally.coverage.samples.values()):
        yield "Coverage is by windows, not by bases, since the index does not know the lengths of contigs, or is of intervals."


def _of_logs(tally: Tally) -> Iterator[str]:
    if not tally.batches_known:
        yield (
            "Fill, and what the loop waited for, are not known of logs without a .jsonl beside them: gaps between batches are "
            "shown."
        )
    if not tally.rows_known:
        yield "Rows that are missing, read again or read by two ranks are not known, since the logs have no column row."
    if not tally.knows_epochs:
        yield (
            "Epochs are not known, or differ between the sources: a window counts as read too often where it was read more "
            "than even reading makes it."
        )
    peers = sorted({(log.record.rank, log.peer_of) for log in tally.logs if log.peer_of is not None})
    if peers:
        named = ", ".join(f"{rank} (of {of})" for rank, of in peers[:20])
        yield f"Ranks {named} are tensor-parallel peers, which read the same rows: they are not counted twice."
