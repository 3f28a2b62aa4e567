"""Several nodes on one PostgreSQL, each with connections of its own: nothing happens twice."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from core.clock import SystemClock
from core.errors import LedgerUnavailableError
from core.records import Ending
from core.run import RunState
from manager.engine.engine import EngineState
from manager.storage import Database, SqlLedger
from manager.storage.catalogue import Catalogue
from manager.storage.locks import locks_of
from tests.engine_tools import (
    HOUR,
    SECOND,
    START,
    Lab,
    due,
    firing,
    lease,
    node,
    run_of,
    task,
    wish,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

    from core.ports import LedgerTransaction
    from core.records import Claim, Fired, Firing
    from core.run import Run

NODES: Final = 4
CLOCK: Final = SystemClock()


@pytest.fixture
def ledgers(postgres_url: str) -> Iterator[list[SqlLedger]]:
    """Give the ledgers of four nodes on one database, which knows the tasks ``a`` to ``f``."""
    made = [SqlLedger(Database(postgres_url)) for _ in range(NODES)]
    for ledger in made:
        ledger.open()
    made[0].bind([(task(name), START + HOUR) for name in "abcdef"], "node-0", START)
    yield made
    for ledger in made:
        ledger.close()


def together(*works: Callable[[], Any]) -> list[Any]:
    """Call each of *works* in a thread of its own, at once; return what they returned."""
    gate, given = threading.Barrier(len(works)), dict[int, Any]()
    raised: list[BaseException] = []

    def call(number: int) -> None:
        gate.wait(10)
        try:
            given[number] = works[number]()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            raised.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if raised:
        raise raised[0]
    return [given[number] for number in range(len(works))]


def fire(firings: list[Firing], tx: LedgerTransaction) -> Fired:
    return tx.fire(firings)


def end(done: list[Run], tx: LedgerTransaction) -> list[Run | None]:
    return tx.end([completed(run) for run in done])


def claim(asked: Claim, tx: LedgerTransaction) -> list[Run]:
    return tx.claim(asked)


def completed(run: Run) -> Ending:
    """Return the good end of *run*."""
    done = replace(run, state=RunState.COMPLETED, finished_at=START)
    return Ending(run=done, token=run.token, attempt=None)


def test_an_occurrence_belongs_to_one_node(ledgers: list[SqlLedger]) -> None:
    """Four nodes fire the same hundred herds of six tasks; each row is made by one of them."""

    def fires(number: int) -> list[str]:
        made: list[str] = []
        for hour in range(100):
            since, until = START + hour * HOUR, START + (hour + 1) * HOUR
            herd = [
                firing(name, since, until, due(name, until, node=f"node-{number}"))
                for name in "fedcba"
            ]
            fired = ledgers[number].transact(partial(fire, herd))
            assert fired.beaten | {run.task_id for run in fired.runs} == set("abcdef")
            made += [f"{run.task_id} {run.fire_key}" for run in fired.runs]
        return made

    made = together(*(lambda number=number: fires(number) for number in range(NODES)))
    every = Counter(each for own in made for each in own)
    assert len(every) == 600
    assert set(every.values()) == {1}


def test_overlap_limits_hold_across_nodes(ledgers: list[SqlLedger]) -> None:
    """Never does a task with room for one, or two, have more under way, whoever claims."""
    limits = {"a": 1, "b": 1, "c": 2, "d": None}
    waiting = [run_of(name) for _ in range(30) for name in limits]
    ledgers[0].transact(lambda tx: [tx.insert(run) for run in waiting])
    lock, under_way, most = threading.Lock(), Counter[str](), Counter[str]()

    def works(number: int) -> int:
        ledger, done = ledgers[number], 0
        asked = wish(3, node=f"node-{number}", limit_of=limits.get)
        kept: list[Run] = []
        while ledger.reading.open_counts() != (0, 0):
            begun = ledger.transact(partial(claim, asked))
            with lock:
                for run in begun:
                    under_way[run.task_id] += 1
                    most[run.task_id] = max(most[run.task_id], under_way[run.task_id])
                under_way.subtract(run.task_id for run in kept)  # before the ledger hears of it
            assert all(ledger.transact(partial(end, kept)))
            done += len(kept)
            kept = begun
        return done

    done = together(*(lambda number=number: works(number) for number in range(NODES)))
    assert sum(done) == len(waiting)
    assert {name: most[name] for name in "ab"} == {"a": 1, "b": 1}
    assert most["c"] <= 2
    assert {run.state for run in ledgers[0].reading.runs(limit=500)} == {RunState.COMPLETED}
    assert {run.attempt for run in ledgers[0].reading.runs(limit=500)} == {1}


def test_room_is_kept_between_a_firing_and_a_claim(ledgers: list[SqlLedger]) -> None:
    """One node fires while another inserts and claims by hand: one run at a time either way."""
    for hour in range(40):
        since, until = START + hour * HOUR, START + (hour + 1) * HOUR
        direct = due("a", until, state=RunState.RUNNING, token=1, attempt=1, node="node-0")
        step = firing("a", since, until, direct, room=1)

        def fires(step: Any = step) -> list[Run]:  # noqa: ANN401 - a firing
            fired = ledgers[0].transact(lambda tx: tx.fire([step]))
            return [run for run in fired.runs if run.state is RunState.RUNNING]

        def claims(until: Any = until) -> list[Run]:  # noqa: ANN401 - an instant
            ledgers[1].transact(lambda tx: tx.insert(run_of("a", until)))
            one = wish(1, now=until, node="node-1", limit_of=lambda _task_id: 1)
            return ledgers[1].transact(lambda tx: tx.claim(one))

        begun = [run for some in together(fires, claims) for run in some]
        assert ledgers[2].reading.open_counts()[1] == len(begun) <= 1
        left = ledgers[2].transact(partial(claim, wish(9, now=until)))
        ledgers[2].transact(partial(end, [*begun, *left]))


def test_whoever_read_a_revision_has_read_all_before(ledgers: list[SqlLedger]) -> None:
    """Three nodes pause and resume; the fourth polls, and sees every number, in order."""
    rounds, ended = 40, threading.Event()

    def pauses(number: int, name: str) -> None:
        for each in range(rounds):
            ledgers[number].amend(partial(Catalogue.pause, task_id=name, paused=each % 2 == 0))

    def polls() -> list[tuple[int, list[int]]]:
        seen: list[tuple[int, list[int]]] = []
        known = 0
        while True:
            last = ended.is_set()
            found = [stored.revision for stored in ledgers[3].changed_since(known)]
            if found:
                seen.append((known, found))
                known = found[-1]
            if last:
                return seen

    def works() -> None:
        together(*(lambda n=n, name=name: pauses(n, name) for n, name in enumerate("abc")))
        ended.set()

    _, seen = together(works, polls)
    assert seen[-1][1][-1] == 3 * rounds
    for before, found in seen:
        assert found == sorted(set(found))
        assert found[0] > before
    final = {stored.id: stored.revision for stored in ledgers[3].changed_since(0)}
    assert max(final.values()) == 3 * rounds
    assert len(set(final.values())) == 3


def test_a_revision_is_not_seen_before_an_earlier_one(ledgers: list[SqlLedger]) -> None:
    """Whoever makes the second number waits until the first is committed."""
    made, release = threading.Event(), threading.Event()

    def slow(catalogue: Any) -> None:  # noqa: ANN401 - the catalogue
        catalogue.pause("a", paused=True)
        made.set()
        assert release.wait(10)

    first = threading.Thread(target=lambda: ledgers[0].amend(slow))
    first.start()
    assert made.wait(10)
    quick = threading.Thread(
        target=lambda: ledgers[1].amend(lambda catalogue: catalogue.pause("b", paused=True))
    )
    quick.start()
    quick.join(0.3)
    assert quick.is_alive()
    assert ledgers[2].changed_since(0) == []
    release.set()
    first.join(10)
    quick.join(10)
    assert [(each.id, each.revision) for each in ledgers[2].changed_since(0)] == [
        ("a", 1),
        ("b", 2),
    ]


def test_works_that_wait_for_each_other_are_both_done(ledgers: list[SqlLedger]) -> None:
    """The server ends one of the two; it is done again, and nobody hears of it."""
    gate, calls = threading.Barrier(2), Counter[str]()

    def crossing(first: str, second: str) -> Callable[[Connection], None]:
        def work(link: Connection) -> None:
            calls[first] += 1
            locks = locks_of(link)
            locks.hold([first])
            if calls[first] == 1:
                gate.wait(10)
            locks.hold([second])

        return work

    together(
        lambda: ledgers[0]._database.write(crossing("a", "b")),
        lambda: ledgers[1]._database.write(crossing("b", "a")),
    )
    assert sorted(calls.values()) == [1, 2]


def test_nodes_that_start_together_bind_the_same_tasks(ledgers: list[SqlLedger]) -> None:
    """One makes the rows, the others find them; no cursor that moved meanwhile goes back."""
    names = [f"new-{number}" for number in range(50)]
    step = firing("a", START, START + HOUR, due("a", START + HOUR))

    def binds(number: int) -> int:
        rows = [(task(name), START + HOUR) for name in (*names, *"abcdef")]
        bound = ledgers[number].bind(rows, f"node-{number}", START)
        return sum(bound[name].fresh for name in names)

    def fires() -> int:
        return len(ledgers[0].transact(lambda tx: tx.fire([step])).runs)

    *fresh, fired = together(*(lambda n=n: binds(n) for n in range(1, NODES)), fires)
    assert sum(fresh) == len(names)
    assert fired == 1
    assert ledgers[0].stored(["a"])["a"].cursor == START + HOUR
    assert len(ledgers[0].reading.tasks()) == len(names) + 6


def test_a_dead_node_is_buried_once(ledgers: list[SqlLedger]) -> None:
    """Three nodes find it at once, and its owner wakes up and ends its run: one of them wins."""
    for _ in range(20):
        ledgers[0].transact(lambda tx: tx.insert(run_of("a")))
        (run,) = ledgers[0].transact(lambda tx: tx.claim(wish(1, node="zombie")))
        results = together(
            *(lambda n=n: ledgers[n].bury(["zombie"], START, rerun=True).runs for n in (1, 2, 3)),
            partial(ledgers[0].transact, partial(end, [run])),
        )
        *buried, (held,) = results
        winners = [each for some in buried for each in some] + ([held] if held else [])
        assert len(winners) == 1
        ledgers[0].transact(
            lambda tx: tx.end([completed(each) for each in tx.claim(wish(1, now=START + SECOND))])
        )


def test_pruning_together_deletes_everything_once(ledgers: list[SqlLedger]) -> None:
    """Nodes that prune at the same time pass over each other's rows."""
    old = [run_of("a", state=RunState.COMPLETED, finished_at=START) for _ in range(1_200)]
    ledgers[0].transact(lambda tx: [tx.insert(run) for run in old])
    pruned = together(*(lambda n=n: ledgers[n].prune(START + HOUR) for n in range(NODES)))
    assert sum(pruned) == len(old)


