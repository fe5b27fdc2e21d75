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

from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.testing.clauses import Clause
from eden_core.testing.options import check_options, options_with_values
from eden_core.testing.processes import Questions, ask_child, file_positions
from eden_core.testing.suite import ContractSuite, answer_of, facts, read_only

Plugin = TypeVar("Plugin", bound=SequenceStore | WindowIndex)

_PICKLES = Clause("pickles", "A plugin can be pickled, used or not; its copy answers like it, and so does the original.")
_NOT_SHARED = Clause("answers-are-not-shared", "An answer belongs to the caller: later ones do not change it, nor it them.")


@dataclass(frozen=True)
class Probe:
    """A store or index and a question to it."""

    plugin: SequenceStore | WindowIndex
    method: str
    argument: Any
    earlier: Any
    """a smaller question, which touches the same files in other places"""
    turned: Any
    """the question from its end on: other answers, as many and as large"""
    answer: type
    """of what the method returns"""

    def ask(self, clause: str, plugin: SequenceStore | WindowIndex | None = None) -> Any:
        """Return the answer of the plugin, or of another one, as something that `==` compares."""
        found = answer_of(partial(getattr(self.plugin if plugin is None else plugin, self.method), self.argument), clause)
        expected = f"{self.method}() must answer with {self.answer.__name__}"
        assert isinstance(found, self.answer), f"{expected}, not with {type(found).__name__}: {found!r:.100}"
        return facts(found)


class LifecycleTests(ContractSuite):
    """Checks that stores and indexes share. Not to be inherited directly."""

    @pytest.fixture
    def probe(self) -> Probe:
        """The plugin under test with a question to it. Not to be overridden."""
        raise NotImplementedError("inherit from SequenceStoreTests or WindowIndexTests")

    @pytest.fixture
    def odd_ids(self) -> list[str]:
        """Ids of one sample with letters that mean something elsewhere, all of which are data here."""
        ends = ("a|b/c:1-90", "%2F..\\é∂", "a b,c;'d\"", "tab\tline\nend", "x" * 100, "x" * 99 + "y")
        return sorted((f"BCR__ECT-SAMPLE1__{end}" for end in ends), key=str.encode)

    @Clause("answers", "What is there is answered, in the right type.")
    def test_it_answers(self, probe: Probe) -> None:
        """Asks."""
        probe.ask(f"{probe.method}() must answer")

    @Clause("name-and-location", "A plugin has a name for users to write, and keeps its location as a string.")
    def test_name_and_location(self, probe: Probe) -> None:
        """Looks at `name` and `location`."""
        name = getattr(probe.plugin, "name", None)
        assert isinstance(name, str), "the class attribute `name` must be the string that users write"
        assert name, "the class attribute `name` must be the string that users write, and not empty"
        assert isinstance(probe.plugin.location, str), "`location` must be kept as a string: call super().__init__(location)"

    @Clause(
        "options-are-explicit", "Options are keyword-only, listed one by one, JSON-like, and kept as attributes of their names."
    )
    def test_options_are_explicit(self, probe: Probe) -> None:
        """Looks at the constructor's signature, and for a JSON-like attribute of each option's name."""
        first = next(iter(inspect.signature(type(probe.plugin)).parameters), None)
        assert first == "location", "the first constructor argument must be `location`"
        check_options(probe.plugin, keyword_only=True)

    @Clause("requests-are-left-alone", "Read-only arrays are accepted, and what is given is not changed.")
    def test_request_is_left_as_it_was(self, probe: Probe) -> None:
        """Asks with arrays that can be written to and with arrays that cannot, and compares them with what they were."""
        frozen, before = _frozen(probe), facts(probe.argument)
        answer = probe.ask(f"{probe.method}() must answer")
        assert facts(probe.argument) == before, f"{probe.method}() must not change the arrays it is given"
        same = frozen.ask(f"{probe.method}() must accept read-only arrays") == answer
        assert same, f"{probe.method}() must answer the same whether its arrays are read-only or not"

    @_NOT_SHARED
    def test_answers_stay_as_they_are(self, probe: Probe) -> None:
        """Keeps an answer, asks something as large, and looks at the answer again."""
        ask = getattr(probe.plugin, probe.method)
        answer = ask(probe.argument)
        before = facts(answer)
        ask(probe.turned)
        claim = f"what {probe.method}() answered must stay as it is when more is asked: use no buffer twice"
        assert facts(answer) == before, claim

    @_NOT_SHARED
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
        """Asks in a forked process; looks at the files that it has open, at its parent's, and whether that still answers."""
        expected = probe.ask("the plugin must answer before a fork")
        getattr(probe.plugin, probe.method)(probe.earlier)
        positions, open_files = file_positions(tmp_path), partial(file_positions, tmp_path)
        questions: Questions = {
            "listing files": open_files,
            f"{probe.method}()": partial(getattr(probe.plugin, probe.method), probe.argument),
            "listing files again": open_files,
            "close()": probe.plugin.close,
        }
        inherited, answer, opened, _ = ask_child("fork", questions).values()
        assert facts(answer) == expected, "a forked process must get the answers that its parent gets"
        moved = [path for path, position in file_positions(tmp_path).items() if position != positions.get(path)]
        assert not moved, f"a forked process must open its own files; it moved the position of its parent's {moved}"
        own = not inherited or opened.keys() - inherited.keys()
        assert own, f"a forked process must open its own files; it opened none, and has its parent's {list(inherited)}"
        clause = "the parent must still answer once a forked child closed its copy"
        assert probe.ask(clause) == expected, clause

    @Clause("spawns", "A plugin sent to a fresh process answers there as it does here, and has the same fingerprint.")
    def test_works_in_a_spawned_process(self, probe: Probe) -> None:
        """Sends the plugin to a spawned process; asks it there, and takes its fingerprint and that of another opening."""
        expected, fingerprint = probe.ask("the plugin must answer"), probe.plugin.fingerprint()
        questions: Questions = {
            f"{probe.method}()": partial(getattr(probe.plugin, probe.method), probe.argument),
            "fingerprint()": partial(_fingerprints, probe.plugin),
        }
        answer, found = ask_child("spawn", questions).values()
        assert facts(answer) == expected, "a plugin sent to a spawned process must answer there as it does here"
        claim = "fingerprint() must be the same in every process (hash() is not)"
        assert set(found) == {fingerprint}, f"{claim}; it is {fingerprint!r} here and {found} there"

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
    return type(plugin)(plugin.location, **options_with_values(plugin))


def _fingerprints(plugin: SequenceStore | WindowIndex) -> list[str]:
    """Return the fingerprints of a plugin and of another opening; close both."""
    with plugin, opened_again(plugin) as another:
        return [plugin.fingerprint(), another.fingerprint()]


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
