"""The limits of the health check."""

from __future__ import annotations

from typing import Any

from backgroundtask.health import HealthError, disk_limits, pool_limits, scheduler_limits
from configurations import ManagerConfig
from manager.schemas.reading import HealthRead, PoolRead

SECTION = ManagerConfig(health_max_lag=5, health_min_free_disk_mb=100)


def health(*pools: PoolRead, lag: float = 0.0) -> HealthRead:
    return HealthRead(state="ok", trouble=None, lag=lag, waiting=0, running=0, tasks=4, pools=pools)


def pool(busy: int, *leaked: str) -> PoolRead:
    return PoolRead(lane="thread", size=2, busy=busy, leaked=leaked)


def disk(free: int) -> dict[str, Any]:
    return {"folder": "/data", "total": 10**12, "free": free}


def test_a_scheduler_within_its_limit_is_well() -> None:
    """The limit itself is still well."""
    assert scheduler_limits(health(lag=5.0), SECTION) == []


def test_a_late_scheduler_is_named_with_its_lag_and_its_limit() -> None:
    """Whoever reads it knows which key to look at."""
    assert scheduler_limits(health(lag=7.25), SECTION) == [
        "scheduler: the last turn was 7.2 s ago, manager.health_max_lag is 5 s"
    ]


def test_a_disk_that_is_too_full_is_named_with_what_is_left() -> None:
    """A hundred megabytes are well, a byte less is not."""
    assert disk_limits(disk(100_000_000), SECTION) == []
    assert disk_limits(disk(99_999_999), SECTION) == [
        "disk: 99 MB are free in /data, manager.health_min_free_disk_mb is 100; make room"
    ]


def test_a_pool_is_exhausted_when_runs_wait_for_its_places() -> None:
    """A pool that is just fully used is what it is for."""
    full = health(pool(busy=2))
    assert pool_limits(full, {}) == []
    assert pool_limits(full, {"loop": 3}) == []
    assert pool_limits(full, {"thread": 3}) == ["pool thread: all 2 places are taken, 3 runs wait"]


def test_a_leaked_call_is_named_once_a_task() -> None:
    """The name of the task is what the reader needs."""
    leaking = health(pool(1, "import", "import", "backup"))
    assert pool_limits(leaking, {}) == [
        "pool thread: calls outlived their time limit: backup, import"
    ]


def test_the_error_names_every_limit() -> None:
    """One run of the check tells everything."""
    error = HealthError(["disk: full", "scheduler: late"])
    assert str(error) == "disk: full; scheduler: late"
    assert error.limits == ("disk: full", "scheduler: late")
    assert isinstance(error, RuntimeError)
