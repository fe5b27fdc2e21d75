"""The folder that a conversion writes to: what is there, what a killed conversion left, and how it is completed."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.atomic import atomic_path
from eden_core.converting.plan import TABLES, Plan, indexes_named
from eden_core.converting.samples import Places, Receipt, stamp_of
from eden_core.errors import InputError, OutputExistsError
from eden_core.importing.folder import SOURCES
from eden_core.interfaces import SequenceStore
from eden_core.manifest import MANIFEST, read_manifest
from eden_core.store_at import StoreAt

CONVERSION = "conversion.json"
"""what a folder was converted from, and to what"""

_WORK = ".eden-convert"
_DONE = ".eden-convert.done"


class ConversionFolder:
    """What a conversion finds and leaves in its folder; used under `eden_core.importing.folder.locked_folder`.

    Args:
        plan: the conversion.
        samples: of the source, in byte order.
    """

    def __init__(self, plan: Plan, samples: Sequence[str]) -> None:
        self.plan = plan
        self.samples = samples
        self.out = Path(plan.target.location)
        self._work = self.out / _WORK
        self._described = plan.described()
        self._receipts: dict[str, Receipt] = {}

    @property
    def receipts(self) -> str:
        """Folder of what is noted of samples."""
        return str(self._work / "samples")

    def index_draft(self, place: Path) -> Path:
        """Return where an index of the source becomes the other one, before it is put in its place."""
        return self._work / "indexes" / self.plan.index_name(place)

    def begin(self, store: SequenceStore, *, force: bool) -> dict[str, Any] | None:
        """Note what is planned; return what `CONVERSION` says where all of it was done before.

        Args:
            store: the source.
            force: whether what another conversion left is done anew.

        Raises:
            OutputExistsError: the folder holds something else, or another conversion, without `force`.
            InputError: the source is the output of an unfinished conversion.
        """
        if (self.plan.folder / _WORK).exists():
            raise InputError(
                f"{self.plan.folder} holds an unfinished conversion: complete it first, by the command that began it"
            )
        shutil.rmtree(self.out / _DONE, ignore_errors=True)
        before = _read(self.out / CONVERSION)
        begun = _read(self._work / "plan.json")
        if begun is None and not self._work.is_dir():
            if before is not None and not force and before["plan"] == self._described:
                self._refuse_changed(before, store)
                return before
            self._refuse_others(before, force=force)
        elif begun is not None and begun["plan"] != self._described:
            self._refuse_others(begun, force=force)
        if force:
            shutil.rmtree(self._work, ignore_errors=True)
        for name in ("samples", "indexes"):
            (self._work / name).mkdir(parents=True, exist_ok=True)
        with atomic_path(self._work / "plan.json") as draft:
            draft.write_text(json.dumps({"plan": self._described}))
        for name in (CONVERSION, MANIFEST):
            (self.out / name).unlink(missing_ok=True)
        self._forget_changed(store)
        return None

    def given_up_if_empty(self) -> None:
        """Leave nothing behind of a conversion that did nothing."""
        if [path.name for path in self.out.iterdir()] == [_WORK] and not any(self._work.glob("*/*")):
            shutil.rmtree(self._work)

    def unwritten(self) -> list[str]:
        """Return the samples that are still to be written."""
        return [sample for sample in self.samples if not Places(self.receipts, sample).receipt.exists()]

    def unchecked(self) -> list[str]:
        """Return the samples that are still to be read back."""
        return [sample for sample in self.samples if not Places(self.receipts, sample).checked.exists()]

    def complete(self, source: SequenceStore, target: SequenceStore) -> dict[str, Any]:
        """Put tables and indexes in their places, then what says that all is complete; return what `CONVERSION` says.

        Args:
            source: the store that was converted.
            target: the new one.

        Raises:
            InputError: the source changed meanwhile.
            OutputExistsError: the target has samples that the source has not.
        """
        receipts = [Receipt.read(Places(self.receipts, sample).receipt) for sample in self.samples]
        changed = [one.sample for one in receipts if stamp_of(source, one.sample) != one.stamp]
        if changed or self.plan.described() != self._described:
            what = f"the shard of sample {changed[0]!r}" if changed else "a table or an index"
            raise InputError(f"{what} in {self.plan.folder} changed while it was converted; give the same command again")
        self._refuse_further(target)
        for table in self.plan.tables:
            with atomic_path(self.out / table.name) as draft:
                self._carry(table, draft, receipts)
        self._remove_stale()
        indexes = {self.index_draft(place) for place in self.plan.indexes}
        built = [path for path in (self._work / "indexes").iterdir() if not path.name.startswith(".")]
        for path in sorted(built, key=lambda path: path in indexes):  # behind what was worked out from them
            path.replace(self.out / path.name)
        said = {
            "eden": version("eden-core"),
            "plan": self._described,
            "samples": len(receipts),
            "contigs": sum(receipt.contigs for receipt in receipts),
            "bases": sum(receipt.bases for receipt in receipts),
            "shards": _digest_of((receipt.sample, receipt.stamp) for receipt in receipts),
        }
        _write(self.out / CONVERSION, said)
        manifest = read_manifest(self.plan.folder)
        if manifest is not None:
            _write(self.out / MANIFEST, _converted(manifest, self.plan))
        self._work.rename(self.out / _DONE)
        shutil.rmtree(self.out / _DONE)
        return said

    def _refuse_changed(self, before: Mapping[str, Any], store: SequenceStore) -> None:
        if before["shards"] != _digest_of((sample, stamp_of(store, sample)) for sample in self.samples):
            raise OutputExistsError(
                f"shards in {self.plan.folder} have changed since {self.out} was converted from it; give --force to convert "
                "them anew, or choose another output"
            )

    def _refuse_others(self, found: Mapping[str, Any] | None, *, force: bool) -> None:
        """Refuse a folder that holds something else, or, without `force`, another conversion."""
        if found is None:
            names = sorted(path.name for path in self.out.iterdir())
            if names:
                raise OutputExistsError(
                    f"{self.out} holds {', '.join(names[:3])}{' and more' if names[3:] else ''}, which eden convert did not "
                    "write: choose another output"
                )
            return
        plan, store = found["plan"], self._described["to"]["name"]
        if plan["to"]["name"] != store:
            raise OutputExistsError(
                f"{self.out} was converted to store {plan['to']['name']!r}, and store {store!r} is asked for: choose another "
                "output"
            )
        if not force:
            raise OutputExistsError(
                f"{self.out} holds another conversion ({_differences(plan, self._described)}): give its command again to "
                "complete it, choose another output, or give --force to convert anew"
            )

    def _refuse_further(self, target: SequenceStore) -> None:
        further = sorted(set(target.samples()) - {*self.samples, _WORK})  # a store may take any folder for a sample
        if further:
            raise OutputExistsError(
                f"{self.out} holds sample {further[0]!r}{' and others' if further[1:] else ''}, which {self.plan.folder} has "
                "not: remove what an earlier conversion left of it, or choose another output"
            )

    def _forget_changed(self, store: SequenceStore) -> None:
        """Forget samples whose shards changed since they were written, so that they are written anew."""
        for sample in self.samples:
            places = Places(self.receipts, sample)
            if places.receipt.exists() and Receipt.read(places.receipt).stamp != stamp_of(store, sample):
                places.forget()

    def _remove_stale(self) -> None:
        """Remove tables and indexes of an earlier conversion that this one does not replace."""
        carried = {*(path.name for path in self.plan.tables), *map(self.plan.index_name, self.plan.indexes)}
        indexes = (path for name in {self.plan.from_index, self.plan.index} for path in self.out.glob(indexes_named(name)))
        for path in (*indexes, *(self.out / name for name in TABLES)):
            if path.name not in carried:
                path.unlink(missing_ok=True)

    def _carry(self, table: Path, draft: Path, receipts: Iterable[Receipt]) -> None:
        if table.name != SOURCES:
            shutil.copyfile(table, draft)
            return
        try:
            rows = pq.read_table(table).to_pylist()
            places = {receipt.sample: receipt.location for receipt in receipts}
            for row in rows:
                place = Path(places.get(row["sample"], row["location"]))
                row["location"] = str(place.relative_to(self.out)) if place.is_relative_to(self.out) else str(place)
                row["settings"] = json.dumps(_with_store(json.loads(row["settings"]), self.plan.target))
            pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(table)), draft, compression="zstd")
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise InputError(f"{table} cannot be carried over: {error}; eden import writes it") from error


def _converted(manifest: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    named = {"store": plan.target.name, "index": plan.index}
    splits = {
        split: {**part, "index": plan.index_name(plan.folder / part["index"])} for split, part in manifest["splits"].items()
    }
    prepared = _with_store(manifest["plan"], plan.target) | {"index": plan.index}
    return {**manifest, "eden": version("eden-core"), **named, "splits": splits, "plan": prepared}


def _with_store(settings: Mapping[str, Any], store: StoreAt) -> dict[str, Any]:
    """Return settings of an import, or of a folder that was prepared, with another store; others stay where they stand."""
    told = {"store": store.name} | ({"store_options": dict(store.options)} if store.options else {})
    others = {name: value for name, value in settings.items() if name != "store_options"}
    return {name: each for key, value in others.items() for name, each in (told.items() if key == "store" else [(key, value)])}


def _digest_of(stamps: Iterable[tuple[str, str]]) -> str:
    return sha256(json.dumps(list(stamps)).encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = dict(json.loads(path.read_text()))
        found["plan"]["from"], found["plan"]["to"]["name"]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} cannot be read ({error!r}): choose another output") from error
    return found


def _write(path: Path, said: Mapping[str, Any]) -> None:
    with atomic_path(path) as draft:
        draft.write_text(json.dumps(said, indent=1) + "\n")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say what differs between two plans."""
    settings = (("from", "location"), ("from", "name"), ("from", "index"), ("to", "index"))
    found = [
        f"{side} {'store' if name == 'name' else name} {before[side].get(name)!r}"
        for side, name in settings
        if before[side].get(name) != now[side][name]
    ]
    found += [
        f"{side} a store with options {before[side].get('options')}"
        for side in ("from", "to")
        if before[side].get("options") != now[side]["options"]
    ]
    files = before["from"].get("files", {})
    changed = sorted(name for name in {*files, *now["from"]["files"]} if files.get(name) != now["from"]["files"].get(name))
    found += [f"{changed[0]} has changed since"] if changed else []
    return ", ".join(found)
