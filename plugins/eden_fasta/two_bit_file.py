"""UCSC's .2bit files: two bits a base, and blocks that say where N stand and what is masked.

The format is that of https://genome.ucsc.edu/FAQ/FAQformat.html#format7: a header (signature, version, number of sequences,
0), an index of (bytes of the name, name, offset of the record), and the records: bases, N blocks (number, starts, sizes), mask
blocks (the same), 0, and the bases, four a byte, the first in the highest bits, T 0, C 1, A 2, G 3. Numbers are uint32, in
either byte order, but for the offsets of version 1, which are uint64.
"""

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import offsets_of
from eden_core.errors import FormatError
from eden_core.kernels import gather, overlay
from eden_fasta.catalogue import Catalogue
from eden_fasta.interval_blocks import BlockTables
from eden_fasta.sequence_file import Entries, Places, SequenceFile

SIGNATURE = 0x1A412743

_HEADER_BYTES = 16
_ENTRIES = 1 << 16
_PIECE = 1 << 22
_LOWER_BIT = 0x20


class TwoBitCatalogue(Catalogue):
    """The table of ids of .2bit files."""

    MAGIC: ClassVar[bytes] = b"EDEN2BT\x01"
    ROW: ClassVar[np.dtype[np.void]] = np.dtype(
        [
            ("digest", "<u8"),
            ("check", "<u8"),
            ("offset", "<u8"),
            ("length", "<u8"),
            ("n_blocks", "<u4"),
            ("mask_blocks", "<u4"),
            ("file", "<u4"),
            ("checksum", "<u2"),
        ],
        align=True,
    )
    """of a sequence: where its record lies in its file, bases, N blocks, mask blocks"""


