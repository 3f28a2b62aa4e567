"""What the looking verbs print: for programs, into a pipe, and on a terminal."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.commandline import CommandLine
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = """
    def good():
        return {"odd": "\\ud800"}

    def bad():
        raise ValueError("boom \\x1b[31mred\\x1b[0m\\ngood  scheduled  forged")

    def define(task_id, func, **more):
        base = {"id": task_id, "func": func, "trigger": "interval", "trigger_args": {"hours": 1}}
        return base | {"max_retries": 0, "run_on_start": True} | more

    TASK_DEFINITIONS = [
        define("good", good, name="Good one", description="Does it.", tags=["a", "b"]),
        define("bad", bad),
        define("off", good, enabled=False, run_on_start=False),
        define("late", good, trigger="cron", trigger_args={"hour": 9}, timezone="Europe/Berlin"),
        define("odd\\u2028\\u202eid", good, name="\\u202eevil"),
    ]
"""
TASK_KEYS = {
    *("id", "name", "plugin", "status", "last_status", "last_run", "next_run", "trigger"),
    *("trigger_args", "enabled", "max_retries", "timeout"),
}
RUN_KEYS = {
    *("id", "task_id", "scheduled_for", "cause", "state", "reason", "attempt"),
    *("created_at", "started_at", "finished_at", "error"),
}
TIMES = {"last_run", "next_run", "scheduled_for", "created_at", "started_at", "finished_at"}
STATES = {"status", "last_status", "state", "reason", "cause"}
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Give a project in which a container has run and ended, with a success and a failure."""
    made = CommandLine(tmp_path_factory.mktemp("history"))
    made.plugin(HISTORY)
    with made.run() as container:
        eventually(lambda: len(made.rows("SELECT 1 FROM runs WHERE finished_at > 0")) >= 4, 30)
        assert container.end() == 0
    return made


def check_values(value: dict[str, Any]) -> None:
    for key in TIMES & set(value):
        if value[key] is not None:
            assert datetime.fromisoformat(value[key]).utcoffset() is not None
    for key in STATES & set(value):
        assert value[key] is None or value[key] == value[key].lower()
    assert isinstance(value["id"], str)


@pytest.mark.item("X10")
@pytest.mark.item("X52")
def test_list_for_programs_is_an_array_of_tasks_with_the_documented_keys(
    command: CommandLine,
) -> None:
    """Times are ISO 8601 with an offset, states in lower case, the disabled task is there."""
    done = command.call("list", "--json")

    assert (done.code, done.err) == (0, "")
    found = {task["id"]: task for task in done.json}
    assert set(found) == {"bad", "good", "late", "odd\u2028\u202eid", "off"}
    for task in done.json:
        assert set(task) >= TASK_KEYS
        check_values(task)
    assert (found["off"]["status"], found["off"]["last_status"]) == ("disabled", None)
    assert (found["good"]["status"], found["good"]["last_status"]) == ("scheduled", "completed")
    assert (found["good"]["trigger_args"], found["good"]["timeout"]) == ({"hours": 1}, 300)
    assert found["bad"]["last_status"] == "failed"
    assert found["good"]["last_run"] < found["good"]["next_run"]


def test_runs_for_programs_are_the_newest_first_with_the_documented_keys(
    command: CommandLine,
) -> None:
    """``--limit`` and ``--state`` hold, and a failure brings its reason and its error."""
    every = command.call("runs", "--json")
    failed = command.call("runs", "--state", "failed", "--limit", "1", "--json")

    assert (every.code, every.err) == (0, "")
    for run in every.json:
        assert set(run) >= RUN_KEYS
        check_values(run)
    ids = [run["id"] for run in every.json]
    assert ids == sorted(ids, reverse=True)
    (run,) = failed.json
    assert (run["task_id"], run["state"], run["reason"]) == ("bad", "failed", "exception")
    assert run["error"].startswith("ValueError: boom")
    assert command.call("runs", "good", "--json").json[0]["result"] is not None


def test_show_for_programs_holds_the_task_with_its_runs_and_a_run_with_its_attempts(
    command: CommandLine,
) -> None:
    """The id of a task and the id of a run are both taken."""
    task = command.call("show", "bad", "--json")
    assert task.code == 0
    assert set(task.json) >= TASK_KEYS | {"runs"}

    run = command.call("show", task.json["runs"][0]["id"], "--json")

    assert (run.code, run.json["task_id"], run.json["attempt"]) == (0, "bad", 1)
    assert set(run.json) >= RUN_KEYS | {"attempts", "traceback"}


