"""Many tasks over long stretches of simulated time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from benchmarks.simulated_year import play
from tests.schedules import foretold_and_played

START = datetime(2025, 7, 1, tzinfo=UTC)


def test_a_month_of_fifty_tasks_has_every_run_that_it_should_have() -> None:
    """36 daily, seven weekly, five monthly tasks, one hourly and one of six hours; some fail."""
    month = play(timedelta(days=31))
    daily, weekly, monthly, hourly, six_hourly = 36 * 31, 7 * 31 / 7, 5, 24 * 31, 4 * 31
    runs = sum(month.runs.values())
    assert abs(runs - (daily + weekly + monthly + hourly + six_hourly)) <= 40  # zones, at the ends
    assert month.runs["completed"] == runs
    assert month.calls > runs


def test_a_year_of_fifty_tasks_has_every_run_that_it_should_have() -> None:
    """Twelve daily, twenty weekly and 18 monthly tasks; one in ten fails now and then."""
    year = play(timedelta(days=365), dense=False)
    runs = sum(year.runs.values())
    assert abs(runs - (12 * 365 + 20 * 365 / 7 + 18 * 12)) <= 40  # zones, at the ends
    assert year.runs["completed"] == runs
    assert year.calls > runs


def test_the_forecast_of_two_years_is_what_the_engine_then_does() -> None:
    """A hundred random schedules of every kind in eight zones, through eight clock changes."""
    foretold, played = foretold_and_played(100, seed=5, start=START, days=730)
    assert foretold == played
    assert len(played) > 3_000
