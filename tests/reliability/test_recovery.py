"""How soon a container is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability import recovery
from tests.reliability.checking import Scale

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_a_container_is_soon_back_after_a_kill(tmp_path: Path) -> None:
    """With 10,000 tasks, and where another takes over, here and elsewhere."""
    recovery.check(Scale.SHORT, tmp_path).require()
