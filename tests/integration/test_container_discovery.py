"""The tasks folder: what is found in it, how it is loaded, and what a bad file does."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.run import RunState, TaskState
from tests.tools import eventually, finals, fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project

SEED_IMPORTS = (
    "from manager.task.taskmanager import TaskManager",
    "from manager.schemas.taskManager import TaskCreate",
    "from loggers import get_logger",
)
COUNTING = """
    from manager.task.taskmanager import TaskManager
    from manager.schemas.taskManager import TaskCreate
    from loggers import get_logger

    logger = get_logger("backgroundtask")
    seen = []

    async def {name}():
        logger.info("{name} starts")
        seen.append("{name}")

    TASK_DEFINITIONS = [
        {{
            "id": "{name}",
            "name": "Task {name}",
            "func": {name},
            "trigger": "interval",
            "trigger_args": {{"seconds": 0.05}},
            "enabled": True,
            "max_retries": 3,
            "timeout": 300,
        }}
    ]
"""


@pytest.mark.item("X1")
@pytest.mark.item("X8")
@pytest.mark.item("X9")
def test_a_dict_in_the_list_of_a_found_file_is_all_it_takes(project: Project) -> None:
    """Two files with ``TASK_DEFINITIONS`` are found, scheduled and run without a registration."""
    project.plugin(COUNTING.format(name="first"))
    project.plugin(COUNTING.format(name="second"), "backgroundtask/deeper/more.py")

    tasks = project.start()

    assert [task.id for task in tasks.list_tasks()] == ["first", "second"]
    for name in ("first", "second"):
        assert finals(tasks, name, 2)[0].state is RunState.COMPLETED
    assert project.module().seen[:2] == ["first", "first"]
    assert task_of(tasks, "second").plugin == "backgroundtask.deeper.more"


@pytest.mark.item("X2")
def test_the_imports_of_the_seed_succeed_in_any_order() -> None:
    """Fresh processes import the three names; no order meets a circular import."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", "\n".join(order)], stderr=subprocess.PIPE, text=True
        )
        for order in itertools.permutations(SEED_IMPORTS)
    ]

    said = [process.communicate()[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * 6
    assert said == [""] * 6


@pytest.mark.item("X1")
def test_the_container_and_the_application_share_one_module(project: Project) -> None:
    """``from backgroundtask.taskplugins import ...`` gives the very functions that run."""
    project.plugin(COUNTING.format(name="shared"))
    tasks = project.start()
    finals(tasks, "shared")

    imported = importlib.import_module("backgroundtask.taskplugins")

    assert imported is project.module()
    assert imported.seen[0] == "shared"


@pytest.mark.item("X9")
def test_a_package_may_hold_definitions_itself(project: Project) -> None:
    """``__init__.py`` is executed once, under the package's own name, before its modules."""
    project.plugin(COUNTING.format(name="whole"), "backgroundtask/acme/__init__.py")
    part = COUNTING.format(name="part") + "\n    from backgroundtask.acme import whole\n"
    project.plugin(part, "backgroundtask/acme/part.py")

    tasks = project.start()
    finals(tasks, "whole")
    finals(tasks, "part")

    package = importlib.import_module("backgroundtask.acme")
    assert task_of(tasks, "whole").plugin == "backgroundtask.acme"
    assert package.seen[0] == "whole"
    assert package.part.whole is package.whole
    assert "backgroundtask.acme.__init__" not in sys.modules


@pytest.mark.item("X39")
@pytest.mark.item("X60")
def test_a_tasks_folder_that_is_not_there_is_said(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """A container without plugin files runs, and its log names the folder that it looked for."""
    project.config(manager={"tasks_directory": "taks"})

    tasks = project.start()

    assert (tasks.health().state, tasks.list_plugins()) == ("ok", [])
    folder = project.root / "taks"
    assert f"no plugin file is loaded: tasks_directory {folder} does not exist" in caplog.text


@pytest.mark.item("X9")
def test_linked_tasks_count_once_and_tests_and_hidden_folders_not_at_all(project: Project) -> None:
    """A linked folder is followed, a second link to a file adds nothing, tests are left out."""
    elsewhere = project.write("plugins/acme/tasks.py", COUNTING.format(name="linked"))
    folder = project.root / "backgroundtask"
    folder.mkdir()
    (folder / "acme").symlink_to(elsewhere.parent)
    (folder / "again.py").symlink_to(elsewhere)
    for path in ("test_tasks.py", "conftest.py", ".git/tasks.py", "__pycache__/tasks.py"):
        project.plugin(COUNTING.format(name="wrong"), f"backgroundtask/{path}")

    tasks = project.start()

    assert [task.id for task in tasks.list_tasks()] == ["linked"]
    assert task_of(tasks, "linked").plugin == "plugins.acme.tasks"


@pytest.mark.item("X39")
@pytest.mark.item("X45")
def test_config_names_the_folder_and_an_edit_counts_at_the_next_start(project: Project) -> None:
    """``tasks_directory`` chooses what is scanned; the edited file is read by the next start."""
    project.plugin(COUNTING.format(name="usual"))
    project.plugin(COUNTING.format(name="other"), "jobs/taskplugins.py")
    first = project.start()
    assert [task.id for task in first.list_tasks()] == ["usual"]
    first.shutdown()

    project.config(manager={"tasks_directory": "jobs", "max_task_retries": 7})
    again = project.start()

    assert {task.id: task.status for task in again.list_tasks()} == {
        "other": TaskState.SCHEDULED,
        "usual": TaskState.UNBOUND,
    }
    assert again.config.manager.max_task_retries == 7


@pytest.mark.item("X34")
def test_a_task_imports_from_the_packages_of_the_project(project: Project) -> None:
    """``plugins.<name>.models`` is importable inside a task, the project being the root."""
    project.write("plugins/my_plugin/models.py", "class Product:\n    name = 'chair'\n")
    project.plugin(
        """
        def stock():
            from plugins.my_plugin.models import Product
            return Product.name

        TASK_DEFINITIONS = [
            {"id": "stock", "name": "Stock", "func": stock, "trigger": "interval",
             "trigger_args": {"hours": 1}, "enabled": True, "max_retries": 0, "timeout": 5},
        ]
        """
    )

    run = fire(project.start(), "stock")

    assert (run.state, run.result) == (RunState.COMPLETED, "chair")


@pytest.mark.item("X9")
@pytest.mark.item("X60")
def test_a_file_that_does_not_load_hurts_no_other(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken plugin is logged and listed with file, line, cause and fix; the rest run."""
    project.plugin(COUNTING.format(name="sound"))
    project.plugin("import no_such_package\nTASK_DEFINITIONS = []\n", "backgroundtask/absent.py")
    project.plugin("TASK_DEFINITIONS = [\n", "backgroundtask/broken.py")
    project.plugin("TASK_DEFINITIONS = 'all'\n", "backgroundtask/odd.py")

    tasks = project.start()

    assert finals(tasks, "sound")
    plugins = {plugin.name: plugin for plugin in tasks.list_plugins()}
    assert {name: plugin.state for name, plugin in plugins.items()} == {
        "backgroundtask.absent": "failed",
        "backgroundtask.broken": "failed",
        "backgroundtask.odd": "faulty",
        "backgroundtask.taskplugins": "loaded",
    }
    assert str(plugins["backgroundtask.absent"].problems[0]) == (
        "backgroundtask/absent.py, line 1: ModuleNotFoundError: No module named "
        "'no_such_package'. Install the missing package, or mend the import"
    )
    assert plugins["backgroundtask.broken"].problems[0].line == 1
    assert "TASK_DEFINITIONS: expected a list of dicts, got str" in caplog.text
    assert "backgroundtask/absent.py, line 1: ModuleNotFoundError" in caplog.text


@pytest.mark.item("X3")
@pytest.mark.item("X53")
def test_one_logger_name_in_several_modules_gives_each_line_once(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """``get_logger("backgroundtask")`` in two files: one line a message, on the console."""
    lines = """
        from loggers import get_logger

        logger = get_logger("backgroundtask")

        def {name}():
            logger.info("{name} informs")
            logger.warning("{name} warns")
            logger.error("{name} errs")
            try:
                raise KeyError("{name}")
            except KeyError:
                logger.exception("{name} explains")

        TASK_DEFINITIONS = [
            {{"id": "{name}", "name": "{name}", "func": {name}, "trigger": "interval",
              "trigger_args": {{"hours": 1}}, "enabled": True, "max_retries": 0, "timeout": 5}},
        ]
    """
    project.plugin(lines.format(name="one"))
    project.plugin(lines.format(name="two"), "backgroundtask/two.py")
    tasks = project.start()

    for name in ("one", "two"):
        fire(tasks, name)
    eventually(lambda: tasks.health().running == 0)
    tasks.shutdown()

    shown = capsys.readouterr().err
    for name in ("one", "two"):
        for said in ("informs", "warns", "errs", "explains"):
            assert shown.count(f"{name} {said}") == 1
        assert shown.count(f"KeyError: '{name}'") == 1
