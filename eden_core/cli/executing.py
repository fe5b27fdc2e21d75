"""Options of commands that run many tasks: where, and how many at a time."""

from typing import Annotated

import typer

from eden_core.interfaces import ExecutorFactory
from eden_core.plugins import installed_plugins

ExecutorOption = Annotated[str, typer.Option("--executor", help="Executor plugin: where tasks run.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Tasks at a time [default: one for each core].", metavar="N")
]
SchedulerOption = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a scheduler, for executors that have one.", metavar="URL")
]


def executor_of(name: str, workers: int | None, scheduler: str | None) -> ExecutorFactory:
    """Return the executor that options ask for."""
    given = {"workers": workers, "scheduler": scheduler}
    return installed_plugins().executor(name, {option: value for option, value in given.items() if value is not None})
