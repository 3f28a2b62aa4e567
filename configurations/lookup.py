"""Which config.json counts: the one asked for, the environment's, or the current folder's."""

from __future__ import annotations

import os
from pathlib import Path

from configurations.files import missing
from configurations.settings import Xcorecfg
from configurations.sources import ENVIRONMENT, LOCATION_VARIABLE


def find_config(explicit: str | Path | None = None) -> Path | None:
    """Return the configuration file that counts, or ``None`` where there is none.

    It is *explicit*, else the one that ``TASKRACK_CONFIG`` names, else ``./config.json``.

    Raises:
        ConfigurationError: The file that *explicit* or the variable names is not there.
    """
    if explicit is not None:
        return _present(Path(explicit), "")
    if named := os.environ.get(LOCATION_VARIABLE):
        return _present(Path(named), f"{LOCATION_VARIABLE} ({ENVIRONMENT})")
    usual = Path("config.json")
    return usual if _exists(usual) else None


def load_config(explicit: str | Path | None = None) -> Xcorecfg:
    """Return the configuration that counts: the found file's, or the environment's alone.

    Raises:
        ConfigurationError: A named file is not there, or what was read cannot be used.
    """
    path = find_config(explicit)
    return Xcorecfg.from_env() if path is None else Xcorecfg.from_file(path)


def _present(path: Path, where: str) -> Path:
    if not _exists(path):
        raise missing(path, where)
    return path


def _exists(path: Path) -> bool:
    """Whether *path* is there; one that cannot be looked at is, and reading it says why not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return True
