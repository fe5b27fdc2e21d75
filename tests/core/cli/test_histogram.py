from eden_core.cli.histogram import histogram
from eden_core.inspecting.contig_counts import LengthBin


def test_bars_are_as_long_as_shares():
    bins = (LengthBin(500, 1000, 3, 2_000), LengthBin(1000, 2000, 0, 0), LengthBin(2000, 5000, 1, 2_000))
    header, *lines = histogram(bins)
    assert header.split() == ["length", "of", "all", "contigs", "of", "all", "bases"]
    assert [line.split() for line in lines] == [
        ["500", "-", "1", "kb", "#" * 24, "75.0%", "#" * 16, "50.0%"],
        ["1", "kb", "-", "2", "kb", "0.0%", "0.0%"],
        ["2", "kb", "-", "5", "kb", "#" * 8, "25.0%", "#" * 16, "50.0%"],
    ]


def test_a_small_share_is_seen():
    bins = (LengthBin(0, 1, 1, 1), LengthBin(1, 2, 10**6, 10**6))
    assert histogram(bins)[1].count("#") == 2
