"""The contract of transforms, as tests to inherit."""

from eden_core.testing.transforms.binding import BindingTests
from eden_core.testing.transforms.purity import PurityTests
from eden_core.testing.transforms.results import ResultTests


class TransformTests(BindingTests, ResultTests, PurityTests):
    """What every transform must do. Inherit, name it `Test…`, write `make_transform`; override fixtures, never checks."""
