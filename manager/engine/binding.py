"""Definitions and what operators changed about them, brought from the ledger into the book."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from loggers import get_logger
from manager.engine.planner import Upcoming
from manager.storage.repeating import settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.clock import Clock
    from core.definition import TaskDefinition
    from core.ports import Ledger
    from core.records import Firing, StoredTask
    from core.registry import Registry
    from manager.engine.book import Book, LiveTask
    from manager.engine.cycle import Cycle
    from manager.engine.planner import Planner
    from manager.engine.reporter import Reporter


_log = get_logger("taskrack")
_AT_ONCE: Final = 500
"""So many tasks are bound in one go at a start."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Binding:
    """Keeps the book in step with the ledger; called by any thread.

    The ledger decides: what it did not take is not held, and older news never replaces newer.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it keeps in step
        self,
        ledger: Ledger,
        registry: Registry,
        book: Book,
        planner: Planner,
        cycle: Cycle,
        reporter: Reporter,
        clock: Clock,
        node_id: str,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._book = book
        self._planner = planner
        self._cycle = cycle
        self._lock = cycle.lock
        self._reporter = reporter
        self._clock = clock
        self._node_id = node_id

    def apart(
        self, definitions: Sequence[TaskDefinition]
    ) -> tuple[Sequence[TaskDefinition], Sequence[TaskDefinition]]:
        """Return which of *definitions* to admit first, and which then.

        Where there are thousands, those that are due first need not wait for the others, which
        count as offered meanwhile.
        """
        if len(definitions) <= _AT_ONCE:
            return definitions, ()
        known = self._ledger.known()
        self._ledger.offer([each.id for each in definitions if each.id in known], self._node_id)
        by_need = sorted(definitions, key=lambda each: known.get(each.id) or _NEVER)
        return by_need[:_AT_ONCE], by_need[_AT_ONCE:]

    def admit(self, definitions: Sequence[TaskDefinition]) -> None:
        """Bind *definitions* in the ledger, all in one commit, and time them."""
        now = self._clock.now()
        known, found = self._ledger.known(), Upcoming()
        rows = [
            (each, None if each.id in known else self._planner.first_run(each, now, found))
            for each in definitions
        ]
        stored = self._ledger.bind(rows, self._node_id, now)
        upcoming = self._take(definitions, stored, now)
        for each in stored.values():
            _compare(each, upcoming[each.id])

    def refresh(self, stored: Sequence[StoredTask]) -> None:
        """Put into effect what somebody changed about tasks in the ledger."""
        known: dict[str, StoredTask] = {}
        definitions: list[TaskDefinition] = []
        for each in stored:
            definition = self._registry.get(each.id)
            if each.removed:
                self._forget(each)
            elif definition is not None:
                known[each.id] = each
                definitions.append(definition)
        self._take(definitions, known, self._clock.now())

    def _take(
        self, definitions: Sequence[TaskDefinition], stored: Mapping[str, StoredTask], now: datetime
    ) -> dict[str, datetime | None]:
        """Write what the being bound of tasks decides, then hold them.

        Returns:
            Their next runs by id, as their schedules give them before anything fires.
        """
        tasks: list[LiveTask] = []
        firings: dict[str, Firing] = {}
        found = Upcoming()
        with self._lock:
            for definition in definitions:
                known = stored[definition.id]
                before = self._book.get(definition.id)
                task = self._planner.live(definition, known, found)
                resumed = before.held if before is not None and task.held is None else None
                firing = self._planner.settle(task, known, now, resumed=resumed)
                tasks.append(task)
                if firing is not None:
                    firings[definition.id] = firing
        upcoming = {task.id: task.next_run for task in tasks}
        if firings:
            fired = settled(self._ledger, lambda tx: tx.fire(list(firings.values())))
            self._cycle.recall(fired.beaten)
            self._reporter.dropped(fired.runs)
        with self._lock:
            for task in tasks:
                task.cursor = firings[task.id].cursor if task.id in firings else task.cursor
                self._hold(task)
        return upcoming

    def _hold(self, task: LiveTask) -> None:
        """Hold *task* unless what is held was made from a later state of the ledger."""
        before = self._book.get(task.id)
        if before is None or before.revision <= task.revision:
            self._book.put(task)

    def _forget(self, stored: StoredTask) -> None:
        """Let go of a task that was removed, unless it has been registered again since."""
        with self._lock:
            before = self._book.get(stored.id)
            if before is not None and before.revision <= stored.revision:
                self._registry.remove(stored.id)
                self._book.remove(stored.id)


def _compare(stored: StoredTask, upcoming: datetime | None) -> None:
    """Say where a schedule that nobody edited gives another next run than it did before."""
    if stored.fresh or stored.edited or upcoming is None or stored.next_run is None:
        return
    if upcoming != stored.next_run:
        _log.warning(
            "%s: its schedule is as it was, but its next run moves from %s to %s: the zone "
            "database, public holidays or a plugin's trigger say otherwise now",
            stored.id,
            stored.next_run,
            upcoming,
        )
