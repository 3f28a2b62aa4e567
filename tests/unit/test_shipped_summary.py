"""The figures and words of the daily report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from backgroundtask.chart import bar_chart, scale
from backgroundtask.summary import Summary, day_bounds, duration, percent, summarised
from core.run import Cause, Reason, RunState
from manager.schemas.reading import RunRead
from manager.schemas.statistics import PeriodStatistics, TaskStatistics

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 20)
BLANK = Summary(
    app_name="shop",
    day=DAY,
    zone="Europe/Berlin",
    written=datetime(2026, 11, 21, 9, tzinfo=BERLIN),
    at_hand=False,
)


def failure(task_id: str, error: str | None, ended: datetime) -> RunRead:
    return RunRead(
        id=f"run-{ended.isoformat()}",
        task_id=task_id,
        scheduled_for=ended,
        cause=Cause.SCHEDULE,
        state=RunState.FAILED,
        reason=Reason.TIMEOUT,
        attempt=1,
        crashes=0,
        occurrences=1,
        not_before=ended,
        result=None,
        error=error,
        traceback=None,
        created_at=ended,
        started_at=ended,
        finished_at=ended,
        node=None,
    )


def statistics(*tasks: TaskStatistics, failures: tuple[RunRead, ...] = ()) -> PeriodStatistics:
    start, end = day_bounds(DAY, BERLIN)
    hours = tuple(range(24))
    return PeriodStatistics(start=start, end=end, tasks=tasks, hours=hours, failures=failures)


def task(task_id: str, completed: int, failed: int, longest: float | None) -> TaskStatistics:
    runs, average = completed + failed, None if longest is None else longest / 2
    return TaskStatistics(
        task_id=task_id,
        runs=runs,
        completed=completed,
        failed=failed,
        average=average,
        longest=longest,
    )


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 11, 20), "Europe/Berlin", 24),
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2018, 11, 4), "America/Sao_Paulo", 23),  # its midnight falls into the gap
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
    ],
)
def test_a_day_is_as_long_as_it_is(day: date, zone: str, hours: float) -> None:
    """The bounds are local midnights, so a change of the clock makes the day shorter or longer."""
    start, end = day_bounds(day, ZoneInfo(zone))
    assert end - start == timedelta(hours=hours)
    assert start.tzinfo is UTC


def test_a_day_whose_midnight_is_in_a_gap_begins_with_its_first_instant() -> None:
    """Nothing of the day before belongs to it."""
    zone = ZoneInfo("America/Sao_Paulo")
    start, _ = day_bounds(date(2018, 11, 4), zone)
    assert start.astimezone(zone).isoformat() == "2018-11-04T01:00:00-02:00"
    assert (start - timedelta(microseconds=1)).astimezone(zone).date() == date(2018, 11, 3)


def test_the_hours_of_a_long_day_carry_their_local_time_twice() -> None:
    """In autumn the hour from two is there twice."""
    day = date(2026, 10, 25)
    start, end = day_bounds(day, BERLIN)
    period = PeriodStatistics(start=start, end=end, tasks=(), hours=(0,) * 25, failures=())
    labels = summarised(replace(BLANK, day=day), period, {}, BERLIN).labels
    assert labels[:5] == ("00:00", "01:00", "02:00", "02:00", "03:00")
    assert len(labels) == 25


def test_tasks_are_listed_by_what_they_cost() -> None:
    """The slowest come first, at most five; tasks whose runs did not end have no duration."""
    tasks = [task(f"t{number}", 1, 0, float(number)) for number in range(1, 8)]
    found = summarised(BLANK, statistics(*tasks, task("open", 1, 0, None)), {"t7": "Seven"}, BERLIN)
    assert [each.name for each in found.slowest] == ["Seven", "t6", "t5", "t4", "t3"]


def test_a_failing_task_is_shown_with_its_last_error() -> None:
    """The newest of its failures counts, at its local time."""
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    failures = (
        failure("a", "ValueError: second", noon),
        failure("a", "ValueError: first", noon - timedelta(hours=1)),
    )
    found = summarised(BLANK, statistics(task("a", 3, 2, 1.0), failures=failures), {}, BERLIN)
    assert [(each.error, each.failed, each.runs) for each in found.failing] == [
        ("ValueError: second", 2, 5),
    ]
    assert found.failing[0].at == datetime(2026, 11, 20, 13, tzinfo=BERLIN)


def test_a_failure_without_a_message_shows_its_reason() -> None:
    """A timeout says nothing by itself."""
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    failures = (failure("a", None, noon),)
    found = summarised(BLANK, statistics(task("a", 0, 1, 1.0), failures=failures), {}, BERLIN)
    assert found.failing[0].error == "no message (reason: timeout)"


def test_a_failure_beyond_what_is_listed_points_to_the_command() -> None:
    """The statistics name the newest hundred failures only."""
    found = summarised(BLANK, statistics(task("a", 0, 300, 1.0)), {}, BERLIN)
    assert "see 'taskrack runs a'" in found.failing[0].error


@pytest.mark.parametrize(
    ("summary", "sentence"),
    [
        (BLANK, "There is no history at hand: the task ran outside a container."),
        (replace(BLANK, at_hand=True), "No run started on this day."),
        (replace(BLANK, at_hand=True, runs=1, completed=1), "The one run completed."),
        (replace(BLANK, at_hand=True, runs=1200, completed=1200), "All 1,200 runs completed."),
        (
            replace(BLANK, at_hand=True, runs=3, completed=2),
            "No run failed; 2 of 3 runs completed.",
        ),
    ],
)
def test_a_day_is_said_in_one_sentence(summary: Summary, sentence: str) -> None:
    """It is the first thing that a reader sees."""
    assert summary.sentence == sentence


def test_a_day_with_failures_says_how_many_and_where() -> None:
    """Runs and tasks are counted apart."""
    found = summarised(BLANK, statistics(task("a", 3, 1, 1.0), task("b", 4, 0, 1.0)), {}, BERLIN)
    assert found.sentence == "1 of 8 runs failed, in one task."
    assert found.success_rate == 7 / 8


def test_open_runs_neither_raise_nor_lower_the_success_rate() -> None:
    """It is the share of the completed among those that completed or failed."""
    assert replace(BLANK, runs=10, completed=3, failed=1).success_rate == 0.75
    assert replace(BLANK, runs=10).success_rate is None


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50 %"), (0.0, "0 %"), (None, "\N{EN DASH}")],
)
def test_a_rate_is_never_rounded_up_to_a_hundred(share: float | None, text: str) -> None:
    """One failure among many stays visible."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "under 1 ms"),
        (0.85, "850 ms"),
        (0.9999, "1.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7_260, "2 h 01 min"),
    ],
)
def test_a_duration_is_said_as_a_person_would(seconds: float, text: str) -> None:
    """Its two largest units, no more."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, (1, 1)),
        (1, (1, 1)),
        (3, (1, 3)),
        (4, (2, 4)),
        (131, (50, 150)),
        (9_999, (5_000, 10_000)),
    ],
)
def test_the_scale_has_round_numbers_and_few_lines(most: int, expected: tuple[int, int]) -> None:
    """The distance of the lines is 1, 2 or 5 times a power of ten, and the top holds the most."""
    assert scale(most) == expected


def test_the_chart_says_in_words_what_it_shows() -> None:
    """Whoever cannot see it hears where the peak is."""
    drawn = bar_chart([0, 4, 1], ["00:00", "01:00", "02:00"])
    assert "Runs started by the hour: most in the hour from 01:00, 4 runs." in drawn
    assert drawn.count('class="bar"') == 2
    assert "<title>02:00: 1 run</title>" in drawn
