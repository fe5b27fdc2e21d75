"""From files of sequences to a folder that training reads: import, split and indexes in one go."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from eden_core.atomic import atomic_path
from eden_core.contigs import read_contigs
from eden_core.coverage import check_gaps
from eden_core.errors import EdenError, InputError, OutputExistsError
from eden_core.importing import ImportSummary, Progress, import_files
from eden_core.importing.source_files import SourceFile
from eden_core.importing.task import ImportOptions
from eden_core.interfaces import ExecutorFactory
from eden_core.manifest import MANIFEST, index_place, read_manifest
from eden_core.plugins import installed_plugins
from eden_core.precompute import PrecomputeSummary
from eden_core.precompute_task import PrecomputeTask, run_task
from eden_core.splitting import split_contigs
from eden_core.splitting.clusters import refuse_missing
from eden_core.splitting.rules import SplitRules
from eden_core.splitting.words import SPLITS
from eden_core.tasks import run_tasks
from eden_core.tiling import Tiling

LARGEST_SHARE = 0.05
"""share of the bases from which on a contig is too long to go to one split as a whole"""

_PLAN = ".eden-prepare.json"
_BLOCK = 100_000
_BLOCKS = 40  # of few and short contigs, at least so many


@dataclass(frozen=True)
class PrepareSettings:
    """How a folder is prepared.

    Args:
        imported: what becomes of the sequences.
        tiling: how contigs are cut into windows.
        split: rules of the split; what must not be divided is chosen where they do not say (see `chosen_rules`).
        store: name of a store plugin.
        index: name of an index plugin.
        store_options: options of the store plugin, for writing.
    """

    imported: ImportOptions
    tiling: Tiling
    split: SplitRules
    store: str = "sqlite-shards"
    index: str = "sqlite"
    store_options: dict[str, Any] | None = None


@dataclass(frozen=True)
class PrepareSummary:
    """What was prepared.

    Attributes:
        imported: what the import came to.
        manifest: what `eden.json` in the folder says, splits and indexes among it.
        unchanged: whether all of it was there already.
        seconds: it took.
    """

    imported: ImportSummary
    manifest: dict[str, Any]
    unchanged: bool
    seconds: float


def prepare(
    files: Sequence[SourceFile],
    out: str | Path,
    settings: PrepareSettings,
    *,
    executor: ExecutorFactory | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> PrepareSummary:
    """Make a folder that `EdenDataModule(data_dir=…)` trains from: a store, its tables, splits, and an index of each split.

    After a kill the same call goes on where it stopped. A folder that was prepared is left as it is by the same call.

    Args:
        files: as `find_source_files` gives them.
        out: the folder.
        settings: how it is prepared.
        executor: where the tasks run; None: processes of this machine, one for each core.
        force: whether what is there is replaced. Shards stay where they are what the import would write; if any is not, all
            files are imported anew.
        progress: told how far the import is.

    Raises:
        OutputExistsError: the folder was prepared in another way, or holds splits or indexes of others, without `force`.
        EdenError, OSError: as the steps raise them.
    """
    started = time.perf_counter()
    out = Path(out)
    check_gaps(settings.tiling, allow_gaps=False)
    installed_plugins().find("index", settings.index)
    if settings.split.clusters is not None:
        refuse_missing(settings.split.clusters)
    plan = _plan(files, settings)
    before = read_manifest(out)
    _refuse_others(out, plan, before, force=force)
    run = executor or installed_plugins().executor("local")
    import_all = partial(
        import_files,
        files,
        out,
        options=settings.imported,
        store=settings.store,
        store_options=settings.store_options,
        executor=run,
        progress=progress,
    )
    try:
        imported = import_all(force=False)  # what did not change is not imported again
    except OutputExistsError:
        if not force:
            raise
        imported = import_all(force=True)
    unchanged = (
        not force
        and before is not None
        and (before["plan"], before.get("imported")) == (plan, _digest_of_receipts(imported))
        and imported.unchanged == len(files)
    )
    if unchanged:
        _refuse_other_indexes(out, settings)
    manifest = before if before is not None and unchanged else _split_and_indexed(imported, out, settings, plan, run)
    return PrepareSummary(imported, manifest, unchanged, time.perf_counter() - started)


def chosen_rules(rules: SplitRules, total: int, longest: int, tiling: Tiling) -> SplitRules:
    """Return rules that say what must not be divided.

    Where they do not: contigs are divided, and if one of them has more than `LARGEST_SHARE` of all bases, regions of contigs.
    The guard between regions is a window, unless given, and a block is 100,000 bases, less where the contigs are few and short.

    Args:
        rules: as given.
        total: bases of all contigs.
        longest: bases of the longest of them.
        tiling: how they will be cut into windows.
    """
    said = rules.by or rules.clusters or rules.split_from or rules.named
    by = rules.by if said else "region" if longest > LARGEST_SHARE * total else "contig"
    if by != "region":
        return replace(rules, by=by)
    guard = tiling.window_size if rules.guard is None else rules.guard
    block = max(guard, min(_BLOCK, total // _BLOCKS), 1) if rules.block is None else rules.block
    return replace(rules, by=by, block=block, guard=guard)


def _bases_of(contigs: Path) -> tuple[int, int]:
    """Return the bases of all contigs of a table, and of the longest of them."""
    total = longest = 0
    for batch in read_contigs(contigs):
        total += pc.sum(batch.column("length")).as_py() or 0
        longest = max(longest, pc.max(batch.column("length")).as_py() or 0)
    return total, longest


def _plan(files: Sequence[SourceFile], settings: PrepareSettings) -> dict[str, Any]:
    """Return what must be the same for a folder to be the same."""
    listed = json.dumps([(file.sample, file.tag) for file in files])
    described: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    if not settings.store_options:
        del described["store_options"]
    return {"files": len(files), "digest_of_files": sha256(listed.encode()).hexdigest()[:32], **described}


def _digest_of_receipts(imported: ImportSummary) -> str:
    """Return what differs once a source was imported anew, be it by another command."""
    listed = json.dumps([asdict(receipt) for receipt in imported.receipts])
    return sha256(listed.encode()).hexdigest()[:32]


def _refuse_others(out: Path, plan: dict[str, Any], before: dict[str, Any] | None, *, force: bool) -> None:
    if force:
        return
    begun = _read_plan(out / _PLAN)
    if before is not None and before["plan"] != plan:
        how = "divide and index it anew (shards stay)" if _divides_or_cuts_otherwise(before, plan) else "prepare it anew"
        raise OutputExistsError(
            f"{out} was prepared in another way ({_differences(before['plan'], plan)}): choose another --out, or give "
            f"--force to {how}"
        )
    if begun is not None and not _has_same_shards(begun, plan):
        raise OutputExistsError(
            f"{out} was being prepared in another way ({_differences(begun, plan)}): choose another --out, or give --force to "
            "prepare it anew"
        )
    made = _made(out, plan["index"])
    if made and before is None and begun is None:
        raise OutputExistsError(
            f"{out} holds {' and '.join(made)}, which eden prepare did not make: choose another --out, or give --force to "
            "replace them"
        )


def _read_plan(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}; give --force to prepare its folder anew") from error


def _made(out: Path, index: str) -> list[str]:
    """Return the names of the splits and indexes that a folder has."""
    return [path.name for name in SPLITS for path in (out / f"{name}.parquet", index_place(out, name, index)) if path.exists()]


def _divides_or_cuts_otherwise(before: dict[str, Any] | None, plan: dict[str, Any]) -> bool:
    """Whether a folder was prepared with the same shards, and other splits or windows."""
    return before is not None and before["plan"] != plan and _has_same_shards(before["plan"], plan)


def _has_same_shards(before: dict[str, Any], plan: dict[str, Any]) -> bool:
    return all(before.get(name) == plan[name] for name in plan.keys() - {"split", "tiling", "index"})


def _refuse_other_indexes(out: Path, settings: PrepareSettings) -> None:
    """Raise `OutputExistsError` where windows were cut in another way after the folder was prepared."""
    for place in (index_place(out, name, settings.index) for name in SPLITS):
        if not place.exists():
            continue
        with installed_plugins().index(settings.index, str(place)) as index:
            if index.tiling != settings.tiling:
                was, now = asdict(index.tiling), asdict(settings.tiling)
                raise OutputExistsError(
                    f"{place} was cut in another way after eden prepare ({_differences(was, now)}): train from it as it is, or "
                    "give --force to prepare the folder anew"
                )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say how settings differ, those in groups one by one."""
    different = []
    for name, new in now.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            different.append(f"{name}: {_differences(old, new)}" if old != new else "")
        elif name == "digest_of_files" and before.get("files") == now["files"]:
            different.append("" if old == new else "other files, or other paths, samples or tags of them")
        elif name != "digest_of_files" and old != new:
            different.append(f"{name} {old!r}, not {new!r}")
    return ", ".join(filter(None, different))


