"""An executor of one thread: as the local one, without the time that processes take to start."""

from concurrent.futures import ThreadPoolExecutor

from eden_core.interfaces import ExecutorFactory


class InThread(ExecutorFactory):
    name = "in-thread"
    workers = 1

    def opened(self):
        return ThreadPoolExecutor(1)
