"""What is foretold, against triggers that are walked one occurrence at a time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest

from configurations import Xcorecfg
from core.errors import UnknownTaskError
from core.policy import Dst
from manager.foresight import Foreteller, Outlook, Planned, pairs
from manager.scheduling import build_trigger
from manager.task.assembly import Assembly
from manager.task.sketch import sketched
from manager.task.taskmanager import TaskManager
from tests.engine_tools import ManualClock, nothing, task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from core.definition import TaskDefinition
    from manager.schemas.foretelling import Forecast

NOW: Final = datetime(2026, 10, 20, 7, 30, tzinfo=UTC)
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
DAY: Final = timedelta(days=1)


def drawn(number: int) -> TaskDefinition:
    """Return the definition *number* of a hundred at random, the same in every run."""
    dice = random.Random(number)  # noqa: S311 - a sample
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("interval", {"minutes": dice.randint(7, 3000)}),
        ("cron", {"hour": f"*/{dice.randint(1, 9)}", "minute": dice.randint(0, 59)}),
        ("cron", {"hour": dice.randint(0, 23), "minute": dice.randint(0, 59)}),
        ("cron", {"expression": f"{dice.randint(0, 59)} 1-3 * * {dice.randint(0, 6)},*/2"}),
        ("calendar", {"months": dice.randint(1, 4), "day": "last", "hour": 2, "minute": 30}),
        ("date", {"run_date": f"2026-{dice.randint(9, 12):02}-{dice.randint(1, 28):02} 02:30"}),
        ("or", {"triggers": [
            {"trigger": "cron", "trigger_args": {"hour": 2, "minute": "*/20"}},
            {"trigger": "interval", "trigger_args": {"hours": dice.randint(1, 40)}},
        ]}),
    ]  # fmt: skip
    trigger, arguments = dice.choice(kinds)
    more: dict[str, Any] = {}
    if dice.random() < 0.3:
        more["jitter"] = timedelta(seconds=dice.randint(1, 900))
    if dice.random() < 0.2:
        more["exclude"] = {"windows": [{"from": "22:00", "to": "06:00"}]}
    if dice.random() < 0.2:
        more["start"] = NOW + timedelta(days=dice.randint(-3, 9))
    if dice.random() < 0.2:
        more["end"] = NOW + timedelta(days=dice.randint(10, 40))
    return task(
        f"task {number}",
        trigger=trigger,
        trigger_args=arguments,
        timezone=dice.choice(ZONES),
        dst=dice.choice(list(Dst)),
        **more,
    )


def planned(definition: TaskDefinition, **more: Any) -> Planned:  # noqa: ANN401 - fields
    """Return *definition* as if it had been registered a week before."""
    return Planned(sketched(definition), NOW - 7 * DAY, NOW, **more)


def foretold(
    *tasks: Planned,
    days: float = 7,
    start: datetime = NOW,
    durations: Mapping[str, tuple[float, float]] | None = None,
    **more: Any,  # noqa: ANN401 - fields
) -> Forecast:
    """Return the forecast of *tasks*."""
    outlook = Outlook(NOW, {each.id: each for each in tasks}, **{"places": {"thread": 3}} | more)

    def known(_task_ids: Collection[str]) -> Mapping[str, tuple[float, float]]:
        return durations or {}

    return Foreteller(outlook, known).forecast(start, start + timedelta(days=days))


@pytest.mark.parametrize("number", range(100))
def test_a_schedule_read_from_its_row_is_its_definitions_own(number: int) -> None:
    """So that the engine and the forecast build the same trigger."""
    definition = drawn(number)
    assert planned(definition).schedule == definition.schedule(NOW - 7 * DAY)


def test_a_forecast_is_what_walking_gives() -> None:
    """A hundred schedules over ten weeks, through a clock change in most of their zones."""
    tasks = [planned(drawn(number)) for number in range(100)]
    until = NOW + 70 * DAY
    walked: list[tuple[datetime, str]] = []
    for each in tasks:
        trigger = build_trigger(each.schedule)
        moment = trigger.next_after(NOW)
        while moment is not None and moment <= until:
            walked.append((moment, each.id))
            moment = trigger.next_after(moment)
    walked.sort()

    found = foretold(*tasks, days=70)

    assert len(walked) > 10_000
    assert [(run.at, run.task_id) for run in found.runs] == walked
    outlook = Outlook(NOW, {each.id: each for each in tasks})
    assert pairs(outlook, tasks, NOW, until) == walked


def test_a_run_tells_its_local_time() -> None:
    """In the task's own zone, with the offset of that day."""
    cron = task("nine", trigger="cron", trigger_args={"hour": 9}, timezone="Europe/Berlin")
    found = foretold(planned(cron))
    assert [run.local for run in found.runs][4:6] == [
        "2026-10-25T09:00:00+01:00",
        "2026-10-26T09:00:00+01:00",
    ]
    assert all(datetime.fromisoformat(run.local) == run.at for run in found.runs)


