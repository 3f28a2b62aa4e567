"""What a definition says and what the container makes of it, at discovery and by ``add_task``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.errors import DefinitionError, DuplicateTaskError, TaskLimitError
from core.run import RunState, TaskState
from manager.schemas.definition import EXPECTED
from tests.tools import PLUGIN, finals, fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project

SEED_REGISTER = '''
    def register_tasks(task_manager: TaskManager):
        """Register all tasks with the task manager."""
        for task_def in TASK_DEFINITIONS:
            try:
                task_manager.add_task(
                    func=task_def["func"],
                    trigger=task_def["trigger"],
                    id=task_def["id"],
                    **task_def["trigger_args"],
                    max_retries=task_def.get("max_retries", 3),
                    timeout=task_def.get("timeout", 300)
                )
                logger.info(f"Registered task: {task_def['name']}")
            except Exception as e:
                logger.error(f"Failed to register task {task_def['id']}: {e}")
'''
HEAD = """
    from manager.task.taskmanager import TaskManager
    from loggers import get_logger

    logger = get_logger("backgroundtask")
    seen = []

    async def on():
        seen.append("on")

    async def off():
        seen.append("off")

    async def bare():
        seen.append("bare")
"""
DEFINITIONS = """
    TASK_DEFINITIONS = [
        {"id": "on", "name": "Switched On", "func": on, "trigger": "interval",
         "trigger_args": {"seconds": 0.05}, "enabled": True, "max_retries": 2, "timeout": 600},
        {"id": "off", "name": "Switched Off", "func": off, "trigger": "interval",
         "trigger_args": {"seconds": 0.05}, "enabled": False, "max_retries": 1, "timeout": 1800},
        {"id": "bare", "name": "Bare", "func": bare, "trigger": "interval",
         "trigger_args": {"hours": 1}, "enabled": True},
    ]
"""


async def nothing() -> None:
    """Do nothing."""


async def something_else() -> None:
    """Do nothing else."""


@pytest.mark.item("X10")
@pytest.mark.item("X14")
@pytest.mark.item("X13")
@pytest.mark.item("X15")
@pytest.mark.parametrize("register", ["", SEED_REGISTER], ids=["list only", "with register_tasks"])
def test_a_disabled_task_is_shown_and_never_scheduled(
    project: Project, register: str, caplog: pytest.LogCaptureFixture
) -> None:
    """``enabled: False`` holds even through the seed's ``register_tasks``; run by hand it runs."""
    project.plugin(HEAD + DEFINITIONS + register)

    tasks = project.start()
    finals(tasks, "on", 3)

    off, on, bare = (task_of(tasks, name) for name in ("off", "on", "bare"))
    assert project.module().seen.count("off") == 0
    assert (off.status, off.enabled, off.next_run) == (TaskState.DISABLED, False, None)
    assert (on.name, on.max_retries, on.timeout) == ("Switched On", 2, 600)
    assert (off.name, off.max_retries, off.timeout) == ("Switched Off", 1, 1800)
    assert (bare.max_retries, bare.timeout) == (3, 300)
    assert fire(tasks, "off").state is RunState.COMPLETED
    assert task_of(tasks, "off").status is TaskState.DISABLED
    for name in ("Switched On", "Switched Off", "Bare"):
        assert caplog.text.count(f"Registered task: {name}") == bool(register)


