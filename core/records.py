"""What passes between the engine and its ports: small frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from core.breaking import Turned
from core.budget import PutOff
from core.crashing import Quarantined
from core.invariants import NO_GAP, InvariantError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from core.breaking import Guard
    from core.budget import RetryBudget
    from core.definition import TaskDefinition
    from core.run import Attempt, Reason, Run, RunState


News: TypeAlias = Quarantined | Turned | PutOff
"""What the ledger decided about tasks and plugins while it wrote about runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTask:
    """What the ledger knows of a task beside its definition.

    Attributes:
        anchor: Instant of the first registration.
        cursor: Occurrences up to here have been decided.
        overrides: Option to ``{"value": ..., "definition": ...}``: what an operator set, and
            what the definition said then.
        revision: Rises with every change that nodes must hear of; unique in the ledger.
        removed: Whether the task was taken out and only its history is kept.
        fresh: Whether this registration was the first.
        edited: Whether this registration has another schedule than the one before.
        fired: How many runs its schedule has started, counted while the task has a most.
        quarantined: Whether nothing of it starts, because it crashed again and again.
    """

    id: str
    anchor: datetime
    cursor: datetime
    next_run: datetime | None
    paused: bool
    overrides: Mapping[str, Mapping[str, Any]]
    revision: int
    removed: bool
    fresh: bool = False
    edited: bool = False
    fired: int = 0
    quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process of the container.

    Attributes:
        boot_id: Identity of the machine's current boot, where it tells one.
        process_start: When the kernel started the process, so that a reused pid is told apart.
        timed: Whether it fires occurrences of schedules.
    """

    id: str
    host: str
    pid: int
    boot_id: str
    process_start: str
    version: str
    timed: bool = True


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when a node counts as alive unless it says so again.

    Attributes:
        until: By the wall clock.
        second: By the boot-time clock of its machine, which nobody can set.
    """

    until: datetime
    second: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """A node that counts as alive or holds runs.

    Attributes:
        lapsed: Whether its lease has run out by the clock that the ledger goes by.
        second: At which second of its machine's boot-time clock the lease runs out.
    """

    node: Node
    lapsed: bool
    second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """The occurrences of one task that one transaction decides.

    Attributes:
        since: The cursor that the decision was made from; another one in the ledger means that
            another node decided first, and nothing is written.
        cursor: The new cursor.
        runs: The rows to insert, in order.
        left: How many runs the schedule may still start; ``None`` is any number. With the last
            of them the task has no next run.
        room: Most open runs of the task with these; those beyond are inserted as ``SKIPPED``.
        replace: Whether the open runs of before are asked to make room.
    """

    task_id: str
    since: datetime
    cursor: datetime
    next_run: datetime | None
    runs: tuple[Run, ...]
    room: int | None = None
    replace: bool = False
    left: int | None = None

    def __post_init__(self) -> None:
        if self.cursor < self.since:
            text = f"a cursor from {self.since} on"
            raise InvariantError(NO_GAP, f"task {self.task_id!r}", text, f"{self.cursor}")

    @property
    def wants_to_run(self) -> bool:
        """Whether one of its rows is to be started, not only recorded."""
        return any(not run.state.is_final for run in self.runs)


@dataclass(frozen=True, slots=True)
class Shift:
    """An interval that moves with a clock that was set back.

    Attributes:
        anchor: Where it is anchored as the writer knows it; another one in the ledger means that
            another node moved it first, and nothing is written.
        period: Its length, so that no instant of before comes again.
        step: By how much; below zero.
    """

    task_id: str
    anchor: datetime
    period: timedelta
    step: timedelta


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of firings.

    Attributes:
        runs: The rows that were inserted.
        beaten: Tasks that another node decided first.
    """

    runs: tuple[Run, ...]
    beaten: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The outcome of an attempt, to be written by the holder of the token.

    Attributes:
        guards: The breakers that hear of it.
    """

    run: Run
    token: int
    attempt: Attempt | None
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A wish for work.

    Attributes:
        lane: Executor to claim for.
        limit: Most runs to claim.
        foreign: Tasks that this node cannot run.
        limit_of: Most runs at once of a task, or ``None``; asked inside the transaction.
        contended: Called where another node decides about tasks that have waiting runs; to ask
            again soon may do.
        crowded: Called where a waiting run may not start before another ends; to ask again then
            may do.
        budget: Of the retries of each plugin; ``None`` is no limit.
    """

    lane: str
    limit: int
    node: str
    now: datetime
    foreign: Collection[str]
    limit_of: Callable[[str], int | None]
    contended: Callable[[], None]
    crowded: Callable[[], None]
    budget: RetryBudget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What was raised in another process, or what became of that process.

    Attributes:
        text: Type and message, or what happened.
        traceback: As text; ``None`` where nothing was raised.
        names: Of the classes of what was raised, as ``core.policy.names_of`` gives them.
    """

    text: str
    traceback: str | None = None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one call ended.

    Attributes:
        state: ``COMPLETED``, ``FAILED`` or ``CANCELLED``.
        reason: Why, where it did not complete.
        value: What the function returned.
        error: What it raised.
        fault: The same of a call in another process.
        remote: Whether *value* came from another process, in the form that the ledger keeps.
    """

    state: RunState
    reason: Reason | None = None
    value: Any = None
    error: BaseException | None = None
    fault: Fault | None = None
    remote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt on its way through an executor.

    Attributes:
        scope: What is to be entered around the call, in the thread or coroutine that makes it.
        attempt: Its number, from 1.
        scheduled_for: The instant for which its run was due.
        definition: What the task says of itself, for an executor that goes by more than *func*.
        hear: Takes what is to be called once the run is asked to end, at once if it was already.
    """

    run_id: str
    task_id: str
    token: int
    func: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    scope: Callable[[], AbstractContextManager[None]]
    attempt: int = 1
    scheduled_for: datetime | None = None
    definition: TaskDefinition | None = None
    hear: Callable[[Callable[[], None]], None] | None = None


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """How full an executor is.

    Attributes:
        lane: Name of the executor.
        size: Most calls at once.
        busy: Calls that run now.
        leaked: Tasks whose call outlived its time limit and cannot be stopped.
        blocked: Tasks that do not let go of their event loop.
    """

    lane: str
    size: int
    busy: int
    leaked: tuple[str, ...] = field(default=())
    blocked: tuple[str, ...] = field(default=())
