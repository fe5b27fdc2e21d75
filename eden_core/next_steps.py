"""What to do next with a folder, in words that run as they stand: commands, and the data module in Python."""

import shlex
from pathlib import Path
from typing import Any

from eden_core.manifest import index_place, index_plugin
from eden_core.tiling import DEFAULT_WINDOW_SIZE

_DEFAULTS = {"store": "sqlite-shards", "index": "sqlite", "seq_length": DEFAULT_WINDOW_SIZE}


def data_module_call(**arguments: Any) -> str:
    """Return how `EdenDataModule` is made.

    Args:
        arguments: by name; those that are None, or as it has them by default, are left out.

    >>> data_module_call(data_dir="d", store="sqlite-shards", index="arrow", seq_length=512)
    "EdenDataModule(data_dir='d', index='arrow', seq_length=512)"
    """
    said = {name: value for name, value in arguments.items() if value is not None and value != _DEFAULTS.get(name)}
    return f"EdenDataModule({', '.join(f'{name}={value!r}' for name, value in said.items())})"


def precompute_command(table: Path, folder: Path, split: str | None = None) -> str:
    """Return the command that indexes a table with the index plugin of a folder.

    Args:
        table: of contigs.
        folder: that the index goes to.
        split: whose index it is; None: the table is named by its split.
    """
    plugin = index_plugin(folder)
    command = ["eden-precompute", str(table), str(index_place(folder, split or table.stem, plugin))]
    return shlex.join([*command, *(["--index", plugin] if plugin != _DEFAULTS["index"] else [])])
