import mmap

import pytest

from eden_core.benching.page_cache import DataFiles
from eden_core.file_systems import file_system_of

SIZE = 1 << 20


@pytest.fixture
def folder(tmp_path):
    if file_system_of(tmp_path).name in {"tmpfs", "ramfs"}:
        pytest.skip("files in memory cannot be dropped from it")
    (tmp_path / "data" / "sample").mkdir(parents=True)
    for place in ("data/sample/shard", "data/train_windows.db", "other"):
        (tmp_path / place).write_bytes(bytes(SIZE))
    return tmp_path


def files_of(store, index) -> DataFiles:
    return DataFiles.of_sources([{"store_location": str(store), "index_location": str(index)}])


def test_files_of_a_store_and_an_index_are_found_once(folder):
    found = files_of(folder / "data", folder / "data" / "train_windows.db")
    assert sorted(found.paths) == [str(folder / "data" / "sample" / "shard"), str(folder / "data" / "train_windows.db")]
    assert found.size == 2 * SIZE


def test_what_is_no_file_here_has_no_pages():
    found = files_of("s3://bucket/data", "s3://bucket/index")
    assert found.paths == ()
    assert found.read_once()
    assert found.kept() == 0


def test_pages_of_the_data_are_dropped_and_no_others(folder):
    data, other = files_of(folder / "data", folder / "data"), files_of(folder / "other", folder / "other")
    assert data.read_once()
    assert other.read_once()
    assert (data.kept(), other.kept()) == (2 * SIZE, SIZE)
    data.drop()
    assert (data.kept(), other.kept()) == (0, SIZE)


def test_what_the_kernel_keeps_is_told(folder):
    data = files_of(folder / "data", folder / "data")
    with (folder / "data" / "sample" / "shard").open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        sum(mapped[::4096])
        data.drop()
        assert 0 < data.kept() <= SIZE
