"""What a schedule will do, without registering it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from configurations.fields import DAY_SECONDS, known_timezone
from configurations.masking import shown
from core.errors import DefinitionError, Problem
from core.policy import Dst
from core.registry import nearest
from core.trigger import Limits, Schedule
from manager.scheduling import build_trigger
from manager.schemas.definition import EXPECTED
from manager.task.timing import exclude_text, timing_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.trigger import Trigger, TriggerFactories

OPTIONS: Final = ("dst", "start", "end", "exclude", "jitter", "id")
"""The keys of a definition that say when it is due, beside the trigger, and whose it is."""
_SCHEDULE: Final[Mapping[str, Any]] = {"trigger": str, "trigger_args": Mapping}
_KINDS: Final[Mapping[str, Any]] = {
    "start": str | date | None,
    "end": str | date | None,
    "exclude": dict | list | tuple | None,
}


def preview(
    trigger: str,
    trigger_args: Mapping[str, Any],
    *,
    timezone: str,
    after: datetime,
    count: int,
    plugged: TriggerFactories | None = None,
    **options: Any,  # noqa: ANN401 - as a definition writes them
) -> list[datetime]:
    """Return the first *count* occurrences later than *after*, aware, in UTC.

    An interval counts from *after*, as if it were registered then.

    Args:
        trigger: Its kind.
        trigger_args: Its arguments.
        timezone: IANA name.
        after: An aware instant.
        count: How many at most.
        plugged: Kinds of trigger that plugins offer.
        options: ``dst``, ``start``, ``end``, ``exclude`` and ``jitter`` as in a definition; a
            jitter depends on the ``id``.

    Raises:
        DefinitionError: they make no schedule; every problem is named.
    """
    problems = _problems(timezone, after, count, options)
    problems += _misfits({"trigger": trigger, "trigger_args": trigger_args}, _SCHEDULE)
    if _misfits({"trigger": trigger, "trigger_args": trigger_args}, _SCHEDULE):
        raise DefinitionError("preview", problems)
    data = options | {"trigger": trigger, "trigger_args": dict(trigger_args)}
    timing, more = timing_of(data, timezone, plugged or {})
    if problems or more:
        raise DefinitionError("preview", [*problems, *more])
    limits = Limits(
        start=timing.start,
        end=timing.end,
        exclude=exclude_text(timing.exclude),
        jitter=timedelta(seconds=options.get("jitter", 0)),
        salt=str(options.get("id", "")),
    )
    dst = Dst(options.get("dst", Dst.ONCE))
    schedule = Schedule.of(trigger, timing.arguments, timezone, after, dst, limits)
    return list(islice(_occurrences(build_trigger(schedule, plugged), after), count))


def _misfits(given: Mapping[str, object], kinds: Mapping[str, Any]) -> list[Problem]:
    """Return what of *given* is of another kind than *kinds* says."""
    return [
        Problem(name, f"expected {EXPECTED[name]}, got {shown(given.get(name))}")
        for name, kind in kinds.items()
        if not isinstance(given.get(name), kind)
    ]


def _problems(
    timezone: str, after: object, count: object, options: Mapping[str, Any]
) -> list[Problem]:
    found = _misfits(options, _KINDS)
    for name in options:
        if name not in OPTIONS:
            meant = nearest(name, list(OPTIONS))
            hint = f"did you mean {meant!r}?" if meant else f"known: {', '.join(OPTIONS)}"
            found.append(Problem(name, f"unknown key, {hint}"))
    try:
        known_timezone(timezone)
    except (TypeError, AttributeError):
        text = f"expected an IANA time zone such as 'Europe/Berlin', got {shown(timezone)}"
        found.append(Problem("timezone", text))
    except ValueError as error:
        found.append(Problem("timezone", str(error)))
    if options.get("dst", Dst.ONCE) not in tuple(Dst):
        text = f"expected 'once', 'both' or 'skip', got {shown(options['dst'])}"
        found.append(Problem("dst", text))
    jitter = options.get("jitter", 0)
    number = isinstance(jitter, int | float) and not isinstance(jitter, bool)
    if not number or not 0 <= jitter <= DAY_SECONDS:  # NaN is in no range
        found.append(Problem("jitter", f"expected {EXPECTED['jitter']}, got {shown(jitter)}"))
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        text = f"expected a whole number from 0 on, got {shown(count)}"
        found.append(Problem("count", text))
    if not isinstance(after, datetime) or after.tzinfo is None:
        text = f"expected an instant with an offset, got {shown(str(after))}"
        found.append(Problem("after", text))
    return found


def _occurrences(trigger: Trigger, after: datetime) -> Iterator[datetime]:
    moment = trigger.next_after(after)
    while moment is not None:
        yield moment
        moment = trigger.next_after(moment)
