"""From the arguments of a dataset to its parts: names become plugins, and contradictions become errors."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from numbers import Integral
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.errors import ConfigurationError
from eden_core.interfaces import Objective, SequenceStore, Transform, WindowIndex
from eden_core.manifest import index_place
from eden_core.plugins import installed_plugins
from eden_core.sequence_ids import sample_or_empty
from eden_core.shuffling import BlockShuffle, Shuffle

TransformSetting = str | Mapping[str, Mapping[str, Any]] | Transform
ShuffleSetting = bool | Literal["block"] | Mapping[str, Mapping[str, int]]
ObjectiveSetting = str | Mapping[str, Mapping[str, Any]] | Objective


TRAINING_ONLY = frozenset({"shuffle", "skip_rows", "exclude_contigs", "exclude_from", "schedule"})
"""arguments of a dataset that hold for the training split alone"""


INDEX_ARGUMENTS = {
    "train": "train_window_db_path",
    "validation": "val_window_db_path",
    "test": "test_window_db_path",
    "predict": "predict_window_db_path",
}
"""split -> the argument that says where its index lies"""


def index_paths(
    given: Mapping[str, str | None], data_dir: str | None, index: str | WindowIndex = "sqlite"
) -> dict[str, str | None]:
    """Return where the index of each split lies: as given, else where a folder has it (`index_place`), if it does."""
    paths = {split: None if path is None else str(path) for split, path in given.items()}
    if data_dir is not None:
        for split in ("train", "validation", "test"):
            found = index_place(data_dir, split, index)
            if split in paths and paths[split] is None and found.exists():
                paths[split] = str(found)
    return paths


def opened_store(store: str | SequenceStore, location: str | None, options: Mapping[str, Any] | None) -> SequenceStore:
    """Return the store itself, or open the one of this name at a location."""
    if isinstance(store, SequenceStore):
        return store
    if not isinstance(store, str):
        raise ConfigurationError(f"store is {store!r:.80}; expected the name of a store plugin, or an open SequenceStore")
    if location is None:
        installed_plugins().find("store", store)
        raise ConfigurationError(f"store {store!r} needs sequence_db_dir, where its shards lie")
    return installed_plugins().store(store, str(location), options)


def opened_index(index: str | WindowIndex, location: str | None, options: Mapping[str, Any] | None) -> WindowIndex:
    """Return the index itself, or open the one of this name at a location."""
    if isinstance(index, WindowIndex):
        return index
    if not isinstance(index, str):
        raise ConfigurationError(f"index is {index!r:.80}; expected the name of an index plugin, or an open WindowIndex")
    if location is None:
        installed_plugins().find("index", index)
        raise ConfigurationError(f"index {index!r} needs window_db_path, the file that eden-precompute wrote")
    return installed_plugins().index(index, str(location), options)


def with_tiling(index: str | WindowIndex, options: Mapping[str, Any] | None, given: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the options of an index, with those that choose its windows where it can be cut anew.

    Args:
        index: its plugin's name; an open index stays as it is.
        options: as they are given.
        given: `window_size`, `stride` and `min_length` that are asked for beside them.

    Raises:
        ConfigurationError: both say one thing, and differ.
    """
    chosen = dict(options or {})
    if isinstance(index, str) and installed_plugins().index_class(index).retiles:
        for name, value in given.items():
            if value is not None and chosen.get(name) not in {None, value}:
                raise ConfigurationError(f"index_options has {name} {chosen[name]}, and {name} {value} is asked for: give one")
            chosen |= {} if value is None else {name: value}
    return chosen


def chosen_transforms(rc_aug: bool, use_control_tags: bool, further: Sequence[TransformSetting]) -> list[Transform]:
    """Return the transforms that are asked for, in order, each once."""
    if isinstance(further, str | Mapping):
        raise ConfigurationError(f"transforms is {further!r}; expected a list, such as [{further!r}]")
    short = [name for name, wanted in (("reverse-complement", rc_aug), ("control-tags", use_control_tags)) if wanted]
    made = [_transform(setting) for setting in (*short, *further)]
    names = [transform.name for transform in made]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigurationError(f"the transform {', '.join(repeated)} is asked for more than once; it must run once")
    return made


def _transform(setting: TransformSetting) -> Transform:
    made: Transform = _made("transform", Transform, setting)
    return made


def chosen_objective(setting: ObjectiveSetting) -> Objective:
    """Return the objective that is asked for."""
    made: Objective = _made("objective", Objective, setting)
    return made


