import json
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_folders import SAMPLES, bases_of, build_indexes, execute, import_sample, make_folder, shard
from in_threads import InThread
from plain import write_seed_shard

from eden_core import EdenDataModule, EdenDataset, EdenLoader, Tiling, installed_plugins
from eden_core.converting import ConversionSummary, convert_folder, samples
from eden_core.converting.plan import index_suffix
from eden_core.errors import (
    ConfigurationError,
    FormatError,
    InputError,
    NotSupportedError,
    OutputExistsError,
    ShardNotFoundError,
)
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.preparing import PrepareSettings, prepare
from eden_core.splitting.rules import SplitRules
from eden_core.verifying import verify

PLUGINS = [("text-files", "json"), ("text-files", "sqlite"), ("sqlite-shards", "json"), ("arrow-shards", "arrow")]
READ = {"seq_length": 512, "rc_aug": True, "use_control_tags": True, "extra_keys": ("row_ids",)}


def run(folder, out, store="text-files", index=None, **options) -> ConversionSummary:
    return convert_folder(folder, out, store=store, index=index, executor=InThread(), **options)


def there(plugins: tuple[str, str]) -> tuple[str, str]:
    known = {(entry.kind, entry.name) for entry in installed_plugins().entries()}
    if not {("store", plugins[0]), ("index", plugins[1])} <= known:
        pytest.skip(f"{' and '.join(plugins)} are not installed")
    return plugins


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(made, tmp_path / "data")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    place, draw = tmp_path_factory.mktemp("prepared"), random.Random(1)
    contigs = [f">c{i}\n{''.join(draw.choices('ACGTNacgt', k=draw.randint(100, 3000)))}\n" for i in range(30)]
    for sample in range(2):
        (place / f"MG__s{sample}.fa").write_text("".join(contigs[sample::2]))
    settings = PrepareSettings(ImportOptions(), Tiling(512, 480, keep_tail=True), SplitRules(0.6, 0.2, 0.2))
    prepare(find_source_files([str(place)]), place / "data", settings, executor=InThread())
    return place / "data"


def train(folder: Path, store="sqlite-shards", index="sqlite") -> EdenDataset:
    place = folder / f"train_windows{index_suffix(index)}"
    places = {"sequence_db_dir": str(folder), "window_db_path": str(place)}
    return EdenDataset(store, index, **places, **READ)


@pytest.mark.parametrize("plugins", PLUGINS, ids="-".join)
def test_rows_are_the_same_bit_for_bit(made, tmp_path, plugins):
    store, index = there(plugins)
    run(made, tmp_path / "out", store, index)
    before, after = train(made), train(tmp_path / "out", store, index)
    wanted, found = before.batch(range(len(before))), after.batch(range(len(after)))
    assert wanted.keys() == found.keys()
    assert all(wanted[key].equal(found[key]) for key in wanted)


@pytest.mark.parametrize("plugins", PLUGINS, ids="-".join)
def test_nothing_is_wrong_there_and_back(made, tmp_path, plugins):
    store, index = there(plugins)
    done = run(made, tmp_path / "out", store, index)
    assert (done.samples, done.contigs, done.bases) == (3, 21, sum(map(len, bases_of(made).values())))
    assert verify(tmp_path / "out", InThread(), store=store, index=index).problems == []
    run(tmp_path / "out", tmp_path / "back", "sqlite-shards", "sqlite", from_store=store, from_index=index)
    assert verify(tmp_path / "back", InThread()).problems == []
    assert bases_of(tmp_path / "back") == bases_of(made)
    tables = {name: held for name, held in contents(made).items() if name.endswith((".parquet", ".json", ".db"))}
    back = contents(tmp_path / "back")
    assert tables.keys() == {name for name in back if "/" not in name} - {"conversion.json"}
    del tables["sources.parquet"]  # written anew, see below
    assert {name: back[name] for name in tables} == tables


def test_a_prepared_folder_trains_with_the_new_plugins_alone(prepared, tmp_path):
    run(prepared, tmp_path / "out", "text-files", "json")
    before, after = (json.loads((place / "eden.json").read_text()) for place in (prepared, tmp_path / "out"))
    assert (after["store"], after["index"]) == ("text-files", "json")
    assert after["plan"] == before["plan"] | {"store": "text-files", "index": "json"}
    assert after["splits"] == before["splits"]
    data = EdenDataModule(data_dir=str(tmp_path / "out"), seq_length=512, num_workers=0)
    assert len(data.dataset("train")) == before["splits"]["train"]["windows"]
    with pytest.raises(ConfigurationError, match="text-files"):
        EdenDataModule("sqlite-shards", "sqlite", data_dir=str(tmp_path / "out"), seq_length=512)


