"""What is said of a PostgreSQL that cannot serve, and what its tables are like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import LedgerError
from manager.storage import Database, SqlLedger
from tests.engine_tools import HOUR, START, run_of, task

if TYPE_CHECKING:
    from tests.postgres import Server

ROOT = Path(__file__).parents[2]


def refusal(url: str) -> str:
    """Return what is said when *url* is opened; it must not open."""
    with pytest.raises(LedgerError) as caught:
        Database(url).open()
    return str(caught.value)


def test_both_spellings_of_the_scheme_are_understood() -> None:
    """The label is the short form, and its password is masked."""
    for url in ("postgresql://u:secret@h/d", "postgres://u:secret@h/d"):
        assert Database(url).label == "postgresql://u:***@h/d"
    assert Database("postgresql+psycopg://u@h/d").label == "postgresql://u@h/d"
    assert Database("postgresql://u@h/d").path is None


def test_another_driver_of_postgresql_is_refused() -> None:
    """What to write is said."""
    text = "the driver in postgresql+psycopg2:// is not supported; write postgresql://"
    assert text in refusal("postgresql+psycopg2://u:secret@h/d")


def test_without_its_driver_the_extra_is_named() -> None:
    """Nobody who uses SQLite needs it; who asks for PostgreSQL hears what to install."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from core.errors import LedgerError\n"
        "from manager.storage import Database\n"
        "Database('sqlite://').open()\n"
        "try: Database('postgresql://u:secret@h/d')\n"
        "except LedgerError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith(
        "database postgresql://u:***@h/d: its driver is missing: pip install 'taskrack[postgres]' ("
    )


def test_sqlite_never_loads_what_postgresql_needs(tmp_path: Path) -> None:
    """A ledger on a file opens without the other database's driver and dialect."""
    SqlLedger(Database(f"sqlite:///{tmp_path}/x.db")).open()  # Alembic, which makes it, knows all
    program = (
        "import sys\n"
        "from manager.storage import Database, SqlLedger\n"
        f"ledger = SqlLedger(Database('sqlite:///{tmp_path}/x.db')); ledger.open()\n"
        "ledger.reading.tasks(); ledger.close()\n"
        "print([name for name in sys.modules if name in"
        " ('psycopg', 'sqlalchemy.dialects.postgresql.psycopg')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_a_server_that_cannot_be_used_says_what_to_do(postgres: Server) -> None:
    """Nowhere, unknown names, a bad option, a schema that is not there: each has its words."""
    here = postgres.url("made")
    assert "cannot be reached; start it, or check" in refusal("postgresql://u@127.0.0.1:1/d")
    assert "there is no such host" in refusal("postgresql://u@no-such-host.invalid/d")
    assert "check user and database in database.url" in refusal(postgres.url("nosuch"))
    assert "check user and database" in refusal(here.replace("tests@", "stranger:secret@"))
    assert "secret" not in refusal(here.replace("tests@", "stranger:secret@"))
    assert "an option that PostgreSQL does not know" in refusal(f"{here}?frob=1")
    nowhere = f"{here}?options=-csearch_path%3Dnowhere"
    assert "its search_path names no schema that exists" in refusal(nowhere)


def test_a_database_that_is_not_ours_is_refused_and_not_touched(
    postgres: Server, empty_url: str
) -> None:
    """Tables of somebody else, a newer schema, a foreign encoding, missing rights, read-only."""
    name = empty_url.rpartition("/")[2]
    with postgres.connect(name) as link:
        link.execute("CREATE TABLE tasks (x int)")
        assert "it holds a table 'tasks' that taskrack did not make; name another database" in (
            refusal(empty_url)
        )
        found = link.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND "
                             "relnamespace = 'public'::regnamespace").fetchall()  # fmt: skip
        assert found == [("tasks",)]
        link.execute("DROP TABLE tasks")
        link.execute("DROP ROLE IF EXISTS poor")
        link.execute("CREATE ROLE poor LOGIN")
        assert "grant the rights" in refusal(empty_url.replace("tests@", "poor@"))
        link.execute("DROP ROLE poor")
        link.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        assert "a standby or set read-only; name the primary" in refusal(empty_url)
        link.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    SqlLedger(Database(empty_url)).open()
    with postgres.connect(name) as link:
        link.execute("UPDATE taskrack_version SET version_num = '9999'")
    assert "its schema is revision 9999, newer than this release knows" in refusal(empty_url)
    assert "name another database. Nothing was changed" in refusal(empty_url)


