"""A training run that is killed with SIGKILL again and again, and each time goes on from its newest checkpoint.

python killing.py OPTIONS.json prints a line for each start and, at the end, the digest of the weights of each rank.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import ranks


def last_step(log: Path) -> int:
    """The step that rank 0 is at."""
    try:
        lines = log.read_text().splitlines()
        return json.loads(lines[-1])["step"] if lines else -1
    except (FileNotFoundError, ValueError):
        return -1


def kill_at(started: dict[int, int], log: Path, step: int, draw: random.Random) -> int:
    """Kill one rank, or all of them, when the log has come to a step; return the step that it had come to then."""
    while last_step(log) < step:
        time.sleep(0.002)
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            raise SystemExit("a rank ended by itself")
    at = last_step(log)
    for pid in list(started) if draw.random() < 0.5 else [draw.choice(list(started))]:
        os.kill(pid, signal.SIGKILL)
    ranks.wait_all(started)
    return at


def killed_run(train: Any, kills: int, sizes: list[int], steps: int, save_every: int, seed: int, **options: Any) -> dict:
    """Return where each start began, and the weights' digests of the last one, which nobody kills."""
    from jobs.training import newest_checkpoint

    folder, draw, begins = Path(options["run"]), random.Random(seed), []
    for number in range(kills + 1):
        checkpoint = newest_checkpoint(folder)
        begins.append(0 if checkpoint is None else int(Path(checkpoint).stem.partition("=")[2]))
        size, workers = sizes[number % len(sizes)], draw.choice([0, 0, 1])
        said = f"start {number + 1}: {size} ranks, {workers} workers each, goes on from step {begins[-1]}"
        log, micro = f"start-{number}", options["total"] // size
        started = ranks.start_all(
            train, size, steps=steps, save_every=save_every, workers=workers, micro=micro, resume=True, log=log, **options
        )  # fmt: skip
        if number < kills:
            target = min(begins[-1] + draw.randint(0, 2 * save_every), steps - 1)
            print(f"{said}, killed at step {kill_at(started, folder / log / 'rank-0.jsonl', target, draw)}", flush=True)
    assert ranks.wait_all(started) == 0
    print(f"{said}, ends at step {steps}", flush=True)
    weights = [json.loads(Path(f"/proc/self/fd/{pipe}").read_bytes()) for pipe in started.values()]
    return {"begins": begins, "weights": weights}


if __name__ == "__main__":
    found = killed_run(ranks.job_named("jobs.training:train"), **json.loads(sys.argv[1]))
    print(json.dumps(found))
