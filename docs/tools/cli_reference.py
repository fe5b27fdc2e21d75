"""Writes docs/reference-cli.md from the commands themselves: `python docs/tools/cli_reference.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from eden_core.cli import commands, precompute

PAGE = Path(__file__).parents[1] / "reference-cli.md"
_HEAD = """# Commands

`eden` and `eden-precompute`, as `--help` describes them. All end with exit code 0, or 2 after an error, which is one message on standard error;
1 says that what was looked at is not as it should be. <!-- written by docs/tools/cli_reference.py -->
"""


def page() -> str:
    """Return the page."""
    eden = typer.main.get_command(commands())
    sections = [_section(f"eden {name}", command) for name, command in eden.commands.items()]
    sections.append(_section("eden-precompute", typer.main.get_command(precompute.app)))
    return "\n".join([_HEAD, *sections])


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    records = [found for parameter in command.get_params(context) if (found := parameter.get_help_record(context))]
    return "\n".join([f"## {name}\n", f"{command.help}\n", f"```text\n{name} {usage}\n```\n", *_table(records)])


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
