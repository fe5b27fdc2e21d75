"""Where the buffers of a record batch lie in an Arrow file: absolute offsets, read from the batch's own metadata.

The layout is that of https://arrow.apache.org/docs/format/Columnar.html (encapsulated messages) and of FlatBuffers tables.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from eden_core.errors import FormatError

_CONTINUATION = 0xFFFFFFFF
_RECORD_BATCH = 3
_PREFIX_BYTES = 8

ReadAt = Callable[[int, int], bytes | memoryview]
"""called with (offset in the file, bytes), gives so many bytes"""


@dataclass(frozen=True)
class BatchPlaces:
    """One record batch of a file.

    Attributes:
        rows: rows of the batch.
        buffers: (offset in the file, bytes) of each buffer, in the order of the format.
        end: where the message ends, and the next one begins.
    """

    rows: int
    buffers: tuple[tuple[int, int], ...]
    end: int

    @classmethod
    def at(cls, offset: int, read: ReadAt) -> "BatchPlaces":
        """Read the metadata of the message at an offset.

        Raises:
            FormatError: there is no record batch there.
        """
        try:
            mark, size = struct.unpack("<II", read(offset, _PREFIX_BYTES))
            if mark != _CONTINUATION or size % 8:
                raise ValueError("no message of the Arrow format begins there")  # noqa: TRY301 - of one kind with those of struct
            return cls._of(bytes(read(offset + _PREFIX_BYTES, size)), offset + _PREFIX_BYTES + size)
        except (struct.error, ValueError) as error:
            raise FormatError(f"there is no record batch at byte {offset}: {error}") from error

    @classmethod
    def _of(cls, metadata: bytes, body: int) -> "BatchPlaces":
        message = _Table.root(metadata)
        if message.number("<B", 1) != _RECORD_BATCH:
            raise ValueError("the message there is another one")
        batch = message.table(2)
        first, count = batch.vector(2)
        found = struct.iter_unpack("<qq", metadata[first : first + 16 * count])
        buffers = tuple((body + offset, length) for offset, length in found)
        return cls(batch.number("<q", 0), buffers, body + message.number("<q", 3))


@dataclass(frozen=True)
class _Table:
    """A FlatBuffers table."""

    data: bytes
    place: int

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, struct.unpack_from("<I", data)[0])

    def field(self, number: int) -> int | None:
        """Return where a field lies; None: it has its default."""
        names = self.place - struct.unpack_from("<i", self.data, self.place)[0]
        slot = 4 + 2 * number
        if slot >= struct.unpack_from("<H", self.data, names)[0]:
            return None
        offset = struct.unpack_from("<H", self.data, names + slot)[0]
        return self.place + int(offset) if offset else None

    def number(self, kind: str, field: int) -> int:
        place = self.field(field)
        return 0 if place is None else int(struct.unpack_from(kind, self.data, place)[0])

    def table(self, field: int) -> "_Table":
        return _Table(self.data, self._pointed(field))

    def vector(self, field: int) -> tuple[int, int]:
        """Return where the items of a vector begin, and how many there are."""
        place = self._pointed(field)
        return place + 4, struct.unpack_from("<I", self.data, place)[0]

    def _pointed(self, field: int) -> int:
        place = self.field(field)
        if place is None:
            raise ValueError(f"its field {field} is missing")
        return place + int(struct.unpack_from("<I", self.data, place)[0])
