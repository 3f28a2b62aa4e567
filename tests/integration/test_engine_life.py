"""The life of a run: attempts, time limits, cancelling, crashes, shutdown, database trouble."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.clock import SystemClock
from core.errors import LedgerError, StateError, UnknownTaskError
from core.policy import Delivery, RetryPolicy
from core.records import Outcome
from core.registry import Registry
from core.run import Cause, Reason, Run, RunState
from manager.engine import Engine, EngineSettings, current_run
from manager.engine.engine import EngineState
from manager.scheduling import build_trigger
from manager.storage import Database
from tests.engine_tools import (
    ALLOW,
    HOUR,
    PLAIN,
    QUEUE,
    SECOND,
    START,
    Ears,
    FaultyLedger,
    Lab,
    OpenExecutor,
    StillTimetable,
    due,
    firing,
    lease,
    node,
    nothing,
    run_of,
    task,
    waits,
)
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


MINUTE = timedelta(minutes=1)
LIMIT = timedelta(seconds=10)
COMPLETED = Outcome(state=RunState.COMPLETED)
CANCELLED = Outcome(state=RunState.CANCELLED)


def raises() -> None:
    """Fail, as a task."""
    raise ValueError("no")


@pytest.fixture
def lab(shared_url: str) -> Iterator[Lab]:
    """Give a lab with a ledger in memory or on PostgreSQL."""
    built = Lab(shared_url)
    yield built
    built.close()


def asked(lab: Lab, task_id: str) -> str:
    """Ask for a run now, take a turn, and return the run's id."""
    run = lab.engine.request(task_id, Cause.MANUAL)
    lab.steps()
    return run.id


def run(lab: Lab, run_id: str) -> Run:
    """Return a run that must be there."""
    found = lab.ledger.run(run_id)
    assert found is not None
    return found


def test_retries_come_at_their_stored_times_even_after_a_restart(lab: Lab) -> None:
    """One second, two seconds, four; the third wait is cut by a restart and still holds."""
    lab.start(task("flaky", raises, max_retries=3, retry=PLAIN))
    run_id = asked(lab, "flaky")
    for attempt, pause in ((1, 1), (2, 2), (3, 4)):
        lab.threads.end()
        lab.steps()
        waiting = run(lab, run_id)
        assert (waiting.state, waiting.attempt) == (RunState.RETRYING, attempt)
        assert waiting.not_before == lab.clock.now() + pause * SECOND
        lab.sleep((pause - 0.1) * SECOND)
        assert lab.threads.calls == {}
        if attempt == 3:
            lab.restart()
        lab.sleep(0.1 * SECOND)
    lab.threads.end()
    lab.steps()
    over = lab.ledger.reading.run(run_id)
    assert over is not None
    assert (over.state, over.reason, over.attempt) == (RunState.FAILED, Reason.EXCEPTION, 4)
    assert [(each.number, each.outcome) for each in over.attempts] == [
        (number, "exception") for number in (1, 2, 3, 4)
    ]
    assert [heard for heard, *_ in lab.ears.heard] == [
        *["started", "retrying"] * 3, "started", "finished",
    ]  # fmt: skip


def test_nothing_is_retried_while_automatic_restarts_are_off() -> None:
    """The first failure is the last, and a crashed run is LOST."""
    lab = Lab(automatic=False)
    lab.start(task("flaky", raises, max_retries=3))
    asked(lab, "flaky")
    lab.play()
    assert lab.states("flaky") == [RunState.FAILED]
    asked(lab, "flaky")
    lab.crash()
    lab.clock.advance(MINUTE)
    lab.start()
    assert lab.states("flaky") == [RunState.FAILED, RunState.LOST]
    assert [state for heard, _, state in lab.ears.heard if heard == "finished"] == [
        *(RunState.FAILED, RunState.LOST),
    ]
    lab.close()


