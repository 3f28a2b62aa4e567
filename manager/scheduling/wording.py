"""A schedule as a sentence: ``at 09:00 from Monday to Friday, Europe/Berlin``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from core.policy import Dst
from manager.scheduling.datewords import day_words, year_words
from manager.scheduling.named import named_times
from manager.scheduling.timewords import time_words
from manager.scheduling.triggers import checked_arguments

Wording = Callable[[Mapping[str, Any], str, Dst], str]
"""Tells checked arguments of one kind of trigger, in a zone, with what the clock change does."""
_STEADY: Final = frozenset({"UTC", "UCT", "GMT", "Zulu", "Universal", "Greenwich"})
_FLOWING: Final = "whenever the clock shows it"
_FIXED: Final[Mapping[Dst, str]] = {
    Dst.ONCE: "each local time once",
    Dst.BOTH: "twice where the clock repeats it",
    Dst.SKIP: "left out where the clock skips it",
}
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


def describe(
    trigger: str, trigger_args: Mapping[str, Any], timezone: str, *, dst: str = "once"
) -> str:
    """Return when a schedule is due, as a sentence that says that and nothing else.

    Schedules of different meaning have different sentences; another spelling of the same
    meaning has the same one. A kind that has no wording is told by its arguments.

    Args:
        trigger: The kind.
        trigger_args: Its arguments, as a definition has them.
        timezone: IANA name of the zone in which they are meant.
        dst: What a fixed local time does where the clock is set.

    Raises:
        TriggerError: the arguments make no schedule.
    """
    arguments = checked_arguments(trigger, trigger_args, timezone)
    wording = WORDINGS.get(trigger)
    if wording is None:
        return plain(trigger, arguments, timezone)
    return wording(arguments, timezone, Dst(dst))


def plain(trigger: str, arguments: Mapping[str, Any], timezone: str) -> str:
    """Return a schedule by its arguments, word for word."""
    told = ", ".join(f"{name}={value!r}" for name, value in sorted(arguments.items()))
    return f"{trigger} with {told or 'no arguments'}, {timezone}"


def _interval(arguments: Mapping[str, Any], _timezone: str, _dst: Dst) -> str:
    period = timedelta(**arguments)
    rest, parts = period // timedelta(seconds=1), []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        parts += [f"{count} {unit}"] if count else []
    if rest or period.microseconds:
        fraction = f".{period.microseconds:06}".rstrip("0") if period.microseconds else ""
        parts.append(f"{rest}{fraction} s")
    return f"every {' '.join(parts)}, counted from its registration"


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


WORDINGS: Final[Mapping[str, Wording]] = {"cron": _cron, "date": _date, "interval": _interval}
"""How each kind of trigger is told; a new kind adds its own, or is told by its arguments."""
