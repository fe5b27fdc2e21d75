"""The smallest right implementations pass every check."""

from in_memory import JsonIndexTests, MemoryStoreTests, TrimTests


class TestMemoryStore(MemoryStoreTests): ...


class TestJsonIndex(JsonIndexTests): ...


class TestTrim(TrimTests): ...
