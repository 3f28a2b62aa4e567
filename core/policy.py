"""What to do when an attempt fails, when runs would overlap, and when time was missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Collection


class Backoff(StrEnum):
    """How the pause before the next attempt grows."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    FIXED = "fixed"
    LISTED = "list"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another.

    Attributes:
        backoff: How the pause grows.
        delay: The first pause.
        max_delay: No pause is longer.
        jitter: Whether the pause is drawn between zero and its bound.
        delays: The pauses one by one, for ``Backoff.LISTED``; the last one repeats.
        retry_on: Names of exception classes, qualified or not; empty means any.
        never_on: Names of exception classes that are never retried; wins over ``retry_on``.
    """

    backoff: Backoff = Backoff.EXPONENTIAL
    delay: timedelta = timedelta(seconds=1)
    max_delay: timedelta = timedelta(seconds=60)
    jitter: bool = True
    delays: tuple[timedelta, ...] = ()
    retry_on: frozenset[str] = frozenset()
    never_on: frozenset[str] = frozenset()

    def delay_before(self, attempt: int) -> timedelta:
        """Return the longest pause before *attempt*.

        The exponential bound is ``min(max_delay, delay * 2 ** (attempt - 2))``. Formula: Brooker,
        "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

        Args:
            attempt: 1-based number of the attempt that is about to start; the first waits zero.

        Raises:
            ValueError: *attempt* is below 1.
        """
        if attempt < 1:
            raise ValueError(f"attempts are counted from 1, got {attempt}")
        if attempt == 1:
            return timedelta(0)
        failures = attempt - 1
        if self.backoff is Backoff.LISTED:
            return min(self.max_delay, self.delays[min(failures, len(self.delays)) - 1])
        if self.backoff is Backoff.FIXED:
            return min(self.max_delay, self.delay)
        if self.backoff is Backoff.LINEAR:
            return min(self.max_delay, self.delay * failures)
        doublings = min(failures - 1, 62)  # a timedelta overflows beyond, the cap never
        seconds = min(self.max_delay.total_seconds(), self.delay.total_seconds() * 2.0**doublings)
        return timedelta(seconds=seconds)

    def pause_before(self, attempt: int, draw: random.Random) -> timedelta:
        """Return the pause to take before *attempt*, drawn with *draw* where jitter is on."""
        bound = self.delay_before(attempt)
        return bound * draw.random() if self.jitter else bound

    def covers(self, error: type[BaseException]) -> bool:
        """Tell whether an attempt that raised *error* may be repeated."""
        return self.covers_names(names_of(error))

    def covers_names(self, names: Collection[str]) -> bool:
        """Tell the same of an error whose classes have *names*, as ``names_of`` gives them."""
        if not self.never_on.isdisjoint(names):
            return False
        return not self.retry_on or not self.retry_on.isdisjoint(names)


def names_of(error: type[BaseException]) -> frozenset[str]:
    """Return the names of *error* and of its base classes, each also with its module."""
    kinds = error.__mro__
    return frozenset(
        name
        for kind in kinds
        for name in (kind.__qualname__, f"{kind.__module__}.{kind.__qualname__}")
    )


class Overlap(StrEnum):
    """What happens to an occurrence whose task is still busy with an earlier one."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class OverlapPolicy:
    """How many runs of one task may be running, and what happens beyond.

    Attributes:
        mode: What happens to an occurrence that finds the task busy.
        limit: Most runs at once; ``None`` is no limit.
        waiting: Most runs that ``Overlap.QUEUE`` lets wait; ``None`` is no limit.
    """

    mode: Overlap = Overlap.SKIP
    limit: int | None = 1
    waiting: int | None = None

    @property
    def room(self) -> int | None:
        """Most open runs, a new one included; an occurrence beyond is skipped. ``None``: any."""
        if self.mode is Overlap.QUEUE and self.waiting is not None:
            return (self.limit or 1) + self.waiting
        return self.limit if self.mode in {Overlap.SKIP, Overlap.ALLOW} else None


class CatchUp(StrEnum):
    """What is made up for occurrences that passed while nobody looked."""

    LATEST = "latest"
    NONE = "none"
    ALL = "all"


class Dst(StrEnum):
    """What a fixed local time does on the days on which the clock is set.

    ``ONCE`` fires it once: after the gap in spring, in the first pass in autumn. ``BOTH`` fires
    it in both passes, ``SKIP`` not at all where it falls into the gap.
    """

    ONCE = "once"
    BOTH = "both"
    SKIP = "skip"


class Delivery(StrEnum):
    """What happens to a run whose process died under it."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


CATCH_UP_WINDOW = timedelta(hours=24)
CATCH_UP_LIMIT = 100
PUNCTUAL = timedelta(seconds=2)
"""An occurrence noticed within this time of its instant was not missed."""
