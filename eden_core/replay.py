"""What a step was trained on, from the run ledger: the rows are read again, nothing is trained."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.dataset import EdenDataset
from eden_core.encoded import EncodedBatch
from eden_core.errors import ConfigurationError, InputError
from eden_core.ledger import RunStart
from eden_core.mixture import Anchor
from eden_core.sampler import RankSampler, RowBlock
from eden_core.sequence_ids import control_tag

_SCHEMA = pa.schema(
    [
        ("rank", pa.int64()),
        ("row", pa.int64()),
        ("source", pa.int64()),
        ("contig", pa.string()),
        ("start", pa.int64()),
        ("length", pa.int64()),
        ("strand", pa.string()),
        ("tag", pa.string()),
        ("masked", pa.float64()),
        ("fill", pa.float64()),
    ]
)
_COMPLEMENT = bytes.maketrans(b"ACGTURYSWKMBDHVNacgturyswkmbdhvn", b"TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn")


@dataclass(frozen=True)
class ReplayedRow:
    """One window of a step's row; where windows share a row, each has a line.

    Attributes:
        rank: data-parallel rank that read it; None where rows were asked for by number.
        row: its number in the run.
        source: number of the source; 0 where there is one.
        contig: sequence id.
        start: zero-based first base of the window.
        length: bases that the row read of the window.
        strand: "+" or "-" (reverse complement); "?" where transforms changed the bases otherwise.
        tag: control tag, or "".
        masked: share of the bases without loss weight; 1 for a row that could not be read or only fills the batch up.
        fill: share of the tokens that are not padding.
    """

    rank: int | None
    row: int
    source: int
    contig: str
    start: int
    length: int
    strand: str
    tag: str
    masked: float
    fill: float


@dataclass(frozen=True, eq=False)
class Replayed:
    """Rows with their bases as the model saw them."""

    rows: list[ReplayedRow]
    bases: list[bytes]

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as a table, without bases."""
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in self.rows], _SCHEMA), path)

    def fasta(self) -> Iterator[str]:
        """Yield FASTA records; the bases of a row on the "-" strand are its reverse complement already."""
        for row, bases in zip(self.rows, self.bases, strict=True):
            place = f"{row.contig}:{row.start + 1}-{row.start + row.length}({row.strand})"
            yield f">{place} row={row.row} rank={row.rank} tag={row.tag}\n{bases.decode('latin-1')}\n"


def start_of_step(starts: Sequence[RunStart], step: int) -> RunStart:
    """Return the start whose process made a step, with the steps before it: the last one that had not done more.

    Raises:
        InputError: no start that early is in the ledger, or it does not say how many steps came before one.
    """
    counted = with_steps(starts)
    found = [start for start in counted if start.step is None or start.step <= step]
    if not found:
        raise InputError(f"step {step} lies before every start in the ledger; the earliest began with step {counted[0].step}")
    if found[-1].step is None:
        raise InputError(
            f"the ledger does not say how many steps were done before the start of {found[-1].time}, since it lacks samples "
            "consumed or the global batch size, or it begins in the middle of the run: ask for rows instead of a step"
        )
    return found[-1]


def with_steps(starts: Sequence[RunStart]) -> list[RunStart]:
    """Return starts with the steps that were done before each, which Megatron loops say in samples; None: not known."""
    counted: list[RunStart] = []
    before: list[RunStart] = []
    for start in starts:
        if start.kind == "samples":
            begun = start.position
            before = [] if begun is None else [one for one in before if (one.position or 0) <= begun]
            step = None if begun is None else 0 if not begun else _steps_until(before, begun)
            start = replace(start, step=step)  # noqa: PLW2901
            before.append(start)
        counted.append(start)
    return counted


def _steps_until(before: Sequence[RunStart], consumed: int) -> int | None:
    """Steps of a Megatron run until it had consumed so many samples, from the last of the starts before."""
    last = before[-1] if before else None
    if last is None or last.step is None or last.position is None or not last.global_batch_size:
        return None
    return last.step + (consumed - last.position) // last.global_batch_size


def dataset_of(start: RunStart, **changed: object) -> EdenDataset:
    """Open the dataset of a start.

    Args:
        start: the start.
        changed: arguments to open it with instead, such as a `sequence_db_dir` that was moved.

    Raises:
        ConfigurationError: an argument was an object that the ledger cannot hold.
    """
    arguments = {**start.dataset, **{name: value for name, value in changed.items() if value is not None}}
    objects = {name: value["object"] for name, value in arguments.items() if isinstance(value, dict) and "object" in value}
    if objects:
        named = ", ".join(f"{name} was a {kind}" for name, kind in objects.items())
        raise ConfigurationError(f"the ledger cannot hold every object that the run was given: {named}; replay it from Python")
    dataset = EdenDataset(**arguments)
    if start.mixture is not None:
        dataset.continue_mixture(Anchor(**start.mixture))
    return dataset


