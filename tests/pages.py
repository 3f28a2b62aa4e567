"""The pages of the documentation as tests read them: blocks, tables, links, a project."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from manager.cli.main import main

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted([*DOCS.glob("*.md"), ROOT / "README.md"])
_OURS: Final = ("TASKRACK_", "BACKGROUND_", "LOG_", "NO_COLOR", "COV_", "PYTEST_")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: Path of the page.
        line: 1-based line of the opening fence.
        language: The first word after the fence.
        mark: The text of the HTML comment on the line above, such as ``run``; else empty.
        text: What is between the fences.
    """

    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of *page*, in order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    opened, mark = 0, ""
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            continue
        if opened:
            language = (lines[opened - 1][3:].split() or [""])[0]
            text = "".join(f"{each}\n" for each in lines[opened : number - 1])
            found.append(Block(page, opened, language, mark, text))
            opened = 0
            continue
        opened = number
        above = lines[number - 2] if number > 1 else ""
        comment = re.fullmatch(r"<!-- (.+) -->", above)
        mark = comment[1] if comment else ""
    assert not opened, f"{page.name}:{opened} opens a block that nothing closes"
    return found


def prose(page: Path) -> list[tuple[int, str]]:
    """Return the lines of *page* outside blocks, each with its number."""
    inside, found = False, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            found.append((number, line))
    return found


def tables(page: str, heading: str) -> list[list[list[str]]]:
    """Return the tables below *heading* of a page, without head and rule; each row as its cells."""
    found: list[list[list[str]]] = []
    below, rows = False, 0
    for _, line in prose(DOCS / page):
        if line.startswith("#"):
            below = line.lstrip("#").strip() == heading
        if not below or not line.startswith("|"):
            rows = 0
            continue
        rows += 1
        if rows == 1:
            found.append([])
        elif rows > 2:
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
    assert found, f"docs/{page} has no table below {heading!r}"
    return found


def table(page: str, heading: str) -> list[list[str]]:
    """Return the only table below *heading*."""
    (found,) = tables(page, heading)
    return found


def code(cell: str) -> str:
    """Return the text of a cell that holds one piece of code."""
    assert re.fullmatch(r"`[^`]+`", cell), f"expected one piece of code, got {cell!r}"
    return cell[1:-1]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of *page*, as GitHub makes them."""
    headings = [line.lstrip("#").strip() for _, line in prose(page) if line.startswith("#")]
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def build_project(page: Path, folder: Path) -> Path:
    """Write config.json and the page's files into *folder*, and return it."""
    settings = {
        "database": {"url": "sqlite:///./taskrack.db", "synchronous": "normal"},
        "loggers": {"enable_file": False},
    }
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    for block in blocks(page):
        kind, _, name = block.mark.partition(" ")
        if kind == "file:":
            file = folder / name
            assert not file.exists(), f"{block} writes {name} again"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    return folder


def started(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run *command* in *folder* without settings of this process, and return how it ended."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | {"PYTHONDONTWRITEBYTECODE": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def taskrack(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in *folder*, and return how it ended."""
    return started([sys.executable, "-m", "manager", *arguments], folder)


def signs(heading: str) -> list[str]:
    """Return the signs that the troubleshooting page shows below *heading*, one a line."""
    page = DOCS / "troubleshooting.md"
    numbers = {line: number for number, line in prose(page)}
    start = numbers[f"### {heading}"]
    later = [number for number, line in prose(page) if number > start and line.startswith("#")]
    end = min(later, default=sys.maxsize)
    texts = [block.text for block in blocks(page) if block.language == "text"]
    lines = [block.line for block in blocks(page) if block.language == "text"]
    return [
        sign
        for line, text in zip(lines, texts, strict=True)
        if start < line < end
        for sign in text.splitlines()
    ]


def shows(heading: str, *seen: str) -> None:
    """Hold each sign below *heading* against what was *seen*: one of its lines must be the sign.

    What stands in angle brackets on the page may be any text; blanks in a row count as one.
    """
    lines = [" ".join(line.split()) for text in seen for line in text.splitlines()]
    wanted = signs(heading)
    assert wanted, f"the page shows no sign below {heading!r}"
    for sign in wanted:
        parts = re.split(r"<[a-z]+>", " ".join(sign.split()))
        pattern = re.compile(".+".join(map(re.escape, parts)))
        assert any(pattern.fullmatch(line) for line in lines), f"no line is {sign!r} in {lines}"


def command(*words: str, code: int = 0) -> str:
    """Call the command line in this process, expect *code*, and return what it printed.

    The current folder is the project's; ``taskrack`` does the same in a process of its own.
    Standard error belongs to it but where JSON is asked for: a container of the same test may
    log there at any moment.
    """
    printed, beside = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)
    )
    complaints = beside if "--json" in words and not code else printed
    before, sys.argv = sys.argv, ["taskrack", *words]
    try:
        with redirect_stdout(printed), redirect_stderr(complaints):
            main()
    except SystemExit as left:
        found = left.code or 0
    else:
        found = 0
    finally:
        sys.argv = before
    printed.seek(0)
    text = printed.read()
    assert found == code, text
    return text
