"""The ledger's promise about tasks that crash again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.policy import Delivery
from core.records import Ending
from core.run import Reason, Run, RunState, TaskState
from manager.storage import Database, SqlLedger
from tests.engine_tools import HOUR, SECOND, START, due, firing, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.crashing import Buried

NEXT = START + HOUR


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """Give an open ledger that knows the tasks ``a`` and ``b``, and ``once``."""
    built = SqlLedger(Database(ledger_url, synchronous="normal"))
    built.open()
    once = task("once", delivery=Delivery.AT_MOST_ONCE)
    built.bind([(each, NEXT) for each in (task("a"), task("b"), once)], "here", START)
    yield built
    built.close()


def begun(ledger: SqlLedger, *runs: Run, at: int = 0, node: str = "here") -> list[Run]:
    """Insert *runs* and start all that may start, so many seconds after the beginning."""
    ledger.transact(lambda tx: [tx.insert(run) for run in runs])
    now = START + at * SECOND
    return ledger.transact(lambda tx: tx.claim(wish(node=node, now=now)))


def killed(ledger: SqlLedger, *nodes: str, at: int) -> Buried:
    """Bury nodes so many seconds after the beginning."""
    return ledger.bury(nodes or ["here"], START + at * SECOND, rerun=True)


def test_three_crashes_of_different_runs_quarantine_their_task(ledger: SqlLedger) -> None:
    """The third run ends FAILED, those before wait; the count stands in the ledger."""
    crashed: list[Run] = []
    for number in range(3):
        mine = run_of("a")
        begun(ledger, mine, at=number * 10)
        others = [run for run in crashed if run.id != mine.id]
        for other in others:  # they started again, and come to an end by an exception
            _fail(ledger, other, number)
        crashed.append(mine)
        buried = killed(ledger, at=number * 10 + 5)
    (noted,) = buried.quarantined
    assert (noted.task_id, noted.crashes, noted.run.id) == ("a", 3, crashed[-1].id)
    found = ledger.run(crashed[-1].id)
    assert found is not None
    assert (found.state, found.reason, found.crashes) == (RunState.FAILED, Reason.CRASH, 1)
    (read,) = ledger.reading.tasks("a")
    assert (read.status, read.quarantined, read.crashes) == (TaskState.QUARANTINED, True, 3)
    assert (read.next_run, read.failed) == (None, 3)
    assert [stored.id for stored in ledger.changed_since(0)] == ["a"]
    assert ledger.reading.quarantined() == ("a",)


def test_a_quarantined_task_is_shown_as_such_while_retries_wait(ledger: SqlLedger) -> None:
    """Nothing of it starts, its next attempts no more than the rest; what runs is still said."""
    later = run_of("a", state=RunState.RETRYING, attempt=1, not_before=NEXT)
    ledger.transact(lambda tx: tx.insert(later))
    assert ledger.reading.tasks("a")[0].status is TaskState.RETRYING
    begun(ledger, run_of("a"), node="beside")
    begun(ledger, run_of("a"))
    for at in (1, 3, 5):
        killed(ledger, at=at)
        begun(ledger, at=at + 1)
    (read,) = ledger.reading.tasks("a")
    assert (read.quarantined, read.status) == (True, TaskState.RUNNING)
    killed(ledger, "beside", at=7)
    (read,) = ledger.reading.tasks("a")
    assert (read.quarantined, read.status) == (True, TaskState.QUARANTINED)
    assert read.id in ledger.reading.quarantined()


def _fail(ledger: SqlLedger, run: Run, number: int) -> None:
    now = ledger.run(run.id)
    assert now is not None
    if now.state is RunState.RUNNING:
        at = START + number * 10 * SECOND
        ended = replace(now, state=RunState.FAILED, reason=Reason.EXCEPTION, finished_at=at)
        ledger.transact(lambda tx: tx.end([Ending(run=ended, token=now.token, attempt=None)]))


def test_a_completed_run_sets_the_count_back(ledger: SqlLedger) -> None:
    """Two crashes, one completed run, two crashes: nothing is quarantined."""
    begun(ledger, run_of("a"))
    killed(ledger, at=1)
    begun(ledger, at=2)
    killed(ledger, at=3)
    assert ledger.reading.tasks("a")[0].crashes == 2
    (run,) = begun(ledger, at=4)
    done = replace(run, state=RunState.COMPLETED, finished_at=START)
    ending = Ending(run=done, token=run.token, attempt=None)
    assert ledger.transact(lambda tx: tx.end([ending])) == [done]
    assert ledger.reading.tasks("a")[0].crashes == 0
    begun(ledger, run_of("a"), at=5)
    killed(ledger, at=6)
    begun(ledger, at=7)
    killed(ledger, at=8)
    (read,) = ledger.reading.tasks("a")
    assert (read.quarantined, read.crashes) == (False, 2)


def test_a_run_that_crashes_beside_others_that_complete_is_given_up(ledger: SqlLedger) -> None:
    """Its third death ends it, and its task goes on."""
    (poison,) = begun(ledger, run_of("a"))
    for at in (1, 3, 5):
        (other,) = (run for run in begun(ledger, run_of("a"), at=at) if run.id != poison.id)
        done = replace(other, state=RunState.COMPLETED, finished_at=START)
        ending = Ending(run=done, token=other.token, attempt=None)
        ledger.transact(lambda tx, ending=ending: tx.end([ending]))  # type: ignore[misc] # bound now
        (left,) = killed(ledger, at=at + 1).runs
    assert (left.id, left.state) == (poison.id, RunState.FAILED)
    assert ledger.reading.quarantined() == ()


def test_one_death_counts_once_however_many_runs_it_took(ledger: SqlLedger) -> None:
    """Five runs that go down with their node are one crash, and all of them wait again."""
    begun(ledger, *(run_of("a") for _ in range(5)))
    buried = killed(ledger, at=5)
    assert [run.state for run in buried.runs] == [RunState.PENDING] * 5
    assert ledger.reading.tasks("a")[0].crashes == 1


def test_nodes_that_die_together_are_one_crash_whenever_each_is_found(ledger: SqlLedger) -> None:
    """Three nodes lose their power; they are buried one after the other."""
    for name in ("n1", "n2", "n3"):
        begun(ledger, run_of("a"), node=name)
    found = [killed(ledger, name, at=at) for at, name in enumerate(("n1", "n2", "n3"), 15)]
    assert ledger.reading.tasks("a")[0].crashes == 1
    assert not any(each.quarantined for each in found)
    begun(ledger, at=30, node="n4")
    killed(ledger, "n4", at=31)
    assert ledger.reading.tasks("a")[0].crashes == 2


def test_of_several_that_crash_third_only_one_ends(ledger: SqlLedger) -> None:
    """The one that crashed most often; the others wait for the task."""
    begun(ledger, run_of("a"))
    killed(ledger, at=1)
    begun(ledger, at=2)
    killed(ledger, at=3)
    begun_now = begun(ledger, run_of("a"), run_of("a"), at=4)
    (*young, old) = sorted(begun_now, key=lambda run: run.crashes)
    buried = killed(ledger, at=5)
    states = {run.id: run.state for run in buried.runs}
    assert states == {old.id: RunState.FAILED} | {run.id: RunState.PENDING for run in young}
    assert begun(ledger, at=6) == []


def test_a_task_that_must_not_start_twice_is_quarantined_too(ledger: SqlLedger) -> None:
    """Its runs are LOST, each of another occurrence; the third quarantines it."""
    for number in range(3):
        begun(ledger, run_of("once"), at=number * 2)
        buried = killed(ledger, at=number * 2 + 1)
    assert [run.state for run in buried.runs] == [RunState.LOST]
    assert ledger.reading.quarantined() == ("once",)


def test_what_was_asked_to_end_did_not_crash(ledger: SqlLedger) -> None:
    """A cancelled run whose node dies is cancelled, and no evidence against its task."""
    (run,) = begun(ledger, run_of("a"))
    ledger.cancel(run.id, START)
    (left,) = killed(ledger, at=1).runs
    assert (left.state, ledger.reading.tasks("a")[0].crashes) == (RunState.CANCELLED, 0)


def crash_of(run: Run, at: int) -> Ending:
    """Return the end of a call whose child process died."""
    said = {"reason": Reason.CRASH, "crashes": run.crashes + 1, "error": "killed by signal 11"}
    ended = replace(run, state=RunState.PENDING, not_before=START + at * SECOND, **said)  # type: ignore[arg-type] # columns
    return Ending(run=ended, token=run.token, attempt=None)


def test_a_child_that_crashes_counts_like_a_node(ledger: SqlLedger) -> None:
    """Through the end of its call: twice it waits again, then the task is quarantined."""
    stands: list[Run | None] = []
    begun(ledger, run_of("a"))
    for number in range(3):
        (run,) = begun(ledger, at=number * 2) if number else _under_way(ledger)
        stands += ledger.transact(
            lambda tx, run=run, at=number * 2 + 1: tx.end([crash_of(run, at)])  # type: ignore[misc] # bound now
        )
    assert [run and run.state for run in stands] == [
        RunState.PENDING,
        RunState.PENDING,
        RunState.FAILED,
    ]
    assert stands[-1] is not None
    read = ledger.reading.run(stands[-1].id)
    assert read is not None
    assert [each.outcome for each in read.attempts] == ["crash"] * 3
    assert (read.crashes, ledger.reading.quarantined()) == (3, ("a",))


def _under_way(ledger: SqlLedger) -> list[Run]:
    return [run for read in ledger.reading.runs("a") if (run := ledger.run(read.id)) is not None]


def test_a_crash_under_a_token_that_is_gone_counts_for_nothing(ledger: SqlLedger) -> None:
    """Somebody else owns the run by now: it is his to say."""
    (mine,) = begun(ledger, run_of("a"))
    killed(ledger, at=1)
    assert ledger.transact(lambda tx: tx.end([crash_of(mine, 2)])) == [None]
    assert ledger.reading.tasks("a")[0].crashes == 1


def quarantine(ledger: SqlLedger) -> None:
    """Let ``once`` crash three times."""
    for number in range(3):
        begun(ledger, run_of("once"), at=number * 2)
        killed(ledger, at=number * 2 + 1)


def test_nothing_of_a_quarantined_task_is_claimed_by_anybody(ledger: SqlLedger) -> None:
    """Nor does it count as work that waits; others go on."""
    quarantine(ledger)
    assert [run.task_id for run in begun(ledger, run_of("once"), run_of("b"), at=9)] == ["b"]
    assert ledger.waiting(START + 10 * SECOND) == []


def test_a_node_that_has_not_heard_fires_nothing_of_it(ledger: SqlLedger) -> None:
    """What wants to run is refused; the record of what passed is not."""
    quarantine(ledger)
    wants = firing("once", START, NEXT, due("once", NEXT))
    assert ledger.transact(lambda tx: tx.fire([wants])).beaten == {"once"}
    row = due("once", NEXT, state=RunState.SKIPPED, finished_at=NEXT)
    fired = ledger.transact(lambda tx: tx.fire([firing("once", START, NEXT, row)]))
    assert fired.runs == (row,)


def test_a_resume_ends_a_quarantine_and_nodes_hear_of_it(ledger: SqlLedger) -> None:
    """The count starts at zero, what waited may start."""
    quarantine(ledger)
    begun(ledger, run_of("once"), at=9)
    seen = max(stored.revision for stored in ledger.changed_since(0))
    ledger.amend(lambda catalogue: catalogue.pause("once", paused=False))
    (heard,) = ledger.changed_since(seen)
    assert (heard.id, heard.quarantined) == ("once", False)
    assert ledger.reading.tasks("once")[0].crashes == 0
    assert [run.task_id for run in begun(ledger, at=10)] == ["once"]


def test_an_edited_definition_does_not_end_a_quarantine(ledger: SqlLedger) -> None:
    """Another function under the id; whoever mended it says so."""
    quarantine(ledger)

    def mended() -> None:
        """Do it right."""

    ledger.bind([(task("once", mended), NEXT)], "there", NEXT)
    assert ledger.reading.quarantined() == ("once",)
