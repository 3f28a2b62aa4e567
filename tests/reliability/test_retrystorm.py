"""A dependency that is down is not stormed, in short; and what a retry survives."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.run import Reason, RunState
from manager.testing import Lab
from tests.reliability.checking import Scale
from tests.reliability.retrystorm import check

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_dependency_that_is_down_is_not_stormed(tmp_path: Path) -> None:
    """A hundred and fifty runs, five minutes, a kill in the middle."""
    report = check(Scale.SHORT, tmp_path)
    report.require()
    assert report.figures["retries"] != 0


def fails() -> None:
    """Fail."""
    raise ConnectionError("down")


def test_retries_beyond_the_budget_are_told_and_explained(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line a minute, and the reason on the run; nothing is dropped."""
    with Lab(config={"manager": {"retry_budget": 0, "retry_floor": 5}}) as lab:
        lab.define("ask", fails, max_retries=1, overlap="allow", retry={"jitter": False})
        for _ in range(20):
            lab.tasks.run_task("ask")
        lab.advance("50 s")
        runs = lab.runs("ask")
        assert sum(run.state is RunState.FAILED for run in runs) == 5
        waiting = [run for run in runs if run.state is RunState.RETRYING]
        assert {run.reason for run in waiting} == {Reason.BUDGET}
        told = lab.tasks.explain("ask")
        assert told.verdict == (
            "an attempt failed, and its next one waits: the retry budget of its plugin is used up"
        )
        lines = [each.getMessage() for each in caplog.records if "budget" in each.getMessage()]
        assert lines == [
            (
                "plugin test_retrystorm: 18 retries wait, its retry budget is used up "
                "(manager.retry_budget)"
            )
        ]
        lab.advance("10 min")
        assert all(run.state is RunState.FAILED for run in lab.runs("ask"))


def test_when_a_retry_may_start_survives_a_crash_and_a_restart(tmp_path: Path) -> None:
    """To the microsecond; the attempts of before are charged."""
    with Lab(ledger=tmp_path / "ledger.db", seed=7) as lab:
        lab.define("ask", fails, max_retries=2, retry={"delay": 600, "max_delay": 3_600})
        run = lab.tasks.run_task("ask")
        lab.advance("1 s")
        before = lab.tasks.get_run(run.id)
        assert before is not None
        lab.crash()
        lab.restart("1 s")
        lab.restart("1 s")
        after = lab.tasks.get_run(run.id)
        assert after is not None
        assert (after.state, after.attempt) == (RunState.RETRYING, 1)
        assert after.not_before == before.not_before
        assert timedelta(0) < after.not_before - before.created_at <= timedelta(seconds=600)
        lab.advance("3 h")
        done = lab.tasks.get_run(run.id)
        assert done is not None
        assert (done.state, done.attempt, done.crashes) == (RunState.FAILED, 3, 0)
        assert done.attempts[1].started_at == after.not_before


def test_the_pauses_of_one_seed_are_the_same_each_time(tmp_path: Path) -> None:
    """Jitter is drawn from the lab's own source, so a test that fails once fails again."""
    found = []
    for name in ("first", "second", "other"):
        seed = 2 if name == "other" else 1
        with Lab(ledger=tmp_path / f"{name}.db", seed=seed) as lab:
            lab.define("ask", fails, max_retries=5)
            begun = lab.clock.now()
            done = lab.fire("ask")
            found.append([each.finished_at - begun for each in done.attempts])
    assert found[0] == found[1]
    assert found[0] != found[2]
