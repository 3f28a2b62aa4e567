"""Every code block of seed 002 runs, unchanged, in a copy of ``examples/reader``.

The seed is read from ``../shared/seeds``; where that folder is absent, all of this is skipped.
What a block takes from its reader (``call_external_api``, ``do_work``, ...) is written above it.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from configurations import Xcorecfg
from core.run import RunState, TaskState
from manager import Manager
from tests.tools import fire, task_of

if TYPE_CHECKING:
    from types import ModuleType

    from manager.schemas.reading import RunRead
    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

REPOSITORY: Final = Path(__file__).parents[2]
SEEDS: Final = Path(__file__).parents[2] / ".." / "shared" / "seeds"
SEED: Final = next(iter(SEEDS.glob("002*")), None)
pytestmark = pytest.mark.skipif(
    SEED is None, reason="the seed documents are not beside this checkout (../shared/seeds)"
)
HEADINGS: Final = [
    "Task Container (`taskplugins.py`)",
    "Interval Trigger",
    "Cron Trigger",
    "Date Trigger",
    "Creating a New Task",
    "Task with Dependencies",
    "Conditional Task Execution",
    "Error Handling and Retries",
    "Configuration",
    "Automatic Registration",
    "Manual Registration",
    "Task Status",
    "Task Logs",
    "1. Always Handle Exceptions",
    "2. Use Timeouts",
    "3. Clean Up Resources",
    "4. Idempotent Tasks",
    "5. Logging",
    "Testing Tasks",
]
"""The headings of the seed that have a block of Python or JSON, in order; one block each."""
DEFINED: Final = """

TASK_DEFINITIONS = [
    {{"id": "{name}", "name": "{name}", "func": {name}, "trigger": "interval",
      "trigger_args": {{"hours": 1}}, "enabled": True, "max_retries": 0, "timeout": 30}},
]
"""
SHIPPED: Final = {
    "cleanup_old_logs": ("Cleanup Old Logs", "cron", {"hour": 0, "minute": 0}, True, 3, 300),
    "send_daily_reports": ("Send Daily Reports", "cron", {"hour": 9, "minute": 0}, True, 2, 600),
    "sync_external_data": ("Sync External Data", "interval", {"hours": 1}, False, 3, 1800),
    "health_check": ("System Health Check", "interval", {"minutes": 5}, True, 1, 30),
}
LOGGED: Final = {
    "cleanup_old_logs": ["Starting log cleanup task", "Log cleanup completed"],
    "send_daily_reports": ["Sending daily reports", "Daily reports sent"],
    "sync_external_data": ["Starting data sync", "Data sync completed"],
    "health_check": [],
}


def blocks() -> list[tuple[str, str]]:
    """Return heading and text of each block of Python or JSON in the seed."""
    lines = [] if SEED is None else SEED.read_text(encoding="utf-8").splitlines(keepends=True)
    found: list[tuple[str, str]] = []
    heading, language, code = "", None, ""
    for line in lines:
        if line.startswith("```") and language is None:
            language, code = line[3:].strip(), ""
        elif line.startswith("```"):
            if language in {"python", "json"}:
                found.append((heading, code))
            language = None
        elif language is not None:
            code += line
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    return found


def block(heading: str) -> str:
    """Return the block under *heading*."""
    return dict(blocks())[heading]


@pytest.fixture
def reader(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Give a copy of the example project with its sample rows and no plugin files."""
    shutil.copytree(REPOSITORY / "examples" / "reader", project.root, dirs_exist_ok=True)
    shutil.rmtree(project.root / "backgroundtask")
    (project.root / "backgroundtask").mkdir()
    monkeypatch.syspath_prepend(str(project.root))
    loaded(project, "fill", "from database.samples import fill\nfill()\n")
    return project


def loaded(project: Project, name: str, code: str) -> ModuleType:
    """Return *code* executed as a module of the project."""
    file = project.write(f"{name}.py", code)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(project: Project, heading: str, name: str, above: str = "") -> TaskManager:
    """Start a container whose plugin file is a block, with the task *name* defined below it."""
    code = f"{above}\n{block(heading)}"
    project.plugin(code if "TASK_DEFINITIONS" in code else code + DEFINED.format(name=name))
    return project.start()


def ran(project: Project, heading: str, name: str, above: str = "") -> RunRead:
    """Run the task *name* of a block in a container, and return the run."""
    return fire(started(project, heading, name, above), name)


