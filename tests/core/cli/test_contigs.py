import shlex

import pytest
import typer
from plain import write_seed_shard
from typer.testing import CliRunner

from eden_core.cli import contigs, split


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(contigs.contigs_command)
    return lambda *arguments: CliRunner().invoke(app, ["--workers", "1", *map(str, arguments)], catch_exceptions=False)


def test_the_table_and_the_next_command(invoke, tmp_path):
    write_seed_shard(tmp_path, "S1", {"B__X-S1__c1": "ACGT", "B__X-S1__c2": "AC"})
    lines = invoke(tmp_path, "--digests").stdout.splitlines()
    assert lines[0] == f"{tmp_path}/contigs.parquet"
    assert [line.split() for line in lines[1:4]] == [["samples", "1"], ["contigs", "2"], ["bases", "6"]]
    assert lines[-1].startswith(f"next: eden split {tmp_path}/contigs.parquet --out {tmp_path} ")


def test_the_next_command_divides_a_genome_of_few_contigs(invoke, tmp_path):
    write_seed_shard(
        tmp_path, "S1", {f"B__X-S1__c{i}": "ACGT" * (length // 4) for i, length in enumerate((300_000, 120_000, 900))}
    )
    command = shlex.split(invoke(tmp_path).stdout.splitlines()[-1])
    assert command[-4:] == ["--by", "region", "--block", "10522"]
    app = typer.Typer()
    app.command()(split.split_command)
    assert CliRunner().invoke(app, command[3:], catch_exceptions=False).exit_code == 0
    assert (tmp_path / "validation.parquet").is_file()


def test_the_next_command_leaves_many_contigs_whole(invoke, tmp_path):
    write_seed_shard(tmp_path, "S1", {f"B__X-S1__c{i:02}": "ACGT" for i in range(40)})
    assert invoke(tmp_path).stdout.endswith("--train 0.9 --validation 0.05 --test 0.05\n")
