"""Writes docs/reference-cli.md from the commands themselves: `python tools/cli_reference.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from eden_core.cli import commands, precompute

PAGE = Path(__file__).parents[1] / "docs" / "reference-cli.md"
_HEAD = """# Commands

<!-- written by tools/cli_reference.py -->

`eden` and `eden-precompute`, as `--help` describes them. They end with exit code 0, or 2 after an error, which is one message
on standard error; 1 says that what was looked at is not as it should be.
"""


def page() -> str:
    """Return the page."""
    eden: Any = typer.main.get_command(commands())
    sections = [_section(f"eden {name}", command) for name, command in eden.commands.items()]
    sections.append(_section("eden-precompute", typer.main.get_command(precompute.app)))
    return "\n".join([_HEAD, *sections])


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    records = [_record(parameter, context) for parameter in command.get_params(context) if parameter.name != "help"]
    return "\n".join([f"## {name}\n", f"{command.help}\n", f"```text\n{name} {usage}\n```\n", *_table(records)])


def _record(parameter: Any, context: Any) -> tuple[str, str]:
    """Return how a parameter is given, and what it means; the type of arguments says nothing."""
    names, meaning = parameter.get_help_record(context)
    return (names.partition(" <")[0] if parameter.param_type_name == "argument" else names), meaning


def _table(records: list[tuple[str, str]]) -> Iterator[str]:
    yield "| argument | meaning |\n|---|---|"
    for names, meaning in records:
        yield f"| {_code(names)} | {_escaped(meaning)} |"
    yield ""


def _code(text: str) -> str:
    return "`" + text.replace("|", r"\|") + "`"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
