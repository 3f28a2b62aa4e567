"""The answer of a commit is lost: what was written stands once, what was not is written."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from core.errors import UnknownOutcomeError
from core.policy import Overlap, OverlapPolicy
from core.records import Ending, Lease, Shift
from core.run import Attempt, Cause, Reason, RunState
from manager.storage import sqlite
from manager.storage.faults import CommitFault
from manager.storage.repeating import REASONS, settled
from tests.engine_tools import HOUR, SECOND, START, Lab, due, firing, node, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from manager.storage import SqlLedger
    from manager.storage.catalogue import Catalogue

Fate = Literal["written", "not written"]
FATES: tuple[Fate, ...] = ("written", "not written")


class Line:
    """The line to the database, on which answers get lost.

    Attributes:
        losses: What becomes of the next commits whose answers are lost, in order.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.losses: list[Fate] = []
        self._commit = sqlite._commit
        monkeypatch.setattr(sqlite, "_commit", self.commit)

    def commit(self, driver: sqlite3.Connection) -> None:
        if not self.losses:
            self._commit(driver)
            return
        if self.losses.pop(0) == "written":
            self._commit(driver)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise CommitFault(error)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.close()


def everything(ledger: SqlLedger) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the ledger, without the numbers that only tell of changes."""
    with ledger._database.read() as link:
        tables = ("tasks", "runs", "attempts", "nodes", "bindings", "audit", "documents")
        found = {
            name: [tuple(row) for row in link.exec_driver_sql(f"SELECT * FROM {name}")]  # noqa: S608
            for name in tables
        }
        columns = [row[1] for row in link.exec_driver_sql("PRAGMA table_info(tasks)")]
    place = columns.index("revision")
    found["tasks"] = [row[:place] + row[place + 1 :] for row in found["tasks"]]
    return found


LEASE = Lease(START + HOUR, 3_600.0)
RUN, WAITS = run_of("a"), run_of("a")
MINE = replace(due("a", START + HOUR), state=RunState.RUNNING, token=1, attempt=1, node="here")
ENDED = replace(MINE, state=RunState.COMPLETED, result=3, finished_at=START + 2 * HOUR)
FAILED = replace(
    MINE, state=RunState.RETRYING, reason=Reason.EXCEPTION, not_before=START + 3 * HOUR
)
GIVEN = replace(MINE, state=RunState.PENDING, reason=Reason.INTERRUPTED, interruptions=1)
STEP = firing("a", START, START + HOUR, MINE)


def prepared(ledger: SqlLedger) -> None:
    """Have a task, a running run and a waiting one."""
    ledger.join(node("here"), START, LEASE)
    ledger.bind([(task("a"), START + HOUR)], "here", START)
    ledger.transact(lambda tx: tx.insert(WAITS))
    ledger.transact(lambda tx: tx.fire([STEP]))


def audited(ledger: SqlLedger, change: Callable[[Catalogue], object]) -> None:
    def work(catalogue: Catalogue) -> None:
        change(catalogue)
        catalogue.record(START, "python", "change", "a", None, {"x": 1})

    ledger.amend(work)


def ends(*outcomes: Ending) -> Callable[[SqlLedger], object]:
    return lambda ledger: settled(ledger, lambda tx: tx.end(list(outcomes)))


VERBS: dict[str, Callable[[SqlLedger], object]] = {
    "fire": lambda led: settled(
        led, lambda tx: len(tx.fire([firing("a", START + HOUR, START + 2 * HOUR)]).runs)
    ),
    "insert": lambda led: settled(led, lambda tx: tx.insert(RUN)),
    "end": ends(Ending(run=ENDED, token=1, attempt=None)),
    "end again": ends(Ending(run=FAILED, token=1, attempt=Attempt.of(FAILED, START + HOUR))),
    "release": lambda led: settled(led, lambda tx: len(tx.release([GIVEN], START + HOUR))),
    "shift": lambda led: settled(
        led, lambda tx: tx.shift([Shift("a", START, HOUR, -SECOND)], "here", -SECOND, START)
    ),
    "join": lambda led: led.join(node("new"), START, LEASE),
    "beat": lambda led: led.beat("here", START + SECOND, LEASE),
    "revive": lambda led: led.revive("here", ["a"], START + SECOND, LEASE),
    "offer": lambda led: led.offer(["a"], "there"),
    "request": lambda led: len(settled(led, lambda tx: tx.request([RUN], 1_000))),
    "leave": lambda led: led.leave("here", START + SECOND),
    "bury": lambda led: str(led.bury(["here"], START + SECOND, rerun=True)) and None,
    "bind": lambda led: led.bind([(task("b"), START + HOUR)], "here", START)["b"].fresh,
    "amend": lambda led: audited(led, lambda catalogue: catalogue.pause("a", paused=True)),
    "cancel": lambda led: led.cancel(WAITS.id, START + SECOND) and None,
    "prune": lambda led: led.prune(START) and None,
    "store_document": lambda led: led.store_document(
        {"name": "d", "source": "s", "etag": None, "body": {}, "fetched_at": START}
    ),
}


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_whose_answer_is_lost_has_the_effect_of_one(
    lab: Lab, line: Line, verb: str, fate: Fate
) -> None:
    """Every row is as after a call that was answered, and so is what it returns."""
    prepared(lab.ledger)
    other = Lab()
    prepared(other.ledger)
    line.losses = [fate]

    returned = VERBS[verb](lab.ledger)

    assert line.losses == []
    assert returned == VERBS[verb](other.ledger)
    assert everything(lab.ledger) == everything(other.ledger)
    other.close()


def test_every_verb_that_writes_says_why_it_may_be_repeated() -> None:
    """The table of reasons names them all; a new verb is to be thought through."""
    tested = {verb.partition(" ")[0] for verb in VERBS} | {"claim"}
    assert tested == set(REASONS)


@pytest.mark.parametrize("verb", ["insert", "beat"])
def test_an_answer_that_stays_lost_is_told(lab: Lab, line: Line, verb: str) -> None:
    """Lost twice: whoever asked hears that it is not known, by the error's class and words."""
    prepared(lab.ledger)
    line.losses = ["not written", "written"]
    with pytest.raises(UnknownOutcomeError, match="whether it was written is not known"):
        VERBS[verb](lab.ledger)


