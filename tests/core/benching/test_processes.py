import os
import subprocess
import sys

from eden_core.benching.processes import Footprint, Reading, descendants, threads


def test_a_file_that_is_opened_is_counted(tmp_path):
    before = Footprint.of(os.getpid()).open_files
    with (tmp_path / "file").open("w"):
        assert Footprint.of(os.getpid()).open_files == before + 1


def test_memory_that_is_touched_is_private_and_stays_the_peak():
    before = Footprint.of(os.getpid())
    held = bytearray(b"x") * (64 << 20)
    now = Footprint.of(os.getpid())
    assert now.private - before.private > 60 << 20
    assert now.pss > now.private
    del held
    after = Footprint.of(os.getpid())
    assert after.private < now.private - (60 << 20)
    assert after.peak_rss > now.peak_rss - (1 << 20) > 63 << 20


def test_bytes_that_are_read_are_counted(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    before = Reading.of(os.getpid())
    path.read_bytes()
    done = Reading.of(os.getpid()).since(before)
    assert 1 << 20 <= done.read < 2 << 20
    assert done.cpu >= 0
    assert done.delay >= 0


def test_children_and_their_children_are_found():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = descendants(os.getpid())
        assert child.pid in found
        assert len(descendants(child.pid)) == 1
        assert set(descendants(child.pid)) < set(found)
        assert threads(child.pid) == [child.pid]
        child.stdin.write(b"\n")
        child.stdin.close()
