"""From what a plugin or a call wrote to a frozen definition, or every problem that it has."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from configurations.masking import shown
from core.breaking import BreakerPolicy
from core.definition import APPLICATION, DEFAULT_RETRIES, DEFAULT_TIMEOUT, TaskDefinition
from core.errors import DefinitionError, NotCallableError, Problem
from core.isolation import UNLIMITED, Isolation, ResourceLimits
from core.policy import Backoff, CatchUp, Delivery, Dst, Overlap, OverlapPolicy, RetryPolicy
from manager.schemas.definition import OPTIONS, PRIORITIES, parse_definition, tamed
from manager.task.isolating import IsolationRule
from manager.task.timing import Timing, timing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.trigger import TriggerFactories
    from manager.schemas.definition import DefinitionModel, RetryModel

_WRITTEN: Final = (
    *("id", "name", "func", "trigger", "trigger_args", "enabled", "max_retries", "args", "kwargs"),
    *("description", "tags", "timezone", "priority", "run_on_start"),
    *("start", "end", "max_runs", "exclude"),
)
"""The keys of a ready-made definition that have the form of a written one's."""
_RETRY: Final = RetryPolicy()
_KINDS: Final[Mapping[str, Any]] = {
    "timeout": timedelta | None,
    "misfire_grace_time": timedelta | None,
    "jitter": timedelta,
    "dst": Dst,
    "catch_up": CatchUp,
    "overlap": OverlapPolicy,
    "delivery": Delivery,
    "retry": RetryPolicy,
    "breaker": BreakerPolicy | None,
    "isolation": Isolation | None,
    "limits": ResourceLimits,
}


