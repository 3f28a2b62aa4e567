"""The engine by hand-driven time: what fires, what is made up, what is dropped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.policy import CatchUp, Overlap, OverlapPolicy
from core.records import Outcome
from core.run import Cause, Reason, RunState
from tests.engine_tools import ALLOW, HOUR, QUEUE, REPLACE, SECOND, START, Lab, task

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = timedelta(minutes=1)


@pytest.fixture
def lab(shared_url: str) -> Iterator[Lab]:
    """Give a lab with a ledger in memory or on PostgreSQL."""
    built = Lab(shared_url)
    yield built
    built.close()


def test_an_interval_fires_at_its_anchored_instants(lab: Lab) -> None:
    """Each hour from the first registration on is one run for that very instant."""
    lab.start(task("report"))
    lab.play(30 * MINUTE)
    assert lab.runs("report") == []
    for _ in range(3):
        lab.play(HOUR)
    runs = lab.runs("report")
    assert [run.scheduled_for for run in runs] == [START + n * HOUR for n in (1, 2, 3)]
    assert {run.state for run in runs} == {RunState.COMPLETED}


def test_a_tick_that_is_a_second_late_is_on_time(lab: Lab) -> None:
    """Noticed within two seconds, the run is the schedule's and no catch-up."""
    lab.start(task("report"))
    lab.play(HOUR + SECOND)
    assert [(run.cause, run.state) for run in lab.runs("report")] == [
        (Cause.SCHEDULE, RunState.COMPLETED)
    ]


@pytest.mark.parametrize("down", [True, False], ids=["restarted", "stalled"])
def test_catch_up_latest_makes_up_the_last_and_counts_the_others(lab: Lab, *, down: bool) -> None:
    """Five and a half hours away: one run for the fifth hour, one MISSED row for four."""
    lab.start(task("report"))
    if down:
        lab.restart(5.5 * HOUR)
        lab.play()
    else:
        lab.play(5.5 * HOUR)
    missed, run = lab.runs("report")
    assert (missed.state, missed.reason, missed.occurrences) == (RunState.MISSED, Reason.LATE, 4)
    assert missed.scheduled_for == START + 4 * HOUR
    assert (run.state, run.cause) == (RunState.COMPLETED, Cause.CATCH_UP)
    assert run.scheduled_for == START + 5 * HOUR
    assert lab.task("report").next_run == START + 6 * HOUR


def test_catch_up_none_makes_up_nothing(lab: Lab) -> None:
    """Everything that passed is in one MISSED row with its count."""
    lab.start(task("report", catch_up=CatchUp.NONE))
    lab.restart(5.5 * HOUR)
    lab.play()
    (missed,) = lab.runs("report")
    assert (missed.state, missed.occurrences) == (RunState.MISSED, 5)
    assert missed.scheduled_for == START + 5 * HOUR


def test_catch_up_all_runs_everything_one_after_another(lab: Lab) -> None:
    """Five occurrences are five runs in order, never two at once."""
    lab.start(task("report", catch_up=CatchUp.ALL))
    lab.restart(5.5 * HOUR)
    assert [run.state for run in lab.runs("report")].count(RunState.RUNNING) == 1
    lab.play()
    runs = lab.runs("report")
    assert [run.scheduled_for for run in runs] == [START + n * HOUR for n in range(1, 6)]
    assert {run.state for run in runs} == {RunState.COMPLETED}
    started = [run.started_at for run in runs]
    assert all(started)


def test_what_is_older_than_a_day_is_not_made_up(lab: Lab) -> None:
    """A weekly task that was due two days ago is MISSED."""
    lab.start(task("weekly", trigger_args={"days": 7}))
    lab.restart(timedelta(days=9))
    lab.play()
    assert [(run.state, run.occurrences) for run in lab.runs("weekly")] == [(RunState.MISSED, 1)]


def test_a_grace_drops_what_is_noticed_later_than_it(lab: Lab) -> None:
    """With a grace of a minute, half an hour late is too late."""
    lab.start(task("report", misfire_grace_time=MINUTE))
    lab.restart(1.5 * HOUR)
    lab.play()
    assert lab.states("report") == [RunState.MISSED]


