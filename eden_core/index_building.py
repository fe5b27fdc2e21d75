"""What an index plugin needs to build from contigs: their order checked, their windows counted, their digests taken."""

from eden_core.contigs import OrderCheck
from eden_core.cutting import Cut
from eden_core.digests import ContigDigests

__all__ = ["ContigDigests", "Cut", "OrderCheck"]
