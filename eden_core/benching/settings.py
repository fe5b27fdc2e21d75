"""What is to be measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eden_core.arguments import plain
from eden_core.assembly import whole_number
from eden_core.benching.machine import processors
from eden_core.errors import ConfigurationError
from eden_core.tasks import absolute

_PLACES = {"sequence_db_dir", "window_db_path", "contigs", "exclude_contigs"}

MOST_WORKERS = 16
"""workers up to which numbers of them are tried where none are given"""


@dataclass(frozen=True)
class BenchSettings:
    """What is to be measured, and how.

    Args:
        dataset: arguments of `EdenDataset`, JSON-like.
        workers: numbers of worker processes to compare.
        micro_batch_size: rows of a batch.
        prefetch_factor: blocks that each worker reads ahead.
        start_method: how workers start.
        step_ms: what a training step takes, in ms, during which the trainer process sleeps as one does that waits for a GPU;
            0: the next batch is asked for at once.
        seconds: how long each process reads, after its first batch and a fifth of this time (one second at most) to get going.
        rounds: how often each setting is measured, each time in a fresh process, in turn with the others.
        cold: whether each number of workers is measured once more with the data files dropped from the page cache before, from
            the first batch on and for one pass at most, since what is read twice comes from memory.
        trace: whether metadata calls are counted, which needs strace.

    Raises:
        ConfigurationError: a number that makes no sense, or an argument of the dataset that is an object.
    """

    dataset: Mapping[str, Any]
    workers: tuple[int, ...]
    micro_batch_size: int = 1
    prefetch_factor: int = 2
    start_method: str = "forkserver"
    step_ms: float = 0.0
    seconds: float = 3.0
    rounds: int = 3
    cold: bool = False
    trace: bool = True

    def __post_init__(self) -> None:
        for number in self.workers:
            whole_number("workers", number, least=0)
        if not self.workers or len(set(self.workers)) < len(self.workers):
            raise ConfigurationError(
                f"workers is {list(self.workers)}; expected different numbers of processes, such as 0, 1, 2"
            )
        for name in ("micro_batch_size", "prefetch_factor", "rounds"):
            whole_number(name, getattr(self, name), least=1)
        if self.seconds <= 0 or self.step_ms < 0:
            raise ConfigurationError(
                f"seconds is {self.seconds} and step_ms {self.step_ms}; expected more than 0, and 0 or more"
            )
        for name, value in self.dataset.items():
            _check_plain(name, value)

    def trial(self, workers: int, *, cold: bool = False) -> "Trial":
        """Return what a process is to do for a number of workers; `cold`: the pages of the data files were dropped."""
        dataset = _found_anywhere(plain(self.dataset))
        loader = {
            "micro_batch_size": self.micro_batch_size,
            "prefetch_factor": self.prefetch_factor,
            "start_method": self.start_method,
            "num_workers": workers,
        }
        return Trial(dataset, loader, self.step_ms / 1000, self.seconds, cold)


@dataclass(frozen=True)
class Trial:
    """What a fresh process does.

    Attributes:
        dataset, loader: arguments of `EdenDataset` and `EdenLoader`.
        step: seconds of a training step.
        seconds: how long it measures.
        cold: whether it begins with the first batch, and ends with the first pass: what comes after is in memory.
    """

    dataset: dict[str, Any]
    loader: dict[str, Any]
    step: float
    seconds: float
    cold: bool = False


def _check_plain(name: str, value: Any) -> None:
    try:
        plain(value)
    except TypeError as error:
        raise ConfigurationError(
            f"{name} is an object ({error}), which another process cannot be given: name the plugin, with its options"
        ) from None


def _found_anywhere(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of a dataset, or of a source, whose paths are absolute, as a trace of the system's calls shows them."""
    found: dict[str, Any] = {
        name: absolute(value) if name in _PLACES and value is not None else value for name, value in arguments.items()
    }
    if found.get("sources"):
        found["sources"] = [_found_anywhere(source) for source in found["sources"]]
    return found


def default_workers() -> tuple[int, ...]:
    """Return 0, 1, 2, 4 … up to what the processors of this machine allow."""
    most = min(MOST_WORKERS, int(processors()))
    found = [0]
    while max(1, 2 * found[-1]) <= most:
        found.append(max(1, 2 * found[-1]))
    return (*found, most) if most > found[-1] else tuple(found)
