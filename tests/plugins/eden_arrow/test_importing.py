"""Imports into the store: what an interrupted, repeated, replaced or abandoned one finds there."""

import random
import shutil

import pyarrow.parquet as pq
import pytest
from in_threads import InThread

from eden_arrow import merging
from eden_arrow.store import ArrowShards
from eden_core import errors
from eden_core.doctor import examine
from eden_core.doctor.findings import Job, Level
from eden_core.importing import folder as import_folder
from eden_core.importing import import_files
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.inspecting.describing import Lookup, describe
from eden_core.listing import list_contigs
from eden_core.plugins import installed_plugins
from eden_core.records import read_records
from eden_core.testing.suite import windows_of
from eden_core.verifying import verify


@pytest.fixture
def sources(tmp_path):
    draw = random.Random(1)
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("a", "b", "shards"):
        text = "".join(f">{i}\n{''.join(draw.choices('ACGTacgtN', k=draw.randint(20, 900)))}\n" for i in range(9))
        (folder / f"{name}.fa").write_text(text)
    return folder


@pytest.fixture
def run(tmp_path, sources):
    def run(*names, out="out", force=False, store_options=None, **options):
        executor = installed_plugins().executor("local", {"workers": 1})
        files = find_source_files([sources / name for name in names] or [sources])
        return import_files(
            files,
            tmp_path / out,
            options=ImportOptions(**options),
            store="arrow-shards",
            store_options=store_options,
            executor=executor,
            force=force,
        )

    return run


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def bases(out) -> dict[str, str]:
    with ArrowShards(str(out)) as store:
        listed = [name for batch in store.contigs() for name in batch.column("contig_id").to_pylist()]
        rows = store.read(windows_of([(name, 0, 10**9) for name in listed]))
        return dict(zip(listed, (row.tobytes().decode() for row in rows), strict=True))


def expected(sources, *names) -> dict[str, str]:
    found = {}
    for name in names:
        tag = name.upper()
        for record in read_records(sources / f"{name}.fa"):
            found[f"{tag}__FASTA-{name}__{record.id}"] = record.bases.decode()
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_all_bases_are_there(run, sources, tmp_path, packed):
    summary = run(store_options={"packed": packed})
    assert bases(tmp_path / "out") == expected(sources, "a", "b", "shards")
    assert {receipt.location for receipt in summary.receipts} == {"shards"}
    assert {path.name for path in (tmp_path / "out" / "shards").iterdir()} == {"00000.arrow", "ids.table"}


