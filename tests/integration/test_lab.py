"""The test kit: a container in one thread, with time in the test's hands."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import TaskLimitError
from core.run import Cause, Reason, RunState
from manager import current_run
from manager.testing import Lab
from tests import isolated_tasks

if TYPE_CHECKING:
    from pathlib import Path

    from manager.engine import RunContext

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_flaky_task_succeeds_on_its_third_attempt(lab: Lab) -> None:
    """Two failures cost two pauses; the run still counts as one success."""
    calls: list[int] = []

    def flaky() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError

    lab.define("report", flaky, max_retries=3, retry={"jitter": False})
    run = lab.fire("report")
    assert [attempt.number for attempt in run.attempts] == [1, 2, 3]
    assert run.state is RunState.COMPLETED
    assert lab.clock.waits == [SECOND, 2 * SECOND]


def test_three_months_of_a_daily_task_are_ninety_runs(lab: Lab) -> None:
    """Each at its very instant, and in no time."""
    lab.define("report", trigger="cron", trigger_args={"hour": 6})
    lab.advance("3 months")
    lab.assert_ran("report", times=90, state="completed")
    assert all(run.started_at == run.finished_at == run.scheduled_for for run in lab.runs("report"))


def test_a_coroutine_sleeps_in_virtual_time(lab: Lab) -> None:
    """An hour of sleep takes an hour of the lab's clock, to the microsecond."""

    async def work() -> str:
        async with asyncio.timeout(7200):
            await asyncio.sleep(3599.999999)
        await asyncio.gather(asyncio.sleep(0.000001), asyncio.sleep(0))
        return await asyncio.to_thread(lambda: "done")

    lab.define("work", work, timeout=None)
    run = lab.fire("work")
    assert (run.result, run.error) == ("done", None)
    assert run.started_at is not None
    assert run.finished_at == run.started_at + timedelta(hours=1)


def test_a_plain_function_takes_the_time_that_it_is_said_to_take(lab: Lab) -> None:
    """One duration a call; the last one holds for those that follow."""
    lab.define("work", trigger="interval", trigger_args={"hours": 1})
    lab.takes("work", "4 min", "20 s")
    lab.advance("3 h 1 min")
    ends = [
        START + timedelta(hours=1, minutes=4),
        *(START + timedelta(hours=h, seconds=20) for h in (2, 3)),
    ]
    assert [run.finished_at for run in lab.runs("work")] == ends


def test_a_coroutine_says_itself_how_long_it_takes(lab: Lab) -> None:
    """The message tells how."""

    async def work() -> None: ...

    lab.define("work", work)
    with pytest.raises(ValueError, match=r"let it await asyncio.sleep\(\)"):
        lab.takes("work", "1 s")


def test_time_limits_strike_at_their_instant(lab: Lab) -> None:
    """A coroutine is cancelled and cleans up; a function goes on and counts as leaked."""
    cleaned: list[datetime] = []

    async def sleeps() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(lab.now)

    lab.define("loop", sleeps, timeout=10, max_retries=0)
    lab.define("thread", timeout=10, max_retries=0)
    lab.takes("thread", "60 s")
    for name in ("loop", "thread"):
        run = lab.fire(name)
        assert (run.state, run.reason) == (RunState.FAILED, Reason.TIMEOUT)
        assert run.started_at is not None
        assert run.finished_at == run.started_at + 10 * SECOND
    assert cleaned == [START + 10 * SECOND]
    assert [pool.leaked for pool in lab.tasks.health().pools] == [("thread",), (), ()]


def test_isolated_tasks_are_played_in_the_lab(lab: Lab) -> None:
    """Their time limits strike at their instant too, and a process can be killed: none leaks."""
    lab.define("plain", isolated_tasks.gives, isolation="process", timeout=10, max_retries=0)
    lab.define("loop", isolated_tasks.gives_later, isolation="process", args=[3], max_retries=0)
    lab.takes("plain", "60 s", "5 s")
    first, second, third = lab.fire("plain"), lab.fire("plain"), lab.fire("loop")
    assert (first.state, first.reason) == (RunState.FAILED, Reason.TIMEOUT)
    assert first.started_at is not None
    assert first.finished_at == first.started_at + 10 * SECOND
    assert (second.state, third.state, third.result) == (
        RunState.COMPLETED,
        RunState.COMPLETED,
        3,
    )
    assert [pool.leaked for pool in lab.tasks.health().pools] == [(), (), ()]
    assert {task.id: task.lane for task in lab.tasks.list_tasks()} == {
        "plain": "process",
        "loop": "process",
    }
    lab.advance("1 min")
    assert [pool.leaked for pool in lab.tasks.health().pools] == [(), (), ()]


