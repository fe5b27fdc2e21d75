import numpy as np
import pytest

from eden_control_tags import ControlTags
from eden_core import Draws, Picks, Ragged, SequenceBatch, Vocabulary, Windows, errors

IDS = ("BCR__ECT-S1__CT1", "xy__ECT-S1__CT2", "BCR__ECT-S2__CT1")


def batch_of(ids: tuple[str, ...], before: list[list[int]]) -> SequenceBatch:
    numbers = np.arange(len(ids))
    picks = Picks(numbers, numbers * 0, numbers, np.zeros(len(ids), np.int16))
    windows = Windows(numbers, ids, numbers * 0, numbers * 0 + 2)
    bases = Ragged.from_rows([np.frombuffer(b"AC", np.uint8)] * len(ids), np.uint8)
    return SequenceBatch(picks, windows, bases, Ragged.from_rows(before, np.int64))


def tags(vocabulary="nucleotide") -> ControlTags:
    return ControlTags().bind(Vocabulary.of(vocabulary))


def test_tags_are_the_lower_cased_first_part():
    batch = batch_of(IDS, [[], [], []])
    made = tags().apply(batch, Draws(1, batch.picks))
    assert [bytes(row.tolist()) for row in made.prefix] == [b"<ctrl_bcr>", b"<ctrl_xy>", b"<ctrl_bcr>"]


def test_tags_follow_what_is_there():
    batch = batch_of(IDS[:1], [[7, 8]])
    assert tags().apply(batch, Draws(1, batch.picks)).prefix.values.tolist() == [7, 8, *b"<ctrl_bcr>"]


def test_lengths_are_known_before():
    assert tags().prefix_lengths(batch_of(IDS, [[], [], []]).windows).tolist() == [10, 9, 10]


def test_the_tokenizer_is_called_once_a_distinct_tag():
    calls = []
    vocabulary = Vocabulary("counting", lambda text: calls.append(text) or [5], pad=0)
    bound = ControlTags().bind(vocabulary)
    for _ in range(3):
        batch = batch_of(IDS, [[], [], []])
        bound.apply(batch, Draws(1, batch.picks))
    assert sorted(calls) == ["<ctrl_bact>", "<ctrl_bcr>", "<ctrl_xy>"]


def test_an_id_without_a_tag():
    with pytest.raises(errors.InvalidSequenceIdError, match="'chr1' has no control tag"):
        tags().prefix_lengths(batch_of(("chr1",), [[]]).windows)


def test_without_a_vocabulary():
    with pytest.raises(errors.ConfigurationError, match="bind"):
        ControlTags().prefix_lengths(batch_of(IDS, [[], [], []]).windows)


def fails(text):
    raise KeyError(text[0])


@pytest.mark.parametrize(
    ("encode", "message"),
    [(lambda _: [], "makes \\[\\] of it"), (lambda _: [9, 4, 7], "unknown tokens among them"), (fails, "fails on it")],
)
def test_a_tokenizer_that_does_not_know_tags_is_refused_before_anything_is_read(encode, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        ControlTags().bind(Vocabulary("bases only", encode, pad=0, unk=4))
