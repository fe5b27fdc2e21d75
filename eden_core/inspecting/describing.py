"""What a path holds and what to do with it next: files and folders of Eden, measured without reading bases."""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.amounts import size_text
from eden_core.assembly import opened_index, opened_store
from eden_core.contigs import CONTIGS
from eden_core.errors import InputError, NotSupportedError, ShardNotFoundError
from eden_core.inspecting import inspect_index
from eden_core.inspecting.contig_counts import ContigReport, count_table
from eden_core.inspecting.recognizing import TAKEN, Kind, Recognized, recognize
from eden_core.inspecting.store_contents import bytes_below, has_few_shards, listed_contigs, shard_facts, slow_shards, spread
from eden_core.interfaces import SequenceStore
from eden_core.manifest import index_place, index_plugin, read_manifest
from eden_core.next_steps import data_module_call, precompute_command
from eden_core.runs import read_runs
from eden_core.splitting.reports import read_report
from eden_core.splitting.words import SPLITS
from eden_core.store_at import StoreAt
from eden_core.window_lengths import LengthSource

_FEW = 40
"""contigs below which a split by contigs is too coarse"""
_ENOUGH_FOR_REGIONS = 2_000_000
"""bases from which on few contigs are split by regions"""
_LOOKED_AT = 1000
"""files of a folder that are looked at"""
_REGIONS = "regions of contigs, each counted as a contig of its own"
_REGIONS_INDEXED = "regions of contigs; the contigs are counted whole"
_DATA = (".db", ".parquet", ".sqlite", ".arrow")


@dataclass(frozen=True)
class Lookup:
    """How to read what is found.

    Attributes:
        store: name of the store plugin.
        index: name of the index plugin; None: what a file says itself, or its folder.
        sequence_db_dir: where the store lies, if not beside the index.
        contigs: table with the lengths of contigs, if not beside the index.
        all_shards: whether the contigs of every shard are listed.
        store_options, index_options: options of the plugins.
    """

    store: str = "sqlite-shards"
    index: str | None = None
    sequence_db_dir: str | None = None
    contigs: str | None = None
    all_shards: bool = False
    store_options: Mapping[str, Any] = field(default_factory=dict)
    index_options: Mapping[str, Any] = field(default_factory=dict)

    def dataset_options(self) -> dict[str, Any]:
        """Return the options of the plugins that are given, as a dataset takes them."""
        given = {"store_options": self.store_options, "index_options": self.index_options}
        return {name: dict(options) for name, options in given.items() if options}

    def opened_store(self, beside: Path) -> SequenceStore:
        """Return the store of what lies in a folder."""
        return opened_store(self.store, self.sequence_db_dir or str(beside), self.store_options)


@dataclass(frozen=True)
class Description:
    """What a path holds.

    Attributes:
        kind: a value of `Kind`, or "data folder".
        location: where it lies.
        bytes: of the files; None where that is not known.
        facts: further counts and names, JSON-like, by what they are.
        contigs: what its contigs come to.
        parts: of a folder, what lies in it.
        following: what to do next, commands or Python.
    """

    kind: str
    location: str
    bytes: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    contigs: ContigReport | None = None
    parts: tuple["Description", ...] = ()
    following: tuple[str, ...] = ()


def describe(path: str | Path, lookup: Lookup | None = None) -> Description:
    """Say what a path holds.

    Memory does not grow with the number of contigs (save for the samples and the different lengths), and of a store whose
    contigs no table lists, few shards are opened unless all are asked for.

    Raises:
        InputError: it is nothing that Eden knows, or cannot be read.
    """
    lookup = lookup or Lookup()
    if lookup.index is not None and Path(path).is_file():
        return _index(Recognized(Kind.INDEX, Path(path)), lookup)
    found = recognize(path)
    return _folder(found.path, lookup) if found.kind is Kind.FOLDER else _described(found, lookup)


def _described(one: Recognized, lookup: Lookup) -> Description:
    if one.kind is Kind.SHARD:
        return _shard(one, lookup)
    return _index(one, lookup) if one.kind is Kind.INDEX else _DESCRIBED[one.kind](one)


