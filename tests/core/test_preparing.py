import json
import random
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_threads import InThread

from eden_core import EdenDataModule, EdenDataset, Tiling, errors, preparing
from eden_core.importing import import_files
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.precompute import precompute
from eden_core.preparing import PrepareSettings, chosen_rules, prepare
from eden_core.splitting.rules import SplitRules

TILING = Tiling(128, 112, keep_tail=True)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(1)
    for sample in range(4):
        contigs = [f">c{i}\n{''.join(draw.choices('ACGT', k=draw.randint(100, 900)))}\n" for i in range(15)]
        (tmp_path / f"MG__s{sample}.fa").write_text("".join(contigs))
    (tmp_path / "genome.fa").write_text(f">chr\n{''.join(draw.choices('ACGT', k=60_000))}\n")
    return tmp_path


def run(*names, rules=None, tiling=TILING, force=False, out="out", **settings):
    settings = PrepareSettings(ImportOptions(), tiling, rules or SplitRules(0.6, 0.2, 0.2), **settings)
    return prepare(find_source_files(names), out, settings, executor=InThread(), force=force)


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(folder) -> dict:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_what_is_prepared_trains(here):
    summary = run("MG__s*.fa")
    data = EdenDataModule(data_dir="out", seq_length=128, micro_batch_size=4, num_workers=0, use_control_tags=True)
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["tokens"].shape == (4, 128)
    parts = summary.manifest["splits"]
    assert sum(part["bases"] for part in parts.values()) == summary.imported.counts.bases
    rows = EdenDataset(sequence_db_dir="out", window_db_path="out/train_windows.db", seq_length=128)
    assert len(rows) == parts["train"]["windows"]


def test_one_long_genome_is_held_out_by_region(here):
    manifest = run("genome.fa").manifest
    assert manifest["split"]["by"] == "region"
    assert (manifest["split"]["block"], manifest["split"]["guard"]) == (1500, 128)
    places = [pq.read_table(f"out/{split}.parquet").to_pylist() for split in ("train", "validation", "test")]
    seen = np.zeros(60_000, int)
    for row in sum(places, []):
        seen[row["start"] : row["start"] + row["length"]] += 1
    assert seen.max() == 1


def test_the_same_call_again_changes_nothing(here):
    run("genome.fa")
    before = times(here / "out")
    assert run("genome.fa").unchanged
    assert times(here / "out") == before


@pytest.mark.parametrize("step", ["import_files", "split_contigs", "_indexed"])
def test_an_interrupted_call_goes_on(here, monkeypatch, step):
    run("MG__s*.fa", out="whole")
    with monkeypatch.context() as patch:
        done = getattr(preparing, step)

        def stop(*arguments, **options):
            done(*arguments, **options)
            raise KeyboardInterrupt

        patch.setattr(preparing, step, stop)
        with pytest.raises(KeyboardInterrupt):
            run("MG__s*.fa")
    assert not run("MG__s*.fa").unchanged
    assert contents(here / "out") == contents(here / "whole")
    newest_table = max((here / "out" / f"{split}.parquet").stat().st_mtime_ns for split in ("train", "test"))
    assert (here / "out" / "train_windows.db").stat().st_mtime_ns >= newest_table


def test_other_settings_need_force(here):
    run("MG__s*.fa")
    with pytest.raises(errors.OutputExistsError, match="was prepared in another way.*tiling"):
        run("MG__s*.fa", tiling=Tiling(64, 56))
    run("MG__s*.fa", tiling=Tiling(64, 56), force=True)
    assert json.loads((here / "out" / "eden.json").read_text())["tiling"]["window_size"] == 64


def test_other_files_need_force(here):
    run("MG__s0.fa", "MG__s1.fa")
    with pytest.raises(errors.OutputExistsError, match="was prepared in another way.*files"):
        run("MG__s0.fa", "MG__s2.fa")


def test_a_changed_source_needs_force(here):
    run("MG__s*.fa")
    shutil.copy("MG__s1.fa", "MG__s2.fa")
    with pytest.raises(errors.OutputExistsError, match=r"MG__s2\.fa has changed"):
        run("MG__s*.fa")
    run("MG__s*.fa", force=True)


def test_splits_of_others_are_not_replaced(here):
    (here / "out").mkdir()
    (here / "out" / "train.parquet").write_text("mine")
    with pytest.raises(errors.OutputExistsError, match=r"holds train\.parquet, which eden prepare did not make"):
        run("MG__s*.fa")
    assert contents(here / "out") == {"train.parquet": b"mine"}


def test_bad_input_leaves_nothing(here):
    (here / "bad.fa").write_text("no FASTA")
    with pytest.raises(errors.InputError):
        run("bad.fa")
    assert not (here / "out").exists()


def test_a_stride_that_leaves_gaps_is_refused_before_anything_is_read(here):
    with pytest.raises(errors.ConfigurationError, match="stride"):
        run("MG__s*.fa", tiling=Tiling(128, 128))
    assert not (here / "out").exists()


