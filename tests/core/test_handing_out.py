import gc
import os
import pickle
import sys
from itertools import islice

import numpy as np
import pytest

from eden_core import EdenDataset, EdenLoader, errors, hookimpl, installed_plugins
from eden_core.ledger import RunStart
from eden_core.observing import BatchObserver
from eden_core.replay import rows_of_step
from eden_objectives import Causal
from eden_sqlite.index import SqliteIndex
from eden_sqlite.store import SqliteShards

EXTRA = {"extra_keys": ("row_ids", "repeated")}


class Told(BatchObserver):
    """Keeps what it is told."""

    def __init__(self, reading):
        self.reading, self.batches, self.closed = reading, [], 0

    def batch_read(self, batch):
        self.batches.append(batch)

    def close(self):
        self.closed += 1


class Listening:
    """A plugin that keeps its observers, or answers what it is given."""

    def __init__(self, answer=Told):
        self.answer, self.asked = answer, []

    @hookimpl
    def eden_batch_read(self, reading):
        self.asked.append(self.answer(reading))
        return self.asked[-1]

    @property
    def batches(self):
        return [batch for told in self.asked for batch in told.batches]


@pytest.fixture
def listening():
    def register(answer=Told):
        plugin = Listening(answer)
        installed_plugins().register(plugin)
        return plugin

    yield register
    installed_plugins.cache_clear()


def loader(small, dataset_options=None, **options) -> EdenLoader:
    dataset = EdenDataset(**small.options | EXTRA | (dataset_options or {}))
    return EdenLoader(dataset, **{"micro_batch_size": 2, "global_batch_size": 4, "num_workers": 0} | options)


def check_windows(batch, dataset) -> None:
    """What is told of windows is what the dataset says of the batch's rows."""
    picks, windows = dataset.picks(batch.rows), dataset.locate(batch.rows, measured=False)
    for name in ("window_ids", "epochs", "rows", "sources"):
        assert np.array_equal(getattr(batch.picks, name), getattr(picks, name))
    assert batch.windows.sequence_ids == windows.sequence_ids
    for name in ("window_ids", "starts", "lengths"):
        assert np.array_equal(getattr(batch.windows, name), getattr(windows, name))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_that_are_handed_out_are_told_and_no_others(small, listening, workers):
    plugin, batches = listening(), loader(small, num_workers=workers)
    seen = [(batch["row_ids"].tolist(), (batch["tokens"] != 1).sum(1).tolist()) for batch in islice(batches, 10)]
    batches.close()
    assert [(batch.rows.tolist(), batch.used.tolist()) for batch in plugin.batches] == seen
    assert [batch.step for batch in plugin.batches] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    times = [batch.time_ns for batch in plugin.batches]
    assert times == sorted(times)
    assert min(batch.waited_ns for batch in plugin.batches) > 0
    for batch in plugin.batches:
        check_windows(batch, batches.dataset)


SEVERAL = [
    {"packing": "concat", "pack_by": "sample", "split_windows": True},
    {"sources": [{"name": "one", "weight": 2}, {"name": "two", "weight": 1}]},
]


@pytest.mark.parametrize("options", SEVERAL)
def test_rows_of_several_windows_and_several_sources(small, listening, options):
    plugin, batches = listening(), loader(small, options, micro_batch_size=4)
    list(batches)
    assert sum(batch.rows.size for batch in plugin.batches) == len(batches) * 4
    for batch in plugin.batches:
        check_windows(batch, batches.dataset)
    picks = [batch.picks for batch in plugin.batches]
    assert any(some.skips is not None and some.skips.any() for some in picks) == ("packing" in options)
    assert any(some.sources.any() for some in picks) == ("sources" in options)


def test_repeats_that_fill_a_batch_up_are_not_told(small, listening):
    plugin, batches = listening(), loader(small, {"split": "validation"}, micro_batch_size=3, global_batch_size=9)
    repeated = np.concatenate([batch["repeated"].numpy() for batch in batches])
    assert repeated.any()
    assert sorted(np.concatenate([batch.rows for batch in plugin.batches]).tolist()) == list(range(len(batches.dataset)))
    assert {batch.step for batch in plugin.batches} == {None}


