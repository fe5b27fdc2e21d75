import pytest

from eden_core.benching.limits import disturbed, limit_of
from eden_core.benching.results import Setting


def setting(workers, rate, *, trainer=0.5, delay=0.0, worker=0.5, waited=0.9):
    process = {"cpu": trainer, "delay": delay}
    one = {
        "rows": rate,
        "seconds": 1.0,
        "waited": waited,
        "trainer": process,
        "workers": [{"cpu": worker, "delay": 0}] * workers,
    }
    return Setting(workers, "warm", [one])


CASES = [
    ([setting(0, 100, trainer=1), setting(1, 90)], 2, "no workers give 100 rows/s, and more do not help: the trainer process"),
    ([setting(1, 97, trainer=0.92), setting(2, 100)], 9, "1 worker gives 97 rows/s, and more do not help: the"),
    (
        [setting(1, 50), setting(2, 100, trainer=0.7, worker=0.6)],
        2,
        "the most that were tried: the processes take 1.9 of the 2 cores",
    ),
    ([setting(1, 50), setting(2, 100, worker=0.97)], 8, "a worker takes up to 97% of a core"),
    ([setting(1, 50), setting(2, 100, trainer=0.1, worker=0.1)], 8, "wait for the file system"),
    ([setting(1, 50, trainer=0.5, delay=0.4)], 2, "takes 50% of a core, and could use 40% more"),
]


@pytest.mark.parametrize(("settings", "cores", "said"), CASES)
def test_what_limits_is_told(settings, cores, said):
    assert said in limit_of(settings, 0, cores)


def test_the_fewest_workers_that_keep_up_with_steps_are_named():
    found = [setting(0, 10, waited=0.5), setting(1, 10, waited=0.009), setting(2, 10, waited=0.001)]
    assert limit_of(found, 50, 2) == "1 worker keeps up with steps of 50 ms: 0.90% of the time is waiting"
    assert "no setting keeps up with steps of 50 ms; with no workers, 50% of" in limit_of(found[:1], 50, 2)


def test_a_busy_machine_is_noticed():
    assert disturbed([setting(0, 1, delay=0.3), setting(8, 1, delay=0)])
    assert not disturbed([setting(0, 1, delay=0), setting(8, 1, delay=0.5)])
