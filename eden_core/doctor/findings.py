"""What a check found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is: an error keeps a job from running or from being right, a warning makes it slow or doubtful."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        level: how bad it is.
        about: what was looked at, in a word or two.
        found: what was found, a sentence.
        remedy: what to do, a command or a setting; None where there is nothing to do.
    """

    level: Level
    about: str
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Job:
    """A training job on one machine.

    Attributes:
        micro_batch_size: rows a batch.
        num_workers, prefetch_factor: worker processes of a rank, and batches that each reads ahead.
        ranks: processes of the job on this machine.
        seq_length: tokens a row; None: the window size of the index.
    """

    micro_batch_size: int = 1
    num_workers: int = 2
    prefetch_factor: int = 2
    ranks: int = 1
    seq_length: int | None = None
