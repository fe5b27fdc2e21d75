import os

import polars as pl
import pytest

from eden_core import errors
from eden_core.importing.source_files import SourceFile, find_source_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("BCR__mg-001.fa.gz", "soil7.fasta", "deep/x.jsonl", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(">a\nA\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(files) -> list[tuple[str, str, str]]:
    return [(file.path, file.sample, file.tag) for file in files]


def test_sample_and_tag_are_in_the_name(folder):
    found = names(find_source_files(["BCR__mg-001.fa.gz", "soil7.fasta"]))
    assert found == [("BCR__mg-001.fa.gz", "mg.001", "BCR"), ("soil7.fasta", "soil7", "SOIL")]


def test_a_name_that_begins_with_no_letter(folder):
    (folder / "12_a.fa").touch()
    assert names(find_source_files(["12_a.fa"])) == [("12_a.fa", "12_a", "DNA")]


def test_the_sample_of_a_shard(folder):
    (folder / "glm_dataset_S1.sqlite").touch()
    assert names(find_source_files(["glm_dataset_S1.sqlite"])) == [("glm_dataset_S1.sqlite", "S1", "S")]


def test_a_directory_gives_what_is_named_like_a_source(folder):
    assert [file.sample for file in find_source_files([folder])] == ["mg.001", "soil7", "x"]


def test_of_a_directory_of_shards_only_these_are_taken(folder):
    (folder / "glm_dataset_S1.sqlite").touch()
    assert [file.sample for file in find_source_files([folder])] == ["S1"]


def test_patterns_of_paths(folder):
    assert [file.path for file in find_source_files(["*.fa*"])] == ["BCR__mg-001.fa.gz", "soil7.fasta"]
    assert [file.path for file in find_source_files(["**/*.jsonl"])] == ["deep/x.jsonl"]


def test_options_win_over_the_name(folder):
    assert names(find_source_files(["soil7.fasta"], sample="s", tag="T")) == [("soil7.fasta", "s", "T")]


def test_a_pattern_with_groups(folder):
    found = find_source_files(["BCR__mg-001.fa.gz", "soil7.fasta"], pattern=r"(?P<tag>[a-zB]+).*?(?P<sample>\d+)\.fa")
    assert names(found) == [("BCR__mg-001.fa.gz", "001", "B"), ("soil7.fasta", "7", "soil")]


def test_a_pattern_for_the_tag_alone(folder):
    assert names(find_source_files(["soil7.fasta"], pattern="^(?P<tag>..)")) == [("soil7.fasta", "soil7", "so")]


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("(", errors.ConfigurationError, "no regular expression"),
        ("soil", errors.ConfigurationError, "names nothing"),
        ("(?P<sample>xyz)", errors.InputError, "soil7.fasta does not match"),
    ],
)
def test_a_bad_pattern(folder, pattern, error, message):
    with pytest.raises(error, match=message):
        find_source_files(["soil7.fasta"], pattern=pattern)


@pytest.mark.parametrize("kind", ["tsv", "csv", "parquet"])
def test_a_manifest(folder, kind):
    table = pl.DataFrame({"path": ["soil7.fasta", "deep/x.jsonl"], "sample": ["007", None], "tag": [None, "T"], "more": [1, 2]})
    manifest = folder / f"samples.{kind}"
    if kind == "parquet":
        table.write_parquet(manifest)
    else:
        table.write_csv(manifest, separator="\t" if kind == "tsv" else ",")
    found = find_source_files(manifest=manifest)
    assert names(found) == [(str(folder / "soil7.fasta"), "007", "SOIL"), (str(folder / "deep/x.jsonl"), "x", "T")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample\ns1\n", "lacks the column path"),
        ("path\tsample\nnone.fa\ts\n", "row 1: there is no file"),
        ("path\tsample\n\ts\n", "row 1 has no path"),
        ("", "cannot be read"),
    ],
)
def test_a_bad_manifest(folder, text, message):
    (folder / "m.tsv").write_text(text)
    with pytest.raises(errors.InputError, match=message):
        find_source_files(manifest=folder / "m.tsv")


def test_two_files_that_claim_one_sample(folder):
    (folder / "deep" / "soil7.fa").touch()
    with pytest.raises(errors.InputError, match=r"soil7\.fasta and deep/soil7\.fa both claim the sample 'soil7'"):
        find_source_files(["soil7.fasta", "deep/soil7.fa"])


@pytest.mark.parametrize("sample", ["a/b", "..", ".", "a b", "x" * 201, ".eden-import", "a\x07"])
def test_a_sample_that_is_no_folder_name(folder, sample):
    with pytest.raises(errors.InvalidSequenceIdError):
        find_source_files(["soil7.fasta"], sample=sample)


def test_nothing_to_import(folder):
    with pytest.raises(errors.InputError, match="nothing to import"):
        find_source_files()
    with pytest.raises(errors.InputError, match="no such file"):
        find_source_files(["none.fa"])
    (folder / "empty").mkdir()
    with pytest.raises(errors.InputError, match="holds no file"):
        find_source_files(["empty"])


def test_standard_input_has_no_name(folder):
    with pytest.raises(errors.ConfigurationError, match="--sample"):
        find_source_files(["-"])
    assert find_source_files(["-"], sample="s") == [SourceFile("-", "s", "DNA")]


def test_what_was_imported_is_no_source(folder):
    found = find_source_files(["."], out="out")
    (folder / "out" / "s").mkdir(parents=True)
    (folder / "out" / "s" / "glm_dataset_s.sqlite").touch()
    assert find_source_files(["."], out="out") == found
    assert find_source_files(["*"], out=folder / "out") == [*find_source_files(["*"], out="out")]
    assert find_source_files([".", "out"], out="out") == found
    with pytest.raises(errors.ConfigurationError, match="is the directory that is imported"):
        find_source_files(["out"], out="out")


def test_a_pattern_that_matches_directories(folder):
    assert names(find_source_files(["de*"])) == names(find_source_files(["deep"]))


def test_a_path_that_is_no_text(folder):
    path = os.fsdecode(b"x\xff.fa")
    (folder / path).touch()
    with pytest.raises(errors.InputError, match="no UTF-8 text"):
        find_source_files([path], sample="s")


def test_an_output_inside_a_directory_is_no_source(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "glm_dataset_a.sqlite").write_text("")
    [file] = find_source_files([tmp_path], out=tmp_path / "data")
    assert file.path == str(tmp_path / "a.fa")
    with pytest.raises(errors.ConfigurationError, match="is the directory that is imported"):
        find_source_files([tmp_path], out=tmp_path)
