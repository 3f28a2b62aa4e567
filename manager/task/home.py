"""What a task manager has before it is started: settings and tasks, each made when needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from configurations import Xcorecfg, load_config
from core.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path


class Home:
    """Reads the settings and makes the registry when they are first asked for.

    Args:
        asked: Settings, or where they are; looked for as the command line does where ``None``.
    """

    def __init__(self, asked: Xcorecfg | str | Path | None) -> None:
        self._asked = asked
        self._lock = threading.RLock()
        self._config: Xcorecfg | None = None
        self._registry: Registry | None = None

    @property
    def config(self) -> Xcorecfg:
        """The settings.

        Raises:
            ConfigurationError: they cannot be used.
        """
        with self._lock:
            if self._config is None:
                asked = self._asked
                self._config = asked if isinstance(asked, Xcorecfg) else load_config(asked)
            return self._config

    @property
    def registry(self) -> Registry:
        """The tasks that this process can run."""
        with self._lock:
            if self._registry is None:
                self._registry = Registry(self.config.manager.max_tasks)
            return self._registry
