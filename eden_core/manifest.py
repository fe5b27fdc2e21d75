"""The manifest of a folder that `eden prepare` made: what it holds, and which plugins read it."""

import json
from pathlib import Path
from typing import Any

from eden_core.errors import ConfigurationError, InputError

MANIFEST = "eden.json"


def index_place(folder: str | Path, split: str) -> Path:
    """Return where a folder has the index of a split."""
    return Path(folder) / f"{split}_windows.db"


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
