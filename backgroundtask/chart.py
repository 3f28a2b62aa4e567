"""A bar chart as inline SVG: one bar an hour, crisp at every width, without script or style."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from backgroundtask.summary import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PLOT: Final = 92.0
"""Percent of the width that belong to the bars; the scale is written to the right of them."""
_FILLED: Final = 0.66
_MOST_LINES: Final = 3
_EVERY: Final = 3
_WIDE_ONLY: Final = 6
_THOUSAND: Final = 1_000


def bar_chart(starts: Sequence[int], labels: Sequence[str]) -> str:
    """Return the chart of how many runs started in each hour.

    Args:
        starts: The numbers, hour by hour.
        labels: When each hour begins, as ``14:00``.
    """
    step, top = scale(max(starts, default=0))
    parts = [
        '<svg class="chart" role="img" width="100%" height="190" aria-labelledby="chart-text">',
        f'<title id="chart-text">{escape(_in_words(starts, labels))}</title>',
        '<svg y="12" width="100%" height="150" overflow="visible">',
        *_lines(step, top),
        *_bars(starts, labels, top),
        "</svg>",
        *_hours(labels),
        "</svg>",
    ]
    return "\n".join(parts)


def scale(most: int) -> tuple[int, int]:
    """Return the distance of the grid lines and the top of the scale: round numbers, few lines."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            lines = max(1, -(-most // step))
            if lines <= _MOST_LINES:
                return step, lines * step
        power *= 10


def _lines(step: int, top: int) -> Iterator[str]:
    for value in range(0, top + 1, step):
        y = _number(100 - 100 * value / top)
        kind = "base" if value == 0 else "grid"
        yield f'<line class="{kind}" x2="100%" y1="{y}%" y2="{y}%"/>'
        if value:
            yield f'<text x="100%" y="{y}%" dy="14" text-anchor="end">{_short(value)}</text>'


def _bars(starts: Sequence[int], labels: Sequence[str], top: int) -> Iterator[str]:
    slot = _PLOT / max(1, len(starts))
    for place, (count, label) in enumerate(zip(starts, labels, strict=True)):
        height = 100 * count / top
        left = _number(place * slot + slot * (1 - _FILLED) / 2)
        width, y, tall = _number(slot * _FILLED), _number(100 - height), _number(height)
        yield '<g class="hour">'
        yield f"<title>{escape(label)}: {counted(count, 'run')}</title>"
        x, wide = _number(place * slot), _number(slot)
        yield f'<rect class="slot" x="{x}%" width="{wide}%" height="100%"/>'
        if count:
            yield (
                f'<rect class="bar" x="{left}%" width="{width}%" y="{y}%" height="{tall}%" rx="2"/>'
            )
        yield "</g>"


def _hours(labels: Sequence[str]) -> Iterator[str]:
    slot = _PLOT / max(1, len(labels))
    for place, label in enumerate(labels):
        hour, _, minute = label.partition(":")
        if int(hour) % _EVERY or minute != "00":
            continue
        kind = ' class="wide-only"' if int(hour) % _WIDE_ONLY else ""
        x = _number((place + 0.5) * slot)
        yield f'<text{kind} x="{x}%" y="184" text-anchor="middle">{escape(hour)}</text>'


def _in_words(starts: Sequence[int], labels: Sequence[str]) -> str:
    if not any(starts):
        return "Runs started by the hour: none."
    most = max(starts)
    peak = labels[list(starts).index(most)]
    return f"Runs started by the hour: most in the hour from {peak}, {counted(most, 'run')}."


def _short(value: int) -> str:
    return f"{value / _THOUSAND:g}k" if value >= _THOUSAND else str(value)


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
