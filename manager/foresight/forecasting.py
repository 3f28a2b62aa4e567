"""Every run of the days to come, from where the schedules stand."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.errors import TriggerError, UnknownTaskError
from core.registry import nearest
from manager.foresight.notes import clocks, herds, left_out, standing
from manager.foresight.overlapping import expected, load_of, overlap_of, peaks_of
from manager.foresight.planned import Planned, instants
from manager.schemas.foretelling import Forecast, ForecastRun

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from manager.foresight.overlapping import Busy
    from manager.foresight.planned import Outlook
    from manager.schemas.foretelling import ForecastOverlap

LONGEST: Final = timedelta(days=36_525)
MOST: Final = 1_000_000
"""So many runs one forecast may have."""
_YEARS: Final = (2, 9998)
_FIELDS: Final = set(ForecastRun.model_fields)


class Foreteller:
    """Works out a forecast of an outlook.

    Args:
        outlook: The tasks, and what is alive.
        durations: Gives, by task, how many seconds its last runs took: the mean, the longest.
    """

    def __init__(
        self,
        outlook: Outlook,
        durations: Callable[[Collection[str]], Mapping[str, tuple[float, float]]],
    ) -> None:
        self._outlook = outlook
        self._durations = durations
        self._notes: list[str] = []
        self._count = 0

    def forecast(
        self, start: datetime, end: datetime, task_ids: Sequence[str] | None = None
    ) -> Forecast:
        """Return the runs that are due in ``(start, end]``.

        Raises:
            UnknownTaskError: one of *task_ids* is no task; the nearest id is named.
            ValueError: there are more than a million.
        """
        chosen = self._chosen(task_ids)
        if chosen and not self._outlook.heard:
            self._notes.append("no container is running; one must run for these to start")
        was_on = gc.isenabled()
        gc.disable()  # a quarter of a million runs hold no cycle
        try:
            due = {each.id: self._due(each, start, end) for each in chosen}
            flat = [(at, task_id) for task_id, moments in due.items() for at in moments]
            flat.sort()
            zones = {each.id: ZoneInfo(each.task.timezone) for each in chosen}
            runs = _runs(flat, zones)
            overlaps, lying = self._lying(chosen, due)
            places = self._outlook.places.get("thread", 1)
            self._notes += herds(flat, due, {each.id: each.task.lane for each in chosen}, places)
            return Forecast.model_construct(
                start=start,
                end=end,
                runs=runs,
                overlaps=tuple(overlaps),
                peaks=peaks_of(flat),
                load=load_of(lying, places),
                notes=tuple(self._notes),
            )
        finally:
            if was_on:
                gc.enable()

    def _chosen(self, task_ids: Sequence[str] | None) -> list[Planned]:
        known = self._outlook.tasks
        if task_ids is None:
            return [known[task_id] for task_id in sorted(known)]
        for task_id in task_ids:
            if task_id not in known:
                raise UnknownTaskError(task_id, nearest(task_id, list(known)))
        return [known[task_id] for task_id in sorted(set(task_ids))]

    def _due(self, planned: Planned, start: datetime, end: datetime) -> list[datetime]:
        """Return when a task is due; take note of what is to be said of it."""
        absent = left_out(self._outlook, planned)
        if absent is not None:
            self._notes.append(absent)
            return []
        try:
            self._count += self._outlook.trigger(planned).last_until(end, start)[1]
            if self._count > MOST:
                found_so_far = f"got one with {self._count} or more"
                raise ValueError(
                    f"days: expected a span with at most {MOST} runs, {found_so_far}; "
                    "ask for fewer days, or for some of the tasks"
                )
            found = instants(self._outlook, planned, start, end)
            self._notes += standing(self._outlook, planned)
            self._notes += clocks(planned, start, end)
        except TriggerError as error:
            self._notes.append(f"{planned.id} is left out: {error}")
            return []
        return found

    def _lying(
        self, chosen: Sequence[Planned], due: Mapping[str, list[datetime]]
    ) -> tuple[list[ForecastOverlap], list[Busy]]:
        """Return where tasks are expected to meet themselves, and how runs in threads lie."""
        known = self._durations([each.id for each in chosen if due[each.id]])
        overlaps: list[ForecastOverlap] = []
        lying: list[Busy] = []
        for each in chosen:
            if each.id in known:
                mean, longest = known[each.id]
                policy = each.task.options.get("overlap", "skip")
                busy = expected(due[each.id], timedelta(seconds=mean), policy)
                overlap = overlap_of(each, busy, longest)
                if overlap is not None:
                    overlaps.append(overlap)
                if each.task.lane == "thread":
                    lying.append(busy)
        return overlaps, lying


def _runs(
    due: Sequence[tuple[datetime, str]], zones: Mapping[str, ZoneInfo]
) -> tuple[ForecastRun, ...]:
    """Return the runs of *due*, which ascends; tasks of a zone share the text of an instant."""
    texts: dict[ZoneInfo, str] = {}
    before: datetime | None = None
    found: list[ForecastRun] = []
    for at, task_id in due:
        if at != before:
            texts, before = {}, at
        zone = zones[task_id]
        local = texts.get(zone)
        if local is None:
            local = texts[zone] = at.astimezone(zone).isoformat()
        row = {"task_id": task_id, "at": at, "local": local}
        found.append(ForecastRun.vouched(row, _FIELDS))
    return tuple(found)


def span_of(start: datetime | None, days: float, now: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last instant of a forecast of *days* from *start* or now.

    Raises:
        ValueError: they make no span, or *start* is not aware.
    """
    begin = now if start is None else start
    if begin.tzinfo is None:
        raise ValueError(f"start: expected an instant with an offset, got {begin}")
    if not 0 < days <= LONGEST.days:
        raise ValueError(f"days: expected a number above 0 and up to {LONGEST.days}, got {days}")
    if not _YEARS[0] <= begin.year <= begin.year + days / 365 <= _YEARS[1]:
        raise ValueError(f"the {days:g} days after {begin} are beyond the calendar")
    begin = begin.astimezone(UTC)
    return begin, begin + timedelta(days=days)
