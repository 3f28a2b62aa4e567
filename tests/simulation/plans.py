"""What a simulated world is to do, drawn from its seed: tasks, options, orders, faults by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.faults import PER_DAY, Fault

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

STARTS: Final = (
    datetime(2026, 3, 26, 5, 17, tzinfo=UTC),
    datetime(2026, 10, 22, 11, 3, tzinfo=UTC),
    datetime(2026, 12, 29, 23, 41, tzinfo=UTC),
)
"""Around both clock changes of Europe, one of America, and the end of a year."""
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York")
_HOUR: Final = timedelta(hours=1)
_OVERLAPS: Final = ("skip", "skip", "queue", {"queue": 2}, "replace", "allow", {"allow": 2})


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task of the world.

    Attributes:
        lane: ``thread`` for a plain function, ``loop`` for a coroutine function.
        fails: How likely an attempt fails.
        spans: Shortest and longest seconds that a call takes.
    """

    id: str
    trigger: str
    arguments: Mapping[str, Any]
    options: Mapping[str, Any]
    lane: str
    fails: float
    spans: tuple[float, float]

    @property
    def limit(self) -> int | None:
        """Most calls at once; ``None`` is any number."""
        overlap = self.options["overlap"]
        if isinstance(overlap, dict):
            return int(overlap.get("allow", 1))
        return None if overlap == "allow" else 1