def test_a_full_pool_delays_and_drops_nothing(lab: Lab) -> None:
    """Runs that wait for a worker are never MISSED, however long they wait."""
    lab.threads.size = 1
    lab.start(task("a"), task("b"))
    lab.sleep(HOUR)
    lab.sleep(30 * MINUTE)
    assert sorted(lab.states("a") + lab.states("b")) == [RunState.PENDING, RunState.RUNNING]
    lab.play()
    assert lab.states("a") == lab.states("b") == [RunState.COMPLETED]


def test_a_date_fires_once_and_the_task_is_finished(lab: Lab) -> None:
    """After its one occurrence the task is kept and has no next run."""
    when = (START + HOUR).isoformat()
    lab.start(task("once", trigger="date", trigger_args={"run_date": when}))
    lab.play(HOUR)
    lab.play(HOUR)
    assert lab.states("once") == [RunState.COMPLETED]
    assert lab.task("once").status == "finished"


def test_a_date_that_had_passed_becomes_one_missed_run(lab: Lab) -> None:
    """The task is finished; plugins hear of it once, and a restart adds nothing."""
    when = (START - HOUR).isoformat()
    lab.start(task("once", trigger="date", trigger_args={"run_date": when}))
    assert [(run.state, run.reason) for run in lab.runs("once")] == [(RunState.MISSED, Reason.PAST)]
    assert lab.ears.heard == [("dropped", "once", RunState.MISSED)]
    lab.restart()
    assert len(lab.runs("once")) == 1
    assert lab.task("once").status == "finished"


def test_a_passed_date_is_told_though_the_first_process_died_before_it_did(lab: Lab) -> None:
    """It had bound the task and written nothing of its date; the next start does, and once."""
    past = task("once", trigger="date", trigger_args={"run_date": "2025-01-01T00:00:00Z"})
    lab.ledger.bind([(past, None)], "elsewhere", START - HOUR)
    lab.start(past)
    assert [(run.state, run.reason) for run in lab.runs("once")] == [(RunState.MISSED, Reason.PAST)]
    lab.restart()
    assert len(lab.runs("once")) == 1


def test_a_date_that_passed_during_down_time_is_caught_up(lab: Lab) -> None:
    """The policy of down time decides, and by default the run is made up."""
    when = (START + HOUR).isoformat()
    lab.start(task("once", trigger="date", trigger_args={"run_date": when}))
    lab.restart(2 * HOUR)
    lab.play()
    assert [(run.state, run.cause) for run in lab.runs("once")] == [
        (RunState.COMPLETED, Cause.CATCH_UP)
    ]


def test_a_daily_interval_runs_daily_in_a_process_that_restarts_hourly(lab: Lab) -> None:
    """The first registration is remembered: the third day begins with the second run."""
    lab.start(task("daily", trigger_args={"hours": 24}))
    for _ in range(50):
        lab.restart(HOUR)
        lab.play()
    runs = lab.runs("daily")
    assert [run.scheduled_for for run in runs] == [START + 24 * HOUR, START + 48 * HOUR]


def test_run_on_start_runs_once_at_each_start(lab: Lab) -> None:
    """A start is a run of its own, beside the schedule; a paused task has none."""
    lab.start(task("warm", run_on_start=True))
    lab.play()
    assert [run.cause for run in lab.runs("warm")] == [Cause.START]
    lab.pause("warm", paused=True)
    lab.restart()
    lab.play()
    assert len(lab.runs("warm")) == 1


def test_nothing_is_timed_while_background_jobs_are_off() -> None:
    """Occurrences do not fire, neither at the start nor later; a run by hand does."""
    lab = Lab(timed=False)
    lab.start(task("report", run_on_start=True))
    lab.play(5 * HOUR)
    assert lab.runs("report") == []
    lab.engine.request("report", Cause.MANUAL)
    lab.play()
    assert lab.states("report") == [RunState.COMPLETED]
    lab.close()


