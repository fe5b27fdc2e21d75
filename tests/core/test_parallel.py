import pytest

from eden_core import errors
from eden_core.parallel import data_parallel_rank


def test_a_single_process_is_rank_0_of_1():
    assert data_parallel_rank("auto") == (0, 1)


def test_a_pair_is_taken_as_it_is():
    assert data_parallel_rank((2, 4)) == (2, 4)


def test_a_list_from_yaml_is_a_pair():
    assert data_parallel_rank([1, 2]) == (1, 2)


@pytest.mark.parametrize("setting", ["ddp", (1,), (0, "2")])
def test_anything_else(setting):
    with pytest.raises(errors.ConfigurationError, match="expected 'auto', a pair"):
        data_parallel_rank(setting)


def test_a_rank_beyond_the_size():
    with pytest.raises(errors.ConfigurationError, match="from 0 to size - 1"):
        data_parallel_rank((4, 4))
