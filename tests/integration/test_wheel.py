"""The built wheel, installed beside nothing but its dependencies, works as the checkout does."""

import os
import shutil
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
    plugins = ("eden_access_log", "eden_sqlite", "eden_reverse_complement", "eden_control_tags")
    expected = {f"{package}/py.typed" for package in ("eden_core", *plugins)}
    expected |= {f"eden_core/reporting/page.{kind}" for kind in ("html", "css", "js")}
    assert expected | {"eden_core/data/lambda_phage_NC_001416.fa.gz"} <= names
    assert ("eden_core/_kernels.so" in names) == (shutil.which("cc") is not None)
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks", "plugins"))]


def test_tests_of_every_plugin_pass_against_it(installed):
    code = "import eden_core, eden_sqlite; print(eden_core.__file__, eden_sqlite.__file__)"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    where = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=installed
    ).stdout.split()
    assert all(path.startswith(str(installed)) for path in where)
    tests = [
        "tests/core/cli/test_plugins.py",
        "tests/plugins/eden_arrow/test_store.py",
        "tests/plugins/eden_fasta/test_two_bit.py",
        "tests/plugins/eden_sqlite/test_store.py",
        "tests/plugins/test_control_tags.py",
        "tests/plugins/test_objectives.py",
        "tests/plugins/test_reverse_complement.py",
        "tests/integration/test_seed_format.py",
    ]
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]


def test_it_is_built_without_a_compiler_too(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "*.so", "docs", "tests", "benchmarks", "dist"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"CC": str(tmp_path / "no-such-compiler")})
    made = next(tmp_path.glob("*.whl"))
    assert made.name.endswith("-py3-none-any.whl")
    assert "eden_core/_kernels.so" not in zipfile.ZipFile(made).namelist()
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "site")
    code = "from eden_core.kernels import are_compiled; print(are_compiled())"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout.strip() == "False", done.stderr