def _split_and_indexed(
    imported: ImportSummary, out: Path, settings: PrepareSettings, plan: dict[str, Any], executor: ExecutorFactory
) -> dict[str, Any]:
    """Divide and index what was imported, and return the manifest, which is written last."""
    with atomic_path(out / _PLAN) as draft:
        draft.write_text(json.dumps(plan))
    (out / MANIFEST).unlink(missing_ok=True)
    try:
        rules = chosen_rules(settings.split, *_bases_of(imported.contigs), settings.tiling)
        split = split_contigs(imported.contigs, out, rules, tiling=settings.tiling, force=True)
    except EdenError:
        if not _made(out, settings.index):
            (out / _PLAN).unlink()  # other rules may then be tried without importing again
        raise
    for name in SPLITS:
        if name not in split.splits:
            index_place(out, name, settings.index).unlink(missing_ok=True)
    built = _indexed([part.location for part in split.splits.values()], settings, executor)
    manifest = {
        "eden": version("eden-core"),
        "store": settings.store,
        "index": settings.index,
        "counts": asdict(imported.counts),
        "tiling": asdict(settings.tiling),
        "split": split.rules.settings(),
        "splits": {
            name: {
                "contigs": part.contigs,
                "bases": part.bases,
                "share": part.share,
                "windows": built[name].windows,
                "bases_never_seen": built[name].bases_never_seen,
                "padding": built[name].padding,
                "table": part.location.name,
                "index": index_place(out, name, settings.index).name,
            }
            for name, part in split.splits.items()
        },
        "plan": plan,
        "imported": _digest_of_receipts(imported),
    }
    with atomic_path(out / MANIFEST) as draft:
        draft.write_text(json.dumps(manifest, indent=1) + "\n")
    (out / _PLAN).unlink()
    return manifest


def _indexed(tables: Sequence[Path], settings: PrepareSettings, executor: ExecutorFactory) -> dict[str, PrecomputeSummary]:
    """Build the index of each split; one that was built from the same contigs already stays, and is as new as the others."""
    tasks = [
        PrecomputeTask(
            table.absolute(),
            index_place(table.absolute().parent, table.stem, settings.index),
            settings.tiling,
            settings.index,
            force=True,
            skip_existing=True,
        )
        for table in tables
    ]
    built = {}
    for task, outcome in run_tasks(run_task, tasks, executor):
        if isinstance(outcome, EdenError | OSError):
            raise outcome
        built[task.split.stem] = outcome
        if outcome.kept:
            index_place(task.split.parent, task.split.stem, settings.index).touch()
    return built
