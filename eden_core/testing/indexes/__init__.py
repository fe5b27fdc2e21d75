"""The contract of indexes, as tests to inherit."""

from eden_core.testing.indexes.builds import BuildTests
from eden_core.testing.indexes.intervals import IntervalTests
from eden_core.testing.indexes.lookups import LookupTests


class WindowIndexTests(LookupTests, BuildTests, IntervalTests):
    """What every index must do. Inherit, name the class `Test…`, write `make_index`; override fixtures, never checks."""
