"""Isolated tasks in a container: defined, run, timed out, crashed, retried, shut down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.errors import DefinitionError
from core.run import Reason, RunState
from manager.executors.children.kernel import children_of, tree_of
from tests import isolated_tasks
from tests.tools import ended, eventually, fire, task_of

if TYPE_CHECKING:
    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

ROOT: Final = Path(__file__).parents[2]
PLUGIN: Final = """
    import asyncio
    import os
    import signal
    import subprocess
    import sys
    import threading
    from functools import partial
    from pathlib import Path

    from manager import current_run

    class OrderError(LookupError):
        pass

    def where():
        return [os.getpid(), os.getppid()]

    async def where_too():
        await asyncio.sleep(0)
        return [os.getpid(), os.getppid()]

    def once(first, second):
        return first + second

    def fails():
        raise OrderError(f"attempt {current_run().attempt}")

    def deadly():
        os.kill(os.getpid(), signal.SIGSEGV)

    def holds():
        child = [sys.executable, "-c", "import threading; threading.Event().wait(600)"]
        pids = [os.getpid()] + [
            subprocess.Popen(child, start_new_session=own).pid for own in (True, False)
        ]
        Path("part").write_text(" ".join(map(str, pids)))
        Path("part").rename("held")
        try:
            while not current_run().stopping:
                threading.Event().wait(0.01)
            Path("told").touch()
            threading.Event().wait(60)
        finally:
            Path("tidied").touch()

    def task(name, func, **more):
        return {"id": name, "func": func, "trigger": "interval", "trigger_args": {"hours": 24},
                "isolation": "process", "max_retries": 0, **more}

    TASK_DEFINITIONS = [
        task("where", where),
        task("where_too", where_too),
        task("partial", partial(once, 1), args=[2]),
        task("lambda", lambda: "found"),
        task("fails", fails, max_retries=2, retry={"jitter": False, "delay": 0.01,
             "retry_on": ["LookupError"]}),
        task("gives_up", fails, max_retries=2, retry={"jitter": False, "delay": 0.01,
             "never_on": ["OrderError"]}),
        task("deadly", deadly),
        task("deadly_once", deadly, delivery="at_most_once"),
        task("slow", holds, timeout=0.3),
        task("holds", holds),
        task("inside", where, isolation="thread"),
    ]
"""
SCRIPT: Final = """
    import sys
    import threading

    from manager import Manager

    def mine():
        return __name__

    if __name__ == "__main__":
        with Manager("config.json") as manager:
            tasks = manager.task_manager
            tasks.add_task(mine, "interval", "mine", hours=1, isolation="process")
            print(tasks.run_task("mine").id, flush=True)
            tasks.run_task("holds")
            threading.Event().wait(60)
