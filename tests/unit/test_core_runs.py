"""The states of a run, the order of run ids, and the clock."""

from __future__ import annotations

import itertools
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SystemClock
from core.errors import StateError
from core.run import (
    OPEN_STATES,
    TRANSITIONS,
    Cause,
    Run,
    RunIds,
    RunState,
    check_transition,
)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
FINAL = [state for state in RunState if state.is_final]


def test_the_system_clock_shows_an_aware_instant_in_utc() -> None:
    """And its monotonic seconds never go back."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_waiting_ends_at_once_where_it_has_to() -> None:
    """An event that is set, a limit of nothing and one in the past wait for nothing."""
    clock, event = SystemClock(), threading.Event()
    assert clock.wait(event, timedelta(0)) is False
    assert clock.wait(event, timedelta(seconds=-5)) is False
    event.set()
    assert clock.wait(event, timedelta(hours=1)) is True


def test_six_states_are_final() -> None:
    """The others are open, and every state is one of both."""
    assert [state.name for state in FINAL] == [
        "COMPLETED", "FAILED", "CANCELLED", "LOST", "SKIPPED", "MISSED",
    ]  # fmt: skip
    assert OPEN_STATES | set(FINAL) == set(RunState)
    assert all(state.value == state.name.lower() for state in RunState)


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.product([None, *RunState], RunState)), ids=str
)
def test_only_the_listed_transitions_pass(before: RunState | None, after: RunState) -> None:
    """Each pair is either in the table or refused; a final state is left by nothing."""
    legal = after in TRANSITIONS.get(before, ())
    assert not (legal and before is not None and before.is_final)
    if legal:
        check_transition(before, after)
    else:
        with pytest.raises(StateError, match=f"cannot go from {before} to {after}"):
            check_transition(before, after)


def test_a_refused_transition_names_what_would_follow() -> None:
    """Word for word."""
    with pytest.raises(StateError) as caught:
        check_transition(RunState.PENDING, RunState.COMPLETED)
    assert str(caught.value) == (
        "a run cannot go from pending to completed; from pending follows cancelled, running"
    )
    with pytest.raises(StateError, match="from lost follows nothing"):
        check_transition(RunState.LOST, RunState.RUNNING)


def test_every_state_can_be_reached() -> None:
    """Nothing in the vocabulary is dead."""
    assert set().union(*TRANSITIONS.values()) == set(RunState)


def test_crashes_and_interruptions_are_not_charged() -> None:
    """Of five attempts two crashed and one was interrupted: two count."""
    run = Run.requested("r", "t", Cause.MANUAL, NOW, attempt=5, crashes=2, interruptions=1)
    assert run.failures == 2
    assert (run.fire_key, run.scheduled_for, run.not_before) == ("r", NOW, NOW)
    assert run.state is RunState.PENDING


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=50))
def test_ids_sort_in_the_order_in_which_they_were_made(steps: list[int]) -> None:
    """Whatever the clock does between two of them, back and forth by milliseconds."""
    ids, now, made = RunIds(), NOW, []
    for step in steps:
        now += timedelta(milliseconds=step)
        made.append(ids.new(now))
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_more_ids_than_a_millisecond_counts_stay_in_order() -> None:
    """The counter of twelve bits runs over into the time and not into itself."""
    ids = RunIds()
    made = [ids.new(NOW) for _ in range(10_000)]
    assert made == sorted(set(made))


def test_an_id_is_a_uuid_of_version_seven_that_tells_its_time() -> None:
    """Version, variant and the 48 bits of milliseconds are where RFC 9562 has them."""
    made = uuid.UUID(RunIds().new(NOW))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(NOW.timestamp() * 1000)


def test_ids_of_threads_are_all_different() -> None:
    """Four threads share one maker."""
    ids, made = RunIds(), list[str]()
    threads = [
        threading.Thread(target=lambda: made.extend(ids.new(NOW) for _ in range(500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2_000