def test_documents_and_plugins_are_replaced_by_one_after_the_other(
    ledgers: list[SqlLedger],
) -> None:
    """Four nodes write the same names at once, twenty times; the last one stays."""
    record = {"name": "p", "source": "s", "fingerprint": "", "state": "loaded", "problems": []}

    def writes(number: int) -> None:
        for _ in range(20):
            ledgers[number].amend(
                lambda catalogue: catalogue.note_plugins([record | {"loaded_at": START}])
            )
            ledgers[number].store_document(
                {"name": "d", "source": f"node-{number}", "etag": None, "body": [1],
                 "fetched_at": START}
            )  # fmt: skip

    together(*(lambda number=number: writes(number) for number in range(NODES)))
    assert [each.name for each in ledgers[0].reading.plugins()] == ["p"]
    found = ledgers[0].document("d")
    assert found is not None
    assert found["body"] == [1]


def test_nodes_join_and_beat_beside_each_other(ledgers: list[SqlLedger]) -> None:
    """A turn that relies on being alive is not buried in the middle, and holds up no one's beat."""
    for number, ledger in enumerate(ledgers):
        ledger.join(node(f"node-{number}"), START, lease(START + 15 * SECOND))
    entered, release = threading.Event(), threading.Event()

    def turn(tx: Any) -> None:  # noqa: ANN401 - the transaction
        assert tx.is_alive("node-0")
        entered.set()
        assert release.wait(10)

    turning = threading.Thread(target=lambda: ledgers[0].transact(turn))
    turning.start()
    assert entered.wait(10)
    ledgers[1].bury(["node-0"], START, rerun=True)
    assert ledgers[2].beat("node-2", START, lease(START + 15 * SECOND))
    release.set()
    turning.join(10)
    assert ledgers[0].transact(lambda tx: tx.is_alive("node-0"))
    ledgers[1].bury(["node-0"], START, rerun=True)
    assert not ledgers[0].transact(lambda tx: tx.is_alive("node-0"))


