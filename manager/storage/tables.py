"""The tables of the ledger; what each column means is said in ``docs/ledger.md``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    text,
)

from manager.storage.types import KEY, Instant, Json

metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("plugin", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("func_path", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("trigger_args", Json, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("timeout", Float),
    Column("lane", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("options", Json, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("overrides", Json, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("quarantined", Boolean, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("crashed_at", Instant),
    Column("removed", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("node", Text),
    Column("anchor", Instant, nullable=False),
    Column("cursor", Instant, nullable=False),
    Column("unchanged_since", Instant, nullable=False),
    Column("next_run", Instant),
    Column("last_run", Instant),
    Column("last_status", Text),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("fired", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_tasks_revision", "revision"),
)

Index(
    "ix_tasks_quarantined",
    tasks.c.id,
    sqlite_where=tasks.c.quarantined,
)

# The very words of the partial indexes: they are used only for the same words in a query.
# PostgreSQL's are made by the migrations; naming its options here would load its dialect.
_WAITING = text("state IN ('pending', 'retrying')")
_OPEN = text("state IN ('pending', 'running', 'retrying')")
_RUNNING = text("state = 'running'")
_REQUESTED = text("state = 'pending' AND cause IN ('manual', 'submit', 'backfill')")

runs = Table(
    "runs",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("task_id", KEY, nullable=False),
    Column("fire_key", Text, nullable=False),
    Column("scheduled_for", Instant, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("lane", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("node", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("occurrences", Integer, nullable=False),
    Column("args", Json),
    Column("kwargs", Json),
    Column("result", Json),
    Column("error", Text),
    Column("traceback", Text),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    UniqueConstraint("task_id", "fire_key", name="uq_runs_fire_key"),
)
Index(
    "ix_runs_waiting",
    runs.c.lane,
    runs.c.priority.desc(),
    runs.c.not_before,
    runs.c.id,
    sqlite_where=_WAITING,
)
Index("ix_runs_open", runs.c.task_id, sqlite_where=_OPEN)
Index("ix_runs_running", runs.c.node, sqlite_where=_RUNNING)
Index("ix_runs_requested", runs.c.cause, sqlite_where=_REQUESTED)
Index("ix_runs_of_task", runs.c.task_id, runs.c.id)
Index("ix_runs_finished", runs.c.finished_at)

IS_REQUESTED = and_(
    runs.c.state == literal_column("'pending'"),
    runs.c.cause.in_([literal_column(f"'{cause}'") for cause in ("manual", "submit", "backfill")]),
)
IS_WAITING = runs.c.state.in_([literal_column("'pending'"), literal_column("'retrying'")])
IS_OPEN = runs.c.state.in_(
    [literal_column("'pending'"), literal_column("'running'"), literal_column("'retrying'")]
)
IS_RUNNING = runs.c.state == literal_column("'running'")

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("node", Text),
    Column("started_at", Instant),
    Column("finished_at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("traceback", Text),
    PrimaryKeyConstraint("run_id", "token"),
)

run_logs = Table(
    "run_logs",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("logged_at", Instant, nullable=False),
    Column("level", Text, nullable=False),
    Column("logger", Text, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "sequence"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("process_start", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("timed", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("heartbeat", Instant, nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("lease_second", Float, nullable=False),
)

bindings = Table(
    "bindings",
    metadata,
    Column("node", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    PrimaryKeyConstraint("node", "task_id"),
    sqlite_with_rowid=False,
)

plugins = Table(
    "plugins",
    metadata,
    Column("name", KEY, primary_key=True),
    Column("source", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("problems", Json, nullable=False),
    Column("loaded_at", Instant, nullable=False),
)

starts = Table(
    "starts",
    metadata,
    Column("plugin", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("node", Text, nullable=False),
    Column("first", Integer, nullable=False),
    Column("again", Integer, nullable=False),
    PrimaryKeyConstraint("plugin", "slot", "node"),
    sqlite_with_rowid=False,
)

breakers = Table(
    "breakers",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("opened_at", Instant),
    Column("trial_at", Instant),
    Column("pause", Float, nullable=False),
    Column("trial_run", Text),
)

documents = Table(
    "documents",
    metadata,
    Column("name", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("etag", Text),
    Column("body", Json),
    Column("fetched_at", Instant, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Json),
    Column("after", Json),
)
