"""`eden demo`: from a FASTA file to a trained model, in a minute or two."""

import logging
from pathlib import Path
from typing import Annotated

import typer


def demo(
    fasta: Annotated[Path | None, typer.Option(help="Genome to use instead of the phage lambda's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what the demo makes; made anew.")] = Path("eden-demo"),
    steps: Annotated[int, typer.Option(help="Training steps.", min=20)] = 400,
) -> None:
    """Import a genome, split and index it, and train a small model; exit code 1 if it learnt nothing."""
    from eden_core.demo import run_demo

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its hints would hide the demo's own lines
    if not run_demo(fasta, out, steps, print):
        raise typer.Exit(1)