def test_an_outcome_that_was_written_by_another_does_not_stand(lab: Lab) -> None:
    """A token that was lost is lost: only our own outcome counts as written before."""
    prepared(lab.ledger)
    assert lab.ledger.transact(lambda tx: tx.end([Ending(run=ENDED, token=1, attempt=None)]))
    later = replace(ENDED, finished_at=START + 5 * HOUR)
    held = lab.ledger.transact(
        lambda tx: tx.end(
            [
                Ending(run=ENDED, token=1, attempt=None),
                Ending(run=later, token=1, attempt=None),
                Ending(run=FAILED, token=1, attempt=Attempt.of(FAILED, START)),
            ]
        )
    )
    assert held == [ENDED, None, None]


@pytest.mark.parametrize("fate", FATES)
def test_a_claim_whose_answer_is_lost_is_begun_by_the_next_turn(
    lab: Lab, line: Line, fate: Fate
) -> None:
    """Each of three runs is called once, at once, under the one token that the ledger has."""
    lab.start(task("a", overlap=OverlapPolicy(Overlap.ALLOW, None)))
    runs = [lab.engine.request("a", Cause.MANUAL) for _ in range(3)]
    line.losses = [fate]

    with pytest.raises(UnknownOutcomeError):
        lab.engine.step()
    assert lab.threads.calls == {}
    assert lab.engine.rest() == timedelta(0)
    lab.engine.step()

    assert set(lab.threads.calls) == {run.id for run in runs}
    assert {call.token for call in lab.threads.calls.values()} == {1}
    lab.steps(3)
    assert len(lab.threads.calls) == 3
    lab.play()
    assert lab.states("a") == [RunState.COMPLETED] * 3
    assert {run.attempt for run in lab.runs("a")} == {1}


@pytest.mark.parametrize("fate", FATES)
def test_an_occurrence_whose_answer_is_lost_is_begun_once(lab: Lab, line: Line, fate: Fate) -> None:
    """The row that was inserted as running is found under the node."""
    lab.start(task("a"))
    lab.sleep(HOUR - SECOND)
    lab.clock.advance(SECOND)
    line.losses = [fate]
    with pytest.raises(UnknownOutcomeError):
        lab.engine.step()
    lab.steps(2)
    assert len(lab.threads.calls) == 1
    lab.play()
    assert lab.states("a") == [RunState.COMPLETED]
    lab.play(HOUR)
    assert lab.states("a") == [RunState.COMPLETED] * 2


@pytest.mark.parametrize("fate", FATES)
def test_an_outcome_whose_answer_is_lost_is_told_once(lab: Lab, line: Line, fate: Fate) -> None:
    """Plugins hear of the run's end, and nobody hears that it was taken away."""
    lab.start(task("a"))
    run = lab.engine.request("a", Cause.MANUAL)
    lab.steps()
    lab.threads.end()
    line.losses = [fate]
    with pytest.raises(UnknownOutcomeError):
        lab.steps()
    lab.steps(2)
    assert lab.states("a") == [RunState.COMPLETED]
    assert lab.ears.heard.count(("finished", "a", RunState.COMPLETED)) == 1
    assert lab.task("a").completed == 1
    found = lab.ledger.reading.run(run.id)
    assert found is not None
    assert found.attempts == ()


def test_places_are_not_taken_twice_after_a_lost_claim(lab: Lab, line: Line) -> None:
    """What is found counts as busy: no more runs are claimed than there are places."""
    lab.threads.size = 2
    lab.start(task("a", overlap=OverlapPolicy(Overlap.ALLOW, None)))
    for _ in range(5):
        lab.engine.request("a", Cause.MANUAL)
    line.losses = ["written"]
    with pytest.raises(UnknownOutcomeError):
        lab.engine.step()
    lab.steps(2)
    assert len(lab.threads.calls) == 2
    while lab.threads.calls:
        lab.play()
    assert lab.states("a") == [RunState.COMPLETED] * 5


def test_a_lost_claim_is_given_back_by_a_shutdown(lab: Lab, line: Line) -> None:
    """It was never called, so it waits for the next start, also where it must not run twice."""
    lab.start(task("a"))
    lab.engine.request("a", Cause.MANUAL)
    line.losses = ["written"]
    with pytest.raises(UnknownOutcomeError):
        lab.engine.step()
    lab.engine.stop(timedelta(0))
    (run,) = lab.runs("a")
    assert (run.state, run.reason) == (RunState.PENDING, Reason.INTERRUPTED)
    assert lab.threads.calls == {}


def test_a_run_that_was_claimed_and_forgotten_is_found_by_the_next_beat(lab: Lab) -> None:
    """Whatever cut the turn off between the commit and the call."""
    lab.start(task("a"))
    run = run_of("a")
    lab.ledger.transact(lambda tx: tx.insert(run))
    lab.ledger.transact(lambda tx: tx.claim(wish(node=lab.engine.node.id)))
    lab.steps(2)
    assert lab.threads.calls == {}
    lab.sleep(3 * SECOND)
    assert list(lab.threads.calls) == [run.id]
