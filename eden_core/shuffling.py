"""How the rows of an epoch are shuffled: each of them alike, in blocks, or not at all."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eden_core.mixing import key_of, mix
from eden_core.permutation import permute, unpermute

_BLOCKS, _BUFFERS = key_of("blocks"), key_of("buffers")


@dataclass(frozen=True)
class BlockShuffle:
    """Blocks of consecutive rows are permuted, and then the rows of each buffer of several blocks.

    A buffer is what `buffer_blocks` blocks that follow each other after the first permutation hold. While its rows are read,
    nothing else of the index is, so that a disk can read whole blocks and a page cache of the buffer's size keeps them.

    Args:
        rows: consecutive rows of a block (without packing: windows), at least 1; the last one of an index may be shorter.
        buffer_blocks: blocks of a buffer, at least 1; the last one of an epoch may have fewer.
    """

    rows: int
    buffer_blocks: int = 2048

    def __str__(self) -> str:
        return f"blocks of {self.rows} rows, {self.buffer_blocks} to a buffer"

    def permute(self, positions: NDArray[np.int64], n: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return which row each position of an epoch holds.

        Args:
            positions: int64 [k], each in 0 … n - 1.
            n: rows of an epoch.
            keys: uint64, one for all positions or one for each; each key is another order.

        Returns:
            int64 [k]

        >>> BlockShuffle(2, 2).permute(np.arange(7), 7, np.array([3], np.uint64)).tolist()
        [1, 5, 4, 0, 6, 2, 3]
        """
        blocks = _Blocks.of(self, positions, n, keys)
        begins, sizes, buffer_keys = blocks.buffers_of(blocks.places_of(positions))
        positions = begins + permute(positions - begins, sizes, buffer_keys)
        places = blocks.places_of(positions)
        return permute(places, blocks.count, blocks.keys) * self.rows + positions - blocks.begins_of(places)

    def unpermute(self, items: NDArray[np.int64], n: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the positions that `permute` sends to these rows, int64 [k].

        >>> BlockShuffle(2, 2).unpermute(np.array([1, 5, 4, 0, 6, 2, 3]), 7, np.array([3], np.uint64)).tolist()
        [0, 1, 2, 3, 4, 5, 6]
        """
        blocks = _Blocks.of(self, items, n, keys)
        numbers, within = np.divmod(items, self.rows)
        places = unpermute(numbers, blocks.count, blocks.keys)
        begins, sizes, buffer_keys = blocks.buffers_of(places)
        return begins + unpermute(blocks.begins_of(places) + within - begins, sizes, buffer_keys)


@dataclass(frozen=True)
class _Blocks:
    """The blocks of an epoch in their permuted order, for each of some positions or rows of it.

    Attributes:
        count: blocks of an epoch.
        missing: rows that its last block has less than the others.
        short: int64 [k], the place of that block among the permuted ones.
        keys: uint64 [k], of the permutation of the blocks.
    """

    shuffle: BlockShuffle
    count: int
    missing: int
    short: NDArray[np.int64]
    keys: NDArray[np.uint64]

    @classmethod
    def of(cls, shuffle: BlockShuffle, items: NDArray[np.int64], n: int, keys: NDArray[np.uint64]) -> "_Blocks":
        count = -(-n // shuffle.rows)
        epochs, epoch_of = np.unique(np.broadcast_to(keys, items.shape), return_inverse=True)
        mixed = mix(epochs, _BLOCKS)
        short = np.array([_place_of_last(count, key) for key in mixed.tolist()], np.int64)
        return cls(shuffle, count, count * shuffle.rows - n, short[epoch_of], mixed[epoch_of])

    def begins_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions at which blocks begin; the block behind the last one begins at the epoch's end."""
        return places * self.shuffle.rows - self.missing * (places > self.short)

    def places_of(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the blocks that positions lie in."""
        behind = positions >= (self.short + 1) * self.shuffle.rows - self.missing
        return (positions + self.missing * behind) // self.shuffle.rows

    def buffers_of(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], int | NDArray[np.int64], NDArray[np.uint64]]:
        """The positions at which the buffers of blocks begin, their rows (one number where alike), and keys to permute them."""
        size = self.shuffle.buffer_blocks
        numbers = places // size
        begins = self.begins_of(numbers * size)
        sizes = self.begins_of(np.minimum((numbers + 1) * size, self.count)) - begins
        alike = sizes.size and (sizes == sizes[0]).all()
        return begins, int(sizes[0]) if alike else sizes, mix(mix(self.keys, _BUFFERS), numbers)


@lru_cache(maxsize=64)
def _place_of_last(count: int, key: int) -> int:
    """Where a permutation of blocks puts the last one, which may be short."""
    return int(unpermute(np.array([count - 1]), count, np.uint64(key))[0])


Shuffle = bool | BlockShuffle
"""how the rows of an epoch are shuffled; True: each of them alike"""


def permuted(positions: NDArray[np.int64], n: int, keys: NDArray[np.uint64], shuffle: Shuffle) -> NDArray[np.int64]:
    """Return which of the n rows of an epoch each position holds, int64 [k]; `keys` as for `BlockShuffle.permute`."""
    if isinstance(shuffle, BlockShuffle):
        return shuffle.permute(positions, n, keys)
    return permute(positions, n, keys) if shuffle else positions


def unpermuted(items: NDArray[np.int64], n: int, keys: NDArray[np.uint64], shuffle: Shuffle) -> NDArray[np.int64]:
    """Return the positions that hold these rows, the inverse of `permuted`: int64 [k]."""
    if isinstance(shuffle, BlockShuffle):
        return shuffle.unpermute(items, n, keys)
    return unpermute(items, n, keys) if shuffle else items
