from xml.etree import ElementTree as ET

import pytest

from eden_core.benching.machine import Machine
from eden_core.benching.picture import picture
from eden_core.benching.results import BenchReport, Setting, Spread


def one_round(rows, workers, disk=0):
    process = {"cpu": 0.5, "delay": 0, "open_files": 9, "peak_rss": 300, "pss": 200, "private": 100, "read": 1000, "disk": disk}
    waits = {"p50": 0.01, "p95": 0.1, "p99": 1.0, "max": 2.0}
    counts = {"rows": rows, "rows_in_all": 2 * rows, "steps": rows, "tokens": 64 * rows, "seconds": 2.0, "wait_ms": waits}
    times = {"waited": 0.5, "start_s": 1, "first_batch_s": 0.5, "other_pss": 50}
    return {**counts, **times, "trainer": process, "workers": [process | {"open_files": 10 + i} for i in range(workers)]}


@pytest.fixture
def report() -> BenchReport:
    settings = (Setting(0, "warm", [one_round(n, 0) for n in (100, 300, 200)]), Setting(2, "cold", [one_round(50, 2, None)], 7))
    machine = Machine("A <fast> CPU", 2.0, 1 << 34, "6.1", "ext4", {"python": "3.11"}, "2026-01-02T03:04+00:00")
    data = {"seq_length": 64, "fill": 0.5}
    return BenchReport(machine, data, {"micro_batch_size": 1}, settings, None, "nothing & nobody limits", ())


def test_figures_are_medians_with_their_spread(report):
    warm, cold = report.as_dict()["results"]
    assert warm["rows_per_s"] == {"median": 100, "min": 50, "max": 150}
    assert warm["useful_tokens_per_s"] == 100 * 64 * 0.5
    assert warm["total_pss"]["median"] == 250
    assert cold["total_pss"]["median"] == 650
    assert warm["worker_pss"] is None
    assert cold["worker_open_files"]["median"] == 11
    assert (warm["kept_bytes"], cold["kept_bytes"]) == (None, 7)


def test_bytes_are_those_of_who_reads_files(report):
    warm, cold = report.as_dict()["results"]
    assert warm["read_bytes_per_row"] == {"median": 2.5, "min": 1000 / 600, "max": 5}
    assert cold["read_bytes_per_row"]["median"] == 20
    assert warm["disk_bytes_per_row"]["median"] == 0
    assert cold["disk_bytes_per_row"] is None


def test_nothing_has_no_spread():
    assert Spread.of([]) is None
    assert Spread.of([1.0, None]) is None


def test_the_picture_is_sound_svg_with_a_bar_a_setting(report):
    found = ET.fromstring(picture(report, "title"))
    names = {"svg": "http://www.w3.org/2000/svg"}
    tips = [tip.text for tip in found.findall(".//svg:rect/svg:title", names)]
    assert tips == ["0 workers, warm: 100 rows/s", "2 workers, cold: 25 rows/s"]
    assert len(found.findall(".//svg:circle", names)) == 6
    assert found.findall("svg:text", names)[-1].text == "nothing & nobody limits"
