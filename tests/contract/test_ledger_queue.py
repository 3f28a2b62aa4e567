"""The ledger's promise about runs that somebody asks for: so many may wait, and no more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from core.errors import QueueFull, TaskrackError
from core.run import Cause, RunState
from manager.storage import Database, SqlLedger
from tests.engine_tools import HOUR, START, due, firing, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

NEXT = START + HOUR


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """Give an open ledger that knows the tasks ``a`` and ``b``."""
    built = SqlLedger(Database(ledger_url, synchronous="normal"))
    built.open()
    built.bind([(task("a"), NEXT), (task("b"), NEXT)], "here", START)
    yield built
    built.close()


def test_as_many_may_wait_as_the_queue_is_long(ledger: SqlLedger) -> None:
    """One more is refused with its figures, and is not there; a start makes room."""
    for task_id in ("a", "a", "b"):
        ledger.transact(lambda tx, one=task_id: tx.request([run_of(one)], 3))  # type: ignore[misc] # bound now
    refused = run_of("b")
    with pytest.raises(QueueFull) as full:
        ledger.transact(lambda tx: tx.request([refused], 3))
    assert (full.value.limit, full.value.waiting, full.value.asked) == (3, 3, 1)
    assert isinstance(full.value, TaskrackError | RuntimeError)
    assert ledger.run(refused.id) is None
    ledger.transact(lambda tx: tx.claim(wish(1)))
    assert ledger.transact(lambda tx: tx.request([refused], 3)) == [refused]


def test_of_several_all_or_none_are_added(ledger: SqlLedger) -> None:
    """Asking again for what is there already asks for nothing."""
    asked = [run_of("a", cause=Cause.BACKFILL, fire_key=f"k{number}") for number in range(5)]
    with pytest.raises(QueueFull, match="0 runs that somebody asked for wait, 5 more would be"):
        ledger.transact(lambda tx: tx.request(asked, 4))
    assert ledger.reading.runs("a") == []
    assert ledger.transact(lambda tx: tx.request(asked, 5)) == asked
    again = [run_of("a", cause=Cause.BACKFILL, fire_key=run.fire_key) for run in asked]
    assert ledger.transact(lambda tx: tx.request(again, 5)) == []


def test_occurrences_and_retries_take_no_place_and_are_never_refused(ledger: SqlLedger) -> None:
    """They wait, however many there are."""
    rows = [due("a", NEXT + number * HOUR) for number in range(20)]
    ledger.transact(lambda tx: tx.fire([firing("a", START, NEXT + 20 * HOUR, *rows)]))
    retried = [run_of("a", state=RunState.RETRYING) for _ in range(20)]
    ledger.transact(lambda tx: [tx.insert(run) for run in retried])
    assert len(ledger.transact(lambda tx: tx.request([run_of("a")], 1))) == 1


def test_eight_threads_fill_it_to_the_last_place_and_not_beyond(ledger: SqlLedger) -> None:
    """Each asks for fifty; a hundred may wait."""
    refused: list[QueueFull] = []

    def ask() -> None:
        for _ in range(50):
            try:
                ledger.transact(lambda tx: tx.request([run_of("a")], 100))
            except QueueFull as error:
                refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(ledger.reading.runs("a", limit=1_000)) == 100
    assert len(refused) == 300
    assert {error.waiting for error in refused} == {100}
