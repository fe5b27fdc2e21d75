"""One sequence of a source file, and what every kind of source must hold to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from eden_core.errors import InputError
from eden_core.vocabulary import IUPAC

LETTERS = (IUPAC + IUPAC.lower()).encode()
"""IUPAC nucleotide letters, both cases"""

_NO_LETTER = re.compile(b"[^" + LETTERS + b"]")
_NO_TEXT = re.compile(rb"[\x00\r\n\x80-\xff]")
_PROTEIN_ONLY = frozenset(b"EFILPQ")
_PROTEIN = b"ABCDEFGHIKLMNPQRSTUVWXYZabcdefghiklmnpqrstuvwxyz*-\r\n"
_ADVICE = "; import with --other-letters skip leaves such sequences out, with keep it takes them as they are"
_SHOWN = 60


class Record(NamedTuple):
    """One sequence of a source file."""

    id: str | None
    """None: the row has no id, or an empty one"""
    bases: bytes
    """ASCII letters as they stand in the file, case kept, without line ends"""
    place: int
    """line (FASTA: the header's) or row, counted from 1"""


@dataclass(frozen=True)
class RecordFields:
    """Where the records of JSON Lines and tables keep what is read; as OpenGenome2's do unless said otherwise."""

    sequence: str = "text"
    """the field or column with the bases"""
    id: str = "record"
    """that with the id"""

    def missing(self, where: str, found: Iterable[str], kind: str) -> InputError:
        """Return the error for a place that lacks the sequence, where the fields or columns `found` are."""
        return InputError(
            f"{where}: no {kind} {self.sequence!r}; found {', '.join(map(repr, found)) or 'none'}. "
            "Name the one with the bases with --sequence-field NAME"
        )


OPENGENOME2 = RecordFields()
"""the fields of OpenGenome2's files"""


def checked_id(record_id: str, where: str) -> str | None:
    """Return an id, or None for an empty one.

    Raises:
        InputError: the id is not printable.
    """
    if not record_id.isprintable() or "\N{REPLACEMENT CHARACTER}" in record_id:
        raise InputError(f"{where}: the id {record_id!r} holds something other than printable UTF-8 text")
    return record_id or None


def checked_bases(bases: bytes, record_id: str | None, where: str, *, check_letters: bool) -> bytes:
    """Return the bases of a whole sequence, having looked at each.

    Raises:
        InputError: there are none; one is NUL, a line end or no ASCII; or, with `check_letters`, no IUPAC nucleotide letter.
    """
    if not bases:
        raise InputError(f"{where}: {_name(record_id)} is empty; remove it or add its bases")
    if are_letters(bases, check_letters=check_letters):
        return bases
    found = (_NO_LETTER if check_letters else _NO_TEXT).search(bases)
    assert found is not None  # noqa: S101 - the look above found it
    start = found.start()
    raise letter_error(f"{where}, position {start + 1}", bases[start], record_id, bases[start : start + _SHOWN])


def are_letters(bases: bytes, *, check_letters: bool) -> bool:
    """Return whether every byte may stand in a sequence: any ASCII but NUL and line ends, unless letters are checked."""
    if check_letters:
        return not bases.translate(None, LETTERS)
    return bases.isascii() and not any(byte in bases for byte in b"\0\r\n")


def letter_error(where: str, letter: int, record_id: str | None, around: bytes) -> InputError:
    """Return the error for a byte that no sequence may hold, with some of the letters that stand around it."""
    shown = repr(chr(letter)) if letter < 0x80 else f"the byte 0x{letter:02X}"
    protein = len(_PROTEIN_ONLY.intersection(around.upper())) > 1 and not around.translate(None, _PROTEIN)
    return InputError(
        f"{where}: {shown} in {_name(record_id)} is no IUPAC nucleotide letter ({IUPAC}, either case)"
        + ("; it looks like protein" if protein else _ADVICE if 0x20 < letter < 0x7F else "")
    )


def _name(record_id: str | None) -> str:
    return "the sequence" if record_id is None else f"sequence {record_id!r}"