def test_the_same_again_reads_nothing(run, tmp_path):
    run()
    before = contents(tmp_path / "out")
    assert run().unchanged == 3
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("moment", ["merge_parts", "_write_sources"])
def test_an_import_that_stops_near_its_end_goes_on(run, tmp_path, monkeypatch, moment):
    """Before the parts are merged, or when they are and the tables are not written."""
    run(out="undisturbed")
    for owner in (import_folder, import_folder.ImportFolder):
        if hasattr(owner, moment):
            with monkeypatch.context() as patch:
                patch.setattr(owner, moment, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
                with pytest.raises(KeyboardInterrupt):
                    run()
    assert (tmp_path / "out" / ".eden-import").exists()
    assert run().unchanged == 3
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_an_import_that_stops_while_parts_are_merged_goes_on(run, tmp_path, monkeypatch):
    run(out="undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr(merging._Merge, "_write_table", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run()
    assert run().unchanged == 3
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_one_sample_is_replaced(run, sources, tmp_path):
    run()
    (sources / "b.fa").write_text(">new\nACGTNN\n")
    run("b.fa", force=True)
    assert bases(tmp_path / "out") == expected(sources, "a", "b", "shards")
    assert len(pq.read_table(tmp_path / "out" / "contigs.parquet")) == 19


def test_a_sample_joins_others(run, sources, tmp_path):
    run("a.fa")
    run("b.fa")
    assert bases(tmp_path / "out") == expected(sources, "a", "b")


def test_an_import_that_is_given_up_leaves_nothing(run, sources, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(merging._Merge, "_write_table", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run("a.fa", "b.fa")
    with pytest.raises(errors.OutputExistsError, match="unfinished import"):
        run("shards.fa", min_length=30)
    run("shards.fa", min_length=1, force=True)
    assert bases(tmp_path / "out") == expected(sources, "shards")


def test_a_shard_that_was_not_imported_is_kept(run, tmp_path):
    ArrowShards(str(tmp_path / "out")).write_shard("a", [("A__X-a__1", b"ACGT")])
    with pytest.raises(errors.OutputExistsError, match="shard of sample 'a' exists already"):
        run()
    assert bases(tmp_path / "out") == {"A__X-a__1": "ACGT"}


def test_a_file_that_cannot_be_read_leaves_nothing(run, sources, tmp_path):
    (sources / "a.fa").write_text(">1\nAC!T\n")
    with pytest.raises(errors.InputError):
        run("a.fa")
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_read_does_not_stop_the_others(run, sources, tmp_path):
    (sources / "a.fa").write_text(">1\nAC!T\n")
    with pytest.raises(errors.InputError):
        run()
    (sources / "a.fa").write_text(">1\nACCT\n")
    assert run().unchanged == 2
    assert bases(tmp_path / "out") == expected(sources, "a", "b", "shards")


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_imported_is_found_sound(run, tmp_path, packed):
    run(store_options={"packed": packed})
    result = verify(tmp_path / "out", InThread(), store="arrow-shards")
    assert (result.problems, result.samples_read, result.contigs_read) == ([], 3, 27)
    table = tmp_path / "listed.parquet"
    list_contigs(tmp_path / "out", InThread(), store="arrow-shards", out=table, digests=True)
    assert pq.read_table(table, columns=["contig_id", "digest"]) == pq.read_table(
        tmp_path / "out" / "contigs.parquet", columns=["contig_id", "digest"]
    )


def test_damage_is_found_and_the_remedy_works(run, sources, tmp_path):
    run(store_options={"packed": True})
    shard = tmp_path / "out" / "shards" / "00000.arrow"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    (problem, *_) = verify(tmp_path / "out", InThread(), store="arrow-shards").problems
    assert "--store arrow-shards --store-options" in problem.remedy
    for name in ("a.fa", "b.fa", "shards.fa"):
        run(name, force=True, store_options={"packed": True})
    assert not verify(tmp_path / "out", InThread(), store="arrow-shards").problems


def test_the_store_is_inspected(run, tmp_path):
    run()
    described = describe(tmp_path / "out", Lookup(store="arrow-shards"))
    assert described.parts[0].facts["shards"] == 3
    one = describe(tmp_path / "out" / "shards" / "00000.arrow")
    assert (one.kind, one.facts["bases kept"]) == ("shard", "as they are")


def test_the_doctor_looks_at_shards(run, tmp_path):
    run()
    assert shards_finding(tmp_path / "out").level is Level.OK
    (tmp_path / "out" / "shards" / "00000.arrow").write_bytes(b"half")
    assert shards_finding(tmp_path / "out").level is Level.ERROR


def shards_finding(out):
    return next(found for found in examine(out, Job(), InThread(), store="arrow-shards") if found.about == "shards")


def test_a_damaged_table_is_one_problem_and_goes_with_its_folder(tmp_path, run, sources):
    run()
    out, executor = tmp_path / "out", installed_plugins().executor("local", {"workers": 1})
    whole = bases(out)
    table = out / "shards" / "ids.table"
    table.write_bytes(table.read_bytes()[:-9])
    problems = verify(out, executor, store="arrow-shards").problems
    assert [problem.kind for problem in problems] == ["damaged-store"]
    found = [one.found for one in examine(out, Job(num_workers=0), executor, store="arrow-shards") if one.about == "shards"]
    assert len(found) == 1
    for told in (problems[0].what, found[0]):
        assert f"or remove {out / 'shards'} and import anew" in told
    with pytest.raises(errors.FormatError, match="and import anew"):
        run(force=True)
    shutil.rmtree(out / "shards")
    run()
    assert bases(out) == whole
