"""What the driver and one loader say to each other: a JSON line each way.

Every loader runs in a process of its own, under the interpreter of its own environment, and knows only this module, numpy and
what it measures. `{"do": "prepare"}` makes its files from the workload's bases, `{"do": "open"}` opens them and reads the first
batch, `{"do": "measure", "batch": 16, "seconds": 0.3}` reads batches for so long.
"""

import json
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

WINDOW = 8192
COMPLETE = "complete.json"
"""written into a folder once all its files are there, with the seconds that took"""


class Workload:
    """The bases and contigs that every loader prepares its files from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = json.loads((folder / COMPLETE).read_text())
        self.stride: int = facts["stride"]
        self.windows: int = facts["windows"]
        self.lengths: np.ndarray = np.load(folder / "lengths.npy")
        self.ends = np.cumsum(self.lengths)

    @property
    def bases(self) -> np.ndarray:
        """All contigs, end to end: uint8, mapped."""
        return np.memmap(self.folder / "bases.bin", np.uint8, "r")

    def contigs(self) -> Iterator[np.ndarray]:
        """The bases of each contig, in turn."""
        bases = self.bases
        for end, length in zip(self.ends.tolist(), self.lengths.tolist(), strict=True):
            yield bases[end - length : end]

    def counts(self, stride: int | None = None) -> np.ndarray:
        """Windows of each contig, by the seed's rule, every `stride` bases; None: the workload's."""
        return np.where(self.lengths < WINDOW, 1, 1 + (self.lengths - WINDOW) // (stride or self.stride))


class WindowTable:
    """Where windows lie: contig, start in it, bases."""

    def __init__(self, workload: Workload) -> None:
        self.stride, self.lengths = workload.stride, workload.lengths
        self.ends = np.cumsum(workload.counts())

    def __len__(self) -> int:
        return int(self.ends[-1])

    def lookup(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Contigs, starts and lengths of windows."""
        contigs = np.searchsorted(self.ends, windows, "right")
        firsts = np.where(contigs > 0, self.ends[contigs - 1], 0)
        starts = (windows - firsts) * self.stride
        return contigs, starts, np.minimum(self.lengths[contigs] - starts, WINDOW)


class Loader(ABC):
    """One way to read windows in random order."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def __init__(self, workload: Workload, prepared: Path, options: list[str]) -> None:
        self.workload, self.prepared, self.options = workload, prepared, options

    @abstractmethod
    def prepare(self) -> None:
        """Write what is read later into the folder `prepared`, which is there and empty."""

    @abstractmethod
    def open(self) -> int:
        """Open it; return the number of rows that there are."""

    @abstractmethod
    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Give batches without end: "tokens" [B, S], and what else this loader gives; zeros are padding."""


def next_token_batch(rows: Any) -> dict[str, Any]:
    """What a training loop needs of rows of uint8 [B, S]: the shortest code for it. Labels are the tokens one further."""
    import torch

    tokens = rows.long()
    labels = torch.zeros_like(tokens)
    labels[:, :-1] = tokens[:, 1:]
    positions = torch.arange(tokens.shape[1]).expand_as(tokens).contiguous()
    return {"tokens": tokens, "labels": labels, "loss_mask": (labels != 0).float(), "position_ids": positions}


def forever(rows: int, size: int) -> Iterator[np.ndarray]:
    """Numbers of random rows."""
    draws = np.random.default_rng(7)
    while True:
        yield draws.integers(0, rows, size)


def make(folder: Path, write: Any, **facts: Any) -> dict[str, Any]:
    """Have `write()` fill a folder, unless it is complete; return what is known of it, `seconds` and `bytes` included."""
    done = folder / COMPLETE
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.perf_counter()
        write()
        facts["seconds"] = time.perf_counter() - started
        facts["bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        done.write_text(json.dumps(facts))
    found: dict[str, Any] = json.loads(done.read_text())
    return found


def into_page_cache(place: Path) -> None:
    """Read a file, or the files of a folder, so that the kernel has them in memory."""
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 24):
                    pass


def serve(kind: type[Loader]) -> None:
    """Answer the driver until it goes. Arguments: folder of the workload, folder of the prepared files, options."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries that print do not disturb the conversation
    workload, prepared, *options = sys.argv[1:]
    loader = kind(Workload(Path(workload)), Path(prepared), options)
    iterators: dict[int, Iterator[dict[str, Any]]] = {}

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        if message["do"] == "prepare":
            return make(loader.prepared, loader.prepare)
        if message["do"] == "open":
            return _opened(loader, iterators)
        return _measured(iterators, loader, message["batch"], message["seconds"])

    for line in sys.stdin:
        channel.write(json.dumps(answer(json.loads(line))) + "\n")


def _opened(loader: Loader, iterators: dict[int, Iterator[dict[str, Any]]]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    into_page_cache(loader.prepared)
    started = time.perf_counter()
    rows = loader.open()
    iterators[16] = loader.batches(16)
    batch = next(iterators[16])
    seconds = time.perf_counter() - started
    useful = [_useful(batch)]
    while len(useful) < 16 and time.perf_counter() - started < seconds + 2:
        useful.append(_useful(next(iterators[16])))
    return {
        "rows": rows,
        "seconds": seconds,
        "useful": float(np.mean(useful)),
        "gives": {key: str(value.dtype).removeprefix("torch.") for key, value in batch.items()},
        "versions": {name: version(name) for name in loader.packages},
    }


def _useful(batch: dict[str, Any]) -> float:
    """Tokens a row that are no padding."""
    tokens = np.asarray(batch["tokens"])
    mask = batch.get("loss_mask")
    return float(np.count_nonzero(tokens > 3) if mask is None else mask.sum()) / len(tokens)


def _measured(iterators: dict[int, Iterator[dict[str, Any]]], loader: Loader, batch: int, seconds: float) -> dict[str, Any]:
    if batch not in iterators:
        iterators[batch] = loader.batches(batch)
        next(iterators[batch])
    it, rows, started = iterators[batch], 0, time.perf_counter()
    while True:
        rows += len(next(it)["tokens"])
        passed = time.perf_counter() - started
        if passed > seconds:
            return {"us": passed / rows * 1e6, "rows": rows}
