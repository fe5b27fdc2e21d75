from types import SimpleNamespace

import pytest
import ranks

from eden_core import errors
from eden_core.parallel import FirstBatch, compare_ranks, data_parallel_rank


def test_a_single_process_is_rank_0_of_1():
    assert data_parallel_rank("auto") == (0, 1)


def test_a_pair_is_taken_as_it_is():
    assert data_parallel_rank((2, 4)) == (2, 4)


def test_a_list_from_yaml_is_a_pair():
    assert data_parallel_rank([1, 2]) == (1, 2)


def test_a_strategy_may_know_better():
    strategy = SimpleNamespace(distributed_sampler_kwargs={"num_replicas": 3, "rank": 1})
    assert data_parallel_rank("auto", strategy) == (1, 3)
    assert data_parallel_rank("auto", object()) == (0, 1)


@pytest.mark.parametrize("setting", ["ddp", (1,), (0, "2"), 3])
def test_anything_else(setting):
    with pytest.raises(errors.ConfigurationError, match="expected 'auto', a pair"):
        data_parallel_rank(setting)


def test_a_rank_beyond_the_size():
    with pytest.raises(errors.ConfigurationError, match="from 0 to size - 1"):
        data_parallel_rank((4, 4))


def test_a_process_alone_has_nothing_to_compare():
    compare_ranks(FirstBatch(0, 1, "a", "d", "p"))


@pytest.fixture(scope="module")
def told():
    """What four ranks are told when they say these things of their first batches."""
    cases = {
        "right": [[0, 2, "a", "d", "p"], [0, 2, "a", "d", "p"], [1, 2, "b", "d", "p"], [1, 2, "b", "d", "p"]],
        "only repeats": [[0, 4, "a", "d", "p"], [1, 4, "b", "d", "p"], [2, 4, "", "d", "p"], [3, 4, "", "d", "p"]],
        "peers differ": [[0, 2, "a", "d", "p"], [0, 2, "x", "d", "p"], [1, 2, "b", "d", "p"], [1, 2, "b", "d", "p"]],
        "ranks agree": [[0, 2, "a", "d", "p"], [0, 2, "a", "d", "p"], [1, 2, "a", "d", "p"], [1, 2, "a", "d", "p"]],
        "rank missing": [[0, 2, "a", "d", "p"]] * 4,
        "sizes differ": [[0, 2, "a", "d", "p"], [1, 2, "b", "d", "p"], [0, 1, "c", "d", "p"], [0, 1, "c", "d", "p"]],
        "plans differ": [[0, 2, "a", "d", "p"], [0, 2, "a", "d", "p"], [1, 2, "b", "d", "q"], [1, 2, "b", "d", "p"]],
        "data differ": [[0, 2, "a", "d", "p"], [0, 2, "a", "e", "p"], [1, 2, "b", "d", "p"], [1, 2, "b", "d", "p"]],
    }
    return ranks.run("jobs.comparing:first_batches", 4, cases=cases)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("peers differ", r"processes \[0, 1\] of data-parallel rank 0 read different batches"),
        ("ranks agree", r"data-parallel ranks \[0, 1\] read the same rows"),
        ("rank missing", r"of 2 data-parallel ranks only \[0\] are there"),
        ("sizes differ", "do not agree on the data-parallel ranks"),
        ("plans differ", r"begin at different rows, or with other batch sizes, limits or rows left out \(p; q\)"),
        ("data differ", "different data, seeds or transforms:\n  changes the order: fingerprint was d, is e"),
    ],
)
def test_ranks_that_do_not_fit_together_all_stop_with_the_same_error(told, case, message):
    assert len({answers[case] for answers in told}) == 1
    with pytest.raises(RuntimeError, match=f"(?s)RankMismatchError: .*{message}"):
        raise RuntimeError(told[0][case])


@pytest.mark.parametrize("case", ["right", "only repeats"])
def test_ranks_that_fit_together_go_on(told, case):
    assert {answers[case] for answers in told} == {""}


def test_a_device_mesh_says_the_rank():
    found = ranks.run("jobs.comparing:settings", 4)
    assert [f["auto"] for f in found] == [[0, 4], [1, 4], [2, 4], [3, 4]]
    assert [f["mesh"] for f in found] == [[0, 2], [0, 2], [1, 2], [1, 2]]
    assert [f["dimension"] for f in found] == [[0, 2], [1, 2], [0, 2], [1, 2]]
    assert [f["one dimension"] for f in found] == [[0, 4], [1, 4], [2, 4], [3, 4]]
    assert "none of which is named data_parallel, dp, data" in found[0]["unnamed"]


def test_a_loader_compares_its_first_training_batch(small):
    found = ranks.run("jobs.comparing:loaders", 2, options=small.options)
    assert all(f["right"] == f["each is alone"] == f["validation"] == "" for f in found)
    assert all("only [0] are there" in f["both are rank 0"] for f in found)
    assert all("changes the order: seed was 0, is 1" in f["other seeds"] for f in found)
    assert all("rows left out" in f["other rows skipped"] and "rows left out" in f["other epochs"] for f in found)
