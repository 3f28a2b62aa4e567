"""The sections of config.json: one frozen model each, every key with its default and promise."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from configurations.fields import (
    DAY_SECONDS,
    YEAR_SECONDS,
    BreakerForm,
    DatabaseUrl,
    Expected,
    FilePath,
    Flag,
    OptionalFilePath,
    OptionalIsolation,
    OptionalLogLevel,
    OptionalSeconds,
    OptionalWebUrl,
    OptionalWhole,
    PluginNames,
    Seconds,
    SecondsOrNone,
    Share,
    Synchronous,
    Whole,
)
from configurations.masking import masked

COMPATIBLE = "Accepted for compatibility with xcore; without effect."


class BaseConfig(BaseModel):
    """A frozen group of settings whose displays never show a secret.

    ``repr``, ``str``, ``model_dump_json()`` and ``model_dump(mode="json")`` mask passwords;
    attributes and ``model_dump()`` hold the real values. Keys that it does not know are refused.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, masked(value, name or "")

    @model_serializer(mode="wrap")
    def _masked_as_json(
        self,
        handler: SerializerFunctionWrapHandler,
        info: SerializationInfo,
    ) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.mode != "json":
            return values
        return {name: masked(value, name) for name, value in values.items()}


class DatabaseConfig(BaseConfig):
    """The section ``database``: where the ledger is, and how it is reached."""

    url: DatabaseUrl = Field(
        "sqlite:///./taskrack.db",
        description=(
            "URL of the ledger, sqlite:///PATH or postgresql://USER@HOST/DATABASE. A relative "
            "SQLite path counts from the folder of config.json."
        ),
    )
    echo: Flag = Field(default=False, description="Log every SQL statement.")
    pool_size: Whole = Field(5, ge=1, le=1000, description="Connections that are kept open.")
    max_overflow: Whole = Field(
        10, ge=0, le=1000, description="Further connections under load, closed after use."
    )
    pool_timeout: Seconds = Field(
        30, le=DAY_SECONDS, description="Seconds to wait for a free connection."
    )
    synchronous: Synchronous = Field(
        "full",
        description=(
            "SQLite only. 'full' survives a power cut; 'normal' is faster and may lose the last "
            "moments."
        ),
    )


class ManagerConfig(BaseConfig):
    """The section ``manager``: what the container runs, how much of it, and for how long."""

    tasks_directory: FilePath = Field(
        "backgroundtask", description="Folder that is searched for task plugins."
    )
    max_tasks: Whole = Field(
        50, ge=1, le=1_000_000, description="How many tasks the container accepts."
    )
    task_timeout: Seconds = Field(
        300,
        le=YEAR_SECONDS,
        description="Seconds that one attempt may take, where its definition says nothing.",
    )
    auto_restart_tasks: Flag = Field(
        default=True, description="Retry failed tasks, and run them again after a crash."
    )
    max_task_retries: Whole = Field(
        3,
        ge=0,
        le=1000,
        description="Retries after the first attempt, where the definition says nothing.",
    )
    retry_budget: Share = Field(
        0.2, description="Retries of a plugin, as a part of its first starts in the last minute."
    )
    retry_floor: Whole = Field(
        60,
        ge=1,
        le=1_000_000,
        description="Retries a minute that a plugin may start beside that part.",
    )
    plugin_breaker: BreakerForm = Field(
        default_factory=dict,
        description="When a plugin that fails is left alone, and for how many seconds at first.",
    )
    scheduler_thread_pool: Whole = Field(
        10, ge=1, le=1000, description="Threads that scheduled tasks share."
    )
    task_workers: Whole = Field(4, ge=1, le=1000, description="Threads that submitted tasks share.")
    task_queue_size: Whole = Field(
        1000,
        ge=1,
        le=10_000_000,
        description="Runs that somebody asked for and that may wait to be started.",
    )
    spool_directory: OptionalFilePath = Field(
        None,
        description=(
            "Folder for outcomes that the database does not take; beside the database where null."
        ),
    )
    shutdown_grace: SecondsOrNone = Field(
        30, le=DAY_SECONDS, description="Seconds that running tasks get to end at shutdown."
    )
    isolation: OptionalIsolation = Field(
        None, description="'process' runs every task in a process of its own unless it says else."
    )
    isolated_plugins: PluginNames = Field(
        default_factory=list, description="Plugins whose tasks run in processes of their own."
    )
    process_workers: Whole = Field(
        4, ge=1, le=1000, description="Isolated runs at once; as many processes are kept warm."
    )
    process_memory_mb: OptionalWhole = Field(
        None,
        ge=16,
        le=1_048_576,
        description="Megabytes that an isolated run may hold, where its definition says nothing.",
    )
    process_cpu_seconds: OptionalSeconds = Field(
        None,
        le=YEAR_SECONDS,
        description="Processor seconds of an isolated run, where its definition says nothing.",
    )
    process_max_runs: Whole = Field(
        100, ge=1, le=1_000_000, description="Runs after which a process is replaced."
    )
    reports_directory: FilePath = Field(
        "reports", description="Folder for the files that the shipped report task writes."
    )
    run_retention_days: Whole = Field(
        30,
        ge=1,
        le=36_500,
        description="Days of run history that the shipped clean-up task keeps.",
    )
    log_retention_days: Whole = Field(
        14, ge=1, le=36_500, description="Days of log files that the shipped clean-up task keeps."
    )
    sync_url: OptionalWebUrl = Field(
        None, description="JSON URL that the shipped sync task mirrors; null for none."
    )
    sync_timeout: Seconds = Field(
        30, le=DAY_SECONDS, description="Seconds that the sync task waits for an answer."
    )
    health_max_lag: Seconds = Field(
        5,
        le=DAY_SECONDS,
        description="Seconds that the scheduler may be late and still count as healthy.",
    )
    health_min_free_disk_mb: Whole = Field(
        100,
        ge=0,
        le=1_000_000_000,
        description="Megabytes of free disk below which the health check fails.",
    )
    plugins_directory: FilePath = Field("plugins", description=COMPATIBLE)
    auto_enable: Flag = Field(default=True, description=COMPATIBLE)
    hot_reload: Flag = Field(default=False, description=COMPATIBLE)
    sandboxing: Flag = Field(default=True, description=COMPATIBLE)
    max_plugins: Whole = Field(100, ge=0, le=1_000_000, description=COMPATIBLE)
    scheduler_job_defaults: Annotated[
        dict[str, Any], Expected('an object such as {"coalesce": true}')
    ] = Field(default_factory=dict, description=COMPATIBLE)


class LoggersConfig(BaseConfig):
    """The section ``loggers``: where log lines go, and which of them."""

    log_level: OptionalLogLevel = Field(
        None, description="Lowest level that is logged; null takes the log_level of the top."
    )
    log_file: FilePath = Field(
        "logs/app.log",
        description="The log file; a relative path counts from the folder of config.json.",
    )
    max_bytes: Whole = Field(
        10_485_760, ge=1, le=2**40, description="Bytes at which the log file is rotated."
    )
    backup_count: Whole = Field(5, ge=0, le=10_000, description="Rotated log files that are kept.")
    enable_colors: Flag = Field(default=True, description="Colour the console output.")
    enable_file: Flag = Field(default=True, description="Write the log file.")
