"""Which processes read at the same time, and which of them read the same because they are tensor-parallel peers."""

from collections.abc import Sequence
from dataclasses import dataclass

from eden_core.reporting.accesses import Record


@dataclass(frozen=True)
class Placed:
    """A log and its place among the others.

    Attributes:
        record: the log.
        session: number of the group of processes whose times overlap, from 0 in order of time.
        peer_of: the rank that reads the same rows (tensor, context or pipeline parallel), whose log is the one that counts;
            None: this one counts.
    """

    record: Record
    session: int
    peer_of: int | None = None


def placed(records: Sequence[Record]) -> list[Placed]:
    """Return logs in order of time, each with its session.

    A session begins where every process before has read its last window; each start in a ledger, which knows no times, is one.
    Of the ranks of one session, split and reading that have one data-parallel rank, the lowest counts.
    """
    ordered = sorted(records, key=lambda one: (one.span or (0, 0), one.steps or (0, 0), one.rank, one.name))
    sessions: list[int] = []
    ended = 0
    for one in ordered:
        begins, ends = one.span or (ended + 1, ended + 1)
        sessions.append(sessions[-1] + (begins > ended) if sessions else 0)
        ended = max(ended, ends)
    lowest: dict[tuple[object, ...], int] = {}
    for one, session in zip(ordered, sessions, strict=True):
        key = (session, one.split, one.facts, one.data_parallel_rank)
        lowest[key] = min(one.rank, lowest.get(key, one.rank))
    found = []
    for one, session in zip(ordered, sessions, strict=True):
        first = lowest[session, one.split, one.facts, one.data_parallel_rank]
        found.append(Placed(one, session, None if first == one.rank else first))
    return found
