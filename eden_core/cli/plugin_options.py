"""Options of plugins, as commands that open a store or an index take them: JSON objects."""

import json
from typing import Annotated, Any

import typer


def parse_options(text: str) -> dict[str, Any]:
    """Return options by name.

    Raises:
        BadParameter: the text is no JSON object.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{text!r} is no JSON object; write one, such as '{{\"max_open_files\": 32}}'")
    return found


def json_option(text: str) -> Any:
    """Return an option of a command that takes options of a plugin."""
    return typer.Option(help=text, metavar="JSON", parser=parse_options)


StoreOptions = Annotated[dict[str, Any] | None, json_option("Options of the store, such as '{\"max_open_files\": 32}'.")]
IndexOptions = Annotated[dict[str, Any] | None, json_option('Options of the index, such as \'{"io": "pread"}\'.')]
