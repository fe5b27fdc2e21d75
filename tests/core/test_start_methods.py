import multiprocessing.forkserver

import pytest
from in_workers import Slow

from eden_core.start_methods import prepared


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
