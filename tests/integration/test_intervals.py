"""From a table of intervals to rows: no row reads a base outside of the intervals, packed or not."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain import write_runs, write_seed_shard

from eden_core import EdenDataset, Tiling
from eden_core.contigs import digest_of_bases
from eden_core.precompute import precompute
from eden_core.runs import n_runs

SEQ_LENGTH, STRIDE = 64, 48
PACKED = {"packing": "concat", "pack_by": "sample", "seq_length": 4 * SEQ_LENGTH}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Contigs whose bases are A, C, G and T within the intervals and N outside; a table of these, not sorted, and its index."""
    folder = tmp_path_factory.mktemp("intervals")
    draw = random.Random(3)
    rows, runs = [], {}
    for sample in ("S1", "S2"):
        sequences = {}
        for number in range(4):
            name, whole = f"BCR__X-{sample}__c{number}", draw.randint(500, 2000)
            edges = [*sorted(draw.sample(range(whole), 5)), whole]
            bases = ["N"] * whole
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                bases[start:stop] = draw.choices("ACGT", k=stop - start)
                row = {"contig_id": name, "start": start, "length": stop - start, "contig_length": whole}
                rows.append(row | {"digest": digest_of_bases("".join(bases).encode())})
            sequences[name] = "".join(bases)
            runs[name] = n_runs(sequences[name].encode())
        write_seed_shard(folder, sample, sequences)
    write_runs(folder / "n_runs.parquet", sorted(runs.items()))
    wholes = {row["contig_id"]: row["contig_length"] for row in rows}
    pq.write_table(pa.table({"contig_id": list(wholes), "length": list(wholes.values())}), folder / "contigs.parquet")
    draw.shuffle(rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    summary = precompute(folder / "train.parquet", folder / "train_windows.db", Tiling(SEQ_LENGTH, STRIDE))
    assert summary.windows > 50
    assert 0 < summary.bases_never_seen < summary.bases == sum(row["length"] for row in rows)
    return folder


def dataset(folder, **options) -> EdenDataset:
    paths = {"sequence_db_dir": str(folder), "window_db_path": str(folder / "train_windows.db")}
    return EdenDataset("sqlite-shards", "sqlite", **paths, **{"seq_length": SEQ_LENGTH, **options})


def bases_of(rows: EdenDataset) -> str:
    tokens = rows.batch(range(len(rows)))["tokens"].numpy().ravel()
    return bytes(tokens[tokens > 32].astype(np.uint8)).decode()


@pytest.mark.parametrize("options", [{}, {"rc_aug": True}, PACKED, PACKED | {"pack_by": "length"}], ids=str)
def test_no_row_reads_outside(folder, options):
    found = bases_of(dataset(folder, **options))
    assert set(found) == set("ACGT")
    assert len(found) > 3000


def test_rows_that_n_runs_would_leave_out_are_all_kept(folder):
    limited = dataset(folder, max_n_fraction=0.0)
    assert len(limited) == len(dataset(folder))


@pytest.mark.parametrize("options", [{}, PACKED], ids=str)
def test_a_contig_is_left_out_with_all_its_intervals(folder, tmp_path, options):
    (tmp_path / "out.txt").write_text("BCR__X-S1__c1\n")
    rows = dataset(folder, exclude_contigs=str(tmp_path / "out.txt"), shuffle=False, **options)
    assert "BCR__X-S1__c1" not in set(ids_of(rows))


def ids_of(rows: EdenDataset) -> list[str]:
    kept = rows.omissions.rows(np.arange(rows.omissions.usual_rows))
    return list(rows.locate(kept).sequence_ids)
