"""What a crash makes of a run, before the ledger has the last word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from core.crashing import CRASH_LIMIT, after_crash, began, condemned
from core.run import Reason, Run, RunState
from tests.engine_tools import SECOND, START, run_of

if TYPE_CHECKING:
    from datetime import datetime


def running(crashes: int = 0, started_at: datetime = START) -> Run:
    """Return a run under way."""
    known: dict[str, Any] = {"state": RunState.RUNNING, "crashes": crashes}
    return run_of("a", **known, attempt=crashes + 1, started_at=started_at)


@pytest.mark.parametrize(
    ("crashes", "once", "rerun", "state"),
    [
        (0, False, True, RunState.PENDING),
        (1, False, True, RunState.PENDING),
        (2, False, True, RunState.FAILED),
        (0, True, True, RunState.LOST),
        (2, True, True, RunState.LOST),
        (0, False, False, RunState.LOST),
    ],
)
def test_a_crash_makes_of_a_run_what_its_delivery_says(
    crashes: int, once: bool, rerun: bool, state: RunState
) -> None:
    """Again until the third time; never twice where that was asked for."""
    after = after_crash(running(crashes), "it was killed", once=once, rerun=rerun)
    assert (after.state, after.reason, after.crashes) == (state, Reason.CRASH, crashes + 1)
    assert after.failures == 0


def test_the_latest_start_of_those_that_died_together_counts() -> None:
    """A run that never started tells nothing."""
    late = running(started_at=START + SECOND)
    assert began([running(), late, run_of("a")]) == START + SECOND
    assert began([run_of("a")]) is None


def test_the_run_that_crashed_most_often_ends_with_its_task() -> None:
    """Of equals the oldest; what is final already stays, and is the one if it is given up."""
    dead = [after_crash(running(n), "died", once=False, rerun=True) for n in (0, 1, 1)]
    ended = condemned(dead, CRASH_LIMIT)
    assert ended is not None
    assert (ended.id, ended.state) == (dead[1].id, RunState.FAILED)
    assert ended.error == "died; the task has crashed 3 times in a row and is quarantined"
    given_up = replace(dead[2], state=RunState.FAILED)
    assert condemned([*dead, given_up], CRASH_LIMIT) is given_up
    assert condemned([replace(dead[0], state=RunState.LOST)], CRASH_LIMIT) is None