@contextmanager
def standing_still(ledger: SqlLedger, *task_ids: str) -> Iterator[None]:
    """Let a node stand still inside a transaction that decides about tasks."""
    entered, release = threading.Event(), threading.Event()

    def turn(tx: Any) -> None:  # noqa: ANN401 - the transaction
        assert tx.seize(task_ids) == set()
        entered.set()
        assert release.wait(10)

    turning = threading.Thread(target=lambda: ledger.transact(turn))
    turning.start()
    assert entered.wait(10)
    try:
        yield
    finally:
        release.set()
        turning.join(10)


def test_a_node_that_stands_still_holds_up_its_own_tasks_only(
    ledgers: list[SqlLedger], postgres_url: str
) -> None:
    """The engine of another decides the rest at once, and what was held as soon as it is free."""
    lab = Lab(postgres_url)
    lab.start(task("a"), task("b"))
    lab.sleep(HOUR)
    assert (len(lab.runs("a")), len(lab.runs("b"))) == (1, 1)
    with standing_still(ledgers[0], "a"):
        ended = list(lab.threads.calls)
        lab.threads.end()
        lab.sleep(HOUR)
        assert (len(lab.runs("a")), len(lab.runs("b"))) == (1, 2)
        assert lab.states("a") == [RunState.RUNNING]  # its outcome waits too
        assert lab.states("b") == [RunState.COMPLETED, RunState.RUNNING]
        assert len(ended) == 2
    lab.steps(2)
    assert lab.states("a") == [RunState.COMPLETED, RunState.RUNNING]
    lab.play()
    assert [run.attempt for run in lab.runs("a")] == [1, 1]
    lab.close()


