import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eden_core import Tiling, errors
from eden_core.precompute import precompute
from eden_core.splitting import split_contigs
from eden_core.splitting import writing as split_writing
from eden_core.splitting.rules import SplitRules

RULES = SplitRules(0.8, 0.1, 0.1)


def write(path, lengths: dict[str, int], **columns):
    table = {"contig_id": pa.array(lengths, pa.string()), "length": pa.array(lengths.values(), pa.int64())}
    pq.write_table(pa.table(table | columns), path)
    return path


def rows(folder) -> dict[str, list[dict]]:
    return {file.stem: pq.read_table(file).to_pylist() for file in sorted(folder.glob("*.parquet"))}


def read(folder) -> dict[str, dict[str, int]]:
    return {name: {row["contig_id"]: row["length"] for row in part} for name, part in rows(folder).items()}


@pytest.fixture
def lengths():
    draw = random.Random(3)
    return {f"contig{i:04}": draw.randint(500, 60_000) for i in range(1000)}


@pytest.fixture
def contigs(tmp_path, lengths):
    return write(tmp_path / "contigs.parquet", lengths)


@pytest.fixture
def split(tmp_path):
    """Divide contigs, given as a dict of lengths, and return what is in each split."""

    def divide(lengths, columns=(), **rules):
        write(tmp_path / "given.parquet", lengths, **dict(columns))
        split_contigs(tmp_path / "given.parquet", tmp_path / "made", SplitRules(**rules))
        return read(tmp_path / "made")

    return divide


def test_each_contig_is_in_one_split(tmp_path, contigs, lengths):
    split_contigs(contigs, tmp_path / "out", RULES)
    assert sorted(item for part in read(tmp_path / "out").values() for item in part.items()) == sorted(lengths.items())


def test_shares_are_by_bases(tmp_path, contigs, lengths):
    report = split_contigs(contigs, tmp_path / "out", RULES)
    longest = max(lengths.values()) / sum(lengths.values())
    for name, part in report.splits.items():
        assert part.bases / sum(lengths.values()) == part.share == pytest.approx(RULES.shares[name], abs=longest)


def test_the_report_says_what_was_written(tmp_path, contigs):
    report = split_contigs(contigs, tmp_path / "out", RULES)
    found = read(tmp_path / "out")
    assert {name: (part.contigs, part.bases) for name, part in report.splits.items()} == {
        name: (len(part), sum(part.values())) for name, part in found.items()
    }
    assert report.splits["train"].location == tmp_path / "out" / "train.parquet"
    assert json.loads((tmp_path / "out" / "split_report.json").read_text()) == report.as_json()
    assert report.as_json()["splits"]["test"]["share_wanted"] == pytest.approx(0.1)


@pytest.mark.parametrize("rules", [RULES, SplitRules(by="region", block=5000), SplitRules(by="sample")])
def test_the_order_of_rows_does_not_matter(tmp_path, lengths, rules):
    def made(folder, lengths):
        (tmp_path / folder).mkdir()
        samples = pa.array([f"s{length % 50}" for length in lengths.values()]).dictionary_encode()
        contigs = write(tmp_path / folder / "contigs.parquet", lengths, sample=samples)
        split_contigs(contigs, tmp_path / folder / "out", rules)
        return {file.name: file.read_bytes() for file in (tmp_path / folder / "out").iterdir()}

    shuffled = list(lengths.items())
    random.Random(1).shuffle(shuffled)
    assert made("one", lengths) == made("two", dict(shuffled))


def test_another_seed_gives_another_split(tmp_path, contigs):
    split_contigs(contigs, tmp_path / "one")
    split_contigs(contigs, tmp_path / "two", SplitRules(seed=-1))
    assert read(tmp_path / "one") != read(tmp_path / "two")


def test_the_split_of_this_version_stays(split):
    found = split({f"c{i}": 10 for i in range(10)}, train=0.8, validation=0.1, test=0.1)
    assert (list(found["validation"]), list(found["test"])) == (["c7"], ["c8"])


def test_ids_are_in_byte_order(split):
    found = split(dict.fromkeys(["é", "b", "B", "a", "\U0001f9ec", "\uffee"], 1), train=1, validation=0, test=0)
    assert list(found["train"]) == ["B", "a", "b", "é", "\uffee", "\U0001f9ec"]


def test_columns_that_training_needs_are_kept(tmp_path):
    texts = pa.array(["x", "y"])
    write(tmp_path / "c.parquet", {"a": 1, "b": 2}, digest=texts.dictionary_encode(), sample=texts, tag=texts, source=texts)
    split_contigs(tmp_path / "c.parquet", tmp_path / "out", SplitRules(1, 0, 0))
    schema = pq.read_schema(tmp_path / "out" / "train.parquet")
    assert schema.names == ["contig_id", "length", "sample", "tag", "digest"]
    assert (schema.field("contig_id").type, schema.field("length").type) == (pa.string(), pa.int64())
    assert rows(tmp_path / "out")["train"][1] == {"contig_id": "b", "length": 2, "sample": "y", "tag": "y", "digest": "y"}


