"""What is foretold of tasks, and how an occurrence is explained; keys are stable."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
from enum import StrEnum

from core.run import RunState  # noqa: TC001 - the same
from manager.schemas.reading import ReadModel, RunRead


class Fate(StrEnum):
    """What becomes of an instant for which no run is found."""

    DUE = "due"
    UNDECIDED = "undecided"
    NOT_DUE = "not-due"
    PAUSED = "paused"
    QUARANTINED = "quarantined"
    DISABLED = "disabled"
    UNBOUND = "unbound"
    FINISHED = "finished"
    UNRECORDED = "unrecorded"


class ForecastRun(ReadModel):
    """One occurrence to come.

    Attributes:
        task_id: Whose it is.
        at: When it is due, in UTC.
        local: The same instant in the task's zone, in ISO 8601 with offset.
    """

    task_id: str
    at: datetime
    local: str


class ForecastOverlap(ReadModel):
    """Occurrences of a task that come before its earlier run is expected to end.

    Attributes:
        policy: The task's ``overlap``.
        does: What becomes of them: ``skipped``, ``queued``, ``replaced`` or ``beside``.
        mean: Seconds that its last runs took on average: so long it is expected to take.
        longest: Seconds that the longest of them took.
        count: How many there are.
        first: The first of them.
    """

    task_id: str
    policy: str
    does: str
    mean: float
    longest: float
    count: int
    first: tuple[datetime, ...]


class ForecastPeak(ReadModel):
    """A minute in which many runs start.

    Attributes:
        minute: Its beginning, in UTC.
        starts: How many runs are due in it.
        tasks: Whose they are, those with the most first, at most ten.
    """

    minute: datetime
    starts: int
    tasks: tuple[str, ...]


class ForecastLoad(ReadModel):
    """The most runs in threads that are expected at once, where durations are known.

    Attributes:
        at: When it is first so.
        running: How many would run if there were places for all.
        places: How many threads there are.
    """

    at: datetime
    running: int
    places: int


class Forecast(ReadModel):
    """Every run that is due in ``(start, end]`` if the tasks stay as they are.

    Attributes:
        runs: In the order of their instants.
        overlaps: Where a run is expected to meet an earlier one of its task.
        peaks: The busiest minutes, the busiest first.
        load: The expected crowd; ``None`` where no duration is known.
        notes: What is left out, where clocks are set, and what could be better, one sentence each.
    """

    start: datetime
    end: datetime
    runs: tuple[ForecastRun, ...]
    overlaps: tuple[ForecastOverlap, ...]
    peaks: tuple[ForecastPeak, ...]
    load: ForecastLoad | None
    notes: tuple[str, ...]


class Explanation(ReadModel):
    """Why a task ran at an instant, did not, or will.

    Attributes:
        at: The instant that was asked about, in UTC.
        local: The same instant in the task's zone.
        outcome: The state of the run that was found, or else what becomes of the instant.
        verdict: One sentence.
        because: The reasons, one sentence each.
        schedule: The schedule in words.
        previous: Last occurrence before the instant.
        next: First occurrence after it.
        runs: The runs that it is about, with their attempts.
    """

    task_id: str
    at: datetime
    local: str
    outcome: RunState | Fate
    verdict: str
    because: tuple[str, ...]
    schedule: str
    previous: datetime | None
    next: datetime | None
    runs: tuple[RunRead, ...]