def test_an_error_that_is_not_to_be_retried_fails_at_once(lab: Lab) -> None:
    """``never_on`` wins over the retries that are left."""
    policy = RetryPolicy(never_on=frozenset({"ValueError"}))
    lab.start(task("flaky", raises, max_retries=3, retry=policy))
    run_id = asked(lab, "flaky")
    lab.play()
    assert (run(lab, run_id).state, run(lab, run_id).attempt) == (RunState.FAILED, 1)


def test_a_coroutine_beyond_its_time_is_cancelled_and_failed(lab: Lab) -> None:
    """Its end counts as a timeout whatever it returns; nothing leaks."""
    lab.start(task("slow", waits, timeout=LIMIT))
    run_id = asked(lab, "slow")
    lab.sleep(LIMIT - SECOND)
    assert lab.loop.interrupted == []
    lab.sleep(SECOND)
    assert lab.loop.interrupted == [run_id]
    lab.loop.end(COMPLETED)
    lab.steps()
    ended = run(lab, run_id)
    assert (ended.state, ended.reason) == (RunState.FAILED, Reason.TIMEOUT)
    assert ended.error == "it ran longer than its time limit of 10 s"
    assert not lab.loop.leaked


def test_a_coroutine_that_does_not_let_itself_be_cancelled_is_given_up(lab: Lab) -> None:
    """After the time to unwind the run is FAILED and the call counts as leaked."""
    lab.start(task("slow", waits, timeout=LIMIT))
    run_id = asked(lab, "slow")
    lab.sleep(LIMIT)
    lab.sleep(6 * SECOND)
    assert run(lab, run_id).reason is Reason.TIMEOUT
    assert list(lab.loop.leaked) == [run_id]


def test_a_leaked_thread_keeps_its_task_from_running_twice(lab: Lab) -> None:
    """Occurrences are skipped and requests wait until the call that was given up has ended."""
    lab.start(task("slow", timeout=LIMIT), task("other"))
    lab.sleep(HOUR)
    lab.threads.end(task_id="other")
    lab.sleep(LIMIT)
    assert lab.engine.health()[1][0].leaked == ("slow",)
    by_hand = asked(lab, "slow")
    assert run(lab, by_hand).state is RunState.PENDING
    lab.ledger.cancel(by_hand, lab.clock.now())
    lab.sleep(HOUR - LIMIT)
    assert lab.states("slow") == [RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED]
    assert lab.states("other") == [RunState.COMPLETED, RunState.RUNNING]
    lab.threads.end_leaked()
    lab.sleep(HOUR)
    assert lab.states("slow")[-1] is RunState.RUNNING


def test_a_late_end_of_a_leaked_call_ends_nothing_else(lab: Lab) -> None:
    """The second attempt of the run goes on while the first one's outcome is dropped."""
    lab.start(task("slow", timeout=LIMIT, max_retries=1, retry=PLAIN, overlap=ALLOW))
    run_id = asked(lab, "slow")
    lab.sleep(LIMIT)
    lab.sleep(SECOND)
    assert (run(lab, run_id).state, run(lab, run_id).attempt) == (RunState.RUNNING, 2)
    lab.threads.end_leaked()
    lab.steps()
    assert run(lab, run_id).state is RunState.RUNNING
    lab.threads.end(COMPLETED)
    lab.steps()
    assert run(lab, run_id).state is RunState.COMPLETED


def test_a_waiting_run_is_cancelled_at_once(lab: Lab) -> None:
    """It never starts."""
    lab.threads.size = 0
    lab.start(task("report"))
    run_id = asked(lab, "report")
    assert lab.ledger.cancel(run_id, lab.clock.now()) is RunState.PENDING
    lab.threads.size = 1
    lab.sleep(SECOND)
    assert (run(lab, run_id).state, lab.threads.calls) == (RunState.CANCELLED, {})