@pytest.mark.parametrize(
    ("fired", "start", "expected"),
    [(0, NOW, 5), (3, NOW, 2), (5, NOW, 0), (0, NOW + timedelta(hours=2), 3), (0, NOW + DAY, 0)],
    ids=["all", "some", "none", "later", "afterwards"],
)
def test_a_schedule_with_a_most_ends_where_the_engine_ends_it(
    fired: int, start: datetime, expected: int
) -> None:
    """What is due before the span counts too; what is finished is said to be."""
    hourly = planned(task("hourly", max_runs=5), fired=fired)
    found = foretold(hourly, start=start)
    assert len(found.runs) == expected
    said = "hourly is finished: its schedule has started max_runs runs"
    assert (said in found.notes) is (fired == 5)


def test_what_is_made_up_counts_towards_the_most() -> None:
    """A task that is behind makes up one occurrence first, where catch-up says so."""
    behind = Planned(sketched(task("hourly", max_runs=5)), NOW - DAY, NOW - timedelta(hours=5))
    found = foretold(behind, heard=False)
    assert len(found.runs) == 4
    assert found.notes == (
        "no container is running; one must run for these to start",
        "hourly is behind by 5 occurrences: with catch_up 'latest', 1 of them would be made up now",
    )


def test_what_does_not_run_is_left_out_and_named() -> None:
    """Disabled, paused, unbound, of a plugin, out of occurrences."""
    paused = sketched(task("paused")).model_copy(update={"paused": True})
    past = {"run_date": "2020-01-01"}
    tasks = [
        planned(task("disabled", enabled=False)),
        Planned(paused, NOW, NOW),
        planned(task("unbound")),
        planned(task("moon", trigger="moon", trigger_args={})),
        planned(task("past", trigger="date", trigger_args=past)),
        planned(task("starts", run_on_start=True)),
    ]
    found = foretold(*tasks, unbound=frozenset({"unbound"}))
    assert {run.task_id for run in found.runs} == {"starts"}
    assert [note.partition(":")[0] for note in found.notes] == [
        "disabled is disabled",
        "moon is left out",
        "past is finished",
        "paused is paused",
        "starts also runs at each start of a container (run_on_start)",
        "unbound is unbound",
    ]
    silent = foretold(planned(task("hourly")), timed=False)
    assert silent.runs == ()
    assert silent.notes[0].startswith("hourly is not timed: background_jobs_enabled is false")


FORWARD: Final = "sets its clock forward on 2026-03-29 between 02:00 and 03:00: 02:30 is not shown"
BACK: Final = "sets its clock back on 2026-10-25 between 02:00 and 03:00: 02:30 is shown twice"
SPRING: Final = datetime(2026, 3, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "dst", "said", "due"),
    [
        (
            SPRING,
            Dst.ONCE,
            f"{FORWARD}; due at the end of the gap instead, at",
            ["03-29T03:00:00+02:00"],
        ),
        (SPRING, Dst.SKIP, f"{FORWARD}, and skipped", []),
        (NOW, Dst.ONCE, f"{BACK}; due in the first pass only, at", ["10-25T02:30:00+02:00"]),
        (
            NOW,
            Dst.BOTH,
            f"{BACK}; due in both passes, at",
            ["10-25T02:30:00+02:00", "10-25T02:30:00+01:00"],
        ),
    ],
    ids=["gap moved", "gap skipped", "fold once", "fold twice"],
)
def test_a_fixed_local_time_is_told_where_the_clock_is_set(
    start: datetime, dst: Dst, said: str, due: list[str]
) -> None:
    """And its runs are what the note says; a wildcard has no note."""
    more: dict[str, Any] = {"trigger": "cron", "timezone": "Europe/Berlin"}
    fixed = task("fixed", **more, trigger_args={"expression": "30 2 * * *"}, dst=dst)
    flows = task("flows", **more, trigger_args={"expression": "*/30 2 * * *"})
    found = foretold(planned(fixed), planned(flows), start=start)
    instants = [f"2026-{each}" for each in due]
    assert found.notes == (f"fixed: Europe/Berlin {said} {', '.join(instants)}".rstrip(),)
    day = "2026-03-29" if start is SPRING else "2026-10-25"
    runs = [run.local for run in found.runs if run.task_id == "fixed" and run.local[:10] == day]
    assert runs == instants


