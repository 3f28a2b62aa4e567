"""The tables of the pages are the code's: tasks, plugins, ledger, logging."""

from __future__ import annotations

import inspect
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from core import hookspecs
from core.definition import TaskDefinition
from core.policy import CatchUp, Delivery, Overlap
from core.run import Cause, Reason, RunState, TaskState
from manager.engine import RunContext
from manager.scheduling import KINDS
from manager.schemas.definition import (
    EXPECTED,
    BreakerModel,
    DefinitionModel,
    LimitsModel,
    RetryModel,
)
from manager.storage.tables import metadata
from manager.task.drafting import Drafter
from tests.pages import DOCS, ROOT, blocks, build_project, code, prose, started, table, tables
from tests.pages import taskrack as run_taskrack
from tests.tools import fire

if TYPE_CHECKING:
    from enum import StrEnum
    from pathlib import Path

    from pydantic import BaseModel

    from tests.tools import Project

SOURCES = ("core", "configurations", "loggers", "manager", "backgroundtask")
INNER: dict[str, type[BaseModel]] = {
    "retry": RetryModel,
    "breaker": BreakerModel,
    "limits": LimitsModel,
}
UNUSED = "not set by this release"


def source_text() -> str:
    """Return the program as one text."""
    files = [file for folder in SOURCES for file in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.item("X8")
def test_the_table_of_keys_is_the_schema_of_a_definition() -> None:
    """Every key with the words that an error uses, and its default."""
    rows = {code(key): (value, default) for key, value, default in table("tasks.md", "Keys")}

    assert {key: value for key, (value, _) in rows.items()} == EXPECTED
    for key, (_, default) in rows.items():
        outer, _, inner = key.partition(".")
        model = INNER[outer] if inner else DefinitionModel
        field = model.model_fields[inner or outer]
        if field.is_required():
            assert default == "required"
        elif outer not in INNER and (given := field.get_default(call_default_factory=True)):
            assert code(default) == repr(given)


@pytest.mark.item("X14")
@pytest.mark.item("X41")
@pytest.mark.item("X43")
def test_the_defaults_that_the_table_puts_into_words_hold() -> None:
    """They come from the id, the docstring and the configuration."""

    def tidy() -> None:
        """Tidy up.

        Nothing is left.
        """

    given = {"id": "a", "func": tidy, "trigger": "interval", "trigger_args": {"hours": 1}}
    made, _ = Drafter(7, None, "Europe/Berlin").draft(given, plugin="p", source="s")

    rows = {code(key): default for key, _, default in table("tasks.md", "Keys")}
    assert (rows["name"], made.name) == ("the id", "a")
    assert (rows["description"], made.description) == (
        "first line of the function's docstring",
        "Tidy up.",
    )
    assert (rows["max_retries"], made.max_retries) == (
        "`manager.max_task_retries` of the configuration",
        7,
    )
    assert (rows["timeout"], made.timeout) == ("`manager.task_timeout` of the configuration", None)
    assert (rows["timezone"], made.timezone) == ("`timezone` of the configuration", "Europe/Berlin")
    assert (rows["misfire_grace_time"], made.misfire_grace_time) == ("none", None)


@pytest.mark.item("X18")
@pytest.mark.item("X20")
def test_the_table_of_triggers_has_every_argument() -> None:
    rows = table("tasks.md", "Triggers")
    said = {code(kind): tuple(map(code, names.split(", "))) for kind, names, _ in rows}
    assert said == KINDS


@pytest.mark.item("X52")
@pytest.mark.parametrize(
    ("heading", "number", "words"),
    [
        ("States of a run", 0, RunState),
        ("States of a run", 1, Reason),
        ("States of a run", 2, Cause),
        ("Statuses of a task", 0, TaskState),
        (
            "Overlap",
            0,
            [*(f"'{mode}'" for mode in Overlap), '{"queue": n}', '{"allow": n}', "a number n"],
        ),
        ("Catch-up", 0, [f"'{each}'" for each in CatchUp]),
    ],
)
def test_a_table_of_words_has_each_of_them(
    heading: str, number: int, words: type[StrEnum] | list[str]
) -> None:
    """No state, reason, cause, status or policy is left out, and none is invented."""
    rows = tables("tasks.md", heading)[number]
    assert [row[0].strip("`") for row in rows] == [str(word) for word in words]


def test_what_the_pages_call_final_is_final() -> None:
    rows = tables("tasks.md", "States of a run")[0]
    assert {code(state): final for state, _, final in rows} == {
        state.value: "yes" if state.is_final else "no" for state in RunState
    }


def test_what_the_pages_call_unused_is_unused() -> None:
    """When a release begins to use one, its row must say what it means."""
    text = source_text()
    found = [*tables("tasks.md", "States of a run")[1:], table("tasks.md", "Statuses of a task")]
    for enum, rows in zip((Reason, Cause, TaskState), found, strict=True):
        for word, meaning in rows:
            used = f"{enum.__name__}.{enum(code(word)).name}" in text
            assert used is (meaning != UNUSED), f"{word}: {meaning}"


def test_the_deliveries_are_named() -> None:
    text = (DOCS / "tasks.md").read_text(encoding="utf-8")
    assert all(f"`'{each}'`: " in text for each in Delivery)


def test_the_table_of_the_current_run_has_every_attribute() -> None:
    """What begins with an underscore, and the engine's own verb, are not for tasks."""
    own = {field.name for field in fields(RunContext)} | {
        name for name, value in vars(RunContext).items() if isinstance(value, property)
    }
    said = {code(name) for name, _ in table("tasks.md", "Inside a run")}
    assert said == {name for name in own if not name.startswith("_")}


def test_the_tasks_of_the_page_are_in_order(tmp_path: Path) -> None:
    project = build_project(DOCS / "tasks.md", tmp_path)
    done = run_taskrack(project, "check")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_table_of_hooks_is_the_specification_of_the_hooks() -> None:
    """Each with its arguments, and the first sentence of its promise."""
    found = []
    for name, hook in inspect.getmembers(hookspecs, inspect.isfunction):
        if name.startswith(hookspecs.PROJECT):
            arguments = ", ".join(f"`{each}`" for each in inspect.signature(hook).parameters)
            promise = (inspect.getdoc(hook) or "").split("\n\n")[0].replace("``", "`")
            found.append([f"`{name}`", arguments or "none", " ".join(promise.split())])
    assert sorted(table("plugins.md", "Hooks")) == sorted(found)


def test_the_tables_of_the_ledger_have_every_column_in_order() -> None:
    """A column that nobody explains is a defect; so is one that does not exist."""
    said = {
        code(heading): [code(name) for name, _ in table("ledger.md", heading)]
        for heading in re.findall(
            r"^### (`\w+`)$", "\n".join(line for _, line in prose(DOCS / "ledger.md")), re.MULTILINE
        )
    }
    assert said == {name: list(each.columns.keys()) for name, each in metadata.tables.items()}


def test_the_queries_of_the_page_work_on_a_real_ledger(project: Project) -> None:
    """Those that read find the run, with its time as text; those that delete leave it."""
    tasks = project.engine()
    tasks.start()
    tasks.add_task(lambda: 1 / 0, "interval", "broken", hours=1, max_retries=0)
    tasks.add_task(lambda: None, "interval", "other", hours=2)
    tasks.pause_task("other")
    run = fire(tasks, "broken")
    queries = [block.text for block in blocks(DOCS / "ledger.md") if block.language == "sql"]
    answers: list[list[tuple[object, ...]]] = []
    with closing(sqlite3.connect(project.root / "ledger.db")) as connection:
        for query in queries:
            statements = filter(str.strip, query.split(";\n"))
            answers += [connection.execute(statement).fetchall() for statement in statements]
        connection.commit()

    day = f"{run.scheduled_for:%Y-%m-%d %H:%M:%S}"
    failures, due, took, changes, counted, *deletions = answers
    assert failures == [("broken", day, "exception", "ZeroDivisionError: division by zero")]
    assert (due[0][0], took, changes[0][2]) == ("broken", [], "pause")
    assert counted == [(1, day)]
    assert deletions == [[], [], []]
    assert tasks.verify().ok
    assert tasks.get_run(run.id) is not None


def test_a_copy_that_is_made_while_the_container_runs_is_a_whole_ledger(project: Project) -> None:
    """The recipe of the page, beside a running container; the copy has the run."""
    build_project(DOCS / "ledger.md", project.root)
    tasks = project.start()
    tasks.add_task(lambda: "kept", "interval", "task", hours=1)
    fire(tasks, "task")

    done = started([sys.executable, "backup.py"], project.root)

    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(project.root / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT result FROM runs").fetchall() == [('"kept"',)]


def test_the_fingerprint_of_a_definition_is_made_of_every_option() -> None:
    """The page says that ``options`` holds the keys that have no column of their own."""
    options = {"catch_up", "misfire_grace_time", "overlap", "delivery", "run_on_start", "retry"}
    columns = set(metadata.tables["tasks"].columns.keys())
    without = {field.name for field in fields(TaskDefinition)} - columns
    assert options <= without
