"""Measuring how fast a user's own files are read: `bench` compares numbers of workers, each in fresh processes.

`BenchReport.as_dict` is what `eden bench --json` writes. Sizes are in bytes, times in seconds unless a name ends in `_ms`,
shares between 0 and 1; what the system does not tell is null.

- `eden_bench`: 1, the version of this form.
- `machine`: `cpu`, `cores` (that may be used), `memory`, `kernel`, `file_system` (of the data), `versions`, `date`.
- `data`: `split`, `rows` (of an epoch), `seq_length`, `packing`; `fill` (share of the tokens of a row that are not padding) and
  `bases_per_row`, both of `sampled_rows` rows spread evenly; `files`, `bytes`; `sources`, each with `name`, `store`,
  `store_location`, `index`, `index_location` and `windows`.
- `settings`: the arguments of `BenchSettings`.
- `limit`: what limits, in a sentence; `notes`: what else a reader must know.
- `metadata_calls`: `trainer` and `worker` -> name of a call (open, stat, readdir …) -> how many of them name files of the data
  before the first batch is there, counted by strace with one worker; those of a worker include what it reads ahead. null: not
  counted.
- `results`, one for each number of `workers` and state of the page `cache` ("warm", "as found" or "cold", see `Setting`), with
  `kept_bytes` (what the kernel kept of the data files when they were dropped), `useful_tokens_per_s` (those that are not
  padding), `rounds`, and over these `median`, `min` and `max` of:
  - `rows_per_s`, `tokens_per_s`;
  - `wait_p50_ms`, `wait_p95_ms`, `wait_p99_ms`, `wait_max_ms`: what the trainer waits for a batch, step by step;
  - `waited`: share of the time that it waits: where steps take time, the stall;
  - `first_batch_s`: from `iter(loader)` to the first batch, the start of fork server and workers included;
  - `start_s`: from the start of the process until there is a loader, the import of torch included;
  - `read_bytes_per_row`: what read calls gave the workers (without workers: the trainer), from their start on, their small
    tasks and what they import included; reads through memory maps are not;
  - `disk_bytes_per_row`: what came from a disk for any of the processes, from before the first batch on;
  - `trainer_…`, and `worker_…` (the largest of any worker; null without workers): `cpu` (share of a core), `delay` (share of
    the time in which it could have run, and no core was free), and in the end `open_files`, `peak_rss` (VmHWM), `pss` and
    `private`;
  - `total_pss` of all processes, those that start workers included; `total_cpu`, in cores.
- a round: `seconds` (measured), `steps`, `rows`, `tokens`, `wait_ms` (`p50`, `p95`, `p99`, `max`), `waited`, `start_s`,
  `first_batch_s`, `rows_in_all` (those before the measured time included), `other_pss`, `trainer`, and `workers`, a list: each
  with `cpu`, `delay`, `open_files`, `peak_rss`, `pss`, `private`, `read` and `disk`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from eden_core.amounts import size_text
from eden_core.benching.fresh import run_fresh
from eden_core.benching.limits import disturbed, limit_of
from eden_core.benching.machine import Machine
from eden_core.benching.metadata_calls import metadata_calls
from eden_core.benching.page_cache import DataFiles
from eden_core.benching.results import BenchReport, Round, Setting, Spread
from eden_core.benching.settings import BenchSettings, default_workers
from eden_core.errors import EdenError

__all__ = ["BenchReport", "BenchSettings", "Progress", "Setting", "Spread", "bench", "default_workers"]

Progress = Callable[[int, int], None]
"""called with (rounds done, rounds in all)"""

_SHORT = 0.5
"""seconds that a cold pass must take for its rate to say something"""

_KEPT = 0.01
"""share of the data files that the kernel may keep without a note"""


def bench(settings: BenchSettings, progress: Progress = lambda _done, _total: None) -> BenchReport:
    """Measure the loader of a dataset with different numbers of workers.

    Each setting runs in a fresh process in each round, so that memory, open files and calls are those of a new run. Pages of no
    other files than the data's are dropped, and nothing is written but the plan of packed rows.

    Args:
        settings: what to measure, and how.
        progress: called with processes that have ended, and all of them.

    Raises:
        EdenError: what the dataset or the loader raised, of the same class, or a process ended otherwise.
    """
    data = run_fresh("survey", settings.trial(0))
    notes = dict.fromkeys(data.pop("notes"))
    files = DataFiles.of_sources(data["sources"])
    warm = "warm" if files.read_once() else "as found"
    results = _measured(settings, files, warm, progress)
    for setting in results:
        for one in setting.rounds:
            notes |= dict.fromkeys(one["notes"])
    calls, untraced = _calls(settings, data)
    machine = Machine.here(data["sources"][0]["store_location"])
    limited = limit_of([one for one in results if one.cache == warm], settings.step_ms, machine.cores)
    notes |= dict.fromkeys([*_notes(files, machine, results, warm), *untraced])
    described = data | {"files": len(files.paths), "bytes": files.size}
    return BenchReport(machine, described, asdict(settings), results, calls, limited, tuple(notes))


def _measured(settings: BenchSettings, files: DataFiles, warm: str, progress: Progress) -> tuple[Setting, ...]:
    """Measure each setting in each round, in turn; those with cold files last, since they would cool the others."""
    caches = [warm, "cold"] if settings.cold else [warm]
    plan = [(cache, workers) for cache in caches for _ in range(settings.rounds) for workers in settings.workers]
    rounds: dict[tuple[int, str], list[Round]] = {}
    kept: dict[tuple[int, str], list[int | None]] = {}
    for number, (cache, workers) in enumerate(plan):
        progress(number, len(plan))
        if cache == "cold":
            files.drop()
            kept.setdefault((workers, cache), []).append(files.kept())
        found = run_fresh("measure", settings.trial(workers, cold=cache == "cold"))
        rounds.setdefault((workers, cache), []).append(found)
    progress(len(plan), len(plan))
    return tuple(Setting(*key, some, _most(kept.get(key))) for key, some in rounds.items())


def _most(kept: list[int | None] | None) -> int | None:
    return None if kept is None or None in kept else max(one for one in kept if one is not None)


def _calls(settings: BenchSettings, data: dict[str, Any]) -> tuple[dict[str, dict[str, int]] | None, list[str]]:
    """Return metadata calls, and why there are none."""
    if not settings.trace:
        return None, []
    try:
        return metadata_calls(settings.trial(min(1, max(settings.workers))), data["sources"]), []
    except EdenError as error:
        return None, [f"metadata calls were not counted: {error}"]


def _notes(files: DataFiles, machine: Machine, results: tuple[Setting, ...], warm: str) -> Iterator[str]:
    if warm == "as found":
        yield (
            f"the data files hold {size_text(files.size)}, too much to be read into memory first: the page cache was as found"
        )
    if disturbed([one for one in results if one.cache == warm]):
        yield "other processes kept the cores of this machine busy meanwhile: measure again when it is quiet"
    cold = [one for one in results if one.cache == "cold"]
    if cold:
        yield from _cold_notes(files, machine, cold)
        if (longest := max(one.median(lambda each: each["seconds"]) or 0.0 for one in cold)) < _SHORT:
            yield f"a pass of the cold files took {longest * 1000:.0f} ms at most: too short for its rate to say much"


def _cold_notes(files: DataFiles, machine: Machine, cold: Sequence[Setting]) -> Iterator[str]:
    if not files.paths:
        yield "the data do not lie in files of this machine: there were no pages to drop"
    elif machine.file_system in {"tmpfs", "ramfs"}:
        yield f"the data lie on {machine.file_system}, which is memory: nothing is cold there"
    elif any(one.kept is None for one in cold):
        yield "the kernel does not say how much of the data files it kept in memory when their pages were dropped"
    elif (most := max(one.kept or 0 for one in cold)) > _KEPT * files.size:
        yield (
            f"the kernel kept {size_text(most)} of {size_text(files.size)} of the data files when their pages were dropped: "
            "another process has them mapped, or locked"
        )
