"""A retry budget, as arithmetic."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.budget import (
    SLOT,
    WINDOW,
    RetryBudget,
    begin_of,
    end_of_minute,
    oldest_slots,
    queued,
    slot_of,
)
from tests.engine_tools import SECOND, START


@given(st.integers(0, 10_000_000), st.floats(0, 1), st.integers(1, 1_000))
def test_a_budget_is_a_floor_and_a_share(starts: int, share: float, floor: int) -> None:
    """Never below the floor, never above the share of the starts beside it."""
    most = RetryBudget(share, floor).most(starts)
    assert floor <= most <= floor + share * starts


@given(st.floats(0, 200_000), st.floats(0, 59.999))
def test_slots_count_too_few_starts_and_too_many_retries(at: float, back: float) -> None:
    """A start that counts is of the last minute; a retry of the last minute counts."""
    now = START + timedelta(seconds=at)
    whole, touched = oldest_slots(slot_of(now))
    assert slot_of(now - timedelta(seconds=back)) >= touched
    first = START.replace(hour=0) - START.replace(hour=0).utcoffset()  # type: ignore[operator] # aware
    assert slot_of(first) * SLOT // SECOND == int(first.timestamp())
    oldest_that_counts = whole * (SLOT // SECOND)
    assert now.timestamp() - oldest_that_counts < WINDOW.total_seconds()


@given(st.integers(0, 1_000), st.integers(0, 100_000), st.integers(0, 3_600))
def test_what_is_put_off_lines_up(count: int, rate: int, line: int) -> None:
    """Behind those that wait already, evenly, and nobody for longer than ten minutes."""
    behind = START + line * SECOND
    instants = queued(count, rate, behind, START)
    assert len(instants) == count
    assert all(START < each <= START + timedelta(minutes=10) for each in instants)
    if instants and instants[-1] < START + timedelta(minutes=5):
        assert instants == sorted(instants)
        assert instants[-1] == behind + count * (WINDOW / max(rate, 1))


def test_a_pace_is_what_the_budget_gives() -> None:
    """Sixty a minute: one a second."""
    assert queued(3, 60, START, START) == [START + number * SECOND for number in (1, 2, 3)]


@given(st.floats(0, 200_000))
def test_a_slot_is_of_the_last_minute_until_it_is_not(at: float) -> None:
    """Not a moment before, and in five seconds more than a minute at most."""
    now = START + timedelta(seconds=at)
    slot = slot_of(now)
    assert begin_of(slot) <= now < begin_of(slot + 1)
    free = end_of_minute(slot)
    assert oldest_slots(slot_of(free))[1] > slot
    assert oldest_slots(slot_of(free - timedelta(microseconds=1)))[1] <= slot
    assert now < free <= now + WINDOW + 2 * SLOT


def test_a_slot_has_three_times_its_share_at_most() -> None:
    """Fifteen of sixty a minute; one at least."""
    assert RetryBudget(0, 60).most_at_once(0) == 15
    assert RetryBudget(0.5, 60).most_at_once(120) == 30
    assert RetryBudget(0, 1).most_at_once(0) == 1