def test_a_running_coroutine_is_cancelled_within_a_sweep(lab: Lab) -> None:
    """The run is CANCELLED on request and not retried."""
    lab.start(task("report", waits, max_retries=3))
    run_id = asked(lab, "report")
    lab.ledger.cancel(run_id, lab.clock.now())
    lab.engine.hasten()
    lab.steps()
    lab.loop.end(CANCELLED)
    lab.steps()
    assert (run(lab, run_id).state, run(lab, run_id).reason) == (
        RunState.CANCELLED,
        Reason.REQUESTED,
    )


def test_a_running_thread_is_told_and_its_run_ends_as_it_does(lab: Lab) -> None:
    """The function sees ``stopping``; what it still completes is completed."""
    seen: list[bool] = []

    def looks() -> None:
        context = current_run()
        seen.append(context is not None and context.stopping)

    lab.start(task("report", looks))
    run_id = asked(lab, "report")
    lab.ledger.cancel(run_id, lab.clock.now())
    lab.sleep(SECOND)
    assert run(lab, run_id).state is RunState.RUNNING
    lab.play()
    assert (seen, run(lab, run_id).state) == ([True], RunState.COMPLETED)


def test_a_removed_task_takes_its_running_run_with_it(lab: Lab) -> None:
    """The run says why it ended; occurrences stop; registered again, the task goes on."""
    lab.start(task("report", waits))
    lab.sleep(HOUR)
    lab.ledger.amend(lambda catalogue: catalogue.remove("report", lab.clock.now()))
    lab.sleep(SECOND)
    assert lab.registry.get("report") is None
    lab.loop.end(CANCELLED)
    lab.steps()
    (first,) = lab.runs("report")
    assert (first.state, first.reason) == (RunState.CANCELLED, Reason.REMOVED)
    lab.sleep(HOUR)
    assert len(lab.runs("report")) == 1
    lab.define(task("report", waits))
    lab.sleep(HOUR)
    assert lab.states("report") == [RunState.CANCELLED, RunState.RUNNING]


def test_old_news_of_a_removal_does_not_take_a_new_task_out(lab: Lab) -> None:
    """A sweep that read the ledger before the task was registered again changes nothing."""
    lab.start(task("report"))
    lab.ledger.amend(lambda catalogue: catalogue.remove("report", lab.clock.now()))
    stale = list(lab.ledger.stored(["report"]).values())
    lab.engine.refresh(stale)
    lab.define(task("report"))
    lab.engine.refresh(stale)
    lab.sleep(HOUR)
    assert lab.registry.get("report") is not None
    assert lab.states("report") == [RunState.RUNNING]


def test_old_news_of_a_pause_does_not_undo_its_end(lab: Lab) -> None:
    """What was read first and put into effect last is recognised as the older."""
    lab.start(task("report"))
    lab.ledger.amend(lambda catalogue: catalogue.pause("report", paused=True))
    stale = list(lab.ledger.stored(["report"]).values())
    lab.pause("report", paused=False)
    lab.engine.refresh(stale)
    lab.sleep(HOUR)
    assert lab.states("report") == [RunState.RUNNING]


def test_a_run_by_hand_has_the_priority_in_effect(lab: Lab) -> None:
    """An operator's edit counts for what is asked for after it."""
    lab.start(task("report"))
    lab.override("report", priority=7)
    assert run(lab, asked(lab, "report")).priority == 7


def test_an_unknown_task_is_not_run(lab: Lab) -> None:
    """The nearest id is named."""
    lab.start(task("report"))
    with pytest.raises(UnknownTaskError, match="did you mean 'report'"):
        lab.engine.request("reprot", Cause.MANUAL)


def test_a_function_that_became_plain_is_not_awaited(lab: Lab) -> None:
    """A run that waits since the function was a coroutine's runs in a thread."""
    lab.loop.size = 0
    lab.start(task("report", waits))
    run_id = asked(lab, "report")
    lab.registry.add(task("report", nothing), replace_existing=True)
    lab.restart()
    assert list(lab.threads.calls) == [run_id]


