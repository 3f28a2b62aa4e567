"""What a definition may say: the keys, their kinds, and the words for what is wrong."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import date, datetime
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError
from pydantic.functional_validators import AfterValidator

from configurations.fields import DAY_SECONDS, YEAR_SECONDS, TimeZone, Whole, suggestion
from configurations.masking import shown
from configurations.problems import path_text
from core.definition import innermost, path_of
from core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

_ID: Final = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
_GENERATES: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_encode: Final = json.JSONEncoder(allow_nan=False).encode
PRIORITIES: Final = {"low": -10, "normal": 0, "high": 10}


def _json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    try:
        _encode(value)
    except RecursionError:
        raise ValueError("expected JSON values, got some that nest too deeply") from None
    except (TypeError, ValueError, RuntimeError) as error:
        said = repr(str(error))[1:100]
        raise ValueError(f"expected JSON values, got one that is not ({said})") from None
    return value


def _runs_when_called(func: Callable[..., Any]) -> Callable[..., Any]:
    inner = innermost(func)
    if type(inner) is FunctionType:  # thousands are asked at a start
        generates = bool(inner.__code__.co_flags & _GENERATES)
    else:
        generates = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
    if generates:
        text = "got a generator function: calling it runs nothing, so use 'return', not 'yield'"
        raise ValueError(f"expected {EXPECTED['func']}, {text}")
    try:
        path_of(func).encode()
    except (AttributeError, UnicodeEncodeError):
        text = f"got {shown(func)} without a module and a name to store"
        raise ValueError(f"expected {EXPECTED['func']}, {text}") from None
    return func


Word = Annotated[str, Strict(), StringConstraints(min_length=1, max_length=200)]
Several = Annotated[int, Strict(), Field(ge=1, le=1_000)]
Words = Annotated[list[Word], Field(max_length=100)]
Pause = Annotated[float, Strict(), Field(ge=0, le=DAY_SECONDS, allow_inf_nan=False)]
Instant = Annotated[str, Strict()] | Annotated[datetime, Strict()] | Annotated[date, Strict()]
Seconds = Annotated[float, Strict(), Field(gt=0, le=YEAR_SECONDS, allow_inf_nan=False)]


class RetryModel(BaseModel):
    """How failed attempts are repeated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backoff: (
        Literal["exponential", "linear", "fixed"]
        | Annotated[list[Pause], Field(min_length=1, max_length=100)]
    ) = "exponential"
    delay: Pause = 1
    max_delay: Pause = 60
    jitter: Annotated[bool, Strict()] = True
    retry_on: Words = []
    never_on: Words = []


_RETRY: Final = RetryModel()
"""Frozen, so that thousands of definitions can have the same one."""


class LimitsModel(BaseModel):
    """What an isolated run may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_mb: Annotated[Whole, Field(ge=16, le=1_048_576)] | None = None
    cpu_seconds: Seconds | None = None


class BreakerModel(BaseModel):
    """When a task that fails is left alone, and for how long at first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failures: Annotated[Whole, Field(ge=1, le=1_000)]
    pause: Annotated[Pause, Field(gt=0)]


