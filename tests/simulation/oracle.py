"""What must hold of a world that has come to rest, from what it was to do and what was called."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from manager.storage import SqlLedger
from manager.storage.types import from_micros
from manager.verifying import Verifier
from tests.simulation.faults import Fault
from tests.simulation.targets import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.simulation.journal import Entry
    from tests.simulation.plans import TaskPlan
    from tests.simulation.world import World

_DROPPED: Final = ("skipped", "missed")
_TIMED: Final = ("schedule", "catch-up")
_KNOWN: Final = ("exception", "timeout", "requested", "replaced")
"""Ways in which an attempt ends that its own node has seen."""
_TAKEN: Final = ("crash", "interrupted", "uncalled")
_FIELDS: Final = (
    "id", "task_id", "scheduled_for", "cause", "state", "reason", "attempt", "crashes",
    "interruptions", "token", "occurrences", "created_at", "result",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A run, read from the database itself."""

    id: str
    task_id: str
    scheduled_for: datetime
    cause: str
    state: str
    reason: str | None
    attempt: int
    crashes: int
    interruptions: int
    token: int
    occurrences: int
    created_at: datetime
    result: str | None


class Oracle:
    """Holds a world that has come to rest against its plan and its journal."""

    def __init__(self, world: World) -> None:
        self._world = world
        driver = world._driver()
        found = driver.execute(f"SELECT {', '.join(_FIELDS)} FROM runs ORDER BY id").fetchall()  # noqa: S608 - constants
        self._rows = [_row(each) for each in found]
        self._runs = {row.id: row for row in self._rows}
        query = "SELECT run_id, token, outcome, finished_at FROM attempts"
        told = driver.execute(query).fetchall()
        self._outcomes = {(run, token): how for run, token, how, _ in told}
        self._finished = {(run, token): from_micros(at) for run, token, _, at in told}
        self._calls: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in world.journal.entries:
            self._calls[entry.run_id].append(entry)
        self._plans = {task.id: task for task in world.plan.tasks}
        self._stepped = bool({Fault.STEP_BACK, Fault.STEP_AHEAD} & set(world.faults.struck))
        query = "SELECT id, anchor, fired FROM tasks"
        self._anchors = {task: from_micros(at) for task, at, _ in driver.execute(query)}

    def complaints(self) -> Iterator[str]:
        """Yield everything that is wrong."""
        yield from self._world.complaints
        yield from self._unfinished()
        yield from self._called()
        for task in self._world.plan.tasks:
            yield from self._lost(task)
            yield from self._crowded(task)
        yield from self._unbound()
        yield from self._verified()

    def _unbound(self) -> Iterator[str]:
        """Yield nodes that live and are not known to have their tasks."""
        world = self._world
        for node in world.nodes:
            lacks = sum(number == node.number for number, _ in world.plan.lacking)
            query = "SELECT count(*) FROM bindings WHERE node = ?"
            (count,) = world._driver().execute(query, (node.id,)).fetchone()
            if not node.is_dead and count != len(world.plan.tasks) - lacks:
                yield f"{node.id} lives, and is bound to {count} tasks only"

    def _unfinished(self) -> Iterator[str]:
        for row in self._rows:
            if row.state in {"pending", "running", "retrying"}:
                yield f"I10: run {row.id} of {row.task_id} is still {row.state} at rest"

    def _called(self) -> Iterator[str]:
        """Compare calls with the rows that they belong to."""
        once = {task.id for task in self._world.plan.tasks
                if task.options["delivery"] == "at_most_once"}  # fmt: skip
        for run_id, calls in self._calls.items():
            row = self._runs.get(run_id)
            if row is None:
                yield f"run {run_id} was called and has no row"
                continue
            calls.sort(key=lambda each: each.token)
            yield from self._unclaimed(row, calls)
            yield from self._hasty(row, calls)
            for call in calls[:-1]:
                how = self._outcomes.get((run_id, call.token))
                if how is None:
                    yield f"run {run_id} was called again, and no attempt tells it"
                elif how == "uncalled":
                    yield f"I9: run {run_id} was called, and is told to have not been"
                elif row.task_id in once and how not in _KNOWN:
                    yield f"I6: run {run_id} must not start twice; its first call ended {how}"
        for row in self._rows:
            yield from self._ended(row)

    def _unclaimed(self, row: Row, calls: Sequence[Entry]) -> Iterator[str]:
        """Yield calls that the ledger had not committed, or had committed for another."""
        if len({call.token for call in calls}) < len(calls):
            yield f"I5: run {row.id} was called twice under one token"
        for call in calls:
            if call.token > row.token or call.attempt > row.attempt:
                yield f"I5: run {row.id} was called as attempt {call.attempt}, the row has less"
            if call.known != ("running", call.token, call.node):
                yield f"I5: run {row.id} was called by {call.node}, the ledger had {call.known}"
            early = row.cause in _TIMED and call.wall < row.scheduled_for
            if early and not self._world.stepped_back:
                yield f"run {row.id} was called before its time"

    def _hasty(self, row: Row, calls: Sequence[Entry]) -> Iterator[str]:
        """Yield retries that did not wait for as long as their task says, where that is known."""
        plan = self._plans[row.task_id]
        retry = plan.options["retry"]
        if retry["jitter"] or self._stepped or self._world.lies:
            return
        failures = 0
        for call, following in pairwise(calls):
            how = self._outcomes.get((row.id, call.token))
            failures += how in {"exception", "timeout"}
            if how in {"exception", "timeout"}:
                pause = min(retry["max_delay"], retry["delay"] * 2 ** (failures - 1))
                waited = (following.wall - self._finished[row.id, call.token]).total_seconds()
                if waited < pause - 0.001 and following.token == call.token + 1:
                    yield f"run {row.id} was tried again after {waited} s, not {pause} s"

    def _ended(self, row: Row) -> Iterator[str]:
        last = [call for call in self._calls[row.id] if call.token == row.token]
        if row.state == "completed":
            if not last:
                yield f"run {row.id} is completed, and was not called under token {row.token}"
            elif row.result != str(row.token):
                yield f"I9: run {row.id} under token {row.token} has the outcome of {row.result}"
            elif last[0].fails:
                yield f"run {row.id} is completed, and its function raised"
        if row.state == "failed" and row.reason == "exception" and not (last and last[0].fails):
            yield f"run {row.id} is failed, and its function did not raise"
        if row.state in _DROPPED and self._calls[row.id]:
            yield f"run {row.id} is {row.state}, and was called"
        plan = self._plans[row.task_id]
        tries = row.attempt - row.crashes - row.interruptions
        most = max(int(plan.options["max_retries"]), 3) + 1  # an edit may allow three
        if tries > most:
            yield f"I8: run {row.id} had {tries} attempts that count"

    def _lost(self, task: TaskPlan) -> Iterator[str]:
        """Yield targets without a row, and rows without a target."""
        world = self._world
        timed = [row for row in self._rows if row.task_id == task.id and row.cause in _TIMED]
        counts = Counter(row.scheduled_for for row in timed)
        for due, count in counts.items():
            if count > 1:
                yield f"I1: {task.id} has {count} rows for {due}"
        if (world.stepped_back and task.trigger == "interval") or task.id not in self._anchors:
            return  # its instants moved with the clock; verify has walked them
        edits = world.edits.get(task.id, [])
        jitter = timedelta(seconds=task.options.get("jitter", 0))
        anchor, arguments = self._anchors[task.id], task.arguments
        begins = [(anchor, arguments), *edits]
        ends = [at for at, _ in edits] + [world.rested_at]
        most = task.options.get("max_runs")
        started = [row for row in timed if row.state not in _DROPPED or row.reason == "overlap"]
        spent = most is not None and len(started) >= most
        if most is not None and len([r for r in timed if r.state not in _DROPPED]) > most:
            yield f"{task.id} was started more than {most} times by its schedule"
        known: set[datetime] = set()
        for number, ((since, said), until) in enumerate(zip(begins, ends, strict=True)):
            wanted = targets(task.trigger, said, task.options["timezone"], anchor, (since, until))
            if since == anchor and task.trigger == "date":
                wanted = targets(
                    task.trigger,
                    said,
                    "UTC",
                    anchor,
                    (datetime.min.replace(tzinfo=anchor.tzinfo), until),
                )
            known.update(wanted)
            around = (since - jitter, until)  # what is put off may be due after its instant
            if world.stepped_back:  # and edits are no wall between what was due before and after
                around = (anchor - jitter, world.rested_at)
            known.update(targets(task.trigger, said, task.options["timezone"], anchor, around))
            last = number == len(begins) - 1
            yield from self._uncovered(task, wanted, timed, jitter, tail=last and not spent)
        for row in timed:
            base = row.scheduled_for
            fits = any(timedelta(0) <= base - each <= jitter for each in known)
            if not fits and base <= world.rested_at:
                yield f"{task.id} has a row for {base}, and was not due then"

    def _uncovered(
        self,
        task: TaskPlan,
        wanted: Sequence[datetime],
        timed: Sequence[Row],
        jitter: timedelta,
        *,
        tail: bool,
    ) -> Iterator[str]:
        """Yield targets that no row stands for; after the last covered one only with *tail*."""
        covered: set[datetime] = set()
        for row in timed:
            upto = [each for each in wanted if each <= row.scheduled_for]
            if upto and row.scheduled_for - upto[-1] <= jitter:
                covered.update(upto[-row.occurrences :])
        missing = [each for each in wanted if each not in covered]
        if not tail and missing:
            latest = max(covered, default=None)
            missing = [each for each in missing if latest is not None and each < latest]
        slack = jitter + timedelta(seconds=2)
        missing = [each for each in missing if each <= self._world.rested_at - slack]
        if missing:
            yield f"lost: {task.id} was due at {missing[0]} and {len(missing) - 1} more times"

    def _crowded(self, task: TaskPlan) -> Iterator[str]:
        """Yield where more calls of a task were under way than its overlap allows.

        A call counts until it is over, its process has died, or the ledger has given its run
        away or up: what a zombie does then, nobody can help.
        """
        if task.limit is None:
            return
        changes: list[tuple[timedelta, int, str]] = []
        for call in self._world.journal.entries:
            if call.task_id == task.id:
                over = self._world.ended.get((call.run_id, call.token), call.ended)
                changes.append((call.began, 1, call.run_id))
                changes.append((max(call.began, min(call.ended, over)), -1, call.run_id))
        running = 0
        for at, change, run_id in sorted(changes, key=lambda each: (each[0], each[1])):
            running += change
            if running > task.limit:
                yield f"I7: {running} calls of {task.id} at {at}, the last of run {run_id}"
                return

    def _verified(self) -> Iterator[str]:
        reading = SqlLedger(self._world.database).reading
        found = Verifier(reading, self._world.clock, patience=timedelta(0)).verify()
        for each in found.breaches:
            where = f"{each.task_id} {each.run_id or ''}".strip()
            yield f"{each.invariant}: verify: {where}: expected {each.expected}, found {each.found}"


def _row(values: Sequence[Any]) -> Row:
    named = dict(zip(_FIELDS, values, strict=True))
    for name in ("scheduled_for", "created_at"):
        named[name] = from_micros(named[name])
    return Row(**named)
