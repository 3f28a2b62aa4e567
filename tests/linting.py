"""What the tests of the lint rules share: definitions drafted as a plugin's are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from configurations import Xcorecfg
from manager.lint import RuleChoice, lint
from manager.task.drafting import Drafter

if TYPE_CHECKING:
    from core.definition import TaskDefinition
    from manager.lint import Finding

NOW: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)


def plain(limit: int = 1) -> int:
    """Stand for a task's function."""
    return limit


async def waiting() -> None:
    """Stand for a task's coroutine function."""


def definition(task_id: str, **more: Any) -> TaskDefinition:  # noqa: ANN401 - values of a definition
    """Return a definition as it is drafted from a dict; hourly, with a limit, unless told."""
    base = {"func": plain, "trigger": "interval", "trigger_args": {"hours": 1}, "timeout": 20}
    made, _ = Drafter().draft({"id": task_id} | base | more, plugin="p", source=f"p.py, {task_id}")
    return made


def cron(text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - values of a definition
    """Return the keys of a task with a cron string."""
    return {"trigger": "cron", "trigger_args": {"expression": text}, **more}


def fields(**given: int | str) -> dict[str, Any]:
    """Return the keys of a task with cron fields."""
    return {"trigger": "cron", "trigger_args": given}


def findings(*tasks: dict[str, Any], select: str = "", **config: Any) -> list[Finding]:  # noqa: ANN401 - sections
    """Return what is found in tasks that are called ``t0``, ``t1`` and so on unless told."""
    made = [definition(**({"task_id": f"t{at}"} | task)) for at, task in enumerate(tasks)]
    choice = RuleChoice.parse([select] if select else [])
    return lint(made, config=Xcorecfg(**config), now=NOW, choice=choice)
