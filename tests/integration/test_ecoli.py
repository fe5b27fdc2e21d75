"""The whole path on a real genome: import, precompute, read; the oracle slices the genome in plain Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plain import plain_reverse_complement, plain_row

from eden_core import EdenDataset

SEQ_LENGTH, STRIDE = 8192, 7992
TAG = "<ctrl_bact>"
BIN = Path(sys.executable).parent


def run(command, *arguments):
    subprocess.run([BIN / command, *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def prepared(ecoli_fasta, tmp_path_factory):
    out = tmp_path_factory.mktemp("ecoli")
    run("eden", "import", ecoli_fasta, "--out", out, "--sample", "ECOLI", "--tag", "BACT")
    run("eden-precompute", out / "contigs.parquet", out / "train_windows.db")
    run("eden-precompute", out / "contigs.parquet", out / "tail.db", "--keep-tail")
    return out


def dataset(prepared, index="train_windows.db", **options):
    return EdenDataset(sequence_db_dir=str(prepared), window_db_path=str(prepared / index), **options)


def test_the_number_of_windows(prepared, ecoli_genome):
    assert len(dataset(prepared)) == 1 + (len(ecoli_genome) - SEQ_LENGTH) // STRIDE == 617


def test_every_batch_is_a_slice_of_the_genome(prepared, ecoli_genome):
    rows = dataset(prepared, shuffle=False)
    for first in range(0, len(rows), 64):
        numbers = list(range(first, min(first + 64, len(rows))))
        batch = rows.batch(numbers)
        for place, number in enumerate(numbers):
            expected = plain_row(ecoli_genome[number * STRIDE : number * STRIDE + 8190], SEQ_LENGTH)
            assert all(batch[key][place].tolist() == expected[key] for key in expected), number


def test_with_reverse_complement_and_tags(prepared, ecoli_genome):
    rows = dataset(prepared, rc_aug=True, use_control_tags=True, shuffle=False)
    room = SEQ_LENGTH - 2 - len(TAG) - 1
    flips = 0
    for number in range(0, len(rows), 3):
        bases = ecoli_genome[number * STRIDE : number * STRIDE + room]
        either = [plain_row(bases, SEQ_LENGTH, TAG), plain_row(plain_reverse_complement(bases), SEQ_LENGTH, TAG)]
        row = {key: value.tolist() for key, value in rows[number].items()}
        assert row in either, number
        flips += row == either[1]
    assert 60 < flips < 150


def test_with_the_tail_kept_every_base_is_read(prepared, ecoli_genome):
    rows = dataset(prepared, "tail.db", use_control_tags=True, shuffle=False)
    read = np.zeros(len(ecoli_genome), bool)
    lengths = (rows.batch(range(len(rows)))["loss_mask"].sum(1)).int().tolist()
    for start, length in zip(rows.locate(range(len(rows))).starts.tolist(), lengths, strict=True):
        read[start : start + length] = True
    assert read.all()
