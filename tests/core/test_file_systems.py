import subprocess

import pytest

from eden_core import file_systems
from eden_core.file_systems import FileSystem, file_system_of, is_on_network


@pytest.fixture
def magic(tmp_path) -> int:
    return int(subprocess.run(["stat", "-f", "-c", "%t", tmp_path], capture_output=True, text=True, check=True).stdout, 16)


def test_a_network_file_system_is_told(tmp_path, monkeypatch, magic):
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as file:
        assert not is_on_network(file.fileno())
        monkeypatch.setattr(file_systems, "NETWORK", {magic: "Net"})
        assert is_on_network(file.fileno())
    assert file_system_of(tmp_path) == FileSystem("Net", network=True)


def test_proc_is_known_by_its_number_alone():
    assert file_system_of("/proc") == FileSystem("0x9fa0", network=False)


def test_no_such_place(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        file_system_of(tmp_path / "nowhere")
