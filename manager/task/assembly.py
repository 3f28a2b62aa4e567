"""Puts a container together from the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from core.budget import RetryBudget
from core.clock import SystemClock
from core.isolation import ResourceLimits
from loggers import is_configured_by_application, setup_logging
from manager.engine import Engine, EngineSettings
from manager.executors import LoopExecutor, ProcessExecutor, ThreadExecutor
from manager.scheduling import ApsTimetable, build_trigger
from manager.task.access import build_ledger, spool_place
from manager.task.drafting import Drafter, breaker_of
from manager.task.isolating import IsolationRule, setup_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from configurations import Xcorecfg
    from core.clock import Clock
    from core.ports import Executor, Lifecycle, Timetable
    from core.records import Node
    from core.registry import Registry
    from manager.storage import SqlLedger
    from manager.storage.spool import SpoolPlace


def build_drafter(config: Xcorecfg, registry: Registry) -> Drafter:
    """Return what fills in the options that definitions leave out."""
    return Drafter(
        max_retries=config.manager.max_task_retries,
        timeout=timedelta(seconds=config.manager.task_timeout),
        timezone=config.timezone,
        triggers=registry.triggers,
        isolation=IsolationRule(
            everywhere=config.manager.isolation is not None,
            plugins=frozenset(config.manager.isolated_plugins),
        ),
    )


def build_executors(config: Xcorecfg, registry: Registry) -> Sequence[Executor]:
    """Return what calls the functions of *registry*, one for each lane, not started yet."""
    section = config.manager
    processes = ProcessExecutor(
        section.process_workers,
        partial(setup_of, config, registry),
        ResourceLimits(
            memory_mb=section.process_memory_mb, cpu_seconds=section.process_cpu_seconds
        ),
        lambda: any(each.is_isolated for each in registry.all()),
    )
    return (ThreadExecutor(section.scheduler_thread_pool), LoopExecutor(), processes)


def build_settings(config: Xcorecfg) -> EngineSettings:
    """Return the figures that an engine goes by."""
    return EngineSettings(
        timed=config.background_jobs_enabled,
        automatic=config.manager.auto_restart_tasks,
        grace=timedelta(seconds=config.manager.shutdown_grace),
        retry_budget=RetryBudget(config.manager.retry_budget, config.manager.retry_floor),
        plugin_breaker=breaker_of(config.manager.plugin_breaker),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What a container stands on: the machine's own unless others are given.

    Attributes:
        clock: The time to go by.
        ledger: Gives the ledger, not opened yet.
        timetable: Gives the timers.
        executors: Gives what calls functions.
        settings: Gives the figures of the engine.
        node: Which process it is; this one where ``None``.
        draw: Draws the pauses of retries.
        spool: Says where outcomes wait on disk that the ledger does not take, if anywhere.
        threaded: Whether the engine has a thread; else the caller takes its turns.
        logging: Sees to it that what is logged goes somewhere.
    """

    clock: Clock = field(default_factory=SystemClock)
    ledger: Callable[[Xcorecfg], SqlLedger] = build_ledger
    timetable: Callable[[], Timetable] = ApsTimetable
    executors: Callable[[Xcorecfg, Registry], Sequence[Executor]] = build_executors
    settings: Callable[[Xcorecfg], EngineSettings] = build_settings
    node: Node | None = None
    draw: random.Random | None = None
    threaded: bool = True
    spool: Callable[[Xcorecfg, SqlLedger], SpoolPlace | None] = spool_place
    logging: Callable[[Xcorecfg], object] = own_logging

    def engine(
        self,
        config: Xcorecfg,
        ledger: SqlLedger,
        registry: Registry,
        *,
        lifecycle: Lifecycle,
        manager: object,
    ) -> Engine:
        """Return an engine on *ledger*, not started yet."""
        return Engine(
            ledger,
            self.timetable(),
            {executor.lane: executor for executor in self.executors(config, registry)},
            registry,
            build_trigger=partial(build_trigger, plugged=registry.triggers),
            clock=self.clock,
            settings=self.settings(config),
            lifecycle=lifecycle,
            manager=manager,
            node=self.node,
            spool=self.spool(config, ledger),
            draw=self.draw,
            threaded=self.threaded,
        )
