"""Which tests show which item of the specification: collects the marks, writes ``docs/items.md``.

``python tests/items.py`` writes the page; ``test_item_table.py`` fails where it is out of date.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS: Final = Path(__file__).parent
PROMISES: Final = TESTS / "items.json"
PAGE: Final = TESTS.parent / "docs" / "items.md"
_HEAD: Final = """\
# Items

What the specification asks for, in short words, and the tests that show it.
Written by `python tests/items.py`.

| item | promise | shown by |
|---|---|---|
"""


def promises() -> dict[str, str]:
    """Return the promise of each item, in order."""
    read: dict[str, str] = json.loads(PROMISES.read_text(encoding="utf-8"))
    return dict(sorted(read.items(), key=lambda pair: _order(pair[0])))


def collected() -> dict[str, list[str]]:
    """Return the tests of each item that has any, as ``file::test`` below the tests folder."""
    found: dict[str, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        place = file.relative_to(TESTS).as_posix()
        whole = [item for node in tree.body for item in _items_of_module(node)]
        for name, marks in _tests(tree):
            for item in dict.fromkeys([*whole, *marks]):
                found.setdefault(item, []).append(f"{place}::{name}")
    return found


def page() -> str:
    """Return the table as Markdown."""
    found = collected()
    rows = [
        f"| {item} | {promise} | {'<br>'.join(f'`{test}`' for test in found.get(item, []))} |\n"
        for item, promise in promises().items()
    ]
    return _HEAD + "".join(rows)


def _tests(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Give each test of a module, also those of its classes, with the items on its marks."""
    yield from _functions(tree.body)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            outer = _items(node.decorator_list)
            for name, marks in _functions(node.body):
                yield f"{node.name}::{name}", [*outer, *marks]


def _functions(body: list[ast.stmt]) -> Iterator[tuple[str, list[str]]]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test_"):
            yield node.name, _items(node.decorator_list)


def _items_of_module(node: ast.stmt) -> list[str]:
    """Return the items that ``pytestmark = ...`` gives to every test of a module."""
    if not isinstance(node, ast.Assign):
        return []
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    if names != ["pytestmark"]:
        return []
    return _items(node.value.elts if isinstance(node.value, ast.List) else [node.value])


def _items(marks: list[ast.expr]) -> list[str]:
    return [
        argument.value
        for mark in marks
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.item"
        for argument in mark.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def _order(item: str) -> tuple[str, int]:
    match = re.fullmatch(r"([A-Z]+)(\d+)", item)
    return (match[1], int(match[2])) if match else (item, 0)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
