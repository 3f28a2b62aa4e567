"""Interval, cron and date: what is accepted, when it is due, and that it really fires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.errors import DefinitionError
from core.run import Reason, RunState, TaskState
from core.trigger import Schedule
from manager.scheduling import build_trigger
from tests.tools import ShiftedClock, eventually, finals, task_of

if TYPE_CHECKING:
    from tests.tools import Project

MONDAY: Final = datetime(2025, 3, 3, tzinfo=UTC)
SAMPLES: Final[dict[str, dict[str, Any]]] = {
    "nine": {"hour": 9, "minute": 0},
    "monday": {"day_of_week": "mon", "hour": 9},
    "quarter": {"minute": "*/15"},
    "second": {"hour": "*/2"},
    "midnight": {"hour": 0, "minute": 0},
    "sixth": {"hour": "*/6"},
}
"""The cron samples of the seed."""


async def nothing() -> None:
    """Do nothing."""


def occurrences(arguments: dict[str, Any], start: datetime, count: int) -> list[str]:
    """Return the first occurrences after *start*, as weekday and time."""
    trigger = build_trigger(Schedule.of("cron", arguments, "UTC", start))
    found: list[str] = []
    moment: datetime | None = start
    for _ in range(count):
        assert moment is not None
        moment = trigger.next_after(moment)
        assert moment is not None
        found.append(f"{moment:%a %H:%M:%S}")
    return found


@pytest.mark.item("X18")
def test_an_interval_is_the_sum_of_its_units_and_zeros_add_nothing(project: Project) -> None:
    """The seed's five units are taken together; its sample is due each hour."""
    tasks = project.engine()
    tasks.add_task(nothing, "interval", "hourly", weeks=0, days=0, hours=1, minutes=0, seconds=0)
    tasks.add_task(nothing, "interval", "sum", weeks=1, days=2, hours=3, minutes=4, seconds=5)
    tasks.start()

    due = {task.id: task.next_run for task in tasks.list_tasks()}
    assert due["sum"] is not None
    assert due["hourly"] is not None
    apart = due["sum"] - due["hourly"]
    expected = timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5) - timedelta(hours=1)
    assert abs(apart - expected) < timedelta(seconds=5)


@pytest.mark.item("X18")
def test_an_interval_fires_at_exact_spacing(project: Project) -> None:
    """The occurrences of a running task are one period apart, to the microsecond."""
    tasks = project.engine()
    tasks.add_task(nothing, "interval", "steady", seconds=0.1)
    tasks.start()

    runs = finals(tasks, "steady", 5)

    instants = [run.scheduled_for for run in runs if run.state is RunState.COMPLETED]
    assert {late - early for early, late in pairwise(instants)} == {timedelta(seconds=0.1)}


@pytest.mark.item("X19")
@pytest.mark.parametrize(
    "arguments",
    [{}, {"hours": 0, "minutes": 0, "seconds": 0}, {"seconds": -1}, {"hours": True}],
    ids=["none", "zeros", "negative", "flag"],
)
def test_an_interval_of_nothing_is_refused(project: Project, arguments: dict[str, Any]) -> None:
    """No period is made up where the definition gives none."""
    tasks = project.engine()

    with pytest.raises(DefinitionError, match="trigger_args"):
        tasks.add_task(nothing, "interval", "never", **arguments)

    assert tasks.list_tasks() == []


@pytest.mark.item("X20")
def test_cron_takes_all_eight_fields_and_the_star_in_each(project: Project) -> None:
    """The seed's block of stars with ``second: 0`` is due on the minute."""
    stars = dict.fromkeys(("year", "month", "day", "week", "day_of_week", "hour", "minute"), "*")
    tasks = project.engine()
    tasks.add_task(nothing, "cron", "minutely", **stars, second=0)
    tasks.add_task(nothing, "cron", "each_second", **stars, second="*")
    tasks.start()

    minutely = task_of(tasks, "minutely").next_run
    assert minutely is not None
    assert (minutely.second, minutely.microsecond) == (0, 0)
    assert finals(tasks, "each_second", 1)[0].scheduled_for.microsecond == 0
    assert occurrences({**stars, "second": 0}, MONDAY, 2) == ["Mon 00:01:00", "Mon 00:02:00"]


@pytest.mark.item("X21")
@pytest.mark.parametrize(
    ("field", "first", "last"),
    [
        ("month", 1, 12),
        ("day", 1, 31),
        ("week", 1, 53),
        ("hour", 0, 23),
        ("minute", 0, 59),
        ("second", 0, 59),
        ("day_of_week", 0, 6),
    ],
)
def test_a_cron_field_takes_its_range_and_nothing_beyond(
    project: Project, field: str, first: int, last: int
) -> None:
    """The ends of the range are accepted; one below and one above are errors with the range."""
    tasks = project.engine()

    for value in (first, last):
        tasks.add_task(nothing, "cron", f"{field} {value}", **{field: value})
    for value in (first - 1, last + 1):
        with pytest.raises(DefinitionError, match=f"trigger_args.{field}: expected .*got {value}"):
            tasks.add_task(nothing, "cron", "beyond", **{field: value})

    assert len(tasks.list_tasks()) == 2


