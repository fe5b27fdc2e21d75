import hashlib

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eden_core.digests import ContigDigests


def digests(*batches: pa.RecordBatch) -> ContigDigests:
    found = ContigDigests()
    for batch in batches:
        found.add(batch)
    return found


def plainly(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")


@given(
    st.lists(st.tuples(st.text("abé", min_size=1), st.integers(0, 99), st.text("01", max_size=3)), max_size=9),
    st.integers(0, 9),
)
def test_digests_are_those_of_lines_however_they_are_cut_into_batches(rows, cut):
    ids, lengths, bases = ([row[i] for row in rows] for i in range(3))
    columns = [pa.array(ids, pa.string()), pa.array(lengths, pa.int64()), pa.array(bases, pa.string())]
    batch = pa.RecordBatch.from_arrays(columns, names=["contig_id", "length", "digest"])
    found = digests(batch.slice(0, cut), batch.slice(cut))
    assert found.contigs == plainly("".join(f"{i}\t{n}\n" for i, n, _ in rows))
    assert found.bases == plainly("".join(f"{text}\n" for text in bases))


def test_bases_are_not_known_without_digests():
    assert digests(pa.record_batch({"contig_id": ["a"], "length": [1]})).bases is None


def test_intervals_differ_by_where_they_begin():
    one, other = (pa.record_batch({"contig_id": ["a"], "start": [start], "length": [5]}) for start in (0, 1))
    assert digests(one).contigs != digests(other).contigs
