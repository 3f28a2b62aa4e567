"""The ledger's promise about breakers and retry budgets, which all nodes share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from core.breaking import BreakerPolicy, Guard, Turned
from core.budget import PutOff, RetryBudget
from core.records import Ending, Lease
from core.run import Attempt, Cause, Reason, Run, RunState
from manager.storage import Database, SqlLedger
from tests.engine_tools import HOUR, SECOND, START, due, firing, node, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

NEXT = START + HOUR
POLICY = BreakerPolicy(2, 60 * SECOND)
OWN, SHARED = Guard("task:a", POLICY), Guard("plugin:p", POLICY)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """Give an open ledger that knows ``a`` and ``b`` of plugin ``p``, and ``c`` of ``q``."""
    built = SqlLedger(Database(ledger_url, synchronous="normal"))
    built.open()
    known = [task("a", plugin="p"), task("b", plugin="p"), task("c", plugin="q")]
    built.bind([(each, NEXT) for each in known], "here", START)
    yield built
    built.close()


def put(ledger: SqlLedger, *runs: Run) -> None:
    """Insert *runs*."""
    assert ledger.transact(lambda tx: [tx.insert(run) for run in runs]) == [True] * len(runs)


def at(second: int) -> datetime:
    """Return the instant so many seconds after the beginning."""
    return START + second * SECOND


def claimed(ledger: SqlLedger, second: int, limit: int = 10, **more: Any) -> list[Run]:  # noqa: ANN401 - columns
    """Claim what may start at a second."""
    return ledger.transact(lambda tx: tx.claim(wish(limit, now=at(second), **more)))


def ended(
    ledger: SqlLedger, run: Run, second: int, state: RunState, *guards: Guard, wait: int = 1
) -> list[Any]:
    """End the attempt of a run at a second; return what the ledger decided about tasks."""
    now = at(second)
    failed = state is not RunState.COMPLETED
    reason = Reason.EXCEPTION if failed else None
    done = replace(run, state=state, reason=reason, finished_at=now if state.is_final else None)
    if not state.is_final:
        done = replace(done, not_before=now + wait * SECOND)
    attempt = Attempt.of(done, now) if failed else None
    ending = Ending(run=done, token=run.token, attempt=attempt, guards=guards)

    def work(tx: Any) -> list[Any]:  # noqa: ANN401 - the transaction
        assert tx.end([ending]) == [done]
        return list(tx.news)

    return ledger.transact(work)


def open_breaker(ledger: SqlLedger, guard: Guard = OWN) -> Turned:
    """Let two runs of ``a`` fail at the beginning; return the news of the second."""
    for _ in range(2):
        put(ledger, run_of("a"))
        (run,) = claimed(ledger, 0)
        news = ended(ledger, run, 0, RunState.FAILED, guard)
    (turned,) = news
    assert isinstance(turned, Turned)
    return turned


def fire(ledger: SqlLedger, second: int, *, started: bool = True, **more: Any) -> Run:  # noqa: ANN401 - columns
    """Fire an occurrence of ``a`` at a second; return its row."""
    since = ledger.stored(["a"])["a"].cursor
    begun: dict[str, Any] = {"attempt": 1, "token": 1, "node": "here", "started_at": at(second)}
    begun = begun | {"state": RunState.RUNNING} if started else {}
    row = due("a", at(second), **begun)
    fired = ledger.transact(lambda tx: tx.fire([firing("a", since, at(second), row, **more)]))
    (found,) = fired.runs
    return found


def test_a_breaker_that_opens_is_told_with_its_trial(ledger: SqlLedger) -> None:
    """Once, with the instant from which one run may try."""
    turned = open_breaker(ledger)
    assert (turned.after.subject, turned.after.failures) == ("task:a", 2)
    assert turned.instants == (at(60),)


def test_what_falls_due_while_it_is_open_is_skipped(ledger: SqlLedger) -> None:
    """Whether it was to start at once or to wait; the cursor goes on."""
    open_breaker(ledger)
    rows = [fire(ledger, 10), fire(ledger, 20, started=False), fire(ledger, 30, room=1)]
    assert [(row.state, row.reason) for row in rows] == [(RunState.SKIPPED, Reason.BREAKER)] * 3
    assert [row.attempt for row in rows] == [0, 0, 0]
    assert ledger.stored(["a"])["a"].cursor == at(30)


def test_what_waits_waits_until_the_trial(ledger: SqlLedger) -> None:
    """A retry and a run that came later, in the ledger, with the reason; others start."""
    put(ledger, run_of("a"))
    (first,) = claimed(ledger, 0)
    ended(ledger, first, 0, RunState.RETRYING, OWN)
    put(ledger, run_of("a"))
    (second,) = claimed(ledger, 0)
    ended(ledger, second, 0, RunState.FAILED, OWN)
    later = run_of("a", at(5), cause=Cause.START)
    put(ledger, later, run_of("c", at(5)))
    assert [run.task_id for run in claimed(ledger, 5)] == ["c"]
    for run in (first, later):
        stands = ledger.run(run.id)
        assert stands is not None
        assert (stands.not_before, stands.reason) == (at(60), Reason.BREAKER)
    assert ledger.waiting(at(5)) == [("thread", 0, at(60))]


def test_exactly_one_run_tries_on_whichever_node(ledger: SqlLedger) -> None:
    """Of three that wait, one starts at the trial instant; the others when it has completed."""
    open_breaker(ledger)
    put(ledger, *(run_of("a", at(5), cause=Cause.START) for _ in range(3)))
    assert claimed(ledger, 5) == []
    (trial,) = claimed(ledger, 60)
    assert claimed(ledger, 61, node="there") == []
    assert fire(ledger, 62).reason is Reason.BREAKER
    (turned,) = ended(ledger, trial, 63, RunState.COMPLETED, OWN)
    assert (turned.after.is_open, turned.instants) == (False, (at(63),))
    assert len(claimed(ledger, 63, node="there")) == 2


def test_a_trial_that_fails_opens_it_for_twice_as_long(ledger: SqlLedger) -> None:
    """Its own retry waits for the next trial, as does everything else."""
    open_breaker(ledger)
    put(ledger, *(run_of("a", at(5), cause=Cause.START) for _ in range(2)))
    assert claimed(ledger, 5) == []
    (trial,) = claimed(ledger, 60)
    (turned,) = ended(ledger, trial, 61, RunState.RETRYING, OWN)
    assert turned.instants == (at(61 + 120),)
    assert claimed(ledger, 180) == []
    assert len(claimed(ledger, 181)) == 1


def test_the_first_occurrence_after_the_trial_instant_is_the_trial(ledger: SqlLedger) -> None:
    """It starts at once; the next one is skipped while it runs."""
    open_breaker(ledger)
    trial = fire(ledger, 60)
    assert trial.state is RunState.RUNNING
    assert fire(ledger, 61).reason is Reason.BREAKER
    (turned,) = ended(ledger, trial, 62, RunState.COMPLETED, OWN)
    assert not turned.after.is_open
    assert fire(ledger, 63).state is RunState.RUNNING


def test_a_run_by_hand_may_be_the_trial_at_any_time(ledger: SqlLedger) -> None:
    """It goes before those that wait, and its success closes the breaker for all."""
    open_breaker(ledger)
    waits, by_hand = run_of("a", at(5), cause=Cause.START), run_of("a", at(6))
    put(ledger, waits, by_hand)
    (trial,) = claimed(ledger, 7)
    assert trial.id == by_hand.id
    ended(ledger, trial, 8, RunState.COMPLETED, OWN)
    assert [run.id for run in claimed(ledger, 8)] == [waits.id]


def test_a_trial_whose_process_died_makes_room_for_another(ledger: SqlLedger) -> None:
    """Nobody has to notice: a trial that does not run tries no more."""
    open_breaker(ledger)
    put(ledger, run_of("a", at(5)))
    (trial,) = claimed(ledger, 60)
    ledger.bury(["here"], at(70), rerun=True)
    (again,) = claimed(ledger, 70)
    assert again.id == trial.id
    ended(ledger, again, 71, RunState.COMPLETED, OWN)
    assert ledger.reading.evidence.breakers() == ()


def test_the_breaker_of_a_plugin_holds_all_its_tasks(ledger: SqlLedger) -> None:
    """And nobody else's; a trial of one lets the other go on."""
    open_breaker(ledger, SHARED)
    put(ledger, run_of("b", at(5), cause=Cause.START), run_of("c", at(5)))
    assert [run.task_id for run in claimed(ledger, 5)] == ["c"]
    assert fire(ledger, 10).reason is Reason.BREAKER
    (trial,) = claimed(ledger, 60)
    put(ledger, run_of("a", at(61), cause=Cause.START))
    assert claimed(ledger, 61) == []
    ended(ledger, trial, 62, RunState.COMPLETED, SHARED)
    assert [run.task_id for run in claimed(ledger, 62)] == ["a"]


