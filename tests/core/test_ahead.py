import threading
import time

import pytest

from eden_core.ahead import OneAhead


def test_items_come_in_order():
    assert list(OneAhead(iter(range(100)))) == list(range(100))


def test_the_next_item_is_made_while_one_is_used():
    made = []
    items = iter(OneAhead(made.append(i) or i for i in range(9)))
    next(items)
    _until(lambda: len(made) == 2)
    time.sleep(0.05)
    assert made == [0, 1]
    items.close()


def test_an_error_comes_where_the_item_would_have_come():
    items = iter(OneAhead(10 // n for n in (5, 2, 0)))
    assert [next(items), next(items)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_leaving_the_iteration_ends_the_thread():
    before = threading.active_count()
    items = iter(OneAhead(iter(range(9))))
    next(items)
    items.close()
    _until(lambda: threading.active_count() == before)


def test_stopping_waits_for_the_item_that_is_being_made():
    made = []

    def slow():
        for i in range(9):
            time.sleep(0.1)
            made.append(i)
            yield i

    ahead = OneAhead(slow())
    ahead.stop()
    assert made in ([], [0])
    assert not ahead._thread.is_alive()


def test_stopping_waits_no_longer_than_it_is_told():
    hanging = threading.Event()
    ahead = OneAhead(iter(hanging.wait, True))
    ahead.stop(0.01)
    hanging.set()
    ahead.stop()


def test_items_are_let_go():
    """Else their memory could not be used again."""

    class Item: ...

    import weakref

    items = iter(OneAhead(Item() for _ in range(9)))
    known = weakref.ref(next(items))
    next(items)
    _until(lambda: known() is None)
    items.close()


def _until(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)
