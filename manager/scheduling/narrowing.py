"""What a definition lays over its trigger: a start and an end, exclusions, a jitter."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.trigger import Trigger
    from manager.scheduling.exclusions import Exclusions

_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_PATIENCE: Final = 1_500
"""So many exclusions in a row, four years of nights, end the search for an occurrence."""
_SCALE: Final = 1 << 64


class Bounded:
    """A trigger from *start* to *end*, both of them included."""

    def __init__(self, base: Trigger, start: datetime | None, end: datetime | None) -> None:
        self._base = base
        self._before = _FIRST if start is None else start - _MICROSECOND
        self._end = _LAST if end is None else end

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        moment = self._base.next_after(max(instant, self._before))
        return moment if moment is not None and moment <= self._end else None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        until, since = min(instant, self._end), max(after, self._before)
        return self._base.last_until(until, since) if since < until else (None, 0)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        return self._base.between(max(after, self._before), min(until, self._end))


class Sparing:
    """A trigger without the occurrences that *exclusions* cover."""

    def __init__(self, base: Trigger, exclusions: Exclusions) -> None:
        self._base = base
        self._exclusions = exclusions

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*; none where the search is hopeless."""
        moment = self._base.next_after(instant)
        for _ in range(_PATIENCE):
            if moment is None:
                return None
            covered = self._exclusions.covering(moment)
            if covered is None:
                return moment
            free = self._exclusions.free_from(covered[1])
            moment = None if free is None else self._base.next_after(free - _MICROSECOND)
        return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        last, count = self._base.last_until(instant, after)
        first = self._base.next_after(after)
        if last is None or first is None:
            return None, 0
        for start, end in self._exclusions.spans(first, instant):
            since, until = max(after, start - _MICROSECOND), min(instant, end - _MICROSECOND)
            count -= self._base.last_until(until, since)[1]
        while count and last is not None and (covered := self._exclusions.covering(last)):
            last, _ = self._base.last_until(covered[0] - _MICROSECOND, after)
        return (last, count) if count else (None, 0)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        since = after
        for start, end in [*self._exclusions.spans(after, until), (until + _MICROSECOND, until)]:
            yield from self._base.between(since, min(until, start - _MICROSECOND))
            since = max(since, end - _MICROSECOND)


class Spread:
    """A trigger whose occurrences are put off by a part of *jitter* that is theirs for good.

    The part is a hash of *salt* and the occurrence, so that it is the same in every process and
    after every restart. No occurrence is put off as far as the next one, into what *exclusions*
    cover, or beyond *end*.
    """

    def __init__(
        self,
        base: Trigger,
        jitter: timedelta,
        salt: str,
        exclusions: Exclusions | None = None,
        end: datetime | None = None,
    ) -> None:
        self._base = base
        self._jitter = jitter
        self._key = hashlib.sha256(salt.encode()).digest()
        self._exclusions = exclusions
        self._end = end

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        waiting = self._waiting(instant)
        if waiting is not None:
            return waiting
        moment = self._base.next_after(instant)
        return None if moment is None else self._put_off(moment)

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        if instant <= after:
            return None, 0
        count = self._base.last_until(instant, after)[1]
        count += (self._waiting(after) is not None) - (self._waiting(instant) is not None)
        if not count:
            return None, 0
        last, _ = self._base.last_until(instant, self._back(after))
        if last is not None and self._put_off(last) > instant:
            last, _ = self._base.last_until(last - _MICROSECOND, self._back(after))
        return (None if last is None else self._put_off(last)), count

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        for moment in self._base.between(self._back(after), until):
            due = self._put_off(moment)
            if after < due <= until:
                yield due

    def _waiting(self, instant: datetime) -> datetime | None:
        """Return when an occurrence is due whose own time has come by *instant*, but not it."""
        last, _ = self._base.last_until(instant, self._back(instant))
        if last is None:
            return None
        due = self._put_off(last)
        return due if due > instant else None

    def _back(self, instant: datetime) -> datetime:
        return max(instant, _FIRST + self._jitter) - self._jitter

    def _put_off(self, moment: datetime) -> datetime:
        room = self._jitter
        following = self._base.next_after(moment)
        if following is not None:
            room = min(room, following - moment)
        if self._end is not None:
            room = min(room, self._end - moment)
        if self._exclusions is not None:
            covered = next(iter(self._exclusions.spans(moment, moment + room)), None)
            room = room if covered is None else min(room, covered[0] - moment)
        digest = hashlib.blake2b(moment.isoformat().encode(), digest_size=8, key=self._key)
        part = room // _MICROSECOND * int.from_bytes(digest.digest(), "big") // _SCALE
        return moment + part * _MICROSECOND
