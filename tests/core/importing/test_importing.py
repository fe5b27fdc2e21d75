import gzip
import sqlite3

import pyarrow.parquet as pq
import pytest
from plain import write_seed_shard

from eden_core import errors
from eden_core.importing import ImportProgress, catalogue, import_files
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.interfaces import SequenceStore
from eden_core.plugins import installed_plugins

NAMES = {"sample": "s1", "tag": "BAC"}


@pytest.fixture
def fasta(tmp_path):
    (tmp_path / "g.fa").write_bytes(b">b x\nACGTN\nacgt\n>a\nGG\n>\xc3\xa9\nT\n>B\nC\n")
    return tmp_path / "g.fa"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "out"


def import_fasta(fasta, out, *, sample, tag, store="sqlite-shards", force=False, progress=None, **options):
    files = find_source_files([fasta], sample=sample, tag=tag)
    return import_files(files, out, options=ImportOptions(**options), store=store, force=force, progress=progress)


def stored(out, sample="s1") -> dict[str, str]:
    shard = sqlite3.connect(out / sample / f"glm_dataset_{sample}.sqlite")
    rows = dict(shard.execute("SELECT contig_id, nt_sequence FROM sequences"))
    shard.close()
    return rows


def listed(out) -> list[tuple[str, int]]:
    table = pq.read_table(out / "contigs.parquet")
    return list(zip(*table.select(["contig_id", "length"]).to_pydict().values(), strict=True))


def everything_in(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_sequences_are_in_the_store(fasta, out):
    import_fasta(fasta, out, **NAMES)
    prefix = "BAC__FASTA-s1__"
    assert stored(out) == {f"{prefix}b": "ACGTNacgt", f"{prefix}a": "GG", f"{prefix}é": "T", f"{prefix}B": "C"}


def test_contigs_are_listed_in_byte_order(fasta, out):
    import_fasta(fasta, out, **NAMES)
    assert [(name.rpartition("_")[2], length) for name, length in listed(out)] == [("B", 1), ("a", 2), ("b", 9), ("é", 1)]


def test_summary(fasta, out):
    summary = import_fasta(fasta, out, **NAMES)
    assert (summary.counts.records, summary.counts.contigs, summary.counts.bases) == (4, 4, 13)
    assert summary.contigs == out / "contigs.parquet"
    assert summary.receipts[0].location == "s1/glm_dataset_s1.sqlite"


def runs(out, table) -> list[tuple[str, int, int]]:
    return [(row["contig_id"], row["start"], row["end"]) for row in pq.read_table(out / table).to_pylist()]


def test_runs_of_n_and_of_lower_case_are_listed(fasta, out):
    import_fasta(fasta, out, **NAMES)
    assert runs(out, "n_runs.parquet") == [("BAC__FASTA-s1__b", 4, 5)]
    assert runs(out, "soft_masked.parquet") == [("BAC__FASTA-s1__b", 5, 9)]


def test_runs_of_other_samples_stay_and_those_of_a_replaced_one_go(tmp_path, fasta, out):
    import_fasta(fasta, out, **NAMES)
    (tmp_path / "other.fa").write_text(">x\nNNA\n>y\nANn\n")
    import_fasta(tmp_path / "other.fa", out, sample="s2", tag="BAC")
    (tmp_path / "again.fa").write_text(">b\nANA\n")
    import_fasta(tmp_path / "again.fa", out, **NAMES, force=True)
    assert runs(out, "n_runs.parquet") == [("BAC__FASTA-s1__b", 1, 2), ("BAC__FASTA-s2__x", 0, 2), ("BAC__FASTA-s2__y", 1, 3)]


def test_nothing_else_is_left(fasta, out):
    import_fasta(fasta, out, **NAMES)
    tables = {"contigs.parquet", "n_runs.parquet", "soft_masked.parquet", "sources.parquet"}
    assert everything_in(out) == tables | {"s1", "s1/glm_dataset_s1.sqlite"}


def test_ids_of_the_form_are_kept(tmp_path, out):
    (tmp_path / "g.fa").write_text(">VIR__ECT-s1__CT1-1\nA\n>VIR__ECT-s2__CT1-1\nC\n")
    import_fasta(tmp_path / "g.fa", out, **NAMES)
    assert stored(out) == {"VIR__ECT-s1__CT1-1": "A", "BAC__FASTA-s1__VIR__ECT-s2__CT1-1": "C"}


def test_cutting(fasta, out):
    import_fasta(fasta, out, **NAMES, cut_every=4)
    pieces = {name.rpartition("__")[2]: bases for name, bases in stored(out).items()}
    assert pieces == {"b:1-4": "ACGT", "b:5-8": "Nacg", "b:9-9": "t", "a": "GG", "é": "T", "B": "C"}
    assert ("BAC__FASTA-s1__b:9-9", 1) in listed(out)


def test_pieces_make_the_whole(lambda_fasta, out, tmp_path):
    import_fasta(lambda_fasta, out, **NAMES, cut_every=1000)
    import_fasta(lambda_fasta, tmp_path / "whole", **NAMES)
    pieces = sorted(stored(out).items(), key=lambda item: int(item[0].rpartition("-")[2]))
    assert "".join(bases for _, bases in pieces) == next(iter(stored(tmp_path / "whole").values()))


def test_progress_reaches_the_file_size(lambda_fasta, out):
    seen = []
    import_fasta(lambda_fasta, out, **NAMES, progress=seen.append)
    size = lambda_fasta.stat().st_size
    assert seen[-1] == ImportProgress(size, size, 1, 1, 48_502)


def test_a_sample_that_is_there_is_kept(fasta, out):
    write_seed_shard(out, "s1", {"B__X-s1__1": "ACGT"})
    shard = out / "s1" / "glm_dataset_s1.sqlite"
    before = shard.read_bytes()
    with pytest.raises(errors.OutputExistsError, match="--force"):
        import_fasta(fasta, out, **NAMES)
    assert shard.read_bytes() == before


def test_what_is_in_the_way_of_a_shard_is_kept(fasta, out):
    out.mkdir(parents=True)
    (out / "s1").write_text("precious")
    with pytest.raises(errors.ConfigurationError, match="cannot be made"):
        import_fasta(fasta, out, **NAMES)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("s1", "precious")]


