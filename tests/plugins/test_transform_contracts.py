"""The bundled transforms keep the contract."""

from eden_control_tags import ControlTags
from eden_core import Transform
from eden_core.testing import TransformTests
from eden_reverse_complement import ReverseComplement


class TestReverseComplement(TransformTests):
    capabilities = ("augments",)

    def make_transform(self) -> Transform:
        return ReverseComplement(probability=0.5)


class TestControlTags(TransformTests):
    capabilities = ("prefixes",)

    def make_transform(self) -> Transform:
        return ControlTags()
