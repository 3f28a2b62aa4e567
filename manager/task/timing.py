"""When a definition is due, from what it writes: the keys that only together make sense."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from configurations.masking import shown
from core.errors import Problem, TriggerError
from core.policy import Dst
from core.trigger import UNANCHORED, Limits, Schedule
from manager.scheduling import (
    COMBINATIONS,
    EPOCH,
    build_trigger,
    checked_arguments,
    checked_exclusions,
    limit_of,
    parse_exclusions,
)
from manager.schemas.definition import MOMENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.trigger import TriggerFactories


_LIMITS: Final = ("start", "end", "exclude")
_PLAIN: Final = frozenset({"cron", "interval"})
"""Triggers whose arguments are numbers and texts."""
_WORDS: Final = frozenset({str, int, float, bool})


@dataclass(frozen=True, slots=True)
class Timing:
    """What a definition says of its times, checked.

    Attributes:
        arguments: The trigger's arguments in their JSON form.
        start: First instant that counts.
        end: Last instant that counts.
        exclude: What is left out, in its JSON form.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    start: datetime | None = None
    end: datetime | None = None
    exclude: Mapping[str, Any] = field(default_factory=dict)


def timing_of(
    data: Mapping[str, Any], timezone: str, plugged: TriggerFactories
) -> tuple[Timing, list[Problem]]:
    """Return when *data* is due, or every problem of its keys; values of a wrong kind aside.

    Args:
        data: Keys of a definition; the schema has its own words for those of a wrong kind.
        timezone: Its own, or the settings'.
        plugged: Kinds of trigger that plugins offer.
    """
    trigger, arguments = data.get("trigger"), data.get("trigger_args")
    shared = _shared(trigger, arguments, timezone, data)
    if shared is not None:
        return Timing(dict(shared)), []
    try:
        zone = ZoneInfo(timezone)
    except (LookupError, ValueError, TypeError, OSError):
        return Timing(), []
    if not isinstance(trigger, str) or not isinstance(arguments, dict):
        return Timing(), []
    if not all(isinstance(name, str) for name in arguments):
        return Timing(), []
    problems: list[Problem] = []
    exclude: dict[str, Any] = {}
    try:
        arguments = checked_arguments(trigger, arguments, timezone, plugged)
    except TriggerError as error:
        problems += error.problems
    try:
        exclude = checked_exclusions(data.get("exclude") or {}, zone)
    except TriggerError as error:
        problems += error.problems
    start, end = (_moment(name, data.get(name), zone, problems) for name in ("start", "end"))
    if start is not None and end is not None and end < start:
        text = f"expected an instant after the start, got {shown(data['end'])}"
        problems.append(Problem("end", text))
    timing = Timing(arguments, start, end, exclude)
    if not problems and (start or end or exclude or trigger in COMBINATIONS):
        problems += _unreachable(trigger, timing, timezone, plugged)
    return (Timing() if problems else timing), problems


def _shared(
    trigger: object, arguments: object, timezone: str, data: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the arguments of a sound trigger that thousands of tasks may have, else ``None``."""
    if not isinstance(trigger, str) or trigger not in _PLAIN or not isinstance(arguments, dict):
        return None
    if any(data.get(name) is not None for name in _LIMITS):
        return None
    if any(type(name) is not str or type(arguments[name]) not in _WORDS for name in arguments):
        return None
    written = tuple((name, type(value), value) for name, value in arguments.items())
    with suppress(TriggerError):  # what is wrong is said by who looks at all of it
        return _checked(trigger, written, timezone)
    return None


@lru_cache(maxsize=2048)
def _checked(
    trigger: str, written: tuple[tuple[str, type, Any], ...], timezone: str
) -> Mapping[str, Any]:
    """Return arguments in their JSON form; the types tell 1 from ``True``."""
    return checked_arguments(trigger, {name: value for name, _, value in written}, timezone)


def exclude_text(exclude: Mapping[str, Any]) -> str:
    """Return what is excluded as the text that schedules carry."""
    return json.dumps(dict(exclude), sort_keys=True) if exclude else ""


def _moment(name: str, value: object, zone: ZoneInfo, problems: list[Problem]) -> datetime | None:
    if not isinstance(value, str | date):
        return None
    try:
        return limit_of(value if isinstance(value, str) else value.isoformat(), zone)
    except (ValueError, OverflowError):
        problems.append(Problem(name, f"expected {MOMENT}, got {shown(value)}"))
        return None


def _counts(trigger: str, arguments: Mapping[str, Any]) -> bool:
    """Tell whether a schedule, or a part of it, counts from its registration."""
    if trigger in COMBINATIONS:
        return any(_counts(each["trigger"], each["trigger_args"]) for each in arguments["triggers"])
    return trigger not in UNANCHORED


def _unreachable(
    trigger: str, timing: Timing, timezone: str, plugged: TriggerFactories
) -> list[Problem]:
    """Return that it can never be due, where that does not hang on when it is registered."""
    if timing.start is None and _counts(trigger, timing.arguments):
        zone = ZoneInfo(timezone)
        spared = parse_exclusions(exclude_text(timing.exclude), zone) if timing.exclude else None
        if spared is None or spared.free_from(EPOCH) is not None:
            return []
        return [Problem("exclude", "it can never fire: expected some time that is not excluded")]
    anchor = timing.start or EPOCH
    limits = Limits(timing.start, timing.end, exclude_text(timing.exclude))
    schedule = Schedule.of(trigger, timing.arguments, timezone, anchor, Dst.ONCE, limits)
    built = build_trigger(schedule, plugged)
    try:
        if built.next_after(anchor - timedelta(microseconds=1)) is not None:
            return []
    except OverflowError:  # a date at an end of the calendar: no zone can show what is around it
        pass
    text = "it can never fire: its start, its end and what it excludes leave no occurrence"
    return [Problem("trigger_args", text)]