def test_a_call_that_the_system_refuses_is_a_rejected_failure(lab: Lab) -> None:
    """No thread to be had: the run does not stay RUNNING, and the next one is tried."""
    lab.start(task("report"))
    lab.threads.refusal = RuntimeError("can't start new thread")
    run_id = asked(lab, "report")
    lab.steps()
    ended = run(lab, run_id)
    assert (ended.state, ended.reason) == (RunState.FAILED, Reason.REJECTED)
    assert ended.error == "RuntimeError: can't start new thread"
    lab.threads.refusal = None
    assert run(lab, asked(lab, "report")).state is RunState.RUNNING


@pytest.mark.parametrize("fault", [ValueError("hook"), SystemExit(1)], ids=repr)
def test_what_a_listener_raises_keeps_no_run_from_starting(lab: Lab, fault: BaseException) -> None:
    """Every run that was claimed is called, though each hook call raises."""
    lab.ears.fault = fault
    lab.start(task("a"), task("b"), task("c"))
    with pytest.raises(type(fault)):
        lab.sleep(HOUR)
    assert {call.task_id for call in lab.threads.calls.values()} == {"a", "b", "c"}
    lab.threads.end()
    lab.steps()
    assert lab.states("a") == lab.states("b") == lab.states("c") == [RunState.COMPLETED]


def test_an_error_with_an_undecodable_name_is_stored(lab: Lab) -> None:
    """A lone surrogate, as file names have it, is written out and stops nothing."""

    def opens() -> None:
        raise OSError("cannot read caf\udce9.txt")

    lab.start(task("files", opens))
    run_id = asked(lab, "files")
    lab.play()
    assert run(lab, run_id).error == "OSError: cannot read caf\\udce9.txt"
    assert "caf\\udce9.txt" in str(run(lab, run_id).traceback)


def test_a_result_is_kept_as_it_was_when_the_task_ended(lab: Lab) -> None:
    """What the task goes on doing to the object that it returned is not stored."""
    result: dict[str, Any] = {"rows": 1}

    def gives() -> dict[str, Any]:
        return result

    lab.start(task("report", gives))
    run_id = asked(lab, "report")
    lab.threads.end()
    lab.ledger.broken = {"transact"}
    with pytest.raises(LedgerError):
        lab.steps()
    result["rows"] = object()
    lab.ledger.broken = set()
    lab.steps()
    assert run(lab, run_id).result == {"rows": 1}


def test_a_result_that_cannot_even_be_read_is_shown_as_such(lab: Lab) -> None:
    """A dict whose items raise is no reason to lose the outcome."""

    class Odd(dict[str, int]):
        def items(self) -> Any:  # noqa: ANN401 - it returns nothing
            raise KeyError("gone")

    lab.start(task("report", lambda: Odd(a=1)))
    run_id = asked(lab, "report")
    lab.play()
    assert run(lab, run_id).state is RunState.COMPLETED
    assert run(lab, run_id).result == {"repr": "{'a': 1}"}


@pytest.mark.parametrize(
    ("delivery", "state"),
    [(Delivery.AT_LEAST_ONCE, RunState.PENDING), (Delivery.AT_MOST_ONCE, RunState.LOST)],
)
def test_a_shutdown_gives_back_what_still_runs(
    lab: Lab, delivery: Delivery, state: RunState
) -> None:
    """The run is PENDING again, or LOST where it must not be started twice; nothing is charged."""
    lab.start(task("report", delivery=delivery))
    run_id = asked(lab, "report")
    lab.engine.stop()
    left = lab.ledger.reading.run(run_id)
    assert left is not None
    assert (left.state, left.reason) == (state, Reason.INTERRUPTED)
    assert [(each.number, each.outcome) for each in left.attempts] == [(1, "interrupted")]
    assert run(lab, run_id).failures == 0
    assert (("finished", "report", state) in lab.ears.heard) is (state is RunState.LOST)
    assert lab.clock.now() >= START + 30 * SECOND
    lab.crash()
    lab.start()
    assert (len(lab.threads.calls) == 1) is (state is RunState.PENDING)


