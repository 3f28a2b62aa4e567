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
from manager.storage.sqlite import SqliteBackend
from manager.storage.tables import metadata, runs
from manager.storage.transaction import SqlTransaction
from tests.engine_tools import HOUR, START, due, firing, run_of, task, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

    from core.run import Run

WRITERS = 8
WRITES = 200


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """Give an open ledger."""
    built = SqlLedger(Database(ledger_url, synchronous="normal"))
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


def test_eight_writers_commit_everything_they_write(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen hundred writes, each there when its call has returned, in far fewer commits."""
    backend, commits = ledger._database.backend, 0
    committed = backend.write

    def counted(work: Any) -> Any:  # noqa: ANN401 - whatever is written
        nonlocal commits
        commits += 1
        return committed(work)

    monkeypatch.setattr(backend, "write", counted)

    def writes() -> None:
        for _ in range(WRITES):
            assert inserted(ledger, run_of("a"))

    assert together(*[writes] * WRITERS) == [None] * WRITERS
    assert count(ledger) == WRITERS * WRITES
    assert 0 < commits < WRITERS * WRITES


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


def test_statements_of_either_kind_share_one_transaction(ledger_url: str) -> None:
    """What SQLAlchemy executes goes with what the driver does, and nothing stays open after it."""
    database = Database(ledger_url)
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
ledger = SqlLedger(Database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
ledger.open()
now = SystemClock().now()
for _ in range(20):
    run = Run.requested(RunIds().new(now), "a", Cause.MANUAL, now)
    ledger.transact(lambda tx: tx.insert(run))
ledger.close()
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_that_open_a_fresh_database_at_once_share_it(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """One makes the schema, the others find it; nobody fails and nothing is lost."""
    url = f"sqlite:///{tmp_path / 'fresh.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("empty_url")
    command = [sys.executable, "-c", _OPENS, url]
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
    ledger = SqlLedger(Database(url))
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

    def remade(connection: Connection) -> dict[str, str]:
        for index in (each for table in metadata.tables.values() for each in table.indexes):
            where = index.dialect_options["sqlite"]["where"]
            index.dialect_options["postgresql"]["where"] = where
        metadata.drop_all(connection)
        metadata.create_all(connection)
        return indexes(connection)

    assert ledger._database.write(remade) == migrated


INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename != 'taskrack_version'"
    " AND schemaname = current_schema()",
}


def indexes(connection: Connection) -> dict[str, str]:
    """Return the statements that made the indexes, by name."""
    found = connection.exec_driver_sql(INDEXES[connection.dialect.name])
    return {name: " ".join(sql.split()) for name, sql in found}


@contextmanager
def explained(ledger: SqlLedger) -> Iterator[dict[str, str]]:
    """Collect the plan of every SELECT and UPDATE on runs and tasks inside the block."""
    found: dict[str, str] = {}
    said: list[str] = []
    backend = ledger._database.backend
    assert isinstance(backend, SqliteBackend)
    assert backend._writer is not None
    raw: Any = driver_of(backend._writer)
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
        ledger.changed_since(-1)
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
        "cancel_requested IS": "ix_runs_running",
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
