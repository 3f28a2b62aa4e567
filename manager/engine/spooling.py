"""Outcomes that the ledger does not take: kept on disk, and brought in when it takes them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import LedgerUnavailableError, TaskrackError, UnknownOutcomeError
from core.records import Ending, Node
from core.run import RunState
from loggers import get_logger
from manager.engine.node import is_known_dead
from manager.storage.outcomes import (
    CLOSED,
    Release,
    ending_record,
    node_record,
    outcome_of,
    release_record,
)
from manager.storage.repeating import settled
from manager.storage.spool import Spool, SpoolFullError, read_spool

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from core.ports import Ledger, LedgerTransaction
    from core.run import Run
    from manager.engine.reporter import Reporter
    from manager.storage.spool import SpoolPlace

_log = get_logger("taskrack")
_AWAY = (LedgerUnavailableError, UnknownOutcomeError)


@dataclass(slots=True)
class _Left:
    """What the spool of another node holds."""

    owner: Node | None = None
    closed: bool = False
    outcomes: list[Ending | Release] = field(default_factory=list)
    damaged: int = 0


class Spooling:
    """The spool of this node, and what those of dead ones hold; used by one thread at a time.

    Without a *place*, as for a ledger in memory, outcomes are kept in memory alone.

    Args:
        ledger: What takes the outcomes in the end.
        node: This one.
        place: Where spools are.
        reporter: Tells plugins what became of the runs of dead nodes.
    """

    def __init__(
        self, ledger: Ledger, node: Node, place: SpoolPlace | None, reporter: Reporter
    ) -> None:
        self._ledger = ledger
        self._reporter = reporter
        self._node = node
        self._place = place
        self._spool = None if place is None else Spool(place.path(node.id), node_record(node))
        self._kept: set[tuple[str, int]] = set()
        self._ended = False
        self.trouble: str | None = None

    @property
    def count(self) -> int:
        """How many outcomes are on disk because the ledger does not take them."""
        return len(self._kept)

    def begin(self) -> None:
        """Reserve this node's spool, and bring in what dead nodes of this machine left.

        Raises:
            LedgerError: the ledger did not take it; the spools are kept.
        """
        if self._place is None or self._spool is None:
            return
        try:
            self._spool.open()
        except OSError as error:
            self.trouble = f"no outcome can be kept on disk: {self._spool.path}: {error.strerror}"
            _log.warning("%s", self.trouble)
        for path in self._place.all():
            if path != self._spool.path:
                self._bring_in(path, gone=frozenset())

    def bring_in(self, node_ids: Collection[str]) -> None:
        """Bring in what nodes left that are about to be buried.

        Raises:
            LedgerError: the ledger did not take it; the spools are kept.
        """
        if self._place is None:
            return
        for node_id in node_ids:
            path = self._place.path(node_id)
            if path.is_file():
                self._bring_in(path, gone=frozenset(node_ids))

    def keep(self, endings: Sequence[Ending]) -> None:
        """Have *endings* on disk, those that are not there yet; say so where that fails."""
        fresh = [each for each in endings if (each.run.id, each.token) not in self._kept]
        if fresh:
            records = [ending_record(each) for each in fresh]
            self._append(records, {(each.run.id, each.token) for each in fresh})

    def keeps(self, endings: Sequence[Ending]) -> bool:
        """Tell whether *endings* are all on disk."""
        return all((each.run.id, each.token) in self._kept for each in endings)

    def keep_released(self, runs: Sequence[Run], at: datetime) -> None:
        """Have on disk that *runs* were given back at a shutdown."""
        fresh = [run for run in runs if (run.id, run.token) not in self._kept]
        if fresh:
            records = [release_record(Release(run, at)) for run in fresh]
            self._append(records, {(run.id, run.token) for run in fresh})

    def written(self) -> None:
        """Take note that the ledger has everything."""
        if self.trouble is not None and self._spool is not None and self._spool.is_open:
            self.trouble = None
        if not self._kept:
            return
        count = len(self._kept)
        self._kept.clear()
        _log.info("%d spooled outcomes are in the ledger", count)
        if self._spool is not None:
            with suppress(OSError):  # they are brought in a second time, which changes nothing
                self._spool.clear()

    def end(self) -> None:
        """Let go of the spool; what it holds is for the next start."""
        self._ended = True
        if self._spool is None:
            return
        if self._kept:
            with suppress(OSError, SpoolFullError):  # that this process is gone tells as much
                self._spool.append([dict(CLOSED)])
        self._spool.close(remove=not self._kept)

    def _append(self, records: Sequence[dict[str, Any]], names: set[tuple[str, int]]) -> None:
        if self._spool is None or self._ended:
            return
        try:
            self._spool.append(records)
        except (OSError, SpoolFullError) as error:
            said = getattr(error, "strerror", None) or str(error)
            trouble = f"outcomes are in memory alone: {self._spool.path}: {said}"
            if self.trouble is None:
                _log.error("%s", trouble)
            self.trouble = trouble
            return
        self._kept |= names
        self.trouble = None
        _log.warning("%d outcomes are kept in %s", len(names), self._spool.path)

    def _bring_in(self, path: Path, gone: Collection[str]) -> None:
        """Write what a spool of another node holds, and delete it where that node is gone."""
        try:
            left = _read(path)
        except OSError as error:
            _log.warning("the spool %s cannot be read: %s", path, error.strerror)
            return
        dead, known = left.closed, False
        if left.owner is None:
            dead = True
        elif left.owner.id == self._node.id:
            return
        else:
            known = left.owner.id in gone
            elsewhere = left.owner.host != self._node.host
            dead |= is_known_dead(left.owner, self._node) or (known and elsewhere)
        if not (dead or known):
            return
        if left.damaged:
            text = "the spool %s is damaged in %d places; %d outcomes of it are whole"
            _log.error(text, path, left.damaged, len(left.outcomes))
        refused = self._write(left.outcomes, path)
        if dead:
            with suppress(OSError):
                if left.damaged or refused:
                    path.rename(path.with_suffix(".damaged"))
                else:
                    path.unlink()

    def _write(self, outcomes: Sequence[Ending | Release], path: Path) -> int:
        """Write *outcomes* under their tokens; return how many the ledger refused for good."""
        if not outcomes:
            return 0
        try:
            held, given = settled(self._ledger, lambda tx: _written(tx, outcomes))
        except _AWAY:
            raise
        except TaskrackError as error:
            if len(outcomes) > 1:
                return sum(self._write([each], path) for each in outcomes)
            _log.error("an outcome of run %s was refused: %s", outcomes[0].run.id, error)
            return 1
        late = held.count(None)
        text = "%d outcomes were brought in from %s; %d of them came too late and changed nothing"
        _log.warning(text, len(outcomes), path.name, late)
        self._reporter.finished([*held, *given])
        return 0


def _written(
    tx: LedgerTransaction, outcomes: Sequence[Ending | Release]
) -> tuple[list[Run | None], list[Run | None]]:
    """Return how the runs that ended stand, and those that were given back."""
    held = tx.end([each for each in outcomes if isinstance(each, Ending)])
    given = [each for each in outcomes if isinstance(each, Release)]
    return held, [run for each in given for run in tx.release([each.run], each.at)]


def _read(path: Path) -> _Left:
    """Return what a spool holds; the last word about a run counts."""
    found = read_spool(path)
    left = _Left(damaged=found.damaged)
    for record in found.records:
        try:
            outcome = outcome_of(record)
        except ValueError:
            left.damaged += 1
            continue
        if isinstance(outcome, Node):
            left.owner = outcome
        elif outcome is None:
            left.closed = True
        elif outcome.run.state is not RunState.RUNNING:
            left.outcomes.append(outcome)
    return left
