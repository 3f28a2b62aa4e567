"""A program that reads the ledger in one long transaction, and where spools lie."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from configurations import Xcorecfg
from manager.storage import Database, SqlLedger
from manager.storage.repeating import REASONS
from manager.storage.transaction import SqlTransaction
from manager.task import session
from manager.task.access import build_ledger, spool_place
from tests.engine_tools import START
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools import Project

MIB = 1024 * 1024


def documents(ledger: SqlLedger, count: int) -> None:
    """Write some MiB into the ledger."""
    for _ in range(count):
        body = {"text": "x" * MIB}
        values = {"name": "large", "source": "s", "etag": None, "body": body, "fetched_at": START}
        ledger.store_document(values)


def test_the_log_is_cut_back_once_a_long_reader_has_ended(tmp_path: Path) -> None:
    """While it reads the log grows, and all is written; afterwards it is at most 64 MiB again."""
    path = tmp_path / "ledger.db"
    ledger = SqlLedger(Database(f"sqlite:///{path}", synchronous="normal"))
    ledger.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        documents(ledger, 80)
        assert ledger.log_bytes > 64 * MIB
        assert reader.execute("SELECT count(*) FROM documents").fetchone() == (0,)
    documents(ledger, 8)
    assert ledger.log_bytes <= 64 * MIB
    ledger.close()


def test_a_log_that_cannot_be_cut_back_shows_in_health(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that some program does not end its transaction."""
    monkeypatch.setattr(session, "_LOG_BYTES", 8 * MIB)
    tasks = project.start()
    with closing(sqlite3.connect(project.root / "ledger.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        documents(tasks.ledger, 9)
        trouble = eventually(lambda: tasks.health().trouble)
        assert "a program that reads it does not end its transaction" in str(trouble)


@pytest.mark.parametrize(
    ("database", "manager", "place"),
    [
        ("sqlite:///./data/x.db", {}, ("data", "x.db.node.spool")),
        ("sqlite:///./data/x.db", {"spool_directory": "spools"}, ("spools", "taskrack-")),
        ("postgresql://u:secret@h/d", {}, (".", "taskrack-")),
        ("postgresql://u:secret@h/d", {"spool_directory": "spools"}, ("spools", "taskrack-")),
    ],
)
def test_a_spool_lies_beside_the_file_or_where_it_was_asked_to(
    project: Project, database: str, manager: dict[str, str], place: tuple[str, str]
) -> None:
    """Two ledgers never share one, and no password is in its name."""
    pytest.importorskip("psycopg")
    config = Xcorecfg.from_file(project.config(database={"url": database}, manager=manager))
    found = spool_place(config, build_ledger(config))
    assert found is not None
    path = found.path("node")
    assert path.parent.resolve() == (project.root / place[0]).resolve()
    assert path.name.startswith(place[1])
    assert path.name.endswith(".node.spool")
    assert "secret" not in path.name


def test_a_ledger_in_memory_has_no_spool(project: Project) -> None:
    """What it would keep ends with the process."""
    config = Xcorecfg.from_file(project.config(database={"url": "sqlite://"}))
    assert spool_place(config, build_ledger(config)) is None


def test_no_verb_that_writes_is_without_its_reason() -> None:
    """Whoever adds one has to say what a second time does."""
    reads = {
        *("open", "open_reading", "close", "transact", "held", "suspects", "stored", "document"),
        *("changed_since", "to_cancel", "waiting", "run", "label", "path", "gate", "log_bytes"),
        *("is_in_memory", "seize", "is_alive", "owned", "known"),
    }
    verbs = {
        name
        for kind in (SqlLedger, SqlTransaction)
        for name in vars(kind)
        if not name.startswith("_")
    }
    assert verbs - reads == set(REASONS)
