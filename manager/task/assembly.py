"""Puts an engine together from the settings."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from loggers import is_configured_by_application, setup_logging
from manager.engine import Engine, EngineSettings
from manager.executors import LoopExecutor, ThreadExecutor
from manager.scheduling import ApsTimetable, build_trigger
from manager.task.drafting import Drafter

if TYPE_CHECKING:
    from configurations import Xcorecfg
    from core.clock import Clock
    from core.ports import Lifecycle
    from core.registry import Registry
    from manager.storage import SqlLedger


def build_drafter(config: Xcorecfg, registry: Registry) -> Drafter:
    """Return what fills in the options that definitions leave out."""
    return Drafter(
        max_retries=config.manager.max_task_retries,
        timeout=timedelta(seconds=config.manager.task_timeout),
        timezone=config.timezone,
        triggers=registry.triggers,
    )


def build_engine(
    config: Xcorecfg,
    ledger: SqlLedger,
    registry: Registry,
    *,
    clock: Clock,
    lifecycle: Lifecycle,
    manager: object,
) -> Engine:
    """Return an engine on *ledger*, not started yet."""
    section = config.manager
    executors = (ThreadExecutor(section.scheduler_thread_pool), LoopExecutor())
    return Engine(
        ledger,
        ApsTimetable(),
        {executor.lane: executor for executor in executors},
        registry,
        build_trigger=partial(build_trigger, plugged=registry.triggers),
        clock=clock,
        settings=EngineSettings(
            timed=config.background_jobs_enabled,
            automatic=section.auto_restart_tasks,
            grace=timedelta(seconds=section.shutdown_grace),
        ),
        lifecycle=lifecycle,
        manager=manager,
    )


def own_logging(config: Xcorecfg, *, force: bool = False) -> None:
    """Set up the log of *config* unless the application has set up its own.

    What the configuration leaves at its default is left to ``LOG_LEVEL`` and ``LOG_FILE``.
    """
    if is_configured_by_application() and not force:
        return
    section, origins = config.loggers, config.describe()
    defaulted = {key for key, setting in origins.items() if setting.origin == "default"}
    level: str | None = section.log_level or config.log_level
    if config.debug:
        level = "DEBUG"
    elif {"log_level", "loggers.log_level"} <= defaulted:
        level = None
    file: str | None = str(config.resolve(section.log_file)) if section.enable_file else ""
    if "loggers.log_file" in defaulted and os.environ.get("LOG_FILE"):
        file = None
    setup_logging(
        level,
        file,
        section.max_bytes,
        section.backup_count,
        enable_colors=section.enable_colors,
    )
