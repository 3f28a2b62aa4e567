"""What a definition excludes, as it is written: checked, and read."""

from __future__ import annotations

import json
from datetime import date, time
from typing import TYPE_CHECKING, Any, Final

from configurations.masking import cut, shown
from core.errors import Problem, TriggerError
from core.registry import nearest
from manager.scheduling.exclusions import DAY, Exclusions, Nightly
from manager.scheduling.holidays import public_holidays
from manager.scheduling.simple import limit_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from manager.scheduling.exclusions import Span

_KEYS: Final = ("dates", "holidays", "windows")
_WINDOW: Final = ("from", "to", "weekdays")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST: Final = 10_000
_TIME: Final = len("00:00:00")
_YEARLY: Final = len("12-25")
_DATE: Final = "expected dates such as '2026-12-24', or '12-25' for every year"
_TIMES: Final = (
    "expected times of the day such as '22:00', or both of them dates with a time such as "
    "'2026-12-24 18:00'; weekdays are names such as 'mon-fri' or 'sat,sun'"
)


def checked_exclusions(value: object, zone: ZoneInfo) -> dict[str, Any]:
    """Return what is excluded in its JSON form; a list alone means dates.

    Raises:
        TriggerError: it cannot be understood; every problem is named.
    """
    written = {"dates": value} if isinstance(value, list | tuple) else value
    if not isinstance(written, dict) or not all(isinstance(name, str) for name in written):
        text = f"expected a list of dates, or a dict of {', '.join(_KEYS)}, got {shown(value)}"
        raise TriggerError("exclude", [Problem("exclude", text)])
    problems = [_unknown(f"exclude.{name}", name, _KEYS) for name in written if name not in _KEYS]
    found: dict[str, Any] = {}
    checks = {"dates": _dates, "holidays": _holidays, "windows": _windows}
    for name in _KEYS:
        if name in written:
            try:
                found[name] = checks[name](written[name], zone)
            except TriggerError as error:
                problems += error.problems
    if problems:
        raise TriggerError("exclude", problems)
    return found


def parse_exclusions(text: str, zone: ZoneInfo) -> Exclusions:
    """Return what the JSON form excludes, which was checked before."""
    written: Mapping[str, Any] = json.loads(text)
    listed = written.get("dates", [])
    windows = written.get("windows", [])
    holidays = written.get("holidays")
    return Exclusions(
        zone,
        dates=frozenset(date.fromisoformat(each) for each in listed if len(each) > _YEARLY),
        yearly=frozenset(_month_and_day(each) for each in listed if len(each) == _YEARLY),
        holidays=None if holidays is None else public_holidays(**holidays),
        nightly=tuple(_nightly(each) for each in windows if _is_of_day(each["from"])),
        once=tuple(_once(each, zone) for each in windows if not _is_of_day(each["from"])),
    )


def _refusal(where: str, text: str, value: object) -> TriggerError:
    got = cut(repr(value)) if isinstance(value, dict) else shown(value)
    return TriggerError("exclude", [Problem(where, f"{text}, got {got}")])


def _unknown(where: str, name: str, known: tuple[str, ...]) -> Problem:
    meant = nearest(name, list(known))
    hint = f"did you mean {meant!r}?" if meant else f"known: {', '.join(known)}"
    return Problem(where, f"unknown key, {hint}")


def _dates(value: object, _zone: ZoneInfo) -> list[str]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST:
        raise _refusal("exclude.dates", f"{_DATE} in a list", value)
    return [_date(each) for each in value]


def _date(value: object) -> str:
    text = value.isoformat() if type(value) is date else value
    if isinstance(text, str):
        try:
            if len(text) != _YEARLY:
                return date.fromisoformat(text).isoformat()
            _month_and_day(text)
        except ValueError:
            pass
        else:
            return text
    raise _refusal("exclude.dates", _DATE, value)


def _month_and_day(text: str) -> tuple[int, int]:
    day = date.fromisoformat(f"2000-{text}")  # a leap year
    return day.month, day.day


def _holidays(value: object, _zone: ZoneInfo) -> dict[str, Any]:
    written = {"country": value} if isinstance(value, str) else value
    if not isinstance(written, dict) or not set(written) <= {"country", "subdivision"}:
        text = "expected a country such as 'DE', or {'country': 'DE', 'subdivision': 'BY'}"
        raise _refusal("exclude.holidays", text, value)
    public_holidays(**{"country": None, **written})
    return written


def _windows(value: object, zone: ZoneInfo) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST:
        text = "expected a list of windows such as {'from': '22:00', 'to': '06:00'}"
        raise _refusal("exclude.windows", text, value)
    return [_window(each, zone) for each in value]


def _window(value: object, zone: ZoneInfo) -> dict[str, Any]:
    where = "exclude.windows"
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise _refusal(where, "expected {'from': '22:00', 'to': '06:00'}", value)
    odd = [str(name) for name in value if name not in _WINDOW]
    if odd:
        raise TriggerError("exclude", [_unknown(f"{where}.{odd[0]}", odd[0], _WINDOW)])
    try:
        sound = _is_sound(value, zone)
    except (KeyError, ValueError, OverflowError):
        sound = False
    if not sound:
        raise _refusal(where, _TIMES, value)
    return dict(value)


def _is_sound(window: Mapping[str, str], zone: ZoneInfo) -> bool:
    if _is_of_day(window["from"]) and _is_of_day(window["to"]):
        return bool(_nightly(window))
    start, end = _once(window, zone)
    return start < end and "weekdays" not in window


def _is_of_day(text: str) -> bool:
    return len(text) <= _TIME


def _nightly(window: Mapping[str, str]) -> Nightly:
    low, high = _seconds(window["from"]), _seconds(window["to"])
    if high <= low:
        high += DAY
    return Nightly(low, high, _weekdays(window.get("weekdays", "mon-sun")))


def _seconds(text: str) -> int:
    if text in {"24:00", "24:00:00"}:
        return DAY
    moment = time.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        low, high = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
        found.update(number % 7 for number in range(low, high + 1 + 7 * (high < low)))
    return frozenset(found)


def _once(window: Mapping[str, str], zone: ZoneInfo) -> Span:
    return limit_of(window["from"], zone), limit_of(window["to"], zone)
