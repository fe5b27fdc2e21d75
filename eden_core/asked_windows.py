"""Whether the windows of an index are those that a dataset asks for, and what to do where they are not."""

import shlex
from collections.abc import Mapping
from dataclasses import replace

from eden_core.assembly import whole_number
from eden_core.errors import ConfigurationError
from eden_core.interfaces import WindowIndex
from eden_core.tiling import PLAIN_RESERVE, Tiling
from eden_core.vocabulary import Vocabulary


def check_tiling(
    index: WindowIndex, given: Mapping[str, int | None], seq_length: int, vocabulary: Vocabulary, *, packed: bool = False
) -> None:
    """Raise `ConfigurationError` when the windows of an index are not those that are asked for.

    Windows that share rows may be shorter than these.
    """
    tiling = index.tiling
    wanted = dict(given)
    if vocabulary.table is not None:
        if wanted["window_size"] is None and not (packed and tiling.window_size < seq_length):
            wanted["window_size"] = seq_length
        if wanted["window_size"] not in {None, seq_length} and not (packed and wanted["window_size"] < seq_length):
            raise ConfigurationError(
                f"window_size {wanted['window_size']} and seq_length {seq_length} differ, and tokenizer {vocabulary.name} "
                "makes one token of each base: leave window_size out"
            )
    asked = {name: value for name, value in wanted.items() if value is not None}
    if any(value != getattr(tiling, name) for name, value in asked.items()):
        numbers = {name: whole_number(_ARGUMENTS[name], value) for name, value in asked.items()}
        raise ConfigurationError(_refusal(index, numbers, seq_length))


def tiling_options(tiling: Tiling) -> list[str]:
    """Return the options of `eden-precompute` that cut in this way."""
    words = ["--window-size", str(tiling.window_size), "--stride", str(tiling.stride)]
    words += ["--window-min-length-threshold", str(tiling.min_length)] if tiling.min_length else []
    words += ["--keep-tail", "--reserve", str(tiling.reserve)] if tiling.keep_tail else []
    return words + (["--allow-gaps"] if tiling.stride > tiling.row_bases else [])


def _refusal(index: WindowIndex, asked: Mapping[str, int], seq_length: int) -> str:
    tiling, other = index.tiling, _cut_as_asked(index.tiling, asked)
    wrong = [name for name, value in asked.items() if value != getattr(tiling, name)]
    found = ", ".join(f"{name} {getattr(tiling, name)}" for name in wrong)
    instead = ", ".join(f"{name} {asked[name]}" for name in wrong)
    of_rows = asked.get("window_size") == seq_length
    text = (
        f"index {index.location} {'has windows with' if index.retiles else 'was built with'} {found}, but {instead} is asked "
        f"for (a row has seq_length {seq_length} tokens). Follow the index with {_arguments(tiling, wrong, of_rows=of_rows)}"
    )
    if other == tiling:
        return text
    if index.retiles:
        chosen = ["window_size", "stride", *(["min_length"] if other.min_length else [])]
        return f"{text}, or let it be cut in another way when it is opened: {_arguments(other, chosen, of_rows=False)}"
    changed = [name for name, value in asked.items() if value != getattr(other, name)]
    also = f", and give {_arguments(other, changed, of_rows=of_rows)} with it" if changed else ""
    command = shlex.join(tiling_options(other))
    return f"{text}, or build another one, in a file of its own{also}: eden-precompute SPLIT.parquet WINDOWS.db {command}"


_ARGUMENTS = {"window_size": "window_size", "stride": "stride", "min_length": "window_min_length_threshold"}


def _arguments(tiling: Tiling, names: list[str], *, of_rows: bool) -> str:
    """Return the arguments of a dataset that ask for windows; `of_rows`: as many bases as a row has tokens."""
    shown = _ARGUMENTS | ({"window_size": "seq_length"} if of_rows else {})
    return ", ".join(f"{shown[name]}={getattr(tiling, name)}" for name in sorted(names, key=list(_ARGUMENTS).index))


def _cut_as_asked(tiling: Tiling, asked: Mapping[str, int]) -> Tiling:
    """Return the tiling that is asked for; windows overlap as much as now where no stride is, or one that leaves gaps."""
    window_size = asked.get("window_size", tiling.window_size)
    reserve = min(tiling.reserve, window_size - 1) if tiling.keep_tail else tiling.reserve
    stride, min_length = asked.get("stride", tiling.stride), asked.get("min_length", tiling.min_length)
    other = Tiling(window_size, stride, min_length, tiling.keep_tail, reserve)
    if "stride" not in asked or other.stride > other.row_bases:
        overlap = max(reserve if tiling.keep_tail else PLAIN_RESERVE, tiling.window_size - tiling.stride)
        other = replace(other, stride=min(max(1, window_size - overlap), other.row_bases))
    return other
