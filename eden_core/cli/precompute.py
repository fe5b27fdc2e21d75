"""The `eden-precompute` command."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from eden_core.atomic import made_folder
from eden_core.cli import run
from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.progress import bar
from eden_core.coverage import Coverage
from eden_core.errors import ConfigurationError, EdenError
from eden_core.inspecting import CLASS_BOUNDS
from eden_core.interfaces import ExecutorFactory
from eden_core.manifest import index_suffix
from eden_core.precompute import PrecomputeSummary
from eden_core.precompute_task import PrecomputeTask, run_task
from eden_core.tasks import run_tasks
from eden_core.tiling import DEFAULT_RESERVE, DEFAULT_STRIDE, DEFAULT_WINDOW_SIZE, Tiling, default_stride

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
Done = tuple[PrecomputeTask, PrecomputeSummary]
StrideOption = Annotated[
    int | None,
    typer.Option(
        help=f"Bases from one window's start to the next one's [default: {DEFAULT_STRIDE}; of other window sizes W, W less "
        "W/16, 200 at most]."
    ),
]


@app.command()
def precompute_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Parquet table with contig_id and length, and the index to write; with --out, one or several tables.",
            metavar="SPLIT.parquet… [WINDOWS.db]",
        ),
    ],
    *,
    out: Annotated[Path | None, typer.Option(help="Folder for SPLIT_windows.db of each table.", metavar="DIR")] = None,
    window_size: Annotated[int, typer.Option(help="Bases a window.")] = DEFAULT_WINDOW_SIZE,
    stride: StrideOption = None,
    window_min_length_threshold: Annotated[int, typer.Option(help="Leave shorter windows out.")] = 0,
    keep_tail: Annotated[bool, typer.Option("--keep-tail", help="Go on until every base is read.")] = False,
    reserve: Annotated[
        int | None,
        typer.Option(help=f"With --keep-tail: tokens of a row that specials and tags may take [default: {DEFAULT_RESERVE}]."),
    ] = None,
    index: Annotated[str, typer.Option(help="Index plugin.")] = "sqlite",
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Leave bases between windows unread.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Keep an index that was built from the same contigs in the same way.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Show how often bases are seen, with the tail kept and without.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Cut the sequences of splits into windows, and write where they lie."""
    if reserve is not None and not keep_tail:
        raise ConfigurationError("--reserve says how far windows go on at the tail: give it together with --keep-tail")
    reserved = DEFAULT_RESERVE if reserve is None else reserve
    step = default_stride(window_size) if stride is None else stride
    tiling = Tiling(window_size, step, window_min_length_threshold, keep_tail, reserved)
    tasks = [
        PrecomputeTask(split, output, tiling, index, force, allow_gaps, skip_existing, report)
        for split, output in _outputs(paths, out, index_suffix(index), dry_run=dry_run)
    ]
    if out is None and len(tasks) == 1:
        if (executor, workers, scheduler) != ("local", None, None):
            raise ConfigurationError("--executor, --workers and --scheduler share several splits out: they go with --out DIR")
        done = _here(tasks[0])
    else:
        done = _shared_out(tasks, executor_of(executor, workers, scheduler), out)
    if as_json:
        print(json.dumps([_record(*one) for one in sorted(done, key=lambda one: paths.index(one[0].split))], indent=1))
        return
    for task, summary in done:
        print("\n".join([*_described(task, summary), *_reported(summary.coverage)]))


def _outputs(paths: list[Path], out: Path | None, suffix: str, *, dry_run: bool) -> list[tuple[Path, Path | None]]:
    """Return the output of each split; None: nothing is to be written."""
    tables = [path for path in paths if path.suffix == ".parquet"]
    if out is None and len(paths) == 2 and paths[1] not in tables:
        return [(paths[0], None if dry_run else paths[1])]
    others = [path for path in paths if path not in tables]
    if others and (out is not None or len(paths) > 1):
        raise ConfigurationError(
            f"{others[0]} does not end in .parquet: give SPLIT.parquet WINDOWS{suffix} for one split, or SPLIT.parquet… --out "
            f"DIR for several, which become DIR/SPLIT_windows{suffix}"
        )
    if dry_run:
        return [(path, None) for path in paths]
    if out is None:
        raise ConfigurationError(
            f"where shall the index of {paths[0]} go? Give its name (SPLIT.parquet WINDOWS{suffix}), or --out DIR for one "
            f"or several splits, which become DIR/SPLIT_windows{suffix}"
        )
    outputs = [out / f"{path.stem}_windows{suffix}" for path in paths]
    if len(set(outputs)) < len(outputs):
        repeated = next(output for output in outputs if outputs.count(output) > 1)
        raise ConfigurationError(f"two splits would become {repeated}: give one of them another name, or run them apart")
    return list(zip(paths, outputs, strict=True))


