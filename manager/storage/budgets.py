"""Starts of plugins in the last minute, and retries that go beyond the budget of theirs."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from sqlalchemy import Text, bindparam, case, func, insert, select, update

from core.budget import PutOff, begin_of, end_of_minute, oldest_slots, queued, slot_of
from core.run import Reason, RunState
from manager.storage.dialects import listed
from manager.storage.prepared import Prepared
from manager.storage.statements import STARTED
from manager.storage.tables import IS_WAITING, runs, starts, tasks
from manager.storage.types import to_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from core.budget import RetryBudget
    from core.run import Run
    from manager.storage.prepared import Driver

_MOST: Final = 1_000
"""So many retries are put off at once."""
_PLUGINS: Final = Prepared(
    select(tasks.c.id, tasks.c.plugin).where(
        tasks.c.id.bool_op("IN")(listed(bindparam("names", type_=Text)))
    )
)
_COUNT: Final = Prepared(
    insert(starts),
    starts.c.keys(),
    ending=(
        "ON CONFLICT (plugin, slot, node) DO UPDATE SET "
        "first = starts.first + excluded.first, again = starts.again + excluded.again"
    ),
)
_MINUTE: Final = select(
    func.coalesce(func.sum(case((starts.c.slot >= bindparam("whole"), starts.c.first))), 0),
    func.coalesce(func.sum(starts.c.again), 0),
    func.min(case((starts.c.again > 0, starts.c.slot))),
    func.coalesce(func.sum(case((starts.c.slot == bindparam("current"), starts.c.again))), 0),
).where(starts.c.plugin == bindparam("name"), starts.c.slot >= bindparam("touched"))
_OF_PLUGIN: Final = (
    IS_WAITING,
    runs.c.state == RunState.RETRYING.value,
    runs.c.lane == bindparam("lane"),
    runs.c.task_id.in_(select(tasks.c.id).where(tasks.c.plugin == bindparam("name"))),
)
_LAST: Final = select(func.max(runs.c.not_before)).where(
    *_OF_PLUGIN, runs.c.not_before > bindparam("now"), runs.c.reason == Reason.BUDGET.value
)
_RETRIES: Final = (
    select(runs.c.id)
    .where(*_OF_PLUGIN, runs.c.not_before <= bindparam("now"))
    .order_by(runs.c.not_before, runs.c.id)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
)
_WAIT: Final = (
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(not_before=bindparam("earliest"), reason=Reason.BUDGET.value)
)


def note_starts(driver: Driver, started: Sequence[Run], again: Collection[str] = ()) -> None:
    """Write when tasks started last, and count the starts of their plugins.

    Args:
        driver: Inside a transaction.
        started: What one node starts at one instant.
        again: The ids of those that retry.
    """
    if not started:
        return
    begun: dict[datetime | None, set[str]] = defaultdict(set)
    for run in started:
        begun[run.started_at].add(run.task_id)
    for at, task_ids in begun.items():
        STARTED.run(driver, {"names": to_text(sorted(task_ids)), "at": at})
    names = to_text(sorted({run.task_id for run in started}))
    plugins = dict(_PLUGINS.run(driver, {"names": names}).fetchall())
    counted: Counter[tuple[str, bool]] = Counter()
    for run in started:
        if run.task_id in plugins:
            counted[plugins[run.task_id], run.id in again] += 1
    some = started[0]
    slot = slot_of(some.started_at or some.created_at)
    rows = [
        {
            "plugin": plugin,
            "slot": slot,
            "node": some.node,
            "first": counted[plugin, False],
            "again": counted[plugin, True],
        }
        for plugin in sorted({plugin for plugin, _ in counted})
    ]
    if rows:
        _COUNT.run_each(driver, rows)


class Purse:
    """What one claim may still take from the budgets of plugins."""

    def __init__(self, connection: Connection, budget: RetryBudget, now: datetime) -> None:
        self._connection = connection
        self._budget = budget
        self._now = now
        self._left: dict[str, int] = {}
        self._rates: dict[str, int] = {}
        self._room_at: dict[str, datetime] = {}
        self._waiting: set[str] = set()
        self._paid: set[str] = set()
        self.put_off: list[PutOff] = []

    def pays(self, run_id: str, plugin: str, lane: str) -> bool:
        """Tell whether the retry *run_id* may start; else let it ask again later."""
        if run_id in self._waiting:
            return False
        if self._remaining(plugin) > 0:
            self._left[plugin] -= 1
            self._paid.add(run_id)
            return True
        self._wait(plugin, lane)
        return False

    def _remaining(self, plugin: str) -> int:
        if plugin not in self._left:
            current = slot_of(self._now)
            whole, touched = oldest_slots(current)
            values = {"name": plugin, "whole": whole, "touched": touched, "current": current}
            row = self._connection.execute(_MINUTE, values).one()
            first, again, oldest, at_once = row
            self._rates[plugin] = self._budget.most(int(first))
            in_minute = self._rates[plugin] - int(again)
            in_slot = self._budget.most_at_once(int(first)) - int(at_once)
            self._left[plugin] = min(in_minute, in_slot)
            is_full = in_minute <= in_slot and oldest is not None
            self._room_at[plugin] = end_of_minute(oldest) if is_full else begin_of(current + 1)
        return self._left[plugin]

    def _wait(self, plugin: str, lane: str) -> None:
        values = {"name": plugin, "lane": lane, "now": self._now}
        found = self._connection.execute(_RETRIES, values).scalars()
        ids = [each for each in found if each not in self._paid]
        if not ids:
            return
        last = self._connection.execute(_LAST, values).scalar()
        behind = self._room_at[plugin] if last is None else max(last, self._room_at[plugin])
        instants = queued(len(ids), self._rates[plugin], behind, self._now)
        rows = [{"run": each, "earliest": at} for each, at in zip(ids, instants, strict=True)]
        self._connection.execute(_WAIT, rows)
        self._waiting.update(ids)
        self.put_off.append(PutOff(plugin, len(ids), self._now, tuple(instants)))
