import numpy as np
import torch

from eden_core.memory import Recycler


def test_released_memory_is_used_again():
    recycler = Recycler()
    address = recycler.empty((4,), np.int64).ctypes.data
    assert recycler.empty((4,), np.int64).ctypes.data == address


def test_memory_behind_a_view_is_not():
    recycler = Recycler()
    view = recycler.empty((4,), np.int64)[1:]
    assert not np.shares_memory(view, recycler.empty((4,), np.int64))


def test_memory_behind_a_tensor_is_not():
    recycler = Recycler()
    tensor = torch.from_numpy(recycler.empty((4,), np.int64))[2:]
    assert not np.shares_memory(tensor.numpy(), recycler.empty((4,), np.int64))


def test_another_shape_or_dtype_is_another_array():
    recycler = Recycler()
    recycler.empty((4,), np.int64)
    assert recycler.empty((2,), np.int64).shape == (2,)
    assert recycler.empty((4,), np.float32).dtype == np.float32


def test_what_is_kept_is_bounded():
    recycler = Recycler(keep=2)
    held = [recycler.empty((4,), np.int64) for _ in range(5)]
    assert len({array.ctypes.data for array in held}) == 5
    assert len(recycler._arrays) == 2
