import subprocess
import sys
from multiprocessing.pool import ThreadPool

import pytest

from eden_core import atomic, errors
from eden_core.atomic import atomic_path, refuse_existing


def test_the_target_appears_whole(tmp_path):
    with atomic_path(tmp_path / "a") as draft:
        draft.write_text("new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_text() == "new"


def test_after_a_failure_the_old_file_stands_and_nothing_is_left(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail_half_way():
        with atomic_path(tmp_path / "a") as draft:
            draft.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(errors.InputError, match="no folder"), atomic_path(tmp_path / "b" / "a"):
        pass


def test_an_existing_output_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(errors.OutputExistsError, match="--force"):
        refuse_existing(tmp_path / "a", force=False)
    refuse_existing(tmp_path / "a", force=True)


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    program = f"""
import os, signal
from eden_core.atomic import atomic_path
with atomic_path({str(tmp_path / "a")!r}) as one, atomic_path({str(tmp_path / "a")!r}) as two:
    one.write_text("half")
    two.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program])
    assert len(list(tmp_path.iterdir())) == 4
    with atomic_path(tmp_path / "a") as draft:
        assert not draft.exists()
        draft.write_text("whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "whole")]


def test_a_writer_leaves_the_drafts_of_others_alone(tmp_path):
    with atomic_path(tmp_path / "a") as one:
        one.write_text("one")
        with atomic_path(tmp_path / "a") as other:
            other.write_text("other")
        assert one.read_text() == "one"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "one")]


def test_many_writers_of_one_target_at_a_time(tmp_path):
    def write(number):
        with atomic_path(tmp_path / "a") as draft:
            draft.write_text(str(number) * 1000)

    with ThreadPool(8) as threads:
        threads.map(write, range(200))
    (left,) = tmp_path.iterdir()
    assert len(set(left.read_text())) <= 3
    assert len(left.read_text()) >= 1000


def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(atomic.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(atomic.fcntl, "flock", refuse)
    with atomic_path(tmp_path / "a") as draft:
        draft.write_text("new")
    assert (tmp_path / "a").read_text() == "new"


def test_what_was_left_of_a_target_that_stays_is_cleared(tmp_path):
    target = tmp_path / "x.db"
    target.write_text("whole")
    with atomic.atomic_path(target) as draft:
        left = draft.with_suffix(".lock").name
        draft.write_text("whole")
    (tmp_path / left).touch()
    atomic.clear_drafts(target)
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]
