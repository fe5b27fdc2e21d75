"""The contract of executors, as tests to inherit."""

import os
import pickle
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from eden_core.errors import InputError
from eden_core.interfaces import ExecutorFactory
from eden_core.tasks import run_tasks
from eden_core.testing.clauses import Clause
from eden_core.testing.options import check_options, options_with_values
from eden_core.testing.suite import ContractSuite, answer_of

REFUSED = 3
"""what numbers end in whose tasks fail"""


def squared_on_paper(path: str) -> int:
    """Square the number that a path ends in, and note in the file which process did."""
    number = int(Path(path).suffix[1:])
    if number % 10 == REFUSED:
        raise InputError(f"{path}: {number} is refused")
    Path(path).write_text(str(os.getpid()))
    return number * number


class ExecutorTests(ContractSuite):
    """What every executor must do. Inherit, name the class `Test…`, write `make_executor`; override fixtures, never checks."""

    kind: ClassVar[str] = "executor"
    data: ClassVar[tuple[str, ...]] = ("numbers",)

    def make_executor(self) -> ExecutorFactory:
        """Return the factory, with two workers where it takes a number."""
        raise NotImplementedError(f"{type(self).__name__} must define make_executor(self)")

    @pytest.fixture
    def numbers(self) -> list[int]:
        """What the tasks square, each number once; those that end in 3 are refused."""
        return list(range(20))

    @Clause(
        "options-are-explicit", "Options are keyword-only, listed one by one, JSON-like, and kept as attributes of their names."
    )
    def test_options_are_explicit(self) -> None:
        """Looks at the constructor's signature, and for a JSON-like attribute of each option's name."""
        check_options(self.make_executor(), keyword_only=True)

    @Clause("name-and-workers", "`name` is what users write, `workers` a positive number.")
    def test_it_has_a_name_and_workers(self) -> None:
        """Looks at both."""
        factory = self.make_executor()
        assert isinstance(factory.name, str), "the class attribute `name` must be the string that users write"
        assert factory.workers >= 1, f"workers must be 1 or more, not {factory.workers}"

    @Clause("pickles", "A factory can be sent to another process, with its options.")
    def test_it_pickles(self) -> None:
        """Pickles the factory, and compares options and workers."""
        sent = partial(lambda factory: pickle.loads(pickle.dumps(factory)), self.make_executor())  # noqa: S301 - pickled here
        copy = answer_of(sent, "a factory must pickle")
        sent_and_copy = [(each.name, each.workers, options_with_values(each)) for each in (self.make_executor(), copy)]
        assert sent_and_copy[0] == sent_and_copy[1], "a pickled factory must have the same options and workers"

    @Clause(
        "tasks-come-back",
        "Each task runs in another process, and comes back once, with its result or with the error that it raised.",
    )
    def test_every_task_comes_back(self, tmp_path: Path, numbers: list[int]) -> None:
        """Runs more tasks than there are workers, some of which fail, and compares what comes back with a dict."""
        tasks = {str(tmp_path / f"task.{number}"): number for number in numbers}
        outcomes = list(run_tasks(squared_on_paper, tasks, self.make_executor()))
        assert sorted(path for path, _ in outcomes) == sorted(tasks), "each task must come back once"
        for path, outcome in outcomes:
            if tasks[path] % 10 == REFUSED:
                assert isinstance(outcome, InputError), f"a task's error must come back as it was raised, not as {outcome!r}"
                assert "is refused" in str(outcome), f"the error of a task must keep its message, not {outcome}"
            else:
                assert outcome == tasks[path] ** 2, f"the result of {path} must come back, not {outcome!r}"
        workers = {path.read_text() for path in tmp_path.iterdir()}
        assert str(os.getpid()) not in workers, "tasks must not run in the process that hands them over"

    @Clause("used-again", "A factory opens one executor after another.")
    def test_it_is_used_again(self, tmp_path: Path) -> None:
        """Runs tasks in two executors, one after the other."""
        factory = self.make_executor()
        for number in (2, 4):
            [(_, result)] = run_tasks(squared_on_paper, [str(tmp_path / f"task.{number}")], factory)
            assert result == number * number, "a factory must be able to open executors one after another"

    @Clause("losses-are-told", "`is_loss` is true of the loss of a worker, false of what a task raises.")
    def test_a_task_that_is_lost_is_told_from_one_that_fails(self) -> None:
        """Asks for errors of both kinds."""
        factory = self.make_executor()
        assert factory.is_loss(BrokenExecutor("x")), "BrokenExecutor means that a worker was lost"
        for error in (InputError("x"), OSError("x"), ValueError("x")):
            assert not factory.is_loss(error), f"{error!r} is a task's own error, not the loss of its worker"
