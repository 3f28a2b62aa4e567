"""What is read of tasks, runs, nodes and plugins; keys are stable, new ones may be added."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json, to_jsonable_python

from core.policy import Dst
from core.run import Cause, Reason, RunState, TaskState
from core.trigger import Limits, Schedule

_put = object.__setattr__


class ReadModel(BaseModel):
    """Base of what is read: frozen, and built from rows that the ledger vouches for.

    Dicts inside are read-only too: what was read before may share them.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def vouched(cls, row: dict[str, Any], fields: set[str]) -> Self:
        """Return a model over *row*, which holds every one of *fields* and is not checked.

        It sets what ``model_construct`` sets, and looks at no field by itself.
        """
        made = cls.__new__(cls)
        _put(made, "__dict__", row)
        _put(made, "__pydantic_fields_set__", fields)
        _put(made, "__pydantic_extra__", None)
        _put(made, "__pydantic_private__", None)
        return made


class ReadOnly(dict[str, Any]):
    """A dict that refuses to be changed, because what was read at other times may share it.

    ``copy()``, ``dict(...)`` and ``|`` give one that can be.
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "what is read cannot be changed; take a copy, or change the task with update_task()"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return type(self), (dict(self),)


def as_json(value: object, indent: int | None = None) -> bytes:
    """Return *value*, which may hold what is read, as JSON in UTF-8."""
    try:
        return to_json(value, indent=indent, inf_nan_mode="null")
    except ValueError:  # a lone surrogate, legal in JSON as an escape only
        return json.dumps(to_jsonable_python(value, inf_nan_mode="null"), indent=indent).encode()


class TaskRead(ReadModel):
    """A task as it stands.

    Attributes:
        status: What it does at the moment.
        last_status: Final state of its last run.
        last_run: When its last run started.
        next_run: When it is due next.
        timeout: Seconds; ``None`` is no limit.
        lane: Which executor runs it: ``thread`` or ``loop``.
        overrides: What an operator set, by option: the value, and what the definition said then.
        completed: How many runs completed.
        failed: How many runs failed.
        quarantined: Whether nothing of it starts, because it crashed again and again.
        crashes: How often its process died with no completed run between.
        options: The other options of the definition, in their JSON form.
    """

    id: str
    name: str
    plugin: str
    source: str
    description: str
    tags: tuple[str, ...]
    func_path: str
    status: TaskState
    last_status: RunState | None
    last_run: datetime | None
    next_run: datetime | None
    trigger: str
    trigger_args: dict[str, Any]
    timezone: str
    enabled: bool
    paused: bool
    max_retries: int
    timeout: float | None
    lane: str
    priority: int
    completed: int
    failed: int
    quarantined: bool
    crashes: int
    overrides: dict[str, Any]
    options: dict[str, Any]

    @property
    def subjects(self) -> tuple[str, str]:
        """The breakers that may keep it back: its own, and its plugin's."""
        return f"task:{self.id}", f"plugin:{self.plugin}"

    def schedule(self, anchor: datetime) -> Schedule:
        """Return when it is due, as the ledger has it, if it was first registered at *anchor*."""
        options = self.options
        exclude = options.get("exclude")
        jitter = timedelta(seconds=options.get("jitter") or 0)
        limits = Limits(
            start=_instant(options.get("start")),
            end=_instant(options.get("end")),
            exclude=json.dumps(exclude, sort_keys=True) if exclude else "",
            jitter=jitter,
            salt=self.id if jitter else "",
        )
        dst = Dst(options.get("dst", Dst.ONCE))
        return Schedule.of(self.trigger, self.trigger_args, self.timezone, anchor, dst, limits)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


class BackfillRead(ReadModel):
    """Runs for a range of the past.

    Attributes:
        start: First instant of the range.
        end: Last instant of the range.
        runs: The occurrences that get a run, ascending; a dry run adds none.
        left: How many occurrences of the range have run already, or will.
    """

    task_id: str
    start: datetime
    end: datetime
    runs: tuple[datetime, ...]
    left: int


class AttemptRead(ReadModel):
    """An attempt that did not complete, or that was not the first of its run."""

    number: int
    node: str | None
    started_at: datetime | None
    finished_at: datetime
    outcome: str
    error: str | None
    traceback: str | None


class RunRead(ReadModel):
    """A run as it stands; ``attempts`` is filled where a single run was asked for."""

    id: str
    task_id: str
    scheduled_for: datetime
    cause: Cause
    state: RunState
    reason: Reason | None
    attempt: int
    crashes: int
    occurrences: int
    not_before: datetime
    result: Any
    error: str | None
    traceback: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    node: str | None
    attempts: tuple[AttemptRead, ...] = ()


class NodeRead(ReadModel):
    """One process of the container."""

    id: str
    host: str
    pid: int
    version: str
    state: str
    started_at: datetime
    heartbeat: datetime


class PluginProblem(ReadModel):
    """One fault of a plugin: where it is, what it is, what to do."""

    file: str
    line: int | None = None
    index: int | None = None
    field: str | None = None
    cause: str
    hint: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        if self.index is not None:
            place += f", TASK_DEFINITIONS[{self.index}]"
        if self.field:
            place += f", {self.field}"
        text = f"{place}: {self.cause}"
        if not self.hint:
            return text
        return f"{text} {self.hint}" if text.endswith((".", "?")) else f"{text}. {self.hint}"


class PluginRead(ReadModel):
    """A plugin as it was at the last start of a container."""

    name: str
    source: str
    state: str
    problems: tuple[PluginProblem, ...]
    loaded_at: datetime | None = None


class PoolRead(ReadModel):
    """How full an executor is.

    Attributes:
        leaked: Tasks whose call outlived its time limit.
        blocked: Tasks that do not let go of their event loop.
    """

    lane: str
    size: int
    busy: int
    leaked: tuple[str, ...]
    blocked: tuple[str, ...] = ()


class BreakerRead(ReadModel):
    """A breaker that is open, or half open from ``trial_at`` on.

    Attributes:
        subject: ``task:ID`` or ``plugin:NAME``.
        failures: How many attempts failed in a row.
        trial_at: From when on one run may try.
        trial_run: The run that tries, or tried last.
    """

    subject: str
    failures: int
    opened_at: datetime
    trial_at: datetime
    trial_run: str | None


class HealthRead(ReadModel):
    """How a container is.

    Attributes:
        state: ``ok``, ``degraded`` (see ``trouble``), ``draining`` or ``stopped``.
        trouble: What is wrong, in one line.
        lag: Seconds since the engine last took a turn.
        database: ``ok``, or ``failing``: it is asked now and then until it answers.
        spooled: Outcomes on disk that the database has not taken yet.
        waiting: Runs that wait for their time or a free place; ``None`` if it cannot be read.
        running: Runs under way; ``None`` likewise.
        tasks: How many tasks this process can run.
        quarantined: Tasks of which nothing starts, because they crashed again and again.
        breakers: The breakers that are open.
    """

    state: str
    trouble: str | None
    lag: float
    database: str = "ok"
    spooled: int = 0
    waiting: int | None
    running: int | None
    tasks: int
    pools: tuple[PoolRead, ...]
    quarantined: tuple[str, ...] = ()
    breakers: tuple[BreakerRead, ...] = ()

    @classmethod
    def stopped(cls, tasks: int) -> HealthRead:
        """Return the health of a container that is not started."""
        none = {"trouble": None, "lag": 0.0, "waiting": 0, "running": 0, "pools": ()}
        return cls.model_validate(none | {"state": "stopped", "tasks": tasks})
