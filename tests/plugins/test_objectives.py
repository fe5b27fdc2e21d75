import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Draws, EdenDataset, Picks, Ragged, Vocabulary, errors
from eden_core.testing import ObjectiveTests
from eden_objectives import Causal, MaskedLanguage

NUCLEOTIDE = Vocabulary.of("nucleotide")
MASK = NUCLEOTIDE.mask
WINDOWS = st.lists(st.integers(0, 30), min_size=1, max_size=8)
"""bases of each window"""


class TestCausal(ObjectiveTests):
    capabilities = ()

    def make_objective(self):
        return Causal()


class TestMaskedLanguage(ObjectiveTests):
    capabilities = ("chooses",)

    def make_objective(self):
        return MaskedLanguage(mean_span=3)


def chosen(lengths, base: str = "N", *, first: int = 0, epoch: int = 0, seed: int = 1, vocabulary=NUCLEOTIDE, **options):
    """(shown, chosen) of windows of one base, [tokens] each."""
    numbers = np.arange(len(lengths)) + first
    picks = Picks(numbers, numbers * 0 + epoch, np.arange(numbers.size), np.zeros(numbers.size, np.int16))
    rows = [np.full(length, vocabulary.table[ord(base)]) for length in lengths]
    tokens = Ragged.from_rows(rows, np.uint8 if vocabulary.table.max() < 256 else np.int64)
    tokens.values.setflags(write=False)
    return MaskedLanguage(**options).bind(vocabulary).choose(tokens, Draws(seed, picks))


def is_near(share: float, expected: float, count: float) -> bool:
    """Whether a share of `count` independent things is within five standard deviations."""
    return abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("probability", [0.01, 0.15, 0.5, 0.9])
def test_the_share_of_bases_that_are_chosen(probability):
    assert is_near(chosen([1000] * 200, probability=probability)[1].mean(), probability, 200_000)


@pytest.mark.parametrize("mean_span", [1.01, 1.5, 3, 20])
@pytest.mark.parametrize("probability", [0.05, 0.15, 0.5, 0.9])
def test_the_share_is_the_same_with_spans(probability, mean_span):
    share = chosen([20_000] * 50, probability=probability, mean_span=mean_span)[1].mean()
    assert is_near(share, probability, 1_000_000 / (2 * mean_span))


def span_lengths(is_chosen: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(is_chosen, prepend=False, append=False))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize("mean_span", [1.0, 2.0, 5.0])
def test_spans_have_their_mean_length(mean_span):
    lengths = span_lengths(chosen([100_000] * 10, probability=0.005 * mean_span, mean_span=mean_span)[1])
    assert abs(lengths.mean() - mean_span) < 0.05 * mean_span + 5 * mean_span / np.sqrt(lengths.size)


def test_spans_have_geometric_lengths():
    lengths = span_lengths(chosen([100_000] * 10, probability=0.01, mean_span=3)[1])
    for length in (1, 2, 3):
        assert abs((lengths == length).mean() - (2 / 3) ** (length - 1) / 3) < 0.05


@pytest.mark.parametrize("mean_span", [1.0, 4.0])
def test_what_is_shown_in_place_of_chosen_bases(mean_span):
    shown, there = chosen([1000] * 200, mean_span=mean_span)
    values, count = shown[there], there.sum()
    assert is_near((values == MASK).mean(), 0.8, count)
    assert is_near((values == ord("N")).mean(), 0.1, count)
    for base in b"ACGT":
        assert is_near((values == base).mean(), 0.025, count)
    assert np.isin(values, [MASK, *b"ACGTN"]).all()


@pytest.mark.parametrize(
    ("mask_share", "random_share", "seen"),
    [(1, 0, {MASK}), (0, 0, {ord("N")}), (0, 1, set(b"ACGT")), (0.5, 0, {MASK, ord("N")})],
)
def test_shares_at_their_ends(mask_share, random_share, seen):
    shown, there = chosen([1000] * 10, mask_share=mask_share, random_share=random_share)
    assert set(shown[there].tolist()) == seen


def test_bases_that_are_not_chosen_are_shown_as_they_are():
    shown, there = chosen([1000] * 10)
    assert set(shown[~there].tolist()) == {ord("N")}


@given(WINDOWS, st.sampled_from([1.0, 3.0, 50.0]), st.integers(), st.integers(0, 3))
def test_a_window_draws_the_same_in_whatever_batch(lengths, mean_span, seed, epoch):
    options = {"mean_span": mean_span, "probability": 0.4, "seed": seed, "epoch": epoch}
    together = chosen(lengths, **options)
    alone = [chosen([length], first=i, **options) for i, length in enumerate(lengths)]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert whole.tolist() == np.concatenate(parts).tolist()


def test_windows_epochs_and_seeds_draw_differently():
    draws = [chosen([200], first=first, epoch=epoch, seed=seed)[1] for first in (0, 1) for epoch in (0, 1) for seed in (1, 2)]
    assert len({draw.tobytes() for draw in draws}) == 8


def test_what_is_given_stays_as_it_is():
    tokens = Ragged.from_rows([np.full(1000, 65)], np.uint8)
    one = np.zeros(1, np.int64)
    MaskedLanguage().bind(NUCLEOTIDE).choose(tokens, Draws(1, Picks(one, one, one, one.astype(np.int16))))
    assert (tokens.values == 65).all()


def vocabulary_of(mask: int | None, base: int = 10) -> Vocabulary:
    table = np.full(256, -1, np.int64)
    table[list(b"ACGTN")] = np.arange(5) + base
    return Vocabulary("five", lambda text: [], pad=0, mask=mask, table=table)


