"""Between outcomes and the records of a spool."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import StateError
from core.records import Ending, Node
from core.run import Attempt, Cause, Reason, Run, RunState, check_transition

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTANTS: Final = frozenset(
    {"scheduled_for", "not_before", "created_at", "started_at", "finished_at"}
)
_UNWRITTEN: Final = frozenset({"args", "kwargs"})
"""Columns of a run that no outcome writes."""


@dataclass(frozen=True, slots=True)
class Release:
    """A run that a shutdown gave back."""

    run: Run
    at: datetime


def node_record(node: Node) -> dict[str, Any]:
    """Return the first record of a spool: whose it is."""
    return {"kind": "node", "node": asdict(node)}


CLOSED: Final[Mapping[str, Any]] = {"kind": "closed"}
"""The last record of a spool whose node has stopped."""


def ending_record(ending: Ending) -> dict[str, Any]:
    """Return the record of an outcome."""
    attempt = None if ending.attempt is None else _plain(asdict(ending.attempt))
    run = _plain(_columns(ending.run))
    return {"kind": "end", "run": run, "token": ending.token, "attempt": attempt}


def release_record(release: Release) -> dict[str, Any]:
    """Return the record of a run that was given back."""
    run = _plain(_columns(release.run))
    return {"kind": "release", "run": run, "at": release.at.isoformat()}


def outcome_of(record: Mapping[str, Any]) -> Ending | Release | Node | None:
    """Return what *record* stands for; ``None`` for what marks the end, or a later release knows.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        kind = record["kind"]
        if kind == "node":
            return Node(**record["node"])
        if kind == "end":
            run = _run(record["run"])
            attempt = None if record["attempt"] is None else Attempt(**_read(record["attempt"]))
            return Ending(run=run, token=int(record["token"]), attempt=attempt)
        if kind == "release":
            return Release(_run(record["run"]), datetime.fromisoformat(record["at"]))
    except (KeyError, TypeError, AttributeError, StateError) as error:
        raise ValueError(f"no outcome: {error}") from error
    return None


def _columns(run: Run) -> dict[str, Any]:
    names = (each.name for each in fields(run) if each.name not in _UNWRITTEN)
    return {name: getattr(run, name) for name in names}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _INSTANTS and value is not None else value
        for name, value in values.items()
    }


def _run(values: Mapping[str, Any]) -> Run:
    known = _read(values)
    known["state"], known["cause"] = RunState(known["state"]), Cause(known["cause"])
    known["reason"] = None if known["reason"] is None else Reason(known["reason"])
    check_transition(RunState.RUNNING, known["state"])
    return Run(**known)
