"""What the ledger keeps of tasks: definitions, overrides, pauses, removals, and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, bindparam, func, insert, select, update

from core.run import Reason, RunState
from manager.storage.breakers import close
from manager.storage.dialects import listed
from manager.storage.locks import locks_of
from manager.storage.offers import offer, settle
from manager.storage.prepared import Prepared, driver_of
from manager.storage.rows import STORED, stored_task_of, task_row
from manager.storage.sameness import SCHEDULE, rules, says_the_same, says_when, was_spent
from manager.storage.tables import IS_RUNNING, IS_WAITING, audit, plugins, runs, tasks
from manager.storage.types import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from core.definition import TaskDefinition
    from core.records import StoredTask

_CHUNK: Final = 500
_NEXT_REVISION: Final = select(func.coalesce(func.max(tasks.c.revision), 0) + 1).scalar_subquery()
_WRITTEN: Final = (
    "plugin", "source", "name", "description", "tags", "func_path", "trigger", "trigger_args",
    "timezone", "enabled", "max_retries", "timeout", "lane", "priority", "options", "fingerprint",
)  # fmt: skip
_TELLING: Final = (*STORED, "fingerprint", "plugin", "source", "lane", "created_at", "node")
"""The columns that tell whether a definition says anything new, and what becomes of it."""
_TOLD: Final = Prepared(
    select(*(tasks.c[name] for name in _TELLING)).where(
        tasks.c.id.bool_op("IN")(listed(bindparam("names", type_=Text)))
    )
)
_REWRITE: Final = (
    update(tasks)
    .where(tasks.c.id == bindparam("task"))
    .values(
        {name: bindparam(f"new_{name}") for name in _WRITTEN}
        | {
            "overrides": bindparam("new_overrides"),
            "cursor": bindparam("new_cursor"),
            "unchanged_since": bindparam("new_unchanged_since"),
            "removed": False,
            "revision": bindparam("new_revision"),
            "node": bindparam("new_node"),
        }
    )
)


class Catalogue:
    """Reads and writes tasks on one connection inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._locks = locks_of(connection)

    def stored(self, task_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the rows of tasks, removed ones included."""
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(task_ids), _CHUNK):
            query = select(tasks).where(tasks.c.id.in_(task_ids[start : start + _CHUNK]))
            found |= {row["id"]: dict(row) for row in self._connection.execute(query).mappings()}
        return found

    def bind(
        self,
        definitions: Sequence[tuple[TaskDefinition, datetime | None]],
        node: str,
        now: datetime,
    ) -> dict[str, StoredTask]:
        """Write definitions of this node; keep anchor, cursor, pause and overrides of known tasks.

        Args:
            definitions: Each with its next run as a first registration has it.
            node: Who can run them.
            now: Anchor and cursor of those that are new, cursor of those whose schedule changed.
        """
        bound = self._unchanged([definition for definition, _ in definitions], node, now)
        rows = [
            task_row(definition, next_run)
            for definition, next_run in definitions
            if definition.id not in bound
        ]
        if rows:
            self._locks.register()
            if len(rows) == 1:
                self._locks.hold([rows[0]["id"]])
            else:
                self._locks.hold_all()
            bound |= self._written(rows, node, now)
        offer(self._connection, [definition.id for definition, _ in definitions], node)
        settle(self._connection, node)
        return bound

    def _unchanged(
        self, definitions: Sequence[TaskDefinition], node: str, now: datetime
    ) -> dict[str, StoredTask]:
        """Return what is known of those whose rows already say all that would be written.

        A row that *node* made at this instant is as new as before: the answer was lost.
        """
        names = to_text([each.id for each in definitions])
        rows = _TOLD.found(driver_of(self._connection), {"names": names})
        known = {row["id"]: row for row in rows}
        found: dict[str, StoredTask] = {}
        for each in definitions:
            row = known.get(each.id)
            if row is not None and says_the_same(row, each):
                again = (row["created_at"], row["node"]) == (now, node)
                found[each.id] = stored_task_of(row, fresh=again)
        return found

    def _written(
        self, rows: Sequence[Mapping[str, Any]], node: str, now: datetime
    ) -> dict[str, StoredTask]:
        """Write *rows*, the columns of definitions that are new or say something new."""
        known = self.stored([row["id"] for row in rows])
        fresh = [_first(row, node, now) for row in rows if row["id"] not in known]
        if fresh:
            self._connection.execute(insert(tasks), fresh)
        bound = {row["id"]: stored_task_of(row, fresh=True) for row in fresh}
        changes: list[dict[str, Any]] = []
        for row in rows:
            if row["id"] in known:
                stands = self._rebound(known[row["id"]], row, now)
                edited = stands["cursor"] != known[row["id"]]["cursor"]
                fresh_here = (stands["created_at"], known[row["id"]]["node"]) == (now, node)
                bound[row["id"]] = stored_task_of(stands, fresh=fresh_here, edited=edited)
                if stands != known[row["id"]] or stands["node"] != node:
                    changes.append(_change(stands, node))
        if changes:
            self._connection.execute(_REWRITE, changes)
        return bound

    def _rebound(
        self, old: Mapping[str, Any], row: Mapping[str, Any], now: datetime
    ) -> dict[str, Any]:
        """Return the row as it stands with what the definition *row* says now.

        An override ends when the definition's own value for that key changed.
        """
        kept = {
            name: override
            for name, override in old["overrides"].items()
            if override["definition"] == row[name]
        }
        ended = sorted(set(old["overrides"]) - set(kept))
        if ended:
            before = {name: old["overrides"][name]["value"] for name in ended}
            after = {name: row[name] for name in ended}
            self.record(now, "definition", "override ended", row["id"], before, after)
        new = {name: row[name] for name in _WRITTEN}
        new |= {name: override["value"] for name, override in kept.items()}
        moved = old["removed"] or was_spent(old, new) or says_when(old) != says_when(new)
        ruled = moved or rules(old) != rules(new)
        standing = {
            "overrides": kept,
            "cursor": now if moved else old["cursor"],
            "unchanged_since": old["unchanged_since"],
            "removed": False,
            "revision": self._next_revision() if old["removed"] else old["revision"],
        }
        if ruled:
            standing["unchanged_since"] = self._after_runs(row["id"], now)
        return dict(old) | new | standing

    def _after_runs(self, task_id: str, now: datetime) -> datetime:
        """Return *now*, or when the latest run was made if the clock was set back since."""
        latest = select(func.max(runs.c.created_at)).where(runs.c.task_id == task_id)
        made: datetime | None = self._connection.execute(latest).scalar_one()
        return now if made is None else max(now, made)

    def _next_revision(self) -> int:
        self._locks.revise()
        number: int = self._connection.execute(select(_NEXT_REVISION)).scalar_one()
        return number

    def override(
        self, task_id: str, columns: Mapping[str, Any], overrides: Mapping[str, Any], now: datetime
    ) -> None:
        """Put *columns* into effect and remember them as *overrides*; nodes hear of it."""
        self._locks.hold([task_id])
        self._locks.revise()
        values = dict(columns) | {"overrides": dict(overrides), "revision": _NEXT_REVISION}
        if any(name in columns for name in SCHEDULE):
            values["cursor"] = now
        if any(name in columns for name in (*SCHEDULE, "max_retries")):
            values["unchanged_since"] = self._after_runs(task_id, now)
        self._connection.execute(update(tasks).where(tasks.c.id == task_id).values(values))

    def pause(self, task_id: str, *, paused: bool) -> None:
        """Set the pause of a task; nodes hear of it. One that goes on leaves its quarantine too."""
        self._locks.hold([task_id])
        self._locks.revise()
        change = update(tasks).where(tasks.c.id == task_id)
        free = {} if paused else {"quarantined": False, "crashes": 0}
        self._connection.execute(change.values(paused=paused, revision=_NEXT_REVISION, **free))

    def close_breakers(self, subjects: Sequence[str], now: datetime) -> None:
        """Close breakers; what waited for them may start."""
        close(self._connection, subjects, now)

    def remove(self, task_id: str, now: datetime) -> None:
        """Take a task out; its history stays, its open runs are cancelled, nodes hear of it."""
        self._locks.hold([task_id])
        self._locks.revise()
        change = update(tasks).where(tasks.c.id == task_id)
        self._connection.execute(
            change.values(removed=True, next_run=None, revision=_NEXT_REVISION)
        )
        of_task = runs.c.task_id == task_id
        final = {"state": RunState.CANCELLED.value, "reason": Reason.REMOVED.value}
        self._connection.execute(
            update(runs).where(IS_WAITING, of_task).values(**final, finished_at=now)
        )
        self._connection.execute(
            update(runs)
            .where(IS_RUNNING, of_task)
            .values(cancel_requested=True, reason=Reason.REMOVED.value)
        )

    def changed_since(self, revision: int) -> list[dict[str, Any]]:
        """Return the tasks that were changed after *revision*, oldest change first."""
        query = select(tasks).where(tasks.c.revision > revision).order_by(tasks.c.revision)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def note_plugins(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Replace what is kept of plugins by *records*, one a plugin."""
        self._locks.register()
        self._connection.execute(plugins.delete())
        if records:
            self._connection.execute(insert(plugins), list(records))

    def record(
        self,
        now: datetime,
        actor: str,
        action: str,
        subject: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        """Write one line of the audit; a second one for the same change changes nothing."""
        line = {"at": now, "actor": actor, "action": action, "subject": subject}
        same = select(audit.c.id).where(*(audit.c[name] == each for name, each in line.items()))
        if self._connection.execute(same).first() is None:
            line |= {"before": before and dict(before), "after": after and dict(after)}
            self._connection.execute(insert(audit), line)


def _change(stands: Mapping[str, Any], node: str) -> dict[str, Any]:
    names = (*_WRITTEN, "overrides", "cursor", "unchanged_since", "revision")
    change = {f"new_{name}": stands[name] for name in names}
    return change | {"task": stands["id"], "new_node": node}


def _first(row: Mapping[str, Any], node: str, now: datetime) -> dict[str, Any]:
    return dict(row) | {
        "overrides": {},
        "paused": False,
        "quarantined": False,
        "crashes": 0,
        "crashed_at": None,
        "removed": False,
        "revision": 0,
        "node": node,
        "anchor": now,
        "cursor": now,
        "unchanged_since": now,
        "last_run": None,
        "last_status": None,
        "completed": 0,
        "failed": 0,
        "fired": 0,
        "created_at": now,
    }
