"""Retry pauses, which errors are repeated, and what is made up after a gap."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.policy import CATCH_UP_LIMIT, CATCH_UP_WINDOW, Backoff, CatchUp, RetryPolicy
from core.trigger import Decision, Schedule, decide
from manager.scheduling.simple import DateTrigger, IntervalTrigger

NOW: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)


def pauses(policy: RetryPolicy, count: int) -> list[float]:
    """Return the seconds before the first *count* attempts."""
    return [policy.delay_before(number).total_seconds() for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(), [0, 1, 2, 4, 8, 16, 32, 60, 60]),
        (RetryPolicy(delay=10 * SECOND, max_delay=HOUR), [0, 10, 20, 40, 80]),
        (RetryPolicy(Backoff.LINEAR, delay=2 * SECOND, max_delay=7 * SECOND), [0, 2, 4, 6, 7]),
        (RetryPolicy(Backoff.FIXED, delay=3 * SECOND), [0, 3, 3, 3]),
        (RetryPolicy(Backoff.LISTED, delays=(SECOND, 5 * SECOND)), [0, 1, 5, 5, 5]),
        (RetryPolicy(delay=timedelta(0)), [0, 0, 0]),
    ],
    ids=["default", "exponential", "linear", "fixed", "listed", "none"],
)
def test_the_bound_of_a_pause_grows_as_its_formula_says(
    policy: RetryPolicy, expected: list[float]
) -> None:
    """From the first attempt, which waits zero, to beyond the cap."""
    assert pauses(policy, len(expected)) == expected


def test_a_pause_is_bounded_however_often_a_task_failed() -> None:
    """The ten-thousandth attempt overflows nothing."""
    assert RetryPolicy().delay_before(10_000) == MINUTE


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt: int) -> None:
    """A number below is a fault of the caller."""
    with pytest.raises(ValueError, match=f"attempts are counted from 1, got {attempt}"):
        RetryPolicy().delay_before(attempt)


SPANS: Final = st.timedeltas(timedelta(0), timedelta(days=1))
POLICIES: Final = st.builds(
    RetryPolicy,
    backoff=st.sampled_from(Backoff),
    delay=SPANS,
    max_delay=SPANS,
    jitter=st.booleans(),
    delays=st.lists(SPANS, min_size=1, max_size=9).map(tuple),
)


@given(POLICIES, st.integers(1, 1_000), st.integers(0, 2**32))
def test_a_pause_is_drawn_between_zero_and_a_bound_that_never_falls(
    policy: RetryPolicy, attempt: int, seed: int
) -> None:
    """Of every kind; a list alone may say otherwise, and without jitter the bound is the pause."""
    bound = policy.delay_before(attempt)
    assert timedelta(0) <= bound <= policy.max_delay
    if policy.backoff is not Backoff.LISTED:
        assert bound <= policy.delay_before(attempt + 1)
    pause = policy.pause_before(attempt, random.Random(seed))  # noqa: S311 - jitter, no secret
    assert timedelta(0) <= pause <= bound
    assert policy.jitter or pause == bound


@pytest.mark.parametrize(
    ("retry_on", "never_on", "error", "covered"),
    [
        ((), (), KeyError, True),
        (("LookupError",), (), KeyError, True),
        (("builtins.KeyError",), (), KeyError, True),
        (("ValueError",), (), KeyError, False),
        ((), ("Exception",), KeyError, False),
        (("KeyError",), ("LookupError",), KeyError, False),
        ((), ("TimeoutError",), TimeoutError, False),
    ],
)
def test_errors_are_chosen_by_name_and_by_kinship(
    retry_on: tuple[str, ...], never_on: tuple[str, ...], error: type[Exception], *, covered: bool
) -> None:
    """A base stands for what derives from it; ``never_on`` wins."""
    policy = RetryPolicy(retry_on=frozenset(retry_on), never_on=frozenset(never_on))
    assert policy.covers(error) is covered


def hourly(cursor: datetime, now: datetime, policy: CatchUp, **more: timedelta) -> Decision:
    """Decide a task that is due at each full hour."""
    trigger = IntervalTrigger(HOUR, NOW - timedelta(days=30))
    return decide(trigger, cursor, now, policy, more.get("grace"))


@pytest.mark.parametrize("policy", list(CatchUp))
def test_nothing_due_decides_nothing(policy: CatchUp) -> None:
    """Between two occurrences there is only the next run."""
    found = hourly(NOW, NOW + MINUTE, policy)
    assert found == Decision((), False, 0, None, NOW + HOUR)  # noqa: FBT003 - late


@pytest.mark.parametrize("policy", list(CatchUp))
def test_what_is_noticed_within_two_seconds_is_on_time(policy: CatchUp) -> None:
    """Every policy fires it, and it is not late."""
    found = hourly(NOW, NOW + HOUR + 2 * SECOND, policy)
    assert (found.fire, found.late, found.missed) == ((NOW + HOUR,), False, 0)
    assert found.next_run == NOW + 2 * HOUR


def test_latest_makes_up_the_last_of_a_gap() -> None:
    """The four before it are missed."""
    found = hourly(NOW, NOW + 5.5 * HOUR, CatchUp.LATEST)
    assert (found.fire, found.late) == ((NOW + 5 * HOUR,), True)
    assert (found.missed, found.missed_until) == (4, NOW + 4 * HOUR)


def test_none_makes_up_nothing_of_a_gap() -> None:
    """Nor the last one if it is older than two seconds; a punctual last one still fires."""
    found = hourly(NOW, NOW + 5.5 * HOUR, CatchUp.NONE)
    assert (found.fire, found.missed, found.missed_until) == ((), 5, NOW + 5 * HOUR)
    found = hourly(NOW, NOW + 5 * HOUR + SECOND, CatchUp.NONE)
    assert (found.fire, found.late, found.missed) == ((NOW + 5 * HOUR,), False, 4)


def test_all_makes_up_a_day_and_no_more() -> None:
    """Of three days the last twenty-four hours; what is older is missed."""
    found = hourly(NOW - timedelta(days=3), NOW + MINUTE, CatchUp.ALL)
    assert found.fire == tuple(NOW - n * HOUR for n in reversed(range(24)))
    assert (found.missed, found.missed_until) == (48, NOW - 24 * HOUR)


@pytest.mark.parametrize("period", [timedelta(milliseconds=10), SECOND, MINUTE])
def test_all_makes_up_a_hundred_and_no_more(period: timedelta) -> None:
    """However many there were; the last hundred, in order, without walking millions."""
    trigger = IntervalTrigger(period, NOW - timedelta(days=30))
    found = decide(trigger, NOW - timedelta(days=1), NOW, CatchUp.ALL, None)
    assert found.fire == tuple(NOW - n * period for n in reversed(range(CATCH_UP_LIMIT)))
    assert found.missed == timedelta(days=1) // period - CATCH_UP_LIMIT
    assert found.missed_until == NOW - CATCH_UP_LIMIT * period


@pytest.mark.parametrize("policy", [CatchUp.LATEST, CatchUp.NONE])
def test_a_grace_counts_from_due_to_noticed(policy: CatchUp) -> None:
    """Up to it an occurrence is made up, beyond it is missed, whatever the policy's own window."""
    on_time = hourly(NOW, NOW + HOUR + MINUTE, policy, grace=MINUTE)
    assert (on_time.fire, on_time.missed) == ((NOW + HOUR,), 0)
    beyond = hourly(NOW, NOW + HOUR + MINUTE + SECOND, policy, grace=MINUTE)
    assert (beyond.fire, beyond.missed) == ((), 1)


