"""The statements of a run's life; each is guarded, so that a late writer changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from core.errors import QueueFull
from core.records import Fired
from core.run import Attempt, Cause, Reason, RunState, check_transition
from manager.storage.admission import Admission
from manager.storage.breakers import hear
from manager.storage.budgets import note_starts
from manager.storage.claiming import Claiming
from manager.storage.crashes import judged
from manager.storage.locks import locks_of
from manager.storage.prepared import driver_of
from manager.storage.repeating import stands
from manager.storage.rows import attempt_row, run_of, run_row
from manager.storage.shifting import shift_intervals, shift_waiting
from manager.storage.statements import (
    ADVANCE,
    ADVANCE_COUNTING,
    ALIVE,
    COUNT,
    DROPPED,
    END,
    FIRED,
    INSERT,
    RELEASE,
    REQUESTED,
)
from manager.storage.tables import IS_RUNNING, IS_WAITING, attempts, runs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection

    from core.records import Claim, Ending, Firing, News, Shift
    from core.run import Run

_CHUNK: Final = 500


class SqlTransaction:
    """Implements the port of the same verbs on one connection inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = driver_of(connection)
        self.news: list[News] = []
        self._locks = locks_of(connection)

    def seize(self, task_ids: Collection[str]) -> set[str]:
        """Take hold of tasks until the end; return those about which another node decides."""
        return self._locks.seize(task_ids)

    def is_alive(self, node_id: str) -> bool:
        """Tell whether a node counts as alive; it does until this transaction has ended."""
        return ALIVE.run(self._driver, {"node": node_id}).fetchone() is not None

    def fire(self, firings: Sequence[Firing]) -> Fired:
        """Advance cursors and insert the runs of those that nobody advanced before."""
        self._locks.hold([firing.task_id for firing in firings])
        busy = list(zip(firings, self._advanced(firings), strict=True))
        won = [firing for firing, open_runs in busy if open_runs is not None]
        rows: list[Run] = []
        starting = [firing for firing in won if firing.wants_to_run]
        gate = Admission(self._connection, starting[0].runs[-1].created_at) if starting else None
        self._replace([each for each in starting if gate is not None and gate.lets_in(each)])
        for firing, open_runs in busy:
            if open_runs is not None:
                rows += firing.runs if gate is None else gate.fitted(firing, *open_runs)
        if rows:
            rows = self._inserted(rows)
        note_starts(self._driver, [row for row in rows if row.state is RunState.RUNNING])
        self._count_fired(won, rows)
        dropped = [
            {"task": row.task_id, "after": row.state.value} for row in rows if row.state.is_final
        ]
        if dropped:
            DROPPED.run_each(self._driver, dropped)
        kept = {firing.task_id for firing in won}
        return Fired(tuple(rows), frozenset(each.task_id for each in firings) - kept)

    def insert(self, run: Run) -> bool:
        """Insert *run*; tell whether its fire key was new, or it was there from a lost answer."""
        if INSERT.run(self._driver, run_row(run)).rowcount == 1:
            return True
        known = select(runs.c.id).where(runs.c.id == run.id)
        return self._connection.execute(known).first() is not None

    def request(self, asked: Sequence[Run], limit: int) -> list[Run]:
        """Insert runs that somebody asked for, as far as they may wait; return the new ones."""
        self._locks.queue()
        added = [run for run in asked if self.insert(run)]
        waiting = REQUESTED.run(self._driver, {}).fetchall()[0][0] if added else 0
        if waiting > limit:
            raise QueueFull(limit, waiting - len(added), len(added))
        return added

    def claim(self, wish: Claim) -> list[Run]:
        """Start waiting runs, the most urgent first, as far as overlap limits and gates allow."""
        claiming = Claiming(self._connection, self._locks)
        claimed = claiming.claim(wish)
        self.news += claiming.news
        return claimed

    def end(self, endings: Sequence[Ending]) -> list[Run | None]:
        """Write outcomes under their tokens; return the runs whose outcome stands.

        One that was written before, by a commit whose answer was lost, stands; but a crash counts
        once.
        """
        self._locks.hold([ending.run.task_id for ending in endings])
        fresh = self._ended(endings)
        kept = [
            ending
            for ending, run in zip(endings, fresh, strict=True)
            if run is not None and run.reason is not Reason.CRASH
        ]
        rows = [attempt_row(each.attempt) for each in kept if each.attempt is not None]
        if rows:
            self._connection.execute(insert(attempts), rows)
        final = [
            {"task": each.run.task_id, "after": each.run.state.value}
            for each in kept
            if each.run.state.is_final
        ]
        if final:
            COUNT.run_each(self._driver, final)
        self.news += hear(self._connection, [each for each in kept if each.guards])
        return [
            ending.run if run is None and stands(self._connection, ending) else run
            for ending, run in zip(endings, fresh, strict=True)
        ]

    def owned(self, node: str) -> list[Run]:
        """Return the runs that are running under *node*."""
        query = select(runs).where(IS_RUNNING, runs.c.node == node)
        return [run_of(row) for row in self._connection.execute(query).mappings()]

    def release(self, given: Sequence[Run], now: datetime) -> list[Run | None]:
        """Give running runs back under their tokens; return those whose token still held.

        Each gets the state that it carries, and the attempt that was cut off its row.
        """
        self._locks.hold([run.task_id for run in given])
        dead = [run for run in given if run.reason is Reason.CRASH]
        changed, quarantined = judged(self._connection, dead, now) if dead else ({}, [])
        self.news += quarantined
        return [self._released(changed.get(run.id, run), now) for run in given]

    def _released(self, run: Run, now: datetime) -> Run | None:
        check_transition(RunState.RUNNING, run.state)
        ended_at = now if run.state.is_final else None
        values = {
            "run": run.id,
            "held": run.token,
            "after": run.state.value,
            "why": run.reason,
            "said": run.error,
            "crashed": run.crashes,
            "broken": run.interruptions,
            "earliest": now,
            "at": ended_at,
        }
        if self._connection.execute(RELEASE, values).rowcount == 0:
            return None
        self._connection.execute(insert(attempts), attempt_row(Attempt.of(run, now)))
        if run.state.is_final:
            COUNT.run(self._driver, {"task": run.task_id, "after": run.state.value})
        return replace(run, not_before=now, finished_at=ended_at)

    def shift(self, shifts: Sequence[Shift], node: str, step: timedelta, now: datetime) -> None:
        """Move intervals, and what waits for a retry on *node*, with a clock that was set back.

        What waits for a free place was due already and stays so.
        """
        self._locks.hold([each.task_id for each in shifts])
        shift_intervals(self._connection, shifts, now)
        shift_waiting(self._connection, node, step, now)

    def _advanced(self, firings: Sequence[Firing]) -> list[tuple[int, int] | None]:
        """Advance cursors; ``None`` where another node was first.

        Returns:
            For each, how many open runs the task has, backfills aside, and how many backfills
            run; counted only where there is a room for them.
        """
        moves = [
            {
                "task": firing.task_id,
                "since": firing.since,
                "until": firing.cursor,
                "upcoming": firing.next_run,
                "starts": firing.wants_to_run,
            }
            for firing in firings
        ]
        found: list[tuple[int, int] | None] = [None] * len(firings)
        for counts, statement in ((False, ADVANCE), (True, ADVANCE_COUNTING)):
            own = [place for place, each in enumerate(firings) if (each.room is not None) is counts]
            answers = statement.run_all(self._driver, [moves[place] for place in own])
            for place, (changed, rows) in zip(own, answers, strict=True):
                if changed:
                    found[place] = rows[0] if counts else (0, 0)
        return found

    def _count_fired(self, won: Sequence[Firing], rows: Sequence[Run]) -> None:
        """Count what schedules with a most have started, and end those that reached it."""
        limited = {each.task_id: each.left for each in won if each.left is not None}
        if not limited:
            return
        begun = Counter(
            row.task_id for row in rows if row.task_id in limited and not row.state.is_final
        )
        if begun:
            counts = [
                {"task": task_id, "begun": count, "most": limited[task_id]}
                for task_id, count in begun.items()
            ]
            FIRED.run_each(self._driver, counts)

    def _inserted(self, rows: list[Run]) -> list[Run]:
        """Insert *rows* and return those whose fire key was new."""
        result = INSERT.run_each(self._driver, [run_row(row) for row in rows])
        if result.rowcount == len(rows):
            return rows
        there: set[str] = set()
        for start in range(0, len(rows), _CHUNK):
            ids = [row.id for row in rows[start : start + _CHUNK]]
            query = select(runs.c.id).where(runs.c.id.in_(ids))
            there.update(self._connection.execute(query).scalars())
        return [row for row in rows if row.id in there]

    def _replace(self, won: Sequence[Firing]) -> None:
        """Ask the open runs of tasks that are to be replaced to make room."""
        ids = [each.task_id for each in won if each.replace and each.wants_to_run]
        for start in range(0, len(ids), _CHUNK):
            chunk = runs.c.task_id.in_(ids[start : start + _CHUNK])
            self._connection.execute(
                update(runs)
                .where(chunk, IS_RUNNING)
                .values(cancel_requested=True, reason=Reason.REPLACED.value)
            )
            self._connection.execute(
                update(runs)
                .where(chunk, IS_WAITING, runs.c.cause != Cause.BACKFILL.value)
                .values(
                    state=RunState.CANCELLED.value,
                    reason=Reason.REPLACED.value,
                    finished_at=won[0].cursor,
                )
            )

    def _ended(self, endings: Sequence[Ending]) -> list[Run | None]:
        plain = [ending for ending in endings if ending.run.reason is not Reason.CRASH]
        answers = END.run_all(self._driver, [_end_of(ending) for ending in plain])
        held = {id(each): changed == 1 for each, (changed, _) in zip(plain, answers, strict=True)}
        return [
            self.release([ending.run], ending.run.not_before)[0]
            if ending.run.reason is Reason.CRASH
            else (ending.run if held[id(ending)] else None)
            for ending in endings
        ]


def _end_of(ending: Ending) -> dict[str, Any]:
    run = ending.run
    check_transition(RunState.RUNNING, run.state)
    return {
        "run": run.id,
        "held": ending.token,
        "after": run.state.value,
        "why": run.reason,
        "gave": run.result,
        "said": run.error,
        "trace": run.traceback,
        "earliest": run.not_before,
        "at": run.finished_at,
    }
