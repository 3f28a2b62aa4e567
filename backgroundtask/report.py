"""The daily report: yesterday's runs, written as HTML and as text."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from backgroundtask.letter import letter
from backgroundtask.page import page
from backgroundtask.summary import Summary, day_bounds, summarised
from core.clock import SystemClock

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from backgroundtask.surroundings import Surroundings
    from manager.storage import SqlLedger


async def publish(around: Surroundings) -> dict[str, Any]:
    """Write yesterday's report into ``manager.reports_directory``.

    Without a container the report says that there is no history at hand.

    Returns:
        ``day``, the paths ``html`` and ``text``, and the figures ``runs``, ``completed``,
        ``failed`` and ``success_rate`` (``None`` where nothing ended).
    """
    return await asyncio.to_thread(write_report, around, SystemClock().now())


def write_report(around: Surroundings, now: datetime) -> dict[str, Any]:
    """Write the report on the day before *now*, in the place of the one that was there."""
    config = around.config
    ledger = None if around.manager is None else around.manager.ledger
    summary = summary_of_yesterday(config.app_name, config.timezone, now, ledger)
    folder = config.resolve(config.manager.reports_directory)
    html, text = (folder / f"{summary.day.isoformat()}.{kind}" for kind in ("html", "txt"))
    write_whole(html, page(summary))
    write_whole(text, letter(summary))
    return {
        "day": summary.day.isoformat(),
        "html": str(html),
        "text": str(text),
        "runs": summary.runs,
        "completed": summary.completed,
        "failed": summary.failed,
        "success_rate": summary.success_rate,
    }


def summary_of_yesterday(
    app_name: str, timezone: str, now: datetime, ledger: SqlLedger | None
) -> Summary:
    """Return what the local day before *now* came to in *ledger*."""
    zone = ZoneInfo(timezone)
    written = now.astimezone(zone)
    day = written.date() - timedelta(days=1)
    blank = Summary(app_name=app_name, day=day, zone=timezone, written=written, at_hand=False)
    if ledger is None:
        return blank
    statistics = ledger.reading.statistics(*day_bounds(day, zone))
    names = {task.id: task.name for task in ledger.reading.tasks()}
    return summarised(blank, statistics, names, zone)


def write_whole(path: Path, text: str) -> None:
    """Write *text* to *path* in one step: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
