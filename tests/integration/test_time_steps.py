"""Somebody sets the clock of the machine while tasks of every trigger run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from core.run import Cause, RunState

if TYPE_CHECKING:
    from manager.testing import Lab

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PATIENCE = timedelta(seconds=2)
SIZES = {
    "second": timedelta(seconds=1),
    "seconds": timedelta(seconds=5),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}


class Watch:
    """Three tasks that are due each minute, hour and day, and one date; notes when each ran.

    Attributes:
        calls: By task, the time that had passed when it was called, whatever the clock showed.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.calls: dict[str, list[timedelta]] = {}
        self.add("beat", "interval", {"minutes": 1})
        self.add("cron", "cron", {"expression": "* * * * *"})
        self.add("daily", "cron", {"hour": 12, "minute": 30})
        self.add("date", "date", {"run_date": "2026-01-01 12:31:00"})

    def add(self, name: str, trigger: str, arguments: dict[str, object]) -> None:
        calls = self.calls[name] = []

        def work() -> None:
            calls.append(self.lab.clock.elapsed)

        self.lab.define(name, work, trigger, arguments)

    def longest_pause(self, name: str) -> timedelta:
        return max(after - before for before, after in pairwise(self.calls[name]))

    def assert_no_double(self) -> None:
        """No occurrence, and so no local time, has two runs; each run is one call."""
        for name, calls in self.calls.items():
            ran = [run for run in self.lab.runs(name) if run.state is RunState.COMPLETED]
            assert len({run.scheduled_for for run in ran}) == len(ran) == len(calls), name
        for name in ("cron", "daily"):
            started = [run.started_at for run in self.lab.runs(name) if run.attempt]
            shown = [f"{each:%Y-%m-%d %H:%M}" for each in started if each is not None]
            assert len(set(shown)) == len(shown), name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "at", ["2026-01-01 12:20:30", "2026-01-01 12:31:30", "2026-01-01 13:20:00"]
)
def test_a_clock_that_is_set_back_makes_no_double_and_stalls_no_interval(
    lab: Lab, size: str, at: str
) -> None:
    """The interval keeps its pace in real time; local times that come again start nothing."""
    watch, step = Watch(lab), SIZES[size]
    lab.advance(at)
    lab.clock.step(-step)
    lab.advance(step + timedelta(hours=1))
    watch.assert_no_double()
    assert watch.longest_pause("beat") <= MINUTE + PATIENCE
    assert watch.longest_pause("cron") <= MINUTE + step
    assert len(watch.calls["date"]) == 1
    days = (lab.now - START + timedelta(hours=11, minutes=30)) // timedelta(days=1)
    assert len(watch.calls["daily"]) == days


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("at", ["2026-01-01 12:20:30", "2026-01-01 12:31:30"])
def test_a_clock_that_is_set_ahead_leaves_the_rest_to_catch_up(
    lab: Lab, size: str, at: str
) -> None:
    """So does a machine that wakes up: one run for what was passed over, the rest is counted."""
    watch, step = Watch(lab), SIZES[size]
    lab.advance(at)
    before = len(lab.runs("beat"))
    lab.clock.step(step)
    lab.advance("20 min")
    watch.assert_no_double()
    assert watch.longest_pause("beat") <= MINUTE + PATIENCE
    assert watch.longest_pause("cron") <= MINUTE + PATIENCE
    assert len(watch.calls["date"]) == 1
    passed = sum(run.occurrences for run in lab.runs("beat")[before:])
    assert passed == (timedelta(seconds=30) + step + timedelta(minutes=20)) // MINUTE
    late = [run for run in lab.runs("beat") if run.cause is Cause.CATCH_UP]
    assert len(late) == (step > MINUTE)


