"""What is found when a ledger is held against what always holds of it; keys are stable."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
from typing import Any, Self

from manager.schemas.reading import ReadModel


class BreachRead(ReadModel):
    """Something that can never be, and is.

    Attributes:
        invariant: ``I1`` to ``I10``.
        task_id: Whose it is.
        run_id: The run, where it is about one.
        expected: What should be.
        found: What is.
    """

    invariant: str
    task_id: str
    run_id: str | None
    expected: str
    found: str


class InvariantRead(ReadModel):
    """One invariant, and how many breaches of it were found.

    Attributes:
        breaches: At most a thousand are looked for.
    """

    id: str
    sentence: str
    breaches: int


class VerificationRead(ReadModel):
    """What a look at the whole ledger found.

    Attributes:
        ok: Whether everything holds.
        at: When it was looked at; the ledger was in use or not.
        tasks: How many tasks were looked at.
        runs: How many runs.
        attempts: How many rows of attempts.
        occurrences: How many rows of occurrences were held against their schedules.
        seconds: How long it took.
        checked: Every invariant.
        breaches: Each with what was expected and found.
        notes: What could not be looked at, one sentence each.
    """

    ok: bool
    at: datetime
    tasks: int
    runs: int
    attempts: int
    occurrences: int
    seconds: float
    checked: tuple[InvariantRead, ...]
    breaches: tuple[BreachRead, ...]
    notes: tuple[str, ...]

    @classmethod
    def nothing(cls, at: datetime) -> Self:
        """Return what there is to say where no container has run yet."""
        zeros = dict.fromkeys(("tasks", "runs", "attempts", "occurrences", "seconds"), 0)
        none: dict[str, Any] = {"checked": (), "breaches": (), "notes": ()}
        return cls.model_validate(zeros | none | {"ok": True, "at": at})
