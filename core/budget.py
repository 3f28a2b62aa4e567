"""How many retries a plugin may start: a share of its first starts, and a floor.

Retries multiply the load on what is failing. A budget keeps them a fraction of the plugin's
ordinary work, whatever ``max_retries`` says. What goes beyond it waits; nothing is dropped.
Source of the rule: retry budgets of Finagle and Envoy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

SLOT: Final = timedelta(seconds=5)
"""Starts are counted in stretches of this length."""
WINDOW: Final = timedelta(minutes=1)
_SLOTS: Final = WINDOW // SLOT
_FURTHEST: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Most retries of a plugin in any minute.

    Attributes:
        share: Part of the plugin's first starts in the last minute.
        floor: So many retries a minute are allowed beside it.
    """

    share: float
    floor: int

    def most(self, starts: int) -> int:
        """Return how many retries a minute with so many first *starts* may have."""
        return self.floor + int(self.share * starts)

    def most_at_once(self, starts: int) -> int:
        """Return how many of them one slot may have: three times its even share."""
        return -(-3 * self.most(starts) // _SLOTS)


@dataclass(frozen=True, slots=True)
class PutOff:
    """Retries that wait because the budget of their plugin is used up.

    Attributes:
        count: How many.
        at: When they were put off.
        instants: When they ask again, ascending.
    """

    plugin: str
    count: int
    at: datetime
    instants: tuple[datetime, ...]


def slot_of(instant: datetime) -> int:
    """Return the number of the slot that *instant* lies in; numbers rise with time."""
    return int(instant.timestamp()) // (SLOT // timedelta(seconds=1))


def oldest_slots(now: int) -> tuple[int, int]:
    """Return the first slot that lies wholly in the last minute, and the first that touches it.

    First starts count from the one, retries from the other: so a budget is never exceeded in any
    minute, however the slots lie.
    """
    return now - _SLOTS + 1, now - _SLOTS


def begin_of(slot: int) -> datetime:
    """Return the first instant of a slot."""
    return datetime.fromtimestamp(slot * (SLOT // timedelta(seconds=1)), UTC)


def end_of_minute(slot: int) -> datetime:
    """Return when the retries of a slot are of the last minute no more."""
    return begin_of(slot + _SLOTS + 1)


def queued(count: int, rate: int, behind: datetime, now: datetime) -> list[datetime]:
    """Return when *count* retries may ask again, ascending.

    They line up *behind* the last one that was put off, as far apart as a minute has room for
    *rate*. Where that line is longer than ten minutes they spread over its second half instead,
    because the budget may have grown by then.
    """
    pace = WINDOW / max(rate, 1)
    line = [behind + pace * number for number in range(1, count + 1)]
    return [
        at if at <= now + _FURTHEST else now + _FURTHEST / 2 * (1 + number / count)
        for number, at in enumerate(line, 1)
    ]
