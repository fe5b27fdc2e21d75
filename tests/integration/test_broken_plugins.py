"""Third-party packages that are broken in every way, installed side by side, leave Eden working, and are named."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from plain import write_seed_index, write_seed_shard

IMPORTS = "from eden_core import SequenceStore, Transform, hookimpl\n"
STORE = (
    IMPORTS
    + """
class Store(SequenceStore):
    name = "{name}"
    def read(self, windows): ...
@hookimpl
def eden_sequence_stores():
    return [Store]
"""
)
LEFT_OUT = {
    "acme-import": ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    "acme-hook": (IMPORTS + "@hookimpl\ndef eden_transform():\n    return []\n", "unknown hook eden_transform; hooks are"),
    "acme-arguments": (
        IMPORTS + "@hookimpl\ndef eden_transforms(config):\n    return []\n",
        "eden_transforms(config) asks for config, which the hook does not give",
    ),
    "acme-instance": (STORE.format(name="acme").replace("[Store]", "[Store('/')]"), "which is not a class"),
    "acme-type": (
        STORE.format(name="acme").replace("eden_sequence_stores", "eden_transforms"),
        "which is not a subclass of Transform",
    ),
    "acme-bundled-name": (STORE.format(name="sqlite-shards"), "store 'sqlite-shards' is a name of eden-core"),
    "acme-twin-two": (
        STORE.format(name="twin"),
        "store 'twin' is offered by acme-twin-one 1.0 (acme_twin_one) and acme-twin-two",
    ),
    "acme-interface": ("EDEN_INTERFACE = 99\n" + STORE.format(name="future"), "written for version 99 of the plugin interface"),
    "acme-exit": ("print('bye')\nimport sys\nsys.exit(3)\n", "SystemExit: 3"),
}
"""distribution -> its module, and what is said of it"""

PACKAGES = {
    **{distribution: module for distribution, (module, _) in LEFT_OUT.items()},
    "acme-twin-one": STORE.format(name="twin"),
    "acme-slow": "import time, polars\ntime.sleep(1)\n" + STORE.format(name="slow-but-sound"),
}

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "1.0"
[project.entry-points.eden]
{name} = "{module}"
"""

SCRIPT = """\
import json
import warnings
from pathlib import Path

from eden_core import EdenDataModule, installed_plugins

warnings.filterwarnings("ignore", module="torch|lightning")
data = EdenDataModule(
    store="sqlite-shards", index="sqlite", sequence_db_dir="shards", train_window_db_path="windows.db",
    seq_length=64, micro_batch_size=5, num_workers=2, extra_keys=["row_ids"],
)
sequences = json.loads(Path("sequences.json").read_text())
loader = data.train_dataloader()
rows = 0
for batch in loader:
    windows = data.dataset("train").locate(batch["row_ids"].numpy())
    for tokens, sequence_id, start in zip(batch["tokens"].tolist(), windows.sequence_ids, windows.starts.tolist()):
        assert bytes(tokens[1:63]).decode() == sequences[sequence_id][start : start + 62]
        rows += 1
loader.close()
print(rows, installed_plugins().store("slow-but-sound", "/").name)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Where `pip` installed all packages."""
    folder = tmp_path_factory.mktemp("broken")
    for distribution, source in PACKAGES.items():
        module = distribution.replace("-", "_")
        (folder / distribution).mkdir()
        (folder / distribution / "pyproject.toml").write_text(PROJECT.format(name=distribution, module=module))
        (folder / distribution / f"{module}.py").write_text(source)
    options = ["-q", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    sources = [str(folder / distribution) for distribution in PACKAGES]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *sources], check=True, timeout=150)
    return folder / "site"


@pytest.fixture
def run(site, tmp_path):
    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        places = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=100)
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_each_is_named_with_its_cause(run):
    usable, left_out, slow, _ = run(Path(sys.executable).with_name("eden"), "plugins").stdout.split("\n\n")
    for distribution, (_, cause) in LEFT_OUT.items():
        [line] = [
            line
            for line in left_out.splitlines()
            if line.startswith(f"  {distribution} 1.0 ({distribution.replace('-', '_')}): ")
        ]
        assert cause in line
    assert "acme-twin-one" in left_out
    assert slow.startswith("slow to load, in every process:\n  acme-slow 1.0 (acme_slow): took ")
    assert "it imports polars (" in slow
    assert {line.split()[2] for line in usable.splitlines()[1:]} == {"eden-core", "acme-slow"}


def test_eden_goes_on_and_says_each_thing_once(run, tmp_path):
    draw = random.Random(1)
    sequences = {f"BCR__ECT-SAMPLE1__CT{i}-1": "".join(draw.choices("ACGT", k=300)) for i in range(5)}
    write_seed_shard(tmp_path / "shards", "SAMPLE1", sequences)
    write_seed_index(tmp_path / "windows.db", dict.fromkeys(sequences, 300), 64, 48)
    (tmp_path / "sequences.json").write_text(json.dumps(sequences))
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(sys.executable, "script.py")
    assert done.stdout == "25 slow-but-sound\n"
    assert done.stderr.count("Eden plugin left out: ") == len(LEFT_OUT)
    for distribution in LEFT_OUT:
        assert done.stderr.count(f"left out: {distribution} ") == 1
    assert done.stderr.count("plugin acme-slow 1.0 (acme_slow): took ") == 1
    assert done.stderr.count("bye\n") == 1
