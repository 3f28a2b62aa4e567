"""The page about the command line: its verbs, options, exit codes and JSON are the code's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
import typer

from manager.cli.main import app
from manager.lint import Finding
from manager.schemas.foretelling import Explanation, Forecast
from manager.schemas.reading import AttemptRead, PluginProblem, PluginRead, RunRead, TaskRead
from manager.schemas.verification import BreachRead, InvariantRead, VerificationRead
from tests.pages import DOCS, blocks, code, command, table, taskrack
from tests.tools import eventually, fire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click import Command

    from tests.tools import Project

PLUGIN: Final = """
    def nightly():
        return "done"

    def broken():
        raise ValueError("no")

    TASK_DEFINITIONS = [
        {
            "id": name,
            "func": func,
            "trigger": "interval",
            "trigger_args": {"hours": 1},
            "max_retries": 0,
        }
        for name, func in (("nightly", nightly), ("broken", broken))
    ]
"""
VERBS: Final = [code(row[0]) for row in table("commands.md", "Commands")]


def verbs() -> Iterator[tuple[str, Command]]:
    """Yield every verb of the application."""
    root = typer.main.get_command(app)
    for name, found in getattr(root, "commands", {}).items():
        below = getattr(found, "commands", {})
        if below:
            yield from ((f"{name} {inner}", each) for inner, each in below.items())
        else:
            yield name, found


@pytest.mark.item("X62")
def test_the_table_of_verbs_is_the_application() -> None:
    """Each with the first line of its help and its options."""
    found = []
    for name, each in verbs():
        options = [
            f"`{option.opts[0]}`" for option in each.params if option.opts[0].startswith("--")
        ]
        help_line = (each.help or "").split("\n\n")[0]
        found.append([f"`{name}`", help_line, ", ".join(options) or "none"])
    assert table("commands.md", "Commands") == found


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"run", "init"}])
def test_each_verb_runs_once(verb: str, project: Project) -> None:
    """In a project with a container that runs, and with JSON where the table has it."""
    project.plugin(PLUGIN)
    tasks = project.start()
    run = fire(tasks, "nightly")
    subject = {"show": [run.id], "run-now": ["nightly"], "pause": ["nightly"]}
    subject["preview"] = ["0 9 * * 1-5"]
    subject["backfill"] = ["nightly", "--from", "2026-01-01", "--to", "2026-01-02"]
    subject["explain"] = ["nightly"]
    words = [*verb.split(), *subject.get(verb, ["nightly"] if verb == "resume" else [])]
    options = next(row[2] for row in table("commands.md", "Commands") if code(row[0]) == verb)

    assert command(*words)
    if "`--json`" in options:
        assert json.loads(command(*words, "--json"))


def test_init_makes_a_project_that_run_runs(tmp_path: Path) -> None:
    """Until a signal comes; then the exit code is zero, and the history is there."""
    made = taskrack(tmp_path, "init", "shop")
    assert made.returncode == 0, made.stderr
    again = taskrack(tmp_path, "init", "shop")
    assert (again.returncode, again.stderr.startswith("taskrack: nothing was written")) == (1, True)
    folder = tmp_path / "shop"
    log = folder / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "manager", "run"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            eventually(lambda: "greet: completed" in log.read_text(encoding="utf-8"), timeout=30)
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
        finally:
            running.kill()

    assert "stopping: " in log.read_text(encoding="utf-8")
    runs = json.loads(taskrack(folder, "runs", "--json").stdout)
    assert [(run["task_id"], run["state"]) for run in runs] == [("greet", "completed")]


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        ("list", 0),
        ("run-now nightly --wait", 0),
        ("run-now broken --wait", 1),
        ("run-now nobody", 2),
        ("show nobody", 2),
        ("nonsense", 2),
        ("runs --limit 0", 2),
        ("list --config nowhere.json", 1),
    ],
)
def test_an_exit_code_means_what_the_table_says(
    words: str, exit_code: int, project: Project
) -> None:
    project.plugin(PLUGIN)
    project.start()
    command(*words.split(), code=exit_code)
    assert str(exit_code) in [row[0] for row in table("commands.md", "Exit codes")]


def test_a_failed_check_and_an_unreachable_database_have_their_codes(project: Project) -> None:
    """Also an unusable configuration; each error is one line that begins alike."""
    project.plugin("import nowhere\n")
    command("check", code=1)
    project.config(database={"url": "sqlite:///./gone/ledger.db"})
    for words in ("run", "pause x", "resume x", "run-now x"):
        (line,) = command(*words.split(), code=3).splitlines()
        assert line.startswith("taskrack: database ")
    project.config(manager={"max_tasks": 0, "task_timeout": -1})
    lines = command("list", code=1).splitlines()
    assert [line.startswith("taskrack: config.json: manager.") for line in lines] == [True, True]


def keys_of(number: int) -> list[str]:
    """Return the keys that the page lists in one of its blocks."""
    found = [block.text for block in blocks(DOCS / "commands.md") if block.language == "text"]
    return " ".join(found[number].split()).split(", ")


@pytest.mark.item("X51")
def test_the_keys_of_the_page_are_those_of_the_json(project: Project) -> None:
    """Of a task, a run, an attempt, a plugin and a problem."""
    project.plugin(PLUGIN)
    tasks = project.start()
    run = fire(tasks, "broken")

    def read(*words: str) -> Any:  # noqa: ANN401 - JSON is any
        return json.loads(command(*words, "--json"))

    task, shown = read("show", "broken"), read("show", run.id)

    assert keys_of(0) == list(TaskRead.model_fields) == list(read("list")[0])
    assert list(task) == [*keys_of(0), "breakers", "runs"]
    assert keys_of(1) == list(RunRead.model_fields) == list(shown)
    assert list(read("runs")[0]) == [key for key in keys_of(1) if key != "attempts"]
    assert list(task["runs"][0])[:3] == keys_of(1)[:3]
    page = " ".join((DOCS / "commands.md").read_text(encoding="utf-8").split())
    assert list(shown["attempts"][0]) == list(AttemptRead.model_fields)
    for model in (AttemptRead, PluginRead, PluginProblem):
        assert [name for name in model.model_fields if f"`{name}`" not in page] == []


def test_the_shapes_of_the_page_are_those_of_the_json(project: Project) -> None:
    """The objects that are no task and no run."""
    project.plugin(PLUGIN)
    project.start()
    checked = json.loads(command("check", "--json"))
    shapes = {row[0]: row[1] for row in table("commands.md", "JSON")}

    assert [f"`{key}`" for key in checked] == ["`ok`", "`tasks`", "`plugins`", "`hints`"]
    assert all(f"`{key}`" in shapes["`check`"] for key in [*checked, *checked["tasks"][0]])
    linted = json.loads(command("lint", "--json"))
    assert all(f"`{key}`" in shapes["`lint`"] for key in [*linted, *Finding.__dataclass_fields__])
    version = json.loads(command("version", "--json"))
    assert all(f"`{key}`" in shapes["`version`"] for key in version)
    settings = json.loads(command("config", "show", "--json"))
    assert {tuple(each) for each in settings.values()} == {("value", "origin")}
    assert "`value` and `origin`" in shapes["`config show`"]
    assert len(json.loads(command("preview", "0 9 * * 1-5", "--count", "3", "--json"))) == 3
    verified = json.loads(command("verify", "--json"))
    inner = [*InvariantRead.model_fields, *BreachRead.model_fields]
    assert list(verified) == list(VerificationRead.model_fields)
    assert all(f"`{key}`" in shapes["`verify`"] for key in [*verified, *inner])
    for words, model in ((["forecast"], Forecast), (["explain", "nightly"], Explanation)):
        keys = list(json.loads(command(*words, "--json")))
        assert keys == list(model.model_fields)
        assert shapes[f"`{words[0]}`"] == f"an object: {', '.join(f'`{key}`' for key in keys)}"
    assert len(shapes) == 14
