"""The smallest right implementations pass every check."""

from in_memory import JsonIndexTests, MemoryStore, MemoryStoreTests, TrimTests


class TestMemoryStore(MemoryStoreTests): ...


class ThreadedStore(MemoryStore):
    max_read_threads = 4


class TestThreadedStore(MemoryStoreTests):
    store_class = ThreadedStore


class TestJsonIndex(JsonIndexTests): ...


class TestTrim(TrimTests): ...
