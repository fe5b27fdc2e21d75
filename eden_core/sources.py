"""From settings to sources: what each reads, how its windows make rows, and how the sources are mixed."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.asked_windows import check_tiling
from eden_core.assembly import (
    INDEX_ARGUMENTS,
    TransformSetting,
    chosen_transforms,
    index_paths,
    opened_index,
    opened_store,
    with_tiling,
)
from eden_core.batch import Windows
from eden_core.errors import ConfigurationError, InputError
from eden_core.interfaces import SequenceStore, Transform, WindowIndex
from eden_core.layout import Layout
from eden_core.manifest import index_place
from eden_core.mixing import key_of, mix
from eden_core.mixture import MixedOrder, WholeMixture
from eden_core.order import Order
from eden_core.patience import Patience
from eden_core.planning import Packing, RowPlanner
from eden_core.read_threads import ReadThreads
from eden_core.runs import N_RUNS, SOFT_MASKED, RunLimit
from eden_core.shuffling import Shuffle
from eden_core.source import Source
from eden_core.window_lengths import LengthSource

WEIGHTS_IN = ("rows", "bases")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceSettings:
    """What one source reads; what an entry of `sources` does not say is as the dataset's own argument says.

    Attributes:
        store, index, sequence_db_dir, window_db_path, store_options, index_options: the plugins and where they lie.
        stride, window_size, window_min_length_threshold: what the index must have been built with, or is cut with where it can
            be cut anew; None: as it was.
        rc_aug, use_control_tags, transforms: what is done to its windows.
        contigs: table with the lengths of its contigs, where the index does not know them.
        max_n_fraction, max_soft_masked_fraction: windows with a larger share are left out.
        name: what the source is called; by default the name of the folder of its index.
        weight: its share of the rows (or bases) in relation to the other sources.
        max_epochs: after how many of its epochs it is used up.
    """

    store: str | SequenceStore = "sqlite-shards"
    index: str | WindowIndex = "sqlite"
    sequence_db_dir: str | None = None
    window_db_path: str | None = None
    store_options: Mapping[str, Any] | None = None
    index_options: Mapping[str, Any] | None = None
    stride: int | None = None
    window_size: int | None = None
    window_min_length_threshold: int | None = None
    rc_aug: bool = False
    use_control_tags: bool = False
    transforms: Sequence[TransformSetting] = ()
    contigs: str | None = None
    max_n_fraction: float | None = None
    max_soft_masked_fraction: float | None = None
    name: str = ""
    weight: float | None = None
    max_epochs: float | None = None

    def __post_init__(self) -> None:
        for argument in ("weight", "max_epochs"):
            value = getattr(self, argument)
            number = isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < np.inf
            if value is not None and not number:
                raise ConfigurationError(f"source {self.name!r} has {argument} {value!r}; expected a number of 0 or more")


_NAMES = frozenset(field.name for field in fields(SourceSettings))


def source_settings(arguments: Mapping[str, Any], sources: Sequence[Mapping[str, Any]] | None) -> list[SourceSettings]:
    """Return the settings of each source, or of the only one.

    Raises:
        ConfigurationError: an entry has an unknown key, or two sources have one name.
    """
    common = SourceSettings(**{name: value for name, value in arguments.items() if name in _NAMES})
    if not sources:
        return [common]
    found = []
    for entry in sources:
        unknown = sorted(set(entry) - _NAMES) if isinstance(entry, Mapping) else [repr(entry)]
        if unknown:
            raise ConfigurationError(
                f"sources has an entry with {', '.join(unknown)}; known keys are {', '.join(sorted(_NAMES))}"
            )
        one = replace(common, **entry)
        found.append(one if one.name else replace(one, name=_default_name(one)))
    names = [one.name for one in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigurationError(
            f"two sources are called {', '.join(map(repr, repeated))}: give each entry of sources a name of its own, which "
            "checkpoints know it by"
        )
    return found


def sources_of_split(
    sources: Sequence[Mapping[str, Any]] | None, split: str, index: str | WindowIndex = "sqlite"
) -> list[dict[str, Any]]:
    """Return the entries of `sources` that have an index of a split, with its path.

    An entry may say `data_dir`, a folder with shards and indexes (`<split>_windows.db`), in place of paths.

    Args:
        sources: the entries.
        split: the split.
        index: the index plugin of those that name none.
    """
    found = []
    for entry in sources or ():
        if not isinstance(entry, Mapping):
            raise ConfigurationError(f"sources holds {entry!r}; expected dicts such as {{'data_dir': …, 'weight': 1}}")
        unknown = sorted(set(entry) - _NAMES - {"data_dir", *INDEX_ARGUMENTS.values()})
        if unknown:
            known = ", ".join(sorted({*_NAMES, "data_dir", *INDEX_ARGUMENTS.values()} - {"window_db_path"}))
            raise ConfigurationError(f"sources has an entry with {', '.join(unknown)}; known keys are {known}")
        data_dir = entry.get("data_dir")
        plugin = entry.get("index", index)
        paths = index_paths({one: entry.get(argument) for one, argument in INDEX_ARGUMENTS.items()}, data_dir, plugin)
        path = paths[split]
        if path is None:
            if not any(paths.values()) or (split == "train" and not {"weight", "max_epochs"}.isdisjoint(entry)):
                expected = "" if data_dir is None else index_place(Path(data_dir).absolute(), split, plugin)
                place = f" (there is no {expected})" if expected else ""
                raise ConfigurationError(
                    f"the source {entry.get('name', data_dir)!r} has no index of {split} windows{place}: give "
                    f"{INDEX_ARGUMENTS[split]}, or data_dir, or leave the entry out"
                )
            continue
        own = {name: value for name, value in entry.items() if name not in {"data_dir", *INDEX_ARGUMENTS.values()}}
        place = entry.get("sequence_db_dir", data_dir)
        found.append(own | {"window_db_path": path} | ({} if place is None else {"sequence_db_dir": str(place)}))
    return found


def _default_name(settings: SourceSettings) -> str:
    place = settings.index.location if isinstance(settings.index, WindowIndex) else settings.window_db_path
    return "" if place is None else Path(str(place)).absolute().parent.name


@dataclass(frozen=True)
class SourceBuilder:
    """Opens sources of one dataset.

    Args:
        layout: of its rows.
        packing: how windows share rows.
        seq_length: tokens a row.
        seed, shuffle: of the orders.
        augment: whether transforms that augment run.
        patience, count_once: as for `Source`.
        read_threads: threads that read from a store at once, as many as it allows.
    """

    layout: Layout
    packing: Packing
    seq_length: int
    seed: int
    shuffle: Shuffle
    augment: bool
    patience: Patience
    count_once: bool
    read_threads: int = 1

    def source(self, settings: SourceSettings) -> Source:
        """Open what a source reads.

        Raises:
            ConfigurationError: its index was not built for what is asked.
        """
        store = opened_store(settings.store, settings.sequence_db_dir, settings.store_options)
        given = {"stride": settings.stride, "min_length": settings.window_min_length_threshold}
        given["window_size"] = settings.window_size
        options = with_tiling(settings.index, settings.index_options, given)
        index = opened_index(settings.index, settings.window_db_path, options)
        vocabulary = self.layout.vocabulary
        check_tiling(index, given, self.seq_length, vocabulary, packed=bool(self.packing))
        chain = chosen_transforms(settings.rc_aug, settings.use_control_tags, settings.transforms)
        bound = tuple(t.bind(vocabulary) for t in chain if self.augment or not t.augments)
        threads = ReadThreads(allowed_threads(store, self.read_threads))
        return Source(index, store, bound, self.layout, self.patience, threads, self.count_once, settings.name)

    def order(self, settings: SourceSettings, source: Source) -> Order:
        """Return how the windows of a source make rows."""
        if self.packing and self.layout.vocabulary.table is None:
            raise ConfigurationError(
                f"packing needs one token a base, so that lengths are known before bases are read; tokenizer "
                f"{self.layout.vocabulary.name} does not give that: use packing='none'"
            )
        overheads = _Overheads(source, self.seq_length)
        seed = self.seed if not settings.name else int(mix(np.uint64(self.seed & 0xFFFFFFFFFFFFFFFF), key_of(settings.name))[0])
        planner = RowPlanner(
            self.packing,
            self.seq_length,
            _limits(settings, source),
            LengthSource(source.index, source.store, settings.contigs),
            overheads,
            overheads.key,
            seed,
            self.shuffle,
        )
        return planner.order()


def allowed_threads(store: SequenceStore, wanted: int) -> int:
    """Return how many threads read from a store: as many as are wanted, and as it allows."""
    if wanted > store.max_read_threads:
        _warn_once(
            f"read_threads is {wanted}, and store {store.name!r} allows {store.max_read_threads}: to read more at a time from "
            "it, raise num_workers"
        )
    return min(wanted, store.max_read_threads)


@cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)


@dataclass(frozen=True)
class _Overheads:
    """Counts the tokens of windows that are no bases."""

    source: Source
    seq_length: int

    def __call__(self, windows: Windows) -> NDArray[np.int64]:
        return self.seq_length - self.source.room(windows)

    @property
    def key(self) -> object:
        """What the counts depend on."""
        prefixing = [t.fingerprint() for t in self.source.transforms if type(t).prefix_lengths is not Transform.prefix_lengths]
        layout = self.source.layout
        plain = int(self.seq_length - layout.room(np.zeros(1, np.int64))[0])
        return plain, layout.vocabulary.sep is not None, prefixing, layout.vocabulary.name if prefixing else ""


def _limits(settings: SourceSettings, source: Source) -> list[RunLimit]:
    limits = []
    for argument, table in (("max_n_fraction", N_RUNS), ("max_soft_masked_fraction", SOFT_MASKED)):
        most = getattr(settings, argument)
        if most is None:
            continue
        if isinstance(most, bool) or not isinstance(most, Real) or not 0 <= float(most) <= 1:
            raise ConfigurationError(f"{argument} is {most!r}; expected a share from 0 to 1")
        contigs = LengthSource(source.index, source.store, settings.contigs).table
        place = None if contigs is None else Path(contigs).with_name(table)
        if place is None or not place.is_file():
            raise InputError(
                f"{argument} needs {place or table}, the table of runs that `eden import` writes beside contigs.parquet: "
                "import the genome again, or leave the limit out"
            )
        if source.count_once:
            raise ConfigurationError(
                f"count_once and {argument} do not go together: bases that windows share with one left out would count nowhere"
            )
        limits.append(RunLimit(str(place), float(most)))
    return limits


def mixed(
    orders: Mapping[str, Order],
    settings: Sequence[SourceSettings],
    sources: Sequence[Source],
    *,
    weights_in: str,
    schedule: Sequence[Any],
    natural: bool,
) -> MixedOrder:
    """Mix the orders of sources.

    Args:
        orders: by name.
        settings: of the same sources.
        sources: the same, opened.
        weights_in: "rows" or "bases".
        schedule: (first row, weights by name) pairs.
        natural: whether weights are left aside, and each row of each source comes once an epoch.

    Raises:
        ConfigurationError: the weights have no meaning.
    """
    if weights_in not in WEIGHTS_IN:
        raise ConfigurationError(f"weights_in is {weights_in!r}; expected 'rows' or 'bases'")
    if natural:
        return WholeMixture(orders)
    missing = [one.name for one in settings if one.weight is None]
    if missing and len(missing) < len(settings):
        raise ConfigurationError(f"the sources {', '.join(missing)} have no weight, and others have: give every one a weight")
    weights = {one.name: len(orders[one.name]) if one.weight is None else one.weight for one in settings}
    by_row = {one.name: 1.0 for one in settings}
    if weights_in == "bases" and not missing:
        by_row = {s.name: mean_bases(orders[s.name], s) for s in sources}
    phases = [(row, _per_row(given, by_row)) for row, given in map(_phase, schedule)]
    max_epochs = {one.name: one.max_epochs for one in settings}
    return MixedOrder(orders, _per_row(weights, by_row), max_epochs=max_epochs, schedule=phases)


def _phase(entry: Any) -> tuple[int, Mapping[str, float]]:
    pair = tuple(entry) if isinstance(entry, Sequence) and not isinstance(entry, str) else ()
    if len(pair) != 2 or not isinstance(pair[0], Integral) or not isinstance(pair[1], Mapping) or not _numbers(pair[1]):
        raise ConfigurationError(f"schedule has {entry!r}; expected pairs (row of the run, {{source: weight}})")
    return int(pair[0]), pair[1]


def _numbers(weights: Mapping[str, Any]) -> bool:
    return all(isinstance(weight, Real) for weight in weights.values())


def _per_row(weights: Mapping[str, float], by_row: Mapping[str, float]) -> dict[str, Any]:
    return {name: Fraction(str(weight)) / Fraction(str(by_row.get(name, 1))) for name, weight in weights.items()}


SAMPLED_TOKENS = 1 << 22
"""tokens of the rows that are read to find how many bases a row of a source has"""


def mean_bases(order: Order, source: Source) -> float:
    """Return the mean bases of a row, of rows of four million tokens spread evenly through an epoch where there are more."""
    count = min(len(order), max(1, SAMPLED_TOKENS // source.layout.seq_length))
    picks = order.pick(np.arange(count) * len(order) // count)
    windows = source.measured(source.locate(picks))
    return float(windows.lengths.sum()) / count
