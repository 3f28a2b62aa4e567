"""Takes what plugins offer into the registry; what is wrong is recorded with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import DefinitionError, Problem, TaskLimitError, TaskrackError
from manager.schemas.reading import PluginProblem

if TYPE_CHECKING:
    from core.registry import Registry
    from manager.plugins import Offer, PluginHost
    from manager.task.drafting import Drafter


def discover(host: PluginHost, drafter: Drafter, registry: Registry) -> None:
    """Load the plugins of *host* and register every definition of theirs that validates."""
    host.load()
    registry.triggers.update(host.triggers())
    for offer in host.offers():
        try:
            definition, replaces = drafter.draft(
                offer.data, plugin=offer.plugin, source=offer.source, listed=offer.listed
            )
            registry.add(definition, replace_existing=replaces)
        except TaskrackError as error:
            _note(host, offer, error)


def _note(host: PluginHost, offer: Offer, error: TaskrackError) -> None:
    """Record what is wrong with an offered definition, field by field where that is known."""
    problems = error.problems if isinstance(error, DefinitionError) else [Problem("", str(error))]
    hint = "" if isinstance(error, TaskLimitError) else "The other tasks are registered."
    for problem in problems:
        host.note(
            offer.plugin,
            PluginProblem(
                file=offer.file,
                index=offer.index,
                field=problem.where or None,
                cause=problem.what,
                hint=hint,
            ),
        )