def test_a_share_of_zero_has_no_file(split):
    assert split({f"c{i}": 1 for i in range(10)}, train=0.9, validation=0, test=0.1).keys() == {"train", "test"}


@pytest.mark.parametrize("unit", ["sample", "tag"])
@pytest.mark.parametrize("with_columns", [True, False])
def test_samples_and_tags_stay_together(split, unit, with_columns):
    ids = [f"T{i % 20}__FASTA-s{i % 25}__c{i}" for i in range(200)]
    columns = {"sample": pa.array([f"s{i % 40}" for i in range(200)]), "tag": pa.array([f"T{i % 50}" for i in range(200)])}
    found = split(dict.fromkeys(ids, 5), columns if with_columns else (), by=unit, train=0.6, validation=0.2, test=0.2)
    modulus = {("sample", True): 40, ("tag", True): 50, ("sample", False): 25, ("tag", False): 20}[unit, with_columns]
    units = [{int(one.rpartition("c")[2]) % modulus for one in part} for part in found.values()]
    assert len(set.union(*units)) == sum(map(len, units)) == modulus


def test_an_id_without_a_sample(split):
    with pytest.raises(errors.InputError, match="'chr1' has no sample.*column sample, or split by contig"):
        split({"chr1": 1, "T__F-s__a": 1}, by="sample")