def test_a_shutdown_waits_for_what_ends_within_the_grace(lab: Lab) -> None:
    """The outcome is stored, and the wait is over as soon as all have ended."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    stop = lab.clock.waited

    def ends() -> None:
        if lab.clock.now() >= START + 5 * SECOND:
            lab.threads.end(COMPLETED)
        stop()

    lab.clock.waited = ends
    lab.engine.stop()
    assert run(lab, run_id).state is RunState.COMPLETED
    assert lab.clock.now() < START + 6 * SECOND


def test_a_run_that_was_cancelled_stays_so_through_a_shutdown(lab: Lab) -> None:
    """It is not given back to run again."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    lab.ledger.cancel(run_id, lab.clock.now())
    lab.sleep(SECOND)
    lab.engine.stop()
    assert run(lab, run_id).state is RunState.CANCELLED


def test_a_thread_whose_time_is_up_during_shutdown_is_given_back(lab: Lab) -> None:
    """Interrupted is interrupted: no FAILED run without a reason."""
    lab.start(task("report", timeout=31 * SECOND))
    run_id = asked(lab, "report")
    lab.engine.stop()
    assert (run(lab, run_id).state, run(lab, run_id).reason) == (
        RunState.PENDING,
        Reason.INTERRUPTED,
    )


def test_an_outcome_that_the_database_refused_is_stored_at_shutdown(lab: Lab) -> None:
    """Refused all through the drain and accepted at the end: the run is not left RUNNING."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    lab.threads.end(COMPLETED)
    lab.ledger.broken = {"transact"}
    lab.clock.waited = lambda: None
    with pytest.raises(LedgerError):
        lab.steps()
    leave = lab.engine._stopping.leave

    def mended(end: float, *, threaded: bool) -> None:
        lab.ledger.broken = set()
        leave(end, threaded=threaded)

    lab.engine._stopping.leave = mended  # type: ignore[method-assign]
    lab.engine.stop()
    assert run(lab, run_id).state is RunState.COMPLETED


def test_a_run_of_a_stopped_node_is_found_by_the_next(lab: Lab) -> None:
    """A node that left without giving a run back does not keep it RUNNING for ever."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    lab.ledger.leave(lab.engine.node.id, lab.clock.now())
    lab.clock.advance(SECOND)
    lab.crash()
    lab.start()
    assert (run(lab, run_id).state, run(lab, run_id).attempt) == (RunState.RUNNING, 2)


def test_a_crashed_run_starts_again_and_is_given_up_after_three_deaths(lab: Lab) -> None:
    """Each death is an attempt of its own and none is charged."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    for _ in range(3):
        lab.crash()
        lab.clock.advance(MINUTE)
        lab.start()
    ended = lab.ledger.reading.run(run_id)
    assert ended is not None
    assert (ended.state, ended.reason) == (RunState.FAILED, Reason.CRASH)
    assert [(each.number, each.outcome) for each in ended.attempts] == [
        (number, "crash") for number in (1, 2, 3)
    ]


def test_a_run_that_was_to_be_cancelled_when_its_process_died_is(lab: Lab) -> None:
    """It does not run again."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    lab.ledger.cancel(run_id, lab.clock.now())
    lab.crash()
    lab.clock.advance(MINUTE)
    lab.start()
    assert (run(lab, run_id).state, lab.threads.calls) == (RunState.CANCELLED, {})


def test_a_zombie_writes_nothing_and_hears_so(lab: Lab) -> None:
    """The node that was taken for dead ends its run in vain: another one has it."""
    lab.start(task("report"))
    run_id = asked(lab, "report")
    zombie, threads = lab.engine, lab.threads
    lab.crash()
    lab.clock.advance(MINUTE)
    lab.start()
    threads.end(Outcome(state=RunState.FAILED, error=ValueError("late")))
    zombie.step()
    assert (run(lab, run_id).state, run(lab, run_id).node) == (
        RunState.RUNNING,
        lab.engine.node.id,
    )
    lab.threads.end(COMPLETED)
    lab.steps()
    assert run(lab, run_id).state is RunState.COMPLETED


