import pytest

from eden_core import errors
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
