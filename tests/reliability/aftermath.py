"""What is done when containers have suffered enough: their work ends, and is judged."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from tests.reliability import journal, workload
from tests.reliability.checker import Checker, Expected, Findings
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.rows import Store, rows_of
from tests.reliability.warm import LOG, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

UNTIMED: Final = {"TASKRACK_BACKGROUND_JOBS_ENABLED": "false"}
_OPEN: Final = (
    "SELECT r.id, r.task_id, r.state, r.reason, r.node, r.token, r.crashes, r.not_before,"
    " t.quarantined, t.enabled, t.paused FROM runs r LEFT JOIN tasks t ON t.id = r.task_id"
    " WHERE r.state IN ('pending', 'running', 'retrying')"
)
TAKEN_AWAY: Final = "was taken away, its outcome"


def settled(
    store: Store, tasks: Mapping[str, Expected], look_after: Callable[[], None] | None = None
) -> int:
    """Wait until every occurrence up to now is decided; return now, in microseconds.

    Args:
        store: The database.
        tasks: All of them.
        look_after: Keeps up meanwhile who decides.

    Raises:
        AssertionError: some are not; the furthest behind are named.
    """
    until = journal.wall()
    behind = f"SELECT id, quarantined, cursor - {until} FROM tasks WHERE cursor < {until}"  # noqa: S608 - numbers
    clock, never = SystemClock(), threading.Event()
    end = clock.monotonic() + PATIENCE
    query = f"SELECT count(*) FROM tasks WHERE cursor >= {until}"  # noqa: S608 - a number
    while store.fetch(query)[0][0] != len(tasks):
        if clock.monotonic() > end:
            text = f"not decided within {PATIENCE:g} s"
            raise AssertionError(f"{text}: {store.fetch(f'{behind} ORDER BY cursor LIMIT 5')}")
        if look_after is not None:
            look_after()
        never.wait(0.05)
    return until


def drain(nodes: Nodes, store: Store, order: Order) -> None:
    """Let a container as in *order* finish what is left, with no new occurrence, and end it.

    Raises:
        AssertionError: it stands still; some of what is left is named.
    """
    untimed = replace(order, environ={**order.environ, **UNTIMED})
    last = nodes.start(untimed).ready()
    clock, never = SystemClock(), threading.Event()
    fewest, end = sys.maxsize, 0.0
    while left := store.fetch(_OPEN):
        if len(left) < fewest:
            fewest, end = len(left), clock.monotonic() + PATIENCE
        if clock.monotonic() > end:
            raise AssertionError(f"{len(left)} runs stay open, of them {left[:5]}")
        never.wait(0.2)
    last.end()


def judge(
    store: Store, folder: Path, tasks: Mapping[str, Expected], until: int | None = None
) -> Findings:
    """Hold journal, ledger and schedules against each other."""
    entries, damaged = journal.read(folder / workload.FILE)
    return Checker(entries, damaged, rows_of(store), tasks, until).check()


def dropped_outcomes(folder: Path) -> int:
    """Return how many outcomes came too late, by the containers' own words."""
    return (folder / LOG).read_text(encoding="utf-8", errors="replace").count(TAKEN_AWAY)
