"""Simulated worlds: what the check of the battery finds, and that it would find something."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.reliability.checking import Scale
from tests.reliability.simulation import check
from tests.simulation.faults import Fault
from tests.simulation.patching import Patch
from tests.simulation.plans import STARTS
from tests.simulation.planted import BUGS, planted
from tests.simulation.playing import played
from tests.simulation.targets import targets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(600)
def test_fifty_worlds_of_a_week_keep_every_promise(tmp_path: Path) -> None:
    """With every kind of fault, the same course for the same seed, and every planted bug seen."""
    check(Scale.SHORT, tmp_path).require()


def test_twenty_bugs_are_planted_and_each_is_taken_out_again() -> None:
    """Each replaces something while its block runs, and nothing after it."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 20
    for bug in BUGS:
        patch = Patch()
        bug.plant(patch)
        before = list(patch._before)
        assert before, bug.name
        assert all(getattr(owner, name) is not kept for owner, name, kept in before)
        patch.undo()
        assert all(getattr(owner, name) is kept for owner, name, kept in before)


def test_a_failing_seed_names_the_command_that_replays_it() -> None:
    """Whoever sees the failure can see it again."""
    bug = next(each for each in BUGS if "commit" in each.name)
    with planted(bug):
        broken = played(1, 1)
    assert any("inside a transaction" in complaint for complaint in broken.complaints)
    assert broken.replay == ".venv/bin/python -m tests.simulation 1 --days 1"


def test_a_world_without_faults_sees_none() -> None:
    """A kind of fault that is switched off does not strike."""
    calm = played(3, 2, without=frozenset(Fault))
    assert (calm.struck, calm.complaints) == (Counter(), ())
    assert calm.calls > 0


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            STARTS[0],
            ["27 01:30", "28 01:30", "29 01:00", "30 00:30"],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            STARTS[1],
            ["23 00:30", "24 00:30", "25 00:30", "26 01:30"],
        ),
        ("0 */12 * * *", "UTC", STARTS[2], ["30 00:00", "30 12:00", "31 00:00", "31 12:00"]),
    ],
)
def test_the_oracle_reckons_local_times_by_itself(
    expression: str, zone: str, start: datetime, expected: list[str]
) -> None:
    """In the gap at its end, in the fold in its first pass."""
    span = (start, start + timedelta(days=5))
    found = targets("cron", {"expression": expression}, zone, start, span)
    assert [f"{each:%d %H:%M}" for each in found][:4] == expected
