"""A run: what became of one occurrence or one submission, and how its state may change."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from core.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class RunState(StrEnum):
    """Where a run stands; the last six are final and never change."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    SKIPPED = "skipped"
    MISSED = "missed"

    @property
    def is_final(self) -> bool:
        """Whether no transition leaves this state."""
        return self not in OPEN_STATES


OPEN_STATES: Final = frozenset({RunState.PENDING, RunState.RUNNING, RunState.RETRYING})


class Reason(StrEnum):
    """Why a run is in its state, where the state alone does not say."""

    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    CRASH = "crash"
    REJECTED = "rejected"
    OVERLAP = "overlap"
    PAUSED = "paused"
    QUARANTINED = "quarantined"
    BREAKER = "breaker"
    BUDGET = "budget"
    INTERRUPTED = "interrupted"
    UNCALLED = "uncalled"
    REQUESTED = "requested"
    REPLACED = "replaced"
    REMOVED = "removed"
    LATE = "late"
    PAST = "past"


class Cause(StrEnum):
    """What made a run exist."""

    SCHEDULE = "schedule"
    CATCH_UP = "catch-up"
    START = "start"
    MANUAL = "manual"
    SUBMIT = "submit"
    RETRY = "retry"
    BACKFILL = "backfill"


class TaskState(StrEnum):
    """What a task does at the moment; derived when it is read."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    RETRYING = "retrying"
    PAUSED = "paused"
    DISABLED = "disabled"
    FINISHED = "finished"
    UNBOUND = "unbound"
    QUARANTINED = "quarantined"


TRANSITIONS: Final[Mapping[RunState | None, frozenset[RunState]]] = {
    None: frozenset({RunState.PENDING, RunState.RUNNING, RunState.SKIPPED, RunState.MISSED}),
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RETRYING: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: frozenset(
        {
            RunState.COMPLETED,
            RunState.FAILED,
            RunState.RETRYING,
            RunState.CANCELLED,
            RunState.PENDING,
            RunState.LOST,
        },
    ),
}


def check_transition(before: RunState | None, after: RunState) -> None:
    """Let a legal change of state pass.

    Raises:
        StateError: *after* does not follow *before*; final states are left by nothing.
    """
    allowed = TRANSITIONS.get(before, frozenset())
    if after not in allowed:
        known = ", ".join(sorted(allowed)) or "nothing"
        raise StateError(f"a run cannot go from {before} to {after}; from {before} follows {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of the ledger's history.

    Attributes:
        fire_key: Unique within the task: the UTC instant, a caller's key, or the run's own id.
        scheduled_for: The instant at which the run was due; nominal, not when it started.
        attempt: Number of the latest attempt, from 1; 0 before the first.
        crashes: How often the process died under it; not charged against ``max_retries``.
        interruptions: How often a shutdown took it back; not charged either.
        token: Rises with every owner; a write with an older one changes nothing.
        not_before: Earliest instant of the next start.
        occurrences: How many occurrences the row stands for; above 1 only where many were missed.
        result: JSON form of what the task returned.
    """

    id: str
    task_id: str
    fire_key: str
    scheduled_for: datetime
    cause: Cause
    state: RunState
    reason: Reason | None = None
    lane: str = "thread"
    priority: int = 0
    attempt: int = 0
    crashes: int = 0
    interruptions: int = 0
    token: int = 0
    node: str | None = None
    not_before: datetime
    occurrences: int = 1
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    result: Any = None
    error: str | None = None
    traceback: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def failures(self) -> int:
        """Attempts that count against ``max_retries``, the current one included."""
        return self.attempt - self.crashes - self.interruptions

    @classmethod
    def requested(cls, run_id: str, task_id: str, cause: Cause, now: datetime, **more: Any) -> Run:  # noqa: ANN401 - columns
        """Return a run that somebody asked for: due at *now*, waiting for a free place."""
        return cls(
            id=run_id,
            task_id=task_id,
            fire_key=run_id,
            scheduled_for=now,
            cause=cause,
            state=RunState.PENDING,
            not_before=now,
            created_at=now,
            **more,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call inside a run that did not complete, or that was not the first."""

    run_id: str
    number: int
    token: int
    node: str | None
    started_at: datetime | None
    finished_at: datetime
    outcome: str
    error: str | None = None
    traceback: str | None = None

    @classmethod
    def of(cls, run: Run, finished_at: datetime) -> Attempt:
        """Return the latest attempt of *run*, which ended as *run* now says."""
        return cls(
            run_id=run.id,
            number=run.attempt,
            token=run.token,
            node=run.node,
            started_at=run.started_at,
            finished_at=finished_at,
            outcome=str(run.reason or run.state),
            error=run.error,
            traceback=run.traceback,
        )


@dataclass(slots=True)
class RunIds:
    """Makes run ids that sort in the order in which they were made.

    The layout is UUID version 7 of RFC 9562: 48 bits of milliseconds, a counter of 12 bits for
    the ids of one millisecond, and 62 random bits.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: int = 0

    def new(self, now: datetime) -> str:
        """Return the next id, as 36 characters of text."""
        with self._lock:
            self._last = max(int(now.timestamp() * 1000) << 12, self._last + 1)
            milliseconds, counter = self._last >> 12, self._last & 0xFFF
        random = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
        value = milliseconds << 80 | 7 << 76 | counter << 64 | 2 << 62 | random
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
