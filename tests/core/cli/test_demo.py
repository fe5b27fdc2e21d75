import math
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from eden_core import errors
from eden_core.demo import hold_out_last, markov_entropies, run_demo

COMMAND = [Path(sys.executable).with_name("eden"), "demo"]


def test_a_short_run_goes_all_the_way_and_says_that_it_learnt_too_little(tmp_path):
    done = subprocess.run([*COMMAND, "--steps", "20"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr[-2000:]
    stages = [line.split()[1] for line in done.stdout.splitlines() if line[:1].isdigit()]
    assert stages == ["import", "split", "precompute", "split", "precompute", "loader", "training"]
    assert "the model learnt too little" in done.stdout
    assert (tmp_path / "eden-demo" / "demo" / "glm_dataset_demo.sqlite").exists()


def test_a_genome_that_cannot_be_read_is_one_message(tmp_path):
    done = subprocess.run([*COMMAND, "--fasta", "nothing.fa"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demo_learns(tmp_path):
    done = subprocess.run(COMMAND, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_last_pieces_are_held_out():
    ids = [f"P__FASTA-demo__x:{start}-{start + 9}" for start in range(1, 301, 10)]
    contigs = pa.table({"contig_id": sorted(ids), "length": [10] * 30})
    train, held_out = hold_out_last(contigs)
    assert held_out["contig_id"].to_pylist() == ids[-3:]
    assert train["contig_id"].to_pylist() == ids[:-3]


def test_entropies_of_chance_and_of_a_repeat():
    assert markov_entropies([b"ACGT" * 100])[:2] == pytest.approx([math.log(4), 0])
    assert markov_entropies([b"AC" * 50 + b"N" * 50 + b"AC" * 50])[0] == pytest.approx(math.log(2))


def test_a_folder_that_the_demo_did_not_make_is_left_alone(tmp_path):
    (tmp_path / "contigs.parquet").write_text("precious")
    with pytest.raises(errors.OutputExistsError, match="did not make"):
        run_demo(None, tmp_path, 20, print)
