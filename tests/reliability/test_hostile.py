"""Hostile tasks beside healthy ones, as much as a test run can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.checking import Scale
from tests.reliability.hostile import EXPECTED, HOLDING, LAST, MODES, OK, check, expected
from tests.reliability.hostilities import BEHAVIOURS, ENDLESS, TASK_DEFINITIONS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_whatever_a_task_does_its_neighbours_run_on_time(tmp_path: Path) -> None:
    """Every behaviour once in each mode that survives it; two that end the container."""
    check(Scale.SHORT, tmp_path).require()


def test_every_behaviour_is_asked_for_in_every_mode() -> None:
    """At least forty, none twice, and what is expected of them is of them."""
    names = [each.__name__ for each in BEHAVIOURS]
    assert len(names) == len(set(names)) >= 40
    assert {*EXPECTED, *HOLDING, *LAST, *ENDLESS} <= {*names}
    tasks = {each["id"] for each in TASK_DEFINITIONS}
    assert {f"{name}_{mode}" for name in names for mode in MODES} <= tasks


def test_no_behaviour_gets_through_a_process_of_its_own() -> None:
    """Isolated, each ends as a run of its own: nothing ends or holds up the container."""
    ends = {expected(each.__name__, "process") for each in BEHAVIOURS}
    assert ends <= {OK, "failed exception", "failed timeout", "lost crash"}
