"""What `eden new-plugin` writes works as it stands, in a fresh environment with Eden's wheel; and so does the page about it."""

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_docs import Block, parts_of

from eden_core.new_plugin import KINDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your-first-plugin.md"
SECONDS = 120

SCRIPT = """\
import random
import warnings

import eden_core
import eden_toy_index
import eden_toy_store
import eden_toy_transform
from eden_core import EdenDataModule, Tiling, installed_plugins

warnings.filterwarnings("ignore", module="torch|lightning")
draw = random.Random(1)
sequences = {
    f"BCR__ECT-SAMPLE1__CT{i}-1": "".join(draw.choices("ACGTacgt", k=draw.randint(20, 500))).encode() for i in range(9)
}
plugins = installed_plugins()
store = plugins.store("toy-store", "sequences")
store.write_shard("SAMPLE1", sequences.items())
plugins.index_class("toy-index").build("windows.toy-index", store.contigs(), Tiling(window_size=64, stride=48))

data = EdenDataModule(
    store="toy-store", index="toy-index", sequence_db_dir="sequences", train_window_db_path="windows.toy-index",
    seq_length=64, micro_batch_size=4, num_workers=2, case="keep", transforms=["toy-transform"], extra_keys=["row_ids"],
)
loader = data.train_dataloader()
rows, plain = 0, 0
for batch in loader:
    windows = data.dataset("train").locate(batch["row_ids"].numpy())
    for i, (sequence_id, start) in enumerate(zip(windows.sequence_ids, windows.starts.tolist())):
        bases = sequences[sequence_id][start : start + 62]
        assert batch["tokens"][i].tolist() == [2, *bases, 0, *[1] * (62 - len(bases))], (sequence_id, start)
        weights = batch["loss_mask"][i][: len(bases)].tolist()
        changed = [0.1 if chr(base).islower() else 1 for base in bases]
        assert weights in (changed, [1] * len(bases)) or max(abs(a - b) for a, b in zip(weights, changed)) < 1e-6, weights
        rows += 1
        plain += weights == [1] * len(bases)
loader.close()
print(rows, plain, *(module.__file__ for module in (eden_core, eden_toy_store, eden_toy_index, eden_toy_transform)))
"""


@dataclass(frozen=True)
class Fresh:
    """A virtual environment with Eden's wheel, and the packages that its `eden new-plugin` wrote."""

    site: Path
    packages: Path
    environment: dict[str, str]

    def run(self, *command: str | Path, cwd: Path) -> str:
        """Run a command of this environment, and return what it prints."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, cwd=cwd, timeout=SECONDS)
        assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Fresh:
    folder = tmp_path_factory.mktemp("fresh")
    venv, packages = folder / "venv", folder / "packages"
    packages.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=SECONDS)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(venv), "platbase": str(venv)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # what Eden needs; .pth files there are not read
    for module, options in {"pip": "--no-index --no-build-isolation", "pytest": "", "mypy": ""}.items():
        command = venv / "bin" / module
        command.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" -m {module} "$@" {options}\n')
        command.chmod(0o755)
    places = (venv / "bin", Path(sys.executable).parent, os.environ["PATH"])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    environment |= {"PATH": os.pathsep.join(map(str, places)), "MYPY_CACHE_DIR": str(folder / "mypy"), "LC_ALL": "C.UTF-8"}
    made = Fresh(site, packages, environment)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=SECONDS)
    made.run("pip", "install", "--no-deps", next(folder.glob("*.whl")), cwd=folder)
    for kind in KINDS:
        made.run("eden", "new-plugin", f"toy-{kind}", "--kind", kind, cwd=packages)
    made.run("pip", "install", *sorted(packages.iterdir()), cwd=folder)
    return made


def test_each_kind_keeps_its_contract_as_written(fresh):
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error"]
    said = fresh.run("pytest", *options, cwd=fresh.packages)
    assert re.search(r"\d\d passed, \d+ skipped in", said), said


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_clean_as_written(fresh, kind):
    package = fresh.packages / f"eden-toy-{kind}"
    fresh.run("ruff", "check", "--no-cache", ".", cwd=package)
    fresh.run("ruff", "format", "--no-cache", "--check", ".", cwd=package)
    assert "no issues found in 2 source files" in fresh.run("mypy", "--strict", cwd=package)


def test_each_kind_is_used_through_the_data_module(fresh, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    rows, plain, *modules = fresh.run("python", "script.py", cwd=tmp_path).split()
    assert all(Path(module).is_relative_to(fresh.site) for module in modules), modules
    assert 0 < int(plain) < int(rows)


@pytest.mark.timeout(400)  # what takes an author a quarter of an hour
def test_the_page_is_what_happens(fresh, tmp_path):
    (tmp_path / "genome.fa").write_text(f">contig1\n{'ACGGTTTTTTCAAAGC' * 800}\n>contig2\n{'ACGT' * 800}\n")
    here = tmp_path
    for part in parts_of(PAGE):
        if not isinstance(part, Block) or part.not_run or part.language == "text":
            continue
        if part.file:
            (here / part.file).write_text(part.text, encoding="utf-8")
            continue
        assert part.language == "console", f"{part}: this page is a transcript; {part.language!r} is not replayed"
        for command, shown in transcript(part):
            here = check_command(fresh, here, command, shown)


def transcript(block: Block) -> list[tuple[str, list[str]]]:
    """Commands, each with the lines that the page shows of what it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
    return found


def check_command(fresh: Fresh, here: Path, command: str, shown: list[str]) -> Path:
    """Run a command, compare what it prints with what is shown, and return the folder that it leads to."""
    place = fresh.packages.parent / "place"
    script = f"{command}\nstatus=$?; pwd > '{place}'; exit $status"
    done = subprocess.run(
        ["bash", "-c", script], env=fresh.environment, cwd=here, stdin=subprocess.DEVNULL, text=True, timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    fails = any(" failed" in line for line in shown)
    assert (done.returncode != 0) == fails, f"$ {command}\nexit code {done.returncode}\n{done.stdout}"
    both = f"$ {command}\nprints\n{done.stdout}\nand the page shows\n" + "\n".join(shown)
    assert is_shown(done.stdout, shown), both
    return Path(place.read_text().strip())


def is_shown(printed: str, shown: list[str]) -> bool:
    """Whether a page shows what is printed: `…` stands for anything, a line of it for any lines; columns may be wider."""
    lines = (r"(?:.*\n)*?" if line == "…" else re.escape(squeezed(line)).replace("…", ".*") + r"\n" for line in shown)
    return re.fullmatch("".join(lines), "".join(f"{squeezed(line)}\n" for line in printed.splitlines())) is not None


def squeezed(line: str) -> str:
    return re.sub(r"\s+", " ", line).rstrip()


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a", "…", "z"], "a\nb\nc\nz\n", True),
        (["a", "…"], "a\n", True),
        (["… passed in …s"], "15 passed in 1.2s\n", True),
        (["a  b"], "a     b  \n", True),
        (["a"], "a\nb\n", False),
        (["a", "…", "z"], "a\nb\n", False),
        (["15 passed in …s"], "14 passed in 1.2s\n", False),
        (["a  b"], "ab\n", False),
        ([], "a\n", False),
    ],
)
def test_what_a_page_shows_must_be_printed(shown, printed, same):
    assert is_shown(printed, shown) == same