def test_an_interval_keeps_its_very_instants_in_real_time(lab: Lab) -> None:
    """Set back by an hour, a day and five seconds, each call comes 60 seconds after the last."""
    watch = Watch(lab)
    for step in (timedelta(hours=1), timedelta(days=1), timedelta(seconds=5)):
        lab.advance("10 min 20 s")
        lab.clock.step(-step)
    lab.advance("2 h")
    pauses = {after - before for before, after in pairwise(watch.calls["beat"])}
    assert all(abs(pause - MINUTE) < timedelta(milliseconds=1) for pause in pauses)
    watch.assert_no_double()


def test_several_nodes_move_an_interval_once(lab: Lab) -> None:
    """Each of them notices the step; the first moves the anchor, and the pace is kept."""
    watch = Watch(lab)
    lab.second_node()
    lab.advance("10 min 20 s")
    lab.clock.step(-timedelta(hours=1))
    lab.advance("10 min")
    watch.assert_no_double()
    assert len(watch.calls["beat"]) == 20
    assert watch.longest_pause("beat") <= MINUTE + timedelta(milliseconds=1)


def test_seconds_back_and_forth_add_up_to_nothing(lab: Lab) -> None:
    """A clock that is corrected by a second again and again stalls nothing for longer."""
    watch = Watch(lab)
    lab.advance("10 min 20 s")
    for number in range(60):
        lab.clock.step(timedelta(seconds=1 if number % 2 else -1))
        lab.advance("20 s")
    for _ in range(60):
        lab.clock.step(-timedelta(seconds=1))
        lab.advance("100 ms")
    lab.advance("10 min")
    watch.assert_no_double()
    assert watch.longest_pause("beat") <= MINUTE + PATIENCE


def test_a_step_back_is_told_and_outlives_the_process(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """The moved instants are in the ledger: the next process goes on with them."""
    watch = Watch(lab)
    lab.advance("10 min 20 s")
    lab.clock.step(-timedelta(hours=1))
    lab.advance("30 s")
    assert "the clock was set back by 3600.000 s: intervals keep their pace" in caplog.text
    lab.crash()
    lab.restart()
    lab.advance("5 min")
    assert watch.longest_pause("beat") <= MINUTE + timedelta(milliseconds=1)
    assert len(watch.calls["beat"]) == 15


def test_a_retry_waits_as_long_as_before_when_the_clock_is_set_back(lab: Lab) -> None:
    """Its pause is a span, not a time of day."""
    calls: list[timedelta] = []

    def fails() -> None:
        calls.append(lab.clock.elapsed)
        raise OSError

    retry = {"backoff": "fixed", "delay": 60, "jitter": False}
    lab.define("t", fails, "interval", {"hours": 1}, max_retries=1, retry=retry)
    lab.advance("1 h 10 s")
    lab.clock.step(-timedelta(days=1))
    lab.advance("2 min")
    assert [call - timedelta(hours=1) for call in calls] == [timedelta(0), MINUTE]


def test_what_waits_for_an_earlier_run_starts_when_that_has_ended(lab: Lab) -> None:
    """A queued run was due before the clock was set back, and stays so."""
    lab.define("t", trigger="interval", trigger_args={"minutes": 1}, overlap="queue")
    lab.takes("t", "80 s", "1 s")
    lab.advance("2 min 5 s")
    lab.clock.step(-timedelta(hours=1))
    lab.advance("20 s")
    lab.assert_ran("t", times=2, state=RunState.COMPLETED)


def test_a_machine_that_sleeps_in_a_run_goes_on_with_it(lab: Lab) -> None:
    """The run has its time; what was slept through is made up once, on waking."""

    async def work() -> None:
        await asyncio.sleep(30)

    lab.define("t", work, "interval", {"hours": 1})
    lab.advance("1 h 10 s")
    lab.clock.step(timedelta(hours=8))
    lab.advance("1 min")
    first, *others = lab.runs("t")
    assert (first.state, first.attempt) == (RunState.COMPLETED, 1)
    rows = [(run.state, run.cause, run.occurrences) for run in others]
    assert rows == [
        (RunState.MISSED, Cause.SCHEDULE, 7),
        (RunState.SKIPPED, Cause.CATCH_UP, 1),
    ]
