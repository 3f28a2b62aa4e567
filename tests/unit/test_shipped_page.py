"""The daily report as a page and as plain text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

from backgroundtask.letter import letter
from backgroundtask.page import page
from backgroundtask.summary import Failing, Slow, Summary

BERLIN = ZoneInfo("Europe/Berlin")
HOSTILE = "<script>alert('x')</script> & \"quoted\" $style"
SUMMARY = Summary(
    app_name="shop",
    day=date(2026, 11, 20),
    zone="Europe/Berlin",
    written=datetime(2026, 11, 21, 9, tzinfo=BERLIN),
    at_hand=True,
    runs=12,
    completed=10,
    failed=2,
    starts=(0,) * 8 + (12,) + (0,) * 15,
    labels=tuple(f"{hour:02}:00" for hour in range(24)),
    slowest=(Slow("Import", 12, 1.5, 3.0),),
    failing=(
        Failing(
            "Import",
            "import_orders",
            2,
            12,
            "ValueError: bad\nsecond line",
            datetime(2026, 11, 20, 8, 30, tzinfo=BERLIN),
        ),
    ),
)
VOID = {"meta", "line", "rect"}


class Outline(HTMLParser):
    """Collects elements and attributes, and tells whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def hostile() -> Summary:
    return replace(
        SUMMARY,
        app_name=HOSTILE,
        zone=HOSTILE,
        slowest=(Slow(HOSTILE, 1, 1.0, 1.0),),
        failing=(Failing(HOSTILE, HOSTILE, 2, 12, HOSTILE, None),),
    )


def test_every_text_on_the_page_is_escaped() -> None:
    """Names and errors come from tasks and may hold anything."""
    written = page(hostile())
    assert "<script" not in written
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quoted&quot;" in written
    assert written.count("$style") == written.count("&quot; $style")


def test_the_page_is_well_formed_whatever_it_says() -> None:
    """Every element that is opened is closed."""
    for summary in (SUMMARY, hostile(), replace(SUMMARY, at_hand=False)):
        assert Outline(page(summary)).open == []


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    """No script, no link, no picture, no style attribute, no address of elsewhere."""
    written = page(SUMMARY)
    outline = Outline(written)
    assert outline.names.isdisjoint({"script", "link", "img", "iframe", "a", "form", "object"})
    assert outline.attributes.isdisjoint({"src", "href", "style", "onload"})
    assert not re.search(r"https?:|url\(|@import", written)


def test_the_policy_lets_in_the_style_of_the_page_and_nothing_else() -> None:
    """The style is named by its hash, so that not even an injected style would count."""
    written = page(SUMMARY)
    style = written.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        f"content=\"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'\""
    ) in written


def test_a_very_long_error_is_cut_on_the_page() -> None:
    """The page stays readable; the ledger has it whole."""
    failing = (replace(SUMMARY.failing[0], error="x" * 4_000),)
    assert "x" * 1_200 + " …" in page(replace(SUMMARY, failing=failing))


def test_a_page_without_history_says_so() -> None:
    """It shows no figures that nobody counted."""
    written = page(replace(SUMMARY, at_hand=False, runs=0))
    assert "There is no history at hand: the task ran outside a container." in written
    assert "<dl" not in written
    assert "<svg" not in written


def test_the_text_says_what_the_page_says() -> None:
    """The plain text can be read in a terminal and sent by mail."""
    lines = letter(SUMMARY).splitlines()
    assert lines[:5] == [
        "shop: daily report",
        "Friday, 20 November 2026",
        "========================",
        "",
        "2 of 12 runs failed, in one task.",
    ]
    assert "Success rate  83.3 %" in lines
    assert f"08:00  {'#' * 40} 12" in lines
    assert "09:00  0" in lines
    assert "Import: 2 of 12 runs failed, last at 08:30" in lines
    assert "    second line" in lines
    assert "Import  longest 3.0 s, average 1.5 s, 12 runs" in lines
    assert lines[-1] == "Written by send_daily_reports at 2026-11-21 09:00, Europe/Berlin."


def test_the_text_of_a_quiet_day_has_no_bars() -> None:
    """There is nothing to draw."""
    quiet = replace(
        SUMMARY, runs=0, completed=0, failed=0, starts=(0,) * 24, slowest=(), failing=()
    )
    assert "Runs by the hour" not in letter(quiet)
    assert "Runs by the hour" not in page(quiet)
