"""The pages hold: their code compiles and runs, their links lead somewhere, their commands exist.

How to write a block below docs/ (README.md has marks of its own, and a test of its own for them):

- A ``python`` block compiles. With ``<!-- run -->`` on the line above it is also executed, in a
  fresh interpreter whose current folder is a new project: a config.json, and the page's files.
- A block with ``<!-- file: PATH -->`` above it is a file of the page's project.
- A ``text`` block with ``<!-- output -->`` above it is what the ``run`` block before it prints on
  standard output, word for word.
- A ``toml`` or ``json`` block parses.
- ``taskrack VERB`` in a block or in `` `code` `` names a verb that exists, and options that it has.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
import tomllib
from typing import TYPE_CHECKING, Final

import pytest
import typer

from manager.cli.main import app
from tests.pages import DOCS, PAGES, ROOT, Block, anchors, blocks, build_project, prose, started

if TYPE_CHECKING:
    from pathlib import Path

MARKS: Final = re.compile(r"run|output|file: [\w./-]+|")
BLOCKS: Final = [block for page in PAGES for block in blocks(page)]
PYTHON: Final = [block for block in BLOCKS if block.language == "python"]
RUN: Final = [block for block in PYTHON if block.mark == "run"]
CALL: Final = re.compile(r"(?<![\w./-])taskrack ([a-z][a-z-]*)((?: [^\s`|]+)*)")


def outputs(page: Path) -> dict[int, str]:
    """Return what the pages say that blocks print, by the line of the block."""
    pairs = itertools.pairwise(blocks(page))
    return {first.line: then.text for first, then in pairs if then.mark == "output"}


def commands() -> dict[str, set[str]]:
    """Return every verb with its options; the verbs of a group as ``group verb``."""
    found: dict[str, set[str]] = {}
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    for name, command in root.commands.items():
        below = getattr(command, "commands", {})
        found |= {f"{name} {each}": _options(inner) for each, inner in below.items()}
        if not below:
            found[name] = _options(command)
    return found


def _options(command: object) -> set[str]:
    parameters = getattr(command, "params", [])
    return {text for each in parameters for text in each.opts if text.startswith("-")}


def calls(page: Path) -> list[tuple[int, str, str]]:
    """Return the calls of the command line that *page* shows: line, verb, the rest."""
    shown = [
        (block.line + at, line)
        for block in blocks(page)
        if block.language in {"sh", "console", "text"}
        for at, line in enumerate(block.text.splitlines(), start=1)
    ]
    for number, line in prose(page):
        shown += [(number, piece) for piece in re.findall(r"`([^`]+)`", line)]
    return [(number, found[1], found[2]) for number, text in shown for found in CALL.finditer(text)]


def test_every_mark_means_something() -> None:
    """A misspelt mark would leave its block unchecked."""
    ours = [block for block in BLOCKS if block.page.parent == DOCS]
    assert [str(block) for block in ours if not MARKS.fullmatch(block.mark)] == []
    for page in DOCS.glob("*.md"):
        said, found = outputs(page), [each for each in blocks(page) if each.mark == "output"]
        runs = {each.line for each in blocks(page) if each.mark == "run"}
        assert (len(said), set(said) - runs) == (len(found), set()), page.name


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_that_is_marked_runs(block: Block, tmp_path: Path) -> None:
    """It runs in a fresh interpreter, in a project of the page, and prints what the page says."""
    project = build_project(block.page, tmp_path)
    script = tmp_path / "block.py"
    script.write_text(block.text, encoding="utf-8")

    done = started([sys.executable, str(script)], project)

    assert done.returncode == 0, done.stderr
    said = outputs(block.page).get(block.line)
    assert said is None or done.stdout == said


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_data_block_parses(block: Block) -> None:
    if block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language == "json":
        assert json.loads(block.text) is not None
    else:
        assert block.language, f"{block} names no language"


@pytest.mark.item("X62")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """The file is there, and so is the heading."""
    for number, line in prose(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}:{number} links to {target}"
            assert file.is_relative_to(ROOT), f"{page.name}:{number} links out of the repository"
            if anchor:
                assert anchor in anchors(file), f"{page.name}:{number} links to {target}"


@pytest.mark.item("X62")
def test_the_index_lists_every_page() -> None:
    """Those of the manager and of the configuration among them."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    there = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert {name for name in there if f"({name})" not in text} == set()
    assert {"tasks.md", "configuration.md", "logging.md"} <= there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    """``taskrack xyz --abc`` is an error here if there is no such verb, or no such option."""
    known = commands() | {"VERB": set()}
    for number, verb, rest in calls(page):
        words = rest.split()
        name = f"{verb} {words[0]}" if words and f"{verb} {words[0]}" in known else verb
        assert name in known, f"{page.name}:{number} names taskrack {verb}{rest}"
        options = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert options <= known[name] | {"--help", "-h"}, f"{page.name}:{number}"


def test_a_command_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    """The search sees calls in prose and in blocks, and not the word alone."""
    page = tmp_path / "page.md"
    page.write_text("Use `taskrack xyz -v` of taskrack now.\n```sh\ntaskrack lst --json\n```\n")
    assert calls(page) == [(3, "lst", " --json"), (1, "xyz", " -v")]
