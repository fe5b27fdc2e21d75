"""Packing: which windows share a row, so that few tokens are padding."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks, numbers_of_ranges, offsets_of
from eden_core.mixing import digest_of, key_of, mix
from eden_core.order import OVERRUN, Order, WindowArrays, checked_rows, digest_of_sample
from eden_core.permutation import permute


def class_lengths(lengths: NDArray[np.int64], capacity: int, multiple: int = 1) -> NDArray[np.int64]:
    """Return the tokens that are reserved for windows of these lengths, int64 [n].

    Windows of one class are interchangeable in a plan, so classes are few: a length is rounded up to `multiple`, and a long one
    further, to ten significant bits of multiples, which is at most a 512th part of it. None is rounded up beyond the capacity.

    Args:
        lengths: tokens, each from 1 to `capacity`.
        capacity: tokens of a row, divisible by `multiple`.
        multiple: what the space of a window must be divisible by.

    >>> class_lengths(np.array([1, 1000, 1025, 8191]), 8192).tolist()
    [1, 1000, 1026, 8192]
    """
    units = -(-np.asarray(lengths, np.int64) // multiple)
    steps = np.int64(1) << np.maximum(np.frexp(units - 0.5)[1] - 10, 0)
    return np.asarray(np.minimum(-(-units // steps) * steps * multiple, capacity), np.int64)


@dataclass(frozen=True, eq=False)
class PackingPlan:
    """How windows fill rows: groups of rows that are alike, each window in exactly one row.

    An entry says that each row of a group holds `multiples` windows of a class; in the group's j-th row they are the windows of
    that class from number `firsts` + j * `multiples` on.

    Attributes:
        first_rows: int64 [groups + 1], the first row of each group.
        first_entries: int64 [groups + 1], the first entry of each group.
        classes, firsts, multiples: int64 [entries].
    """

    first_rows: NDArray[np.int64]
    first_entries: NDArray[np.int64]
    classes: NDArray[np.int64]
    firsts: NDArray[np.int64]
    multiples: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return int(self.first_rows[-1])

    @property
    def most_windows(self) -> int:
        """Windows of the fullest row."""
        return int(np.add.reduceat(self.multiples, self.first_entries[:-1]).max())


def plan_rows(lengths: NDArray[np.int64], counts: NDArray[np.int64], capacity: int) -> PackingPlan:
    """Pack windows into as few rows as best-fit decreasing makes of them.

    Best fit takes the longest windows first and puts each where it leaves the least room (Johnson, "Fast algorithms for bin
    packing", 1974). Here it runs over classes of equal length instead of windows, so its time and memory grow with the
    number of classes only.

    Args:
        lengths: int64 [classes], tokens of a window of each class, ascending, from 1 to `capacity`.
        counts: int64 [classes], how many windows there are of each, at least 1.
        capacity: tokens of a row.
    """
    shelves = _Shelves(capacity)
    for number in range(lengths.size - 1, -1, -1):
        shelves.add(number, int(lengths[number]), int(counts[number]))
    groups = list(shelves.groups())
    rows = np.array([count for count, _ in groups], np.int64)
    entries = [entry for _, found in groups for entry in found]
    classes, multiples = (np.array(column, np.int64) for column in zip(*entries, strict=True))
    widths = np.array([len(found) for _, found in groups], np.int64)
    taken = np.repeat(rows, widths) * multiples
    return PackingPlan(offsets_of(rows), offsets_of(widths), classes, _running(classes, taken), multiples)


class _Shelves:
    """Groups of rows that are alike, by the room that they have left."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_room: dict[int, list[tuple[int, _Content]]] = {capacity: []}
        self._rooms = 0  # bit r: there are rows with r tokens of room

    def add(self, number: int, length: int, count: int) -> None:
        """Put `count` windows of a class into the fullest rows that have room, and the rest into new ones."""
        while count:
            above = self._rooms >> length
            room = length + (above & -above).bit_length() - 1 if above else self._capacity
            rows, content = self._take(room) if above else (ceil(count / (self._capacity // length)), None)
            each = room // length
            full, rest = divmod(count, each)
            full = min(full, rows)
            self._put(room - each * length, full, (content, number, each))
            count -= full * each
            if full < rows and rest:
                self._put(room - rest * length, 1, (content, number, rest))
                self._put(room, rows - full - 1, content)
                return
            self._put(room, rows - full, content)

    def groups(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Yield (rows, [(class, windows of it in a row), …]), fullest rows first."""
        for room in sorted(self._by_room):
            for rows, content in self._by_room[room]:
                found, rest = [], content
                while rest is not None:
                    rest, number, each = rest
                    found.append((number, each))
                yield rows, found[::-1]

    def _take(self, room: int) -> "tuple[int, _Content]":
        shelf = self._by_room[room]
        group = shelf.pop()
        if not shelf:
            self._rooms ^= 1 << room
        return group

    def _put(self, room: int, rows: int, content: "_Content") -> None:
        if rows:
            self._by_room.setdefault(room, []).append((rows, content))
            self._rooms |= 1 << room


_Content = tuple["_Content", int, int] | None
"""what a row holds: (content before, class, windows of the class)"""


def _running(classes: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many windows of its class the entries before each one took."""
    order = np.argsort(classes, kind="stable")
    before = np.cumsum(taken[order]) - taken[order]
    begins = np.concatenate([[True], classes[order][1:] != classes[order][:-1]])
    firsts = np.empty_like(taken)
    firsts[order] = before - np.maximum.accumulate(np.where(begins, before, 0))
    return firsts


class PackedOrder(Order):
    """Several windows a row, each window exactly once an epoch.

    Each epoch deals the windows of every class anew to the places that the plan has for them, and shuffles the rows; the number
    of rows, and how full they are, stay the same. Without shuffling every epoch is the plan as it is.

    Args:
        plan: how windows fill rows.
        classes: holds "windows" (int [n], their ids, class by class), "first_windows" (int64 [classes + 1], where each class
            begins among them) and "lengths" (int64 [classes], the tokens that a window of each takes at most).
        seed: the run's seed.
        shuffle: whether rows and windows are permuted.
    """

    def __init__(self, plan: PackingPlan, classes: WindowArrays, *, seed: int, shuffle: bool) -> None:
        self.plan = plan
        self.most_windows = plan.most_windows
        self.shuffle = shuffle
        self._windows = classes
        self._first_windows, self._lengths = np.array(classes["first_windows"]), np.array(classes["lengths"])
        seed = int(seed) & 0xFFFFFFFFFFFFFFFF
        self._row_key = mix(np.uint64(seed), key_of("packed rows"))
        self._window_key = mix(np.uint64(seed), key_of("packed windows"))

    def __len__(self) -> int:
        return self.plan.rows

    def fingerprint(self) -> str:
        """Return the number of rows, and a digest of the plan and of some windows."""
        plan = (self.plan.first_rows, self.plan.first_entries, self.plan.classes, self.plan.firsts, self.plan.multiples)
        digest = digest_of([part.tobytes() for part in plan], digest_of_sample(self._windows["windows"]))
        return f"{len(self)} packed, {digest}"

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return the windows of rows, those of a row in the order of the plan: longest first."""
        plan = self.plan
        rows = checked_rows(rows)
        epochs, places = np.divmod(rows, len(self))
        if self.shuffle:
            places = permute(places, len(self), mix(self._row_key, epochs))
        groups = np.searchsorted(plan.first_rows, places, side="right") - 1
        entries, row_of_entry = numbers_of_ranges(plan.first_entries[groups], np.diff(plan.first_entries)[groups])
        multiples = plan.multiples[entries]
        firsts = plan.firsts[entries] + (places - plan.first_rows[groups])[row_of_entry] * multiples
        numbers, entry_of_window = numbers_of_ranges(firsts, multiples)
        classes, row_of_window = plan.classes[entries][entry_of_window], row_of_entry[entry_of_window]
        begins, epochs = self._first_windows[classes], epochs[row_of_window]
        if self.shuffle:
            sizes = self._first_windows[classes + 1] - begins
            numbers = permute(numbers, sizes, mix(mix(self._window_key, epochs), classes))
        window_ids = self._windows["windows"][begins + numbers].astype(np.int64)
        sources = np.zeros(window_ids.size, np.int16)
        return Picks(window_ids, epochs, row_of_window, sources, limits=self._lengths[classes] + OVERRUN)
