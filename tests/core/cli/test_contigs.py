import pytest
import typer
from plain import write_seed_shard
from typer.testing import CliRunner

from eden_core.cli import contigs


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
