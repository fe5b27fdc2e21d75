"""Clusters of contigs, as MMseqs2 and others write them: tables of (representative, member)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from eden_core.errors import InputError
from eden_core.splitting.contig_names import original_ids
from eden_core.splitting.text_hashes import hash_texts


@dataclass(frozen=True)
class ClusterCounts:
    """How the members of clusters and the contigs of a table fit."""

    contigs_in_clusters: int
    contigs_alone: int
    """named by no cluster: each is a cluster of its own"""
    unknown_members: int
    """names that are no contigs of the table"""


class Clusters:
    """Which names belong together. About 60 bytes a row of the file in memory while it is read, 16 a name afterwards.

    Each row ties its two names together, so a member of two clusters joins them: no contig of one may then be held out
    while contigs of the other are trained on. Names are known by 64-bit hashes.

    Args:
        path: table of (representative, member), separated by tabs, without a header; further columns are ignored.

    Raises:
        InputError: there is no such file, or a row has not two columns.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        ends = _read(path)
        self._names, numbers = np.unique(ends, return_inverse=True)
        half = len(ends) // 2
        self._clusters = _components(len(self._names), numbers[:half], numbers[half:])
        self._contigs = np.zeros(len(self._names), np.int32)
        self._in = self._alone = 0

    def units(self, ids: pa.Array) -> NDArray[np.uint64]:
        """Return for each contig a hash that all contigs of its cluster share, uint64 [N]."""
        hashes = hash_texts(ids)
        places = self._places(hashes)
        for originals in original_ids(ids):
            missing = np.flatnonzero(places < 0)
            places[missing] = self._places(hash_texts(originals.take(pa.array(missing))), originals.is_valid().take(missing))
        found = places >= 0
        np.add.at(self._contigs, places[found], 1)
        self._in += int(found.sum())
        self._alone += int((~found).sum())
        hashes[found] = self._names[self._clusters[places[found]]]
        return hashes

    def counts(self) -> ClusterCounts:
        """Return how many names fitted so far.

        Raises:
            InputError: none did.
        """
        unknown = int((self._contigs == 0).sum())
        if not self._in:
            raise InputError(
                f"{self.path}: none of its {unknown} names is a contig of the table, nor what follows the last '__' of one; "
                "expected rows of representative and member, separated by a tab"
            )
        return ClusterCounts(self._in, self._alone, unknown)

    def ambiguous(self, ids: pa.Array) -> str | None:
        """Return an id, if there is one, whose name in the file fits several contigs, once `units` has seen all of them."""
        for names in (ids, *original_ids(ids)):
            places = self._places(hash_texts(names), names.is_valid())
            several = np.flatnonzero((places >= 0) & (self._contigs[places] > 1))
            if several.size:
                return str(ids[int(several[0])].as_py())
        return None

    @property
    def may_be_ambiguous(self) -> bool:
        """Whether a name has fitted several contigs."""
        return bool((self._contigs > 1).any())

    def _places(self, hashes: NDArray[np.uint64], valid: pa.Array | None = None) -> NDArray[np.int64]:
        """Return the number of each name, or -1."""
        places = np.minimum(np.searchsorted(self._names, hashes), len(self._names) - 1)
        found = self._names[places] == hashes
        if valid is not None:
            found &= valid.to_numpy(zero_copy_only=False)
        return np.where(found, places, -1)


def refuse_missing(path: str | Path) -> None:
    """Raise `InputError` where there is no such file."""
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; expected rows of representative and member, separated by a tab")


def _read(path: str | Path) -> NDArray[np.uint64]:
    """Return the hashes of all representatives, and behind them those of all members."""
    refuse_missing(path)
    sides: tuple[list[NDArray[np.uint64]], ...] = ([], [])
    try:
        with pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(autogenerate_column_names=True),
            parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pa_csv.ConvertOptions(column_types={"f0": pa.string(), "f1": pa.string()}),
        ) as reader:
            for batch in reader:
                for side, column in zip(sides, ("f0", "f1"), strict=True):
                    side.append(hash_texts(batch.column(column)))
    except (pa.ArrowException, KeyError) as error:
        raise InputError(
            f"{path} is no table of clusters: {error}; expected rows of representative and member, separated by a tab"
        ) from error
    return np.concatenate([*sides[0], *sides[1]])


def _components(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each of `count` nodes the smallest node that edges lead to from it."""
    labels = np.arange(count)
    while True:
        lowest = np.minimum(labels[one], labels[other])
        before = labels.copy()
        for ends in (one, other):
            np.minimum.at(labels, labels[ends], lowest)
            np.minimum.at(labels, ends, lowest)
        labels = labels[labels]
        if np.array_equal(labels, before):
            return labels
