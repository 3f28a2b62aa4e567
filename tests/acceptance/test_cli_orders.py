"""``run-now``, ``pause`` and ``resume``: orders to a container of another process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from tests.commandline import CommandLine, Container
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLUGIN = """
    async def good():
        return 42

    async def bad():
        raise ValueError("no")

    def define(name, func, **more):
        base = {"id": name, "func": func, "trigger": "interval", "trigger_args": {"hours": 1}}
        return base | {"max_retries": 0} | more

    TASK_DEFINITIONS = [
        define("good", good),
        define("bad", bad),
        define("disabled", good, enabled=False),
        define("often", good, trigger_args={"seconds": 0.2}),
    ]
"""
HEARD = 1.5  # seconds: the promised one, and a margin for a busy machine


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[CommandLine, Container]]:
    """Give a container that runs in a process of its own."""
    command = CommandLine(tmp_path_factory.mktemp("orders"))
    command.plugin(PLUGIN)
    with command.run() as container:
        yield command, container
        assert container.end() == 0


@pytest.fixture
def command(running: tuple[CommandLine, Container]) -> CommandLine:
    return running[0]


def seconds_until(condition: Callable[[], object]) -> float:
    clock = SystemClock()
    before = clock.monotonic()
    eventually(condition, 10)
    return clock.monotonic() - before


def runs_of(command: CommandLine, task: str) -> int:
    (count,) = command.rows("SELECT count(*) FROM runs WHERE task_id = ?", task)[0]
    return int(count)


def test_run_now_starts_a_task_of_another_process_within_a_second(command: CommandLine) -> None:
    """The order is a row in the ledger; what the row says is when it was taken up."""
    done = command.call("run-now", "good", "--json")
    assert (done.code, done.err) == (0, "")
    query = "SELECT started_at - created_at FROM runs WHERE id = ? AND state = 'completed'"

    eventually(lambda: command.rows(query, done.json["id"]))

    (micros,) = command.rows(query, done.json["id"])[0]
    assert micros / 1e6 < HEARD
    assert done.json["state"] == "pending"
    assert done.json["cause"] == "manual"


def test_a_waiting_caller_learns_by_the_exit_code_how_the_run_ended(command: CommandLine) -> None:
    """0 for a success, 1 for a failure with its error on standard error."""
    good = command.call("run-now", "good", "--wait")
    bad = command.call("run-now", "bad", "--wait")
    disabled = command.call("run-now", "disabled", "--wait", "--json")

    assert (good.code, good.err) == (0, "")
    assert good.out.startswith("good: run ")
    assert good.out.endswith(" completed\n")
    assert (bad.code, bad.complaints) == (1, ["ValueError: no"])
    assert bad.out.endswith(" failed\n")
    assert (disabled.code, disabled.json["state"], disabled.json["result"]) == (0, "completed", 42)


@pytest.mark.item("X52")
def test_pause_and_resume_take_effect_within_a_second(command: CommandLine) -> None:
    """A paused task starts no more; a resumed one goes on, and makes up nothing."""
    eventually(lambda: runs_of(command, "often") > 1)
    pending = "SELECT 1 FROM runs WHERE task_id = 'often' AND state IN ('pending', 'running')"

    paused = command.call("pause", "often")
    assert (paused.code, paused.out, paused.err) == (0, "often: paused\n", "")
    clock = SystemClock()
    heard = clock.monotonic() + HEARD
    eventually(lambda: clock.monotonic() > heard and not command.rows(pending))
    query = "SELECT count(*) FROM runs WHERE task_id = 'often' AND state = 'completed'"
    before = command.rows(query)
    again = clock.monotonic() + 1
    eventually(lambda: clock.monotonic() > again)
    assert command.rows(query) == before
    assert command.call("show", "often", "--json").json["status"] == "paused"

    resumed = command.call("resume", "often", "--json")

    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.json["paused"] is False
    assert seconds_until(lambda: command.rows(query) > before) < HEARD
    assert command.call("show", "often", "--json").json["status"] in {"scheduled", "running"}


def test_who_looks_while_a_container_runs_is_not_told_that_none_does(
    command: CommandLine,
) -> None:
    """The line about the last known state is for a container that has ended."""
    assert "no container is running" not in command.call("list").out


@pytest.mark.parametrize(
    "verb", ["show", "runs", "run-now", "pause", "resume"], ids=lambda verb: f"{verb} goood"
)
def test_an_unknown_task_is_a_wrong_call_with_the_nearest_id(
    command: CommandLine, verb: str
) -> None:
    """One line on standard error, exit code 2, nothing on standard output."""
    done = command.call(verb, "goood")

    text = "taskrack: no task has the id 'goood', did you mean 'good'? See 'taskrack list'."
    assert (done.code, done.out, done.complaints) == (2, "", [text])


def test_a_wrong_option_is_a_wrong_call(command: CommandLine) -> None:
    """Exit code 2, also for a state that is none."""
    assert command.call("runs", "--limit", "0").code == 2
    assert command.call("runs", "--state", "finished").code == 2
    assert command.call("liist").code == 2


def test_an_order_without_a_container_waits_for_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The caller is told so, and the next container carries it out."""
    command = CommandLine(tmp_path_factory.mktemp("alone"))
    command.plugin(PLUGIN)
    with command.run() as container:
        assert container.end() == 0

    done = command.call("run-now", "good")
    paused = command.call("pause", "bad")

    assert (done.code, paused.code) == (0, 0)
    assert done.complaints == ["no container is running; the run starts when one does"]
    with command.run() as container:
        query = "SELECT 1 FROM runs WHERE task_id = 'good' AND state = 'completed'"
        eventually(lambda: command.rows(query))
        container.end()
    assert command.rows("SELECT paused FROM tasks WHERE id = 'bad'") == [(1,)]
