"""Settings that nobody would write: every file is read or refused with its problems."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from configurations import Xcorecfg
from core.errors import ConfigurationError, LedgerError
from manager.cli.running import check
from tests.fuzzing import FUZZ, LONGEST_PROBLEM, ODD_NUMBERS, ODD_TEXTS, patient

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = {
    name: list(getattr(field.annotation, "model_fields", {}))
    for name, field in Xcorecfg.model_fields.items()
    if hasattr(field.annotation, "model_fields")
}
TOP = [*Xcorecfg.model_fields, "$schema", "mine", "managr", "_private", "", "folder"]
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from([each for each in ODD_TEXTS if each != "/"]),
        st.sampled_from([each for each in ODD_NUMBERS if isinstance(each, int | float)][:10]),
        st.floats(),
        st.integers(),
        st.text(st.characters(exclude_categories=()), max_size=8).filter(lambda each: each != "/"),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a configuration with some keys of ours, and values of any kind."""
    found: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from([*SECTIONS, *TOP]), max_size=4)):
        if name in SECTIONS and draw(st.booleans()):
            keys = st.sampled_from(SECTIONS[name]) | st.text(max_size=8)
            found[name] = draw(st.dictionaries(keys, json_values, max_size=4))
        else:
            found[name] = draw(json_values)
    return found


BROKEN = [
    *("", " ", "{", "}", "[]", "null", '"text"', "1", "{'a': 1}", '{"a": 1,}', '{"a" 1}', "{a: 1}"),
    *(
        '{"a": }',
        '{"a": True}',
        '{"a": 01}',
        '{"a": .5}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": --1}',
    ),
    *(
        '{"a": "\n"}',
        '{"a": "\\x"}',
        '{"a": "\\ud800"}',
        '{"a": 1} x',
        "// c\n{}",
        '{"a": 1 "b": 2}',
    ),
    *('{"a": 1, "a": 2}', '{"manager": {"max_tasks": 1, "max_tasks": 2}}', "\ufeff{", "\x00"),
    *("[" * 100_000, '{"a":' * 100_000, "{" * 100_000, '{"a": ' + "9" * 10_000 + "}"),
    '{"manager": {"max_tasks": ' + "9" * 5_000 + "}}",
    '{"a": ' + "[" * 500 + "]" * 500 + "}",
    '{"manager": {"tasks_directory": "' + "x" * 5_000 + '"}}',
    '{"database": {"url": "sqlite:///' + "x" * 5_000 + '"}}',
    '{"plugins": ["' + "x." * 5_000 + '"]}',
]
BYTES = [
    b"\xff\xfe{}",
    b"\x80",
    b'{"a": "\xff"}',
    b"\xef\xbb\xbf{}",
    b"\x00" * 100,
    bytes(range(256)),
]


def check_error(error: ConfigurationError, path: Path) -> None:
    """Each problem is one line with its place; the file is named."""
    assert error.source == str(path)
    assert error.problems
    for problem in error.problems:
        assert problem.what
        assert len(str(problem)) < LONGEST_PROBLEM
        assert "\n" not in str(problem)


def read_and_checked(path: Path) -> None:
    with patient():
        try:
            config = Xcorecfg.from_file(path)
        except ConfigurationError as error:
            check_error(error, path)
        else:
            assert config.source == path
            json.dumps({key: each.value for key, each in config.describe().items()})
            config.hints()


@settings(FUZZ, max_examples=1_000)
@given(documents())
def test_a_random_document_is_read_or_refused_with_its_problems(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    """Never another error, never more than a second."""
    path = tmp_path_factory.getbasetemp() / "random.json"
    path.write_text(json.dumps(document), encoding="utf-8")

    read_and_checked(path)


@settings(FUZZ, max_examples=250)
@given(documents(), st.data())
def test_a_damaged_document_is_read_or_refused_with_its_problems(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], data: st.DataObject
) -> None:
    """Some bytes are cut out, or others put in."""
    raw = bytearray(json.dumps(document).encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    until = data.draw(st.integers(at, len(raw)))
    raw[at:until] = data.draw(st.binary(max_size=4))
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(raw)

    read_and_checked(path)


@pytest.mark.parametrize(
    "content", [*(text.encode() for text in BROKEN), *BYTES], ids=lambda each: repr(each[:24])
)
def test_a_broken_file_is_read_or_refused_with_its_problems(tmp_path: Path, content: bytes) -> None:
    """Made by hand: what editors, people and disks do to a file."""
    path = tmp_path / "config.json"
    path.write_bytes(content)

    read_and_checked(path)


@settings(FUZZ, max_examples=200)
@given(documents())
@pytest.mark.usefixtures("clean_process")
def test_check_takes_any_document_or_says_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    """The verb ends by itself: in order, not in order, or with an error of ours."""
    folder = tmp_path_factory.getbasetemp() / "check"
    folder.mkdir(exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(document), encoding="utf-8")

    ended: list[object] = []
    with patient():
        try:
            check(config=path)
        except ConfigurationError as error:
            check_error(error, path)
        except LedgerError as error:
            ended.append(error.url)  # a URL of another kind
        except typer.Exit as end:
            ended.append(end.exit_code)

    assert not ended or ended[0] == 1 or isinstance(ended[0], str)
