"""Where runs are expected to meet: those of one task, and those of all in the pool."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from core.policy import Overlap
from manager.schemas.foretelling import ForecastLoad, ForecastOverlap, ForecastPeak

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from manager.foresight.planned import Planned

FIRST: Final = 3
"""So many instants of an overlap are named."""
PEAKS: Final = 5
_NAMED: Final = 10
_MINUTE: Final = timedelta(minutes=1)
_DOES: Final = {
    Overlap.SKIP: "skipped",
    Overlap.QUEUE: "queued",
    Overlap.REPLACE: "replaced",
    Overlap.ALLOW: "beside",
}


@dataclass(frozen=True, slots=True)
class Busy:
    """How the runs of a task are expected to lie.

    Attributes:
        starts: When each is expected to start, ascending.
        took: How long each takes.
        clashes: The occurrences that find an earlier run busy.
    """

    starts: list[datetime]
    took: timedelta
    clashes: list[datetime]


def expected(instants: Sequence[datetime], took: timedelta, overlap: str | int) -> Busy:
    """Return how runs that are due at *instants* lie if each takes *took*.

    Args:
        instants: Ascending.
        took: How long a run takes.
        overlap: The task's policy: its word, or a number of runs at once.
    """
    if overlap == Overlap.SKIP:
        return _skipping(instants, took)
    if overlap == Overlap.REPLACE:
        met = [late for early, late in pairwise(instants) if late < early + took]
        return Busy(list(instants), took, met)
    if overlap == Overlap.ALLOW:
        return _side_by_side(instants, took, len(instants) + 1)
    return _side_by_side(instants, took, overlap if isinstance(overlap, int) else 1)


def _skipping(instants: Sequence[datetime], took: timedelta) -> Busy:
    starts: list[datetime] = []
    clashes: list[datetime] = []
    end: datetime | None = None
    for at in instants:
        if end is not None and at < end:
            clashes.append(at)
        else:
            starts.append(at)
            end = at + took
    return Busy(starts, took, clashes)


def _side_by_side(instants: Sequence[datetime], took: timedelta, limit: int) -> Busy:
    """Let at most *limit* run at once; the others wait for the first that ends."""
    starts: list[datetime] = []
    clashes: list[datetime] = []
    ends: deque[datetime] = deque()
    for at in instants:
        while ends and ends[0] <= at:
            ends.popleft()
        if ends:
            clashes.append(at)
        start = at if len(ends) < limit else ends[-limit]
        starts.append(start)
        ends.append(start + took)
    return Busy(starts, took, clashes)


def overlap_of(planned: Planned, busy: Busy, longest: float) -> ForecastOverlap | None:
    """Return what becomes of the clashes of a task, or ``None`` where there is none."""
    if not busy.clashes:
        return None
    policy = planned.task.options.get("overlap", Overlap.SKIP.value)
    does = "queued" if isinstance(policy, int) else _DOES[Overlap(policy)]
    return ForecastOverlap(
        task_id=planned.id,
        policy=str(policy),
        does=does,
        mean=busy.took.total_seconds(),
        longest=longest,
        count=len(busy.clashes),
        first=tuple(busy.clashes[:FIRST]),
    )


def load_of(lying: Iterable[Busy], places: int) -> ForecastLoad | None:
    """Return the most runs that are expected at once, and when first; none where none is known."""
    edges = [(start, each.took) for each in lying for start in each.starts]
    edges.sort()
    most, when = 0, None
    ends: list[datetime] = []
    for start, took in edges:
        while ends and ends[0] <= start:
            heapq.heappop(ends)
        heapq.heappush(ends, start + took)
        if len(ends) > most:
            most, when = len(ends), start
    return None if when is None else ForecastLoad(at=when, running=most, places=places)


def peaks_of(due: Sequence[tuple[datetime, str]]) -> tuple[ForecastPeak, ...]:
    """Return the minutes with the most starts, those with a single one aside.

    Args:
        due: Instants with their tasks, ascending.
    """
    minutes: list[tuple[int, int, datetime]] = []
    low = 0
    while low < len(due):
        minute = due[low][0].replace(second=0, microsecond=0)
        high = bisect_left(due, (minute + _MINUTE, ""), low)
        if high - low > 1:
            minutes.append((low, high, minute))
        low = high
    busiest = heapq.nsmallest(PEAKS, minutes, key=lambda each: (each[0] - each[1], each[2]))
    return tuple(
        ForecastPeak(
            minute=minute,
            starts=high - low,
            tasks=tuple(
                name for name, _ in Counter(who for _, who in due[low:high]).most_common(_NAMED)
            ),
        )
        for low, high, minute in busiest
    )