def test_a_date_older_than_a_day_is_missed() -> None:
    """One that passed within it is made up."""
    trigger = DateTrigger(NOW)
    before = NOW - SECOND
    found = decide(trigger, before, NOW + CATCH_UP_WINDOW, CatchUp.LATEST, None)
    assert (found.fire, found.next_run) == ((NOW,), None)
    found = decide(trigger, before, NOW + CATCH_UP_WINDOW + SECOND, CatchUp.LATEST, None)
    assert (found.fire, found.missed, found.missed_until) == ((), 1, NOW)


class Asked(IntervalTrigger):
    """Counts the questions that it is asked."""

    questions = 0

    def next_after(self, instant: datetime) -> datetime | None:
        self.questions += 1
        return super().next_after(instant)

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        self.questions += 1
        return super().last_until(instant, after)


@pytest.mark.parametrize("policy", list(CatchUp))
def test_a_single_occurrence_that_is_known_costs_one_question(policy: CatchUp) -> None:
    """When the next one is; whether others are due as well follows from it."""
    trigger = Asked(HOUR, NOW)
    found = decide(trigger, NOW, NOW + HOUR, policy, HOUR, NOW + HOUR)
    assert (found.fire, found.next_run) == ((NOW + HOUR,), NOW + 2 * HOUR)
    if policy is not CatchUp.ALL:
        assert trigger.questions == 1


@given(st.sampled_from(list(CatchUp)), st.integers(1, 5_000), st.integers(0, 300_000))
def test_to_know_the_first_occurrence_decides_nothing_else(
    policy: CatchUp, period: int, gap: int
) -> None:
    """With it or without: none due, one or many."""
    trigger = IntervalTrigger(timedelta(seconds=period), NOW)
    asked = (trigger, NOW, NOW + timedelta(seconds=gap), policy, None)
    assert decide(*asked, trigger.next_after(NOW)) == decide(*asked)


@given(
    st.sampled_from(list(CatchUp)),
    st.integers(1, 5_000),
    st.integers(0, 300_000),
    st.one_of(st.none(), st.integers(0, 200_000)),
)
def test_every_occurrence_of_a_gap_is_fired_or_missed(
    policy: CatchUp, period: int, gap: int, grace: int | None
) -> None:
    """None is left out or counted twice, and what fires is younger than what is missed."""
    trigger = IntervalTrigger(timedelta(seconds=period), NOW)
    now = NOW + timedelta(seconds=gap)
    patience = None if grace is None else timedelta(seconds=grace)
    found = decide(trigger, NOW, now, policy, patience)
    assert len(found.fire) + found.missed == gap // period
    assert list(found.fire) == sorted(set(found.fire))
    assert len(found.fire) <= CATCH_UP_LIMIT
    if found.missed and found.fire:
        assert found.missed_until is not None
        assert found.missed_until < found.fire[0]
    assert found.next_run == trigger.next_after(now)


def test_equal_schedules_share_whatever_they_do_not_need() -> None:
    """Two crons of different age are one schedule; two intervals are not."""
    later = NOW + HOUR
    cron = [Schedule.of("cron", {"minute": 0, "hour": 3}, "UTC", at) for at in (NOW, later)]
    assert cron[0] == cron[1]
    assert cron[0] == Schedule.of("cron", {"hour": 3, "minute": 0}, "UTC", NOW)
    interval = [Schedule.of("interval", {"hours": 1}, "UTC", at) for at in (NOW, later)]
    assert interval[0] != interval[1]
