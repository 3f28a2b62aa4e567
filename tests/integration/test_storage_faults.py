"""A database that cannot serve is refused in clear words, and its file is left as it was."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import LedgerError
from manager.storage import Database, SqlLedger, sqlite
from tests.engine_tools import HOUR, START, due, firing, run_of, served, task
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

NOBODY = 65_534


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks a tenth of a second only."""
    monkeypatch.setattr(sqlite, "_BUSY_MS", 100)


def ledger_at(path: Path) -> SqlLedger:
    """Return a ledger on the file *path*, not opened."""
    return SqlLedger(Database(f"sqlite:///{path}", synchronous="normal"))


def written(path: Path) -> None:
    """Make a ledger of ours at *path*, with a task and a run."""
    ledger = ledger_at(path)
    ledger.open()
    ledger.bind([(task("a"), START + HOUR)], "here", START)
    ledger.transact(lambda tx: tx.insert(run_of("a")))
    ledger.close()


def statement(path: Path, *statements: str) -> None:
    """Execute *statements* on the database at *path*."""
    connection = sqlite3.connect(path)
    with connection:
        for each in statements:
            connection.execute(each)
    connection.close()


def a_text(path: Path) -> None:
    path.write_text("dear diary\n" * 100, encoding="utf-8")


def a_short_text(path: Path) -> None:
    path.write_text("hi", encoding="utf-8")


def a_newer_schema(path: Path) -> None:
    written(path)
    statement(path, "UPDATE taskrack_version SET version_num = '9999'")


def another_application(path: Path) -> None:
    statement(path, "CREATE TABLE tasks (id INTEGER)", "INSERT INTO tasks VALUES (1)")


def a_truncated_file(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes()[:5_000])


def a_corrupt_file(path: Path) -> None:
    written(path)
    content = bytearray(path.read_bytes())
    content[100:4_096] = b"\xff" * 3_996
    path.write_bytes(bytes(content))


