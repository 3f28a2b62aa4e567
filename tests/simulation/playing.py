"""One seed played to its end, and what came of it."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.oracle import Oracle
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.faults import Fault


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a seed.

    Attributes:
        complaints: What was wrong; nothing if all promises were kept.
        struck: How often each fault struck.
        calls: How many calls of user code there were.
        runs: How many runs.
        digest: The same for the same seed.
    """

    seed: int
    days: int
    complaints: tuple[str, ...]
    struck: Counter[Fault] = field(default_factory=Counter)
    calls: int = 0
    runs: int = 0
    digest: str = ""

    @property
    def replay(self) -> str:
        """The command that plays it again, exactly."""
        return f".venv/bin/python -m tests.simulation {self.seed} --days {self.days}"


def played(seed: int, days: int, without: frozenset[Fault] = frozenset()) -> Played:
    """Play a seed; what the engine raises is a complaint too."""
    world = World(seed, days, without)
    complaints: list[str] = []
    try:
        world.run()
        complaints += Oracle(world).complaints()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        complaints += world.complaints
        complaints.append(f"{type(error).__name__} in {where.name}:{where.lineno}: {error}")
    try:
        (runs,) = world._driver().execute("SELECT count(*) FROM runs").fetchone()
        calls, digest = len(world.journal.entries), world.journal.digest
        return Played(
            seed, days, tuple(complaints), Counter(world.faults.struck), calls, runs, digest
        )
    finally:
        world.close()
