import os
import random
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain import write_seed_index

from eden_core import installed_plugins
from eden_core.doctor.findings import Job, Level
from eden_core.doctor.indexes import (
    IndexTally,
    letter_findings,
    read_finding,
    row_findings,
    sample_findings,
    table_findings,
)
from eden_core.importing import import_files
from eden_core.importing.source_files import SourceFile
from eden_core.importing.task import ImportOptions
from eden_core.precompute import precompute
from eden_core.remedies import precompute_command
from eden_core.tiling import Tiling

LENGTHS = {f"BCR__ECT-S{i % 3}__CT{i}-1": 150 + 100 * i for i in range(9)}
TILING = Tiling(100, 90)


@pytest.fixture
def built(tmp_path):
    """An index with its split's table and the table of contigs, as the commands leave them."""
    return lambda lengths=LENGTHS, tiling=TILING: build(tmp_path, lengths, tiling)


def build(folder, lengths, tiling):
    for name in ("contigs", "train"):
        pq.write_table(pa.table({"contig_id": list(lengths), "length": list(lengths.values())}), folder / f"{name}.parquet")
    precompute(folder / "train.parquet", folder / "train_windows.db", tiling, force=True, allow_gaps=True)
    return installed_plugins().index("sqlite", str(folder / "train_windows.db"))


def findings_of(index):
    store = installed_plugins().store("sqlite-shards", str(Path(index.location).parent))
    return table_findings("train", index, store, Job())


def levels(findings) -> list[str]:
    return [one.level.value for one in findings]


def age(path, seconds):
    then = path.stat().st_mtime + seconds
    os.utime(path, (then, then))


def test_windows_are_counted_by_sample(built):
    index = built()
    tally = IndexTally.of(index)
    found = index.lookup(np.arange(len(index)))
    samples = [one.split("__")[1].partition("-")[2] for one in found.sequence_ids]
    assert dict(tally.windows) == {sample: samples.count(sample) for sample in set(samples)}
    assert tally.mean_reach == pytest.approx(found.starts.mean())


def test_shards_of_a_batch_are_those_that_drawing_gives(built):
    tally = IndexTally.of(built())
    draw = random.Random(1)
    windows = [sample for sample, count in tally.windows.items() for _ in range(count)]
    drawn = [len(set(draw.choices(windows, k=3))) for _ in range(4000)]
    assert tally.shards_of(3) == pytest.approx(np.mean(drawn), rel=0.03)


def test_an_up_to_date_index(built):
    found = list(findings_of(built()))
    assert levels(found) == ["ok", "ok"]
    assert "windows, as many as train.parquet makes" in found[0].found


@pytest.mark.parametrize(
    ("newer", "remedy"),
    [("train.parquet", "eden-precompute"), ("contigs.parquet", "eden split")],
)
def test_an_index_that_is_older_than_its_tables(built, tmp_path, newer, remedy):
    index = built()
    age(tmp_path / newer, 10)
    found = list(findings_of(index))
    assert levels(found) == ["warning", "ok", "ok"]
    assert f"older than {newer} (" in found[0].found
    assert found[0].remedy.startswith(remedy)


@pytest.mark.parametrize("tiling", [Tiling(100, 90, 50), Tiling(100, 70, 0, keep_tail=True, reserve=20), Tiling(100, 120)])
def test_the_command_cuts_as_the_index_is_cut(built, tmp_path, tiling):
    from typer.testing import CliRunner

    from eden_core.cli import precompute as command

    index = built(tiling=tiling)
    words = shlex.split(precompute_command(tmp_path / "train.parquet", index.location, index.name, index.tiling))
    before, size = index.fingerprint(), len(index)
    assert words[0] == "eden-precompute"
    assert CliRunner().invoke(command.app, words[1:], catch_exceptions=False).exit_code == 0
    again = installed_plugins().index("sqlite", index.location)
    assert (again.tiling, len(again), again.fingerprint()) == (tiling, size, before)


def test_an_index_of_other_contigs(built, tmp_path):
    index = built()
    fewer = pl.read_parquet(tmp_path / "train.parquet").head(5)
    then = (tmp_path / "train.parquet").stat()
    fewer.write_parquet(tmp_path / "train.parquet")
    os.utime(tmp_path / "train.parquet", (then.st_mtime, then.st_mtime))
    found = next(findings_of(index))
    assert (found.level, "was built from other contigs" in found.found) == (Level.ERROR, True)
    assert found.remedy == precompute_command(tmp_path / "train.parquet", index.location, index.name, index.tiling)


