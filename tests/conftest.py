"""Fixtures that every test may ask for."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from loguru import logger as loguru_logger

from loggers import teardown_logging
from loggers.ownership import OWNED
from manager import set_default_manager
from manager.container import _default
from manager.storage import Database, SqlLedger
from tests.postgres import Server, fresh_database
from tests.tools import Modules, Project, Stderr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OURS = ("TASKRACK_", "BACKGROUND_", "LOG_", "NO_COLOR")


@pytest.fixture
def clean_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give the test a process without settings, plugins, a default container or our sinks."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    loguru_logger.remove()
    OWNED.default_id = loguru_logger.add(Stderr())
    set_default_manager(None)
    modules = Modules(tmp_path)
    yield
    if _default._manager is not None:
        _default._manager.shutdown(0)
    set_default_manager(None)
    modules.restore()
    teardown_logging()
    loguru_logger.remove()
    OWNED.default_id = loguru_logger.add(Stderr())
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give a server of PostgreSQL that has a database ``made`` with a ledger's tables in it."""
    with Server() as server:
        with server.connect() as link:
            link.execute("CREATE DATABASE made")
        ledger = SqlLedger(Database(server.url("made")))
        ledger.open()
        ledger.close()
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """Give the URL of a database on PostgreSQL with an empty ledger in it."""
    with fresh_database(postgres, "made") as url:
        yield url


@pytest.fixture
def empty_url(postgres: Server) -> Iterator[str]:
    """Give the URL of a database on PostgreSQL with nothing in it."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture(params=["memory", "disk", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty ledger, of each kind of database."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture(params=["memory", "postgres"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty ledger, of each kind of database; SQLite's in memory."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return "sqlite://"


@pytest.fixture(params=["disk", "postgres"])
def shared_project(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clean_process: None,
) -> Iterator[Project]:
    """Give an empty project as ``project`` does, on each kind of database that processes share."""
    url = "sqlite:///./ledger.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    monkeypatch.chdir(tmp_path)
    built = Project(tmp_path, url)
    yield built
    built.close()


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_process: None
) -> Iterator[Project]:
    """Give an empty project that is the current folder; its containers are shut down after."""
    monkeypatch.chdir(tmp_path)
    built = Project(tmp_path)
    yield built
    built.close()
