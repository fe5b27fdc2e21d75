"""Making the shards of a store fast to read, in parallel."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from eden_core.errors import ConfigurationError, EdenError, NotSupportedError, ShardNotFoundError
from eden_core.interfaces import ExecutorFactory, OptimizeSummary
from eden_core.store_at import StoreAt
from eden_core.tasks import absolute, run_tasks

_SAMPLES_A_TASK = 32

Progress = Callable[[int, int], None]
"""called with (shards done, shards in all)"""


@dataclass(frozen=True)
class OptimizeTask:
    """Some shards to rewrite."""

    store: StoreAt
    samples: tuple[str, ...]
    out: str | None
    force: bool


@dataclass
class OptimizeReport:
    """What became of the shards of a store."""

    rewritten: int = 0
    skipped: int = 0
    """that were fast already; with an output, they were copied"""
    bytes_before: int = 0
    """of all shards"""
    bytes_after: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """message by sample, of shards that are as they were"""
    seconds: float = 0.0


def optimize_store(
    location: str | Path,
    factory: ExecutorFactory,
    *,
    out: str | Path | None = None,
    store: str = "sqlite-shards",
    store_options: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> OptimizeReport:
    """Rewrite the shards of a store that are slower than they must be; a failure does not stop the others.

    Repeatable: a run that was killed leaves whole shards only, and the next one goes on.

    Args:
        location: where the store lies.
        factory: where shards are rewritten.
        out: another directory, which gets all shards; None: shards are replaced, each once the new one is known to hold the
            same bases.
        store: name of the store plugin.
        store_options: its options.
        force: whether shards that are fast already are rewritten too, and others in `out` replaced.
        progress: told how far it is.

    Raises:
        ConfigurationError: `out` is the store itself, or a file.
        ShardNotFoundError: there is no such directory, or no shard in it.
        NotSupportedError: the store has no faster form.
    """
    started = time.perf_counter()
    if out is not None and Path(out).resolve() == Path(location).resolve():
        raise ConfigurationError(f"--out {out} is the store itself; leave --out away to replace its shards")
    place = StoreAt(store, absolute(location), store_options or {})
    with place.opened() as opened:
        samples = list(opened.samples())
    if not samples:
        raise ShardNotFoundError(f"{location} holds no shards of store {store!r}, so there is nothing to optimize")
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise ConfigurationError(f"--out {out} is a file; give a directory")
    report = OptimizeReport()
    tasks = _tasks(samples, place, None if out is None else absolute(out), force=force, workers=factory.workers)
    done = 0
    for task, results in run_tasks(optimize_shards, tasks, factory):
        if isinstance(results, Exception):
            raise results
        for sample, result in zip(task.samples, results, strict=True):
            _count(report, sample, result)
        done += len(task.samples)
        if progress is not None:
            progress(done, len(samples))
    report.seconds = time.perf_counter() - started
    return report


def optimize_shards(task: OptimizeTask) -> list[OptimizeSummary | str]:
    """Rewrite some shards; return what became of each, or why it failed."""
    results: list[OptimizeSummary | str] = []
    with task.store.opened() as store:
        for sample in task.samples:
            try:
                results.append(store.optimize_shard(sample, task.out, force=task.force))
            except NotSupportedError:
                raise
            except (EdenError, OSError) as error:
                results.append(str(error))
    return results


def _tasks(samples: list[str], store: StoreAt, out: str | None, *, force: bool, workers: int) -> Iterator[OptimizeTask]:
    size = max(1, min(_SAMPLES_A_TASK, len(samples) // (4 * workers)))
    waiting = iter(samples)
    while some := tuple(islice(waiting, size)):
        yield OptimizeTask(store, some, out, force)


def _count(report: OptimizeReport, sample: str, result: OptimizeSummary | str) -> None:
    if isinstance(result, str):
        report.failures[sample] = result
        return
    report.rewritten += result.rewritten
    report.skipped += not result.rewritten
    report.bytes_before += result.bytes_before
    report.bytes_after += result.bytes_after
