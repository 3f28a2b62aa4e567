"""``taskrack run``: what it tells, and how it ends."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from tests.commandline import CommandLine
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path

TICKING = """
    import asyncio
    import threading

    async def tick():
        "Tick."

    def stuck():
        threading.Event().wait()

    async def slow():
        await asyncio.sleep(1)
        return "done"

    def define(name, func, **more):
        base = {"id": name, "func": func, "trigger": "interval", "trigger_args": {"seconds": 1}}
        return base | {"max_retries": 0} | more
"""
OTHERS = {
    "backgroundtask/broken/taskplugins.py": "import json\n\n\ndef task(:\n    pass\n",
    "backgroundtask/raising/taskplugins.py": "raise RuntimeError('at import')\n",
}


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.mark.item("X8")
@pytest.mark.item("X9")
@pytest.mark.item("X60")
def test_a_task_dropped_into_the_folder_runs_after_a_restart_beside_a_broken_plugin(
    command: CommandLine,
) -> None:
    """One file is all it takes; the broken ones are named with file, line and hint."""
    with command.run() as empty:
        assert empty.end() == 0
        assert empty.out[0].startswith("TASK")
        assert empty.out[-1].startswith("0 tasks in sqlite:///")
    for path, text in OTHERS.items():
        command.write(path, text)
    command.plugin(
        f'{TICKING}\n    TASK_DEFINITIONS = [define("mine", tick)]\n',
        "backgroundtask/mine/taskplugins.py",
    )

    with command.run() as container:
        heads = [line for line in container.out if line.startswith("mine  scheduled")]
        eventually(lambda: [line for line in container.err if "mine: completed" in line], 10)
        assert container.end() == 0

    assert len(heads) == 1
    assert re.search(r"\(in [\d.]+ s\) .*every 1 s", heads[0])
    lines = [line for line in container.err if "mine: completed in" in line]
    assert len(lines) == len(command.rows("SELECT 1 FROM runs WHERE state = 'completed'"))
    listed = command.call("list")
    assert "mine  scheduled  completed" in listed.out
    broken = "backgroundtask/broken/taskplugins.py, line 4: SyntaxError: "
    raising = "backgroundtask/raising/taskplugins.py, line 1: RuntimeError: at import. Mend it"
    assert f"plugin backgroundtask.broken.taskplugins failed: {broken}" in listed.out
    assert "Mend the line; 'python -m py_compile FILE' shows it" in listed.out
    assert f"plugin backgroundtask.raising.taskplugins failed: {raising}" in listed.out
    as_json = command.call("list", "--json")
    assert [task["id"] for task in as_json.json] == ["mine"]
    assert broken in as_json.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_container_once_its_running_task_has_ended(
    command: CommandLine, number: signal.Signals
) -> None:
    """The exit code is 0, and the run that was under way is completed, not lost."""
    options = 'run_on_start=True, trigger_args={"hours": 1}'
    command.plugin(f'{TICKING}\n    TASK_DEFINITIONS = [define("slow", slow, {options})]\n')
    with command.run() as container:
        eventually(lambda: command.rows("SELECT 1 FROM runs WHERE state = 'running'"))

        code = container.end(number)

    assert code == 0
    assert container.err[-1].startswith("stopping: ") or "slow: completed" in container.err[-1]
    assert "Traceback" not in "".join(container.err)
    assert command.rows("SELECT state FROM runs") == [("completed",)]
    assert command.rows("SELECT state FROM nodes") == [("stopped",)]


def test_a_second_signal_does_not_wait_for_a_task_that_is_stuck(command: CommandLine) -> None:
    """The grace of 30 seconds is cut short; the exit code is still 0."""
    options = 'run_on_start=True, trigger_args={"hours": 1}'
    command.plugin(f'{TICKING}\n    TASK_DEFINITIONS = [define("stuck", stuck, {options})]\n')
    clock = SystemClock()
    with command.run() as container:
        eventually(lambda: command.rows("SELECT 1 FROM runs WHERE state = 'running'"))
        container.send(signal.SIGINT)
        eventually(lambda: any("stopping" in line for line in container.err))
        before = clock.monotonic()

        code = container.end(signal.SIGINT)

    assert code == 0
    assert clock.monotonic() - before < 8
    assert "Traceback" not in "".join(container.err)


def test_a_task_that_is_stuck_holds_the_container_for_its_grace_only(
    command: CommandLine,
) -> None:
    """``manager.shutdown_grace`` is the longest that one signal waits."""
    command.configure(manager={"shutdown_grace": 1})
    options = 'run_on_start=True, trigger_args={"hours": 1}'
    command.plugin(f'{TICKING}\n    TASK_DEFINITIONS = [define("stuck", stuck, {options})]\n')
    clock = SystemClock()
    with command.run() as container:
        eventually(lambda: command.rows("SELECT 1 FROM runs WHERE state = 'running'"))
        before = clock.monotonic()

        code = container.end()

    assert code == 0
    assert 1 <= clock.monotonic() - before < 10


def test_a_signal_in_the_middle_of_the_start_ends_it_cleanly(command: CommandLine) -> None:
    """Ctrl-C while a plugin is being imported is no fault of the plugin."""
    command.plugin(
        """
        from pathlib import Path
        import threading

        Path("importing").touch()
        threading.Event().wait(2)

        def tick():
            pass

        TASK_DEFINITIONS = [
            {"id": "tick", "func": tick, "trigger": "interval", "trigger_args": {"hours": 1}}
        ]
        """
    )
    process = command.start("run")
    try:
        eventually((command.root / "importing").exists, 30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err


@pytest.mark.item("X60")
def test_log_lines_are_json_where_the_environment_asks_for_it(command: CommandLine) -> None:
    """``LOG_FORMAT=json`` makes each line of the log an object with a time and a message."""
    command.plugin(f'{TICKING}\n    TASK_DEFINITIONS = [define("tick", tick)]\n')
    with command.run(LOG_FORMAT="json") as container:
        eventually(lambda: [line for line in container.err if "tick: completed" in line])
        container.end()

    records = [json.loads(line) for line in container.err if line.startswith("{")]
    (first, *_) = [each for each in records if "tick: completed" in each["message"]]
    assert first["level"] == "INFO"
    assert first["logger"] == "taskrack"
    assert "timestamp" in first


@pytest.mark.item("X60")
def test_a_closed_gate_is_told_at_the_start(command: CommandLine) -> None:
    """With timed occurrences off nothing fires, and the start says so."""
    command.plugin(f'{TICKING}\n    TASK_DEFINITIONS = [define("tick", tick)]\n')
    with command.run(BACKGROUND_JOBS_ENABLED="false") as container:
        eventually(lambda: any("no timed occurrence will fire" in each for each in container.err))
        done = command.call("run-now", "tick", "--wait", "--json")
        assert (done.code, done.json["state"]) == (0, "completed")
        container.end()

    assert command.rows("SELECT cause FROM runs") == [("manual",)]


def test_a_start_with_very_many_tasks_tells_only_how_many(command: CommandLine) -> None:
    """What is due does not wait for a table that nobody reads to its end."""
    command.configure(manager={"max_tasks": 600})
    text = (
        TICKING
        + """
    TASK_DEFINITIONS = [define(f"tick-{number}", tick) for number in range(501)]
    """
    )
    command.write("backgroundtask/taskplugins.py", text)
    with command.run() as many:
        assert many.end() == 0
    (line,) = [each for each in many.out if "tasks in sqlite:///" in each]
    assert line.startswith("501 tasks in sqlite:///")
    assert line.rstrip().endswith("Ctrl-C ends; 'taskrack list' shows them")
    assert "TASK" not in many.out[0]