class TwoBitFile(SequenceFile):
    """An open .2bit file.

    Args:
        path: where it lies.

    Raises:
        FormatError: it is no .2bit file, or of a version that is not known.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        try:
            self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> None:
        head = self._file.read(0, min(self._file.size, _HEADER_BYTES))
        self._order = next((order for order in "<>" if head[:4] == struct.pack(f"{order}I", SIGNATURE)), "")
        if len(head) < _HEADER_BYTES or not self._order:
            raise FormatError(
                f"{self.path} is no .2bit file: it begins with {head[:4]!r}; expected the signature 0x{SIGNATURE:X}"
            )
        version, self._count, reserved = struct.unpack_from(f"{self._order}3I", head, 4)
        if version > 1 or reserved:
            raise FormatError(f"{self.path} is a .2bit file of version {version}, or damaged; versions 0 and 1 are read")
        self._offset = struct.Struct(f"{self._order}{'Q' if version else 'I'}")
        self._numbers = np.dtype(f"{self._order}u4")

    def entries(self) -> Entries:
        """Yield all sequences that have bases, in the order of the index. All their blocks are looked at."""
        names: list[str] = []
        offsets: list[int] = []
        for name, offset in self._indexed():
            names.append(name)
            offsets.append(offset)
            if len(names) == _ENTRIES:
                yield self._with_bases(names, offsets)
                names, offsets = [], []
        if names:
            yield self._with_bases(names, offsets)

    def copy(self, rows: NDArray[Any], starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy stretches of sequences, N and lower case restored."""
        n_blocks, mask_blocks = rows["n_blocks"].astype(np.int64), rows["mask_blocks"].astype(np.int64)
        n_tables, mask_tables = _tables(rows)
        bases = mask_tables + 8 + 8 * mask_blocks
        firsts = starts // 4
        sizes = (starts + counts + 3) // 4 - firsts
        places = offsets_of(sizes)
        raw = np.empty(int(places[-1]) + int(places[-1]) % 2, np.uint8)
        self._file.copy(bases + firsts, sizes, raw, places[:-1])
        letters = _eight_letters().take(raw.view(np.uint16)).view(np.uint8)
        gather(letters, 4 * places[:-1] + starts % 4, counts, into, targets)
        self._overlay(n_tables + 4, n_blocks, starts, counts, into, targets, (0, ord("N")))
        self._overlay(mask_tables + 4, mask_blocks, starts, counts, into, targets, (0xFF, _LOWER_BIT))

    def check(self) -> Entries:
        """Look at all records, and read all of the file."""
        for first in range(0, self._file.size, _PIECE):
            self._file.read(first, min(_PIECE, self._file.size - first))
        for names, rows in self.entries():
            _, mask_tables = _tables(rows)
            behind = self._numbers_at(mask_tables + 4 + 8 * rows["mask_blocks"].astype(np.int64), 1)[:, 0]
            if behind.any():
                raise self._damage(f"the field behind the blocks of sequence {names[int(np.argmax(behind))]!r} is not 0")
            yield names, rows

    def _indexed(self) -> Iterator[tuple[str, int]]:
        """Yield names and offsets."""
        held, at, place = b"", _HEADER_BYTES, 0
        for _ in range(self._count):
            if len(held) - place < 256 + self._offset.size:
                held, place = held[place:], 0
                more = self._file.read(at, min(_PIECE, self._file.size - at))
                held, at = held + more, at + len(more)
            size = held[place] if place < len(held) else 0
            end = place + 1 + size
            if not size or end + self._offset.size > len(held):
                raise self._damage("its index of names is cut short, or holds an empty name")
            try:
                name = held[place + 1 : end].decode()
            except UnicodeDecodeError as error:
                raise self._damage(f"the name {held[place + 1 : end]!r} is no UTF-8 text") from error
            yield name, self._offset.unpack_from(held, end)[0]
            place = end + self._offset.size

    def _with_bases(self, names: list[str], offsets: list[int]) -> tuple[list[str], NDArray[Any]]:
        rows = self._rows(names, offsets)
        some = np.flatnonzero(rows["length"])
        names, rows = [names[i] for i in some.tolist()], rows[some]
        for what, table, blocks in zip(("N", "mask"), _tables(rows), ("n_blocks", "mask_blocks"), strict=True):
            self._check_blocks(what, names, table, rows[blocks].astype(np.int64), rows["length"].astype(np.int64))
        return names, rows

    def _check_blocks(self, what: str, names: list[str], tables: Places, blocks: Places, lengths: Places) -> None:
        some = np.flatnonzero(blocks)
        wrong = BlockTables(self._file, self._numbers, tables[some] + 4, blocks[some]).first_wrong(lengths[some])
        if wrong is not None:
            raise self._damage(f"{what} blocks of sequence {names[some[wrong]]!r} overlap, are in no order, or lie outside it")

    def _rows(self, names: list[str], offsets: list[int]) -> NDArray[Any]:
        rows = np.zeros(len(names), TwoBitCatalogue.ROW)
        rows["offset"] = offsets
        # Sums of what a damaged file says must not wrap around, and floats of 64 bits are exact below 2^53.
        begins = rows["offset"].astype(np.float64)
        self._check_ends(names, begins + 8)
        rows["length"], rows["n_blocks"] = self._numbers_at(rows["offset"].astype(np.int64), 2).T
        masks_at = begins + 8 + 8.0 * rows["n_blocks"]
        self._check_ends(names, masks_at + 4)
        rows["mask_blocks"] = self._numbers_at(masks_at.astype(np.int64), 1)[:, 0]
        bases_at = masks_at + 8 + 8.0 * rows["mask_blocks"]
        self._check_ends(names, bases_at + (rows["length"] + 3) // 4)
        return rows

    def _check_ends(self, names: list[str], ends: NDArray[np.float64]) -> None:
        if (wrong := ends > self._file.size).any():
            raise self._damage(f"sequence {names[int(np.argmax(wrong))]!r} does not end within the file")

    def _numbers_at(self, places: Places, count: int) -> NDArray[np.int64]:
        """Return so many numbers at each of some places, [n, count]."""
        raw = np.empty(places.size * count * 4, np.uint8)
        sizes = np.full(places.size, 4 * count)
        self._file.copy(places, sizes, raw, np.arange(places.size) * 4 * count)
        return raw.view(self._numbers).astype(np.int64).reshape(-1, count)

    def _overlay(
        self,
        tables: Places,
        blocks: Places,
        starts: Places,
        counts: Places,
        into: NDArray[np.uint8],
        targets: Places,
        bits: Any,
    ) -> None:
        some = np.flatnonzero(blocks)
        if some.size:
            found = BlockTables(self._file, self._numbers, tables[some], blocks[some]).overlaps(starts[some], counts[some])
            overlay(into, targets[some][found.windows] + found.firsts, found.counts, *bits)

    def _damage(self, how: str) -> FormatError:
        return FormatError(f"{self.path} is damaged: {how}; copy it again")


def _tables(rows: NDArray[Any]) -> tuple[Places, Places]:
    """Return where the numbers of N blocks and of mask blocks stand, which the blocks follow."""
    n_tables = rows["offset"].astype(np.int64) + 4
    return n_tables, n_tables + 4 + 8 * rows["n_blocks"].astype(np.int64)


@cache
def _eight_letters() -> NDArray[np.uint64]:
    """Return the letters that two bytes stand for."""
    numbers = np.arange(1 << 16, dtype="<u2").view(np.uint8).reshape(-1, 2, 1) >> np.array([6, 4, 2, 0], np.uint8) & 3
    letters: NDArray[np.uint64] = np.frombuffer(b"TCAG", np.uint8)[numbers].reshape(-1, 8).view(np.uint64).ravel()
    return letters
