"""What a split came to: by split, what was left out, and with which rules; kept as JSON beside the tables."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eden_core.atomic import atomic_path
from eden_core.errors import InputError
from eden_core.splitting.clusters import ClusterCounts
from eden_core.splitting.places import Guarded
from eden_core.splitting.rules import SplitRules

if TYPE_CHECKING:
    from eden_core.leakage import Leakage

REPORT = "split_report.json"


def read_report(path: str | Path) -> dict[str, Any]:
    """Return what the report of a split holds, `settings` and `splits` among it.

    Raises:
        InputError: it cannot be read.
    """
    try:
        found: dict[str, Any] = dict(json.loads(Path(path).read_text(encoding="utf-8")))
        found["settings"], found["splits"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no report of a split that can be read ({error!r}); eden split writes it") from error
    return found


@dataclass(frozen=True)
class SplitSummary:
    """One split that was written."""

    location: Path
    contigs: int
    rows: int
    """of the table: the same, or more where contigs are in regions"""
    samples: int
    """different ones; contigs that name none are not counted"""
    bases: int
    share: float
    """of the bases that are in any split"""
    share_wanted: float | None
    """None where nobody said"""


@dataclass(frozen=True)
class SplitReport:
    """What a split came to."""

    contigs: Path
    """the table of contigs"""
    rules: SplitRules
    """how they were divided"""
    splits: dict[str, SplitSummary]
    """name -> what it holds"""
    units: int
    """of which each went to one split"""
    excluded_contigs: int
    """that no split has"""
    excluded_bases: int
    """of these"""
    guarded: Guarded | None
    """by region only"""
    clusters: ClusterCounts | None
    """where units are clusters"""
    leakage: "Leakage | None" = None
    """where it was looked for"""

    def as_json(self) -> dict[str, Any]:
        """Return what the file holds: numbers, texts and file names without their folders."""
        left_out: dict[str, Any] = {"excluded": {"contigs": self.excluded_contigs, "bases": self.excluded_bases}}
        if self.guarded is not None:
            left_out["guard"] = {"bases": self.guarded.bases}
            left_out["too_short"] = {"stretches": self.guarded.stretches_too_short}
        report = {
            "contigs": self.contigs.name,
            "settings": self.rules.settings(),
            "units": self.units,
            "splits": {name: {**asdict(part), "location": part.location.name} for name, part in self.splits.items()},
            "left_out": left_out,
            "clusters": None if self.clusters is None else asdict(self.clusters),
            "leakage": None if self.leakage is None else self.leakage.as_json(),
        }
        return {key: value for key, value in report.items() if value is not None}

    def write(self, path: Path) -> None:
        """Write the file (not atomic: hand it the path that `atomic_path` gives)."""
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def replace(self, out: str | Path) -> None:
        """Replace the report of the splits in a folder."""
        with atomic_path(Path(out) / REPORT) as draft:
            self.write(draft)
