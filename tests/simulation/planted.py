"""Bugs, each planted into the production code while a block runs, to see whether it is seen.

Nothing of them is in the product: a block patches classes from outside, and mends them after.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from core import crashing
from core.errors import LedgerError
from core.policy import Delivery, Dst
from core.run import Cause, RunState
from core.trigger import decide
from manager.engine import planner, recovery, stopping
from manager.engine.cycle import Cycle
from manager.engine.execution import Execution
from manager.engine.tenure import Tenure
from manager.engine.verdicts import Verdicts
from manager.storage import membership, rounds, transaction
from manager.storage.catalogue import Catalogue
from manager.storage.claiming import Claiming
from manager.storage.ledger import SqlLedger
from manager.storage.prepared import driver_of
from manager.storage.tables import runs, tasks
from manager.storage.transaction import SqlTransaction
from tests.simulation.patching import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from manager.storage.prepared import Driver


def no_unique_key(patch: Patch) -> None:
    """Every row has a key of its own, and cursors are not compared: who is late fires again."""
    rows: Any = patch.put(
        transaction, "run_row", lambda run: {**rows(run), "fire_key": f"{run.fire_key} {run.id}"}
    )

    def advanced(self: SqlTransaction, firings: Any) -> Any:  # noqa: ANN401 - as it is
        query = select(tasks.c.id, tasks.c.cursor)
        known = {row.id: row.cursor for row in self._connection.execute(query)}
        late = [
            replace(each, since=known[each.task_id], cursor=max(known[each.task_id], each.cursor))
            for each in firings
        ]
        return before(self, late)

    before: Any = patch.put(SqlTransaction, "_advanced", advanced)


def token_dropped_on_end(patch: Patch) -> None:
    """An outcome is written by whoever comes."""

    def ended(self: SqlTransaction, endings: Any) -> Any:  # noqa: ANN401 - as it is
        held = [_token(self, each.run.id) or each.token for each in endings]
        forged = zip(endings, held, strict=True)
        return before(self, [replace(each, token=token) for each, token in forged])

    before: Any = patch.put(SqlTransaction, "_ended", ended)


def _token(self: SqlTransaction, run_id: str) -> int | None:
    query = select(runs.c.token).where(runs.c.id == run_id)
    found: int | None = self._connection.execute(query).scalar()
    return found


def dead_nodes_beat(patch: Patch) -> None:
    """A heartbeat does not look whether its node was taken for dead."""

    def beat(driver: Driver, node_id: str, now: Any, lease: Any) -> bool:  # noqa: ANN401 - as it is
        driver.execute("UPDATE nodes SET state = 'alive' WHERE id = ?", (node_id,))
        before(driver, node_id, now, lease)
        return True

    before: Any = patch.put(rounds, "beat", beat)


def burial_by_an_old_look(patch: Patch) -> None:
    """A node is entered as dead although it has renewed its lease since it was judged."""
    patch.put(membership.Membership, "_alive", lambda *_: set())


def called_before_the_commit(patch: Patch) -> None:
    """User code starts inside the transaction that claims its run."""

    def write(self: Cycle, turn: Any, tx: Any) -> None:  # noqa: ANN401 - as it is
        before(self, turn, tx)
        begun = [run for run in turn.claimed if run.state is RunState.RUNNING]
        turn.claimed = []
        self._call(begun)

    before: Any = patch.put(Cycle, "_write", write)


def leases_by_a_stepped_clock(patch: Patch) -> None:
    """Leases are judged by the wall clock, whatever somebody did to it."""
    patch.put(recovery, "_has_lapsed", lambda suspect, *_, **__: suspect.lapsed)


def no_heartbeat(patch: Patch) -> None:
    """A node trusts its lease, and never renews it."""

    def renew(self: Tenure, now: Any) -> None:  # noqa: ANN401 - as it is
        self._trusted_until = self._trust()

    patch.put(Tenure, "renew", renew)


def delivery_ignored_by_burial(patch: Patch) -> None:
    """What must not start twice is started again after a crash."""

    def after(run: Any, died: str, *, once: bool, rerun: bool) -> Any:  # noqa: ANN401 - as it is
        return crashing.after_crash(run, died, once=False, rerun=rerun)

    patch.put(membership, "after_crash", after)


def attempts_counted_in_memory(patch: Patch) -> None:
    """The number of an attempt is known to the process that makes it, and to nobody else."""
    counted: Counter[str] = Counter()

    def started(self: Claiming, run_ids: Any, wish: Any) -> Any:  # noqa: ANN401 - as it is
        found = before(self, run_ids, wish)
        counted.update(run.id for run in found)
        for run in found:
            mine = runs.update().where(runs.c.id == run.id)
            self._connection.execute(mine.values(attempt=1))
        return [replace(run, attempt=counted[run.id]) for run in found]

    before: Any = patch.put(Claiming, "_started", started)


def cursor_without_rows(patch: Patch) -> None:
    """What is made up is decided, and its rows are forgotten."""

    def inserted(self: SqlTransaction, rows: Any) -> Any:  # noqa: ANN401 - as it is
        kept = [row for row in rows if row.cause is not Cause.CATCH_UP]
        return before(self, kept) if kept else []

    before: Any = patch.put(SqlTransaction, "_inserted", inserted)


def catch_up_off_by_one(patch: Patch) -> None:
    """One occurrence too few is counted among the missed."""

    def decided(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is
        found = decide(*args, **more)
        return replace(found, missed=found.missed - 1) if found.missed > 1 else found

    patch.put(planner, "decide", decided)


def _dst(patch: Patch, dst: Dst) -> None:
    def live(self: planner.Planner, definition: Any, *more: Any) -> Any:  # noqa: ANN401 - as it is
        return before(self, replace(definition, dst=dst), *more)

    before: Any = patch.put(planner.Planner, "live", live)


def fold_fires_twice(patch: Patch) -> None:
    """A local time that is shown twice fires twice."""
    _dst(patch, Dst.BOTH)


def gap_is_skipped(patch: Patch) -> None:
    """A local time that is not shown does not fire."""
    _dst(patch, Dst.SKIP)


def errors_swallowed(patch: Patch) -> None:
    """A turn takes an error of the database for an answer."""
    turning: list[Cycle] = []

    def turn(self: Cycle, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as it is
        turning.append(self)
        try:
            before_turn(self, *args, **more)
        finally:
            turning.pop()

    def gather(self: Cycle, now: Any, endings: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is
        found = before_gather(self, now, endings, **more)
        found.held = [each.run for each in endings]
        return found

    def transact(self: SqlLedger, work: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - as it is
        try:
            return before(self, work)
        except LedgerError:
            if turning:
                return None
            raise

    before_turn: Any = patch.put(Cycle, "turn", turn)
    before_gather: Any = patch.put(Cycle, "_gather", gather)
    before: Any = patch.put(SqlLedger, "transact", transact)


def missing_tasks_deleted(patch: Patch) -> None:
    """A node that starts deletes the tasks that it does not know."""

    def bind(self: Catalogue, rows: Any, node: str, now: Any) -> Any:  # noqa: ANN401 - as it is
        known = [definition.id for definition, _ in rows]
        self._connection.execute(tasks.delete().where(tasks.c.id.not_in(known)))
        return before(self, rows, node, now)

    before: Any = patch.put(Catalogue, "bind", bind)


def outcome_after_the_timeout(patch: Patch) -> None:
    """A call that was given up at its time limit still writes what it came to."""
    given_up: dict[tuple[str, int], Any] = {}

    def expired(self: Execution, live: Any, now: Any) -> Any:  # noqa: ANN401 - as it is
        given_up[live.run.id, live.run.token] = live
        return before_expired(self, live, now)

    def done(self: Execution, call: Any, outcome: Any) -> None:  # noqa: ANN401 - as it is
        late = given_up.get((call.run_id, call.token))
        if late is not None and call.run_id not in self._live:
            late.stopped = None
            self._live[call.run_id] = late
        before_done(self, call, outcome)

    def ended(self: SqlTransaction, endings: Any) -> Any:  # noqa: ANN401 - as it is
        for ending in endings:
            run = ending.run
            if (run.id, ending.token) in given_up and run.state is RunState.COMPLETED:
                over = "UPDATE runs SET state = 'completed', result = ?, reason = NULL WHERE id = ?"
                driver_of(self._connection).execute(over, (str(run.result), run.id))
        return before_ended(self, endings)

    before_expired = patch.put(Execution, "_expired", expired)
    before_done = patch.put(Execution, "_done", done)
    before_ended = patch.put(SqlTransaction, "_ended", ended)


def overlap_unchecked_in_the_claim(patch: Patch) -> None:
    """Whatever waits is started, beside whatever runs."""
    before: Any = patch.put(
        Cycle, "_limit_of", lambda self, task: 0 if before(self, task) == 0 else None
    )


def shutdown_without_release(patch: Patch) -> None:
    """A node leaves, and says nothing of what it was running."""
    patch.put(Execution, "left", lambda _self: [])


def nothing_is_less_than_null(patch: Patch) -> None:
    """The end of a lease is compared with nothing, and so no lease is ever over."""
    patch.put(recovery, "_has_lapsed", lambda *_, **__: False)


def pauses_not_persisted(patch: Patch) -> None:
    """When a retry may start is known to the node of the attempt before, and to nobody else."""

    def ended(self: SqlTransaction, endings: Any) -> Any:  # noqa: ANN401 - as it is
        hasty = [
            replace(each, run=replace(each.run, not_before=each.run.started_at))
            if each.run.state is RunState.RETRYING
            else each
            for each in endings
        ]
        return before(self, hasty)

    before: Any = patch.put(SqlTransaction, "_ended", ended)


def delivery_ignored_by_shutdown(patch: Patch) -> None:
    """What must not start twice waits again after a shutdown."""

    def given_back(live: Any) -> Any:  # noqa: ANN401 - as it is
        once = replace(live.definition, delivery=Delivery.AT_LEAST_ONCE)
        return before(replace(live, definition=once))

    before: Any = patch.put(stopping, "given_back", given_back)


def retries_without_limit(patch: Patch) -> None:
    """What failed is tried again, however often it has failed."""
    patch.put(Verdicts, "_may_retry", lambda *_, **__: True)


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug, and the worlds in which it shows.

    Attributes:
        seeds: Of these worlds, the one that shows it fastest first.
        days: How long they last.
    """

    plant: Callable[[Patch], None]
    seeds: tuple[int, ...]
    days: int = 3

    @property
    def name(self) -> str:
        """What it is called."""
        return self.plant.__name__.replace("_", " ")


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have *bug* in the product inside the block."""
    patch = Patch()
    bug.plant(patch)
    try:
        yield
    finally:
        patch.undo()


BUGS: Final = (
    Bug(no_unique_key, (2,)),
    Bug(token_dropped_on_end, (361,), 12),
    Bug(dead_nodes_beat, (2,)),
    Bug(burial_by_an_old_look, (137,), 5),
    Bug(called_before_the_commit, (1,)),
    Bug(leases_by_a_stepped_clock, (22,)),
    Bug(no_heartbeat, (8,)),
    Bug(delivery_ignored_by_burial, (26,)),
    Bug(attempts_counted_in_memory, (1,)),
    Bug(cursor_without_rows, (1,)),
    Bug(catch_up_off_by_one, (1,)),
    Bug(fold_fires_twice, (277,)),
    Bug(gap_is_skipped, (299,)),
    Bug(errors_swallowed, (1,)),
    Bug(missing_tasks_deleted, (20,)),
    Bug(outcome_after_the_timeout, (1,)),
    Bug(overlap_unchecked_in_the_claim, (13,)),
    Bug(shutdown_without_release, (10,)),
    Bug(nothing_is_less_than_null, (2,)),
    Bug(pauses_not_persisted, (29,)),
    Bug(delivery_ignored_by_shutdown, (26,)),
    Bug(retries_without_limit, (29,)),
)
