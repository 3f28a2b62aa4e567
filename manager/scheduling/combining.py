"""Schedules made of schedules: what any, all, or the first but no other of them names."""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta
from math import gcd
from typing import TYPE_CHECKING, Final

from manager.scheduling.simple import EPOCH, IntervalTrigger
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.trigger import Trigger

_MICROSECOND: Final = timedelta(microseconds=1)
_PATIENCE: Final = 10_000
"""So many misses in a row end the search for an instant that all of several triggers name."""


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
        for _ in range(_PATIENCE):
            met = moment and self._met(moment)
            if met is None or met == moment:
                return met
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
        moment = self._one.next_after(after)
        while moment is not None and moment <= until:
            met = self._met(moment)
            if met is None:
                return
            if met == moment:
                yield moment
                moment = self._one.next_after(moment)
            else:
                moment = self._one.next_after(met - _MICROSECOND)

    def _met(self, moment: datetime) -> datetime | None:
        """Return the first occurrence of the other trigger that is not before *moment*."""
        return self._other.next_after(moment - _MICROSECOND)


class Difference:
    """Whenever the first trigger is due and the second is not."""

    def __init__(self, base: Trigger, minus: Trigger) -> None:
        self._base = base
        self._minus = minus
        self._both = intersection(base, minus)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*; none where the search is hopeless."""
        moment = self._base.next_after(instant)
        for _ in range(_PATIENCE):
            if moment is None or self._minus.next_after(moment - _MICROSECOND) != moment:
                return moment
            moment = self._base.next_after(moment)
        return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        last, every = self._base.last_until(instant, after)
        left_out = self._both.last_until(instant, after)[1]
        if last is None or every == left_out:
            return None, 0
        while self._minus.next_after(last - _MICROSECOND) == last:
            before, _ = self._base.last_until(last - _MICROSECOND, after)
            if before is None:
                return None, 0
            last = before
        return last, every - left_out

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        unwanted = self._minus.between(after, until)
        skip = next(unwanted, None)
        for moment in self._base.between(after, until):
            while skip is not None and skip < moment:
                skip = next(unwanted, None)
            if moment != skip:
                yield moment


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
    return Intersection(one, other)


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