def test_a_resume_closes_the_breakers_of_a_task(ledger: SqlLedger) -> None:
    """What waited for them starts at once."""
    open_breaker(ledger)
    put(ledger, run_of("a", at(5), cause=Cause.START))
    assert claimed(ledger, 5) == []
    (read,) = ledger.reading.evidence.breakers()
    assert (read.subject, read.trial_at) == ("task:a", at(60))
    ledger.amend(lambda catalogue: catalogue.close_breakers(["task:a", "plugin:p"], at(6)))
    assert len(claimed(ledger, 6)) == 1
    assert ledger.reading.evidence.breakers() == ()


def test_the_state_of_a_breaker_outlives_the_process(tmp_path: Path) -> None:
    """Another process finds it open, and its failures counted."""
    path = tmp_path / "ledger.db"
    first = SqlLedger(Database(f"sqlite:///{path}", synchronous="normal"))
    first.open()
    first.bind([(task("a", plugin="p"), NEXT)], "here", START)
    open_breaker(first)
    first.close()
    second = SqlLedger(Database(f"sqlite:///{path}", synchronous="normal"))
    second.open()
    assert fire(second, 30).reason is Reason.BREAKER
    second.close()


BUDGET = RetryBudget(0.5, 2)


def retrying(ledger: SqlLedger, count: int, task_id: str = "a") -> list[Run]:
    """Start so many runs at the beginning and let each fail, to be retried a second later."""
    put(ledger, *(run_of(task_id) for _ in range(count)))
    begun = claimed(ledger, 0, count)
    for run in begun:
        ended(ledger, run, 0, RunState.RETRYING)
    return begun


