"""Decision 16: each record is seen once by the console, and once by whoever listens."""

from __future__ import annotations

import io
import logging
import sys
import unittest
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from loguru import logger as loguru_logger

from core.errors import LoggingError
from loggers import (
    get_logger,
    is_configured_by_application,
    log_context,
    set_level,
    setup_logging,
    teardown_logging,
)
from loggers.ownership import OWNED, loguru_sinks

if TYPE_CHECKING:
    from collections.abc import Iterator


Step = Callable[[], object]


class Stderr:
    """A stream that is whatever ``sys.stderr`` is when something is written."""

    def write(self, message: str) -> None:
        sys.stderr.write(message)


def attributes(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Return the records as objects that may have more attributes than a LogRecord declares."""
    return list(caplog.records)


class Screen:
    """What was written to the console so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture(autouse=True)
def console(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Screen]:
    """Give the test a console of its own and a process in which nobody set up logging."""
    for name in ("LOG_LEVEL", "LOG_FILE", "LOG_FORMAT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    loguru_logger.remove()
    OWNED.default_id = loguru_logger.add(Stderr())
    yield Screen(capsys)
    teardown_logging()
    loguru_logger.remove()
    OWNED.default_id = loguru_logger.add(Stderr())
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


def by_nobody() -> None:
    pass


def by_root_handler() -> None:
    logging.getLogger().addHandler(logging.StreamHandler(Stderr()))


def by_loguru_sink() -> None:
    loguru_logger.remove(OWNED.default_id)
    loguru_logger.add(Stderr(), format="{name}: {message}")


def by_loguru_feeding_standard() -> None:
    class Propagate(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.getLogger(record.name).handle(record)

    by_loguru_sink()
    loguru_logger.add(Propagate(), format="{message}")


def by_intercepting_root() -> None:
    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            loguru_logger.log(record.levelname, record.getMessage())

    by_loguru_sink()
    logging.getLogger().addHandler(Intercept())


def through_get_logger() -> None:
    get_logger("backgroundtask").warning("seen {}", "once")


def through_loguru() -> None:
    loguru_logger.warning("seen {}", "once")


def through_standard() -> None:
    logging.getLogger("some.library").warning("seen %s", "once")


MATRIX = [
    # set up by, logged through, times on the console, heard on standard logging
    (by_nobody, through_get_logger, 0, 1),
    (by_nobody, through_loguru, 1, 0),
    (by_nobody, through_standard, 0, 1),
    (by_root_handler, through_get_logger, 1, 1),
    (by_root_handler, through_loguru, 1, 0),
    (by_root_handler, through_standard, 1, 1),
    (by_loguru_sink, through_get_logger, 1, 1),
    (by_loguru_sink, through_loguru, 1, 0),
    (by_loguru_sink, through_standard, 0, 1),
    (by_loguru_feeding_standard, through_get_logger, 1, 1),
    (by_loguru_feeding_standard, through_loguru, 1, 1),
    (by_loguru_feeding_standard, through_standard, 0, 1),
    (by_intercepting_root, through_get_logger, 1, 1),
    (by_intercepting_root, through_loguru, 1, 0),
    (by_intercepting_root, through_standard, 1, 1),
    (setup_logging, through_get_logger, 1, 1),
    (setup_logging, through_loguru, 1, 1),
    (setup_logging, through_standard, 1, 1),
]


@pytest.mark.item("X3")
@pytest.mark.parametrize(("set_up", "log", "shown", "heard"), MATRIX)
def test_each_record_is_seen_once_by_console_and_caplog(
    set_up: Step,
    log: Step,
    shown: int,
    heard: int,
    console: Screen,
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_up()
    log()
    assert console.text.count("seen once") == shown
    assert [record.getMessage() for record in caplog.records] == ["seen once"] * heard


@pytest.mark.parametrize(("set_up", "log", "shown", "heard"), MATRIX)
def test_each_record_is_seen_once_by_assert_logs(
    set_up: Step, log: Step, shown: int, heard: int
) -> None:
    set_up()
    records: list[logging.LogRecord] = []
    try:
        with unittest.TestCase().assertLogs(level="WARNING") as watched:
            log()
        records = watched.records
    except AssertionError:
        pass  # how assertLogs says that there was nothing
    assert [record.getMessage() for record in records] == ["seen once"] * heard


@pytest.mark.parametrize(
    ("set_up", "expected"),
    [
        (by_nobody, False),
        (setup_logging, False),
        (by_root_handler, True),
        (by_loguru_sink, True),
        (lambda: loguru_logger.remove(OWNED.default_id), True),
        (lambda: logging.getLogger().addHandler(logging.NullHandler()), False),
    ],
)
def test_what_counts_as_the_applications_logging(set_up: Step, expected: bool) -> None:
    set_up()
    assert is_configured_by_application() is expected


def test_setting_up_again_adds_nothing_and_teardown_leaves_nothing(console: Screen) -> None:
    root = logging.getLogger()
    foreign = logging.NullHandler()
    root.addHandler(foreign)
    extra = loguru_logger.add(io.StringIO())
    before = (list(root.handlers), root.level, len(loguru_sinks()))
    setup_logging("DEBUG")
    once = (list(root.handlers), list(loguru_sinks()))
    setup_logging("DEBUG")
    assert (list(root.handlers), list(loguru_sinks())) == once
    assert len(root.handlers) == len(before[0]) + 1
    through_get_logger()
    assert console.text.count("seen once") == 1
    teardown_logging()
    teardown_logging()
    assert (list(root.handlers), root.level, len(loguru_sinks())) == before
    assert extra in loguru_sinks()
    loguru_logger.info("as before")
    assert console.text.count("as before") == 1


def test_setup_survives_an_application_that_removes_every_sink(console: Screen) -> None:
    setup_logging()
    loguru_logger.remove()
    setup_logging()
    through_get_logger()
    assert console.text.count("seen once") == 1


@pytest.mark.item("X3")
def test_a_name_has_one_logger() -> None:
    assert get_logger("backgroundtask") is get_logger("backgroundtask")
    assert get_logger("backgroundtask").name == "backgroundtask"


@pytest.mark.parametrize("set_up", [by_nobody, by_loguru_sink, setup_logging])
def test_file_line_and_function_are_the_callers(
    set_up: Step, caplog: pytest.LogCaptureFixture
) -> None:
    set_up()
    seen: list[Any] = []
    loguru_logger.add(lambda message: seen.append(message.record))

    def outer() -> None:
        get_logger("backgroundtask").warning("one up", stacklevel=2)

    through_get_logger()
    outer()
    logging.getLogger("some.library").warning("standard")
    first, second, third = caplog.records
    assert (first.filename, first.funcName) == ("test_logging_ownership.py", "through_get_logger")
    assert second.funcName == "test_file_line_and_function_are_the_callers"
    assert first.name == second.name == "backgroundtask"
    for record, standard in zip(seen, caplog.records, strict=False):
        assert record["line"] == standard.lineno
        assert record["file"].path == standard.pathname
        assert (record["name"], record["function"]) == (standard.name, standard.funcName)
    assert third.funcName == "test_file_line_and_function_are_the_callers"


def test_every_way_of_logging_carries_the_run_on_both_sides(
    console: Screen, caplog: pytest.LogCaptureFixture
) -> None:
    setup_logging()
    seen: list[Any] = []
    loguru_logger.add(lambda message: seen.append(message.record["extra"]))
    with log_context(task_id="report", run_id="01J9", attempt=2):
        through_get_logger()
        through_loguru()
        through_standard()
    assert seen == [{"task_id": "report", "run_id": "01J9", "attempt": 2}] * 3
    found = [(r.task_id, r.run_id, r.attempt) for r in attributes(caplog)]
    assert found == [("report", "01J9", 2)] * 3
    assert console.text.count(" | [report 2] seen once\n") == 3


def test_an_applications_handler_gets_the_run_and_bound_values_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by_root_handler()
    with log_context(task_id="report", attempt=1):
        get_logger("backgroundtask").bind(user="ada").warning("x", extra={"row": 7, "name": "no"})
    record = attributes(caplog)[0]
    assert (record.task_id, record.attempt, record.user, record.row) == ("report", 1, "ada", 7)
    assert record.name == "backgroundtask"


@pytest.mark.parametrize("set_up", [by_root_handler, setup_logging])
def test_the_standard_loggers_level_is_honoured(
    set_up: Step, caplog: pytest.LogCaptureFixture
) -> None:
    set_up()
    caplog.set_level(logging.ERROR, logger="backgroundtask")
    through_get_logger()
    assert caplog.records == []
    caplog.set_level(logging.DEBUG, logger="backgroundtask")
    get_logger("backgroundtask").debug("deep")
    assert [record.getMessage() for record in caplog.records] == ["deep"]


def test_the_level_changes_while_running(console: Screen) -> None:
    setup_logging("WARNING")
    log = get_logger("backgroundtask")
    log.info("hidden")
    assert not log.is_enabled_for("INFO")
    set_level("debug")
    log.debug("mine")
    logging.getLogger("some.library").debug("standard")
    set_level("ERROR")
    log.warning("hidden")
    text = console.text
    assert "hidden" not in text
    assert (text.count("mine"), text.count("standard")) == (1, 1)
    with pytest.raises(LoggingError, match="unknown level 'LOUD'"):
        set_level("LOUD")
    teardown_logging()
    with pytest.raises(LoggingError, match="set_level works on the sinks of setup_logging"):
        set_level("INFO")


def test_a_capture_sink_of_others_gets_what_our_console_hides(console: Screen) -> None:
    setup_logging("ERROR")
    seen: list[str] = []
    loguru_logger.add(lambda message: seen.append(message.record["message"]), level="DEBUG")
    get_logger("backgroundtask").debug("for the sink")
    assert seen == ["for the sink"]
    assert console.text == ""


@pytest.mark.item("X53")
@pytest.mark.parametrize("set_up", [by_root_handler, by_loguru_sink, setup_logging])
def test_an_exception_reaches_the_log_with_its_traceback(
    set_up: Step, console: Screen, caplog: pytest.LogCaptureFixture
) -> None:
    set_up()
    try:
        raise ValueError("broken report")  # noqa: TRY301
    except ValueError as error:
        get_logger("backgroundtask").exception("Task failed: {}", error)
    text = console.text
    assert "Task failed: broken report" in text
    assert text.count("ValueError: broken report") == 1
    assert attributes(caplog)[0].exc_info[0] is ValueError
    assert caplog.records[0].levelname == "ERROR"


def test_exception_information_is_taken_as_standard_logging_takes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = get_logger("backgroundtask")
    error = ValueError("x")
    log.warning("given", exc_info=error)
    log.warning("triple", exc_info=(ValueError, error, None))
    log.warning("none active", exc_info=True)  # noqa: LOG014
    log.exception("none active")  # noqa: LOG004
    found = [record.exc_info for record in caplog.records]
    assert [item[1] if item else None for item in found] == [error, error, None, None]


def test_markup_and_braces_are_text_everywhere(
    console: Screen, caplog: pytest.LogCaptureFixture
) -> None:
    setup_logging()
    text = "<red>{x} {0} %s </nothing>"
    get_logger("backgroundtask").info(text)
    logging.getLogger("some.library").info(text)
    assert [record.getMessage() for record in caplog.records] == [text, text]
    assert console.text.count(text) == 2


def test_every_level_has_its_method_and_name(caplog: pytest.LogCaptureFixture) -> None:
    setup_logging("DEBUG")
    log = get_logger("backgroundtask")
    for method in (log.debug, log.info, log.success, log.warning, log.error, log.critical):
        method("x")
    log.log("warn", "x")
    log.log(33, "x")
    assert [record.levelname for record in caplog.records] == [
        *("DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL", "WARNING", "Level 33"),
    ]
    with pytest.raises(LoggingError):
        log.log("LOUD", "x")


def test_a_standard_record_that_does_not_fit_its_arguments_is_still_seen(
    console: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup_logging()
    library = logging.getLogger("some.library")
    with monkeypatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [OWNED.entrance])  # pytest's would raise
        library.warning("only %d", "text")
    library.warning("stack", stack_info=True)
    assert "only %d ('text',)" in console.text
    assert "    Stack (most recent call last):" in console.text


def test_a_foreign_handler_that_returns_to_loguru_makes_no_circle(console: Screen) -> None:
    setup_logging()

    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            loguru_logger.log(record.levelname, record.getMessage())

    logging.getLogger().addHandler(Intercept())
    through_get_logger()
    assert console.text.count("seen once") == 1
    assert "Logging error" not in console.text
