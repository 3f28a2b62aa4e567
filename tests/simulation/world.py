"""A whole world in one process: several nodes, one database, one clock, one seed.

Nodes run the production engine. The world decides who acts when; between the instants at which
something happens it leaps, and whoever lives has renewed its lease meanwhile. While one node is
stopped in the middle of a call of the database, the others go on.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from configurations import Xcorecfg
from core import run as core_run
from core.errors import LedgerError, TaskrackError
from manager.engine import recovery
from manager.engine.context import current_run
from manager.storage import Database, SqlLedger
from manager.storage.prepared import driver_of
from manager.storage.types import to_micros
from manager.task.control import Control
from manager.testing.clock import VirtualClock
from tests.simulation.faults import AIMED, Fault, Faults
from tests.simulation.journal import Journal
from tests.simulation.nodes import LEASE, NOW, SECOND, SimulatedNode
from tests.simulation.patching import Patch
from tests.simulation.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from core.records import Node
    from manager.task.taskmanager import TaskManager
    from tests.simulation.journal import Entry
    from tests.simulation.plans import Order, TaskPlan

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
_ROUNDS: Final = 2_000
_DEPTH: Final = 3
_REST: Final = 1_000
"""So many times ten minutes for what was begun: threads may go on for hours, one after another."""
_WATCHES: Final = """
CREATE TEMP TABLE seen (what TEXT, who TEXT);
CREATE TEMP TRIGGER final BEFORE UPDATE ON main.runs
WHEN OLD.state NOT IN ('pending', 'running', 'retrying') BEGIN
  INSERT INTO seen VALUES ('I3: a final run was changed, to ' || NEW.state, OLD.id); END;
CREATE TEMP TRIGGER fell BEFORE UPDATE ON main.runs WHEN NEW.token < OLD.token BEGIN
  INSERT INTO seen VALUES ('I4: a token fell', OLD.id); END;
CREATE TEMP TRIGGER gone BEFORE DELETE ON main.runs BEGIN
  INSERT INTO seen VALUES ('I1: a run was deleted', OLD.id); END;
CREATE TEMP TRIGGER lost BEFORE DELETE ON main.tasks BEGIN
  INSERT INTO seen VALUES ('a task was deleted', OLD.id); END;
CREATE TEMP TRIGGER tell AFTER INSERT ON main.attempts BEGIN
  INSERT INTO seen VALUES ('attempt', NEW.run_id || ' ' || NEW.token); END;
CREATE TEMP TRIGGER buried BEFORE UPDATE ON main.nodes
WHEN NEW.state = 'dead' AND OLD.state <> 'dead' BEGIN
  INSERT INTO seen VALUES ('buried', OLD.id); END;
