"""Group commit, several processes, the schema, and the plans of the hot queries."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select

from core.errors import LedgerError
from manager.storage import Database, SqlLedger
from manager.storage.migration import REVISIONS, SCRIPTS, VERSION_TABLE
from manager.storage.prepared import driver_of
from manager.storage.rows import run_row
from manager.storage.tables import metadata, runs
from manager.storage.transaction import SqlTransaction
from tests.engine_tools import HOUR, START, due, firing, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

    from core.run import Run

WRITERS = 8
WRITES = 200


@pytest.fixture(params=["memory", "disk"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLedger]:
    """Give an open ledger."""
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db"
    built = SqlLedger(Database(url, synchronous="normal"))
    built.open()
    yield built
    built.close()


def count(ledger: SqlLedger) -> int:
    """Return how many runs the ledger holds."""
    with ledger._database.read() as connection:
        found: int = connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one()
    return found


def inserted(ledger: SqlLedger, run: Run) -> bool:
    """Insert *run*; tell whether it was new."""
    return ledger.transact(lambda tx: tx.insert(run))


def together(*works: Any) -> list[BaseException | None]:  # noqa: ANN401 - functions
    """Call each of *works* in a thread of its own, at once; return what each raised."""
    gate, raised = threading.Barrier(len(works)), dict[int, BaseException]()

    def call(number: int) -> None:
        gate.wait(10)
        try:
            works[number]()
        except Exception as error:  # noqa: BLE001 - what it raised is what is asked
            raised[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [raised.get(number) for number in range(len(works))]


def test_eight_writers_commit_everything_they_write(ledger: SqlLedger) -> None:
    """Sixteen hundred writes, each there when its call has returned, in far fewer commits."""
    said: list[str] = []
    assert ledger._database._writer is not None
    driver_of(ledger._database._writer).set_trace_callback(said.append)

    def writes() -> None:
        for _ in range(WRITES):
            assert inserted(ledger, run_of("a"))

    assert together(*[writes] * WRITERS) == [None] * WRITERS
    assert count(ledger) == WRITERS * WRITES
    assert 0 < said.count("COMMIT") < WRITERS * WRITES


@pytest.mark.parametrize("fault", [LedgerError("here", "no"), KeyError("odd"), ValueError("json")])
def test_one_writers_fault_is_no_others(ledger: SqlLedger, fault: Exception) -> None:
    """Every second writer raises in the middle of its work: only those fail, and write nothing."""

    def good() -> None:
        for _ in range(20):
            assert inserted(ledger, run_of("good"))

    def bad() -> None:
        def work(tx: Any) -> None:  # noqa: ANN401 - the transaction
            tx.insert(run_of("bad"))
            raise fault

        for _ in range(20):
            with pytest.raises(type(fault)):
                ledger.transact(work)

    assert together(*[good, bad] * 4) == [None] * 8
    assert {read.task_id for read in ledger.reading.runs(limit=1_000)} == {"good"}
    assert count(ledger) == 80


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///{folder}/ledger.db"], ids=["memory", "file"]
)
def test_statements_of_either_kind_share_one_transaction(tmp_path: Path, url: str) -> None:
    """What SQLAlchemy executes goes with what the driver does, and nothing stays open after it."""
    database = Database(url.format(folder=tmp_path))
    database.open()

    def work(link: Connection) -> int:
        link.execute(insert(runs), run_row(run_of("theirs")))
        SqlTransaction(link).insert(run_of("ours"))
        return len(link.execute(select(runs.c.id)).all())

    def failing(link: Connection) -> None:
        work(link)
        raise KeyError("late")

    with pytest.raises(KeyError, match="late"):
        database.write(failing)
    assert database.write(work) == 2
    with database.read() as link:
        assert set(link.execute(select(runs.c.task_id)).scalars()) == {"theirs", "ours"}
    database.close()


def test_two_claimers_never_get_the_same_run(ledger: SqlLedger) -> None:
    """Four threads empty a queue of two hundred; each run is claimed once."""
    ledger.transact(lambda tx: [tx.insert(run_of("a")) for _ in range(200)])
    claimed: list[str] = []

    def claims() -> None:
        while found := ledger.transact(lambda tx: tx.claim(wish(7))):
            claimed.extend(run.id for run in found)

    assert together(*[claims] * 4) == [None] * 4
    assert len(claimed) == len(set(claimed)) == 200


_OPENS = """
import sys
from manager.storage import Database, SqlLedger
from core.run import Run, RunIds, Cause
from core.clock import SystemClock
ledger = SqlLedger(Database("sqlite:///" + sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
ledger.open()
now = SystemClock().now()
for _ in range(20):
    run = Run.requested(RunIds().new(now), "a", Cause.MANUAL, now)
    ledger.transact(lambda tx: tx.insert(run))
ledger.close()
"""


def test_processes_that_open_a_fresh_database_at_once_share_it(tmp_path: Path) -> None:
    """One makes the schema, the others find it; nobody fails and nothing is lost."""
    path = tmp_path / "fresh.db"
    command = [sys.executable, "-c", _OPENS, str(path)]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert [
        (process.returncode, err) for process, (_, err) in zip(processes, ended, strict=True)
    ] == [(0, "")] * 3
    ledger = SqlLedger(Database(f"sqlite:///{path}"))
    ledger.open()
    assert count(ledger) == 60
    ledger.close()


def test_the_newest_revision_is_the_one_that_the_code_knows() -> None:
    """Alembic's head and the list of revisions end in the same place."""
    scripts = ScriptDirectory(str(SCRIPTS))
    assert scripts.get_heads() == [REVISIONS[-1]]
    assert [each.revision for each in scripts.walk_revisions()][::-1] == list(REVISIONS)


def test_a_migrated_database_has_the_schema_of_the_tables(ledger: SqlLedger) -> None:
    """Tables, columns and kinds by Alembic; indexes by their very words."""
    with ledger._database.read() as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        migrated = indexes(connection)
    engine = Database("sqlite://")._engine(writes=True)
    with engine.begin() as link:
        metadata.create_all(link)
        made = indexes(link)
    engine.dispose()
    assert migrated == made


def indexes(connection: Connection) -> dict[str, str]:
    """Return the statements that made the indexes, by name."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    return {name: " ".join(sql.split()) for name, sql in connection.exec_driver_sql(query)}


@contextmanager
def explained(ledger: SqlLedger) -> Iterator[dict[str, str]]:
    """Collect the plan of every SELECT and UPDATE on runs and tasks inside the block."""
    found: dict[str, str] = {}
    said: list[str] = []
    writer = ledger._database._writer
    assert writer is not None
    raw = driver_of(writer)
    raw.set_trace_callback(said.append)
    yield found
    raw.set_trace_callback(None)
    for text in said:
        if text.startswith(("SELECT", "UPDATE")):
            rows = raw.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()
            found[text] = " | ".join(row[3] for row in rows)


def test_no_hot_query_scans_the_history() -> None:
    """Claims, counts, sweeps and ends use their indexes, whatever the runs of the past."""
    ledger = SqlLedger(Database("sqlite://"))
    ledger.open()
    ledger.bind([(task(name), START + HOUR) for name in "abc"], "here", START)
    ledger.transact(lambda tx: [tx.insert(run_of(name)) for name in "abc" * 5])
    limited = wish(4, foreign=["c"], limit_of=lambda _task_id: 2)
    skipping = firing("a", START, START + HOUR, due("a", START + HOUR), room=1)

    with explained(ledger) as found:
        ledger.transact(lambda tx: tx.claim(limited))
        ledger.transact(lambda tx: tx.fire([skipping]))
        ledger.waiting(START)
        ledger.to_cancel("here")
        ledger.changed_since(0)
        ledger.suspects(START)
        ledger.reading.open_counts()
        ledger.reading.runs("a", limit=5)
        ledger.prune(START)

    assert len(found) > 10
    scans = {text: plan for text, plan in found.items() if "SCAN runs" in plan}
    assert all("SCAN runs USING" in plan and "ix_runs_" in plan for plan in scans.values()), scans
    claims = [plan for text, plan in found.items() if "ORDER BY runs.priority DESC" in text]
    assert claims
    for plan in claims:
        assert "USING INDEX ix_runs_waiting" in plan
        assert "USE TEMP B-TREE" not in plan
    for words, index in {
        "GROUP BY runs.task_id": "ix_runs_open",
        "GROUP BY runs.lane": "ix_runs_waiting",
        "tasks.revision >": "ix_tasks_revision",
        "cancel_requested": "ix_runs_running",
    }.items():
        used = [plan for text, plan in found.items() if words in text.partition("FROM")[2]]
        assert used, words
        assert all(index in plan for plan in used), (words, used)
    ledger.close()


def test_echo_logs_every_statement_with_its_values(caplog: pytest.LogCaptureFixture) -> None:
    """The frequent ones too, which go to the driver as they are."""
    caplog.set_level("INFO")
    ledger = SqlLedger(Database("sqlite://", echo=True))
    ledger.open()
    ledger.transact(lambda tx: tx.insert(run_of("echoed")))
    ledger.close()
    inserts = [each for each in caplog.messages if each.startswith("INSERT INTO runs")]
    assert len(inserts) == 1
    assert "'echoed'" in inserts[0]
