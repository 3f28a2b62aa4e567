"""When a task is due: schedules, and which of their occurrences are made up after a gap."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from core.policy import CATCH_UP_LIMIT, CATCH_UP_WINDOW, PUNCTUAL, CatchUp, Dst

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


class Trigger(Protocol):
    """The occurrences of a schedule, as aware instants in UTC."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*; ``None`` where there is none."""
        ...

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """A trigger with its zone and anchor; tasks with equal schedules share one timer.

    Attributes:
        trigger: ``interval``, ``cron`` or ``date``.
        arguments: The trigger's arguments as sorted pairs.
        timezone: IANA name of the zone in which the arguments are meant.
        anchor: First registration; intervals count from it. ``None`` for other triggers, so
            that tasks registered at different times share their timer.
        dst: What a fixed local time does where the clock is set.
    """

    trigger: str
    arguments: tuple[tuple[str, Any], ...]
    timezone: str
    anchor: datetime | None
    dst: Dst = Dst.ONCE

    @classmethod
    def of(
        cls,
        trigger: str,
        arguments: Mapping[str, Any],
        timezone: str,
        anchor: datetime,
        dst: Dst = Dst.ONCE,
    ) -> Schedule:
        """Return the schedule of a definition that was first registered at *anchor*."""
        pairs = tuple(sorted(arguments.items()))
        return cls(trigger, pairs, timezone, anchor if trigger == "interval" else None, dst)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the occurrences in ``(cursor, now]``.

    Attributes:
        fire: Instants that get a run, in order.
        late: Whether they are made up rather than on time.
        missed: How many occurrences are dropped.
        missed_until: The last one that was dropped.
        next_run: First occurrence after now.
    """

    fire: tuple[datetime, ...]
    late: bool
    missed: int
    missed_until: datetime | None
    next_run: datetime | None


def decide(
    trigger: Trigger, cursor: datetime, now: datetime, catch_up: CatchUp, grace: timedelta | None
) -> Decision:
    """Decide every occurrence in ``(cursor, now]`` by policy; nothing is left undecided.

    An occurrence that is noticed within two seconds is on time. Of older ones, ``latest`` makes
    up the last, ``all`` the last hundred of a day, ``none`` nothing. A *grace* drops what was
    noticed later than it.
    """
    next_run = trigger.next_after(now)
    last, count = trigger.last_until(now, cursor)
    if last is None:
        return Decision((), late=False, missed=0, missed_until=None, next_run=next_run)
    oldest = now - _patience(catch_up, grace)
    fire: tuple[datetime, ...] = ()
    if catch_up is CatchUp.ALL:
        fire = _latest_of(trigger, max(cursor, oldest), now)
    elif last >= oldest:
        fire = (last,)
    missed = count - len(fire)
    until = _before(trigger, cursor, fire) if fire else last
    late = bool(fire) and now - fire[0] > PUNCTUAL
    return Decision(fire, late, missed, until if missed else None, next_run)


def _patience(catch_up: CatchUp, grace: timedelta | None) -> timedelta:
    if grace is not None:
        return grace
    return PUNCTUAL if catch_up is CatchUp.NONE else CATCH_UP_WINDOW


def _latest_of(trigger: Trigger, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """Return the last hundred occurrences in ``(after, until]``, without walking all of them."""
    back, start = PUNCTUAL, after
    while until - back > after:
        if trigger.last_until(until, until - back)[1] >= CATCH_UP_LIMIT:
            start = until - back
            break
        back *= 2
    found: deque[datetime] = deque(maxlen=CATCH_UP_LIMIT)
    instant = trigger.next_after(start)
    while instant is not None and instant <= until:
        found.append(instant)
        instant = trigger.next_after(instant)
    return tuple(found)


def _before(trigger: Trigger, cursor: datetime, fire: tuple[datetime, ...]) -> datetime | None:
    just_before = fire[0] - fire[0].resolution
    return trigger.last_until(just_before, cursor)[0]
