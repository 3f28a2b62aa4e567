"""The look at a whole ledger: what is held against what, and what is said of it."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.errors import TriggerError
from core.invariants import ENDING, INVARIANTS, NO_GAP, ONE_ROW
from manager.scheduling import build_trigger
from manager.schemas.verification import BreachRead, InvariantRead, VerificationRead
from manager.storage.scrutiny import MOST, Breach
from manager.storage.types import from_micros, to_micros
from manager.verifying.coverage import Coverage, Gap, Twin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.clock import Clock
    from core.trigger import Trigger, TriggerFactories
    from manager.storage.reading import Reading
    from manager.storage.snapshot import Snapshot, Stretch

_PATIENCE: Final = timedelta(seconds=2)


class Verifier:
    """Holds a ledger against the invariants; it may be in use meanwhile, and changes nothing.

    Args:
        reading: Of an open ledger.
        clock: Says what is overdue.
        plugged: Kinds of trigger that plugins offer.
        patience: After so long what seems to stand still is looked at once more; a node that
            just woke up is about to go on.
    """

    def __init__(
        self,
        reading: Reading,
        clock: Clock,
        plugged: TriggerFactories | None = None,
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._reading = reading
        self._clock = clock
        self._plugged = plugged or {}
        self._patience = patience
        self._notes: list[str] = []
        self._occurrences = 0

    def verify(self) -> VerificationRead:
        """Return everything that contradicts an invariant.

        Raises:
            LedgerError: the database cannot be read.
        """
        self._notes, self._occurrences = [], 0
        begun, now = self._clock.monotonic(), self._clock.now()
        with self._reading.snapshot() as snapshot:
            runs, attempts = snapshot.counts()
            stretches = snapshot.stretches()
            found = [*snapshot.breaches(now), *self._uncovered(snapshot, stretches)]
        if any(each.invariant is ENDING for each in found):
            found = list(self._confirmed(found))
        found = sorted(found, key=lambda each: INVARIANTS.index(each.invariant))
        count = Counter(each.invariant for each in found)
        return VerificationRead(
            ok=not found,
            at=now,
            tasks=len(stretches),
            runs=runs,
            attempts=attempts,
            occurrences=self._occurrences,
            seconds=round(self._clock.monotonic() - begun, 3),
            checked=tuple(
                InvariantRead(id=each.id, sentence=each.sentence, breaches=count[each])
                for each in INVARIANTS
            ),
            breaches=tuple(
                BreachRead(
                    invariant=each.invariant.id,
                    task_id=each.task_id,
                    run_id=each.run_id,
                    expected=each.expected,
                    found=each.found,
                )
                for each in found
            ),
            notes=tuple(self._notes),
        )

    def _confirmed(self, found: Iterable[Breach]) -> Iterator[Breach]:
        """Leave out what went on since: it was late, and does not stand still."""
        if self._patience:
            self._clock.wait(threading.Event(), self._patience)
        with self._reading.snapshot() as snapshot:
            still = {(each.task_id, each.run_id) for each in snapshot.arrears(self._clock.now())}
        for each in found:
            if each.invariant is not ENDING or (each.task_id, each.run_id) in still:
                yield each

    def _uncovered(self, snapshot: Snapshot, stretches: Sequence[Stretch]) -> Iterator[Breach]:
        """Walk all rows of occurrences once, each beside the schedule of its task."""
        walks = {each.task.id: walk for each in stretches if (walk := self._walk(each))}
        for task_id, micros, occurrences in snapshot.decided():
            walk = walks.get(task_id)
            if walk is not None:
                walk.take(micros, occurrences)
        for task_id, first in walks.items():
            walk = first
            if first.coverage.is_disordered:  # by a clock that was set back
                walk = first.again()
                for _, micros, occurrences in snapshot.decided_of(task_id):
                    walk.take(micros, occurrences)
            walk.coverage.finish()
            self._occurrences += walk.coverage.rows
            yield from (_told(task_id, fault) for fault in walk.coverage.faults[:MOST])

    def _walk(self, stretch: Stretch) -> _Walk | None:
        task = stretch.task
        try:
            trigger = build_trigger(task.schedule(stretch.anchor), self._plugged)
        except TriggerError:
            text = f"{task.id}: its trigger {task.trigger!r} is a plugin's; ask a running container"
            self._notes.append(f"{text} for {NO_GAP.id}")
            return None
        return _Walk(stretch, trigger)


class _Walk:
    """The walk of one task: what lies in its stretch is taken."""

    def __init__(self, stretch: Stretch, trigger: Trigger) -> None:
        self._parts = (stretch, trigger)
        self._since, self._cursor = to_micros(stretch.since), to_micros(stretch.cursor)
        span = (stretch.since, stretch.cursor)
        self.coverage = Coverage(trigger, *span, is_spent=stretch.is_spent)

    def again(self) -> _Walk:
        """Return the same walk, not begun."""
        return _Walk(*self._parts)

    def take(self, micros: int, occurrences: int) -> None:
        """Take a row that is due at so many microseconds since 1970."""
        if self._since < micros <= self._cursor:
            self.coverage.take(from_micros(micros), occurrences)


def _told(task_id: str, fault: Gap | Twin) -> Breach:
    if isinstance(fault, Twin):
        return Breach(ONE_ROW, task_id, None, f"one row for {fault.due}", "two")
    until = "the cursor" if fault.until is None else f"{fault.until}"
    expected = f"a row for {fault.first}"
    return Breach(
        NO_GAP, task_id, None, expected, f"none for it; {fault.count} are missing until {until}"
    )
