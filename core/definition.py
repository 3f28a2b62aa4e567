"""The frozen description of a task."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from core.breaking import BreakerPolicy
from core.isolation import UNLIMITED, Isolation, ResourceLimits
from core.policy import CatchUp, Delivery, Dst, OverlapPolicy, RetryPolicy
from core.trigger import Limits, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_RETRIES: Final = 3
DEFAULT_TIMEOUT: Final = timedelta(seconds=300)
APPLICATION: Final = "application"
"""Plugin name of tasks that the application adds itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """What a plugin says of one of its tasks.

    Attributes:
        id: Unique across plugins.
        name: What people read.
        func: The function; ``def`` or ``async def``.
        trigger: ``interval``, ``cron`` or ``date``.
        trigger_args: Arguments of the trigger, JSON values.
        enabled: A disabled task is shown and never scheduled.
        max_retries: Retries after the first attempt.
        timeout: Longest time of one attempt; ``None`` is no limit.
        args: Positional arguments of the call, JSON values.
        kwargs: Keyword arguments of the call, JSON values.
        description: The first line of the function's docstring unless given.
        tags: Words to find the task by.
        timezone: IANA name of the zone in which the trigger is meant.
        priority: Higher starts first.
        catch_up: What is made up after down time.
        misfire_grace_time: An occurrence noticed later than this is dropped.
        overlap: What happens while an earlier run is busy.
        delivery: What happens to a run whose process died.
        retry: How failed attempts are repeated.
        breaker: When it is left alone for a while because it fails; ``None`` for never.
        dst: What a fixed local time does where the clock is set.
        start: Nothing is due before it; intervals count from it, itself included.
        end: Nothing is due after it.
        max_runs: Most runs that its schedule starts; those that were skipped do not count.
        jitter: Every occurrence is put off by a part of this that is its own.
        exclude: What is left out of its schedule, JSON values.
        run_on_start: Whether the task also runs once at each start of the container.
        isolation: Where it is called; ``None`` is inside the container, as its function needs it.
        limits: What an isolated run may use.
        plugin: Name of the plugin that offers it.
        source: Where it is written, such as ``backgroundtask/taskplugins.py, TASK_DEFINITIONS[0]``.
        called: Whether a call of ``add_task`` gave it, not a plugin's module.
        given: Names of the options that were written out, not defaulted.
        lane: Which executor runs it: ``process`` if it is isolated, ``loop`` for other coroutine
            functions, else ``thread``.
    """

    id: str
    name: str
    func: Callable[..., Any]
    trigger: str
    trigger_args: Mapping[str, Any]
    enabled: bool = True
    max_retries: int = DEFAULT_RETRIES
    timeout: timedelta | None = DEFAULT_TIMEOUT
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    tags: tuple[str, ...] = ()
    timezone: str = "UTC"
    priority: int = 0
    catch_up: CatchUp = CatchUp.LATEST
    misfire_grace_time: timedelta | None = None
    overlap: OverlapPolicy = field(default_factory=OverlapPolicy)
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy | None = None
    dst: Dst = Dst.ONCE
    start: datetime | None = None
    end: datetime | None = None
    max_runs: int | None = None
    jitter: timedelta = timedelta(0)
    exclude: Mapping[str, Any] = field(default_factory=dict)
    run_on_start: bool = False
    isolation: Isolation | None = None
    limits: ResourceLimits = UNLIMITED
    plugin: str = APPLICATION
    source: str = ""
    called: bool = False
    given: frozenset[str] = frozenset()
    lane: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look once at what kind of function it is: every run asks for it."""
        lane = Isolation.PROCESS if self.is_isolated else lane_of(self.func)
        object.__setattr__(self, "lane", str(lane))

    @property
    def is_isolated(self) -> bool:
        """Whether it is called in a process of its own."""
        return self.isolation is Isolation.PROCESS

    @property
    def func_path(self) -> str:
        """The function's place as ``module:qualified.name``; a label, never a name to import."""
        return path_of(self.func)

    def schedule(self, anchor: datetime) -> Schedule:
        """Return when it is due if it was first registered at *anchor*."""
        limits = Limits(
            start=self.start,
            end=self.end,
            exclude=json.dumps(dict(self.exclude), sort_keys=True) if self.exclude else "",
            jitter=self.jitter,
            salt=self.id if self.jitter else "",
        )
        return Schedule.of(self.trigger, self.trigger_args, self.timezone, anchor, self.dst, limits)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that was written, equal where nothing changed."""
        written = (*_VALUES(self), self.func_path, _policy(self.retry), _policy(self.overlap))
        return hashlib.sha256(_TEXT(written).encode()).hexdigest()

    def amended(self, call: TaskDefinition) -> TaskDefinition:
        """Return this definition with the options that *call* wrote out for the same function."""
        return replace(
            self,
            **{name: getattr(call, name) for name in call.given & DATA_FIELDS},
            given=self.given | call.given,
        )


_IDENTITY: Final = frozenset({"id", "func", "plugin", "source", "called", "given", "lane"})
DATA_FIELDS: Final = frozenset(each.name for each in fields(TaskDefinition)) - _IDENTITY
"""The options of a definition that a later call for the same function may supply."""
_VALUES: Final = attrgetter(*sorted(DATA_FIELDS - {"retry", "overlap"}))
EDITABLE: Final = frozenset(
    {"name", "enabled", "trigger", "trigger_args", "max_retries", "timeout", "priority"},
)
"""The options that an operator may override on a running container."""


def _written(value: object) -> object:
    """Return *value* as JSON can write it, in the same words in every process."""
    if isinstance(value, ResourceLimits | BreakerPolicy):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return dict(value) if isinstance(value, Mapping) else str(value)


_TEXT: Final = json.JSONEncoder(sort_keys=True, default=_written).encode


def _policy(policy: RetryPolicy | OverlapPolicy) -> str:
    """Return *policy* as text; thousands of tasks share a few."""
    try:
        return _policy_text(policy)
    except TypeError:  # made by hand, of parts that can be changed
        return _policy_text.__wrapped__(policy)


@lru_cache(maxsize=256)
def _policy_text(policy: RetryPolicy | OverlapPolicy) -> str:
    return _TEXT({each.name: getattr(policy, each.name) for each in fields(policy)})


def innermost(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside partials."""
    while isinstance(func, partial):
        func = func.func
    return func


def is_coroutine_function(func: Callable[..., Any]) -> bool:
    """Tell whether calling *func* gives a coroutine; looks through partials and ``__call__``."""
    inner = innermost(func)
    if type(inner) is FunctionType and not inner.__dict__:  # thousands are asked at a start
        return bool(inner.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
        getattr(type(inner), "__call__", None),  # noqa: B004 - the method itself is asked
    )


def lane_of(func: Callable[..., Any]) -> Isolation:
    """Return where *func* is called inside the container."""
    return Isolation.LOOP if is_coroutine_function(func) else Isolation.THREAD


def path_of(func: Callable[..., Any]) -> str:
    """Return ``module:qualified.name`` of *func*, its class's for a callable object."""
    inner = innermost(func)
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}:{named.__qualname__}"
