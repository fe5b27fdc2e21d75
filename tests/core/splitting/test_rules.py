import pytest

from eden_core.errors import ConfigurationError
from eden_core.splitting.rules import SplitRules


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"train": 0.8, "validation": 0.1, "test": 0.2}, "sum to 1.1: train 0.8, validation 0.1, test 0.2"),
        ({"train": 0.99, "validation": 0, "test": 0}, "sum to 0.99"),
        ({"train": 1.2, "validation": -0.1, "test": -0.1}, "negative: .*validation -0.1"),
        ({"train": float("nan"), "validation": 0.5, "test": 0.5}, "train nan"),
    ],
)
def test_wrong_shares(shares, message):
    with pytest.raises(ConfigurationError, match=message):
        SplitRules(**shares)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"by": "genus"}, "--by genus is no unit"),
        ({"by": "sample", "clusters": "c.tsv"}, "--clusters is for --by cluster"),
        ({"by": "cluster"}, "needs the clusters: --clusters"),
        ({"block": 1000}, "are for --by region, and this is by contig"),
        ({"by": "region", "block": 1000, "guard": 1001}, "--guard 1001 is larger than --block 1000"),
        ({"by": "region", "block": 0}, "--block 0"),
        ({"split_from": "fold", "by": "contig"}, "--split-from takes the splits as they are"),
        ({"split_from": "fold", "test_contigs": ["a"]}, "--split-from takes the splits as they are"),
        ({"train": 0, "validation": 0, "test": 1, "test_contigs": ["a"]}, "no split is left"),
    ],
)
def test_rules_that_contradict_each_other(rules, message):
    with pytest.raises(ConfigurationError, match=message):
        SplitRules(**rules)


def test_shares_may_be_rounded():
    assert sum(SplitRules(1 / 3, 0.3333333, 0.3333333).shares.values()) == pytest.approx(1)


def test_what_patterns_fill_is_not_drawn_to():
    rules = SplitRules(0.8, 0.1, 0.1, test_contigs=["chr8"])
    assert rules.shares == pytest.approx({"train": 8 / 9, "validation": 1 / 9})
    assert not rules.shares_wanted


def test_clusters_imply_their_unit():
    assert SplitRules(clusters="c.tsv").unit == "cluster"


def test_a_small_block_has_a_small_guard():
    assert SplitRules(by="region", block=1000).guard_bases == 1000


def test_settings_name_what_was_used():
    assert SplitRules(by="region", exclude=("a",)).settings() == {
        "train": 0.9,
        "validation": 0.05,
        "test": 0.05,
        "by": "region",
        "seed": 42,
        "block": 100_000,
        "guard": 8192,
        "exclude": ["a"],
    }
    assert SplitRules(split_from="fold").settings() == {"split_from": "fold"}