def test_a_folder_that_was_only_imported_says_what_reads_it(made, tmp_path):
    run(made, tmp_path / "out", "text-files")
    run(tmp_path / "out", tmp_path / "back", "sqlite-shards")
    assert contents(tmp_path / "back") == contents(made) | {
        "conversion.json": (tmp_path / "back" / "conversion.json").read_bytes()
    }


def test_the_manifest_says_what_reads_the_folder(prepared, tmp_path):
    run(prepared, tmp_path / "out", "text-files", "json")
    run(tmp_path / "out", tmp_path / "back", "sqlite-shards", "sqlite")
    assert (tmp_path / "back" / "eden.json").read_bytes() == (prepared / "eden.json").read_bytes()


def test_the_table_of_sources_names_the_new_store(made, tmp_path):
    run(made, tmp_path / "out", store_options={"suffix": ".seq"})
    (row, *_) = pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()
    settings = json.loads(row["settings"])
    assert (row["sample"], row["location"]) == ("s1", "s1")
    assert list(settings.items())[:2] == [("store", "text-files"), ("store_options", {"suffix": ".seq"})]
    run(tmp_path / "out", tmp_path / "back", "sqlite-shards", from_store="text-files", from_store_options={"suffix": ".seq"})
    assert (tmp_path / "back" / "sources.parquet").read_bytes() == (made / "sources.parquet").read_bytes()


@pytest.mark.parametrize("plugins", [("text-files", "sqlite"), ("arrow-shards", "arrow")], ids="-".join)
def test_a_run_goes_on_from_a_converted_folder_and_back(made, tmp_path, plugins):
    run(made, tmp_path / "out", *there(plugins))
    loaders = [EdenLoader(train(made), num_workers=0), EdenLoader(train(tmp_path / "out", *plugins), num_workers=0)]
    for before, after in (loaders, loaders[::-1]):
        after.load_state_dict(before.state_dict())


def test_but_not_where_the_bases_are_others(made, folder, tmp_path):
    changed = {name.split("__")[2]: bases.swapcase() for name, bases in bases_of(made).items() if "-s1__" in name}
    import_sample(folder, "s1", changed)
    for split in ("train", "validation"):
        ids = pq.read_table(folder / f"{split}.parquet", columns=["contig_id"])["contig_id"]
        table = pq.read_table(folder / "contigs.parquet")
        pq.write_table(table.filter(pa.compute.is_in(table["contig_id"], value_set=ids)), folder / f"{split}.parquet")
    build_indexes(folder)
    run(folder, tmp_path / "out")
    state = EdenLoader(train(made), num_workers=0).state_dict()
    with pytest.raises(ConfigurationError, match="changes the bytes: store was sqlite-shards, is text-files"):
        EdenLoader(train(tmp_path / "out", "text-files"), num_workers=0).load_state_dict(state)


def test_a_folder_of_shards_alone(tmp_path):
    held = {sample: {f"B__X-{sample}__c{i}": "ACGTn" * i for i in range(4)} for sample in ("S1", "S2")}
    for sample, sequences in held.items():
        write_seed_shard(tmp_path / "seed", sample, sequences)
    run(tmp_path / "seed", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"S1", "S2", "conversion.json"}
    run(tmp_path / "out", tmp_path / "back", "sqlite-shards", from_store="text-files")
    assert bases_of(tmp_path / "back") == held["S1"] | held["S2"]


def test_a_single_shard_that_serves_every_id(tmp_path):
    write_seed_shard(tmp_path / "seed", "genome", {"chr1": "ACGT" * 9, "chr2": "GG"})
    pq.write_table(pa.table({"contig_id": ["chr1", "chr2"], "length": [36, 2]}), tmp_path / "seed" / "contigs.parquet")
    run(tmp_path / "seed", tmp_path / "out", "sqlite-shards")
    assert bases_of(tmp_path / "out") == {"chr1": "ACGT" * 9, "chr2": "GG"}


def test_intervals_keep_their_windows(folder, tmp_path):
    table = pq.read_table(folder / "train.parquet", columns=["contig_id", "length"]).to_pylist()
    rows = [row | {"start": 150, "length": row["length"] - 150, "contig_length": row["length"]} for row in table]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    build_indexes(folder)
    run(folder, tmp_path / "out", "text-files", "json")
    before, after = train(folder), train(tmp_path / "out", "text-files", "json")
    assert len(before) == len(after)
    assert before.batch(range(len(before)))["tokens"].equal(after.batch(range(len(after)))["tokens"])


