"""The report: what the page shows, as plain numbers and text."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.reporting.accesses import Facts, Record
from eden_core.reporting.contigs import SAMPLES, stretches_of
from eden_core.reporting.listing import Naming, repeats_of
from eden_core.reporting.notes import notes_of
from eden_core.reporting.sessions import Placed, placed
from eden_core.reporting.tally import Tally

TALLIES = 12
"""readings (splits, seeds, data) that a report shows"""
FILES = 500
"""files that it lists"""
DRAWN = 40
"""of the numbers of times that windows were read, how many are drawn"""
ALONG = 200
"""stretches of the index whose coverage is drawn"""

Report = dict[str, Any]
Said = Callable[[int], object]


def report_of(records: Sequence[Record], notes: Sequence[str] = (), *, said: Said = lambda _lines: None) -> Report:
    """Count logs, or what a ledger says, and return what the page shows.

    Args:
        records: of one run or several: those of one split, seed, order and data are counted together.
        notes: what the page says besides.
        said: is told the number of lines after each piece that was read.
    """
    groups: dict[tuple[str, Facts], list[Placed]] = defaultdict(list)
    for log in placed(records):
        groups[log.record.split, log.record.facts].append(log)
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))[:TALLIES]
    parts = [_part(split, facts, logs, said) for (split, facts), logs in sorted(largest, key=_in_order)]
    notes = [*notes, *(note for record in records for note in record.notes)]
    if len(groups) > TALLIES:
        notes.append(f"{len(groups) - TALLIES} further readings (splits, seeds or data) are left out: give fewer logs at once.")
    return {"made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "notes": notes, "parts": parts}


def _in_order(group: tuple[tuple[str, Facts], list[Placed]]) -> tuple[int, str]:
    split = group[0][0]
    order = ("train", "validation", "test", "predict")
    return (order.index(split) if split in order else len(order), split)


def _part(split: str, facts: Facts, logs: list[Placed], said: Said) -> Report:
    tally = Tally(split, facts, logs, logs[0].record.indexes())
    for lines in tally.count():
        said(lines)
    repeats = repeats_of(tally)
    naming = Naming(tally, repeats.listed, tally.coverage.listed, tally.rows.overlapping)
    for lines in naming.read():
        said(lines)
    part = _PartOfReport(tally, naming)
    return part.head() | {
        "repeats": {"windows": repeats.windows, "reads": repeats.reads, "listed": [asdict(one) for one in repeats.listed]},
        "waits": tally.waits.described(),
        "gaps": tally.gaps.described(),
        "fill": None if tally.fill is None else tally.fill.described(),
        "coverage": part.coverage(),
        "order": part.order(),
        "rows": part.rows(),
        "contigs": part.contigs(),
        "samples": part.samples(),
        "files": part.files(),
        "notes": notes_of(tally),
    }


@dataclass(frozen=True)
class _PartOfReport:
    tally: Tally
    naming: Naming

    def head(self) -> Report:
        tally = self.tally
        spans = [log.record.span for log in tally.logs if log.record.span is not None]
        return {
            "split": tally.split,
            "facts": asdict(tally.facts),
            "axis": tally.axis.described(),
            "lines": sum(tally.lines),
            "reads": tally.reads,
            "read": sum(int(counts.read.sum()) for counts in tally.counts),
            "size": sum(counts.size for counts in tally.counts),
            "size_known": tally.size is not None,
            "indexed": tally.indexed,
            "steps": tally.steps,
            "ranks": sorted(tally.ranks),
            "sessions": tally.sessions,
            "epochs_known": tally.knows_epochs,
            "span": [min(map(min, spans)) / 1e6, max(map(max, spans)) / 1e6] if spans else None,
        }

    def coverage(self) -> Report:
        """How often windows were read: how many of them so often, and along the index."""
        times: dict[int, int] = defaultdict(int)
        along: list[list[float]] = []
        for offset, counts in zip(self.tally.offsets.tolist(), self.tally.counts, strict=True):
            total = counts.total()
            for often, windows in zip(*np.unique(total, return_counts=True), strict=True):
                times[int(often)] += int(windows)
            along += _along(total, offset, max(1, ALONG // len(self.tally.counts)))
        most = sorted(times.items())
        more = sum(windows for _, windows in most[DRAWN:])
        return {"times": most[:DRAWN], "more": more, "most": most[-1][0] if most else 0, "along": along}

    def order(self) -> Report:
        tally = self.tally
        size = sum(counts.size for counts in tally.counts)
        begins = [log.record.steps if tally.axis.kind == "step" else log.record.span for log in self._firsts()]
        unit = 1_000_000 if tally.axis.kind == "time" else 1
        return tally.heat.described(size) | {
            "following": tally.following / max(1, tally.reads),
            "sources": [{"name": s.name, "first": int(at)} for s, at in zip(tally.facts.sources, tally.offsets, strict=True)],
            "begins": [begun[0] / unit for begun in begins if begun is not None],
        }

    def rows(self) -> Report | None:
        tally = self.tally
        if not tally.rows_known:
            return None
        overlapping = [{"row": row, "readings": readings} for row, readings in self.naming.rows.items()]
        counted = {"again": tally.rows.again, "overlaps": tally.rows.overlaps, "overlapping": overlapping}
        return tally.rows.described(tally.facts.rows) | counted

    def contigs(self) -> Report:
        coverage, totals = self.tally.coverage, [counts.total() for counts in self.tally.counts]
        named = self.naming.named(coverage.listed)
        rows = [asdict(one) | {"stretches": stretches_of(one, totals[one.source])} for one in named]
        return {"all": coverage.contigs, "read": coverage.contigs_read, "rows": rows}

    def samples(self) -> Report:
        samples = self.tally.coverage.samples
        listed = sorted(samples.items(), key=lambda one: (-one[1].reads, -(one[1].windows or 0), one[0]))[:SAMPLES]
        read = sum(1 for one in samples.values() if one.reads)
        return {"all": len(samples), "read": read, "rows": [{"sample": name} | asdict(one) for name, one in listed]}

    def files(self) -> Report:
        rows = []
        for log, lines in list(zip(self.tally.logs, self.tally.lines, strict=True))[:FILES]:
            span = None if log.record.span is None else [log.record.span[0] / 1e6, log.record.span[1] / 1e6]
            row = {"session": log.session, "peer_of": log.peer_of, "lines": lines, "steps": log.record.steps, "span": span}
            rows.append(log.record.described() | row)
        return {"all": len(self.tally.logs), "rows": rows}

    def _firsts(self) -> list[Placed]:
        """The first log of each session."""
        found: dict[int, Placed] = {}
        for log in self.tally.logs:
            found.setdefault(log.session, log)
        return list(found.values())


def _along(total: NDArray[np.uint32], offset: int, stretches: int) -> list[list[float]]:
    """Stretches of an index: the first window, and of its windows the share that was read, and the mean of the reads."""
    bins = min(stretches, total.size)
    if not bins:
        return []
    edges = np.arange(bins + 1) * total.size // bins
    widths = np.diff(edges)
    shares = np.add.reduceat(total > 0, edges[:-1], dtype=np.int64) / widths
    means = np.add.reduceat(total, edges[:-1], dtype=np.int64) / widths
    return [
        [offset + int(at), round(float(s), 4), round(float(m), 4)] for at, s, m in zip(edges[:-1], shares, means, strict=True)
    ]
