"""An import that is killed goes on with the same command, and ends with the bytes of an undisturbed one."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_commands import contents, kill_at

EDEN = Path(sys.executable).with_name("eden")
SAMPLES, CONTIGS = 12, 60


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    rng = random.Random(1)
    for sample in range(SAMPLES):
        lines = [f">c{i}\n{''.join(rng.choices('ACGTacgtN', k=rng.randint(200, 20_000)))}\n" for i in range(CONTIGS)]
        (folder / f"S{sample}.fa").write_text("".join(lines))
    return folder


def command(sources, out) -> list[str]:
    return [str(EDEN), "import", str(sources), "--out", str(out), "--dedup", "--workers", "2"]


@pytest.fixture(scope="module")
def undisturbed(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    started = time.monotonic()
    subprocess.run(command(sources, out), check=True, capture_output=True)
    return contents(out), time.monotonic() - started


def check_kills(kills: int, sources, undisturbed, out: Path) -> None:
    expected, seconds = undisturbed
    rng = random.Random(kills)
    for _ in range(kills):
        kill_at(rng.uniform(0.2, seconds), command(sources, out), group=rng.random() < 0.5)
        if rng.random() < 0.5:
            continue  # and is killed again before it is done
        subprocess.run(command(sources, out), check=True, capture_output=True)
        assert contents(out) == expected
        subprocess.run(["rm", "-r", out], check=True)
    subprocess.run(command(sources, out), check=True, capture_output=True)
    assert contents(out) == expected


def test_four_kills(sources, undisturbed, tmp_path):
    check_kills(4, sources, undisturbed, tmp_path / "out")


@pytest.mark.slow
def test_a_hundred_kills(sources, undisturbed, tmp_path):
    check_kills(100, sources, undisturbed, tmp_path / "out")
