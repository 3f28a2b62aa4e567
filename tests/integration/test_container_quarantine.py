"""A container whose task kills its process: quarantine, what shows it, and what ends it."""

from __future__ import annotations

import logging
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from core.errors import StateError
from core.policy import Delivery
from core.records import Outcome
from core.run import Cause, Reason, RunState
from manager.storage import Database, SqlLedger
from manager.task.control import Control
from manager.testing import Lab as VirtualLab
from tests.engine_tools import SECOND, Lab, nothing, task, waits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEARD = """
    from core import hookimpl

    @hookimpl
    def taskrack_task_quarantined(run):
        raise ValueError("heard " + repr((run.task_id, run.reason.value)))
"""


@pytest.fixture
def lab() -> Iterator[VirtualLab]:
    """Give a container under a virtual clock."""
    with VirtualLab() as built:
        yield built


def crash_thrice(lab: VirtualLab, task_id: str = "export") -> None:
    """Let a task be under way at three deaths of its process, and start the next process."""
    lab.takes(task_id, "1 hour")
    lab.tasks.run_task(task_id)
    for _ in range(3):
        lab.advance("1 s")
        lab.crash()
        lab.restart("10 s")


def test_the_third_crash_is_told_once_at_error_level(
    lab: VirtualLab, caplog: pytest.LogCaptureFixture
) -> None:
    """By the node that noticed it; two others that run beside it say nothing."""
    lab.define("export", nothing, "interval", {"hours": 1})
    lab.second_node()
    crash_thrice(lab)
    lab.advance("1 s")
    lines = [each for each in caplog.records if "quarantined" in each.getMessage()]
    assert [each.levelno for each in lines] == [logging.ERROR]
    (run, *_) = lab.runs("export")
    assert lines[0].getMessage() == (
        "export: quarantined: it crashed 3 times with no completed run between, the last time in "
        f"run {run.id}; nothing of it starts until 'taskrack resume export'"
    )
    assert (run.state, run.reason, run.crashes) == (RunState.FAILED, Reason.CRASH, 3)


def test_a_quarantined_task_fires_nothing_until_it_is_resumed(lab: VirtualLab) -> None:
    """Six hourly occurrences pass; they become one skipped run, and the next one runs."""
    lab.define("export", nothing, "interval", {"hours": 1})
    crash_thrice(lab)
    lab.advance("6 h")
    assert len(lab.runs("export")) == 1
    found = lab.tasks.get_task("export")
    assert found is not None
    assert (found.status, found.next_run, found.crashes) == ("quarantined", None, 3)

    lab.takes("export", "1 s")
    lab.tasks.resume_task("export")

    (_, skipped) = lab.runs("export")
    assert (skipped.state, skipped.reason) == (RunState.SKIPPED, Reason.QUARANTINED)
    assert skipped.occurrences == 6
    lab.advance("1 h")
    assert lab.runs("export")[-1].state is RunState.COMPLETED


def test_every_node_keeps_a_quarantined_task_back(lab: VirtualLab) -> None:
    """One that runs all along, and one that starts later; a resume reaches both."""
    lab.define("export", nothing, "interval", {"hours": 1})
    other = lab.second_node()
    crash_thrice(lab)
    third = lab.second_node()
    lab.advance("3 h")
    assert [run.state for run in lab.runs("export")] == [RunState.FAILED]
    lab.takes("export", "1 s")
    third.tasks.resume_task("export")
    for _ in range(3):
        lab.advance("1 h")
    lab.crash()
    third.crash()
    lab.advance("2 h")
    assert other.is_alive
    states = [run.state for run in lab.runs("export")]
    assert states[:2] == [RunState.FAILED, RunState.SKIPPED]
    assert states[2:] == [RunState.COMPLETED] * 5


def test_what_waits_stays_and_starts_after_the_resume(lab: VirtualLab) -> None:
    """A run that was asked for before waits through a restart; one asked for now is refused."""
    lab.define("export", nothing, overlap="queue")
    lab.takes("export", "1 hour")
    first, second = lab.tasks.run_task("export"), lab.tasks.run_task("export")
    for _ in range(3):
        lab.advance("1 s")
        lab.crash()
        lab.restart("10 s")
    with pytest.raises(StateError) as refused:
        lab.tasks.run_task("export")
    assert str(refused.value) == (
        "task 'export' is quarantined: it crashed 3 times in a row. "
        "Once it is mended, 'taskrack resume export' lets it go on"
    )
    lab.restart("1 day")
    states = {run.id: run.state for run in lab.runs("export")}
    assert states == {first.id: RunState.FAILED, second.id: RunState.PENDING}
    lab.takes("export", "1 s")
    lab.tasks.resume_task("export")
    lab.advance("2 s")
    assert {run.id: run.state for run in lab.runs("export")}[second.id] is RunState.COMPLETED