def test_rows_that_are_left_out_are_not_told(small, listening):
    plugin = listening()
    list(loader(small, {"skip_rows": [(0, 10), (40, 41)]}, global_batch_size=2))
    rows = np.concatenate([batch.rows for batch in plugin.batches])
    assert rows.min() == 10
    assert 40 not in rows


@pytest.mark.parametrize(
    ("options", "dataset_options"),
    [({}, {}), ({"limit_batches": 3}, {}), ({"drop_last": False}, {}), ({}, {"skip_rows": [(10, 33), (90, 95)]})],
)
def test_steps_are_those_of_replay(small, listening, options, dataset_options):
    plugin, batches = listening(), loader(small, dataset_options, data_parallel=(1, 2), micro_batch_size=1, **options)
    start = RunStart.of_loader(batches, 7)
    batches.next_step = 7
    for _ in range(3):
        list(batches)
    told = {}
    for batch in plugin.batches:
        told.setdefault(batch.step, []).extend(batch.rows.tolist())
    assert sorted(told) == list(range(7, 7 + len(told)))
    for step, rows in told.items():
        block = rows_of_step(start, step, batches.dataset)[1]
        assert block.rows[~block.repeated].tolist() == rows


def test_after_a_checkpoint_steps_are_known_once_the_loop_says_them(small, listening):
    plugin, first, second = listening(), loader(small), loader(small)
    list(islice(first, 6))
    second.load_state_dict(first.state_dict())
    assert second.next_step is None
    next(iter(second))
    second.load_state_dict(first.state_dict())
    second.next_step = 3
    next(iter(second))
    assert [batch.step for batch in plugin.asked[1].batches] == [None, 3]
    assert second.next_step == 4


def test_a_pass_that_is_left_ends_its_step(small, listening):
    plugin, batches = listening(), loader(small)
    next(iter(batches))
    list(islice(batches, 3))
    follower = loader(small)
    follower.follow(batches)
    next(iter(follower))
    assert [batch.step for batch in plugin.batches] == [0, 1, 1, 2, 3]


def called_in(loop, *names: str) -> list[str]:
    """The functions of these modules that a loop calls, but for its first round."""
    found = []

    def note(frame, event, _):
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module in names:
            found.append(f"{module}.{frame.f_code.co_name}")

    rounds = iter(loop)
    next(rounds)
    sys.setprofile(note)
    try:
        for _ in rounds:
            pass
    finally:
        sys.setprofile(None)
    return found


def test_where_nobody_listens_a_batch_calls_and_makes_nothing(small, listening):
    listening(lambda _: None)
    batches = loader(small, micro_batch_size=1)
    assert called_in(batches, "eden_core.handing_out", "eden_core.observing") == []
    assert batches.dataset.observers() is None
    listening()
    assert "eden_core.handing_out.tell" in called_in(loader(small), "eden_core.handing_out")


class CountingIndex(SqliteIndex):
    lookups = 0

    def lookup(self, window_ids):
        self.lookups += 1
        return super().lookup(window_ids)


@pytest.mark.parametrize("listens", [False, True])
def test_windows_are_not_looked_up_again(small, listening, listens):
    listening(Told if listens else lambda _: None)
    index = CountingIndex(str(small.windows))
    dataset = EdenDataset("sqlite-shards", index, sequence_db_dir=str(small.directory), seq_length=64)
    index.lookups = 0
    batches = list(EdenLoader(dataset, num_workers=0).rank_sampler.blocks(0, 0, 64))
    list(EdenLoader(dataset, num_workers=0))
    assert index.lookups == len(batches)


def test_a_dataset_tells_of_what_is_asked_of_it(small, listening):
    plugin, rows = listening(), EdenDataset(**small.options)
    rows.batch([4, 2])
    rows[3]
    rows.__getitems__([7])
    rows.batch([1], observed=False)
    assert [batch.rows.tolist() for batch in plugin.batches] == [[4, 2], [3], [7]]
    assert {(batch.step, batch.waited_ns) for batch in plugin.batches} == {(None, None)}
    check_windows(plugin.batches[0], rows)


