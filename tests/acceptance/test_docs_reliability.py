"""The page of the slower checks is made of what they reported."""

from __future__ import annotations

from tests import battery


def test_the_page_of_reliability_is_made_of_the_stored_reports() -> None:
    """Nobody writes a figure by hand: the page is its reports, and each names a check."""
    reports = battery.stored(battery.DOCS)
    page = (battery.DOCS / "reliability.md").read_text(encoding="utf-8")
    assert page == battery.page(reports)
    assert set(reports) <= set(battery.CHECKS)


def test_every_check_of_the_battery_kept_its_promise_when_it_last_ran() -> None:
    """A report with a failure is a fault to mend, not a figure to show."""
    reports = battery.stored(battery.DOCS)
    assert {name: each["failures"] for name, each in reports.items() if each["failures"]} == {}
