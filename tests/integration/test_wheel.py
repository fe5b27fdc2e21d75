"""The built wheel, installed beside nothing but its dependencies, works as the checkout does."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_it_holds_what_it_should(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"{p}/py.typed" for p in ("eden_core", "eden_sqlite", "eden_reverse_complement", "eden_control_tags")}
    assert expected | {"eden_core/data/lambda_phage_NC_001416.fa.gz"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks", "plugins"))]


def test_the_tests_pass_against_it(installed):
    code = "import eden_core, eden_sqlite; print(eden_core.__file__, eden_sqlite.__file__)"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    where = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=installed
    ).stdout.split()
    assert all(path.startswith(str(installed)) for path in where)
    tests = [
        "tests/core/test_dataset.py",
        "tests/core/cli/test_plugins.py",
        "tests/plugins",
        "tests/integration/test_seed_format.py",
    ]
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
