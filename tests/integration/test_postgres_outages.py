"""PostgreSQL that restarts, drops connections, loses answers, or says nothing any more."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.clock import SystemClock
from core.errors import LedgerUnavailableError, UnknownOutcomeError
from core.run import RunState
from manager.storage import Database, SqlLedger
from manager.storage.server import link_of
from tests.engine_tools import HOUR, START, due, firing, lease, node, run_of, served, task, wish
from tests.postgres import Server, fresh_database
from tests.reliability.proxy import Mode, Proxy
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

LIMIT = 12.0
CLOCK = SystemClock()


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """Give a network between the ledger and its server."""
    with Proxy(postgres.port) as made:
        yield made


@pytest.fixture
def ledger(postgres: Server, proxy: Proxy) -> Iterator[SqlLedger]:
    """Give an open ledger behind the proxy that knows the task ``a``."""
    with fresh_database(postgres, "made") as url:
        built = SqlLedger(Database(url.replace(f":{postgres.port}/", f":{proxy.port}/")))
        built.open()
        built.bind([(task("a"), START + HOUR)], "here", START)
        yield built
        proxy.set(Mode.PASS)
        built.close()


def inserted(ledger: SqlLedger, task_id: str = "a") -> bool:
    """Insert a run; tell whether it was new."""
    run = run_of(task_id)
    return ledger.transact(lambda tx: tx.insert(run))


def count(ledger: SqlLedger) -> int:
    """Return how many runs the ledger holds."""
    return len(ledger.reading.runs(limit=10_000))


def timed(call: Callable[[], Any]) -> float:
    """Return how many seconds *call* took until it failed for want of a database."""
    start = CLOCK.monotonic()
    with pytest.raises(LedgerUnavailableError):
        call()
    return CLOCK.monotonic() - start


def goes_on(ledger: SqlLedger) -> None:
    """Insert a second run and count both, once it is asked again: it is left alone for a moment."""
    assert eventually(lambda: served(lambda: [inserted(ledger)])) == [True]
    assert eventually(lambda: served(lambda: count(ledger))) == 2


def test_the_next_call_after_a_restart_works(ledger: SqlLedger, postgres: Server) -> None:
    """Every connection of before is dead; readers and the writer are replaced unasked."""
    for _ in range(3):
        assert inserted(ledger)
        postgres.restart()
        assert inserted(ledger)
        postgres.restart()
        assert count(ledger) > 0
    assert count(ledger) == 6


def test_a_server_that_is_down_is_an_error_at_once(ledger: SqlLedger, postgres: Server) -> None:
    """The words say what to do; when it is back, everything goes on."""
    inserted(ledger)
    postgres.stop()
    try:
        assert timed(lambda: inserted(ledger)) < LIMIT
        with pytest.raises(LedgerUnavailableError, match=r"check the network|cannot be reached"):
            ledger.reading.tasks()
    finally:
        postgres.start()
    goes_on(ledger)


@pytest.mark.parametrize("mode", [Mode.HOLE, Mode.HALF])
def test_no_call_waits_for_a_silent_network_without_end(
    ledger: SqlLedger, proxy: Proxy, mode: Mode
) -> None:
    """Connections stay open and nothing comes; reading and writing both give up in time."""
    inserted(ledger)
    proxy.set(mode)
    assert timed(lambda: inserted(ledger)) < LIMIT
    assert timed(ledger.reading.tasks) < LIMIT
    proxy.set(Mode.PASS)
    proxy.forget()
    goes_on(ledger)


def test_a_short_hole_delays_and_does_no_more(ledger: SqlLedger, proxy: Proxy) -> None:
    """What the network kept arrives; nothing fails and nothing is written twice."""
    proxy.set(Mode.HOLE)
    ended: list[bool] = []
    writing = threading.Thread(target=lambda: ended.append(inserted(ledger)))
    writing.start()
    threading.Event().wait(0.5)
    proxy.set(Mode.PASS)
    writing.join(LIMIT)
    assert ended == [True]
    assert count(ledger) == 1


def test_a_connection_that_breaks_in_the_middle_is_begun_again(
    ledger: SqlLedger, proxy: Proxy
) -> None:
    """The server took nothing of it back then, so the work is done once more, and once in all."""
    inserted(ledger)
    calls = 0

    def work(tx: Any) -> bool:  # noqa: ANN401 - the transaction
        nonlocal calls
        calls += 1
        tx.insert(run_of("a"))
        if calls == 1:
            proxy.forget()
        inserted: bool = tx.insert(run_of("a"))
        return inserted

    assert ledger.transact(work)
    assert calls == 2
    assert count(ledger) == 3


def test_a_commit_whose_answer_was_lost_was_written_once(ledger: SqlLedger, proxy: Proxy) -> None:
    """The server is asked what became of it; the caller gets the value as if nothing had been."""
    inserted(ledger)
    step = firing("a", START, START + HOUR, due("a", START + HOUR), room=1)
    proxy.set(Mode.ANSWER_LOST)
    with after_the_commit(proxy):
        fired = ledger.transact(lambda tx: tx.fire([step]))
    assert fired.beaten == frozenset()
    assert [run.state for run in fired.runs] == [RunState.SKIPPED]  # the first run takes the room
    assert count(ledger) == 2


def test_a_commit_that_never_arrived_is_done_again(ledger: SqlLedger, proxy: Proxy) -> None:
    """Its transaction was rolled back, and its work is repeated."""
    inserted(ledger)
    proxy.set(Mode.COMMIT_LOST)
    with after_the_commit(proxy):
        assert inserted(ledger)
    assert count(ledger) == 2


@contextmanager
def after_the_commit(proxy: Proxy, mode: Mode = Mode.PASS) -> Iterator[None]:
    """Let the network go on in *mode* once it has met a COMMIT."""

    def heal() -> None:
        eventually(lambda: proxy.caught)
        proxy.set(mode)

    healing = threading.Thread(target=heal)
    healing.start()
    yield
    healing.join(LIMIT)
    assert proxy.caught == 1


def test_a_commit_nobody_can_be_asked_about_is_of_unknown_outcome(
    ledger: SqlLedger, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server went away with the answer; the error says that it is not known."""
    monkeypatch.setattr("manager.storage.postgres._CALL", 1.5)
    inserted(ledger)
    proxy.set(Mode.ANSWER_LOST)
    unknown = pytest.raises(UnknownOutcomeError, match="whether it was written is not known")
    with after_the_commit(proxy, Mode.RESET), unknown:
        inserted(ledger)
    proxy.set(Mode.PASS)
    assert count(ledger) == 2


