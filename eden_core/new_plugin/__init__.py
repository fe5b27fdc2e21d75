"""`eden new-plugin`: a complete package for a plugin of one's own, which works as it stands and is made to be edited."""

import ast
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from eden_core.atomic import made_folder
from eden_core.errors import ConfigurationError, OutputExistsError
from eden_core.hookspecs import INTERFACE_VERSION
from eden_core.new_plugin.names import PluginNames

_REQUIRED = ["eden-core>=0.1", "numpy>=2.0"]

KINDS = {"store": [*_REQUIRED, "pyarrow>=20"], "index": [*_REQUIRED, "pyarrow>=20"], "transform": _REQUIRED}
"""the kinds of plugin that there are templates for, each with what its package requires"""


def write_plugin(name: str, kind: str, out: Path | None = None) -> tuple[PluginNames, Path]:
    """Write the package of a new plugin: all of it or nothing.

    Args:
        name: what users will write, such as `my-store`; an `eden-` in front is that of the distribution.
        kind: one of `KINDS`.
        out: the folder to make; None: one named like the distribution, in the current folder.

    Returns:
        What its parts are called, and the folder.

    Raises:
        ConfigurationError: the name cannot be used, or is in use; the folder cannot be made.
        OutputExistsError: the folder exists.
    """
    names = PluginNames.of(name, kind)
    folder = out or Path(names.distribution)
    if folder.exists():
        raise OutputExistsError(f"{folder} exists already; give the folder of the new package with --out")
    contents = dict(_contents(names, kind))
    try:
        _write(contents, folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}; give another place with --out") from error
    return names, folder


def _write(contents: Mapping[str, str], folder: Path) -> None:
    with made_folder(folder.parent), TemporaryDirectory(prefix=".new-plugin-", dir=folder.parent) as draft:
        made = Path(draft, "package")
        for path, text in contents.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, encoding="utf-8")
        made.rename(folder)


def _contents(names: PluginNames, kind: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file."""
    words = {
        "name": names.name,
        "distribution": names.distribution,
        "package": names.package,
        "class_name": names.class_name,
        "interface": str(INTERFACE_VERSION),
        "kind": kind,
        "requirements": json.dumps(KINDS[kind]),
    }
    module = f"{kind}/module.py"
    names.check_class(_imported(_filled(module, words | {"class_name": "Plugin"})))
    words["use"] = _filled(f"{kind}/use.md", words).rstrip()
    yield "pyproject.toml", _filled("pyproject.toml", words)
    yield "README.md", _filled("README.md", words)
    yield ".gitignore", _filled("gitignore", words)
    yield f"{names.package}/__init__.py", _filled(module, words)
    yield f"{names.package}/py.typed", ""
    yield "tests/test_contract.py", _filled(f"{kind}/test_contract.py", words)


def _imported(module: str) -> set[str]:
    imports = (node for node in ast.walk(ast.parse(module)) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}


def _filled(template: str, words: dict[str, str]) -> str:
    text = files("eden_core.new_plugin").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words)