def test_a_run_that_is_cancelled_ends(lab: Lab) -> None:
    """A coroutine at once; a function sees that it is to stop when it looks."""
    seen: list[RunContext] = []

    async def sleeps() -> None:
        await asyncio.sleep(60)

    def looks() -> None:
        run = current_run()
        assert run is not None
        seen.append(run)

    lab.define("loop", sleeps)
    lab.define("thread", looks)
    lab.takes("thread", "30 s")
    runs = [lab.tasks.run_task(name) for name in ("loop", "thread")]
    lab.advance("5 s")
    for run in runs:
        lab.tasks.cancel_run(run.id)
    lab.advance("1 s")
    lab.assert_ran("loop", times=1, state=RunState.CANCELLED)
    assert [(run.task_id, run.attempt, run.stopping) for run in seen] == [("thread", 1, True)]
    lab.advance("1 min")
    lab.assert_ran("thread", times=1, state=RunState.COMPLETED)


def test_everything_happens_in_the_thread_of_the_test(lab: Lab) -> None:
    """Functions, coroutines and what they give to threads."""
    names: set[str] = set()

    def note() -> None:
        names.add(threading.current_thread().name)

    async def notes() -> None:
        note()
        await asyncio.to_thread(note)

    lab.define("thread", note)
    lab.define("loop", notes)
    lab.fire("thread")
    lab.fire("loop")
    assert names == {threading.current_thread().name}


@pytest.mark.asyncio
async def test_a_test_that_is_a_coroutine_can_use_the_lab(lab: Lab) -> None:
    """The lab's loop runs beside the test's own, which stands still meanwhile."""

    async def work() -> int:
        await asyncio.sleep(5)
        return 7

    lab.define("work", work)
    assert lab.fire("work").result == 7
    await asyncio.sleep(0)


def test_tasks_that_wait_for_each_other_go_on_at_the_same_instant(lab: Lab) -> None:
    """What one coroutine sets, another hears in the same moment."""
    opened = asyncio.Event()
    heard: list[datetime] = []

    async def waits() -> None:
        await opened.wait()
        heard.append(lab.now)

    lab.define("waits", waits, "date", {"run_date": "2026-01-01 00:01"})
    lab.define("opens", opened.set, "date", {"run_date": "2026-01-01 00:02"})
    lab.advance("5 min")
    assert heard == [START + timedelta(minutes=2)]


def test_a_task_may_use_the_verbs_of_its_manager(lab: Lab) -> None:
    """A run that a task asks for starts at the same instant."""

    def asks() -> None:
        run = current_run()
        assert run is not None
        run.manager.run_task("other")

    lab.define("asks", asks, "interval", {"hours": 1})
    lab.define("other")
    lab.advance("1 h")
    (run,) = lab.runs("other")
    assert (run.cause, run.state) == (Cause.MANUAL, RunState.COMPLETED)
    assert run.finished_at == START + timedelta(hours=1)


def test_the_same_seed_draws_the_same_pauses() -> None:
    """What is drawn is as repeatable as the rest."""

    def fails() -> None:
        raise OSError

    def waits(seed: int) -> list[timedelta]:
        with Lab(seed=seed) as lab:
            lab.define("t", fails, max_retries=5)
            lab.fire("t")
            return lab.clock.waits

    assert waits(1) == waits(1) != waits(2)


def test_a_lab_has_a_zone_and_a_start(tmp_path: Path) -> None:
    """Local times are meant in its zone, and its ledger may be a file that stays."""
    file = tmp_path / "ledger.db"
    with Lab("2026-03-28 12:00", "Europe/Berlin", ledger=file) as lab:
        lab.define("t", trigger="cron", trigger_args={"hour": 2, "minute": 30})
        lab.advance("2 days")
        lab.assert_ran("t", at=["2026-03-29 03:00", "2026-03-30 02:30"])
        assert str(lab.now) == "2026-03-30 13:00:00+02:00"
    with Lab("2026-03-30 20:00", "Europe/Berlin", ledger=file) as lab:
        lab.assert_ran("t", times=2)


def test_settings_are_as_in_config_json() -> None:
    """Sections over the lab's defaults; the rest of a section stays."""
    config = {"manager": {"task_timeout": 5, "max_task_retries": 0}, "timezone": "Asia/Tokyo"}
    with Lab(config=config) as lab:
        lab.define("t")
        lab.takes("t", "10 s")
        run = lab.fire("t")
        assert (run.reason, run.attempt) == (Reason.TIMEOUT, 1)
        assert str(lab.now.tzinfo) == "Asia/Tokyo"


def test_settings_may_be_those_of_a_config_json(tmp_path: Path) -> None:
    """All but the ledger's place, which is the lab's own."""
    file = tmp_path / "config.json"
    text = '{"timezone": "Asia/Tokyo", "manager": {"max_task_retries": 0, "max_tasks": 1}}'
    file.write_text(text, encoding="utf-8")
    with Lab(config=file) as lab:
        lab.define("t", trigger="cron", trigger_args={"hour": 9})
        with pytest.raises(TaskLimitError):
            lab.define("u")
        lab.advance("1 day")
        lab.assert_ran("t", at=["2026-01-01 09:00"])
        lab.assert_ran("t", at="2026-01-01 09:00")
    assert [each.name for each in tmp_path.iterdir()] == ["config.json"]


