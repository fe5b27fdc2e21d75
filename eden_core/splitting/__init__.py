"""Dividing contigs into training, validation and test."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.atomic import atomic_path, made_folder, refuse_existing
from eden_core.contigs import column_names, count_contigs
from eden_core.cutting import why_no_window
from eden_core.errors import InputError
from eden_core.splitting.clusters import ClusterCounts, Clusters
from eden_core.splitting.contig_names import ContigPatterns, samples_of, tags_of
from eden_core.splitting.ordered_contigs import OrderedContigs
from eden_core.splitting.places import EXCLUDED, FREE, DividedUnitError, Guarded, Stretches, blocks_of, guarded, places_of_units
from eden_core.splitting.reports import REPORT, SplitReport, SplitSummary
from eden_core.splitting.rules import SplitRules
from eden_core.splitting.text_hashes import hash_texts
from eden_core.splitting.words import SPLITS, ShippedSplits
from eden_core.splitting.writing import KEPT, SplitTable, write_tables
from eden_core.tiling import Tiling

__all__ = ["SplitReport", "SplitRules", "split_contigs"]


def split_contigs(
    contigs: str | Path,
    out: str | Path,
    rules: SplitRules | None = None,
    *,
    tiling: Tiling | None = None,
    force: bool = False,
) -> SplitReport:
    """Write `<out>/train.parquet`, `validation.parquet` and `test.parquet`, and what they hold into `split_report.json`.

    Units, of which each goes to one split, are put in an order that depends on the seed and their names alone, end to end,
    and each goes where the middle of its bases falls; so the same contigs in any order of rows give the same splits. A unit
    is a contig, or all contigs of one sample, tag or cluster; by region it is a block of a contig (see
    `eden_core.splitting.places.blocks_of`). A split whose share is 0 has no file.

    The tables have the columns contig_id, start (by region only: zero-based), length, and `KEPT` where the table of contigs
    has them, in byte order of contig_id, then of start.

    Memory: some 100 bytes a contig, or 140 a block by region, where the table is in byte order of the ids, as `eden import`
    writes it; the text of ids is not kept. See `OrderedContigs` for other tables and `Clusters` for clusters.

    Args:
        contigs: Parquet table with contig_id (string) and length (integer, bases).
        out: directory, made if need be.
        rules: how to divide.
        tiling: how the splits will be cut into windows; by region each must then have one; None: that is not looked at.
        force: whether existing splits are replaced; with it, files of splits that are not wanted any more are removed.

    Raises:
        ConfigurationError: `out` cannot be made.
        OutputExistsError: one of the files exists, without `force`.
        InputError: the table cannot be used, repeats an id, or leaves a split empty or without a window; a pattern or cluster
            names no contig.
    """
    rules = rules or SplitRules()
    out = Path(out)
    for name in (*(f"{split}.parquet" for split in SPLITS), REPORT):
        refuse_existing(out / name, force=force)
    shipped = rules.split_from and ShippedSplits(str(contigs), rules.split_from, column_names(contigs))
    table = OrderedContigs(contigs, (*KEPT, *([shipped.column] if shipped else [])))
    reading = _Reading(table, rules, shipped or None)
    division = reading.divided()
    _check_parts(contigs, rules, division)
    if tiling is not None and division.guarded is not None:
        _check_windows(contigs, reading.lengths, division, tiling)
    return _write(out, table, rules, division)


@dataclass(frozen=True, eq=False)
class _Division:
    """Where every contig goes."""

    stretches: Stretches
    units: int
    contigs: int
    excluded: tuple[int, int]
    """contigs, bases"""
    guarded: Guarded | None
    clusters: ClusterCounts | None


class _Reading:
    """The first pass over the contigs: the unit, length and fixed place of each."""

    def __init__(self, table: OrderedContigs, rules: SplitRules, shipped: ShippedSplits | None) -> None:
        self.table, self.rules, self._shipped = table, rules, shipped
        self._clusters = None if rules.clusters is None else Clusters(rules.clusters)
        self._named = {
            SPLITS.index("validation"): ContigPatterns("--validation-contigs", rules.validation_contigs),
            SPLITS.index("test"): ContigPatterns("--test-contigs", rules.test_contigs),
            EXCLUDED: ContigPatterns("--exclude", rules.exclude),
        }
        count = count_contigs(table.path)
        self.units, self.lengths, self.fixed = np.empty(count, np.uint64), np.empty(count, np.int64), np.empty(count, np.int8)
        first = 0
        for batch in table:
            here = slice(first, first + batch.num_rows)
            self.units[here], self.fixed[here] = self._units(batch), self._fixed(batch)
            self.lengths[here] = batch.column("length").to_numpy()
            first = here.stop
        for patterns in self._named.values():
            patterns.check(str(table.path), table)
        if self._clusters is not None and self._clusters.may_be_ambiguous:
            self._refuse_ambiguous_members(self._clusters)

    def divided(self) -> _Division:
        """Decide on what is not fixed."""
        rules, excluded = self.rules, self.fixed == EXCLUDED
        left_out = int(excluded.sum()), int(self.lengths[excluded].sum())
        clusters = None if self._clusters is None else self._clusters.counts()
        if rules.split_from is None and rules.unit == "region":
            blocks = blocks_of(self.units, self.lengths, self.fixed, rules)
            stretches, guard = guarded(blocks, rules.guard_bases)
            return _Division(stretches, blocks.contigs.size, self.units.size, left_out, guard, None)
        try:
            places, units = places_of_units(self.units, self.lengths, self.fixed, rules.shares, rules.seed)
        except DividedUnitError as error:
            raise self._conflict(error.unit) from None
        rows = np.flatnonzero(places != EXCLUDED)
        stretches = Stretches(rows, np.broadcast_to(np.int64(0), rows.shape), self.lengths[rows], places[rows])
        return _Division(stretches, units, self.units.size, left_out, None, clusters)

    def _units(self, batch: pa.RecordBatch) -> NDArray[np.uint64]:
        unit = "contig" if self._shipped else self.rules.unit
        ids = batch.column("contig_id")
        if self._clusters is not None:
            return self._clusters.units(ids)
        if unit in {"contig", "region"}:
            return hash_texts(ids)
        names = samples_of(batch) if unit == "sample" else tags_of(batch)
        missing = pc.index(names, "").as_py()
        if missing >= 0:
            raise InputError(
                f"{self.table.path}: contig {ids[missing].as_py()!r} has no {unit}: ids that name one look like "
                f"'BCR__ECT-SAMPLE1__CT1-1'. Give the table a column {unit}, or split by contig"
            )
        return hash_texts(names)

    def _fixed(self, batch: pa.RecordBatch) -> NDArray[np.int8]:
        fixed = self._shipped.places(batch) if self._shipped else np.full(batch.num_rows, FREE, np.int8)
        for place, patterns in self._named.items():
            named = patterns.matches(batch.column("contig_id"))
            twice = named & (fixed != FREE) & (place != EXCLUDED) & (self._shipped is None)
            if twice.any():
                contig = batch.column("contig_id")[int(np.argmax(twice))].as_py()
                raise InputError(f"{contig!r} is named by --validation-contigs and by --test-contigs; name it once")
            fixed[named] = place
        return fixed

    def _conflict(self, unit: np.uint64) -> InputError:
        rows = [int(np.argmax((self.units == unit) & (self.fixed == place))) for place in self._named]
        names = " and ".join(repr(self._id_of(row)) for row in rows[:2])
        return InputError(
            f"{names} belong to one {self.rules.unit}, which cannot be both in validation and in test; name them for one of "
            "the two, or split by contig"
        )

    def _id_of(self, row: int) -> str:
        for batch in self.table:
            if row < batch.num_rows:
                return str(batch.column("contig_id")[row].as_py())
            row -= batch.num_rows
        raise IndexError(row)

    def _refuse_ambiguous_members(self, clusters: Clusters) -> None:
        for batch in self.table:
            found = clusters.ambiguous(batch.column("contig_id"))
            if found is not None:
                raise InputError(
                    f"{clusters.path}: one name fits several contigs of {self.table.path}, such as {found!r}; write the whole "
                    "contig_id there"
                )


def _check_parts(contigs: str | Path, rules: SplitRules, division: _Division) -> None:
    bases = np.bincount(division.stretches.places, division.stretches.lengths, len(SPLITS))
    wanted = [] if rules.split_from else [*rules.shares, *rules.named]
    empty = " and ".join(name for name in SPLITS if name in wanted and not bases[SPLITS.index(name)])
    if not empty and bases.sum():
        return
    count = "1 contig" if division.contigs == 1 else f"{division.contigs} contigs"
    if not empty:
        raise InputError(f"{contigs} has {count}, and none with bases is left for any split")
    gone = [name for name in rules.named if not bases[SPLITS.index(name)]]
    if gone:
        raise InputError(f"{contigs}: --exclude leaves out every contig with bases that --{gone[0]}-contigs names")
    if rules.unit == "region":
        smallest = min(rules.shares.values()) * float(bases.sum())
        hint = f"give a --block of {max(int(smallest), 1):,} bases or fewer, and a smaller --guard"
    elif rules.unit == "contig":
        hint = "long contigs can be divided by region: --by region"
    else:
        hint = f"--by contig or --by region divide what is of one {rules.unit}"
    what = count if rules.unit == "contig" else f"{count} in {division.units} units to split by {rules.unit}"
    raise InputError(
        f"{contigs} has {what}, too few or too unequal in length for these shares: {empty} would be empty. Give larger shares, "
        f"or 0 for a split that you do not need; {hint}"
    )


def _check_windows(contigs: str | Path, contig_lengths: NDArray[np.int64], division: _Division, tiling: Tiling) -> None:
    """Raise `InputError` where the regions of a split would have not one window."""
    parts = division.stretches
    _, counts = tiling.interval_windows(parts.starts, parts.lengths, contig_lengths[parts.contigs])
    for place in np.unique(parts.places):
        here = parts.places == place
        if not counts[here].any():
            why = why_no_window(tiling, int(here.sum()), int(parts.lengths[here].max()), intervals=True)
            raise InputError(
                f"{contigs}: {SPLITS[place]} would have not one window: {why}. Give it a larger share of the bases "
                f"(--{SPLITS[place]}), or 0 if you do not need it; or take a smaller --window-size, or --by region with a "
                "smaller --guard"
            )


def _write(out: Path, table: OrderedContigs, rules: SplitRules, division: _Division) -> SplitReport:
    files = {SPLITS[place]: out / f"{SPLITS[place]}.parquet" for place in np.unique(division.stretches.places)}
    with made_folder(out), ExitStack() as drafts:
        report_draft = drafts.enter_context(atomic_path(out / REPORT))  # the first to enter is the last to be renamed
        paths = {name: drafts.enter_context(atomic_path(file)) for name, file in files.items()}
        with_starts = division.guarded is not None
        tables = {name: SplitTable(path, table.columns, with_starts=with_starts) for name, path in paths.items()}
        try:
            write_tables(table, division.stretches, tables)
        finally:
            with ExitStack() as open_tables:
                for one in tables.values():
                    open_tables.callback(one.close)
        report = _report(table, rules, division, {name: (files[name], one) for name, one in tables.items()})
        report.write(report_draft)
        for name in SPLITS:
            if name not in files:
                (out / f"{name}.parquet").unlink(missing_ok=True)
    return report


def _report(
    table: OrderedContigs, rules: SplitRules, division: _Division, tables: dict[str, tuple[Path, SplitTable]]
) -> SplitReport:
    total = sum(one.bases for _, one in tables.values())
    splits = {
        name: SplitSummary(
            file, one.contigs, one.rows, one.samples, one.bases, one.bases / total, rules.shares_wanted.get(name)
        )
        for name, (file, one) in tables.items()
    }
    return SplitReport(Path(table.path), rules, splits, division.units, *division.excluded, division.guarded, division.clusters)
