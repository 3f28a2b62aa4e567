"""One stretch from start to shutdown: the ledger, the plugins and the engine of that time."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from core.errors import LedgerError
from loggers import get_logger
from manager.engine.engine import EngineState
from manager.schemas.reading import HealthRead, PoolRead
from manager.task.assembly import build_drafter
from manager.task.control import Control
from manager.task.discovery import discover
from manager.task.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from configurations import Xcorecfg
    from core.registry import Registry
    from manager.plugins import PluginHost
    from manager.schemas.reading import BreakerRead, PluginRead
    from manager.task.assembly import Assembly

_log = get_logger("taskrack")
_STALLED: Final = timedelta(seconds=5)
_LOG_BYTES: Final = 128 * 1024 * 1024

_Found: TypeAlias = (
    "tuple[int | None, int | None, tuple[str, ...], tuple[BreakerRead, ...], str | None]"
)


class Session:
    """Everything that exists only while a container runs.

    Args:
        config: The settings.
        assembly: What it stands on.
        host: The plugins to ask; ``None`` for none.
    """

    def __init__(self, config: Xcorecfg, assembly: Assembly, host: PluginHost | None) -> None:
        self._config = config
        self._assembly = assembly
        self._host = host
        self.ledger = assembly.ledger(config)

    @property
    def is_running(self) -> bool:
        """Whether the engine takes on work."""
        return self.engine.state is EngineState.RUNNING

    def prepare(self, registry: Registry, manager: object) -> None:
        """Open the ledger and ask the plugins; nothing runs yet.

        Raises:
            LedgerError: the database cannot serve; its file is not touched.
        """
        self.ledger.open()
        self.control = Control(
            self.ledger,
            self._assembly.clock,
            "python",
            self._config.manager.task_queue_size,
            followed=True,
            plugged=registry.triggers,
        )
        try:
            if self._host is not None:
                discover(self._host, build_drafter(self._config, registry), registry)
                self._host.register_tasks(manager)
            self.engine = self._assembly.engine(
                self._config,
                self.ledger,
                registry,
                lifecycle=self._host or Silence(),
                manager=manager,
            )
        except BaseException:
            self.ledger.close()
            raise

    def launch(self, registry: Registry, manager: object) -> None:
        """Start the engine; tasks may run before this returns.

        Raises:
            LedgerError: the database did not take it; nothing was started.
        """
        try:
            self.engine.start(registry.all(), partial(self._ready, manager))
        except BaseException:
            self.end(timedelta(0))
            raise
        if not self._config.background_jobs_enabled:
            _log.warning("background_jobs_enabled is false: no timed occurrence will fire")

    def _ready(self, manager: object) -> None:
        now = self._assembly.clock.now()
        rows = [_row(record) | {"loaded_at": now} for record in self.plugins()]
        self.ledger.amend(lambda catalogue: catalogue.note_plugins(rows))
        if self._host is not None:
            self._host.ready(manager)

    def end(self, grace: timedelta | None) -> None:
        """Stop the engine, store everything, close the ledger."""
        self.engine.stop(grace)
        self.ledger.close()

    def refresh(self, task_id: str) -> None:
        """Put into effect what was changed about a task in the ledger."""
        self.engine.refresh(list(self.ledger.stored([task_id]).values()))

    def plugins(self) -> list[PluginRead]:
        """Return the plugins with their faults."""
        return [] if self._host is None else self._host.records()

    def health(self, tasks: int) -> HealthRead:
        """Return how the container is; it can run so many *tasks*."""
        silent, figures = self.engine.health()
        pools = tuple(PoolRead.model_validate(asdict(each)) for each in figures)
        waiting, running, quarantined, opened, unread = self._read()
        failing = unread or self.ledger.gate.trouble
        trouble = self.engine.trouble or failing or self._log_trouble()
        trouble = trouble or _trouble_of(silent, pools) or _kept_back(quarantined, opened)
        state = "degraded" if trouble else "ok"
        return HealthRead(
            state=state if self.is_running else str(self.engine.state),
            trouble=trouble,
            lag=silent.total_seconds(),
            database="failing" if failing else "ok",
            spooled=self.engine.spooled,
            waiting=waiting,
            running=running,
            tasks=tasks,
            pools=pools,
            quarantined=quarantined,
            breakers=opened,
        )

    def _read(self) -> _Found:
        """Return how many runs wait and are running, and what is kept back; or why not."""
        try:
            reading = self.ledger.reading
            kept_back = reading.quarantined(), reading.evidence.breakers()
            return *reading.open_counts(), *kept_back, None
        except LedgerError as error:
            return None, None, (), (), str(error)

    def _log_trouble(self) -> str | None:
        size = self.ledger.log_bytes
        if size <= _LOG_BYTES:
            return None
        return (
            f"the write-ahead log of the database has {size / 1e6:.0f} MB: a program that reads "
            "it does not end its transaction; end that program"
        )


def _row(record: PluginRead) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude={"loaded_at"}) | {"fingerprint": ""}


def _kept_back(quarantined: Sequence[str], opened: Sequence[BreakerRead]) -> str | None:
    if quarantined:
        names = ", ".join(quarantined)
        return f"quarantined after crashes: {names}; 'taskrack resume ID' lets a task go on"
    if opened:
        return f"breakers are open: {', '.join(each.subject for each in opened)}"
    return None


def _trouble_of(silent: timedelta, pools: tuple[PoolRead, ...]) -> str | None:
    if silent > _STALLED:
        return f"the engine has not taken a turn for {silent.total_seconds():.0f} s"
    for pool in pools:
        if pool.blocked:
            names = ", ".join(sorted(set(pool.blocked)))
            return f"event loops are blocked by: {names}; see the log for its stack"
        if pool.leaked:
            names = ", ".join(sorted(set(pool.leaked)))
            return f"calls that outlived their time limit hold {pool.lane} places: {names}"
        if pool.busy >= pool.size:
            return f"all {pool.size} places of {pool.lane} are busy; runs wait"
    return None
