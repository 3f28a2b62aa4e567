"""Where a task finds itself: inside a run of a container, or awaited bare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from configurations import load_config
from manager import current_run

if TYPE_CHECKING:
    from configurations import Xcorecfg
    from manager.task.taskmanager import TaskManager


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings to go by, and the task manager that runs the task.

    Attributes:
        manager: ``None`` where the task is awaited outside a run, as in a test, or isolated.
    """

    config: Xcorecfg
    manager: TaskManager | None


def surroundings() -> Surroundings:
    """Return the running container and its settings, or the settings that are found without one.

    Raises:
        ConfigurationError: The settings that are found cannot be used.
    """
    run = current_run()
    if run is None or run.manager is None:
        return Surroundings(load_config(), None)
    return Surroundings(run.manager.config, run.manager)
