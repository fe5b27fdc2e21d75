"""The package of docs/writing-a-plugin.md, installed from its wheel, works as the page says."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "example-plugin"

SCRIPT = """\
import random
import warnings

import eden_text_files
from eden_core import EdenDataModule, Tiling, installed_plugins

warnings.filterwarnings("ignore", module="torch|lightning")
draw = random.Random(1)
sequences = {
    f"BCR__ECT-SAMPLE1__CT{i}-1": "".join(draw.choices("ACGT", k=draw.randint(20, 500))).encode() for i in range(9)
}

store = installed_plugins().store("text-files", "sequences", {"suffix": ".seq"})
store.write_shard("SAMPLE1", sequences.items())
installed_plugins().index_class("sqlite").build("windows.db", store.contigs(), Tiling(window_size=64, stride=48))

data = EdenDataModule(
    store="text-files",
    store_options={"suffix": ".seq"},
    sequence_db_dir="sequences",
    train_window_db_path="windows.db",
    seq_length=64,
    micro_batch_size=4,
    num_workers=2,
    extra_keys=["row_ids"],
)
loader = data.train_dataloader()
rows = 0
for batch in loader:
    windows = data.dataset("train").locate(batch["row_ids"].numpy())
    for i, (sequence_id, start) in enumerate(zip(windows.sequence_ids, windows.starts.tolist())):
        bases = sequences[sequence_id][start : start + 62]
        assert batch["tokens"][i].tolist() == [2, *bases, 0, *[1] * (62 - len(bases))], (sequence_id, start)
        rows += 1
loader.close()
print(rows, eden_text_files.__file__)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """What `pip install docs/example-plugin` would add."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        archive.extractall(out / "site")
    return out / "site"


@pytest.fixture
def run(site, tmp_path):
    def run(*command: str | Path) -> str:
        environment = os.environ | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=150)
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    return run


def test_it_is_listed_as_the_page_shows(run):
    listed = [line.split() for line in run(Path(sys.executable).with_name("eden"), "plugins").splitlines()]
    line = ["store", "text-files", "eden-text-files", "0.1.0", "suffix='.txt'"]
    assert line in listed
    page = (ROOT / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
    assert line in [shown.split() for shown in page.splitlines()]


def test_its_annotations_are_shipped(site):
    assert (site / "eden_text_files" / "py.typed").exists()


def test_its_own_tests_pass(run):
    options = ["-q", "-c", os.devnull, "--rootdir", str(EXAMPLE), "-p", "no:cacheprovider", "-W", "error"]
    assert " passed" in run(sys.executable, "-m", "pytest", *options, str(EXAMPLE / "tests"))


def test_a_data_module_trains_on_it(run, site, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    rows, module = run(sys.executable, "script.py").split()
    assert int(rows) > 30
    assert module.startswith(str(site))
