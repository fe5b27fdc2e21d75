"""Transforms and a tokenizer that tests send to workers; a module of its own, so that those need not import torch for it."""

import os
import time

from eden_core import Transform


class Triplets:
    """Three letters or fewer make a token, so it has to be called for each row."""

    pad_id = 0

    def text_to_ids(self, text):
        return [sum(map(ord, text[i : i + 3])) for i in range(0, len(text), 3)]


class Slow(Transform):
    name = "slow"

    def __init__(self, seconds):
        self.seconds = seconds

    def apply(self, batch, draws):
        time.sleep(self.seconds)
        return batch


class UnpicklableError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Failing(Transform):
    name = "failing"

    def __init__(self, how):
        self.how = how

    def apply(self, batch, draws):
        if self.how == "exit":
            os._exit(3)
        raise UnpicklableError(1, 2) if self.how == "unpicklable" else ConnectionResetError("the transform's own")


class Broken(Transform):
    name = "broken"

    def apply(self, batch, draws):
        return batch

    def __reduce__(self):
        return int, ("cannot be unpickled",)
