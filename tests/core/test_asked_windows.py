"""What a message advises is done here, and must then do: the index is followed, or another one is built and asked for."""

import re
import shlex

import polars as pl
import pytest
from in_workers import Triplets

from eden_core import EdenDataset, Tiling, errors
from eden_core.cli.precompute import app
from eden_core.precompute import precompute

CASES = {
    "the older module's default": (Tiling(64, 48), {"seq_length": 64, "stride": 7992, "window_min_length_threshold": 0}),
    "a stride that is kept": (Tiling(64, 48), {"seq_length": 96, "stride": 48, "window_min_length_threshold": 0}),
    "a stride that a row cannot read": (Tiling(64, 48), {"seq_length": 96, "stride": 95}),
    "a stride as long as windows": (Tiling(64, 48), {"seq_length": 64, "stride": 64}),
    "no stride": (Tiling(64, 48), {"seq_length": 128}),
    "short windows": (Tiling(64, 48), {"seq_length": 8}),
    "a minimum": (Tiling(64, 48, 20), {"seq_length": 64, "window_min_length_threshold": 9}),
    "gaps": (Tiling(64, 64), {"seq_length": 64, "window_min_length_threshold": 9}),
    "tails": (Tiling(64, 61, keep_tail=True, reserve=3), {"seq_length": 96}),
    "tails of short windows": (Tiling(64, 48, keep_tail=True), {"seq_length": 12}),
    "tokens of many bases": (Tiling(64, 48), {"seq_length": 24, "window_size": 72, "tokenizer": Triplets()}),
}


@pytest.fixture
def table(small, tmp_path):
    lengths = {name: len(bases) for name, bases in sorted(small.sequences.items())}
    pl.DataFrame({"contig_id": list(lengths), "length": list(lengths.values())}).write_parquet(tmp_path / "split.parquet")
    return tmp_path / "split.parquet"


@pytest.fixture
def refused(small, table, tmp_path):
    """Build an index, ask for others of its windows, and return what was asked for, and what the refusal says."""

    def ask(tiling, asked, index="sqlite"):
        precompute(table, tmp_path / "w", tiling, index=index, allow_gaps=True)
        rows = {"sequence_db_dir": str(small.directory), "window_db_path": str(tmp_path / "w"), "index": index} | asked
        with pytest.raises(errors.ConfigurationError) as error:
            EdenDataset(**rows)
        return rows, str(error.value)

    return ask


def arguments(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)}


@pytest.mark.parametrize(("tiling", "asked"), CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore:rows read")
def test_the_index_can_be_followed_as_it_is_said(refused, tiling, asked):
    rows, text = refused(tiling, asked)
    followed = re.search(r"Follow the index with (.*?)(, or build|$)", text)[1]
    EdenDataset(**rows | arguments(followed))


@pytest.mark.parametrize(("tiling", "asked"), CASES.values(), ids=CASES)
def test_another_index_is_built_as_it_is_said(refused, table, tmp_path, tiling, asked):
    rows, text = refused(tiling, asked)
    advised = re.search(r"or build another one, in a file of its own(.*): eden-precompute SPLIT.parquet WINDOWS.db (.*)", text)
    if not advised:
        assert asked["stride"] > tiling.row_bases
        return
    app([str(table), str(tmp_path / "other.db"), *shlex.split(advised[2])], standalone_mode=False)
    EdenDataset(**rows | {"window_db_path": str(tmp_path / "other.db")} | arguments(advised[1]))


def test_a_stride_that_was_asked_for_is_kept(refused):
    _, text = refused(*CASES["a stride that is kept"])
    assert text.endswith("file of its own: eden-precompute SPLIT.parquet WINDOWS.db --window-size 96 --stride 48")


def test_an_index_that_can_be_cut_anew_is_opened_as_it_is_said(refused):
    rows, text = refused(Tiling(64, 48), {"seq_length": 96}, index="arrow")
    assert text.endswith("Follow the index with seq_length=64, or let it be cut in another way when it is opened: "
                         "window_size=96, stride=80")  # fmt: skip
    EdenDataset(**rows | {"window_size": 96, "stride": 80})


def test_a_stride_that_is_no_number(refused):
    _, text = refused(Tiling(64, 48), {"seq_length": 64, "stride": "48"})
    assert text == "stride is '48'; expected an integer"
