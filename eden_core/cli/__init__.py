"""The `eden` command: one module a sub-command."""

import sys
from collections.abc import Callable

import typer

from eden_core.errors import EdenError

app = typer.Typer(
    name="eden",
    help="Data for genomic language models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run `eden`."""
    run(_eden)


def _eden() -> None:
    commands()()


def commands() -> typer.Typer:
    """Return `eden` with all its sub-commands."""
    from eden_core.cli.bench import bench_command
    from eden_core.cli.contigs import contigs_command
    from eden_core.cli.convert import convert_command
    from eden_core.cli.demo import demo
    from eden_core.cli.doctor import doctor
    from eden_core.cli.import_ import import_command
    from eden_core.cli.inspect import inspect
    from eden_core.cli.new_plugin import new_plugin
    from eden_core.cli.optimize import optimize_command
    from eden_core.cli.plugins import plugins
    from eden_core.cli.prepare import prepare_command
    from eden_core.cli.preview import preview
    from eden_core.cli.replay import replay
    from eden_core.cli.report import report
    from eden_core.cli.split import split_command
    from eden_core.cli.verify import verify_command

    app.command("prepare")(prepare_command)
    app.command("import")(import_command)
    app.command("split")(split_command)
    app.command("contigs")(contigs_command)
    app.command("verify")(verify_command)
    app.command("optimize")(optimize_command)
    app.command("convert")(convert_command)
    app.command("inspect")(inspect)
    app.command("doctor")(doctor)
    app.command("replay")(replay)
    app.command("preview")(preview)
    app.command("report")(report)
    app.command("bench")(bench_command)
    app.command("plugins")(plugins)
    app.command("new-plugin")(new_plugin)
    app.command("demo")(demo)
    return app


def run(command: Callable[[], object]) -> None:
    """Run a command.

    An `EdenError`, or an error of the system, becomes one message on standard error and exit code 2; Ctrl-C exit code 130.
    """
    try:
        command()
    except (EdenError, OSError) as error:
        sys.stderr.write(f"error: {_printable(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:  # typer sees to those that come later than the imports
        sys.exit(130)


def _printable(error: Exception) -> str:
    """Return a message; what a damaged file put into it cannot steer the terminal."""
    text = str(error)
    if isinstance(error, OSError) and not isinstance(error, EdenError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)