class DefinitionModel(BaseModel):
    """A task definition as a plugin or a call writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[Word, StringConstraints(pattern=_ID)]
    name: Word | None = None
    func: Annotated[Callable[..., Any], AfterValidator(_runs_when_called)]
    trigger: Annotated[str, Strict()]
    trigger_args: Annotated[dict[Annotated[str, Strict()], Any], Strict()]
    enabled: Annotated[bool, Strict()] = True
    max_retries: Annotated[Whole, Field(ge=0, le=1_000)] | None = None
    timeout: Seconds | None = None
    args: Annotated[list[Any] | tuple[Any, ...], AfterValidator(_json)] = Field(
        default_factory=list
    )
    kwargs: Annotated[dict[Annotated[str, Strict()], Any], Strict(), AfterValidator(_json)] = Field(
        default_factory=dict
    )
    description: Annotated[str, Strict(), StringConstraints(max_length=2_000)] | None = None
    tags: Words = Field(default_factory=list)
    timezone: TimeZone | None = None
    priority: (
        Annotated[int, Strict(), Field(ge=-1_000, le=1_000)] | Literal["low", "normal", "high"]
    ) = 0
    catch_up: Literal["latest", "none", "all"] = "latest"
    misfire_grace_time: Seconds | None = None
    overlap: (
        Literal["skip", "queue", "replace", "allow"]
        | Several
        | Annotated[dict[Literal["queue", "allow"], Several], Field(min_length=1, max_length=1)]
    ) = "skip"
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    retry: RetryModel = Field(default_factory=lambda: _RETRY)
    breaker: BreakerModel | None = None
    dst: Literal["once", "both", "skip"] = "once"
    start: Instant | None = None
    end: Instant | None = None
    max_runs: Annotated[Whole, Field(ge=1, le=1_000_000_000)] | None = None
    jitter: Pause = 0
    exclude: Annotated[dict[Any, Any], Strict()] | Annotated[list[Any], Strict()] = Field(
        default_factory=dict
    )
    run_on_start: Annotated[bool, Strict()] = False
    isolation: Literal["thread", "loop", "process"] | None = None
    limits: LimitsModel = LimitsModel()
    replace_existing: Annotated[bool, Strict()] = False


OPTIONS: Final = frozenset(DefinitionModel.model_fields) - {"id", "func", "trigger", "trigger_args"}
"""The keys that ``add_task`` takes beside the trigger's own arguments."""

_FLAG: Final = "True or False"
MOMENT: Final = "a date and time such as '2026-12-25 00:00', or None"
EXPECTED: Final[Mapping[str, str]] = {
    "id": "a text of 1 to 200 characters without control characters or outer spaces",
    "name": "a text of 1 to 200 characters",
    "func": "a function, 'def' or 'async def'",
    "trigger": "'cron', 'date', 'interval', 'calendar', 'and', 'or', 'except' or a plugin's own",
    "trigger_args": "a dict of the trigger's arguments",
    "enabled": _FLAG,
    "max_retries": "a whole number from 0 to 1000",
    "timeout": "a number of seconds above 0 and at most 31536000, or None for no limit",
    "args": "a list of JSON values",
    "kwargs": "a dict of JSON values",
    "description": "a text of at most 2000 characters",
    "tags": "a list of at most 100 words",
    "timezone": "an IANA time zone such as 'Europe/Berlin'",
    "priority": "a whole number from -1000 to 1000, or 'low', 'normal' or 'high'",
    "catch_up": "'latest', 'none' or 'all'",
    "misfire_grace_time": "a number of seconds above 0 and at most 31536000, or None",
    "overlap": (
        "'skip', 'queue', 'replace', 'allow', a number from 1 to 1000, "
        "or that number as {'queue': 3} or {'allow': 3}"
    ),
    "delivery": "'at_least_once' or 'at_most_once'",
    "retry": "a dict such as {'backoff': 'fixed', 'delay': 5}",
    "retry.backoff": "'exponential', 'linear', 'fixed' or a list of seconds",
    "retry.delay": "a number of seconds from 0 to 86400",
    "retry.max_delay": "a number of seconds from 0 to 86400",
    "retry.jitter": _FLAG,
    "retry.retry_on": "a list of names of exceptions",
    "retry.never_on": "a list of names of exceptions",
    "breaker": "a dict such as {'failures': 5, 'pause': 60}, or None",
    "breaker.failures": "a whole number from 1 to 1000",
    "breaker.pause": "a number of seconds above 0 and at most 86400",
    "dst": "'once', 'both' or 'skip'",
    "start": MOMENT,
    "end": MOMENT,
    "max_runs": "a whole number from 1 to 1000000000, or None for no limit",
    "jitter": "a number of seconds from 0 to 86400",
    "exclude": "a list of dates, or a dict of 'dates', 'holidays' and 'windows'",
    "run_on_start": _FLAG,
    "isolation": "'thread' for 'def', 'loop' for 'async def', 'process' for both, or None",
    "limits": "a dict such as {'memory_mb': 512, 'cpu_seconds': 60}",
    "limits.memory_mb": "a whole number of megabytes from 16 to 1048576, or None for no limit",
    "limits.cpu_seconds": "a number of seconds above 0 and at most 31536000, or None for no limit",
    "replace_existing": _FLAG,
}
"""What each key takes: the words that follow "expected" in a problem."""


