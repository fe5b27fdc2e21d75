"""A conversion that is killed goes on with the same command, and ends with the bytes of an undisturbed one."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from in_threads import InThread
from killed_commands import contents, kill_at
from plain import write_seed_index, write_seed_shard

from eden_core import installed_plugins
from eden_core.listing import list_contigs

EDEN = Path(sys.executable).with_name("eden")
SAMPLES, CONTIGS = 10, 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder, draw, lengths = tmp_path_factory.mktemp("folder") / "data", random.Random(1), {}
    for sample in range(SAMPLES):
        held = {f"B__X-S{sample}__c{i}": "".join(draw.choices("ACGTn", k=draw.randint(9, 30_000))) for i in range(CONTIGS)}
        write_seed_shard(folder, f"S{sample}", held)
        lengths |= {name: len(bases) for name, bases in held.items()}
    list_contigs(folder, InThread(), digests=True)
    write_seed_index(folder / "train_windows.db", lengths, 512, 480)
    return folder


def command(folder: Path, out: Path, plugins: tuple[str, str]) -> list[str]:
    return [str(EDEN), "convert", str(folder), str(out), "--store", plugins[0], "--index", plugins[1], "--workers", "2"]


ARROW, SQLITE = ("arrow-shards", "arrow"), ("sqlite-shards", "sqlite")


@pytest.mark.parametrize(
    ("kills", "plugins"),
    [(2, ARROW), pytest.param(60, ARROW, marks=pytest.mark.slow), pytest.param(60, SQLITE, marks=pytest.mark.slow)],
)
def test_kills(folder, tmp_path, kills, plugins):
    if plugins[0] not in {entry.name for entry in installed_plugins().entries("store")}:
        pytest.skip(f"store {plugins[0]!r} is not installed")
    started = time.monotonic()
    subprocess.run(command(folder, tmp_path / "undisturbed", plugins), check=True, capture_output=True)
    seconds, expected = time.monotonic() - started, contents(tmp_path / "undisturbed")
    out, draw = tmp_path / "out", random.Random(kills)
    for kill in range(kills):
        kill_at(draw.uniform(0.3 * seconds, seconds), command(folder, out, plugins), group=draw.random() < 0.5)
        if kill % 2:
            continue  # and is killed again before it is done
        complete(folder, out, plugins, expected)
        subprocess.run(["rm", "-r", out], check=True)
    complete(folder, out, plugins, expected)


def complete(folder: Path, out: Path, plugins: tuple[str, str], expected: dict[str, bytes]) -> None:
    if out.exists() and not (out / ".eden-convert").exists():  # which says that it is not complete
        left = {name: held for name, held in contents(out).items() if not name.startswith(".eden-convert.done/")}
        assert left in ({}, expected)
    subprocess.run(command(folder, out, plugins), check=True, capture_output=True)
    assert contents(out) == expected
