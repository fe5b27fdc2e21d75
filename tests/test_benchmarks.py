from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from eden_core import Tiling

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_plots_are_xml_and_show_every_label():
    import charts

    bars = charts.bars(
        [charts.Panel("a < b", [charts.Bar("floor & co", [1.0, 2.0]), charts.Bar("Eden", [30.0], ours=True)])], "µs"
    )
    lines = charts.lines("rows", [charts.Line("arrow", [(10, [4.0, 5.0]), (1e8, [6.0])])], "windows", "µs a row")
    texts = {element.text for svg in (bars, lines) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"a < b", "floor & co", "Eden", "rows", "arrow: 6.0"} <= texts


def test_a_page_tells_what_is_not_met(tmp_path):
    import page

    met, unmet = (page.Target("floor", case, "<= 2", "3", case == "one") for case in ("one", "other"))
    page.Section("rows", "## Rows", [met, unmet], date="2026-01-01").save(tmp_path)
    text = page.page([page.Section.load(tmp_path, "rows")])
    assert "2 figures: 1 not as they must be, 0 not measured" in text
    assert "| floor | other | <= 2 | 3 | **not met** |" in text
    assert "Measured on 2026-01-01" in text


@pytest.mark.parametrize("stride", [8, 7992, 16_384])
def test_other_loaders_read_the_windows_that_eden_reads(tmp_path, stride):
    from peers import protocol, workloads

    workload = workloads.generate(tmp_path, "metagenome", small=True)
    tiling = Tiling(8192, stride)
    assert np.array_equal(workload.counts(stride), tiling.counts(workload.lengths))
    table = protocol.WindowTable(workload)
    contigs, starts, lengths = table.lookup(np.arange(len(table)))
    assert np.array_equal(np.bincount(contigs), workload.counts())
    assert np.array_equal(lengths, np.minimum(8192, workload.lengths[contigs] - starts))


def test_a_killed_preparation_is_done_again(tmp_path):
    from peers import protocol

    folder = tmp_path / "form"
    folder.mkdir()
    (folder / "half").touch()
    protocol.make(folder, (folder / "whole").touch)
    assert {path.name for path in folder.iterdir()} == {"whole", protocol.COMPLETE}
