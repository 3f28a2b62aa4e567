"""Triggers from the arguments of a definition, kind by kind."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from configurations.masking import shown
from configurations.problems import path_text
from core.errors import Problem, TriggerError
from core.registry import nearest
from manager.scheduling.calendars import CALENDAR_NAMES, build_calendar, checked_calendar
from manager.scheduling.combinations import COMBINATIONS, build_combination, checked_parts
from manager.scheduling.crons import CRON_FIELDS, build_cron, checked_cron
from manager.scheduling.exclusiontext import parse_exclusions
from manager.scheduling.narrowing import Bounded, Sparing, Spread
from manager.scheduling.plugged import build_plugged, checked_plugged
from manager.scheduling.simple import (
    EPOCH,
    INTERVAL_UNITS,
    DateTrigger,
    IntervalTrigger,
    checked_date,
    checked_interval,
    instant_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.trigger import Limits, Schedule, Trigger, TriggerFactories

_ELSEWHERE: Final = {
    "start_date": "start",
    "end_date": "end",
    "jitter": "jitter",
    "timezone": "timezone",
}
"""Arguments that APScheduler's triggers take and that a definition has keys of its own for."""
_RENAMED: Final = {"cron": "expression", "crontab": "expression", "date": "run_date"}
_CHECKS: Final[
    Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], str], dict[str, Any]]]]
] = {
    "calendar": (CALENDAR_NAMES, checked_calendar),
    "cron": (("expression", *CRON_FIELDS), checked_cron),
    "date": (("run_date",), checked_date),
    "interval": (INTERVAL_UNITS, checked_interval),
}
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: known for name, (known, _) in _CHECKS.items()},
    **dict.fromkeys(COMBINATIONS, ("triggers",)),
}
"""Each built-in trigger's argument names."""


def build_trigger(schedule: Schedule, plugged: TriggerFactories | None = None) -> Trigger:
    """Return the trigger of *schedule*, whose arguments were checked before.

    Args:
        schedule: What a definition says of its times.
        plugged: Kinds of trigger that plugins offer.

    Raises:
        TriggerError: the arguments make no schedule.
    """
    zone = ZoneInfo(schedule.timezone)
    return _narrowed(_base(schedule, zone, plugged or {}), schedule.limits, zone)


def _base(schedule: Schedule, zone: ZoneInfo, plugged: TriggerFactories) -> Trigger:
    arguments = json.loads(schedule.arguments)
    anchor = schedule.anchor or EPOCH
    kind = schedule.trigger
    if kind == "interval":
        period = timedelta(**arguments)
        counted = schedule.limits.start is None
        return IntervalTrigger(period, anchor if counted else anchor - period)
    if kind == "date":
        return DateTrigger(instant_of(arguments["run_date"], zone))
    if kind == "cron":
        return build_cron(arguments, zone, schedule.dst)
    if kind == "calendar":
        return build_calendar(arguments, anchor, zone, schedule.dst)
    if kind in COMBINATIONS:
        return build_combination(schedule, lambda part: build_trigger(part, plugged))
    return build_plugged(kind, arguments, schedule.timezone, plugged)


def _narrowed(base: Trigger, limits: Limits, zone: ZoneInfo) -> Trigger:
    exclusions = parse_exclusions(limits.exclude, zone) if limits.exclude else None
    if exclusions is not None:
        base = Sparing(base, exclusions)
    if limits.start is not None or limits.end is not None:
        base = Bounded(base, limits.start, limits.end)
    if limits.jitter:
        return Spread(base, limits.jitter, limits.salt, exclusions, limits.end)
    return base


def checked_arguments(
    kind: str,
    arguments: Mapping[str, Any],
    timezone: str,
    plugged: TriggerFactories | None = None,
) -> dict[str, Any]:
    """Return *arguments* in their JSON form.

    Raises:
        TriggerError: the trigger is unknown, or its arguments make no schedule; every problem
            is named.
    """
    kinds = plugged or {}
    if kind in kinds:
        return checked_plugged(kind, arguments, timezone, kinds)
    if kind not in KINDS:
        every = sorted({*KINDS, *kinds})
        meant = nearest(kind, every)
        hint = f", did you mean {meant!r}?" if meant else "."
        text = f"unknown trigger {shown(kind)}{hint} Known triggers: {', '.join(every)}."
        raise TriggerError(kind, [Problem("", text)])
    known_names = KINDS[kind]
    problems = [_unknown(name, known_names) for name in arguments if name not in known_names]
    if problems:
        raise TriggerError(kind, problems)
    if kind in COMBINATIONS:
        return checked_parts(
            kind,
            arguments,
            timezone,
            lambda name, inner, zone: checked_arguments(name, inner, zone, kinds),
        )
    return _CHECKS[kind][1](arguments, timezone)


def _unknown(name: str, known: tuple[str, ...]) -> Problem:
    where = path_text(("trigger_args", name))
    if name in _ELSEWHERE:
        text = f"unknown argument; write the definition's own key {_ELSEWHERE[name]!r} instead"
        return Problem(where, text)
    renamed = _RENAMED.get(name)
    meant = renamed if renamed in known else nearest(name, list(known))
    hint = f"did you mean {meant!r}?" if meant else f"known: {', '.join(known)}"
    return Problem(where, f"unknown argument, {hint}")
