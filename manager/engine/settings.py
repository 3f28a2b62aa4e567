"""The figures that the engine goes by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.breaking import BreakerPolicy
    from core.budget import RetryBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Figures of one engine.

    Attributes:
        timed: Whether occurrences of schedules fire at all.
        automatic: Whether failed attempts are retried and crashed runs run again.
        grace: How long a shutdown waits for running tasks.
        sweep: How often the ledger is searched for what no timer told.
        lease: How long a silent node counts as alive.
        heartbeat: How often a node renews its lease.
        trust: How long after it began to renew its lease a node starts runs on the strength of it.
        unwind: How long a cancelled coroutine may take to clean up before it counts as leaked.
        backoff: How long to wait after the database failed.
        retry_budget: Most retries of a plugin in a minute; ``None`` is no limit.
        plugin_breaker: Opens where a plugin fails again and again; ``None`` for none.
    """

    timed: bool = True
    automatic: bool = True
    grace: timedelta = timedelta(seconds=30)
    sweep: timedelta = timedelta(milliseconds=500)
    lease: timedelta = timedelta(seconds=15)
    heartbeat: timedelta = timedelta(seconds=3)
    trust: timedelta = timedelta(seconds=13)
    unwind: timedelta = timedelta(seconds=5)
    backoff: timedelta = timedelta(seconds=1)
    retry_budget: RetryBudget | None = None
    plugin_breaker: BreakerPolicy | None = None
