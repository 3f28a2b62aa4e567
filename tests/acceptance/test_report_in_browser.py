"""The daily report as a reader sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from backgroundtask.report import write_report
from backgroundtask.surroundings import Surroundings
from core.run import Cause, Reason, Run, RunIds, RunState
from tests.browser import chromium, files_of, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.tools import Project

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 19, 23, tzinfo=UTC)
ERROR = (
    "ConnectionError: HTTPSConnectionPool(host='erp.example.com', port=443): Max retries exceeded "
    "with url: /api/v2/orders?since=2026-11-20T00:00:00Z (Caused by <b>NewConnectionError</b>)"
)
LOOKS: list[tuple[Literal["light", "dark"], int]] = [
    ("light", 1000),
    ("dark", 1000),
    ("light", 390),
    ("dark", 390),
]
_LUMINANCE = """element => {
  const [red, green, blue] = getComputedStyle(element).backgroundColor.match(/\\d+/g).map(Number)
  return (red + green + blue) / 3
}"""

_SIZES = """bars => bars.map(bar => {
  const box = bar.getBoundingClientRect()
  return [box.width, box.height]
})"""


@pytest.fixture
def reported(project: Project) -> Path:
    """Write the report of a busy day through a running container."""
    project.config(app_name="shop", timezone="Europe/Berlin")
    tasks = project.engine()
    tasks.start()
    runs = [*busy_hours(), *failures()]
    tasks.ledger.transact(lambda tx: [tx.insert(run) for run in runs])
    return Path(write_report(Surroundings(tasks.config, tasks), NOW)["html"])


def busy_hours() -> list[Run]:
    counts = [2, 1, 1, 1, 1, 2, 4, 9, 14, 18, 19, 17, 12, 13, 15, 17, 14, 10, 6, 4, 3, 2, 1, 1]
    return [
        ended(f"task_{number % 4}", MIDNIGHT + timedelta(hours=hour, seconds=20 * number), number)
        for hour, count in enumerate(counts)
        for number in range(count)
    ]


def failures() -> list[Run]:
    names = ["import_orders", "a_task_with_a_really_long_identifier_that_nobody_named"]
    return [ended(name, MIDNIGHT + timedelta(hours=9), 200, error=ERROR) for name in names]


def ended(task_id: str, began: datetime, seconds: float, error: str | None = None) -> Run:
    run_id = RunIds().new(began)
    return Run(
        id=run_id,
        task_id=task_id,
        fire_key=run_id,
        scheduled_for=began,
        cause=Cause.SCHEDULE,
        state=RunState.COMPLETED if error is None else RunState.FAILED,
        reason=None if error is None else Reason.EXCEPTION,
        error=error,
        not_before=began,
        created_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=seconds),
    )


def test_the_report_can_be_read_in_light_and_dark_on_desk_and_phone(
    reported: Path, tmp_path: Path
) -> None:
    """Figures, chart and errors are visible, nothing scrolls sideways, the console stays empty."""
    said: list[str] = []
    with served(files_of(reported.parent)) as address, chromium() as browser:
        for scheme, width in LOOKS:
            size: Any = {"width": width, "height": 800}
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(f"{address}/{reported.name}")
            page.screenshot(path=tmp_path / f"report-{scheme}-{width}.png", full_page=True)
            read(page, width, dark=scheme == "dark")
            page.close()
    assert said == []


def read(page: Page, width: int, *, dark: bool) -> None:
    """Look at the page as its reader would."""
    assert page.get_by_role("heading", name="Friday, 20 November 2026").is_visible()
    assert page.get_by_text("2 of 189 runs failed, in 2 tasks.").is_visible()
    assert page.locator("dd").all_inner_texts() == ["189", "98.9 %", "2", "3 min 20 s"]
    bars = page.locator(".bar").evaluate_all(_SIZES)
    assert len(bars) == 24
    assert all(width > 4 and height > 1 for width, height in bars)
    assert page.get_by_role("img", name="most in the hour from 09:00, 20 runs").is_visible()
    assert page.get_by_text("<b>NewConnectionError</b>").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (page.locator("main").evaluate(_LUMINANCE) < 60) is dark


def test_the_report_can_be_printed(reported: Path, tmp_path: Path) -> None:
    """On paper it is black on white, whatever the screen likes."""
    with served(files_of(reported.parent)) as address, chromium() as browser:
        page = browser.new_page(color_scheme="dark")
        page.goto(f"{address}/{reported.name}")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("main").evaluate(_LUMINANCE) == 255
        page.screenshot(path=tmp_path / "report-print.png", full_page=True)
        assert page.pdf(path=tmp_path / "report.pdf", format="A4").startswith(b"%PDF")
