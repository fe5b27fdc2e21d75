"""Contract suites: what every store, index, transform, objective and executor must do, as tests to inherit.

    from eden_core.testing import SequenceStoreTests

    class TestMyStore(SequenceStoreTests):
        def make_store(self, location, sequences):
            write_my_format(location, sequences)
            return MyStore(str(location))

Each suite asks for one method and takes its data from fixtures, which may be overridden. Its checks may not: one that
the plugin cannot pass is redefined with `pytest.mark.xfail(reason="…")`, so that the gap stays in sight. What is optional
is checked where the plugin has it; `capabilities = ("contigs", "writes")` says once, for good, what it has. Failures begin
with the clause that was broken, such as `store.rows-are-slices`; docs/contracts.md lists them. Needs the extra `testing`.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"eden_core.testing.{module}"
        for module in (
            "suite",
            "options",
            "processes",
            "lifecycle",
            "stores",
            "indexes",
            "objectives",
            "transforms",
            "executors",
        )
    )
)

from eden_core.testing.executors import ExecutorTests  # noqa: E402 - the modules must be registered before they load
from eden_core.testing.indexes import WindowIndexTests  # noqa: E402
from eden_core.testing.objectives import ObjectiveTests  # noqa: E402
from eden_core.testing.stores import SequenceStoreTests  # noqa: E402
from eden_core.testing.transforms import TransformTests  # noqa: E402

__all__ = ["ExecutorTests", "ObjectiveTests", "SequenceStoreTests", "TransformTests", "WindowIndexTests"]
