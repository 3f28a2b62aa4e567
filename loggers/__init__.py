"""Logging: one named logger for tasks, one place that owns the sinks, one context per run.

Importing this package adds no sink, no handler, no thread and no file.
"""

from __future__ import annotations

from loggers.context import current_log_context, log_context
from loggers.logger import Logger, get_logger
from loggers.logger_config import set_level, setup_logging, teardown_logging
from loggers.ownership import is_configured_by_application

__all__ = [
    "Logger",
    "current_log_context",
    "get_logger",
    "is_configured_by_application",
    "log_context",
    "set_level",
    "setup_logging",
    "teardown_logging",
]
