"""``docs/items.md`` says which tests show which item; no item is without one."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests import items

REPOSITORY = Path(__file__).parents[2]


def test_the_committed_table_is_up_to_date() -> None:
    """The page is what ``python tests/items.py`` writes now."""
    assert items.PAGE.read_text(encoding="utf-8") == items.page(), "run: python tests/items.py"


def test_every_item_has_a_promise_and_a_test() -> None:
    """X1 to X62 are all there, in order, and a mark names no item that is not."""
    promised, found = items.promises(), items.collected()

    assert [item for item in promised if item.startswith("X")] == [f"X{n}" for n in range(1, 63)]
    assert [item for item in promised if item not in found] == []
    assert [item for item in found if item not in promised] == []


@pytest.mark.item("X62")
def test_the_dependencies_are_named_and_the_documentation_is_linked() -> None:
    """APScheduler is declared, the packages are there, and the index links existing pages."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    names = {re.split(r"[^A-Za-z0-9-]", each)[0] for each in project["project"]["dependencies"]}
    assert "apscheduler" in names
    for package in ("manager", "loggers", "configurations"):
        assert import_module(package).__doc__
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)#:]+)\)", index)
    assert {"tasks.md", "configuration.md"} <= set(linked)
    assert [name for name in linked if not (REPOSITORY / "docs" / name).is_file()] == []
