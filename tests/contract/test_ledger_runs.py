"""The ledger's promise about runs, on SQLite in memory and on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import StateError
from core.policy import Delivery
from core.records import Ending, Fired
from core.run import Attempt, Cause, Reason, Run, RunState
from manager.storage import Database, SqlLedger
from tests.engine_tools import HOUR, SECOND, START, due, firing, lease, node, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

NEXT = START + HOUR


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """Give an open ledger that knows the tasks ``a``, ``b`` and ``c``."""
    built = SqlLedger(Database(ledger_url, synchronous="normal"))
    built.open()
    once = task("c", delivery=Delivery.AT_MOST_ONCE)
    built.bind([(each, NEXT) for each in (task("a"), task("b"), once)], "here", START)
    yield built
    built.close()


def put(ledger: SqlLedger, *runs: Run) -> None:
    """Insert *runs* in one transaction; each must be new."""
    assert ledger.transact(lambda tx: [tx.insert(run) for run in runs]) == [True] * len(runs)


def running(ledger: SqlLedger, task_id: str = "a", owner: str = "here") -> Run:
    """Return a run of a task that *owner* has just claimed."""
    put(ledger, run_of(task_id))
    (claimed,) = ledger.transact(lambda tx: tx.claim(wish(1, node=owner)))
    return claimed


def ending(run: Run, state: RunState = RunState.COMPLETED, **more: object) -> Ending:
    """Return the end of *run*, with a row for its attempt."""
    attempt = Attempt(
        run_id=run.id,
        number=run.attempt,
        token=run.token,
        node=run.node,
        started_at=run.started_at,
        finished_at=START,
        outcome=state,
    )
    ended = replace(run, state=state, **more)  # type: ignore[arg-type] # columns
    if state.is_final:
        ended = replace(ended, finished_at=START)
    return Ending(run=ended, token=run.token, attempt=attempt)


def stands(ledger: SqlLedger, run: Run) -> Run:
    """Return how *run* stands now."""
    found = ledger.run(run.id)
    assert found is not None
    return found


def counts(ledger: SqlLedger) -> tuple[int, int]:
    """Return how many runs of ``a`` completed and failed."""
    (read,) = ledger.reading.tasks("a")
    return read.completed, read.failed


def test_a_firing_inserts_its_run_and_moves_the_cursor(ledger: SqlLedger) -> None:
    """Both are one commit: run, cursor and next run stand together."""
    run = due("a", NEXT)
    fired = ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, run)]))
    stored = ledger.stored(["a"])["a"]
    assert (fired.runs, fired.beaten) == ((run,), frozenset())
    assert (stored.cursor, stored.next_run) == (NEXT, NEXT + HOUR)
    assert stands(ledger, run) == run


def test_a_stale_cursor_changes_nothing(ledger: SqlLedger) -> None:
    """The second node to decide is told that it was beaten, and none of its rows is written."""
    first, second = due("a", NEXT), due("a", NEXT)
    ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, first)]))
    fired = ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT + HOUR, second)]))
    assert fired == Fired((), frozenset({"a"}))
    assert ledger.stored(["a"])["a"].cursor == NEXT
    assert [read.id for read in ledger.reading.runs("a")] == [first.id]


def test_an_instant_is_one_run_of_a_task(ledger: SqlLedger) -> None:
    """The cursor gone back by hand, the key still refuses; another task's instant is its own."""
    ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, due("a", NEXT))]))
    again = due("a", NEXT)
    both = [firing("a", NEXT, NEXT + SECOND, again), firing("b", START, NEXT, due("b", NEXT))]
    fired = ledger.transact(lambda tx: tx.fire(both))
    assert [run.task_id for run in fired.runs] == ["b"]
    assert ledger.run(again.id) is None
    assert ledger.transact(lambda tx: tx.insert(due("b", NEXT))) is False


def test_a_removed_task_fires_nothing(ledger: SqlLedger) -> None:
    """Its cursor is nobody's to move."""
    ledger.amend(lambda catalogue: catalogue.remove("a", START))
    fired = ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, due("a", NEXT))]))
    assert fired == Fired((), frozenset({"a"}))


@pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING, RunState.RETRYING])
def test_an_occurrence_is_skipped_while_an_earlier_run_is_open(
    ledger: SqlLedger, state: RunState
) -> None:
    """Whether it waits, runs or is to be retried; the row says why and is final."""
    run = running(ledger)
    if state is RunState.PENDING:
        put(ledger, run_of("a"))
    if state is RunState.RETRYING:
        ledger.transact(lambda tx: tx.end([ending(run, state)]))
    row = replace(due("a", NEXT), state=RunState.RUNNING, attempt=1, token=1, node="here")
    fired = ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, row, room=1)]))
    (skipped,) = fired.runs
    assert (skipped.state, skipped.reason) == (RunState.SKIPPED, Reason.OVERLAP)
    assert (skipped.attempt, skipped.token, skipped.node) == (0, 0, None)
    assert skipped.finished_at == NEXT


def test_an_idle_task_is_not_skipped_by_what_it_missed(ledger: SqlLedger) -> None:
    """A MISSED row before the run is no earlier run."""
    missed = due("a", START + SECOND, state=RunState.MISSED, finished_at=NEXT)
    both = firing("a", START, NEXT, missed, due("a", NEXT), room=1)
    fired = ledger.transact(lambda tx: tx.fire([both]))
    assert [run.state for run in fired.runs] == [RunState.MISSED, RunState.PENDING]


def test_replace_cancels_what_waits_and_asks_what_runs(ledger: SqlLedger) -> None:
    """Both say that they were replaced; a firing without a run of its own replaces nothing."""
    old, waiting = running(ledger), run_of("a")
    put(ledger, waiting)
    missed = due("a", NEXT, state=RunState.MISSED, finished_at=NEXT)
    ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, missed, replace=True)]))
    assert ledger.to_cancel("here") == []
    new = due("a", NEXT + HOUR)
    ledger.transact(lambda tx: tx.fire([firing("a", NEXT, NEXT + HOUR, new, replace=True)]))
    assert ledger.to_cancel("here") == [(old.id, Reason.REPLACED)]
    assert (stands(ledger, waiting).state, stands(ledger, waiting).reason) == (
        RunState.CANCELLED,
        Reason.REPLACED,
    )
    assert stands(ledger, new).state is RunState.PENDING


def test_a_run_that_starts_at_once_is_the_last_run_of_its_task(ledger: SqlLedger) -> None:
    """``last_run`` is when a run last started, whichever way it did."""
    row = due("a", NEXT, state=RunState.RUNNING, token=1, attempt=1, started_at=NEXT, node="here")
    ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT, row)]))
    assert ledger.reading.tasks("a")[0].last_run == NEXT
    running(ledger, "b")
    assert ledger.reading.tasks("b")[0].last_run == START


def test_claims_go_by_priority_then_time_then_age(ledger: SqlLedger) -> None:
    """The urgent first, of equals the one that has waited longest, of those the older."""
    early, late = START - HOUR, START - SECOND
    wanted = [
        run_of("a", priority=10, not_before=late),
        run_of("b", not_before=early),
        run_of("a", not_before=late),
        run_of("b", not_before=late),
        run_of("c", priority=-10, not_before=early),
    ]
    put(ledger, *reversed(wanted))
    claimed = ledger.transact(lambda tx: tx.claim(wish()))
    assert [run.id for run in claimed] == [run.id for run in wanted]


def test_a_claim_starts_a_run_under_a_new_token(ledger: SqlLedger) -> None:
    """Token and attempt rise with each; what the last attempt said is gone."""
    first = running(ledger)
    assert (first.state, first.token, first.attempt, first.node) == (
        RunState.RUNNING,
        1,
        1,
        "here",
    )
    retry = ending(first, RunState.RETRYING, error="no", traceback="at", reason=Reason.EXCEPTION)
    ledger.transact(lambda tx: tx.end([retry]))
    (second,) = ledger.transact(lambda tx: tx.claim(wish(node="there")))
    assert (second.token, second.attempt, second.node) == (2, 2, "there")
    assert (second.error, second.traceback, second.reason) == (None, None, None)


def test_a_claim_takes_no_more_than_it_wishes_and_only_what_is_due(ledger: SqlLedger) -> None:
    """The limit, the lane and the time each hold."""
    put(
        ledger,
        *(run_of("a") for _ in range(3)),
        run_of("b", lane="loop"),
        run_of("b", not_before=START + SECOND),
    )
    assert len(ledger.transact(lambda tx: tx.claim(wish(2)))) == 2
    assert [run.task_id for run in ledger.transact(lambda tx: tx.claim(wish()))] == ["a"]
    assert ledger.waiting(START) == [("loop", 1, None), ("thread", 0, START + SECOND)]


