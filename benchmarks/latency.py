"""A store that takes 20 ms a window beside a training step of 50 ms: how long the loop waits.

python benchmarks/latency.py
"""

import argparse
import os
import sys
import warnings
from pathlib import Path
from statistics import median

import torch

from page import Section, run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from latency import Loop

LOOPS = [
    Loop(1, 0),
    Loop(1, 1),
    Loop(8, 1),
    Loop(8, 4),
    Loop(8, 1, 4),
    Loop(8, 1, 8),
    Loop(64, 2, 8),
    Loop(64, 2, 16),
    Loop(64, 4, 8),
    Loop(64, 32),
]
TITLE = "## Reads that wait"


def row(loop: Loop) -> str:
    """Run a loop, and return its line of the table."""
    first, waits = loop.run()
    readers = max(1, loop.workers) * loop.threads
    needed = loop.micro_batch_size * loop.seconds / loop.step
    whole = waits.sum() / (waits.sum() + loop.step * loop.steps)
    parts = median(loop.stalls(waits).tolist())
    return (
        f"| {loop.micro_batch_size} | {loop.workers} | {loop.threads} | {readers} | {needed:.1f} | {first:.2f} s "
        f"| {100 * whole:.2f} % | {100 * parts:.2f} % |"
    )


def section() -> str:
    """Measure, and return the section of the page."""
    lines = []
    for loop in LOOPS:
        lines.append(row(loop))
        print(lines[-1], flush=True)
    loop = LOOPS[0]
    return "\n".join(
        [
            "",
            TITLE,
            "",
            (
                f"A store that takes {loop.seconds * 1e3:g} ms for each window (it sleeps), a step of {loop.step * 1e3:g} ms, rows of "
                f"{loop.seq_length} tokens, {loop.steps} steps after the first batch, {os.cpu_count()} cores. Reads that must go on at "
                "once: micro-batch x time of a window / time of a step. The first batch includes the start of the workers, and the "
                "whole run that of those workers which start after it; the last column is the median of five parts of the run."
            ),
            "",
            "| micro-batch | workers | read_threads | reads at once | needed | first batch | waited, whole run | waited, median part |",
            "|---|---|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def measure(_: argparse.Namespace) -> Section:
    """Measure everything."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "This DataLoader will create")
    return Section("latency", section().strip())


if __name__ == "__main__":
    run(measure)