def test_a_reading_says_who_reads_what(small, listening, tmp_path):
    plugin = listening()
    made = EdenDataset(**small.options, split="test", log_windows=True, log_dir=tmp_path)
    next(iter(EdenLoader(made, data_parallel=(1, 2), num_workers=0)))
    made.batch([0])
    (told,) = plugin.asked
    reading = told.reading
    assert reading.dataset is made
    assert (reading.split, reading.rank, reading.data_parallel_rank) == ("test", 0, 1)
    assert (reading.log_windows, reading.log_dir) == ("csv", str(tmp_path))
    made.close()
    made.close()
    assert told.closed == 2


def test_each_process_asks_for_itself(small, listening):
    plugin, rows = listening(), EdenDataset(**small.options)
    rows[0]
    pickle.loads(pickle.dumps(rows))[1]
    if not (child := os.fork()):
        rows[2]
        rows.close()
        right = [len(told.batches) for told in plugin.asked] == [1, 1, 1] and [t.closed for t in plugin.asked] == [0, 0, 1]
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [told.batches[0].rows.tolist() for told in plugin.asked] == [[0], [1]]


def fail(*_):
    raise OSError("no more paper")


class Failing(Told):
    batch_read = fail


FAULTS = {
    "the hook": (fail, r"observer 'tests.core.test_handing_out' of .* failed with OSError: no more paper"),
    "the answer": (lambda _: "yes", r"answered eden_batch_read\(\) with 'yes'; expected a BatchObserver or None"),
    "the observer": (Failing, "failed with OSError: no more paper"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_observer_that_fails_is_named(small, listening, fault):
    answer, message = FAULTS[fault]
    listening(answer)
    with pytest.raises(errors.PluginContractError, match=message):
        next(iter(loader(small)))


class Leaving(Told):
    """Fails when it is closed first."""

    def close(self):
        super().close()
        if self.closed == 1:
            fail()


def open_files(folder) -> set[tuple[str, str]]:
    gc.collect()
    held = [(number, os.path.realpath(f"/proc/self/fd/{number}")) for number in os.listdir("/proc/self/fd")]
    return {one for one in held if one[1].startswith(str(folder))}


def test_one_that_fails_to_close_keeps_nothing_else_open(small, listening):
    before, _, after = listening(), listening(Leaving), listening()
    held = open_files(small.directory)
    batches = loader(small)
    next(iter(batches))
    assert open_files(small.directory)
    with pytest.raises(errors.PluginContractError, match="failed with OSError: no more paper"):
        batches.close()
    assert [plugin.asked[0].closed for plugin in (before, after)] == [1, 1]
    assert open_files(small.directory) <= held


def test_a_pass_that_a_fork_goes_on_with_is_told_to_its_own(small, listening):
    plugin, batches = listening(), loader(small)
    rounds = iter(batches)
    next(rounds)
    if not (child := os.fork()):
        next(rounds)
        os._exit(0 if [[batch.rows.tolist() for batch in told.batches] for told in plugin.asked] == [[[0, 1]], [[2, 3]]] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(plugin.asked) == 1


def test_a_log_that_no_plugin_keeps_is_refused(small, monkeypatch):
    monkeypatch.setenv("EDEN_DISABLED_PLUGINS", "eden-core")
    installed_plugins.cache_clear()
    store, index = SqliteShards(str(small.directory)), SqliteIndex(str(small.windows))
    rows = EdenDataset(store, index, seq_length=64, objective=Causal(), log_windows=True)
    with pytest.raises(errors.ConfigurationError, match=r"no plugin .* keeps a log.*\n.*left out by EDEN_DISABLED_PLUGINS"):
        rows[0]
    installed_plugins.cache_clear()


WRONG = [("log_windows", "json"), ("log_windows", 1.5), ("log_windows", ["csv"]), ("log_dir", "s3://logs"), ("log_dir", 3)]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_log_of_another_form_is_refused(small, name, value):
    with pytest.raises(errors.ConfigurationError, match=f"^{name} is .*; expected"):
        EdenDataset(**small.options, **{name: value})
