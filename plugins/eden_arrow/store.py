"""Store "arrow-shards": Arrow files of many samples each, and a table that says where each sequence lies."""

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.checking import check_sample_in_shard
from eden_arrow.contents import SamplePlace, StoreContents
from eden_arrow.folder import FOLDER, StoreFolder
from eden_arrow.merging import merge_parts
from eden_arrow.parts import remove_part, write_part
from eden_arrow.reading import Stretches, copy_packed, copy_plain
from eden_arrow.shard_files import sample_batches
from eden_core.assembly import true_or_false, whole_number
from eden_core.batch import Ragged, Windows, offsets_of
from eden_core.contigs import SCHEMA
from eden_core.errors import ConfigurationError, ShardNotFoundError
from eden_core.interfaces import SequenceStore, ShardState, ShardSummary
from eden_core.open_files import IO
from eden_core.sequence_ids import check_sample
from eden_core.sorting import sorted_batches
from eden_core.window_bounds import bases_within

_inherited: list[StoreContents] = []
"""what other processes opened: never used, and never closed, since the numbers of its files may be others' by now"""


class ArrowShards(SequenceStore):
    """Reads and writes `<location>/shards`: Arrow files of bounded size, many samples in each.

    A sample that is written is there at once, as a part of its own; `finish` merges parts into shards. See
    `eden_arrow.folder` for the files, `eden_arrow.id_table` and `eden_arrow.two_bits` for their formats.

    Args:
        location: the directory that `shards` lies in.
        io: how files are read: "mmap" maps them into memory, which is fastest where all of them stay mapped; "pread" reads
            them call by call, which is faster where they do not, and lets an error of the file system be tried again instead
            of ending the process; "auto": the first for a store of less than 96 MiB on a file system of this machine, the
            second for all others.
        packed: whether samples that are written from now on take two bits a base (with the exceptions that make that
            exact): a quarter of the bytes. Of what is there, each shard says how it is kept.
        shard_bytes: what a shard holds at most, unless one sample has more.
        max_open_files: files that this process keeps open, least recently used closed first.

    Raises:
        ConfigurationError: an option is out of its range, or of another type.
    """

    name: ClassVar[str] = "arrow-shards"

    def __init__(
        self, location: str, *, io: str = "auto", packed: bool = False, shard_bytes: int = 1 << 30, max_open_files: int = 128
    ) -> None:
        super().__init__(location)
        if io not in IO:
            raise ConfigurationError(f"io={io!r}: expected one of {', '.join(IO)}")
        self.io = io
        self.packed = true_or_false("packed", packed)
        self.shard_bytes = whole_number("shard_bytes", shard_bytes, least=1)
        self.max_open_files = whole_number("max_open_files", max_open_files, least=1)
        self._folder = StoreFolder(self.location)
        self._contents: StoreContents | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_contents": None}

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        """Return the bases of windows, read in the order in which they lie in the shards."""
        try:
            return self._read(windows)
        except FileNotFoundError:
            self.close()  # shards were merged meanwhile, and the table names others
        try:
            return self._read(windows)
        except FileNotFoundError as error:
            raise ShardNotFoundError(self._missing(error.filename)) from error

    def _read(self, windows: Windows) -> Ragged[np.uint8]:
        if not len(windows):
            return Ragged.empty(0, np.uint8)
        ids = windows.sequence_ids
        contents = self._opened()
        numbers = dict.fromkeys(ids)
        places = contents.find(tuple(numbers))
        shards, rows = places.shards, places.rows
        if len(numbers) < len(ids):
            numbers.update(zip(numbers, range(len(numbers)), strict=True))
            chosen = np.fromiter(map(numbers.__getitem__, ids), np.int64, len(ids))
            shards, rows = shards[chosen], rows[chosen]
        sizes = rows["length"].astype(np.int64)
        starts, counts = windows.starts, bases_within(windows, sizes)
        offsets = offsets_of(counts)
        values = np.empty(offsets[-1], np.uint8)
        some = Stretches(rows["offset"].astype(np.int64), sizes, rows["runs"].astype(np.int64), starts, counts, offsets[:-1])
        self._copy(contents, shards, some, values)
        return Ragged(values, offsets)

    def _copy(self, contents: StoreContents, shards: NDArray[np.int64], some: Stretches, values: NDArray[np.uint8]) -> None:
        order = np.lexsort((some.offsets + some.starts, shards))
        found = shards[order]
        bounds = [0, *(np.flatnonzero(found[1:] != found[:-1]) + 1).tolist(), found.size]
        for first, end in pairwise(bounds):
            shard = contents.shard(int(found[first]))
            self.reading = contents.path(shard)
            chosen = order[first:end]
            part = Stretches(*(column[chosen] for column in vars(some).values()))
            copy = copy_packed if shard.packed else copy_plain
            copy(contents.file(shard), part, values)

    def samples(self) -> Iterator[str]:
        """Yield the samples that there are, in byte order."""
        contents = self._opened()
        if not Path(self.location).is_dir():
            raise ShardNotFoundError(f"{self.location} is not a directory; expected one with {FOLDER}")
        yield from contents.samples()

    def contigs(self, sample: str | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the contigs of a sample, or of all, samples in byte order."""
        for name in self.samples() if sample is None else (check_sample(sample),):
            yield from sorted_batches(self._listed(name))

    def _listed(self, sample: str) -> Iterator[pa.RecordBatch]:
        place = self._place(sample)
        file = self._opened().file(place.shard)
        for batch in sample_batches(file, place.sample, packed=place.shard.packed):
            yield pa.RecordBatch.from_arrays([batch.ids, pa.array(batch.lengths)], schema=SCHEMA)

    def write_shard(self, sample: str, sequences: Iterable[tuple[str, bytes]]) -> ShardSummary:
        """Write one sample as a part; `finish` merges it.

        Raises:
            InvalidSequenceIdError: the sample cannot be part of a file's name.
            InputError: an id repeats, or a sequence is no ASCII text.
        """
        written = write_part(self._folder, sample, sequences, packed=self.packed)
        self.close()
        return ShardSummary(sample, str(self._folder.path), written.contigs, written.bases)

    def remove_shard(self, sample: str) -> None:
        """Remove a sample; `finish` gives the bytes back that it takes in a shard."""
        if self._folder.path.is_dir():
            remove_part(self._folder, check_sample(sample), noted=self._opened().is_in_table(sample))
        self.close()

    def finish(self) -> None:
        """Merge parts into shards; see `eden_arrow.merging.merge_parts`."""
        self.close()
        merge_parts(self._folder, self.shard_bytes)

    def check_shard(self, sample: str) -> None:
        """Read all of a sample, compare it with its digest, and look all its ids up."""
        place = self._place(check_sample(sample))
        try:
            check_sample_in_shard(self._opened(), place)
        except FileNotFoundError as error:
            raise ShardNotFoundError(self._missing(error.filename)) from error

    def shard_state(self, sample: str) -> ShardState:
        """Look at what the table says of a sample, and at the size of its shard's file."""
        place = self._place(check_sample(sample))
        path = self._opened().path(place.shard)
        note = "waits to be merged; the import that wrote it was not completed: give its command again" if place.part else None
        return ShardState(sample, path, place.sample.bytes, unsafe=self._fault(path, place.shard.bytes), note=note)

    def fingerprint(self) -> str:
        """Return the store's name and a digest of what its samples hold, however they are kept."""
        digest = blake2b(digest_size=8)
        for sample, held in self._opened().digests():
            digest.update(f"{sample}\0{held}".encode(errors="surrogateescape"))
        return f"{self.name}({digest.hexdigest()})"

    def close(self) -> None:
        """Close this process's files."""
        contents, self._contents = self._contents, None
        if contents is not None:
            if contents.pid == os.getpid():
                contents.close()
            else:
                _inherited.append(contents)

    def _opened(self) -> StoreContents:
        if self._contents is not None and self._contents.pid != os.getpid():
            self.close()
        if self._contents is None:
            self._contents = StoreContents(self._folder, self.max_open_files, self.io)
        return self._contents

    def _place(self, sample: str) -> SamplePlace:
        place = self._opened().place_of(sample)
        if place is None:
            raise ShardNotFoundError(f"{self.location} has no shard of sample {sample!r}")
        return place

    def _fault(self, path: str, size: int) -> str | None:
        """Say what is wrong with the file of a shard."""
        try:
            found = Path(path).stat().st_size
        except FileNotFoundError:
            return self._missing(path)
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        return None if found == size else f"{path} has {found:,} bytes instead of {size:,}: copy it again, or import anew"

    def _missing(self, path: str) -> str:
        return f"{path} is missing, and {self._folder.table} names it: copy the store again, or import anew"
