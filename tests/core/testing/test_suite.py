import subprocess
import sys

import pytest
from in_memory import MemoryStoreTests, TrimTests
from wrong_stores import UpperCase

from eden_core.testing import SequenceStoreTests

PLUGIN = """
import pytest
from in_memory import MemoryStore, MemoryStoreTests
from wrong_stores import UpperCase

class TestUpperCase(MemoryStoreTests):
    store_class = UpperCase

    @pytest.fixture
    def sequences(self):
        return {"BCR__ECT-S__1": b"acgtACGT" * 5, "BCR__ECT-T__1": b"A"}
"""


def test_a_check_is_not_redefined_silently():
    with pytest.raises(TypeError, match=r"TestMine redefines the check test_case_and_letters_are_kept.*xfail"):

        class TestMine(MemoryStoreTests):
            def test_case_and_letters_are_kept(self):
                pass


def test_a_check_is_not_switched_off():
    with pytest.raises(TypeError, match="redefines the check test_never_lengthens"):
        type("TestMine", (TrimTests,), {"test_never_lengthens": None})


def test_a_check_is_not_redefined_by_a_mixin():
    mixin = type("Mixin", (), {"test_types_and_shapes": lambda self: None})
    with pytest.raises(TypeError, match="redefines the check test_types_and_shapes"):
        type("TestMine", (mixin, MemoryStoreTests), {})


def test_xfail_needs_a_reason():
    with pytest.raises(TypeError, match="redefines the check"):

        class TestMine(MemoryStoreTests):
            @pytest.mark.xfail
            def test_case_and_letters_are_kept(self):
                pass


def test_a_check_may_be_expected_to_fail_and_inherited_so():
    class TestMine(MemoryStoreTests):
        @pytest.mark.xfail(reason="this store folds case")
        def test_case_and_letters_are_kept(self, store, sequences):
            super().test_case_and_letters_are_kept(store, sequences)

    type("TestMineToo", (TestMine,), {})


def test_own_checks_may_be_added():
    type("TestMine", (MemoryStoreTests,), {"test_of_my_own": lambda self: None})


def test_a_forgotten_method_is_named(tmp_path):
    with pytest.raises(NotImplementedError, match="TestMine must define make_store"):
        type("TestMine", (SequenceStoreTests,), {})().make_store(tmp_path, {})


def test_failures_speak_under_pytest(tmp_path, monkeypatch):
    (tmp_path / "test_mine.py").write_text(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    chosen = "test_case or test_types or test_request"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", chosen, "test_mine.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed" in result.stdout, result.stdout + result.stderr
    assert "bases must come as stored, case and letters kept: stored b'ACGTacgt', read b'ACGT'" in result.stdout
    assert UpperCase.__name__ in result.stdout
