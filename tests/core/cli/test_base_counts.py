import pytest
import typer

from eden_core.cli.base_counts import parse_bases


@pytest.mark.parametrize(
    ("text", "bases"),
    [("8192", 8192), ("100_000", 100_000), ("100k", 100_000), ("1M", 1_000_000), ("1.5Mb", 1_500_000), ("2 ", 2)],
)
def test_numbers_as_people_write_them(text, bases):
    assert parse_bases(text) == bases


@pytest.mark.parametrize("text", ["", "k", "1.5", "-3", "1e6", "10 k", "1KK"])
def test_what_is_no_number(text):
    with pytest.raises(typer.BadParameter, match="is no number of bases; write 8192"):
        parse_bases(text)
