"""A FASTA file, plain or compressed with bgzip, and the index that samtools keeps of such a file."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import FormatError
from eden_core.open_files import PlainFile
from eden_fasta import bgzip, fai
from eden_fasta.catalogue import Catalogue
from eden_fasta.locations import Kept
from eden_fasta.scanning import Records, scanned
from eden_fasta.sequence_file import Entries, Places, SequenceFile
from eden_fasta.wrapped_lines import WrappedSequences

_BLOCK = 1 << 22

_log = logging.getLogger(__name__)


class FastaCatalogue(Catalogue):
    """The table of ids of FASTA files."""

    MAGIC: ClassVar[bytes] = b"EDENFAI\x01"
    ROW: ClassVar[np.dtype[np.void]] = np.dtype(
        [
            ("digest", "<u8"),
            ("check", "<u8"),
            ("offset", "<u8"),
            ("length", "<u8"),
            ("line_bases", "<u8"),
            ("file", "<u4"),
            ("line_end", "<u2"),
            ("checksum", "<u2"),
        ],
        align=True,
    )
    """of a sequence: where its first base lies (uncompressed), how many there are, bases of a line, bytes that end it"""


class FastaFile(SequenceFile):
    """An open FASTA file.

    Args:
        path: where it lies.
        kept: where its index may be.
        indexed_from: bytes from which on an index is written; a smaller file without one is looked through again.

    Raises:
        FormatError: it is compressed in another way than by bgzip.
        NotSupportedError: it is compressed, and pysam is not installed.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, kept: Kept, indexed_from: int = 0) -> None:
        super().__init__(path)
        self._kept, self._indexed_from = kept, indexed_from
        self._pairs: NDArray[np.void] | None = None  # of an index that was found, until it has been compared with the file
        try:
            self._bytes = self._uncompressed(self._file)
        except BaseException:
            super().close()
            raise

    def entries(self) -> Entries:
        """Yield all sequences, as the index has them; it is written where there is none that fits."""
        self._check_blocks()
        path = self._fitting_index()
        return _rows(self._scanned() if path is None else fai.read_fai(path))

    def copy(self, rows: NDArray[Any], starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy stretches of sequences, without the line ends."""
        sequences = WrappedSequences(*(rows[name].astype(np.int64) for name in ("offset", "line_bases", "line_end")))
        wrong = sequences.copy(self._bytes.copy, starts, counts, into, targets)
        if wrong is not None:
            raise FormatError(
                f"{self.path} is not as it was indexed: of the sequence at byte {rows['offset'][wrong]:,}, what begins at base "
                f"{starts[wrong]:,} is not in lines of {rows['line_bases'][wrong]:,}. Was it changed in place? Remove "
                f"{self.path}{fai.SUFFIX}, and touch the file: then it is indexed anew"
            )

    def check(self) -> Entries:
        """Look through the whole file."""
        return _rows(self._scanned())

    def close(self) -> None:
        """Close the file."""
        self._bytes.close()
        super().close()

    def _uncompressed(self, plain: PlainFile) -> PlainFile | bgzip.BgzipFile:
        head = plain.read(0, min(plain.size, 64))
        if not head.startswith(bgzip.GZIP):
            return plain
        if not bgzip.is_bgzip(head):
            raise FormatError(
                f"{self.path} is compressed with gzip, which must be read from its beginning to find anything: compress it "
                f"with bgzip instead (gunzip -c {Path(self.path).name} | bgzip > …), or import it (eden import)"
            )
        gzi = self._kept.newer(self.path + bgzip.SUFFIX, self.stamp)
        if gzi is not None:
            try:
                self._pairs = bgzip.read_gzi(gzi, plain)
                return bgzip.BgzipFile(plain, self._pairs)
            except FormatError as error:
                _log.info("%s is written anew, or not used: %s", gzi, error)
        return self._indexed(plain, bgzip.found_blocks(plain))

    def _indexed(self, plain: PlainFile, pairs: NDArray[np.void]) -> bgzip.BgzipFile:
        if plain.size >= self._indexed_from:
            bgzip.write_gzi(self._kept.target(self.path + bgzip.SUFFIX), pairs)
        return bgzip.BgzipFile(plain, pairs)

    def _check_blocks(self) -> None:
        """Compare an index of blocks that was found with the blocks of the file; one that differs is written anew."""
        if self._pairs is None:
            return
        pairs = bgzip.found_blocks(self._file)
        if not np.array_equal(pairs, bgzip.with_bytes(self._pairs, self._bytes.size)):
            _log.info("%s%s is written anew: blocks begin elsewhere", self.path, bgzip.SUFFIX)
            self._bytes.close()
            self._bytes = self._indexed(self._file, pairs)
        self._pairs = None

    def _fitting_index(self) -> Path | None:
        """Return the index, written where there is none that fits; None: the file is too small for one."""
        path = self._kept.newer(self.path + fai.SUFFIX, self.stamp)
        if path is not None:
            try:
                fai.check_fit(path, self._bytes)
            except fai.UnfitIndexError as error:
                _log.info("%s is written anew: %s", path, error)
            else:
                return path
        if self.stamp.size < self._indexed_from:
            return None
        path = self._kept.target(self.path + fai.SUFFIX)
        fai.write_fai(path, self._scanned())
        return path

    def _scanned(self) -> Iterator[Records]:
        size = self._bytes.size
        return scanned((bytes(self._bytes.read(at, min(_BLOCK, size - at))) for at in range(0, size, _BLOCK)), self.path)


def _rows(records: Iterable[Records]) -> Entries:
    for some in records:
        rows = np.zeros(len(some), FastaCatalogue.ROW)
        rows["offset"], rows["length"], rows["line_bases"] = some.offsets, some.lengths, some.line_bases
        rows["line_end"] = np.where(some.lengths > some.line_bases, some.line_ends, 1)  # of a single line it does not matter
        yield some.names, rows
