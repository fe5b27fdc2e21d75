"""From FASTA and .2bit files to batches and to what `eden verify` says."""

import pytest
from in_threads import InThread
from sequence_files import write_fasta, write_two_bit

from eden_core import EdenDataModule, Tiling
from eden_core.contigs import CONTIGS
from eden_core.listing import list_contigs
from eden_core.precompute import precompute
from eden_core.verifying import verify

SEQUENCES = {"NC_1.1": b"ACGTacgtNN" * 300, "chr2": b"GATTACA" * 200}


@pytest.mark.parametrize("store", ["fasta", "twobit"])
def test_a_file_is_trained_from(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    name, write = {"fasta": ("g.fa", write_fasta), "twobit": ("g.2bit", write_two_bit)}[store]
    write(tmp_path / name, SEQUENCES)
    assert list_contigs(name, InThread(), store=store, digests=True).bases == 4_400
    precompute(CONTIGS, "train_windows.db", Tiling(512, 480))
    module = EdenDataModule(
        store=store, sequence_db_dir=name, train_window_db_path="train_windows.db", seq_length=512, num_workers=1
    )  # fmt: skip
    assert sum(len(batch["tokens"]) for batch in module.train_dataloader()) == 8
    assert verify(tmp_path, InThread(), store=store).problems == []


def test_files_with_plain_ids_are_verified(tmp_path):
    for number in range(3):
        write_fasta(tmp_path / f"file-{number}.fa", {f"chr{number}.{i}": b"ACGT" * (9 + i) for i in range(4)})
    list_contigs(tmp_path, InThread(), store="fasta", digests=True)
    found = verify(tmp_path, InThread(), store="fasta")
    assert (found.problems, found.samples_read, found.contigs_read) == ([], 3, 12)
