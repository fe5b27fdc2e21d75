import subprocess
import sys
from pathlib import Path

import pytest
from in_memory import MemoryStoreTests, TrimTests
from running import complaint
from wrong_stores import RefusesToWrite, UpperCase

from eden_core.testing import SequenceStoreTests

PLUGIN = """
import pytest
from in_memory import MemoryStore, MemoryStoreTests
from running import complaint
from wrong_stores import RefusesToWrite, UpperCase

class TestUpperCase(MemoryStoreTests):
    store_class = UpperCase

    @pytest.fixture
    def sequences(self):
        return {"BCR__ECT-S__1": b"acgtACGT" * 5, "BCR__ECT-T__1": b"A"}
"""


def test_a_check_is_not_redefined_silently():
    with pytest.raises(
        TypeError, match=r"TestMine redefines the check test_case_and_letters_are_kept of store\.letters-are-kept: .*xfail"
    ):

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


def test_a_capability_that_there_is_not_is_refused_at_once():
    with pytest.raises(
        TypeError, match=r"TestMine.capabilities has \['flies'\]; a transform may have: augments, prefixes, weights"
    ):
        type("TestMine", (TrimTests,), {"capabilities": ("flies",)})


def test_checks_of_what_is_not_declared_are_skipped_with_the_reason(tmp_path):
    suite = type("TestMine", (MemoryStoreTests,), {"capabilities": ("samples",)})
    reason = "store.shards-are-added: the capability 'writes' is not declared of MemoryStore"
    with pytest.raises(pytest.skip.Exception, match=reason):
        complaint(suite, "test_a_shard_is_added", tmp_path)


def test_a_declared_capability_may_not_be_refused(tmp_path):
    suite = type("TestMine", (MemoryStoreTests,), {"capabilities": ("writes",), "store_class": RefusesToWrite})
    assert "it raised NotSupportedError: this store is read only" in complaint(suite, "test_a_shard_is_added", tmp_path)


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
    page = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n")[2].partition("```")[0].splitlines()
    assert shown[0].startswith("store.letters-are-kept: ")
    assert [line for line in shown if line not in result.stdout] == []
    assert UpperCase.__name__ in result.stdout