def test_skip_records_what_overlaps(lab: Lab) -> None:
    """While the first is busy the second occurrence is SKIPPED; plugins hear of it."""
    lab.start(task("report"))
    lab.sleep(HOUR)
    lab.sleep(HOUR)
    assert lab.states("report") == [RunState.RUNNING, RunState.SKIPPED]
    assert ("dropped", "report", RunState.SKIPPED) in lab.ears.heard
    assert lab.runs("report")[1].reason is Reason.OVERLAP


def test_queue_lets_the_second_wait_for_the_first(lab: Lab) -> None:
    """Never two at once, and none is lost."""
    lab.start(task("report", overlap=QUEUE))
    lab.sleep(HOUR)
    lab.sleep(HOUR)
    assert lab.states("report") == [RunState.RUNNING, RunState.PENDING]
    lab.play()
    assert lab.states("report") == [RunState.COMPLETED] * 2


def test_allow_lets_any_number_run_at_once(lab: Lab) -> None:
    """Three occurrences of a task that does not end are three running runs."""
    lab.start(task("report", overlap=ALLOW))
    for _ in range(3):
        lab.sleep(HOUR)
    assert lab.states("report") == [RunState.RUNNING] * 3


def test_a_bound_lets_so_many_run_at_once(lab: Lab) -> None:
    """Of four occurrences two run, and two are recorded as skipped."""
    lab.start(task("report", overlap=OverlapPolicy(Overlap.ALLOW, 2)))
    for _ in range(4):
        lab.sleep(HOUR)
    assert lab.states("report") == [RunState.RUNNING] * 2 + [RunState.SKIPPED] * 2
    assert {run.reason for run in lab.runs("report")[2:]} == {Reason.OVERLAP}
    lab.play()
    lab.sleep(HOUR)
    assert lab.states("report")[-1] is RunState.RUNNING


def test_a_bounded_queue_lets_so_many_wait(lab: Lab) -> None:
    """Of four occurrences one runs, one waits, and two are recorded as skipped."""
    lab.start(task("report", overlap=OverlapPolicy(Overlap.QUEUE, 1, waiting=1)))
    for _ in range(4):
        lab.sleep(HOUR)
    expected = [RunState.RUNNING, RunState.PENDING, RunState.SKIPPED, RunState.SKIPPED]
    assert lab.states("report") == expected
    lab.play()
    assert lab.states("report")[:2] == [RunState.COMPLETED] * 2


def test_replace_ends_the_first_and_starts_the_second(lab: Lab) -> None:
    """The first is CANCELLED because it was replaced; the second runs once it is gone."""

    async def work() -> None: ...

    lab.start(task("report", work, overlap=REPLACE))
    lab.sleep(HOUR)
    first = lab.runs("report")[0]
    lab.sleep(HOUR)
    lab.sleep(SECOND)
    assert lab.loop.interrupted == [first.id]
    lab.loop.end(Outcome(state=RunState.CANCELLED))
    lab.steps(2)
    assert [(run.state, run.reason) for run in lab.runs("report")] == [
        (RunState.CANCELLED, Reason.REPLACED),
        (RunState.RUNNING, None),
    ]


def test_a_missed_occurrence_replaces_nothing(lab: Lab) -> None:
    """A row that only tells what was dropped does not end the run that is busy."""
    lab.start(task("report", overlap=REPLACE, catch_up=CatchUp.NONE))
    lab.sleep(HOUR)
    lab.sleep(1.5 * HOUR)
    lab.sleep(SECOND)
    assert lab.states("report") == [RunState.RUNNING, RunState.MISSED]
    lab.play()
    assert lab.states("report") == [RunState.COMPLETED, RunState.MISSED]


def test_a_resumed_task_tells_what_its_pause_skipped(lab: Lab) -> None:
    """One SKIPPED row stands for the three hours, and the fourth runs."""
    lab.start(task("report"))
    lab.pause("report", paused=True)
    lab.play(3.5 * HOUR)
    assert lab.runs("report") == []
    lab.pause("report", paused=False)
    lab.play()
    (row,) = lab.runs("report")
    assert (row.state, row.reason, row.occurrences) == (RunState.SKIPPED, Reason.PAUSED, 3)
    assert lab.ears.heard == [("dropped", "report", RunState.SKIPPED)]
    lab.play(HOUR)
    assert lab.states("report") == [RunState.SKIPPED, RunState.COMPLETED]


