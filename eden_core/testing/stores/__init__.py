"""The contract of stores, as tests to inherit."""

from eden_core.testing.stores.reads import ReadTests
from eden_core.testing.stores.shards import ShardTests
from eden_core.testing.stores.writes import WriteTests


class SequenceStoreTests(ReadTests, ShardTests, WriteTests):
    """What every store must do. Inherit, name the class `Test…`, write `make_store`; override fixtures, never checks."""
