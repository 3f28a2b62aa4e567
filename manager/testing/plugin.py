"""Gives tests of whoever has Taskrack installed the fixture ``lab``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.testing.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Give a container whose ledger is in memory and whose clock the test moves."""
    from manager.testing.lab import Lab as Built  # noqa: PLC0415 - tests without it do not pay

    with Built() as built:
        yield built