def test_a_task_at_its_limit_starves_nobody_behind_it(ledger: SqlLedger) -> None:
    """Of fifty runs of one task that may run once, one starts, and so does the one behind."""
    put(ledger, *(run_of("a", priority=5) for _ in range(50)), run_of("b"))
    limits = {"a": 1, "b": None}
    claimed = ledger.transact(lambda tx: tx.claim(wish(2, limit_of=limits.__getitem__)))
    assert [run.task_id for run in claimed] == ["a", "b"]
    assert ledger.transact(lambda tx: tx.claim(wish(2, limit_of=limits.__getitem__))) == []


def test_a_limit_counts_what_runs_already(ledger: SqlLedger) -> None:
    """Two at once: one runs, so of five that wait one more starts."""
    running(ledger)
    put(ledger, *(run_of("a") for _ in range(5)))
    claimed = ledger.transact(lambda tx: tx.claim(wish(limit_of=lambda _task_id: 2)))
    assert len(claimed) == 1


def test_more_tasks_than_a_statement_has_variables_can_be_foreign(ledger: SqlLedger) -> None:
    """Forty thousand ids are left out of a claim."""
    put(ledger, run_of("a"), run_of("foreign-39999"))
    foreign = [f"foreign-{number}" for number in range(40_000)]
    claimed = ledger.transact(lambda tx: tx.claim(wish(foreign=foreign)))
    assert [run.task_id for run in claimed] == ["a"]
    assert ledger.stored(foreign) == {}


def test_a_token_that_is_gone_changes_nothing(ledger: SqlLedger) -> None:
    """The late outcome is refused: no state, no attempt row, no count of it."""
    mine = running(ledger)
    ledger.bury(["here"], START, rerun=True)
    assert ledger.transact(lambda tx: tx.end([ending(mine)])) == [None]
    (theirs,) = ledger.transact(lambda tx: tx.claim(wish(node="there")))
    late = [ending(mine), ending(theirs)]
    assert ledger.transact(lambda tx: tx.end(late)) == [None, late[1].run]
    read = ledger.reading.run(mine.id)
    assert read is not None
    assert [attempt.number for attempt in read.attempts] == [1, 2]
    assert counts(ledger) == (1, 0)


def test_a_final_state_is_left_by_nothing(ledger: SqlLedger) -> None:
    """Neither an end, a release, a cancel nor a claim moves it."""
    run = running(ledger)
    ledger.transact(lambda tx: tx.end([ending(run)]))
    before = stands(ledger, run)
    ledger.transact(lambda tx: tx.end([ending(run, RunState.FAILED)]))
    ledger.transact(lambda tx: tx.release([replace(run, state=RunState.PENDING)], START))
    assert ledger.cancel(run.id, START) is RunState.COMPLETED
    assert ledger.transact(lambda tx: tx.claim(wish())) == []
    assert stands(ledger, run) == before


def test_a_state_that_does_not_follow_is_refused(ledger: SqlLedger) -> None:
    """RUNNING to SKIPPED is a fault of the caller, and nothing of its work is written."""
    run = running(ledger)
    with pytest.raises(StateError, match="cannot go from running to skipped"):
        ledger.transact(lambda tx: tx.end([ending(run), ending(run, RunState.SKIPPED)]))
    assert stands(ledger, run).state is RunState.RUNNING


def test_outcomes_are_counted_by_task(ledger: SqlLedger) -> None:
    """Completed and failed runs each; a retry is no outcome; the last one is the status."""
    for state in (RunState.COMPLETED, RunState.FAILED, RunState.FAILED, RunState.CANCELLED):
        run = running(ledger)
        ledger.transact(lambda tx, run=run, state=state: tx.end([ending(run, state)]))  # type: ignore[misc] # bound now
    retried = ending(running(ledger, "b"), RunState.RETRYING)
    ledger.transact(lambda tx: tx.end([retried]))
    assert counts(ledger) == (1, 2)
    assert ledger.reading.tasks("a")[0].last_status is RunState.CANCELLED
    assert ledger.reading.tasks("b")[0].last_status is None


