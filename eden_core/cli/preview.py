"""`eden preview`: rows drawn as bars."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from eden_core.cli.data_options import OPTION_HELP, dataset_arguments, options_of
from eden_core.cli.plugin_options import IndexOptions, StoreOptions
from eden_core.cli.recorded import (
    RUN_HELP,
    Moved,
    OnMismatch,
    Rank,
    Recorded,
    SequenceDbDir,
    Start,
    Step,
    WindowDbPath,
    check_writable,
    row_range,
)
from eden_core.errors import ConfigurationError
from eden_core.sampler import RowBlock

if TYPE_CHECKING:
    from eden_core.drawing import Drawing

_FIRST_ROWS = 16


def preview(
    *,
    run: Annotated[Path | None, typer.Option(help=RUN_HELP, metavar="LEDGER")] = None,
    step: Step = None,
    rows: Annotated[
        str | None, typer.Option(help="Rows; of a Megatron run, samples. With --data: 0:16.", metavar="FIRST:STOP")
    ] = None,
    rank: Rank = None,
    start: Start = None,
    data: Annotated[Path | None, typer.Option(help="Instead of a run: folder of shards and indexes.", metavar="DIR")] = None,
    split: Annotated[str | None, typer.Option(help="With --data: which index [default: train].")] = None,
    seq_length: Annotated[int | None, typer.Option(min=1, help="With --data: tokens a row; else the index's window.")] = None,
    packing: Annotated[str | None, typer.Option(help='With --data: "none", "concat" or "thd".')] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help=f"With --data: {OPTION_HELP}", metavar="NAME=VALUE"),
    ] = None,
    store: Annotated[str | None, typer.Option(help="With --data: store plugin [default: that of the folder].")] = None,
    index: Annotated[str | None, typer.Option(help="With --data: index plugin [default: that of the folder].")] = None,
    store_options: StoreOptions = None,
    index_options: IndexOptions = None,
    letters: Annotated[bool, typer.Option("--letters", help="Show ambiguous and lower-case letters too.")] = False,
    width: Annotated[int | None, typer.Option(min=8, help="Characters of a bar [default: half of a line].")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the picture as SVG.", metavar="FILE")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the picture as a page of HTML.", metavar="FILE")] = None,
    sequence_db_dir: SequenceDbDir = None,
    window_db_path: WindowDbPath = None,
    source: Moved = None,
    on_mismatch: OnMismatch = "error",
) -> None:
    """Draw rows as bars: what each token is, and from which contigs; of a run's step, or of data before any run."""
    from eden_core.dataset import EdenDataset
    from eden_core.drawing import Drawing
    from eden_core.preview import preview_rows

    if (run is None) == (data is None):
        raise ConfigurationError("give either --run or --data")
    check_writable(svg, html)
    given: dict[str, Any] = {"split": split, "seq_length": seq_length, "packing": packing, "store": store, "index": index}
    given |= {"store_options": store_options, "index_options": index_options}
    if run is not None:
        if option or any(value is not None for value in given.values()):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ConfigurationError(f"{names} and --option go with --data: a run has its own")
        recorded = Recorded(run, step, rows, rank, start, sequence_db_dir, window_db_path, source or [], on_mismatch)
        from_start, dataset, blocks = recorded.opened()
        title = recorded.title(from_start)
    else:
        if step is not None or rank is not None or start is not None:
            raise ConfigurationError("--step, --rank and --start go with --run; with --data, give --rows")
        given |= {"split": split or "train", "sequence_db_dir": sequence_db_dir, "window_db_path": window_db_path}
        options = options_of(option or []) | {name: value for name, value in given.items() if value is not None}
        dataset = EdenDataset(**dataset_arguments(str(data), options))
        wanted = range(min(_FIRST_ROWS, dataset.epoch_rows)) if rows is None else row_range(rows)
        blocks = {None: RowBlock.of(wanted)}
        title = f"rows {wanted.start}:{wanted.stop} of {dataset.epoch_rows} rows an epoch, split {dataset.split} of {data}"
    drawing = Drawing(title, preview_rows(dataset, blocks, letters=letters))
    _print(drawing, width)
    for path, picture in ((svg, drawing.svg), (html, drawing.html)):
        if path is not None:
            path.write_text(picture(), encoding="utf-8")


def _print(drawing: "Drawing", width: int | None) -> None:
    print(drawing.title)
    if sys.stdout.isatty():
        console = Console()
        console.print(drawing.text(width or console.width // 2, console.width), no_wrap=True, overflow="ellipsis")
    else:
        columns = shutil.get_terminal_size((128, 24)).columns
        print("\n".join(drawing.lines(width or columns // 2, columns)))
