"""The tasks of a conversion between stores: a sample is written into the other store, and later read back."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import repeat, zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from eden_core.atomic import atomic_path
from eden_core.contigs import digest_of_bases
from eden_core.converting.sequences import bases_of, contigs_of
from eden_core.converting.table_rows import TableRows
from eden_core.digests import ContigDigests
from eden_core.errors import FormatError, InputError, NotSupportedError
from eden_core.interfaces import SequenceStore
from eden_core.sorting import rebatched
from eden_core.store_at import StoreAt

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class SampleTask:
    """A sample to convert.

    Attributes:
        sample: its id.
        source, target: the stores.
        work: folder of the receipts.
        rows: what the table of contigs says of it; None: there is no such table.
    """

    sample: str
    source: StoreAt
    target: StoreAt
    work: str
    rows: TableRows | None = None


@dataclass(frozen=True)
class Receipt:
    """Says that a sample was written, and what it was read from.

    Attributes:
        sample: its id.
        stamp: of the shard it was read from, see `stamp_of`.
        location: where the store put its shard.
        contigs, bases: how many there are.
    """

    sample: str
    stamp: str
    location: str
    contigs: int
    bases: int

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """Read one.

        Raises:
            InputError: it is damaged.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} cannot be read: {error}; remove it, and its sample is converted again") from error


@dataclass(frozen=True)
class Places:
    """Where what is noted of a sample lies.

    Args:
        work: folder of the receipts.
        sample: the sample's id.
    """

    work: str | Path
    sample: str

    @property
    def receipt(self) -> Path:
        """Says that the shard was written."""
        return self._file(".json")

    @property
    def digests(self) -> Path:
        """The digests of its contigs, 16 bytes each, in byte order of the ids."""
        return self._file(".digests")

    @property
    def checked(self) -> Path:
        """Says that the shard was read back."""
        return self._file(".checked")

    def forget(self) -> None:
        """Remove what is noted, so that the sample is converted again."""
        for path in (self.checked, self.receipt, self.digests):
            path.unlink(missing_ok=True)

    def _file(self, suffix: str) -> Path:
        return Path(self.work) / (sha256(os.fsencode(self.sample)).hexdigest()[:32] + suffix)


def stamp_of(store: SequenceStore, sample: str) -> str:
    """Return what changes when the shard of a sample does: its size and time of change.

    Where the store does not tell these, it is a digest of the contigs' ids and lengths.

    Raises:
        FormatError: the shard may not be read as it is.
    """
    try:
        state = store.shard_state(sample)
    except NotSupportedError:
        digests = ContigDigests()
        for batch in contigs_of(store, sample):
            digests.add(batch)
        return f"{digests.contigs:014x}"
    if state.unsafe is not None:
        raise FormatError(state.unsafe)
    changed = 0
    with suppress(OSError):  # a store need not lie in files
        changed = Path(state.location).stat().st_mtime_ns
    return f"{state.bytes} bytes, {changed}"


def write_sample(task: SampleTask) -> Receipt:
    """Write a sample's shard; its receipt comes last. May run twice, also at a time.

    Raises:
        InputError: it has not the contigs or bases of the table, or changed while it was read.
        EdenError, OSError: as the stores raise them.
    """
    places = Places(task.work, task.sample)
    places.checked.unlink(missing_ok=True)
    with task.source.opened() as source, task.target.opened() as target:
        stamp = stamp_of(source, task.sample)
        with atomic_path(places.digests) as draft, draft.open("wb") as digests:
            summary = target.write_shard(task.sample, _noted(task, source, digests.write))
        if stamp_of(source, task.sample) != stamp:
            raise InputError(f"the shard of sample {task.sample!r} in {source.location} changed while it was read")
    receipt = Receipt(task.sample, stamp, summary.location, summary.sequences, summary.bases)
    with atomic_path(places.receipt) as draft:
        draft.write_text(json.dumps(asdict(receipt)))
    return receipt


def _noted(task: SampleTask, source: SequenceStore, note: Callable[[bytes], object]) -> Iterator[tuple[str, bytes]]:
    """Yield the sequences of a sample, and note their digests."""
    rows = None if task.rows is None else task.rows.of_sample(task.sample)
    for batch in contigs_of(source, task.sample):
        expected = repeat(None) if rows is None else rows.digests(batch)
        names = zip(batch.column("contig_id").to_pylist(), expected, strict=False)
        for bases in bases_of(source, batch):
            (contig_id, wanted), digest = next(names), digest_of_bases(bases)
            if wanted not in {None, digest}:
                raise InputError(
                    f"the bases of contig {contig_id!r} in {source.location} have the digest {digest}, and the table of "
                    f"contigs says {wanted}: they changed since it was imported; mend them first, eden verify says how"
                )
            note(bytes.fromhex(digest))
            yield contig_id, bases
            del bases  # before the next one is read: it may be a chromosome
    if rows is not None:
        rows.finish()


def check_sample(task: SampleTask) -> None:
    """Read a sample back from the store it was written to, and compare the digest of each contig. May run twice.

    Raises:
        FormatError: it is not what was written; the same conversion again then writes it anew.
    """
    places = Places(task.work, task.sample)
    with task.source.opened() as source, task.target.opened() as target:
        try:
            with places.digests.open("rb") as digests:
                _compare(_listed(source, task.sample), _listed(target, task.sample), target, digests.read)
        except FormatError as error:
            places.forget()
            raise FormatError(
                f"sample {task.sample!r} cannot be read from {target.location} as it was written: {error}"
            ) from error
    places.checked.touch()


def _listed(store: SequenceStore, sample: str) -> Iterable[pa.RecordBatch]:
    return rebatched(contigs_of(store, sample))


def _compare(
    wanted: Iterable[pa.RecordBatch], found: Iterable[pa.RecordBatch], target: SequenceStore, read: Callable[[int], bytes]
) -> None:
    for expected, listed in zip_longest(wanted, found):
        if expected is None or listed is None or not expected.equals(listed):
            raise FormatError(_difference(expected, listed))
        digests = map(digest_of_bases, bases_of(target, listed))
        for i, digest in enumerate(digests):
            if bytes.fromhex(digest) != read(_DIGEST_BYTES):
                contig_id = listed.column("contig_id")[i].as_py()
                raise FormatError(f"the bases of contig {contig_id!r} are others; their digest is {digest}")


def _difference(expected: pa.RecordBatch | None, listed: pa.RecordBatch | None) -> str:
    ids = [set() if batch is None else set(batch.column("contig_id").to_pylist()) for batch in (expected, listed)]
    for what, some in (("lacks", ids[0] - ids[1]), ("has", ids[1] - ids[0])):
        if some:
            return f"it {what} contig {min(some)!r}"
    if expected is None or listed is None:
        return "it lists contigs twice"
    other = pc.not_equal(expected.column("length"), listed.column("length"))
    if not pc.any(other).as_py():
        return "its contigs are not in byte order of their ids"
    i = pc.index(other, value=True).as_py()
    contig_id, was, now = expected.column("contig_id")[i], expected.column("length")[i], listed.column("length")[i]
    return f"contig {contig_id.as_py()!r} has {now.as_py():,} bases, and had {was.as_py():,}"