def test_a_failed_assertion_tells_what_did_happen(lab: Lab) -> None:
    """Which runs there were, when they were due and how they ended."""

    def fails() -> None:
        raise ConnectionError("no answer")

    lab.define("t", fails, "interval", {"hours": 1}, max_retries=0)
    with pytest.raises(AssertionError, match="It has no runs at all: it was never due"):
        lab.assert_ran("t")
    lab.advance("2 h")
    with pytest.raises(AssertionError) as caught:
        lab.assert_ran("t", times=3)
    assert str(caught.value).splitlines() == [
        "task 't' was expected to run 3 times, did 2 times.",
        "It has 2 runs:",
        "  2026-01-01 01:00:00 UTC failed (schedule, exception) ConnectionError: no answer",
        "  2026-01-01 02:00:00 UTC failed (schedule, exception) ConnectionError: no answer",
    ]
    with pytest.raises(AssertionError, match=r"expected to run at 2026-01-01 01:00:00\."):
        lab.assert_ran("t", at=["2026-01-01 01:00"])
    with pytest.raises(AssertionError, match=r"expected to be completed\."):
        lab.assert_ran("t", state="completed")
    with pytest.raises(AssertionError, match=r"expected to not run\."):
        lab.assert_not_ran("t")


def test_a_run_that_does_not_end_is_told(lab: Lab) -> None:
    """Instead of waiting for ever."""

    async def hangs() -> None:
        await asyncio.Event().wait()

    lab.define("t", hangs, timeout=None)
    with pytest.raises(AssertionError, match=r"(?s)expected to be over within 1 day\..*running"):
        lab.fire("t", within="1 day")


def test_time_that_is_past_is_not_gone_to(lab: Lab) -> None:
    """The message shows the clock."""
    with pytest.raises(ValueError, match="lies in the past: the clock shows 2026-01-01 00:00:00"):
        lab.advance("2025-12-31 23:00")


PLUGIN = """
import rules
from core import hookimpl

seen = []


def work():
    return rules.ANSWER


@hookimpl
def taskrack_run_finished(run):
    seen.append(run.task_id)


TASK_DEFINITIONS = [
    {"id": "own", "name": "Own", "func": work, "trigger": "cron", "trigger_args": {"hour": 1}},
]
"""


@pytest.mark.parametrize("whole", [True, False], ids=["project", "folder"])
def test_own_plugin_files_are_found_by_the_container_itself(
    lab: Lab, tmp_path: Path, *, whole: bool
) -> None:
    """With their hooks and the modules beside them; read again when they change."""
    folder = tmp_path / "jobs_of_mine"
    folder.mkdir()
    (folder / "taskplugins.py").write_text(PLUGIN, encoding="utf-8")
    rules = tmp_path / "rules.py"
    rules.write_text("ANSWER = 1\n", encoding="utf-8")
    config = '{"manager": {"tasks_directory": "jobs_of_mine"}}'
    if whole:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
    lab.load(tmp_path if whole else folder)
    lab.advance("1 day")
    lab.assert_ran("own", at=["2026-01-01 01:00"])
    rules.write_text("ANSWER = 2\n", encoding="utf-8")
    lab.restart()
    lab.advance("1 day")
    assert [run.result for run in lab.runs("own")] == [1, 2]


def test_a_folder_that_is_not_there_is_named(lab: Lab, tmp_path: Path) -> None:
    """The whole path, and what was expected."""
    with pytest.raises(NotADirectoryError, match="expected a project or a folder of plugin files"):
        lab.load(tmp_path / "nowhere")


def test_a_crashed_node_calls_and_writes_nothing_more(lab: Lab) -> None:
    """Its coroutines never go on, and its verbs are those of a container that is not started."""
    went_on: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            went_on.append("cleaned")

    lab.define("t", work, "interval", {"hours": 1}, max_retries=0)
    lab.advance("1 h 10 s")
    lab.crash()
    lab.advance("1 day")
    assert went_on == []
    assert [run.state for run in lab.runs("t")] == [RunState.RUNNING]
    assert not lab.tasks.is_running


def test_a_task_may_kill_its_own_process(lab: Lab) -> None:
    """The run is cut off as by ``kill -9``, and runs again after the restart."""
    kills = [lab.crash]

    def work() -> None:
        if kills:
            kills.pop()()

    lab.define("t", work, "interval", {"hours": 1})
    lab.advance("1 h")
    assert lab.runs("t")[0].state is RunState.RUNNING
    lab.restart()
    lab.advance("1 s")
    (run,) = lab.runs("t")
    assert (run.state, run.crashes) == (RunState.COMPLETED, 1)
