"""The daily report as plain text, for a terminal or a mail."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Final

from backgroundtask.summary import counted, duration, percent

if TYPE_CHECKING:
    from backgroundtask.summary import Summary

_WIDEST: Final = 40


def letter(summary: Summary) -> str:
    """Return the report on *summary*."""
    head = f"{summary.app_name}: daily report"
    parts = [f"{head}\n{summary.title}\n{'=' * max(len(head), len(summary.title))}"]
    parts.append(summary.sentence)
    if summary.at_hand:
        parts.append(_figures(summary))
    if any(summary.starts):
        parts.append(f"Runs by the hour\n\n{_bars(summary)}")
    if summary.failing:
        parts.append(f"Failing tasks\n\n{_failing(summary)}")
    if summary.slowest:
        parts.append(f"Slowest tasks\n\n{_slowest(summary)}")
    parts.append(
        f"Written by send_daily_reports at {summary.written:%Y-%m-%d %H:%M}, {summary.zone}."
    )
    return "\n\n".join(parts) + "\n"


def _figures(summary: Summary) -> str:
    lines = (
        f"Runs          {summary.runs:,}",
        f"Success rate  {percent(summary.success_rate)}",
        f"Failed        {summary.failed:,}",
        f"Longest run   {summary.longest}",
    )
    return "\n".join(lines)


def _bars(summary: Summary) -> str:
    most = max(summary.starts)
    return "\n".join(
        f"{label}  {'#' * -(-count * _WIDEST // most)} {count:,}".replace("   ", "  ")
        for label, count in zip(summary.labels, summary.starts, strict=True)
    )


def _failing(summary: Summary) -> str:
    entries = []
    for task in summary.failing:
        when = "" if task.at is None else f", last at {task.at:%H:%M}"
        line = f"{task.name}: {task.failed:,} of {counted(task.runs, 'run')} failed{when}"
        entries.append(f"{line}\n{indent(task.error, '    ')}")
    return "\n".join(entries)


def _slowest(summary: Summary) -> str:
    wide = max(len(task.name) for task in summary.slowest)
    return "\n".join(
        f"{task.name:<{wide}}  longest {duration(task.longest)}, average "
        f"{duration(task.average)}, {counted(task.runs, 'run')}"
        for task in summary.slowest
    )
