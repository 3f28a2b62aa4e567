"""Settings: config.json and the environment as frozen models, or one error with all problems."""

from configurations.lookup import find_config, load_config
from configurations.masking import masked_url
from configurations.schema import json_schema
from configurations.sections import BaseConfig, DatabaseConfig, LoggersConfig, ManagerConfig
from configurations.settings import Setting, Xcorecfg

__all__ = [
    "BaseConfig",
    "DatabaseConfig",
    "LoggersConfig",
    "ManagerConfig",
    "Setting",
    "Xcorecfg",
    "find_config",
    "json_schema",
    "load_config",
    "masked_url",
]
