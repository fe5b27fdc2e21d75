import fcntl
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eden_core import sidecars
from eden_core.sidecars import CACHE_VARIABLE, GrowingArray, Sidecar, sidecar

DTYPES = st.sampled_from(["int8", "int32", "int64", "float32", "bool"])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def location(tmp_path) -> str:
    (tmp_path / "data").mkdir()
    return str(tmp_path / "data" / "w.db")


def forbidden(folder: Path):
    raise AssertionError("it is there already")


def numbers(count: int):
    return lambda folder: {"numbers": np.arange(count)}


@given(st.lists(DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, st.integers(0, 9))), min_size=1, max_size=4))
def test_arrays_come_back_as_they_were(tmp_path_factory, parts):
    location = str(tmp_path_factory.mktemp("data") / "w.db")
    made = sidecar(location, "test", 1, lambda folder: {f"part {i}": part for i, part in enumerate(parts)})
    for i, part in enumerate(parts):
        assert made[f"part {i}"].dtype == part.dtype
        assert made[f"part {i}"].tobytes() == part.tobytes()


def test_it_lies_beside_the_index(location):
    made = Path(sidecar(location, "test", 1, numbers(3)).path)
    assert made.parent == Path(location).parent
    assert made.name.startswith("w.db.test-")


def test_it_is_made_once(location):
    first = sidecar(location, "test", ("key", 1), numbers(3))
    again = sidecar(location, "test", ("key", 1), forbidden)
    assert again.path == first.path
    assert again["numbers"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("what", "key"), [("other", 1), ("test", 2), ("test", (1,))])
def test_other_arrays_have_a_file_of_their_own(location, what, key):
    first = sidecar(location, "test", 1, numbers(3))
    second = sidecar(location, what, key, numbers(5))
    assert second.path != first.path
    assert (first["numbers"].size, second["numbers"].size) == (3, 5)


def test_arrays_are_mapped_not_read(location):
    assert isinstance(sidecar(location, "test", 1, numbers(3))["numbers"], np.memmap)


def test_arrays_cannot_be_written_to(location):
    with pytest.raises(ValueError, match="read-only"):
        sidecar(location, "test", 1, numbers(3))["numbers"][0] = 5


def test_it_pickles_as_its_path(location):
    made = sidecar(location, "test", 1, numbers(100_000))
    assert made["numbers"].size == 100_000
    data = pickle.dumps(made)
    assert len(data) < 1000
    assert pickle.loads(data)["numbers"].tolist() == made["numbers"].tolist()


def without_permission(monkeypatch, folder: Path) -> None:
    """Forbid writing there, also to root, whom no mode stops."""
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and allowed(path, mode))


def test_where_the_folder_cannot_be_written_it_lies_in_the_cache(location, cache, monkeypatch):
    without_permission(monkeypatch, Path(location).parent)
    made = sidecar(location, "test", 1, numbers(3))
    assert Path(made.path).parent == cache
    assert list(Path(location).parent.iterdir()) == []
    assert sidecar(location, "test", 1, forbidden).path == made.path


def test_indexes_of_one_name_do_not_share_a_file_in_the_cache(tmp_path):
    locations = [str(tmp_path / "absent" / name / "w.db") for name in "ab"]
    made = [sidecar(location, "test", 1, numbers(i)) for i, location in enumerate(locations)]
    assert [one["numbers"].size for one in made] == [0, 1]


def test_an_index_at_a_url_has_its_file_in_the_cache(cache):
    made = sidecar("s3://bucket/w.db", "test", 1, numbers(3))
    assert Path(made.path).parent == cache
    assert sidecar("gs://bucket/w.db", "test", 1, numbers(4)).path != made.path


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({CACHE_VARIABLE: "{}/mine"}, "mine"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/eden"),
        ({"HOME": "{}/home"}, "home/.cache/eden"),
    ],
)
def test_where_the_cache_is(tmp_path, monkeypatch, variables, place):
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert Path(sidecar("s3://bucket/w.db", "test", 1, numbers(3)).path).parent == tmp_path / place


def test_a_build_that_fails_leaves_nothing(location):
    def killed(folder: Path):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sidecar(location, "test", 1, killed)
    assert list(Path(location).parent.iterdir()) == []
    assert sidecar(location, "test", 1, numbers(3))["numbers"].tolist() == [0, 1, 2]


def test_a_write_that_fails_leaves_nothing(location):
    class Broken(dict):
        def items(self):
            yield "numbers", np.arange(1000)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        sidecar(location, "test", 1, lambda folder: Broken())
    assert list(Path(location).parent.iterdir()) == []


BEGIN = """
import os, sys
import numpy as np
from eden_core.sidecars import sidecar

location = sys.argv[1]
"""

KILLED = (
    BEGIN
    + """
def build(folder):
    (folder / "half").write_text("half")
    os._exit(9)

sidecar(location, "test", 1, build)
"""
)

TOGETHER = (
    BEGIN
    + """
def build(folder):
    print("built")
    return {"numbers": np.arange(100_000)}

print("ready", flush=True)
sys.stdin.readline()
print(sidecar(location, "test", 1, build)["numbers"].sum())
"""
)


def test_a_build_that_was_killed_leaves_nothing_that_opens(location):
    assert subprocess.run([sys.executable, "-c", KILLED, location], check=False).returncode == 9
    assert not list(Path(location).parent.glob("w.db.*"))
    assert sidecar(location, "test", 1, numbers(3))["numbers"].tolist() == [0, 1, 2]


def test_nothing_temporary_stays(location):
    def build(folder: Path):
        growing = GrowingArray(folder, np.int32)
        growing.extend([1, 2])
        return {"numbers": growing.array()}

    made = sidecar(location, "test", 1, build)
    assert list(Path(location).parent.iterdir()) == [Path(made.path)]
    assert made["numbers"].tolist() == [1, 2]


def test_others_wait_while_one_builds(location):
    def build(folder: Path):
        descriptor = os.open(Path(location).parent, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return {"numbers": np.arange(3)}

    assert sidecar(location, "test", 1, build)["numbers"].size == 3


def test_who_has_waited_does_not_build_again(location, monkeypatch):
    lock = sidecars.locked_folder

    def behind_another(target: Path):
        monkeypatch.setattr(sidecars, "locked_folder", lock)
        sidecar(location, "test", 1, numbers(3))
        return lock(target)

    monkeypatch.setattr(sidecars, "locked_folder", behind_another)
    assert sidecar(location, "test", 1, forbidden)["numbers"].tolist() == [0, 1, 2]


def test_processes_build_it_once(location):
    command = [sys.executable, "-c", TOGETHER, location]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 3
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0].split() for process in started]
    assert sorted(map(len, answers)) == [1, 1, 2]
    assert {answer[-1] for answer in answers} == {str(100_000 * 99_999 // 2)}


def test_another_file_is_refused(tmp_path):
    (tmp_path / "other").write_bytes(b"other\n")
    with pytest.raises(ValueError, match="no file of arrays"):
        Sidecar(tmp_path / "other")["numbers"]


@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1))), st.sampled_from(["i4", "i8"]))
def test_a_growing_array_holds_what_was_appended(tmp_path_factory, parts, dtype):
    growing = GrowingArray(tmp_path_factory.getbasetemp(), dtype)
    for part in parts:
        growing.extend(part)
    found = growing.array()
    assert found.dtype == dtype
    assert found.tolist() == [number for part in parts for number in part]