@pytest.mark.item("X16")
@pytest.mark.item("X21")
@pytest.mark.item("X60")
def test_a_definition_that_fails_is_logged_and_the_others_are_registered(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The seed's loop logs ``Failed to register task`` with the reason, and goes on."""
    broken = """
    TASK_DEFINITIONS = [
        {"id": "late", "name": "Late", "func": off, "trigger": "cron",
         "trigger_args": {"hour": 24}, "enabled": True, "max_retries": 3, "timeout": 300},
        {"id": "odd", "name": "Odd", "func": bare, "trigger": "intervall",
         "trigger_args": {"hours": 1}, "enabled": True, "max_retries": 3, "timeout": 300},
        {"id": "on", "name": "Switched On", "func": on, "trigger": "interval",
         "trigger_args": {"seconds": 0.05}, "enabled": True, "max_retries": 2, "timeout": 600},
    ]
    """
    project.plugin(HEAD + broken + SEED_REGISTER)

    tasks = project.start()

    assert finals(tasks, "on")
    assert [task.id for task in tasks.list_tasks()] == ["on"]
    assert "Failed to register task late: " in caplog.text
    assert "trigger_args.hour: expected an hour 0-23, got 24" in caplog.text
    assert "Failed to register task odd: " in caplog.text
    assert "unknown trigger 'intervall', did you mean 'interval'?" in caplog.text
    (plugin,) = tasks.list_plugins()
    assert [(each.index, each.field) for each in plugin.problems] == [
        (0, "trigger_args.hour"),
        (1, None),
    ]
    assert str(plugin.problems[0]).startswith(f"{PLUGIN}, TASK_DEFINITIONS[0], trigger_args.hour:")


@pytest.mark.item("X13")
@pytest.mark.item("X17")
def test_add_task_tells_options_from_arguments_of_the_trigger(project: Project) -> None:
    """``max_retries`` and ``timeout`` are options, the rest of the keywords is the trigger's."""
    tasks = project.engine()

    task = tasks.add_task(
        nothing, "interval", "mixed", hours=2, minutes=30, max_retries=5, timeout=12
    )

    assert task.trigger_args == {"hours": 2, "minutes": 30}
    assert (task.max_retries, task.timeout) == (5, 12)
    with pytest.raises(DefinitionError, match=r"trigger_args\.hour: unknown argument, did"):
        tasks.add_task(nothing, "interval", "typo", hour=2)
    with pytest.raises(DefinitionError, match="max_retries: expected a whole number") as caught:
        tasks.add_task(nothing, "interval", "wrong", hours=2, max_retries=-1, timeout=0)
    assert "timeout: expected a number of seconds above 0" in str(caught.value)
    with pytest.raises(TypeError, match="func: expected a function"):
        tasks.add_task("nothing", "interval", "text", hours=2)  # type: ignore[arg-type]


@pytest.mark.item("X14")
@pytest.mark.item("X41")
@pytest.mark.item("X43")
@pytest.mark.item("X45")
def test_config_gives_the_defaults_that_a_definition_leaves_open(project: Project) -> None:
    """``task_timeout`` and ``max_task_retries`` are defaults; what a definition says wins."""
    project.plugin(HEAD + DEFINITIONS)
    project.config(manager={"task_timeout": 45, "max_task_retries": 1})

    tasks = project.start()
    added = tasks.add_task(nothing, "interval", "added", hours=1)

    bare, on = task_of(tasks, "bare"), task_of(tasks, "on")
    assert (bare.timeout, bare.max_retries) == (45, 1)
    assert (added.timeout, added.max_retries) == (45, 1)
    assert (on.timeout, on.max_retries) == (600, 2)
    tasks.shutdown()
    project.config(manager={"task_timeout": 46, "max_task_retries": 0})
    again = task_of(project.start(), "bare")
    assert (again.timeout, again.max_retries) == (46, 0)


@pytest.mark.item("X40")
def test_the_task_beyond_max_tasks_is_refused_at_every_door(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Discovery and ``add_task`` refuse the one too many, by name; the others stay and run."""
    project.plugin(HEAD + DEFINITIONS)
    project.config(manager={"max_tasks": 2})

    tasks = project.start()

    assert [task.id for task in tasks.list_tasks()] == ["off", "on"]
    assert finals(tasks, "on")
    assert "task 'bare' would be number 3, but manager.max_tasks is 2" in caplog.text
    with pytest.raises(TaskLimitError, match="'more' would be number 3"):
        tasks.add_task(nothing, "interval", "more", hours=1)
    tasks.remove_task("off")
    tasks.add_task(nothing, "interval", "more", hours=1)
    assert [task.id for task in tasks.list_tasks()] == ["more", "on"]


@pytest.mark.item("X57")
@pytest.mark.item("X60")
def test_one_id_for_two_functions_is_refused_and_names_both_places(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The first task stays as it is, whatever comes second; ``replace_existing`` opts in."""
    project.plugin(HEAD + DEFINITIONS)
    project.plugin((HEAD + DEFINITIONS).replace('"bare"', '"own"'), "backgroundtask/zzz.py")

    tasks = project.start()

    assert [task.id for task in tasks.list_tasks()] == ["bare", "off", "on", "own"]
    assert task_of(tasks, "on").plugin == "backgroundtask.taskplugins"
    assert (
        "task id 'on' is defined twice: first in backgroundtask/taskplugins.py, "
        "TASK_DEFINITIONS[0], again in backgroundtask/zzz.py, TASK_DEFINITIONS[0]. "
        "Ids are unique across plugins; rename one of them."
    ) in caplog.text
    with pytest.raises(DuplicateTaskError, match="'on' is defined twice"):
        tasks.add_task(nothing, "interval", "on", hours=1)
    tasks.add_task(nothing, "interval", "on", hours=1, replace_existing=True)
    assert task_of(tasks, "on").trigger_args == {"hours": 1}


@pytest.mark.item("X57")
def test_registering_a_function_again_changes_the_task_and_makes_no_second(
    project: Project,
) -> None:
    """The same id with the same function is one task; each occurrence of it runs once."""
    project.plugin(HEAD + DEFINITIONS + SEED_REGISTER)
    tasks = project.start()

    project.module().register_tasks(tasks)
    project.module().register_tasks(tasks)
    runs = finals(tasks, "on", 4)

    assert [task.id for task in tasks.list_tasks()] == ["bare", "off", "on"]
    assert len({run.scheduled_for for run in runs}) == len(runs)
    changed = tasks.add_task(project.module().on, "interval", "on", hours=3, timeout=9)
    assert (changed.name, changed.timeout, changed.trigger_args) == ("Switched On", 9, {"hours": 3})
    assert changed.max_retries == 2


@pytest.mark.item("X48")
def test_one_function_may_stand_under_two_ids(project: Project) -> None:
    """A second id is a second task with a schedule and a history of its own."""
    calls: list[int] = []

    def count() -> None:
        calls.append(len(calls))

    tasks = project.engine()
    tasks.add_task(count, "interval", "one", seconds=0.05)
    tasks.add_task(count, "cron", "two", hour=0, minute=0)
    tasks.start()
    finals(tasks, "one", 2)

    assert tasks.list_runs("two") == []
    assert fire(tasks, "two").state is RunState.COMPLETED
    assert len(calls) >= 3


@pytest.mark.item("X8")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ""}, "id: expected a text of 1 to 200 characters"),
        ({"func": "nothing"}, "func: expected a function, 'def' or 'async def', got 'nothing'"),
        (
            {"trigger": 5},
            f"trigger: expected {EXPECTED['trigger']}, got 5",
        ),
        ({"trigger_args": [1]}, "trigger_args: expected a dict of the trigger's arguments"),
        ({"enabled": "yes"}, "enabled: expected True or False, got 'yes'"),
        ({"max_retries": "3"}, "max_retries: expected a whole number from 0 to 1000, got '3'"),
        ({"timeout": -5}, "timeout: expected a number of seconds above 0"),
        ({"max_instances": 3}, "max_instances: unknown key; write 'overlap' instead"),
        ({"coalesce": True}, "coalesce: unknown key; write 'catch_up' instead"),
        ({"max_retrys": 3}, "max_retrys: unknown key, did you mean 'max_retries'?"),
    ],
)
def test_each_of_the_eight_keys_is_checked(
    project: Project, caplog: pytest.LogCaptureFixture, change: dict[str, Any], said: str
) -> None:
    """A wrong value is named with its place, what was expected and what was found."""
    project.plugin(
        f"""
        def nothing():
            pass

        TASK_DEFINITIONS = [
            {{"id": "t", "name": "T", "func": nothing, "trigger": "interval",
              "trigger_args": {{"hours": 1}}, "enabled": True, "max_retries": 3, "timeout": 5}}
            | {change!r},
        ]
        """
    )

    tasks = project.start()

    assert tasks.list_tasks() == []
    assert f"{PLUGIN}, TASK_DEFINITIONS[0], {said}" in caplog.text


@pytest.mark.item("X4")
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_generator_function_is_refused(project: Project, kind: str) -> None:
    """Calling one runs nothing of its body; such a run would be a success that did no work."""
    project.plugin(f"{kind} steps():\n    yield 1\nTASK_DEFINITIONS = []\n")
    tasks = project.start()

    with pytest.raises(DefinitionError, match="got a generator function: calling it runs nothing"):
        tasks.add_task(project.module().steps, "interval", "steps", hours=1)
