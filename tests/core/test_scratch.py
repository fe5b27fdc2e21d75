from eden_core.scratch import scratch_folder


def test_the_folder_goes_with_its_block(tmp_path):
    with scratch_folder(tmp_path, "sorting") as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_killed_runs_left_is_removed_and_what_is_in_use_stays(tmp_path):
    (tmp_path / ".sorting.killed.tmp").mkdir()
    (tmp_path / ".other.killed.tmp").mkdir()
    with scratch_folder(tmp_path, "sorting") as one, scratch_folder(tmp_path, "sorting") as other:
        assert one.exists()
        assert {path.name for path in tmp_path.iterdir()} == {one.name, other.name, ".other.killed.tmp"}
