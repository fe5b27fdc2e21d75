"""From fetched rows to the tensors of a batch, with what `extra_keys` asks for."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eden_core.batch import offsets_of
from eden_core.encoded import EncodedBatch
from eden_core.errors import ConfigurationError
from eden_core.layout import Layout
from eden_core.memory import Recycler
from eden_core.reader import BatchReader
from eden_core.segments import SegmentLayout
from eden_core.vocabulary import AMBIGUOUS

Batch = dict[str, torch.Tensor]

EXTRA_KEYS = ("row_ids", "repeated", "source", "token_counts")
TOKEN_COUNTS = ("padded", "bases", "ambiguous", "soft_masked", "masked")
"""what the columns of `token_counts` count: padding tokens, bases, and of these the ambiguous and the lower-case ones (as
stored), and those without loss weight"""
LONGEST_ATTENTION_MASK = 32_768

_SEGMENTS = "segment numbers"
"""key of a batch that is to get an attention mask"""
_TOKEN_KEYS = {"tokens", "labels", "loss_mask", "position_ids"}
LETTER_KINDS = np.zeros((2, 256), np.uint8)
LETTER_KINDS[0, list(f"{AMBIGUOUS}{AMBIGUOUS.lower()}".encode())] = 1
LETTER_KINDS[1, ord("a") : ord("z") + 1] = 1
"""which bytes are ambiguous, and which are lower-case letters; 0 or 1"""


class RowViews(list[Batch]):
    """The rows of a batch, one dict each, with the batch that they are views of."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        super().__init__({key: value[i] for key, value in batch.items()} for i in range(len(batch["tokens"])))


