"""A schedule as a sentence: ``at 09:00 from Monday to Friday, Europe/Berlin``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from core.policy import Dst
from manager.scheduling.combinations import COMBINATIONS, checked_parts
from manager.scheduling.datewords import day_words, year_words
from manager.scheduling.limitwords import limit_words, span_words
from manager.scheduling.named import named_times
from manager.scheduling.timewords import time_words
from manager.scheduling.triggers import KINDS, checked_arguments

Wording = Callable[[Mapping[str, Any], str, Dst], str]
"""Tells checked arguments of one kind of trigger, in a zone, with what the clock change does."""
_STEPS: Final = ("years", "months", "weeks", "days")
_STEADY: Final = frozenset({"UTC", "UCT", "GMT", "Zulu", "Universal", "Greenwich"})
_REGISTERED: Final = "counted from its registration"
_FLOWING: Final = "whenever the clock shows it"
_FIXED: Final[Mapping[Dst, str]] = {
    Dst.ONCE: "each local time once",
    Dst.BOTH: "twice where the clock repeats it",
    Dst.SKIP: "left out where the clock skips it",
}


def describe(
    trigger: str,
    trigger_args: Mapping[str, Any],
    timezone: str,
    *,
    dst: str = "once",
    options: Mapping[str, Any] | None = None,
) -> str:
    """Return when a schedule is due, as a sentence that says that and nothing else.

    Schedules of different meaning have different sentences; another spelling of the same
    meaning has the same one. A kind that has no wording is told by its arguments.

    Args:
        trigger: The kind.
        trigger_args: Its arguments, as a definition has them.
        timezone: IANA name of the zone in which they are meant.
        dst: What a fixed local time does where the clock is set.
        options: The definition's ``start``, ``end``, ``max_runs``, ``jitter`` and ``exclude``.

    Raises:
        TriggerError: the arguments make no schedule.
    """
    if trigger in KINDS:
        arguments = _checked(trigger, trigger_args, timezone)
        told = WORDINGS[trigger](arguments, timezone, Dst(dst))
    else:
        told = plain(trigger, trigger_args, timezone)
    if options and options.get("start"):
        told = told.replace(_REGISTERED, "counted from its start")
    return ", ".join([told, *limit_words(options or {}, timezone)])


def _checked(trigger: str, arguments: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """Return arguments in their JSON form; those of a plugin's kind as they are."""
    if trigger in COMBINATIONS:
        return checked_parts(trigger, arguments, timezone, _checked)
    return checked_arguments(trigger, arguments, timezone) if trigger in KINDS else dict(arguments)


def plain(trigger: str, arguments: Mapping[str, Any], timezone: str) -> str:
    """Return a schedule of a plugin's kind by its arguments, word for word."""
    told = ", ".join(f"{name}={value!r}" for name, value in sorted(arguments.items()))
    return f"{trigger} with {told or 'no arguments'}, {timezone}"


def _interval(arguments: Mapping[str, Any], _timezone: str, _dst: Dst) -> str:
    return f"every {span_words(timedelta(**arguments))}, {_REGISTERED}"


def _date(arguments: Mapping[str, Any], timezone: str, _dst: Dst) -> str:
    moment = datetime.fromisoformat(arguments["run_date"])
    short = not moment.second and not moment.microsecond
    text = moment.isoformat(" ", "minutes" if short else "auto")
    return f"once at {text}" if moment.tzinfo else f"once at {text}, {timezone}"


def _cron(arguments: Mapping[str, Any], timezone: str, dst: Dst) -> str:
    named = named_times(arguments)
    zone = named.zone or timezone
    times, days = time_words(named.pattern), day_words(named.dates)
    years = year_words(named.dates)
    if times.clock and days.startswith("on the ") and ", if " not in days and " or " not in days:
        parts = [days, times.text, years]
    else:
        parts = [times.text, days or ("every day" if times.clock else ""), years]
    parts = [" ".join(filter(None, parts)), zone]
    if not _is_steady(zone):
        repeats = named.pattern.repeats
        if repeats != times.flowing or (not repeats and dst is not Dst.ONCE):
            parts.append(_FLOWING if repeats else _FIXED[dst])
    return ", ".join(parts)


def _is_steady(zone: str) -> bool:
    """Tell whether no clock of *zone* is ever set."""
    return zone in _STEADY or zone.startswith("Etc/")


def _calendar(arguments: Mapping[str, Any], timezone: str, dst: Dst) -> str:
    steps = [_step(arguments[unit], unit) for unit in _STEPS if arguments.get(unit)]
    day = arguments.get("day")
    on = "" if day is None else " on the last day" if day == "last" else f" on day {day}"
    hour, minute, second = (arguments.get(name, 0) for name in ("hour", "minute", "second"))
    clock = f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")
    parts = [
        f"every {' and '.join(steps)}{on} at {clock}",
        _REGISTERED,
        timezone,
    ]
    if dst is not Dst.ONCE and not _is_steady(timezone):
        parts.append(_FIXED[dst])
    return ", ".join(parts)


def _step(count: int, unit: str) -> str:
    return unit.removesuffix("s") if count == 1 else f"{count} {unit}"


def _combined(word: str) -> Wording:
    def told(arguments: Mapping[str, Any], timezone: str, dst: Dst) -> str:
        parts = [
            describe(
                part["trigger"],
                part["trigger_args"],
                part.get("timezone", timezone),
                dst=part.get("dst", dst.value),
            )
            for part in arguments["triggers"]
        ]
        return f" {word} ".join(f"({part})" for part in parts)

    return told


WORDINGS: Final[Mapping[str, Wording]] = {
    "and": _combined("and at the same instant"),
    "calendar": _calendar,
    "cron": _cron,
    "date": _date,
    "except": _combined("except"),
    "interval": _interval,
    "or": _combined("or"),
}
"""How each kind of trigger is told."""