def _made(kind: str, contract: type, setting: Any) -> Any:
    """Return a plugin without a place that is given as an object, by name, or by name and options."""
    if isinstance(setting, contract):
        return setting
    make = getattr(installed_plugins(), kind)
    if isinstance(setting, str):
        return make(setting)
    if isinstance(setting, Mapping) and len(setting) == 1:
        return make(*next(iter(setting.items())))
    raise ConfigurationError(
        f"{setting!r} is no {kind}; expected a name, {{'name': {{option: value}}}} or an object of a subclass of "
        f"eden_core.{contract.__name__} (docs/writing-a-plugin.md shows one)"
    )


def chosen_log(log_windows: bool | str, log_dir: str | PurePath | None) -> tuple[bool | str, str | None]:
    """Return the form of the access log that is asked for (False, "csv" or "parquet"), and its folder.

    Raises:
        ConfigurationError: there is no such form, or the folder is no local one.
    """
    form = "csv" if log_windows is True else log_windows
    if form is not False and form not in ("csv", "parquet"):
        raise ConfigurationError(f"log_windows is {log_windows!r}; expected True, False, 'csv' or 'parquet'")
    if log_dir is not None and (not isinstance(log_dir, str | PurePath) or "://" in str(log_dir)):
        raise ConfigurationError(f"log_dir is {log_dir!r}; expected the path of a local folder")
    return form, None if log_dir is None else str(log_dir)


BLOCK_TOKENS = 1 << 19
"""tokens of a block of rows that are shuffled together, unless its rows are given"""


def chosen_shuffle(setting: ShuffleSetting, seq_length: int) -> Shuffle:
    """Return how rows are shuffled.

    Args:
        setting: True, False, "block", or `{"block": {option: value}}` with the arguments of `BlockShuffle`.
        seq_length: tokens a row: a block has as many rows as make `BLOCK_TOKENS`, unless they are given.
    """
    if isinstance(setting, bool):
        return setting
    named: Any = {setting: {}} if isinstance(setting, str) else setting
    options = named.get("block") if isinstance(named, Mapping) and len(named) == 1 else None
    known = [field.name for field in fields(BlockShuffle)]
    if not isinstance(options, Mapping) or not set(options) <= set(known):
        raise ConfigurationError(
            f"shuffle is {setting!r}; expected True, False, 'block', or {{'block': {{option: number}}}} with the options "
            f"{', '.join(known)}"
        )
    given = {name: whole_number(f"{name} of shuffle='block'", value, least=1) for name, value in options.items()}
    return BlockShuffle(**{"rows": max(1, BLOCK_TOKENS // seq_length)} | given)


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """Return a whole number, or raise `ConfigurationError` where an argument is none, or below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or (least is not None and int(value) < least):
        wanted = "an integer" if least is None else f"an integer of {least} or more"
        raise ConfigurationError(f"{name} is {value!r}; expected {wanted}")
    return int(value)


def true_or_false(name: str, value: Any) -> bool:
    """Return whether something is wanted, or raise `ConfigurationError` where an argument is neither True nor False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; expected True or False")
    return value


CHECKED_SAMPLES = 256
"""samples of an index that are looked for in the store before a run"""

CHECKED_WINDOWS = 1 << 20
"""windows up to which all contigs of an index are gone through to find them"""


def check_samples(index: WindowIndex, store: SequenceStore) -> None:
    """Read one base of each sample that an index names, of `CHECKED_SAMPLES` spread evenly where there are more.

    Raises:
        ShardNotFoundError, SequenceNotFoundError, StaleIndexError, FormatError, OSError: what reading raises.
    """
    store.read(first_bases(index, checked_windows(index)))


def checked_windows(index: WindowIndex) -> NDArray[np.int64]:
    """Return a window of each sample, of `CHECKED_SAMPLES` spread evenly where there are more, int64 [n]."""
    found = np.array(sorted(_windows_by_sample(index).values()), np.int64)
    count = min(found.size, CHECKED_SAMPLES)
    return found[np.arange(count) * found.size // count]


def first_bases(index: WindowIndex, window_ids: NDArray[np.int64]) -> Windows:
    """Return the first base of windows, for a store to read."""
    return replace(index.lookup(window_ids), lengths=np.ones(window_ids.size, np.int64))


def _windows_by_sample(index: WindowIndex) -> dict[str, int]:
    """One window of each sample; in a large index, of the samples that windows spread evenly come upon."""
    if len(index) > CHECKED_WINDOWS:
        windows = index.lookup(np.arange(16 * CHECKED_SAMPLES) * len(index) // (16 * CHECKED_SAMPLES))
        return dict(zip(map(sample_or_empty, windows.sequence_ids), windows.window_ids.tolist(), strict=True))
    return {
        sample_or_empty(contig_id): first
        for batch in index.contigs()
        for contig_id, first in zip(
            batch.column("contig_id").to_pylist(), batch.column("first_window").to_pylist(), strict=True
        )
    }
