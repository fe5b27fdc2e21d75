"""What many contigs come to: lengths, samples, tags and letters, counted in one pass and in bounded memory."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.contigs import BATCH_ROWS, COUNTED, SCHEMA, count_contigs
from eden_core.errors import InputError

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_PARTS_OF_ID = r"(?s)^(?P<tag>.*?)__(?P<group>.*?)(?:__.*)?$"


@dataclass(frozen=True)
class LengthBin:
    """Contigs of like length.

    Attributes:
        shortest, below: bases of the shortest contig that belongs here, and of the shortest that is too long.
        contigs, bases: how many there are.
    """

    shortest: int
    below: int
    contigs: int
    bases: int


@dataclass(frozen=True)
class LengthReport:
    """How long contigs are, in bases.

    Attributes:
        bases: of all.
        n50: half of the bases lie in contigs of this length or longer ones.
        quantiles: the lengths that `QUANTILES` of the contigs do not exceed, the shortest and the longest among them.
        histogram: classes of 1, 2, 5, 10 … bases, from the first that has contigs to the last.
    """

    bases: int
    n50: int
    quantiles: tuple[int, ...]
    histogram: tuple[LengthBin, ...]


@dataclass(frozen=True)
class SampleReport:
    """How many samples there are, and the one with most bases (most contigs where no length is known); "" is no sample."""

    count: int
    largest: str
    largest_contigs: int
    largest_bases: int


@dataclass(frozen=True)
class Composition:
    """Which letters bases are, as shares; `gc` is that of G and C among A, C, G and T, the others are of all bases."""

    gc: float
    n: float
    other: float
    lower: float


@dataclass(frozen=True)
class ContigReport:
    """What contigs come to.

    Attributes:
        contigs: how many.
        lengths: None where nothing knows them.
        samples: which samples they belong to.
        tags: contigs by tag, the most frequent first; "" where an id has none.
        composition: None where letters were not counted.
    """

    contigs: int
    lengths: LengthReport | None
    samples: SampleReport
    tags: dict[str, int]
    composition: Composition | None


class ContigCounter:
    """Counts batches of contigs; its memory grows with the number of samples and of different lengths, not of contigs."""

    def __init__(self) -> None:
        self.contigs = 0
        self.by_length: Counter[Any] = Counter()
        self.tags: Counter[str] = Counter()
        self._samples: dict[str, list[int]] = {}
        self._letters: Counter[str] | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Count contigs.

        Args:
            batch: contig_id (string) and length (int64, bases, or null); with `sample` and `tag` where a table names them, else
                they are taken from the ids; with the columns `COUNTED` where letters were counted.
        """
        self.contigs += batch.num_rows
        found = batch.column("length").value_counts()
        values, counts = found.field("values").to_pylist(), found.field("counts").to_pylist()
        self.by_length.update(dict(zip(values, counts, strict=True)))
        for tag, sample, contigs, bases in _grouped(batch):
            self.tags[tag] += contigs
            counted = self._samples.setdefault(sample, [0, 0])
            counted[0] += contigs
            counted[1] += bases
        if set(COUNTED) <= set(batch.schema.names):
            letters = {name: pc.sum(batch.column(name)).as_py() or 0 for name in COUNTED}
            self._letters = (self._letters or Counter()) + Counter(letters)

    def report(self) -> ContigReport:
        """Return what was counted."""
        known = self.contigs and None not in self.by_length
        lengths = length_report(self.by_length) if known else None
        return ContigReport(self.contigs, lengths, self._sample_report(), dict(self.tags.most_common()), self._composition())

    def _sample_report(self) -> SampleReport:
        largest = max(self._samples, key=lambda sample: self._samples[sample][::-1], default="")
        return SampleReport(len(self._samples), largest, *self._samples.get(largest, (0, 0)))

    def _composition(self) -> Composition | None:
        if self._letters is None:
            return None
        found = {name: self._letters[name] for name in COUNTED}
        called = max(1, sum(found[base] for base in "ACGT"))
        bases = max(1, sum(found.values()) - found["lower"])
        return Composition(
            (found["G"] + found["C"]) / called, found["N"] / bases, found["other"] / bases, found["lower"] / bases
        )


