"""The manifest of a folder that `eden prepare` made: what it holds, and which plugins read it."""

import json
from pathlib import Path
from typing import Any

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
    for kind, name in named.items():
        if manifest is not None and isinstance(name, str) and manifest[kind] != name:
            raise ConfigurationError(
                f"{folder} was prepared with {kind} {manifest[kind]!r}, and {kind}={name!r} is asked for: give "
                f"{kind}={manifest[kind]!r}"
            )
