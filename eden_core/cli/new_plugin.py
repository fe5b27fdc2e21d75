"""`eden new-plugin`: a package for a plugin of one's own."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PluginKind(StrEnum):
    """The kinds of plugin that there are templates for."""

    STORE = "store"
    INDEX = "index"
    TRANSFORM = "transform"


def new_plugin(
    *,
    name: Annotated[str, typer.Argument(help="What users will write, such as my-store.")],
    kind: Annotated[PluginKind, typer.Option(help="What it is.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make [default: eden-NAME, in the current one].", metavar="FOLDER")
    ] = None,
) -> None:
    """Write a complete package for a plugin, which passes its tests as it stands, and is made to be edited."""
    from eden_core.new_plugin import write_plugin

    names, folder = write_plugin(name, kind, out)
    print(f"{folder}: the {kind} {names.name!r}")
    print(f"edit  {folder / names.package / '__init__.py'}")
    print(f"next: cd {shlex.quote(str(folder))}")
    print("next: pip install -e '.[testing]'")
    print("next: pytest")
