"""What really was called, kept outside of the ledger: the oracle's ears."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from manager.engine.context import RunContext

Known = tuple[str, int, str | None]
"""Of a run: its state, token and node."""


@dataclass(slots=True)
class Entry:
    """One call of user code.

    Attributes:
        node: The process that made it.
        began: How long after the start of the world.
        wall: What the clock of its machine showed.
        ended: When it really was over, or its process died.
        known: What the ledger said of the run at that instant: state, token, node.
    """

    run_id: str
    task_id: str
    attempt: int
    token: int
    node: str
    began: timedelta
    wall: datetime
    scheduled_for: datetime
    ended: timedelta
    fails: bool
    known: Known | None


class Journal:
    """Every call, in order, and a hash over all that happened."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._hash = hashlib.sha256()

    def call(
        self, context: RunContext, node: str, began: timedelta, wall: datetime, known: Known | None
    ) -> Entry:
        """Enter a call that begins now."""
        entry = Entry(
            run_id=context.run_id,
            task_id=context.task_id,
            attempt=context.attempt,
            token=context.token,
            node=node,
            began=began,
            wall=wall,
            scheduled_for=context.scheduled_for,
            ended=began,
            fails=False,
            known=known,
        )
        self.entries.append(entry)
        self.note("call", context.run_id, context.token, node, began)
        return entry

    def note(self, *what: object) -> None:
        """Let something that happened count in the hash."""
        self._hash.update(repr(what).encode())

    def died(self, node: str, at: timedelta) -> None:
        """End the calls of a process that died."""
        for entry in reversed(self.entries):
            if entry.node == node:
                entry.ended = min(entry.ended, at)

    @property
    def digest(self) -> str:
        """The hash of everything that happened up to here."""
        return self._hash.hexdigest()[:16]
