"""What runs of a period came to; keys are stable, new ones may be added."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation

from manager.schemas.reading import ReadModel, RunRead


class TaskStatistics(ReadModel):
    """What the runs of one task came to in a period; durations in seconds."""

    task_id: str
    runs: int
    completed: int
    failed: int
    average: float | None
    longest: float | None


class PeriodStatistics(ReadModel):
    """What all runs came to in ``[start, end)``; ``hours`` counts starts, hour by hour."""

    start: datetime
    end: datetime
    tasks: tuple[TaskStatistics, ...]
    hours: tuple[int, ...]
    failures: tuple[RunRead, ...]