def test_a_database_in_another_encoding_is_refused(postgres: Server) -> None:
    """It could not hold every text."""
    with postgres.connect() as link:
        link.execute("DROP DATABASE IF EXISTS latin")
        link.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        text = "its encoding is LATIN1; make the database with ENCODING 'UTF8'"
        assert text in refusal(postgres.url("latin"))
        link.execute("DROP DATABASE latin")


def test_reading_alone_makes_nothing(postgres: Server, empty_url: str) -> None:
    """Where no container has been, there is nothing to read, and nothing is made."""
    assert Database(empty_url).open_reading() is False
    with postgres.connect(empty_url.rpartition("/")[2]) as link:
        query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert link.execute(query).fetchone() == (0,)
    SqlLedger(Database(empty_url)).open()
    ledger = SqlLedger(Database(empty_url))
    assert ledger.open_reading() is True
    assert ledger.reading.tasks() == []
    ledger.close()


def test_two_ledgers_live_in_two_schemas_of_one_database(postgres: Server, empty_url: str) -> None:
    """The search_path of the URL names the schema; each has its own tables."""
    with postgres.connect(empty_url.rpartition("/")[2]) as link:
        link.execute("CREATE SCHEMA one")
        link.execute("CREATE SCHEMA two")
    for name in ("one", "two"):
        ledger = SqlLedger(Database(f"{empty_url}?options=-csearch_path%3D{name}"))
        ledger.open()
        ledger.bind([(task(name), START + HOUR)], "here", START)
        assert [each.id for each in ledger.reading.tasks()] == [name]
        ledger.close()


def test_what_identifies_sorts_by_its_characters(postgres: Server) -> None:
    """The collation of the database does not decide in which order locks are taken."""
    query = (
        "SELECT table_name || '.' || column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND collation_name = 'C' ORDER BY 1"
    )
    with postgres.connect("made") as link:
        found = {row[0] for row in link.execute(query).fetchall()}
    assert found >= {"nodes.id", "plugins.name", "runs.id", "runs.task_id", "tasks.id"}


def test_texts_are_stored_whole_but_for_what_no_text_may_hold(postgres_url: str) -> None:
    """Every character of Unicode comes back; character zero becomes a replacement."""
    ledger = SqlLedger(Database(postgres_url))
    ledger.open()
    run = run_of("a", error="naïve ☃ 𝄞 'quoted' %s \\ end", result={"text": "a\x00b ☃"})
    broken = run_of("a", error="a\x00b")
    ledger.transact(lambda tx: [tx.insert(run), tx.insert(broken)])
    stored, other = ledger.run(run.id), ledger.run(broken.id)
    assert stored is not None
    assert other is not None
    assert (stored.error, stored.result) == (run.error, run.result)
    assert other.error == "a\N{REPLACEMENT CHARACTER}b"
    ledger.close()


def test_echo_logs_every_statement_and_its_values(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of the driver too."""
    caplog.set_level("INFO")
    ledger = SqlLedger(Database(postgres_url, echo=True))
    ledger.open()
    ledger.transact(lambda tx: tx.insert(run_of("echoed")))
    ledger.close()
    inserts = [each for each in caplog.messages if each.startswith("INSERT INTO runs")]
    assert len(inserts) == 1
    assert "'echoed'" in inserts[0]
    assert "COMMIT []" in caplog.messages
