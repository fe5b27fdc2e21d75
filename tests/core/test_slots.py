import multiprocessing
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from eden_core.batch import Ragged
from eden_core.slots import SharedSlots

KINDS = st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.bool_])
SHAPES = arrays_of.array_shapes(max_dims=2, max_side=9, min_side=0)


@given(st.lists(KINDS.flatmap(lambda kind: arrays_of.arrays(kind, SHAPES)), max_size=5))
def test_what_is_put_comes_out(items):
    slots = SharedSlots(2, 8192, 1)
    message = slots.put(1, (items, "text"))
    found, text = slots.get(message)
    assert slots.is_placed(message)
    assert text == "text"
    for a, b in zip(found, items, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_arrays_are_views_of_their_slot():
    slots = SharedSlots(2, 4096, 1)
    first = slots.get(slots.put(0, np.arange(8)))
    slots.put(1, np.arange(8) + 50)
    assert first.tolist() == list(range(8))
    slots.put(0, np.arange(8) + 90)
    assert first.tolist() == list(range(90, 98))


def test_buffers_begin_at_multiples_of_64_bytes():
    slots = SharedSlots(1, 4096, 1)
    found = slots.get(slots.put(0, Ragged(np.zeros(3, np.uint8), np.zeros(4, np.int64))))
    assert found.values.ctypes.data % 64 == found.offsets.ctypes.data % 64 == 0


@pytest.mark.parametrize(("slot", "size"), [(0, 4097), (None, 8)])
def test_what_does_not_fit_or_has_no_slot_goes_into_the_message(slot, size):
    slots = SharedSlots(1, 4096, 1)
    kept = slots.get(slots.put(0, np.zeros(3, np.uint8)))
    message = slots.put(slot, np.ones(size, np.uint8))
    assert not slots.is_placed(message)
    assert slots.get(message).sum() == size
    assert kept.sum() == 0


def test_an_item_fills_its_slot_and_not_the_next():
    slots = SharedSlots(2, 4096, 1)
    behind = slots.get(slots.put(1, np.full(256, 7, np.uint8)))
    for size in range(3600, 4097):
        message = slots.put(0, np.ones(size, np.uint8))
        if not slots.is_placed(message):
            break
    assert size > 3700
    assert (behind == 7).all()


def answer(slots, message, connection):
    found = slots.get(message)
    slots.counters[2] = 5
    connection.send((slots.put(1, found * 2), slots.counters[1]))


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
def test_a_started_process_shares_slots_and_counters(start_method):
    context = multiprocessing.get_context(start_method)
    slots = SharedSlots(2, 4096, 3)
    slots.counters[1] = 9
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(slots, slots.put(0, np.arange(4)), theirs))
    process.start()
    message, seen = ours.recv()
    process.join()
    assert slots.is_placed(message)
    assert slots.get(message).tolist() == [0, 2, 4, 6]
    assert (seen, slots.counters[2]) == (9, 5)


def test_memory_that_is_closed_stays_for_those_who_use_it():
    before = len(os.listdir("/proc/self/fd"))
    slots = SharedSlots(1, 4096, 1)
    found = slots.get(slots.put(0, np.arange(8)))
    slots.close()
    assert found.tolist() == list(range(8))
    del found
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_that_is_forgotten_is_given_back():
    before = len(os.listdir("/proc/self/fd"))
    SharedSlots(1, 4096, 1)
    assert len(os.listdir("/proc/self/fd")) == before
