"""Lets time pass, and plays at its instant whatever falls due on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from manager.testing.bench import SharedLedger
from manager.testing.node import LabNode
from manager.testing.spans import soonest

if TYPE_CHECKING:
    from collections.abc import Callable

    from manager.testing.bench import Bench

_NOW: Final = timedelta(0)
_MICROSECOND: Final = timedelta(microseconds=1)
_SWEEP: Final = timedelta(milliseconds=500)
_HEARTBEAT: Final = timedelta(seconds=3)
_ROUNDS: Final = 10_000


class Player:
    """Takes the turns of every node of a lab.

    Between the moments at which something is due it leaps. What nodes only find by looking at
    the ledger, they find as late as they would: half a second after something happened, and
    after three seconds whether another node is dead.
    """

    def __init__(self, bench: Bench) -> None:
        self.nodes: list[LabNode] = []
        self._bench = bench
        self._clock = bench.clock
        self._look_at: timedelta | None = None

    def join(self, host: str) -> LabNode:
        """Return a new node, not started."""
        self.nodes.append(LabNode(self._bench, host))
        return self.nodes[-1]

    def play(self, span: timedelta, enough: Callable[[], bool] | None = None) -> None:
        """Let *span* pass, or less where *enough* says so before.

        Raises:
            AssertionError: the nodes do not come to rest; time would stand still for ever.
        """
        self._settle(forced=True)
        self.wait(span, enough)
        self._settle(forced=True)

    def wait(self, span: timedelta, enough: Callable[[], bool] | None = None) -> None:
        """Let *span* pass as ``play`` does, for somebody inside who waits."""
        end = self._clock.elapsed + span
        due = self._settle(forced=False)
        while not (enough is not None and enough()):
            left, rest = end - self._clock.elapsed, self._rest(due)
            if left <= _NOW:
                break
            if rest is None and enough is not None:
                break
            pause = left if rest is None else min(left, max(rest, _MICROSECOND))
            self._clock.advance(pause)
            due = self._settle(forced=self._is_time_to_look())

    def _settle(self, *, forced: bool) -> timedelta | None:
        """Let every node do what is to be done at this instant; return in how long more is due."""
        happened, due = False, None
        for _ in range(_ROUNDS):
            acted = [node.turn(forced=forced) for node in list(self.nodes)]
            happened, forced = happened or any(acted), False
            due = soonest(*[node.rest() for node in self.nodes])
            if due is None or due > _NOW:
                break
        else:
            text = (
                f"the engine took {_ROUNDS} turns at {self._clock.now()} and has not come to rest"
            )
            raise AssertionError(text)
        if happened and self._are_watched():
            self._look_at = self._clock.elapsed + _SWEEP
        return due

    def _rest(self, due: timedelta | None) -> timedelta | None:
        """Return in how long a node has something to do, *due* by itself or by looking."""
        look = None if self._look_at is None else self._look_at - self._clock.elapsed
        return soonest(due, look, _HEARTBEAT if self._has_dead() else None)

    def _is_time_to_look(self) -> bool:
        if self._look_at is not None and self._look_at <= self._clock.elapsed:
            self._look_at = None
            return True
        return len(self.nodes) > 1

    def _are_watched(self) -> bool:
        """Whether somebody may have given orders through the ledger to what runs elsewhere."""
        return len(self.nodes) > 1 or any(node.is_busy for node in self.nodes)

    def _has_dead(self) -> bool:
        """Whether a node that crashed waits to be found by one that lives."""
        if len(self.nodes) == 1 or not self._bench.living:
            return False
        return bool(SharedLedger(self._bench).suspects(self._clock.now()))