def test_a_pause_outlives_restarts(lab: Lab) -> None:
    """Neither the restart nor the next occurrence starts a paused task."""
    lab.start(task("report"))
    lab.pause("report", paused=True)
    lab.restart(2 * HOUR)
    lab.play(HOUR)
    assert lab.runs("report") == []
    lab.pause("report", paused=False)
    assert [(run.state, run.occurrences) for run in lab.runs("report")] == [(RunState.SKIPPED, 3)]


def test_a_resume_that_the_database_refused_is_put_into_effect_later(lab: Lab) -> None:
    """What the pause skipped is still recorded, and nothing of it is run."""
    lab.start(task("report"))
    lab.pause("report", paused=True)
    lab.sleep(3.5 * HOUR)
    lab.ledger.amend(lambda catalogue: catalogue.pause("report", paused=False))
    lab.ledger.broken = {"transact"}
    lab.clock.advance(SECOND)
    with pytest.raises(Exception, match="the disk is full"):
        lab.steps()
    lab.ledger.broken = set()
    lab.sleep(SECOND)
    lab.play()
    assert [(run.state, run.occurrences) for run in lab.runs("report")] == [(RunState.SKIPPED, 3)]


def test_an_edit_of_the_schedule_fires_nothing_by_itself(lab: Lab) -> None:
    """From hourly to each minute: the next run is a minute boundary to come."""
    lab.start(task("report"))
    lab.sleep(30 * MINUTE + SECOND)
    lab.override("report", trigger_args={"minutes": 1})
    lab.play()
    assert lab.runs("report") == []
    assert lab.task("report").next_run == START + 31 * MINUTE
    lab.play(MINUTE)
    assert lab.states("report") == [RunState.COMPLETED]


def test_switching_a_task_on_fires_nothing_by_itself(lab: Lab) -> None:
    """What passed while it was disabled was not missed."""
    lab.start(task("report", enabled=False))
    lab.play(5.5 * HOUR)
    lab.override("report", enabled=True)
    lab.play()
    assert lab.runs("report") == []
    assert lab.task("report").next_run == START + 6 * HOUR


def test_a_definition_that_switches_a_task_on_fires_nothing_by_itself(lab: Lab) -> None:
    """The same, where the module says so at the next start."""
    lab.start(task("report", enabled=False))
    lab.registry.add(task("report", enabled=True), replace_existing=True)
    lab.restart(5.5 * HOUR)
    lab.play()
    assert lab.runs("report") == []


def test_two_nodes_fire_an_occurrence_once(lab: Lab) -> None:
    """The slower one is beaten, takes over the ledger's cursor and goes on."""
    lab.start(task("report"))
    other = Lab()
    other.ledger.close()
    other.ledger, other.clock, other.registry = lab.ledger, lab.clock, lab.registry
    other.crash()
    other.start()
    for _ in range(3):
        lab.clock.advance(HOUR)
        lab.steps()
        other.steps()
        lab.threads.end()
        other.threads.end()
        lab.steps()
        other.steps()
    runs = lab.runs("report")
    assert [run.scheduled_for for run in runs] == [START + n * HOUR for n in (1, 2, 3)]
    assert {run.state for run in runs} == {RunState.COMPLETED}


def test_a_wall_clock_that_is_set_back_stops_no_sweep(lab: Lab) -> None:
    """A run that another process stored starts, though the clock shows an hour ago."""
    lab.start(task("report"))
    lab.clock.wall -= HOUR
    run = lab.engine.request("report", Cause.MANUAL)
    lab.ledger.cancel(run.id, lab.clock.now())
    lab.clock.second += 1
    asked = lab.engine._planner.new_run(
        task("report"), lab.clock.now(), Cause.MANUAL, lab.clock.now()
    )
    lab.ledger.transact(lambda tx: tx.insert(asked))
    lab.steps()
    assert [call.run_id for call in lab.threads.calls.values()] == [asked.id]
