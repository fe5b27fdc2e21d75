"""Building an index as a task of an executor."""

from dataclasses import dataclass, fields
from pathlib import Path

from eden_core.precompute import PrecomputeSummary, Progress, precompute
from eden_core.tiling import Tiling


@dataclass(frozen=True)
class PrecomputeTask:
    """Arguments of `precompute` that travel to a worker."""

    split: Path
    output: Path | None
    tiling: Tiling
    index: str = "sqlite"
    force: bool = False
    allow_gaps: bool = False
    skip_existing: bool = False
    report: bool = False


def run_task(task: PrecomputeTask, progress: Progress | None = None) -> PrecomputeSummary:
    """Do what a task says."""
    return precompute(**{each.name: getattr(task, each.name) for each in fields(task)}, progress=progress)