def _folder(path: Path, lookup: Lookup) -> Description:
    files, unread = _known_files(path)
    store = _store(path, lookup, listed=not any(one.kind is Kind.CONTIGS for one in files))
    sources = [one for one in files if one.kind in {Kind.FASTA, Kind.JSONL}]
    parts = [_described(one, lookup) for one in files if one not in sources]
    parts = [*([store] if store is not None else []), *parts]
    if not parts and unread:
        raise InputError("; ".join(unread))
    if not parts and not sources:
        raise InputError(
            f"{path} holds no index, no store and no table (expected <sample>/glm_dataset_<sample>.sqlite). {TAKEN}"
        )
    if not parts:
        return _sources(path, sources)
    if len(parts) == 1 and not unread:
        return parts[0]
    following = _of_data(path, {one.kind for one in parts}, lookup)
    size = sum(one.bytes or 0 for one in parts)
    facts = {"not read": unread} if unread else {}
    return Description("data folder", str(path), size, facts, parts=tuple(parts), following=(*following, *_optimizing(store)))


def _known_files(path: Path) -> tuple[list[Recognized], list[str]]:
    """Recognize the files of a folder: tables come first, then splits, then indexes.

    Returns:
        Those that are known, and why some are not that should be by their names; others are passed over.
    """
    found, unread = [], []
    with os.scandir(path) as entries:
        names = (entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
        for name in sorted(islice(names, _LOOKED_AT)):
            try:
                found.append(recognize(path / name))
            except (InputError, PermissionError) as error:
                unread += [str(error)] if name.endswith(_DATA) else []
    return sorted(found, key=_rank), unread


def _rank(one: Recognized) -> tuple[int, int, str]:
    first = [Kind.CONTIGS, Kind.RUNS, Kind.SPLIT, Kind.INDEX]
    order = [*first, *(kind for kind in Kind if kind not in first)]
    split = one.path.stem.removesuffix("_windows")
    return order.index(one.kind), SPLITS.index(split) if split in SPLITS else len(SPLITS), one.path.name


def _store(path: Path, lookup: Lookup, *, listed: bool) -> Description | None:
    """Describe the store in a folder; its contigs are counted where no table lists them."""
    store = lookup.opened_store(path)
    try:
        samples = list(store.samples())
    except (NotSupportedError, ShardNotFoundError):
        return None
    if not samples:
        return None
    facts: dict[str, Any] = {"shards": len(samples)}
    contigs = None
    if listed:
        chosen = samples if lookup.all_shards else spread(samples)
        contigs = listed_contigs(store, chosen)
        facts |= {"shards listed": len(chosen)}
        if contigs is not None and len(chosen) < len(samples):
            scale = len(samples) / len(chosen)
            facts |= {"contigs, estimated": round(contigs.contigs * scale)}
            facts |= {"bases, estimated": round((contigs.lengths.bases if contigs.lengths else 0) * scale)}
    slow = slow_shards(store, spread(samples))
    facts |= {"slow": slow} if slow else {}
    one = Description(Kind.STORE, store.location, bytes_below(Path(store.location)), facts, contigs)
    return replace(one, following=(*_of_data(path, {Kind.STORE}, lookup), *_optimizing(one)))


def _shard_of_many(one: Recognized) -> Description:
    """Describe a shard of several samples, which its store's table tells apart."""
    command = shlex.join(["eden", "inspect", "--store", "arrow-shards", str(one.path.absolute().parents[1])])
    return Description(one.kind, str(one.path), one.path.stat().st_size, one.facts, following=(command,))


def _shard(one: Recognized, lookup: Lookup) -> Description:
    if one.facts:
        return _shard_of_many(one)
    sample = one.path.absolute().parent.name
    size = one.path.stat().st_size
    if one.path.name != f"glm_dataset_{sample}.sqlite":
        wanted = one.path.stem.removeprefix("glm_dataset_")
        note = f"no store finds it here: it belongs at DIR/{wanted}/glm_dataset_{wanted}.sqlite, and DIR is the store"
        return Description(one.kind, str(one.path), size, {"note": note})
    place = one.path.absolute().parents[1]
    with opened_store(lookup.store, str(place), lookup.store_options) as store:
        facts = {"sample": sample} | shard_facts(store, sample)
        contigs = listed_contigs(store, [sample])
    command = shlex.join(["eden", "optimize" if "slow" in facts else "inspect", str(place)])
    return Description(one.kind, str(one.path), size, facts, contigs, following=(command,))


def _index(one: Recognized, lookup: Lookup) -> Description:
    plugin = lookup.index or one.facts["plugin"]
    with opened_index(plugin, str(one.path), lookup.index_options) as index, lookup.opened_store(one.path.parent) as store:
        listed = lookup.all_shards or has_few_shards(store)
        report = inspect_index(LengthSource(index, store, lookup.contigs), ask_store=listed)
        facts = {"of": _REGIONS_INDEXED} if "start" in next(iter(index.contigs())).schema.names else {}
        window_size = index.tiling.window_size
    split = one.path.stem.removesuffix("_windows")
    elsewhere = lookup.sequence_db_dir
    path, folder = str(one.path), str(one.path.parent)
    given = {"sequence_db_dir": elsewhere or folder, "train_window_db_path": path}
    given = {"data_dir": folder} if split in SPLITS and elsewhere is None else given
    named = _store_named(Path(elsewhere or folder), lookup)
    call = data_module_call(**given, store=named, index=plugin, seq_length=window_size, **lookup.dataset_options())
    return Description(one.kind, path, report.bytes, facts, report, following=(call,))


def _contigs(one: Recognized) -> Description:
    report = count_table(one.path)
    target = one.path.parent
    long = report.lengths is not None and report.lengths.bases >= _ENOUGH_FOR_REGIONS
    by_region = ["--by", "region"] if report.contigs < _FEW and long else []
    split = shlex.join(["eden", "split", str(one.path), "--out", str(target), *by_region])
    whole = precompute_command(one.path, target, "train")
    return _of_table(one, report, split if report.contigs >= _FEW or long else whole)


def _split(one: Recognized) -> Description:
    return _of_table(one, count_table(one.path), precompute_command(one.path, one.path.parent))


def _of_table(one: Recognized, report: ContigReport, following: str) -> Description:
    facts = {"columns": one.facts["columns"]} | ({"rows": _REGIONS} if "start" in one.facts["columns"] else {})
    return Description(one.kind, str(one.path), one.path.stat().st_size, facts, report, following=(following,))


def _runs(one: Recognized) -> Description:
    runs = bases = 0
    for batch in read_runs(one.path):
        runs += batch.num_rows
        bases += pc.sum(pc.subtract(batch.column("end"), batch.column("start"))).as_py() or 0
    argument = "max_n_fraction" if one.path.stem == "n_runs" else "max_soft_masked_fraction"
    call = data_module_call(data_dir=str(one.path.parent), **_as_prepared(one.path.parent), **{argument: 0.1})
    return Description(one.kind, str(one.path), one.path.stat().st_size, {"runs": runs, "bases": bases}, following=(call,))


def _imported_files(one: Recognized) -> Description:
    table = pq.read_table(one.path, columns=["bytes", "contigs", "bases"])
    facts = {"files": len(table)} | {f"{name} imported": pc.sum(table[name]).as_py() or 0 for name in ("contigs", "bases")}
    facts["of files in all"] = size_text(pc.sum(table["bytes"]).as_py() or 0)
    return Description(one.kind, str(one.path), one.path.stat().st_size, facts)


def _manifest(one: Recognized) -> Description:
    manifest = read_manifest(one.path.parent) or {}
    facts = {name: manifest.get(name) for name in ("eden", "store", "index")}
    facts |= {
        f"{name}, as prepared": f"{part['windows']:,} windows of {part['bases']:,} bases"
        for name, part in manifest["splits"].items()
    }
    call = data_module_call(data_dir=str(one.path.parent), **_as_prepared(one.path.parent))
    return Description(one.kind, str(one.path), one.path.stat().st_size, facts, following=(call,))


def _report(one: Recognized) -> Description:
    report = read_report(one.path)
    settings = (f"{name} {value}" for name, value in report["settings"].items())
    facts = {"settings": ", ".join(settings)}
    facts |= {name: f"{part['contigs']:,} contigs, {part['bases']:,} bases" for name, part in report["splits"].items()}
    return Description(one.kind, str(one.path), one.path.stat().st_size, facts)


def _source_file(one: Recognized) -> Description:
    facts = one.facts | {"read": "its beginning only"}
    return Description(one.kind, str(one.path), one.path.stat().st_size, facts, following=(_importing(one.path),))


def _sources(path: Path, sources: list[Recognized]) -> Description:
    kinds = [one.kind for one in sources]
    facts = {f"{kind} files": kinds.count(kind) for kind in (Kind.FASTA, Kind.JSONL) if kind in kinds}
    size = sum(one.path.stat().st_size for one in sources)
    return Description("folder of files to import", str(path), size, facts, following=(_importing(path),))


def _importing(path: Path) -> str:
    return f"eden import {shlex.quote(str(path))} --out DIR"


def _run(one: Recognized) -> Description:
    path = str(one.path)
    return Description(one.kind, path, following=(f"eden replay --run {shlex.quote(path)} --step N",))


def _sidecar(one: Recognized) -> Description:
    index, _, what = one.path.name.rpartition(".")
    facts = {"of": index, "what": f"{what.partition('-')[0]}: worked out from the index, and made anew where it is missing"}
    return Description(one.kind, str(one.path), one.path.stat().st_size, facts)


_DESCRIBED = {
    Kind.CONTIGS: _contigs,
    Kind.SPLIT: _split,
    Kind.RUNS: _runs,
    Kind.SOURCES: _imported_files,
    Kind.MANIFEST: _manifest,
    Kind.REPORT: _report,
    Kind.FASTA: _source_file,
    Kind.JSONL: _source_file,
    Kind.RUN: _run,
    Kind.SIDECAR: _sidecar,
}


def _as_prepared(folder: Path) -> dict[str, Any]:
    """Return the arguments of a data module that the manifest of a folder gives, if it has one."""
    manifest = read_manifest(folder)
    if manifest is None:
        return {}
    return {"store": manifest["store"], "index": manifest["index"], "seq_length": manifest["tiling"]["window_size"]}


def _store_named(folder: Path, lookup: Lookup) -> str:
    """Return the name of a folder's store: as it was prepared, else as it is looked up."""
    return str((read_manifest(folder) or {"store": lookup.store})["store"])


def _of_data(path: Path, kinds: set[str], lookup: Lookup) -> Iterator[str]:
    """Yield what is to be done next in a folder that holds these."""
    if Kind.INDEX in kinds:
        plugin = lookup.index or index_plugin(path)
        place = next((place for place in (index_place(path, split, plugin) for split in SPLITS) if place.exists()), None)
        if place is not None:
            with opened_index(plugin, str(place), lookup.index_options) as index:
                window_size = index.tiling.window_size
            made = {"store": _store_named(path, lookup), "index": plugin, "seq_length": window_size}
            yield data_module_call(data_dir=str(path), **made, **lookup.dataset_options())
        yield shlex.join(["eden", "doctor", str(path)])
    elif Kind.SPLIT in kinds:
        for split in SPLITS:
            if (path / f"{split}.parquet").exists():
                yield precompute_command(path / f"{split}.parquet", path)
    elif Kind.CONTIGS in kinds:
        yield shlex.join(["eden", "split", str(path / CONTIGS), "--out", str(path)])
    elif Kind.STORE in kinds:
        store = StoreAt(lookup.store, str(path), lookup.store_options)
        yield shlex.join(["eden", "contigs", *store.words(), store.location])
    if Kind.RUN in kinds:
        yield shlex.join(["eden", "replay", "--run", str(path), "--step", "N"])


def _optimizing(store: Description | None) -> tuple[str, ...]:
    slow = store is not None and "slow" in store.facts
    return (shlex.join(["eden", "optimize", store.location]),) if store is not None and slow else ()
