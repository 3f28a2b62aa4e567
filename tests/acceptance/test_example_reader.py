"""``examples/reader`` works as its README says; needs no seed, no Redis and no network."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy.orm import Session

from core.run import RunState
from tests.tools import eventually, fire

if TYPE_CHECKING:
    from tests.tools import Project

READER: Final = Path(__file__).parents[2] / "examples" / "reader"
FAKE_REDIS: Final = """
class RedisError(Exception):
    pass

store = {}

class Client:
    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    async def set(self, key, text, px=None):
        if "down" in self.url:
            raise RedisError("connection refused")
        store[key] = (text, px)
        return True

    async def get(self, key):
        if "down" in self.url:
            raise RedisError("connection refused")
        return store.get(key, (None, None))[0]

from_url = Client
"""


@pytest.fixture
def reader(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Give a copy of the example as the current folder, importable, with its sample rows."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    shutil.copytree(READER, project.root, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(project.root))
    import_module("database.samples").fill()
    return project


@pytest.mark.item("X30")
@pytest.mark.item("X33")
@pytest.mark.item("X34")
@pytest.mark.item("X36")
@pytest.mark.item("X37")
def test_the_four_tasks_run(reader: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Database, cache, configuration and API: each task completes and says what it did."""
    tasks = reader.start()

    results = {task.id: fire(tasks, task.id) for task in tasks.list_tasks()}

    assert {name: (run.state, run.result) for name, run in results.items()} == {
        "api_sync_task": (RunState.COMPLETED, {"rates": {"EUR": 1.0, "USD": 1.08}}),
        "cleanup_expired_sessions": (RunState.COMPLETED, 1),
        "premium_only_task": (RunState.COMPLETED, None),
        "refresh_cache_data": (RunState.COMPLETED, 2),
    }
    for said in (
        "API sync successful",
        "Cleaned up 1 expired sessions",
        "Running premium task",
        "Refreshed 2 products in cache",
    ):
        assert caplog.text.count(said) == 1
    assert {plugin.state for plugin in tasks.list_plugins()} == {"loaded"}


@pytest.mark.item("X30")
def test_the_session_is_sqlalchemys(reader: Project) -> None:
    """``SessionLocal()`` queries, deletes, commits and closes."""
    session = import_module("database.db").SessionLocal()
    user_session = import_module("auth.models").UserSession

    assert isinstance(session, Session)
    for each in session.query(user_session).all():
        session.delete(each)
    session.commit()
    assert session.query(user_session).count() == 0
    session.close()


@pytest.mark.item("X33")
@pytest.mark.parametrize("url", [None, "redis://up", "redis://down"])
@pytest.mark.parametrize("installed", [True, False])
def test_the_cache_keeps_values_with_and_without_redis(
    reader: Project, monkeypatch: pytest.MonkeyPatch, url: str | None, installed: bool
) -> None:
    """Values come back until their time is up, wherever they are kept."""
    if url is not None:
        monkeypatch.setenv("REDIS_URL", url)
    if installed:
        reader.write("redis/__init__.py", "")
        reader.write("redis/asyncio.py", FAKE_REDIS)
    else:
        monkeypatch.setitem(sys.modules, "redis", None)
        monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    cache = import_module("cache").CacheManager()

    async def play() -> list[Any]:
        await cache.set("kept", {"a": [1]}, ttl=3600)
        await cache.set("forever", "x")
        await cache.set("over", "x", ttl=0)
        return [await cache.get(key) for key in ("kept", "forever", "none")]

    assert asyncio.run(play()) == [{"a": [1]}, "x", None]
    if installed and url == "redis://up":
        stored = import_module("redis.asyncio").store
        assert stored["kept"] == ('{"a": [1]}', 3_600_000)
    else:
        assert asyncio.run(cache.get("over")) is None


def test_the_commands_of_the_readme_work(reader: Project) -> None:
    """Each line of its block succeeds; the task that it runs is in the history."""
    (commands,) = re.findall(r"```sh\n(.*?)```", (READER / "README.md").read_text(), re.DOTALL)
    lines = commands.splitlines()
    assert "taskrack run" in lines

    def call(line: str) -> list[str]:
        program, *rest = line.split()
        module = ["-m", "manager"] if program == "taskrack" else []
        return [sys.executable, *module, *rest]

    def said(line: str) -> str:
        done = subprocess.run(call(line), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    background: list[subprocess.Popen[bytes]] = []
    try:
        for line in lines:
            if line == "taskrack run":
                with Path("run.log").open("wb") as log:
                    background.append(subprocess.Popen(call(line), stderr=log, stdout=log))
                eventually(lambda: '"premium_only_task"' in said("taskrack list --json"), 30)
            else:
                said(line)
        show = "taskrack runs cleanup_expired_sessions --json"
        eventually(lambda: '"completed"' in said(show), timeout=30)
    finally:
        for process in background:
            process.terminate()
            process.wait(30)
    assert [process.returncode for process in background] == [0]
