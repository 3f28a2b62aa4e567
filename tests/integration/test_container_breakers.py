"""A container whose task, or plugin, fails again and again: breakers as an operator meets them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from core.errors import DefinitionError
from core.run import Reason, RunState
from manager.testing import Lab
from tests.engine_tools import nothing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Dependency:
    """A service that is down until it is not; remembers who called."""

    def __init__(self) -> None:
        self.is_up = False
        self.calls = 0

    def call(self) -> str:
        self.calls += 1
        if not self.is_up:
            raise ConnectionError("the service is down")
        return "up"


@pytest.fixture
def service() -> Dependency:
    """Give a service that is down."""
    return Dependency()


@pytest.fixture
def lab(service: Dependency) -> Iterator[Lab]:
    """Give a container whose task asks the service each minute, with a breaker of three."""
    with Lab(timezone="UTC") as built:
        breaker = {"failures": 3, "pause": 600}
        options = {"breaker": breaker, "max_retries": 0}
        built.define("sync", service.call, "interval", {"minutes": 1}, **options)
        yield built


def reasons(lab: Lab, task_id: str = "sync") -> list[Reason | None]:
    """Return the reasons of the runs of a task, oldest first."""
    return [run.reason for run in lab.runs(task_id)]


def test_a_task_that_fails_is_left_alone_and_tried_once(
    lab: Lab, service: Dependency, caplog: pytest.LogCaptureFixture
) -> None:
    """Three failures, ten minutes of rest, one trial that fails, twenty minutes of rest."""
    lab.advance("13 min")
    assert service.calls == 4
    assert reasons(lab) == [Reason.EXCEPTION] * 3 + [Reason.BREAKER] * 9 + [Reason.EXCEPTION]
    lab.advance("19 min")
    assert service.calls == 4
    service.is_up = True
    lab.advance("5 min")
    assert service.calls == 9
    assert [run.state for run in lab.runs("sync")[-5:]] == [RunState.COMPLETED] * 5
    said = [each for each in caplog.records if "breaker is" in each.getMessage()]
    assert [each.levelno for each in said] == [logging.ERROR, logging.ERROR, logging.WARNING]
    assert said[0].getMessage() == (
        "sync: its breaker is open: 3 attempts failed in a row; "
        "one run may try at 2026-01-01T00:13:00+00:00"
    )
    assert said[-1].getMessage() == "sync: its breaker is closed: its trial completed"


def test_retries_wait_for_the_trial(service: Dependency) -> None:
    """The run goes on with its attempts then; not one call in between."""
    with Lab() as lab:
        retry = {"backoff": "fixed", "delay": 1, "jitter": False}
        breaker = {"failures": 2, "pause": 300}
        lab.define("sync", service.call, retry=retry, breaker=breaker, max_retries=3)
        run = lab.tasks.run_task("sync")
        lab.advance("4 min")
        assert service.calls == 2
        waiting = lab.tasks.get_run(run.id)
        assert waiting is not None
        assert (waiting.state, waiting.reason) == (RunState.RETRYING, Reason.BREAKER)
        told = lab.tasks.explain("sync")
        assert any(
            each.startswith("the breaker of task sync is open: 2 attempts failed in a row")
            for each in told.because
        )
        service.is_up = True
        lab.advance("2 min")
        done = lab.tasks.get_run(run.id)
        assert done is not None
        assert (done.state, done.attempt, service.calls) == (RunState.COMPLETED, 3, 3)


def test_an_operator_may_try_and_may_close_it(lab: Lab, service: Dependency) -> None:
    """A run by hand is a trial before its time; a resume needs none."""
    lab.advance("5 min")
    health = lab.tasks.health()
    assert [each.subject for each in health.breakers] == ["task:sync"]
    assert (health.state, health.trouble) == ("degraded", "breakers are open: task:sync")
    lab.tasks.run_task("sync")
    lab.advance("1 s")
    assert service.calls == 4
    lab.tasks.resume_task("sync")
    assert lab.tasks.health().breakers == ()
    service.is_up = True
    lab.advance("1 min")
    assert lab.runs("sync")[-1].state is RunState.COMPLETED
    (change,) = lab.tasks.ledger.reading.evidence.changes("sync")
    assert (change.action, change.before) == ("resume", {"breaker": True})


def test_a_restart_finds_it_open(lab: Lab, service: Dependency) -> None:
    """After a crash and after a shutdown alike."""
    lab.advance("4 min")
    lab.crash()
    lab.restart("1 min")
    lab.restart("1 min")
    lab.advance("5 min")
    assert service.calls == 3


def test_two_containers_share_one_trial(lab: Lab, service: Dependency) -> None:
    """Thirty occurrences, four calls: three that failed and the trial."""
    lab.second_node()
    lab.advance("20 min")
    assert service.calls == 4


def test_the_breaker_of_a_plugin_covers_all_its_tasks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two tasks fail in turn; a third of the same plugin rests, the application's own runs on."""
    (tmp_path / "taskplugins.py").write_text(
        "def fails():\n    raise OSError('down')\n\ndef works():\n    return 1\n\n"
        "def task(id, func):\n    return dict(id=id, name=id, func=func, trigger='interval',\n"
        "        trigger_args={'minutes': 1}, enabled=True, max_retries=0, timeout=5)\n\n"
        "TASK_DEFINITIONS = [task('one', fails), task('two', fails), task('three', works)]\n",
        encoding="utf-8",
    )
    with Lab(config={"manager": {"plugin_breaker": {"failures": 4, "pause": 3600}}}) as lab:
        lab.load(tmp_path)
        lab.define("mine", nothing, "interval", {"minutes": 1})
        lab.tasks.update_task("three", enabled=False)
        lab.advance("2 min")
        lab.tasks.update_task("three", enabled=True)
        lab.advance("10 min")
        assert set(reasons(lab, "three")) == {Reason.BREAKER}
        assert reasons(lab, "one")[2:] == [Reason.BREAKER] * 10
        assert reasons(lab, "mine") == [None] * 12
    assert "taskplugins: its plugin breaker is open: 4 attempts failed in a row" in caplog.text


def test_a_breaker_that_cannot_be_meant_is_refused(lab: Lab) -> None:
    """Each fault with its key, what was expected and what was found."""
    with pytest.raises(DefinitionError) as refused:
        lab.define("x", nothing, breaker={"failures": 0, "pauze": 3})
    text = str(refused.value)
    assert "breaker.failures: expected a whole number from 1 to 1000, got 0" in text
    assert "breaker.pauze: unknown key, did you mean 'pause'?" in text
    assert "breaker.pause: missing; expected a number of seconds above 0" in text


def test_what_is_due_runs_where_no_breaker_was_asked_for(service: Dependency) -> None:
    """A hundred failures, a hundred calls."""
    with Lab() as lab:
        lab.define("sync", service.call, "interval", {"minutes": 1}, max_retries=0)
        lab.advance("100 min")
        assert service.calls == 100
