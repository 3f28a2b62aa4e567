"""Settings as objects: defaults, bounds, attributes, and displays without secrets."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

import configurations
from configurations import (
    BaseConfig,
    DatabaseConfig,
    LoggersConfig,
    ManagerConfig,
    Xcorecfg,
    masked_url,
)
from configurations.urls import anchored_url

TOP_DEFAULTS = {
    "app_name": "taskrack",
    "debug": False,
    "log_level": "INFO",
    "timezone": "UTC",
    "background_tasks": False,
    "background_jobs_enabled": True,
    "plugins": [],
}
DATABASE_DEFAULTS = {
    "url": "sqlite:///./taskrack.db",
    "echo": False,
    "pool_size": 5,
    "max_overflow": 10,
    "pool_timeout": 30,
    "synchronous": "full",
}
SEED_DEFAULTS = {
    "tasks_directory": "backgroundtask",
    "max_tasks": 50,
    "task_timeout": 300,
    "auto_restart_tasks": True,
    "max_task_retries": 3,
    "scheduler_thread_pool": 10,
}
MANAGER_DEFAULTS = {
    **SEED_DEFAULTS,
    "task_workers": 4,
    "task_queue_size": 1000,
    "spool_directory": None,
    "retry_budget": 0.2,
    "retry_floor": 60,
    "plugin_breaker": {},
    "shutdown_grace": 30,
    "isolation": None,
    "isolated_plugins": [],
    "process_workers": 4,
    "process_memory_mb": None,
    "process_cpu_seconds": None,
    "process_max_runs": 100,
    "reports_directory": "reports",
    "run_retention_days": 30,
    "log_retention_days": 14,
    "sync_url": None,
    "sync_timeout": 30,
    "health_max_lag": 5.0,
    "health_min_free_disk_mb": 100,
    "plugins_directory": "plugins",
    "auto_enable": True,
    "hot_reload": False,
    "sandboxing": True,
    "max_plugins": 100,
    "scheduler_job_defaults": {},
}
LOGGERS_DEFAULTS = {
    "log_level": None,
    "log_file": "logs/app.log",
    "max_bytes": 10485760,
    "backup_count": 5,
    "enable_colors": True,
    "enable_file": True,
}


def test_the_public_names_are_sorted_and_there() -> None:
    assert sorted(configurations.__all__) == configurations.__all__
    assert all(hasattr(configurations, name) for name in configurations.__all__)


@pytest.mark.item("X38")
def test_the_defaults_are_those_of_the_documents() -> None:
    """Every key of the four sections, and no other."""
    assert Xcorecfg().model_dump() == {
        **TOP_DEFAULTS,
        "database": DATABASE_DEFAULTS,
        "manager": MANAGER_DEFAULTS,
        "loggers": LOGGERS_DEFAULTS,
    }


@pytest.mark.item("X38")
def test_the_manager_block_of_the_seed_is_accepted() -> None:
    assert ManagerConfig.model_validate(SEED_DEFAULTS) == ManagerConfig()


def test_the_defaults_pass_their_own_checks() -> None:
    """Defaults are not validated when they are used, so a test does it."""
    assert Xcorecfg.model_validate(Xcorecfg().model_dump()) == Xcorecfg()


def test_the_defaults_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKRACK_DEBUG", "true")
    assert Xcorecfg().debug is False


def test_settings_are_frozen() -> None:
    config = Xcorecfg()
    with pytest.raises(ValidationError, match="frozen"):
        config.manager.max_tasks = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        config.debug = True  # type: ignore[misc]


@pytest.mark.parametrize("given", ["debug", "Debug", "DEBUG"])
def test_a_log_level_is_read_in_any_case_of_letters(given: str) -> None:
    assert Xcorecfg(log_level=given).log_level == "DEBUG"
    assert LoggersConfig(log_level=given).log_level == "DEBUG"


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        (ManagerConfig, "max_tasks", "abc"),
        (ManagerConfig, "max_tasks", "200"),
        (ManagerConfig, "max_tasks", True),
        (ManagerConfig, "max_tasks", 0),
        (ManagerConfig, "max_tasks", 50.5),
        (ManagerConfig, "task_timeout", 0),
        (ManagerConfig, "task_timeout", True),
        (ManagerConfig, "task_timeout", float("nan")),
        (ManagerConfig, "task_timeout", float("inf")),
        (ManagerConfig, "task_timeout", 10**10),
        (ManagerConfig, "max_task_retries", -1),
        (ManagerConfig, "scheduler_thread_pool", 0),
        (ManagerConfig, "scheduler_thread_pool", 1001),
        (ManagerConfig, "task_workers", 0),
        (ManagerConfig, "task_queue_size", 0),
        (ManagerConfig, "shutdown_grace", -0.1),
        (ManagerConfig, "run_retention_days", 0),
        (ManagerConfig, "log_retention_days", 0),
        (ManagerConfig, "sync_url", "ftp://example.org/x"),
        (ManagerConfig, "sync_timeout", 0),
        (ManagerConfig, "health_max_lag", 0),
        (ManagerConfig, "health_min_free_disk_mb", -1),
        (ManagerConfig, "tasks_directory", ""),
        (ManagerConfig, "tasks_directory", "a\x00b"),
        (ManagerConfig, "auto_restart_tasks", 1),
        (ManagerConfig, "auto_restart_tasks", "true"),
        (ManagerConfig, "scheduler_job_defaults", []),
        (ManagerConfig, "max_plugins", -1),
        (DatabaseConfig, "url", "taskrack.db"),
        (DatabaseConfig, "pool_size", 0),
        (DatabaseConfig, "max_overflow", -1),
        (DatabaseConfig, "pool_timeout", 0),
        (DatabaseConfig, "synchronous", "off"),
        (LoggersConfig, "log_level", "loud"),
        (LoggersConfig, "max_bytes", 0),
        (LoggersConfig, "backup_count", -1),
        (Xcorecfg, "timezone", "Mars/Olympus"),
        (Xcorecfg, "log_level", "loud"),
        (Xcorecfg, "app_name", ""),
        (Xcorecfg, "plugins", "acme"),
        (Xcorecfg, "plugins", [""]),
        (Xcorecfg, "database", "sqlite://"),
    ],
)
def test_a_value_out_of_bounds_is_refused(model: type[BaseConfig], key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({key: value})


def test_the_edges_of_the_bounds_are_allowed() -> None:
    config = ManagerConfig(
        max_tasks=1, scheduler_thread_pool=1000, shutdown_grace=0, task_timeout=0.001
    )
    assert (config.max_tasks, config.scheduler_thread_pool) == (1, 1000)
    assert (config.shutdown_grace, config.task_timeout) == (0, 0.001)
    assert DatabaseConfig(max_overflow=0).max_overflow == 0


def test_a_whole_number_may_be_written_with_a_fraction_of_zero() -> None:
    """JSON knows one kind of number: 50.0 is 50, and 300.0 seconds are shown as 300."""
    config = ManagerConfig.model_validate({"max_tasks": 50.0, "task_timeout": 300.0})
    assert repr((config.max_tasks, config.task_timeout)) == "(50, 300)"


@pytest.mark.item("X36")
def test_an_application_key_is_an_attribute() -> None:
    config = Xcorecfg(premium_features_enabled=True)
    assert config.premium_features_enabled is True
    assert config.application == {"premium_features_enabled": True}


@pytest.mark.item("X36")
def test_a_public_name_that_nobody_set_is_none() -> None:
    assert Xcorecfg().premium_features_enabled is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [("plugin", "plugins"), ("managers", "manager"), ("LOG_LEVEL", "log_level")],
)
def test_a_name_close_to_ours_is_an_attribute_error(name: str, meant: str) -> None:
    """A slip of the pen must not read as None."""
    config = Xcorecfg()
    with pytest.raises(AttributeError) as caught:
        getattr(config, name)
    assert str(caught.value) == f"the configuration has no {name!r}, did you mean {meant!r}?"


def test_an_underscored_name_is_an_attribute_error() -> None:
    """Also one that the application set; protocols probe such names."""
    with pytest.raises(AttributeError, match="_repr_html_"):
        _ = Xcorecfg.model_validate({"_repr_html_": 1})._repr_html_


def test_a_near_miss_that_the_application_set_is_its_own() -> None:
    assert Xcorecfg(plugin="mine").plugin == "mine"


def test_a_copied_and_a_pickled_configuration_equals_its_original() -> None:
    config = Xcorecfg(debug=True, premium=[1])
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):  # noqa: S301
        assert twin == config
        assert twin.premium == [1]


def test_hints_name_keys_that_look_like_mistakes() -> None:
    """They are the application's to use, so they are no problems."""
    config = Xcorecfg.model_validate({"managers": {}, "folder": "x", "premium": True, "_x": 1})
    assert [str(hint) for hint in config.hints()] == [
        "managers: is taken as the application's, did you mean 'manager'?",
        "folder: is hidden by the configuration's own; read config.application['folder']",
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pw@host/db", "postgresql://me:***@host/db"),
        ("postgresql+psycopg://me:p@s:s/w@host/db", "postgresql+psycopg://me:***@host/db"),
        ("amqp://me@x.org:pw@host", "amqp://me@x.org:***@host"),
        ("redis://:pw@host/0", "redis://:***@host/0"),
        (
            "postgresql://host/db?user=me&password=pw&x=1",
            "postgresql://host/db?user=me&password=***&x=1",
        ),
        ("https://host/data?api_key=abc#top", "https://host/data?api_key=***#top"),
        (
            "mssql:///?odbc_connect=UID%3Dme%3BPWD%3Dpw%3B",
            "mssql:///?odbc_connect=UID%3Dme%3BPWD%3D***%3B",
        ),
        ("host=h password=pw user=me", "host=h password=*** user=me"),
        ("postgres:me:pw@host", "postgres:***@host"),
        ("sqlite:///./a@b.db", "sqlite:///./a@b.db"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("sqlite://", "sqlite://"),
        ("", ""),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize("part", ["x", "://:", "a:b", "password ", "token=%3D", "@"])
def test_a_long_text_is_masked_in_no_time(part: str) -> None:
    """A pattern whose time grows with the square of the length would take minutes here."""
    assert masked_url(part * 200_000)


def test_no_display_shows_a_password() -> None:
    """Attributes and model_dump() have it; everything made to be read by people has not."""
    url = "postgresql://me:hunter2@host/db?password=hunter2"
    config = Xcorecfg(
        database=DatabaseConfig(url=url),
        manager=ManagerConfig(sync_url="https://me:hunter2@host/x"),
        api_key="hunter2",
        redis={"url": "redis://:hunter2@host", "password": "hunter2"},
    )
    displays = [
        repr(config),
        str(config),
        repr(config.database),
        str(config.database),
        config.model_dump_json(),
        config.database.model_dump_json(),
        str(config.model_dump(mode="json")),
        str(config.describe()),
    ]
    assert [text for text in displays if "hunter2" in text] == []
    assert config.database.url == config.model_dump()["database"]["url"] == url


def test_a_refused_value_is_not_in_pydantics_error() -> None:
    with pytest.raises(ValidationError) as caught:
        DatabaseConfig.model_validate({"url": "postgres:me:hunter2@host", "pool_size": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_describe_tells_argument_from_default() -> None:
    described = Xcorecfg(debug=True, manager=ManagerConfig(max_tasks=3)).describe()
    assert (described["debug"].value, described["debug"].origin) == (True, "argument")
    assert described["manager.max_tasks"].origin == "argument"
    assert described["manager.task_timeout"].origin == "default"
    assert described["database.url"].value == "sqlite:///./taskrack.db"


@pytest.mark.parametrize(
    ("url", "anchored"),
    [
        ("sqlite:///./taskrack.db", "sqlite:////srv/app/taskrack.db"),
        (
            "sqlite+pysqlite:///data/x.db?timeout=3",
            "sqlite+pysqlite:////srv/app/data/x.db?timeout=3",
        ),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("sqlite:///C:/x.db", "sqlite:///C:/x.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///", "sqlite:///"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:x.db?uri=true", "sqlite:///file:x.db?uri=true"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_a_relative_sqlite_path_counts_from_the_folder(url: str, anchored: str) -> None:
    assert anchored_url(url, Path("/srv/app")) == anchored


def test_relative_paths_of_the_defaults_count_from_the_current_folder() -> None:
    config = Xcorecfg()
    assert (config.source, config.folder) == (None, Path.cwd())
    assert config.resolve("logs") == Path.cwd() / "logs"
    assert config.resolve("/var/log") == Path("/var/log")
    assert config.database_url == f"sqlite:///{Path.cwd().as_posix()}/taskrack.db"
