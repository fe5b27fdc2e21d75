import pyarrow as pa
import pytest

from eden_core.errors import InputError
from eden_core.splitting.words import SPLITS, ShippedSplits


def splits(column, values, split_from):
    shipped = ShippedSplits("t.parquet", split_from, ["contig_id", column])
    return [SPLITS[place] for place in shipped.places(pa.RecordBatch.from_pydict({column: values}))]


def test_words_in_a_column():
    words = ["train", "Valid", "val", "dev", "test", "holdout", "eval", " training "]
    expected = ["train", "validation", "validation", "validation", "test", "test", "validation", "train"]
    assert splits("fold", words, "fold") == expected


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data_metagenomics_train_chunk1.jsonl.gz", "train"),
        ("/data/test/x.fa", "test"),
        ("/test_data/train/x.fa", "train"),
        ("/train_test_split/valid.fa", "validation"),
        ("VAL-1.fa", "validation"),
        ("held_out2.fa", "test"),
    ],
)
def test_words_in_file_names(path, split):
    assert splits("source", [path], "filename") == [split]


@pytest.mark.parametrize("path", ["contest.fa", "/data/x.fa", "train_test.fa", ""])
def test_names_that_name_no_split(path):
    with pytest.raises(InputError, match="names no split, or several; there are .*'train.fa'"):
        splits("source", ["train.fa", path], "filename")


def test_a_value_that_is_no_split_lists_the_others():
    with pytest.raises(InputError, match="'fold1' in column fold .*there are 'fold1', 'train', 'fold2'"):
        splits("fold", ["train", "fold1", "fold2"], "fold")


def test_a_missing_column():
    with pytest.raises(InputError, match="lacks the column source, which --split-from filename reads; it has contig_id, fold"):
        splits("fold", ["train"], "filename")
