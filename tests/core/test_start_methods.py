import multiprocessing.forkserver
import multiprocessing.spawn
import threading

import pytest
from in_workers import Slow

from eden_core.start_methods import _main_left_out, prepared


def preloaded(payload):
    prepared("forkserver", payload)
    return multiprocessing.forkserver._forkserver._preload_modules


class Local:
    """Of a module that is not Eden's, and may import torch, as this one does."""


def test_the_fork_server_imports_what_is_ours():
    from eden_core.tiling import Tiling

    assert preloaded([Tiling(), {"a": 1}]) == ["eden_core.serving", "eden_core.tiling"]


def test_the_fork_server_imports_torch_where_classes_of_others_may_need_it():
    assert preloaded(Slow(1.0)) == preloaded(Local()) == ["eden_core.serving", "torch"]


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_what_is_sent_to_new_processes_is_pickled(start_method):
    context, payload = prepared(start_method, (1, 2))
    assert isinstance(payload, bytes)
    assert context.get_start_method() == start_method


def test_forked_processes_get_the_object_itself():
    item = [lambda: None]
    assert prepared("fork", item)[1] is item


def enter_and_leave() -> bool:
    with _main_left_out():
        return True


def test_processes_that_are_started_by_two_threads_leave_multiprocessing_as_it_was():
    original, inside, leave = multiprocessing.spawn.get_preparation_data, threading.Barrier(2), threading.Event()

    def start():
        with _main_left_out():
            inside.wait()
            leave.wait()

    first = threading.Thread(target=start)
    first.start()
    inside.wait()
    others = []
    second = threading.Thread(target=lambda: others.append(enter_and_leave()))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    leave.set()
    first.join()
    second.join()
    assert others == [True]
    assert multiprocessing.spawn.get_preparation_data is original