_KEYS: Final = frozenset(DefinitionModel.model_fields)
_PLAIN: Final = frozenset({str, int, float, bool, type(None), FunctionType})


def parse_definition(data: Mapping[Any, Any]) -> tuple[DefinitionModel | None, list[Problem]]:
    """Return *data* as a model, or every problem that it has, one a key."""
    odd = [name for name in data if name not in _KEYS and not _is_text(name)]
    if odd:
        return None, [Problem("", f"expected keys that are texts, got {shown(odd[0])}")]
    try:
        return DefinitionModel.model_validate(data), []
    except ValidationError as error:
        return None, problems_of(error, data, DefinitionModel)


def tamed(value: Any, depth: int = 3) -> Any:  # noqa: ANN401 - whatever a plugin holds
    """Return texts, dicts and lists of classes derived from them as plain ones.

    A derived class may do anything when it is read; down to *depth*, its content is copied.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if depth and isinstance(value, dict):
        items = dict.items(value)
        return {
            name if type(name) is str else tamed(name, 0): (
                each if type(each) in _PLAIN else tamed(each, depth - 1)
            )
            for name, each in items
        }
    if depth and isinstance(value, list):
        return [tamed(each, depth - 1) for each in list.__iter__(value)]
    return value


def _is_text(value: object) -> bool:
    """Tell whether *value* is a text that can be stored; lone surrogates cannot."""
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


_INNER: Final[Mapping[str, type[BaseModel]]] = {
    "retry": RetryModel,
    "breaker": BreakerModel,
    "limits": LimitsModel,
}
_ELSEWHERE: Final[Mapping[str, str]] = {
    "max_instances": "'overlap'",
    "coalesce": "'catch_up'",
    "cron": "'trigger': 'cron' and 'trigger_args': {'expression': ...}",
    "schedule": "'trigger' and 'trigger_args'",
}
"""What other schedulers call their keys, and how it is written here."""


def problems_of(
    error: ValidationError, data: Mapping[str, Any], model: type[BaseModel]
) -> list[Problem]:
    """Return what is wrong with *data*, meant for *model*, one problem a key."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail, data, model)
        found.setdefault(problem.where, problem)
    return list(found.values())


def _problem(detail: ErrorDetails, data: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    key, *rest = (str(part) for part in detail["loc"])
    inner = f"{key}.{rest[0]}" if rest else ""
    where = inner if inner in EXPECTED else key
    if detail["type"] == "extra_forbidden":
        known = _INNER.get(key, model) if rest else model
        meant = None if rest else _ELSEWHERE.get(key)
        hint = f"; write {meant} instead" if meant else ""
        hint = hint or suggestion(rest[0] if rest else key, known.model_fields)
        names = ", ".join(sorted(known.model_fields))
        place = path_text((key, *rest[:1]))
        return Problem(place, f"unknown key{hint or f'; known are {names}'}")
    if detail["type"] == "missing":
        return Problem(where, f"missing; expected {EXPECTED[where]}")
    if detail["type"] == "value_error":
        return Problem(where, str(detail.get("ctx", {}).get("error", detail["msg"])))
    value = data[key][rest[0]] if where == inner else data[key]
    return Problem(where, f"expected {EXPECTED[where]}, got {shown(value)}")
