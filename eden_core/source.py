"""One source of windows: from the numbers of windows to their transformed bases."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.errors import ConfigurationError, PluginContractError, StaleIndexError, UnreadBasesWarning
from eden_core.fingerprint import CONTENTS, SAMPLED
from eden_core.interfaces import SequenceStore, Transform, WindowIndex
from eden_core.layout import Layout
from eden_core.patience import Patience
from eden_core.read_threads import ReadThreads, slice_of

SAMPLED_WINDOWS = 16
"""windows of an index that fingerprints and checks look at"""

_INFINITY = np.float32(np.inf).view(np.uint32)
"""the bits of a 32-bit infinity (IEEE 754): those of NaN and of negative numbers are more, those of others less"""


@dataclass(frozen=True, eq=False)
class Source:
    """A store and an index, and the transforms of what they hold.

    Attributes:
        index, store, transforms: the plugins.
        layout: of the rows that windows go into.
        patience: what to do when reading fails.
        threads: what reads blocks of windows.
        count_once: whether bases that the window before has read already get no loss weight.
        name: what the source is called, where there are several.
    """

    index: WindowIndex
    store: SequenceStore
    transforms: Sequence[Transform]
    layout: Layout
    patience: Patience = field(default_factory=Patience)
    threads: ReadThreads = field(default_factory=ReadThreads)
    count_once: bool = False
    name: str = ""

    def read(self, picks: Picks, draws: Draws) -> tuple[SequenceBatch, NDArray[np.bool_] | None]:
        """Read windows and transform them.

        Returns:
            The batch, and which windows could not be read (bool [W]; None: all could).
        """
        windows = self.locate(picks)
        bases, unread = self._bases(windows)
        weights = self._weigh_once(windows, bases) if self.count_once else None
        batch = SequenceBatch(picks, windows, bases, Ragged.empty(len(windows), np.int64), weights)
        for transform in self.transforms:
            before, batch, who = batch, transform.apply(batch, draws), f"transform {transform.name!r}"
            self._check_arrays(batch, who)
            _check_numbers(batch, before, who)
        self._check_fit(batch, windows)
        return batch, unread

    def locate(self, picks: Picks) -> Windows:
        """Return where windows lie, with as many bases as fit into a row."""
        windows = self.fitting(self.patience.lookup(self.index, picks.window_ids))
        if picks.skips is not None:
            windows = replace(windows, starts=windows.starts + picks.skips, lengths=windows.lengths - picks.skips)
        if picks.limits is not None:
            windows = replace(windows, lengths=np.minimum(windows.lengths, picks.limits))
        return windows

    def fitting(self, windows: Windows) -> Windows:
        """Return windows with as many bases as fit into a row."""
        room = self.room(windows)
        if self.layout.vocabulary.table is None:
            return windows
        tiling = self.index.tiling
        if tiling.keep_tail and room.size and int(room.min()) < tiling.row_bases:
            raise ConfigurationError(
                f"special and tag tokens take {self.layout.seq_length - int(room.min())} of a row, and the index reserved "
                f"{tiling.reserve}: bases would be lost between windows. Build it again with eden-precompute --keep-tail "
                f"--reserve {self.layout.seq_length - int(room.min())}"
            )
        return replace(windows, lengths=np.minimum(windows.lengths, room))

    def measured(self, windows: Windows) -> Windows:
        """Return windows with as many bases as the store has of them, reading them a thousand at a time."""
        lengths = windows.lengths.copy()
        for first in range(0, len(windows), 1024):
            some = slice_of(windows, first, first + 1024)
            lengths[first : first + 1024] = self._bases(some)[0].lengths
        return replace(windows, lengths=lengths)

    def room(self, windows: Windows) -> NDArray[np.int64]:
        """Return how many tokens of bases fit into the windows' rows, int64 [W]."""
        prefixes = np.zeros(len(windows), np.int64)
        for transform in self.transforms:
            prefixes = prefixes + transform.prefix_lengths(windows)
        return self.layout.room(prefixes)

    def _weigh_once(self, windows: Windows, bases: Ragged[np.uint8]) -> Ragged[np.float32]:
        """Weigh each base of a sequence in the first of the windows that read it: 1 there, else 0."""
        before = self.fitting(self.patience.lookup(self.index, np.maximum(windows.window_ids - 1, 0)))
        same = np.array([a == b for a, b in zip(before.sequence_ids, windows.sequence_ids, strict=True)], bool)
        shared = np.where(same & (before.starts < windows.starts), before.starts + before.lengths - windows.starts, 0)
        within = np.arange(bases.values.size) - np.repeat(bases.offsets[:-1], bases.lengths)
        return Ragged((within >= np.repeat(shared, bases.lengths)).astype(np.float32), bases.offsets)

    def _bases(self, windows: Windows) -> tuple[Ragged[np.uint8], NDArray[np.bool_] | None]:
        bases, unread = self.patience.read(self.store, windows, self.threads)
        lengths = bases.lengths
        if len(bases) != len(windows) or (lengths > windows.lengths).any():
            raise PluginContractError(
                f"store {self.store.name!r} gave {len(bases)} rows of {lengths.tolist()[:4]}… bases for {len(windows)} windows "
                f"of at most {windows.lengths.tolist()[:4]}…; that is a bug in the store"
            )
        _check_ragged(bases, "bases", np.uint8, len(windows), f"store {self.store.name!r}")
        if lengths.size and int(lengths.min()) < 1:
            i = int(np.argmin(lengths))
            raise StaleIndexError(
                f"the index places a window at base {int(windows.starts[i])} of {windows.sequence_ids[i]!r}, where the store "
                "has no bases: it was built for other sequences; build it again with eden-precompute"
            )
        return bases, unread

    def _check_arrays(self, batch: SequenceBatch, who: str) -> None:
        windows = len(batch.windows)
        _check_ragged(batch.bases, "bases", np.uint8, windows, who)
        _check_ragged(batch.prefix, "prefix", np.int64, windows, who)
        if batch.weights is not None:
            _check_ragged(batch.weights, "loss weights", np.float32, windows, who)

    def _check_fit(self, batch: SequenceBatch, asked: Windows) -> None:
        room = self.layout.room(batch.prefix.lengths)
        limit = asked.lengths if self.layout.vocabulary.table is None else np.minimum(asked.lengths, room)
        names = ", ".join(transform.name for transform in self.transforms)
        if batch.weights is not None and not np.array_equal(batch.weights.offsets, batch.bases.offsets):
            raise PluginContractError(f"the transforms ({names}) gave loss weights that are not one a base")
        if (batch.bases.lengths > limit).any():
            raise PluginContractError(
                f"the transforms ({names}) made a row longer than it may be: a transform must not add bases, nor more prefix "
                "tokens than its prefix_lengths() said"
            )

    def sampled(self) -> Windows:
        """Return a few windows, spread evenly through the index."""
        count = min(len(self.index), SAMPLED_WINDOWS)
        return self.index.lookup(np.arange(count) * len(self.index) // count)

    def identity(self) -> dict[str, str]:
        """Return what decides the bases of windows, by name, with those of a few windows where they can be read."""
        bases, unread = self.patience.read(self.store, self.fitting(self.sampled()))
        known = {
            "store": self.store.fingerprint(),
            "index": self.index.fingerprint(),
            "transforms": ", ".join(transform.fingerprint() for transform in self.transforms),
        }
        digests = (self.index.contigs_digest, self.index.bases_digest)
        if None not in digests:
            known[CONTENTS] = f"{digests[0]:014x} {digests[1]:014x} {self.index.tiling}"
        if unread is not None and unread.any():
            return known
        return known | {SAMPLED: hashlib.blake2b(bases.values.tobytes(), digest_size=8).hexdigest()}

    def close(self) -> None:
        """Close the files that this process has open, and end its threads."""
        self.threads.close()
        self.store.close()
        self.index.close()

    def warn_of_gaps(self) -> None:
        """Warn when the tokens before the bases leave rows too short to reach the next window."""
        if self.layout.vocabulary.table is None:
            return
        tiling, read = self.index.tiling, int(self.room(self.sampled()).min())
        if read < min(tiling.stride, tiling.row_bases):
            taken = self.layout.seq_length - read
            warnings.warn(
                f"rows read {read} bases, since special and tag tokens take {taken}, and windows start every {tiling.stride}: "
                f"the bases between are never seen. Build the index with --stride {read} or less, or with --keep-tail "
                f"--reserve {taken}",
                UnreadBasesWarning,
                stacklevel=4,
            )

    def place_of(self, windows: Windows, i: int, byte: int) -> str:
        """Say where in its sequence a byte of a window stands, which a flipped row alone does not tell."""
        places = np.flatnonzero(self.store.read(slice_of(windows, i, i + 1)).values == byte)
        return f"position {int(windows.starts[i] + places[0]) + 1}" if places.size else "a place that a transform changed"


def _check_numbers(batch: SequenceBatch, before: SequenceBatch, who: str) -> None:
    """Look at the prefixes and loss weights that a transform changed: a wrong number would train silently."""
    tokens = batch.prefix.values
    if batch.prefix is not before.prefix and tokens.size and tokens.min() < 0:
        raise PluginContractError(f"{who} put the token {tokens.min()} in front of bases; expected token ids, 0 or more")
    if batch.weights is None or batch.weights is before.weights or not batch.weights.values.size:
        return
    weights = batch.weights.values
    if weights.view(np.uint32).max() < _INFINITY:  # read as integers, one pass is enough
        return
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if wrong.size:
        raise PluginContractError(f"{who} gave the loss weight {wrong[0]}; expected finite numbers, 0 or more")


def _check_ragged(array: Ragged[Any], what: str, kind: type[np.generic], rows: int, who: str) -> None:
    """Compiled loops trust the offsets, so that they are looked at once here."""
    values, offsets = array.values, array.offsets
    contiguous = values.flags.c_contiguous and offsets.flags.c_contiguous
    if values.dtype != kind or offsets.dtype != np.int64 or offsets.shape != (rows + 1,) or not contiguous:
        raise PluginContractError(
            f"{who} gave {what} of {values.dtype} with {offsets.dtype} offsets of shape {offsets.shape}; expected "
            f"{np.dtype(kind)}, and int64 offsets of shape ({rows + 1},), both contiguous"
        )
    if offsets[0] != 0 or offsets[-1] > values.size or (offsets[1:] < offsets[:-1]).any():
        raise PluginContractError(
            f"{who} gave {what} with offsets from {offsets[0]} to {offsets[-1]} over {values.size} values; expected them to "
            "ascend from 0 to their number"
        )