def _here(task: PrecomputeTask) -> Iterator[Done]:
    with bar("sequences") as progress:
        summary = run_task(task, progress)
    yield task, summary


def _anywhere(task: PrecomputeTask) -> PrecomputeTask:
    """Return a task as a process in another folder does it."""
    output = None if task.output is None else task.output.absolute()
    return replace(task, split=task.split.absolute(), output=output)


def _shared_out(tasks: list[PrecomputeTask], factory: ExecutorFactory, out: Path | None) -> Iterator[Done]:
    """Yield splits as they are done; those that fail are told when all others are."""
    folder = nullcontext() if out is None or tasks[0].output is None else made_folder(out)
    failed: list[Exception] = []
    with folder, bar("splits") as progress:
        anywhere = {_anywhere(task): task for task in tasks}
        for number, (travelled, result) in enumerate(run_tasks(run_task, anywhere, factory), 1):
            task = anywhere[travelled]
            progress(number, len(tasks))
            if isinstance(result, PrecomputeSummary):
                yield task, result
            else:
                failed.append(result)
        if failed and len({str(error) for error in failed}) == 1:  # the same of all of them
            raise failed[0]
        if failed:
            raise EdenError(f"{len(failed)} of {len(tasks)} splits failed:" + "".join(f"\n  {error}" for error in failed))


def _record(task: PrecomputeTask, summary: PrecomputeSummary) -> dict[str, object]:
    record = asdict(summary) | {"bases_never_seen": summary.bases_never_seen}
    coverage = record.pop("coverage")
    for each in coverage.values():
        each["windows_by_class"] = {_class_name(i): windows for i, windows in enumerate(each["windows_by_class"])}
    written = None if task.output is None else str(task.output)
    return {"split": str(task.split), "index": written, **record} | ({"coverage": coverage} if coverage else {})


def _described(task: PrecomputeTask, summary: PrecomputeSummary) -> list[str]:
    share = summary.bases_never_seen / max(1, summary.bases)
    title = f"{task.split}: nothing is written" if task.output is None else f"{task.output}"
    lines = [
        f"{title}: is there already, and the same" if summary.kept else title,
        f"  sequences         {summary.sequences:>16,}",
        f"  windows           {summary.windows:>16,}",
        f"  bases covered     {summary.bases_read:>16,}",
        f"  bases never seen  {summary.bases_never_seen:>16,}  ({share:.2%})",
        f"  windows left out  {summary.windows_left_out:>16,}",
        f"  padding in rows   {summary.padding:>16.1%}",
        f"  seconds           {summary.seconds:>16.2f}",
    ]
    if summary.bases_never_seen and not task.tiling.keep_tail:
        lines.append(
            "  the ends of sequences that no whole window reaches are never seen; eden-precompute --keep-tail reads them"
        )
    return lines


def _reported(coverage: dict[str, Coverage]) -> list[str]:
    if not coverage:
        return []
    both = list(coverage.values())
    rows = {
        "windows": [f"{one.windows:,}" for one in both],
        "bases never seen": [f"{one.never_seen:,}" for one in both],
        "bases seen once": [f"{one.seen_once:,}" for one in both],
        "bases seen more often": [f"{one.seen_more:,}" for one in both],
        "padding, tokens": [f"{one.padding:,}" for one in both],
        "padding in rows": [f"{one.padding_share:.1%}" for one in both],
    }
    for i in range(len(CLASS_BOUNDS) + 1):
        if any(one.windows_by_class[i] for one in both):
            rows[f"windows of {_class_name(i)}"] = [f"{one.windows_by_class[i]:,}" for one in both]
    head = f"  {'report':<24}{'tail left out':>20}{'tail kept':>20}"
    return [head, *(f"    {name:<22}{left:>20}{kept:>20}" for name, (left, kept) in rows.items())]


def _class_name(number: int) -> str:
    names = [f"{bound / 1000:g} kb" if bound < 1_000_000 else f"{bound / 1_000_000:g} Mb" for bound in CLASS_BOUNDS]
    if not number:
        return f"< {names[0]}"
    return f"{names[number - 1]} - {names[number]}" if number < len(names) else f">= {names[-1]}"


def main() -> None:
    """Run `eden-precompute`."""
    run(app)
