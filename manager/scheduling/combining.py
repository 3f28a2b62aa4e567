"""Schedules made of schedules: what any, all, or the first but no other of them names."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from math import gcd
from typing import TYPE_CHECKING, Final

from manager.scheduling.narrowing import Bounded
from manager.scheduling.simple import EPOCH, IntervalTrigger
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.trigger import Trigger

_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_CYCLE: Final = timedelta(days=146_097)
"""After so long the calendar repeats itself."""
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
_MISSES: Final = 2_000
"""So many misses in a row end the search for an instant that all of several triggers name."""
_IN_A_ROW: Final = 50
"""After so many that are left out, stretches are counted rather than instants looked at."""
_WALKED: Final = 200_000
"""So many left out in a row end the search for another, where they cannot just be counted."""
_AGE: Final = timedelta(days=3_653)
"""So long a time without any ends the search, too."""
_STEPS: Final = 12
"""After so many single steps, a leap is cheaper."""


class Union:
    """Whenever either of two triggers is due; once where both are."""

    def __init__(self, one: Trigger, other: Trigger) -> None:
        self._pair = (one, other)
        self._both = intersection(one, other)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        found = [each.next_after(instant) for each in self._pair]
        return min((moment for moment in found if moment is not None), default=None)

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        found = [each.last_until(instant, after) for each in self._pair]
        last = max((moment for moment, _ in found if moment is not None), default=None)
        if not all(count for _, count in found):
            return last, sum(count for _, count in found)
        return last, sum(count for _, count in found) - self._both.last_until(instant, after)[1]

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        before: datetime | None = None
        for moment in heapq.merge(*(each.between(after, until) for each in self._pair)):
            if moment != before:
                yield moment
            before = moment


class Intersection:
    """Whenever two triggers are due at the same instant; walked at the pace of the rarer one."""

    def __init__(self, one: Trigger, other: Trigger) -> None:
        self._one = one
        self._other = other

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*; none where the search is hopeless."""
        moment = self._one.next_after(instant)
        for _ in range(_MISSES):
            met = moment and self._other.next_after(moment - _MICROSECOND)
            if met is None or met == moment:
                return met
            if met - instant > _CYCLE:
                break
            moment = self._one.next_after(met - _MICROSECOND)
        return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        last, count = None, 0
        for moment in self.between(after, instant):
            last, count = moment, count + 1
        return last, count

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        one, other = (_Walk(each, after, until) for each in (self._one, self._other))
        while one.at is not None and other.at is not None:
            if one.at < other.at:
                one.reach(other.at)
            elif other.at < one.at:
                other.reach(one.at)
            else:
                yield one.at
                one.step()


class Difference:
    """Whenever the first trigger is due and the second is not."""

    def __init__(self, base: Trigger, minus: Trigger) -> None:
        self._base = base
        self._minus = minus
        self._both = intersection(base, minus)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*; none where the search is hopeless."""
        moment = self._base.next_after(instant)
        for _ in range(_IN_A_ROW):
            if moment is None or self._minus.next_after(moment - _MICROSECOND) != moment:
                return moment
            moment = self._base.next_after(moment)
        return moment and self._far_after(moment - _MICROSECOND)

    def _far_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence after *instant*, in ever longer stretches."""
        low, width, seen = instant, _MINUTE, 0
        counted = not isinstance(self._both, Intersection)
        while (counted or seen < _WALKED) and low - instant < _AGE:
            high = low + min(width, _LATEST - low)
            every = self._base.last_until(high, low)[1]
            if every > self._both.last_until(high, low)[1]:
                return next(self.between(low, high))
            if high == _LATEST:
                break
            low, width, seen = high, width * 2, seen + every
        return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        count = self._base.last_until(instant, after)[1]
        count -= self._both.last_until(instant, after)[1] if count else 0
        if not count:
            return None, 0
        high, width = instant, _MINUTE
        while True:
            low = max(after, high - width)
            last = max(self.between(low, high), default=None)
            if last is not None:
                return last, count
            high, width = low, width * 2

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        unwanted = _Walk(self._minus, after, until)
        for moment in self._base.between(after, until):
            unwanted.reach(moment)
            if moment != unwanted.at:
                yield moment


