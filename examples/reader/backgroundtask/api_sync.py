"""A task that repeats a call by itself before it gives up."""

import asyncio
from typing import Any

from external import call_external_api

from loggers import get_logger

logger = get_logger("backgroundtask")
MAX_RETRIES = 3
RETRY_DELAY = 5.0
"""Seconds."""


async def api_sync_task() -> Any:  # noqa: ANN401 - whatever the API answers
    """Sync with an external API; the last error is raised."""
    for attempt in range(1, MAX_RETRIES + 1):
        try:
            result = await call_external_api()
        except Exception as e:
            logger.warning("API sync attempt %s failed: %s", attempt, e)
            if attempt == MAX_RETRIES:
                logger.exception("API sync failed after all retries")
                raise
            await asyncio.sleep(RETRY_DELAY)
        else:
            logger.info("API sync successful")
            return result
    return None


TASK_DEFINITIONS = [
    {
        "id": "api_sync_task",
        "name": "API Sync Task",
        "func": api_sync_task,
        "trigger": "interval",
        "trigger_args": {"hours": 1},
        "enabled": True,
        "max_retries": 1,
        "timeout": 60,
    },
]
