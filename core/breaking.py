"""Circuit breakers: a task, or a plugin, that fails again and again is left alone for a while.

A breaker is closed, and counts failed attempts in a row; or open, and lets nothing start until
its trial instant; or half open from then on, and lets exactly one run start, the trial. The
trial's outcome closes it or opens it again for twice as long. Source of the pattern: Nygard,
"Release It!", 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

LONGEST_PAUSE: Final = timedelta(hours=1)
"""A pause doubles up to here; one that is written longer stays as it is."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Attributes:
        failures: So many failed attempts in a row open it.
        pause: How long it stays open the first time.
    """

    failures: int
    pause: timedelta


@dataclass(frozen=True, slots=True)
class Guard:
    """A breaker that hears of an attempt, and its policy."""

    subject: str
    policy: BreakerPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """How a breaker stands.

    Attributes:
        subject: ``task:ID`` or ``plugin:NAME``.
        failures: Failed attempts in a row.
        opened_at: Since when it is open; ``None`` while it is closed.
        trial_at: From when on one run may try; ``None`` while it is closed.
        pause: For how long it was opened last.
        trial_run: The run that tries, or tried last.
        trying: Whether that run is under way.
    """

    subject: str
    failures: int = 0
    opened_at: datetime | None = None
    trial_at: datetime | None = None
    pause: timedelta = timedelta(0)
    trial_run: str | None = None
    trying: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it keeps runs back; also while it is half open."""
        return self.trial_at is not None

    def keeps_back(self, now: datetime) -> bool:
        """Tell whether no run may start at *now*: its trial instant is to come, or one tries."""
        return self.trial_at is not None and (self.trying or now < self.trial_at)

    def succeeded(self, run_id: str) -> CircuitBreaker:
        """Return it after an attempt of *run_id* completed.

        While it is open the trial alone counts: what began before tells nothing of now.
        """
        if self.is_open and run_id != self.trial_run:
            return self
        return CircuitBreaker(subject=self.subject)

    def failed(self, run_id: str, policy: BreakerPolicy, now: datetime) -> CircuitBreaker:
        """Return it after an attempt of *run_id* failed."""
        if not self.is_open:
            if self.failures + 1 < policy.failures:
                return replace(self, failures=self.failures + 1)
            return self._opened(policy.pause, now)
        if run_id != self.trial_run:
            return self
        return self._opened(min(2 * self.pause, max(LONGEST_PAUSE, policy.pause)), now)

    def _opened(self, pause: timedelta, now: datetime) -> CircuitBreaker:
        return CircuitBreaker(
            subject=self.subject,
            failures=self.failures + 1,
            opened_at=self.opened_at or now,
            trial_at=now + pause,
            pause=pause,
        )


@dataclass(frozen=True, slots=True)
class Turned:
    """A breaker that opened, opened again or closed.

    Attributes:
        at: When.
    """

    before: CircuitBreaker
    after: CircuitBreaker
    at: datetime

    @property
    def instants(self) -> tuple[datetime, ...]:
        """When what waits for it may start."""
        return (self.after.trial_at or self.at,)


def guards_of(
    task_id: str, plugin: str, own: BreakerPolicy | None, shared: BreakerPolicy | None
) -> tuple[Guard, ...]:
    """Return the breakers that hear of a task's attempts: its own, and its plugin's."""
    found = ((f"task:{task_id}", own), (f"plugin:{plugin}", shared))
    return tuple(Guard(subject, policy) for subject, policy in found if policy is not None)
