"""What a start would find, without starting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.registry import Registry
from manager.scheduling import build_trigger
from manager.task.assembly import build_drafter
from manager.task.discovery import discover

if TYPE_CHECKING:
    from datetime import datetime

    from configurations import Xcorecfg
    from core.clock import Clock
    from core.definition import TaskDefinition
    from core.trigger import TriggerFactories
    from manager.plugins import PluginHost
    from manager.schemas.reading import PluginRead


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        tasks: Definitions with their next occurrence as a first registration now has it.
        plugins: Every plugin with its faults.
        triggers: Kinds of trigger that plugins offer.
    """

    tasks: tuple[tuple[TaskDefinition, datetime | None], ...]
    plugins: tuple[PluginRead, ...]
    triggers: TriggerFactories

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(plugin.problems for plugin in self.plugins)


def inspect(config: Xcorecfg, host: PluginHost, manager: object, clock: Clock) -> Inspection:
    """Load the plugins of *host* and validate what they offer; nothing is stored or started.

    Args:
        config: The settings.
        host: The plugins, not loaded yet.
        manager: A task manager that is not started, for plugins that register by calls.
        clock: The time to go by.
    """
    registry = Registry(config.manager.max_tasks)
    discover(host, build_drafter(config, registry), registry)
    host.register_tasks(manager)
    now = clock.now()
    found = []
    for definition in registry.all():
        schedule = definition.schedule(now)
        due = (
            build_trigger(schedule, registry.triggers).next_after(now)
            if definition.enabled
            else None
        )
        found.append((definition, due))
    return Inspection(tuple(found), tuple(host.records()), registry.triggers)
