import json
import logging

import pytest

from eden_core import EdenDataset, EdenLoader, errors
from eden_core.state import restored_state, state_of


def mixture(small, **weights) -> EdenDataset:
    place = {"sequence_db_dir": str(small.directory), "window_db_path": str(small.windows)}
    entries = [{"name": name, "weight": weight, **place} for name, weight in weights.items()]
    return EdenDataset(sources=entries, seq_length=64, extra_keys=("row_ids",))


def state_at(data: EdenDataset, epoch: int, position: int) -> dict:
    return state_of(data, epoch, position, data.epoch_rows)


def restored(state: dict, data: EdenDataset):
    return restored_state(state, data, data.epoch_rows)


def test_a_state_of_one_source_is_its_position(small):
    data = EdenDataset(**small.options)
    (source,) = state_at(data, 2, 7)["sources"]
    assert (source["source"], source["epoch"], source["consumed"]) == (0, 2, 7)


def test_a_state_of_a_mixture_holds_the_position_of_each_source(small):
    state = state_at(mixture(small, a=3, b=1), 0, 120)
    assert [(one["source"], one["epoch"], one["consumed"], one["rows"]) for one in state["sources"]] == [
        ("a", 1, 10, 90),
        ("b", 0, 30, 30),
    ]
    assert (state["row"], state["epoch"]) == (120, 0)


def test_a_state_is_plain(small):
    state = state_at(mixture(small, a=3, b=1), 1, 5)
    assert json.loads(json.dumps(state)) == state


def test_the_same_mixture_goes_on_from_where_it_was_begun(small):
    data = mixture(small, a=3, b=1)
    found = restored(state_at(data, 0, 50), data)
    assert (found.epoch, found.position, found.differences, found.notes) == (0, 50, "", ())
    assert (found.anchor.row, found.anchor.taken) == (0, {})


def test_another_mixture_begins_where_the_state_was_taken_and_says_so(small, caplog):
    found = restored(state_at(mixture(small, a=3, b=1), 0, 48), mixture(small, a=1, b=1))
    assert (found.epoch, found.position) == (0, 48)
    assert (found.anchor.row, found.anchor.taken) == (48, {"a": 36, "b": 12})
    assert "from row 48 on the sources are mixed as weights {'a': 1.0, 'b': 1.0}" in found.notes[0]
    loader = EdenLoader(mixture(small, a=1, b=1), num_workers=0)
    with caplog.at_level(logging.WARNING):
        loader.load_state_dict(state_at(mixture(small, a=3, b=1), 0, 48))
    assert "from row 48 on" in caplog.text


def test_other_sources_go_on_with_the_same_row(small):
    found = restored(state_at(mixture(small, a=3, b=1), 0, 100), mixture(small, a=1))
    assert (found.epoch, found.position, found.before, found.ended) == (1, 20, 1, False)
    assert (found.anchor.row, found.anchor.taken) == (100, {"a": 75, "b": 25})


def test_an_epoch_that_had_ended_is_told_where_epochs_have_another_length(small):
    found = restored(state_at(mixture(small, a=1, b=1), 1, 0), mixture(small, a=1, b=1, c=1))
    assert (found.epoch, found.position, found.before, found.ended) == (0, 160, 0, True)
    found = restored(state_at(mixture(small, a=1, b=1), 0, 80), mixture(small, a=1))
    assert (found.epoch, found.position, found.before, found.ended) == (1, 0, 0, False)


def test_a_source_that_returns_goes_on_where_it_was_left(small):
    first, second, third = mixture(small, a=3, b=1), mixture(small, a=1, c=1), mixture(small, b=1, c=1)
    second.continue_mixture(restored(state_at(first, 0, 48), second).anchor)
    anchor = restored(state_at(second, 0, 60), third).anchor
    assert anchor.taken == {"a": 42, "b": 12, "c": 6}


def test_a_source_of_other_data_is_a_difference(small):
    state = state_at(mixture(small, a=1, b=1), 0, 8)
    state["sources"][1]["fingerprint"] = state["sources"][1]["fingerprint"].replace('"seed": "42"', '"seed": "7"')
    assert "seed was 7, is 42" in restored(state, mixture(small, a=1, b=1)).differences
    assert not restored(state, mixture(small, a=1)).differences


def test_one_source_and_a_mixture_are_not_the_same(small):
    one, several = EdenDataset(**small.options), mixture(small, a=1)
    with pytest.raises(errors.ConfigurationError, match="of a run with one source, and this one has a mixture"):
        restored(state_at(one, 0, 3), several)
    with pytest.raises(errors.ConfigurationError, match="of a run with a mixture, and this one has one source"):
        restored(state_at(several, 0, 3), one)