def test_a_lost_writer_keeps_no_locks(ledger: SqlLedger, proxy: Proxy) -> None:
    """Its old connection, which the server still believes in, is ended by the next one."""
    calls = 0

    def work(link: Connection) -> None:
        nonlocal calls
        calls += 1
        link.exec_driver_sql("SELECT id FROM tasks WHERE id = 'a' FOR UPDATE")
        if calls == 1:
            proxy.strand()
            link_of(link).silence = 0.5
        link.exec_driver_sql("UPDATE tasks SET paused = true WHERE id = 'a'")

    start = CLOCK.monotonic()
    ledger._database.write(work)
    assert CLOCK.monotonic() - start < 4
    assert calls == 2
    assert ledger.stored(["a"])["a"].paused


def test_a_frozen_node_does_not_hold_the_others_up_for_long(
    ledger: SqlLedger, postgres: Server, proxy: Proxy
) -> None:
    """It stopped in the middle of a transaction; the server ends that before long."""
    other = SqlLedger(Database(ledger.label.replace(f":{proxy.port}/", f":{postgres.port}/")))
    other.open()
    entered, left = threading.Event(), threading.Event()

    def frozen(tx: Any) -> None:  # noqa: ANN401 - the transaction
        tx.seize(["a"])
        entered.set()
        left.wait(LIMIT)

    freezing = threading.Thread(target=lambda: other.transact(frozen))  # it is begun again
    freezing.start()
    assert entered.wait(LIMIT)
    step = firing("a", START, START + HOUR, due("a", START + HOUR))
    start = CLOCK.monotonic()

    def fired() -> bool:
        try:
            return len(ledger.transact(lambda tx: tx.fire([step])).runs) == 1
        except LedgerUnavailableError:
            return False

    eventually(fired, 10)
    assert CLOCK.monotonic() - start < 8
    assert ledger.transact(lambda tx: tx.claim(wish(1, now=START + HOUR)))
    left.set()
    freezing.join(LIMIT)
    other.close()


def test_leases_are_judged_by_the_clock_of_the_server(ledger: SqlLedger) -> None:
    """A node whose clock is an hour ahead neither takes others for dead nor outlives its own."""
    now = CLOCK.now()
    ledger.join(node("behind"), now - HOUR, lease(now - HOUR + timedelta(seconds=15)))
    ledger.join(node("short"), now + HOUR, lease(now + HOUR + timedelta(milliseconds=1)))
    eventually(lambda: {each.node.id: each.lapsed for each in ledger.suspects(now)}["short"])
    for skewed in (now - HOUR, now, now + HOUR):
        found = {each.node.id: each.lapsed for each in ledger.suspects(skewed)}
        assert found == {"behind": False, "short": True}
        assert ledger.reading.is_heard(skewed)
