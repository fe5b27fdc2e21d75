"""`eden bench`: how fast are these files read?"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from eden_core.amounts import size_text
from eden_core.atomic import atomic_path
from eden_core.benching import BenchReport, BenchSettings, Setting, bench, default_workers
from eden_core.benching.results import FIGURES, of_trainer, of_worker
from eden_core.cli.data_options import DataOption, dataset_arguments, options_of
from eden_core.cli.plugin_options import IndexOptions, StoreOptions
from eden_core.cli.progress import bar
from eden_core.cli.recorded import SequenceDbDir, WindowDbPath, check_writable
from eden_core.errors import ConfigurationError

_COLUMNS = 100


def bench_command(
    data: Annotated[Path | None, typer.Argument(help="Data folder, as of `eden prepare`.", metavar="[DIR]")] = None,
    *,
    workers: Annotated[
        str | None, typer.Option(help="Numbers of workers [default: 0,1,2,4 … up to the cores].", metavar="N,N…")
    ] = None,
    micro_batch_size: Annotated[int, typer.Option(min=1, help="Rows a batch.")] = 1,
    prefetch_factor: Annotated[int, typer.Option(min=1, help="Blocks that a worker reads ahead.")] = 2,
    step_ms: Annotated[float, typer.Option(min=0, help="What a training step takes, in ms; 0: as fast as it goes.")] = 0.0,
    seconds: Annotated[float, typer.Option(help="How long each process is measured.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each setting is measured, in turn.")] = 3,
    cold: Annotated[bool, typer.Option("--cold", help="Measure with the files dropped from memory, too.")] = False,
    trace: Annotated[bool, typer.Option(help="Count metadata calls, where strace is installed.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures as JSON.", metavar="FILE")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture, as SVG.", metavar="FILE")] = None,
    split: Annotated[str, typer.Option(help="Which index of the folder.")] = "train",
    seq_length: Annotated[int | None, typer.Option(min=1, help="Tokens a row [default: the window size].")] = None,
    packing: Annotated[str | None, typer.Option(help='"none", "concat" or "thd".')] = None,
    option: DataOption = None,
    store: Annotated[str | None, typer.Option(help="Store plugin [default: that of the folder].")] = None,
    index: Annotated[str | None, typer.Option(help="Index plugin [default: that of the folder].")] = None,
    store_options: StoreOptions = None,
    index_options: IndexOptions = None,
    sequence_db_dir: SequenceDbDir = None,
    window_db_path: WindowDbPath = None,
) -> None:
    """Measure the loader on your own files: rate, waits, memory, open files and bytes read, by number of workers.

    Each setting runs in fresh processes. Give a folder, or --sequence-db-dir and --window-db-path.
    """
    check_writable(json_file, plot)
    given: dict[str, Any] = {"split": split, "seq_length": seq_length, "packing": packing, "store": store, "index": index}
    given |= {"sequence_db_dir": sequence_db_dir, "window_db_path": window_db_path}
    given |= {"store_options": store_options, "index_options": index_options}
    options = options_of(option or []) | {name: value for name, value in given.items() if value is not None}
    settings = BenchSettings(
        dataset=dataset_arguments(None if data is None else str(data), options),
        workers=default_workers() if workers is None else _numbers(workers),
        micro_batch_size=micro_batch_size,
        prefetch_factor=prefetch_factor,
        step_ms=step_ms,
        seconds=seconds,
        rounds=rounds,
        cold=cold,
        trace=trace,
    )
    with bar("bench") as progress:
        report = bench(settings, progress)
    _print(report)
    _write(report, json_file, plot)


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise ConfigurationError(f"--workers is {text!r}; expected numbers of processes, such as 0,1,2")
    return tuple(map(int, parts))


def _write(report: BenchReport, json_file: Path | None, plot: Path | None) -> None:
    if json_file is not None:
        with atomic_path(json_file) as draft:
            draft.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
    if plot is not None:
        from eden_core.benching.picture import picture

        with atomic_path(plot) as draft:
            draft.write_text(picture(report, "eden bench"), encoding="utf-8")


def _print(report: BenchReport) -> None:
    console = Console(width=None if sys.stdout.isatty() else _COLUMNS, highlight=False, soft_wrap=False)
    for line in _head(report):
        console.print(line, markup=False)
    for table in (_rates(report), _processes(report)):
        console.print(table)
    for line in _tail(report):
        console.print(line, markup=False)


def _head(report: BenchReport) -> list[str]:
    machine, data, settings = report.machine, report.data, report.settings
    memory, size = size_text(machine.memory), size_text(data["bytes"])
    plugins = ", ".join(dict.fromkeys(f"{one['store']} + {one['index']}" for one in data["sources"]))
    rows = f"{data['rows']:,} rows of {data['seq_length']:,} tokens, fill {data['fill']:.1%}"
    step = f"steps of {settings['step_ms']:g} ms" if settings["step_ms"] else "no time between batches"
    rounds = f"medians of {settings['rounds']} rounds of {settings['seconds']:g} s, each in a fresh process"
    return [
        f"{machine.cpu}, {machine.cores:g} cores, {memory} of memory, Linux {machine.kernel}, {machine.date}",
        ", ".join(f"{name} {number}" for name, number in machine.versions.items()),
        f"{plugins} on {machine.file_system}, {data['files']:,} files, {size}",
        f"{data['split']}, packing {data['packing']}: {rows}",
        f"micro-batch {settings['micro_batch_size']}, {step}; {rounds}",
    ]


def _rates(report: BenchReport) -> Table:
    table = _table("rows/s (min … max)", "Mtoken/s", "useful", "p50\nms", "p95\nms", "p99\nms", "waiting", "first\nbatch")
    for one in report.results:
        rate, tokens = one.rows_per_s, one.median(FIGURES["tokens_per_s"]) or 0.0
        table.add_row(
            str(one.workers),
            one.cache,
            f"{rate.median:,.0f} ({rate.min:,.0f} … {rate.max:,.0f})",
            f"{tokens / 1e6:,.1f}",
            f"{report.useful_tokens_per_s(one) / 1e6:,.1f}",
            *(f"{one.median(FIGURES[f'wait_{name}_ms']) or 0.0:.2g}" for name in ("p50", "p95", "p99")),
            f"{one.waited:.1%}",
            f"{one.median(FIGURES['first_batch_s']) or 0.0:.2f} s",
        )
    return table


def _processes(report: BenchReport) -> Table:
    """Cells with two figures: of the trainer, and of the worker that has most."""
    table = _table(
        "cpu %", "open\nfiles", "peak RSS\nMB", "PSS\nMB", "private\nMB", "all PSS\nMB", "read\nkB/row", "disk\nkB/row"
    )
    pairs = {"cpu": 0.01, "open_files": 1, "peak_rss": 1e6, "pss": 1e6, "private": 1e6}
    for one in report.results:
        table.add_row(
            str(one.workers),
            one.cache,
            *(_pair(one, name, unit) for name, unit in pairs.items()),
            _number(one.median(FIGURES["total_pss"]), 1e6),
            *(_number(one.median(FIGURES[f"{name}_bytes_per_row"]), 1000, 2) for name in ("read", "disk")),
        )
    return table


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("workers", "cache", *names):
        table.add_column(name, justify="left" if name == "cache" else "right", no_wrap=True)
    return table


def _tail(report: BenchReport) -> list[str]:
    lines = [
        "p50 … p99: what the trainer waits for a batch; waiting: the share of the time in which it does",
        "cpu … private: trainer / the worker with most",
    ]
    if report.metadata_calls is not None:
        counts = (
            f"{process} {sum(calls.values())} ({', '.join(f'{name} {n}' for name, n in calls.items())})"
            for process, calls in report.metadata_calls.items()
        )
        lines.append(f"metadata calls on the data before the first batch: {'; '.join(counts)}")
    return [*lines, *(f"note: {note}" for note in report.notes), report.limit]


def _pair(one: Setting, name: str, unit: float) -> str:
    trainer = _number(one.median(of_trainer(name)), unit)
    return f"{trainer} / {_number(one.median(of_worker(name)), unit)}" if one.workers else trainer


def _number(value: float | None, unit: float, digits: int = 0) -> str:
    return "?" if value is None else f"{value / unit:,.{digits}f}"
