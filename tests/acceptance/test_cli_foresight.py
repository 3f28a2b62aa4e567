"""``forecast`` and ``explain`` as a person, a script and a calendar see them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest

from core.clock import SystemClock
from core.run import RunState
from manager.cli.foretelling import LINES
from manager.schemas.foretelling import (
    Fate,
    Forecast,
    ForecastLoad,
    ForecastOverlap,
    ForecastPeak,
    ForecastRun,
)
from tests.pages import DOCS, code, command, table, tables
from tests.tools import eventually, finals

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools import Project

PLUGIN: Final = """
    import time

    def nightly():
        return "done"

    def slow():
        time.sleep(0.25)

    TASK_DEFINITIONS = [
        {"id": "nightly", "name": "Nacht; dann, \\\\ weiter", "func": nightly, "trigger": "cron",
         "trigger_args": {"hour": 2, "minute": 30}, "timezone": "Europe/Berlin"},
        {"id": "slow", "func": slow, "trigger": "interval", "trigger_args": {"seconds": 0.1}},
        {"id": "off", "func": nightly, "trigger": "cron", "trigger_args": {"hour": "*"},
         "enabled": False},
    ]
"""
NOTHING: Final = "no container has run here yet; start one with 'taskrack run'\n"


@pytest.fixture
def ran(project: Project) -> Project:
    """Give a project whose container has run for a moment and was shut down."""
    project.config(timezone="Europe/Berlin")
    project.plugin(PLUGIN)
    tasks = project.start()
    finals(tasks, "slow", 2)
    eventually(lambda: tasks.list_runs("slow", state=RunState.SKIPPED))
    tasks.shutdown()
    return project


def octets(folder: Path, *words: str) -> bytes:
    """Return what a command prints, byte by byte."""
    done = subprocess.run(
        [sys.executable, "-m", "manager", *words], cwd=folder, capture_output=True, check=True
    )
    return done.stdout


def events(calendar: bytes) -> list[dict[str, str]]:
    """Read the events of an iCalendar by the letter of RFC 5545, sections 3.1 and 3.3.11."""
    assert calendar.endswith(b"\r\n")
    assert b"\n" not in calendar.replace(b"\r\n", b"")
    assert all(len(line) <= 75 for line in calendar.split(b"\r\n"))
    lines = calendar.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]
    assert (lines[0], lines[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    assert {"VERSION:2.0"} <= set(lines[1:3])
    assert lines[2].startswith("PRODID:")
    found: list[dict[str, str]] = []
    for line in lines[3:-1]:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            found.append({})
        elif line != "END:VEVENT":
            assert name not in found[-1], f"{name} twice"
            found[-1][name] = _plain(value)
    return found


def _plain(value: str) -> str:
    """Return a text without its escapes."""
    found, at = "", 0
    while at < len(value):
        escaped = value[at] == "\\"
        if escaped:
            assert value[at + 1] in "\\;,nN", value
        found += {"n": "\n", "N": "\n"}.get(value[at + 1], value[at + 1]) if escaped else value[at]
        at += 1 + escaped
    return found


def test_a_person_sees_a_line_for_each_day_and_task(ran: Project) -> None:
    """Then the peaks, the crowd, the overlaps and the notes."""
    text = command("forecast", "--task", "nightly", "--days", "3")
    lines = text.splitlines()
    assert lines[0].startswith("3 runs from ")
    assert lines[1].split() == ["DAY", "TASK", "RUNS", "FIRST", "LAST"]
    assert [line.split()[2:] for line in lines[2:5]] == [
        ["nightly", "1", "02:30:00", "02:30:00"]
    ] * 3
    everything = command("forecast", "--days", "0.001")
    for part in ("busiest minutes:", "expected in threads at most: 1 of 10 at ", "notes:"):
        assert f"\n{part}" in everything
    assert "slow: " in everything.partition("expected overlaps:")[2]
    assert "would be skipped (overlap skip; takes 0.3 s" in everything
    assert "  off is disabled\n" in everything
    assert "  no container is running; one must run for these to start\n" in everything


def test_a_long_table_is_cut_and_says_so(ran: Project) -> None:
    text = command("forecast", "--task", "nightly", "--days", "50")
    assert sum(" nightly " in line for line in text.splitlines()) == LINES
    assert "\n  and 10 more\n" in text
    assert (
        len(json.loads(command("forecast", "--task", "nightly", "--days", "50", "--json"))["runs"])
        == 50
    )


def test_a_program_gets_every_run(ran: Project) -> None:
    """With the clock change of the zone; the start is local to the settings' zone."""
    words = ["forecast", "--start", "2027-03-27T00:00:00", "--days", "3", "--task", "nightly"]
    found = json.loads(command(*words, "--json"))
    assert found["start"] == "2027-03-26T23:00:00Z"
    assert [run["local"] for run in found["runs"]] == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]
    assert {run["task_id"] for run in found["runs"]} == {"nightly"}
    assert any("sets its clock forward on 2027-03-28" in note for note in found["notes"])