def test_clusters_stay_together(split, tmp_path):
    (tmp_path / "c.tsv").write_text("".join(f"c{i // 5 * 5}\tc{i}\n" for i in range(90)) + "c0\tgone\n")
    found = split({f"T__F-s__c{i}": 1 for i in range(100)}, clusters=str(tmp_path / "c.tsv"))
    for part in found.values():
        numbers = {int(one.rpartition("c")[2]) for one in part}
        assert all(set(range(i // 5 * 5, i // 5 * 5 + 5)) <= numbers for i in numbers if i < 90)
    report = json.loads((tmp_path / "made" / "split_report.json").read_text())
    assert report["clusters"] == {"contigs_in_clusters": 90, "contigs_alone": 10, "unknown_members": 1}
    assert report["units"] == 28


def test_an_ambiguous_member(split, tmp_path):
    (tmp_path / "c.tsv").write_text("a\tb\n")
    with pytest.raises(errors.InputError, match="one name fits several contigs .*, such as 'T__F-[st]__a'"):
        split({"T__F-s__a": 1, "T__F-t__a": 1, "T__F-s__b": 1}, clusters=str(tmp_path / "c.tsv"))


def test_regions_are_rows_with_starts(tmp_path):
    contigs = write(tmp_path / "c.parquet", {"b": 1000, "a": 70}, digest=pa.array(["x", "y"]))
    report = split_contigs(contigs, tmp_path / "out", SplitRules(0.5, 0.25, 0.25, by="region", block=50, guard=10))
    found = rows(tmp_path / "out")
    assert list(found["train"][0]) == ["contig_id", "start", "length", "contig_length", "digest"]
    every = [(row["contig_id"], row["start"], row["length"]) for part in found.values() for row in part]
    assert sum(length for _, _, length in every) + report.guarded.bases == 1070
    assert {row["digest"] for part in found.values() for row in part if row["contig_id"] == "b"} == {"x"}
    for part in found.values():
        assert part == sorted(part, key=lambda row: (row["contig_id"], row["start"]))
    assert report.units == 21


def test_named_contigs_go_where_they_are_sent(split):
    lengths = {f"H__F-hg__chr{i}": 10 for i in range(1, 21)}
    found = split(lengths, test_contigs=["chr8,chr20"], validation_contigs=["chr1?"], exclude=["*chr3"])
    assert {name: len(part) for name, part in found.items()} == {"train": 7, "validation": 10, "test": 2}
    assert found["test"].keys() == {"H__F-hg__chr8", "H__F-hg__chr20"}


def test_what_is_left_is_drawn(split):
    found = split({f"c{i:02}": 10 for i in range(20)}, train=0.6, validation=0.3, test=0.1, test_contigs=["c00", "c01"])
    assert {name: len(part) for name, part in found.items()} == {"train": 12, "validation": 6, "test": 2}


def test_excluded_contigs_are_counted(tmp_path, contigs, lengths):
    report = split_contigs(contigs, tmp_path / "out", SplitRules(exclude=["contig00*"]))
    assert (report.excluded_contigs, report.excluded_bases) == (100, sum(list(lengths.values())[:100]))
    assert sum(part.share for part in report.splits.values()) == pytest.approx(1)


def test_a_pattern_that_names_nothing(split):
    with pytest.raises(errors.InputError, match="--test-contigs 'chr21' names no contig of .*did you mean chr2"):
        split({"chr1": 1, "chr2": 1}, test_contigs=["chr21"])


def test_a_contig_cannot_be_named_twice(split):
    with pytest.raises(errors.InputError, match="'b' is named by --validation-contigs and by --test-contigs"):
        split({"a": 1, "b": 1}, test_contigs=["b"], validation_contigs=["b"])


def test_a_unit_cannot_be_named_for_two_splits(split):
    lengths = {f"T__F-s{i % 3}__c{i}": 1 for i in range(9)}
    with pytest.raises(errors.InputError, match="'T__F-s1__c1' and 'T__F-s1__c4' belong to one sample"):
        split(lengths, by="sample", validation_contigs=["c1"], test_contigs=["c4"])


def test_splits_that_the_corpus_ships(split):
    lengths = {"a": 1, "b": 2, "c": 3, "d": 4}
    assert split(lengths, {"fold": pa.array(["train", "val", "test", "train"])}, split_from="fold", exclude=["d"]) == {
        "train": {"a": 1},
        "validation": {"b": 2},
        "test": {"c": 3},
    }


def test_splits_in_the_names_of_source_files(split):
    source = pa.array(["/x/data_train_chunk1.jsonl.gz", "/x/data_valid_chunk1.jsonl.gz"])
    assert split({"a": 1, "b": 2}, {"source": source}, split_from="filename") == {"train": {"a": 1}, "validation": {"b": 2}}


@pytest.mark.parametrize("lengths", [{}, {"a": 0, "b": 0}, {"a": 48_502}])
def test_an_empty_split_is_refused(tmp_path, lengths):
    contigs = write(tmp_path / "contigs.parquet", lengths)
    with pytest.raises(errors.InputError, match=f"has {len(lengths)} contigs?, (too few.*--by region|and none with bases)"):
        split_contigs(contigs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_blocks_that_are_too_long(tmp_path):
    contigs = write(tmp_path / "contigs.parquet", {"lambda": 48_502})
    with pytest.raises(errors.InputError, match="give a --block of 2,425 bases or fewer"):
        split_contigs(contigs, tmp_path / "out", SplitRules(by="region"))
    split_contigs(contigs, tmp_path / "out", SplitRules(by="region", block=2425, guard=200))


def test_repeated_ids(tmp_path):
    pq.write_table(pa.table({"contig_id": ["b", "a", "b"], "length": [1, 2, 3]}), tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match="'b' occurs more than once"):
        split_contigs(tmp_path / "c.parquet", tmp_path / "out")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"contig_id": ["a"]}, "lacks the column length"),
        ({"contig_id": [1], "length": [1]}, "contig_id holds int64"),
        ({"contig_id": ["a", None], "length": [1, 1]}, "contig_id is null in row 2"),
        ({"contig_id": ["a"], "length": [-1]}, "length is negative in row 1"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match=message):
        split_contigs(tmp_path / "c.parquet", tmp_path / "out")


@pytest.mark.parametrize("name", ["test.parquet", "split_report.json"])
def test_existing_splits_are_kept(tmp_path, contigs, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(errors.OutputExistsError, match="--force"):
        split_contigs(contigs, tmp_path, SplitRules(1, 0, 0))
    assert (tmp_path / name).read_text() == "precious"


def test_force_removes_splits_that_would_overlap_the_new_ones(tmp_path, contigs):
    split_contigs(contigs, tmp_path / "out")
    split_contigs(contigs, tmp_path / "out", SplitRules(0.9, 0.1, 0), force=True)
    assert read(tmp_path / "out").keys() == {"train", "validation"}


def test_a_failed_write_leaves_nothing(tmp_path, contigs, monkeypatch):
    write_stretches = split_writing.SplitTable.write

    def fail_at_the_second(table, *arguments):
        if "train" not in str(table.path):
            raise OSError("disk full")
        write_stretches(table, *arguments)

    monkeypatch.setattr(split_writing.SplitTable, "write", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        split_contigs(contigs, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_an_output_below_a_file(tmp_path, contigs):
    with pytest.raises(errors.ConfigurationError, match="cannot be made"):
        split_contigs(contigs, contigs / "out")


def test_contigs_that_are_named_for_a_split_and_excluded(split):
    with pytest.raises(errors.InputError, match="--exclude leaves out every contig with bases that --test-contigs names"):
        split({"chr1": 9, "chr8": 9}, test_contigs=["chr8"], exclude=["*8"], train=1, validation=0, test=0)


@pytest.mark.parametrize("seed", range(12))
def test_regions_without_any_window_are_refused_where_windows_are_known(tmp_path, seed):
    draw = random.Random(seed)
    contigs = write(tmp_path / "contigs.parquet", {f"c{i}": draw.randint(100, 3000) for i in range(3)})
    rules, tiling = SplitRules(0.8, 0.1, 0.1, by="region", block=100, guard=100, seed=seed), Tiling(150, 140)
    tables = split_contigs(contigs, tmp_path / "made", rules).splits.values()
    windows = [precompute(part.location, None, tiling).windows for part in tables]
    if all(windows):
        split_contigs(contigs, tmp_path / "checked", rules, tiling=tiling)
        return
    with pytest.raises(errors.InputError, match="would have not one window.*has (no|a) whole window of 150.*larger share"):
        split_contigs(contigs, tmp_path / "checked", rules, tiling=tiling)
    assert not (tmp_path / "checked").exists()
