import numpy as np
import pyarrow as pa
import pytest

from eden_arrow.batch_places import BatchPlaces
from eden_core.errors import FormatError


@pytest.fixture
def places_and_file(tmp_path):
    path = tmp_path / "some.arrow"
    schema = pa.schema([pa.field("a", pa.string()), pa.field("b", pa.large_binary()), pa.field("c", pa.int64())])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        begins = [8 + schema.serialize().size]
        for n in (3, 1, 1000):
            columns = [[f"id{i}" for i in range(n)], [bytes(range(i % 7)) for i in range(n)], [None, *range(n - 1)]]
            writer.write_batch(pa.RecordBatch.from_pydict(dict(zip("abc", columns, strict=True)), schema), {"sample": "s"})
            begins.append(sink.tell())
    return begins, path


def test_buffers_lie_where_arrow_maps_them(places_and_file):
    begins, path = places_and_file
    data = path.read_bytes()
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as reader:
        for i, begin in enumerate(begins[:-1]):
            places = BatchPlaces.at(begin, lambda offset, count: data[offset : offset + count])
            batch = reader.get_batch(i)
            assert (places.rows, places.end) == (batch.num_rows, begins[i + 1])
            buffers = [buffer for column in batch.columns for buffer in column.buffers()]
            for (offset, size), buffer in zip(places.buffers, buffers, strict=True):
                assert data[offset : offset + size] == (b"" if buffer is None else buffer.to_pybytes()[:size])
                assert size == 0 if buffer is None else size <= buffer.size


@pytest.mark.parametrize("shift", [-8, 4, 16])
def test_other_places_are_refused(places_and_file, shift):
    begins, path = places_and_file
    data = path.read_bytes()
    with pytest.raises(FormatError, match="no record batch"):
        BatchPlaces.at(begins[1] + shift, lambda offset, count: data[offset : offset + count])


def test_the_schema_is_no_batch(places_and_file):
    data = places_and_file[1].read_bytes()
    with pytest.raises(FormatError, match="another one"):
        BatchPlaces.at(8, lambda offset, count: data[offset : offset + count])


def test_random_bytes_are_refused():
    data = np.random.default_rng(1).bytes(5_000)
    for offset in range(0, 2_000, 8):
        with pytest.raises(FormatError):
            BatchPlaces.at(offset, lambda at, count: data[at : at + count])