"""
_CROWDS: Final = (
    "SELECT task_id, count(*) FROM runs WHERE state IN ('pending', 'running', 'retrying')"
    " AND state = 'running' GROUP BY task_id HAVING count(*) > 1"
)
_WAITING: Final = "SELECT 1 FROM runs WHERE state IN ('pending', 'retrying') LIMIT 1"
_READY: Final = (
    "SELECT 1 FROM runs WHERE state IN ('pending', 'retrying') AND not_before <= ? LIMIT 1"
)


class FailedOnPurposeError(Exception):
    """What user code of the world raises."""


class World:
    """Everything that there is, from a seed.

    Args:
        seed: Decides everything.
        days: How long faults last.
        without: Kinds of fault that do not strike.

    Attributes:
        lies: The kinds of writes whose commit was denied though it took place.
        ended: When an attempt was ended in the ledger, by run and token.
        complaints: What was seen to be wrong while it went on.
        edits: When schedules were changed, by task: wall clock and new arguments.
    """

    def __init__(self, seed: int, days: int, without: frozenset[Fault] = frozenset()) -> None:
        self.seed = seed
        self.plan = plan_of(random.Random(f"{seed} plan"), days, without=without)
        self.faults = Faults(random.Random(f"{seed} faults"), self.plan.faults)
        self.jitter = random.Random(f"{seed} jitter")
        self.journal = Journal()
        self.clock = VirtualClock(self.plan.start)
        self.clock.waits = _Nowhere()
        self.clock.pass_time = self.play
        self.config = Xcorecfg.model_validate({"manager": {"max_tasks": 1_000}})
        self.database = Database("sqlite://")
        self.processes: set[str] = set()
        self.nodes = [SimulatedNode(self, number) for number in range(1, self.plan.nodes + 1)]
        self.lies: list[str] = []
        self.ended: dict[tuple[str, int], timedelta] = {}
        self.complaints: list[str] = []
        self.edits: dict[str, list[tuple[Any, Any]]] = {}
        self.stepped_back = False
        self.steps = 0
        self._changes = 0
        self.is_calm = False
        self._draw = random.Random(f"{seed} world")
        self._entropy = random.Random(f"{seed} ids")
        self._agenda: list[tuple[timedelta, int, Callable[[], None]]] = []
        self._number = count()
        self._acting: SimulatedNode | None = None
        self._lasts = 0.0
        self._look_at: timedelta | None = None
        self._sweep_at: timedelta | None = None
        self._depth = 0
        self._aimed: list[Order] = []
        self._patience = 10 * MINUTE
        self._limits = {task.id: task.limit for task in self.plan.tasks}

    # what nodes and their user code ask of the world

    def takes(self, task_id: str) -> timedelta:
        """Return how long the next call of a plain function takes."""
        task = next(each for each in self.plan.tasks if each.id == task_id)
        self._lasts = round(self._draw.uniform(*task.spans), 3)
        return timedelta(seconds=self._lasts)

    def define(self, tasks: TaskManager, task: TaskPlan) -> None:
        """Register a task of the plan with a container that is about to start."""

        def plain() -> int:
            return self._called(task, self._lasts)

        async def waiting() -> int:
            seconds = self.takes(task.id).total_seconds()
            entry = self._entered(seconds)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                entry.ended = min(entry.ended, self.clock.elapsed)
                raise
            return self._outcome(task, entry)

        func = waiting if task.lane == "loop" else plain
        tasks.add_task(
            func, task.trigger, task.id, trigger_args=dict(task.arguments), **task.options
        )

    def _called(self, task: TaskPlan, seconds: float) -> int:
        return self._outcome(task, self._entered(seconds))

    def _entered(self, seconds: float) -> Entry:
        context, node = current_run(), self._acting
        if context is None or node is None:
            raise RuntimeError("user code was called outside of a run or a node")
        driver = self._driver()
        if driver.in_transaction:
            self.complaints.append(f"I5: run {context.run_id} was called inside a transaction")
        query = "SELECT state, token, node FROM runs WHERE id = ?"
        known = driver.execute(query, (context.run_id,)).fetchone()
        if node.is_dead:
            self.complaints.append(f"run {context.run_id} was called by a process that died")
        now = self.clock.elapsed
        entry = self.journal.call(context, node.id, now, self.clock.now(), known)
        entry.ended = now + timedelta(seconds=seconds)
        if self._aimed and seconds >= 1 and self.faults.active:
            order, boot = self._aimed.pop(0), node.id
            at = now + timedelta(seconds=self._draw.uniform(0, 0.9) * min(seconds, 600))
            self.plan_at(at, lambda: self._strike(order, node, boot))
        return entry

    @property
    def _leases_may_mislead(self) -> bool:
        """Whether a node may start after the clock was set that leases of other machines go by."""
        return not self.plan.one_host and bool(self.faults.struck[Fault.STEP_AHEAD])

    def _outcome(self, task: TaskPlan, entry: Entry) -> int:
        """Return the token of the call, by which an outcome can be told from another's."""
        dice = random.Random(f"{self.seed} {entry.run_id} {entry.attempt}")
        if dice.random() < task.fails:
            entry.fails = True
            raise FailedOnPurposeError(entry.token)
        return entry.token

    def committed(self, node: SimulatedNode | None, kind: str) -> None:
        """Hear of a commit; let the others look soon where something waits for them."""
        self.steps += 1
        self.journal.note("commit", None if node is None else node.id, kind, self.clock.elapsed)
        driver = self._driver()
        seen = driver.execute("SELECT what, who FROM temp.seen").fetchall()
        if seen:
            driver.execute("DELETE FROM temp.seen")
        for what, who in seen:
            if what == "attempt":
                run_id, token = who.split()
                self.ended[run_id, int(token)] = self.clock.elapsed
            elif what == "buried":
                since = self.clock.elapsed - LEASE
                alive = [each.id for each in self.nodes if each.is_well and each.ill_at < since]
                if who in alive and not self._leases_may_mislead:
                    self.complaints.append(f"{who} is well and was taken for dead")
            else:
                self.complaints.append(f"{what}: {who}")
        if kind == "beat":
            self._changed()
        else:
            self._notice()

    def _notice(self) -> None:
        """Look at what a commit has changed, and let others find it."""
        driver = self._driver()
        for task_id, running in driver.execute(_CROWDS):
            limit = self._limits[task_id]
            if limit is not None and running > limit:
                self.complaints.append(f"I7: {running} runs of {task_id} are under way")
        now = to_micros(self.clock.now())
        if self._changed() and driver.execute(_READY, (now,)).fetchone():
            self._patience = 10 * MINUTE
            if self._sweep_at is None:
                self._sweep_at = self.clock.elapsed + SECOND / 2

    def _changed(self) -> bool:
        """Tell whether the database has changed since the last time."""
        before, self._changes = self._changes, self._driver().total_changes
        return self._changes != before

    def suspend(self, node: SimulatedNode, span: timedelta) -> None:
        """Stop *node* where it is for a while; the others go on."""
        if self._depth >= _DEPTH:
            return
        node.suspended += 1
        self.look_soon(LEASE + SECOND / 2)
        acting, self._acting = self._acting, None
        try:
            self.play(span)
            self.have_beaten(each for each in self.nodes if each is not node)
        finally:
            self._acting = acting
            node.suspended -= 1
            node.ill_at = self.clock.elapsed

    def span(self, shortest: float, longest: float) -> timedelta:
        """Draw a span, in seconds."""
        return timedelta(seconds=round(self._draw.uniform(shortest, longest), 3))

    @contextmanager
    def acting(self, node: SimulatedNode) -> Iterator[None]:
        """Let what is called inside be called by *node*."""
        before, self._acting = self._acting, node
        try:
            yield
        finally:
            self._acting = before

    # the course of time

    def run(self) -> None:
        """Play the whole plan with its faults, then let everything come to rest without any."""
        with self._open():
            for node in self.nodes:
                self.plan_at(NOW, lambda node=node: self._start(node))  # type: ignore[misc]
            for order in self.plan.orders:
                self.plan_at(order.at, lambda order=order: self.obey(order))  # type: ignore[misc]
            for half in range(1, 2 * self.plan.days):
                self.plan_at(half * 12 * HOUR, self._release)
            self.play(timedelta(days=self.plan.days))
            self._rest()

    def _rest(self) -> None:
        """Let faults end; what was begun has to end, what is due has to be decided."""
        self.faults.active = False
        self._agenda.clear()
        for node in self.nodes:
            node.rejoin()
            node.suspended = 0
        self.play(MINUTE)
        for node in self.nodes:
            if node.is_dead:
                self._start(node)
        self.look_soon(SECOND)
        self.play(5 * MINUTE)
        control = self.control()
        for task in self.plan.tasks:
            control.pause(task.id, paused=False)
        self.look_soon(SECOND)
        self.play(10 * MINUTE)
        self.rested_at = self.clock.now()
        for task in self.plan.tasks:
            control.pause(task.id, paused=True)
        self.look_soon(SECOND)
        for _ in range(_REST):
            self.play(10 * MINUTE)
            self.look_soon(SECOND)
            if self._driver().execute(
                "SELECT 1 FROM runs WHERE state IN ('pending', 'running', 'retrying') LIMIT 1"
            ).fetchone() is None:  # fmt: skip
                break

    def plan_at(self, at: timedelta, action: Callable[[], None]) -> None:
        """Let something happen at an instant to come."""
        heapq.heappush(self._agenda, (at, next(self._number), action))

    def look_soon(self, span: timedelta) -> None:
        """Let every node that lives look at the ledger in a while."""
        self.plan_at(self.clock.elapsed + span, self._look)

    def _look(self) -> None:
        self._look_within(NOW)

    def _look_within(self, span: timedelta) -> None:
        at = self.clock.elapsed + span
        self._look_at = at if self._look_at is None else min(at, self._look_at)

    def play(self, span: timedelta) -> None:
        """Let *span* pass; may be called again inside by what waits."""
        end = self.clock.elapsed + span
        self._depth += 1
        try:
            self._settle()
            while (left := end - self.clock.elapsed) > NOW:
                rests = [rest for node in self.nodes if (rest := node.rest()) is not None]
                looks = (self._look_at, self._sweep_at)
                rests += [at - self.clock.elapsed for at in looks if at is not None]
                if self._agenda:
                    rests.append(self._agenda[0][0] - self.clock.elapsed)
                self.clock.advance(max(timedelta(microseconds=1), min([left, *rests])))
                self._settle()
        finally:
            self._depth -= 1

    def _settle(self) -> None:
        """Let everything happen that is to happen at this instant."""
        while self._agenda and self._agenda[0][0] <= self.clock.elapsed:
            heapq.heappop(self._agenda)[2]()
        forced = self._look_at is not None and self._look_at <= self.clock.elapsed
        if forced:
            self._look_at = None
        self._sweep()
        for _ in range(_ROUNDS):
            acted = False
            for node in self.nodes:
                if node.is_ready:
                    rest = node.rest()
                    if forced or (rest is not None and rest <= NOW):
                        self.have_beaten([node])
                        acted |= node.turn(forced=forced)
            forced = False
            if not acted:
                break
        else:
            raise AssertionError(f"the nodes take turns at {self.clock.now()} and do not rest")
        if self._look_at is None and self._driver().execute(_WAITING).fetchone():
            self._look_at = self.clock.elapsed + self._patience
            self._patience = min(4 * self._patience, 3 * HOUR)

    def _sweep(self) -> None:
        """Let one of those that live find what others wrote; in truth all do, one is the first."""
        if self._sweep_at is not None and self._sweep_at <= self.clock.elapsed:
            self._sweep_at = None
            ready = [node for node in self.nodes if node.is_ready]
            if ready:
                node = self._draw.choice(ready)
                self.have_beaten([node])
                node.turn(forced=False, sweeps=True)

    def have_beaten(self, nodes: Iterable[SimulatedNode]) -> None:
        """Let *nodes* have renewed their leases in the time that was leapt over."""
        calm, self.is_calm = self.is_calm, True
        try:
            for node in nodes:
                if node.is_ready:
                    with self.acting(node), suppress(LedgerError):
                        node.beat()
        finally:
            self.is_calm = calm

    # what befalls nodes, and what operators order

    def obey(self, order: Order) -> None:
        """Let one thing of the plan happen."""
        self.journal.note("order", order.verb, order.task, self.clock.elapsed)
        if order.task:
            with suppress(TaskrackError, ValueError):
                self._operate(order)
            self.look_soon(SECOND / 2)
        elif Fault(order.verb) in AIMED and self._draw.random() < 0.8:
            self._aimed.append(order)
        else:
            self._befall(Fault(order.verb), order.span, self._draw.choice(self.nodes))

    def _strike(self, order: Order, node: SimulatedNode, boot: str) -> None:
        """Let what was aimed at a call befall its node, if that still lives."""
        if node.id == boot and not node.is_dead:
            self._befall(Fault(order.verb), order.span, node)

    def _befall(self, fault: Fault, span: timedelta, node: SimulatedNode) -> None:
        self.faults.struck[fault] += 1
        if fault in {Fault.STEP_BACK, Fault.STEP_AHEAD}:
            self.stepped_back |= fault is Fault.STEP_BACK
            self.have_beaten(self.nodes)
            self.clock.step(-span if fault is Fault.STEP_BACK else span)
            self.look_soon(SECOND / 2)
        elif fault is Fault.BLACKOUT:
            for each in self.nodes:
                self._down(each, span, each.die)
        elif fault is Fault.CRASH_IN_RUN:
            if not node.is_busy:
                self.faults.struck[fault] -= 1
            self._down(node, span, node.die)
        elif fault is Fault.STOP:
            self._down(node, span, lambda: self._stop(node))
        elif fault is Fault.PAUSE and not node.is_dead:
            node.suspended += 1
            boot = node.id
            self.plan_at(self.clock.elapsed + span, lambda: self._wake(node, boot))
            self.look_soon(LEASE + SECOND / 2)
        elif fault is Fault.PARTITION and not node.is_dead:
            node.is_cut_off = True
            self.plan_at(self.clock.elapsed + span, lambda: self._join(node))
            self.look_soon(LEASE + SECOND / 2)
        else:
            self.faults.struck[fault] -= 1

    def _stop(self, node: SimulatedNode) -> None:
        """Let a node shut down; it gives back what it runs, unless the database fails it."""
        boot, hindered = node.id, node.is_cut_off
        before = self.faults.struck.total()
        node.stop()
        query = "SELECT id FROM runs WHERE state = 'running' AND node = ?"
        left = self._driver().execute(query, (boot,)).fetchall()
        if left and not hindered and self.faults.struck.total() == before:
            self.complaints.append(f"a shutdown left {left[0][0]} running")

    def watch(self, boot: str) -> None:
        """See to it that what a process held that is gone is taken over, if another is well."""
        for span in (LEASE + SECOND / 2, 2 * LEASE, 4 * LEASE, 5 * LEASE):
            self.look_soon(span)
        self.plan_at(self.clock.elapsed + 6 * LEASE, lambda: self._check_taken(boot))

    def _check_taken(self, boot: str) -> None:
        query = "SELECT id FROM runs WHERE state = 'running' AND node = ?"
        left = self._driver().execute(query, (boot,)).fetchall()
        since = self.clock.elapsed - 6 * LEASE
        if left and any(each.is_well and each.ill_at < since for each in self.nodes):
            self.complaints.append(f"I10: {left[0][0]} was not taken over from {boot}")

    def _wake(self, node: SimulatedNode, boot: str) -> None:
        if node.id == boot and node.suspended:
            node.suspended -= 1
            node.ill_at = self.clock.elapsed
            node.turn(forced=True)

    def _join(self, node: SimulatedNode) -> None:
        node.rejoin()
        node.turn(forced=True)
        self.look_soon(SECOND)

    def _down(self, node: SimulatedNode, span: timedelta, how: Callable[[], None]) -> None:
        """Let a process end one way or the other, and another start after a while."""
        if node.is_dead or node.is_starting or node.is_stopping or node is self._acting:
            return
        if not node.suspended or how == node.die:
            how()
            if not node.is_dead:
                return
        self.look_soon(SECOND)
        self.look_soon(LEASE + SECOND / 2)
        self.restart(node, span)

    def restart(self, node: SimulatedNode, span: timedelta) -> None:
        """Let a new process start on the machine of *node* after a while."""
        self.plan_at(self.clock.elapsed + span, lambda: self._start(node))

    def _start(self, node: SimulatedNode) -> None:
        """Start a process where there is none; again after a while, if it does not come up."""
        if not node.is_dead or node.is_starting:
            return
        if node.suspended:  # what died is still on the stack
            self.restart(node, SECOND)
            return
        node.start()
        if node.is_dead:
            self.restart(node, self.span(1, 30))
        self.look_soon(SECOND / 2)

    def control(self) -> Control:
        """Return the verbs of somebody at a command line."""
        return Control(SqlLedger(self.database), self.clock, "operator", 1_000)

    def _operate(self, order: Order) -> None:
        control, task_id, now = self.control(), order.task, self.clock.now()
        if order.verb == "run":
            control.run_now(task_id)
        elif order.verb == "cancel":
            found = self._driver().execute(
                "SELECT id FROM runs WHERE state IN ('pending', 'running', 'retrying') ORDER BY id"
            )
            if runs := found.fetchall():
                control.cancel(self._draw.choice(runs)[0])
        elif order.verb == "backfill":
            control.backfill(task_id, now - order.span, now - MINUTE)
        elif order.verb == "pause":
            control.pause(task_id, paused=True)
            resume = self.clock.elapsed + order.span
            self.plan_at(resume, lambda: self._resume(task_id))
        elif order.values is not None:
            control.update(task_id, _update(order.values))
            if "trigger_args" in order.values:
                self.edits.setdefault(task_id, []).append((now, order.values["trigger_args"]))
            if "max_retries" in order.values:  # a limit is held only by those that have heard
                self.look_soon(SECOND / 2)

    def _release(self) -> None:
        """Let go on what crashes have quarantined; somebody looked into it."""
        query = "SELECT id FROM tasks WHERE quarantined ORDER BY id"
        for (task_id,) in self._driver().execute(query).fetchall():
            self._resume(task_id)

    def _resume(self, task_id: str) -> None:
        self.control().pause(task_id, paused=False)
        self.look_soon(SECOND / 2)

    # its walls

    def _driver(self) -> Any:  # noqa: ANN401 - the driver's own
        writer = getattr(self.database.backend, "_writer", None)
        if writer is None:
            raise RuntimeError("the world has no database")
        return driver_of(writer)

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Give the world its database, its process table and its chance; take them back after."""
        patch = Patch()
        patch.put(recovery, "is_known_dead", self._is_gone)
        patch.put(core_run, "os", self)  # ids of runs ask it for chance alone
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            self.database.open()
            self._driver().executescript(_WATCHES)
            yield
        finally:
            patch.undo()
            logging.disable(disabled)

    def close(self) -> None:
        """Let go of everything."""
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        for node in self.nodes:
            node.close()
        self.database.close()
        logging.disable(disabled)

    def urandom(self, size: int) -> bytes:
        """Return chance that comes again with the seed."""
        return self._entropy.randbytes(size)

    def _is_gone(self, node: Node, here: Node) -> bool:
        """Say what the process table of a machine says."""
        return node.host == here.host and node.id not in self.processes


class _Nowhere(list[timedelta]):
    """Keeps nothing."""

    def append(self, _span: timedelta) -> None:
        """Forget it."""


def _update(values: Any) -> Any:  # noqa: ANN401 - a mapping of what an edit sets
    from manager.schemas.updating import parse_update  # noqa: PLC0415 - only edits need it

    return parse_update("a task of the world", dict(values))
