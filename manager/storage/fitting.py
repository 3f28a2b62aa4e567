"""What becomes of an occurrence for which its task has no room."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.run import Reason, RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.records import Firing
    from core.run import Run


def fitting(firing: Firing, busy: int, backfills: int) -> Sequence[Run]:
    """Return the rows of *firing*; those for which there is no room become ``SKIPPED``.

    A backfill makes no occurrence overlap: what finds its place taken by one waits for it.
    """
    if firing.room is None:
        return firing.runs
    free = firing.room - busy
    rows: list[Run] = []
    for run in firing.runs:
        if run.state.is_final:
            rows.append(run)
        elif free <= 0:
            reason, ended = Reason.OVERLAP, run.created_at
            rows.append(_unstarted(run, RunState.SKIPPED, reason=reason, finished_at=ended))
        else:
            waits = free <= backfills and run.state is RunState.RUNNING
            rows.append(_unstarted(run, RunState.PENDING) if waits else run)
            free -= 1
    return rows


def _unstarted(run: Run, state: RunState, **more: Any) -> Run:  # noqa: ANN401 - columns
    return replace(run, state=state, attempt=0, token=0, node=None, started_at=None, **more)
