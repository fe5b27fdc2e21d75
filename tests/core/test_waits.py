import logging

import pytest

from eden_core.waits import WaitMeter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def run(meter: WaitMeter, clock: Clock, batches: int, waited: float, worked: float) -> None:
    meter.start()
    for _ in range(batches):
        clock.now += waited
        meter.given()
        clock.now += worked
        meter.asked()


@pytest.fixture
def told(caplog):
    def of(*, workers=2, batches=1000, waited=0.0, worked=0.1) -> list[str]:
        clock = Clock()
        meter = WaitMeter(workers, clock)
        run(meter, clock, batches, waited, worked)
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    return of


def test_a_loop_that_waits_is_told_once_by_how_much_and_what_would_do(told):
    (text,) = told(waited=0.3, worked=0.1)
    assert "waited for data 75 % of the time over the last 200 batches (300.0 of 400.0 ms a batch)" in text
    assert "num_workers=10 (now 2) would keep up" in text


@pytest.mark.parametrize(
    "loop",
    [
        {"waited": 0.01},
        {"waited": 0.3, "batches": 150},
        {"waited": 0.01, "worked": 0.01},
        {"waited": 0.3, "worked": 0.0005},
        {"waited": 0.3, "workers": 0},
    ],
    ids=["little", "few batches", "not long", "a benchmark", "no workers"],
)
def test_nothing_is_said_where_there_is_nothing_to_say(told, loop):
    assert told(**{"batches": 900} | loop) == []


def test_the_first_batch_of_a_pass_does_not_count(caplog):
    clock = Clock()
    meter = WaitMeter(2, clock)
    for _ in range(50):
        clock.now += 10
        run(meter, clock, 10, waited=0.0, worked=0.1)
        run(meter, clock, 1, waited=5.0, worked=0.1)
    assert not caplog.records


def test_waits_are_looked_at_over_the_last_batches(caplog):
    clock = Clock()
    meter = WaitMeter(2, clock)
    run(meter, clock, 10_000, waited=0.0, worked=0.1)
    run(meter, clock, 1000, waited=0.1, worked=0.1)
    assert len(caplog.records) == 1