@dataclass(frozen=True, slots=True)
class Drafter:
    """Makes definitions; what one leaves out comes from here.

    Attributes:
        max_retries: Of ``manager.max_task_retries``.
        timeout: Of ``manager.task_timeout``.
        timezone: Of ``timezone``.
        triggers: Kinds of trigger that plugins offer.
        isolation: Which tasks are isolated that do not say, of ``manager.isolation`` and
            ``manager.isolated_plugins``.
    """

    max_retries: int = DEFAULT_RETRIES
    timeout: timedelta | None = DEFAULT_TIMEOUT
    timezone: str = "UTC"
    triggers: TriggerFactories = field(default_factory=dict)
    isolation: IsolationRule = field(default_factory=IsolationRule)

    def draft(
        self, data: object, *, plugin: str, source: str, called: bool = False, listed: bool = True
    ) -> tuple[TaskDefinition, bool]:
        """Return the definition that *data* writes, and whether it may replace another.

        Args:
            data: A dict of the documented keys, or a ``TaskDefinition``.
            plugin: Who offers it.
            source: Where it is written, for messages.
            called: Whether a call of ``add_task`` gave it.
            listed: Whether another process finds it among what plugin files offer.

        Raises:
            DefinitionError: it does not validate; every problem is named.
        """
        if isinstance(data, TaskDefinition):
            return self._adopted(data, plugin, source, listed=listed), False
        if not isinstance(data, dict):
            text = f"expected a dict of keys such as 'id' and 'func', got {type(data).__name__}"
            raise DefinitionError(source, [Problem("", text)])
        written = tamed(data)
        model, problems = parse_definition(written)
        timing, more = self._timing(written)
        isolation = None
        if model is not None:
            said = None if model.isolation is None else Isolation(model.isolation)
            offered = listed and not called
            rule = self.isolation
            isolation, wrong = rule.applied(said, model.func, plugin, listed=offered)
            problems = [*problems, *wrong]
        if model is None or problems or more:
            seen = {problem.where for problem in problems}
            every = [*problems, *(problem for problem in more if problem.where not in seen)]
            kind = DefinitionError if callable(written.get("func")) else NotCallableError
            raise kind(source, every)
        definition = self._definition(model, timing, isolation, plugin, source, called=called)
        return definition, model.replace_existing

    def draft_call(
        self, func: Callable[..., Any], trigger: str, task_id: str, given: Mapping[str, Any]
    ) -> tuple[TaskDefinition, bool]:
        """Return what a call of ``add_task`` writes: options and trigger arguments mixed.

        Raises:
            DefinitionError: it does not validate; every problem is named.
        """
        options = {name: value for name, value in given.items() if name in OPTIONS}
        arguments = {name: value for name, value in given.items() if name not in OPTIONS}
        nested = arguments.pop("trigger_args", {})
        if isinstance(nested, dict):
            nested = nested | arguments
        data = {"id": task_id, "func": func, "trigger": trigger, "trigger_args": nested}
        frame = sys._getframe(2)  # noqa: SLF001 - the only way to name who called add_task
        place = f"add_task({shown(task_id)}) in {frame.f_code.co_filename}:{frame.f_lineno}"
        plugin = getattr(func, "__module__", None) or APPLICATION
        return self.draft(data | options, plugin=plugin, source=place, called=True)

    def _timing(self, data: Mapping[str, Any]) -> tuple[Timing, list[Problem]]:
        """Return when *data* is due, or what is wrong with what it says of that."""
        zone = data.get("timezone")
        return timing_of(
            data, zone if isinstance(zone, str) and zone else self.timezone, self.triggers
        )

    def _definition(
        self,
        model: DefinitionModel,
        timing: Timing,
        isolation: Isolation | None,
        plugin: str,
        source: str,
        *,
        called: bool,
    ) -> TaskDefinition:
        given = model.model_fields_set
        retries = self.max_retries if model.max_retries is None else model.max_retries
        timeout = self.timeout
        if "timeout" in given:
            timeout = None if model.timeout is None else timedelta(seconds=model.timeout)
        priority = model.priority
        return TaskDefinition(
            id=model.id,
            name=model.name or model.id,
            func=model.func,
            trigger=model.trigger,
            trigger_args=timing.arguments,
            enabled=model.enabled,
            max_retries=retries,
            timeout=timeout,
            args=tuple(model.args),
            kwargs=model.kwargs,
            description=_first_line(model.func) if model.description is None else model.description,
            tags=tuple(model.tags),
            timezone=model.timezone or self.timezone,
            priority=PRIORITIES[priority] if isinstance(priority, str) else priority,
            catch_up=CatchUp(model.catch_up),
            misfire_grace_time=_seconds(model.misfire_grace_time),
            overlap=_overlap(model.overlap),
            delivery=Delivery(model.delivery),
            retry=_retry(model.retry) if "retry" in given else _RETRY,
            breaker=None if model.breaker is None else breaker_of(model.breaker.model_dump()),
            dst=Dst(model.dst),
            start=timing.start,
            end=timing.end,
            max_runs=model.max_runs,
            jitter=timedelta(seconds=model.jitter),
            exclude=timing.exclude,
            run_on_start=model.run_on_start,
            isolation=isolation,
            limits=ResourceLimits(**model.limits.model_dump()) if "limits" in given else UNLIMITED,
            plugin=plugin,
            source=source,
            called=called,
            given=frozenset(given) & OPTIONS | {"trigger", "trigger_args"},
        )

    def _adopted(
        self, definition: TaskDefinition, plugin: str, source: str, *, listed: bool
    ) -> TaskDefinition:
        """Return a ready-made definition, checked where the types do not."""
        written = tamed({name: getattr(definition, name) for name in _WRITTEN})
        timing, problems = self._timing(written)
        problems += parse_definition(written)[1]
        for name, kind in _KINDS.items():
            value = getattr(definition, name)
            if not isinstance(value, kind):
                text = f"expected {getattr(kind, '__name__', kind)}, got {shown(value)}"
                problems.append(Problem(name, text))
        if not callable(definition.func):
            raise NotCallableError(source, problems)
        rule, said = self.isolation, definition.isolation
        isolation, wrong = rule.applied(said, definition.func, plugin, listed=listed)
        problems += wrong
        if problems:
            raise DefinitionError(source, problems)
        return replace(
            definition,
            trigger_args=timing.arguments,
            start=timing.start,
            end=timing.end,
            exclude=timing.exclude,
            isolation=isolation,
            plugin=plugin,
            source=source,
        )


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def breaker_of(form: Mapping[str, Any] | None) -> BreakerPolicy | None:
    """Return the breaker that a definition or a setting asks for, if it does."""
    if not form:
        return None
    return BreakerPolicy(form["failures"], timedelta(seconds=form["pause"]))


def _overlap(value: str | int | dict[Any, int]) -> OverlapPolicy:
    if isinstance(value, int):
        return OverlapPolicy(Overlap.ALLOW, value)
    if isinstance(value, dict):
        ((word, bound),) = value.items()
        queues = word == Overlap.QUEUE
        return OverlapPolicy(Overlap(word), 1 if queues else bound, bound if queues else None)
    mode = Overlap(value)
    return OverlapPolicy(mode, None if mode is Overlap.ALLOW else 1)


def _retry(model: RetryModel) -> RetryPolicy:
    backoff = model.backoff
    listed = backoff if isinstance(backoff, list) else []
    longest = model.max_delay
    if "max_delay" not in model.model_fields_set:  # a longer pause that was written out holds
        longest = max(longest, model.delay, *listed)
    return RetryPolicy(
        backoff=Backoff.LISTED if isinstance(backoff, list) else Backoff(backoff),
        delay=timedelta(seconds=model.delay),
        max_delay=timedelta(seconds=longest),
        jitter=model.jitter,
        delays=tuple(timedelta(seconds=pause) for pause in listed),
        retry_on=frozenset(model.retry_on),
        never_on=frozenset(model.never_on),
    )


def _first_line(func: object) -> str:
    text = getattr(func, "__doc__", None)
    lines = text.strip().splitlines() if isinstance(text, str) else []
    return lines[0][:2_000].encode("utf-8", "replace").decode() if lines else ""
