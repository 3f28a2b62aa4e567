"""config.json, .env and the environment together, on a real disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configurations import (
    DatabaseConfig,
    ManagerConfig,
    Xcorecfg,
    find_config,
    load_config,
)
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
URL = "postgresql://me:hunter2@host/db"
FULL = {
    "$schema": "./schema.json",
    "app_name": "demo",
    "manager": {"max_tasks": 7, "task_timeout": 2.5, "scheduler_job_defaults": {"coalesce": True}},
    "loggers": {"log_level": "debug"},
    "premium_features_enabled": True,
    "web": {"port": 1234},
    "größe": [1, 2.0, None, {"x": "\ud800"}],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one, and drop every variable that could be ours."""
    for name in os.environ:
        if name.upper().startswith(("TASKRACK_", "BACKGROUND_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "config.json"


def write(file: Path, data: object) -> None:
    file.write_text(json.dumps(data), encoding="utf-8")


def refused(file: Path | str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Xcorecfg.from_file(file)
    return str(caught.value)


@pytest.mark.item("X35")
def test_a_file_is_loaded_by_its_name(file: Path) -> None:
    write(file, {"manager": {"max_tasks": 7}})
    config = Xcorecfg.from_file("config.json")
    assert config.manager == ManagerConfig(max_tasks=7)
    assert (config.source, config.folder) == (file, file.parent)


@pytest.mark.item("X35")
def test_a_module_may_load_the_file_while_it_is_imported(folder: Path, file: Path) -> None:
    """As the task plugin of the seed does it, in its third line."""
    write(file, {"premium_features_enabled": True})
    (folder / "taskplugins.py").write_text(
        "from configurations import Xcorecfg\n"
        "config = Xcorecfg.from_file('config.json')\n"
        "print(config.premium_features_enabled, config.absent)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "taskplugins.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("True None\n", "")


@pytest.mark.item("X36")
def test_an_application_key_of_the_file_is_an_attribute(file: Path) -> None:
    write(file, {"premium_features_enabled": True, "web": {"port": 1}})
    config = Xcorecfg.from_file(file)
    assert config.premium_features_enabled is True
    assert config.web == {"port": 1}
    assert not config.another_feature_enabled


def test_a_byte_order_mark_is_skipped(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"debug": true}')
    assert Xcorecfg.from_file(file).debug is True


def test_the_problems_of_a_file_are_told_together(file: Path) -> None:
    write(file, {"manager": {"task_timeout": -5, "max_task": 3}})
    assert refused("config.json") == (
        "config.json has 2 problems:\n"
        "  manager.task_timeout: expected a number of seconds above 0, got -5\n"
        "  manager.max_task: unknown key, did you mean 'max_tasks'?"
    )


def test_problems_of_every_origin_are_told_together(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('{"debug": 1, "x": NaN, "$schema": 3, "manager": {}}', encoding="utf-8")
    file.with_name(".env").write_text("TASKRACK_MANAGER__TASK_WORKERS=none\n", encoding="utf-8")
    monkeypatch.setenv("TASKRACK_MANAGER__MAX_TASKS", "abc")
    monkeypatch.setenv("TASKRACK_PLUGINS", '["a", 5]')
    monkeypatch.setenv("TASKRACK_DATABASE__URL", "postgres:me:hunter2@host")
    monkeypatch.setenv("TASKRACK_MANAGER__MAX_TASK", "3")
    assert refused("config.json") == (
        "config.json has 8 problems:\n"
        "  x: expected a finite number, got NaN\n"
        "  $schema: expected the address of a JSON schema, got 3\n"
        "  debug: expected true or false, got 1\n"
        "  TASKRACK_PLUGINS (environment)[1]: expected a text that is not empty, got 5\n"
        "  TASKRACK_DATABASE__URL (environment): expected a database URL such as "
        "'sqlite:///./taskrack.db' or 'postgresql://user@host/name', got 'postgres:***@host'\n"
        "  TASKRACK_MANAGER__MAX_TASKS (environment): "
        "expected a whole number from 1 to 1000000, got 'abc'\n"
        "  TASKRACK_MANAGER__TASK_WORKERS (.env): "
        "expected a whole number from 1 to 1000, got 'none'\n"
        "  TASKRACK_MANAGER__MAX_TASK (environment): "
        "unknown variable, did you mean 'TASKRACK_MANAGER__MAX_TASKS'?"
    )


def test_a_variable_leaves_a_section_that_is_no_object_to_its_own_problem(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, {"manager": 5})
    monkeypatch.setenv("TASKRACK_MANAGER__MAX_TASKS", "3")
    assert refused("config.json").endswith("manager: expected an object of settings, got 5")


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, {"manager": {"max_tasks": 1, "task_workers": 1, "task_queue_size": 1}})
    file.with_name(".env").write_bytes(
        b"\xef\xbb\xbfTASKRACK_MANAGER__MAX_TASKS=2\ntaskrack_manager__task_workers=2\nBROKEN\n"
    )
    monkeypatch.setenv("TASKRACK_MANAGER__MAX_TASKS", "200")
    monkeypatch.setenv("TASKRACK_LOG_LEVEL", "debug")
    config = Xcorecfg.from_file(file)
    assert (config.manager.max_tasks, config.log_level) == (200, "DEBUG")
    assert (config.manager.task_workers, config.manager.task_queue_size) == (2, 1)
    described = config.describe()
    assert {
        key: described[key].origin
        for key in ("manager.max_tasks", "manager.task_workers", "manager.task_queue_size", "debug")
    } == {
        "manager.max_tasks": "environment TASKRACK_MANAGER__MAX_TASKS",
        "manager.task_workers": ".env",
        "manager.task_queue_size": "config.json",
        "debug": "default",
    }


def test_dotenv_counts_beside_the_file_and_not_in_the_current_folder(folder: Path) -> None:
    (folder / ".env").write_text("TASKRACK_DEBUG=on\n", encoding="utf-8")
    (folder / "etc").mkdir()
    write(folder / "etc" / "config.json", {})
    assert Xcorecfg.from_file("etc/config.json").debug is False
    assert Xcorecfg.from_env().debug is True


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "True"])
def test_the_gates_have_names_without_prefix(
    file: Path, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In .env and in the environment, over the lower-case keys of the file."""
    write(file, {"background_jobs_enabled": False, "background_tasks": False})
    file.with_name(".env").write_text(f"BACKGROUND_TASKS={word}\n", encoding="utf-8")
    monkeypatch.setenv("BACKGROUND_JOBS_ENABLED", word)
    config = Xcorecfg.from_file(file)
    assert (config.background_jobs_enabled, config.background_tasks) == (True, True)
    assert config.describe()["background_jobs_enabled"].origin == (
        "environment BACKGROUND_JOBS_ENABLED"
    )


def test_the_gates_are_keys_of_the_file(file: Path) -> None:
    write(file, {"background_jobs_enabled": False, "background_tasks": True})
    config = Xcorecfg.from_file(file)
    assert (config.background_jobs_enabled, config.background_tasks) == (False, True)


def test_a_broken_gate_is_a_problem_that_names_its_variable(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, {})
    monkeypatch.setenv("BACKGROUND_TASKS", "maybe")
    assert "  BACKGROUND_TASKS (environment): expected true or false, got 'maybe'" in refused(file)


def test_without_a_file_the_environment_alone_is_told_as_the_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASKRACK_MANAGER__SHUTDOWN_GRACE", "-1")
    with pytest.raises(ConfigurationError) as caught:
        Xcorecfg.from_env()
    assert str(caught.value) == (
        "the environment has 1 problem:\n  TASKRACK_MANAGER__SHUTDOWN_GRACE (environment): "
        "expected a number of seconds of at least 0, got -1"
    )


def test_an_unreadable_dotenv_is_a_problem(file: Path) -> None:
    write(file, {})
    file.with_name(".env").write_bytes(b"A=\xff\n")
    assert refused("config.json") == "config.json has 1 problem:\n  .env: is no UTF-8 text (byte 2)"


def test_a_dotenv_that_is_a_folder_is_no_dotenv(file: Path) -> None:
    """Some keep a virtual environment under that name."""
    write(file, {})
    file.with_name(".env").mkdir()
    assert Xcorecfg.from_file(file) == Xcorecfg()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "config.json:1:1: the file is empty; the least that it can hold is {}"),
        (b"[1]", "expected an object in braces, got a list of 1 item"),
        (b'"\xff"', "is no UTF-8 text (byte 1); save it as UTF-8"),
        (b'{"a":' * 100_000, "nests deeper than 100 levels"),
        (
            b'{\n  "a": 1,\n  "debug": yes\n}',
            "config.json:3:12: expected a value, got 'y'",
        ),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(file: Path, content: bytes, problem: str) -> None:
    file.write_bytes(content)
    assert refused("config.json") == f"config.json has 1 problem:\n  {problem}"


def test_a_file_that_is_not_there_is_refused_with_what_to_do() -> None:
    assert refused("missing.json") == (
        "missing.json has 1 problem:\n  there is no such file; 'taskrack init' makes one"
    )


def test_a_folder_is_no_file(folder: Path) -> None:
    (folder / "conf").mkdir()
    assert refused("conf") == "conf has 1 problem:\n  is a folder; name the file in it"


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert "cannot be read: " in refused("a\x00b")
    assert "cannot be read: File name too long" in refused("x" * 5000)
    with pytest.raises(ConfigurationError, match="cannot be read: File name too long"):
        load_config("x" * 5000)


def test_what_is_written_is_read_back_as_an_equal_configuration(folder: Path, file: Path) -> None:
    file.write_text(json.dumps(FULL), encoding="utf-8")
    config = Xcorecfg.from_file(file)
    config.to_file(folder / "copy.json")
    again = Xcorecfg.from_file("copy.json")
    assert again == config
    assert again.application == config.application
    again.to_file("third.json")
    assert (folder / "third.json").read_bytes() == (folder / "copy.json").read_bytes()
    written = json.loads((folder / "copy.json").read_bytes())
    assert next(iter(written)) == "$schema"
    assert written["manager"]["scheduler_job_defaults"] == {"coalesce": True}
    assert "hot_reload" not in written["manager"]


def test_the_defaults_are_written_and_read_back(file: Path) -> None:
    Xcorecfg().to_file(file)
    assert Xcorecfg.from_file(file) == Xcorecfg()
    assert '"task_timeout": 300,' in file.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_a_file_with_a_password_is_for_its_owner_only(folder: Path, file: Path) -> None:
    """The password is in it in clear; a file without one keeps the mode that it had."""
    file.touch()
    file.chmod(0o644)
    Xcorecfg().to_file(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    Xcorecfg(database=DatabaseConfig(url=URL)).to_file(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Xcorecfg.from_file(file).database.url == URL
    assert [entry.name for entry in folder.iterdir()] == ["config.json"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written: No such file or directory"):
        Xcorecfg().to_file(folder / "absent" / "config.json")
    (folder / "conf").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written: Is a directory"):
        Xcorecfg().to_file(folder / "conf")
    assert [entry.name for entry in folder.iterdir()] == ["conf"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_the_file_stays_a_link(folder: Path, file: Path) -> None:
    file.symlink_to(folder / "real.json")
    Xcorecfg(debug=True).to_file(file)
    assert file.is_symlink()
    assert Xcorecfg.from_file(folder / "real.json").debug is True


def test_relative_paths_count_from_the_files_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "etc").mkdir()
    write(folder / "etc" / "config.json", {})
    config = Xcorecfg.from_file("etc/config.json")
    monkeypatch.chdir("/")
    assert config.folder == folder / "etc"
    assert config.database_url == f"sqlite:///{(folder / 'etc' / 'taskrack.db').as_posix()}"
    assert config.resolve(config.loggers.log_file) == folder / "etc" / "logs" / "app.log"


def test_the_explicit_file_counts_before_the_variable_and_that_before_the_folders(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_config() is None
    assert load_config() == Xcorecfg()
    for name in ("config", "other", "explicit"):
        write(folder / f"{name}.json", {"app_name": name})
    assert load_config().app_name == "config"
    monkeypatch.setenv("TASKRACK_CONFIG", "")
    assert load_config().app_name == "config"
    monkeypatch.setenv("TASKRACK_CONFIG", "other.json")
    assert load_config().app_name == "other"
    assert load_config("explicit.json").app_name == "explicit"
    assert find_config(folder / "explicit.json") == folder / "explicit.json"


def test_a_named_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the current folder must not stand in for it."""
    Xcorecfg().to_file("config.json")
    with pytest.raises(ConfigurationError) as explicit:
        find_config("absent.json")
    assert str(explicit.value) == (
        "absent.json has 1 problem:\n  there is no such file; 'taskrack init' makes one"
    )
    monkeypatch.setenv("TASKRACK_CONFIG", "gone.json")
    with pytest.raises(ConfigurationError) as named:
        load_config()
    assert str(named.value) == (
        "gone.json has 1 problem:\n"
        "  TASKRACK_CONFIG (environment): there is no such file; 'taskrack init' makes one"
    )


def test_the_package_imports_neither_dotenv_nor_a_database() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, configurations; print({'dotenv', 'sqlalchemy'} & set(sys.modules))",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


KEYS = st.sampled_from(
    [
        *("database", "manager", "loggers", "plugins", "log_level", "timezone", "$schema"),
        *("url", "max_tasks", "task_timeout", "scheduler_job_defaults", "__fields__", "copy"),
    ],
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(KEYS | st.text(st.characters()), parts, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(data=st.dictionaries(KEYS | st.text(st.characters()), VALUES, max_size=4))
def test_any_json_object_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: Mapping[str, object]
) -> None:
    """Nothing but a ConfigurationError; what loads can be shown and is written back the same."""
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    try:
        config = Xcorecfg.from_file(file)
    except ConfigurationError as error:
        assert "any.json has " in str(error)  # noqa: PT017 - either outcome is right
        return
    assert config.describe()
    assert repr(config)
    config.hints()
    config.to_file(file)
    assert Xcorecfg.from_file(file) == config


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary()
    | st.lists(
        st.sampled_from(["{", "}", "[", "]", ",", ":", '"', "1", "NaN", "\\", "//", '"debug"'])
    ).map(lambda words: "".join(words).encode()),
)
def test_any_bytes_load_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.json"
    file.write_bytes(content)
    try:
        assert Xcorecfg.from_file(file).source == file
    except ConfigurationError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
