"""The page about settings and the copy of the schema are the code's."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import pytest

from configurations import Xcorecfg, json_schema
from configurations.sections import BaseConfig
from configurations.sources import GATES
from tests.pages import DOCS, ROOT, code, table, taskrack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools import Project

COPY = DOCS / "config.schema.json"
SOURCES = ("core", "loggers", "manager", "backgroundtask")
WITHOUT_EFFECT = ("background_tasks", "task_workers")


def sections() -> dict[str, type[BaseConfig]]:
    """Return the sections of config.json by name."""
    found = {name: field.annotation for name, field in Xcorecfg.model_fields.items()}
    return {
        name: model
        for name, model in found.items()
        if isinstance(model, type) and issubclass(model, BaseConfig)
    }


def expected(model: type[BaseConfig], *above: str) -> list[list[str]]:
    """Return the rows that the page must have for *model*."""
    rows = []
    for name, field in model.model_fields.items():
        if model is Xcorecfg and name in sections():
            continue
        default: Any = field.get_default(call_default_factory=True)
        variable = "__".join([*above, name]).upper()
        rows.append(
            [
                f"`{name}`",
                f"`{json.dumps(default)}`",
                f"`TASKRACK_{variable}`",
                field.description or "",
            ]
        )
    return rows


@pytest.mark.item("X38")
@pytest.mark.item("X62")
def test_the_tables_have_every_key_with_its_default_and_variable() -> None:
    """Generated from the models they would look the same."""
    assert table("configuration.md", "Top level") == expected(Xcorecfg)
    for name, model in sections().items():
        assert table("configuration.md", f"`{name}`") == expected(model, name)


def test_each_variable_of_the_tables_sets_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number, a flag and a text of each section go through the environment."""
    wanted = {
        "TASKRACK_APP_NAME": "shop",
        "TASKRACK_DATABASE__POOL_SIZE": "7",
        "TASKRACK_MANAGER__AUTO_RESTART_TASKS": "off",
        "TASKRACK_LOGGERS__LOG_FILE": "x.log",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    rows = [row for heading in ("Top level", *(f"`{each}`" for each in sections()))
            for row in table("configuration.md", heading)]  # fmt: skip
    config = Xcorecfg.from_env()
    assert set(wanted) <= {code(variable) for _, _, variable, _ in rows}
    assert (config.app_name, config.database.pool_size) == ("shop", 7)
    assert (config.manager.auto_restart_tasks, config.loggers.log_file) == (False, "x.log")


@pytest.mark.item("X62")
def test_the_gates_are_named() -> None:
    rows = table("configuration.md", "Variables")
    defaults = Xcorecfg()
    assert sorted(rows) == [
        [f"`{gate}`", f"`{gate.lower()}`", f"`{json.dumps(getattr(defaults, gate.lower()))}`"]
        for gate in GATES
    ]


@pytest.mark.item("X45")
def test_a_stronger_source_wins(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default, file, ``.env``, environment, in rising order, as the page lists them."""

    def found() -> tuple[int, str]:
        config = Xcorecfg.from_file(project.root / "config.json")
        return config.manager.max_tasks, config.describe()["manager.max_tasks"].origin

    seen = [found()]
    project.config(manager={"max_tasks": 1})
    seen.append(found())
    project.write(".env", "TASKRACK_MANAGER__MAX_TASKS=2\n")
    seen.append(found())
    monkeypatch.setenv("TASKRACK_MANAGER__MAX_TASKS", "3")
    seen.append(found())

    variable = "environment TASKRACK_MANAGER__MAX_TASKS"
    assert seen == [(50, "default"), (1, "config.json"), (2, ".env"), (3, variable)]


def test_the_keys_without_effect_are_read_nowhere() -> None:
    """When a release begins to go by one of them, the page must say what it does."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    first, second = WITHOUT_EFFECT
    assert f"`{first}` and `{second}` are accepted and checked, and nothing" in text
    for folder in SOURCES:
        for file in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert not read & set(WITHOUT_EFFECT), f"{file.relative_to(ROOT)} reads one"


def test_the_copy_of_the_schema_is_what_the_command_prints(tmp_path: Path) -> None:
    """Indented by two, with a newline at its end, so that a difference can be read."""
    done = taskrack(tmp_path, "config", "schema")

    assert COPY.read_text(encoding="utf-8") == json.dumps(json_schema(), indent=2) + "\n"
    assert json.loads(done.stdout) == json_schema()


def test_the_configuration_of_the_repository_names_the_copy() -> None:
    """An editor that opens config.json finds the schema, and the file is in order."""
    file = ROOT / "config.json"
    named = json.loads(file.read_text(encoding="utf-8"))["$schema"]
    assert (ROOT / named).resolve() == COPY
    assert Xcorecfg.from_file(file).manager.tasks_directory == "backgroundtask"
