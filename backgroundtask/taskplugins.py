"""Task plugin container: the shipped tasks, and how they are registered."""

from typing import Any

from backgroundtask.cleanup import clean_up
from backgroundtask.health import check
from backgroundtask.report import publish
from backgroundtask.surroundings import surroundings
from backgroundtask.sync import mirror
from loggers import get_logger
from manager.task.taskmanager import TaskManager

logger = get_logger("backgroundtask")


async def cleanup_old_logs() -> dict[str, int]:
    """Cleanup old log entries.

    Runs daily at midnight. Deletes rotated log files and run history that are older than
    ``manager.log_retention_days`` and ``manager.run_retention_days``.
    """
    logger.info("Starting log cleanup task")
    cleaned = await clean_up(surroundings())
    logger.info("Log cleanup completed")
    return cleaned


async def send_daily_reports() -> dict[str, Any]:
    """Send daily summary reports.

    Runs every day at 9 AM. Writes yesterday's report as HTML and text into
    ``manager.reports_directory``.
    """
    logger.info("Sending daily reports")
    published = await publish(surroundings())
    logger.info("Daily reports sent")
    return published


async def sync_external_data() -> dict[str, Any]:
    """Synchronize data with external services.

    Runs every hour. Mirrors the JSON document at ``manager.sync_url`` into the database.
    """
    logger.info("Starting data sync")
    mirrored = await mirror(surroundings())
    logger.info("Data sync completed")
    return mirrored


async def health_check() -> dict[str, Any]:
    """System health check.

    Runs every 5 minutes and at each start. Fails where a limit of the settings is passed, and
    says nothing where all is well.
    """
    return await check(surroundings())


TASK_DEFINITIONS: list[dict[str, Any]] = [
    {
        "id": "cleanup_old_logs",
        "name": "Cleanup Old Logs",
        "func": cleanup_old_logs,
        "trigger": "cron",
        "trigger_args": {"hour": 0, "minute": 0},
        "enabled": True,
        "max_retries": 3,
        "timeout": 300,
    },
    {
        "id": "send_daily_reports",
        "name": "Send Daily Reports",
        "func": send_daily_reports,
        "trigger": "cron",
        "trigger_args": {"hour": 9, "minute": 0},
        "enabled": True,
        "max_retries": 2,
        "timeout": 600,
    },
    {
        "id": "sync_external_data",
        "name": "Sync External Data",
        "func": sync_external_data,
        "trigger": "interval",
        "trigger_args": {"hours": 1},
        "enabled": False,  # Disabled by default: it needs manager.sync_url
        "max_retries": 3,
        "timeout": 1800,
    },
    {
        "id": "health_check",
        "name": "System Health Check",
        "func": health_check,
        "trigger": "interval",
        "trigger_args": {"minutes": 5},
        "enabled": True,
        "max_retries": 1,
        "timeout": 30,
        "run_on_start": True,
    },
]


def register_tasks(task_manager: TaskManager) -> None:
    """Register all tasks with the task manager.

    A task that cannot be registered is named in the log, and the others are registered.

    Args:
        task_manager: TaskManager instance
    """
    for task_def in TASK_DEFINITIONS:
        try:
            task_manager.add_task(
                func=task_def["func"],
                trigger=task_def["trigger"],
                id=task_def["id"],
                **task_def["trigger_args"],
                max_retries=task_def.get("max_retries", 3),
                timeout=task_def.get("timeout", 300),
            )
            logger.info("Registered task: %s", task_def["name"])
        except Exception as exc:  # noqa: BLE001 - as the seed has it: no task keeps another out
            logger.error("Failed to register task %s: %s", task_def["id"], exc)  # noqa: TRY400
