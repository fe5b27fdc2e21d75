"""What was measured, setting by setting."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from eden_core.benching.machine import Machine

Round = Mapping[str, Any]
"""what one process measured, see `eden_core.benching`"""


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds.

    Attributes:
        median, min, max: in the figure's own unit.
    """

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """Return the spread of values; None where there are none, or the system did not say one of them."""
        found = list(values)
        known = [value for value in found if value is not None]
        return cls(median(known), min(known), max(known)) if known and len(known) == len(found) else None


@dataclass(frozen=True)
class Setting:
    """A number of workers, with a state of the page cache.

    Attributes:
        workers: worker processes.
        cache: "warm": the data files were read before; "as found": they are too large for that; "cold": they were dropped.
        rounds: what each process measured.
        kept: bytes of the data files that the kernel kept all the same when their pages were dropped, the most of any round;
            None: not dropped, or it does not say.
    """

    workers: int
    cache: str
    rounds: Sequence[Round]
    kept: int | None = None

    def spread(self, figure: Callable[[Round], float | None]) -> Spread | None:
        """Return a figure of each round as one."""
        return Spread.of(map(figure, self.rounds))

    def median(self, figure: Callable[[Round], float | None]) -> float | None:
        """Return the median of a figure over the rounds."""
        found = self.spread(figure)
        return None if found is None else found.median

    @property
    def rows_per_s(self) -> Spread:
        """Rows a second."""
        found = self.spread(rows_per_s)
        assert found is not None  # noqa: S101 - each round counts rows
        return found

    @property
    def waited(self) -> float:
        """Share of the time in which the trainer waited for batches."""
        return self.median(lambda one: one["waited"]) or 0.0


def rows_per_s(one: Round) -> float:
    """Return the rows a second of a round."""
    return float(one["rows"]) / float(one["seconds"])


def tokens_per_s(one: Round) -> float:
    """Return the tokens a second of a round, padding included."""
    return float(one["tokens"]) / float(one["seconds"])


def read_per_row(one: Round) -> float | None:
    """Return the bytes that read calls gave to the workers, or to a trainer without, for each row from the first on."""
    return _per_row(one, [process["read"] for process in one["workers"] or [one["trainer"]]])


def disk_per_row(one: Round) -> float | None:
    """Return the bytes that came from a disk, for each row from the first on."""
    return _per_row(one, [process["disk"] for process in (one["trainer"], *one["workers"])])


def of_worker(name: str) -> Callable[[Round], float | None]:
    """Return what gives the largest figure of any worker, of `PROCESS_FIGURES`."""

    def largest(one: Round) -> float | None:
        found = [process[name] for process in one["workers"]]
        return None if not found or None in found else float(max(found))

    return largest


def of_trainer(name: str) -> Callable[[Round], float | None]:
    """Return what gives the same figure of the trainer."""

    def figure(one: Round) -> float | None:
        found: float | None = one["trainer"][name]
        return found

    return figure


def total_pss(one: Round) -> float | None:
    """Return the memory of all processes together, bytes."""
    found = [process["pss"] for process in (one["trainer"], *one["workers"])]
    return None if None in found else float(sum(found) + one["other_pss"])


def total_cpu(one: Round) -> float:
    """Return how many cores all processes keep busy."""
    return float(sum(process["cpu"] for process in (one["trainer"], *one["workers"])))


def _per_row(one: Round, values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / float(one["rows_in_all"]) if len(known) == len(values) else None


PROCESS_FIGURES = ("cpu", "delay", "open_files", "peak_rss", "pss", "private")
"""figures of a process, by name"""

FIGURES: dict[str, Callable[[Round], float | None]] = {
    "rows_per_s": rows_per_s,
    "tokens_per_s": tokens_per_s,
    "wait_p50_ms": lambda one: one["wait_ms"]["p50"],
    "wait_p95_ms": lambda one: one["wait_ms"]["p95"],
    "wait_p99_ms": lambda one: one["wait_ms"]["p99"],
    "wait_max_ms": lambda one: one["wait_ms"]["max"],
    "waited": lambda one: one["waited"],
    "first_batch_s": lambda one: one["first_batch_s"],
    "start_s": lambda one: one["start_s"],
    "read_bytes_per_row": read_per_row,
    "disk_bytes_per_row": disk_per_row,
    **{f"trainer_{name}": of_trainer(name) for name in PROCESS_FIGURES},
    **{f"worker_{name}": of_worker(name) for name in PROCESS_FIGURES},
    "total_pss": total_pss,
    "total_cpu": total_cpu,
}
"""figures of a setting that are summarised over its rounds, by name"""


@dataclass(frozen=True)
class BenchReport:
    """All that was measured.

    Attributes:
        machine: where.
        data: what was read: split, rows, seq_length, fill and sources.
        settings: how, the arguments of `BenchSettings`.
        results: number by number of workers, warm before cold.
        metadata_calls: process -> call -> how many, before the first batch; None: not counted.
        limit: what limits, in a sentence.
        notes: what else a reader must know, warnings of the library included.
    """

    machine: Machine
    data: dict[str, Any]
    settings: dict[str, Any]
    results: tuple[Setting, ...]
    metadata_calls: dict[str, dict[str, int]] | None
    limit: str
    notes: tuple[str, ...]

    @property
    def fill(self) -> float:
        """Share of the tokens of a row that are not padding."""
        return float(self.data["fill"])

    def useful_tokens_per_s(self, setting: Setting) -> float:
        """Return the tokens a second that are not padding."""
        return setting.rows_per_s.median * float(self.data["seq_length"]) * self.fill

    def as_dict(self) -> dict[str, Any]:
        """Return the report in JSON-like form, see `eden_core.benching`."""
        return {
            "eden_bench": 1,
            "machine": asdict(self.machine),
            "data": self.data,
            "settings": self.settings,
            "limit": self.limit,
            "notes": list(self.notes),
            "metadata_calls": self.metadata_calls,
            "results": [self._result(setting) for setting in self.results],
        }

    def _result(self, setting: Setting) -> dict[str, Any]:
        spreads = {name: setting.spread(figure) for name, figure in FIGURES.items()}
        return {
            "workers": setting.workers,
            "cache": setting.cache,
            "kept_bytes": setting.kept,
            "useful_tokens_per_s": self.useful_tokens_per_s(setting),
            **{name: None if spread is None else asdict(spread) for name, spread in spreads.items()},
            "rounds": list(setting.rounds),
        }
