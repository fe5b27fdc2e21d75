"""What decides which contigs are trained on and which are held out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eden_core.errors import ConfigurationError
from eden_core.splitting.words import SPLITS

UNITS = ("contig", "sample", "tag", "cluster", "region")

TOLERANCE = 1e-6
"""how far the shares may sum from 1"""


@dataclass(frozen=True)
class SplitRules:
    """How contigs are divided.

    Raises:
        ConfigurationError: rules that contradict each other, shares that are negative or do not sum to 1.
    """

    train: float = 0.9
    """share of the bases, 0 to 1; a split whose share is 0 has no file"""
    validation: float = 0.05
    """the same"""
    test: float = 0.05
    """the same"""
    by: str | None = None
    """what must not be divided, one of `UNITS`; None: cluster where clusters are given, else contig"""
    clusters: str | None = None
    """path of a table of (representative, member), see `eden_core.splitting.clusters.Clusters`"""
    block: int | None = None
    """bases of a block, by region; None: 100,000"""
    guard: int | None = None
    """bases between regions of different splits that are left out, by region; None: 8,192"""
    test_contigs: Sequence[str] = ()
    """globs of contigs that are tested on, whatever the shares; none is drawn to this split then"""
    validation_contigs: Sequence[str] = ()
    """the same, for validation"""
    exclude: Sequence[str] = ()
    """globs of contigs that are in no split"""
    split_from: str | None = None
    """column that names the split of each contig, or "filename"; nothing is drawn then"""
    seed: int = 42
    """another seed gives other splits"""

    def __post_init__(self) -> None:
        self._check_shares()
        if self.by is not None and self.by not in UNITS:
            raise ConfigurationError(f"--by {self.by} is no unit to split by; there are {', '.join(UNITS)}")
        if self.clusters is not None and self.unit != "cluster":
            raise ConfigurationError(f"--clusters is for --by cluster, and --by {self.by} was given; leave one out")
        if self.unit == "cluster" and self.clusters is None:
            raise ConfigurationError("--by cluster needs the clusters: --clusters TSV, with rows of representative and member")
        self._check_regions()
        if self.split_from is not None and (self.named or self.by is not None or self.clusters is not None):
            raise ConfigurationError(
                "--split-from takes the splits as they are: leave out --by, --clusters, --test-contigs and --validation-contigs"
            )

        if self.split_from is None and not self.shares:
            raise ConfigurationError("no split is left for contigs that no pattern names; give --train a share")

    @property
    def unit(self) -> str:
        """One of `UNITS`."""
        return self.by or ("contig" if self.clusters is None else "cluster")

    @property
    def block_bases(self) -> int:
        """Bases of a block."""
        return 100_000 if self.block is None else self.block

    @property
    def guard_bases(self) -> int:
        """Bases left out where splits meet."""
        return min(8192, self.block_bases) if self.guard is None else self.guard

    @cached_property
    def shares(self) -> dict[str, float]:
        """Share of the bases that are drawn, by split; they sum to 1. A split that is named by patterns has none."""
        drawn = {name: share for name, share in self._given.items() if share > 0 and name not in self.named}
        total = math.fsum(drawn.values())
        return {name: share / total for name, share in drawn.items()}

    @property
    def named(self) -> list[str]:
        """Splits that patterns fill, whatever the shares."""
        given = {"validation": self.validation_contigs, "test": self.test_contigs}
        return [name for name, globs in given.items() if globs]

    @property
    def shares_wanted(self) -> dict[str, float]:
        """What the shares of all bases should come to, by split, where they are drawn alone."""
        return {} if self.split_from is not None or self.named else self.shares

    def settings(self) -> dict[str, Any]:
        """Return what the report says of the rules."""
        globs = {"test_contigs": self.test_contigs, "validation_contigs": self.validation_contigs, "exclude": self.exclude}
        given: dict[str, Any] = {name: list(texts) for name, texts in globs.items() if texts}
        if self.split_from is not None:
            return {"split_from": self.split_from, **given}
        given |= {**self._given, "by": self.unit, "seed": self.seed}
        if self.unit == "region":
            given |= {"block": self.block_bases, "guard": self.guard_bases}
        return given | ({} if self.clusters is None else {"clusters": str(self.clusters)})

    @property
    def _given(self) -> dict[str, float]:
        return dict(zip(SPLITS, (self.train, self.validation, self.test), strict=True))

    def _check_shares(self) -> None:
        given = ", ".join(f"{name} {share:g}" for name, share in self._given.items())
        if not all(share >= 0 for share in self._given.values()):
            raise ConfigurationError(f"a share of the bases cannot be negative: {given}")
        total = math.fsum(self._given.values())
        if not abs(total - 1) <= TOLERANCE:
            raise ConfigurationError(f"the shares must sum to 1, and sum to {total:g}: {given}")

    def _check_regions(self) -> None:
        if self.unit != "region":
            if self.block is not None or self.guard is not None:
                raise ConfigurationError(f"--block and --guard are for --by region, and this is by {self.unit}")
            return
        if self.block_bases < 1 or self.guard_bases < 0:
            raise ConfigurationError(
                f"--block {self.block_bases} --guard {self.guard_bases}: give a block of 1 base or more, and no negative guard"
            )
        if self.guard_bases > self.block_bases:
            raise ConfigurationError(
                f"--guard {self.guard_bases} is larger than --block {self.block_bases}: whole blocks would be left out; give a "
                "larger --block"
            )
