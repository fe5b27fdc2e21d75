"""The run ledger: one line of JSON for each start of a run, enough to say later what any step was trained on."""

import datetime as dt
import json
import os
import platform
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from eden_core.arguments import plain
from eden_core.errors import InputError
from eden_core.fingerprint import Fingerprint
from eden_core.interfaces import SequenceStore, WindowIndex, options_of
from eden_core.plugins import installed_plugins

if TYPE_CHECKING:
    from eden_core.dataset import EdenDataset
    from eden_core.loader import EdenLoader

__all__ = ["LEDGER", "RunStart", "last_start", "read_ledger"]

LEDGER = "eden-run.jsonl"
"""the ledger's name in the folder of a run"""

_PACKAGES = ("eden-core", "numpy", "torch", "lightning", "megatron-core", "megatron-bridge")


@dataclass(frozen=True)
class RunStart:
    """One start of a run.

    Attributes:
        time: when, ISO 8601 in UTC.
        kind: "epochs" when a loader runs through epochs, "samples" when a Megatron loop runs through a dataset's samples.
        step: optimizer steps that were done before; None where the loop does not say.
        epoch, position: where the next row comes from: an epoch and the position in it (`kind` "samples": 0 and the samples
            consumed, or None where the loop does not say).
        epoch_rows: rows an epoch, or the samples that a Megatron loop runs through.
        data_parallel_size, world_size: ranks that read different rows, and processes.
        micro_batch_size, global_batch_size: in rows; None where a Megatron loop does not say.
        drop_last, limit_batches, repeat_epoch: as the loader's.
        seed: of the order and all draws.
        fingerprint: of the dataset (see `Fingerprint`), as a dict.
        left_out: what `Omissions` leaves out, as text and as a digest.
        dataset: the arguments of `EdenDataset`.
        plugins: kind, name, distribution and version of those in use.
        versions: of packages and Python.
        mixture: row of the run and rows taken from each source where its mixture began; None where there is one source.
    """

    time: str
    kind: str
    step: int | None
    epoch: int
    position: int | None
    epoch_rows: int
    data_parallel_size: int
    world_size: int
    micro_batch_size: int | None
    global_batch_size: int | None
    drop_last: bool
    limit_batches: float | None
    seed: int
    fingerprint: dict[str, dict[str, str]]
    left_out: dict[str, Any]
    dataset: dict[str, Any]
    plugins: list[dict[str, str]]
    versions: dict[str, str]
    repeat_epoch: bool = False
    mixture: dict[str, Any] | None = None

    @classmethod
    def of_loader(cls, loader: "EdenLoader", step: int) -> "RunStart":
        """Describe the start of a loop over a loader, before its first batch."""
        sampler, at = loader.rank_sampler, loader.coming
        return cls(
            **_described(loader.dataset),
            kind="epochs",
            step=step,
            epoch=at.epoch,
            position=at.start,
            epoch_rows=sampler.epoch_rows,
            data_parallel_size=sampler.size,
            micro_batch_size=sampler.micro_batch_size,
            global_batch_size=sampler.step_rows,
            drop_last=sampler.drop_last,
            limit_batches=sampler.limit,
            repeat_epoch=loader.repeat_epoch,
        )

    @classmethod
    def of_samples(
        cls,
        dataset: "EdenDataset",
        *,
        consumed: int | None,
        data_parallel_size: int,
        micro_batch_size: int | None,
        global_batch_size: int | None,
    ) -> "RunStart":
        """Describe the start of a Megatron loop over a dataset."""
        return cls(
            **_described(dataset),
            kind="samples",
            step=None,
            epoch=0,
            position=consumed,
            epoch_rows=len(dataset),
            data_parallel_size=data_parallel_size,
            micro_batch_size=micro_batch_size,
            global_batch_size=global_batch_size,
            drop_last=True,
            limit_batches=None,
        )

    @property
    def fingerprint_recorded(self) -> Fingerprint:
        """The fingerprint that the dataset had."""
        return Fingerprint(self.fingerprint["order"], self.fingerprint["content"])

    def append(self, run_dir: str | os.PathLike[str]) -> Path:
        """Add this start to the ledger of a run's folder, which is made where it is missing; return the ledger's path.

        The line is written in one piece and synced. A line that an earlier process left unfinished stays behind, alone.
        """
        path = Path(run_dir) / LEDGER
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            torn = file.seek(0, os.SEEK_END) > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
            file.write(b"\n" * torn + json.dumps(asdict(self)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return path

    def append_or_warn(self, run_dir: str) -> None:
        """Add this start to a run's ledger; where that fails, warn and let the run go on. An empty `run_dir` means none."""
        problem: object = "it is no local folder" if "://" in run_dir else None
        try:
            if run_dir and problem is None:
                self.append(run_dir)
        except OSError as error:
            problem = error
        if problem is not None:
            warnings.warn(
                f"no ledger of this run is kept in {run_dir} ({problem}), so `eden replay` will not know what it trained on: "
                "give another run_dir, or run_dir='' to leave the ledger out",
                UserWarning,
                stacklevel=3,
            )


def read_ledger(path: str | os.PathLike[str]) -> list[RunStart]:
    """Return the starts in a ledger, oldest first; lines that were left unfinished are passed over.

    Args:
        path: the ledger, or the folder that holds it.

    Raises:
        InputError: there is no ledger, or no start in it.
    """
    place = Path(path) / LEDGER if Path(path).is_dir() else Path(path)
    try:
        starts = _starts(place)
    except OSError as error:
        raise InputError(f"{place} cannot be read ({error}); expected the {LEDGER} in the folder of a run") from error
    if not starts:
        raise InputError(f"{place} holds no start of a run; expected lines of JSON that a training run wrote")
    return starts


def last_start(run_dir: str | os.PathLike[str], kind: str) -> RunStart | None:
    """Return the last start of a kind in the ledger of a folder, or None where there is none.

    Another process may be writing the first one just now. A ledger that cannot be read counts as none: adding to it warns.
    """
    try:
        found = [start for start in _starts(Path(run_dir) / LEDGER) if start.kind == kind]
    except OSError:
        return None
    return found[-1] if found else None


def _starts(path: Path) -> list[RunStart]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [start for line in lines if (start := _parsed(line)) is not None]


def _parsed(line: str) -> RunStart | None:
    try:
        found = json.loads(line)
        known = {field.name for field in fields(RunStart)}
        return RunStart(**{name: value for name, value in found.items() if name in known})
    except (ValueError, AttributeError, TypeError):
        return None


def _described(dataset: "EdenDataset") -> dict[str, Any]:
    omissions, fingerprint = dataset.omissions, dataset.fingerprint
    return {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "world_size": _world_size(),
        "seed": dataset.seed,
        "fingerprint": {"order": dict(fingerprint.order), "content": dict(fingerprint.content)},
        "left_out": {"text": str(omissions), "digest": omissions.digest},
        "dataset": _replayable(dataset),
        "plugins": _plugins(dataset),
        "mixture": None if dataset.mixture is None else asdict(dataset.mixture.anchor),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))} | {"python": platform.python_version()},
    }