@pytest.mark.parametrize(("mask", "base"), [(4, 10), (1000, 10), (4, 1000)])
def test_ids_may_be_small_and_large(mask, base):
    shown, there = chosen([1000] * 20, vocabulary=vocabulary_of(mask, base))
    assert set(shown[there].tolist()) == {mask, *range(base, base + 5)}
    assert set(shown[~there].tolist()) == {base + 4}


@pytest.mark.parametrize("vocabulary", [Vocabulary.of("byte"), vocabulary_of(None)])
def test_a_tokenizer_without_a_mask_token_is_refused(vocabulary):
    with pytest.raises(errors.ConfigurationError, match="objective 'mlm' needs a mask token, which tokenizer .* lacks"):
        MaskedLanguage().bind(vocabulary)


class Pairs:
    """Two bases a token."""

    pad_id, eos_id, mask_id = 0, 1, 2

    def tokenize(self, text):
        return [10 + len(text[i : i + 2]) for i in range(0, len(text), 2)]


def test_random_bases_need_one_token_a_base():
    with pytest.raises(errors.ConfigurationError, match="set random_share to 0"):
        MaskedLanguage().bind(Vocabulary.of(Pairs()))


def test_a_tokenizer_of_many_bases_can_be_masked(small):
    rows = EdenDataset(**small.options, tokenizer=Pairs(), objective={"mlm": {"random_share": 0, "mask_share": 1}})
    batch = rows.batch(np.arange(len(rows)))
    predicted = batch["loss_mask"] > 0
    assert batch["tokens"][predicted].unique().tolist() == [2]
    assert set(batch["labels"][predicted].tolist()) <= {11, 12}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 0}, "probability must lie between 0 and 1, not be 0"),
        ({"probability": 1.0}, "probability must lie between"),
        ({"probability": float("nan")}, "probability must lie between"),
        ({"mask_share": -0.1}, "mask_share -0.1 and random_share 0.1 must be 0 or more"),
        ({"mask_share": 0.9, "random_share": 0.2}, "together 1 at most"),
        ({"random_share": float("nan")}, "together 1 at most"),
        ({"mean_span": 0.5}, "mean_span must be 1 base or more, not 0.5"),
        ({"mean_span": float("inf")}, "mean_span must be 1 base or more, not inf"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        MaskedLanguage(**options)


def test_the_fingerprint_names_the_options():
    bound = MaskedLanguage(mean_span=3).bind(NUCLEOTIDE)
    assert bound.fingerprint() == "mlm(mask_share=0.8, mean_span=3, probability=0.15, random_share=0.1)"


PACKINGS = pytest.mark.parametrize("packing", [{}, {"packing": "concat"}, {"packing": "thd", "pad_segments_to": 8}])


def is_base(tokens):
    return tokens > NUCLEOTIDE.mask


@PACKINGS
def test_labels_are_the_true_tokens_in_their_places(small, packing):
    options = {**small.options, **packing, "use_control_tags": True}
    masked, plain = (EdenDataset(**options, objective=objective) for objective in ("mlm", "causal"))
    rows = np.arange(plain.epoch_rows)
    assert masked.batch(rows)["labels"].tolist() == plain.batch(rows)["tokens"].tolist()


@PACKINGS
def test_only_predicted_bases_are_changed(small, packing):
    rows = EdenDataset(**small.options, **packing, objective="mlm")
    batch = rows.batch(np.arange(rows.epoch_rows))
    predicted = batch["loss_mask"] > 0
    assert is_base(batch["labels"][predicted]).all()
    assert (batch["tokens"] == batch["labels"])[~predicted].all()
    assert (batch["tokens"] == MASK)[predicted].any()
    assert is_near(float(predicted.sum() / is_base(batch["labels"]).sum()), 0.15, int(is_base(batch["labels"]).sum()))


def test_tags_are_never_predicted(small):
    rows = EdenDataset(**small.options, use_control_tags=True, objective={"mlm": {"probability": 0.99}})
    batch = rows.batch(np.arange(rows.epoch_rows))
    tag = len("<ctrl_bcr>")
    assert not batch["loss_mask"][:, : tag + 2].any()
    assert batch["tokens"][:, 1 : tag + 1].unique(dim=0).tolist() == [list(b"<ctrl_bcr>")]


def test_a_row_is_masked_the_same_in_whatever_batch(small):
    rows = EdenDataset(**small.options, packing="concat", objective={"mlm": {"mean_span": 3}})
    whole = rows.batch(np.arange(rows.epoch_rows))
    for row in range(rows.epoch_rows):
        assert {key: value.tolist() for key, value in rows[row].items()} == {k: v[row].tolist() for k, v in whole.items()}


def test_each_epoch_is_masked_anew(small):
    rows = EdenDataset(**small.options, shuffle=False, objective="mlm")
    twice = EdenDataset(**small.options, shuffle=False, objective="mlm", num_samples=2 * len(rows))
    first, second = (twice.batch(np.arange(len(rows)) + epoch * len(rows)) for epoch in (0, 1))
    assert first["labels"].tolist() == second["labels"].tolist()
    assert first["tokens"].tolist() != second["tokens"].tolist()


def test_causal_is_what_is_done_without_an_objective(small):
    plain, named = EdenDataset(**small.options), EdenDataset(**small.options, objective=Causal())
    rows = np.arange(len(plain))
    for key, value in plain.batch(rows).items():
        assert named.batch(rows)[key].tolist() == value.tolist()
