"""Store "text-files": one plain text file a sequence."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa

from eden_core import Ragged, SequenceStore, Windows, extract_sample_id, hookimpl
from eden_core.errors import RepeatedIdError, SequenceNotFoundError, ShardNotFoundError, StaleIndexError
from eden_core.interfaces import ShardSummary
from eden_core.sequence_ids import check_sample

EDEN_INTERFACE = 1

_DRAFT = "+"  # in front of a folder that is being written; no percent-encoded name has it


class TextFiles(SequenceStore):
    """Reads and writes `<location>/<sample>/<sequence id><suffix>`, ids percent-encoded, the bases and nothing else.

    Args:
        location: the directory of the samples.
        suffix: how file names end.
    """

    name: ClassVar[str] = "text-files"

    def __init__(self, location: str, *, suffix: str = ".txt") -> None:
        super().__init__(location)
        self.suffix = suffix

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        """Return the bases of windows, sequence by sequence; one file is open at a time, and none afterwards."""
        asked: defaultdict[str, list[int]] = defaultdict(list)
        for i, sequence_id in enumerate(windows.sequence_ids):
            asked[sequence_id].append(i)
        rows = [b""] * len(windows)
        for sequence_id, places in asked.items():
            path = self._folder(extract_sample_id(sequence_id)) / self._file_name(sequence_id)
            try:
                with path.open("rb") as file:
                    for i in places:
                        file.seek(int(windows.starts[i]))
                        rows[i] = file.read(int(windows.lengths[i]))
            except FileNotFoundError as error:
                raise SequenceNotFoundError(f"no sequence {sequence_id!r}: {path} is missing") from error
            if not all(rows[i] for i in places):
                raise StaleIndexError(
                    f"sequence {sequence_id!r} ends before a window of the index; build it again with eden-precompute"
                )
        return Ragged.from_rows([np.frombuffer(row, np.uint8) for row in rows], np.uint8)

    def samples(self) -> Iterator[str]:
        """Yield the samples that have a folder, in byte order."""
        folders = [path for path in Path(self.location).iterdir() if path.is_dir() and not path.name.startswith(_DRAFT)]
        yield from sorted((unquote(folder.name) for folder in folders), key=str.encode)

    def contigs(self, sample: str | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the sequences of a sample, or of all; the lengths are the sizes of the files."""
        for name in self.samples() if sample is None else (sample,):
            folder = self._folder(name)
            if not folder.is_dir():
                raise ShardNotFoundError(f"{self.location} has no sample {name!r}: there is no folder {folder}")
            names = [path.name.removesuffix(self.suffix) for path in folder.iterdir() if path.name.endswith(self.suffix)]
            ids = sorted(map(unquote, names), key=str.encode)
            lengths = pa.array([(folder / self._file_name(i)).stat().st_size for i in ids], pa.int64())
            yield pa.RecordBatch.from_pydict({"contig_id": pa.array(ids, pa.string()), "length": lengths})

    def write_shard(self, sample: str, sequences: Iterable[tuple[str, bytes]]) -> ShardSummary:
        """Write the files of one sample into a draft folder, then put it in the place of the old one."""
        target = self._folder(sample)
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=_DRAFT, dir=self.location) as draft:
            new, old = Path(draft, "new"), Path(draft, "old")
            new.mkdir()
            sizes = [_write(new / self._file_name(sequence_id), bases) for sequence_id, bases in sequences]
            if target.exists():
                target.rename(old)
            new.rename(target)
        return ShardSummary(sample, str(target), len(sizes), sum(sizes))

    def remove_shard(self, sample: str) -> None:
        """Remove the folder of a sample."""
        folder = self._folder(sample)
        if folder.is_dir():
            with TemporaryDirectory(prefix=_DRAFT, dir=self.location) as draft:
                folder.rename(Path(draft, "old"))

    def _folder(self, sample: str) -> Path:
        return Path(self.location, quote(check_sample(sample), safe=""))

    def _file_name(self, sequence_id: str) -> str:
        return quote(sequence_id, safe="") + self.suffix


def _write(path: Path, bases: bytes) -> int:
    if path.exists():
        raise RepeatedIdError(f"a sequence id occurs more than once: {path.name} was written before")
    with path.open("xb") as file:
        file.write(bases)
        file.flush()
        os.fsync(file.fileno())
    return len(bases)


@hookimpl
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Offer the store."""
    return [TextFiles]
