"""Whether a definition says of a task what its row says already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.definition import TaskDefinition

SCHEDULE: Final = ("trigger", "trigger_args", "timezone", "enabled")
"""The columns that say when a task is due; a change of them moves the cursor to now."""
_NARROWING: Final = ("dst", "start", "end", "jitter", "exclude")
"""The options that say so too."""
_RULES: Final = ("delivery", "overlap", "max_runs")
"""The options by which the runs of before cannot be judged once they changed."""


def says_the_same(row: Mapping[str, Any], definition: TaskDefinition) -> bool:
    """Tell whether nothing of *row* would be written anew, and nothing lies over it."""
    return (
        row["fingerprint"] == definition.fingerprint
        and not row["overrides"]
        and not row["removed"]
        and (row["plugin"], row["source"]) == (definition.plugin, definition.source)
        and row["lane"] == definition.lane
    )


def says_when(row: Mapping[str, Any]) -> list[Any]:
    """Return what *row* says of when the task is due."""
    options = [row["options"].get(name) for name in _NARROWING]
    return [row[name] for name in SCHEDULE] + options


def rules(row: Mapping[str, Any]) -> list[Any]:
    """Return what *row* says of how runs are judged."""
    return [row["max_retries"], *(row["options"].get(name) for name in _RULES)]


def was_spent(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether a schedule had started its most runs, and may start more now.

    What it named since then was not missed.
    """
    most: int | None = old["options"].get("max_runs")
    return most is not None and old["fired"] >= most and new["options"].get("max_runs") != most