def test_a_released_run_waits_again_with_a_row_for_its_attempt(ledger: SqlLedger) -> None:
    """It keeps its attempt number and belongs to nobody."""
    run = running(ledger)
    given = replace(run, state=RunState.PENDING, reason=Reason.INTERRUPTED, interruptions=1)
    ledger.transact(lambda tx: tx.release([given], START + SECOND))
    now = stands(ledger, run)
    assert (now.state, now.node, now.attempt, now.failures) == (RunState.PENDING, None, 1, 0)
    assert (now.not_before, now.finished_at) == (START + SECOND, None)
    read = ledger.reading.run(run.id)
    assert read is not None
    assert [(each.number, each.outcome) for each in read.attempts] == [(1, "interrupted")]


def test_a_dead_node_gives_back_or_gives_up_what_it_held(ledger: SqlLedger) -> None:
    """At least once: PENDING; at most once: LOST; another node's run stays."""
    again, once = running(ledger, "a"), running(ledger, "c")
    other = running(ledger, "b", owner="there")
    left = ledger.bury(["here"], START, rerun=True)
    assert {run.id: run.state for run in left.runs} == {
        again.id: RunState.PENDING,
        once.id: RunState.LOST,
    }
    assert [stands(ledger, run).state for run in (again, once, other)] == [
        RunState.PENDING,
        RunState.LOST,
        RunState.RUNNING,
    ]
    assert stands(ledger, once).finished_at == START
    assert stands(ledger, again).crashes == 1


def test_three_deaths_end_a_run(ledger: SqlLedger) -> None:
    """FAILED because of the crashes, which are not charged as attempts."""
    put(ledger, run_of("a"))
    states = []
    for number in range(3):
        (run,) = ledger.transact(lambda tx, name=f"n{number}": tx.claim(wish(node=name)))  # type: ignore[misc] # bound now
        states += [left.state for left in ledger.bury([f"n{number}"], START, rerun=True).runs]
        assert stands(ledger, run).failures == 0
    assert states == [RunState.PENDING, RunState.PENDING, RunState.FAILED]
    assert stands(ledger, run).error == "its process died 3 times under it"
    assert counts(ledger) == (0, 1)


def test_a_crashed_run_is_lost_where_nothing_is_restarted(ledger: SqlLedger) -> None:
    """With automatic restarts off, even at least once is not started again."""
    run = running(ledger)
    ledger.bury(["here"], START, rerun=False)
    assert (stands(ledger, run).state, stands(ledger, run).reason) == (
        RunState.LOST,
        Reason.CRASH,
    )


def test_suspects_are_the_living_and_whoever_holds_a_run(ledger: SqlLedger) -> None:
    """A node that left with a run in its hands is not forgotten; one without is."""
    for name in ("alive", "gone", "guilty"):
        ledger.join(node(name), START, lease(START + 15 * SECOND, 115))
    ledger.leave("gone", START)
    running(ledger, "a", owner="guilty")
    ledger.leave("guilty", START)
    found = {each.node.id: each for each in ledger.suspects(START + SECOND)}
    assert {name: each.lapsed for name, each in found.items()} == {"alive": False, "guilty": True}
    assert found["alive"].second == 115
    assert ledger.beat("alive", START + 10 * SECOND, lease(START + 25 * SECOND, 125))
    renewed = {each.node.id: each for each in ledger.suspects(START + 20 * SECOND)}["alive"]
    assert (renewed.lapsed, renewed.second) == (False, 125)
    ledger.bury(["guilty"], START, rerun=True)
    assert [each.node.id for each in ledger.suspects(START)] == ["alive"]


def test_a_node_that_renewed_its_lease_since_it_was_judged_is_left_alone(ledger: SqlLedger) -> None:
    """It came back between the look and the burial; the one beside it did not."""
    for name, task_id in (("back", "a"), ("gone", "b")):
        ledger.join(node(name), START, lease(START + 15 * SECOND, 115))
        running(ledger, task_id, owner=name)
    judged = {each.node.id: each.second for each in ledger.suspects(START + 20 * SECOND)}
    assert ledger.beat("back", START + 20 * SECOND, lease(START + 35 * SECOND, 135))
    left = ledger.bury([*judged], START + 21 * SECOND, rerun=True, leases=judged)
    assert [run.task_id for run in left.runs] == ["b"]
    assert ledger.transact(lambda tx: tx.is_alive("back"))
    assert not ledger.transact(lambda tx: tx.is_alive("gone"))
    assert len(ledger.held("back")) == 1