def test_what_the_database_refuses_is_written_later(lab: Lab) -> None:
    """Outcome, occurrence and request survive the outage; nothing starts during it."""
    lab.start(task("a"), task("b"))
    first = asked(lab, "a")
    lab.ledger.broken = {"transact"}
    lab.threads.end(COMPLETED)
    for _ in range(3):
        lab.clock.advance(20 * MINUTE)
        with pytest.raises(LedgerError, match="the disk is full"):
            lab.steps()
    assert lab.threads.calls == {}
    lab.ledger.broken = set()
    lab.sleep(SECOND)
    assert run(lab, first).state is RunState.COMPLETED
    assert {call.task_id for call in lab.threads.calls.values()} == {"a", "b"}
    assert [each.scheduled_for for each in lab.runs("b")] == [START + HOUR]


def test_a_time_limit_holds_while_the_database_cannot_be_read(lab: Lab) -> None:
    """The call is interrupted at its limit all the same."""
    lab.start(task("slow", waits, timeout=LIMIT))
    run_id = asked(lab, "slow")
    lab.ledger.broken = {"waiting", "transact"}
    lab.clock.advance(LIMIT)
    with pytest.raises(LedgerError):
        lab.steps()
    assert lab.loop.interrupted == [run_id]


def test_a_claimed_run_starts_though_reading_fails_right_after(lab: Lab) -> None:
    """Beaten on one task and unable to read its row, the node still starts the other's run."""
    lab.start(task("beaten"), task("other"))
    lab.clock.advance(HOUR)
    now = lab.clock.now()
    ahead = firing("beaten", START, now, due("beaten", now))
    lab.ledger.transact(lambda tx: tx.fire([ahead]))
    lab.ledger.broken = {"stored"}
    with pytest.raises(LedgerError):
        lab.steps()
    assert "other" in {call.task_id for call in lab.threads.calls.values()}
    lab.ledger.broken = set()
    lab.threads.end(COMPLETED)
    lab.steps()
    lab.play(HOUR)
    assert lab.states("beaten") == lab.states("other") == [RunState.COMPLETED] * 2


def test_work_that_is_called_twice_for_one_commit_counts_once(lab: Lab) -> None:
    """A shared commit that failed repeats each turn's work: no run is doubled or forgotten."""
    lab.ledger.shaky = True
    lab.start(task("a", raises, max_retries=1, retry=PLAIN), task("b", overlap=QUEUE))
    for _ in range(3):
        lab.play(HOUR)
        lab.play(SECOND)
    assert lab.states("a") == [RunState.FAILED] * 3
    assert lab.states("b") == [RunState.COMPLETED] * 3
    assert [each.attempt for each in lab.runs("a")] == [2, 2, 2]
    assert lab.ledger.reading.open_counts() == (0, 0)
    assert lab.task("a").failed == 3


def test_a_task_between_registry_and_book_loses_no_run(lab: Lab) -> None:
    """A run that waits for a task that is just being registered is left waiting, then started."""
    lab.start(task("known"))
    lab.registry.add(task("fresh"))
    waiting = run_of("fresh")
    lab.ledger.transact(lambda tx: tx.insert(waiting))
    lab.engine._cycle.expect("thread")
    lab.steps()
    assert run(lab, waiting.id).state is RunState.PENDING
    lab.engine.admit([task("fresh")])
    lab.sleep(SECOND)
    assert run(lab, waiting.id).state is RunState.RUNNING


def test_runs_of_tasks_of_other_nodes_are_left_alone(lab: Lab) -> None:
    """A hundred foreign runs stand before ours, which starts at once."""
    lab.start(task("ours"))
    foreign = [run_of(f"theirs-{number}", priority=5) for number in range(100)]
    lab.ledger.transact(lambda tx: [tx.insert(each) for each in foreign])
    run_id = asked(lab, "ours")
    assert run(lab, run_id).state is RunState.RUNNING
    assert lab.ledger.reading.open_counts() == (100, 1)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "back"])
