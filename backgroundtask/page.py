"""The daily report as one self-contained HTML page: no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from backgroundtask.chart import bar_chart
from backgroundtask.summary import counted, duration, percent

if TYPE_CHECKING:
    from backgroundtask.summary import Failing, Slow, Summary

_FOLDER: Final = Path(__file__).parent
_LONGEST_ERROR: Final = 1_200
_COLUMNS: Final = (
    '<th scope="col">Task</th><th scope="col" class="wide-only">Runs</th>'
    '<th scope="col">Average</th><th scope="col">Longest</th>'
)


def page(summary: Summary) -> str:
    """Return the report on *summary*; every text in it is escaped."""
    style = "\n" + (_FOLDER / "report.css").read_text(encoding="utf-8")
    template = Template((_FOLDER / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        policy=_policy(style),
        style=style,
        app_name=escape(summary.app_name),
        title=escape(summary.title),
        zone=escape(summary.zone),
        mood=_mood(summary),
        sentence=escape(summary.sentence),
        body=_body(summary) if summary.at_hand else "",
        written=f"{summary.written:%Y-%m-%d %H:%M}",
        written_iso=summary.written.isoformat(timespec="seconds"),
    )


def _policy(style: str) -> str:
    """Return a content security policy that lets nothing in but *style*, word for word."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _mood(summary: Summary) -> str:
    if not summary.runs:
        return "quiet"
    return "bad" if summary.failed else "good"


def _body(summary: Summary) -> str:
    parts = [_figures(summary)]
    if summary.runs:
        parts.append(_section("Runs by the hour", _chart(summary)))
    if summary.failing:
        entries = "\n".join(map(_failing, summary.failing))
        parts.append(_section("Failing tasks", f'<ul class="failing">\n{entries}\n</ul>'))
    if summary.slowest:
        parts.append(_section("Slowest tasks", _table(summary.slowest)))
    return "\n".join(parts)


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{heading}</h2>\n{content}\n</section>"


def _figures(summary: Summary) -> str:
    figures = (
        ("Runs", f"{summary.runs:,}", ""),
        ("Success rate", percent(summary.success_rate), ""),
        ("Failed", f"{summary.failed:,}", ' class="bad"' if summary.failed else ""),
        ("Longest run", summary.longest, ""),
    )
    entries = "\n".join(
        f"<div><dt>{name}</dt><dd{kind}>{escape(value)}</dd></div>" for name, value, kind in figures
    )
    return f'<dl class="figures">\n{entries}\n</dl>'


def _chart(summary: Summary) -> str:
    note = f"Runs that started in each hour, {escape(summary.zone)} time."
    drawn = bar_chart(summary.starts, summary.labels)
    return f"<figure>\n{drawn}\n<figcaption>{note}</figcaption>\n</figure>"


def _failing(task: Failing) -> str:
    when = "" if task.at is None else f", last at <time>{task.at:%H:%M}</time>"
    name = f"<strong>{escape(task.name)}</strong>"
    if task.name != task.task_id:
        name += f" <code>{escape(task.task_id)}</code>"
    error = task.error if len(task.error) <= _LONGEST_ERROR else f"{task.error[:_LONGEST_ERROR]} …"
    return (
        f"<li>\n<h3>{name}</h3>\n"
        f"<p>{task.failed:,} of {counted(task.runs, 'run')} failed{when}</p>\n"
        f"<pre>{escape(error)}</pre>\n</li>"
    )


def _table(slowest: tuple[Slow, ...]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{escape(task.name)}</th><td class="wide-only">{task.runs:,}</td>'
        f"<td>{duration(task.average)}</td><td>{duration(task.longest)}</td></tr>"
        for task in slowest
    )
    return f"<table>\n<thead><tr>{_COLUMNS}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
