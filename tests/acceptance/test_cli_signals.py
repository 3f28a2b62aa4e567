"""How ``taskrack run`` ends: by one signal, by more of them, and against tasks that never do."""

from __future__ import annotations

import re
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from tests.commandline import CommandLine
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOCK = SystemClock()
PLUGIN = """
    import asyncio
    import re
    import signal
    import threading
    import time
    from pathlib import Path

    def quick():
        pass

    def waits():
        threading.Event().wait(60)

    async def blocks():
        time.sleep(60)

    async def refuses():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

    def spins():
        while True:
            pass

    def keeps_a_thread():
        threading.Thread(target=threading.Event().wait, args=(60,), daemon=False).start()

    def define(name, **more):
        return {"id": name, "func": globals()[name], "trigger": "interval",
                "trigger_args": {"hours": 1}, "run_on_start": True, **more}
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[CommandLine]:
    """Give a command line whose containers hear every signal, also under nohup."""
    heard = {signal.SIGHUP: signal.SIG_DFL, signal.SIGQUIT: signal.SIG_DFL}
    before = {number: signal.signal(number, to) for number, to in heard.items()}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield CommandLine(tmp_path)
    for number, to in before.items():
        signal.signal(number, to)


def defined(command: CommandLine, *names: str) -> None:
    tasks = ", ".join(f'define("{name}")' for name in names)
    command.plugin(f"{PLUGIN}\n    TASK_DEFINITIONS = [{tasks}]\n")


def running(command: CommandLine) -> list[tuple[str]]:
    return command.rows("SELECT task_id FROM runs WHERE state = 'running' ORDER BY task_id")


ALL = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"]


@pytest.mark.parametrize("name", ALL)
def test_each_signal_ends_an_idle_container_at_once_with_code_0(
    command: CommandLine, name: str
) -> None:
    """Nothing is left running, no spool, no traceback, the node is entered as stopped."""
    defined(command, "quick")
    with command.run() as container:
        eventually(lambda: command.rows("SELECT 1 FROM runs WHERE state = 'completed'"))
        begun = CLOCK.monotonic()
        code = container.end(signal.Signals[name])
    assert code == 0
    assert CLOCK.monotonic() - begun < 5
    assert "Traceback" not in "".join(container.err)
    assert command.rows("SELECT state FROM nodes") == [("stopped",)]
    assert list(command.root.glob("*.spool")) == []


@pytest.mark.parametrize("task", ["waits", "blocks", "refuses", "spins"])
def test_a_container_ends_in_time_whatever_its_task_does(command: CommandLine, task: str) -> None:
    """Grace one second, end within five more; the run is given back, not lost and not charged."""
    command.configure(manager={"shutdown_grace": 1})
    defined(command, task, "quick")
    with command.run() as container:
        eventually(lambda: running(command) == [(task,)])
        begun = CLOCK.monotonic()
        code = container.end()
        seconds = CLOCK.monotonic() - begun
    assert code == 0
    assert 1 <= seconds < 6.5
    query = "SELECT state, reason, crashes, interruptions FROM runs WHERE task_id = ?"
    assert command.rows(query, task) == [("pending", "interrupted", 0, 1)]


def test_sigquit_and_a_second_signal_give_no_grace(command: CommandLine) -> None:
    """Within five seconds, although thirty were granted."""
    defined(command, "waits")
    for signals in (["SIGQUIT"], ["SIGTERM", "SIGTERM"], ["SIGHUP", "SIGINT"]):
        with command.run() as container:
            eventually(lambda: any("Ctrl-C" in line for line in container.out))  # it listens
            eventually(lambda: running(command))
            begun = CLOCK.monotonic()
            for name in signals:
                container.send(signal.Signals[name])
                eventually(lambda: any("stopping" in line for line in container.err))
            code = container.wait()
        assert (code, CLOCK.monotonic() - begun < 5.5) == (0, True)


def test_a_third_signal_ends_the_process_at_once(command: CommandLine) -> None:
    """Exit code 75, and a line that says why; the next start decides the run that was cut off."""
    defined(command, "refuses")
    with command.run() as container:
        eventually(lambda: running(command))
        begun = CLOCK.monotonic()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            container.send(number)
            eventually(lambda: any("stopping" in line for line in container.err))
        code = container.wait()
    assert code == 75
    assert CLOCK.monotonic() - begun < 5
    assert "taskrack: a third signal: the process ends now" in "".join(container.err)
    with command.run() as container:
        crashed = "SELECT crashes FROM runs WHERE task_id = 'refuses' AND crashes = 1"
        eventually(lambda: command.rows(crashed))
        container.end(signal.SIGQUIT)


def test_a_process_that_something_holds_is_ended_after_grace_and_five_seconds(
    command: CommandLine,
) -> None:
    """A thread of a task that Python waits for at its exit: code 75, and the ledger is in order."""
    command.configure(manager={"shutdown_grace": 0})
    defined(command, "keeps_a_thread")
    with command.run() as container:
        eventually(lambda: command.rows("SELECT 1 FROM runs WHERE state = 'completed'"))
        begun = CLOCK.monotonic()
        code = container.end()
        seconds = CLOCK.monotonic() - begun
    assert code == 75
    assert 4.5 < seconds < 6.5
    assert "the shutdown has not ended within 5 s of the first signal" in "".join(container.err)
    assert command.rows("SELECT state FROM nodes") == [("stopped",)]


def test_a_process_in_which_no_python_code_runs_is_ended_too(command: CommandLine) -> None:
    """A C call that holds the interpreter for a minute once the shutdown has begun."""
    command.configure(manager={"shutdown_grace": 0})
    command.plugin(
        """
        import ctypes
        import threading
        from manager import current_run

        def holds():
            while not current_run().stopping:
                threading.Event().wait(0.01)
            ctypes.PyDLL(None).sleep(60)

        TASK_DEFINITIONS = [{"id": "holds", "func": holds, "trigger": "interval",
                             "trigger_args": {"hours": 1}, "run_on_start": True}]
        """
    )
    with command.run() as container:
        eventually(lambda: running(command))
        begun = CLOCK.monotonic()
        code = container.end()
        seconds = CLOCK.monotonic() - begun
    assert code == 1
    assert 4.5 < seconds < 7
    assert re.search(r"in holds", "".join(container.err))


@pytest.mark.parametrize("name", ALL)
def test_a_signal_during_a_start_that_hangs_ends_it(command: CommandLine, name: str) -> None:
    """A plugin whose import never ends holds nobody longer than grace and five seconds."""
    command.configure(manager={"shutdown_grace": 0})
    command.plugin(
        """
        from pathlib import Path
        import threading

        Path("importing").touch()
        threading.Event().wait(60)
        """
    )
    process = command.start("run")
    try:
        eventually((command.root / "importing").exists, 30)
        begun = CLOCK.monotonic()
        process.send_signal(signal.Signals[name])
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 75
    assert CLOCK.monotonic() - begun < 6.5
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["SIGTERM", "SIGQUIT"])
def test_a_container_ends_in_time_while_its_ledger_is_locked(
    command: CommandLine, name: str
) -> None:
    """What it has to say is in the spool, and the next start takes it from there."""
    command.configure(manager={"shutdown_grace": 1})
    defined(command, "waits")
    with command.run() as container:
        eventually(lambda: running(command))
        holder = sqlite3.connect(command.root / "ledger.db", isolation_level=None, timeout=30)
        holder.execute("BEGIN EXCLUSIVE")
        begun = CLOCK.monotonic()
        code = container.end(signal.Signals[name])
        seconds = CLOCK.monotonic() - begun
        holder.execute("ROLLBACK")
        holder.close()
    assert (code, seconds < 7.5) == (0, True)
    assert len(list(command.root.glob("ledger.db.*.spool"))) == 1
    listed = command.call("list")
    assert "1 outcome waits in ledger.db." in listed.out
    with command.run() as container:
        query = (
            "SELECT crashes, interruptions FROM runs WHERE task_id = 'waits' ORDER BY id LIMIT 1"
        )
        eventually(lambda: command.rows(query) == [(0, 1)])
        container.end(signal.SIGQUIT)
    assert list(command.root.glob("ledger.db.*.spool")) == []
    assert "waits in" not in command.call("list").out


def test_signals_at_any_moment_of_a_life_end_it_in_order(command: CommandLine) -> None:
    """Twelve containers, each hit at another moment, some twice: none hangs, none shows a trace."""
    defined(command, "quick")
    for number in range(12):
        process = command.start("run")
        threshold, begun = number * 0.15, CLOCK.monotonic()
        eventually(lambda: CLOCK.monotonic() - begun > threshold)  # noqa: B023
        names = [ALL[number % 4]] if number % 2 else [ALL[number % 3], ALL[(number + 1) % 3]]
        sent = CLOCK.monotonic()
        for name in names:
            process.send_signal(signal.Signals[name])
        _, err = process.communicate(timeout=40)
        early = {-signal.Signals[name] for name in ALL} | {130}
        assert process.returncode in {0} | early, err
        assert CLOCK.monotonic() - sent < 10
        if process.returncode == 0:
            assert "Traceback" not in err
    with sqlite3.connect(command.root / "ledger.db") as link:
        assert link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with command.run() as container:
        eventually(lambda: command.rows("SELECT 1 FROM runs WHERE state = 'completed'"))
        assert container.end() == 0
