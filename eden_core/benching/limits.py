"""What limits a loader, told from what its processes were busy with."""

from collections.abc import Sequence

from eden_core.benching.results import Setting, of_trainer, of_worker, total_cpu

BUSY = 0.85
"""share of the time from which on a process counts as busy: running, or ready to run"""

DISTURBED = 0.15
"""share of the time that a process may be ready to run without a processor, before figures are doubtful"""

LIKE = 0.95
"""share of the best rate from which on a setting counts as as good"""

KEEPS_UP = 0.01
"""share of the time that a trainer may wait for batches and still not be held up by them"""


def limit_of(settings: Sequence[Setting], step_ms: float, cores: float) -> str:
    """Say in a sentence how many workers are enough, and what keeps more rows from coming.

    Args:
        settings: with different numbers of workers, in the same state of the page cache.
        step_ms: what a training step takes; 0: batches are asked for as fast as they come.
        cores: processors that there are.
    """
    if step_ms:
        return _of_steps(settings, step_ms, cores)
    best = max(one.rows_per_s.median for one in settings)
    enough = min((one for one in settings if one.rows_per_s.median >= LIKE * best), key=lambda one: one.workers)
    is_most = all(one.workers <= enough.workers for one in settings)
    rate = f"{_workers(enough)} give{'s' * (enough.workers == 1)} {enough.rows_per_s.median:,.0f} rows/s"
    return f"{rate}, {'the most that were tried' if is_most else 'and more do not help'}: {_cause(enough, cores)}"


def disturbed(settings: Sequence[Setting]) -> bool:
    """Return whether other processes kept those of a setting from running that have cores enough for all of them."""
    fewest = min(settings, key=lambda one: one.workers)
    return (fewest.median(of_trainer("delay")) or 0.0) > DISTURBED


def _of_steps(settings: Sequence[Setting], step_ms: float, cores: float) -> str:
    fewest = min((one for one in settings if one.waited < KEEPS_UP), key=lambda one: one.workers, default=None)
    if fewest is not None:
        verb = "keeps" if fewest.workers == 1 else "keep"
        return f"{_workers(fewest)} {verb} up with steps of {step_ms:g} ms: {fewest.waited:.2%} of the time is waiting"
    best = min(settings, key=lambda one: one.waited)
    return (
        f"no setting keeps up with steps of {step_ms:g} ms; with {_workers(best)}, {best.waited:.0%} of the time is waiting: "
        f"{_cause(best, cores)}"
    )


def _cause(one: Setting, cores: float) -> str:
    trainer, trainer_delay, worker, worker_delay, together = (
        one.median(figure) or 0.0
        for figure in (of_trainer("cpu"), of_trainer("delay"), of_worker("cpu"), of_worker("delay"), total_cpu)
    )
    if trainer + trainer_delay >= BUSY:
        doing = "the trainer process itself" if one.workers else "the trainer process reads by itself, and"
        more = f", and could use {trainer_delay:.0%} more" if trainer_delay > DISTURBED else ""
        return f"{doing} takes {trainer:.0%} of a core{more}"
    if together >= BUSY * cores:
        return f"the processes take {together:.1f} of the {cores:g} cores"
    if worker + worker_delay >= BUSY:
        return f"a worker takes up to {worker:.0%} of a core"
    return f"trainer ({trainer:.0%} of a core) and workers (up to {worker:.0%}) wait for the file system, or for each other"


def _workers(one: Setting) -> str:
    return "no workers" if not one.workers else "1 worker" if one.workers == 1 else f"{one.workers} workers"