"""


def held(project: Project) -> list[int]:
    """Return the processes of the task that holds, once it does."""
    file = project.root / "held"
    eventually(file.exists, timeout=30)
    return [int(each) for each in file.read_text(encoding="utf-8").split()]


def is_alive(pid: int) -> bool:
    """Tell whether a process exists that is not just waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def none_alive(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


@pytest.fixture
def tasks(project: Project) -> TaskManager:
    """Give a running container with isolated tasks."""
    project.plugin(PLUGIN)
    return project.start()


def test_an_isolated_task_runs_in_a_process_of_its_own(tasks: TaskManager) -> None:
    """Plain functions and coroutines, and whatever a plugin file lists; others stay inside."""
    here = os.getpid()
    for name in ("where", "where_too"):
        worker, supervisor = fire(tasks, name).result
        assert here not in {worker, supervisor}
        assert supervisor in children_of(here)
    assert fire(tasks, "partial").result == 3
    assert fire(tasks, "lambda").result == "found"
    assert fire(tasks, "inside").result[0] == here
    assert task_of(tasks, "where").lane == "process"
    assert task_of(tasks, "where").options["isolation"] == "process"


def test_an_isolated_task_is_retried_by_the_names_of_what_it_raised(tasks: TaskManager) -> None:
    """Also of classes that only its own process has."""
    run = fire(tasks, "fails")
    assert (run.state, run.reason, run.attempt) == (RunState.FAILED, Reason.EXCEPTION, 3)
    assert run.error == "OrderError: attempt 3"
    assert run.traceback is not None
    assert "in fails" in run.traceback
    assert fire(tasks, "gives_up").attempt == 1


def test_a_crash_costs_no_retry_and_is_given_up_in_the_end(tasks: TaskManager) -> None:
    """At least once: again, until the third. At most once: LOST. The signal is named."""
    run = fire(tasks, "deadly")
    assert (run.state, run.reason, run.attempt, run.crashes) == (
        RunState.FAILED,
        Reason.CRASH,
        3,
        3,
    )
    said = "its process was killed by signal 11 (SIGSEGV)"
    assert run.attempts[0].error == said
    assert [each.outcome for each in run.attempts] == ["crash"] * 3
    once = fire(tasks, "deadly_once")
    assert (once.state, once.reason, once.attempt) == (RunState.LOST, Reason.CRASH, 1)
    assert once.error == said


def test_a_time_limit_ends_a_process_with_all_that_it_started(
    tasks: TaskManager, project: Project
) -> None:
    """It hears of it, may tidy up, and leaves nothing; the failure is not called a leak."""
    fire(tasks, "where")
    run = fire(tasks, "slow")
    assert (run.state, run.reason) == (RunState.FAILED, Reason.TIMEOUT)
    assert run.error == "it ran longer than its time limit of 0.3 s"
    assert (project.root / "tidied").exists()
    assert none_alive(held(project))
    assert [pool.leaked for pool in tasks.health().pools] == [(), (), ()]


def test_an_isolated_run_can_be_cancelled(tasks: TaskManager, project: Project) -> None:
    run = tasks.run_task("holds")
    pids = held(project)
    tasks.cancel_run(run.id)
    found = ended(tasks, run.id)
    assert (found.state, found.reason) == (RunState.CANCELLED, Reason.REQUESTED)
    assert none_alive(pids)


def test_a_shutdown_tells_isolated_runs_and_leaves_no_process(
    tasks: TaskManager, project: Project
) -> None:
    """``stopping`` becomes true first; what goes on is ended and given back."""
    run = tasks.run_task("holds")
    pids = held(project)
    (supervisor,) = {pid for pid in children_of(os.getpid()) if pids[0] in tree_of(pid)}
    family = tree_of(supervisor)
    tasks.shutdown(1)
    assert (project.root / "told").exists()
    assert (project.root / "tidied").exists()
    assert none_alive([*pids, *family])
    again = project.engine()
    again.start()
    found = again.get_run(run.id)
    assert found is not None
    assert (found.state, found.reason) == (RunState.PENDING, Reason.INTERRUPTED)


def test_plugins_and_containers_can_isolate_all_of_their_tasks(project: Project) -> None:
    """By config.json; what a definition says itself wins."""
    text = PLUGIN.replace('"isolation": "process", ', "")
    project.plugin(text)
    project.plugin(text.replace('task("', 'task("other_'), "backgroundtask/other/taskplugins.py")
    project.config(manager={"isolated_plugins": ["backgroundtask.other.taskplugins"]})
    tasks = project.start()
    assert task_of(tasks, "where").lane == "thread"
    assert task_of(tasks, "other_where").lane == "process"
    tasks.shutdown(0)
    project.config(manager={"isolation": "process"})
    tasks = project.start()
    assert task_of(tasks, "where").lane == "process"
    assert task_of(tasks, "inside").lane == "thread"


def test_a_task_that_a_call_adds_is_imported_by_its_name(project: Project) -> None:
    """Also while the container runs; what has no such name is refused, with the fix."""
    sys.path.append(str(ROOT))  # the project's fixture puts it back
    tasks = project.engine()
    tasks.start()
    before = set(children_of(os.getpid()))
    tasks.add_task(
        isolated_tasks.gives, "interval", "gives", hours=1, isolation="process", args=[[1]]
    )
    assert fire(tasks, "gives").result == [1]
    assert set(children_of(os.getpid())) - before
    with pytest.raises(DefinitionError, match="move it to the top level of a module"):
        tasks.add_task(lambda: None, "interval", "other", hours=1, isolation="process")


def test_a_container_without_isolated_tasks_starts_no_process(project: Project) -> None:
    project.plugin(PLUGIN.replace('"isolation": "process", ', ""))
    before = set(children_of(os.getpid()))
    tasks = project.start()
    fire(tasks, "where")
    assert set(children_of(os.getpid())) <= before


def test_the_container_s_limits_hold_where_a_definition_has_none(project: Project) -> None:
    """Memory and processor time; the run that exceeded one has crashed."""
    sys.path.append(str(ROOT))  # the project's fixture puts it back
    project.config(manager={"process_memory_mb": 200, "process_cpu_seconds": 0.5})
    tasks = project.engine()
    tasks.start()
    more: dict[str, Any] = {"hours": 1, "isolation": "process", "delivery": "at_most_once"}
    tasks.add_task(isolated_tasks.hogs_memory, "interval", "hogs", args=[1_000], **more)
    tasks.add_task(isolated_tasks.spins, "interval", "spins", **more)
    for name, said in (("hogs", "memory limit of 200 MB"), ("spins", "time limit of 0.5 s")):
        run = fire(tasks, name)
        assert (run.state, run.reason) == (RunState.LOST, Reason.CRASH)
        assert run.error is not None
        assert said in run.error


def test_nothing_survives_the_container(project: Project) -> None:
    """``kill -9`` of it: workers, their children and the supervisor are gone within a second.

    Its script is found again by the processes under another name, and does not start there.
    """
    project.plugin(PLUGIN)
    script = project.write("script.py", SCRIPT)
    container = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        assert container.stdout is not None
        run_id = container.stdout.readline().strip()
        pids = held(project)
        family = tree_of(container.pid)
        assert {*pids} <= {*family}
        assert len(family) >= 5
        reader = project.engine()
        reader.start()
        assert ended(reader, run_id).result == "__mp_main__"
    finally:
        os.kill(container.pid, signal.SIGKILL)
        container.wait(10)
        container.communicate()
    eventually(lambda: none_alive([*pids, *family]), timeout=1)
