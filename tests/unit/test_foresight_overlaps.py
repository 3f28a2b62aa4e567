"""Where runs are expected to meet, by policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from manager.foresight.overlapping import expected, load_of
from tests.engine_tools import ALLOW, QUEUE, REPLACE, task
from tests.unit.test_foresight_forecast import NOW, foretold, planned

ZERO: Final = datetime(2026, 1, 1, tzinfo=UTC)


def at(*minutes: float) -> list[datetime]:
    """Return instants."""
    return [ZERO + timedelta(minutes=each) for each in minutes]


@pytest.mark.parametrize(
    ("overlap", "starts", "clashes"),
    [
        ("skip", (0, 30, 60), (10, 20, 40, 50)),
        ("queue", (0, 25, 50, 75, 100, 125, 150), (10, 20, 30, 40, 50, 60)),
        ("replace", (0, 10, 20, 30, 40, 50, 60), (10, 20, 30, 40, 50, 60)),
        ("allow", (0, 10, 20, 30, 40, 50, 60), (10, 20, 30, 40, 50, 60)),
        (2, (0, 10, 25, 35, 50, 60, 75), (10, 20, 30, 40, 50, 60)),
    ],
)
def test_runs_of_25_minutes_every_10_lie_as_their_policy_says(
    overlap: str | int, starts: tuple[float, ...], clashes: tuple[float, ...]
) -> None:
    busy = expected(at(0, 10, 20, 30, 40, 50, 60), timedelta(minutes=25), overlap)
    assert (busy.starts, busy.clashes) == (at(*starts), at(*clashes))


def test_a_run_that_ends_as_the_next_is_due_meets_nothing() -> None:
    for overlap in ("skip", "queue", "replace", "allow", 2):
        assert expected(at(0, 10, 20), timedelta(minutes=10), overlap).clashes == []


def test_the_most_at_once_is_counted_over_all_tasks() -> None:
    """And the first instant at which it is reached."""
    long = expected(at(0), timedelta(minutes=60), "skip")
    short = expected(at(0, 20, 40), timedelta(minutes=5), "skip")
    other = expected(at(22), timedelta(minutes=5), "skip")
    load = load_of([long, short, other], 2)
    assert load is not None
    assert (load.at, load.running, load.places) == (at(22)[0], 3, 2)
    assert load_of([], 2) is None


@pytest.mark.parametrize(
    ("options", "policy", "does"),
    [
        ({}, "skip", "skipped"),
        ({"overlap": QUEUE}, "queue", "queued"),
        ({"overlap": REPLACE}, "replace", "replaced"),
        ({"overlap": ALLOW}, "allow", "beside"),
    ],
    ids=["skip", "queue", "replace", "allow"],
)
def test_a_forecast_names_what_becomes_of_overlaps(
    options: dict[str, Any], policy: str, does: str
) -> None:
    """With the mean and the longest of its last runs; without history nothing is said."""
    every = planned(task("every", trigger_args={"minutes": 10}, **options))
    found = foretold(every, days=0.1, durations={"every": (900.0, 1000.0)})
    (overlap,) = found.overlaps
    assert (overlap.policy, overlap.does) == (policy, does)
    assert (overlap.mean, overlap.longest) == (900.0, 1000.0)
    first, *_ = (run.at for run in found.runs)
    assert overlap.first[0] == first + timedelta(minutes=10) > NOW
    assert overlap.count == (7 if does == "skipped" else len(found.runs) - 1)
    assert foretold(every).overlaps == ()
