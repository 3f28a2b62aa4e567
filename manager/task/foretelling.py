"""Forecasts and explanations for a task manager: from its ledger, or from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from manager.foresight import Explainer, Foreteller, Outlook, Planned, look_ahead, span_of
from manager.task.sketch import sketched

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from configurations import Xcorecfg
    from core.registry import Registry
    from core.trigger import TriggerFactories
    from manager.schemas.foretelling import Explanation, Forecast
    from manager.storage.reading import Reading

LOOP_PLACES: Final = 1_000


def places_of(config: Xcorecfg) -> dict[str, int]:
    """Return how many runs there may be at once, by lane."""
    section = config.manager
    return {
        "thread": section.scheduler_thread_pool,
        "loop": LOOP_PLACES,
        "process": section.process_workers,
    }


class Wish(TypedDict):
    """What a forecast is asked for: how many days, from when, of which tasks."""

    days: float
    start: datetime | None
    tasks: Sequence[str] | None


def forecast_of(
    reading: Reading | None,
    config: Xcorecfg,
    now: datetime,
    *,
    plugged: TriggerFactories | None = None,
    **wish: Unpack[Wish],
) -> Forecast:
    """Return the forecast of a ledger; an empty one where there is none.

    Raises:
        UnknownTaskError: one of the tasks is not known.
        ValueError: they make no span.
    """
    span = span_of(wish["start"], wish["days"], now)
    if reading is None:
        return Foreteller(Outlook(now, {}), _nothing).forecast(*span)
    outlook = look_ahead(reading, now, plugged=plugged, places=places_of(config))
    return Foreteller(outlook, reading.evidence.durations).forecast(*span, wish["tasks"])


def explanation_of(
    reading: Reading,
    config: Xcorecfg,
    now: datetime,
    task_id: str,
    at: datetime | str | None,
    *,
    plugged: TriggerFactories | None = None,
) -> Explanation:
    """Return why a task ran at *at*, did not, or will.

    Raises:
        UnknownTaskError: there is no such task.
        ValueError: *at* is no time.
    """
    outlook = look_ahead(reading, now, plugged=plugged, places=places_of(config), task_id=task_id)
    return Explainer(reading, outlook, task_id, at).explain()


def sketched_forecast(
    registry: Registry,
    config: Xcorecfg,
    now: datetime,
    **wish: Unpack[Wish],
) -> Forecast:
    """Return the forecast of tasks that are not stored yet, as if they were registered now."""
    span = span_of(wish["start"], wish["days"], now)
    known = {each.id: Planned(sketched(each), now, now) for each in registry.all()}
    outlook = Outlook(
        now,
        known,
        registry.triggers,
        timed=config.background_jobs_enabled,
        places=places_of(config),
    )
    return Foreteller(outlook, _nothing).forecast(*span, wish["tasks"])


def _nothing(_task_ids: Collection[str]) -> Mapping[str, tuple[float, float]]:
    return {}
