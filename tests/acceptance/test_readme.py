"""The README shows what the program does."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.readme import README, block, project, renewed

if TYPE_CHECKING:
    from pathlib import Path


def test_the_readme_prints_what_a_real_run_prints(tmp_path: Path) -> None:
    """Outputs and tables are pasted from the program by ``python -m tests.readme``."""
    text = README.read_text(encoding="utf-8")
    assert renewed(text, tmp_path) == text


def test_the_application_of_the_readme_runs(tmp_path: Path) -> None:
    """The block on embedding runs as it stands, beside the plugin of the block above it."""
    text = README.read_text(encoding="utf-8")
    project(tmp_path, text)
    (tmp_path / "app.py").write_text(block("run: application", text), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    first, last, following = done.stdout.splitlines()
    assert first.startswith("count_orders: ")
    assert last.startswith("  Last run: ")
    assert following.startswith("  Next run: 20")
