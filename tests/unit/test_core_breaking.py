"""A circuit breaker, step by step."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.breaking import LONGEST_PAUSE, BreakerPolicy, CircuitBreaker, Guard, guards_of
from tests.engine_tools import SECOND, START

POLICY = BreakerPolicy(3, timedelta(seconds=10))


def opened(at: int = 0) -> CircuitBreaker:
    """Return a breaker that three failures opened."""
    breaker = CircuitBreaker(subject="task:a")
    for number in range(3):
        breaker = breaker.failed(f"run-{number}", POLICY, START + at * SECOND)
    return breaker


def test_it_opens_at_its_number_of_failures_in_a_row() -> None:
    """Two keep nothing back; a success between sets the count back."""
    breaker = CircuitBreaker(subject="task:a").failed("1", POLICY, START).failed("2", POLICY, START)
    assert (breaker.failures, breaker.is_open) == (2, False)
    assert breaker.succeeded("3") == CircuitBreaker(subject="task:a")
    breaker = breaker.failed("3", POLICY, START)
    assert breaker.is_open
    assert (breaker.opened_at, breaker.trial_at) == (START, START + 10 * SECOND)


def test_it_keeps_everything_back_until_its_trial_and_while_one_tries() -> None:
    """At the trial instant it is half open, until somebody tries."""
    breaker = opened()
    assert breaker.keeps_back(START + 9 * SECOND)
    assert not breaker.keeps_back(START + 10 * SECOND)
    assert replace(breaker, trying=True).keeps_back(START + 10 * SECOND)


def test_the_trial_alone_decides() -> None:
    """What began before it opened neither closes it nor puts its trial off."""
    breaker = replace(opened(), trial_run="trial", trying=True)
    late = START + 20 * SECOND
    assert breaker.succeeded("other") is breaker
    assert breaker.failed("other", POLICY, late) is breaker
    assert breaker.succeeded("trial") == CircuitBreaker(subject="task:a")
    again = breaker.failed("trial", POLICY, late)
    assert (again.pause, again.trial_at) == (20 * SECOND, late + 20 * SECOND)
    assert (again.opened_at, again.trial_run) == (START, None)


@given(st.integers(1, 40), st.floats(0.001, 86_400))
def test_the_pause_doubles_up_to_an_hour(trials: int, seconds: float) -> None:
    """One that is written longer stays as it is written."""
    policy = BreakerPolicy(1, timedelta(seconds=seconds))
    breaker, now = CircuitBreaker(subject="plugin:p").failed("first", policy, START), START
    pauses = [breaker.pause]
    for number in range(trials):
        assert breaker.trial_at is not None
        now = breaker.trial_at
        breaker = replace(breaker, trial_run=str(number)).failed(str(number), policy, now)
        pauses.append(breaker.pause)
    longest = max(LONGEST_PAUSE, policy.pause)
    assert pauses == sorted(pauses)
    assert max(pauses) <= longest
    assert all(after in {2 * before, longest} for before, after in itertools.pairwise(pauses))


def test_an_attempt_is_heard_by_those_that_were_asked_for() -> None:
    """Its task's, its plugin's, both or none."""
    own, shared = Guard("task:a", POLICY), Guard("plugin:p", POLICY)
    assert guards_of("a", "p", POLICY, POLICY) == (own, shared)
    assert guards_of("a", "p", None, POLICY) == (shared,)
    assert guards_of("a", "p", POLICY, None) == (own,)
    assert guards_of("a", "p", None, None) == ()
