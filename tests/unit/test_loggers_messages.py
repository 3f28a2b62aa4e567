"""A log call's message and arguments become one text, whichever style they are written in."""

from __future__ import annotations

import pytest

from core.errors import LoggingError
from loggers.levels import level_number
from loggers.messages import compose


class Mute:
    """An object that has no text."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("x {}", (1,), "x 1"),
        ("x %s", (1,), "x 1"),
        ("{1} {0}", ("a", "b"), "b a"),
        ("%d of %d", (1, 2), "1 of 2"),
        ("%(a)s", ({"a": 1},), "1"),
        ("{'a': 1} %s", ("x",), "{'a': 1} x"),
        ("{} %s", ("a", "b"), "{} %s ('a', 'b')"),
        ("too few {} {}", (1,), "too few {} {} (1,)"),
        ("no place", (1, 2), "no place (1, 2)"),
        ("100%", (1,), "100% (1,)"),
        ("{0.missing}", (1,), "{0.missing} (1,)"),
    ],
)
def test_arguments_fit_either_style_and_none_is_lost(
    message: str,
    args: tuple[object, ...],
    expected: str,
) -> None:
    assert compose(message, args, {}) == expected


@pytest.mark.parametrize("message", ["{", "{}", "{name}", "100%", "%s", "<red>x</red>", "<"])
def test_a_message_without_arguments_is_printed_as_it_is(message: str) -> None:
    assert compose(message, (), {}) == message


def test_named_arguments_fill_braces_and_a_template_that_misses_one_stays() -> None:
    assert compose("{rows} rows", (), {"rows": 3}) == "3 rows"
    assert compose("{other} rows", (), {"rows": 3}) == "{other} rows"


def test_an_object_without_a_text_does_not_raise() -> None:
    assert compose(Mute(), (), {}) == "<Mute without a text>"
    assert compose("x %s", (Mute(),), {}) == "x %s (1 arguments without a text)"


@pytest.mark.parametrize(
    ("level", "number"),
    [("info", 20), (" Warning ", 30), ("WARN", 30), ("fatal", 50), ("TRACE", 5), (15, 15)],
)
def test_a_level_is_a_name_in_any_case_or_a_number(level: str | int, number: int) -> None:
    assert level_number(level) == number


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("INFOO", "unknown level 'INFOO', did you mean 'INFO'? Known levels: TRACE, DEBUG, "),
        ("quiet", "unknown level 'quiet'. Known levels: TRACE, DEBUG, INFO, "),
        (-1, "expected a level of zero or more, got -1"),
        (True, "expected the name or number of a level, got True"),
        (None, "expected the name or number of a level, got None"),
    ],
)
def test_an_unknown_level_is_named_with_what_was_expected(level: object, text: str) -> None:
    with pytest.raises(LoggingError) as caught:
        level_number(level)
    assert str(caught.value).startswith(text)