def test_retries_stay_within_the_budget_of_their_plugin(ledger: SqlLedger) -> None:
    """Of twenty-two a minute six at once; the others wait, evenly spread, and say why."""
    retrying(ledger, 40)

    def work(tx: Any) -> tuple[list[Run], list[Any]]:  # noqa: ANN401 - the transaction
        return tx.claim(wish(20, now=at(1), budget=BUDGET)), list(tx.news)

    begun, (put_off,) = ledger.transact(work)
    assert len(begun) == 6
    assert isinstance(put_off, PutOff)
    assert (put_off.plugin, put_off.count) == ("p", 34)
    waiting = [run for run in ledger.reading.runs("a") if run.state is RunState.RETRYING]
    assert [run.reason for run in waiting] == [Reason.BUDGET] * 34
    assert sorted({run.not_before for run in waiting}) == list(put_off.instants)
    assert min(put_off.instants) > at(1)


def test_another_plugin_and_first_starts_are_not_held_up(ledger: SqlLedger) -> None:
    """The budget is the plugin's own, and of its retries alone."""
    retrying(ledger, 4)
    retrying(ledger, 1, "c")
    put(ledger, run_of("b", at(1)))
    begun = claimed(ledger, 1, 20, budget=RetryBudget(0, 1))
    assert sorted(run.task_id for run in begun) == ["a", "b", "c"]


def test_nodes_share_a_budget(ledger: SqlLedger) -> None:
    """What one spent the other has not; after a minute there is more."""
    retrying(ledger, 4)
    none = RetryBudget(0, 2)
    begun = [
        len(claimed(ledger, second, 20, budget=none, node=f"node-{second % 2}"))
        for second in range(1, 200)
    ]
    assert max(sum(begun[start : start + 60]) for start in range(len(begun) - 60)) == 2
    assert sum(begun) == 4


def test_without_a_budget_everything_starts(ledger: SqlLedger) -> None:
    """Fifty of fifty."""
    retrying(ledger, 50)
    assert len(claimed(ledger, 1, 100)) == 50


def test_a_heartbeat_forgets_starts_that_count_no_more(ledger: SqlLedger) -> None:
    """The table stays as small as a minute."""
    retrying(ledger, 3)

    ledger.join(node("here"), START, Lease(at(15), 15.0))
    ledger.beat("here", at(300), Lease(at(315), 315.0))
    with ledger._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM starts").scalar() == 0
