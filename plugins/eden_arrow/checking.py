"""Damage in a shard that reading single windows does not meet."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.contents import SamplePlace, StoreContents
from eden_arrow.reading import Stretches, copy_packed
from eden_arrow.shard_files import ContentDigest, SampleBatch, is_packed, sample_batches
from eden_core.errors import EdenError, FormatError
from eden_core.open_files import OpenFile

_PIECE = 1 << 24


def check_sample_in_shard(contents: StoreContents, place: SamplePlace) -> None:
    """Check that a shard is an Arrow file, and that a sample in it is what the table says, to the last base.

    Raises:
        FormatError: it is damaged.
        OSError: it cannot be read.
    """
    sample, file = place.sample, contents.file(place.shard)
    _check_arrow(file, packed=place.shard.packed)
    digest, contigs, bases = ContentDigest(), 0, 0
    for batch in sample_batches(file, sample, packed=place.shard.packed):
        try:
            batch.ids.validate(full=True)
            ids = batch.ids.to_pylist()
        except (pa.ArrowException, ValueError) as error:
            raise _damage(file, sample.sample, f"ids cannot be read: {error}") from error
        contigs, bases = contigs + len(ids), bases + int(batch.lengths.sum())
        _check_places(contents, file, sample.sample, ids, batch)
        digest.add_ids(text.encode() for text in ids)
        digest.add_lengths(batch.lengths)
        for piece in _packed_bases(contents, file, ids, batch) if place.shard.packed else _plain_bases(file, batch):
            digest.add_bases(piece)
    if (contigs, bases) != (sample.contigs, sample.bases):
        told = f"it holds {contigs:,} sequences of {bases:,} bases, and the table says {sample.contigs:,} of {sample.bases:,}"
        raise _damage(file, sample.sample, told)
    if digest.text() != sample.digest:
        raise _damage(
            file, sample.sample, f"what it holds has the digest {digest.text()}, and had {sample.digest} when written"
        )


def _check_arrow(file: OpenFile, *, packed: bool) -> None:
    try:
        with pa.OSFile(file.path) as source, pa.ipc.open_file(source) as reader:
            kept = is_packed(reader.schema)
    except (pa.ArrowException, FormatError) as error:
        raise FormatError(f"{file.path} is no shard that can be read: {error}; copy it again, or import anew") from error
    if kept != packed:
        raise FormatError(f"{file.path} is not packed as its table says: copy the store again, or import anew")


def _check_places(contents: StoreContents, file: OpenFile, sample: str, ids: list[str], batch: SampleBatch) -> None:
    """Look the ids of a batch up."""
    if not ids:
        return
    try:
        found = contents.find(ids)
    except EdenError as error:
        raise _damage(file, sample, f"an id is not in the table of ids: {error}") from error
    wrong = (found.rows["offset"] != batch.places[:-1]) | (found.rows["length"] != batch.lengths)
    wrong |= np.array([contents.path(contents.shard(shard)) != file.path for shard in found.shards.tolist()])
    if wrong.any():
        raise _damage(file, sample, f"the table of ids has {ids[int(np.argmax(wrong))]!r} in another place")


def _plain_bases(file: OpenFile, batch: SampleBatch) -> Iterator[bytes | memoryview]:
    first, end = int(batch.places[0]), int(batch.places[-1])
    for begin in range(first, end, _PIECE):
        yield file.read(begin, min(_PIECE, end - begin))


def _packed_bases(contents: StoreContents, file: OpenFile, ids: list[str], batch: SampleBatch) -> Iterator[memoryview]:
    rows = contents.find(ids).rows
    for offset, length, runs in zip(batch.places.tolist(), batch.lengths.tolist(), rows["runs"].tolist(), strict=False):
        for first in range(0, length, _PIECE):
            bases = np.empty(min(_PIECE, length - first), np.uint8)
            columns = (_one(each) for each in (offset, length, runs, first, bases.size, 0))
            copy_packed(file, Stretches(*columns), bases)
            yield memoryview(bases)  # type: ignore[arg-type] # numpy arrays are buffers


def _one(number: int) -> NDArray[np.int64]:
    return np.array([number], np.int64)


def _damage(file: OpenFile, sample: str, how: str) -> FormatError:
    return FormatError(f"{file.path} is damaged: of sample {sample!r}, {how}; copy the store again, or import anew")
