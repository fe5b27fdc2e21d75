"""Whether an index fits the store and the tables beside it, and what reading its windows will cost."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.amounts import size_text
from eden_core.contigs import CONTIGS, column_names, read_contigs
from eden_core.cutting import Cut
from eden_core.doctor.findings import Finding, Job, Level
from eden_core.errors import InputError
from eden_core.importing.folder import SOURCES
from eden_core.inspecting.contig_counts import sample_of_group, tags_and_samples
from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.remedies import Remedies, precompute_command
from eden_core.tiling import PLAIN_RESERVE, Tiling
from eden_core.window_lengths import LengthSource

READ_AT_ONCE = 64
"""windows that a worker reads in one go, or more"""

_FULL_ENOUGH = 0.7
_NAMED = 5
_READ_BYTES = 8192
_BYTES_A_BASE = 1.6
"""read from file for each base of a window, through a pointer map"""
_PAGE = 4096
"""bytes a page of shards that others write, mostly"""


@dataclass
class IndexTally:
    """What one pass over an index counts.

    Attributes:
        windows: of each sample; "" of ids that name none.
        mean_reach: bases that lie before a window in its contig, on average over the windows.
    """

    windows: Counter[str] = field(default_factory=Counter)
    mean_reach: float = 0.0

    @classmethod
    def of(cls, index: WindowIndex) -> "IndexTally":
        """Count; memory grows with the number of samples alone."""
        tally, reach = cls(), 0.0
        for batch in index.contigs():
            windows = batch.column("windows").to_numpy()
            _, groups = tags_and_samples(batch.column("contig_id"))
            sums = pa.table({"group": groups, "windows": batch.column("windows")}).group_by("group", use_threads=False)
            for row in sums.aggregate([("windows", "sum")]).to_pylist():
                tally.windows[sample_of_group(row["group"])] += row["windows_sum"]
            starts = batch.column("start").to_numpy() if "start" in batch.schema.names else 0
            reach += float((windows * (starts + (windows - 1) / 2 * index.tiling.stride)).sum())
        tally.mean_reach = reach / max(1, len(index))
        return tally

    def shards_of(self, windows: int) -> float:
        """Return from how many different shards so many windows come, on average."""
        shares = np.array(list(self.windows.values())) / max(1, sum(self.windows.values()))
        return float((1 - (1 - shares) ** windows).sum())


def sample_findings(split: str, tally: IndexTally, samples: list[str]) -> Iterator[Finding]:
    """Compare the samples of an index with those that have a shard."""
    if len(samples) == 1:  # a single shard serves every id
        return
    missing = sorted(set(tally.windows) - set(samples))
    unnamed = tally.windows.get("", 0)
    if unnamed:
        found = f"{unnamed:,} windows are of contigs whose ids name no sample, and there are {len(samples):,} shards"
        yield Finding(
            Level.ERROR, f"{split} index", found, "import with eden import, which makes ids such as TAG__FASTA-SAMPLE__ID"
        )
        missing.remove("")
    if missing:
        some = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        windows = sum(tally.windows[sample] for sample in missing)
        found = f"{len(missing):,} of {len(tally.windows):,} samples have no shard: {some} ({windows:,} windows)"
        yield Finding(
            Level.ERROR, f"{split} index", found, "import or copy these samples, or build the index from the contigs there are"
        )
    if not unnamed and not missing:
        yield Finding(Level.OK, f"{split} index", f"all {len(tally.windows):,} samples have a shard")


def letter_findings(folder: Path) -> Iterator[Finding]:
    """Look for sequences that were imported with letters of no nucleotide, at which training stops unless told otherwise."""
    try:
        rows = pq.read_table(
            folder / SOURCES, columns=["other_letters", "settings"], filters=[("other_letters", ">", 0)]
        ).to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        return
    kept = sum(row["other_letters"] for row in rows if json.loads(row["settings"]).get("other_letters") == "keep")
    if kept:
        found = f"{kept:,} sequences were kept with letters that are no IUPAC nucleotides, at which reading stops"
        yield Finding(Level.WARNING, "letters", found, "invalid_bases='unk', which shows them as UNK with weight 0")


def table_findings(split: str, index: WindowIndex, store: SequenceStore, job: Job) -> Iterator[Finding]:
    """Compare an index with the tables in its folder, by time and by what they hold.

    That is its split's table, which makes the very windows that the index has; or, without one, the table of contigs, which
    knows all its contigs.
    """
    place = Path(index.location)
    own, contigs = place.with_name(f"{split}.parquet"), place.with_name(CONTIGS)
    tables = [table for table in (own, contigs) if table.is_file()]
    if not tables or not place.exists():
        found = f"neither {own.name} nor {contigs.name} lies beside it: whether it is up to date cannot be told"
        yield Finding(Level.NOTE, f"{split} index", found)
        return
    command = precompute_command(tables[0], index.location, index.name, index.tiling)
    newer = [table.name for table in tables if table.stat().st_mtime > place.stat().st_mtime]
    if newer:
        found = f"older than {' and '.join(newer)} (or copied so that times were lost; eden verify {place.parent} tells)"
        again = Remedies(place.parent).splitting()
        first = f"{again}, then " if own.is_file() and own.name not in newer else ""
        yield Finding(Level.WARNING, f"{split} index", found, first + command)
    if own.is_file():
        yield from _contents(split, index, own, command, job)
    else:
        yield from _listed(split, index, store, command, job)


def _listed(split: str, index: WindowIndex, store: SequenceStore, command: str, job: Job) -> Iterator[Finding]:
    bases = 0
    try:
        for batch in LengthSource(index, store).measured_contigs():
            if "start" in batch.schema.names:  # of intervals, windows are full but for the last of a contig
                bases += int(batch.column("windows").to_numpy().sum()) * index.tiling.row_bases
            else:
                bases += int(index.tiling.bases_in_rows(batch.column("length").to_numpy(zero_copy_only=False)).sum())
    except InputError as error:
        yield Finding(Level.ERROR, f"{split} index", str(error), command)
        return
    yield Finding(Level.OK, f"{split} index", f"{CONTIGS} has all its contigs")
    yield _fill(split, index, bases, job)


def _contents(split: str, index: WindowIndex, table: Path, command: str, job: Job) -> Iterator[Finding]:
    about = f"{split} index"
    try:
        windows, bases = expected(table, index.tiling)
    except InputError as error:
        yield Finding(Level.WARNING, about, str(error), f"{Remedies(table.parent).splitting()}, then {command}")
        return
    if windows != len(index):
        found = f"{len(index):,} windows, but {table.name} makes {windows:,}: it was built from other contigs"
        yield Finding(Level.ERROR, about, found, command)
        return
    yield Finding(Level.OK, about, f"{windows:,} windows, as many as {table.name} makes")
    yield _fill(split, index, bases, job)


def _fill(split: str, index: WindowIndex, bases: int, job: Job) -> Finding:
    rows = len(index)
    share = (bases + PLAIN_RESERVE * rows) / (rows * (job.seq_length or index.tiling.window_size))
    found = f"{min(1, share):.0%} of the tokens are of use with one window a row, the rest is padding"
    if share >= _FULL_ENOUGH:
        return Finding(Level.OK, f"{split} rows", found)
    remedy = f"packing='thd' or 'concat'; {shlex.join(['eden', 'inspect', index.location, '--packing'])} says what it saves"
    return Finding(Level.WARNING, f"{split} rows", found, remedy)


def expected(table: Path, tiling: Tiling) -> tuple[int, int]:
    """Return the windows that contigs make, and the bases in their rows.

    Raises:
        InputError: the table cannot be read.
    """
    windows = bases = 0
    columns = [name for name in ("start", "contig_length") if name in column_names(table)]
    for batch in read_contigs(table, columns):
        cut = Cut.of(batch, tiling)
        windows += int(cut.counts.sum())
        bases += int(cut.bases_in_rows.sum())
    return windows, bases


def row_findings(split: str, index: WindowIndex, job: Job) -> Iterator[Finding]:
    """Say how windows fit the rows of a job, and how full they leave them."""
    size = index.tiling.window_size
    seq_length = job.seq_length or size
    about = f"{split} rows"
    if size > seq_length:
        found = f"windows have {size:,} bases, and rows {seq_length:,} tokens"
        yield Finding(Level.ERROR, about, found, f"seq_length={size}, or eden-precompute with --window-size {seq_length}")
    elif size < seq_length:
        found = f"windows of {size:,} bases are read in rows of {seq_length:,} tokens, which only packed rows allow"
        yield Finding(Level.NOTE, about, found, "packing='thd' or 'concat', or seq_length as the window size")
    step = job.micro_batch_size * job.ranks
    if split == "train" and len(index) < step:
        found = f"{len(index):,} windows do not make one step of {step:,} rows ({job.ranks} ranks)"
        yield Finding(Level.ERROR, about, found, "a smaller micro_batch_size, fewer ranks or more data")


def read_finding(split: str, index: WindowIndex, tally: IndexTally, slow: set[str], job: Job) -> Finding:
    """Estimate what a batch of random windows costs to read, one window a row."""
    size, total = index.tiling.window_size, max(1, sum(tally.windows.values()))
    slow_share = sum(count for sample, count in tally.windows.items() if sample in slow) / total
    fast = np.array([1 + size / _READ_BYTES, _BYTES_A_BASE * size])
    walk = np.array([tally.mean_reach / _PAGE, tally.mean_reach]) + fast
    reads, amount = (1 - slow_share) * fast + slow_share * walk
    shards, rows = tally.shards_of(READ_AT_ONCE), job.micro_batch_size
    found = (
        f"estimate, nothing cached: a batch of {rows:,}, one window a row, takes {rows * reads:,.0f} reads and "
        f"{size_text(rows * amount)}; 100 windows a second are {size_text(100 * amount)}/s; {READ_AT_ONCE} windows read in one "
        f"go come from {shards:,.0f} of {len(tally.windows):,} shards"
    )
    if slow_share * tally.mean_reach > 10 * size:
        found += "; most of it is the way along chains of pages"
        remedy = shlex.join(["eden", "optimize", str(Path(index.location).parent)])
        return Finding(Level.WARNING, f"{split} reads", found, remedy)
    return Finding(Level.OK, f"{split} reads", found)
