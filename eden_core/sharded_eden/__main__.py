"""`python -m eden_core.sharded_eden precompute SPLIT.parquet WINDOWS.db`: the command of the older module."""

from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli import run
from eden_core.cli.precompute import precompute_command
from eden_core.tiling import DEFAULT_STRIDE, DEFAULT_WINDOW_SIZE

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Window databases, by the command of the older module; `eden-precompute` does more."""


@app.command("precompute")
def _precompute(
    split: Annotated[Path, typer.Argument(help="Parquet table with contig_id and length.", metavar="SPLIT.parquet")],
    windows: Annotated[Path, typer.Argument(help="Window database; replaced if it exists.", metavar="WINDOWS.db")],
    *,
    window_size: Annotated[int, typer.Option(help="Bases a window.")] = DEFAULT_WINDOW_SIZE,
    stride: Annotated[int, typer.Option(help="Bases from one window's start to the next one's.")] = DEFAULT_STRIDE,
    window_min_length_threshold: Annotated[int, typer.Option(help="Leave shorter windows out.")] = 0,
) -> None:
    """Cut the sequences of a split into windows, and write where they lie."""
    precompute_command(
        [split, windows],
        window_size=window_size,
        stride=stride,
        window_min_length_threshold=window_min_length_threshold,
        force=True,
        allow_gaps=True,
    )


if __name__ == "__main__":
    run(app)
