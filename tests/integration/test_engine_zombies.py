"""Nodes that were silent for longer than their lease, and what they may still do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.policy import Delivery
from core.run import Cause, Reason, RunState
from tests.engine_tools import HOUR, SECOND, START, Lab, due, lease, node, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.run import Run


@pytest.fixture
def lab(shared_url: str) -> Iterator[Lab]:
    """Give a lab with a ledger in memory or on PostgreSQL."""
    built = Lab(shared_url)
    yield built
    built.close()


def bury(lab: Lab) -> None:
    """Let another node take the lab's for dead."""
    lab.ledger.bury([lab.engine.node.id], lab.clock.now(), rerun=True)


def run(lab: Lab, run_id: str) -> Run:
    """Return a run that must be there."""
    found = lab.ledger.run(run_id)
    assert found is not None
    return found


@pytest.mark.parametrize("delivery", Delivery)
def test_the_outcome_of_a_run_that_was_taken_away_is_dropped(
    lab: Lab, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """The node hears that it was taken for dead, tells the call, and does not run it beside it."""
    lab.start(task("report", delivery=delivery))
    once = delivery is Delivery.AT_MOST_ONCE
    run_id = lab.engine.request("report", Cause.MANUAL).id
    lab.steps()
    lab.clock.advance(20 * SECOND)
    bury(lab)
    lab.steps()
    assert "this node was silent for longer than its lease and taken for dead" in caplog.text
    assert f"report: run {run_id} was taken away, its outcome will be dropped" in caplog.text
    assert lab.threads.interrupted == [run_id]
    assert lab.threads.figures().leaked == ("report",)
    assert run(lab, run_id).state is (RunState.LOST if once else RunState.PENDING)
    lab.threads.end_leaked()
    lab.sleep(SECOND)
    after = run(lab, run_id)
    assert after.state is (RunState.LOST if once else RunState.RUNNING)
    assert (after.attempt, after.token, after.crashes) == ((1, 1, 1) if once else (2, 2, 1))
    assert [each.token for each in lab.threads.calls.values()] == ([] if once else [2])


def test_a_node_that_was_taken_for_dead_in_mid_turn_fires_nothing_until_it_is_back(
    lab: Lab,
) -> None:
    """The transaction itself looks: neither an occurrence nor a claim is written by the dead."""
    lab.start(task("hourly"), task("asked", trigger_args={"hours": 24}))
    waiting = lab.engine.request("asked", Cause.MANUAL)
    lab.clock.advance(HOUR)
    lab.ledger.after_beat = lambda: bury(lab)
    lab.steps()
    assert lab.threads.calls == {}
    assert lab.states("hourly") == []
    assert run(lab, waiting.id).state is RunState.PENDING
    assert not lab.engine._tenure.holds
    lab.steps(2)
    assert sorted(call.task_id for call in lab.threads.calls.values()) == ["asked", "hourly"]


def test_a_node_that_was_stopped_after_its_claim_does_not_call_the_function(lab: Lab) -> None:
    """It gives the run back under its token, uncharged, and starts it once its lease holds."""
    lab.start(task("report", delivery=Delivery.AT_MOST_ONCE))
    asked = lab.engine.request("report", Cause.MANUAL)
    lab.ledger.after_commit = lambda: lab.clock.advance(20 * SECOND)
    lab.steps()
    assert lab.threads.calls == {}
    lab.steps()
    again = run(lab, asked.id)
    assert (again.state, again.attempt, again.interruptions) == (RunState.RUNNING, 2, 1)
    assert (again.failures, again.token) == (1, 2)
    assert [call.token for call in lab.threads.calls.values()] == [2]
    found = lab.ledger.reading.run(asked.id)
    assert found is not None
    assert [(each.number, each.outcome) for each in found.attempts] == [(1, "uncalled")]


def test_a_node_whose_renewals_fail_starts_nothing_once_its_trust_has_lapsed(lab: Lab) -> None:
    """It trusts its lease from the second before it last asked, minus a margin."""
    lab.start(task("report"))
    began = lab.clock.monotonic()
    assert lab.engine._tenure.holds
    lab.clock.second = began + 12.9
    assert lab.engine._tenure.holds
    lab.clock.second = began + 13
    assert not lab.engine._tenure.holds


@pytest.mark.parametrize(
    ("host", "seconds", "alive"),
    [("here", 10, True), ("here", -1, False), ("elsewhere", 10, False)],
)
def test_leases_of_this_machine_are_judged_by_its_boot_time_clock(
    lab: Lab, host: str, seconds: int, alive: bool
) -> None:
    """A container that starts after the wall clock was set ahead takes nobody there for dead."""
    boot = lab.engine.node.boot_id if host == "here" else "another"
    other = replace(node("other"), boot_id=boot)
    second = lab.clock.boottime() + seconds
    lab.ledger.join(other, START, lease(START - HOUR, second))
    held = due("report", START - HOUR, state=RunState.RUNNING, node="other", token=1, attempt=1)
    lab.ledger.transact(lambda tx: tx.insert(held))
    lab.start(task("report", enabled=False))
    found = run(lab, held.id)
    assert found.crashes == (0 if alive else 1)
    assert found.node == ("other" if alive else lab.engine.node.id)
    assert (found.reason is Reason.CRASH) is False
    assert timedelta(0) == lab.clock.now() - START
