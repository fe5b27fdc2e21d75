"""What stores and indexes have in common: they pickle, fork, spawn, close, and share nothing."""

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from eden_core.interfaces import SequenceStore, WindowIndex, options_of
from eden_core.testing.clauses import Clause
from eden_core.testing.suite import ContractSuite, answer_of, ask_child, facts, file_positions, read_only

Plugin = TypeVar("Plugin", bound=SequenceStore | WindowIndex)

_PICKLES = Clause("pickles", "A plugin can be pickled, used or not; its copy answers like it, and so does the original.")


@dataclass(frozen=True)
class Probe:
    """A store or index and a question to it."""

    plugin: SequenceStore | WindowIndex
    method: str
    argument: Any
    earlier: Any
    """a smaller question, which touches the same files in other places"""

    def ask(self, clause: str, plugin: SequenceStore | WindowIndex | None = None) -> Any:
        """Return the answer of the plugin, or of another one, as something that `==` compares."""
        return facts(answer_of(partial(getattr(self.plugin if plugin is None else plugin, self.method), self.argument), clause))


class LifecycleTests(ContractSuite):
    """Checks that stores and indexes share. Not to be inherited directly."""

    @pytest.fixture
    def probe(self) -> Probe:
        """The plugin under test with a question to it. Not to be overridden."""
        raise NotImplementedError("inherit from SequenceStoreTests or WindowIndexTests")

    @Clause("name-and-location", "A plugin has a name for users to write, and keeps its location as a string.")
    def test_name_and_location(self, probe: Probe) -> None:
        """Looks at `name` and `location`."""
        name = getattr(probe.plugin, "name", None)
        assert isinstance(name, str), "the class attribute `name` must be the string that users write"
        assert name, "the class attribute `name` must be the string that users write, and not empty"
        assert isinstance(probe.plugin.location, str), "`location` must be kept as a string: call super().__init__(location)"

    @Clause("options-are-explicit", "Options are keyword-only, listed one by one, and kept as attributes of their names.")
    def test_options_are_explicit(self, probe: Probe) -> None:
        """Looks at the constructor's signature, and for an attribute of each option's name."""
        first, *options = inspect.signature(type(probe.plugin)).parameters.values()
        assert first.name == "location", "the first constructor argument must be `location`"
        for option in options:
            assert option.kind is option.KEYWORD_ONLY, f"option {option.name!r} must be keyword-only and listed by name"
            assert hasattr(probe.plugin, option.name), f"option {option.name!r} must be kept as an attribute of its name"

    @Clause("requests-are-left-alone", "Read-only arrays are accepted, and what is given is not changed.")
    def test_request_is_left_as_it_was(self, probe: Probe) -> None:
        """Asks with arrays that can be written to and with arrays that cannot, and compares them with what they were."""
        before = facts(probe.argument)
        frozen = _frozen(probe).ask(f"{probe.method}() must accept read-only arrays")
        same = probe.ask(f"{probe.method}() must answer") == frozen
        assert same, f"{probe.method}() must answer the same whether its arrays are read-only or not"
        assert facts(probe.argument) == before, f"{probe.method}() must not change the arrays it is given"

    @Clause("answers-are-not-shared", "What a caller does to an answer does not change later answers.")
    def test_answers_are_not_shared(self, probe: Probe) -> None:
        """Overwrites an answer with zeros and asks again."""
        question = read_only(probe.argument)
        answer = getattr(probe.plugin, probe.method)(question)
        before = facts(answer)
        for array in (array for array in vars(answer).values() if isinstance(array, np.ndarray)):
            if array.flags.writeable:
                array[:] = 0
        clause = "an answer must not share memory with what later answers are made from"
        assert probe.ask(clause) == before, clause

    @_PICKLES
    def test_pickles_before_the_first_use(self, probe: Probe) -> None:
        """Pickles a plugin that was not used yet, and asks the copy."""
        clause = "the pickled copy of an unused plugin must answer like it"
        with _pickled(probe.plugin, "a plugin that was not used yet must pickle") as copy:
            assert probe.ask(clause, copy) == probe.ask(clause), clause

    @_PICKLES
    def test_pickles_after_the_first_use(self, probe: Probe) -> None:
        """Pickles a plugin that has files open; asks the copy, closes it, and asks the original again."""
        clause = "the pickled copy of a used plugin must answer like it"
        expected = probe.ask("the plugin must answer")
        with _pickled(probe.plugin, "a plugin that has files open must pickle (leave handles out of __getstate__)") as copy:
            assert probe.ask(clause, copy) == expected, clause
        clause = "a plugin must still answer once a pickled copy of it was closed"
        assert probe.ask(clause) == expected, clause

    @Clause("forks", "A forked process answers through files of its own, and leaves those of its parent alone.")
    def test_works_in_a_forked_process(self, tmp_path: Path, probe: Probe) -> None:
        """Asks in a forked process, and looks whether the parent's files moved and whether it still answers."""
        expected = probe.ask("the plugin must answer before a fork")
        getattr(probe.plugin, probe.method)(probe.earlier)
        positions = file_positions(tmp_path)
        answer = ask_child("fork", probe.plugin, probe.method, probe.argument)
        assert facts(answer) == expected, "a forked process must get the answers that its parent gets"
        moved = [path for path, position in file_positions(tmp_path).items() if position != positions.get(path)]
        assert not moved, f"a forked process must open its own files; it moved the position of its parent's {moved}"
        clause = "the parent must still answer once a forked child closed its copy"
        assert probe.ask(clause) == expected, clause

    @Clause("spawns", "A plugin sent to a fresh process answers there as it does here.")
    def test_works_in_a_spawned_process(self, probe: Probe) -> None:
        """Sends the plugin to a spawned process and asks it there."""
        answer = ask_child("spawn", probe.plugin, probe.method, probe.argument)
        same = facts(answer) == probe.ask("the plugin must answer")
        assert same, "a plugin sent to a spawned process must answer there as it does here"

    @Clause("changes-threads", "A plugin that one thread used can be used by another, one at a time.")
    def test_works_in_another_thread(self, probe: Probe) -> None:
        """Asks in this thread, then in another."""
        clause = "a plugin must answer in another thread than the one that used it first"
        expected = probe.ask("the plugin must answer")
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(probe.ask, clause).result() == expected, clause

    @Clause("closes-repeatedly", "`close` may be called at any time and again; what is asked afterwards opens files anew.")
    def test_closes_twice_and_opens_again(self, probe: Probe) -> None:
        """Closes twice before each of three questions, and compares the answers."""
        clause = f"{probe.method}() after close() must open the files again"
        answers = []
        for _ in range(3):
            probe.plugin.close()
            probe.plugin.close()
            answers.append(probe.ask(clause))
        assert answers[0] == answers[1] == answers[2], clause

    @Clause(
        "fingerprint-is-stable",
        "The fingerprint is a text without paths, the same for every opening, used or not.",
    )
    def test_fingerprint_is_stable(self, tmp_path: Path, probe: Probe) -> None:
        """Takes fingerprints before and after use, and of another opening."""
        fingerprint = probe.plugin.fingerprint()
        assert isinstance(fingerprint, str), "fingerprint() must return a string"
        probe.ask("the plugin must answer")
        assert probe.plugin.fingerprint() == fingerprint, "fingerprint() must not change when the plugin is used"
        with opened_again(probe.plugin) as another:
            assert another.fingerprint() == fingerprint, "fingerprint() must be the same for every opening"
        assert str(tmp_path) not in fingerprint, f"fingerprint() must be free of paths; it is {fingerprint}"


def opened_again(plugin: Plugin) -> Plugin:
    """Return another opening of a store or index, with the same options."""
    options = {option: getattr(plugin, option) for option in options_of(type(plugin))}
    return type(plugin)(plugin.location, **options)


def halve(file: Path) -> None:
    """Cut a file in half."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def _frozen(probe: Probe) -> Probe:
    return replace(probe, argument=read_only(probe.argument))


def _pickled(plugin: Plugin, clause: str) -> Plugin:
    copy = answer_of(lambda: pickle.loads(pickle.dumps(plugin)), clause)  # noqa: S301 - pickled on this very line
    assert isinstance(copy, type(plugin)), f"{clause}; the copy is {copy!r:.200}"
    return copy