def test_a_node_that_was_taken_for_dead_hears_it_at_its_next_beat(ledger: SqlLedger) -> None:
    """It is alive again once it says so, with its tasks; what it held is held by nobody."""
    ledger.bind([(task("a"), None)], "zombie", START)
    ledger.join(node("zombie"), START, lease(START + 15 * SECOND))
    held = running(ledger, "a", owner="zombie")
    assert ledger.held("zombie") == {held.id: held.token}
    assert ledger.transact(lambda tx: tx.is_alive("zombie"))
    ledger.bury(["zombie"], START + HOUR, rerun=True)
    assert ledger.held("zombie") == {}
    assert not ledger.transact(lambda tx: tx.is_alive("zombie"))
    late = START + HOUR
    assert not ledger.beat("zombie", late, lease(late + 15 * SECOND))
    assert not ledger.transact(lambda tx: tx.is_alive("zombie"))
    ledger.join(node("other"), late, lease(late + 15 * SECOND))
    assert ledger.reading.liveness().unbound >= {"a"}
    ledger.revive("zombie", ["a"], late, lease(late + 15 * SECOND))
    assert ledger.transact(lambda tx: tx.is_alive("zombie"))
    assert ledger.reading.liveness().unbound == {"b", "c"}
    assert ledger.beat("zombie", late, lease(late + 15 * SECOND))


def test_a_cancel_ends_what_waits_and_asks_what_runs(ledger: SqlLedger) -> None:
    """It tells the state that it found; an unknown run is told as such."""
    waiting, busy = run_of("b"), running(ledger)
    put(ledger, waiting)
    assert ledger.cancel(waiting.id, START) is RunState.PENDING
    assert stands(ledger, waiting).reason is Reason.REQUESTED
    assert ledger.cancel(busy.id, START) is RunState.RUNNING
    assert ledger.to_cancel("here") == [(busy.id, Reason.REQUESTED)]
    assert ledger.cancel("nobody", START) is None


def test_pruning_takes_old_final_runs_with_all_that_hangs_on_them(ledger: SqlLedger) -> None:
    """Seven hundred old ones go with their attempts; open and young runs stay."""
    old = [
        run_of("a", state=RunState.MISSED, finished_at=START - timedelta(days=2))
        for _ in range(700)
    ]
    busy, failed = running(ledger), running(ledger, "b")
    ledger.transact(lambda tx: tx.end([ending(failed, RunState.FAILED)]))
    put(ledger, *old)
    assert ledger.prune(START - HOUR) == 700
    assert ledger.prune(START - HOUR) == 0
    assert Counter(read.task_id for read in ledger.reading.runs()) == {"a": 1, "b": 1}
    assert ledger.prune(START + HOUR) == 1
    assert ledger.reading.run(failed.id) is None
    assert stands(ledger, busy).state is RunState.RUNNING


def test_statistics_count_what_started_in_the_period(ledger: SqlLedger) -> None:
    """By task and by hour, with lengths and failures; the end of the period is outside."""
    for hours, state in ((0, RunState.COMPLETED), (1, RunState.FAILED), (2, RunState.COMPLETED)):
        begun = START + hours * HOUR
        put(
            ledger,
            run_of("a", state=state, started_at=begun, finished_at=begun + 4 * SECOND, attempt=1),
        )
    found = ledger.reading.statistics(START, START + 2 * HOUR)
    (each,) = found.tasks
    assert (each.task_id, each.runs, each.completed, each.failed) == ("a", 2, 1, 1)
    assert (each.average, each.longest) == (4.0, 4.0)
    assert found.hours == (1, 1)
    assert [read.state for read in found.failures] == [RunState.FAILED]


def test_a_run_comes_back_as_it_was_written(ledger: SqlLedger) -> None:
    """Every column survives the way through the database."""
    run = run_of(
        "a",
        cause=Cause.SUBMIT,
        args=[1, "zwei", None],
        kwargs={"k": [True]},
        result={"umlaut": "ä\udce9"},
        error="e",
        traceback="t",
        priority=-3,
        occurrences=7,
        started_at=START,
    )
    put(ledger, run)
    assert stands(ledger, run) == run
    assert ledger.run("nobody") is None
