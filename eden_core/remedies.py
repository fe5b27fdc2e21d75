"""The commands that mend a data folder: those that made it, as far as its files say."""

import json
import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.asked_windows import tiling_options
from eden_core.contigs import CONTIGS
from eden_core.errors import InputError
from eden_core.importing.folder import SOURCES
from eden_core.manifest import read_manifest
from eden_core.splitting.reports import REPORT, read_report
from eden_core.tiling import Tiling

_TILING = ("window_size", "stride", "min_length", "keep_tail", "reserve")
_FIELDS = {"sequence": "--sequence-field", "id": "--id-field"}


class Remedies:
    """Commands for one data folder; its tables are read when a command is asked for that needs them.

    Args:
        folder: the data folder.
        contigs: its table of contigs; None: `contigs.parquet`.
    """

    def __init__(self, folder: str | Path, contigs: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self._contigs = self.folder / CONTIGS if contigs is None else contigs

    def importing(self, sample: str, *, force: bool = True) -> str:
        """Return the command that imports one sample again.

        Other words come where there is no such command: shards that were not imported are copied again, and equal sequences are
        found only among all sources together.
        """
        file = self._files.get(sample)
        if file is None:
            relist = shlex.join(["eden", "contigs", str(self.folder), "--digests", "--force"])
            return f"copy the shard there again, or, if it is right as it is, list what shards hold now: {relist}"
        settings = json.loads(file["settings"])
        shares_shards = (self.folder / file["location"]).is_dir()
        if settings.get("dedup") and shares_shards and len(self._files) > 1:
            return self.importing_all()
        if settings.get("dedup") and not shares_shards:
            remove = shlex.join(["rm", "-f", str(self.folder / file["location"])])
            return f"{remove}, and then the command that imported the folder, which reads {file['path']} again"
        words = ["eden", "import", file["path"], "--out", str(self.folder), "--sample", sample]
        words += [*(["--tag", file["tag"]] if file["tag"] else []), *_import_options(settings)]
        return shlex.join([*words, *(["--force"] if force else [])])

    def importing_all(self) -> str:
        """Return the command that imports everything again."""
        if len(self._files) == 1:
            return self.importing(next(iter(self._files)))
        # Relative paths of a manifest begin at its folder, and these at where the import was run.
        known = bool(self._files) and all(Path(file["path"]).is_absolute() for file in self._files.values())
        words = ["eden", "import", *(["--manifest", str(self.folder / SOURCES)] if known else ["SOURCES"])]
        words += ["--out", str(self.folder)]
        for file in list(self._files.values())[:1]:
            words += _import_options(json.loads(file["settings"]))
        return shlex.join([*words, "--force"])

    def splitting(self) -> str:
        """Return the command that divides the contigs again, as they were."""
        words = ["eden", "split", str(self._contigs), "--out", str(self.folder)]
        for name, value in self._report["settings"].items():
            words += [f"--{name.replace('_', '-')}", ",".join(value) if isinstance(value, list) else str(value)]
        return shlex.join([*words, "--force"])

    @cached_property
    def splits(self) -> list[str]:
        """The splits that the report of the last division names."""
        return list(self._report["splits"])

    @cached_property
    def _files(self) -> dict[str, dict[str, Any]]:
        try:
            rows = pq.read_table(self.folder / SOURCES, columns=["path", "sample", "tag", "location", "settings"]).to_pylist()
        except (pa.ArrowException, OSError, KeyError):
            return {}
        return {row["sample"]: row for row in rows}

    @cached_property
    def _report(self) -> dict[str, Any]:
        try:
            return read_report(self.folder / REPORT)
        except InputError:
            return {"settings": {}, "splits": {}}


def precompute_command(table: str | Path, location: str | Path, plugin: str, tiling: Tiling | None) -> str:
    """Return the command that builds an index again; without a tiling as the folder's manifest says, if it has one."""
    words = ["eden-precompute", str(table), str(location)]
    tiling = tiling or prepared_tiling(Path(location).parent)
    words += ["--window-size", "N", "--stride", "N"] if tiling is None else tiling_options(tiling)
    words += ["--index", plugin] if plugin != "sqlite" else []
    return shlex.join([*words, "--force"])


def prepared_tiling(folder: Path) -> Tiling | None:
    """Return how `eden prepare` cut windows; None: it did not make the folder, or its manifest does not say."""
    try:
        manifest = read_manifest(folder)
        return None if manifest is None else Tiling(**{name: manifest["tiling"][name] for name in _TILING})
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _import_options(settings: Mapping[str, Any]) -> list[str]:
    words = []
    for name in ("store", "min_length", "split_at_n", "cut_every", "other_letters"):
        value = settings.get(name)
        if value not in {None, 0, "error", "sqlite-shards"}:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if settings.get("store_options"):
        words += ["--store-options", json.dumps(settings["store_options"])]
    words += ["--dedup"] if settings.get("dedup") else []
    for name, option in _FIELDS.items():
        value = settings.get("fields", {}).get(name)
        words += [option, value] if value not in {None, "text", "record"} else []
    return words
