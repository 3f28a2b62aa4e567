"""What the death of a process makes of the runs that it held, and of their tasks.

A crash is the death of the process that made a call: of a node, or of a child that ran the task.
What a shutdown cut off, or somebody asked to end, did not crash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from core.run import Reason, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from core.run import Run

CRASH_LIMIT: Final = 3
"""So many crashes in a row, and a task is quarantined; so many of one run, and it is given up."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A task that was just quarantined.

    Attributes:
        run: The run that crashed last.
        crashes: How often the task has crashed with no completed run between.
    """

    task_id: str
    run: Run
    crashes: int

    @property
    def instants(self) -> tuple[datetime, ...]:
        """When what waits for it may start: nobody knows."""
        return ()


@dataclass(frozen=True, slots=True)
class Buried:
    """What became of what dead nodes held.

    Attributes:
        runs: Their runs as they now stand.
        quarantined: The tasks for which it was one crash too many.
    """

    runs: tuple[Run, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()


def after_crash(run: Run, died: str, *, once: bool, rerun: bool) -> Run:
    """Return *run*, whose process died, as it is to stand as far as it alone decides.

    The ledger has the last word where the crash is one too many for the task: see ``condemned``.

    Args:
        run: As it was while it ran.
        died: What died, in a clause.
        once: Whether it must not be started twice.
        rerun: Whether what may run again does.
    """
    run = replace(run, crashes=run.crashes + 1, reason=Reason.CRASH, error=died)
    if once or not rerun:
        return replace(run, state=RunState.LOST)
    if run.crashes >= CRASH_LIMIT:
        text = f"its process died {run.crashes} times under it"
        return replace(run, state=RunState.FAILED, error=text)
    return replace(run, state=RunState.PENDING)


def began(dead: Iterable[Run]) -> datetime | None:
    """Return when the latest of the attempts started that died together.

    It is another crash of their task only if that was after the crash before became known: what
    ran beside it then, on any node, went down with the same host or power, and is no second
    proof against the task.
    """
    return max((run.started_at for run in dead if run.started_at is not None), default=None)


def condemned(dead: Sequence[Run], crashes: int) -> Run | None:
    """Return the run of *dead* that ends with the crash that quarantines its task, as it ends.

    It is the one that crashed most often, of equals the oldest; the others wait for the task.
    One that is given up anyway is the one. ``None`` where all of them are lost.
    """
    for run in dead:
        if run.state is RunState.FAILED:
            return run
    waiting = [run for run in dead if run.state is RunState.PENDING]
    if not waiting:
        return None
    run = min(waiting, key=lambda each: (-each.crashes, each.id))
    text = f"{run.error}; the task has crashed {crashes} times in a row and is quarantined"
    return replace(run, state=RunState.FAILED, error=text)