def _replayable(dataset: "EdenDataset") -> dict[str, Any]:
    """The arguments of a dataset, an open store or index as its name, place and options; other objects by their class.

    The access log is none of them: it changes no row, and a replay must not add to it.
    """
    arguments = {name: value for name, value in dataset.arguments.items() if name not in {"log_windows", "log_dir"}}
    for name, place, options in (("store", "sequence_db_dir", "store_options"), ("index", "window_db_path", "index_options")):
        source = arguments[name]
        if isinstance(source, SequenceStore | WindowIndex):
            chosen = {option: getattr(source, option) for option in options_of(type(source))}
            arguments |= {name: source.name, place: source.location, options: chosen}
        arguments[place] = None if arguments[place] is None else _absolute(str(arguments[place]))
    for name in ("exclude_contigs", "contigs"):
        if arguments[name] is not None:
            arguments[name] = _absolute(str(arguments[name]))
    arguments["sources"] = [_with_absolute_paths(entry) for entry in arguments["sources"] or ()]
    if isinstance(arguments["tokenizer"], str | PurePath) and Path(arguments["tokenizer"]).is_file():
        arguments["tokenizer"] = _absolute(str(arguments["tokenizer"]))
    return {name: _plain_or_class(value) for name, value in arguments.items()}


def _with_absolute_paths(entry: Mapping[str, Any]) -> dict[str, Any]:
    paths = ("sequence_db_dir", "window_db_path", "contigs")
    return {name: _absolute(str(value)) if name in paths and value is not None else value for name, value in entry.items()}


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


def _plain_or_class(value: Any) -> Any:
    try:
        return plain(value)
    except TypeError as error:
        return {"object": str(error)}


def _plugins(dataset: "EdenDataset") -> list[dict[str, str]]:
    reader = dataset.reader
    used: list[Any] = [reader.objective]
    for source in reader.sources:
        used += [source.store, source.index, *source.transforms]
    classes = {type(plugin) for plugin in used}
    return [
        {"kind": e.kind, "name": e.name, "distribution": e.origin.distribution, "version": e.origin.version}
        for e in installed_plugins().entries()
        if e.plugin in classes
    ]


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _world_size() -> int:
    import torch.distributed

    started = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if started else 1
