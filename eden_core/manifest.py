"""The manifest of a folder that `eden prepare` made: what it holds, and which plugins read it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.errors import ConfigurationError, InputError
from eden_core.interfaces import WindowIndex
from eden_core.plugins import installed_plugins

MANIFEST = "eden.json"


def index_place(folder: str | Path, split: str, index: str | WindowIndex = "sqlite") -> Path:
    """Return where a folder has the index of a split, given its plugin's name, or an open index."""
    return Path(folder) / f"{split}_windows{index_suffix(index)}"


def index_suffix(index: str | WindowIndex) -> str:
    """Return how the names of an index's files end."""
    return (index if isinstance(index, WindowIndex) else installed_plugins().index_class(index)).suffix


def store_plugin(folder: str | Path) -> str:
    """Return the name of a folder's store plugin: as it was prepared, else as it was imported, else "sqlite-shards"."""
    manifest, sources = read_manifest(folder), Path(folder) / "sources.parquet"
    if manifest is not None:
        return str(manifest["store"])
    try:
        settings = pq.read_table(sources, columns=["settings"]).slice(0, 1).column("settings").to_pylist()
        return str(json.loads(settings[0])["store"])
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException):
        return "sqlite-shards"


def index_plugin(folder: str | Path) -> str:
    """Return the name of the index plugin of a folder: as it was prepared, else by the names of its files, else "sqlite"."""
    manifest = read_manifest(folder)
    if manifest is not None:
        return str(manifest["index"])
    names = ["sqlite", *(entry.name for entry in installed_plugins().entries("index") if entry.name != "sqlite")]
    found = (name for name in names if any(Path(folder).glob(f"*_windows{index_suffix(name)}")))
    return next(found, "sqlite")


def read_manifest(folder: str | Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, or None where it has none.

    Raises:
        InputError: it cannot be read.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = dict(json.loads(path.read_text()))
        found["store"], found["index"], found["splits"], found["plan"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no manifest that can be read ({error!r}): prepare the folder anew") from error
    return found


def check_plugins(folder: str | Path, **named: object) -> None:
    """Raise `ConfigurationError` where the store or index that is asked for is not what a folder was prepared with.

    Args:
        folder: the folder.
        named: kind -> name of a plugin, or an open object, which knows best.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return
    wrong = {kind: name for kind, name in named.items() if isinstance(name, str) and manifest[kind] != name}
    if wrong:
        made = ", ".join(f"{kind}={manifest[kind]!r}" for kind in wrong)
        asked = ", ".join(f"{kind}={name!r}" for kind, name in wrong.items())
        raise ConfigurationError(f"{folder} was prepared with {made}, and {asked} is asked for: leave them out, or give {made}")