def test_the_seed_has_the_blocks_that_are_tested_here() -> None:
    """No block is left out, and each heading has one; each block of Python parses."""
    found = blocks()

    assert [heading for heading, _ in found] == HEADINGS
    for heading, code in found:
        if heading != "Configuration":
            ast.parse(code)


@pytest.mark.item("X1")
@pytest.mark.item("X2")
@pytest.mark.item("X13")
@pytest.mark.item("X15")
def test_the_task_container_runs_as_it_stands(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The four tasks are there as defined, and each runs and says what the seed says."""
    project.plugin(block("Task Container (`taskplugins.py`)"))

    tasks = project.start()

    assert {
        task.id: (
            task.name,
            task.trigger,
            task.trigger_args,
            task.enabled,
            task.max_retries,
            task.timeout,
        )
        for task in tasks.list_tasks()
    } == SHIPPED
    assert task_of(tasks, "sync_external_data").status is TaskState.DISABLED
    for name, said in LOGGED.items():
        assert f"Registered task: {SHIPPED[name][0]}" in caplog.text
        assert fire(tasks, name).state is RunState.COMPLETED
        for line in said:
            assert caplog.text.count(line) == 1


@pytest.mark.item("X18")
@pytest.mark.item("X20")
@pytest.mark.item("X23")
@pytest.mark.item("X24")
@pytest.mark.item("X25")
@pytest.mark.item("X26")
@pytest.mark.item("X29")
def test_the_trigger_blocks_make_tasks(project: Project) -> None:
    """The dicts are taken as they are; the four examples of cron are due as commented."""
    tasks = project.engine()
    found: list[tuple[str, dict[str, Any]]] = []
    for heading in ("Interval Trigger", "Cron Trigger", "Date Trigger"):
        for node in ast.parse(block(heading)).body:
            assert isinstance(node, ast.Expr)
            said = ast.literal_eval(node.value)
            wrapped = said if "trigger" in said else {"trigger": "cron", "trigger_args": said}
            found.append((wrapped["trigger"], wrapped["trigger_args"]))
    for number, (trigger, arguments) in enumerate(found):
        tasks.add_task(asyncio.sleep, trigger, f"t{number}", args=[0], **arguments)
    tasks.start()

    assert [trigger for trigger, _ in found] == ["interval", *["cron"] * 5, "date"]
    due = [task.next_run for task in tasks.list_tasks()]
    assert due.pop() is None
    assert task_of(tasks, "t6").status is TaskState.FINISHED
    assert None not in due
    _, minutely, nine, monday, quarter, second = due
    assert minutely is not None
    assert minutely.second == 0
    assert nine is not None
    assert (nine.hour, nine.minute, nine.second) == (9, 0, 0)
    assert monday is not None
    assert (monday.weekday(), monday.hour, monday.minute) == (0, 9, 0)
    assert quarter is not None
    assert (quarter.minute % 15, quarter.second) == (0, 0)
    assert second is not None
    assert (second.hour % 2, second.minute) == (0, 0)


@pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")
@pytest.mark.item("X30")
@pytest.mark.item("X31")
@pytest.mark.item("X28")
def test_creating_a_new_task(reader: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Of one expired and one valid session the expired one goes; the trigger is every six hours."""
    tasks = started(reader, "Creating a New Task", "cleanup_expired_sessions")

    run = fire(tasks, "cleanup_expired_sessions")

    assert (run.state, run.error) == (RunState.COMPLETED, None)
    assert "Cleaned up 1 expired sessions" in caplog.text
    task = task_of(tasks, "cleanup_expired_sessions")
    assert (task.trigger_args, task.timeout) == ({"hour": "*/6"}, 300)
    assert task.next_run is not None
    assert (task.next_run.hour % 6, task.next_run.minute) == (0, 0)
    left = "from auth.models import UserSession\nfrom database.db import SessionLocal\n"
    left += (
        "with SessionLocal() as db:\n    users = [each.user for each in db.query(UserSession)]\n"
    )
    assert loaded(reader, "left", left).users == ["ben"]


@pytest.mark.item("X33")
@pytest.mark.item("X34")
def test_a_task_with_dependencies(reader: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Each product is in the cache, as its ``to_dict`` says."""
    run = ran(reader, "Task with Dependencies", "refresh_cache_data")

    assert (run.state, run.error) == (RunState.COMPLETED, None)
    assert "Refreshed 2 products in cache" in caplog.text
    kept = asyncio.run(reader.module().cache.get("product:1"))
    assert kept == {"id": 1, "name": "chair", "price": 4900}


@pytest.mark.item("X35")
@pytest.mark.item("X36")
@pytest.mark.parametrize(
    ("premium", "said"),
    [(True, "Running premium task"), (None, "Skipping premium task - not enabled")],
)
def test_conditional_task_execution(
    reader: Project, caplog: pytest.LogCaptureFixture, premium: bool | None, said: str
) -> None:
    """The key of config.json decides; without it the task returns early, and is a success."""
    settings = json.loads((reader.root / "config.json").read_text(encoding="utf-8"))
    if premium is None:
        del settings["premium_features_enabled"]
    reader.write("config.json", json.dumps(settings))

    run = ran(reader, "Conditional Task Execution", "premium_only_task")

    assert run.state is RunState.COMPLETED
    assert said in caplog.text


class Impatient:
    """Stands in for ``asyncio`` in a block: notes how long it would sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.mark.item("X37")
def test_error_handling_and_retries(reader: Project, caplog: pytest.LogCaptureFixture) -> None:
    """A success returns the API's answer; a failing API is called three times."""
    tasks = started(
        reader,
        "Error Handling and Retries",
        "api_sync_task",
        above="from external import call_external_api",
    )
    run = fire(tasks, "api_sync_task")
    assert (run.state, run.result) == (RunState.COMPLETED, {"rates": {"EUR": 1.0, "USD": 1.08}})
    assert "API sync successful" in caplog.text

    (reader.root / "external/answer.json").unlink()
    impatient = Impatient()
    reader.module().asyncio = impatient  # type: ignore[attr-defined]
    run = fire(tasks, "api_sync_task")

    assert (run.state, run.attempt, impatient.slept) == (RunState.FAILED, 1, [5, 5])
    assert run.error is not None
    assert "answer.json" in run.error
    for number in (1, 2, 3):
        assert f"API sync attempt {number} failed: " in caplog.text
    assert "API sync failed after all retries" in caplog.text


@pytest.mark.item("X38")
def test_the_configuration_loads_and_says_the_defaults(project: Project) -> None:
    """``Xcorecfg.from_file`` takes the block; its six values are the defaults."""
    file = project.write("config.json", block("Configuration"))

    config = Xcorecfg.from_file(file)

    asked = json.loads(block("Configuration"))["manager"]
    assert len(asked) == 6
    values = config.manager.model_dump()
    assert {name: values[name] for name in asked} == asked
    assert config.manager == Xcorecfg().manager


@pytest.mark.item("X46")
@pytest.mark.item("X47")
@pytest.mark.item("X51")
def test_automatic_registration_and_the_status_of_the_tasks(
    reader: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """``startup_event`` runs inside a loop; the status block then prints three lines a task."""
    reader.plugin(block("Task Container (`taskplugins.py`)"))
    startup = loaded(reader, "startup", block("Automatic Registration"))

    asyncio.run(startup.startup_event())

    tasks = Manager.task_manager
    assert tasks.health().state == "ok"
    ended = fire(tasks, "cleanup_old_logs")
    capsys.readouterr()
    loaded(reader, "status", block("Task Status"))
    printed = capsys.readouterr().out
    cleanup, health, reports, sync = (task_of(tasks, name) for name in sorted(SHIPPED))
    assert printed == (
        f"cleanup_old_logs: scheduled\n  Last run: {ended.started_at}\n"
        f"  Next run: {cleanup.next_run}\n"
        f"health_check: scheduled\n  Last run: None\n  Next run: {health.next_run}\n"
        f"send_daily_reports: scheduled\n  Last run: None\n  Next run: {reports.next_run}\n"
        "sync_external_data: disabled\n  Last run: None\n  Next run: None\n"
    )
    assert re.search(r"Next run: \d{4}-\d\d-\d\d 00:00:00\+00:00", printed)
    assert sync.next_run is None


@pytest.mark.item("X48")
def test_manual_registration(reader: Project) -> None:
    """A task manager of one's own runs one task, daily at midnight, and no other."""
    reader.plugin(block("Task Container (`taskplugins.py`)"))

    tasks = reader.keep(loaded(reader, "manual", block("Manual Registration")).task_manager)

    assert [task.id for task in tasks.list_tasks()] == ["cleanup_logs"]
    due = task_of(tasks, "cleanup_logs").next_run
    assert due is not None
    assert (due.hour, due.minute, due.second) == (0, 0, 0)
    assert fire(tasks, "cleanup_logs").state is RunState.COMPLETED


@pytest.mark.item("X53")
@pytest.mark.parametrize("works", [True, False])
def test_task_logs(project: Project, caplog: pytest.LogCaptureFixture, works: bool) -> None:
    """A success says its result, a failure its traceback; the run is what it is."""
    body = 'return "42 rows"' if works else 'raise OSError("no rows")'
    run = ran(project, "Task Logs", "monitored_task", f"async def do_work():\n    {body}\n")

    assert run.state is (RunState.COMPLETED if works else RunState.FAILED)
    assert caplog.text.count("Task starting") == 1
    assert caplog.text.count("Task completed: 42 rows") == works
    failed = [record for record in caplog.records if record.getMessage() == "Task failed"]
    assert [record.exc_info is not None for record in failed] == ([] if works else [True])


LOGGER: Final = 'from loggers import get_logger\nlogger = get_logger("backgroundtask")\n'


def test_always_handle_exceptions(project: Project) -> None:
    """The pattern of log and re-raise is a success where nothing is raised."""
    run = ran(project, "1. Always Handle Exceptions", "robust_task", LOGGER)

    assert run.state is RunState.COMPLETED


@pytest.mark.item("X55")
@pytest.mark.parametrize("quick", [True, False])
def test_use_timeouts(project: Project, caplog: pytest.LogCaptureFixture, quick: bool) -> None:
    """``wait_for`` works in a task; a time-out that the task handles is a success."""
    body = "return" if quick else "raise asyncio.TimeoutError"
    above = f"{LOGGER}\nimport asyncio\nasync def long_running_operation():\n    {body}\n"

    run = ran(project, "2. Use Timeouts", "task_with_timeout", above)

    assert run.state is RunState.COMPLETED
    assert caplog.text.count("Task timed out") == (not quick)


@pytest.mark.item("X56")
@pytest.mark.item("X30")
def test_clean_up_resources(reader: Project) -> None:
    """The session of ``database.db`` is closed in the end."""
    above = """
from database.db import SessionLocal as Session

closed = []

class SessionLocal:
    def __init__(self):
        self.session = Session()

    def close(self):
        self.session.close()
        closed.append(True)
"""
    run = ran(reader, "3. Clean Up Resources", "resource_cleanup_task", above)

    assert run.state is RunState.COMPLETED
    assert reader.module().closed == [True]


@pytest.mark.item("X57")
def test_idempotent_tasks(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Run three times, it works once, and is a success three times."""
    above = f"""{LOGGER}
done = []

async def is_already_processed():
    return bool(done)

async def do_processing():
    done.append("processed")

async def mark_as_processed():
    done.append("marked")
"""
    tasks = started(project, "4. Idempotent Tasks", "idempotent_task", above)

    runs = [fire(tasks, "idempotent_task").state for _ in range(3)]

    assert runs == [RunState.COMPLETED] * 3
    assert project.module().done == ["processed", "marked"]
    assert caplog.text.count("Already processed, skipping") == 2


@pytest.mark.item("X58")
def test_logging(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Errors that the task counts do not fail it."""
    above = """
items = [1, 2, 3]

async def process(item):
    if item % 2:
        raise ValueError(f"{item} is odd")
"""
    run = ran(project, "5. Logging", "well_logged_task", above)

    assert run.state is RunState.COMPLETED
    assert "Failed to process 3: 3 is odd" in caplog.text
    assert "Task complete: 1 processed, 2 errors" in caplog.text


@pytest.mark.item("X59")
def test_testing_tasks(project: Project) -> None:
    """The block passes as a test file of pytest, on the shipped tasks, without config.json."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "backgroundtask", project.root / "backgroundtask", ignore=ignore)
    (project.root / "config.json").unlink()
    above = """
import os
from pathlib import Path

LOGS = Path("logs")

def create_test_logs():
    LOGS.mkdir()
    for number in (1, 2, 3):
        file = LOGS / f"app.log.{number}"
        file.write_text("old")
        os.utime(file, (0, 0))

def count_logs():
    return len(list(LOGS.iterdir()))

async def failing_task():
    raise ValueError("it fails")
"""
    project.write("tests/test_tasks.py", above + block("Testing Tasks"))
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_tasks.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project.root,
        env=environment,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
