import gzip

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_threads import InThread
from plain import plain_reverse_complement, write_seed_shard

from eden_core import errors
from eden_core.contigs import COUNTED, digest_of_bases
from eden_core.importing import catalogue, import_files
from eden_core.importing import task as import_task
from eden_core.importing.source_files import SourceFile, find_source_files
from eden_core.importing.task import Counts, ImportOptions, pieces
from eden_core.records import RecordFields


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fasta(path, sequences) -> str:
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in sequences.items()))
    return str(path)


def cut(path, **options) -> tuple[dict[str, str], Counts]:
    found = Counts()
    source = SourceFile(str(path), "s", "T")
    made = {
        piece.id.removeprefix("T__FASTA-s__"): piece.bases.decode() for piece in pieces(source, ImportOptions(**options), found)
    }
    return made, found


def contigs(out="out") -> list[dict]:
    return pq.read_table(f"{out}/contigs.parquet").to_pylist()


def test_short_sequences_are_left_out_and_counted(here):
    made, found = cut(fasta(here / "s.fa", {"a": "ACGTA", "b": "ACG", "c": "AC"}), min_length=4)
    assert made == {"a": "ACGTA"}
    assert (found.records, found.short, found.short_bases) == (3, 2, 5)


def test_sequences_are_cut_at_stretches_of_n(here):
    made, found = cut(fasta(here / "s.fa", {"a": "NNACGNTnnnGTNN", "b": "NNNN", "c": "ANC"}), split_at_n=2)
    assert made == {"a:3-7": "ACGNT", "a:11-12": "GT", "c": "ANC"}
    assert found.n_bases == 11


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.text("ACNn", min_size=1, max_size=60), st.integers(1, 4), st.none() | st.integers(1, 7))
def test_pieces_lie_where_their_ids_say(here, bases, run, every):
    made, found = cut(fasta(here / "s.fa", {"x": bases}), split_at_n=run, cut_every=every)
    for name, piece in made.items():
        first, _, last = (name.partition(":")[2] or f"1-{len(bases)}").partition("-")
        assert bases[int(first) - 1 : int(last)] == piece
    assert sum(map(len, made.values())) + found.n_bases == len(bases)


@pytest.mark.parametrize(("policy", "kept"), [("skip", {"b"}), ("keep", {"a", "b"})])
def test_other_letters(here, policy, kept):
    made, found = cut(fasta(here / "s.fa", {"a": "AC@T", "b": "ACRN"}), other_letters=policy)
    assert (set(made), found.other_letters) == (kept, 1)


def test_other_letters_are_an_error_unless_said_otherwise(here):
    with pytest.raises(errors.InputError, match=r"s\.fa: line 2, column 3"):
        cut(fasta(here / "s.fa", {"a": "AC@T"}))


def test_records_without_ids_are_named_by_their_place(here):
    (here / "s.jsonl").write_text('{"record": "r1", "text": "ACGT"}\n{"text": "GG", "score": 1}\n')
    made, found = cut(here / "s.jsonl")
    assert made == {"r1": "ACGT", "line-2": "GG"}
    assert (found.records, found.without_id) == (2, 1)


def test_fields_have_names(here):
    (here / "s.jsonl").write_text('{"name": "r1", "seq": "ACGT"}\n')
    assert cut(here / "s.jsonl", fields=RecordFields("seq", "name"))[0] == {"r1": "ACGT"}


@pytest.mark.parametrize("options", [{"min_length": -1}, {"split_at_n": 0}, {"cut_every": 0}, {"other_letters": "drop"}])
def test_options_out_of_range(options):
    with pytest.raises(errors.ConfigurationError):
        ImportOptions(**options)


@pytest.mark.parametrize("kind", ["fa", "fa.gz", "jsonl.gz", "parquet", "sqlite"])
def test_every_kind_of_source_gives_the_same_contigs(here, kind):
    sequences = {"b": "ACGTNNacgt", "a": "GGGR"}
    path = here / f"s.{kind}"
    if kind == "parquet":
        pl.DataFrame({"record": list(sequences), "text": list(sequences.values())}).write_parquet(path)
    elif kind == "sqlite":
        write_seed_shard(here / "made", "s", sequences).rename(path)
    else:
        form = '{{"record": "{}", "text": "{}"}}\n' if "jsonl" in kind else ">{}\n{}\n"
        text = "".join(form.format(*item) for item in sequences.items()).encode()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    import_files(find_source_files([path]), "out")
    assert [(row["contig_id"], row["length"]) for row in contigs()] == [("S__FASTA-s__a", 4), ("S__FASTA-s__b", 10)]


def test_the_columns_of_contigs(here):
    import_files(find_source_files([fasta(here / "s.fa", {"T__X-s__1": "AACGTNNRacn"})], tag="BAC"), "out")
    (row,) = contigs()
    assert (row["contig_id"], row["sample"], row["tag"], row["source"]) == ("T__X-s__1", "s", "T", str(here / "s.fa"))
    assert row["digest"] == digest_of_bases(b"AACGTNNRacn")
    assert [row[name] for name in COUNTED] == [3, 2, 1, 1, 3, 1, 3]


def test_duplicates_across_files_and_strands(here):
    fasta(here / "a.fa", {"1": "ACGGT", "2": "acggt", "3": "TTTT"})
    fasta(here / "b.fa", {"1": plain_reverse_complement("ACGGT"), "2": "CCCC", "3": "AAAA"})
    summary = import_files(find_source_files(["a.fa", "b.fa"]), "out", options=ImportOptions(dedup=True))
    assert [row["contig_id"] for row in contigs()] == ["A__FASTA-a__1", "A__FASTA-a__3", "B__FASTA-b__2"]
    assert (summary.counts.duplicates, summary.counts.duplicate_bases) == (3, 14)


def test_many_contigs_are_sorted_out_of_memory(here, monkeypatch):
    monkeypatch.setattr("eden_core.importing.catalogue._ROWS_AT_ONCE", 7)
    monkeypatch.setattr("eden_core.importing.catalogue._BATCHES_IN_MEMORY", 3)
    names = {f"{i * 7919 % 100}": "ACGT" for i in range(100)}
    import_files(find_source_files([fasta(here / "s.fa", names)]), "out")
    found = [row["contig_id"] for row in contigs()]
    assert found == sorted(f"S__FASTA-s__{name}" for name in names)


def test_the_kind_of_a_source_is_looked_at_once(here, monkeypatch):
    (here / "s.jsonl").write_text('{"text": "ACGT"}\n' * 50)
    asked = []
    monkeypatch.setattr(import_task, "place_name", lambda path: asked.append(path) or "line")
    made, _ = cut("s.jsonl")
    assert list(made)[-1] == "line-50"
    assert len(asked) == 1


def test_what_is_sorted_lies_beside_the_part(here, monkeypatch):
    folders = []
    sort = catalogue.sorted_batches

    def noting(batches, *keys, folder=None):
        folders.append(folder)
        return sort(batches, *keys, folder=folder)

    monkeypatch.setattr(catalogue, "sorted_batches", noting)
    import_files(find_source_files([fasta(here / "s.fa", {"a": "ACGT"})]), "out", executor=InThread())
    assert folders == [here / "out" / ".eden-import" / "parts"]
