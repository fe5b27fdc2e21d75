import json

import pytest
import typer
from typer.testing import CliRunner

from eden_core.cli import doctor


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(doctor.doctor)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def folder(small, tmp_path):
    """A copy, since a shard of it is damaged."""
    for path in small.directory.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(small.directory)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def test_ready(invoke, folder):
    done = invoke(folder, "--num-workers", 0)
    *findings, last = done.stdout.splitlines()
    assert (done.exit_code, last) == (0, "ready")
    assert "ok        shards: 3, 36.9 kB: all headers are sound" in findings


def test_an_error_makes_exit_code_1(invoke, folder):
    (folder / "S1" / "glm_dataset_S1.sqlite").write_bytes(b"")
    done = invoke(folder, "--num-workers", 0)
    lines = done.stdout.splitlines()
    assert (done.exit_code, lines[-1]) == (1, "1 error")
    first = lines.index("error     shards: 1 of 3 cannot be read as they are:")
    assert lines[first + 1].startswith(f"          {folder}/S1/glm_dataset_S1.sqlite is empty")
    assert lines[first + 2].startswith("          -> ")


def test_warnings_are_counted(invoke, folder):
    done = invoke(folder, "--num-workers", 1000)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "1 warning")


def test_json(invoke, folder):
    (folder / "S1" / "glm_dataset_S1.sqlite").write_bytes(b"")
    done = invoke(folder, "--num-workers", 0, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ready"]) == (1, False)
    assert {one["level"] for one in found["findings"]} == {"ok", "note", "error"}
    assert set(found["findings"][0]) == {"level", "about", "found", "remedy"}