def test_no_lease_is_judged_by_a_clock_that_was_just_set(lab: Lab, step: timedelta) -> None:
    """Who lives has a lease's time to renew its own; who does not renew it is dead then."""
    lab.start(task("report"))
    lab.ledger.join(node("other"), lab.clock.now(), lease(lab.clock.now() + 15 * SECOND))
    held = due("report", START - HOUR, state=RunState.RUNNING, node="other", token=1, attempt=1)
    lab.ledger.transact(lambda tx: tx.insert(held))
    lab.clock.wall += step
    for _ in range(14):
        lab.sleep(SECOND)
    assert run(lab, held.id).state is RunState.RUNNING
    if step > timedelta(0):  # on PostgreSQL it lapses by the clock of the server
        now = lab.clock.now()
        lab.ledger.beat("other", now, lease(now - SECOND))
        for _ in range(6):
            lab.sleep(SECOND)
        assert run(lab, held.id).crashes == 1


def test_a_draining_engine_pauses_between_its_turns(lab: Lab) -> None:
    """What is due and may not start any more makes no busy loop."""
    lab.start(task("report"))
    lab.clock.advance(HOUR)
    assert lab.engine.rest() == timedelta(0)
    lab.engine.state = EngineState.DRAINING
    assert lab.engine.rest() is None


def test_an_engine_starts_once(lab: Lab) -> None:
    """A second start is a wrong state, and says which."""
    lab.start()
    with pytest.raises(StateError, match="the engine is running; only a new one can be started"):
        lab.engine.start([])


def test_edits_and_changes_leave_nothing_behind_in_memory(lab: Lab) -> None:
    """A thousand pauses, and a thousand tasks that came and went, are not remembered."""
    lab.start(task("report", trigger_args={"weeks": 50}))
    for _ in range(1_000):
        lab.refresh("report")
    for number in range(300):
        lab.define(task(f"gone-{number}", trigger_args={"weeks": 40}))
        lab.engine._book.remove(f"gone-{number}")
    assert len(lab.engine._book._heap) < 200
    assert len(lab.engine._book._triggers) == 1
    found = lab.engine._book.due(START + timedelta(weeks=50))
    assert [live.id for live in found] == ["report"]


def test_a_shared_timer_goes_with_its_last_task() -> None:
    """Two tasks of one schedule are one entry of the timetable."""
    timetable = StillTimetable()
    lab = Lab()
    lab.timetable = timetable
    lab.engine = lab._engine()
    cron: dict[str, Any] = {"trigger": "cron", "trigger_args": {"hour": 0}}
    lab.start(task("a", **cron), task("b", **cron))
    assert len(timetable.watched) == 1
    lab.engine._book.remove("a")
    assert not timetable.unwatched
    lab.engine._book.remove("b")
    assert list(timetable.unwatched.values()) == [1]
    lab.close()


def test_trouble_is_shown_while_it_lasts() -> None:
    """The engine's own thread outlives a ledger that fails, shows it, and clears it."""
    ledger = FaultyLedger(Database("sqlite://"))
    ledger.open()
    executors = {"thread": OpenExecutor("thread"), "loop": OpenExecutor("loop")}
    engine = Engine(
        ledger,
        StillTimetable(),
        executors,
        Registry(10),
        build_trigger=build_trigger,
        clock=SystemClock(),
        settings=EngineSettings(sweep=timedelta(milliseconds=5), backoff=timedelta(milliseconds=5)),
        lifecycle=Ears(),
        manager=None,
    )
    engine.start([])
    ledger.broken = {"waiting"}
    eventually(lambda: engine.trouble)
    assert engine.trouble == "database sqlite://: the disk is full; make room"
    ledger.broken = set()
    eventually(lambda: engine.trouble is None)
    engine.stop(timedelta(0))
    ledger.close()
