"""Combinations as a definition writes them: ``or``, ``and`` and ``except`` over other triggers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from configurations.masking import shown
from core.errors import Problem, TriggerError
from core.policy import Dst
from core.trigger import NO_LIMITS, Limits, Schedule
from manager.scheduling.combining import Difference, together, union
from manager.scheduling.simple import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.trigger import Trigger

COMBINATIONS: Final = ("and", "except", "or")
_PART: Final = ("trigger", "trigger_args", "timezone", "dst")
_LEAST, _MOST, _DEEPEST = 2, 20, 4
_FORM: Final = (
    "expected a list of 2 to 20 triggers such as {'trigger': 'cron', 'trigger_args': {'hour': 3}}"
)
Check: TypeAlias = "Callable[[str, Mapping[str, Any], str], dict[str, Any]]"


def checked_parts(
    kind: str, arguments: Mapping[str, Any], timezone: str, check: Check
) -> dict[str, Any]:
    """Return the triggers that are combined, each in its JSON form.

    Args:
        kind: ``and``, ``except`` or ``or``.
        arguments: Holds them under ``triggers``.
        timezone: Of those that name none.
        check: Gives the arguments of one in their JSON form.

    Raises:
        TriggerError: they make no schedule; every problem is named.
    """
    parts = arguments.get("triggers")
    if not isinstance(parts, list | tuple) or not _LEAST <= len(parts) <= _MOST:
        raise TriggerError(kind, [Problem("trigger_args.triggers", f"{_FORM}, got {shown(parts)}")])
    if _depth(parts) > _DEEPEST:
        text = f"expected combinations at most {_DEEPEST} deep, got deeper ones"
        raise TriggerError(kind, [Problem("trigger_args.triggers", text)])
    checked: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, part in enumerate(parts):
        try:
            checked.append(_part(kind, part, timezone, check))
        except TriggerError as error:
            place = f"trigger_args.triggers[{number}]"
            problems += [
                Problem(f"{place}.{each.where}" if each.where else place, each.what)
                for each in error.problems
            ]
    if problems:
        raise TriggerError(kind, problems)
    return {"triggers": checked}


def build_combination(schedule: Schedule, build: Callable[[Schedule], Trigger]) -> Trigger:
    """Return the trigger of a combination, whose parts *build* makes."""
    triggers = []
    for part in json.loads(schedule.arguments)["triggers"]:
        zone, dst = part.get("timezone", schedule.timezone), Dst(part.get("dst", schedule.dst))
        kind, arguments = part["trigger"], part["trigger_args"]
        limits = Limits(start=schedule.limits.start) if kind == "interval" else NO_LIMITS
        anchor = schedule.anchor or EPOCH
        triggers.append(build(Schedule.of(kind, arguments, zone, anchor, dst, limits)))
    if schedule.trigger == "and":
        return together(triggers)
    if schedule.trigger == "or":
        return union(triggers)
    return Difference(triggers[0], union(triggers[1:]))


def _part(kind: str, part: object, timezone: str, check: Check) -> dict[str, Any]:
    if not isinstance(part, dict) or not set(part) <= set(_PART):
        text = f"expected a dict of {', '.join(_PART)}, got {shown(part)}"
        raise TriggerError(kind, [Problem("", text)])
    inner, arguments, zone = part.get("trigger"), part.get("trigger_args"), part.get("timezone")
    if not isinstance(inner, str) or not isinstance(arguments, dict):
        text = f"expected a trigger and its trigger_args, got {shown(part)}"
        raise TriggerError(kind, [Problem("", text)])
    if part.get("dst", Dst.ONCE) not in tuple(Dst):
        raise TriggerError(kind, [Problem("dst", "expected 'once', 'both' or 'skip'")])
    try:
        ZoneInfo(timezone if zone is None else zone)
    except (LookupError, ValueError, TypeError, OSError):
        text = f"expected an IANA time zone such as 'Europe/Berlin', got {shown(zone)}"
        raise TriggerError(kind, [Problem("timezone", text)]) from None
    names = {name: part[name] for name in ("timezone", "dst") if name in part}
    return {"trigger": inner, "trigger_args": check(inner, arguments, zone or timezone), **names}


def _depth(parts: object) -> int:
    """Return how deep combinations nest in *parts*, looking no deeper than is allowed."""
    depth, level = 0, [parts]
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            each["trigger_args"]["triggers"]
            for inner in level
            if isinstance(inner, list | tuple)
            for each in inner
            if isinstance(each, dict)
            and isinstance(each.get("trigger_args"), dict)
            and "triggers" in each["trigger_args"]
        ]
    return depth
