"""Executor "dask": a Dask cluster, one that runs already or one of this machine."""

from eden_core.hookspecs import hookimpl
from eden_core.interfaces import ExecutorFactory

EDEN_INTERFACE = 1


@hookimpl
def eden_executors() -> list[type[ExecutorFactory]]:
    """Offer the executor of this plugin."""
    from eden_dask.executor import DaskExecutor

    return [DaskExecutor]