def count_table(path: str | Path) -> ContigReport:
    """Count a table of contigs, read once.

    Raises:
        InputError: it is no table of contigs, or is damaged.
    """
    counter = ContigCounter()
    for batch in _batches(path):
        counter.add(batch)
    return counter.report()


def tags_and_samples(ids: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return of each id its tag, and what lies between its first and second `__` ("" and "" where it has no `__`)."""
    parts = pc.extract_regex(ids.cast(pa.string()), _PARTS_OF_ID)
    tags, groups = (pc.fill_null(pc.struct_field(parts, name), "") for name in ("tag", "group"))
    return tags, groups


def sample_of_group(group: str) -> str:
    """Return the sample of an id whose second part is `group`, "" where that names none.

    >>> [sample_of_group(text) for text in ("ECT-SAMPLE1", "ECT-A-B", "ECT")]
    ['SAMPLE1', 'A.B', '']
    """
    return ".".join(group.split("-")[1:])


def length_report(by_length: Counter[int]) -> LengthReport:
    """Return what lengths come to, given how many contigs have each; there must be one."""
    lengths = np.array(sorted(by_length), np.int64)
    counts = np.array([by_length[length] for length in lengths.tolist()], np.int64)
    up_to, bases = np.cumsum(counts), np.cumsum(counts * lengths)
    n50 = lengths[np.searchsorted(bases, bases[-1] - bases[-1] // 2)]
    ranks = np.maximum(1, np.ceil(np.array(QUANTILES) * up_to[-1]))
    quantiles = tuple(lengths[np.searchsorted(up_to, ranks)].tolist())
    bounds = _class_bounds(int(lengths[-1]))
    places = np.searchsorted(bounds, lengths, side="right") - 1
    in_class, bases_in_class = (np.bincount(places, x, len(bounds)) for x in (counts, counts * lengths))
    histogram = tuple(
        LengthBin(bounds[i], bounds[i + 1], int(in_class[i]), int(bases_in_class[i]))
        for i in range(int(places[0]), int(places[-1]) + 1)
    )
    return LengthReport(int(bases[-1]), int(n50), quantiles, histogram)


def _class_bounds(longest: int) -> list[int]:
    bounds = [0]
    for power in count():
        for digit in (1, 2, 5):
            bounds.append(digit * 10**power)
            if bounds[-1] > longest:
                return bounds
    raise AssertionError("the powers of ten have no end")  # for the type checker


def _grouped(batch: pa.RecordBatch) -> Iterator[tuple[str, str, int, int]]:
    """Yield tag, sample, contigs and bases of a batch."""
    names = set(batch.schema.names)
    tags, groups = (None, None) if {"tag", "sample"} <= names else tags_and_samples(batch.column("contig_id"))
    tags = batch.column("tag") if "tag" in names else tags
    samples = batch.column("sample") if "sample" in names else groups
    table = pa.table({"tag": tags, "sample": samples, "length": batch.column("length")})
    grouped = table.group_by(["tag", "sample"], use_threads=False).aggregate([([], "count_all"), ("length", "sum")])
    for row in grouped.to_pylist():
        sample = row["sample"] or ""
        yield (
            row["tag"] or "",
            sample if "sample" in names else sample_of_group(sample),
            row["count_all"],
            row["length_sum"] or 0,
        )


def _batches(path: str | Path) -> Iterator[pa.RecordBatch]:
    count_contigs(path)  # checks columns and types
    try:
        file = pq.ParquetFile(path)
        schema = _wanted(file.schema_arrow)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=schema.names):
            yield pa.RecordBatch.from_arrays([batch.column(field.name).cast(field.type) for field in schema], schema=schema)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _wanted(found: pa.Schema) -> pa.Schema:
    """Return the columns to count by: text as strings, numbers as int64."""
    texts = [name for name in ("sample", "tag") if name in found.names and _is_text(found.field(name).type)]
    numbers = [name for name in COUNTED if name in found.names and pa.types.is_integer(found.field(name).type)]
    return pa.schema(
        [
            *((field.name, field.type) for field in SCHEMA),
            *((t, pa.string()) for t in texts),
            *((n, pa.int64()) for n in numbers),
        ]
    )


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
