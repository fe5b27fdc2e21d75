"""Stores that read sequences where they lie: "fasta" and "twobit"."""

import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.assembly import whole_number
from eden_core.batch import Ragged, Windows, offsets_of
from eden_core.contigs import SCHEMA
from eden_core.errors import FormatError, SequenceNotFoundError, ShardNotFoundError
from eden_core.interfaces import SequenceStore, ShardState
from eden_core.sequence_ids import check_sample
from eden_core.sorting import sorted_batches
from eden_core.window_bounds import bases_within
from eden_fasta.catalogue import Catalogue
from eden_fasta.contents import ChangedFileError, StoreContents
from eden_fasta.fasta_file import FastaCatalogue, FastaFile
from eden_fasta.locations import Kept, Location, SourceFile, Stamp
from eden_fasta.sequence_file import SequenceFile
from eden_fasta.two_bit_file import TwoBitCatalogue, TwoBitFile

_INDEXED_FROM = 1 << 20
"""bytes of a file among many that gets an index"""


class FileStore(SequenceStore):
    """Reads files of sequences that other programs wrote, as they are.

    A table of ids says which file each sequence lies in, and where. It is written when the location is first used, and lies
    beside the files, or in a cache folder where that place cannot be written; from then on opening the store costs the same for
    one file and for 100,000. A file that has changed since (size or time of its last change) is indexed anew, and so are all
    where an id is asked for that the table does not have.

    Args:
        location: a file; a directory, searched at any depth; a list of files (.txt, .list or .fofn, one path a line); or a glob
            pattern. Ids must not repeat. As a shard, a file is a sample of its own, called what the file is called.
        cache_dir: where tables and indexes go that cannot lie beside the files; None: the folder `eden` in the user's cache
            folder, or what EDEN_CACHE_DIR says.
        max_open_files: files of sequences that this process keeps open, least recently used closed first.

    Raises:
        ConfigurationError: an option is out of its range, or of another type.
    """

    max_read_threads = 64
    table: ClassVar[type[Catalogue]]
    names: ClassVar[re.Pattern[str]]
    """how the names of such files end"""

    def __init__(self, location: str, *, cache_dir: str | None = None, max_open_files: int = 64) -> None:
        super().__init__(location)
        self.cache_dir = None if cache_dir is None else str(cache_dir)
        self.max_open_files = whole_number("max_open_files", max_open_files, least=1)
        self._kept = Kept(self.cache_dir)
        self._contents: dict[int, StoreContents] = {}  # by process: what others opened is never used, nor closed

    @abstractmethod
    def open_file(self, path: str) -> SequenceFile:
        """Open one of the files."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_contents": {}}

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        """Return the bases of windows, read file by file in the order in which they lie there."""
        if not len(windows):
            return Ragged.empty(0, np.uint8)
        try:
            return self._read(windows)
        except (ChangedFileError, FileNotFoundError):
            self._opened().update()
        try:
            return self._read(windows)
        except (ChangedFileError, FileNotFoundError) as error:
            raise ShardNotFoundError(
                f"{error} is gone, or changes while it is read: start again once it is complete"
            ) from error

    def _read(self, windows: Windows) -> Ragged[np.uint8]:
        contents = self._opened()
        rows, files = contents.find(windows.sequence_ids)
        starts, counts = windows.starts, bases_within(windows, rows["length"].astype(np.int64))
        offsets = offsets_of(counts)
        values = np.empty(offsets[-1], np.uint8)
        order = np.lexsort((starts, rows["offset"], rows["file"]))
        numbers = rows["file"][order]
        for first, end in pairwise([0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), numbers.size]):
            file, some = files[int(numbers[first])], order[first:end]
            with contents.held(file) as sequences:
                self.reading = sequences.path
                sequences.copy(rows[some], starts[some], counts[some], values, offsets[some])
        return Ragged(values, offsets)

    def samples(self) -> Iterator[str]:
        """Yield the files' names as samples, in byte order."""
        yield from (file.sample for file in self._opened().files())

    def contigs(self, sample: str | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the sequences of a file, or of all, files in byte order of their samples."""
        for name in self.samples() if sample is None else (check_sample(sample),):
            yield from sorted_batches(self._listed(self._opened().file_of(name)))

    def check_shard(self, sample: str) -> None:
        """Read all of a file, and compare what it holds with the table of ids."""
        contents = self._opened()
        file = contents.file_of(check_sample(sample))
        try:
            with contents.held(file) as sequences:
                for names, rows in sequences.check():
                    self._check_places(sequences.path, names, rows)
        except ChangedFileError as error:
            raise FormatError(
                f"{error} has changed since it was indexed, when it had {file.stamp.size:,} bytes. If that was meant, "
                "list its contigs anew (eden contigs); if not, copy it again"
            ) from error

    def _check_places(self, path: str, names: list[str], rows: NDArray[Any]) -> None:
        """Compare where sequences lie with where the table has them."""
        try:
            listed, _ = self._opened().find(names)
        except SequenceNotFoundError as error:
            raise FormatError(f"{path} is not as it was indexed: {error}") from error
        fields = [name for name in rows.dtype.names or () if name not in {"digest", "check", "file", "checksum"}]
        wrong = np.logical_or.reduce([rows[name] != listed[name] for name in fields])
        if wrong.any():
            raise FormatError(
                f"{path} is not as it was indexed: sequence {names[int(np.argmax(wrong))]!r} lies in another place. Was it "
                "changed in place? Touch the file: then it is indexed anew"
            )

    def shard_state(self, sample: str) -> ShardState:
        """Look at the size of a file, and whether it is the one that was indexed."""
        file = self._opened().file_of(check_sample(sample))
        path = self._location().path(file.name)
        try:
            found = Stamp.of(path)
        except OSError as error:
            return ShardState(sample, path, file.stamp.size, unsafe=f"{path} cannot be read: {error.strerror}")
        note = None if found == file.stamp else "has changed since it was indexed, and is indexed anew when it is read"
        return ShardState(sample, path, found.size, note=note)

    def fingerprint(self) -> str:
        """Return the store's name and a digest of which sequences there are, and how long: no option changes a base."""
        return f"{self.name}({self._opened().content()})"

    def close(self) -> None:
        """Close this process's files."""
        contents = self._contents.pop(os.getpid(), None)
        if contents is not None:
            contents.close()

    def _listed(self, file: SourceFile) -> Iterator[pa.RecordBatch]:
        sequences = self.open_file(self._location().path(file.name))
        try:
            for names, rows in sequences.entries():
                lengths = pa.array(rows["length"].astype(np.int64))
                yield pa.RecordBatch.from_arrays([pa.array(names, pa.string()), lengths], schema=SCHEMA)
        finally:
            sequences.close()

    def _location(self) -> Location:
        return Location(self.location, self.names, self.name)

    def _opened(self) -> StoreContents:
        pid = os.getpid()
        found = self._contents.get(pid)
        if found is None:  # nothing is open yet in new contents, so that those of a thread that comes second are no loss
            made = StoreContents(self._location(), self.table, self._kept, self.open_file, self.max_open_files)
            found = self._contents.setdefault(pid, made)
        return found


class FastaStore(FileStore):
    """Reads FASTA files, plain or compressed with bgzip: the id of a sequence is the first word of its header.

    The index that samtools keeps of each file (`.fai`, and `.gzi` of one that is compressed) is read where it fits, and
    written where there is none; of many files only for those of 1 MiB and more. Lines of a sequence must be of one length but
    for the last. Case is kept. Location and options are those of `FileStore`.
    """

    name: ClassVar[str] = "fasta"
    table: ClassVar[type[Catalogue]] = FastaCatalogue
    names: ClassVar[re.Pattern[str]] = re.compile(r"\.(?:fa|fasta|fna|ffn|fsa)(?:\.b?gz)?$", re.IGNORECASE)

    def open_file(self, path: str) -> SequenceFile:
        """Open a FASTA file."""
        return FastaFile(path, self._kept, 0 if self._location().is_file else _INDEXED_FROM)


class TwoBitStore(FileStore):
    """Reads UCSC's .2bit files: what is masked comes in lower case, N as N. Location and options are those of `FileStore`."""

    name: ClassVar[str] = "twobit"
    table: ClassVar[type[Catalogue]] = TwoBitCatalogue
    names: ClassVar[re.Pattern[str]] = re.compile(r"\.2bit$", re.IGNORECASE)

    def open_file(self, path: str) -> SequenceFile:
        """Open a .2bit file."""
        return TwoBitFile(path)
