"""What stores and indexes have in common: they pickle, fork, spawn, close, and share nothing."""

import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.testing.suite import ContractSuite, answer_of, ask_child, facts, file_positions, read_only


@dataclass(frozen=True)
class Probe:
    """A store or index, a question to it, and the check of its answer."""

    plugin: SequenceStore | WindowIndex
    method: str
    argument: Any
    check: Callable[[Any, str], None]
    """takes the answer and the clause of the contract that it must keep"""
    earlier: Any
    """a smaller question, which touches the same files in other places"""

    def ask(self, plugin: SequenceStore | WindowIndex | None = None) -> Any:
        """Return the answer of the plugin, or of another one."""
        return getattr(plugin or self.plugin, self.method)(self.argument)

    def confirm(self, clause: str, plugin: SequenceStore | WindowIndex | None = None) -> None:
        """Ask and check."""
        self.check(answer_of(partial(self.ask, plugin), clause), clause)


class LifecycleTests(ContractSuite):
    """Checks that stores and indexes share. Not to be inherited directly."""

    @pytest.fixture
    def probe(self) -> Probe:
        """The plugin under test with a question to it. Not to be overridden."""
        raise NotImplementedError("inherit from SequenceStoreTests or WindowIndexTests")

    def test_name_and_location(self, probe: Probe) -> None:
        """A plugin has a name for users to write, and keeps its location as a string."""
        name = getattr(probe.plugin, "name", None)
        assert isinstance(name, str), "the class attribute `name` must be the string that users write"
        assert name, "the class attribute `name` must be the string that users write, and not empty"
        assert isinstance(probe.plugin.location, str), "`location` must be kept as a string: call super().__init__(location)"

    def test_options_are_explicit(self, probe: Probe) -> None:
        """Options are keyword-only, listed one by one, and kept as attributes."""
        first, *options = inspect.signature(type(probe.plugin)).parameters.values()
        assert first.name == "location", "the first constructor argument must be `location`"
        for option in options:
            assert option.kind is option.KEYWORD_ONLY, f"option {option.name!r} must be keyword-only and listed by name"
            assert hasattr(probe.plugin, option.name), f"option {option.name!r} must be kept as an attribute of its name"

    def test_request_is_left_as_it_was(self, probe: Probe) -> None:
        """Read-only arrays are accepted, and what is given is not changed."""
        before = facts(probe.argument)
        _frozen(probe).confirm(f"{probe.method}() must accept read-only arrays")
        probe.ask()
        assert facts(probe.argument) == before, f"{probe.method}() must not change the arrays it is given"

    def test_answers_are_not_shared(self, probe: Probe) -> None:
        """What a caller does to an answer does not change later answers."""
        answer = _frozen(probe).ask()
        for array in (array for array in vars(answer).values() if getattr(array, "flags", None) is not None):
            if array.flags.writeable:
                array[:] = 0
        probe.confirm("an answer must not share memory with what later answers are made from")

    def test_pickles_before_the_first_use(self, probe: Probe) -> None:
        """A plugin that was not used yet can be pickled; the copy answers."""
        with _pickled(probe.plugin, "a plugin that was not used yet must pickle") as copy:
            probe.confirm("the pickled copy of an unused plugin must answer", copy)

    def test_pickles_after_the_first_use(self, probe: Probe) -> None:
        """A plugin that has files open can be pickled; the copy answers, and so does the original."""
        probe.confirm("the plugin must answer")
        with _pickled(probe.plugin, "a plugin that has files open must pickle (leave handles out of __getstate__)") as copy:
            probe.confirm("the pickled copy of a used plugin must answer", copy)
        probe.confirm("a plugin must still answer once a pickled copy of it was closed")

    def test_works_in_a_forked_process(self, tmp_path: Path, probe: Probe) -> None:
        """A forked child answers through files of its own; the parent then goes on."""
        probe.confirm("the plugin must answer before a fork")
        getattr(probe.plugin, probe.method)(probe.earlier)
        positions = file_positions(tmp_path)
        probe.check(ask_child("fork", probe.plugin, probe.method, probe.argument), "a forked process must get right answers")
        moved = [path for path, position in file_positions(tmp_path).items() if position != positions.get(path)]
        assert not moved, f"a forked process must open its own files; it moved the position of its parent's {moved}"
        probe.confirm("the parent must still answer once a forked child closed its copy")

    def test_works_in_a_spawned_process(self, probe: Probe) -> None:
        """A plugin sent to a fresh process answers there."""
        answer = ask_child("spawn", probe.plugin, probe.method, probe.argument)
        probe.check(answer, "a plugin sent to a spawned process must give right answers there")

    def test_works_in_another_thread(self, probe: Probe) -> None:
        """A plugin that one thread used can be used by another, one at a time."""
        clause = "a plugin must answer in another thread than the one that used it first"
        probe.confirm("the plugin must answer")
        problems: list[AssertionError] = []

        def confirm() -> None:
            try:
                probe.confirm(clause)
            except AssertionError as error:
                problems.append(error)

        thread = Thread(target=confirm)
        thread.start()
        thread.join()
        assert not problems, str(problems[0])

    def test_closes_twice_and_opens_again(self, probe: Probe) -> None:
        """Closing is repeatable, also before any use; using the plugin afterwards opens the files again."""
        probe.plugin.close()
        for _ in range(2):
            probe.confirm(f"{probe.method}() after close() must open the files again")
            probe.plugin.close()
            probe.plugin.close()

    def test_fingerprint_is_stable(self, tmp_path: Path, probe: Probe) -> None:
        """The fingerprint is a text, the same for every opening and before and after use, and free of paths."""
        fingerprint = probe.plugin.fingerprint()
        assert isinstance(fingerprint, str), "fingerprint() must return a string"
        probe.ask()
        assert probe.plugin.fingerprint() == fingerprint, "fingerprint() must not change when the plugin is used"
        with _pickled(probe.plugin, "a plugin must pickle") as copy:
            assert copy.fingerprint() == fingerprint, "fingerprint() must be the same for every opening"
        assert str(tmp_path) not in fingerprint, f"fingerprint() must be free of paths; it is {fingerprint}"


def _frozen(probe: Probe) -> Probe:
    return replace(probe, argument=read_only(probe.argument))


def _pickled(plugin: SequenceStore | WindowIndex, clause: str) -> SequenceStore | WindowIndex:
    copy = answer_of(lambda: pickle.loads(pickle.dumps(plugin)), clause)  # noqa: S301 - pickled on this very line
    assert isinstance(copy, (SequenceStore, WindowIndex)), f"{clause}; the copy is {copy!r:.200}"
    return copy