def test_the_same_call_again_changes_nothing(made, tmp_path):
    run(made, tmp_path / "out")
    before = times(tmp_path / "out")
    done = run(made, tmp_path / "out")
    assert (done.unchanged, done.there_already, done.bases) == (True, 3, sum(map(len, bases_of(made).values())))
    assert times(tmp_path / "out") == before


def test_progress_counts_indexes_and_samples_twice(made, tmp_path):
    seen = []
    run(made, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 2 + 2 * 3) for i in range(1, 9)]


def test_after_a_failure_the_others_are_not_converted_again(made, folder, tmp_path):
    whole = shard(folder, "s2").read_bytes()
    shard(folder, "s2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="truncated"):
        run(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "contigs.parquet").exists()
    before = times(tmp_path / "out" / "s1")
    shard(folder, "s2").write_bytes(whole)
    assert run(folder, tmp_path / "out").there_already == 2
    assert times(tmp_path / "out" / "s1") == before
    run(made, tmp_path / "undisturbed")
    assert {**contents(tmp_path / "out"), "conversion.json": b""} == {
        **contents(tmp_path / "undisturbed"),
        "conversion.json": b"",
    }


def test_several_failures_are_told_together(folder, tmp_path):
    for sample in ("s1", "s3"):
        shard(folder, sample).write_bytes(b"")
    with pytest.raises(InputError, match=r"2 samples cannot be converted:\n.*s1.*is empty.*\n.*s3.*is empty"):
        run(folder, tmp_path / "out")


def test_a_shard_that_changes_before_all_are_done_is_converted_again(tmp_path):
    for sample in ("S1", "S2"):
        write_seed_shard(tmp_path / "seed", sample, {f"B__X-{sample}__c": "ACGT"})
    execute(shard(tmp_path / "seed", "S2"), "ALTER TABLE sequences RENAME TO others")
    with pytest.raises(FormatError, match="no table 'sequences'"):
        run(tmp_path / "seed", tmp_path / "out")
    execute(shard(tmp_path / "seed", "S2"), "ALTER TABLE others RENAME TO sequences")
    execute(shard(tmp_path / "seed", "S1"), "UPDATE sequences SET nt_sequence = 'GGGG'")
    run(tmp_path / "seed", tmp_path / "out")
    assert (tmp_path / "out" / "S1" / "B__X-S1__c.txt").read_text() == "GGGG"


def test_a_shard_that_changes_while_it_is_read_is_noticed(folder, tmp_path, monkeypatch):
    def changing(store, batch):
        yield from bases_of_batch(store, batch)
        shard(folder, "s2").touch()

    bases_of_batch = samples.bases_of
    monkeypatch.setattr(samples, "bases_of", changing)
    with pytest.raises(InputError, match="sample 's2' in .* changed while it was read"):
        run(folder, tmp_path / "out")


def test_a_folder_that_changed_since_is_converted_anew_when_that_is_said(folder, tmp_path):
    run(folder, tmp_path / "out")
    import_sample(folder, "s1", {"c0": "ACGT" * 200})
    with pytest.raises(OutputExistsError, match=r"another conversion \(contigs.parquet has changed since\)"):
        run(folder, tmp_path / "out")
    build_indexes(folder)
    (folder / "validation_windows.db").unlink()
    run(folder, tmp_path / "out", force=True)
    assert [path.name for path in (tmp_path / "out" / "s1").iterdir()] == ["BAC__FASTA-s1__c0.txt"]
    assert not (tmp_path / "out" / "validation_windows.db").exists()


def test_a_shard_that_changed_since_is_noticed_where_no_table_tells(tmp_path):
    write_seed_shard(tmp_path / "seed", "S1", {"B__X-S1__c": "ACGT"})
    run(tmp_path / "seed", tmp_path / "out")
    execute(shard(tmp_path / "seed", "S1"), "UPDATE sequences SET nt_sequence = 'GGGG'")
    with pytest.raises(OutputExistsError, match="have changed since"):
        run(tmp_path / "seed", tmp_path / "out")


def test_a_store_that_has_no_state_of_shards_is_known_by_its_contigs(tmp_path):
    write_seed_shard(tmp_path / "seed", "S1", {"B__X-S1__c": "ACGT"})
    run(tmp_path / "seed", tmp_path / "text")
    run(tmp_path / "text", tmp_path / "back", "sqlite-shards", from_store="text-files")
    assert run(tmp_path / "text", tmp_path / "back", "sqlite-shards", from_store="text-files").unchanged
    (tmp_path / "text" / "S1" / "B__X-S1__d.txt").write_text("GG")
    with pytest.raises(OutputExistsError, match="have changed since"):
        run(tmp_path / "text", tmp_path / "back", "sqlite-shards", from_store="text-files")


def test_a_sample_that_the_source_lost_is_not_left_behind(tmp_path):
    for sample in ("S1", "S2"):
        write_seed_shard(tmp_path / "seed", sample, {f"B__X-{sample}__c": "ACGT"})
    run(tmp_path / "seed", tmp_path / "out")
    shutil.rmtree(tmp_path / "seed" / "S2")
    with pytest.raises(OutputExistsError, match="holds sample 'S2', which .* has not"):
        run(tmp_path / "seed", tmp_path / "out", force=True)
    shutil.rmtree(tmp_path / "out" / "S2")
    assert run(tmp_path / "seed", tmp_path / "out").samples == 1


def test_bases_that_are_not_those_of_the_table_are_refused(folder, tmp_path):
    execute(shard(folder, "s1"), "UPDATE sequences SET nt_sequence = replace(nt_sequence, 'A', 'C')")
    with pytest.raises(InputError, match="the bases of contig 'BAC__FASTA-s1__c0' .* eden verify"):
        run(folder, tmp_path / "out")


@pytest.mark.parametrize("contig", ["c0", "c6"])
def test_a_contig_that_its_shard_lacks_is_missed(folder, tmp_path, contig):
    execute(shard(folder, "s1"), f"DELETE FROM sequences WHERE contig_id LIKE '%{contig}'")
    with pytest.raises(InputError, match=f"contig BAC__FASTA-s1__{contig} is not in its shard, and is in"):
        run(folder, tmp_path / "out")


def test_a_shard_that_is_not_there_is_missed(folder, tmp_path):
    shutil.rmtree(folder / "s3")
    with pytest.raises(InputError, match="names sample 's3', and the store has no shard of it"):
        run(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "s1").exists()


def test_a_store_that_does_not_give_back_what_it_took_is_caught(folder, tmp_path):
    for _ in range(2):  # it is written again, and caught again
        with pytest.raises(InputError, match=r"3 samples .*\n.*'s1' cannot be read from .* as it was written: the bases"):
            run(folder, tmp_path / "out", "lossy")
    assert not (tmp_path / "out" / "conversion.json").exists()


def test_an_index_that_cannot_be_carried_over_is_told_before_a_shard_is_written(folder, tmp_path):
    execute(folder / "train_windows.db", "DELETE FROM metadata WHERE key = 'contigs_digest'")
    last = "(SELECT max(window_idx) FROM window_mappings)"
    execute(folder / "train_windows.db", f"DELETE FROM window_mappings WHERE window_idx = {last}")
    execute(folder / "train_windows.db", "UPDATE metadata SET value = value - 1 WHERE key = 'total_windows'")
    with pytest.raises(InputError, match="train_windows.db cannot be carried over"):
        run(folder, tmp_path / "out", "text-files", "json")
    assert not (tmp_path / "out" / "s1").exists()


def test_the_output_is_not_a_folder_of_something_else(made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"holds notes.txt, which eden convert did not write"):
        run(made, tmp_path / "out", force=True)


def test_another_store_goes_to_another_output(made, tmp_path):
    run(made, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="was converted to store 'text-files'"):
        run(made, tmp_path / "out", "sqlite-shards", force=True)


def test_a_half_converted_folder_is_no_source(made, tmp_path):
    (tmp_path / "half" / ".eden-convert").mkdir(parents=True)
    write_seed_shard(tmp_path / "half", "S1", {"B__X-S1__c": "ACGT"})
    with pytest.raises(InputError, match="unfinished conversion"):
        run(tmp_path / "half", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_arguments(made, tmp_path):
    with pytest.raises(ConfigurationError, match="give --store, or --index"):
        run(made, tmp_path / "out", None)
    with pytest.raises(ConfigurationError, match="lie in each other"):
        run(made, made / "out")
    with pytest.raises(ConfigurationError, match="lie in each other"):
        run(made, made.parent)
    with pytest.raises(InputError, match="no such folder"):
        run(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ShardNotFoundError, match="nothing to convert"):
        run(tmp_path / "empty", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_store_that_cannot_be_written(made, tmp_path, monkeypatch):
    def refuse(store, sample, sequences):
        raise NotSupportedError("store 'text-files' cannot be written")

    monkeypatch.setattr(installed_plugins().find("store", "text-files").plugin, "write_shard", refuse)
    with pytest.raises(NotSupportedError, match="cannot be written"):
        run(made, tmp_path / "out", index="json")


def test_samples_are_all_there(made):
    assert {path.name for path in made.iterdir() if path.is_dir()} == set(SAMPLES)