def test_a_table_that_cannot_be_read_is_kept(fasta, out):
    out.mkdir(parents=True)
    (out / "contigs.parquet").write_text("precious")
    with pytest.raises(errors.InputError, match="not a Parquet file"):
        import_fasta(fasta, out, **NAMES)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("contigs.parquet", "precious")]


def test_a_second_sample_joins_the_first(fasta, out):
    import_fasta(fasta, out, **NAMES)
    first = listed(out)
    import_fasta(fasta, out, **(NAMES | {"sample": "s2"}))
    import_fasta(fasta, out, **(NAMES | {"sample": "s2"}), force=True)
    assert len(listed(out)) == 2 * len(first)
    assert set(first) < set(listed(out))


def test_force_replaces(fasta, lambda_fasta, out):
    import_fasta(lambda_fasta, out, **NAMES)
    import_fasta(fasta, out, **NAMES, force=True)
    assert len(stored(out)) == len(listed(out)) == 4


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ({"sample": "a/b", "tag": "BAC"}, errors.InvalidSequenceIdError),
        ({"sample": "a-b", "tag": "BAC"}, errors.InvalidSequenceIdError),
        ({"sample": "s1", "tag": "B__C"}, errors.InvalidSequenceIdError),
        ({**NAMES, "cut_every": 0}, errors.ConfigurationError),
        ({**NAMES, "store": "no-such"}, errors.PluginNotFoundError),
    ],
)
def test_arguments_are_checked_before_anything_is_read(tmp_path, out, names, error):
    (tmp_path / "bad.fa").write_text("no FASTA")
    with pytest.raises(error):
        import_fasta(tmp_path / "bad.fa", out, **names)
    assert not out.parent.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b">a\nACGT\n>b\nAC!T\n",
        b">a\nACGT\n>a\nACGT\n",
        gzip.compress(b">a\nACGT\n>b\n" + b"ACGT" * 100, mtime=0)[:-3],
        b">a\nACGT\n>BAC__FASTA-s1__a\nACGT\n",
    ],
)
def test_bad_input_leaves_nothing(tmp_path, out, content):
    (tmp_path / "g.fa").write_bytes(content)
    with pytest.raises(errors.InputError):
        import_fasta(tmp_path / "g.fa", out, **NAMES)
    assert everything_in(tmp_path) == {"g.fa"}


def test_two_ids_that_become_one(tmp_path, out):
    (tmp_path / "g.fa").write_text(">a\nACGT\n>BAC__FASTA-s1__a\nACGT\n")
    with pytest.raises(errors.InputError, match="line 3: the id 'BAC__FASTA-s1__a' is that of line 1 already"):
        import_fasta(tmp_path / "g.fa", out, **NAMES)


def test_a_failure_at_the_end_loses_nothing(fasta, out, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(installed_plugins().find("store", "sqlite-shards").plugin, "finish", lambda _store: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            import_fasta(fasta, out, **NAMES)
    assert not (out / "contigs.parquet").exists()
    assert import_fasta(fasta, out, **NAMES).unchanged == 1
    assert len(listed(out)) == 4


def test_a_table_that_cannot_be_written_leaves_no_shard(fasta, out, monkeypatch):
    def fail(_batches, **_options):
        raise OSError("disk full")

    monkeypatch.setattr(catalogue, "sorted_batches", fail)
    with pytest.raises(OSError, match="disk full"):
        import_fasta(fasta, out, **NAMES)
    assert not out.parent.exists()


def test_a_failed_replacement_keeps_what_was_there(tmp_path, fasta, out):
    import_fasta(fasta, out, **NAMES)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    (tmp_path / "bad.fa").write_bytes(b">a\nACGT\n>b\n!\n")
    with pytest.raises(errors.InputError):
        import_fasta(tmp_path / "bad.fa", out, **NAMES, force=True)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_other_files_survive_a_failure(tmp_path, out):
    out.mkdir(parents=True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(errors.InputError):
        import_fasta(tmp_path / "missing.fa", out, **NAMES)
    assert everything_in(out) == {"notes.txt"}


def test_an_output_below_a_file(tmp_path, fasta):
    with pytest.raises(errors.ConfigurationError, match=r"g\.fa.*cannot be made"):
        import_fasta(fasta, fasta / "out", **NAMES)


def test_any_store_that_can_be_written(fasta, out, monkeypatch):
    class Memory(SequenceStore):
        name = "memory"
        finished = False

        def read(self, windows):
            raise NotImplementedError

    monkeypatch.setattr(installed_plugins(), "store", lambda _name, location, _options: Memory(location))
    with pytest.raises(errors.NotSupportedError, match="'memory' cannot be written"):
        import_fasta(fasta, out, **NAMES)
    assert not out.parent.exists()