def test_a_start_waits_for_no_lock_on_what_the_dead_left(
    ledgers: list[SqlLedger], postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who locks their runs' tasks holds up the burial, not the container; no breaker opens."""
    ledgers[0].bind([(task("a"), None)], "dead", START)
    ledgers[0].join(node("dead"), START, lease(START - HOUR))
    ledgers[0].transact(lambda tx: tx.insert(run_of("a")))
    (left,) = ledgers[0].transact(lambda tx: tx.claim(wish(1, node="dead")))
    lab = Lab(postgres_url)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM tasks WHERE id = 'a' FOR UPDATE")
        with pytest.raises(LedgerUnavailableError):
            lab.start(task("b"))  # started; its first turn has tried again
        assert lab.engine.state is EngineState.RUNNING
        assert "what dead nodes left is decided later" in caplog.text
        assert lab.ledger.gate.trouble is None
    lab.sleep(5 * SECOND)
    assert lab.ledger.run(left.id).state is RunState.PENDING  # type: ignore[union-attr]
    lab.close()


def test_what_becomes_free_in_a_moment_is_waited_for(ledgers: list[SqlLedger]) -> None:
    """Ten times, as its turns may be prepared by then; other locks are waited for as before."""
    for _ in range(10):
        with standing_still(ledgers[0], "a", "c"):
            seizing = threading.Event()
            said: list[Any] = []

            def turn(link: Connection, seizing: Any = seizing, said: Any = said) -> None:  # noqa: ANN401
                seizing.set()
                locks = locks_of(link)
                said.append(locks.seize(["a", "b", "c"]))
                said.append(link.exec_driver_sql("SHOW lock_timeout").scalar())

            other = threading.Thread(target=partial(ledgers[1]._database.write, turn))
            other.start()
            assert seizing.wait(10)
            threading.Event().wait(0.02)
        other.join(10)
        assert said == [set(), "3s"]


def holding(url: str, task_id: str, seconds: float, held: threading.Barrier) -> None:
    """Hold the row of a task for some seconds after all are at *held*."""
    with psycopg.connect(url) as link:
        link.execute("SELECT id FROM tasks WHERE id = %s FOR UPDATE", [task_id])
        held.wait(10)
        link.execute("SELECT pg_sleep(%s)", [seconds])


@pytest.mark.parametrize(
    ("description", "least", "most"), [("", 0.0, 1.5), ("in other words", 3.5, 8.0)]
)
def test_a_node_starts_among_others_that_hold_one_task_after_the_other(
    ledgers: list[SqlLedger], postgres_url: str, description: str, least: float, most: float
) -> None:
    """With tasks of other words it waits for each in turn, longer than one statement may else.

    With what is known already it waits for nobody.
    """
    held = threading.Barrier(3)

    def start() -> float:
        known = [(task(name, description=description), START + HOUR) for name in "abcdef"]
        held.wait(10)
        begun = CLOCK.monotonic()
        ledgers[1].bind(known, "node-1", START)
        return CLOCK.monotonic() - begun

    def hold(task_id: str, seconds: float) -> Callable[[], None]:
        return partial(holding, postgres_url, task_id, seconds, held)

    *_, waited = together(hold("b", 2.2), hold("e", 4.4), start)
    assert least <= waited < most
