"""The process between the container and the workers: one thread that starts, watches and ends.

It is the sub-reaper of everything that workers start, so nothing gets away. It ends, and ends
all of them, as soon as the container's end of the connection is gone, whatever became of it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from core.clock import SystemClock
from loggers.levels import LEVELS
from manager.executors.children.crew import Crew
from manager.executors.children.kernel import become_subreaper, cause_of_death
from manager.executors.children.metering import INTERVAL
from manager.executors.children.wire import Channel, WireError

if TYPE_CHECKING:
    from manager.executors.children.crew import Hand
    from manager.executors.children.printing import Printed
    from manager.executors.children.wire import Message
    from manager.executors.children.worker import Workshop


class Supervisor:
    """Serves a container until it is gone.

    Args:
        connection: To the container.
        workshop: What workers need to make calls.
        size: Most calls at once.
        max_runs: Calls after which a worker is replaced.
    """

    def __init__(
        self, connection: socket.socket, workshop: Workshop, size: int, max_runs: int
    ) -> None:
        self._clock = SystemClock()
        self._control = Channel(connection)
        self._crew = Crew(workshop, size, max_runs, self._let_go)
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._quits = False

    def serve(self) -> None:
        """Do what the container says; return when it has gone and nothing of it is left."""
        become_subreaper()
        self._waker.settimeout(0)
        self._woken.settimeout(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the container ends it
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ, self._control)
        self._selector.register(self._woken, selectors.EVENT_READ, self._woken)
        try:
            self._prepare()
            self._control.send({"kind": "ready"})
            while not self._quits:
                self._turn()
        finally:
            self._crew.end_all()

    def _turn(self) -> None:
        """Wait for something to happen, and do what is to be done about it."""
        events = selectors.EVENT_READ
        if self._control.backlog:
            events |= selectors.EVENT_WRITE
        self._selector.modify(self._control, events, self._control)
        for key, mask in self._selector.select(self._patience()):
            if key.data is self._control:
                self._hear(mask)
            elif key.data is self._woken:
                with suppress(BlockingIOError):
                    self._woken.recv(4_096)
            else:
                self._listen(*key.data)
        for hand in self._crew.reap():
            self._bury(hand)
        self._judge()
        if not self._quits and not self._crew.hands:
            self._prepare()

    def _patience(self) -> float | None:
        """Return in how many seconds a call is to be looked at; ``None`` where none is."""
        hands = self._crew.hands.values()
        waits = [INTERVAL for hand in hands if hand.meter is not None and hand.call is not None]
        second = self._clock.monotonic()
        waits += [max(0.0, each.killed_at - second) for each in hands if each.killed_at is not None]
        return min(waits, default=None)

    def _hear(self, mask: int) -> None:
        """Do what the container says."""
        if mask & selectors.EVENT_WRITE:
            self._control.flush()
        if not mask & selectors.EVENT_READ:
            return
        try:
            messages = self._control.receive()
        except WireError:
            self._quits = True
            return
        for message in messages:
            self._obey(message)
        self._quits |= self._control.is_over

    def _obey(self, message: Message) -> None:
        kind = message["kind"]
        if kind == "call":
            self._begin(message)
            return
        hand = self._crew.of(message["id"])
        if hand is None:  # it ended meanwhile
            return
        if kind == "stop":
            hand.channel.send({"kind": "stop"})
        elif kind == "end":
            self._crew.ask(hand)
        elif kind == "kill":
            self._end(hand, "it was killed")

    def _begin(self, call: Message) -> None:
        known = set(self._crew.hands)
        try:
            hand = self._crew.begin(call)
        except OSError as error:
            text = f"no process could be started: {error}"
            self._control.send({"kind": "refused", "id": call["id"], "text": text})
            return
        if hand.pid not in known:
            self._watch(hand)

    def _prepare(self) -> None:
        """Keep a worker ready; one that cannot be made now is made when it is needed."""
        with suppress(OSError):
            self._watch(self._crew.hire())

    def _watch(self, hand: Hand) -> None:
        self._selector.register(hand.channel, selectors.EVENT_READ, (hand, None))
        self._selector.register(hand.out, selectors.EVENT_READ, (hand, hand.out))
        self._selector.register(hand.err, selectors.EVENT_READ, (hand, hand.err))

    def _listen(self, hand: Hand, printed: Printed | None) -> None:
        """Take what a worker says or prints."""
        if self._crew.hands.get(hand.pid) is not hand:
            return
        if printed is not None:
            self._take(hand, printed)
            if printed.is_over:
                self._selector.unregister(printed)
            return
        try:
            messages = hand.channel.receive()
        except WireError as error:
            self._end(hand, f"its process sent something odd: {error}")
            return
        for message in messages:
            self._heard(hand, message)
        if hand.channel.is_over and hand.pid in self._crew.hands:
            self._end(hand, None)

    def _heard(self, hand: Hand, message: Message) -> None:
        call = hand.call
        if call is None:
            return  # a thread that a call left behind
        if message.get("kind") == "log":
            text = hand.budget.cut(str(message.get("text", "")))
            if text is not None:
                self._control.send({**message, "id": call["id"], "text": text})
        elif message.get("kind") == "done":
            for printed in (hand.out, hand.err):
                self._take(hand, printed, whole=True)
            left = message.get("changed")
            hand.call, hand.meter = None, None
            if not self._crew.is_good(hand, left if isinstance(left, list) else []):
                hand.verdict = "it is not used again"
                self._dismiss(hand)
            self._control.send({**message, "id": call["id"]})

    def _take(self, hand: Hand, printed: Printed, *, whole: bool = False) -> None:
        """Send on what a worker printed; outside of a call, and beyond its budget, forget it."""
        call = hand.call
        if call is None or hand.budget.is_spent:
            printed.skip()
            return
        level = LEVELS["INFO"] if printed is hand.out else LEVELS["WARNING"]
        lines = printed.lines()
        for line in [*lines, *printed.rest()] if whole else lines:
            text = hand.budget.cut(line)
            if text is not None:
                said: dict[str, Any] = {"level": level, "name": "", "text": text}
                self._control.send({"kind": "log", "id": call["id"], **said})

    def _judge(self) -> None:
        """Kill the calls that exceed a limit, or did not end when they were asked to."""
        second = self._clock.monotonic()
        for hand in list(self._crew.hands.values()):
            if hand.call is None:
                continue
            if hand.killed_at is not None and hand.killed_at <= second:
                self._end(hand, "it did not end when it was asked to")
            elif hand.meter is not None:
                excess = hand.meter.excess()
                if excess is not None:
                    self._end(hand, excess)

    def _bury(self, hand: Hand) -> None:
        """Take the last words of a worker that has died, and tell what became of its call."""
        if hand.pid in self._crew.hands:
            with suppress(WireError):
                for message in hand.channel.receive():
                    self._heard(hand, message)
            if hand.pid in self._crew.hands:
                self._end(hand, None)

    def _end(self, hand: Hand, verdict: str | None) -> None:
        """End a worker with all that is its own, and tell what became of its call."""
        hand.verdict = verdict
        self._crew.end(hand)
        call, asked = hand.call, hand.killed_at is not None
        if call is not None:
            for printed in (hand.out, hand.err):
                self._take(hand, printed, whole=True)
            text = verdict or cause_of_death(hand.status)
            self._control.send({"kind": "crash", "id": call["id"], "text": text, "asked": asked})
        self._forget(hand)

    def _dismiss(self, hand: Hand) -> None:
        self._crew.end(hand)
        self._forget(hand)

    def _forget(self, hand: Hand) -> None:
        for each in (hand.channel, hand.out, hand.err):
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
        self._crew.close(hand)

    def _let_go(self) -> None:
        """Close, in a new worker, what belongs to this process alone."""
        self._control.close()
        self._woken.close()
        self._waker.close()
        self._selector.close()


def _nothing(*_: object) -> None:
    """Let a signal wake the selector and do nothing else."""


def detach_output() -> None:
    """Send what this process itself prints nowhere: the container speaks for it."""
    with open(os.devnull, "rb+") as nowhere:  # noqa: PTH123 - a file number is wanted
        for number in (0, 1, 2):
            os.dup2(nowhere.fileno(), number)
