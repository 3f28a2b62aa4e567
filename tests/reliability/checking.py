"""What every check of the battery is made of: how much it looks at, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Figure = int | float | str


class Scale(StrEnum):
    """How much a check looks at: what a test run can bear, or what the promise names."""

    SHORT = "short"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        figures: What it looked at and measured, by name, units in the name.
        failures: What contradicts the promise, one sentence each; none if it was kept.
    """

    figures: Mapping[str, Figure]
    failures: list[str] = field(default_factory=list)

    def require(self) -> None:
        """Let a kept promise pass.

        Raises:
            AssertionError: it was broken; every failure is named.
        """
        if self.failures:
            raise AssertionError("\n".join([*self.failures, f"figures: {dict(self.figures)}"]))


class Check(Protocol):
    """One check; its module's docstring begins with the promise that it holds to the test."""

    def __call__(self, scale: Scale, folder: Path) -> Report:
        """Look at as much as *scale* says, with an empty *folder* for files, and report."""
        ...
