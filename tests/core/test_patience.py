"""A store that fails as file systems do; what the file system itself does is tested in the plugins."""

import errno
import logging
import os
import time

import numpy as np
import pytest

from eden_core import Ragged, SequenceStore, Windows, errors
from eden_core.patience import BACK_OFF, PLACEHOLDER, Patience

QUICK = (0.0, 0.0, 0.0)


class Failing(SequenceStore):
    """Gives `length` C's a window, after the first calls raised what `failures` says."""

    name = "failing"

    def __init__(self, failures=(), bad_sequences=()):
        super().__init__("nowhere")
        self.failures = list(failures)
        self.bad_sequences = bad_sequences
        self.closed = self.calls = 0

    def read(self, windows):
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        for sequence_id in windows.sequence_ids:
            if sequence_id in self.bad_sequences:
                raise errors.FormatError(f"{sequence_id} is damaged")
        return Ragged.from_rows([np.full(n, ord("C"), np.uint8) for n in windows.lengths.tolist()], np.uint8)

    def close(self):
        self.closed += 1


def windows(*sequence_ids) -> Windows:
    count = len(sequence_ids)
    return Windows(np.arange(count), sequence_ids, np.zeros(count, np.int64), np.full(count, 5))


def io_error(number) -> OSError:
    return OSError(number, os.strerror(number), "shard.sqlite")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_transient_errors_are_tried_again_with_new_handles(number, caplog):
    store = Failing([io_error(number)] * 2)
    bases, unread = Patience(back_off=QUICK).read(store, windows("a", "b"))
    assert bases.lengths.tolist() == [5, 5]
    assert unread is None
    assert store.closed == 2
    assert caplog.text.count("shard.sqlite") == 2


def test_an_error_that_stays_is_raised_as_it_is():
    store = Failing([io_error(errno.EIO)] * 10)
    with pytest.raises(OSError, match="shard.sqlite"):
        Patience(back_off=QUICK).read(store, windows("a"))
    assert store.calls == 4


@pytest.mark.parametrize("failure", [io_error(errno.EACCES), errors.FormatError("damaged"), errors.StaleIndexError("other")])
def test_errors_that_will_not_pass_are_raised_at_once(failure):
    store = Failing([failure] * 2)
    with pytest.raises(type(failure)):
        Patience(back_off=QUICK).read(store, windows("a"))
    assert store.calls == 1


def test_a_place_that_was_given_up_is_tried_once_for_a_while():
    store = Failing([io_error(errno.EIO)] * 99)
    store.reading = "dead.sqlite"
    patience = Patience("mask", back_off=QUICK)
    for calls in (4 + 1, 2):
        before = store.calls
        assert patience.read(store, windows("a"))[1].tolist() == [True]
        assert store.calls - before == calls
    store.reading = "another.sqlite"
    before = store.calls
    patience.read(store, windows("a"))
    assert store.calls - before == 4 + 1


def test_pauses_grow():
    assert list(BACK_OFF) == sorted(BACK_OFF)
    assert 30 < sum(BACK_OFF) < 60


def test_masked_windows_hold_one_placeholder_and_the_others_their_bases(caplog):
    store = Failing(bad_sequences=("b",))
    bases, unread = Patience("mask", back_off=QUICK).read(store, windows("a", "b", "c"))
    assert unread.tolist() == [False, True, False]
    assert [row.tolist() for row in bases] == [[ord("C")] * 5, [PLACEHOLDER], [ord("C")] * 5]
    assert "window 1, base 0 of b, could not be read and gets no loss weight: b is damaged" in caplog.text


def test_a_zeroed_hole_is_masked():
    class Holes(Failing):
        def read(self, windows):
            return Ragged.from_rows([np.array([0 if i == "b" else 67] * 5, np.uint8) for i in windows.sequence_ids], np.uint8)

    _, unread = Patience("mask").read(Holes(), windows("a", "b"))
    assert unread.tolist() == [False, True]


@pytest.mark.parametrize("failure", [errors.SequenceNotFoundError("gone"), errors.StaleIndexError("other")])
def test_an_index_of_other_data_is_never_masked(failure):
    with pytest.raises(type(failure)):
        Patience("mask").read(Failing([failure]), windows("a"))


def test_a_read_that_hangs_is_warned_about_once_with_rank_and_shard(caplog):
    class Slow(Failing):
        def read(self, windows):
            self.reading = "shard-7.sqlite"
            time.sleep(0.6)
            return super().read(windows)

    with caplog.at_level(logging.WARNING):
        Patience(warning_seconds=0.1, rank=3).read(Slow(), windows("a"))
    assert [r.getMessage() for r in caplog.records] == [
        "rank 3, no worker: reading windows of shard-7.sqlite takes more than 0.1 s"
    ]


def test_a_quick_read_is_not(caplog):
    for _ in range(3):
        Patience(warning_seconds=0.2).read(Failing(), windows("a"))
        time.sleep(0.1)
    assert not caplog.records


def test_the_rank_comes_from_the_environment_where_nobody_says_it(monkeypatch):
    monkeypatch.setenv("RANK", "5")
    assert Patience().who == "rank 5, no worker"


@pytest.mark.parametrize(
    ("options", "message"), [({"on_read_error": "skip"}, "'raise' or 'mask'"), ({"warning_seconds": -1}, "0 or more")]
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        Patience(**options)


def test_a_worker_is_named_by_its_number():
    assert Patience(rank=2, worker=0).who == "rank 2, worker 0"
