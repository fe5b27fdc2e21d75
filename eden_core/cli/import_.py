"""`eden import`: a FASTA file becomes a store."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.progress import bar
from eden_core.contigs import count_contigs
from eden_core.importing import ImportSummary, import_fasta

_ENOUGH_TO_SPLIT = 40


def import_command(
    *,
    genome: Annotated[str, typer.Argument(help="FASTA file, plain or gzip; - for standard input.", metavar="GENOME.fa[.gz]")],
    out: Annotated[Path, typer.Option(help="Directory to write to.")],
    sample: Annotated[str, typer.Option(help="Sample that the sequences belong to.")],
    tag: Annotated[str, typer.Option(help="Control tag of sequences whose ids have none.")],
    cut_every: Annotated[
        int | None, typer.Option(help="Cut longer sequences into pieces of so many bases.", metavar="BASES", min=1)
    ] = None,
    store: Annotated[str, typer.Option(help="Store plugin.")] = "sqlite-shards",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write the sequences of a FASTA file into a store, and list them in contigs.parquet."""
    with bar("bytes") as progress:
        summary = import_fasta(
            genome, out, sample=sample, tag=tag, store=store, cut_every=cut_every, force=force, progress=progress
        )
    print(summary.shard)
    print(summary.contigs)
    print(f"  sequences  {summary.sequences:>16,}")
    print(f"  bases      {summary.bases:>16,}")
    print(f"  seconds    {summary.seconds:>16.2f}")
    if force:
        for index in sorted(out.glob("*_windows.db")):
            print(f"  if {index} was built for what is now replaced, build it again")
    print(f"next: {_next_command(summary, out, cut=cut_every is not None)}")


def _next_command(summary: ImportSummary, out: Path, *, cut: bool) -> str:
    if count_contigs(summary.contigs) < _ENOUGH_TO_SPLIT and not cut:
        command = shlex.join(["eden-precompute", str(summary.contigs), str(out / "train_windows.db")])
        return f"{command}   (to hold a part out, import with --cut-every BASES, then eden split)"
    shares = ["--train", "0.9", "--validation", "0.05", "--test", "0.05"]
    return shlex.join(["eden", "split", str(summary.contigs), "--out", str(out), *shares])