def test_a_calendar_gets_an_event_for_each_run(ran: Project) -> None:
    """Stable identities, instants in UTC, texts escaped; a second time the same but its stamp."""
    words = ("forecast", "--task", "nightly", "--days", "4")
    runs = json.loads(command(*words, "--json"))["runs"]
    first = events(octets(ran.root, *words, "--ics"))
    again = events(octets(ran.root, *words, "--ics"))
    due = [datetime.fromisoformat(run["at"]) for run in runs]
    assert [each["DTSTART"] for each in first] == [f"{at:%Y%m%dT%H%M%SZ}" for at in due]
    assert {each["SUMMARY"] for each in first} == {"Nacht; dann, \\ weiter"}
    assert first[0]["DESCRIPTION"] == f"task nightly, due at {runs[0]['local']}"
    assert len({each["UID"] for each in first}) == len(first) == 4
    assert [each["UID"] for each in again] == [each["UID"] for each in first]
    now = SystemClock().now()
    stamp = datetime.strptime(first[0]["DTSTAMP"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(now - stamp) < timedelta(minutes=1)


def test_without_a_ledger_it_is_said_as_elsewhere(project: Project) -> None:
    """A program still gets its shape, and a calendar an empty one; a task is not known."""
    assert command("forecast") == command("list") == NOTHING
    assert json.loads(command("forecast", "--json"))["runs"] == []
    assert events(octets(project.root, "forecast", "--ics")) == []
    assert "nightly" in command("explain", "nightly", code=2)


@pytest.mark.parametrize(
    "words",
    [
        "forecast --task nightlyy",
        "forecast --days 0",
        "forecast --json --ics",
        "explain nightlyy",
        "explain nightly never",
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_two(ran: Project, words: str) -> None:
    (line,) = command(*words.split(), code=2).splitlines()
    assert line.startswith("taskrack: ")


def test_explain_prints_the_verdict_its_reasons_and_what_is_around(ran: Project) -> None:
    """Of a skipped run, the run in the way."""
    tasks = json.loads(command("runs", "slow", "--state", "skipped", "--json"))
    skipped = datetime.fromisoformat(tasks[0]["scheduled_for"])
    lines = command("explain", "slow", skipped.isoformat()).splitlines()
    assert lines[0] == "slow: it was skipped: an earlier run of the task was not over"
    assert lines[1].startswith("  - run ")
    assert " was in the way; it ended at " in lines[1]
    assert lines[2] == "  - the task's overlap is 'skip'"
    assert [line.partition(": ")[0] for line in lines[3:7]] == [
        "schedule",
        "before",
        "after",
        "run",
    ]
    found = json.loads(command("explain", "slow", skipped.isoformat(), "--json"))
    assert (found["outcome"], found["runs"][0]["id"]) == ("skipped", tasks[0]["id"])
    tomorrow = SystemClock().now().astimezone(ZoneInfo("Europe/Berlin")) + timedelta(days=1)
    ahead = command("explain", "nightly", f"{tomorrow:%Y-%m-%d} 02:30")
    assert ahead.startswith("nightly: it will run at ")


def test_a_manager_that_runs_answers_too(project: Project) -> None:
    """With the triggers of its plugins."""
    project.plugin(PLUGIN)
    tasks = project.start()
    finals(tasks, "slow", 1)
    assert len(tasks.forecast(days=2, tasks=["nightly"]).runs) == 2
    assert tasks.explain("off").outcome is Fate.DISABLED
    assert "no container is running" not in " ".join(tasks.forecast(days=0.001).notes)


TIDE: Final = """
    from datetime import timedelta

    from core import hookimpl

    class Tide:
        def next_after(self, instant):
            return instant + timedelta(hours=12)

    @hookimpl
    def taskrack_triggers():
        return {"tide": lambda arguments, zone: Tide()}

    def measure():
        return None

    TASK_DEFINITIONS = [
        {"id": "gauge", "func": measure, "trigger": "tide", "trigger_args": {}},
        {"id": "both", "func": measure, "trigger": "or", "trigger_args": {"triggers": [
            {"trigger": "tide", "trigger_args": {}},
            {"trigger": "cron", "trigger_args": {"hour": 3}},
        ]}},
    ]
"""


def test_a_trigger_of_a_plugin_is_foretold_where_the_plugin_is_loaded(project: Project) -> None:
    """The command line leaves it out and says so, also where it is a part of another."""
    project.plugin(TIDE)
    tasks = project.start()
    inside = tasks.forecast(days=1)
    assert {run.task_id for run in inside.runs} == {"gauge", "both"}
    assert tasks.explain("gauge").outcome is Fate.DUE

    outside = json.loads(command("forecast", "--days", "1", "--json"))

    assert outside["runs"] == []
    assert [note.partition(" is left out: its trigger ")[0] for note in outside["notes"]] == [
        "both",
        "gauge",
    ]
    assert command("explain", "gauge").startswith("gauge: it is not running\n")


def test_the_page_names_every_key_and_every_outcome() -> None:
    """The table of outcomes is the code's two vocabularies, in their order."""
    keys = {code(each) for row in table("foresight.md", "Forecast") for each in row[0].split(", ")}
    assert keys == set(Forecast.model_fields)
    text = (DOCS / "foresight.md").read_text(encoding="utf-8")
    for model in (ForecastRun, ForecastOverlap, ForecastPeak, ForecastLoad):
        assert [name for name in model.model_fields if f"`{name}`" not in text] == []
    (outcomes,) = tables("foresight.md", "Explain")
    assert [code(row[0]) for row in outcomes] == [*map(str, RunState), *map(str, Fate)]
