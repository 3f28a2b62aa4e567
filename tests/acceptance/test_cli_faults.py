"""What the command line says when something is wrong, and where settings come from."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.commandline import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

VERBS = [
    *(("list", "--json"), ("runs",), ("show", "x"), ("run",), ("check",)),
    *(("run-now", "x"), ("pause", "x"), ("resume", "x")),
]
GOOD = """
    def good():
        pass

    TASK_DEFINITIONS = [
        {"id": "good", "func": good, "trigger": "interval", "trigger_args": {"hours": 1}},
        {"id": "off", "func": good, "trigger": "cron", "trigger_args": {"hour": 9},
         "enabled": False},
    ]
"""


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.mark.item("X60")
def test_check_names_file_line_and_hint_of_everything_that_is_wrong(command: CommandLine) -> None:
    """A syntax error, bad definitions and a good plugin side by side: exit code 1."""
    command.plugin(GOOD)
    command.write("backgroundtask/broken/taskplugins.py", "x = 1\ny = (\n")
    command.plugin(
        """
        def good():
            pass

        TASK_DEFINITIONS = [
            {"id": "good", "func": print, "trigger": "interval", "trigger_args": {"hours": 1}},
            {"id": "typo", "func": good, "trigger": "intervals", "trigger_args": {}},
            {"id": "bad", "func": good, "trigger": "cron", "trigger_args": {"hour": 25},
             "timeout": -1, "max_retry": 3},
            "nonsense",
        ]
        """,
        "backgroundtask/wrong/taskplugins.py",
    )

    done = command.call("check")
    as_json = command.call("check", "--json")

    assert (done.code, as_json.code) == (1, 1)
    wrong = "backgroundtask/wrong/taskplugins.py, TASK_DEFINITIONS"
    assert (
        "backgroundtask/broken/taskplugins.py, line 2: SyntaxError: '(' was never closed. "
        "Mend the line; 'python -m py_compile FILE' shows it"
    ) in done.complaints
    assert (
        f"{wrong}[0]: task id 'good' is defined twice: first in backgroundtask/taskplugins.py, "
        f"TASK_DEFINITIONS[0], again in {wrong}[0]. Ids are unique across plugins; "
        "rename one of them. The other tasks are registered."
    ) in done.complaints
    text = done.err
    assert f"{wrong}[1]: unknown trigger 'intervals', did you mean 'interval'?" in text
    assert f"{wrong}[2], timeout: expected a number of seconds above 0" in text
    assert f"{wrong}[2], max_retry: unknown key, did you mean 'max_retries'?" in text
    assert f"{wrong}[2], trigger_args.hour: expected an hour 0-23, got 25" in text
    assert f"{wrong}[3]: expected a dict of keys such as 'id' and 'func', got str" in text
    assert done.out.splitlines()[-1] == "2 tasks, 3 plugins: 7 problems"
    assert as_json.json["ok"] is False
    (broken,) = [each for each in as_json.json["plugins"] if each["state"] == "failed"]
    (problem,) = broken["problems"]
    assert (problem["file"], problem["line"]) == ("backgroundtask/broken/taskplugins.py", 2)
    assert problem["hint"]
    assert not (command.root / "ledger.db").exists()


def test_check_is_content_with_a_sound_project_and_touches_nothing(command: CommandLine) -> None:
    """Exit code 0, every task with its next run, no database made."""
    command.plugin(GOOD)

    done = command.call("check")
    as_json = command.call("check", "--json")

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "2 tasks, 1 plugin: all is in order"
    assert as_json.json["ok"] is True
    enabled, disabled = as_json.json["tasks"]
    assert enabled["next_run"].endswith("+00:00")
    assert (disabled["enabled"], disabled["next_run"]) == (False, None)
    assert sorted(path.name for path in command.root.iterdir() if path.suffix == ".db") == []


@pytest.mark.parametrize("words", [("list",), ("run",), ("check",)], ids=" ".join)
def test_a_bad_configuration_is_told_one_line_a_problem(
    command: CommandLine, words: tuple[str, ...]
) -> None:
    """Exit code 1, nothing on standard output, the place and the hint in each line."""
    command.configure(manager={"max_task": 3, "task_timeout": -5})

    done = command.call(*words)

    assert (done.code, done.out) == (1, "")
    unknown = "manager.max_task: unknown key, did you mean 'max_tasks'?"
    wrong = "manager.task_timeout: expected a number of seconds above 0, got -5"
    assert sorted(done.complaints) == [
        f"taskrack: config.json: {unknown}",
        f"taskrack: config.json: {wrong}",
    ]


@pytest.mark.parametrize("words", [each for each in VERBS if each != ("check",)], ids=" ".join)
def test_a_database_out_of_reach_is_told_in_one_line_without_its_password(
    command: CommandLine, words: tuple[str, ...]
) -> None:
    """Exit code 3; neither the log in full detail nor the complaint shows the password."""
    command.configure(database={"url": "postgresql://u:SECRET@localhost/x?key=1"}, debug=True)

    done = command.call(*words, LOG_LEVEL="DEBUG")

    assert (done.code, done.out) == (3, "")
    (line,) = done.complaints
    assert line.startswith("taskrack: database postgresql://u:***@localhost/x?key=1: ")
    assert "SECRET" not in done.err


def test_the_settings_are_shown_without_the_password_of_the_database(command: CommandLine) -> None:
    """On a terminal, in a pipe and as JSON; a password among a URL's options counts too."""
    command.configure(database={"url": "postgresql://u:SECRET@localhost/x"})

    outputs = [
        command.call("config", "show"),
        command.call("config", "show", "--json"),
        command.terminal("config", "show"),
        command.call("list", TASKRACK_DATABASE__URL="mysql://u:SECRET@h/x?password=SECRET"),
    ]

    assert not [done for done in outputs if "SECRET" in done.out + done.err]
    assert "postgresql://u:***@localhost/x" in outputs[0].out


