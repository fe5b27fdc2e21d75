"""Small data folders, as import, split and precompute make them, and ways to read and write their shards by hand."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from eden_core import Tiling
from eden_core.importing import import_files
from eden_core.importing.source_files import SourceFile
from eden_core.precompute import precompute
from eden_core.splitting import split_contigs
from eden_core.splitting.rules import SplitRules

TILING = Tiling(window_size=512, stride=480, keep_tail=True)
SAMPLES = ("s1", "s2", "s3")


def random_bases(draw: random.Random, length: int) -> str:
    return "".join(draw.choices("ACGTacgtN", [12, 12, 12, 12, 2, 2, 2, 2, 1], k=length))


def import_sample(folder: Path, sample: str, sequences: dict[str, str]) -> None:
    fasta = folder.parent / f"{sample}.fa"
    fasta.write_text("".join(f">{name}\n{bases}\n" for name, bases in sequences.items()))
    import_files([SourceFile(str(fasta), sample, "BAC")], folder, force=True)
    fasta.unlink()


def make_folder(folder: Path, lengths: tuple[int, ...] = (300, 511, 512, 900, 1500, 2600, 4000)) -> Path:
    """Three samples with the same lengths, two splits and their indexes."""
    draw = random.Random(4)
    for sample in SAMPLES:
        import_sample(folder, sample, {f"c{i}": random_bases(draw, n) for i, n in enumerate(lengths)})
    split_contigs(folder / "contigs.parquet", folder, SplitRules(0.7, 0.3, 0))
    build_indexes(folder)
    return folder


def build_indexes(folder: Path, tiling: Tiling = TILING) -> None:
    for split in ("train", "validation"):
        precompute(folder / f"{split}.parquet", folder / f"{split}_windows.db", tiling, force=True)


def shard(folder: Path, sample: str) -> Path:
    return folder / sample / f"glm_dataset_{sample}.sqlite"


def bases_of(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.glob("*/glm_dataset_*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            found |= dict(connection.execute("SELECT contig_id, nt_sequence FROM sequences"))
    return found


def execute(path: Path, *statements: str | tuple) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(*([statement] if isinstance(statement, str) else statement))
        connection.commit()
