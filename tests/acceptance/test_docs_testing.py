"""The recipes for testing one's own tasks, run as a reader would run them."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.pages import DOCS, ROOT, blocks, build_project, started, taskrack

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "testing.md"
RECIPES = [
    block.mark.removeprefix("file: ")
    for block in blocks(PAGE)
    if block.mark.startswith("file: tests/")
]


def run_recipes(project: Path) -> str:
    """Run pytest in *project* as it is where the wheel is installed, and return what it printed.

    This checkout is on the path of its own environment, and its ``backgroundtask`` with it, which
    no wheel has. So the path is built anew, of the wheel's packages and the installed ones.
    """
    installed = project.parent / f"{project.name}_wheel"
    installed.mkdir()
    for package in ("core", "configurations", "loggers", "manager"):
        (installed / package).symlink_to(ROOT / package, target_is_directory=True)
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    options = ["-v", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = started([sys.executable, "-S", "-m", "pytest", *options], project, PYTHONPATH=path)
    return done.stdout + done.stderr


@pytest.mark.item("X59")
def test_every_recipe_of_the_page_passes_as_a_real_test_file(tmp_path: Path) -> None:
    """Pytest finds each test in each file, from the folder of config.json, and all pass."""
    (tmp_path / "project").mkdir()
    project = build_project(PAGE, tmp_path / "project")
    written = sum(
        len(re.findall(r"^(?:async )?def test_", (project / recipe).read_text(), re.MULTILINE))
        for recipe in RECIPES
    )

    printed = run_recipes(project)

    assert f" {written} passed in " in printed, printed
    assert [recipe for recipe in RECIPES if f"{recipe}::test_" not in printed] == []
    assert (len(RECIPES), written) == (9, 13)


@pytest.mark.item("X59")
def test_every_recipe_fails_when_the_task_is_wrong(tmp_path: Path) -> None:
    """A recipe that could not fail would teach nothing."""
    (tmp_path / "project").mkdir()
    project = build_project(PAGE, tmp_path / "project")
    plugin = project / "backgroundtask" / "taskplugins.py"
    wrong = (
        plugin.read_text(encoding="utf-8")
        .replace("logs.clear()", "return")
        .replace('raise ConnectionError("the mail server does not answer")', "return")
        .replace("done.append(row)", "break")
    )
    plugin.write_text(wrong, encoding="utf-8")

    printed = run_recipes(project)

    assert " 13 failed in " in printed, printed


@pytest.mark.item("X59")
def test_the_tasks_of_the_recipes_are_in_order(tmp_path: Path) -> None:
    """``taskrack check`` is the line for a CI that the page names."""
    done = taskrack(build_project(PAGE, tmp_path), "check")

    assert (done.returncode, "all is in order" in done.stdout) == (0, True), done.stderr
