"""Overlap limits across processes, and the eye that watches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.checking import Scale
from tests.reliability.journal import Entry, Event
from tests.reliability.overlaps import beyond, check

if TYPE_CHECKING:
    from pathlib import Path


def test_overlap_limits_hold_across_processes(tmp_path: Path) -> None:
    """Three containers, six policies, runs that take longer than the spacing."""
    check(Scale.SHORT, tmp_path).require()


@pytest.mark.parametrize(("task", "allowed"), [("skip-0", 1), ("allow-two-1", 2)])
def test_one_call_too_many_is_seen(task: str, allowed: int) -> None:
    """Calls that follow each other are none too many; one more that meets them is."""
    calls = [_entry(Event.STARTED, task, number, number) for number in range(allowed)]
    ends = [_entry(Event.RETURNED, task, number, 10 + number) for number in range(allowed)]
    follower = _entry(Event.STARTED, task, 8, 20)
    assert beyond([*calls, *ends, follower]) == []
    intruder = _entry(Event.STARTED, task, 9, 5)
    said = f"{task}: {allowed + 1} calls were under way at once, {allowed} are allowed"
    assert beyond([*calls, *ends, intruder]) == [said]


def _entry(event: Event, task: str, run: int, at: int) -> Entry:
    return Entry(event, f"run-{run}", task, 0, 1, 1, 1, at, at)
