"""The ledger's promise about tasks, nodes' changes and documents, in memory and on disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from core.policy import Backoff, Overlap, OverlapPolicy, RetryPolicy
from core.run import Reason, RunState, TaskState
from manager.storage import Database, SqlLedger
from manager.storage.tables import audit
from tests.engine_tools import HOUR, SECOND, START, lease, node, run_of, task, waits, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.definition import TaskDefinition
    from core.records import StoredTask

NEXT = START + HOUR


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """Give an open ledger that knows no task."""
    built = SqlLedger(Database(ledger_url, synchronous="normal"))
    built.open()
    yield built
    built.close()


def bind(ledger: SqlLedger, definition: TaskDefinition, hours: int = 0) -> StoredTask:
    """Bind *definition*, so many hours after the start."""
    now = START + hours * HOUR
    return ledger.bind([(definition, now + HOUR)], "here", now)[definition.id]


def override(ledger: SqlLedger, task_id: str, hours: int = 0, **values: Any) -> None:  # noqa: ANN401 - columns
    """Set columns of a task over its definition."""
    read = ledger.reading.tasks(task_id)[0]
    edits = {
        name: {"value": value, "definition": getattr(read, name)} for name, value in values.items()
    }
    now = START + hours * HOUR
    ledger.amend(lambda catalogue: catalogue.override(task_id, values, edits, now))


def test_a_first_registration_is_remembered(ledger: SqlLedger) -> None:
    """Anchor and cursor are its instant; a later one keeps both and is not fresh."""
    first = bind(ledger, task("a"))
    again = bind(ledger, task("a"), hours=5)
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.anchor, again.cursor, again.next_run) == (START, START, NEXT)


def test_a_task_is_read_as_it_was_defined(ledger: SqlLedger) -> None:
    """Columns and options come back in their JSON form."""
    policy = RetryPolicy(Backoff.LISTED, delays=(SECOND, 5 * SECOND), never_on=frozenset({"A"}))
    limit = OverlapPolicy(Overlap.ALLOW, 3)
    bind(ledger, task("a", waits, retry=policy, overlap=limit, timeout=90 * SECOND, tags=("x",)))
    (read,) = ledger.reading.tasks()
    assert (read.id, read.timeout, read.lane, read.tags) == ("a", 90.0, "loop", ("x",))
    assert read.options["overlap"] == {"allow": 3}
    assert read.options["retry"]["backoff"] == [1.0, 5.0]
    assert read.options["retry"]["never_on"] == ["A"]


@pytest.mark.parametrize(
    "change",
    [
        {"trigger_args": {"hours": 2}},
        {"trigger": "cron", "trigger_args": {"hour": 3}},
        {"timezone": "Europe/Berlin"},
        {"enabled": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_the_schedule_moves_the_cursor_to_now(
    ledger: SqlLedger, change: dict[str, Any]
) -> None:
    """What passed under the old schedule is not decided under the new one."""
    bind(ledger, task("a"))
    stored = bind(ledger, task("a", **change), hours=5)
    assert (stored.anchor, stored.cursor) == (START, START + 5 * HOUR)


def test_a_change_of_anything_else_keeps_the_cursor(ledger: SqlLedger) -> None:
    """Name and retries have nothing to do with when a task is due."""
    bind(ledger, task("a"))
    stored = bind(ledger, task("a", max_retries=7, description="new"), hours=5)
    assert stored.cursor == START
    assert ledger.reading.tasks("a")[0].max_retries == 7


def test_an_override_outlives_a_registration(ledger: SqlLedger) -> None:
    """The operator's value is in effect, the definition's is kept beside it."""
    bind(ledger, task("a"))
    override(ledger, "a", max_retries=9)
    stored = bind(ledger, task("a"), hours=1)
    assert stored.overrides == {"max_retries": {"value": 9, "definition": 0}}
    assert ledger.reading.tasks("a")[0].max_retries == 9


def test_an_override_ends_when_the_definitions_own_value_changes(ledger: SqlLedger) -> None:
    """Only that key's; the end of it is in the audit with both values."""
    bind(ledger, task("a"))
    override(ledger, "a", max_retries=9, priority=4)
    stored = bind(ledger, task("a", max_retries=2), hours=1)
    assert set(stored.overrides) == {"priority"}
    read = ledger.reading.tasks("a")[0]
    assert (read.max_retries, read.priority) == (2, 4)
    with ledger._database.read() as connection:
        lines = connection.execute(select(audit)).mappings().all()
    assert [(each["action"], each["before"], each["after"]) for each in lines] == [
        ("override ended", {"max_retries": 9}, {"max_retries": 2})
    ]


