"""EdenDataset: rows by number, for plain PyTorch and Megatron loops."""

import hashlib
import operator
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from eden_core.arguments import arguments_of
from eden_core.assembly import TransformSetting, check_tiling, chosen_transforms, opened_index, opened_store
from eden_core.batch import Windows
from eden_core.errors import ConfigurationError, UnreadBasesWarning, WindowOutOfRangeError
from eden_core.fingerprint import SAMPLED, Fingerprint
from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.layout import EncodedBatch, Layout
from eden_core.memory import Recycler
from eden_core.omissions import Omissions, windows_of_contigs
from eden_core.order import EpochOrder
from eden_core.patience import Patience
from eden_core.reader import BatchReader
from eden_core.vocabulary import Vocabulary

SPLITS = ("train", "validation", "test", "predict")
EXTRA_KEYS = ("row_ids", "repeated")
LONGEST_ATTENTION_MASK = 32_768
SAMPLED_WINDOWS = 16

Batch = dict[str, torch.Tensor]


class RowViews(list[Batch]):
    """The rows of a batch, one dict each, with the batch that they are views of."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        super().__init__({key: value[i] for key, value in batch.items()} for i in range(len(batch["tokens"])))


class EdenDataset(Dataset[Batch]):
    """Rows of tokens from a store and an index: row i is a pure function of (configuration, seed, i).

    A row has `tokens`, `labels`, `position_ids` (int64 [S]) and `loss_mask` (float32 [S]), S = `seq_length`; a batch has a
    leading dimension B more. Masks and position ids may be shared between batches: copy before writing to them.

    Args:
        store: name of a store plugin, or an open store.
        index: name of an index plugin, or an open index.
        sequence_db_dir: where the store lies, when `store` is a name.
        window_db_path: where the index lies, when `index` is a name.
        seq_length: tokens a row.
        stride, window_size, window_min_length_threshold: what the index must have been built with; None: as it was.
        rc_aug: adds the transform "reverse-complement".
        use_control_tags: adds the transform "control-tags".
        transforms: further ones, in order: names, `{"name": {option: value}}`, or `Transform` objects.
        tokenizer: "nucleotide", "byte", a path to a `tokenizer.json`, or a tokenizer object (see `Vocabulary.of`).
        case: "upper", "keep" or "keep-in-labels".
        loss_weights: weight by letter or class, such as `{"ambiguous": 0, "lower": 0.1}`.
        invalid_bases: "error", or "unk" to read bytes that are no IUPAC letters as UNK with weight 0.
        include_bos, include_eos: whether rows begin with bos and end with eos.
        create_attention_mask: adds `attention_mask`, bool [B, 1, S, S] (a row: [1, S, S]), True = masked.
        count_once: whether bases that the window before has read already get no loss weight, so that each counts once.
        extra_keys: further keys of a batch: "row_ids" (int64 [B], the row of the run), "repeated" (bool [B], True where a row
            only fills up a loader's last batch).
        split: "train", "validation", "test" or "predict"; augmentations run on "train" only.
        shuffle: whether rows are permuted, anew each epoch; None: for train and validation.
        seed: of the order and of all random draws.
        num_samples: rows to serve, running on over epochs; None: one epoch.
        skip_rows: (first, stop) ranges of rows of the run to leave out.
        exclude_contigs: a text file, one contig id a line, whose windows are left out.
        exclude_from: the row of the run from which on they are.
        on_read_error: "raise", or "mask" to give windows that cannot be read a row without loss weight. Transient errors of the
            file system are tried again for some 45 seconds either way.
        read_warning_seconds: seconds after which a read that hangs is warned about; 0: never.
        store_options, index_options: options of the plugins, when they are given by name.

    Raises:
        ConfigurationError: arguments that contradict each other or the index; the message has the numbers.
    """

    def __init__(
        self,
        store: str | SequenceStore = "sqlite-shards",
        index: str | WindowIndex = "sqlite",
        *,
        sequence_db_dir: str | None = None,
        window_db_path: str | None = None,
        seq_length: int = 8192,
        stride: int | None = None,
        window_size: int | None = None,
        window_min_length_threshold: int | None = None,
        rc_aug: bool = False,
        use_control_tags: bool = False,
        transforms: Sequence[TransformSetting] = (),
        tokenizer: Any = "nucleotide",
        case: str = "upper",
        loss_weights: Mapping[str, float] | None = None,
        invalid_bases: str = "error",
        include_bos: bool = True,
        include_eos: bool = True,
        create_attention_mask: bool = False,
        count_once: bool = False,
        extra_keys: Sequence[str] = (),
        split: str = "train",
        shuffle: bool | None = None,
        seed: int = 42,
        num_samples: int | None = None,
        skip_rows: Sequence[Sequence[int]] = (),
        exclude_contigs: str | None = None,
        exclude_from: int = 0,
        on_read_error: str = "raise",
        read_warning_seconds: float = 120.0,
        store_options: Mapping[str, Any] | None = None,
        index_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.arguments = arguments_of(EdenDataset, locals())
        """what it was made with"""
        super().__init__()
        self.seed, self.seq_length = _whole("seed", seed), _whole("seq_length", seq_length, least=1)
        _check_arguments(split, extra_keys, num_samples, self.seq_length if create_attention_mask else 0)
        self.split = split
        self.num_samples = num_samples
        self.create_attention_mask = create_attention_mask
        self.extra_keys = tuple(extra_keys)
        self.store = opened_store(store, sequence_db_dir, store_options)
        self.index = opened_index(index, window_db_path, index_options)
        vocabulary = Vocabulary.of(tokenizer)
        given = {"window_size": window_size, "stride": stride, "min_length": window_min_length_threshold}
        check_tiling(self.index, given, self.seq_length, vocabulary)
        layout = Layout(
            vocabulary,
            self.seq_length,
            include_bos=include_bos,
            include_eos=include_eos,
            case=case,
            loss_weights=loss_weights,
            invalid_bases=invalid_bases,
        )
        if count_once and vocabulary.table is None:
            raise ConfigurationError(f"count_once needs one token a base, which tokenizer {vocabulary.name} does not give")
        chain = chosen_transforms(rc_aug, use_control_tags, transforms)
        bound = tuple(t.bind(vocabulary) for t in chain if split == "train" or not t.augments)
        self.shuffle = split in {"train", "validation"} if shuffle is None else shuffle
        order = EpochOrder(len(self.index), seed=self.seed, shuffle=self.shuffle)
        patience = Patience(on_read_error, read_warning_seconds)
        self.reader = BatchReader(order, self.index, self.store, bound, layout, self.seed, patience, count_once)
        left_out = () if exclude_contigs is None else windows_of_contigs(self.index, exclude_contigs)
        self.omissions = Omissions(order, skip_rows, left_out, _whole("exclude_from", exclude_from, least=0))
        self._layout_options = {
            "seq_length": self.seq_length,
            "include_bos": bool(include_bos),
            "include_eos": bool(include_eos),
            "case": case,
            "loss_weights": sorted((letter, float(weight)) for letter, weight in (loss_weights or {}).items()),
            "invalid_bases": invalid_bases,
            "count_once": bool(count_once),
        }
        self._check_gaps()

    @property
    def epoch_rows(self) -> int:
        """Rows of one epoch, those that are left out included."""
        return len(self.reader.order)

    def __len__(self) -> int:
        return len(self.omissions.kept(0)) if self.num_samples is None else self.num_samples

    def __getitem__(self, row: Any) -> Batch:
        """Return one row for an int, a batch for a sequence of ints."""
        if np.ndim(row) == 0:
            return RowViews(self.batch([operator.index(row)]))[0]
        return self.batch(row)

    def __getitems__(self, rows: Sequence[int]) -> RowViews:
        """Return rows that any collate function accepts, and that `collate_fn` turns into their batch without a copy."""
        return RowViews(self.batch(rows))

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Return the batch of these rows, in the order asked. Where rows are left out, the others are numbered anew.

        Returns:
            Tensors as the class says, with a leading dimension B, the number of rows.

        Raises:
            WindowOutOfRangeError: a row outside 0 … len - 1.
        """
        numbers = self.omissions.rows(self._checked(rows))
        return self.tensors(self.reader.fetch(numbers), numbers, np.zeros(numbers.size, bool))

    @staticmethod
    def collate_fn(rows: Sequence[Batch]) -> Batch:
        """Return the batch of rows that one `__getitems__` gave, or of any others, stacked."""
        if isinstance(rows, RowViews):
            return rows.batch
        stacked: Batch = default_collate(list(rows))
        return stacked

    def locate(self, rows: Sequence[int] | NDArray[np.int64], *, measured: bool = True) -> Windows:
        """Return where rows lie: sequence id, zero-based start, number of bases.

        Args:
            rows: rows of the run, also beyond the first epoch, such as the `row_ids` of a loader's batch.
            measured: whether the bases are counted in the store, which reads them; else a row is said to have as many as fit,
                also where its sequence ends before.

        Raises:
            WindowOutOfRangeError: a row is negative.
        """
        reader = self.reader
        windows = reader.locate(reader.patience.lookup(self.index, reader.order.pick(_row_numbers(rows)).window_ids))
        return reader.measured(windows) if measured else windows

    def tensors(self, encoded: EncodedBatch, rows: NDArray[np.int64], repeated: NDArray[np.bool_]) -> Batch:
        """Lay fetched rows out as a batch of tensors.

        Args:
            encoded: what `reader.fetch` gave for the rows.
            rows: int64 [B], their numbers in the run.
            repeated: bool [B], rows that get no loss weight.
        """
        arrays = self.reader.expand(encoded, _recycler.empty)
        if repeated.any():
            arrays["loss_mask"] = np.where(repeated[:, None], np.float32(0), arrays["loss_mask"])
        batch = {key: torch.from_numpy(value) for key, value in arrays.items()}
        if self.create_attention_mask:
            batch["attention_mask"] = _causal_mask(self.seq_length).expand(len(rows), 1, -1, -1)
        further = {"row_ids": rows, "repeated": repeated}
        return batch | {key: torch.from_numpy(np.array(further[key])) for key in self.extra_keys}

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """All that decides which bytes row i is, with the bases of a few windows sampled through the index."""
        reader = self.reader
        bases, unread = reader.patience.read(reader.store, reader.locate(self._sampled_windows()))
        order = {"seed": self.seed, "shuffle": self.shuffle, "windows": self.epoch_rows}
        content = {
            "store": reader.store.fingerprint(),
            "index": reader.index.fingerprint(),
            SAMPLED: hashlib.blake2b(bases.values.tobytes(), digest_size=8).hexdigest(),
            "tokenizer": reader.layout.vocabulary.name,
            "transforms": ", ".join(transform.fingerprint() for transform in reader.transforms),
            **self._layout_options,
        }
        if unread is not None and unread.any():
            del content[SAMPLED]
        return Fingerprint({k: str(v) for k, v in order.items()}, {k: str(v) for k, v in content.items()})

    def close(self) -> None:
        """Close the files that this process has open."""
        self.store.close()
        self.index.close()

    def _sampled_windows(self) -> Windows:
        count = min(len(self.index), SAMPLED_WINDOWS)
        return self.index.lookup(np.arange(count) * len(self.index) // count)

    def _check_gaps(self) -> None:
        """Warn when the tokens before the bases leave rows too short to reach the next window."""
        tiling = self.index.tiling
        read = int(self.reader.room(self._sampled_windows()).min())
        if self.reader.layout.vocabulary.table is not None and read < min(tiling.stride, tiling.row_bases):
            taken = self.seq_length - read
            warnings.warn(
                f"rows read {read} bases, since special and tag tokens take {taken}, and windows start every {tiling.stride}: "
                f"the bases between are never seen. Build the index with --stride {read} or less, or with --keep-tail "
                f"--reserve {taken}",
                UnreadBasesWarning,
                stacklevel=3,
            )

    def _checked(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = _row_numbers(rows)
        if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= len(self)):
            outside = numbers[(numbers < 0) | (numbers >= len(self))]
            raise WindowOutOfRangeError(f"row {int(outside[0])} of a dataset of {len(self)} rows")
        return numbers


_recycler = Recycler()


@lru_cache(maxsize=2)
def _causal_mask(seq_length: int) -> torch.Tensor:
    """True above the diagonal, bool [1, 1, S, S]."""
    return torch.ones(seq_length, seq_length, dtype=torch.bool).triu(1)[None, None]


def _row_numbers(rows: Any) -> NDArray[np.int64]:
    numbers = np.asarray(rows)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise ConfigurationError(f"rows are numbered by integers, not by {numbers.dtype}")
    return numbers.astype(np.int64).reshape(-1)


def _whole(name: str, value: Any, least: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or (least is not None and int(value) < least):
        wanted = "an integer" if least is None else f"an integer of {least} or more"
        raise ConfigurationError(f"{name} is {value!r}; expected {wanted}")
    return int(value)


def _check_arguments(split: str, extra_keys: Sequence[str], num_samples: int | None, masked_length: int) -> None:
    if split not in SPLITS:
        raise ConfigurationError(f"split is {split!r}; expected one of {', '.join(map(repr, SPLITS))}")
    if isinstance(extra_keys, str):
        raise ConfigurationError(f"extra_keys is {extra_keys!r}; expected a list, such as [{extra_keys!r}]")
    unknown = sorted(set(extra_keys) - set(EXTRA_KEYS))
    if unknown:
        raise ConfigurationError(f"extra_keys has {', '.join(unknown)}; known keys are {', '.join(EXTRA_KEYS)}")
    if num_samples is not None and num_samples < 1:
        raise ConfigurationError(f"num_samples must be at least 1, not {num_samples}")
    if masked_length > LONGEST_ATTENTION_MASK:
        raise ConfigurationError(
            f"an attention mask for seq_length {masked_length} takes {masked_length**2 / 2**30:.1f} GiB; at most "
            f"{LONGEST_ATTENTION_MASK} tokens are served. Leave create_attention_mask out and use a causal kernel"
        )
