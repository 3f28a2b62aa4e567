"""What a schedule will do, without registering it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import DefinitionError, Problem, TriggerError
from core.policy import Dst
from core.trigger import Schedule
from manager.scheduling import build_trigger, checked_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def preview(
    trigger: str,
    trigger_args: Mapping[str, Any],
    *,
    timezone: str,
    after: datetime,
    count: int,
    dst: str = "once",
) -> list[datetime]:
    """Return the first *count* occurrences later than *after*, aware, in UTC.

    An interval counts from *after*, as if it were registered then.

    Raises:
        DefinitionError: the trigger, its arguments, the zone or the count cannot be used.
    """
    try:
        arguments = checked_arguments(trigger, trigger_args, timezone)
        schedule = Schedule.of(trigger, arguments, timezone, after, Dst(dst))
        built = build_trigger(schedule)
    except TriggerError as error:
        raise DefinitionError("preview", error.problems) from None
    except (LookupError, ValueError, OSError) as error:
        text = f"expected an IANA zone, and once, both or skip for dst, got {error!s:.80}"
        raise DefinitionError("preview", [Problem("", text)]) from None
    if after.tzinfo is None:
        text = "expected an instant with an offset, got one without"
        raise DefinitionError("preview", [Problem("after", text)])
    found: list[datetime] = []
    moment = built.next_after(after)
    while moment is not None and len(found) < count:
        found.append(moment)
        moment = built.next_after(moment)
    return found
