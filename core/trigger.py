"""When a task is due: schedules, and which of their occurrences are made up after a gap."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from core.policy import CATCH_UP_LIMIT, CATCH_UP_WINDOW, PUNCTUAL, CatchUp, Dst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

_TEXT: Final = json.JSONEncoder(sort_keys=True).encode
UNANCHORED: Final = frozenset({"cron", "date"})
"""Triggers that do not count from the first registration."""


class Trigger(Protocol):
    """The occurrences of a schedule, as aware instants in UTC."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*; ``None`` where there is none."""
        ...

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        ...

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        ...


TriggerFactories: TypeAlias = "Mapping[str, Callable[[Mapping[str, Any], ZoneInfo], object]]"
"""Kinds of trigger that plugins offer: each makes an object with ``next_after(instant)``."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What narrows or spreads the occurrences of a trigger.

    Attributes:
        start: Nothing is due before it; intervals count from it.
        end: Nothing is due after it.
        exclude: What is left out, as JSON; empty leaves nothing out.
        jitter: Every occurrence is put off by less than this, and by less than the next one.
        salt: Whose occurrences they are, where there is a jitter: it decides by how much.
    """

    start: datetime | None = None
    end: datetime | None = None
    exclude: str = ""
    jitter: timedelta = timedelta(0)
    salt: str = ""


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A trigger with its zone and anchor; tasks with equal schedules share one timer.

    Attributes:
        trigger: ``interval``, ``cron``, ``date`` or another known kind.
        arguments: The trigger's arguments as JSON with sorted keys.
        timezone: IANA name of the zone in which the arguments are meant.
        anchor: First registration; intervals count from it. ``None`` for triggers that do not
            count, so that tasks registered at different times share their timer.
        dst: What a fixed local time does where the clock is set.
        limits: What narrows or spreads the occurrences.
    """

    trigger: str
    arguments: str
    timezone: str
    anchor: datetime | None
    dst: Dst = Dst.ONCE
    limits: Limits = NO_LIMITS

    def __hash__(self) -> int:
        """Return a hash of what tells most schedules apart: they are looked up often."""
        return hash((self.arguments, self.anchor))

    @classmethod
    def of(
        cls,
        trigger: str,
        arguments: Mapping[str, Any],
        timezone: str,
        anchor: datetime,
        dst: Dst = Dst.ONCE,
        limits: Limits = NO_LIMITS,
    ) -> Schedule:
        """Return the schedule of a definition that was first registered at *anchor*."""
        text = _TEXT(dict(arguments))
        counted = None if trigger in UNANCHORED else limits.start or anchor
        return cls(trigger, text, timezone, counted, dst, limits)


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
    trigger: Trigger,
    cursor: datetime,
    now: datetime,
    catch_up: CatchUp,
    grace: timedelta | None,
    first: datetime | None = None,
) -> Decision:
    """Decide every occurrence in ``(cursor, now]`` by policy; nothing is left undecided.

    An occurrence that is noticed within two seconds is on time. Of older ones, ``latest`` makes
    up the last, ``all`` the last hundred of a day, ``none`` nothing. A *grace* drops what was
    noticed later than it.

    Args:
        trigger: What is asked, once where a single occurrence is due.
        cursor: Occurrences up to here were decided before.
        now: Occurrences up to here are decided.
        catch_up: What is made up.
        grace: How late an occurrence may be noticed; ``None`` leaves it to *catch_up*.
        first: The first occurrence after *cursor*, where it is known.
    """
    first = trigger.next_after(cursor) if first is None else first
    if first is None or first > now:
        return Decision((), late=False, missed=0, missed_until=None, next_run=first)
    last: datetime | None = first
    count, next_run = 1, trigger.next_after(first)
    if next_run is not None and next_run <= now:
        last, count = trigger.last_until(now, cursor)
        next_run = trigger.next_after(now)
    oldest = now - _patience(catch_up, grace)
    fire: tuple[datetime, ...] = ()
    if catch_up is CatchUp.ALL:
        fire = _latest_of(trigger, max(cursor, oldest), now)
    elif last is not None and last >= oldest:
        fire = (last,)
    missed = count - len(fire)
    until = None
    if missed:
        until = _before(trigger, cursor, fire) if fire else last
    late = bool(fire) and now - fire[0] > PUNCTUAL
    return Decision(fire, late, missed, until, next_run)


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
    return tuple(deque(trigger.between(start, until), maxlen=CATCH_UP_LIMIT))


def _before(trigger: Trigger, cursor: datetime, fire: tuple[datetime, ...]) -> datetime | None:
    """Return the last occurrence after *cursor* and before those that fire, searched backwards."""
    just_before, back = fire[0] - fire[0].resolution, PUNCTUAL
    while just_before - back > cursor:
        last, _ = trigger.last_until(just_before, just_before - back)
        if last is not None:
            return last
        back *= 8
    return trigger.last_until(just_before, cursor)[0]
