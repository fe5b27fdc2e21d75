from dataclasses import dataclass, field

from eden_core.reporting.accesses import Facts
from eden_core.reporting.sessions import placed


@dataclass
class Log:
    name: str
    span: tuple[int, int] | None
    rank: int = 0
    data_parallel_rank: int = 0
    split: str = "train"
    steps: tuple[int, int] | None = None
    facts: Facts = field(default_factory=Facts)


def test_a_session_begins_where_all_before_have_ended():
    logs = [
        Log("late", (50, 60)),
        Log("first", (0, 20)),
        Log("worker", (10, 40)),
        Log("validation", (38, 45), split="validation"),
    ]
    assert [(one.record.name, one.session) for one in placed(logs)] == [
        ("first", 0),
        ("worker", 0),
        ("validation", 0),
        ("late", 1),
    ]


def test_peers_are_ranks_of_one_data_parallel_rank_at_one_time():
    logs = [Log("a", (0, 9), 0, 0), Log("b", (0, 9), 1, 0), Log("c", (1, 9), 2, 1), Log("later", (20, 29), 1, 0)]
    assert {one.record.name: one.peer_of for one in placed(logs)} == {"a": None, "b": 0, "c": None, "later": None}


def test_ranks_of_runs_that_read_other_data_are_no_peers():
    logs = [Log("a", (0, 9), 0, 0), Log("b", (0, 9), 1, 0, facts=Facts(seed=2))]
    assert [one.peer_of for one in placed(logs)] == [None, None]


def test_starts_in_a_ledger_are_sessions():
    assert [one.session for one in placed([Log("a", None, steps=(0, 4)), Log("b", None, steps=(5, 9))])] == [0, 1]
