import logging

import numpy as np
import pytest
from plain import write_seed_index, write_seed_shard

from eden_core import EdenDataset, EdenLoader, errors
from eden_core.sources import source_settings, sources_of_split


@pytest.fixture
def places(tmp_path) -> dict[str, dict[str, str]]:
    """Where two sources lie: 9 contigs of 60 bases, 4 of 10."""
    found = {}
    for name, bases, count in (("long", 60, 9), ("short", 10, 4)):
        contigs = {f"X__{name}-S__c{i}": "ACGTA" * (bases // 5) for i in range(count)}
        write_seed_shard(tmp_path / name, "S", contigs)
        index = write_seed_index(tmp_path / name / "w.db", dict.fromkeys(contigs, bases), 64, 48)
        found[name] = {"sequence_db_dir": str(tmp_path / name), "window_db_path": str(index)}
    return found


def dataset(places, *entries, **options) -> EdenDataset:
    """Sources with further settings each."""
    sources = [{**place, **entry} for place, entry in zip(places.values(), entries or [{}, {}], strict=True)]
    return EdenDataset(**{"seq_length": 64, "sources": sources, **options})


def counted(rows: EdenDataset, count: int) -> list[int]:
    return np.bincount(rows.picks(np.arange(count)).sources, minlength=2).tolist()


def test_sources_are_called_by_the_folder_of_their_index(places):
    assert dataset(places).mixture.names == ("long", "short")


def test_names_that_are_given(places):
    assert dataset(places, {"name": "a"}, {"name": "b"}).mixture.names == ("a", "b")


def test_two_sources_of_one_name(places):
    with pytest.raises(errors.ConfigurationError, match="two sources are called 'a'"):
        dataset(places, {"name": "a"}, {"name": "a"})


@pytest.mark.parametrize(("entry", "found"), [({"wieght": 1}, "wieght"), ("long", "'long'")])
def test_an_entry_that_cannot_be_read(entry, found):
    with pytest.raises(errors.ConfigurationError, match=f"sources has an entry with {found}; known keys are contigs, index,"):
        source_settings({}, [entry])


def test_what_an_entry_does_not_say_is_as_for_all():
    long, short = source_settings({"rc_aug": True, "weight": 5}, [{"name": "long"}, {"name": "short", "rc_aug": False}])
    assert (long.rc_aug, short.rc_aug) == (True, False)


def test_without_weights_rows_are_as_many_as_the_sources_have(places):
    assert counted(dataset(places), 130) == [90, 40]


def test_weights_count_rows(places):
    assert counted(dataset(places, {"weight": 1}, {"weight": 3}), 100) == [25, 75]


def test_weights_may_count_bases(places):
    rows = dataset(places, {"weight": 0.5}, {"weight": 0.5}, weights_in="bases")
    assert counted(rows, 700) == [100, 600]


def test_a_schedule_counts_as_weights_do(places):
    rows = dataset(places, {"weight": 1}, {"weight": 0}, weights_in="bases", schedule=[(7, {"long": 1, "short": 1})])
    assert counted(rows, 14) == [8, 6]


@pytest.mark.parametrize(
    "options", [{"limit_batches": 5}, {"limit_batches": 0.5}, {"global_batch_size": 12}, {"drop_last": False}]
)
def test_shares_hold_over_all_epochs_of_a_loader(places, options):
    rows = dataset(places, {"weight": 9}, {"weight": 1}, extra_keys=("row_ids", "source", "repeated"))
    loader = EdenLoader(rows, micro_batch_size=1, num_workers=0, **options)
    seen = [(b["row_ids"].item(), b["source"].item()) for _ in range(20) for b in loader if not b["repeated"].any()]
    assert [row for row, _ in seen] == list(range(len(seen)))
    given = np.cumsum([source for _, source in seen])
    assert (np.abs(given - 0.1 * np.arange(1, len(seen) + 1)) < 1).all()


def test_the_last_rows_before_all_sources_are_used_up_are_read(places):
    rows = dataset(places, {"weight": 1, "max_epochs": 2}, {"weight": 1, "max_epochs": 3}, extra_keys=("row_ids",))
    loader = EdenLoader(rows, micro_batch_size=1, num_workers=0)
    assert [batch["row_ids"].item() for _ in range(3) for batch in loader] == list(range(30))
    with pytest.raises(errors.ConfigurationError, match="the sources are used up: .* with row 30"):
        next(iter(loader))


def test_shares_are_said_aloud(places, caplog):
    rows = dataset(places, {"weight": 0.5}, {"weight": 0.5, "max_epochs": 1}, weights_in="bases")
    with caplog.at_level(logging.INFO):
        EdenLoader(rows, num_workers=0)
    assert (
        "sources are mixed: from row 0 on long 1, short 6 of every 7 rows; from row 4 on long 1, short 0 of every 1"
        in caplog.text
    )


def test_no_repeats_are_announced_where_a_mixture_has_none(places, caplog):
    with caplog.at_level(logging.INFO):
        EdenLoader(dataset(places), micro_batch_size=4, num_workers=0)
        assert "repeats" not in caplog.text
        EdenLoader(dataset(places), micro_batch_size=4, num_workers=0, drop_last=False)
    assert "3 repeats with loss_mask 0" in caplog.text


def test_a_source_that_is_used_up(places):
    rows = dataset(places, {"weight": 1}, {"weight": 1, "max_epochs": 2})
    assert counted(rows, 500) == [492, 8]


@pytest.mark.parametrize("split", ["validation", "test", "predict"])
def test_evaluation_reads_each_row_of_each_source_once(places, split):
    rows = dataset(places, {"weight": 1}, {"weight": 0}, split=split)
    picks = rows.picks(np.arange(len(rows)))
    assert sorted(zip(picks.sources.tolist(), picks.window_ids.tolist(), strict=True)) == [
        *((0, window) for window in range(9)),
        *((1, window) for window in range(4)),
    ]


def test_rows_are_those_of_their_source_alone(places):
    mixed = dataset(places, {"rc_aug": True}, {"use_control_tags": True}, shuffle=False)
    alone = EdenDataset(**places["short"], seq_length=64, use_control_tags=True, shuffle=False)
    picks = mixed.picks(np.arange(len(mixed)))
    short = np.flatnonzero(picks.sources == 1)
    assert mixed.batch(short)["tokens"].tolist() == alone.batch(picks.window_ids[short])["tokens"].tolist()


def test_sources_are_shuffled_differently(places):
    twice = {"a": places["long"], "b": places["long"]}
    mixed = dataset(twice, {"name": "a"}, {"name": "b"})
    a, b = (mixed.mixture.order_of[name].pick(np.arange(9)).window_ids.tolist() for name in "ab")
    assert sorted(a) == sorted(b) != a != b


def test_a_source_keeps_its_order_when_another_comes(places):
    both = dataset(places)
    only = EdenDataset(seq_length=64, sources=[places["long"]])
    rows = np.arange(30)
    assert (
        both.mixture.order_of["long"].pick(rows).window_ids.tolist()
        == only.mixture.order_of["long"].pick(rows).window_ids.tolist()
    )


@pytest.mark.parametrize(
    ("entries", "options", "message"),
    [
        ([{"weight": 1}, {}], {}, "the sources short have no weight, and others have: give every one a weight"),
        ([{}, {}], {"weights_in": "tokens"}, "weights_in is 'tokens'; expected 'rows' or 'bases'"),
        ([{"weight": 0}, {"weight": 0}], {}, "expected numbers of 0 or more, one of them above 0"),
        ([{"weight": -1}, {"weight": 2}], {}, "has weight -1; expected a number of 0 or more"),
        ([{"weight": "x"}, {}], {}, "has weight 'x'; expected a number"),
        ([{"max_epochs": float("inf")}, {}], {}, "has max_epochs inf; expected a number"),
        ([{}, {}], {"schedule": [5]}, "expected pairs"),
        ([{}, {}], {"schedule": [(5, ["long"])]}, "expected pairs"),
        ([{}, {}], {"schedule": [(5, {"long": "x"})]}, "expected pairs"),
        ([{}, {}], {"schedule": [(5, {"medium": 1})]}, "there are weights for medium; sources are long, short"),
        ([{}, {}], {"schedule": [(5, {"long": 1}), (5, {"long": 1})]}, "expected ascending rows of the run"),
    ],
)
def test_weights_without_meaning(places, entries, options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        dataset(places, *entries, **options)


def test_the_entries_of_a_split_are_those_that_have_its_index(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "validation_windows.db").touch()
    entries = [
        {"name": "a", "data_dir": str(tmp_path / "a")},
        {"name": "b", "sequence_db_dir": "b", "train_window_db_path": "b/t.db"},
    ]
    assert sources_of_split(entries, "validation") == [
        {
            "name": "a",
            "sequence_db_dir": str(tmp_path / "a"),
            "window_db_path": str(tmp_path / "a" / "validation_windows.db"),
        }
    ]
    assert sources_of_split(entries, "train") == [{"name": "b", "sequence_db_dir": "b", "window_db_path": "b/t.db"}]
    with pytest.raises(errors.ConfigurationError, match="expected dicts"):
        sources_of_split(["a"], "train")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a", "data_dir": "nowhere"}, "the source 'a' has no index of train windows .there is no .*train_windows.db"),
        ({"name": "a", "weight": 1, "val_window_db_path": "v.db"}, "give train_window_db_path"),
        ({"name": "a", "wieght": 1, "train_window_db_path": "t.db"}, "sources has an entry with wieght"),
    ],
)
def test_an_entry_is_not_left_out_in_silence(entry, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        sources_of_split([entry], "train")


def test_rows_that_lost_all_their_windows_can_be_read_alone(places, tmp_path):
    (tmp_path / "out.txt").write_text("".join(f"X__short-S__c{i}\n" for i in range(4)))
    rows = dataset(places, exclude_contigs=str(tmp_path / "out.txt"), extra_keys=("source",))
    empty = [row for row in range(len(rows)) if not len(rows.picks([row]))]
    assert len(empty) == 4
    assert rows.batch(empty[:1])["loss_mask"].sum() == 0
    assert rows.batch(empty)["source"].tolist() == [-1] * 4