def test_show_for_a_person_tells_the_schedule_in_words(command: CommandLine) -> None:
    """Below its arguments, with its zone; JSON has the arguments alone."""
    lines = command.call("show", "late").out.splitlines()

    assert lines[lines.index("trigger_args: {'hour': 9}") + 1] == (
        "schedule: at 09:00 every day, Europe/Berlin"
    )
    assert "schedule: every 1 h, counted from its registration" in command.call("show", "bad").out
    assert "schedule" not in command.call("show", "bad", "--json").json


def test_preview_begins_with_the_schedule_in_words(command: CommandLine) -> None:
    """What a cron string means stands above when it is due."""
    words = ("--count", "1", "--after", "2026-07-01", "--timezone", "Asia/Tokyo")
    done = command.call("preview", "0 0 13 * 5", *words)

    assert done.code == 0
    told, head, first = done.out.splitlines()
    assert told == "at 00:00 on day 13 of the month or on Friday, Asia/Tokyo"
    assert head.split() == ["DAY", "DUE"]
    assert first.startswith("Fri  2026-07-03 00:00:00 JST")


def test_settings_schema_and_version_are_printed_for_programs(command: CommandLine) -> None:
    """Each of them is one JSON object."""
    shown = command.call("config", "show", "--json")
    schema = command.call("config", "schema")
    version = command.call("version", "--json")

    assert (shown.code, schema.code, version.code) == (0, 0, 0)
    assert shown.json["manager.max_tasks"] == {"value": 50, "origin": "default"}
    assert shown.json["database.synchronous"]["origin"] == "config.json"
    assert "manager" in schema.json["properties"]
    assert set(version.json) >= {"taskrack", "python"}


@pytest.mark.parametrize(
    "words",
    [("list",), ("runs",), ("show", "bad"), ("check",)],
    ids=" ".join,
)
def test_into_a_pipe_goes_plain_text_without_escape_codes(
    command: CommandLine, words: tuple[str, ...]
) -> None:
    """What a task's error or id holds cannot colour a line or begin one of its own."""
    done = command.call(*words)

    assert done.code == 0
    assert done.out.strip()
    for text in (done.out, done.err):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u202e]", text)
    assert not any(line.startswith("good  scheduled  forged") for line in done.out.splitlines())


def test_a_table_in_a_pipe_is_aligned_under_its_head(command: CommandLine) -> None:
    """Each column begins where its title begins."""
    head, *rows, last = command.call("list").out.splitlines()

    assert head.split()[:3] == ["TASK", "STATUS", "LAST"]
    assert last == "no container is running; the table shows the last known state"
    at = head.index("STATUS")
    assert len(rows) == 5
    assert {row[at:].split()[0] for row in rows} == {"scheduled", "disabled"}
    assert all(row[at - 2 : at] == "  " for row in rows)
    (good,) = [row for row in rows if row.startswith("good")]
    assert re.search(r"completed .* UTC \([\d.]+ (s|min) ago\) .* UTC \(in \d+ min\)", good)
    assert good.endswith("every 1 h    backgroundtask.taskplugins")


def test_on_a_terminal_a_table_is_drawn_in_colour(command: CommandLine) -> None:
    """The head is ruled off, states are coloured, and JSON is indented."""
    drawn = command.terminal("list")
    indented = command.terminal("version", "--json")

    assert drawn.code == 0
    assert "─" in drawn.out
    assert ESCAPE in drawn.out
    assert "Europe/Berlin" not in drawn.out
    assert "\u202e" not in drawn.out
    assert '\n  "taskrack"' in indented.out.replace("\r", "")


def test_a_long_table_is_plain_even_on_a_terminal(tmp_path: Path) -> None:
    """Drawing more than 200 rows would take longer than reading them is worth."""
    command = CommandLine(tmp_path)
    command.configure(manager={"max_tasks": 500})
    command.plugin(
        """
        def nothing():
            pass

        TASK_DEFINITIONS = [
            {"id": f"t{n:03}", "func": nothing, "trigger": "date",
             "trigger_args": {"run_date": "2099-01-01"}}
            for n in range(201)
        ]
        """
    )

    drawn = command.terminal("check")

    assert drawn.code == 0
    assert ESCAPE not in drawn.out
    assert "─" not in drawn.out
    assert sum(line.startswith("t") for line in drawn.out.splitlines()) == 201


@pytest.mark.parametrize("words", ["list --json", "check"])
def test_a_reader_that_leaves_early_gets_no_traceback(command: CommandLine, words: str) -> None:
    """``| head`` closes the pipe, ``>&-`` leaves none at all; neither is a fault."""
    head = command.shell(f"$T {words} | head -c 1 > /dev/null")
    closed = command.shell(f"$T {words} >&-")

    assert (head.code, head.err) == (0, "")
    assert (closed.code, closed.err) == (0, "")
