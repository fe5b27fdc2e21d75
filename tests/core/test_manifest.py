import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eden_core.errors import ConfigurationError
from eden_core.manifest import check_plugins, store_plugin

ARROW = '{"store": "arrow-shards", "index": "arrow", "splits": {}, "plan": ""}'


def test_the_store_of_a_folder_is_that_of_its_manifest_or_import(tmp_path):
    assert store_plugin(tmp_path) == "sqlite-shards"
    pq.write_table(pa.table({"settings": ['{"store": "text-files"}']}), tmp_path / "sources.parquet")
    assert store_plugin(tmp_path) == "text-files"
    (tmp_path / "eden.json").write_text(ARROW)
    assert store_plugin(tmp_path) == "arrow-shards"


def test_store_and_index_that_are_not_those_of_a_folder_are_named_together(tmp_path):
    (tmp_path / "eden.json").write_text(ARROW)
    with pytest.raises(ConfigurationError, match="leave them out, or give store='arrow-shards', index='arrow'"):
        check_plugins(tmp_path, store="sqlite-shards", index="sqlite")
    check_plugins(tmp_path, store=None, index="arrow")