def test_a_resume_while_no_container_runs_makes_nothing_up(tmp_path: Path) -> None:
    """The next start does not take the quarantine for down time; the audit has who ended it."""
    with VirtualLab(ledger=tmp_path / "ledger.db") as lab:
        lab.define("export", nothing, "interval", {"hours": 1}, catch_up="all")
        crash_thrice(lab)
        lab.tasks.pause_task("export")
        lab.node.stop()
        lab.advance("2 h")
        ledger = SqlLedger(Database(f"sqlite:///{tmp_path}/ledger.db"))
        ledger.open()
        Control(ledger, lab.clock, "cli:operator", 1_000).pause("export", paused=False)
        (change,) = (
            each for each in ledger.reading.evidence.changes("export") if each.action == "resume"
        )
        ledger.close()
        assert change.actor == "cli:operator"
        assert change.before == {"paused": True, "quarantined": True}
        assert change.after == {"paused": False, "quarantined": False}
        lab.node.start()
        (_, skipped) = lab.runs("export")
        assert (skipped.reason, skipped.occurrences) == (Reason.QUARANTINED, 2)
        found = lab.tasks.get_task("export")
        assert found is not None
        assert (found.status, found.crashes) == ("scheduled", 0)


def test_health_forecast_and_explanation_know_it(lab: VirtualLab) -> None:
    """Each says what happened and what ends it."""
    lab.define("export", nothing, "interval", {"hours": 1})
    crash_thrice(lab)
    lab.advance("90 min")
    health = lab.tasks.health()
    assert (health.state, health.quarantined) == ("degraded", ("export",))
    assert health.trouble == (
        "quarantined after crashes: export; 'taskrack resume ID' lets a task go on"
    )
    forecast = lab.tasks.forecast(days=1)
    assert forecast.runs == ()
    assert "export is quarantined: it crashed again and again" in forecast.notes
    told = lab.tasks.explain("export")
    assert told.outcome == "quarantined"
    assert told.because[0] == (
        "its process died 3 times in a row with no completed run between; "
        "'taskrack resume export' lets it go on"
    )
    passed = lab.tasks.explain("export", "01:00")
    assert passed.outcome == "quarantined"


def test_a_waiting_run_of_a_quarantined_task_is_explained(lab: VirtualLab) -> None:
    """The run waits for the task, not for a place."""
    lab.define("export", nothing, overlap="queue")
    lab.takes("export", "1 hour")
    lab.tasks.run_task("export")
    waiting = lab.tasks.run_task("export")
    for _ in range(3):
        lab.advance("1 s")
        lab.crash()
        lab.restart("10 s")
    told = lab.tasks.explain("export")
    assert told.runs[0].id == waiting.id
    assert any(
        each.startswith("the task is quarantined: its process died") for each in told.because
    )


def test_the_hook_hears_it_once_and_its_fault_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The plugin gets the run that crashed last; what it raises is logged."""
    (tmp_path / "taskplugins.py").write_text(dedent(HEARD), encoding="utf-8")
    with VirtualLab() as lab:
        lab.load(tmp_path)
        lab.define("export", nothing)
        crash_thrice(lab)
        lab.restart("1 s")
    said = [each.getMessage() for each in caplog.records if "heard" in each.getMessage()]
    (line,) = said
    assert "taskrack_task_quarantined raised ValueError: heard ('export', 'crash')" in line


def ended(lab: Lab, outcome: Outcome) -> RunState:
    """End the call that is under way, and return how its run stands."""
    lab.threads.end(outcome)
    lab.engine.step()
    return lab.states("a")[-1]


def test_a_child_that_crashes_under_a_live_engine_counts(caplog: pytest.LogCaptureFixture) -> None:
    """It runs again without being charged, and the third time its task is quarantined."""
    lab = Lab()
    lab.start(task("a", max_retries=0))
    lab.engine.request("a", Cause.MANUAL)
    died = RuntimeError("its child was killed by signal 11")
    crash = Outcome(state=RunState.FAILED, reason=Reason.CRASH, error=died)
    states = []
    for _ in range(3):
        lab.sleep(SECOND)
        states.append(ended(lab, crash))
        lab.steps(2)
    assert states[-1] is RunState.FAILED
    assert RunState.FAILED not in states[:-1]
    (run,) = lab.runs("a")
    assert (run.crashes, run.attempt, run.reason) == (3, 3, Reason.CRASH)
    assert ("quarantined", "a", RunState.FAILED) in lab.ears.heard
    assert "a: quarantined: it crashed 3 times" in caplog.text
    lab.close()


def test_a_child_of_a_task_that_must_not_start_twice_is_lost() -> None:
    """As with the death of a node."""
    lab = Lab()
    lab.start(task("a", delivery=Delivery.AT_MOST_ONCE))
    lab.engine.request("a", Cause.MANUAL)
    lab.steps()
    crash = Outcome(state=RunState.FAILED, reason=Reason.CRASH)
    assert ended(lab, crash) is RunState.LOST
    assert lab.task("a").crashes == 1
    lab.close()


def test_a_crash_after_the_time_limit_is_a_timeout() -> None:
    """The engine asked the call to end; that its process is gone then is no crash."""
    lab = Lab()
    lab.loop.stops = True
    lab.start(task("a", waits, timeout=SECOND))
    lab.engine.request("a", Cause.MANUAL)
    lab.steps()
    lab.sleep(2 * SECOND)
    lab.loop.end(Outcome(state=RunState.FAILED, reason=Reason.CRASH))
    lab.engine.step()
    (run,) = lab.runs("a")
    assert (run.state, run.reason) == (RunState.FAILED, Reason.TIMEOUT)
    assert lab.task("a").crashes == 0
    lab.close()
