"""The page about lint: its tables are the rules, and what it shows is what is printed."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from manager.lint import RULES, Finding, Severity
from tests.pages import DOCS, blocks, code, command, table

if TYPE_CHECKING:
    from tests.tools import Project


def test_the_table_of_rules_is_the_rules() -> None:
    """Each with its severity, what it looks for and why that matters, in the order of the codes."""
    assert table("lint.md", "Rules") == [
        [f"`{rule.code}`", rule.severity.value, rule.title, rule.why] for rule in RULES
    ]


def test_the_table_of_severities_has_each_of_them() -> None:
    rows = table("lint.md", "Severities and exit codes")
    assert [code(row[0]) for row in rows] == [each.value for each in Severity]


def test_the_keys_of_a_finding_are_those_of_the_page() -> None:
    texts = [block.text for block in blocks(DOCS / "lint.md") if block.language == "text"]
    assert texts[0].strip().split(", ") == [field.name for field in fields(Finding)]


def test_the_session_of_the_page_is_what_is_printed(project: Project) -> None:
    """Word for word, but for where the page breaks the line."""
    project.plugin(
        """
        def pay():
            pass

        TASK_DEFINITIONS = [
            {"id": "pay", "func": pay, "trigger": "cron",
             "trigger_args": {"expression": "0 0 13 * 5"}},
        ]
        """
    )
    (shown,) = (block.text for block in blocks(DOCS / "lint.md") if block.language == "console")
    call, *printed = shown.splitlines()

    said = command("lint", code=1)

    assert call == "$ taskrack lint"
    assert " ".join(said.split()) == " ".join(" ".join(printed).split())
