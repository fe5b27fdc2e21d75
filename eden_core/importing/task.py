"""One file becomes one shard, and a part of the tables that list the contigs of all shards."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eden_core.atomic import atomic_path
from eden_core.errors import ConfigurationError, InputError, RepeatedIdError
from eden_core.importing.catalogue import PartWriter, Piece, repeated
from eden_core.importing.composition import has_foreign
from eden_core.importing.source_files import SourceFile
from eden_core.plugins import installed_plugins
from eden_core.records import RecordFields, place_name, read_records
from eden_core.runs import n_runs
from eden_core.sequence_ids import compose_sequence_id, is_sequence_id_of

OTHER_LETTERS = ("error", "skip", "keep")


@dataclass(frozen=True)
class ImportOptions:
    """What becomes of the sequences of a file on their way into a store.

    Args:
        min_length: leave shorter sequences out, bases.
        split_at_n: cut sequences at stretches of N this long or longer, which are left out.
        cut_every: cut what is longer into pieces of so many bases.
        other_letters: of sequences with letters that are no IUPAC nucleotide letters: "error", "skip" them, or "keep" them as
            they are.
        dedup: keep one of the sequences that are equal, read from either strand, whatever their case.
        fields: of JSON objects and tables.

    Raises:
        ConfigurationError: a number is out of its range.
    """

    min_length: int = 0
    split_at_n: int | None = None
    cut_every: int | None = None
    other_letters: str = "error"
    dedup: bool = False
    fields: RecordFields = field(default_factory=RecordFields)

    def __post_init__(self) -> None:
        if self.min_length < 0:
            raise ConfigurationError(f"--min-length {self.min_length} is negative")
        if self.split_at_n is not None and self.split_at_n < 1:
            raise ConfigurationError(f"--split-at-n {self.split_at_n} is no length of a stretch of N; give 1 base or more")
        if self.cut_every is not None and self.cut_every < 1:
            raise ConfigurationError(f"--cut-every {self.cut_every} cuts nothing; give 1 base or more")
        if self.other_letters not in OTHER_LETTERS:
            raise ConfigurationError(f"--other-letters {self.other_letters!r}: expected one of {', '.join(OTHER_LETTERS)}")


@dataclass
class Counts:
    """What an import met and left out. `*bases` are bases, all others sequences or pieces of them."""

    records: int = 0
    contigs: int = 0
    bases: int = 0
    without_id: int = 0
    other_letters: int = 0
    short: int = 0
    short_bases: int = 0
    n_bases: int = 0
    """bases of stretches of N at which sequences were cut"""
    duplicates: int = 0
    duplicate_bases: int = 0

    def add(self, other: "Counts") -> None:
        """Add what another file gave."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class ImportTask:
    """One file to import.

    Attributes:
        source: the file.
        out: the store's directory.
        store: name of a store plugin.
        options: what becomes of its sequences.
        part: where the part of the tables goes; the receipt goes beside it.
        duplicates: file of the numbers of the pieces that are left out as duplicates.
        folder: where a relative path of the source begins.
        store_options: options of the store plugin.
    """

    source: SourceFile
    out: str
    store: str
    options: ImportOptions
    part: str
    duplicates: str | None = None
    folder: str = ""
    store_options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Receipt:
    """Says that a shard and its part of the tables are complete, and what they were made from."""

    source: SourceFile
    stamp: tuple[int, int]
    """of the source, see `SourceFile.stamp`"""
    location: str
    """where the store put the shard, or puts it in the end, from its directory on"""
    counts: Counts

    @staticmethod
    def place(part: str | Path) -> Path:
        """Return where the receipt of a part lies."""
        return Path(part).with_suffix(".json")

    def write(self, path: Path) -> None:
        """Write it, complete or not at all."""
        with atomic_path(path) as draft:
            draft.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """Read one.

        Raises:
            InputError: it is damaged.
        """
        try:
            found: dict[str, Any] = json.loads(path.read_text())
            size, time = found["stamp"]
            return cls(SourceFile(**found["source"]), (size, time), found["location"], Counts(**found["counts"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} cannot be read: {error}; remove it, and its file is imported again") from error


Progress = Callable[[int, int], object]
"""called with (bytes taken from the file, bases given to the store) since it was called last"""


def import_file(task: ImportTask, progress: Progress | None = None) -> Receipt:
    """Write a file's sequences into the store as one shard, and the part of the tables beside it.

    Shard, part and receipt are complete or absent, and come in this order: where there is a receipt, nothing is missing. May
    run twice, also at a time.

    Raises:
        InputError: the file cannot be used; the message names it, and the line or row.
    """
    try:
        return _imported(task, progress)
    except RepeatedIdError as error:
        source = task.source.seen_from(task.folder)
        repeat = _first_repeat(source, task.options) if Path(source.path).is_file() else None
        raise InputError(repeat or f"{source.path}: {error}") from error


def _imported(task: ImportTask, progress: Progress | None) -> Receipt:
    source, found = task.source, Counts()
    here = source.seen_from(task.folder)
    stamp = here.stamp
    with (
        installed_plugins().store(task.store, task.out, task.store_options) as store,
        atomic_path(task.part) as draft,
    ):
        part = PartWriter(draft, source)
        read = None if progress is None else lambda count: progress(count, 0)
        kept = _not_duplicate(pieces(here, task.options, found, read), task.duplicates, found)
        summary = store.write_shard(source.sample, _told(part.noted(kept), progress))
        found.contigs, found.bases = summary.sequences, summary.bases
    receipt = Receipt(source, stamp, str(Path(summary.location).relative_to(task.out)), found)
    receipt.write(Receipt.place(task.part))
    return receipt


def _first_repeat(source: SourceFile, options: ImportOptions) -> str | None:
    """Say where the first id that repeats does so."""
    places: dict[str, int] = {}
    for piece in pieces(source, options, Counts()):
        first = places.setdefault(piece.id, piece.record.place)
        if first != piece.record.place:
            return repeated(source, piece.id, first, piece.record.place)
    return None


def _told(sequences: Iterator[tuple[str, bytes]], progress: Progress | None) -> Iterator[tuple[str, bytes]]:
    for sequence_id, bases in sequences:
        yield sequence_id, bases
        if progress is not None:
            progress(0, len(bases))


def pieces(
    source: SourceFile, options: ImportOptions, found: Counts, progress: Callable[[int], object] | None = None
) -> Iterator[Piece]:
    """Yield what becomes contigs of the store, in the order of the file, and count what is left out."""
    strict = options.other_letters == "error"
    prefix, place = compose_sequence_id(source.tag, source.sample, ""), place_name(source.path)
    for record in read_records(source.path, fields=options.fields, check_letters=strict, progress=progress):
        found.records += 1
        if not strict and has_foreign(record.bases):
            found.other_letters += 1
            if options.other_letters == "skip":
                continue
        found.without_id += record.id is None
        name = f"{place}-{record.place}" if record.id is None else record.id
        sequence_id = name if "__" in name and is_sequence_id_of(name, source.sample) else prefix + name
        for start, stop in _spans(record.bases, options, found):
            if stop - start < options.min_length:
                found.short += 1
                found.short_bases += stop - start
            elif stop - start == len(record.bases):
                yield Piece(sequence_id, record.bases, record)
            else:
                yield Piece(f"{sequence_id}:{start + 1}-{stop}", record.bases[start:stop], record)


def _spans(bases: bytes, options: ImportOptions, found: Counts) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the stretches that a sequence is cut into."""
    for start, stop in _between_gaps(bases, options.split_at_n, found):
        step = options.cut_every or stop - start
        for first in range(start, stop, step):
            yield first, min(first + step, stop)


def _between_gaps(bases: bytes, run: int | None, found: Counts) -> Iterator[tuple[int, int]]:
    gaps = n_runs(bases) if run else None
    if run is None or gaps is None:
        yield 0, len(bases)
        return
    long = gaps[1] - gaps[0] >= run
    starts, ends = gaps[0][long], gaps[1][long]
    found.n_bases += int((ends - starts).sum())
    for start, stop in zip([0, *ends.tolist()], [*starts.tolist(), len(bases)], strict=True):
        if start < stop:
            yield start, stop


def _not_duplicate(all_pieces: Iterable[Piece], duplicates: str | None, found: Counts) -> Iterator[Piece]:
    dropped = set() if duplicates is None else set(np.load(duplicates).tolist())
    for number, piece in enumerate(all_pieces):
        if number in dropped:
            found.duplicates += 1
            found.duplicate_bases += len(piece.bases)
        else:
            yield piece
