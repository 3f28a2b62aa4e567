"""A project on PostgreSQL, from ``init`` to the start after a kill, by the command line."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.commandline import CommandLine
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server

PLUGIN = """
    import asyncio
    from pathlib import Path

    async def tick():
        return "tock"

    async def slow():
        while Path("hold").exists():
            await asyncio.sleep(0.01)
        return "done"

    TASK_DEFINITIONS = [
        {"id": "tick", "func": tick, "trigger": "interval", "trigger_args": {"seconds": 1}},
        {"id": "slow", "func": slow, "trigger": "interval", "trigger_args": {"hours": 9}},
    ]
"""


def test_a_project_lives_on_postgresql(tmp_path: Path, empty_url: str, postgres: Server) -> None:
    """Init, one line of settings, run, look, order, kill, start again: as on a file."""
    assert CommandLine(tmp_path, made=True).call("init", "shop").code == 0
    shop = CommandLine(tmp_path / "shop", made=True)
    config = json.loads((shop.root / "config.json").read_text(encoding="utf-8"))
    config["database"] = {"url": empty_url.replace("tests@", "tests:hunter2@")}
    shop.write("config.json", json.dumps(config))
    shop.plugin(PLUGIN)
    shop.write("hold", "")

    with shop.run() as container:
        assert any("2 tasks in postgresql://tests:***@127.0.0.1" in line for line in container.out)
        eventually(lambda: _states(shop, "tick").count("completed") >= 2)
        assert shop.call("run-now", "slow").code == 0
        eventually(lambda: _states(shop, "slow") == ["running"])
        statuses = {task["id"]: task["status"] for task in shop.call("list", "--json").json}
        assert statuses["slow"] == "running"
        assert statuses["tick"] in {"scheduled", "running"}
        assert shop.call("pause", "tick").code == 0
        container.end(signal.SIGKILL)
    (shop.root / "hold").unlink()

    with shop.run() as container:
        eventually(lambda: _states(shop, "slow") == ["completed"])
        (run,) = shop.call("runs", "slow", "--json").json
        assert (run["attempt"], run["cause"]) == (2, "manual")
        assert shop.call("resume", "tick").code == 0
        _goes_on(shop)
        postgres.restart()
        _goes_on(shop)
        assert container.end() == 0
    verified = shop.call("verify")
    assert (verified.code, verified.err) == (0, "")
    assert "hunter2" not in "".join((*container.out, *container.err, verified.out))


def test_a_server_that_is_down_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    """Every command says where the database was looked for, and what to do."""
    command = CommandLine(tmp_path)
    command.configure(database={"url": "postgresql://u:hunter2@127.0.0.1:1/d"})
    for words in (("run",), ("list",), ("runs",), ("pause", "a")):
        done = command.call(*words)
        assert (done.code, len(done.complaints)) == (3, 1), done.err
        assert done.err.startswith("taskrack: database postgresql://u:***@127.0.0.1:1/d: ")
        assert "the server cannot be reached; start it, or check host and port" in done.err


def _states(command: CommandLine, task_id: str) -> list[str]:
    return [run["state"] for run in command.call("runs", task_id, "--json").json]


def _goes_on(command: CommandLine) -> None:
    """Wait until one more run of ``tick`` is completed."""

    def newest() -> str:
        (run,) = command.call("runs", "tick", "--limit", "1", "--json").json
        found: str = run["id"] if run["state"] == "completed" else ""
        return found

    before = newest()
    eventually(lambda: newest() not in {before, ""}, 30)
