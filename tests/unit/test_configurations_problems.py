"""Wrong JSON, wrong values and wrong variables in plain words; and the JSON schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from configurations import BaseConfig, Xcorecfg, json_schema
from configurations.files import parse
from configurations.problems import plain_problems
from configurations.sources import Layer, Place, from_text, overlay
from core.errors import ConfigurationError

FILE = Path("config.json")


def told(data: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Xcorecfg.model_validate(data)
    return [str(problem) for problem in plain_problems(caught.value, Xcorecfg, {})]


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, FILE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value", "text"),
    [
        ("manager", "task_timeout", -5, "expected a number of seconds above 0, got -5"),
        ("manager", "task_timeout", "5", "expected a number of seconds above 0, got '5'"),
        ("manager", "task_timeout", None, "expected a number of seconds above 0, got null"),
        ("manager", "task_timeout", 1e9, "expected at most 31536000 seconds, got 1000000000.0"),
        ("manager", "shutdown_grace", -1, "expected a number of seconds of at least 0, got -1"),
        ("manager", "max_tasks", True, "expected a whole number from 1 to 1000000, got true"),
        ("manager", "max_tasks", 2.5, "expected a whole number from 1 to 1000000, got 2.5"),
        (
            "manager",
            "max_tasks",
            9**999,
            "expected a whole number from 1 to 1000000, got a number of very many digits",
        ),
        ("manager", "scheduler_thread_pool", 0, "expected a whole number from 1 to 1000, got 0"),
        ("manager", "auto_restart_tasks", "yes", "expected true or false, got 'yes'"),
        ("manager", "sync_url", "x", "expected an http or https URL, or null, got 'x'"),
        (
            "manager",
            "tasks_directory",
            "",
            "expected a path, relative to the folder of config.json or absolute, got ''",
        ),
        (
            "manager",
            "scheduler_job_defaults",
            [1],
            'expected an object such as {"coalesce": true}, got a list of 1 item',
        ),
        ("manager", "max_task", 3, "unknown key, did you mean 'max_tasks'?"),
        ("manager", "MaxTasks", 3, "unknown key, did you mean 'max_tasks'?"),
        (
            "database",
            "zzz",
            3,
            "unknown key; known are echo, max_overflow, pool_size, pool_timeout, synchronous, url",
        ),
        ("database", "synchronous", "off", "expected 'full' or 'normal', got 'off'"),
        (
            "database",
            "url",
            "postgres:me:hunter2@host",
            (
                "expected a database URL such as 'sqlite:///./taskrack.db' or "
                "'postgresql://user@host/name', got 'postgres:***@host'"
            ),
        ),
        (
            "database",
            "url",
            {"password": "hunter2"},
            "expected a database URL such as 'sqlite:///./taskrack.db', got an object",
        ),
        (
            "loggers",
            "log_level",
            "warn",
            "expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got 'warn', did you mean 'WARNING'?",
        ),
        (
            "loggers",
            "log_level",
            7,
            "expected DEBUG, INFO, WARNING, ERROR, CRITICAL or null, got 7",
        ),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(
    section: str, key: str, value: object, text: str
) -> None:
    assert told({section: {key: value}}) == [f"{section}.{key}: {text}"]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("app_name", "", "expected a text of 1 to 200 characters, got ''"),
        ("debug", 1, "expected true or false, got 1"),
        ("log_level", None, "expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got null"),
        ("plugins", "a", "expected a list of plugin names such as [\"acme\"], got 'a'"),
        ("database", "redis://:hunter2@h", "expected an object of settings, got 'redis://:***@h'"),
        ("manager", [], "expected an object of settings, got a list of 0 items"),
    ],
)
def test_a_wrong_value_at_the_top_is_told_in_plain_words(
    key: str, value: object, text: str
) -> None:
    assert told({key: value}) == [f"{key}: {text}"]


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("utc ", "UTC"),
    ],
)
def test_a_wrong_time_zone_comes_with_the_right_one(zone: str, meant: str) -> None:
    assert told({"timezone": zone}) == [
        (
            "timezone: expected an IANA time zone such as 'Europe/Berlin', "
            f"got {zone!r}, did you mean {meant!r}?"
        ),
    ]


@pytest.mark.parametrize("zone", ["CEST", "PDT", "BST"])
def test_letters_of_a_summer_time_lead_to_no_zone_without_it(zone: str) -> None:
    """``EST`` has no summer time; who writes ``CEST`` or ``PDT`` does not mean it."""
    (text,) = told({"timezone": zone})
    assert text.endswith(f"got {zone!r}")


@pytest.mark.parametrize("zone", ["", "/etc/passwd", "../UTC", "\x00", "x" * 5000, "Europe"])
def test_a_time_zone_that_is_a_strange_path_is_only_a_wrong_value(zone: str) -> None:
    (text,) = told({"timezone": zone})
    assert text.startswith("timezone: expected an IANA time zone such as 'Europe/Berlin', got ")


def test_an_item_of_a_list_is_named_by_its_index() -> None:
    assert told({"plugins": ["acme", 5]}) == [
        "plugins[1]: expected a text that is not empty, got 5",
    ]


def test_a_long_value_is_cut() -> None:
    (text,) = told({"debug": "x" * 500})
    assert text == f"debug: expected true or false, got '{'x' * 76}..."


def test_an_odd_key_is_quoted() -> None:
    (text,) = told({"manager": {"max\ntasks": 1}})
    assert text == "manager.'max\\ntasks': unknown key, did you mean 'max_tasks'?"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '{\n  "debug": true,\n  "plugins" "x"\n}',
            "config.json:3:13: expected a colon after the key, got '\"'",
        ),
        (
            "{'a': 1}",
            (
                'config.json:1:2: expected a key in double quotes, got "\'"; '
                "JSON puts keys and texts in double quotes, not in single ones"
            ),
        ),
        (
            '{"a": 1\n "b": 2}',
            (
                "config.json:2:2: expected a comma or a closing bracket, got '\"'; "
                "a comma is missing before it"
            ),
        ),
        (
            '{"a": True}',
            "config.json:1:7: expected a value, got 'T'; JSON writes true in lower case",
        ),
        (
            '{"a": /* x */ 1}',
            "config.json:1:7: expected a value, got '/'; JSON has no comments, remove it",
        ),
        (
            "{a: 1}",
            (
                "config.json:1:2: expected a key in double quotes, got 'a'; "
                "put the key in double quotes"
            ),
        ),
        ('{"a": 1} x', "config.json:1:10: expected the end of the file, got 'x'"),
        (
            '{"a": 1',
            "config.json:1:8: expected a comma or a closing bracket, got the end of the file",
        ),
        (
            '{"a": "C:\\x"}',
            (
                "config.json:1:10: expected valid JSON (Invalid \\escape), got '\\\\'; "
                "write a backslash as \\\\"
            ),
        ),
        (" \n", "config.json:2:1: the file is empty; the least that it can hold is {}"),
        ("[]", "expected an object in braces, got a list of 0 items"),
        ('{"a": ' + "9" * 5000 + "}", "holds a number of very many digits"),
        ('{"a": ' * 101 + "1" + "}" * 101, "nests deeper than 100 levels"),
        ("[" * 100_000, "nests deeper than 100 levels"),
    ],
)
def test_broken_json_is_told_with_its_place(text: str, problem: str) -> None:
    assert refused(text) == f"config.json has 1 problem:\n  {problem}"


@pytest.mark.parametrize("text", ['{\n  "a": 1,\n}', '{\n  "a": [1,\n]}'])
def test_a_trailing_comma_is_told_as_such(text: str) -> None:
    """Its column differs between the versions of Python, its line number may."""
    found = refused(text)
    assert re.search(r"\n  config\.json:[23]:\d+: expected ", found)
    assert found.endswith("; remove the trailing comma")


def test_what_the_json_parser_lets_through_is_a_problem() -> None:
    """A key that is there twice loses a value in silence; NaN and 1e999 are no JSON numbers."""
    text = '{"manager": {"max_tasks": 1, "max_tasks": 2}, "x": [NaN, -1e999], "x y": 1, "x y": 2}'
    assert [str(problem) for problem in parse(text, FILE).problems] == [
        "'x y': the key is there twice, remove one",
        "manager.max_tasks: the key is there twice, remove one",
        "x[0]: expected a finite number, got NaN",
        "x[1]: expected a finite number, got -Infinity",
    ]


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("200", int, 200),
        ("-3", int, -3),
        ("2.5", float, 2.5),
        ("300", float, 300),
        *((word, bool, True) for word in ("true", "1", "yes", "on", "TRUE", "On")),
        *((word, bool, False) for word in ("false", "0", "no", "off", "False")),
        ('["a"]', list[str], ["a"]),
        ('{"a": 1}', dict[str, Any], {"a": 1}),
        ("", str | None, None),
        ("null", str | None, None),
        ("x", str | None, "x"),
        ("200", str, "200"),
        ("abc", int, "abc"),
        ("9" * 5000, int, "9" * 5000),
        ("maybe", bool, "maybe"),
        ("[NaN]", list[float], "[NaN]"),
        ("[" * 100_000, list[str], "[" * 100_000),
    ],
)
def test_a_variables_text_becomes_the_value_of_its_key(
    text: str, annotation: object, value: object
) -> None:
    """What fits nothing stays text, and is refused as such."""
    found = from_text(text, annotation)
    assert (type(found), found) == (type(value), value)


def test_a_later_layer_wins_over_the_file_and_over_an_earlier_layer() -> None:
    data = {"debug": False, "manager": {"max_tasks": 1, "task_workers": 9}}
    layers = [
        Layer(".env", {"TASKRACK_MANAGER__MAX_TASKS": "2", "taskrack_debug": "on"}),
        Layer("environment", {"TASKRACK_MANAGER__MAX_TASKS": "3"}),
    ]
    places, problems = overlay(data, layers, Xcorecfg)
    assert problems == []
    assert data == {"debug": True, "manager": {"max_tasks": 3, "task_workers": 9}}
    assert places == {
        ("manager", "max_tasks"): Place("environment", "TASKRACK_MANAGER__MAX_TASKS"),
        ("debug",): Place(".env", "taskrack_debug"),
    }


def test_within_one_layer_the_exact_name_wins() -> None:
    """Upper case over lower case, and the prefixed name of a gate over the bare one."""
    variables = {
        "TASKRACK_BACKGROUND_TASKS": "on",
        "BACKGROUND_TASKS": "off",
        "TASKRACK_LOG_LEVEL": "ERROR",
        "taskrack_log_level": "DEBUG",
    }
    data: dict[str, Any] = {}
    overlay(data, [Layer("environment", variables)], Xcorecfg)
    assert data == {"background_tasks": True, "log_level": "ERROR"}


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        (
            "TASKRACK_MANAGER__MAX_TASK",
            "unknown variable, did you mean 'TASKRACK_MANAGER__MAX_TASKS'?",
        ),
        (
            "TASKRACK_MANAGER__SCHEDULER_JOB_DEFAULTS__COALESCE",
            "unknown variable, did you mean 'TASKRACK_MANAGER__SCHEDULER_JOB_DEFAULTS'?",
        ),
        ("TASKRACK_DATABASE_URL", "unknown variable, did you mean 'TASKRACK_DATABASE__URL'?"),
        ("TASKRACK_LOG_LEVLE", "unknown variable, did you mean 'TASKRACK_LOG_LEVEL'?"),
        (
            "TASKRACK_DATABASE",
            "names a whole section; set its keys one by one, such as TASKRACK_DATABASE__URL",
        ),
    ],
)
def test_a_variable_that_misses_its_key_is_a_problem(variable: str, problem: str) -> None:
    _, problems = overlay({}, [Layer("environment", {variable: "1"})], Xcorecfg)
    assert [str(found) for found in problems] == [f"{variable} (environment): {problem}"]


@pytest.mark.parametrize(
    "variable",
    [
        "TASKRACK_CONFIG",
        "TASKRACK_WEB__PORT",
        "TASKRACK_TEST_POSTGRES",
        "TASKRACK_",
        "DEBUG",
        "PATH",
    ],
)
def test_other_variables_are_left_alone(variable: str) -> None:
    data: dict[str, Any] = {}
    assert overlay(data, [Layer("environment", {variable: "1"})], Xcorecfg) == ({}, [])
    assert data == {}


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is True
    assert schema["properties"]["$schema"]["type"] == "string"
    for name, field in Xcorecfg.model_fields.items():
        assert schema["properties"][name]["description"]
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseConfig):
            part = schema["$defs"][section.__name__]
            assert part["additionalProperties"] is False
            assert set(part["properties"]) == set(section.model_fields)
            assert all(key["description"] for key in part["properties"].values())
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize(
    ("data", "good"),
    [
        ({}, True),
        ({"$schema": "x", "premium": [1], "web": {"port": 1}}, True),
        (Xcorecfg().model_dump(), True),
        ({"log_level": "debug", "loggers": {"log_level": "Warning"}}, True),
        ({"manager": {"max_tasks": 50.0, "sync_url": "https://host/x"}}, True),
        ({"manager": {"shutdown_grace": 0}}, True),
        ({"log_level": "loud"}, False),
        ({"manager": {"task_timeout": 0}}, False),
        ({"manager": {"task_timeout": 10**9}}, False),
        ({"manager": {"shutdown_grace": -1}}, False),
        ({"manager": {"max_tasks": "50"}}, False),
        ({"manager": {"max_tasks": True}}, False),
        ({"manager": {"max_tasks": 0}}, False),
        ({"manager": {"max_task": 1}}, False),
        ({"manager": {"tasks_directory": ""}}, False),
        ({"manager": {"sync_url": "x"}}, False),
        ({"database": {"url": "x.db"}}, False),
        ({"database": {"synchronous": "off"}}, False),
        ({"database": 5}, False),
        ({"plugins": [""]}, False),
        ({"plugins": "a"}, False),
        ({"debug": "yes"}, False),
    ],
)
def test_the_schema_judges_as_the_loader_does(data: dict[str, Any], *, good: bool) -> None:
    """The one schema checker of the development tools stands for an editor's."""
    checker = pytest.importorskip("fastjsonschema")
    check = checker.compile(json_schema())
    if good:
        check(data)
        Xcorecfg.model_validate(data)
        return
    with pytest.raises(checker.JsonSchemaValueException):
        check(data)
    with pytest.raises(ValidationError):
        Xcorecfg.model_validate(data)
