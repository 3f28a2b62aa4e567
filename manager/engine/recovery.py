"""What nodes that died left behind, found on start and every few seconds after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loggers import get_logger
from manager.engine.node import is_known_dead

if TYPE_CHECKING:
    from datetime import datetime

    from core.ports import Ledger, Node
    from core.run import Run

_log = get_logger("taskrack")


def recover(ledger: Ledger, here: Node, now: datetime, *, rerun: bool) -> list[Run]:
    """End what dead nodes left running, by the policy of each task; return those runs.

    A node of this machine is dead when its process is gone, any node when its lease has run out.
    """
    dead = [
        node.id
        for node, lapsed in ledger.suspects(now)
        if node.id != here.id and (lapsed or is_known_dead(node, here))
    ]
    if not dead:
        return []
    left = ledger.bury(dead, now, rerun=rerun)
    for run in left:
        _log.warning(
            "%s: run %s was cut off, now %s: %s", run.task_id, run.id, run.state, run.error
        )
    return left