@pytest.mark.item("X22")
def test_weekdays_are_numbers_from_monday_or_names() -> None:
    """0 to 6 are Monday to Sunday, as are mon to sun, in any case and in lists and ranges."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    for number, name in enumerate(names):
        expected = [f"{name.capitalize()} 09:00:00"]
        for value in (number, name, name.upper()):
            assert occurrences({"day_of_week": value, "hour": 9}, MONDAY, 1) == expected
    assert occurrences({"day_of_week": "mon-fri", "hour": 9}, MONDAY, 6)[4:] == [
        "Fri 09:00:00",
        "Mon 09:00:00",
    ]


@pytest.mark.item("X23")
@pytest.mark.item("X24")
@pytest.mark.item("X25")
@pytest.mark.item("X26")
@pytest.mark.item("X27")
@pytest.mark.item("X28")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nine", ["Mon 09:00:00", "Tue 09:00:00", "Wed 09:00:00"]),
        ("monday", ["Mon 09:00:00", "Mon 09:00:00", "Mon 09:00:00"]),
        ("quarter", ["Mon 00:15:00", "Mon 00:30:00", "Mon 00:45:00"]),
        ("second", ["Mon 02:00:00", "Mon 04:00:00", "Mon 06:00:00"]),
        ("midnight", ["Tue 00:00:00", "Wed 00:00:00", "Thu 00:00:00"]),
        ("sixth", ["Mon 06:00:00", "Mon 12:00:00", "Mon 18:00:00"]),
    ],
)
def test_the_cron_samples_are_due_when_their_comments_say(name: str, expected: list[str]) -> None:
    """Absent finer fields are zero, absent coarser ones any."""
    assert occurrences(SAMPLES[name], MONDAY, 3) == expected


@pytest.mark.item("X23")
@pytest.mark.item("X24")
@pytest.mark.item("X25")
@pytest.mark.item("X26")
@pytest.mark.item("X27")
@pytest.mark.item("X28")
@pytest.mark.parametrize(
    ("moment", "due"),
    [
        (MONDAY, {"quarter", "second", "midnight", "sixth"}),
        (MONDAY + timedelta(hours=9), {"nine", "monday", "quarter"}),
        (MONDAY + timedelta(days=1, hours=9), {"nine", "quarter"}),
    ],
    ids=["Monday midnight", "Monday nine", "Tuesday nine"],
)
def test_the_cron_samples_fire_at_their_time_and_the_others_do_not(
    project: Project, moment: datetime, due: set[str]
) -> None:
    """A container whose clock is about to strike runs exactly the tasks that are due."""
    tasks = project.engine(clock=ShiftedClock(moment - timedelta(seconds=2)))
    for name, arguments in SAMPLES.items():
        tasks.add_task(nothing, "cron", name, **arguments)
    tasks.start()

    for name in due:
        assert [run.scheduled_for for run in finals(tasks, name)] == [moment]

    assert {run.task_id for run in tasks.list_runs()} == due
    assert all(task.next_run is not None and task.next_run > moment for task in tasks.list_tasks())


@pytest.mark.item("X29")
def test_a_date_fires_once_and_never_again(project: Project) -> None:
    """The seed's Christmas runs at its instant, is finished then, and stays so over restarts."""
    christmas = datetime(2024, 12, 25, tzinfo=UTC)
    clock = ShiftedClock(christmas - timedelta(seconds=2))
    calls: list[str] = []

    def celebrate() -> None:
        calls.append("ho")

    for start in range(3):
        tasks = project.engine(clock=clock)
        tasks.add_task(celebrate, "date", "christmas", run_date="2024-12-25 00:00:00")
        tasks.start()
        (run,) = finals(tasks, "christmas")
        task = task_of(tasks, "christmas")
        assert (run.state, run.scheduled_for) == (RunState.COMPLETED, christmas), start
        assert (task.status, task.next_run) == (TaskState.FINISHED, None)
        tasks.shutdown()
    assert calls == ["ho"]


@pytest.mark.item("X29")
def test_a_date_that_has_passed_does_not_run_and_says_so(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The task is kept, finished, with one missed run; it does not vanish and does not fire."""
    calls: list[str] = []

    def celebrate() -> None:
        calls.append("ho")

    tasks = project.engine()
    tasks.add_task(celebrate, "date", "christmas", run_date="2024-12-25 00:00:00")
    tasks.start()

    (run,) = finals(tasks, "christmas", dropped=True)
    assert (run.state, run.reason) == (RunState.MISSED, Reason.PAST)
    assert run.scheduled_for == datetime(2024, 12, 25, tzinfo=UTC)
    assert task_of(tasks, "christmas").status is TaskState.FINISHED
    assert calls == []
    for wrong in ("Christmas", "2024-13-01", "", None, 5):
        with pytest.raises(DefinitionError, match=r"trigger_args\.run_date: expected a date and"):
            tasks.add_task(celebrate, "date", "wrong", run_date=wrong)


@pytest.mark.item("X29")
def test_a_date_is_meant_in_the_zone_of_the_configuration(project: Project) -> None:
    """``run_date`` without an offset counts in ``timezone``, or in the task's own."""
    project.config(timezone="Europe/Berlin")
    clock = ShiftedClock(datetime(2024, 12, 1, tzinfo=UTC))
    tasks = project.engine(clock=clock)
    tasks.add_task(nothing, "date", "berlin", run_date="2024-12-25 00:00:00")
    tasks.add_task(nothing, "date", "tokyo", run_date="2024-12-25 00:00:00", timezone="Asia/Tokyo")
    tasks.start()

    due = {task.id: task.next_run for task in eventually(tasks.list_tasks)}
    assert due == {
        "berlin": datetime(2024, 12, 24, 23, tzinfo=UTC),
        "tokyo": datetime(2024, 12, 24, 15, tzinfo=UTC),
    }