def test_an_override_of_the_schedule_moves_the_cursor(ledger: SqlLedger) -> None:
    """An edit never fires, whichever of the schedule's words it changes."""
    bind(ledger, task("a", enabled=False))
    override(ledger, "a", hours=2, max_retries=1)
    assert ledger.stored(["a"])["a"].cursor == START
    override(ledger, "a", hours=3, enabled=True)
    assert ledger.stored(["a"])["a"].cursor == START + 3 * HOUR


def test_a_removed_task_is_not_listed_and_its_waiting_runs_end(ledger: SqlLedger) -> None:
    """History stays; running runs are asked to end, and both say why."""
    bind(ledger, task("a"))
    waiting, busy = run_of("a"), run_of("a")
    ledger.transact(lambda tx: tx.insert(busy))
    ledger.transact(lambda tx: tx.claim(wish()))
    ledger.transact(lambda tx: tx.insert(waiting))
    ledger.amend(lambda catalogue: catalogue.remove("a", START))
    assert ledger.reading.tasks() == []
    assert ledger.stored(["a"])["a"].removed
    ended = ledger.run(waiting.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (RunState.CANCELLED, Reason.REMOVED)
    assert ledger.to_cancel("here") == [(busy.id, Reason.REMOVED)]


def test_a_removed_task_that_is_bound_again_starts_afresh(ledger: SqlLedger) -> None:
    """Nothing that passed meanwhile is due; the change is newer than the removal."""
    bind(ledger, task("a"))
    ledger.amend(lambda catalogue: catalogue.remove("a", START))
    gone = ledger.stored(["a"])["a"]
    back = bind(ledger, task("a"), hours=5)
    assert (back.removed, back.cursor, back.anchor) == (False, START + 5 * HOUR, START)
    assert back.revision > gone.revision
    assert ledger.stored(["a"])["a"] == replace(back, edited=False)
    assert [read.id for read in ledger.reading.tasks()] == ["a"]


def test_changes_are_told_in_their_order(ledger: SqlLedger) -> None:
    """Each edit, pause and removal has a higher revision than all before; registrations none."""
    for name in "abc":
        bind(ledger, task(name))
    assert ledger.changed_since(0) == []
    ledger.amend(lambda catalogue: catalogue.pause("b", paused=True))
    override(ledger, "c", priority=1)
    ledger.amend(lambda catalogue: catalogue.remove("a", START))
    changed = ledger.changed_since(0)
    assert [each.id for each in changed] == ["b", "c", "a"]
    assert [each.id for each in ledger.changed_since(changed[0].revision)] == ["c", "a"]
    assert changed[0].paused


def test_thousands_of_tasks_are_bound_in_one_commit(ledger: SqlLedger) -> None:
    """New, again and changed; no statement has more variables than the database takes."""
    definitions = [task(f"t{number}") for number in range(3_000)]
    first = ledger.bind([(each, NEXT) for each in definitions], "here", START)
    again = ledger.bind([(each, NEXT) for each in definitions], "there", NEXT)
    assert len(first) == len(again) == 3_000
    assert {each.fresh for each in again.values()} == {False}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, TaskState.SCHEDULED),
        ({"enabled": False}, TaskState.DISABLED),
        ({"trigger": "date", "trigger_args": {"run_date": "2020-01-01"}}, TaskState.FINISHED),
    ],
    ids=["scheduled", "disabled", "finished"],
)
def test_an_idle_task_has_the_status_of_its_schedule(
    ledger: SqlLedger, change: dict[str, Any], status: TaskState
) -> None:
    """Derived when it is read."""
    upcoming = None if status is TaskState.FINISHED else NEXT
    ledger.bind([(task("a", **change), upcoming)], "here", START)
    assert ledger.reading.tasks("a")[0].status is status


def test_a_task_without_a_living_node_is_unbound(ledger: SqlLedger) -> None:
    """While some node lives, a task that none of the living has bound is kept and told apart."""
    bind(ledger, task("a"))
    ledger.join(node("other"), START, lease(NEXT))
    assert ledger.reading.tasks("a")[0].status is TaskState.UNBOUND
    ledger.bind([(task("a"), NEXT)], "other", START)
    assert ledger.reading.tasks("a")[0].status is TaskState.SCHEDULED


def test_a_document_is_kept_under_its_name(ledger: SqlLedger) -> None:
    """Storing it again replaces it; an unknown one is None."""
    known = {"name": "page", "source": "s", "etag": None, "body": [1], "fetched_at": START}
    ledger.store_document(known)
    ledger.store_document(known | {"body": {"a": 2}, "etag": "e"})
    assert ledger.document("page") == known | {"body": {"a": 2}, "etag": "e"}
    assert ledger.document("other") is None
