"""The `eden-precompute` command."""

from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli import run
from eden_core.cli.progress import bar
from eden_core.errors import ConfigurationError
from eden_core.precompute import precompute
from eden_core.tiling import DEFAULT_RESERVE, DEFAULT_STRIDE, DEFAULT_WINDOW_SIZE, Tiling

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def precompute_command(
    split: Annotated[Path, typer.Argument(help="Parquet table with contig_id and length.", metavar="SPLIT.parquet")],
    output: Annotated[Path, typer.Argument(help="Index to write.", metavar="WINDOWS.db")],
    window_size: Annotated[int, typer.Option(help="Bases a window.")] = DEFAULT_WINDOW_SIZE,
    stride: Annotated[int, typer.Option(help="Bases from one window's start to the next one's.")] = DEFAULT_STRIDE,
    window_min_length_threshold: Annotated[int, typer.Option(help="Leave shorter windows out.")] = 0,
    keep_tail: Annotated[bool, typer.Option("--keep-tail", help="Go on until every base is read.")] = False,
    reserve: Annotated[
        int | None,
        typer.Option(help=f"With --keep-tail: tokens of a row that specials and tags may take [default: {DEFAULT_RESERVE}]."),
    ] = None,
    index: Annotated[str, typer.Option(help="Index plugin.")] = "sqlite",
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Leave bases between windows unread.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Cut the sequences of a split into windows, and write where they lie."""
    if reserve is not None and not keep_tail:
        raise ConfigurationError("--reserve says how far windows go on at the tail: give it together with --keep-tail")
    reserved = DEFAULT_RESERVE if reserve is None else reserve
    tiling = Tiling(window_size, stride, window_min_length_threshold, keep_tail, reserved)
    with bar("sequences") as progress:
        summary = precompute(split, output, tiling, index=index, force=force, allow_gaps=allow_gaps, progress=progress)
    share = summary.bases_never_seen / max(1, summary.bases)
    print(f"{output}")
    print(f"  sequences         {summary.sequences:>16,}")
    print(f"  windows           {summary.windows:>16,}")
    print(f"  bases covered     {summary.bases_read:>16,}")
    print(f"  bases never seen  {summary.bases_never_seen:>16,}  ({share:.2%})")
    print(f"  windows left out  {summary.windows_left_out:>16,}")
    print(f"  padding in rows   {summary.padding:>16.1%}")
    print(f"  seconds           {summary.seconds:>16.2f}")
    if summary.bases_never_seen and not keep_tail:
        print("  the ends of sequences that no whole window reaches are never seen; --keep-tail reads them")


def main() -> None:
    """Run `eden-precompute`."""
    run(app)
