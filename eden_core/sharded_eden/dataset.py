"""ShardedEdenDataset: an `EdenDataset` with the arguments and attributes of the older module."""

import logging
from contextlib import suppress
from functools import cached_property
from typing import Any

import pyarrow.compute as pc
import torch

from eden_core.arguments import arguments_of, shared_arguments
from eden_core.assembly import checked_windows, first_bases
from eden_core.contigs import first_rows
from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError, SequenceNotFoundError, ShardNotFoundError, StaleIndexError
from eden_core.sharded_eden.arguments import chosen_stride, chosen_tokenizer
from eden_core.source import Source
from eden_core.tensors import causal_mask
from eden_core.tiling import DEFAULT_STRIDE

_log = logging.getLogger(__name__)


class ShardedEdenDataset(EdenDataset):
    """Rows of tokens from per-sample SQLite files and a window database; row i is window i.

    A row has `tokens`, `labels`, `position_ids` (int64 [S]), `loss_mask` (float32 [S]), and with `create_attention_mask` also
    `attention_mask` (bool [1, S, S], True = masked), S = `seq_length`. Arguments are kept as attributes of their names.

    Args:
        tokenizer: an object with `bos_id`, `eos_id`, `_sep_id`, `pad_id` and `tokenize` or `text_to_ids`, or whatever
            `EdenDataset` takes; None: "nucleotide".
        sequence_db_dir: the directory of the shards.
        window_db_path: the window database.
        seq_length: tokens a row, and bases a window.
        create_attention_mask: adds `attention_mask`.
        rc_aug: reads windows of the training split from either strand, drawn by seed and window.
        stride: what the database must have been built with; None: 7992.
        window_min_length_threshold: likewise; None or 0: no window may have been left out as too short.
        use_control_tags: puts the tag of its sequence, such as `<ctrl_bcr>`, and sep before the bases of a window.
        split: "train", "validation" (or "val"), "test" or "predict".
        log_windows, log_dir: the window access log, see `EdenDataset`.
        skip_stats: whether the number of windows and sequences is left out of the log.
        log_tokens: accepted, and without effect: `eden replay` and `eden preview` show the tokens of logged rows.
        include_bos, include_eos: whether rows begin with bos and end with eos.

    Raises:
        ConfigurationError: the database was built in another way, or a shard is missing, of up to 256 that are looked for.
    """

    tokenizer: Any
    sequence_db_dir: str
    window_db_path: str
    create_attention_mask: bool
    rc_aug: bool
    stride: int
    window_min_length_threshold: int | None
    use_control_tags: bool
    skip_stats: bool
    log_tokens: bool
    include_bos: bool
    include_eos: bool

    def __init__(
        self,
        tokenizer: Any,
        sequence_db_dir: str,
        window_db_path: str,
        seq_length: int,
        create_attention_mask: bool = False,
        rc_aug: bool = False,
        stride: int | None = DEFAULT_STRIDE,
        window_min_length_threshold: int | None = None,
        use_control_tags: bool = False,
        split: str = "train",
        log_windows: bool | str = False,
        log_dir: str | None = None,
        skip_stats: bool = True,
        log_tokens: bool = True,
        *,
        include_bos: bool = True,
        include_eos: bool = True,
    ) -> None:
        given = arguments_of(ShardedEdenDataset, locals())
        given |= {"stride": chosen_stride(stride), "tokenizer": chosen_tokenizer(tokenizer)}
        vars(self).update(given)
        served = shared_arguments(EdenDataset, given) | {
            "window_size": seq_length,
            "window_min_length_threshold": window_min_length_threshold or 0,
            "split": "validation" if split == "val" else split,
            "shuffle": False,
        }
        super().__init__(**served)
        self.split = split
        self.length = len(self)
        """number of windows"""
        _check_shards(self.sources[0])
        if not skip_stats:
            _log.info("%s: %d windows of %d sequences", window_db_path, self.length, self.distinct_sequences)

    @cached_property
    def distinct_sequences(self) -> int:
        """Number of sequences that have windows; counted when it is first asked for."""
        count, last = 0, None
        for batch in self.sources[0].index.contigs():
            ids = batch.column("contig_id")
            count += int(pc.sum(first_rows(ids, last)).as_py())
            last = ids[-1].as_py()
        return count

    @cached_property
    def position_ids(self) -> torch.Tensor:
        """The positions of every row, int64 [S]."""
        return torch.arange(self.seq_length)

    @property
    def attention_mask(self) -> torch.Tensor | None:
        """The attention mask of every row, bool [1, S, S], True = masked; None without `create_attention_mask`."""
        return causal_mask(self.seq_length)[0] if self.create_attention_mask else None

    @staticmethod
    def reverse_complement(seq: str) -> str:
        """Return the other strand of a sequence: IUPAC letters of either case, U becomes A, others stay as they are.

        Raises:
            UnicodeEncodeError: a letter that is not ASCII.
        """
        from eden_reverse_complement import reverse_complement

        return reverse_complement(seq.encode("ascii")).decode("ascii")


def _check_shards(source: Source) -> None:
    """Raise `ConfigurationError` when a sample has no shard; rows tell of sequences that are missing."""
    for window_id in checked_windows(source.index):
        try:
            with suppress(SequenceNotFoundError, StaleIndexError):
                source.store.read(first_bases(source.index, window_id.reshape(1)))
        except ShardNotFoundError as error:
            raise ConfigurationError(str(error)) from error
