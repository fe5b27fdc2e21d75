"""What `eden preview` and `eden bench` have in common: the arguments of a dataset, from a folder and options."""

import inspect
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from eden_core.assembly import index_paths, opened_index
from eden_core.errors import ConfigurationError
from eden_core.manifest import index_place, index_plugin, read_manifest
from eden_core.sources import sources_of_split

OPTION_HELP = "argument of EdenDataset, such as rc_aug=true; repeatable."
DataOption = Annotated[list[str] | None, typer.Option("--option", help=f"An {OPTION_HELP}", metavar="NAME=VALUE")]


def options_of(given: Sequence[str]) -> dict[str, Any]:
    """Return what `NAME=VALUE` says; a value that is no JSON is text.

    Raises:
        ConfigurationError: something has another form.
    """
    found: dict[str, Any] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"--option is {one!r}; expected NAME=VALUE, such as rc_aug=true")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def dataset_arguments(data: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an `EdenDataset`: those that are given, and what a folder says of others.

    Rows are as long as the windows of the index unless something else is said.

    Args:
        data: a folder with shards and indexes; None: the options say where they lie.
        options: arguments by name; `split` is among them. An entry of `sources` may say `data_dir`.

    Raises:
        ConfigurationError: an argument that there is not, or the folder has no index of the split.
    """
    from eden_core.dataset import EdenDataset

    unknown = sorted(set(options) - set(inspect.signature(EdenDataset).parameters))
    if unknown:
        raise ConfigurationError(f"EdenDataset has no argument {', '.join(unknown)}: see its documentation for those it has")
    if options.get("sources"):
        return {"sequence_db_dir": data} | options | {"sources": _placed(options["sources"], options["split"])}
    manifest = None if data is None else read_manifest(data)
    found: dict[str, Any] = {"store": manifest["store"]} if manifest else {}
    if data is not None:
        found["index"] = index_plugin(data)
    found |= {"sequence_db_dir": data, **options}
    found["window_db_path"] = _index_in(data, found)
    if "seq_length" not in found:
        with opened_index(found.get("index", "sqlite"), found["window_db_path"], found.get("index_options")) as index:
            found["seq_length"] = index.tiling.window_size
    return found


def _placed(sources: Any, split: str) -> list[Any]:
    """Return entries of sources with paths in place of `data_dir`."""
    found: list[Any] = []
    for entry in sources if isinstance(sources, list) else [sources]:
        found += sources_of_split([entry], split) if isinstance(entry, dict) and "data_dir" in entry else [entry]
    return found


def _index_in(data: str | None, options: dict[str, Any]) -> str | None:
    split = options["split"]
    index = options.get("index", "sqlite")
    found = index_paths({split: options.get("window_db_path")}, data, index)[split]
    if found is None and data is not None:
        raise ConfigurationError(
            f"there is no {index_place(data, split, index)}, the index of {split} windows: give --window-db-path, or a "
            "folder with an index that eden-precompute wrote"
        )
    return found
