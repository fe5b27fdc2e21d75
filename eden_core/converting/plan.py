"""What a folder is converted from, and to."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eden_core.contigs import CONTIGS
from eden_core.importing.folder import SOURCES
from eden_core.manifest import MANIFEST, index_suffix
from eden_core.runs import N_RUNS, SOFT_MASKED
from eden_core.splitting.reports import REPORT
from eden_core.splitting.words import SPLITS
from eden_core.store_at import StoreAt

TABLES = (CONTIGS, *(f"{split}.parquet" for split in SPLITS), N_RUNS, SOFT_MASKED, SOURCES, REPORT)
"""names of the files of a data folder that are carried over, beside the tables of further indexes"""


@dataclass(frozen=True)
class Plan:
    """A conversion of a folder.

    Attributes:
        source, target: the stores; their locations are the folders.
        from_index, index: names of index plugins.
    """

    source: StoreAt
    target: StoreAt
    from_index: str
    index: str

    @property
    def folder(self) -> Path:
        """The folder that is converted."""
        return Path(self.source.location)

    @property
    def indexes(self) -> list[Path]:
        """The indexes of the folder."""
        return sorted(self.folder.glob(indexes_named(self.from_index)))

    def index_name(self, place: Path) -> str:
        """Return the name of what an index of the folder becomes."""
        return place.name.removesuffix(index_suffix(self.from_index)) + index_suffix(self.index)

    @property
    def tables(self) -> list[Path]:
        """The files of the folder that are carried over as they are, or nearly so."""
        of_indexes = [place.with_name(f"{place.stem.removesuffix('_windows')}.parquet") for place in self.indexes]
        places = dict.fromkeys([*(self.folder / name for name in TABLES), *of_indexes])
        return [place for place in places if place.is_file()]

    def described(self) -> dict[str, Any]:
        """Return what must be the same for a conversion to be the same, JSON-like."""
        files = [*self.tables, *self.indexes, *([manifest] if (manifest := self.folder / MANIFEST).is_file() else [])]
        stamps = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
        source = asdict(self.source) | {"index": self.from_index, "files": stamps}
        target = {"name": self.target.name, "options": dict(self.target.options), "index": self.index}
        described: dict[str, Any] = json.loads(json.dumps({"from": source, "to": target}))
        return described


def indexes_named(index: str) -> str:
    """Return the pattern of the names of a data folder's indexes."""
    return f"*_windows{index_suffix(index)}"
