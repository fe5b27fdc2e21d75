"""Sequences that are equal, read from either strand: which of them are left out of an import."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eden_core.atomic import atomic_path
from eden_core.importing.source_files import SourceFile
from eden_core.importing.task import Counts, ImportOptions, pieces

_COMPLEMENT = bytes.maketrans(b"ACGTURYSWKMBDHVN", b"TGCAAYRSWMKVHDBN")
_PARTITION_BYTES = 1 << 28


@dataclass(frozen=True)
class DigestTask:
    """One file whose sequences get their digests.

    Attributes:
        source: the file.
        options: what becomes of its sequences.
        digests: where they go, uint64 [n, 2] in numpy's format.
        folder: where a relative path of the source begins.
    """

    source: SourceFile
    options: ImportOptions
    digests: str
    folder: str


def strandless_digest(bases: bytes) -> bytes:
    """Return 16 bytes that are equal for a sequence and its reverse complement, whatever the case (SHA-256 of the lesser)."""
    forward = bases.upper()
    return sha256(min(forward, forward.translate(_COMPLEMENT)[::-1])).digest()[:16]


def write_digests(task: DigestTask) -> None:
    """Write the digests of a file's sequences, in order; complete or not at all."""
    source = task.source.seen_from(task.folder)
    found = b"".join(strandless_digest(piece.bases) for piece in pieces(source, task.options, Counts()))
    with atomic_path(task.digests) as draft, draft.open("wb") as file:
        np.save(file, np.frombuffer(found, np.uint64).reshape(-1, 2))


def write_duplicates(digests: Sequence[Path], duplicates: Sequence[Path]) -> None:
    """Write for each file which of its sequences, by number, have an equal one before them, in this or an earlier file.

    Digests are gone through in partitions, so that memory stays bounded: some 2 GB at most, however many there are.

    Args:
        digests: files as `write_digests` writes them.
        duplicates: for each of them a file to write, int64 [n] in numpy's format.
    """
    sizes = [np.load(path, mmap_mode="r").shape[0] for path in digests]
    partitions = max(1, sum(sizes) * 16 // _PARTITION_BYTES)
    found: list[list[NDArray[np.int64]]] = [[] for _ in digests]
    for partition in range(partitions):
        for file, numbers in _repeats(digests, partition, partitions):
            found[file].append(numbers)
    for path, repeats in zip(duplicates, found, strict=True):
        with atomic_path(path) as draft, draft.open("wb") as sink:
            np.save(sink, np.sort(np.concatenate([np.empty(0, np.int64), *repeats])))


def _repeats(digests: Sequence[Path], partition: int, partitions: int) -> Iterable[tuple[int, NDArray[np.int64]]]:
    """Yield (file, numbers of its sequences that have an equal one before them), of digests that fall into a partition."""
    some, files, numbers = [], [], []
    for file, path in enumerate(digests):
        loaded = np.load(path, mmap_mode="r")
        chosen = np.flatnonzero(loaded[:, 0] % np.uint64(partitions) == partition)
        some.append(loaded[chosen])
        files.append(np.full(chosen.size, file, np.int32))
        numbers.append(chosen)
    words, of_file, number = np.concatenate(some), np.concatenate(files), np.concatenate(numbers)
    order = np.lexsort((words[:, 1], words[:, 0]))  # stable: of equal ones the first stays first
    repeats = order[1:][(words[order[1:]] == words[order[:-1]]).all(1)]
    for file in np.unique(of_file[repeats]).tolist():
        yield file, number[repeats[of_file[repeats] == file]]
