"""An attempt under way, as its node knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.definition import TaskDefinition
    from core.ports import Executor
    from core.run import Reason, Run
    from manager.engine.context import RunContext


@dataclass(slots=True)
class LiveRun:
    """An attempt under way.

    Attributes:
        deadline: Monotonic second at which its time is up, or at which it is given up.
        stopped: Why it was asked to end, if it was.
    """

    run: Run
    definition: TaskDefinition
    executor: Executor
    context: RunContext
    deadline: float | None
    stopped: Reason | None = None
