"""The words of the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from manager.cli.output import counted, distance, print_table, trigger_text


@pytest.mark.parametrize(
    ("trigger", "arguments", "words"),
    [
        ("interval", {"hours": 1, "minutes": 30, "seconds": 0}, "every 1 h 30 min"),
        ("date", {"run_date": "2026-12-25 00:00:00"}, "once at 2026-12-25 00:00:00"),
        ("cron", {"expression": "0 9 * * 1-5"}, "cron 0 9 * * 1-5"),
        ("cron", {"hour": 9, "minute": 0}, "cron hour=9 minute=0"),
        (
            "except",
            {
                "triggers": [
                    {"trigger": "cron", "trigger_args": {"hour": 9}},
                    {"trigger": "interval", "trigger_args": {"hours": 2}},
                ]
            },
            "(cron hour=9) except (every 2 h)",
        ),
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


RUN = "01a1ff4c-ba40-7000-9174-aef4629f980c"


def test_a_narrow_terminal_keeps_ids_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that has no room takes several lines, headed alike, without blank ones."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    columns, due = ("run", "task", "due", "error"), "2026-11-21 19:23:40 CET"
    print_table(columns, [(RUN, "mail", due, ""), (RUN, "mail", due, "OSError: no")])
    assert capsys.readouterr().out.splitlines() == [
        f"{'RUN':36}  TASK",
        f"    {'DUE':23}  ERROR",
        f"{RUN}  mail",
        f"    {due}",
        f"{RUN}  mail",
        f"    {due}  OSError: no",
    ]


def test_a_wide_terminal_draws_a_table_and_folds_only_what_nobody_copies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids stand whole beside an error that has no room on one line."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("run", "error"), [(RUN, "word " * 20)])
    drawn = capsys.readouterr().out
    assert "\u2500" in drawn
    assert RUN in drawn
    assert drawn.count("word") == 20
