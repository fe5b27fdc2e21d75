import pytest

from eden_core import installed_plugins
from eden_core.benching.machine import processors
from eden_core.benching.settings import BenchSettings, default_workers
from eden_core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"workers": ()}, "expected different numbers"),
        ({"workers": (1, 1)}, "expected different numbers"),
        ({"workers": (-1,)}, "workers is -1"),
        ({"seconds": 0}, "seconds is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"dataset": {"tokenizer": object()}}, "tokenizer is an object"),
    ],
)
def test_what_makes_no_sense_is_refused(changed, message):
    with pytest.raises(ConfigurationError, match=message):
        BenchSettings(**{"dataset": {}, "workers": (0,)} | changed)


def test_a_process_is_given_plain_arguments_with_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transform = installed_plugins().transform("reverse-complement")
    sources = [{"name": "a", "sequence_db_dir": "a"}, {"name": "b", "sequence_db_dir": "s3://b"}]
    dataset = {"window_db_path": "w.db", "contigs": None, "transforms": [transform], "sources": sources}
    given = BenchSettings(dataset, (0,)).trial(2).dataset
    assert given["window_db_path"] == str(tmp_path / "w.db")
    assert given["contigs"] is None
    assert list(given["transforms"][0]) == ["reverse-complement"]
    assert [source["sequence_db_dir"] for source in given["sources"]] == [str(tmp_path / "a"), "s3://b"]


@pytest.mark.parametrize(("cores", "numbers"), [(1, (0, 1)), (2, (0, 1, 2)), (6, (0, 1, 2, 4, 6)), (64, (0, 1, 2, 4, 8, 16))])
def test_numbers_of_workers_follow_the_processors(monkeypatch, cores, numbers):
    monkeypatch.setattr("eden_core.benching.settings.processors", lambda: float(cores))
    assert default_workers() == numbers


def test_a_container_s_quota_counts(tmp_path):
    quota = tmp_path / "cpu.max"
    without = processors(quota)
    quota.write_text("max 100000\n")
    assert processors(quota) == without >= 1
    quota.write_text("100000 100000\n")
    assert processors(quota) == 1
