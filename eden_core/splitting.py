"""Dividing contigs into training, validation and test."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.atomic import atomic_path, refuse_existing
from eden_core.contigs import BATCH_ROWS, SCHEMA, read_contigs, write_contigs
from eden_core.errors import ConfigurationError, InputError

TOLERANCE = 1e-6
"""how far the shares may sum from 1"""


@dataclass(frozen=True)
class SplitSummary:
    """One split that was written."""

    location: Path
    sequences: int
    bases: int


def split_contigs(
    contigs: str | Path,
    out: str | Path,
    *,
    train: float,
    validation: float,
    test: float,
    seed: int = 42,
    force: bool = False,
) -> dict[str, SplitSummary]:
    """Write `<out>/train.parquet`, `validation.parquet` and `test.parquet`, each contig in exactly one of them.

    Contigs are put in an order that depends on seed and ids alone, end to end, and each goes where the middle of its bases
    falls; so the same contigs in any order of rows give the same splits. A split whose share is 0 has no file.

    Args:
        contigs: Parquet table with contig_id (string) and length (integer, bases).
        out: directory, made if need be.
        train: share of the bases, 0 to 1.
        validation: share of the bases, 0 to 1.
        test: share of the bases, 0 to 1.
        seed: another seed gives other splits.
        force: whether existing splits are replaced; with it, files of splits that are not wanted any more are removed.

    Raises:
        ConfigurationError: a share is negative, the shares do not sum to 1, or `out` cannot be made.
        OutputExistsError: one of the files exists, without `force`.
        InputError: the table cannot be used, repeats an id, or leaves a split empty.
    """
    shares = {"train": train, "validation": validation, "test": test}
    _check(shares)
    out = Path(out)
    files = {name: out / f"{name}.parquet" for name in shares}
    for file in files.values():
        refuse_existing(file, force=force)
    wanted = {name: share for name, share in shares.items() if share > 0}
    table = _sorted_table(contigs)
    places = _places(table, list(wanted.values()), seed)
    parts = {name: table.filter(pa.array(places == place)) for place, name in enumerate(wanted)}
    _check_parts(contigs, table, parts)
    _write(out, files, parts)
    return {name: SplitSummary(files[name], part.num_rows, _bases(part)) for name, part in parts.items()}


def _check(shares: dict[str, float]) -> None:
    given = ", ".join(f"{name} {share:g}" for name, share in shares.items())
    if not all(share >= 0 for share in shares.values()):
        raise ConfigurationError(f"a share of the bases cannot be negative: {given}")
    total = math.fsum(shares.values())
    if not abs(total - 1) <= TOLERANCE:
        raise ConfigurationError(f"the shares must sum to 1, and sum to {total:g}: {given}")


def _sorted_table(contigs: str | Path) -> pa.Table:
    table = pa.Table.from_batches(read_contigs(contigs), schema=SCHEMA)
    # 64-bit offsets: all ids together may be longer than 2 GiB.
    table = table.set_column(0, "contig_id", table["contig_id"].cast(pa.large_string())).combine_chunks()
    table = table.sort_by("contig_id").combine_chunks()
    ids = table["contig_id"]
    repeats = pc.index(pc.equal(ids[:-1], ids[1:]), value=True).as_py() if table.num_rows else -1
    if repeats >= 0:
        raise InputError(f"{contigs}: contig_id {ids[repeats].as_py()!r} occurs more than once; each contig must have one row")
    return table


def _places(table: pa.Table, shares: list[float], seed: int) -> NDArray[np.int64]:
    """Return for each contig which of the shares it goes to."""
    lengths = table["length"].to_numpy()
    order = np.argsort(_digests(table["contig_id"], seed), kind="stable")
    ends = np.cumsum(lengths[order])
    middles = ends - lengths[order] / 2
    bounds = np.cumsum(shares)[:-1] / sum(shares) * lengths.sum()
    places = np.empty(len(lengths), np.int64)
    places[order] = np.searchsorted(bounds, middles, side="right")
    return places


def _digests(ids: pa.ChunkedArray, seed: int) -> NDArray[np.uint64]:
    seeded = blake2b(f"{seed} ".encode(), digest_size=8)

    def digests() -> Iterator[int]:
        for first in range(0, len(ids), BATCH_ROWS):
            for sequence_id in ids[first : first + BATCH_ROWS].to_pylist():
                one = seeded.copy()
                one.update(sequence_id.encode())
                yield int.from_bytes(one.digest())

    return np.fromiter(digests(), np.uint64, len(ids))


def _check_parts(contigs: str | Path, table: pa.Table, parts: dict[str, pa.Table]) -> None:
    empty = " and ".join(name for name, part in parts.items() if not _bases(part))
    if empty:
        count = "1 contig" if table.num_rows == 1 else f"{table.num_rows} contigs"
        raise InputError(
            f"{contigs} has {count}, too few or too unequal in length for these shares: {empty} would be "
            "empty. Give larger shares, or 0 for a split that you do not need; one long genome can be imported in pieces, "
            "which are then split: eden import … --cut-every 100000"
        )


def _write(out: Path, files: dict[str, Path], parts: dict[str, pa.Table]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the directory {out} cannot be made: {error.strerror}") from error
    with ExitStack() as drafts:
        for name, part in parts.items():
            write_contigs(drafts.enter_context(atomic_path(files[name])), _batches(part))
        for name in files.keys() - parts.keys():
            files[name].unlink(missing_ok=True)


def _batches(part: pa.Table) -> Iterator[pa.RecordBatch]:
    for first in range(0, part.num_rows, BATCH_ROWS):
        yield from part[first : first + BATCH_ROWS].combine_chunks().cast(SCHEMA).to_batches()


def _bases(part: pa.Table) -> int:
    return pc.sum(part["length"]).as_py() or 0
