"""Between the rows of the ledger and the records of the domain."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from core.policy import Backoff, Overlap
from core.records import StoredTask
from core.run import Attempt, Cause, Reason, Run, RunState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.definition import TaskDefinition
    from core.policy import OverlapPolicy

CAUSES: Final[Mapping[str, Cause]] = {each.value: each for each in Cause}
STATES: Final[Mapping[str, RunState]] = {each.value: each for each in RunState}
REASONS: Final[Mapping[str | None, Reason | None]] = {
    None: None,
    **{each.value: each for each in Reason},
}


def task_row(definition: TaskDefinition, next_run: datetime | None) -> dict[str, Any]:
    """Return the columns that *definition* supplies, with *next_run* for a first registration."""
    timeout = definition.timeout
    return {
        "id": definition.id,
        "plugin": definition.plugin,
        "source": definition.source,
        "name": definition.name,
        "description": definition.description,
        "tags": list(definition.tags),
        "func_path": definition.func_path,
        "trigger": definition.trigger,
        "trigger_args": dict(definition.trigger_args),
        "timezone": definition.timezone,
        "enabled": definition.enabled,
        "max_retries": definition.max_retries,
        "timeout": None if timeout is None else timeout.total_seconds(),
        "lane": definition.lane,
        "priority": definition.priority,
        "options": _options(definition),
        "fingerprint": definition.fingerprint,
        "next_run": next_run,
    }


def _options(definition: TaskDefinition) -> dict[str, Any]:
    """Return the options that no column of their own holds, in their JSON form."""
    grace = definition.misfire_grace_time
    retry = definition.retry
    return {
        "catch_up": definition.catch_up.value,
        "misfire_grace_time": None if grace is None else grace.total_seconds(),
        "overlap": _overlap(definition.overlap),
        "delivery": definition.delivery.value,
        "dst": definition.dst.value,
        "start": None if definition.start is None else definition.start.isoformat(),
        "end": None if definition.end is None else definition.end.isoformat(),
        "max_runs": definition.max_runs,
        "jitter": definition.jitter.total_seconds(),
        "exclude": dict(definition.exclude),
        "run_on_start": definition.run_on_start,
        "isolation": definition.isolation,
        "limits": asdict(definition.limits),
        "breaker": None
        if definition.breaker is None
        else {
            "failures": definition.breaker.failures,
            "pause": definition.breaker.pause.total_seconds(),
        },
        "retry": {
            "backoff": [pause.total_seconds() for pause in retry.delays]
            if retry.backoff is Backoff.LISTED
            else retry.backoff.value,
            "delay": retry.delay.total_seconds(),
            "max_delay": retry.max_delay.total_seconds(),
            "jitter": retry.jitter,
            "retry_on": sorted(retry.retry_on),
            "never_on": sorted(retry.never_on),
        },
    }


def _overlap(policy: OverlapPolicy) -> str | dict[str, int]:
    bound = policy.waiting if policy.mode is Overlap.QUEUE else policy.limit
    if policy.mode in {Overlap.QUEUE, Overlap.ALLOW} and bound is not None:
        return {policy.mode.value: bound}
    return policy.mode.value


def run_row(run: Run) -> dict[str, Any]:
    """Return the columns of *run*."""
    return {
        "id": run.id,
        "task_id": run.task_id,
        "fire_key": run.fire_key,
        "scheduled_for": run.scheduled_for,
        "cause": run.cause.value,
        "state": run.state.value,
        "reason": run.reason,
        "lane": run.lane,
        "priority": run.priority,
        "attempt": run.attempt,
        "crashes": run.crashes,
        "interruptions": run.interruptions,
        "token": run.token,
        "node": run.node,
        "cancel_requested": False,
        "not_before": run.not_before,
        "occurrences": run.occurrences,
        "args": run.args,
        "kwargs": run.kwargs,
        "result": run.result,
        "error": run.error,
        "traceback": run.traceback,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def run_of(row: Mapping[Any, Any]) -> Run:
    """Return the run that *row* holds."""
    columns = dict(row)
    del columns["cancel_requested"]
    columns["cause"] = CAUSES[columns["cause"]]
    columns["state"] = STATES[columns["state"]]
    columns["reason"] = REASONS[columns["reason"]]
    return Run(**columns)


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Return the columns of *attempt*."""
    return asdict(attempt)


STORED: Final = (
    "id", "anchor", "cursor", "next_run", "paused", "overrides", "revision", "removed", "fired",
    "quarantined",
)  # fmt: skip
"""The columns of a task beside its definition."""


def stored_task_of(
    row: Mapping[Any, Any], *, fresh: bool = False, edited: bool = False
) -> StoredTask:
    """Return what *row* knows of a task beside its definition."""
    return StoredTask(
        id=row["id"],
        anchor=row["anchor"],
        cursor=row["cursor"],
        next_run=row["next_run"],
        paused=row["paused"],
        overrides=row["overrides"],
        revision=row["revision"],
        removed=row["removed"],
        fresh=fresh,
        edited=edited,
        fired=row["fired"],
        quarantined=row["quarantined"],
    )
