"""Merging the parts of a store is killed at some moment: the store is read all the same, and the next run completes it."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eden_arrow.store import ArrowShards
from eden_core.testing.suite import windows_of

SAMPLES = 30
MERGE = """
import sys
from eden_arrow.store import ArrowShards

store = ArrowShards(sys.argv[1], shard_bytes=200_000)
print("ready", flush=True)
store.finish()
"""


@pytest.fixture(scope="module")
def sequences():
    draw = random.Random(1)
    return {
        f"B__X-S{n}__{i}": "".join(draw.choices("ACGTacgtN", k=draw.randint(10, 9000))).encode()
        for n in range(SAMPLES)
        for i in range(8)
    }


@pytest.fixture(scope="module")
def unfinished(sequences, tmp_path_factory):
    """A store of which ten samples are merged; three of those are replaced, one is removed, twenty are new."""
    folder = tmp_path_factory.mktemp("unfinished")
    store = ArrowShards(str(folder), shard_bytes=200_000)

    def write(n, change=lambda bases: bases):
        store.write_shard(f"S{n}", ((i, change(bases)) for i, bases in sequences.items() if f"-S{n}__" in i))

    for n in range(11):
        write(n, lambda bases: bases if len(bases) % 3 else bases[::-1])
    store.write_shard("S99", [("B__X-S99__1", b"ACGT")])
    store.finish()
    for n in range(SAMPLES):
        write(n)
    store.remove_shard("S99")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_contents(folder: Path, sequences: dict[str, bytes]) -> None:
    with ArrowShards(str(folder)) as store:
        assert list(store.samples()) == sorted(f"S{n}" for n in range(SAMPLES))
        rows = store.read(windows_of([(i, 0, 10**9) for i in sequences]))
        assert rows.values.tobytes() == b"".join(sequences.values())


def killed(folder: Path, seconds: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", MERGE, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()


def check_kills(kills: int, unfinished: Path, sequences: dict[str, bytes], out: Path) -> None:
    shutil.copytree(unfinished, out / "undisturbed")
    ArrowShards(str(out / "undisturbed"), shard_bytes=200_000).finish()
    expected, draw, moments = files(out / "undisturbed"), random.Random(kills), set()
    for number in range(kills):
        shutil.copytree(unfinished, out / "killed")
        killed(out / "killed", 0 if number == 0 else draw.uniform(0, 0.1))
        check_contents(out / "killed", sequences)
        moments.add(files(out / "killed") == expected)
        ArrowShards(str(out / "killed"), shard_bytes=200_000).finish()
        assert files(out / "killed") == expected
        shutil.rmtree(out / "killed")
    assert False in moments, "each run was done before it was killed"


def test_ten_kills(unfinished, sequences, tmp_path):
    check_kills(10, unfinished, sequences, tmp_path)


@pytest.mark.slow
def test_a_hundred_kills(unfinished, sequences, tmp_path):
    check_kills(100, unfinished, sequences, tmp_path)
