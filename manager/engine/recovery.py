"""What nodes that died left behind, and what one that shuts down gives back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.policy import Delivery
from core.run import Reason, RunState
from loggers import get_logger
from manager.engine.execution import STOPPED_BY_US
from manager.engine.node import is_known_dead

if TYPE_CHECKING:
    from datetime import datetime

    from core.ports import Ledger
    from core.records import Node
    from core.run import Run
    from manager.engine.execution import LiveRun

_log = get_logger("taskrack")


def recover(
    ledger: Ledger, here: Node, now: datetime, *, rerun: bool, leased: bool = True
) -> list[Run]:
    """End what dead nodes left running, by the policy of each task; return those runs.

    A node of this machine is dead when its process is gone, any node when its lease has run out.

    Args:
        ledger: Where nodes and runs are.
        here: The node that looks.
        now: The wall clock's time.
        rerun: Whether what may run again does.
        leased: Whether leases can be judged by *now*.
    """
    dead = [
        node.id
        for node, lapsed in ledger.suspects(now)
        if node.id != here.id and ((lapsed and leased) or is_known_dead(node, here))
    ]
    if not dead:
        return []
    left = ledger.bury(dead, now, rerun=rerun)
    for run in left:
        _log.warning(
            "%s: run %s was cut off, now %s: %s", run.task_id, run.id, run.state, run.error
        )
    return left


def given_back(live: LiveRun) -> Run:
    """Return the run that a shutdown cuts off as it will stand; what was cancelled stays so."""
    run = live.run
    if live.stopped in STOPPED_BY_US:
        return replace(run, state=RunState.CANCELLED, reason=live.stopped)
    once = live.definition.delivery is Delivery.AT_MOST_ONCE
    return replace(
        run,
        state=RunState.LOST if once else RunState.PENDING,
        reason=Reason.INTERRUPTED,
        interruptions=run.interruptions + 1,
        error="the container was shut down while it ran",
    )
