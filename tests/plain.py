"""What rows must be, written as plainly as possible: the oracle of the tests."""

import gzip
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SHARED = Path(__file__).parents[2] / "shared" / "data"
BOS, EOS, SEP, PAD = 2, 0, 3, 1
COMPLEMENT = dict(zip("ACGTURYSWKMBDHVNacgturyswkmbdhvn", "TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn", strict=True))


def plain_reverse_complement(bases: str) -> str:
    return "".join(COMPLEMENT[base] for base in reversed(bases))


def plain_row(bases: str, seq_length: int, tag: str = "") -> dict[str, list]:
    """One row of the nucleotide vocabulary, case "upper", from exactly the bases that fit."""
    head = [BOS, *(ord(c) for c in tag), *([SEP] if tag else [])]
    assert len(head) + len(bases) + 1 <= seq_length
    tokens = [*head, *(ord(base.upper()) for base in bases), EOS]
    is_base = [0] * len(head) + [1] * len(bases) + [0]
    padding = seq_length - len(tokens)
    tokens, is_base = tokens + [PAD] * padding, is_base + [0] * padding
    return {
        "tokens": tokens,
        "labels": [*tokens[1:], PAD],
        "loss_mask": [float(x) for x in [*is_base[1:], 0]],
        "position_ids": list(range(seq_length)),
    }


def read_genome(path: Path) -> str:
    with gzip.open(path, "rt") as lines:
        return "".join(line.strip() for line in lines if not line.startswith(">"))


def write_seed_shard(directory: Path, sample: str, sequences: dict[str, str]) -> Path:
    """A shard exactly as the format's own documentation makes one, with nothing but Python's sqlite3."""
    folder = directory / sample
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"glm_dataset_{sample}.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")  # tests make thousands of shards, and lose nothing with the power
    connection.execute("CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)")
    connection.executemany("INSERT INTO sequences (contig_id, nt_sequence) VALUES (?, ?)", sequences.items())
    connection.commit()
    connection.close()
    return path


def write_seed_index(path: Path, lengths: dict[str, int], window_size: int, stride: int, threshold: int = 0) -> Path:
    """A window database exactly as the format's own documentation lays it out."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE metadata (key TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    connection.execute(
        "CREATE TABLE window_mappings (window_idx INTEGER PRIMARY KEY, sequence_id TEXT NOT NULL, "
        "window_in_seq_idx INTEGER NOT NULL)"
    )
    rows = []
    for name in sorted(lengths, key=str.encode):
        n = lengths[name]
        windows = 1 if n < window_size else 1 + (n - window_size) // stride
        if n >= threshold:
            rows += [(name, i) for i in range(windows)]
    connection.executemany("INSERT INTO window_mappings VALUES (?, ?, ?)", [(k, *row) for k, row in enumerate(rows)])
    connection.execute("CREATE INDEX idx_sequence_id ON window_mappings(sequence_id)")
    metadata = {
        "window_size": window_size,
        "stride": stride,
        "window_min_length_threshold": threshold,
        "total_windows": len(rows),
        "distinct_sequences": len({name for name, _ in rows}),
    }
    connection.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
    connection.commit()
    connection.close()
    return path


def write_runs(path: Path, runs) -> None:
    """A table of runs, from (contig, (starts, ends)) in byte order of the contigs."""
    rows = [(name, start, end) for name, (starts, ends) in runs for start, end in zip(starts, ends, strict=True)]
    columns = {"contig_id": pa.string(), "start": pa.int64(), "end": pa.int64()}
    values = zip(*rows, strict=True) if rows else ([], [], [])
    pq.write_table(
        pa.table([pa.array(some, kind) for some, kind in zip(values, columns.values(), strict=True)], names=[*columns]), path
    )