@dataclass(frozen=True, slots=True)
class Order:
    """Something that somebody does from outside: an operator, or fate.

    Attributes:
        at: How long after the start.
        verb: What: the name of a fault, or a verb of the task manager.
        task: Whom it is about, where it is about a task.
        span: How long it lasts, where it lasts.
        values: What it says.
    """

    at: timedelta
    verb: str
    task: str = ""
    span: timedelta = timedelta(0)
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One world, not begun.

    Attributes:
        one_host: Whether all nodes are processes of one machine, with one clock.
        lacking: Tasks that a node, by number, does not know.
    """

    start: datetime
    days: int
    nodes: int
    one_host: bool
    tasks: tuple[TaskPlan, ...]
    lacking: frozenset[tuple[int, str]]
    orders: tuple[Order, ...]
    faults: frozenset[Fault]


def plan_of(draw: random.Random, days: int, *, without: frozenset[Fault] = frozenset()) -> Plan:
    """Draw a world of so many *days*, *without* some kinds of fault."""
    one_host = draw.random() < 0.5
    faults = {each for each in Fault if draw.random() < 0.6}
    if not one_host:  # machines that share a database agree on the time, or its server decides
        faults -= {Fault.STEP_BACK, Fault.STEP_AHEAD}
    on = frozenset(faults) - without
    tasks = tuple(_task(draw, number, days) for number in range(draw.randint(3, 5)))
    orders = [*_operator(draw, tasks, days), *_fate(draw, on, days)]
    start, nodes = draw.choice(STARTS), draw.choice((1, 2, 2, 2, 3, 4))
    lacking: frozenset[tuple[int, str]] = frozenset()
    if nodes > 1 and draw.random() < 0.3:  # an older release without the newest task
        lacking = frozenset({(nodes, tasks[-1].id)})
    return Plan(
        start=start,
        days=days,
        nodes=nodes,
        one_host=one_host,
        tasks=tasks,
        lacking=lacking,
        orders=tuple(sorted(orders, key=lambda order: order.at)),
        faults=on,
    )


def _task(draw: random.Random, number: int, days: int) -> TaskPlan:
    trigger, arguments, period = _trigger(draw, days)
    options: dict[str, Any] = {
        "overlap": draw.choice(_OVERLAPS),
        "catch_up": draw.choice(("latest", "latest", "none", "all")),
        "delivery": draw.choice(("at_least_once", "at_most_once")),
        "timezone": draw.choice(ZONES),
        "max_retries": draw.choice((0, 1, 2, 3)),
        "retry": {
            "delay": draw.choice((1, 30, 300)), "max_delay": 900, "jitter": draw.random() < 0.4
        },
        "timeout": draw.choice((None, None, 90.0, 1200.0)),
    }  # fmt: skip
    if draw.random() < 0.15:
        options["misfire_grace_time"] = 600
    if draw.random() < 0.15 and trigger != "date":
        options["jitter"] = 120
    if draw.random() < 0.15:
        options["max_runs"] = draw.randint(3, 20)
    if draw.random() < 0.2:
        options["run_on_start"] = True
    spans = draw.choice(
        ((0.0, 0.0), (0.5, 20.0), (30.0, 900.0), (60.0, 1.3 * min(period, 14_400.0)))
    )
    lane = "loop" if draw.random() < 0.35 else "thread"
    fails = draw.choice((0.0, 0.0, 0.15, 0.5))
    return TaskPlan(f"task-{number}", trigger, arguments, options, lane, fails, spans)


def _trigger(draw: random.Random, days: int) -> tuple[str, dict[str, Any], float]:
    """Return a trigger that is due some fifty times a week, and its period in seconds."""
    kind = draw.choice(("interval", "interval", "hours", "hours", "daily", "date"))
    if kind == "interval":
        minutes = draw.choice((170, 260, 400, 700))
        return "interval", {"minutes": minutes}, minutes * 60.0
    if kind == "hours":
        every, minute = draw.choice((3, 4, 6)), draw.randint(0, 59)
        return "cron", {"expression": f"{minute} */{every} * * *"}, every * 3600.0
    if kind == "daily":
        minute, hour = draw.randint(0, 59), draw.randint(0, 3)
        return "cron", {"expression": f"{minute} {hour} * * *"}, 86400.0
    at = draw.choice(STARTS) + draw.random() * timedelta(days=days)
    return "date", {"run_date": at.replace(microsecond=0).isoformat()}, 3600.0


def _operator(draw: random.Random, tasks: tuple[TaskPlan, ...], days: int) -> list[Order]:
    """Return what an operator orders: a few things a day."""
    found = []
    for _ in range(draw.randint(days, 2 * days)):
        at, task = _moment(draw, days), draw.choice(tasks)
        verb = draw.choice(("run", "run", "run", "cancel", "cancel", "pause", "update", "backfill"))
        span, values = timedelta(0), None
        if verb == "pause":
            span = draw.choice((10, 90, 600)) * timedelta(minutes=1)
        elif verb == "update":
            values = _edit(draw, task)
        elif verb == "backfill":
            span = draw.choice((3, 9)) * _HOUR
        found.append(Order(at, verb, task.id, span, values))
    return found


def _edit(draw: random.Random, task: TaskPlan) -> dict[str, Any]:
    if task.trigger == "interval" and draw.random() < 0.5:
        return {"trigger_args": {"minutes": draw.choice((190, 310, 480))}}
    if task.trigger == "cron" and draw.random() < 0.5:
        return {"trigger_args": {"expression": f"{draw.randint(0, 59)} */4 * * *"}}
    return {"max_retries": draw.choice((0, 1, 3))}


def _fate(draw: random.Random, on: frozenset[Fault], days: int) -> list[Order]:
    """Return what befalls nodes at set times."""
    found = []
    for fault, rate in PER_DAY.items():
        if fault in on:
            count = max(1, round(draw.uniform(0.5, 1.5) * rate * days))
            found += [
                Order(_moment(draw, days), fault.value, span=_span(draw, fault))
                for _ in range(count)
            ]
    return found


def _span(draw: random.Random, fault: Fault) -> timedelta:
    if fault in {Fault.STEP_BACK, Fault.STEP_AHEAD}:
        return draw.choice((3, 59, 3600, 7300)) * timedelta(seconds=1)
    if fault is Fault.BLACKOUT:
        return draw.choice((1, 5, 30)) * _HOUR
    if fault in {Fault.PAUSE, Fault.PARTITION}:
        return draw.choice((8, 20, 40, 300, 4000)) * timedelta(seconds=1)
    return draw.choice((1, 10, 120, 3600)) * timedelta(seconds=1)


def _moment(draw: random.Random, days: int) -> timedelta:
    return draw.random() * timedelta(days=days)
