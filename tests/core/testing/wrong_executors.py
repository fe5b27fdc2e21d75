"""Executors with one fault each, and which check must find it."""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from in_memory import Threads, ThreadsTests
from running import Fault

from eden_core.errors import InputError


class CatchAll(Threads):
    def __init__(self, **options):
        pass


class HidesAnOption(Threads):
    def __init__(self, *, nodes=1):
        pass


class ForgetsOptions(Threads):
    def __init__(self, *, nodes=2):
        self.nodes = nodes

    def __reduce__(self):
        return (_of_one_node, (type(self),))


def _of_one_node(factory):
    return factory(nodes=1)


class NoWorkers(Threads):
    workers = 0


class HoldsALock(Threads):
    def __init__(self):
        self.lock = threading.Lock()


class ForgetsResults(Threads):
    def opened(self):
        return AnswersNothing()


class AnswersNothing(Executor):
    def submit(self, function, /, *arguments, **named):
        done = Future()
        done.set_result(None)
        return done


class WrapsErrors(Threads):
    def opened(self):
        return RaisesRuntimeErrors(2)


class RaisesRuntimeErrors(ThreadPoolExecutor):
    def submit(self, function, /, *arguments, **named):
        return super().submit(_wrapped, function, *arguments)


def _wrapped(function, argument):
    try:
        return function(argument)
    except InputError as error:
        raise OSError(str(error)) from None


class OneExecutorOnly(Threads):
    def __init__(self):
        self._executor = ThreadPoolExecutor(2)

    def opened(self):
        return self._executor


class TakesAllForLosses(Threads):
    def is_loss(self, error):
        return True


class SeesNoLosses(Threads):
    def is_loss(self, error):
        return False


def _fault(wrong, check, complaint):
    return Fault(ThreadsTests, wrong, check, complaint)


FAULTS = [
    _fault(CatchAll, "test_options_are_explicit", "option 'options' must be keyword-only and listed by name"),
    _fault(HidesAnOption, "test_options_are_explicit", "option 'nodes' must be kept"),
    _fault(ForgetsOptions, "test_it_pickles", "must have the same options and workers"),
    _fault(NoWorkers, "test_it_has_a_name_and_workers", "1 or more, not 0"),
    _fault(HoldsALock, "test_it_pickles", "must pickle; it raised TypeError"),
    _fault(Threads, "test_every_task_comes_back", "must not run in the process that hands them over"),
    _fault(ForgetsResults, "test_every_task_comes_back", "must come back.*, not (as )?None"),
    _fault(WrapsErrors, "test_every_task_comes_back", "must come back as it was raised"),
    _fault(OneExecutorOnly, "test_it_is_used_again", "it raised RuntimeError"),
    _fault(TakesAllForLosses, "test_a_task_that_is_lost_is_told_from_one_that_fails", "a task's own error"),
    _fault(SeesNoLosses, "test_a_task_that_is_lost_is_told_from_one_that_fails", "a worker was lost"),
]
