"""What every node asks and writes each round, in the words of the driver: it has to cost little."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from core.budget import oldest_slots, slot_of
from core.records import Node, Suspect
from core.run import Reason
from manager.storage.dialects import lease_time, listed
from manager.storage.prepared import Prepared
from manager.storage.rows import STORED, stored_task_of
from manager.storage.tables import IS_RUNNING, IS_WAITING, nodes, runs, starts, tasks
from manager.storage.types import MICROSECOND, Instant, from_micros, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.records import Lease, StoredTask
    from manager.storage.prepared import Driver

_NOW: Final = bindparam("now", type_=Instant())
_BEAT: Final = Prepared(
    update(nodes)
    .where(nodes.c.id == bindparam("node"), nodes.c.state == literal_column("'alive'"))
    .values(
        heartbeat=lease_time(_NOW),
        lease_until=lease_time(_NOW, bindparam("span", type_=BigInteger)),
        lease_second=bindparam("second"),
    )
)
_FORGET: Final = Prepared(delete(starts).where(starts.c.slot < bindparam("oldest")))
_NODE: Final = tuple(nodes.c[each.name] for each in fields(Node))
_LATE: Final = (nodes.c.lease_until < lease_time(_NOW)).label("late")
_SUSPECTS: Final = Prepared(
    select(_LATE, nodes.c.lease_second, *_NODE).where(
        or_(
            nodes.c.state == literal_column("'alive'"),
            nodes.c.id.in_(select(runs.c.node).where(IS_RUNNING)),
        )
    )
)
_HELD: Final = Prepared(
    select(runs.c.id, runs.c.token).where(IS_RUNNING, runs.c.node == bindparam("owner"))
)
_KNOWN: Final = Prepared(select(tasks.c.id, tasks.c.next_run))
_STORED: Final = Prepared(
    select(*(tasks.c[name] for name in STORED)).where(
        tasks.c.id.bool_op("IN")(listed(bindparam("names", type_=Text)))
    )
)
_REVISION: Final = Prepared(select(func.max(tasks.c.revision)))
_WAITING: Final = Prepared(
    select(
        runs.c.lane,
        func.count().filter(runs.c.not_before <= _NOW),
        func.min(runs.c.not_before).filter(runs.c.not_before > _NOW),
    )
    .where(IS_WAITING, runs.c.task_id.not_in(select(tasks.c.id).where(tasks.c.quarantined)))
    .group_by(runs.c.lane)
)
_TO_CANCEL: Final = Prepared(
    select(runs.c.id, runs.c.reason).where(
        IS_RUNNING, runs.c.node == bindparam("owner"), runs.c.cancel_requested.is_(True)
    )
)


def beat(driver: Driver, node_id: str, now: datetime, lease: Lease) -> bool:
    """Renew the lease of a node; tell whether it still counted as alive."""
    _FORGET.run(driver, {"oldest": oldest_slots(slot_of(now))[1]})
    span = (lease.until - now) // MICROSECOND
    values = {"node": node_id, "now": now, "span": span, "second": lease.second}
    return _BEAT.run(driver, values).rowcount == 1


def suspects(driver: Driver, now: datetime) -> list[Suspect]:
    """Return the nodes that count as alive or hold runs."""
    found = []
    for row in _SUSPECTS.found(driver, {"now": now}):
        late, second = row.pop("late"), row.pop("lease_second")
        found.append(Suspect(Node(**row), late, second))
    return found


def held(driver: Driver, node_id: str) -> dict[str, int]:
    """Return the runs that are running on a node, each with its token."""
    return {run_id: token for run_id, token in _HELD.run(driver, {"owner": node_id})}  # noqa: C416 - rows need not be tuples


def stored(driver: Driver, task_ids: Sequence[str]) -> dict[str, StoredTask]:
    """Return what is known of tasks; unknown ids are left out."""
    rows = _STORED.found(driver, {"names": to_text(list(task_ids))})
    return {row["id"]: stored_task_of(row) for row in rows}


def newest(driver: Driver) -> int:
    """Return the revision of the task that was changed last."""
    row = _REVISION.run(driver, {}).fetchone()
    return row[0] or 0


def known(driver: Driver) -> dict[str, datetime | None]:
    """Return the next run of every task that was ever bound."""
    return {
        task_id: None if upcoming is None else from_micros(upcoming)
        for task_id, upcoming in _KNOWN.run(driver, {})
    }


def waiting(driver: Driver, now: datetime) -> list[tuple[str, int, datetime | None]]:
    """Return, by lane, how many runs may start at *now* and when the next later one may."""
    return [
        (lane, ready, None if later is None else from_micros(later))
        for lane, ready, later in _WAITING.run(driver, {"now": now})
    ]


def to_cancel(driver: Driver, node_id: str) -> list[tuple[str, Reason]]:
    """Return the runs of a node that somebody asked to cancel, each with the reason."""
    found = _TO_CANCEL.run(driver, {"owner": node_id})
    return [(run_id, Reason(reason or Reason.REQUESTED)) for run_id, reason in found]
