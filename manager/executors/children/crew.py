"""The workers of a supervisor: made, kept warm, given calls, ended with all that is theirs."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from manager.executors.children.budget import Budget
from manager.executors.children.forking import fork_worker
from manager.executors.children.kernel import (
    IS_LINUX,
    children_of,
    files_of,
    resident_bytes,
    send_group_signal,
    send_signal,
    threads_of,
)
from manager.executors.children.metering import Meter
from manager.executors.children.patience import Patience
from manager.executors.children.printing import Printed
from manager.executors.children.sweeping import kill_tree, reap, sweep
from manager.executors.children.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from manager.executors.children.wire import Message
    from manager.executors.children.worker import Workshop

GROWTH: Final = 128 * 2**20
"""A worker that holds so many bytes more than it began with is not used again."""
TERM_GRACE: Final = 3.0
"""Seconds from SIGTERM, which a call may answer, to SIGKILL, which ends it."""
_FILES: Final = 16
_DYING: Final = 0.2


@dataclass(slots=True, eq=False)
class Hand:
    """One worker, as its supervisor sees it.

    Attributes:
        call: What it is busy with; ``None`` while it is idle.
        budget: How much the call may still say.
        killed_at: Monotonic second at which the call is killed, if it was asked to end.
        verdict: Why it was killed, if it was.
        status: How it ended, once it has.
    """

    pid: int
    channel: Channel
    out: Printed
    err: Printed
    memory: int
    files: int
    runs: int = 0
    call: Message | None = None
    budget: Budget = field(default_factory=Budget)
    meter: Meter | None = None
    killed_at: float | None = None
    verdict: str | None = None
    status: int | None = None


class Crew:
    """Up to *size* workers.

    Args:
        workshop: What workers need to make calls.
        size: Most workers at once.
        max_runs: A worker that made so many calls is not used again.
        let_go: Closes, in a new worker, what belongs to the supervisor alone.
    """

    def __init__(
        self, workshop: Workshop, size: int, max_runs: int, let_go: Callable[[], None]
    ) -> None:
        self._workshop = workshop
        self._size = size
        self._max_runs = max_runs
        self._let_go = let_go
        self._clock = SystemClock()
        self.hands: dict[int, Hand] = {}

    def of(self, call_id: int) -> Hand | None:
        """Return the worker that is busy with a call, or ``None``."""
        for hand in self.hands.values():
            if hand.call is not None and hand.call["id"] == call_id:
                return hand
        return None

    @property
    def idle(self) -> list[Hand]:
        """Return the workers that wait for a call."""
        return [hand for hand in self.hands.values() if hand.call is None]

    def hire(self) -> Hand:
        """Return a new worker.

        Raises:
            OSError: the system gives no more processes or files.
        """
        pid, connection, out, err = fork_worker(self._workshop, self._abandon)
        hand = Hand(
            pid=pid,
            channel=Channel(connection),
            out=Printed(out),
            err=Printed(err),
            memory=resident_bytes(os.getpid()),
            files=files_of(os.getpid()),
        )
        self.hands[pid] = hand
        return hand

    def begin(self, call: Message) -> Hand:
        """Give *call* to a worker that is free, a new one if none is; return the worker.

        Raises:
            OSError: the system gives no more processes or files.
        """
        idle = self.idle
        hand = idle[-1] if idle else self.hire()
        hand.call, hand.budget = call, Budget()
        hand.killed_at = hand.verdict = None
        hand.meter = Meter.of(hand.pid, call["limits"])
        hand.runs += 1
        hand.channel.send(call)
        return hand

    def ask(self, hand: Hand) -> None:
        """Send SIGTERM to the processes of a call; what does not end is killed after the grace."""
        if hand.killed_at is None:
            hand.killed_at = self._clock.monotonic() + TERM_GRACE
            if not send_group_signal(hand.pid, signal.SIGTERM):
                send_signal(hand.pid, signal.SIGTERM)

    def is_good(self, hand: Hand, left: list[str]) -> bool:
        """Tell whether a worker may make another call after one that left *left* changed."""
        is_worn = hand.killed_at is not None or hand.runs >= self._max_runs
        if is_worn or left or hand.out.is_over or hand.err.is_over:
            return False
        if not IS_LINUX:
            return True
        grown = resident_bytes(hand.pid) - hand.memory
        tidy = threads_of(hand.pid) == 1 and files_of(hand.pid) <= hand.files + _FILES
        return tidy and grown <= GROWTH and not children_of(hand.pid)

    def end(self, hand: Hand) -> None:
        """End a worker and everything that it started; when this returns, nothing is left."""
        if hand.verdict is None and hand.channel.is_over:  # it is dying: let it say how
            self._await(hand)
        if hand.status is None:
            kill_tree(hand.pid)
            self._await(hand)
        elif not IS_LINUX:  # elsewhere nothing tells what it left
            send_group_signal(hand.pid, signal.SIGKILL)
        self.hands.pop(hand.pid, None)
        sweep(self.hands, self._reaped)

    def close(self, hand: Hand) -> None:
        """Close what leads to a worker that has ended."""
        hand.channel.close()
        hand.out.close()
        hand.err.close()

    def reap(self) -> list[Hand]:
        """Return the workers that have ended."""
        reap(self._reaped)
        return [hand for hand in self.hands.values() if hand.status is not None]

    def end_all(self) -> None:
        """End every worker and all that they started."""
        hands = list(self.hands.values())
        for hand in hands:
            kill_tree(hand.pid)
        for hand in hands:
            hand.verdict = hand.verdict or "the container stopped"
            self.end(hand)

    def _await(self, hand: Hand) -> None:
        """Wait a moment for a worker that is about to end."""
        patience = Patience(_DYING)
        while hand.pid in self.hands and self.hands[hand.pid].status is None and patience.rest():
            reap(self._reaped)

    def _reaped(self, pid: int, status: int) -> None:
        hand = self.hands.get(pid)
        if hand is not None:
            hand.status = status

    def _abandon(self) -> None:
        """Close, in a new worker, what belongs to the supervisor and the other workers."""
        self._let_go()
        for hand in self.hands.values():
            self.close(hand)
