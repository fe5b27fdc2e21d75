import subprocess
import sys

import pytest


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_core_is_light():
    loaded = modules_after("import eden_core")
    assert not loaded & {"torch", "lightning", "polars", "transformers", "tokenizers", "megatron"}


@pytest.mark.parametrize(
    "plugin", ["eden_access_log", "eden_control_tags", "eden_fasta", "eden_reverse_complement", "eden_sqlite"]
)
def test_plugin_modules_import_neither_polars_nor_torch(plugin):
    assert not modules_after(f"import {plugin}") & {"polars", "torch", "lightning"}


def test_listing_plugins_stays_light():
    loaded = modules_after("from eden_core import installed_plugins; installed_plugins().entries()")
    assert not loaded & {"torch", "lightning", "polars"}


def test_every_public_name_exists():
    import eden_core

    assert all(getattr(eden_core, name) is not None for name in eden_core.__all__)


def test_an_unknown_name_is_an_attribute_error():
    import eden_core

    with pytest.raises(AttributeError, match="no_such_name"):
        eden_core.no_such_name  # noqa: B018
