"""The words of the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from manager.cli.output import counted, distance, trigger_text


@pytest.mark.parametrize(
    ("trigger", "arguments", "words"),
    [
        ("interval", {"hours": 1, "minutes": 30, "seconds": 0}, "every 1 h 30 min"),
        ("date", {"run_date": "2026-12-25 00:00:00"}, "once at 2026-12-25 00:00:00"),
        ("cron", {"expression": "0 9 * * 1-5"}, "cron 0 9 * * 1-5"),
        ("cron", {"hour": 9, "minute": 0}, "cron hour=9 minute=0"),
    ],
)
def test_a_trigger_is_told_in_words(trigger: str, arguments: dict[str, Any], words: str) -> None:
    """As the tables of the command line show it."""
    assert trigger_text(trigger, arguments) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(90, "in 2 min"), (-4, "4 s ago"), (-0.25, "0.2 s ago"), (172_800, "in 2 d")],
)
def test_a_distance_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    """What lies ahead begins with ``in``, what is past ends with ``ago``."""
    assert distance(timedelta(seconds=seconds)) == words


def test_one_is_no_plural() -> None:
    """``1 task`` and ``2 tasks``."""
    assert [counted(1, "task"), counted(2, "task")] == ["1 task", "2 tasks"]
