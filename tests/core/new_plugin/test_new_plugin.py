import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from eden_core.errors import ConfigurationError, FormatError, OutputExistsError
from eden_core.new_plugin import KINDS, write_plugin


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_written(tmp_path, kind):
    _, folder = write_plugin("my-own", kind, tmp_path / "made" / "here")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    module = {"eden_my_own/__init__.py", "eden_my_own/py.typed"}
    assert files == {"pyproject.toml", "README.md", ".gitignore", "tests/test_contract.py"} | module
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["entry-points"]["eden"]) == ("eden-my-own", {"my-own": "eden_my_own"})
    assert project["dependencies"][0] == "eden-core>=0.1"


def test_its_lines_are_in_form_whatever_the_name(tmp_path):
    for kind in KINDS:
        for name in ("a", "b" * 40, "zz-top", "numpy-and-pathlib-and-typing"):
            write_plugin(name, kind, tmp_path / f"{kind}-{name}")
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["format", "--check", "--diff"], ["check"]):
        done = subprocess.run([ruff, *command, "--no-cache", str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_it_uses_what_is_public_only(tmp_path, kind):
    _, folder = write_plugin("my-own", kind, tmp_path / "made")
    for path in folder.rglob("*.py"):
        imports = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom))
        for node in imports:
            if node.module.startswith("eden_core") and node.module != "eden_core.errors":
                assert {alias.name for alias in node.names} <= set(import_module(node.module).__all__), ast.unparse(node)


def test_it_goes_by_the_distribution_where_no_folder_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_plugin("my-own", "store")[1] == Path("eden-my-own")
    assert [path.name for path in tmp_path.iterdir()] == ["eden-my-own"]


@pytest.mark.parametrize("exists", [Path.mkdir, Path.touch])
def test_what_exists_is_left_alone(tmp_path, exists):
    exists(tmp_path / "eden-my-own")
    with pytest.raises(OutputExistsError, match="eden-my-own exists already; .* --out"):
        write_plugin("my-own", "store", tmp_path / "eden-my-own")
    assert [path.name for path in tmp_path.iterdir()] == ["eden-my-own"]


def test_a_place_that_cannot_be_written_is_named_as_it_was_given():
    with pytest.raises(ConfigurationError, match=r"^/proc/foo cannot be made: .*; give another place with --out$"):
        write_plugin("my-own", "store", Path("/proc/foo"))


def test_an_index_that_is_none_says_so_once(tmp_path, monkeypatch):
    _, folder = write_plugin("my-own", "index", tmp_path / "made")
    monkeypatch.syspath_prepend(folder)
    (tmp_path / "w.my-own").write_bytes(b"no Arrow file" * 9)
    with pytest.raises(FormatError, match=r"w\.my-own is damaged \(Not an Arrow file\): build it again$"):
        import_module("eden_my_own").MyOwn(str(tmp_path / "w.my-own"))
    sys.modules.pop("eden_my_own")


def test_a_class_that_its_module_imports_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(ConfigurationError, match="its class would be Ragged"):
        write_plugin("ragged", "store", tmp_path / "new" / "package")
    assert list(tmp_path.iterdir()) == []
