"""EdenDataset: rows by number, for plain PyTorch and Megatron loops."""

import operator
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from eden_core.arguments import arguments_of
from eden_core.assembly import ObjectiveSetting, ShuffleSetting, TransformSetting, chosen_log, chosen_shuffle, whole_number
from eden_core.batch import Picks, Windows
from eden_core.encoded import EncodedBatch
from eden_core.errors import ConfigurationError, WindowOutOfRangeError
from eden_core.fingerprint import Fingerprint
from eden_core.handing_out import Observers, ReadRows
from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.mixture import Anchor, MixedOrder
from eden_core.order import Order
from eden_core.parts import parts_of
from eden_core.planning import Packing
from eden_core.reader import BatchReader
from eden_core.sampler import RowBlock
from eden_core.source import Source
from eden_core.tensors import Batch, BatchTensors, RowViews

SPLITS = ("train", "validation", "test", "predict")


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
        stride, window_size, window_min_length_threshold: what the index must have been built with, or, of a plugin that can
            ("arrow"), how it is cut; None: as it was built.
        rc_aug: adds the transform "reverse-complement".
        use_control_tags: adds the transform "control-tags".
        transforms: further ones, in order: names, `{"name": {option: value}}`, or `Transform` objects.
        tokenizer: "nucleotide", "byte", a path to a `tokenizer.json`, or a tokenizer object (see `Vocabulary.of`).
        case: "upper", "keep" or "keep-in-labels".
        loss_weights: weight by letter or class, such as `{"ambiguous": 0, "lower": 0.1}`.
        invalid_bases: "error", or "unk" to read bytes that are no IUPAC letters as UNK with weight 0.
        include_bos, include_eos: whether rows begin with bos and end with eos.
        packing: "none": one window a row; "concat": several, one after another; "thd": several, with `cu_seqlens`, `max_seqlen`
            and position ids that begin anew in each (see `SegmentLayout.expand`).
        pack_by: "length": windows that fill a row together; "sample": windows that follow each other in a sample.
        pad_segments_to: with "thd", what the tokens of a window are padded to a multiple of; `cu_seqlens_padded` is there then.
        separate_segments: with "concat", whether sep stands between windows.
        split_windows: with `pack_by="sample"`, whether a window that does not fit into a row goes on in the next.
        contigs: Parquet table with the lengths of contigs, where the index does not know them; None: `contigs.parquet` beside
            the index or in the store's folder, else the store is asked.
        max_n_fraction, max_soft_masked_fraction: windows with a larger share of N, or of lower-case letters, are left out.
        objective: "causal", "mlm", `{"name": {option: value}}`, or an `Objective`.
        sources: several sources that are mixed, each a dict of arguments that differ from those given here (see
            `SourceSettings`), with `name`, `weight` and `max_epochs`.
        weights_in: what the weights of sources count, "rows" or "bases".
        schedule: (first row, {source: weight}) pairs: other weights from these rows of the run on.
        create_attention_mask: adds `attention_mask`, bool [B, 1, S, S] (a row: [1, S, S]), True = masked; where windows share a
            row, those of others are masked too.
        pad_to_multiple_of: what a batch's longest row is padded to a multiple of, in place of `seq_length`.
        count_once: whether bases that the window before has read already get no loss weight, so that each counts once.
        extra_keys: further keys of a batch: "row_ids" (int64 [B], the row of the run), "repeated" (bool [B], True where a row
            only fills up a loader's last batch), "source" (int64 [B], its number, -1 for an empty row), "token_counts" (int64
            [B, 5], see `eden_core.tensors.TOKEN_COUNTS`).
        split: "train", "validation", "test" or "predict"; augmentations run on "train" only.
        shuffle: whether rows are permuted, anew each epoch; None: for train and validation. "block": blocks of consecutive rows
            are, and then the rows of each buffer of several blocks, so that slow disks read large stretches;
            `{"block": {"rows": 64, "buffer_blocks": 2048}}` gives their sizes (see `eden_core.shuffling.BlockShuffle`).
        seed: of the order and of all random draws.
        num_samples: rows to serve, running on over epochs; None: one epoch.
        skip_rows: (first, stop) ranges of rows of the run to leave out.
        exclude_contigs: a text file, one contig id a line, whose windows are left out.
        exclude_from: the row of the run from which on they are.
        on_read_error: "raise", or "mask" to give windows that cannot be read a row without loss weight. Transient errors of the
            file system are tried again for some 45 seconds either way.
        read_warning_seconds: seconds after which a read that hangs is warned about; 0: never.
        read_threads: threads of each process that read from a store at once, as many as it allows (`max_read_threads`): for
            stores that wait for a network or for many disks.
        log_windows: whether each process keeps a log of the windows that it hands out: True or "csv", or "parquet" (see
            `eden_access_log`).
        log_dir: the folder of the logs; None: the working directory.
        store_options, index_options: options of the plugins, when they are given by name.

    Raises:
        ConfigurationError: arguments that contradict each other or the index; the message has the numbers.
        FormatError: the index is missing, damaged, or of another format.
        PluginNotFoundError, PluginOptionError: no plugin has such a name, or the plugin no such option.
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
        packing: str = "none",
        pack_by: str = "length",
        pad_segments_to: int = 1,
        separate_segments: bool = False,
        split_windows: bool = False,
        contigs: str | None = None,
        max_n_fraction: float | None = None,
        max_soft_masked_fraction: float | None = None,
        objective: ObjectiveSetting = "causal",
        sources: Sequence[Mapping[str, Any]] | None = None,
        weights_in: str = "rows",
        schedule: Sequence[Sequence[Any]] = (),
        create_attention_mask: bool = False,
        pad_to_multiple_of: int | None = None,
        count_once: bool = False,
        extra_keys: Sequence[str] = (),
        split: str = "train",
        shuffle: ShuffleSetting | None = None,
        seed: int = 42,
        num_samples: int | None = None,
        skip_rows: Sequence[Sequence[int]] = (),
        exclude_contigs: str | None = None,
        exclude_from: int = 0,
        on_read_error: str = "raise",
        read_warning_seconds: float = 120.0,
        read_threads: int = 1,
        log_windows: bool | str = False,
        log_dir: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        index_options: Mapping[str, Any] | None = None,
    ) -> None:
        arguments = self.arguments = arguments_of(EdenDataset, locals())
        """what it was made with"""
        super().__init__()
        self.seed, self.seq_length = whole_number("seed", seed), whole_number("seq_length", seq_length, least=1)
        _check_arguments(split, extra_keys, num_samples)
        chosen_log(log_windows, log_dir)
        self.log_windows, self.log_dir = log_windows, log_dir
        self._observers = Observers()
        self.split = split
        self.num_samples = num_samples
        by_default = split in {"train", "validation"}
        self.shuffle = chosen_shuffle(by_default if shuffle is None else shuffle, self.seq_length)
        multiple = None if pad_to_multiple_of is None else whole_number("pad_to_multiple_of", pad_to_multiple_of)
        self.batches = BatchTensors(tuple(extra_keys), bool(create_attention_mask), multiple)
        """what makes tensors of rows"""
        self.batches.check(self.seq_length)
        self.parts = parts_of(arguments, shuffle=self.shuffle)
        """what it is assembled of"""
        self.reader = self.parts.reader
        """the stages from numbers of rows to their tokens"""
        self.omissions = self.parts.omissions
        """which rows are left out"""
        for source in self.sources:
            source.warn_of_gaps()

    @property
    def sources(self) -> tuple[Source, ...]:
        """What rows are read from: one source, or those that are mixed."""
        return self.parts.sources

    @property
    def order(self) -> Order:
        """How windows make rows, apart from contigs that are excluded."""
        return self.parts.order

    @property
    def packing(self) -> Packing:
        """How windows share rows."""
        return self.parts.packing

    @property
    def mixture(self) -> MixedOrder | None:
        """How rows are dealt to the sources, where `sources` are given."""
        return self.parts.mixture

    def continue_mixture(self, anchor: Anchor) -> None:
        """Mix the sources from a row of the run on, after what they gave before.

        Raises:
            ConfigurationError: the dataset has no `sources` that are mixed.
        """
        if self.mixture is None:
            raise ConfigurationError(
                "this dataset mixes no sources, so there is no mixture to go on with; it needs sources=[…]"
            )
        self.parts = replace(self.parts, mixture=self.mixture.continued(anchor))
        self.reader = self.parts.reader

    def observers(self, rank: int | None = None) -> Observers | None:
        """Return those who observe the batches that this process hands out, or None where nobody does.

        Args:
            rank: its data-parallel rank; None: what "auto" says.
        """
        return self._observers if self._observers.ask(self, rank) else None

    def reader_of_rank(self, rank: int) -> BatchReader:
        """Return the reader, whose warnings name a data-parallel rank."""
        sources = (replace(source, patience=replace(source.patience, rank=rank)) for source in self.sources)
        return replace(self.reader, sources=tuple(sources))

    @property
    def epoch_rows(self) -> int:
        """Rows of one epoch, those that are left out included."""
        return len(self.order)

    def __len__(self) -> int:
        return len(self.omissions.kept(0)) if self.num_samples is None else self.num_samples

    def __getitem__(self, row: Any) -> Batch:
        """Return one row for an int (tensors [S]), a batch for a sequence of B ints (tensors [B, S]).

        Raises:
            WindowOutOfRangeError: a row outside 0 … len - 1.
        """
        if np.ndim(row) == 0:
            return RowViews(self.batch([operator.index(row)]))[0]
        return self.batch(row)

    def __getitems__(self, rows: Sequence[int] | RowBlock) -> RowViews:
        """Return rows that any collate function accepts, and that `collate_fn` turns into their batch without a copy.

        Args:
            rows: as `batch` takes them, or what `EdenBatchSampler` gives.

        Raises:
            WindowOutOfRangeError: a row outside 0 … len - 1.
        """
        return RowViews(self.batch_of_run(rows) if isinstance(rows, RowBlock) else self.batch(rows))

    def batch(self, rows: Sequence[int] | NDArray[np.int64], *, observed: bool = True) -> Batch:
        """Return the batch of these rows, in the order asked. Where rows are left out, the others are numbered anew.

        Args:
            rows: their numbers.
            observed: whether it is handed out to a loop, so that the access log and other observers are told.

        Returns:
            Tensors as the class says, with a leading dimension B, the number of rows.

        Raises:
            WindowOutOfRangeError: a row outside 0 … len - 1.
        """
        return self.batch_of_run(RowBlock.of(self.omissions.rows(self._checked(rows))), observed=observed)

    def batch_of_run(self, block: RowBlock, *, observed: bool = True) -> Batch:
        """Return the batch of rows as they are numbered through the whole run, of any epoch and left out or not.

        Args:
            block: the rows.
            observed: as for `batch`.
        """
        if block.anchor is not None and self.mixture is not None and block.anchor != self.mixture.anchor:
            self.continue_mixture(block.anchor)
        encoded = self.reader.fetch(block.rows)
        batch = self.tensors(encoded, block.rows, block.repeated)
        observers = self.observers() if observed else None
        if observers is not None:
            read = ReadRows.of(encoded, block.rows, block.repeated, self.reader.layout.used(encoded))
            observers.tell(read.batch(0, block.rows.size, None, None))
        if self.batches.attention_mask:
            batch = self.batches.masked(batch, self.seq_length, causal=self.reader.objective.shifted)
        if self.batches.pad_to_multiple_of is None:
            return batch
        return self.batches.trimmed(batch, self.reader.layout.used(encoded), self.seq_length)

    @staticmethod
    def collate_fn(rows: Sequence[Batch]) -> Batch:
        """Return the batch (tensors [B, S]) of B rows (tensors [S]) that one `__getitems__` gave, or of any others, stacked.

        Raises:
            ConfigurationError: there are no rows to stack.
        """
        if isinstance(rows, RowViews):
            return rows.batch
        if not rows:
            raise ConfigurationError("collate_fn got an empty list of rows; expected one row at least")
        stacked: Batch = default_collate(list(rows))
        return stacked

    def locate(self, rows: Sequence[int] | NDArray[np.int64], *, measured: bool = True) -> Windows:
        """Return where the windows of rows lie: sequence id, zero-based start, number of bases.

        Where windows share rows, `picks(rows).rows` says which row each belongs to.

        Args:
            rows: rows of the run, also beyond the first epoch, such as the `row_ids` of a loader's batch.
            measured: whether the bases are counted in the store, which reads them; else a window is said to have as many as
                fit, also where its sequence ends before.

        Raises:
            WindowOutOfRangeError: a row is negative.
        """
        picks = self.picks(rows)
        return self.reader.measured(picks) if measured else self.reader.locate(picks)

    def picks(self, rows: Sequence[int] | NDArray[np.int64]) -> Picks:
        """Return which windows make rows of the run: window, epoch and source of each, and its row (by its place in `rows`).

        Raises:
            WindowOutOfRangeError: a row is negative.
        """
        return self.reader.order.pick(_row_numbers(rows))

    def tensors(
        self, encoded: EncodedBatch, rows: NDArray[np.int64], repeated: NDArray[np.bool_], *, narrow: bool = False
    ) -> Batch:
        """Lay fetched rows out as a batch of tensors.

        Args:
            encoded: what `reader.fetch` gave for the rows.
            rows: int64 [B], their numbers in the run.
            repeated: bool [B], rows that get no loss weight.
            narrow: whether it is left to `eden_core.expanded` to make it the batch that consumers see.
        """
        return self.batches.make(self.reader, encoded, rows, repeated, narrow=narrow)

    @cached_property
    def source_fingerprints(self) -> dict[str, Fingerprint]:
        """All that decides which bytes a row of each source is, by the source's name; "" where there is one."""
        return self.parts.fingerprints()

    @property
    def fingerprint(self) -> Fingerprint:
        """All that decides which bytes row i is, with the bases of a few windows sampled through each index."""
        if self.mixture is None:
            return self.source_fingerprints[""]
        order: dict[str, str] = {"mixture": self.mixture.fingerprint()}
        content: dict[str, str] = {}
        for name, found in self.source_fingerprints.items():
            order |= {f"{name}: {key}": value for key, value in found.order.items()}
            content |= {f"{name}: {key}": value for key, value in found.content.items()}
        return Fingerprint(order, content)

    def close(self) -> None:
        """Close the files that this process has open, and complete what observers keep; also where one of them fails."""
        with ExitStack() as stack:
            for source in self.sources:
                stack.callback(source.close)
            stack.callback(self._observers.close)

    def _checked(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = _row_numbers(rows)
        if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= len(self)):
            outside = numbers[(numbers < 0) | (numbers >= len(self))]
            raise WindowOutOfRangeError(f"row {int(outside[0])} of a dataset of {len(self)} rows")
        return numbers


def _row_numbers(rows: Any) -> NDArray[np.int64]:
    numbers = np.asarray(rows)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise ConfigurationError(f"rows are numbered by integers, not by {numbers.dtype}")
    return numbers.astype(np.int64).reshape(-1)


def _check_arguments(split: str, extra_keys: Sequence[str], num_samples: int | None) -> None:
    if split not in SPLITS:
        raise ConfigurationError(f"split is {split!r}; expected one of {', '.join(map(repr, SPLITS))}")
    if isinstance(extra_keys, str):
        raise ConfigurationError(f"extra_keys is {extra_keys!r}; expected a list, such as [{extra_keys!r}]")
    if num_samples is not None and num_samples < 1:
        raise ConfigurationError(f"num_samples must be at least 1, not {num_samples}")