def rows_of_step(start: RunStart, step: int, dataset: EdenDataset) -> list[RowBlock]:
    """Return the rows that each data-parallel rank read for a step.

    Steps are counted from 0, as Lightning's `global_step` and its loggers do: step 0 is the first one.

    Raises:
        InputError: the ledger does not say what the step depends on, or the samples of a Megatron run end before it.
    """
    if start.micro_batch_size is None or start.global_batch_size is None:
        raise InputError(
            "the ledger does not say the batch sizes of this start, since Megatron's batch calculator was not initialised when "
            "the datasets were built: ask for rows instead of a step; step s of global batches of B rows is --rows s*B:(s+1)*B"
        )
    samplers = [_sampler(start, rank, dataset) for rank in range(start.data_parallel_size)]
    epoch, position, within = _pass_of(start, step, samplers[0])
    first, accumulated = within * samplers[0].step_batches, samplers[0].step_batches
    batches = range(first, min(first + accumulated, samplers[0].batches(epoch, position)))
    if not batches:
        raise InputError(f"the {start.epoch_rows} samples of the run end before step {step}")
    blocks = [sampler.block(epoch, position, batches) for sampler in samplers]
    if start.kind == "samples":
        return [replace(block, rows=dataset.omissions.rows(block.rows)) for block in blocks]
    return blocks


def blocks_of_step(start: RunStart, step: int, dataset: EdenDataset, rank: int | None = None) -> dict[int | None, RowBlock]:
    """Return what `rows_of_step` does, by data-parallel rank, of all ranks or of one.

    Raises:
        InputError: there is no such rank, or the ledger does not say what the step depends on.
    """
    blocks = rows_of_step(start, step, dataset)
    if rank is not None and rank >= len(blocks):
        raise InputError(f"there is no data-parallel rank {rank}: the run had {len(blocks)}")
    return {number: blocks[number] for number in (range(len(blocks)) if rank is None else [rank])}


def block_of_rows(start: RunStart, dataset: EdenDataset, rows: range) -> RowBlock:
    """Return rows of the run by number; of a Megatron run, samples."""
    numbers = np.array(rows, np.int64)
    return RowBlock.of(dataset.omissions.rows(numbers) if start.kind == "samples" else numbers)


def replay_step(start: RunStart, step: int, dataset: EdenDataset, rank: int | None = None) -> Replayed:
    """Read again what each data-parallel rank, or one, read for a step (see `blocks_of_step`)."""
    return replay_blocks(dataset, blocks_of_step(start, step, dataset, rank))


def replay_rows(start: RunStart, dataset: EdenDataset, rows: range) -> Replayed:
    """Read rows of the run again; of a Megatron run, samples."""
    return replay_blocks(dataset, {None: block_of_rows(start, dataset, rows)})


def replay_blocks(dataset: EdenDataset, blocks: Mapping[int | None, RowBlock]) -> Replayed:
    """Read rows again, by data-parallel rank; None: whatever rank read them."""
    parts = [described(dataset, dataset.reader.fetch(block.rows), block, rank) for rank, block in blocks.items()]
    return Replayed([row for part in parts for row in part.rows], [bases for part in parts for bases in part.bases])


def described(dataset: EdenDataset, encoded: EncodedBatch, block: RowBlock, rank: int | None) -> Replayed:
    """Describe the windows of rows that were fetched, in the order in which they lie."""
    reader, layout = dataset.reader, dataset.reader.layout
    batch = encoded.batch
    loss_mask = (reader.expand(encoded)["loss_mask"] * ~block.repeated[:, None]).reshape(-1)
    stored = reader.stored(batch) if encoded.unread is None else None
    used = batch.bases.lengths if encoded.ids is None else encoded.ids.lengths
    fills = layout.used(encoded) / layout.seq_length
    tagged = (batch.prefix.lengths > 0).tolist()
    rows = batch.picks.rows.tolist()
    starts, stops = layout.places(encoded)
    found, bases = [], [row.tobytes() for row in batch.bases]
    for i, contig in enumerate(batch.windows.sequence_ids):
        found.append(
            ReplayedRow(
                rank=rank,
                row=int(block.rows[rows[i]]),
                source=int(batch.picks.sources[i]),
                contig=contig,
                start=int(batch.windows.starts[i]),
                length=len(bases[i]),
                strand="?" if stored is None else _strand(stored[i].tobytes(), bases[i]),
                tag=control_tag(contig) if tagged[i] else "",
                masked=round(1 - float((loss_mask[starts[i] : stops[i]] > 0).sum()) / int(used[i]), 6),
                fill=round(float(fills[rows[i]]), 6),
            )
        )
    return Replayed(found, bases)


def _sampler(start: RunStart, rank: int, dataset: EdenDataset) -> RankSampler:
    assert start.micro_batch_size is not None  # noqa: S101 - checked by the caller
    return RankSampler(
        start.epoch_rows,
        start.micro_batch_size,
        rank,
        start.data_parallel_size,
        start.global_batch_size,
        start.drop_last,
        start.limit_batches,
        dataset.omissions if start.kind == "epochs" else None,
        consecutive=start.kind == "epochs" and dataset.mixture is not None,
        end=None if dataset.mixture is None else dataset.mixture.end,
    )


def _pass_of(start: RunStart, step: int, sampler: RankSampler) -> tuple[int, int, int]:
    """The pass of a step (epoch and position), and how many steps of it come before."""
    epoch, position, within = start.epoch, start.position or 0, step - (start.step or 0)
    if start.kind == "samples":
        return epoch, position, within
    if not sampler.pass_batches:
        raise InputError(f"limit_batches {start.limit_batches} left nothing to train on")
    while within >= (steps := -(-sampler.batches(epoch, position) // sampler.step_batches)):
        epoch, position, within = (0 if start.repeat_epoch else epoch + 1), 0, within - steps
    return epoch, position, within


def _strand(stored: bytes, seen: bytes) -> str:
    if stored == seen:
        return "+"
    return "-" if stored.translate(_COMPLEMENT)[::-1] == seen else "?"