@pytest.mark.parametrize("kind", ["text", "folder", "other tables", "damaged"])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(
    command: CommandLine, kind: str
) -> None:
    """Looking and running end with code 3 and one line; the file stays as it was."""
    file = command.root / "ledger.db"
    if kind == "folder":
        file.mkdir()
    elif kind == "text":
        file.write_text("hello")
    elif kind == "damaged":
        file.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    else:
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE tasks (x)")
        connection.close()
    before = file.read_bytes() if file.is_file() else None

    done = command.call("list" if kind == "damaged" else "run")

    assert (done.code, len(done.complaints)) == (3, 1), done
    assert done.err.startswith("taskrack: database sqlite:///")
    assert before == (file.read_bytes() if file.is_file() else None)


def test_looking_where_no_container_has_run_is_no_fault(command: CommandLine) -> None:
    """An empty array for programs, a sentence for people, exit code 0."""
    done, as_json = command.call("list"), command.call("runs", "--json")

    assert (done.code, done.err) == (0, "")
    assert done.out == "no container has run here yet; start one with 'taskrack run'\n"
    assert (as_json.code, as_json.json) == (0, [])
    assert as_json.complaints == ["no container has run here yet; start one with 'taskrack run'"]
    assert not (command.root / "ledger.db").exists()


def test_the_configuration_is_the_one_asked_for_then_the_variable_then_the_folder(
    command: CommandLine,
) -> None:
    """``--config`` wins over ``TASKRACK_CONFIG``, that over ./config.json."""
    other = command.write("other/config.json", '{"app_name": "other"}')
    third = command.write("third.json", '{"app_name": "third"}')
    command.configure(app_name="usual")

    def name(*words: str, **variables: str) -> object:
        done = command.call("config", "show", "--json", *words, **variables)
        return done.json["app_name"]["value"]

    assert name() == "usual"
    assert name(TASKRACK_CONFIG=str(other)) == "other"
    assert name("--config", str(third), TASKRACK_CONFIG=str(other)) == "third"
    missing = command.call("list", "--config", "nowhere.json")
    assert missing.code == 1
    assert missing.complaints == [
        "taskrack: nowhere.json: there is no such file; 'taskrack init' makes one"
    ]


def test_the_environment_stands_above_the_file(command: CommandLine) -> None:
    """The override counts and is named as the origin; a wrong one names the variable."""
    command.configure(manager={"max_tasks": 7})

    done = command.call("config", "show", "--json", TASKRACK_MANAGER__MAX_TASKS="9")
    wrong = command.call("list", TASKRACK_MANAGER__MAX_TASKS="many")

    assert done.json["manager.max_tasks"] == {
        "value": 9,
        "origin": "environment TASKRACK_MANAGER__MAX_TASKS",
    }
    assert wrong.code == 1
    (line,) = wrong.complaints
    assert "TASKRACK_MANAGER__MAX_TASKS (environment): expected a whole number" in line
