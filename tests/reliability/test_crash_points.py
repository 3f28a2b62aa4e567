"""Ends of a life at its calls into the system, and that they would be seen if they did harm."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.reliability import crash_points
from tests.reliability.checking import Scale
from tests.reliability.crash_points import CALLS, End, Lives, Point, checked, spread, tracer
from tests.reliability.nodes import Nodes

if TYPE_CHECKING:
    from pathlib import Path


NEVER: Final = Point("unlink", 99, 0)


@pytest.fixture
def strace() -> str:
    """Give strace; without it a developer's run says so, and CI fails."""
    found = tracer()
    if found is None and not os.environ.get("CI"):
        pytest.skip("strace is not there: no crash point was looked at")
    assert found is not None, "CI must look at crash points: install strace"
    return found


def test_every_sampled_crash_point_recovers(strace: str, tmp_path: Path) -> None:
    """Some points of each call, from the first of a life to its last."""
    report = crash_points.check(Scale.SHORT, tmp_path)
    report.require()
    assert report.figures["points"] == crash_points.SAMPLE


def test_what_a_whole_life_loses_would_be_seen(strace: str, tmp_path: Path) -> None:
    """A run that was accepted and is gone, and one that nobody took up again, are told."""
    with Nodes() as nodes:
        lives = Lives(nodes, strace, tmp_path)
        assert lives.end_at(NEVER) == End(NEVER, was_killed=False, failures=[])
        counts = lives.counted(0)
    place = tmp_path / "counted-0"
    assert min(counts["pwrite64"], counts["fdatasync"], counts["unlink"]) > 0
    with closing(sqlite3.connect(place / "ledger.db")) as link, link:
        link.execute("DELETE FROM runs WHERE task_id = 'again'")
    said = " ".join(checked(place))
    assert "was accepted, and no row tells" in said
    assert "1 x unfinished: stays: " in said
    assert "1 x journal without row: again: " in said


def test_a_sample_is_spread_over_all_calls() -> None:
    """The first and the last of each call are in it, and no point twice."""
    points = [Point(call, n, pages) for pages in (0, 8) for call in CALLS for n in range(1, 101)]
    chosen = spread(points, 24)
    assert len(chosen) == len(set(chosen)) == 24
    for call in CALLS:
        for pages in (0, 8):
            numbers = [each.number for each in chosen if (each.call, each.pages) == (call, pages)]
            assert (min(numbers), max(numbers)) == (1, 100)
    assert spread(points[:5], 24) == points[:5]
