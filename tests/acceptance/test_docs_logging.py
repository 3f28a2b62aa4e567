"""The page about logging: levels, variables and the form of a line."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest

from loggers import setup_logging
from loggers.levels import LEVELS
from loggers.settings import _FORMATS
from tests.pages import DOCS, blocks, code, table
from tests.tools import fire

if TYPE_CHECKING:
    from tests.tools import Project

PAGE = DOCS / "logging.md"
LINE = next(block.text for block in blocks(PAGE) if block.text.startswith("2026-"))


@pytest.mark.item("X53")
@pytest.mark.item("X62")
def test_the_levels_and_formats_are_named_in_order() -> None:
    text = PAGE.read_text(encoding="utf-8")
    *levels, last = (f"`{level}`" for level in LEVELS)
    assert f"Levels are {', '.join(levels)} and {last}, in any case." in " ".join(text.split())
    rows = {code(row[0]): row[1:] for row in table("logging.md", "Environment")}
    *formats, other = (f"`{each}`" for each in _FORMATS)
    assert rows["LOG_FORMAT"] == [f"{', '.join(formats)} or {other}", "`colored`"]


def test_the_call_of_the_page_has_every_setting() -> None:
    """Only ``strict``, which is for tests of the set-up, is left out."""
    (block,) = (each for each in blocks(PAGE) if each.text.count("max_bytes="))
    given = re.findall(r"^    (\w+)=", block.text, re.MULTILINE)
    assert given == [name for name in inspect.signature(setup_logging).parameters
                     if name != "strict"]  # fmt: skip


@pytest.mark.item("X53")
def test_a_line_inside_a_run_looks_as_the_page_shows_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ``LOG_FILE`` names the file where the configuration does not."""
    file = project.root / "elsewhere.log"
    monkeypatch.setenv("LOG_FILE", str(file))
    project.config(loggers={"enable_file": True})
    project.plugin("""
        from loggers import get_logger

        logger = get_logger("backgroundtask")

        def send_report():
            logger.info("sent {} mails", 3)

        TASK_DEFINITIONS = [
            {
                "id": "send_report",
                "func": send_report,
                "trigger": "interval",
                "trigger_args": {"hours": 1},
            }
        ]
    """)

    fire(project.start(), "send_report")

    written = [re.sub(r"^[\d: -]{19}", "", line) for line in file.read_text().splitlines()]
    assert re.sub(r"^[\d: -]{19}", "", LINE.rstrip("\n")) in written