@dataclass(frozen=True)
class BatchTensors:
    """Makes the tensors of batches.

    Args:
        extra_keys: of `EXTRA_KEYS`.
        attention_mask: whether there is one, bool [B, 1, S, S], True = masked.
        pad_to_multiple_of: what the longest row of a batch is padded to a multiple of, in place of `seq_length`.

    Raises:
        ConfigurationError: an unknown key, or an attention mask that would be too large.
    """

    extra_keys: tuple[str, ...]
    attention_mask: bool
    pad_to_multiple_of: int | None

    def check(self, seq_length: int) -> None:
        """Raise `ConfigurationError` when these cannot be made for rows of this length."""
        unknown = sorted(set(self.extra_keys) - set(EXTRA_KEYS))
        if unknown:
            raise ConfigurationError(f"extra_keys has {', '.join(unknown)}; known keys are {', '.join(EXTRA_KEYS)}")
        if self.attention_mask and seq_length > LONGEST_ATTENTION_MASK:
            raise ConfigurationError(
                f"an attention mask for seq_length {seq_length} takes {seq_length**2 / 2**30:.1f} GiB; at most "
                f"{LONGEST_ATTENTION_MASK} tokens are served. Leave create_attention_mask out and use a causal kernel"
            )
        if self.pad_to_multiple_of is not None and not 1 <= self.pad_to_multiple_of <= seq_length:
            raise ConfigurationError(f"pad_to_multiple_of is {self.pad_to_multiple_of}; expected 1 to seq_length {seq_length}")

    def make(
        self,
        reader: BatchReader,
        encoded: EncodedBatch,
        rows: NDArray[np.int64],
        repeated: NDArray[np.bool_],
        *,
        narrow: bool = False,
    ) -> Batch:
        """Return the batch of fetched rows, which `masked` completes where there is an attention mask.

        Args:
            reader: what fetched them.
            encoded: the rows.
            rows: int64 [B], their numbers in the run.
            repeated: bool [B], rows that get no loss weight.
            narrow: whether it is left to `expanded` to make it the batch that consumers see.
        """
        layout = reader.layout
        arrays = reader.expand(encoded, _recycler.empty, narrow=narrow)
        if repeated.any():
            mask = arrays["loss_mask"]
            arrays["loss_mask"] = np.where(repeated[:, None], mask.dtype.type(0), mask)
        batch = {key: torch.from_numpy(value) for key, value in arrays.items()}
        if self.attention_mask and isinstance(layout, SegmentLayout) and layout.most_segments > 1:
            batch[_SEGMENTS] = torch.from_numpy(layout.segment_numbers(encoded))
        for key in self.extra_keys:
            batch[key] = torch.from_numpy(self._extra(key, layout, encoded, arrays, rows, repeated))
        return batch

    def masked(self, batch: Batch, seq_length: int, *, causal: bool) -> Batch:
        """Return a batch that `make` gave, or some of its rows, with its attention mask: it is large, so made for few rows.

        A place that a token must not see is True: later ones if causal, and those of other segments.
        """
        mask = causal_mask(seq_length) if causal else _open_mask(seq_length)
        rest = {key: value for key, value in batch.items() if key != _SEGMENTS}
        if _SEGMENTS not in batch:
            return rest | {"attention_mask": mask.expand(len(batch["tokens"]), 1, -1, -1)}
        segments = batch[_SEGMENTS]
        return rest | {"attention_mask": mask | (segments[:, None, :, None] != segments[:, None, None, :])}

    def trimmed(self, batch: Batch, used: NDArray[np.int64], seq_length: int) -> Batch:
        """Return a batch without the columns that hold nothing but padding, up to `pad_to_multiple_of`.

        Args:
            batch: what `make` gave, or some of its rows.
            used: int64 [B], tokens of each row that are no padding.
            seq_length: tokens of a row.
        """
        if self.pad_to_multiple_of is None:
            return batch
        longest = max(1, int(used.max(initial=1)))
        width = min(-(-longest // self.pad_to_multiple_of) * self.pad_to_multiple_of, seq_length)
        trimmed = {key: value[:, :width] for key, value in batch.items() if key in _TOKEN_KEYS}
        if "attention_mask" in batch:
            trimmed["attention_mask"] = batch["attention_mask"][..., :width, :width]
        return batch | trimmed

    def _extra(
        self,
        key: str,
        layout: Layout,
        encoded: EncodedBatch,
        arrays: dict[str, NDArray[Any]],
        rows: NDArray[np.int64],
        repeated: NDArray[np.bool_],
    ) -> NDArray[Any]:
        if key == "row_ids":
            return rows.copy()
        if key == "repeated":
            return repeated.copy()
        if key == "source":
            picks = encoded.batch.picks
            sources = np.full(encoded.rows, -1, np.int64)
            sources[picks.rows] = picks.sources
            return sources
        return token_counts(layout, encoded, arrays["loss_mask"])


def expanded(batch: Batch) -> Batch:
    """Return the batch of `expand_on="device"` as every consumer sees it, on the device where it is; any other as it is.

    Args:
        batch: what `EdenLoader` gave, moved to any device: tokens and labels uint8 [B, S], loss_mask uint8 or float32, all
            other keys as ever, and no position ids where they would just count up.

    Returns:
        tokens, labels and position_ids int64 [B, S], loss_mask float32 [B, S], and the other keys.
    """
    tokens = batch["tokens"]
    kinds = {"tokens": torch.int64, "labels": torch.int64, "loss_mask": torch.float32}
    made = {key: value.to(kinds[key]) if key in kinds else value for key, value in batch.items()}
    if "position_ids" not in batch:
        made["position_ids"] = torch.arange(tokens.shape[-1], device=tokens.device).expand_as(tokens).contiguous()
    return made


def token_counts(layout: Layout, encoded: EncodedBatch, loss_mask: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count what the tokens of each row are, int64 [B, 5]: see `TOKEN_COUNTS`."""
    bases, rows = encoded.batch.bases, encoded.batch.picks.rows
    counts = np.zeros((encoded.rows, len(TOKEN_COUNTS)), np.int64)
    used = layout.used(encoded)
    counts[: used.size, 0] = layout.seq_length - used
    lengths = bases.lengths if encoded.ids is None else encoded.ids.lengths
    np.add.at(counts[:, 1], rows, lengths)
    for column, kind in enumerate(LETTER_KINDS, 2):
        running = offsets_of(kind[bases.values].astype(np.int64))
        np.add.at(counts[:, column], rows, np.diff(running[bases.offsets]))
    counts[:, 4] = counts[:, 1] - np.count_nonzero(loss_mask, 1)
    return counts


@lru_cache(maxsize=2)
def causal_mask(seq_length: int) -> torch.Tensor:
    """Return a mask that is True above the diagonal, bool [1, 1, S, S], the same tensor each time: do not write to it."""
    return torch.ones(seq_length, seq_length, dtype=torch.bool).triu(1)[None, None]


@lru_cache(maxsize=2)
def _open_mask(seq_length: int) -> torch.Tensor:
    return torch.zeros(1, 1, seq_length, seq_length, dtype=torch.bool)


_recycler = Recycler()
