"""What a trigger names, found one occurrence at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from core.trigger import Trigger


def walked(trigger: Trigger, after: datetime, until: datetime) -> list[datetime]:
    """Return the occurrences in ``(after, until]``, by ``next_after`` alone."""
    found: list[datetime] = []
    moment = trigger.next_after(after)
    while moment is not None and moment <= until:
        assert moment > (found[-1] if found else after), "time went back"
        found.append(moment)
        moment = trigger.next_after(moment)
    return found
