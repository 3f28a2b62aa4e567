"""What a definition lays over its trigger, in words: start, end, most runs, jitter, exclusions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))
_MOST: Final = 5
"""So many dates or windows are listed one by one."""


def span_words(span: timedelta) -> str:
    """Return an exact length of time, such as ``1 h 30 min``."""
    rest, parts = span // timedelta(seconds=1), []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        parts += [f"{count} {unit}"] if count else []
    if rest or span.microseconds:
        fraction = f".{span.microseconds:06}".rstrip("0") if span.microseconds else ""
        parts.append(f"{rest}{fraction} s")
    return " ".join(parts)


def limit_words(options: Mapping[str, Any], timezone: str) -> list[str]:
    """Return a clause for each of the keys that narrow or spread a schedule.

    Args:
        options: ``start``, ``end`` (instants or ISO texts), ``max_runs``, ``jitter`` (seconds) and
            ``exclude``, as a definition has them; others are not looked at.
        timezone: IANA name of the task's zone.
    """
    found = [
        f"{word} {_moment(options[name], timezone)}"
        for name, word in (("start", "from"), ("end", "until"))
        if options.get(name)
    ]
    if options.get("max_runs"):
        found.append(_counted(options["max_runs"], "run") + " at most")
    if options.get("jitter"):
        found.append(f"put off by up to {span_words(timedelta(seconds=options['jitter']))}")
    exclude = options.get("exclude") or {}
    if isinstance(exclude, list | tuple):
        exclude = {"dates": exclude}
    spared = [*_dates(exclude), *_holidays(exclude), *_windows(exclude)]
    if spared:
        found.append(f"but not {_listed(spared)}")
    return found


def _moment(value: str | datetime, timezone: str) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    zone = ZoneInfo(timezone)
    local = moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)
    whole = not local.second and not local.microsecond
    text = local.replace(tzinfo=None).isoformat(" ", "minutes" if whole else "auto")
    shown_twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{text} {local:%z}" if shown_twice else text


def _dates(exclude: Mapping[str, Any]) -> list[str]:
    dates = exclude.get("dates", [])
    if len(dates) > _MOST:
        return [f"on {len(dates)} dates"]
    return [
        f"on {each}" if len(each) > len("12-25") else f"on {each} of any year"
        for each in map(str, dates)
    ]


def _holidays(exclude: Mapping[str, Any]) -> list[str]:
    found = exclude.get("holidays")
    if not found:
        return []
    place = {"country": found} if isinstance(found, str) else found
    part = place.get("subdivision")
    return [f"on public holidays of {place['country']}" + (f" ({part})" if part else "")]


def _windows(exclude: Mapping[str, Any]) -> list[str]:
    windows = exclude.get("windows", [])
    if len(windows) > _MOST:
        return [f"in {len(windows)} windows"]
    return [
        f"from {each['from']} to {each['to']}"
        + (f" on {each['weekdays']}" if "weekdays" in each else "")
        for each in windows
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
