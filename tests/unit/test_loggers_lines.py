"""What a line looks like, and that no message can forge one or drive a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from loggers.lines import Line, as_json, as_text


def line(message: str = "Done", **parts: object) -> Line:
    values: dict[str, object] = {
        "time": datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC),
        "level": "INFO",
        "level_no": 20,
        "name": "backgroundtask",
        "message": message,
        "source": "taskplugins.py:7",
    }
    return Line(**{**values, **parts})  # type: ignore[arg-type]


def test_a_plain_line_has_time_level_name_and_message() -> None:
    expected = "2026-11-21 09:00:00 | INFO     | backgroundtask | Done\n"
    assert as_text(line(), colored=False) == expected


@pytest.mark.parametrize(
    ("extra", "shown"),
    [
        ({"task_id": "report", "run_id": "01J9", "attempt": 2}, "[report 2] Done"),
        ({"task_id": "report"}, "[report] Done"),
        ({"run_id": "01J9"}, "[01J9] Done"),
        ({"user": "ada"}, "Done"),
    ],
)
def test_a_line_of_a_run_names_task_and_attempt(extra: dict[str, object], shown: str) -> None:
    assert as_text(line(extra=extra), colored=False).endswith(f"| backgroundtask | {shown}\n")


@pytest.mark.parametrize(
    ("level_no", "code"),
    [(5, "36"), (10, "36"), (20, "32"), (25, "32"), (30, "33"), (40, "31"), (50, "31;47")],
)
def test_the_level_is_coloured_as_documented(level_no: int, code: str) -> None:
    text = as_text(line(level_no=level_no), colored=True)
    assert text == f"2026-11-21 09:00:00 | \x1b[{code}mINFO    \x1b[0m | backgroundtask | Done\n"


def test_control_characters_are_made_visible() -> None:
    text = as_text(line("a\x1b[2Jb\rc\x00d\x9be\u2028f\u202eg\ud800"), colored=False)
    assert text.endswith("| a\\x1b[2Jb\\rc\\x00d\\x9be\\u2028f\\u202eg\\ud800\n")


def test_a_message_cannot_pass_for_a_second_line() -> None:
    forged = "2026-11-21 09:00:01 | INFO     | audit | all fine"
    lines = as_text(line(f"first\n{forged}"), colored=False).splitlines()
    assert lines[1] == f"    {forged}"


def test_names_and_ids_stay_on_the_line() -> None:
    text = as_text(line(name="a\nb", extra={"task_id": "c\nd"}), colored=False)
    assert text.endswith("| a\\nb | [c\\nd] Done\n")


def test_a_traceback_keeps_its_lines_but_drives_no_terminal() -> None:
    trace = "Traceback (most recent call last):\n  File\nValueError: \x1b[31m\n"
    text = as_text(line(exception=trace), colored=False)
    assert text.endswith(
        "Done\nTraceback (most recent call last):\n  File\nValueError: \\x1b[31m\n"
    )


def test_a_json_line_has_flat_keys() -> None:
    extra = {"task_id": "report", "run_id": "01J9", "attempt": 2, "path": UTC, "message": "no"}
    assert json.loads(as_json(line("é\nü", exception="Trace", extra=extra))) == {
        "timestamp": "2026-11-21T09:00:00.123+00:00",
        "level": "INFO",
        "logger": "backgroundtask",
        "message": "é\nü",
        "source": "taskplugins.py:7",
        "exception": "Trace",
        "task_id": "report",
        "run_id": "01J9",
        "attempt": 2,
        "path": "UTC",
    }


def test_json_is_one_valid_line_whatever_the_message_holds() -> None:
    message = "\x1b\r\n\x9b\u2028\u202e\x7f\ud800"
    text = as_json(line(message, extra={"ratio": float("nan"), "share": 0.5}))
    found = json.loads(text)
    assert (found["message"], found["ratio"], found["share"]) == (message, "nan", 0.5)
    assert len(text.splitlines()) == 1
    assert text.strip().isprintable()
