import os
import subprocess
import sys

import pytest

from eden_core import file_systems
from eden_core.doctor import machine as machine_checks
from eden_core.doctor.findings import Job, Level
from eden_core.doctor.machine import BYTES_A_TOKEN, disk, machine_findings, open_files, processors, shared_memory

LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from eden_core.doctor.findings import Job
from eden_core.doctor.machine import open_files
found = list(open_files(Job(num_workers={workers}), {files}))[0]
print(found.level, found.found, found.remedy, sep="|")
"""


def limited(soft, hard, workers=2, files=128) -> list[str]:
    code = LIMITED.format(soft=soft, hard=hard, workers=workers, files=files)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().split("|")


@pytest.mark.parametrize(
    ("limits", "level", "remedy"),
    [
        ({"soft": 1000, "hard": 2000}, "ok", "None"),
        ({"soft": 200, "hard": 2000}, "warning", "ulimit -n 2000, in the shell"),
        ({"soft": 200, "hard": 200}, "error", "have the hard limit raised"),
        ({"soft": 200, "hard": 240}, "warning", "'max_open_files': 32"),
        ({"soft": 200, "hard": 200, "workers": 0, "files": 64}, "ok", "None"),
        ({"soft": 200, "hard": 200, "workers": 0}, "error", "limits.conf"),
    ],
    ids=["enough", "soft", "hard", "workers fit", "few files", "no workers"],
)
def test_open_files(limits, level, remedy):
    found = limited(**limits)
    assert found[0] == level
    assert remedy in found[2]
    assert f"limit {limits['soft']} (at most {limits['hard']})" in found[1]


def test_few_memory_maps(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_checks, "_MAPS", tmp_path / "max_map_count")
    (tmp_path / "max_map_count").write_text("1000\n")
    assert [one.about for one in open_files(Job(), 128)] == ["open files", "memory maps"]


@pytest.mark.parametrize(("less", "level"), [(2, Level.OK), (-2, Level.WARNING)])
def test_shared_memory_against_batches_under_way(tmp_path, monkeypatch, less, level):
    monkeypatch.setattr(machine_checks, "SHARED_MEMORY", tmp_path)
    free = 10_000 * BYTES_A_TOKEN * 100
    monkeypatch.setattr("shutil.disk_usage", lambda _: machine_checks.shutil._ntuple_diskusage(2 * free, free, free))
    job = Job(micro_batch_size=100 - less, num_workers=5, prefetch_factor=4, ranks=5)
    (found,) = shared_memory(job, 100)
    assert found.level is level


def test_no_shared_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_checks, "SHARED_MEMORY", tmp_path / "shm")
    assert [one.level for one in shared_memory(Job(), 100)] == [Level.ERROR]
    assert not list(shared_memory(Job(num_workers=0), 100))


def test_more_workers_than_processors():
    assert next(processors(Job(num_workers=1000))).level is Level.WARNING
    assert next(processors(Job(num_workers=0))).level is Level.OK


def test_a_network_file_system(tmp_path, monkeypatch):
    assert all(one.level is not Level.WARNING for one in disk(tmp_path))
    magic = int(subprocess.run(["stat", "-f", "-c", "%t", tmp_path], capture_output=True, text=True, check=True).stdout, 16)
    monkeypatch.setattr(file_systems, "NETWORK", {magic: "NFS"})
    found = next(disk(tmp_path))
    assert (found.level, "lies on NFS" in found.found) == (Level.NOTE, True)


def test_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_checks, "_LITTLE_SPACE", 1 << 80)
    assert "free space" in [one.about for one in disk(tmp_path)]


def test_torch_is_neither_needed_nor_imported(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from eden_core.doctor.findings import Job\n"
        "import eden_core.doctor.machine as checks\n"
        "checks.version = lambda name: (_ for _ in ()).throw(checks.PackageNotFoundError(name))\n"
        "*_, last = checks.machine_findings(Path('.'), Job(), 100, 128)\n"
        "print(last.level, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["note", "False"]


def test_what_is_looked_at(tmp_path):
    found = {one.about for one in machine_findings(tmp_path, Job(), 100, 128)}
    assert found >= {"open files", "shared memory", "processors", "file system", "software"}


@pytest.mark.parametrize(("chosen", "level"), [("", Level.OK), ("numpy", Level.NOTE)])
def test_inner_loops(chosen, level):
    code = "from eden_core.doctor.machine import loops; print(loops().level)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"EDEN_KERNELS": chosen}
    )
    assert done.stdout.strip() == level