def test_a_table_that_cannot_be_read(built, tmp_path):
    index = built()
    then = (tmp_path / "train.parquet").stat()
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    os.utime(tmp_path / "train.parquet", (then.st_mtime, then.st_mtime))
    assert levels(findings_of(index)) == ["warning"]


def test_an_index_alone(tmp_path):
    place = write_seed_index(tmp_path / "train_windows.db", LENGTHS, 100, 90)
    assert levels(findings_of(installed_plugins().index("sqlite", str(place)))) == ["note"]


def test_an_index_without_its_splits_table(built, tmp_path):
    index = built()
    (tmp_path / "train.parquet").unlink()
    found = list(findings_of(index))
    assert levels(found) == ["ok", "ok"]
    assert found[0].found == "contigs.parquet has all its contigs"
    pl.read_parquet(tmp_path / "contigs.parquet").head(5).write_parquet(tmp_path / "contigs.parquet")
    last = list(findings_of(index))[-1]
    assert (last.level, "has no contig" in last.found) == (Level.ERROR, True)
    assert last.remedy == precompute_command(tmp_path / "contigs.parquet", index.location, index.name, index.tiling)


def test_padding_is_counted_from_either_table(built, tmp_path):
    index = built({"BCR__ECT-S1__CT1-1": 40, "BCR__ECT-S1__CT2-1": 100})
    split = list(findings_of(index))[-1]
    assert split.found.startswith("71% of the tokens are of use")
    (tmp_path / "train.parquet").unlink()
    assert list(findings_of(index))[-1] == split


def test_padding(built):
    short = built({f"BCR__ECT-S1__CT{i}-1": 40 for i in range(5)})
    found = list(findings_of(short))[-1]
    assert (found.level, found.found[:3]) == (Level.WARNING, "42%")
    assert "eden inspect" in found.remedy


def test_samples_without_a_shard(built):
    tally = IndexTally.of(built())
    assert levels(sample_findings("train", tally, ["S0", "S1", "S2", "S9"])) == ["ok"]
    (found,) = sample_findings("train", tally, ["S1", "S9"])
    assert (found.level, "2 of 3 samples have no shard: S0, S2" in found.found) == (Level.ERROR, True)
    assert not list(sample_findings("train", tally, ["anything"]))


def test_ids_without_a_sample(built):
    tally = IndexTally.of(built(LENGTHS | {"zzz": 300}))
    found = list(sample_findings("train", tally, ["S0", "S1", "S2"]))
    assert levels(found) == ["error"]
    assert "ids name no sample" in found[0].found


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (Job(), []),
        (Job(seq_length=100), []),
        (Job(seq_length=99), ["error"]),
        (Job(seq_length=200), ["note"]),
        (Job(micro_batch_size=30, ranks=2), ["error"]),
    ],
)
def test_rows_of_a_job(built, job, found):
    assert levels(row_findings("train", built(), job)) == found


def test_validation_may_be_less_than_a_step(built):
    assert not list(row_findings("validation", built(), Job(micro_batch_size=1000)))


def test_reads_of_slow_shards(built):
    index = built({"BCR__ECT-S1__CT1-1": 100_000, "BCR__ECT-S2__CT1-1": 100})
    tally = IndexTally.of(index)
    fast, slow = (read_finding("train", index, tally, samples, Job()) for samples in (set(), {"S1"}))
    assert (fast.level, slow.level) == (Level.OK, Level.WARNING)
    assert "come from 1 of 2 shards" in fast.found


def test_sequences_that_were_kept_with_foreign_letters_are_warned_of(tmp_path):
    (tmp_path / "a.fa").write_text(">1\nACGT@\n>2\nGGGG\n")
    options = ImportOptions(other_letters="keep")
    import_files([SourceFile(str(tmp_path / "a.fa"), "a", "T")], tmp_path / "out", options=options)
    [finding] = letter_findings(tmp_path / "out")
    assert finding.level is Level.WARNING
    assert finding.found.startswith("1 sequences were kept")
    assert list(letter_findings(tmp_path)) == []
