"""How a sample of a data folder is imported again."""

import json
import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.import_folder import SOURCES

_FLAGS = {
    "min_length": "--min-length",
    "split_at_n": "--split-at-n",
    "cut_every": "--cut-every",
    "other_letters": "--other-letters",
}
_USUAL = {"min_length": 0, "split_at_n": None, "cut_every": None, "other_letters": "error"}


def import_again(folder: str | Path, sample: str) -> str:
    """Return what a user does to get the shard of a sample back, as it was.

    Args:
        folder: the data folder.
        sample: whose shard is missing or damaged.

    Returns:
        The command, with the source, tag and settings of the import; other words where there is no such command: shards that
        were not imported are copied again, and duplicates are found only among all sources together.
    """
    row = _source(Path(folder), sample)
    if row is None:
        relist = shlex.join(["eden", "contigs", str(folder), "--digests", "--force"])
        return f"copy the shard there again, or, if it is right as it is, list what shards hold now: {relist}"
    settings = json.loads(row["settings"])
    if settings["dedup"]:
        remove = shlex.join(["rm", "-f", str(Path(folder) / row["location"])])
        return f"{remove}, and then the command that imported the folder, which reads {row['path']} again"
    words = ["eden", "import", row["path"], "--out", str(folder), "--sample", sample, "--tag", row["tag"], *_options(settings)]
    return shlex.join([*words, "--force"])


def _source(folder: Path, sample: str) -> dict[str, Any] | None:
    """Return the row of a sample in the table of sources."""
    if not (folder / SOURCES).exists():
        return None
    try:
        rows = pq.read_table(folder / SOURCES, filters=[("sample", "=", sample)]).to_pylist()
    except (pa.ArrowException, OSError):
        return None
    return rows[0] if rows else None


def _options(settings: dict[str, Any]) -> list[str]:
    given = [word for name, flag in _FLAGS.items() if settings[name] != _USUAL[name] for word in (flag, str(settings[name]))]
    fields = settings["fields"]
    usual = {"sequence": "text", "id": "record"}
    given += [word for name in usual if fields[name] != usual[name] for word in (f"--{name}-field", fields[name])]
    return given + (["--store", settings["store"]] if settings["store"] != "sqlite-shards" else [])
