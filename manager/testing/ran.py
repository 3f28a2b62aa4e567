"""What did happen, in words, where a test expected something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.run import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from manager.schemas.reading import RunRead

_SHOWN: Final = 20
_DROPPED: Final = frozenset({RunState.SKIPPED, RunState.MISSED})


def has_run(run: RunRead) -> bool:
    """Tell whether *run* was started at least once."""
    return run.attempt > 0 and run.state not in _DROPPED


def failure(task_id: str, wanted: str, runs: Sequence[RunRead], zone: ZoneInfo) -> str:
    """Return what was expected of a task, and the latest of what became of it, line by line."""
    lines = [f"task {task_id!r} was expected to {wanted}."]
    if not runs:
        lines.append("It has no runs at all: it was never due, or it has another id.")
        return "\n".join(lines)
    lines.append(f"It has {len(runs)} run{'s' * (len(runs) > 1)}:")
    if len(runs) > _SHOWN:
        lines.append(f"  ... {len(runs) - _SHOWN} earlier ones")
    lines += [f"  {_line(run, zone)}" for run in runs[-_SHOWN:]]
    return "\n".join(lines)


def _line(run: RunRead, zone: ZoneInfo) -> str:
    parts = [f"{run.scheduled_for.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}", run.state.value]
    parts.append(f"({run.cause}{f', {run.reason}' if run.reason else ''})")
    if run.occurrences > 1:
        parts.append(f"{run.occurrences} occurrences")
    if run.attempt > 1:
        parts.append(f"{run.attempt} attempts")
    if run.error:
        parts.append(run.error.splitlines()[0])
    return " ".join(parts)
