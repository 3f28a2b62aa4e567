"""What is shown of a task before the ledger knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.run import TaskState
from manager.schemas.reading import TaskRead
from manager.storage.rows import task_row

if TYPE_CHECKING:
    from core.definition import TaskDefinition


def sketched(definition: TaskDefinition) -> TaskRead:
    """Return *definition* as a task that never ran and is not timed yet."""
    row = task_row(definition, None)
    del row["fingerprint"]
    row["tags"] = definition.tags
    return TaskRead(
        **row,
        status=TaskState.SCHEDULED if definition.enabled else TaskState.DISABLED,
        paused=False,
        last_status=None,
        last_run=None,
        completed=0,
        failed=0,
        quarantined=False,
        crashes=0,
        overrides={},
    )
