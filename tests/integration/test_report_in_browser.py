"""The page of `eden report` in a real browser, opened from a file."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from plain import write_seed_index, write_seed_shard
from report_logs import batches_of, write_log

from eden_core import EdenDataset
from eden_core.reporting.logs import find_logs
from eden_core.reporting.page import page
from eden_core.reporting.report import report_of

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on PATH")

HOSTILE = "BCR__ECT-S0__</script><img src=x onerror=document.title='broken'>"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--window-size=1200,1600",
)  # fmt: skip
HOUR = 3_600_000_000_000


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    """Two ranks that read 30 steps in file order, are stopped, and go on from step 25 to step 39."""
    folder = tmp_path_factory.mktemp("report")
    draw = np.random.default_rng(3)
    sequences = {f"BCR__ECT-S{i % 2}__CT{i:02}-1": "".join(draw.choice(list("ACGT"), 300 + 90 * i)) for i in range(24)}
    sequences[HOSTILE] = "ACGT" * 200
    for sample in ("S0", "S1"):
        write_seed_shard(folder / "shards", sample, {name: b for name, b in sequences.items() if f"-{sample}__" in name})
    write_seed_index(folder / "train.db", {name: len(bases) for name, bases in sequences.items()}, 64, 48)
    dataset = EdenDataset(
        sequence_db_dir=str(folder / "shards"), window_db_path=str(folder / "train.db"), seq_length=64, shuffle=False
    )
    for rank in range(2):
        write_log(folder / "logs", dataset, batches_of(dataset, range(30), rank=rank, ranks=2), rank=rank)
        later = batches_of(dataset, range(25, 40), rank=rank, ranks=2, begun_ns=1_750_000_000_000_000_000 + HOUR)
        write_log(folder / "logs", dataset, later, rank=rank)
    return folder / "logs"


@pytest.fixture(scope="module")
def lines(logs) -> list[dict[str, str]]:
    found = []
    for path in logs.glob("*.csv"):
        with path.open(newline="") as file:
            found += csv.DictReader(file)
    return found


@pytest.fixture(scope="module")
def browser(logs, tmp_path_factory):
    from selenium import webdriver

    path = logs.parent / "report.html"
    path.write_text(page(report_of(find_logs([logs]))), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    opened.get(path.as_uri())
    yield opened
    opened.quit()


def find(browser, selector: str) -> list:
    return browser.find_elements("css selector", selector)


def cell(browser, section: str, name: str) -> str:
    (found,) = find(browser, f"#{section} [data-name='{name}'] dd")
    return found.text.splitlines()[0]


def table(browser, name: str) -> list[list[str]]:
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((row) => [...row.cells].map((cell) => cell.textContent))",
        f"#{name} tbody tr",
    )


def test_it_runs_without_an_error_and_asks_for_nothing(browser):
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    asked = [r["request"]["url"] for r in requests if r["documentURL"] == browser.current_url]
    assert asked == [browser.current_url]
    assert browser.title == "What was read"


def test_its_numbers_are_those_of_the_log(browser, lines):
    windows, rows = Counter(line["window_idx"] for line in lines), Counter(line["row"] for line in lines)
    assert cell(browser, "head", "windows read") == f"{len(lines)}"
    assert cell(browser, "head", "different windows") == f"{len(windows)}"
    assert cell(browser, "head", "steps") == f"{len({line['step'] for line in lines})}"
    assert cell(browser, "repeats", "windows read too often") == f"{sum(n > 1 for n in windows.values())}"
    assert cell(browser, "repeats", "rows read again") == f"{sum(rows.values()) - len(rows)}"
    assert cell(browser, "repeats", "rows on two ranks") == "0"


def test_waits_and_fill_are_those_of_the_batches(browser, logs):
    batches = [json.loads(line) for path in logs.glob("*.jsonl") for line in path.read_text().splitlines()[1:]]
    waits = [batch["waited_ns"] for batch in batches]
    assert cell(browser, "waits", "longest") == f"{float(f'{max(waits) / 1e6:.3g}'):g} ms"
    shown = cell(browser, "waits", "p50").split()
    exact = float(np.quantile(waits, 0.5, method="inverted_cdf"))
    assert float(shown[0]) * {"µs": 1e3, "ms": 1e6}[shown[1]] == pytest.approx(exact, rel=0.011)
    used = np.concatenate([batch["used"] for batch in batches])
    assert cell(browser, "fill", "tokens used") == f"{100 * used.mean() / 64:.1f} %"


def test_contigs_are_searched_and_sorted(browser, lines):
    reads = Counter(line["sequence_id"] for line in lines)
    (search,) = find(browser, "#contigTable input")
    search.send_keys("CT1")
    assert {row[0] for row in table(browser, "contigTable")} == {f"BCR__ECT-S{i % 2}__CT{i}-1" for i in range(10, 20)}
    assert "10 of 25 contigs" in find(browser, "#contigTable [role=status]")[0].text
    search.send_keys("\b\b\b")
    find(browser, "#contigTable .more")[0].click()
    assert len(table(browser, "contigTable")) == 25
    (windows,) = [button for button in find(browser, "#contigTable th button") if button.text == "windows"]
    for order in (sorted, lambda values: sorted(values, reverse=True)):
        windows.click() if order is not sorted else (windows.click(), windows.click())
        shown = [int(row[1]) for row in table(browser, "contigTable")]
        assert shown == order(shown)
    shown = {row[0]: round(float(row[4]) * int(row[1])) for row in table(browser, "contigTable")}
    assert {name: n for name, n in shown.items() if n} == pytest.approx(reads, rel=0.05)


def test_cells_of_the_heat_map_lie_where_the_windows_were_read(browser, lines):
    steps, windows = (np.array([int(line[name]) for line in lines]) for name in ("step", "window_idx"))
    size = int(find(browser, "#head [data-name='different windows'] small")[0].text.split(" of ")[-1].replace(",", ""))
    points = [[(step + 0.5) / 40, (windows[steps == step][0] + 0.5) / size] for step in range(40)]
    empty = [[(step + 0.5) / 40, 0.97] for step in range(10)]
    hit = browser.execute_script(
        """const heat = document.getElementById("heat"), found = [], box = heat.viewBox.baseVal;
        for (const [x, y] of arguments[0]) {
          const point = heat.createSVGPoint(); point.x = 78 + x * (box.width - 92); point.y = 28 + (1 - y) * 320;
          found.push([...heat.querySelectorAll(".heat path")].some((path) => path.isPointInFill(point)));
        } return found;""",
        [*points, *empty],
    )
    assert hit == [True] * 40 + [False] * 10
    marks = [float(mark.get_attribute("x1")) for mark in find(browser, "#heat .mark")]
    assert marks == pytest.approx([78, 78 + 25 / 40 * (1100 - 92)], abs=0.1)


def test_bars_are_as_high_as_what_they_count(browser, lines):
    heights = [float(bar.get_attribute("height")) for bar in find(browser, "#times .bar")]
    often = Counter(Counter(line["window_idx"] for line in lines).values())
    assert heights[2] / heights[1] == pytest.approx(often[2] / often[1], rel=0.01)


def test_a_hostile_id_is_text(browser):
    (search,) = find(browser, "#contigTable input")
    search.clear()
    search.send_keys("</script>")
    assert [row[0] for row in table(browser, "contigTable")] == [HOSTILE]
    assert find(browser, "img") == []
    assert browser.title == "What was read"


def test_epochs_that_are_not_known_have_no_column(browser, logs):
    def names() -> list[str]:
        return [button.text for button in find(browser, "#repeated th button")]

    assert "epoch" in names()
    older = logs.parent / "older"
    older.mkdir()
    for path in logs.glob("*.csv"):
        shutil.copy(path, older)
    shutil.copy(next(logs.glob("*.csv")), older / "window_access_train_rank0_0000000a.csv")
    path = logs.parent / "older.html"
    path.write_text(page(report_of(find_logs([older]))), encoding="utf-8")
    browser.get(path.as_uri())
    assert "times" in names()
    assert "epoch" not in names()
