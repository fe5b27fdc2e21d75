"""Executor "dask"."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from eden_core.errors import ConfigurationError, ExecutorError
from eden_core.interfaces import ExecutorFactory

_MOST_TASKS = 1_000
_SECONDS = 20


class DaskExecutor(ExecutorFactory):
    """Runs tasks on a Dask cluster; what was begun on a worker that is lost runs again on another.

    Workers need Eden installed, and the same files at the same paths.

    Args:
        scheduler: address of a scheduler, such as `tcp://node1:8786`; None: a cluster is started on this machine.
        workers: processes of the cluster that is started; None: one for each core that this process may use.
    """

    name: ClassVar[str] = "dask"

    def __init__(self, *, scheduler: str | None = None, workers: int | None = None) -> None:
        if scheduler is not None and workers is not None:
            raise ConfigurationError(
                "a Dask cluster that runs already has its workers: give --scheduler or --workers, not both"
            )
        if workers is not None and workers < 1:
            raise ConfigurationError(f"executor 'dask' cannot run with {workers} workers; give 1 or more")
        self.scheduler = scheduler
        self._workers = workers or len(os.sched_getaffinity(0))

    @property
    def workers(self) -> int:
        """Processes of a cluster of this machine; for another, which may grow while tasks wait, many."""
        return self._workers if self.scheduler is None else _MOST_TASKS

    def is_loss(self, error: BaseException) -> bool:
        """Return whether workers or scheduler were lost."""
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        return super().is_loss(error) or isinstance(error, KilledWorker | NoValidWorkerError | CommClosedError)

    @contextmanager
    def opened(self) -> Iterator[Executor]:
        """Connect, and disconnect when the block ends; a cluster that was started here ends then."""
        try:
            import distributed
        except ImportError as error:
            raise ExecutorError(f"executor 'dask' needs Dask ({error}): pip install 'eden-core[dask]'") from error
        with ExitStack() as stack:
            address: Any = self.scheduler
            if address is None:
                address = stack.enter_context(
                    distributed.LocalCluster(  # type: ignore[no-untyped-call]
                        n_workers=self._workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
                    )
                )
            try:
                client = stack.enter_context(distributed.Client(address, timeout=_SECONDS, set_as_default=False))  # type: ignore[no-untyped-call]
                client.wait_for_workers(1, timeout=_SECONDS)
            except (OSError, TimeoutError, ValueError) as error:
                where = self.scheduler or "of this machine"
                raise ExecutorError(
                    f"the Dask cluster {where} cannot be used: {error}. Is a scheduler running there (dask scheduler), with "
                    "workers (dask worker), of the same versions?"
                ) from error
            yield client.get_executor()
