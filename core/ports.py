"""What the engine needs of the world: the ledger, timers, executors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from core.crashing import Buried
    from core.definition import TaskDefinition
    from core.records import (
        Call,
        Claim,
        Ending,
        Fired,
        Firing,
        Lease,
        News,
        Node,
        Outcome,
        PoolFigures,
        Shift,
        StoredTask,
        Suspect,
    )
    from core.run import Reason, Run
    from core.trigger import Schedule, Trigger

T = TypeVar("T")


class LedgerTransaction(Protocol):
    """Statements that are committed together.

    Attributes:
        news: What it decided about tasks and plugins: quarantines, breakers, budgets.
    """

    news: list[News]

    def is_alive(self, node_id: str) -> bool:
        """Tell whether a node counts as alive; it does until this transaction has ended."""
        ...

    def seize(self, task_ids: Collection[str]) -> set[str]:
        """Keep other nodes from deciding about these tasks until this is committed.

        Returns:
            Those about which another node decides at this moment: they are better left to later,
            for that node may stand still, and to decide about them would mean to wait for it.
        """
        ...

    def fire(self, firings: Sequence[Firing]) -> Fired:
        """Advance cursors and insert runs; firings that another node decided change nothing."""
        ...

    def insert(self, run: Run) -> bool:
        """Insert *run*; tell whether its fire key was new."""
        ...

    def request(self, runs: Sequence[Run], limit: int) -> list[Run]:
        """Insert runs that somebody asked for; return those whose fire key was new.

        Raises:
            QueueFull: more than *limit* of them would wait; none is inserted.
        """
        ...

    def claim(self, wish: Claim) -> list[Run]:
        """Start up to ``wish.limit`` waiting runs under new tokens; return them."""
        ...

    def end(self, endings: Sequence[Ending]) -> list[Run | None]:
        """Write outcomes; return each run as it now stands, ``None`` where its token is gone.

        One that was written before, by a commit whose answer was lost, stands. One whose reason
        is ``crash`` is released, and counts against its task.
        """
        ...

    def owned(self, node: str) -> list[Run]:
        """Return the runs that are running under *node*."""
        ...

    def release(self, runs: Sequence[Run], now: datetime) -> list[Run | None]:
        """Give running runs back in the state that each carries, with a row for the attempt.

        Those whose reason is ``crash`` count against their tasks; where that quarantines a task,
        one of its runs ends ``FAILED`` instead. Returns what ``end`` does.
        """
        ...

    def shift(self, shifts: Sequence[Shift], node: str, step: timedelta, now: datetime) -> None:
        """Move intervals, and what waits for a retry on *node*, with a clock that was set back."""
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

    def join(self, node: Node, now: datetime, lease: Lease) -> None:
        """Enter *node* as alive."""
        ...

    def beat(self, node_id: str, now: datetime, lease: Lease) -> bool:
        """Renew the lease of a node; tell whether it still counted as alive."""
        ...

    def revive(self, node_id: str, task_ids: Sequence[str], now: datetime, lease: Lease) -> None:
        """Enter a node that was taken for dead as alive again, and as one that has these tasks."""
        ...

    def held(self, node_id: str) -> dict[str, int]:
        """Return the runs that are running on a node, each with its token."""
        ...

    def leave(self, node_id: str, now: datetime) -> None:
        """Enter a node as stopped."""
        ...

    def suspects(self, now: datetime) -> list[Suspect]:
        """Return the nodes that count as alive or hold runs."""
        ...

    def bury(
        self, node_ids: Sequence[str], now: datetime, *, rerun: bool, leases: Mapping[str, float]
    ) -> Buried:
        """Enter nodes as dead and give back, or give up, what they were running.

        *leases* has the second of the lease that a node was judged by: one that has renewed its
        lease since is left alone.
        """
        ...

    def bind(
        self,
        definitions: Sequence[tuple[TaskDefinition, datetime | None]],
        node: str,
        now: datetime,
    ) -> dict[str, StoredTask]:
        """Write definitions, each with its next run as a first registration has it."""
        ...

    def known(self) -> Mapping[str, datetime | None]:
        """Return the next run of every task that was ever bound."""
        ...

    def offer(self, task_ids: Sequence[str], node: str) -> None:
        """Enter *node* as one that can run tasks, before it has bound them."""
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

        Raises:
            UnknownOutcomeError: the answer to the commit was lost; see what the ledger says.
            LedgerError: nothing of *work* was written.
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


@runtime_checkable
class Watched(Protocol):
    """An executor that looks now and then whether what it runs is stuck."""

    def watch(self, second: float) -> None:
        """Look; *second* is the monotonic clock's. Called at least each second."""
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

    def quarantined(self, run: Run) -> None:
        """Hear that the task of *run*, which crashed last, is quarantined."""
        ...


class TriggerFactory(Protocol):
    """Builds triggers."""

    def __call__(self, schedule: Schedule) -> Trigger:
        """Return the trigger of *schedule*.

        Raises:
            TriggerError: its arguments make no schedule.
        """
        ...
