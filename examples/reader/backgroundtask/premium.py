"""A task that asks the configuration whether it has anything to do."""

from configurations import Xcorecfg
from loggers import get_logger

logger = get_logger("backgroundtask")
config = Xcorecfg.from_file("config.json")


async def premium_only_task() -> None:
    """Work in premium mode only."""
    if not config.premium_features_enabled:
        logger.info("Skipping premium task - not enabled")
        return
    logger.info("Running premium task")


TASK_DEFINITIONS = [
    {
        "id": "premium_only_task",
        "name": "Premium Only Task",
        "func": premium_only_task,
        "trigger": "cron",
        "trigger_args": {"day_of_week": "mon", "hour": 9},
        "enabled": True,
        "max_retries": 3,
        "timeout": 300,
    },
]