def a_header_alone(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\x07" * 500)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_text, "is not a SQLite database; name another file"),
        (a_short_text, "is not a SQLite database; name another file"),
        (a_newer_schema, "its schema is revision 9999, newer than this release knows"),
        (another_application, "it holds a table 'tasks' that taskrack did not make"),
        (a_truncated_file, "the file is damaged; restore a backup"),
        (a_corrupt_file, "the file is damaged; restore a backup"),
        (a_header_alone, "the file is not a SQLite database; name another file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_is_no_ledger_is_refused_and_not_touched(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    """The words say what to do; every byte is as before, and opening again says the same."""
    path = tmp_path / "some.db"
    make(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for _ in range(2):
        with pytest.raises(LedgerError, match=words) as caught:
            ledger_at(path).open()
    assert caught.value.url == f"sqlite:///{path}"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert {each.name for each in tmp_path.iterdir()} <= {"some.db", "some.db-shm", "some.db-wal"}


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """It is named, and so is the setting."""
    with pytest.raises(LedgerError, match=r"is a folder; name a file in database\.url"):
        ledger_at(tmp_path).open()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    """A typing error in the path does not create a tree."""
    with pytest.raises(LedgerError, match="does not exist; create it"):
        ledger_at(tmp_path / "typo" / "ledger.db").open()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:secret@h/d", "mysql is not supported; use sqlite:"),
        ("postgresql+psycopg2://u:secret@h/d", "is not supported; write postgresql://"),
        ("no url", "is no URL"),
        ("sqlite:///x.db?mode=ro", "options in the URL are not supported"),
    ],
)
def test_a_url_that_names_nothing_usable_is_refused(url: str, words: str) -> None:
    """Before anything is opened, and without its password."""
    with pytest.raises(LedgerError, match=words) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
@pytest.mark.parametrize("make", [written, lambda path: statement(path, "CREATE TABLE x (y)")])
def test_a_locked_database_is_said_to_be_locked(
    tmp_path: Path, make: Callable[[Path], None], lock: str
) -> None:
    """No backup is to be restored because another process is busy; later it opens."""
    path = tmp_path / "ledger.db"
    make(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute(f"BEGIN {lock}")
    ledger = ledger_at(path)
    with pytest.raises(LedgerError, match="another process holds it locked") as caught:
        ledger.open()
    assert "backup" not in str(caught.value)
    holder.execute("ROLLBACK")
    holder.close()
    ledger.open()
    ledger.close()


@pytest.mark.usefixtures("hasty")
def test_a_lock_under_way_is_an_error_that_passes(tmp_path: Path) -> None:
    """Nothing is written while another process writes; afterwards everything is as it was."""
    path = tmp_path / "ledger.db"
    written(path)
    ledger = ledger_at(path)
    ledger.open()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    run = due("a", START + HOUR)
    step = firing("a", START, START + HOUR, run)
    for _ in range(2):
        with pytest.raises(LedgerError, match="another process holds it locked"):
            ledger.transact(lambda tx: tx.fire([step]))
    assert ledger.stored(["a"])["a"].cursor == START
    holder.execute("ROLLBACK")
    holder.close()
    fired = eventually(lambda: served(lambda: ledger.transact(lambda tx: tx.fire([step]).runs)))
    assert fired == (run,)
    ledger.close()


def test_a_full_database_is_said_to_be_full(tmp_path: Path) -> None:
    """Nothing of the work is written, and it goes on once there is room."""
    ledger = ledger_at(tmp_path / "ledger.db")
    ledger.open()
    database = ledger._database

    def limit(link: Connection) -> None:
        pages = link.exec_driver_sql("PRAGMA page_count").scalar_one()
        link.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    database.write(limit)
    large = run_of("a", error="x" * 100_000)
    with pytest.raises(LedgerError, match="the disk is full; make room"):
        ledger.transact(lambda tx: tx.insert(large))
    more = "PRAGMA max_page_count=1000000"
    eventually(lambda: served(lambda: database.write(lambda link: link.exec_driver_sql(more))))
    assert eventually(lambda: served(lambda: ledger.transact(lambda tx: tx.insert(large))))
    ledger.close()


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """Reading and writing both; closing it again is harmless."""
    ledger = ledger_at(tmp_path / "ledger.db")
    ledger.open()
    ledger.open()
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="it is not open; start the container first"):
        ledger.transact(lambda tx: tx.insert(run_of("a")))
    with pytest.raises(LedgerError, match="it is not open; start the container first"):
        ledger.waiting(START)


_OPENS = """
import os, sys
if os.getuid() == 0:
    import alembic.command, alembic.config, sqlite3, sqlalchemy.dialects.sqlite
    import manager.storage.ledger
    os.setgid({nobody}); os.setuid({nobody})
from core.errors import LedgerError
from manager.storage import Database, SqlLedger
try:
    SqlLedger(Database("sqlite:///{path}")).open()
except LedgerError as error:
    print(error.reason)
else:
    print("opened")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that another user can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def opened_as_nobody(path: Path) -> str:
    """Return what a process without any rights on *path* says about opening it."""
    program = _OPENS.format(path=path, nobody=NOBODY)
    command = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_a_database_that_is_read_only_is_named_as_such(open_folder: Path) -> None:
    """File and folder are to be made writable; the file is not touched."""
    path = open_folder / "ledger.db"
    written(path)
    path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    open_folder.chmod(0o555)
    before = path.read_bytes()
    said = opened_as_nobody(path)
    assert (
        "make the file and its folder writable" in said or "folder exists and is writable" in said
    )
    assert path.read_bytes() == before


def test_a_database_that_may_not_be_read_is_named_as_such(open_folder: Path) -> None:
    """The rights are to be checked."""
    path = open_folder / "ledger.db"
    written(path)
    path.chmod(0)
    assert "it cannot be read (Permission denied); check its rights" in opened_as_nobody(path)


def test_a_folder_that_takes_no_file_is_named_as_such(open_folder: Path) -> None:
    """A new database cannot be made there."""
    open_folder.chmod(0o555)
    said = opened_as_nobody(open_folder / "ledger.db")
    assert "it cannot be opened; check that its folder exists and is writable" in said
    assert list(open_folder.iterdir()) == []


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """As ``touch`` leaves it; what is not ours beside our tables is kept."""
    path = tmp_path / "ledger.db"
    path.touch()
    written(path)
    other = tmp_path / "shared.db"
    statement(other, "CREATE TABLE customers (name)", "INSERT INTO customers VALUES ('x')")
    written(other)
    connection = sqlite3.connect(other)
    assert connection.execute("SELECT name FROM customers").fetchall() == [("x",)]
    connection.close()


def test_a_change_that_a_crash_cut_off_is_taken_back_at_the_next_start(tmp_path: Path) -> None:
    """The half change is not ours to keep, and no reason to refuse the file."""
    source, copy = tmp_path / "source.db", tmp_path / "copy.db"
    written(source)
    statement(source, "PRAGMA journal_mode=DELETE", "CREATE TABLE filler (text)")
    connection = sqlite3.connect(source)
    connection.execute("PRAGMA cache_size=1")
    with connection:
        connection.execute("DELETE FROM runs")
        rows = [("x" * 1000,) for _ in range(500)]  # more than the cache holds: it spills
        connection.executemany("INSERT INTO filler VALUES (?)", rows)
        for end in ("", "-journal"):
            (tmp_path / f"copy.db{end}").write_bytes((tmp_path / f"source.db{end}").read_bytes())
    connection.close()

    ledger = ledger_at(copy)
    ledger.open()

    assert len(ledger.reading.runs(None)) == 1
    assert not (tmp_path / "copy.db-journal").exists()
    ledger.close()
