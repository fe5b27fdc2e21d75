"""Plain writers of FASTA and .2bit files, after the descriptions of the formats."""

import struct
from collections.abc import Mapping
from pathlib import Path


def _blocks(bases: bytes, is_inside) -> list[tuple[int, int]]:
    found, start = [], None
    for place, base in enumerate([*bases, None]):
        inside = base is not None and is_inside(base)
        if inside and start is None:
            start = place
        elif not inside and start is not None:
            found.append((start, place - start))
            start = None
    return found


def two_bit_record(bases: bytes, order: str) -> bytes:
    """One record, as the format's description says it."""
    tables = b""
    for is_inside in (lambda base: base in b"Nn", lambda base: chr(base).islower()):
        blocks = _blocks(bases, is_inside)
        numbers = [len(blocks), *(start for start, _ in blocks), *(size for _, size in blocks)]
        tables += struct.pack(f"{order}{len(numbers)}I", *numbers)
    packed = bytearray((len(bases) + 3) // 4)
    for place, base in enumerate(bases.upper()):
        packed[place // 4] |= max(b"TCAG".find(base), 0) << 6 - place % 4 * 2
    return struct.pack(f"{order}I", len(bases)) + tables + bytes(4) + packed


def write_two_bit(path: Path, sequences: Mapping[str, bytes], order: str = "<", version: int = 0) -> Path:
    """Write a .2bit file with a plain writer."""
    kind = "Q" if version else "I"
    names = [name.encode() for name in sequences]
    offset = 16 + sum(1 + len(name) + struct.calcsize(f"={kind}") for name in names)
    index, records = b"", b""
    for name, bases in zip(names, sequences.values(), strict=True):
        index += bytes([len(name)]) + name + struct.pack(f"{order}{kind}", offset + len(records))
        records += two_bit_record(bases, order)
    path.write_bytes(struct.pack(f"{order}4I", 0x1A412743, version, len(names), 0) + index + records)
    return path


def write_fasta(path: Path, sequences: Mapping[str, bytes], width: int = 70, end: bytes = b"\n") -> Path:
    """Write FASTA in lines of so many bases."""
    lines = [(b">" + name.encode(), *(b[i : i + width] for i in range(0, len(b), width))) for name, b in sequences.items()]
    path.write_bytes(b"".join(line + end for record in lines for line in record))
    return path
