"""What the engine needs of the world: the ledger, timers, executors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from core.definition import TaskDefinition
    from core.run import Attempt, Reason, Run, RunState
    from core.trigger import Schedule, Trigger

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process of the container."""

    id: str
    host: str
    pid: int
    boot_id: str
    process_start: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """The occurrences of one task that one transaction decides.

    Attributes:
        since: The cursor that the decision was made from; another one in the ledger means that
            another node decided first, and nothing is written.
        cursor: The new cursor.
        runs: The rows to insert, in order.
    """

    task_id: str
    since: datetime
    cursor: datetime
    next_run: datetime | None
    runs: tuple[Run, ...]
    skip_if_busy: bool
    replace: bool


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
    """The outcome of an attempt, to be written by the holder of the token."""

    run: Run
    token: int
    attempt: Attempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A wish for work.

    Attributes:
        lane: Executor to claim for.
        limit: Most runs to claim.
        foreign: Tasks that this node cannot run.
        limit_of: Most runs at once of a task, or ``None``; asked inside the transaction.
    """

    lane: str
    limit: int
    node: str
    now: datetime
    foreign: Collection[str]
    limit_of: Callable[[str], int | None]


class LedgerTransaction(Protocol):
    """Statements that are committed together."""

    def fire(self, firings: Sequence[Firing]) -> Fired:
        """Advance cursors and insert runs; firings that another node decided change nothing."""
        ...

    def insert(self, run: Run) -> bool:
        """Insert *run*; tell whether its fire key was new."""
        ...

    def claim(self, wish: Claim) -> list[Run]:
        """Start up to ``wish.limit`` waiting runs under new tokens; return them."""
        ...

    def end(self, endings: Sequence[Ending]) -> list[bool]:
        """Write outcomes; tell for each whether its token still held."""
        ...

    def release(self, runs: Sequence[Run], now: datetime) -> None:
        """Give running runs back in the state that each carries, with a row for the attempt."""
        ...


class Ledger(Protocol):
    """The truth about tasks and runs."""

    def open(self) -> None:
        """Open or create the database.

        Raises:
            LedgerError: it cannot serve; its file is not touched.
        """
        ...

    def close(self) -> None:
        """Let go of the database; calling it again is harmless."""
        ...

    def join(self, node: Node, now: datetime, lease_until: datetime) -> None:
        """Enter *node* as alive."""
        ...

    def beat(self, node_id: str, now: datetime, lease_until: datetime) -> None:
        """Renew the lease of a node."""
        ...

    def leave(self, node_id: str, now: datetime) -> None:
        """Enter a node as stopped."""
        ...

    def suspects(self, now: datetime) -> list[tuple[Node, bool]]:
        """Return the nodes that count as alive or hold runs, and whether each lease has run out."""
        ...

    def bury(self, node_ids: Sequence[str], now: datetime, *, rerun: bool) -> list[Run]:
        """Enter nodes as dead and give back, or give up, what they were running."""
        ...

    def bind(
        self,
        definitions: Sequence[tuple[TaskDefinition, datetime | None]],
        node: str,
        now: datetime,
    ) -> dict[str, StoredTask]:
        """Write definitions, each with its next run as a first registration has it."""
        ...

    def stored(self, task_ids: Sequence[str]) -> dict[str, StoredTask]:
        """Return what is known of tasks; unknown ids are left out."""
        ...

    def changed_since(self, revision: int) -> list[StoredTask]:
        """Return the tasks that were changed after *revision*, oldest change first."""
        ...

    def to_cancel(self, node_id: str) -> list[tuple[str, Reason]]:
        """Return the runs of a node that somebody asked to cancel, each with the reason."""
        ...

    def waiting(self, now: datetime) -> list[tuple[str, int, datetime | None]]:
        """Return, by lane, how many runs may start at *now* and when the next later one may."""
        ...

    def transact(self, work: Callable[[LedgerTransaction], T]) -> T:
        """Run *work* in a transaction and return what it returned, once it is committed.

        Work of several threads may share a commit. *work* may be called again if a commit that
        it shared failed, so it changes nothing but the transaction.
        """
        ...


class Timetable(Protocol):
    """Calls back when a schedule is due."""

    def start(self, due: Callable[[Schedule], None]) -> None:
        """Begin to call *due* in a thread of its own, for each schedule that falls due."""
        ...

    def watch(self, schedule: Schedule, trigger: Trigger) -> None:
        """Call back at the occurrences of *schedule*; watching it again is harmless."""
        ...

    def unwatch(self, schedule: Schedule) -> None:
        """Stop calling back for *schedule*."""
        ...

    def stop(self) -> None:
        """Stop calling back at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one call ended.

    Attributes:
        state: ``COMPLETED``, ``FAILED`` or ``CANCELLED``.
        reason: Why, where it did not complete.
        value: What the function returned.
        error: What it raised.
    """

    state: RunState
    reason: Reason | None = None
    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt on its way through an executor.

    Attributes:
        scope: What is to be entered around the call, in the thread or coroutine that makes it.
    """

    run_id: str
    task_id: str
    token: int
    func: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    scope: Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """How full an executor is.

    Attributes:
        lane: Name of the executor.
        size: Most calls at once.
        busy: Calls that run now.
        leaked: Tasks whose call outlived its time limit and cannot be stopped.
    """

    lane: str
    size: int
    busy: int
    leaked: tuple[str, ...] = field(default=())


class Executor(Protocol):
    """Calls functions."""

    lane: str

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Get ready; *done* is called once for each call, from any thread."""
        ...

    def free(self) -> int:
        """Return how many calls could be submitted now."""
        ...

    def submit(self, call: Call) -> None:
        """Call the function, soon."""
        ...

    def interrupt(self, run_id: str) -> bool:
        """Ask the call of *run_id* to end; tell whether it can be expected to."""
        ...

    def abandon(self, run_id: str) -> None:
        """Stop waiting for the call of *run_id*; it is counted as leaked until it ends."""
        ...

    def figures(self) -> PoolFigures:
        """Return how full it is."""
        ...

    def stop(self) -> None:
        """Let go of everything; calls still running are left to their daemon threads."""
        ...


class Lifecycle(Protocol):
    """Hears what happens to runs."""

    def started(self, run: Run) -> None:
        """Hear that an attempt is about to start."""
        ...

    def retrying(self, run: Run) -> None:
        """Hear that another attempt will follow."""
        ...

    def finished(self, run: Run) -> None:
        """Hear that a run is final."""
        ...

    def dropped(self, run: Run) -> None:
        """Hear that occurrences were skipped or missed."""
        ...


class TriggerFactory(Protocol):
    """Builds triggers."""

    def __call__(self, schedule: Schedule) -> Trigger:
        """Return the trigger of *schedule*.

        Raises:
            TriggerError: its arguments make no schedule.
        """
        ...