class _Walk:
    """The occurrences of a trigger in ``(after, until]``, one by one or by leaps."""

    def __init__(self, trigger: Trigger, after: datetime, until: datetime) -> None:
        self._trigger = trigger
        self._until = until
        self._ahead = trigger.between(after, until)
        self.at = next(self._ahead, None)

    def step(self) -> None:
        """Go to the next occurrence."""
        self.at = next(self._ahead, None)

    def reach(self, moment: datetime) -> None:
        """Go to the first occurrence that is not before *moment*; a leap where it is far."""
        for _ in range(_STEPS):
            if self.at is None or self.at >= moment:
                return
            self.at = next(self._ahead, None)
        if self.at is not None and self.at < moment:
            self._ahead = self._trigger.between(moment - _MICROSECOND, self._until)
            self.at = next(self._ahead, None)


class Never:
    """No occurrence at all."""

    def next_after(self, _instant: datetime) -> datetime | None:
        """Return ``None``."""
        return None

    def last_until(self, _instant: datetime, _after: datetime) -> tuple[datetime | None, int]:
        """Return that there is none."""
        return None, 0

    def between(self, _after: datetime, _until: datetime) -> Iterator[datetime]:
        """Yield nothing."""
        return iter(())


def union(triggers: Sequence[Trigger]) -> Trigger:
    """Return what is due whenever any of *triggers* is."""
    made, *rest = triggers
    for each in rest:
        made = Union(made, each)
    return made


def together(triggers: Sequence[Trigger]) -> Trigger:
    """Return what is due whenever all of *triggers* are, at the same instant."""
    made, *rest = triggers
    for each in rest:
        made = intersection(made, each)
    return made


def intersection(one: Trigger, other: Trigger) -> Trigger:
    """Return what is due whenever both are: computed where that is possible, else walked."""
    if isinstance(one, WallTrigger) and isinstance(other, WallTrigger):
        return one.meeting(other) or Intersection(one, other)
    if isinstance(one, IntervalTrigger) and isinstance(other, IntervalTrigger):
        return _meeting_interval(one, other)
    if isinstance(one, WallTrigger) and isinstance(other, IntervalTrigger):
        one, other = other, one
    if isinstance(one, IntervalTrigger) and isinstance(other, WallTrigger):
        return _on_the_second(one, other)
    return Intersection(one, other)


def _on_the_second(interval: IntervalTrigger, wall: WallTrigger) -> Trigger:
    """Return where an interval meets local times, none of which lies between two seconds."""
    seconds = IntervalTrigger(_SECOND, interval.anchor.replace(microsecond=0) - _SECOND)
    whole = _meeting_interval(interval, seconds)
    if not isinstance(whole, IntervalTrigger):
        return Never()
    if whole.period == _SECOND:
        return Bounded(wall, whole.anchor + _SECOND, None)
    return Intersection(whole, wall)


def _meeting_interval(one: IntervalTrigger, other: IntervalTrigger) -> Trigger:
    """Return the interval at which two intervals meet, by the Chinese remainder theorem."""
    step, pace = (each.period // _MICROSECOND for each in (one, other))
    first, second = ((each.anchor - EPOCH) // _MICROSECOND for each in (one, other))
    shared = gcd(step, pace)
    if (second - first) % shared:
        return Never()
    period = step // shared * pace
    turns = (second - first) // shared * pow(step // shared, -1, pace // shared)
    meeting = first + step * (turns % (pace // shared))
    latest = max(first, second)
    begin = meeting + (latest - meeting) // period * period  # the last one that neither counts
    try:
        return IntervalTrigger(
            timedelta(microseconds=period), EPOCH + timedelta(microseconds=begin)
        )
    except OverflowError:
        return Never()
