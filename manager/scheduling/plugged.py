"""Triggers of plugins, kept from doing harm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from configurations.masking import shown
from core.errors import Problem, TriggerError
from loggers import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.trigger import TriggerFactories

_log = get_logger("taskrack")
_MOST: Final = 100_000


class Plugged:
    """A plugin's trigger, which need only know ``next_after``; the rest is walked.

    What it raises, and an answer that is no aware instant later than the one it was asked for,
    is logged and ends the schedule until the next start: nobody else notices.
    """

    def __init__(self, kind: str, trigger: Any) -> None:  # noqa: ANN401 - a plugin's own
        self._kind = kind
        self._trigger = trigger

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        try:
            moment = self._trigger.next_after(instant)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's code, isolated
            _log.error("trigger %r failed, its schedule ends: %r", self._kind, error)
            return None
        if moment is None:
            return None
        if not isinstance(moment, datetime) or moment.tzinfo is None or moment <= instant:
            text = f"expected an aware datetime later than {instant}, got {shown(moment)}"
            _log.error("trigger %r, its schedule ends: %s", self._kind, text)
            return None
        return moment.astimezone(UTC)

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        last, count = None, 0
        for moment in self.between(after, instant):
            last, count = moment, count + 1
        return last, count

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending, at most a hundred thousand."""
        moment = self.next_after(after)
        for _ in range(_MOST):
            if moment is None or moment > until:
                return
            yield moment
            moment = self.next_after(moment)


def checked_plugged(
    kind: str, arguments: Mapping[str, Any], timezone: str, plugged: TriggerFactories
) -> dict[str, Any]:
    """Return *arguments* as they are, once the plugin has made a trigger of them.

    Raises:
        TriggerError: the plugin refused them.
    """
    build_plugged(kind, arguments, timezone, plugged)
    return dict(arguments)


def build_plugged(
    kind: str, arguments: Mapping[str, Any], timezone: str, plugged: TriggerFactories
) -> Plugged:
    """Return the trigger that a plugin makes of *arguments*.

    Raises:
        TriggerError: the plugin refused them.
    """
    if kind not in plugged:
        text = f"no plugin that is loaded here offers the trigger {shown(kind)}"
        raise TriggerError(kind, [Problem("trigger", text)])
    try:
        made = plugged[kind](dict(arguments), ZoneInfo(timezone))
    except (Exception, SystemExit) as error:
        text = f"the plugin refused them: {type(error).__name__}: {error!s:.200}"
        raise TriggerError(kind, [Problem("trigger_args", text)]) from error
    if not callable(getattr(made, "next_after", None)):
        text = f"expected a trigger with next_after(instant) of its plugin, got {shown(made)}"
        raise TriggerError(kind, [Problem("trigger", text)])
    return Plugged(kind, made)
