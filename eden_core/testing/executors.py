"""The contract of executors, as tests to inherit."""

import inspect
import os
import pickle
from pathlib import Path

from eden_core.errors import InputError
from eden_core.interfaces import ExecutorFactory
from eden_core.tasks import run_tasks
from eden_core.testing.suite import ContractSuite


def squared_on_paper(path: str) -> int:
    """Square the number that a path ends in, and note in the file which process did."""
    number = int(Path(path).suffix[1:])
    if number == 13:
        raise InputError(f"{path}: 13 is refused")
    Path(path).write_text(str(os.getpid()))
    return number * number


class ExecutorTests(ContractSuite):
    """What every executor must do. Inherit, name the class `Test…`, write `make_executor`."""

    def make_executor(self) -> ExecutorFactory:
        """Return the factory, with two workers where it takes a number."""
        raise NotImplementedError(f"{type(self).__name__} must define make_executor(self)")

    def test_options_are_explicit(self) -> None:
        """Constructor options are keyword-only and not collected in `**options`."""
        parameters = inspect.signature(type(self.make_executor())).parameters.values()
        wrong = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert not wrong, f"options must be keyword-only, one by one; not {', '.join(wrong)}"

    def test_it_has_a_name_and_workers(self) -> None:
        """`name` is what users write, `workers` a positive number."""
        factory = self.make_executor()
        assert isinstance(factory.name, str), "the class attribute `name` must be the string that users write"
        assert factory.workers >= 1, f"workers must be 1 or more, not {factory.workers}"

    def test_it_pickles(self) -> None:
        """A factory may be sent to another process."""
        copy = pickle.loads(pickle.dumps(self.make_executor()))  # noqa: S301 - what was pickled here
        assert copy.name == self.make_executor().name, "a pickled factory must be the same"

    def test_every_task_comes_back(self, tmp_path: Path) -> None:
        """Each of more tasks than workers comes back once, with its result or its error, and has run."""
        paths = [str(tmp_path / f"task.{number}") for number in range(20)]
        outcomes = dict(run_tasks(squared_on_paper, paths, self.make_executor()))
        assert sorted(outcomes) == sorted(paths), "each task must come back once"
        refused = outcomes.pop(str(tmp_path / "task.13"))
        assert isinstance(refused, InputError), f"the error of a task must come back as it was raised, not {refused!r}"
        assert "13 is refused" in str(refused), f"the error of a task must keep its message, not {refused}"
        for path, result in outcomes.items():
            assert result == int(Path(path).suffix[1:]) ** 2, f"the result of {path} must come back, not {result!r}"
            assert Path(path).read_text() != str(os.getpid()), "tasks must not run in the process that hands them over"

    def test_it_is_used_again(self, tmp_path: Path) -> None:
        """A factory may open one executor after another."""
        factory = self.make_executor()
        for number in (2, 3):
            [(_, result)] = run_tasks(squared_on_paper, [str(tmp_path / f"task.{number}")], factory)
            assert result == number * number, "a factory must be able to open executors one after another"

    def test_a_task_that_is_lost_is_told_from_one_that_fails(self) -> None:
        """`is_loss` is true of a lost worker, false of what a task raises."""
        factory = self.make_executor()
        for error in (InputError("x"), OSError("x"), ValueError("x")):
            assert not factory.is_loss(error), f"{error!r} is a task's own error, not the loss of its worker"