def test_a_date_that_is_excluded_has_no_clock_note() -> None:
    """Nothing is due on it anyway; times of many are counted."""
    many: dict[str, Any] = {"trigger": "cron", "trigger_args": {"hour": 2, "minute": "1,2,3,4,5"}}
    berlin = planned(task("many", **many, timezone="Europe/Berlin"))
    closed = planned(
        task("closed", **many, timezone="Europe/Berlin", exclude={"dates": ["2026-10-25"]})
    )
    (note,) = foretold(berlin, closed).notes
    assert note.startswith("many: ")
    assert "02:01, 02:02, 02:03 and 2 more is shown twice" in note


def test_peaks_are_the_busiest_minutes_and_herds_are_advised_to_spread() -> None:
    """Four threads' worth of starts in one second, with three threads."""
    herd = [
        planned(task(f"herd {n}", trigger="cron", trigger_args={"hour": 3, "minute": 0}))
        for n in range(5)
    ]
    every = planned(task("every", trigger="cron", trigger_args={"second": "*/20"}))
    found = foretold(*herd, every, days=1)
    assert found.peaks[0].minute == datetime(2026, 10, 21, 3, 0, tzinfo=UTC)
    assert (found.peaks[0].starts, found.peaks[0].tasks[0]) == (8, "every")
    assert [peak.starts for peak in found.peaks] == [8, 3, 3, 3, 3]
    assert found.peaks[1].minute == NOW.replace(minute=31)
    assert " ".join(found.notes) == (
        "at 1 instant more runs start at once than there are threads "
        "(manager.scheduler_thread_pool is 3), the most at 2026-10-21T03:00:00+00:00: 6; "
        "a jitter of 2 seconds on those tasks would stagger them"
    )


def test_a_task_manager_that_is_not_started_foretells_from_memory() -> None:
    """An interval counts from now; a task that is not known is an error with its nearest name."""
    tasks = TaskManager(Xcorecfg(), assembly=Assembly(clock=ManualClock(NOW)))
    tasks.add_task(nothing, "interval", "daily", days=1)
    tasks.add_task(nothing, "interval", "hourly", hours=1)
    assert [run.at for run in tasks.forecast(tasks=["daily"]).runs] == [
        NOW + n * DAY for n in range(1, 8)
    ]
    assert len(tasks.forecast(days=0.5).runs) == 12
    with pytest.raises(UnknownTaskError, match="daily"):
        tasks.forecast(tasks=["dayly"])
    wrongs: list[dict[str, Any]] = [{"days": 0}, {"days": 1e9}, {"start": datetime(2026, 1, 1)}]  # noqa: DTZ001
    for wrong in wrongs:
        with pytest.raises(ValueError, match="expected"):
            tasks.forecast(**wrong)
    with pytest.raises(ValueError, match="beyond the calendar"):
        tasks.forecast(start=datetime(9999, 12, 30, tzinfo=ZoneInfo("UTC")))


def test_a_forecast_of_more_than_a_million_runs_is_refused_at_once() -> None:
    """They are counted before any is made."""
    tasks = TaskManager(Xcorecfg(), assembly=Assembly(clock=ManualClock(NOW)))
    tasks.add_task(nothing, "cron", "often", second="*")
    with pytest.raises(ValueError, match="at most 1000000 runs, got one with 157680000 or more"):
        tasks.forecast(days=1825)
    assert len(tasks.forecast(days=0.01).runs) == 864
