"""`eden split`: contigs are divided into training, validation and test."""

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from eden_core.splitting import split_contigs


def split_command(
    *,
    contigs: Annotated[Path, typer.Argument(help="Parquet table with contig_id and length.", metavar="CONTIGS.parquet")],
    out: Annotated[Path, typer.Option(help="Directory to write to.")],
    train: Annotated[float, typer.Option(help="Share of the bases for training.")] = 0.9,
    validation: Annotated[float, typer.Option(help="Share of the bases for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share of the bases for testing.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Another seed gives other splits.")] = 42,
    force: Annotated[bool, typer.Option("--force", help="Replace existing splits.")] = False,
) -> None:
    """Divide contigs into training, validation and test, by bases; each contig goes to one of them."""
    started = time.perf_counter()
    parts = split_contigs(contigs, out, train=train, validation=validation, test=test, seed=seed, force=force)
    seconds = time.perf_counter() - started
    bases = sum(part.bases for part in parts.values())
    print(f"{'split':<12}{'sequences':>14}{'bases':>18}{'share':>9}  file")
    for name, part in parts.items():
        print(f"{name:<12}{part.sequences:>14,}{part.bases:>18,}{part.bases / bases:>9.2%}  {part.location}")
    print(f"{seconds:.2f} seconds")
    print("next:")
    for name, part in parts.items():
        print(f"  {shlex.join(['eden-precompute', str(part.location), str(out / f'{name}_windows.db')])}")