@pytest.mark.parametrize("option", [{"store": "other"}, {"index": "other"}])
def test_the_data_module_refuses_another_plugin(here, option):
    run("genome.fa")
    with pytest.raises(errors.ConfigurationError, match="was prepared with"):
        EdenDataModule(data_dir="out", seq_length=128, **option)


def test_a_damaged_manifest(here):
    run("genome.fa")
    (here / "out" / "eden.json").write_text("{")
    with pytest.raises(errors.InputError, match=r"eden\.json is no manifest"):
        EdenDataModule(data_dir="out", seq_length=128)


def test_rules_that_say_what_must_not_be_divided_stay():
    for rules in (SplitRules(by="sample"), SplitRules(test_contigs=("c1",)), SplitRules(split_from="sample")):
        assert chosen_rules(rules, 60_000, 60_000, TILING) == rules


def test_a_source_that_was_imported_anew_by_itself(here):
    run("MG__s*.fa")
    shutil.copy("MG__s1.fa", "MG__s2.fa")
    import_files(find_source_files(["MG__s2.fa"]), "out", executor=InThread(), force=True)
    assert not run("MG__s*.fa").unchanged
    run("MG__s*.fa", out="whole")
    assert contents(here / "out") == contents(here / "whole")


def test_a_split_that_is_no_longer_made_leaves_no_index(here):
    run("MG__s*.fa")
    run("MG__s*.fa", rules=SplitRules(0.7, 0.3, 0), force=True)
    assert not (here / "out" / "test_windows.db").exists()


def test_a_new_way_that_was_interrupted_goes_on(here, monkeypatch):
    run("MG__s*.fa")
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "split_contigs", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("MG__s*.fa", tiling=Tiling(64, 48), force=True)
    run("MG__s*.fa", tiling=Tiling(64, 48))
    run("MG__s*.fa", tiling=Tiling(64, 48), out="whole")
    assert contents(here / "out") == contents(here / "whole")


def _interrupt(*_arguments, **_options):
    raise KeyboardInterrupt


def test_an_unknown_index_is_refused_before_anything_is_read(here):
    with pytest.raises(errors.EdenError, match="no index plugin is named 'sqlit'"):
        run("MG__s*.fa", index="sqlit")
    assert not (here / "out").exists()


def test_rules_that_failed_can_be_mended_without_force(here):
    with pytest.raises(errors.EdenError, match="names no contig"):
        run("MG__s*.fa", rules=SplitRules(test_contigs=("chr1",)))
    shards = {path: path.stat().st_ino for path in (here / "out").rglob("*.sqlite")}
    assert run("MG__s*.fa").imported.unchanged == 4
    assert {path: path.stat().st_ino for path in (here / "out").rglob("*.sqlite")} == shards


def test_other_windows_do_not_import_again(here):
    run("MG__s*.fa")
    with pytest.raises(errors.OutputExistsError, match=r"\(tiling: stride 112, not 96\).*shards stay"):
        run("MG__s*.fa", tiling=Tiling(128, 96, keep_tail=True))
    assert run("MG__s*.fa", tiling=Tiling(128, 96, keep_tail=True), force=True).imported.unchanged == 4


def test_other_windows_and_a_changed_source(here):
    run("MG__s*.fa")
    with (here / "MG__s1.fa").open("a") as fasta:
        fasta.write(">more\nACGT\n")
    assert run("MG__s*.fa", tiling=Tiling(128, 96, keep_tail=True), force=True).imported.counts.contigs == 61


def test_windows_that_were_cut_otherwise_since_are_told(here):
    run("MG__s*.fa")
    precompute("out/train.parquet", "out/train_windows.db", Tiling(128, 96, keep_tail=True), force=True)
    with pytest.raises(errors.OutputExistsError, match="cut in another way after eden prepare .stride 96, not 112"):
        run("MG__s*.fa")


def test_more_samples_join_those_that_are_there(here):
    run("MG__s0.fa", "MG__s1.fa")
    before = times(here / "out" / "s0")
    summary = run("MG__s0.fa", "MG__s1.fa", "MG__s2.fa", force=True)
    assert summary.imported.unchanged == 2
    assert times(here / "out" / "s0") == before
    run("MG__s0.fa", "MG__s1.fa", "MG__s2.fa", out="whole")
    assert contents(here / "out" / "s2") == contents(here / "whole" / "s2")
    assert (here / "out" / "train_windows.db").read_bytes() == (here / "whole" / "train_windows.db").read_bytes()


def test_files_are_known_from_another_folder_too(here, monkeypatch):
    run("MG__s0.fa", "MG__s1.fa")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert run("../MG__s0.fa", "../MG__s1.fa", out="../out").unchanged


def test_held_out_regions_too_short_for_a_window_are_told_before_anything_is_divided(here):
    rules = SplitRules(0.8, 0.1, 0.1, by="region", block=3000, guard=1000)
    with pytest.raises(errors.InputError, match=r"would have not one window.*of 8,192.*multiples of 7,992.*--window-size"):
        run("genome.fa", rules=rules, tiling=Tiling(8192, 7992))
    assert not list((here / "out").glob("*train*"))
    assert run("genome.fa", rules=rules, tiling=Tiling(1024, 960)).imported.unchanged == 1
