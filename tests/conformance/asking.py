"""Asks the product: what it says is due, for a question of the corpus or a cron string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.policy import Dst
from core.trigger import Schedule
from manager.scheduling import build_trigger, checked_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.trigger import Trigger
    from tests.conformance.rows import Question


def trigger_of(
    arguments: Mapping[str, Any], zone: str, start: datetime, dst: str = "once"
) -> Trigger:
    """Return the trigger of a cron task, by the way that a definition goes."""
    checked = checked_arguments("cron", arguments, zone)
    return build_trigger(Schedule.of("cron", checked, zone, start, Dst(dst)))


def trigger_for(question: Question) -> Trigger:
    """Return the trigger that *question* is about."""
    return trigger_of(question.arguments, question.zone, question.start, question.dst)


def first(trigger: Trigger, start: datetime, count: int) -> tuple[datetime, ...]:
    """Return the first *count* occurrences later than *start*, or all if there are fewer."""
    found: list[datetime] = []
    moment = trigger.next_after(start)
    while moment is not None and len(found) < count:
        found.append(moment)
        moment = trigger.next_after(moment)
    return tuple(found)
